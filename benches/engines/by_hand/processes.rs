//! Loops over worker processes: this benchmark started again, with an index in and a checksum out.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use conbench::internal::agent::steps::{self, Place};
use conbench::internal::agent::task::Task;
use conbench::internal::protocol::Job;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Mutex, Semaphore};

use super::Loop;

/// The argument that makes this program a worker.
pub(crate) const WORKER: &str = "--by-hand-worker";

/// A worker: the job as a line, then 8 bytes in, 8 bytes out.
pub(crate) fn worker() {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a socket"));
    let mut length = [0; 8];
    socket.read_exact(&mut length).expect("a length");
    let mut text = vec![0; u64::from_le_bytes(length) as usize];
    socket.read_exact(&mut text).expect("a job");
    let job: Job = serde_json::from_slice(&text).expect("a job");
    let task = steps::build(&job, Place::Agent).expect("a task");
    let mut index = [0; 8];
    while socket.read_exact(&mut index).is_ok() {
        let sum = task.blocking(u64::from_le_bytes(index)).expect("no failure");
        socket.write_all(&sum.to_le_bytes()).expect("the parent lives");
    }
}

fn start(job: &Job) -> (Child, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().expect("a socket pair");
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program).arg(WORKER).stdin(Stdio::from(OwnedFd::from(theirs))).spawn().expect("a child");
    let text = serde_json::to_vec(job).expect("a job");
    ours.write_all(&(text.len() as u64).to_le_bytes()).expect("the child lives");
    ours.write_all(&text).expect("the child lives");
    (child, ours)
}

/// A pool fed by the main thread through `poll`, two requests to a worker.
pub(super) struct Pool {
    workers: Vec<(Child, UnixStream)>,
}

impl Pool {
    pub(super) fn new(job: &Job, workers: usize) -> Pool {
        Pool { workers: (0..workers).map(|_| start(job)).collect() }
    }
}

impl Loop for Pool {
    fn run(&mut self, tasks: u64) {
        let mut waiting: VecDeque<u64> = (0..tasks).collect();
        let mut outstanding = vec![0; self.workers.len()];
        loop {
            for depth in 0..2 {
                for (worker, count) in self.workers.iter_mut().zip(&mut outstanding) {
                    if *count == depth
                        && let Some(index) = waiting.pop_front()
                    {
                        worker.1.write_all(&index.to_le_bytes()).expect("the child lives");
                        *count += 1;
                    }
                }
            }
            if outstanding.iter().all(|count| *count == 0) {
                return;
            }
            let ready: Vec<bool> = {
                let mut descriptors: Vec<PollFd<'_>> =
                    self.workers.iter().map(|worker| PollFd::new(&worker.1, PollFlags::IN)).collect();
                poll(&mut descriptors, None).expect("poll");
                descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect()
            };
            for ((worker, count), ready) in self.workers.iter_mut().zip(&mut outstanding).zip(ready) {
                if ready {
                    let mut sums = [0; 16];
                    let read = worker.1.read(&mut sums).expect("the child lives");
                    assert!(read > 0 && read % 8 == 0, "a worker answers in words of 8 bytes");
                    *count -= read / 8;
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (mut child, socket) in self.workers.drain(..) {
            drop(socket);
            let _ = child.wait();
        }
    }
}

/// A process for each task, from as many threads as may be in flight.
pub(super) struct PerTask {
    pub(super) job: Job,
    pub(super) in_flight: usize,
}

impl Loop for PerTask {
    fn run(&mut self, tasks: u64) {
        let mut job = self.job.clone();
        job.steps.iter_mut().flat_map(|step| &mut step.draws).for_each(|table| table.truncate(1));
        let next = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.in_flight {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        if index >= tasks {
                            break;
                        }
                        let (mut child, mut socket) = start(&job);
                        socket.write_all(&index.to_le_bytes()).expect("the child lives");
                        let mut sum = [0; 8];
                        socket.read_exact(&mut sum).expect("an answer");
                        drop(socket);
                        child.wait().expect("the child ends");
                    }
                });
            }
        });
    }
}

/// An event loop over worker processes: one request at a time to each, a free worker found by a semaphore.
pub(super) struct AsyncPool {
    runtime: tokio::runtime::Runtime,
    workers: Arc<Vec<Mutex<tokio::net::UnixStream>>>,
    children: Vec<Child>,
    task: Arc<Task>,
    in_flight: usize,
}

impl AsyncPool {
    pub(super) fn new(job: &Job, task: &Arc<Task>, workers: usize, in_flight: usize) -> AsyncPool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let _inside = runtime.enter();
        let (children, sockets): (Vec<Child>, Vec<_>) = (0..workers)
            .map(|_| {
                let (child, socket) = start(job);
                socket.set_nonblocking(true).expect("a socket");
                (child, Mutex::new(tokio::net::UnixStream::from_std(socket).expect("a socket")))
            })
            .unzip();
        drop(_inside);
        AsyncPool { runtime, workers: Arc::new(sockets), children, task: Arc::clone(task), in_flight }
    }
}

impl Loop for AsyncPool {
    fn run(&mut self, tasks: u64) {
        let (workers, task, in_flight) = (Arc::clone(&self.workers), Arc::clone(&self.task), self.in_flight);
        let moves = !task.stays_on_loop(0);
        self.runtime.block_on(async move {
            let places = Arc::new(Semaphore::new(in_flight));
            let free = Arc::new(Semaphore::new(workers.len()));
            for index in 0..tasks {
                let place = Arc::clone(&places).acquire_owned().await.expect("never closed");
                let (workers, free, task) = (Arc::clone(&workers), Arc::clone(&free), Arc::clone(&task));
                tokio::spawn(async move {
                    if moves {
                        let _free = free.acquire().await.expect("never closed");
                        let mut socket = workers.iter().find_map(|worker| worker.try_lock().ok()).expect("one is free");
                        socket.write_all(&index.to_le_bytes()).await.expect("the child lives");
                        let mut sum = [0; 8];
                        socket.read_exact(&mut sum).await.expect("an answer");
                    } else {
                        task.asynchronous(index).await.expect("no failure");
                    }
                    drop(place);
                });
            }
            drop(places.acquire_many(in_flight as u32).await.expect("never closed"));
        });
    }
}

impl Drop for AsyncPool {
    fn drop(&mut self) {
        self.workers = Arc::new(Vec::new());
        self.children.drain(..).for_each(|mut child| drop(child.wait()));
    }
}
