//! What tasks draw.

use super::Label;
use super::kernels::fold;
use crate::protocol::{Failed, StepJob};

impl Label {
    /// The checksum of a step that computes nothing: `fold(0, number)`.
    pub(in crate::agent) fn checksum(self) -> u64 {
        fold(0, self.number as u64)
    }
}

/// The durations that tasks draw.
#[derive(Clone)]
pub(super) struct Draws(std::sync::Arc<[u64]>);

impl Draws {
    /// The step's first draw table. It has [`DRAWS`](crate::protocol::DRAWS) entries, or just the one of a
    /// process that is made for one task.
    pub(super) fn new(label: Label, step_job: &StepJob) -> Result<Draws, Failed> {
        match step_job.draws.first() {
            Some(table) if !table.is_empty() => Ok(Draws(table.as_slice().into())),
            _ => Err(label.setup("the job has no table of durations")),
        }
    }

    /// The duration of task `index`, in ns.
    pub(super) fn at(&self, index: u64) -> u64 {
        self.0[index as usize % self.0.len()]
    }

    /// The longest duration, in ns.
    pub(super) fn longest(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or(0)
    }
}
