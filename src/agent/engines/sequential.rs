//! One task after another on the main thread.

use std::sync::Arc;

use super::Engine;
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::protocol::Failed;

/// A plain loop.
pub(super) struct Sequential {
    task: Arc<Task>,
}

impl Sequential {
    pub(super) fn new(task: Arc<Task>) -> Sequential {
        Sequential { task }
    }
}

impl Engine for Sequential {
    fn slots(&self) -> u32 {
        1
    }

    fn shards(&self) -> u32 {
        1
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let lane = Lane::own(0);
        while let Some(index) = sampler.next() {
            let begin_ns = sampler.begin(lane);
            sampler.end(lane, begin_ns, begin_ns, self.task.blocking(index));
        }
        Ok(())
    }
}
