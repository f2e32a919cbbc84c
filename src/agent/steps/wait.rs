//! `wait`: a device that answers on time, as precisely in every engine.

use std::sync::Arc;

use super::Stage;
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::clock::Timer;

/// Waits for an absolute deadline: `clock_nanosleep` on a thread, one timerfd on an event loop.
pub(super) struct WaitStep(Stage);

impl WaitStep {
    /// A step that waits as `stage` does.
    pub(super) fn new(stage: Stage) -> WaitStep {
        WaitStep(stage)
    }
}

impl Step for WaitStep {
    fn blocking(&self, index: u64) -> Outcome {
        self.0.blocking(index)
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(self.0.asynchronous(index))
    }

    fn reference(&self, index: u64) -> Outcome {
        self.0.reference(index)
    }

    fn on_another_loop(&self, timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        Some(Box::new(WaitStep(self.0.on_another_loop(timer)?)))
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, in_agent, step_job, waiting};
    use crate::clock::now_ns;
    use crate::protocol::FailureKind;
    use crate::workload::Step;

    #[test]
    fn both_forms_agree() {
        check_forms(&step_job(Step::Wait { time: waiting() }));
    }

    #[test]
    fn each_task_waits_for_its_own_draw_and_never_less() {
        let mut job = step_job(Step::Wait { time: waiting() });
        job.draws[0][5] = 3_000_000;
        let task = in_agent(&job);
        let start = now_ns();
        task.blocking(5).expect("waits");
        assert!(now_ns() >= start + 3_000_000);
    }

    #[test]
    fn a_job_without_durations_is_refused() {
        let mut job = step_job(Step::Wait { time: waiting() });
        job.draws.clear();
        let failed = crate::agent::steps::build(&crate::agent::steps::testing::job(&[job]), super::super::Place::Agent);
        let failed = failed.map(|_| ()).expect_err("no table");
        assert_eq!((failed.kind, failed.place.as_str()), (FailureKind::Setup, "step 1 (wait)"));
    }
}
