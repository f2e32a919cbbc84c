//! Jobs for the tests of steps.

use std::path::PathBuf;

use super::{Place, build};
#[cfg(feature = "compio")]
use crate::agent::loops::Loop;
use crate::agent::loops::run_on;
use crate::agent::task::Task;
use crate::candidate::{Candidate, Engine, RUST, Sizes};
use crate::protocol::{DRAWS, Job, StepJob, VARIANTS};
use crate::workload::{Distribution, Load, Step};

/// A short wait.
pub(in crate::agent) fn waiting() -> Distribution {
    Distribution::Fixed { time_ns: 50_000 }
}

/// One iteration of `step`, with 50 us in its draw tables.
pub(in crate::agent) fn step_job(step: Step) -> StepJob {
    let draws = step.distributions().iter().map(|_| vec![50_000; DRAWS]).collect();
    StepJob { step, iterations: 1, draws, items: None }
}

/// A process pool's job of these steps.
pub(in crate::agent) fn job(steps: &[StepJob]) -> Job {
    let candidate = Candidate::new(RUST, Engine::ProcessPool, Sizes::default());
    Job::new(candidate, Load::Closed { max_in_flight: 8 }, steps.to_vec(), 7, 1_000_000_000)
}

/// The task of one step, in the agent.
pub(in crate::agent) fn in_agent(step: &StepJob) -> Task {
    build(&job(std::slice::from_ref(step)), Place::Agent).expect("a task")
}

/// The task of one step that works in `directory`, in the agent.
pub(in crate::agent) fn in_directory(step: &StepJob, directory: PathBuf) -> Task {
    build(&Job { directory: Some(directory), ..job(std::slice::from_ref(step)) }, Place::Agent).expect("a task")
}

/// A multi-threaded runtime with everything enabled.
pub(in crate::agent) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Checks both forms of a task of one step in the agent against its reference, the async one on each library's loop.
pub(in crate::agent) fn check_forms(step: &StepJob) {
    check_task(in_agent(step));
    check_on_smol(on_smol(step));
    #[cfg(feature = "compio")]
    if Loop::Compio.runs(&step.step) {
        check_on_compio(build(&on_compio(step), Place::Agent).expect("a task"));
    }
}

/// The job of one step for a loop of compio.
#[cfg(feature = "compio")]
pub(in crate::agent) fn on_compio(step: &StepJob) -> Job {
    let candidate = Candidate::new(RUST, Engine::Compio, Sizes::default());
    Job { candidate, ..job(std::slice::from_ref(step)) }
}

/// A runtime of compio; where there is none, what asks is skipped, and that is said.
#[cfg(feature = "compio")]
pub(in crate::agent) fn compio_runtime() -> Option<compio::runtime::Runtime> {
    use std::io::Write as _;
    let skipped = |error| drop(writeln!(std::io::stderr(), "skipped on compio: {error}"));
    compio::runtime::Runtime::new().map_err(skipped).ok()
}

/// Checks the async form of `task`, many at once on a loop of compio, against its reference.
#[cfg(feature = "compio")]
pub(in crate::agent) fn check_on_compio(task: Task) {
    let task = std::sync::Arc::new(task);
    let Some(runtime) = compio_runtime() else { return };
    // Twice: what the first run leaves behind must serve the next.
    for _ in 0..2 {
        runtime.block_on(async {
            let run = |index| {
                let task = std::sync::Arc::clone(&task);
                compio::runtime::spawn(async move { task.asynchronous(index).await })
            };
            let running: Vec<_> = (0..40).map(run).collect();
            for (index, done) in running.into_iter().enumerate() {
                let expected = task.reference(index as u64 % VARIANTS).expect("a reference");
                let expected = expected.into_iter().fold(0, u64::wrapping_add);
                assert_eq!(done.await.expect("no panic"), Ok(expected), "compio {index}");
            }
        });
    }
}

/// The task of one step for a loop of smol.
pub(in crate::agent) fn on_smol(step: &StepJob) -> Task {
    let candidate = Candidate::new(RUST, Engine::Smol, Sizes::default());
    build(&Job { candidate, ..job(std::slice::from_ref(step)) }, Place::Agent).expect("a task")
}

/// Checks the async form of `task`, many at once on a loop of smol, against its reference.
fn check_on_smol(task: Task) {
    let task = std::sync::Arc::new(task);
    let executor = std::rc::Rc::new(async_executor::LocalExecutor::new());
    // Twice: what the first run leaves behind must serve the next.
    for _ in 0..2 {
        run_on(&executor, async {
            let run = |index| {
                let task = std::sync::Arc::clone(&task);
                executor.spawn(async move { task.asynchronous(index).await })
            };
            let running: Vec<_> = (0..40).map(run).collect();
            for (index, done) in running.into_iter().enumerate() {
                let expected = task.reference(index as u64 % VARIANTS).expect("a reference");
                let expected = expected.into_iter().fold(0, u64::wrapping_add);
                assert_eq!(done.await, Ok(expected), "smol {index}");
            }
        });
    }
}

/// Checks both forms of `task`, alone and many at once, against its reference for every variant.
pub(in crate::agent) fn check_task(task: Task) {
    let task = std::sync::Arc::new(task);
    let expected: Vec<u64> = (0..VARIANTS)
        .map(|index| task.reference(index).expect("a reference").into_iter().fold(0, u64::wrapping_add))
        .collect();
    let expect = |index: u64| Ok(expected[(index % VARIANTS) as usize]);
    for index in 0..2 * VARIANTS {
        assert_eq!(task.blocking(index), expect(index), "blocking {index}");
    }
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (task, expect) = (&task, &expect);
            scope.spawn(move || (thread..40).for_each(|index| assert_eq!(task.blocking(index), expect(index))));
        }
    });
    runtime().block_on(async {
        let running: Vec<_> = (0..40)
            .map(|index| {
                let task = std::sync::Arc::clone(&task);
                tokio::spawn(async move { task.asynchronous(index).await })
            })
            .collect();
        for (index, done) in running.into_iter().enumerate() {
            assert_eq!(done.await.expect("no panic"), expect(index as u64), "async {index}");
        }
    });
}
