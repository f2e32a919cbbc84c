//! tokio: one event loop on one thread, or the work-stealing runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use super::{Engine, cannot};
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::{Outcome, Task};
use crate::clock::{Timer, now_ns};
use crate::protocol::Failed;

/// Logs of a multi-threaded runtime for each of its threads: more logs, less contention.
const SHARDS_PER_THREAD: u32 = 4;

/// How often a heartbeat beats.
const HEARTBEAT_NS: u64 = 1_000_000;

/// A tokio runtime on which each task is spawned whole.
pub(super) struct TokioLoop {
    task: Arc<Task>,
    runtime: Runtime,
    in_flight: u32,
    /// Threads that poll tasks; 0 is the main thread, under `block_on`.
    threads: u32,
}

impl TokioLoop {
    pub(super) fn current_thread(task: Arc<Task>, in_flight: u32) -> Result<TokioLoop, Failed> {
        let runtime = current_thread_runtime(&mut Builder::new_current_thread())?;
        Ok(TokioLoop { task, runtime, in_flight, threads: 0 })
    }

    pub(super) fn multi_thread(task: Arc<Task>, threads: u32, in_flight: u32) -> Result<TokioLoop, Failed> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads as usize)
            .enable_all()
            .build()
            .map_err(|error| cannot("start a tokio runtime", &error))?;
        Ok(TokioLoop { task, runtime, in_flight, threads })
    }
}

/// Builds a runtime that polls on the thread that calls `block_on`.
pub(super) fn current_thread_runtime(builder: &mut Builder) -> Result<Runtime, Failed> {
    builder.enable_all().build().map_err(|error| cannot("start a tokio runtime", &error))
}

impl Engine for TokioLoop {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        if self.threads == 0 { 1 } else { self.threads * SHARDS_PER_THREAD }
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let slots = Slots::all(self.in_flight, self.shards());
        let dispatch = dispatch(Arc::clone(sampler), slots, Arc::clone(&self.task));
        if self.threads == 0 {
            self.runtime.block_on(dispatch);
            Ok(())
        } else {
            // On a worker of the runtime: under `block_on` the main thread would be one thread more.
            let dispatch = self.runtime.spawn(dispatch);
            self.runtime.block_on(dispatch).map_err(|error| cannot("run the dispatching task", &error))
        }
    }
}

/// The slots that one loop fills, and where they are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    /// The first one.
    first: u32,
    count: u32,
    /// The first log that they are recorded in.
    first_log: u32,
    logs: u32,
}

impl Slots {
    /// Of the only loop.
    pub(super) fn all(in_flight: u32, logs: u32) -> Slots {
        Slots { first: 0, count: in_flight, first_log: 0, logs }
    }

    /// The share of one loop of several.
    pub(super) fn share(in_flight: u32, shard: u32, shards: u32) -> Slots {
        let (each, rest) = (in_flight / shards, in_flight % shards);
        let first = shard * each + shard.min(rest);
        Slots { first, count: each + u32::from(shard < rest), first_log: shard, logs: 1 }
    }

    fn lane(self, slot: u32) -> Lane {
        Lane { slot: self.first + slot, shard: self.first_log + slot % self.logs }
    }
}

/// How an engine runs a task on its loop.
pub(super) trait OnLoop: Send + Sync + 'static {
    fn run(&self, index: u64) -> impl Future<Output = Outcome> + Send;
}

impl OnLoop for Arc<Task> {
    fn run(&self, index: u64) -> impl Future<Output = Outcome> + Send {
        self.asynchronous(index)
    }
}

/// What all tasks of a block share. Each holds one pointer to it: of a million in flight, every word is 8 MB.
struct Block<R> {
    sampler: Arc<Sampler>,
    slots: Slots,
    run: R,
    free: mpsc::UnboundedSender<u32>,
}

/// Spawns a task for each index while slots are free; ends when all have ended.
pub(super) async fn dispatch(sampler: Arc<Sampler>, slots: Slots, run: impl OnLoop) {
    let heart = sampler.wants_heartbeat().then(|| tokio::spawn(beat(Arc::clone(&sampler), Timer::new())));
    let timer = sampler.is_paced().then(Timer::new);
    let (sender, mut free) = mpsc::unbounded_channel::<u32>();
    (0..slots.count).for_each(|slot| sender.send(slot).unwrap_or_default());
    let block = Arc::new(Block { sampler, slots, run, free: sender });
    while slots.count > 0
        && let Some(slot) = free.recv().await
    {
        let Some(index) = block.sampler.next_async(timer.as_ref()).await else { break };
        let block = Arc::clone(&block);
        let submitted_ns = now_ns();
        tokio::spawn(async move {
            let begin_ns = block.sampler.begin(block.slots.lane(slot));
            // Made here: a future that is moved in is kept twice, as what was moved and as what is awaited.
            let outcome = block.run.run(index).await;
            block.sampler.end(block.slots.lane(slot), submitted_ns, begin_ns, outcome);
            let _ = block.free.send(slot);
        });
    }
    drop(block);
    while free.recv().await.is_some() {}
    if let Some(heart) = heart {
        heart.abort();
    }
}

/// Watches how late the loop is: a beat every millisecond, by a precise timer.
pub(super) async fn beat(sampler: Arc<Sampler>, timer: Timer) {
    let mut deadline_ns = now_ns() + HEARTBEAT_NS;
    while timer.wait_until(deadline_ns).await.is_ok() {
        let now = now_ns();
        sampler.stalled(now - deadline_ns);
        deadline_ns = now + HEARTBEAT_NS;
    }
}
