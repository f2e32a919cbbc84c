//! `lock`: a critical section under one lock that all tasks of the candidate share.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Label, Stage};
use crate::agent::ipc::Handed;
use crate::agent::loops::Loop;
use crate::agent::shared_mutex::SharedMutexes;
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::clock::Timer;
use crate::protocol::{Failed, FailureKind};

/// Waits or computes while it holds the lock.
pub(super) struct LockStep {
    label: Label,
    hold: Stage,
    lock: Lock,
}

enum Lock {
    /// One lock for threads, one for tasks of an event loop: an engine uses one form throughout.
    Agent { threads: Mutex<()>, tasks: Tasks },
    /// The lock at this position of memory shared by the worker processes.
    Workers { mutexes: Arc<SharedMutexes>, position: usize },
}

/// The lock of an event loop's library. compio has none: its users take one that runs on any loop, as smol's does.
#[derive(Clone)]
enum Tasks {
    Tokio(Arc<tokio::sync::Mutex<()>>),
    Smol(Arc<async_lock::Mutex<()>>),
}

impl Tasks {
    fn new(on: Loop) -> Tasks {
        match on {
            Loop::Tokio => Tasks::Tokio(Arc::default()),
            _ => Tasks::Smol(Arc::default()),
        }
    }
}

impl LockStep {
    pub(super) fn new(label: Label, hold: Stage, on: Loop, handed: Option<&mut Handed>) -> Result<LockStep, Failed> {
        let lock = match handed {
            None => Lock::Agent { threads: Mutex::new(()), tasks: Tasks::new(on) },
            Some(handed) => {
                let (mutexes, position) = handed.lock(label)?;
                Lock::Workers { mutexes, position }
            }
        };
        Ok(LockStep { label, hold, lock })
    }
}

impl Step for LockStep {
    fn blocking(&self, index: u64) -> Outcome {
        match &self.lock {
            Lock::Agent { threads, .. } => {
                let _held = threads.lock().unwrap_or_else(PoisonError::into_inner);
                self.hold.blocking(index)
            }
            Lock::Workers { mutexes, position } => {
                let _held = mutexes.lock(*position).map_err(|error| {
                    self.label.failed(FailureKind::Worker, format!("cannot take the shared lock: {error}"))
                })?;
                self.hold.blocking(index)
            }
        }
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            match &self.lock {
                Lock::Agent { tasks: Tasks::Tokio(tasks), .. } => {
                    let _held = tasks.lock().await;
                    self.hold.asynchronous(index).await
                }
                Lock::Agent { tasks: Tasks::Smol(tasks), .. } => {
                    let _held = tasks.lock().await;
                    self.hold.asynchronous(index).await
                }
                Lock::Workers { .. } => self.blocking(index),
            }
        })
    }

    fn prepare(&self, index: Option<u64>) {
        self.hold.prepare(index);
    }

    fn reference(&self, index: u64) -> Outcome {
        self.hold.reference(index)
    }

    /// The lock is the same: tasks of all loops wait for it.
    fn on_another_loop(&self, timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        let Lock::Agent { tasks, .. } = &self.lock else { return None };
        let hold = self.hold.on_another_loop(timer)?;
        let lock = Lock::Agent { threads: Mutex::new(()), tasks: tasks.clone() };
        Some(Box::new(LockStep { label: self.label, hold, lock }))
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, step_job, waiting};
    use crate::workload::{Cpu, Kernel, Step, Work};

    #[test]
    fn both_forms_agree() {
        check_forms(&step_job(Step::Lock { hold: Work::Wait { time: waiting() } }));
        let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 800, time_ns: None };
        check_forms(&step_job(Step::Lock { hold: Work::Cpu(cpu) }));
    }
}
