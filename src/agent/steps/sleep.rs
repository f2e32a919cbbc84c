//! `sleep`: the runtime's own sleep, with the precision that it has.

use std::time::Duration;

#[cfg(feature = "compio")]
use compio_send_wrapper::SendWrapper;

use super::Label;
use super::draws::Draws;
use crate::agent::loops::Loop;
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::clock;
use crate::protocol::{Failed, StepJob};

/// `std::thread::sleep` with a thread's default slack; `tokio::time::sleep` on an event loop, whose
/// runtime must have its time enabled, or `smol::Timer`, or `compio::time::sleep`.
pub(super) struct SleepStep {
    label: Label,
    draws: Draws,
    on: Loop,
}

impl SleepStep {
    pub(super) fn new(label: Label, step_job: &StepJob, on: Loop) -> Result<SleepStep, Failed> {
        Ok(SleepStep { label, draws: Draws::new(label, step_job)?, on })
    }

    fn time(&self, index: u64) -> Duration {
        Duration::from_nanos(self.draws.at(index))
    }
}

impl Step for SleepStep {
    fn blocking(&self, index: u64) -> Outcome {
        clock::wait_with_default_slack(self.time(index));
        Ok(self.label.checksum())
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            match self.on {
                Loop::Tokio => tokio::time::sleep(self.time(index)).await,
                Loop::Smol => drop(async_io::Timer::after(self.time(index)).await),
                #[cfg(feature = "compio")]
                Loop::Compio => SendWrapper::new(compio::time::sleep(self.time(index))).await,
            }
            Ok(self.label.checksum())
        })
    }

    fn reference(&self, _index: u64) -> Outcome {
        Ok(self.label.checksum())
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, step_job, waiting};
    use crate::workload::Step;

    #[test]
    fn both_forms_agree() {
        check_forms(&step_job(Step::Sleep { time: waiting() }));
    }
}
