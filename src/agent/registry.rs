//! Closures of a user's own program, by the name of their workload.
//!
//! A program that registers workloads is its own agent and its own worker: it is started again, runs until it registers
//! the workload that [`WORKLOAD_VARIABLE`] names, and from then on does as it is told. A process runs one workload, so
//! there is room for one.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hint::black_box;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use super::task::{BoxFuture, Outcome};
use crate::protocol::{Failed, FailureKind, VARIANTS};

/// The environment variable that tells an agent, and the workers that it starts, whose closures to run.
pub const WORKLOAD_VARIABLE: &str = "CONBENCH_WORKLOAD";

/// What a task comes to whose result is not checked. Not 0, so that one which was left out is missed.
const UNCHECKED: u64 = 1;

/// A task in its blocking form: from its index to its checksum.
pub type Blocking = Arc<dyn Fn(u64) -> Outcome + Send + Sync>;
/// A task in its async form.
pub type Asynchronous = Arc<dyn Fn(u64) -> BoxFuture<'static, Outcome> + Send + Sync>;
/// From a result to its checksum.
pub type Check<R> = Arc<dyn Fn(&R) -> u64 + Send + Sync>;

/// What one workload's tasks do. At least one of the two forms is there.
#[derive(Clone)]
pub struct Closures {
    /// The workload's name.
    pub name: String,
    /// What runs on a thread.
    pub blocking: Option<Blocking>,
    /// What runs on an event loop.
    pub asynchronous: Option<Asynchronous>,
}

static REGISTERED: OnceLock<Closures> = OnceLock::new();

/// Keeps the closures that tasks of this process call. Those of a second workload are not taken: a process has one.
pub fn register(closures: Closures) {
    drop(REGISTERED.set(closures));
}

/// The closures of this name, if they are those of this process.
#[must_use]
pub fn registered(name: &str) -> Option<&'static Closures> {
    REGISTERED.get().filter(|closures| closures.name == name)
}

/// Which index a task is called with, so that its result can be checked where it is: a check knows the first
/// [`VARIANTS`] results, and holds all others against them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Indices {
    /// How many items there are, if they are counted.
    pub items: Option<NonZeroU64>,
    /// Whether results are checked.
    pub are_checked: bool,
}

impl Indices {
    /// The index that task `index` is called with.
    #[must_use]
    pub fn of(self, index: u64) -> u64 {
        let index = if self.are_checked { index % VARIANTS } else { index };
        self.items.map_or(index, |items| index % items)
    }
}

/// The blocking form of a task whose result is dropped, once it is checked.
pub fn blocking<R: 'static>(
    task: impl Fn(u64) -> R + Send + Sync + 'static,
    check: Option<Check<R>>,
    indices: Indices,
) -> Blocking {
    Arc::new(move |index| {
        let index = indices.of(index);
        caught(|| checksum(&task(index), check.as_ref())).map_err(failed)
    })
}

/// The async form of a task whose result is dropped, once it is checked.
pub fn asynchronous<R: 'static, F: Future<Output = R> + Send + 'static>(
    task: impl Fn(u64) -> F + Send + Sync + 'static,
    check: Option<Check<R>>,
    indices: Indices,
) -> Asynchronous {
    // Futures refer to it and outlive the call. It is there until the process ends anyway, and threads that counted
    // references to it would wait for each other.
    let (task, check) = &*Box::leak(Box::new((task, check)));
    Arc::new(move |index| {
        let index = indices.of(index);
        Box::pin(async move {
            let running = caught(|| task(index)).map_err(failed)?;
            let watched = Caught(async move { checksum(&running.await, check.as_ref()) });
            watched.await.map_err(failed)
        })
    })
}

fn checksum<R>(result: &R, check: Option<&Check<R>>) -> u64 {
    let result = black_box(result);
    check.map_or(UNCHECKED, |check| check(result))
}

fn failed(message: String) -> Failed {
    Failed::new(FailureKind::Task, message, "step 1 (registered)".to_owned())
}

/// A future of the user's, whose panic is its failure.
struct Caught<F>(F);

impl<F: Future> Future for Caught<F> {
    type Output = Result<F::Output, String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the field is never moved out of the pinned struct, which has no `Drop` and no `Unpin` of its own.
        let future = unsafe { self.map_unchecked_mut(|caught| &mut caught.0) };
        match caught(|| future.poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Err(message) => Poll::Ready(Err(message)),
        }
    }
}

thread_local! {
    /// Whether this thread is in code of the user's whose panic is caught.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    /// The panic that was caught last.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs code of the user's.
///
/// # Errors
/// The message of its panic, with its place where the hook heard of it.
pub fn caught<R>(run: impl FnOnce() -> R) -> Result<R, String> {
    let before = CATCHING.replace(true);
    let done = catch_unwind(AssertUnwindSafe(run));
    CATCHING.set(before);
    done.map_err(|payload| {
        let heard = CAUGHT.with_borrow_mut(Option::take);
        format!("the task panicked: {}", heard.unwrap_or_else(|| message(payload.as_ref()).to_owned()))
    })
}

/// Whether a panic will be caught by [`caught`]; its message is kept for that. Where panics abort, none is.
pub fn keeps(panic: &PanicHookInfo<'_>) -> bool {
    let is_kept = cfg!(panic = "unwind") && CATCHING.get();
    if is_kept {
        let place = panic.location().map(|place| format!(", at {place}")).unwrap_or_default();
        CAUGHT.set(Some(format!("{}{place}", message(panic.payload()))));
    }
    is_kept
}

/// Has panics that are caught write nothing: a task may panic thousands of times a second.
pub fn hush() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !keeps(panic) {
            report(panic);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("with a value that is no text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::steps::testing::runtime;

    #[test]
    fn a_task_is_called_with_its_own_index() {
        let plain = Indices::default();
        let items = Indices { items: NonZeroU64::new(100), are_checked: false };
        let checked = Indices { items: NonZeroU64::new(5), are_checked: true };
        assert_eq!([plain.of(1234), items.of(1234), checked.of(1234)], [1234, 34, 2]);
    }

    #[test]
    fn a_result_is_dropped_or_checked_in_both_forms() {
        let indices = Indices { items: None, are_checked: true };
        let check: Check<String> = Arc::new(|text| text.len() as u64);
        let run = blocking(|index| "x".repeat(index as usize), Some(Arc::clone(&check)), indices);
        assert_eq!((run(3), run(19), run(0)), (Ok(3), Ok(3), Ok(0)));
        let awaited = asynchronous(|index| async move { "x".repeat(index as usize) }, Some(check), indices);
        assert_eq!(runtime().block_on(awaited(19)), Ok(3));
        assert_eq!(blocking(|index| index, None, Indices::default())(7), Ok(UNCHECKED));
    }

    #[test]
    fn a_panic_is_the_failure_of_its_task_alone() {
        let odd = |index: u64| assert!(index.is_multiple_of(2), "task {index} is odd");
        let run = blocking(odd, None, Indices::default());
        let wrong = run(3).expect_err("it panics");
        assert_eq!(wrong.kind, FailureKind::Task);
        assert!(wrong.message.contains("panicked: task 3 is odd"), "{}", wrong.message);
        assert_eq!(run(4), Ok(UNCHECKED));
        let runtime = runtime();
        let at_once = asynchronous(
            move |index| {
                odd(index);
                std::future::ready(())
            },
            None,
            Indices::default(),
        );
        let later = asynchronous(
            move |index| async move {
                tokio::task::yield_now().await;
                odd(index);
            },
            None,
            Indices::default(),
        );
        for run in [at_once, later] {
            assert!(runtime.block_on(run(5)).expect_err("it panics").message.contains("task 5 is odd"));
            assert_eq!(runtime.block_on(run(6)), Ok(UNCHECKED));
        }
    }
}
