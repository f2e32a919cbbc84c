//! The section `asyncio`: what its tools are under tokio.

use std::hint::black_box;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use super::timing::Meter;
use super::{ItemFn, Measured, seen};

pub(super) const ITEMS: &[(&str, ItemFn)] = &[
    ("tokio-runtime", tokio_runtime),
    ("tokio-runtime-multi", tokio_runtime_multi),
    ("await-async-fn", await_async_fn),
    ("tokio-spawn", tokio_spawn),
    ("tokio-spawn-multi", tokio_spawn_multi),
    ("tokio-spawn-100", tokio_spawn_100),
    ("join-set", join_set),
    ("tokio-mpsc-handover", tokio_mpsc_handover),
    ("notify-handover", notify_handover),
    ("tokio-mutex", tokio_mutex),
    ("yield-now", tokio_yield_now),
    ("tokio-timeout", tokio_timeout),
    ("tokio-sleep-lateness", tokio_sleep_lateness),
];

/// Tasks at once.
const TASKS: usize = 100;
/// A round of two tasks is two hand-overs.
const THERE_AND_BACK: f64 = 2.0;
/// What is slept at a time.
const NAP: Duration = Duration::from_millis(1);

/// A runtime of one thread, the caller's.
pub(super) fn current_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A runtime with a worker for each core, as `#[tokio::main]` makes it.
pub(super) fn multi_thread() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

pub(super) async fn nothing() {
    black_box(());
}

fn tokio_runtime(meter: &Meter) -> Measured {
    meter.per_try(|| -> io::Result<()> {
        current_thread()?.block_on(nothing());
        Ok(())
    })
}

fn tokio_runtime_multi(meter: &Meter) -> Measured {
    meter.per_try(|| -> io::Result<()> {
        multi_thread()?.block_on(nothing());
        Ok(())
    })
}

/// Measures a loop of calls that is one future on this runtime.
macro_rules! per_await {
    ($meter:expr, $runtime:expr, $call:expr) => {
        $meter.per_loop(|calls| {
            $runtime.block_on(async {
                for _ in 0..calls {
                    $call;
                }
            });
            Ok(())
        })
    };
}
pub(super) use per_await;

fn await_async_fn(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    per_await!(meter, runtime, nothing().await)
}

fn tokio_spawn(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    per_await!(meter, runtime, seen(tokio::spawn(nothing()).await))
}

/// By a task of the runtime, as most of a program is: it stands on a worker, whose own queue takes the new task.
fn tokio_spawn_multi(meter: &Meter) -> Measured {
    let runtime = multi_thread()?;
    meter.per_loop(|calls| {
        let task = async move {
            for _ in 0..calls {
                seen(tokio::spawn(nothing()).await);
            }
        };
        seen(runtime.block_on(runtime.spawn(task)));
        Ok(())
    })
}

fn tokio_spawn_100(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let spawned = per_await!(meter, runtime, {
        let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(nothing())).collect();
        for task in tasks {
            seen(task.await);
        }
    });
    spawned.map(|ns| ns / TASKS as f64)
}

fn join_set(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let joined = per_await!(meter, runtime, {
        let mut tasks: JoinSet<()> = (0..TASKS).map(|_| nothing()).collect();
        while tasks.join_next().await.is_some() {}
    });
    joined.map(|ns| ns / TASKS as f64)
}

fn tokio_mpsc_handover(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let ((to_there, mut there), (to_here, mut here)) = (mpsc::channel(100), mpsc::channel(100));
    runtime.spawn(async move {
        while let Some(item) = there.recv().await {
            seen(to_here.send(item).await);
        }
    });
    let round = per_await!(meter, runtime, {
        seen(to_there.send(black_box(1_u64)).await);
        black_box(here.recv().await);
    });
    round.map(|ns| ns / THERE_AND_BACK)
}

fn notify_handover(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let (there, here) = (std::sync::Arc::new(Notify::new()), std::sync::Arc::new(Notify::new()));
    let (their_there, their_here) = (there.clone(), here.clone());
    runtime.spawn(async move {
        loop {
            their_there.notified().await;
            their_here.notify_one();
        }
    });
    let round = per_await!(meter, runtime, {
        there.notify_one();
        here.notified().await;
    });
    round.map(|ns| ns / THERE_AND_BACK)
}

fn tokio_mutex(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let lock = Mutex::new(0_u64);
    per_await!(meter, runtime, seen(black_box(&lock).lock().await))
}

fn tokio_yield_now(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    per_await!(meter, runtime, yield_now().await)
}

fn tokio_timeout(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    per_await!(meter, runtime, seen(timeout(Duration::from_secs(1), nothing()).await))
}

fn tokio_sleep_lateness(meter: &Meter) -> Measured {
    let runtime = current_thread()?;
    let slept_ns = per_await!(meter, runtime, sleep(NAP).await)?;
    Ok((slept_ns - NAP.as_nanos() as f64).max(0.0))
}
