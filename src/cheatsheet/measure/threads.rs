//! The section `threading`.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock, mpsc};
use std::thread;
use std::time::Duration;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::handover::{self, Lock};
use super::timing::Meter;
use super::{ItemFn, Measured, Unavailable, seen};

pub(super) const ITEMS: &[(&str, ItemFn)] = &[
    ("thread-spawn-join", thread_spawn_join),
    ("thread-scope", thread_scope),
    ("rayon-install", rayon_install),
    ("rayon-join", rayon_join),
    ("rayon-map-100", |meter| rayon_map(meter, 100)),
    ("rayon-map-10000", |meter| rayon_map(meter, 10_000)),
    ("atomic-add", atomic_add),
    ("mutex-std", uncontended::<Mutex<u64>>),
    ("mutex-parking-lot", uncontended::<parking_lot::Mutex<u64>>),
    ("rwlock-read", rwlock_read),
    ("mutex-std-handover", handover::of_a_lock::<Mutex<u64>>),
    ("mutex-parking-lot-handover", handover::of_a_lock::<parking_lot::Mutex<u64>>),
    ("park-handover", |meter| handover::of_a_parked_thread(meter, || Ok(()))),
    ("context-switch", context_switch),
    ("condvar-std-handover", handover::of_a_condvar),
    ("condvar-parking-lot-handover", handover::of_a_parking_lot_condvar),
    ("channel-std", channel_std),
    ("channel-crossbeam", channel_crossbeam),
    ("channel-flume", channel_flume),
    ("channel-std-handover", channel_std_handover),
    ("channel-crossbeam-handover", channel_crossbeam_handover),
    ("channel-flume-handover", channel_flume_handover),
    ("thread-sleep-lateness", sleep_lateness),
];

/// What is slept at a time.
const NAP: Duration = Duration::from_millis(1);

fn nothing() {
    black_box(());
}

fn panicked<T>(_: T) -> Unavailable {
    Unavailable("the other thread panicked".to_owned())
}

fn thread_spawn_join(meter: &Meter) -> Measured {
    meter.per_try(|| thread::spawn(nothing).join().map_err(panicked))
}

fn thread_scope(meter: &Meter) -> Measured {
    meter.per_call(|| {
        thread::scope(|scope| {
            scope.spawn(nothing);
        });
    })
}

/// As many threads as rayon starts by itself, but gone with the item.
pub(super) fn pool() -> Result<ThreadPool, Unavailable> {
    ThreadPoolBuilder::new().build().map_err(|error| Unavailable(format!("no pool can be started: {error}")))
}

fn rayon_install(meter: &Meter) -> Measured {
    let pool = pool()?;
    meter.per_call(|| pool.install(nothing))
}

fn rayon_join(meter: &Meter) -> Measured {
    let inside = || meter.per_call(|| seen(rayon::join(nothing, nothing)));
    pool()?.install(inside)
}

fn rayon_map(meter: &Meter, items: u32) -> Measured {
    let pool = pool()?;
    let numbers: Vec<u64> = (0..u64::from(items)).collect();
    let map = || black_box(&numbers).par_iter().map(|number| number.wrapping_mul(3)).collect::<Vec<u64>>();
    let per_call = meter.per_call(|| seen(pool.install(map)));
    per_call.map(|ns| ns / f64::from(items))
}

fn atomic_add(meter: &Meter) -> Measured {
    let number = AtomicU64::new(0);
    let number = black_box(&number);
    meter.per_call(|| {
        number.fetch_add(1, Ordering::Relaxed);
    })
}

/// A lock that nobody else wants.
fn uncontended<L: Lock>(meter: &Meter) -> Measured {
    let lock = L::default();
    // It may be known elsewhere, so that its atomics stay. A guard that is looked at would go through memory, which costs
    // a third of what the lock does.
    let lock = black_box(&lock);
    meter.per_call(|| drop(lock.hold()))
}

fn rwlock_read(meter: &Meter) -> Measured {
    let lock = RwLock::new(0_u64);
    let lock = black_box(&lock);
    meter.per_call(|| drop(lock.read()))
}

/// Two threads that may use one core alone: the one must leave it for the other to run.
fn context_switch(meter: &Meter) -> Measured {
    let allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(first.unwrap_or(0));
    handover::of_a_parked_thread(meter, || Ok(sched_setaffinity(None, &one)?))
}

/// Put in and taken out by one thread: what the channel itself costs.
fn in_one_thread(meter: &Meter, send: impl Fn(u64), recv: impl Fn()) -> Measured {
    meter.per_call(|| {
        send(black_box(1));
        recv();
    })
}

fn channel_std(meter: &Meter) -> Measured {
    let (sender, receiver) = mpsc::channel();
    in_one_thread(meter, |item| seen(sender.send(item)), || seen(receiver.recv()))
}

fn channel_crossbeam(meter: &Meter) -> Measured {
    let (sender, receiver) = crossbeam_channel::unbounded();
    in_one_thread(meter, |item| seen(sender.send(item)), || seen(receiver.recv()))
}

fn channel_flume(meter: &Meter) -> Measured {
    let (sender, receiver) = flume::unbounded();
    in_one_thread(meter, |item| seen(sender.send(item)), || seen(receiver.recv()))
}

fn channel_std_handover(meter: &Meter) -> Measured {
    let ((to_there, there), (to_here, here)) = (mpsc::channel(), mpsc::channel());
    let echo = move || there.into_iter().for_each(|item| seen(to_here.send(item)));
    handover::of_a_channel(meter, move |item| seen(to_there.send(item)), || seen(here.recv()), echo)
}

fn channel_crossbeam_handover(meter: &Meter) -> Measured {
    let ((to_there, there), (to_here, here)) = (crossbeam_channel::unbounded(), crossbeam_channel::unbounded());
    let echo = move || there.into_iter().for_each(|item| seen(to_here.send(item)));
    handover::of_a_channel(meter, move |item| seen(to_there.send(item)), || seen(here.recv()), echo)
}

fn channel_flume_handover(meter: &Meter) -> Measured {
    let ((to_there, there), (to_here, here)) = (flume::unbounded(), flume::unbounded());
    let echo = move || there.into_iter().for_each(|item| seen(to_here.send(item)));
    handover::of_a_channel(meter, move |item| seen(to_there.send(item)), || seen(here.recv()), echo)
}

fn sleep_lateness(meter: &Meter) -> Measured {
    let slept_ns = meter.per_call(|| thread::sleep(NAP))?;
    Ok((slept_ns - NAP.as_nanos() as f64).max(0.0))
}
