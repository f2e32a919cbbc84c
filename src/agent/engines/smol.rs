//! smol: one event loop on one thread.

use std::rc::Rc;
use std::sync::Arc;

use async_channel::{Receiver, Sender, unbounded};
use async_executor::LocalExecutor;

use super::Engine;
use super::tokio_loop::beat;
use crate::agent::loops::{Local, Loop, run_on};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::clock::now_ns;
use crate::protocol::Failed;

/// A `LocalExecutor` on which each task is spawned, under `block_on`.
pub(super) struct Smol {
    task: Arc<Task>,
    executor: Local,
    in_flight: u32,
}

/// What all tasks of a block share.
struct Block {
    sampler: Arc<Sampler>,
    task: Arc<Task>,
    free: Sender<u32>,
}

impl Smol {
    pub(super) fn new(task: Arc<Task>, in_flight: u32) -> Smol {
        Smol { task, executor: Rc::new(LocalExecutor::new()), in_flight }
    }
}

impl Engine for Smol {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        1
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let (sender, free) = unbounded();
        (0..self.in_flight).for_each(|slot| sender.try_send(slot).unwrap_or_default());
        let block = Block { sampler: Arc::clone(sampler), task: Arc::clone(&self.task), free: sender };
        run_on(&self.executor, dispatch(&self.executor, Rc::new(block), free));
        Ok(())
    }
}

/// Spawns a task for each index while slots are free; ends when all have ended.
async fn dispatch(executor: &Local, block: Rc<Block>, free: Receiver<u32>) {
    let sampler = Arc::clone(&block.sampler);
    // Dropped, it ends.
    let _heart = sampler.wants_heartbeat().then(|| executor.spawn(beat(Arc::clone(&sampler), Loop::Smol.timer())));
    let timer = sampler.is_paced().then(|| Loop::Smol.timer());
    while let Ok(slot) = free.recv().await {
        let Some(index) = sampler.next_async(timer.as_ref()).await else { break };
        let block = Rc::clone(&block);
        let submitted_ns = now_ns();
        let run = async move {
            let lane = Lane { slot, shard: 0 };
            let begin_ns = block.sampler.begin(lane);
            let outcome = block.task.asynchronous(index).await;
            block.sampler.end(lane, submitted_ns, begin_ns, outcome);
            let _ = block.free.try_send(slot);
        };
        executor.spawn(run).detach();
    }
    drop(block);
    while free.recv().await.is_ok() {}
}
