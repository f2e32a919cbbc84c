//! `event`: one task signals another and waits for its answer.
//!
//! Each task has a partner while it runs, taken from a pool as a connection is.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_channel::{Receiver, Sender, bounded};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::Label;
use crate::agent::ipc::Handed;
use crate::agent::ipc::line::EventLine;
use crate::agent::loops::{Loop, spawn_local};
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::clock::Timer;
use crate::protocol::{Failed, FailureKind};

/// Signals and awaits an answer, `round_trips` times.
pub(super) struct EventStep {
    label: Label,
    round_trips: u32,
    partners: Partners,
}

enum Partners {
    /// Idle partners: threads for the blocking form, tasks of the event loop for the async form.
    Agent { threads: Mutex<Vec<PartnerThread>>, tasks: Mutex<Vec<PartnerTask>>, on: Loop },
    /// The peer process, behind a pair of eventfds.
    Peer(EventLine),
}

impl EventStep {
    pub(super) fn new(
        label: Label,
        round_trips: u32,
        on: Loop,
        handed: Option<&mut Handed>,
    ) -> Result<EventStep, Failed> {
        let partners = match handed {
            None => Partners::Agent { threads: Mutex::default(), tasks: Mutex::default(), on },
            Some(handed) => Partners::Peer(handed.event(label)?),
        };
        Ok(EventStep { label, round_trips, partners })
    }

    fn with_thread(&self, idle: &Mutex<Vec<PartnerThread>>) -> Result<(), Failed> {
        let partner = lock(idle).pop().map_or_else(|| PartnerThread::start(self.label), Ok)?;
        (0..self.round_trips).for_each(|_| partner.line.round_trip());
        lock(idle).push(partner);
        Ok(())
    }

    async fn with_task(&self, idle: &Mutex<Vec<PartnerTask>>, on: Loop) -> Result<(), Failed> {
        let idle_partner = lock(idle).pop();
        let partner = idle_partner.map_or_else(|| PartnerTask::start(self.label, on), Ok)?;
        for _ in 0..self.round_trips {
            partner.round_trip(self.label).await?;
        }
        // A task that is dropped before this takes its partner with it, in whatever state that is.
        lock(idle).push(partner);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that answers signals.
struct PartnerThread {
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

/// Between a task and its partner thread.
#[derive(Default)]
struct Line {
    state: Mutex<LineState>,
    signalled: Condvar,
    answered: Condvar,
}

#[derive(Default)]
struct LineState {
    signals: u64,
    answers: u64,
    closed: bool,
}

impl Line {
    fn round_trip(&self) {
        let mut state = lock(&self.state);
        state.signals += 1;
        self.signalled.notify_one();
        while state.answers != state.signals {
            state = self.answered.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Answers each signal until the line is closed.
    fn answer(&self) {
        let mut state = lock(&self.state);
        while !state.closed {
            if state.answers == state.signals {
                state = self.signalled.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                state.answers += 1;
                self.answered.notify_one();
            }
        }
    }
}

impl PartnerThread {
    fn start(label: Label) -> Result<PartnerThread, Failed> {
        let line = Arc::new(Line::default());
        let theirs = Arc::clone(&line);
        let thread = std::thread::Builder::new()
            .name("event-partner".to_owned())
            .spawn(move || theirs.answer())
            .map_err(|error| label.task(format!("cannot start a partner thread: {error}")))?;
        Ok(PartnerThread { line, thread: Some(thread) })
    }
}

impl Drop for PartnerThread {
    fn drop(&mut self) {
        lock(&self.line.state).closed = true;
        self.line.signalled.notify_one();
        if let Some(thread) = self.thread.take() {
            // The partner has no work that could fail.
            let _ = thread.join();
        }
    }
}

/// A task of the event loop that answers signals until it is dropped.
enum PartnerTask {
    Tokio(NotifiedTask),
    /// smol and compio have no `Notify` of their own: their users signal by channels of one.
    Smol {
        signal: Sender<()>,
        answer: Receiver<()>,
    },
}

impl PartnerTask {
    fn start(label: Label, on: Loop) -> Result<PartnerTask, Failed> {
        match on {
            Loop::Tokio => NotifiedTask::start(label).map(PartnerTask::Tokio),
            _ => {
                let ((signal, signals), (answers, answer)) = (bounded(1), bounded(1));
                let answering = async move { while signals.recv().await.is_ok() && answers.send(()).await.is_ok() {} };
                let started = spawn_local(answering);
                started.ok_or_else(|| label.task("cannot start a partner task: no executor runs here"))?;
                Ok(PartnerTask::Smol { signal, answer })
            }
        }
    }

    async fn round_trip(&self, label: Label) -> Result<(), Failed> {
        match self {
            PartnerTask::Tokio(NotifiedTask { pair, .. }) => {
                pair.signal.notify_one();
                pair.answer.notified().await;
                Ok(())
            }
            PartnerTask::Smol { signal, answer } => {
                let gone = || label.failed(FailureKind::Worker, "the partner task ended before its answer");
                signal.send(()).await.map_err(|_gone| gone())?;
                answer.recv().await.map_err(|_gone| gone())
            }
        }
    }
}

/// A task of tokio, ended when this is dropped.
struct NotifiedTask {
    pair: Arc<Pair>,
    task: AbortHandle,
}

#[derive(Default)]
struct Pair {
    signal: Notify,
    answer: Notify,
}

impl NotifiedTask {
    fn start(label: Label) -> Result<NotifiedTask, Failed> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|error| label.task(format!("cannot start a partner task: {error}")))?;
        let pair = Arc::new(Pair::default());
        let theirs = Arc::clone(&pair);
        let task = runtime.spawn(async move {
            loop {
                theirs.signal.notified().await;
                theirs.answer.notify_one();
            }
        });
        Ok(NotifiedTask { pair, task: task.abort_handle() })
    }
}

impl Drop for NotifiedTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Step for EventStep {
    fn blocking(&self, _index: u64) -> Outcome {
        match &self.partners {
            Partners::Agent { threads, .. } => self.with_thread(threads)?,
            Partners::Peer(line) => line.round_trips(self.round_trips).map_err(|error| {
                self.label.failed(FailureKind::Worker, format!("no answer from the partner process: {error}"))
            })?,
        }
        Ok(self.label.checksum())
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            match &self.partners {
                Partners::Agent { tasks, on, .. } => self.with_task(tasks, *on).await?,
                Partners::Peer(_) => return self.blocking(index),
            }
            Ok(self.label.checksum())
        })
    }

    fn reference(&self, _index: u64) -> Outcome {
        Ok(self.label.checksum())
    }

    /// A partner answers on the loop of its task.
    fn on_another_loop(&self, _timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        let Partners::Agent { on, .. } = self.partners else { return None };
        let partners = Partners::Agent { threads: Mutex::default(), tasks: Mutex::default(), on };
        Some(Box::new(EventStep { label: self.label, round_trips: self.round_trips, partners }))
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, in_agent, runtime, step_job};
    use crate::workload::Step;

    #[test]
    fn both_forms_agree() {
        for round_trips in [0, 1, 20] {
            check_forms(&step_job(Step::Event { round_trips }));
        }
    }

    #[test]
    fn an_abandoned_task_does_not_upset_the_next_one() {
        let task = in_agent(&step_job(Step::Event { round_trips: 50 }));
        let expected = task.reference(0).expect("a reference")[0];
        runtime().block_on(async {
            for polls in 1..20 {
                let mut running = Box::pin(task.asynchronous(0));
                for _ in 0..polls {
                    if std::future::poll_fn(|context| std::task::Poll::Ready(running.as_mut().poll(context).is_ready()))
                        .await
                    {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                drop(running);
                assert_eq!(task.asynchronous(0).await, Ok(expected));
            }
        });
    }
}
