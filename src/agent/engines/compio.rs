//! compio: one event loop on one thread, over io_uring.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender, unbounded};
use compio::driver::DriverType;
use compio::runtime::{Runtime, spawn};

use super::tokio_loop::beat;
use super::{Engine, cannot};
use crate::agent::loops::Loop;
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::clock::now_ns;
use crate::protocol::Failed;

/// Why this host has no compio, if it has not: tried once.
pub(super) fn refusal() -> Option<String> {
    static TRIED: OnceLock<Option<String>> = OnceLock::new();
    TRIED.get_or_init(|| refusal_of(Runtime::new().map(|runtime| runtime.driver_type()))).clone()
}

/// What a try to start a runtime says. A driver that polls runs file operations on threads: that is another engine.
fn refusal_of(tried: io::Result<DriverType>) -> Option<String> {
    let advice = "containers often refuse it by their seccomp profile, hosts by `kernel.io_uring_disabled`";
    match tried {
        Ok(DriverType::IoUring) => None,
        Ok(other) => Some(format!("there is no io_uring here: compio falls back to {other:?}; {advice}")),
        Err(error) => Some(format!("there is no io_uring here: {error}; {advice}")),
    }
}

/// A runtime on which each task is spawned, under `block_on`.
pub(super) struct Compio {
    task: Arc<Task>,
    runtime: Runtime,
    in_flight: u32,
}

/// What all tasks of a block share.
struct Block {
    sampler: Arc<Sampler>,
    task: Arc<Task>,
    free: Sender<u32>,
}

impl Compio {
    pub(super) fn new(task: Arc<Task>, in_flight: u32) -> Result<Compio, Failed> {
        let runtime = Runtime::new().map_err(|error| cannot("start a compio runtime", &error))?;
        Ok(Compio { task, runtime, in_flight })
    }
}

impl Engine for Compio {
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
        self.runtime.block_on(dispatch(Rc::new(block), free));
        Ok(())
    }
}

/// Spawns a task for each index while slots are free; ends when all have ended.
async fn dispatch(block: Rc<Block>, free: Receiver<u32>) {
    let sampler = Arc::clone(&block.sampler);
    // Dropped, it ends.
    let _heart = sampler.wants_heartbeat().then(|| spawn(beat(Arc::clone(&sampler), Loop::Compio.timer())));
    let timer = sampler.is_paced().then(|| Loop::Compio.timer());
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
        spawn(run).detach();
    }
    drop(block);
    while free.recv().await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_io_uring_is_told_with_what_refuses_it() {
        assert_eq!(refusal_of(Ok(DriverType::IoUring)), None);
        let refused = refusal_of(Err(io::Error::from_raw_os_error(libc::EPERM))).expect("a refusal");
        assert!(refused.starts_with("there is no io_uring here: Operation not permitted"), "{refused}");
        assert!(refused.contains("seccomp") && refused.contains("kernel.io_uring_disabled"), "{refused}");
        let polls = refusal_of(Ok(DriverType::Poll)).expect("a refusal");
        assert!(polls.contains("falls back to Poll"), "{polls}");
    }
}
