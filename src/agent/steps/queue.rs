//! `queue`: an item handed to one consumer over a bounded queue, and its result awaited.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::sync::{mpsc, oneshot};

use super::{Label, Stage};
use crate::agent::ipc::Handed;
use crate::agent::ipc::line::QueueLine;
use crate::agent::loops::{Loop, spawn_local};
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::protocol::{Failed, FailureKind};

/// Hands over the task's index and waits for its result, as a pipeline of two stages does.
pub(super) struct QueueStep {
    label: Label,
    stage: Arc<Stage>,
    consumer: Consumer,
}

enum Consumer {
    /// Made by the first task of either form: a thread behind a channel, a task of an event loop behind another.
    Agent {
        capacity: usize,
        thread: OnceLock<Result<ConsumerThread, Failed>>,
        task: OnceLock<Result<ConsumerTask, Failed>>,
        on: Loop,
    },
    /// The peer process, behind pipes.
    Peer(QueueLine),
}

type ThreadItem = (u64, Sender<Outcome>);
type TaskItem = (u64, oneshot::Sender<Outcome>);
type SmolItem = (u64, async_channel::Sender<Outcome>);

/// A consumer thread; dropped, it ends after the items it was given.
struct ConsumerThread {
    items: Option<Sender<ThreadItem>>,
    thread: Option<JoinHandle<()>>,
}

/// A consumer task of an event loop, behind its library's channel; it ends when the step or the loop does.
enum ConsumerTask {
    Tokio(mpsc::Sender<TaskItem>),
    Smol(async_channel::Sender<SmolItem>),
}

impl QueueStep {
    pub(super) fn new(
        label: Label,
        capacity: u32,
        stage: Stage,
        on: Loop,
        handed: Option<&mut Handed>,
    ) -> Result<QueueStep, Failed> {
        let consumer = match handed {
            None => {
                let capacity = capacity.max(1) as usize;
                Consumer::Agent { capacity, thread: OnceLock::new(), task: OnceLock::new(), on }
            }
            Some(handed) => Consumer::Peer(handed.queue(label)?),
        };
        Ok(QueueStep { label, stage: Arc::new(stage), consumer })
    }

    fn gone(&self) -> Failed {
        self.label.failed(FailureKind::Worker, "the queue's consumer ended before its item was done")
    }

    fn through_thread(
        &self,
        capacity: usize,
        thread: &OnceLock<Result<ConsumerThread, Failed>>,
        index: u64,
    ) -> Outcome {
        let started = thread.get_or_init(|| ConsumerThread::start(self.label, capacity, Arc::clone(&self.stage)));
        let items = started.as_ref().map_err(Failed::clone)?.items.as_ref().ok_or_else(|| self.gone())?;
        let (reply, result) = bounded(1);
        items.send((index, reply)).map_err(|_gone| self.gone())?;
        result.recv().map_err(|_gone| self.gone())?
    }

    async fn through_task(
        &self,
        capacity: usize,
        task: &OnceLock<Result<ConsumerTask, Failed>>,
        on: Loop,
        index: u64,
    ) -> Outcome {
        let started = task.get_or_init(|| ConsumerTask::start(self.label, on, capacity, Arc::clone(&self.stage)));
        match started.as_ref().map_err(Failed::clone)? {
            ConsumerTask::Tokio(items) => {
                let (reply, result) = oneshot::channel();
                items.send((index, reply)).await.map_err(|_gone| self.gone())?;
                result.await.map_err(|_gone| self.gone())?
            }
            ConsumerTask::Smol(items) => {
                let (reply, result) = async_channel::bounded(1);
                items.send((index, reply)).await.map_err(|_gone| self.gone())?;
                result.recv().await.map_err(|_gone| self.gone())?
            }
        }
    }
}

impl ConsumerThread {
    fn start(label: Label, capacity: usize, stage: Arc<Stage>) -> Result<ConsumerThread, Failed> {
        let (sender, items): (Sender<ThreadItem>, Receiver<ThreadItem>) = bounded(capacity);
        let consume = move || {
            for (index, reply) in items {
                // A task that no longer waits needs no result.
                let _ = reply.send(stage.blocking(index));
            }
        };
        let thread = std::thread::Builder::new()
            .name("queue-consumer".to_owned())
            .spawn(consume)
            .map_err(|error| label.setup(format!("cannot start the queue's consumer thread: {error}")))?;
        Ok(ConsumerThread { items: Some(sender), thread: Some(thread) })
    }
}

impl Drop for ConsumerThread {
    fn drop(&mut self) {
        self.items = None;
        if let Some(thread) = self.thread.take() {
            // A consumer that panicked has already been reported by the tasks that missed it.
            let _ = thread.join();
        }
    }
}

impl ConsumerTask {
    /// Starts the consumer on the current loop.
    fn start(label: Label, on: Loop, capacity: usize, stage: Arc<Stage>) -> Result<ConsumerTask, Failed> {
        let cannot = |why: &str| label.setup(format!("cannot start the queue's consumer task: {why}"));
        match on {
            Loop::Tokio => {
                let runtime = tokio::runtime::Handle::try_current().map_err(|error| cannot(&error.to_string()))?;
                let (sender, mut items) = mpsc::channel::<TaskItem>(capacity);
                runtime.spawn(async move {
                    while let Some((index, reply)) = items.recv().await {
                        // A task that no longer waits needs no result.
                        let _ = reply.send(stage.asynchronous(index).await);
                    }
                });
                Ok(ConsumerTask::Tokio(sender))
            }
            // A channel that runs on any loop: compio has none of its own.
            _ => {
                let (sender, items) = async_channel::bounded::<SmolItem>(capacity);
                let consume = async move {
                    while let Ok((index, reply)) = items.recv().await {
                        let _ = reply.try_send(stage.asynchronous(index).await);
                    }
                };
                spawn_local(consume).ok_or_else(|| cannot("no executor runs here"))?;
                Ok(ConsumerTask::Smol(sender))
            }
        }
    }
}

impl Step for QueueStep {
    fn blocking(&self, index: u64) -> Outcome {
        match &self.consumer {
            Consumer::Agent { capacity, thread, .. } => self.through_thread(*capacity, thread, index),
            Consumer::Peer(line) => line.ask(index).map_err(|error| {
                self.label.failed(FailureKind::Worker, format!("no result from the queue's consumer process: {error}"))
            }),
        }
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            match &self.consumer {
                Consumer::Agent { capacity, task, on, .. } => self.through_task(*capacity, task, *on, index).await,
                Consumer::Peer(_) => self.blocking(index),
            }
        })
    }

    fn prepare(&self, index: Option<u64>) {
        // The peer works on inputs of its own.
        if matches!(self.consumer, Consumer::Agent { .. }) {
            self.stage.prepare(index);
        }
    }

    fn reference(&self, index: u64) -> Outcome {
        self.stage.reference(index)
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, step_job, waiting};
    use crate::workload::{Cpu, Kernel, Step, Work};

    #[test]
    fn both_forms_agree_at_any_capacity() {
        for capacity in [0, 1, 64] {
            check_forms(&step_job(Step::Queue { capacity, stage: Work::Wait { time: waiting() } }));
            let cpu = Cpu { kernel: Kernel::Sort, input_bytes: 800, time_ns: None };
            check_forms(&step_job(Step::Queue { capacity, stage: Work::Cpu(cpu) }));
        }
    }
}
