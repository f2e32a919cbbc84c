//! Hand-overs between two threads: a round goes there and back, so it is two of them, and neither can be left out.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Barrier, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::Measured;
use super::timing::Meter;

/// A round of two threads is two hand-overs.
const THERE_AND_BACK: f64 = 2.0;

/// Whose turn it is.
const HERE: u8 = 0;
const THERE: u8 = 1;
const OVER: u8 = 2;

/// A mutex, whoever made it.
pub(super) trait Lock: Sync + Default {
    /// What is held.
    type Guard<'a>
    where
        Self: 'a;

    /// Waits for it and holds it.
    fn hold(&self) -> Self::Guard<'_>;
}

impl Lock for Mutex<u64> {
    type Guard<'a> = MutexGuard<'a, u64>;

    #[inline]
    fn hold(&self) -> MutexGuard<'_, u64> {
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lock for parking_lot::Mutex<u64> {
    type Guard<'a> = parking_lot::MutexGuard<'a, u64>;

    #[inline]
    fn hold(&self) -> parking_lot::MutexGuard<'_, u64> {
        self.lock()
    }
}

/// From the release of a mutex to the thread that waits for it. Three mutexes go round: each thread takes the next one,
/// which the other holds, and then releases its own, which the other waits for. So each release is a hand-over.
pub(super) fn of_a_lock<L: Lock>(meter: &Meter) -> Measured {
    let locks: [L; 3] = Default::default();
    let is_over = AtomicBool::new(false);
    let begin = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut held = locks[1].hold();
            begin.wait();
            for lock in locks.iter().cycle().skip(2) {
                let next = lock.hold();
                held = next;
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
            }
            drop(held);
        });
        let mut held = locks[0].hold();
        begin.wait();
        let mut round = locks.iter().cycle().skip(1);
        let measured = meter.per_call(|| {
            if let Some(lock) = round.next() {
                let next = lock.hold();
                held = next;
            }
        });
        is_over.store(true, Ordering::Relaxed);
        drop(held);
        measured.map(|ns| ns / THERE_AND_BACK)
    })
}

/// From `notify_one` to the thread that waits, with std's `Condvar`.
pub(super) fn of_a_condvar(meter: &Meter) -> Measured {
    let turn = Mutex::new(HERE);
    let changed = Condvar::new();
    let lock = || turn.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = |turn, whose| changed.wait_while(turn, |turn| *turn == whose).unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let mut turn = wait(lock(), HERE);
                if *turn == OVER {
                    break;
                }
                *turn = HERE;
                changed.notify_one();
            }
        });
        let measured = meter.per_call(|| {
            let mut turn = lock();
            *turn = THERE;
            changed.notify_one();
            drop(wait(turn, THERE));
        });
        *lock() = OVER;
        changed.notify_one();
        measured.map(|ns| ns / THERE_AND_BACK)
    })
}

/// The same with `parking_lot`.
pub(super) fn of_a_parking_lot_condvar(meter: &Meter) -> Measured {
    let turn = parking_lot::Mutex::new(HERE);
    let changed = parking_lot::Condvar::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let mut held = turn.lock();
                changed.wait_while(&mut held, |turn| *turn == HERE);
                if *held == OVER {
                    break;
                }
                *held = HERE;
                changed.notify_one();
            }
        });
        let measured = meter.per_call(|| {
            let mut held = turn.lock();
            *held = THERE;
            changed.notify_one();
            changed.wait_while(&mut held, |turn| *turn == THERE);
        });
        *turn.lock() = OVER;
        changed.notify_one();
        measured.map(|ns| ns / THERE_AND_BACK)
    })
}

/// From `unpark` to the thread that is parked. `prepare` is what both threads do first.
pub(super) fn of_a_parked_thread(meter: &Meter, prepare: impl Fn() -> std::io::Result<()> + Sync) -> Measured {
    let turn = AtomicU8::new(HERE);
    let pass = |to: u8, thread: &thread::Thread| {
        turn.store(to, Ordering::Release);
        thread.unpark();
    };
    let wait_while = |whose: u8| {
        while turn.load(Ordering::Acquire) == whose {
            thread::park();
        }
    };
    let (turn, pass, wait_while, prepare) = (&turn, &pass, &wait_while, &prepare);
    thread::scope(|scope| {
        // Neither is this one: what it was prepared for would stay with whatever comes next.
        let measured = scope.spawn(move || {
            prepare()?;
            let here = thread::current();
            let there = scope.spawn(move || {
                let prepared = prepare();
                loop {
                    wait_while(HERE);
                    if turn.load(Ordering::Acquire) == OVER {
                        return prepared;
                    }
                    pass(HERE, &here);
                }
            });
            let measured = meter.per_call(|| {
                pass(THERE, there.thread());
                wait_while(THERE);
            });
            pass(OVER, there.thread());
            if let Ok(prepared) = there.join() {
                prepared?;
            }
            measured.map(|ns| ns / THERE_AND_BACK)
        });
        measured.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// From `send` in one thread to `recv` in another. `there` sends to `here`, and the other way round.
pub(super) fn of_a_channel(meter: &Meter, send: impl Fn(u64), recv: impl Fn(), echo: impl FnOnce() + Send) -> Measured {
    thread::scope(|scope| {
        scope.spawn(echo);
        let measured = meter.per_call(|| {
            send(1);
            recv();
        });
        // The other thread ends when nobody can send to it.
        drop(send);
        measured.map(|ns| ns / THERE_AND_BACK)
    })
}
