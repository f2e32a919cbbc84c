//! Steps: what a task does. Each is one small file with a blocking and an async form, and knows no engine.

mod codec;
mod fault;
pub mod http;
mod net;
pub mod tcp;

use std::os::fd::OwnedFd;

use super::task::Task;
use crate::protocol::{Failed, Job};

/// Where steps run: it decides what "shared" means for locks, queues and events.
pub enum Place {
    /// In the agent itself: shared between threads and tasks of this process.
    Agent,
    /// In a worker process: shared with the other workers through these descriptors.
    Worker {
        /// The worker's slot, from 0.
        slot: u32,
        /// The descriptors of [`Shared::descriptors`](super::shared::Shared::descriptors), in that order.
        shared: Vec<OwnedFd>,
    },
}

/// Makes the task that a job describes, ready to run in `place`. Inputs are made, nothing is measured yet.
///
/// # Errors
/// When a step cannot be set up; `place` names the step.
pub fn build(_job: &Job, _place: Place) -> Result<Task, Failed> {
    Ok(Task::new(Vec::new(), crate::workload::Payload::default(), 0))
}
