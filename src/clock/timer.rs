//! Precise waits on an event loop: one timerfd and a heap of deadlines for the whole loop. smol and compio have such timers
//! themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use super::now_ns;

/// A timer of one event loop, started at its first wait. A million waits cost a million heap entries and
/// one descriptor.
///
/// tokio's own timer is good to a millisecond, which would let the timer decide between engines. smol's is such a timerfd,
/// compio's is how long it waits for io_uring, and they are what their users wait with.
#[derive(Default)]
pub struct Timer {
    driver: OnceLock<Driver>,
    of: Of,
}

/// Whose loop a timer is for.
#[derive(Clone, Copy, Default)]
enum Of {
    #[default]
    Tokio,
    Smol,
    #[cfg(feature = "compio")]
    Compio,
}

/// What a timer drives its loop's waits with; dropped, the task behind it ends and the timerfd is closed.
struct Driver {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    descriptor: Arc<AsyncFd<OwnedFd>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Reverse<Entry>>,
    /// The deadline for which the timerfd is armed; `u64::MAX` is none.
    armed_ns: u64,
}

struct Entry {
    deadline_ns: u64,
    waker: Waker,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.deadline_ns == other.deadline_ns
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> std::cmp::Ordering {
        self.deadline_ns.cmp(&other.deadline_ns)
    }
}

impl Timer {
    /// A timer for the loop that first waits on it.
    #[must_use]
    pub fn new() -> Timer {
        Timer::default()
    }

    /// A timer for loops of smol.
    #[must_use]
    pub fn of_smol() -> Timer {
        Timer { of: Of::Smol, ..Timer::default() }
    }

    /// A timer for loops of compio.
    #[cfg(feature = "compio")]
    #[must_use]
    pub fn of_compio() -> Timer {
        Timer { of: Of::Compio, ..Timer::default() }
    }

    /// Completes when the clock shows `deadline_ns`. Must be polled inside a tokio runtime with I/O enabled, or
    /// on a loop of smol or compio, whichever it was made for.
    ///
    /// # Errors
    /// When the timerfd cannot be made or armed.
    pub async fn wait_until(&self, deadline_ns: u64) -> io::Result<()> {
        match self.of {
            Of::Tokio => {}
            Of::Smol => return wait_on_smol(deadline_ns).await,
            #[cfg(feature = "compio")]
            Of::Compio => return wait_on_compio(deadline_ns).await,
        }
        let driver = match self.driver.get() {
            Some(driver) => driver,
            None => {
                let driver = Driver::start()?;
                self.driver.get_or_init(|| driver)
            }
        };
        Wait { shared: &driver.shared, deadline_ns, woken: NOBODY }.await
    }
}

/// Never early: smol's deadline is so much time after a later reading of the same clock.
async fn wait_on_smol(deadline_ns: u64) -> io::Result<()> {
    let left_ns = deadline_ns.saturating_sub(now_ns());
    if left_ns > 0 {
        // Boxed, it makes no wait of tokio's larger.
        Box::new(async_io::Timer::after(Duration::from_nanos(left_ns))).await;
    }
    Ok(())
}

/// Never early, as on smol.
#[cfg(feature = "compio")]
async fn wait_on_compio(deadline_ns: u64) -> io::Result<()> {
    let left_ns = deadline_ns.saturating_sub(now_ns());
    if left_ns > 0 {
        // A loop of compio stays on its thread.
        let wait = compio_send_wrapper::SendWrapper::new(compio::time::sleep(Duration::from_nanos(left_ns)));
        Box::pin(wait).await;
    }
    Ok(())
}

struct Wait<'a> {
    shared: &'a Shared,
    deadline_ns: u64,
    /// Who is woken, by the address of its waker's data: as small as a flag beside two words, and a million waits have one.
    /// It stays unique, since the heap holds that waker.
    woken: usize,
}

/// Nobody is woken yet: no data is at this address.
const NOBODY: usize = usize::MAX;

impl Future for Wait<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if now_ns() >= self.deadline_ns {
            return Poll::Ready(Ok(()));
        }
        // A task of tokio keeps its waker for life. What moves a future from one task to another, such as a join of many,
        // has it woken by another one.
        let woken = context.waker().data().addr();
        if self.woken != woken {
            self.woken = woken;
            let entry = Entry { deadline_ns: self.deadline_ns, waker: context.waker().clone() };
            if let Err(error) = self.shared.add(entry) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Pending
    }
}

impl Driver {
    fn start() -> io::Result<Driver> {
        let descriptor =
            rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: the AsyncFd owns the descriptor, and nothing closes or replaces it before that drops.
        let descriptor = Arc::new(unsafe { AsyncFd::register(descriptor) }?);
        let state = Mutex::new(State { waiting: BinaryHeap::new(), armed_ns: u64::MAX });
        let shared = Arc::new(Shared { descriptor: Arc::clone(&descriptor), state });
        // The task holds the waits weakly: they live as long as the timer, which ends the task.
        let task = tokio::spawn(drive(descriptor, Arc::downgrade(&shared))).abort_handle();
        Ok(Driver { shared, task })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, entry: Entry) -> io::Result<()> {
        let mut state = self.state();
        let deadline_ns = entry.deadline_ns;
        state.waiting.push(Reverse(entry));
        if deadline_ns < state.armed_ns { self.arm(&mut state, deadline_ns) } else { Ok(()) }
    }

    fn arm(&self, state: &mut State, deadline_ns: u64) -> io::Result<()> {
        state.armed_ns = deadline_ns;
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = if deadline_ns == u64::MAX {
            zero
        } else {
            Timespec { tv_sec: (deadline_ns / 1_000_000_000) as i64, tv_nsec: (deadline_ns % 1_000_000_000) as i64 }
        };
        let setting = Itimerspec { it_interval: zero, it_value: value };
        rustix::time::timerfd_settime(self.descriptor.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Wakes all that are due and arms the timerfd for the next one.
    fn wake_due(&self) -> io::Result<()> {
        let mut state = self.state();
        let now = now_ns();
        let mut due = Vec::new();
        while state.waiting.peek().is_some_and(|Reverse(entry)| entry.deadline_ns <= now) {
            if let Some(Reverse(entry)) = state.waiting.pop() {
                due.push(entry.waker);
            }
        }
        let next = state.waiting.peek().map_or(u64::MAX, |Reverse(entry)| entry.deadline_ns);
        self.arm(&mut state, next)?;
        drop(state);
        due.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

/// Waits for the timerfd for as long as the timer and the runtime live.
async fn drive(descriptor: Arc<AsyncFd<OwnedFd>>, shared: Weak<Shared>) {
    loop {
        let Ok(mut ready) = descriptor.readable().await else { return };
        let mut count = [0_u8; 8];
        let _ = rustix::io::read(descriptor.get_ref(), &mut count);
        ready.clear_ready();
        drop(ready);
        let Some(shared) = shared.upgrade() else { return };
        if shared.wake_due().is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_in_the_order_of_their_deadlines_and_never_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let order = runtime.block_on(async {
            let timer = Arc::new(Timer::new());
            let start = now_ns();
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for millis in [9_u64, 1, 5, 3, 7] {
                let (timer, sender) = (Arc::clone(&timer), sender.clone());
                tokio::spawn(async move {
                    let deadline = start + millis * 1_000_000;
                    timer.wait_until(deadline).await.expect("a timerfd");
                    sender.send((millis, now_ns() >= deadline)).expect("the receiver lives");
                });
            }
            drop(sender);
            let mut order = Vec::new();
            while let Some(done) = receiver.recv().await {
                order.push(done);
            }
            order
        });
        assert_eq!(order, [1, 3, 5, 7, 9].map(|millis| (millis, true)));
    }

    #[test]
    fn a_dropped_timer_leaves_no_timerfd_behind() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let timer = Timer::new();
            timer.wait_until(now_ns() + 100_000).await.expect("a timerfd");
            let descriptor = Arc::downgrade(&timer.driver.get().expect("started").shared.descriptor);
            assert!(descriptor.upgrade().is_some());
            drop(timer);
            while descriptor.upgrade().is_some() {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_wait_wakes_whoever_polled_it_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let timer = Timer::new();
            let mut wait = std::pin::pin!(timer.wait_until(now_ns() + 20_000_000));
            let mut nobody = Context::from_waker(Waker::noop());
            assert!(wait.as_mut().poll(&mut nobody).is_pending());
            // It would hang if it still woke nobody.
            wait.await.expect("a timerfd");
        });
    }

    #[test]
    fn a_blocking_wait_is_never_early() {
        let deadline = now_ns() + 2_000_000;
        super::super::wait_blocking_until(deadline);
        assert!(now_ns() >= deadline);
    }
}
