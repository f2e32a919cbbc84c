//! Work that is too small for what carries it, or too much at once.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crossbeam_channel::{Receiver, Sender};

use super::super::threads::pool;
use super::super::timing::ms;
use super::super::{Pair, PitfallFn, Unavailable, seen};

pub(super) const PITFALLS: &[(&str, PitfallFn)] = &[
    ("message-per-item", message_per_item),
    ("thread-per-task", thread_per_task),
    ("unbounded-channel", unbounded_channel),
];

/// Items of a channel, and how many of them one message may carry.
const ITEMS: u64 = 300_000;
const PART: usize = 1000;
/// Tiny tasks.
const TASKS: u32 = 2000;
/// Items that a fast sender has for a slow receiver, and what the bounded channel holds.
const BACKLOG: usize = 20_000;
const BOUND: usize = 100;
/// What the receiver computes for each.
const STEPS: usize = 5000;

/// The sum that another thread makes of what is sent.
fn sum_of<T: Send + 'static>(sum: impl Fn(T) -> u64 + Send + 'static, send: impl FnOnce(mpsc::Sender<T>)) -> u64 {
    let (sender, receiver) = mpsc::channel();
    let adder = thread::spawn(move || receiver.into_iter().map(sum).sum::<u64>());
    send(sender);
    adder.join().unwrap_or_default()
}

fn message_per_item() -> Result<Pair, Unavailable> {
    let items: Vec<u64> = (0..ITEMS).collect();
    let wrong =
        ms(|| sum_of(|item: u64| item, |sender| items.iter().for_each(|item| seen(sender.send(black_box(*item))))));
    let mended = ms(|| {
        sum_of(
            |part: Vec<u64>| part.iter().sum(),
            |sender| items.chunks(PART).for_each(|part| seen(sender.send(black_box(part.to_vec())))),
        )
    });
    Ok(Pair::of(wrong, mended))
}

fn thread_per_task() -> Result<Pair, Unavailable> {
    let done = AtomicU64::new(0);
    let task = || {
        done.fetch_add(black_box(1), Ordering::Relaxed);
    };
    let wrong = ms(|| {
        thread::scope(|scope| {
            for _ in 0..TASKS {
                scope.spawn(task);
            }
        });
    });
    let pool = pool()?;
    let mended = ms(|| {
        pool.scope(|scope| {
            for _ in 0..TASKS {
                scope.spawn(|_| task());
            }
        });
    });
    Ok(Pair::of(wrong, mended))
}

/// How many items at most wait for a receiver that computes for each, longer than its sender needs to send it.
fn most_waiting((sender, receiver): (Sender<usize>, Receiver<usize>)) -> usize {
    let waiting = receiver.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            for item in receiver {
                black_box((0..STEPS).fold(item, |sum, step| black_box(sum ^ step)));
            }
        });
        let most = (0..BACKLOG).map(|item| {
            seen(sender.send(item));
            waiting.len()
        });
        let most = most.max().unwrap_or_default();
        // The receiver ends when it has taken what is left.
        drop(sender);
        most
    })
}

fn unbounded_channel() -> Result<Pair, Unavailable> {
    let wrong = most_waiting(crossbeam_channel::unbounded());
    let mended = most_waiting(crossbeam_channel::bounded(BOUND));
    Ok(Pair::of(wrong as f64, mended as f64))
}
