//! Work inside a step: what a critical section or a queue's consumer does.

use std::sync::Arc;

use super::Label;
use super::cpu::Computation;
use super::draws::Draws;
use crate::agent::task::Outcome;
use crate::clock::{self, Timer};
use crate::protocol::{Failed, StepJob};
use crate::workload::Work;

/// A precise wait or a computation, with a blocking and an async form.
pub(in crate::agent) struct Stage {
    label: Label,
    form: Form,
}

enum Form {
    /// With the timer of the event loop, which all steps of a task share.
    Wait(Draws, Arc<Timer>),
    Cpu(Box<Computation>),
}

impl Stage {
    pub(in crate::agent) fn new(
        label: Label,
        work: &Work,
        step_job: &StepJob,
        seed: u64,
        timer: Arc<Timer>,
    ) -> Result<Stage, Failed> {
        let form = match work {
            Work::Wait { .. } => Form::Wait(Draws::new(label, step_job)?, timer),
            Work::Cpu(cpu) => Form::Cpu(Box::new(Computation::new(label, *cpu, step_job.iterations, seed))),
        };
        Ok(Stage { label, form })
    }

    /// The same with the timer of another event loop; `None` for a computation, which any loop may share.
    pub(super) fn on_another_loop(&self, timer: &Arc<Timer>) -> Option<Stage> {
        match &self.form {
            Form::Wait(draws, _) => {
                Some(Stage { label: self.label, form: Form::Wait(draws.clone(), Arc::clone(timer)) })
            }
            Form::Cpu(_) => None,
        }
    }

    /// Makes the inputs of a computation: see [`Step::prepare`](crate::agent::task::Step::prepare).
    pub(in crate::agent) fn prepare(&self, index: Option<u64>) {
        if let Form::Cpu(computation) = &self.form {
            computation.prepare(index);
        }
    }

    /// Does it on the calling thread.
    pub(in crate::agent) fn blocking(&self, index: u64) -> Outcome {
        match &self.form {
            Form::Wait(draws, _) => {
                clock::wait_blocking_until(clock::now_ns().saturating_add(draws.at(index)));
                Ok(self.label.checksum())
            }
            Form::Cpu(computation) => computation.run(index),
        }
    }

    /// Does it on an event loop, where a computation blocks the loop.
    pub(super) async fn asynchronous(&self, index: u64) -> Outcome {
        match &self.form {
            Form::Wait(draws, timer) => {
                let deadline_ns = clock::now_ns().saturating_add(draws.at(index));
                let waited = timer.wait_until(deadline_ns).await;
                waited.map_err(|error| self.label.task(format!("cannot wait on a timerfd: {error}")))?;
                Ok(self.label.checksum())
            }
            Form::Cpu(computation) => computation.run(index),
        }
    }

    /// Its checksum, without a wait.
    pub(super) fn reference(&self, index: u64) -> Outcome {
        match &self.form {
            Form::Wait(..) => Ok(self.label.checksum()),
            Form::Cpu(computation) => computation.run(index),
        }
    }
}
