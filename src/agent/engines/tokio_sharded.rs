//! Threads with a tokio runtime each, as servers are sharded: every loop keeps its share of the tasks in flight, and
//! no one hands tasks to another.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;

use super::tokio_loop::{Slots, current_thread_runtime, dispatch};
use super::{Engine, cannot};
use crate::agent::sampler::Sampler;
use crate::agent::task::Task;
use crate::protocol::Failed;

/// A current-thread runtime on each of several threads.
pub(super) struct TokioSharded {
    in_flight: u32,
    shards: Vec<Shard>,
    done: Receiver<()>,
}

struct Shard {
    blocks: Sender<Block>,
    thread: Option<JoinHandle<()>>,
}

/// What a shard needs for one block.
struct Block {
    sampler: Arc<Sampler>,
    /// Where the loops wait for each other at the end: a task of one may need what runs on another (the consumer of a
    /// queue, whoever holds a lock).
    end: Arc<Barrier>,
}

impl TokioSharded {
    /// `in_flight` tasks in all, on `workers` loops.
    pub(super) fn new(task: &Arc<Task>, workers: u32, in_flight: u32) -> Result<TokioSharded, Failed> {
        let (done_sender, done) = bounded(workers as usize);
        let shards = (0..workers)
            .map(|shard| {
                let task = if shard == 0 { Arc::clone(task) } else { Arc::new(task.on_another_loop()) };
                let runtime = current_thread_runtime(&mut Builder::new_current_thread())?;
                let (blocks, inbox) = bounded(1);
                let (slots, done) = (Slots::share(in_flight, shard, workers), done_sender.clone());
                let thread = std::thread::Builder::new()
                    .name(format!("shard-{shard}"))
                    .spawn(move || work(&runtime, &task, slots, &inbox, &done))
                    .map_err(|error| cannot(&format!("start thread {} of {workers}", shard + 1), &error))?;
                Ok(Shard { blocks, thread: Some(thread) })
            })
            .collect::<Result<Vec<Shard>, Failed>>()?;
        Ok(TokioSharded { in_flight, shards, done })
    }
}

fn work(runtime: &Runtime, task: &Arc<Task>, slots: Slots, blocks: &Receiver<Block>, done: &Sender<()>) {
    for block in blocks {
        let task = Arc::clone(task);
        runtime.block_on(async move {
            dispatch(block.sampler, slots, task).await;
            block.end.wait().await;
        });
        if done.send(()).is_err() {
            return;
        }
    }
}

impl Engine for TokioSharded {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        self.shards.len() as u32
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let end = Arc::new(Barrier::new(self.shards.len()));
        for shard in &self.shards {
            let block = Block { sampler: Arc::clone(sampler), end: Arc::clone(&end) };
            shard.blocks.send(block).map_err(|error| cannot("reach a shard's thread", &error))?;
        }
        for _ in &self.shards {
            self.done.recv().map_err(|error| cannot("hear from a shard's thread", &error))?;
        }
        Ok(())
    }
}

impl Drop for TokioSharded {
    fn drop(&mut self) {
        for shard in self.shards.drain(..) {
            drop(shard.blocks);
            if let Some(thread) = shard.thread {
                let _ = thread.join();
            }
        }
    }
}
