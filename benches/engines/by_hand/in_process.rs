//! Loops over threads and event loops.

use std::sync::Arc;
use std::thread::JoinHandle;

use conbench::internal::agent::task::Task;
use crossbeam_channel::{Receiver, Sender, bounded};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::Loop;

pub(super) struct Plain(pub(super) Arc<Task>);

impl Loop for Plain {
    fn run(&mut self, tasks: u64) {
        for index in 0..tasks {
            self.0.blocking(index).expect("no failure");
        }
    }
}

/// Threads that live as long as the program, and a bounded channel.
pub(super) struct Channel {
    tasks: Sender<u64>,
    done: Receiver<()>,
}

impl Channel {
    pub(super) fn new(task: Arc<Task>, workers: usize) -> Channel {
        let (tasks, inbox) = bounded::<u64>(2 * workers);
        let (outbox, done) = bounded(1024);
        for _ in 0..workers {
            let (task, inbox, outbox) = (Arc::clone(&task), inbox.clone(), outbox.clone());
            std::thread::spawn(move || {
                for index in inbox {
                    task.blocking(index).expect("no failure");
                    let _ = outbox.send(());
                }
            });
        }
        Channel { tasks, done }
    }
}

impl Loop for Channel {
    fn run(&mut self, tasks: u64) {
        let done = self.done.clone();
        let collector = std::thread::spawn(move || (0..tasks).for_each(|_| done.recv().expect("workers live")));
        (0..tasks).for_each(|index| self.tasks.send(index).expect("workers live"));
        collector.join().expect("no panic");
    }
}

pub(super) struct Spawning {
    pub(super) task: Arc<Task>,
    pub(super) in_flight: usize,
}

impl Loop for Spawning {
    fn run(&mut self, tasks: u64) {
        let (free_sender, free) = bounded(self.in_flight);
        let mut threads: Vec<Option<JoinHandle<()>>> = (0..self.in_flight).map(|_| None).collect();
        (0..self.in_flight).for_each(|slot| free_sender.send(slot).expect("room"));
        for index in 0..tasks {
            let slot = free.recv().expect("a sender lives");
            if let Some(thread) = threads[slot].take() {
                thread.join().expect("no panic");
            }
            let (task, free) = (Arc::clone(&self.task), free_sender.clone());
            threads[slot] = Some(std::thread::spawn(move || {
                task.blocking(index).expect("no failure");
                let _ = free.send(slot);
            }));
        }
        threads.into_iter().flatten().for_each(|thread| thread.join().expect("no panic"));
    }
}

pub(super) struct Rayon {
    task: Arc<Task>,
    pool: rayon::ThreadPool,
}

impl Rayon {
    pub(super) fn new(task: Arc<Task>, workers: usize) -> Rayon {
        Rayon { task, pool: rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("threads") }
    }
}

impl Loop for Rayon {
    fn run(&mut self, tasks: u64) {
        self.pool.install(|| {
            (0..tasks).into_par_iter().for_each(|index| {
                self.task.blocking(index).expect("no failure");
            });
        });
    }
}

/// A runtime, and a semaphore that bounds what is in flight.
pub(super) struct Tokio {
    task: Arc<Task>,
    runtime: Runtime,
    in_flight: usize,
    on_runtime: bool,
    blocking: bool,
}

impl Tokio {
    pub(super) fn current_thread(task: Arc<Task>, in_flight: usize) -> Tokio {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Tokio { task, runtime, in_flight, on_runtime: false, blocking: false }
    }

    pub(super) fn multi_thread(task: Arc<Task>, workers: usize, in_flight: usize) -> Tokio {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().expect("a runtime");
        Tokio { task, runtime, in_flight, on_runtime: true, blocking: false }
    }

    pub(super) fn blocking_pool(task: Arc<Task>, workers: usize, in_flight: usize) -> Tokio {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.max_blocking_threads(workers).enable_all().build().expect("a runtime");
        // Only steps that block leave the loop.
        let blocking = !task.stays_on_loop(0);
        Tokio { task, runtime, in_flight, on_runtime: false, blocking }
    }
}

impl Loop for Tokio {
    fn run(&mut self, tasks: u64) {
        let (task, in_flight, blocking) = (Arc::clone(&self.task), self.in_flight, self.blocking);
        let all = async move {
            let places = Arc::new(Semaphore::new(in_flight));
            for index in 0..tasks {
                let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
                let task = Arc::clone(&task);
                tokio::spawn(async move {
                    if blocking {
                        let moved = tokio::task::spawn_blocking(move || task.blocking(index));
                        moved.await.expect("no panic").expect("no failure");
                    } else {
                        task.asynchronous(index).await.expect("no failure");
                    }
                    drop(place);
                });
            }
            drop(places.acquire_many(in_flight as u32).await.expect("never closed"));
        };
        if self.on_runtime {
            let all = self.runtime.spawn(all);
            self.runtime.block_on(all).expect("no panic");
        } else {
            self.runtime.block_on(all);
        }
    }
}

/// An executor of one thread, and a semaphore that bounds what is in flight.
pub(super) struct Smol {
    pub(super) task: Arc<Task>,
    pub(super) in_flight: usize,
}

impl Loop for Smol {
    fn run(&mut self, tasks: u64) {
        let executor = smol::LocalExecutor::new();
        let places = Arc::new(smol::lock::Semaphore::new(self.in_flight));
        smol::block_on(executor.run(async {
            for index in 0..tasks {
                let place = places.acquire_arc().await;
                let task = Arc::clone(&self.task);
                let run = async move {
                    task.asynchronous(index).await.expect("no failure");
                    drop(place);
                };
                executor.spawn(run).detach();
            }
            for _ in 0..self.in_flight {
                std::mem::forget(places.acquire().await);
            }
        }));
    }
}

/// A runtime of compio, and a semaphore that bounds what is in flight.
#[cfg(feature = "compio")]
pub(super) struct Compio {
    task: Arc<Task>,
    runtime: compio::runtime::Runtime,
    in_flight: usize,
}

#[cfg(feature = "compio")]
impl Compio {
    pub(super) fn new(task: Arc<Task>, in_flight: usize) -> Compio {
        Compio { task, runtime: compio::runtime::Runtime::new().expect("io_uring"), in_flight }
    }
}

#[cfg(feature = "compio")]
impl Loop for Compio {
    fn run(&mut self, tasks: u64) {
        let (task, in_flight) = (&self.task, self.in_flight);
        self.runtime.block_on(async {
            let places = Arc::new(smol::lock::Semaphore::new(in_flight));
            for index in 0..tasks {
                let place = places.acquire_arc().await;
                let task = Arc::clone(task);
                let run = async move {
                    task.asynchronous(index).await.expect("no failure");
                    drop(place);
                };
                compio::runtime::spawn(run).detach();
            }
            for _ in 0..in_flight {
                std::mem::forget(places.acquire().await);
            }
        });
    }
}

/// Threads that live as long as the program, each with a runtime and its share of the tasks.
pub(super) struct Sharded {
    shards: Vec<(Sender<u64>, std::thread::JoinHandle<()>)>,
    done: Receiver<()>,
}

impl Sharded {
    pub(super) fn new(task: &Arc<Task>, workers: usize, in_flight: usize) -> Sharded {
        let (done_sender, done) = bounded(workers);
        let start = |shard: usize| {
            let (jobs, inbox) = bounded::<u64>(1);
            let (task, done) = (Arc::new(task.on_another_loop()), done_sender.clone());
            let share = in_flight / workers + usize::from(shard < in_flight % workers);
            let thread = std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                for tasks in inbox {
                    let task = Arc::clone(&task);
                    runtime.block_on(async move {
                        let places = Arc::new(Semaphore::new(share));
                        for index in (shard as u64..tasks).step_by(workers) {
                            let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
                            let task = Arc::clone(&task);
                            tokio::spawn(async move {
                                task.asynchronous(index).await.expect("no failure");
                                drop(place);
                            });
                        }
                        drop(places.acquire_many(share as u32).await.expect("never closed"));
                    });
                    done.send(()).expect("it is awaited");
                }
            });
            (jobs, thread)
        };
        Sharded { shards: (0..workers).map(start).collect(), done }
    }
}

impl Loop for Sharded {
    fn run(&mut self, tasks: u64) {
        self.shards.iter().for_each(|(jobs, _)| jobs.send(tasks).expect("it lives"));
        self.shards.iter().for_each(|_| self.done.recv().expect("it ends"));
    }
}

impl Drop for Sharded {
    fn drop(&mut self) {
        for (jobs, thread) in self.shards.drain(..) {
            drop(jobs);
            thread.join().expect("no panic");
        }
    }
}
