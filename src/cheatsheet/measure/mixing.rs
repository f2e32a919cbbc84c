//! The section `mixing`: between tokio, threads, pools and programs.

use std::hint::black_box;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{block_in_place, spawn_blocking, yield_now};

use super::asynchronous::{current_thread, multi_thread, nothing, per_await};
use super::threads::pool;
use super::timing::Meter;
use super::{ItemFn, Measured, Unavailable, seen};

pub(super) const ITEMS: &[(&str, ItemFn)] = &[
    ("spawn-blocking", spawn_blocking_item),
    ("block-in-place", block_in_place_item),
    ("rayon-from-tokio", rayon_from_tokio),
    ("tokio-command-status", tokio_command_status),
    ("tokio-mpsc-threads", tokio_mpsc_threads),
    ("handle-spawn", handle_spawn),
];

/// A round of two threads is two hand-overs.
const THERE_AND_BACK: f64 = 2.0;

fn compute() {
    black_box(());
}

fn spawn_blocking_item(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    per_await!(meter, runtime, seen(spawn_blocking(compute).await))
}

/// In a task of a runtime of several threads: the worker hands its queue to another thread. The task yields each time, or
/// the second call would find itself on a thread that has no queue to hand on any more.
fn block_in_place_item(meter: &Meter) -> Measured {
    let runtime = multi_thread()?;
    meter.per_loop(|calls| {
        let task = async move {
            for _ in 0..calls {
                block_in_place(compute);
                yield_now().await;
            }
        };
        seen(runtime.block_on(runtime.spawn(task)));
        Ok(())
    })
}

fn rayon_from_tokio(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let pool = pool()?;
    per_await!(meter, runtime, {
        let (sender, receiver) = oneshot::channel();
        pool.spawn(move || {
            compute();
            seen(sender.send(()));
        });
        seen(receiver.await);
    })
}

fn tokio_command_status(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    // The command needs the runtime when it starts, so all of it is in the future.
    meter.per_try(|| runtime.block_on(async { tokio::process::Command::new("true").status().await }).map(drop))
}

/// Between two loops, each in a thread of its own.
fn tokio_mpsc_threads(meter: &Meter) -> Measured {
    let (ours, theirs) = (current_thread()?, current_thread()?);
    let ((to_there, mut there), (to_here, mut here)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    thread::scope(|scope| {
        scope.spawn(move || {
            theirs.block_on(async move {
                while let Some(item) = there.recv().await {
                    seen(to_here.send(item));
                }
            });
        });
        let round = per_await!(meter, ours, {
            seen(to_there.send(black_box(1_u64)));
            black_box(here.recv().await);
        });
        // The other loop ends when nobody can send to it.
        drop(to_there);
        round.map(|ns| ns / THERE_AND_BACK)
    })
}

/// From a thread to the loop that runs in another one, and back with the result.
fn handle_spawn(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let handle: Handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || drop(runtime.block_on(stopped)));
        let measured = meter.per_try(|| {
            let gone = |_| Unavailable("the task did not end".to_owned());
            handle.block_on(handle.spawn(nothing())).map_err(gone)
        });
        drop(stop);
        measured
    })
}
