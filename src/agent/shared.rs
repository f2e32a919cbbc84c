//! What the worker processes of one candidate share: the lock, the queue's consumer, the event's answerer.

use std::os::fd::BorrowedFd;

use crate::protocol::{Failed, Job};

/// Shared memory, pipes and the companion process behind them; made by the agent, ended when dropped.
pub struct Shared {}

impl Shared {
    /// Makes what `slots` workers of this job need; starts the companion process only if a step needs one.
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn create(_job: &Job, _slots: u32) -> Result<Shared, Failed> {
        Ok(Shared {})
    }

    /// The descriptors that the worker of `slot` inherits, in the order that
    /// [`Place::Worker`](super::steps::Place::Worker) expects.
    #[must_use]
    pub fn descriptors(&self, _slot: u32) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }

    /// The processes behind it (the companion's), for meters and for the kill list.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        Vec::new()
    }
}
