//! Locks: held across an await, and memory that two cores fight for.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use tokio::runtime::Builder;

use super::super::timing::ms;
use super::super::{Pair, PitfallFn, Unavailable, seen};

pub(super) const PITFALLS: &[(&str, PitfallFn)] =
    &[("mutex-across-await", mutex_across_await), ("false-sharing", false_sharing)];

/// How long two tasks are given that need a hundredth of it.
const PATIENCE: Duration = Duration::from_millis(300);
/// How long the lock is held across the await.
const HELD: Duration = Duration::from_millis(2);
/// What each thread adds.
const ADDITIONS: u64 = 2_000_000;

/// How many of two tasks that `run` has counted when it is over, or when the patience is. A thread that hangs is left
/// behind, and ends with this process.
fn ended_in_time(run: impl FnOnce(Arc<AtomicUsize>) + Send + 'static) -> f64 {
    let ended = Arc::new(AtomicUsize::new(0));
    let (over, is_over) = mpsc::channel();
    let theirs = Arc::clone(&ended);
    thread::spawn(move || {
        run(theirs);
        seen(over.send(()));
    });
    // Both mean that no more will end: it is over, or it hangs.
    let _ = is_over.recv_timeout(PATIENCE);
    ended.load(Ordering::SeqCst) as f64
}

#[expect(clippy::await_holding_lock, reason = "this is the mistake that is shown")]
async fn with_std(lock: &Mutex<u64>, ended: &AtomicUsize) {
    let mut held = lock.lock().unwrap_or_else(PoisonError::into_inner);
    tokio::time::sleep(HELD).await;
    *held += 1;
    ended.fetch_add(1, Ordering::SeqCst);
}

async fn with_tokio(lock: &tokio::sync::Mutex<u64>, ended: &AtomicUsize) {
    let mut held = lock.lock().await;
    tokio::time::sleep(HELD).await;
    *held += 1;
    ended.fetch_add(1, Ordering::SeqCst);
}

fn mutex_across_await() -> Result<Pair, Unavailable> {
    let first = Builder::new_current_thread().enable_all().build()?;
    let second = Builder::new_current_thread().enable_all().build()?;
    let wrong = ended_in_time(move |ended| {
        let lock = Mutex::new(0);
        first.block_on(async { tokio::join!(with_std(&lock, &ended), with_std(&lock, &ended)) });
    });
    let mended = ended_in_time(move |ended| {
        let lock = tokio::sync::Mutex::new(0);
        second.block_on(async { tokio::join!(with_tokio(&lock, &ended), with_tokio(&lock, &ended)) });
    });
    let pair = Pair::of(wrong, mended);
    let hangs = format!(
        "after {} ms one task waits for its timer, the other one blocks the loop and waits for the lock",
        PATIENCE.as_millis()
    );
    Ok(if wrong < 2.0 { pair.showing(hangs) } else { pair })
}

/// How long two threads take that each add to a number of their own.
fn add_in_two_threads(numbers: [&AtomicU64; 2]) -> f64 {
    ms(|| {
        thread::scope(|scope| {
            for number in numbers {
                scope.spawn(move || {
                    for _ in 0..ADDITIONS {
                        black_box(number).fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
    })
}

fn false_sharing() -> Result<Pair, Unavailable> {
    // On a line of its own, so that both numbers share one.
    let [one, other] = &*CachePadded::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let wrong = add_in_two_threads([one, other]);
    let [one, other] = &[CachePadded::new(AtomicU64::new(0)), CachePadded::new(AtomicU64::new(0))];
    let mended = add_in_two_threads([one, other]);
    Ok(Pair::of(wrong, mended))
}
