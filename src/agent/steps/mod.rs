//! Steps: what a task does. Each is one small file with a blocking and an async form, and knows no engine.
//!
//! Async forms need the event loop that the task was made for (`Loop`): a tokio runtime with I/O enabled (`sleep` needs its
//! time enabled too, `command` everything, `enable_all`), smol's, or compio's.

mod command;
mod cpu;
mod draws;
mod event;
mod file;
pub mod kernels;
mod lock;
mod queue;
mod registered;
mod sleep;
mod stage;
#[cfg(test)]
pub(in crate::agent) mod testing;
mod wait;

#[doc(hidden)]
pub mod codec;
pub mod http;
mod net;
mod peer_error;
pub mod tcp;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub(super) use stage::Stage;

use super::ipc::{self, Handed};
use super::label::Label;
use super::loops::Loop;
use super::task::{Placed, Step, Task};
use crate::clock::Timer;
use crate::protocol::{Failed, Job, StepJob};
use crate::workload::Step as Description;

/// Where steps run: it decides what "shared" means for locks, queues and events.
pub enum Place {
    /// In the agent itself: shared between threads and tasks of this process.
    Agent,
    /// In a worker process: shared with the other workers through these descriptors. A worker runs the
    /// tasks of its slot one after another.
    Worker {
        /// The worker's slot, from 0.
        slot: u32,
        /// The descriptors of [`Shared::descriptors`](super::ipc::Shared::descriptors), in that order.
        shared: Vec<OwnedFd>,
    },
}

/// Makes the task that a job describes, ready to run in `place`. Nothing is measured yet; kernel inputs and
/// files are made by [`Task::prepare`], or else, as are connections and partners, by the first task that
/// needs them.
///
/// # Errors
/// When a step cannot be set up; `place` names the step.
pub fn build(job: &Job, place: Place) -> Result<Task, Failed> {
    let (mut handed, seed) = match place {
        Place::Agent => (None, Some(job.seed)),
        Place::Worker { slot, shared } => (Some(Handed::new(job, slot, shared)?), None),
    };
    let timer = Arc::new(Loop::of(job.candidate.engine).timer());
    let steps = job
        .steps
        .iter()
        .enumerate()
        .map(|(position, step_job)| {
            // What never runs in the workers of this engine is made as for the agent, which needs nothing.
            let handed = handed.as_mut().filter(|_| ipc::is_shared(job, &step_job.step));
            let step = step(position + 1, job, step_job, &timer, handed)?;
            Ok(Placed { step, is_async: step_job.step.has_async_form() })
        })
        .collect::<Result<Vec<Placed>, Failed>>()?;
    Ok(Task::new(steps, job.payload, seed))
}

fn step(
    number: usize,
    job: &Job,
    step_job: &StepJob,
    timer: &Arc<Timer>,
    handed: Option<&mut Handed>,
) -> Result<Box<dyn Step>, Failed> {
    let label = Label::new(number, &step_job.step);
    let on = Loop::of(job.candidate.engine);
    #[cfg(feature = "compio")]
    if !on.runs(&step_job.step) {
        return Err(label.setup(format!("it has no form for {}", job.candidate.engine)));
    }
    let stage = |work| Stage::new(label, work, step_job, job.seed, Arc::clone(timer));
    Ok(match &step_job.step {
        Description::Cpu(cpu) => Box::new(cpu::CpuStep::new(label, *cpu, step_job.iterations, job.seed)),
        Description::Wait { time } => {
            Box::new(wait::WaitStep::new(stage(&crate::workload::Work::Wait { time: *time })?))
        }
        Description::Sleep { .. } => Box::new(sleep::SleepStep::new(label, step_job, on)?),
        Description::Http { .. } => Box::new(http::HttpStep::new(number, job, step_job)?),
        Description::Tcp { .. } => Box::new(tcp::TcpStep::new(number, job, step_job)?),
        Description::File { operation, size_bytes, fsync } => {
            Box::new(file::FileStep::new(label, job, *operation, *size_bytes, *fsync, on)?)
        }
        Description::Lock { hold } => Box::new(lock::LockStep::new(label, stage(hold)?, on, handed)?),
        Description::Queue { capacity, stage: work } => {
            // Its consumer may be on another loop than the task: it has a timer of its own.
            let stage = Stage::new(label, work, step_job, job.seed, Arc::new(on.timer()))?;
            Box::new(queue::QueueStep::new(label, *capacity, stage, on, handed)?)
        }
        Description::Event { round_trips } => Box::new(event::EventStep::new(label, *round_trips, on, handed)?),
        Description::Command { argv, expect_status } => {
            Box::new(command::CommandStep::new(label, argv, *expect_status, on)?)
        }
        Description::Registered(closures) => Box::new(registered::RegisteredStep::new(label, closures)?),
        Description::Python(_) => return Err(label.setup("the native runtime does not run Python")),
    })
}

#[cfg(test)]
mod tests {
    use super::testing::{in_agent, in_directory, job, step_job, waiting};
    use super::*;
    use crate::workload::{Cpu, FileOperation, Kernel, Work};

    #[test]
    fn what_is_prepared_does_not_change_what_tasks_do() {
        let cpu = Cpu { kernel: Kernel::Sort, input_bytes: 800, time_ns: None };
        for step in [
            Description::Cpu(cpu),
            Description::Lock { hold: Work::Cpu(cpu) },
            Description::Queue { capacity: 1, stage: Work::Cpu(cpu) },
        ] {
            let (prepared, plain) = (in_agent(&step_job(step.clone())), in_agent(&step_job(step)));
            prepared.prepare(Some(5));
            prepared.prepare(None);
            for index in 0..2 * crate::protocol::VARIANTS {
                assert_eq!(prepared.blocking(index), plain.blocking(index));
            }
        }
    }

    #[test]
    fn a_worker_makes_no_inputs_of_the_payload() {
        let mut job = job(&[step_job(Description::Wait { time: waiting() })]);
        job.payload.input_bytes = 1000;
        let worker = build(&job, Place::Worker { slot: 0, shared: Vec::new() }).expect("a task");
        assert_eq!(worker.input(3), b"");
        let agent = build(&job, Place::Agent).expect("a task");
        assert_eq!(agent.input(3).len(), 1000);
        assert_eq!(worker.steps_blocking(3), agent.steps_blocking(3));
    }

    #[test]
    fn a_step_stays_on_the_loop_exactly_where_its_description_says_so() {
        let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 80, time_ns: None };
        let directory = tempfile::tempdir().expect("a directory");
        for (step, stays) in [
            (Description::Cpu(cpu), false),
            (Description::Wait { time: waiting() }, true),
            (Description::Sleep { time: waiting() }, true),
            (Description::File { operation: FileOperation::Read, size_bytes: 1, fsync: false }, false),
            (Description::Lock { hold: Work::Wait { time: waiting() } }, true),
            (Description::Lock { hold: Work::Cpu(cpu) }, false),
            (Description::Queue { capacity: 1, stage: Work::Wait { time: waiting() } }, true),
            (Description::Queue { capacity: 1, stage: Work::Cpu(cpu) }, false),
            (Description::Event { round_trips: 1 }, true),
            (Description::Command { argv: vec!["true".to_owned()], expect_status: 0 }, true),
        ] {
            let task = in_directory(&step_job(step.clone()), directory.path().to_owned());
            assert_eq!(task.stays_on_loop(0), stays, "{step:?}");
        }
    }
}
