//! A thread spawned and joined for each task.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::bounded;

use super::{Engine, cannot};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::clock::now_ns;
use crate::protocol::Failed;

/// The main thread spawns a thread for each task while fewer than `in_flight` are alive.
pub(super) struct ThreadPerTask {
    task: Arc<Task>,
    in_flight: u32,
}

impl ThreadPerTask {
    pub(super) fn new(task: Arc<Task>, in_flight: u32) -> ThreadPerTask {
        ThreadPerTask { task, in_flight }
    }
}

impl Engine for ThreadPerTask {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        self.in_flight
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let (free_sender, free) = bounded(self.in_flight as usize);
        let mut threads: Vec<Option<JoinHandle<()>>> = (0..self.in_flight).map(|_| None).collect();
        (0..self.in_flight).for_each(|slot| free_sender.send(slot).unwrap_or_default());
        while let Ok(slot) = free.recv() {
            join(&mut threads[slot as usize]);
            let Some(index) = sampler.next() else { break };
            let submitted_ns = now_ns();
            let (task, sampler, free) = (Arc::clone(&self.task), Arc::clone(sampler), free_sender.clone());
            let thread = std::thread::Builder::new().spawn(move || {
                let lane = Lane::own(slot);
                let begin_ns = sampler.begin(lane);
                sampler.end(lane, submitted_ns, begin_ns, task.blocking(index));
                let _ = free.send(slot);
            });
            threads[slot as usize] = Some(thread.map_err(|error| cannot("start a thread for a task", &error))?);
        }
        threads.iter_mut().for_each(join);
        Ok(())
    }
}

fn join(thread: &mut Option<JoinHandle<()>>) {
    if let Some(thread) = thread.take() {
        let _ = thread.join();
    }
}
