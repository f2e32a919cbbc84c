//! Threads that take tasks from one bounded channel.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::{Engine, cannot};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::clock::now_ns;
use crate::protocol::Failed;

/// Tasks queued for each worker beyond the one it runs: with fewer, workers starve.
const BACKLOG_PER_WORKER: usize = 2;

/// A pool of threads. The main thread submits; the channel's bound makes it wait when the pool is busy.
pub(super) struct ThreadPool {
    workers: Vec<Worker>,
    done: Receiver<()>,
}

struct Worker {
    blocks: Sender<Block>,
    thread: Option<JoinHandle<()>>,
}

/// What a worker needs for one block.
struct Block {
    tasks: Receiver<Submitted>,
    sampler: Arc<Sampler>,
    /// Told when a task has ended, where somebody waits for that.
    ended: Option<Sender<()>>,
}

struct Submitted {
    index: u64,
    at_ns: u64,
}

impl ThreadPool {
    pub(super) fn new(task: Arc<Task>, workers: u32) -> Result<ThreadPool, Failed> {
        let (done_sender, done) = bounded(workers as usize);
        let workers = (0..workers)
            .map(|slot| {
                let (blocks, inbox) = bounded(1);
                let (task, done) = (Arc::clone(&task), done_sender.clone());
                let thread = std::thread::Builder::new()
                    .name(format!("worker-{slot}"))
                    .spawn(move || work(&task, Lane::own(slot), &inbox, &done))
                    .map_err(|error| cannot(&format!("start thread {} of {workers}", slot + 1), &error))?;
                Ok(Worker { blocks, thread: Some(thread) })
            })
            .collect::<Result<Vec<Worker>, Failed>>()?;
        Ok(ThreadPool { workers, done })
    }
}

fn work(task: &Task, lane: Lane, blocks: &Receiver<Block>, done: &Sender<()>) {
    for block in blocks {
        for submitted in &block.tasks {
            let begin_ns = block.sampler.begin(lane);
            block.sampler.end(lane, submitted.at_ns, begin_ns, task.blocking(submitted.index));
            if let Some(ended) = &block.ended {
                let _ = ended.send(());
            }
        }
        if done.send(()).is_err() {
            return;
        }
    }
}

impl Engine for ThreadPool {
    fn slots(&self) -> u32 {
        self.workers.len() as u32
    }

    fn shards(&self) -> u32 {
        self.slots()
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let (sender, tasks) = bounded(BACKLOG_PER_WORKER * self.workers.len());
        // Under a rate a task takes its token when a worker is free for it: none is queued.
        let (ended, free) = bounded(self.workers.len());
        let ended = sampler.is_paced().then_some(ended);
        if let Some(ended) = &ended {
            self.workers.iter().for_each(|_| ended.send(()).unwrap_or_default());
        }
        for worker in &self.workers {
            let block = Block { tasks: tasks.clone(), sampler: Arc::clone(sampler), ended: ended.clone() };
            worker.blocks.send(block).map_err(|error| cannot("reach a worker thread", &error))?;
        }
        drop(tasks);
        loop {
            if ended.is_some() {
                free.recv().map_err(|error| cannot("hear of a free worker thread", &error))?;
            }
            let Some(index) = sampler.next() else { break };
            let submitted = Submitted { index, at_ns: now_ns() };
            sender.send(submitted).map_err(|error| cannot("submit a task: every worker thread is gone", &error))?;
        }
        drop(sender);
        for _ in &self.workers {
            self.done.recv().map_err(|error| cannot("hear from a worker thread", &error))?;
        }
        Ok(())
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        for worker in self.workers.drain(..) {
            drop(worker.blocks);
            if let Some(thread) = worker.thread {
                let _ = thread.join();
            }
        }
    }
}
