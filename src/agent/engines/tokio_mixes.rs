//! One event loop that moves the blocking and CPU steps off: to threads, or to worker processes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::tokio_loop::{OnLoop, Slots, current_thread_runtime, dispatch};
use super::{Engine, cannot};
use crate::agent::ipc::Shared;
use crate::agent::meter;
use crate::agent::sampler::Sampler;
use crate::agent::task::{Outcome, Task};
use crate::agent::worker::{Ask, REPLY_BYTES, Reply, Request, Worker, encode_job};
use crate::protocol::{Failed, FailureKind, Job, Usage};

/// Tasks in flight of a mix. Under a rate, one that begins with a step for a worker begins when a worker is free: what
/// queues for them would begin whenever they are, and several at once.
fn in_flight_of(job: &Job, task: &Task, workers: u32, in_flight: u32) -> u32 {
    let queues = job.rate.is_some() && task.segments() > 0 && !task.stays_on_loop(0);
    if queues { in_flight.min(workers) } else { in_flight }
}

/// An event loop, and `spawn_blocking` for the steps that would block it.
pub(super) struct BlockingPool {
    task: Arc<Task>,
    runtime: Runtime,
    in_flight: u32,
}

impl BlockingPool {
    pub(super) fn new(job: &Job, task: Arc<Task>, workers: u32, in_flight: u32) -> Result<BlockingPool, Failed> {
        let in_flight = in_flight_of(job, &task, workers, in_flight);
        let mut builder = Builder::new_current_thread();
        // Threads stay between blocks: by default they end after ten idle seconds.
        builder.max_blocking_threads(workers as usize).thread_keep_alive(Duration::from_secs(3600));
        Ok(BlockingPool { task, runtime: current_thread_runtime(&mut builder)?, in_flight })
    }
}

impl Engine for BlockingPool {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        1
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let run = OnThreads(Arc::clone(&self.task));
        self.runtime.block_on(dispatch(Arc::clone(sampler), Slots::all(self.in_flight, 1), run));
        Ok(())
    }
}

/// A task whose blocking steps leave the loop for threads.
struct OnThreads(Arc<Task>);

impl OnLoop for OnThreads {
    async fn run(&self, index: u64) -> Outcome {
        let task = &self.0;
        let mut sum = task.payload_digest(index);
        for segment in 0..task.segments() {
            let done = if task.stays_on_loop(segment) {
                task.segment_async(segment, index).await
            } else {
                let task = Arc::clone(task);
                let moved = tokio::task::spawn_blocking(move || task.segment_blocking(segment, index)).await;
                moved.map_err(|error| cannot("run a step on a blocking thread", &error))?
            };
            sum = sum.wrapping_add(done?);
        }
        Ok(sum)
    }
}

/// An event loop, and worker processes for the steps that would block it.
pub(super) struct ProcessPool {
    task: Arc<Task>,
    in_flight: u32,
    pool: Arc<Pool>,
    // After the pool: its sockets belong to this runtime.
    runtime: Runtime,
    workers: Vec<Worker>,
    shared: Shared,
}

impl ProcessPool {
    pub(super) fn new(job: &Job, task: Arc<Task>, workers: u32, in_flight: u32) -> Result<ProcessPool, Failed> {
        let in_flight = in_flight_of(job, &task, workers, in_flight);
        let text = encode_job(job)?;
        let shared = Shared::create(job, workers)?;
        let mut workers = (0..workers)
            .map(|slot| Worker::start(&text, slot, &shared.descriptors(slot)))
            .collect::<Result<Vec<Worker>, Failed>>()?;
        let runtime = current_thread_runtime(&mut Builder::new_current_thread())?;
        let pool = {
            let _inside = runtime.enter();
            Pool::new(&mut workers).map_err(|error| cannot("set up a worker's socket", &error))?
        };
        Ok(ProcessPool { task, in_flight, pool, runtime, workers, shared })
    }
}

impl Engine for ProcessPool {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        1
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let run = InProcesses { task: Arc::clone(&self.task), pool: Arc::clone(&self.pool) };
        self.runtime.block_on(dispatch(Arc::clone(sampler), Slots::all(self.in_flight, 1), run));
        Ok(())
    }

    fn pids(&self) -> Vec<u32> {
        self.workers.iter().map(Worker::pid).chain(self.shared.pids()).collect()
    }

    fn workers_usage(&mut self) -> Result<Usage, Failed> {
        let mut sum = meter::live(&self.shared.pids());
        for (slot, worker) in self.workers.iter_mut().enumerate() {
            let asked = self.runtime.block_on(self.pool.call(slot, &self.task, 0, Ask::Usage, false));
            let usage =
                asked.and_then(|(_, payload)| serde_json::from_slice::<Usage>(&payload).map_err(io::Error::other));
            sum = sum + usage.map_err(|error| worker.gone(slot as u32, &error))?;
        }
        Ok(sum)
    }
}

/// A task whose blocking steps leave the loop for worker processes.
struct InProcesses {
    task: Arc<Task>,
    pool: Arc<Pool>,
}

impl OnLoop for InProcesses {
    async fn run(&self, index: u64) -> Outcome {
        let InProcesses { task, pool } = self;
        let mut sum = 0_u64;
        // The payload crosses once, with the first segment that leaves the loop.
        let mut carries_payload = true;
        for segment in 0..task.segments() {
            let done = if task.stays_on_loop(segment) {
                task.segment_async(segment, index).await?
            } else {
                let done = pool.run(task, index, Ask::Segment(segment as u32), carries_payload).await?;
                carries_payload = false;
                done
            };
            sum = sum.wrapping_add(done);
        }
        Ok(if carries_payload { sum.wrapping_add(task.payload_digest(index)) } else { sum })
    }
}

/// Requests that a worker holds: the one it runs and one more, so that it never waits for the next.
const OUTSTANDING_PER_WORKER: usize = 2;

/// The loop's side of the workers.
struct Pool {
    lines: Vec<Line>,
    outstanding: Mutex<Vec<usize>>,
    places: Semaphore,
}

struct Line {
    outgoing: tokio::sync::Mutex<OwnedWriteHalf>,
    awaited: Arc<Mutex<VecDeque<Answer>>>,
}

type Answer = oneshot::Sender<(Reply, Vec<u8>)>;

impl Pool {
    fn new(workers: &mut [Worker]) -> io::Result<Arc<Pool>> {
        let mut lines = Vec::with_capacity(workers.len());
        for worker in workers.iter_mut() {
            let socket = worker.take_socket()?;
            socket.set_nonblocking(true)?;
            let (incoming, outgoing) = UnixStream::from_std(socket)?.into_split();
            let awaited = Arc::new(Mutex::new(VecDeque::new()));
            tokio::spawn(receive(incoming, Arc::clone(&awaited)));
            lines.push(Line { outgoing: tokio::sync::Mutex::new(outgoing), awaited });
        }
        let places = Semaphore::new(lines.len() * OUTSTANDING_PER_WORKER);
        Ok(Arc::new(Pool { outstanding: Mutex::new(vec![0; lines.len()]), lines, places }))
    }

    /// Runs a request on the worker that has least to do.
    async fn run(&self, task: &Task, index: u64, ask: Ask, carries_payload: bool) -> Outcome {
        let _place = self.places.acquire().await.map_err(|error| cannot("wait for a worker", &error))?;
        let worker = self.claim();
        let answer = self.call(worker, task, index, ask, carries_payload).await;
        self.outstanding()[worker] -= 1;
        let (reply, payload) = answer.map_err(|error| Failed {
            kind: FailureKind::Worker,
            message: format!("the worker process died: {error}"),
            place: format!("worker {worker}"),
            traceback: Vec::new(),
        })?;
        reply.outcome(&payload)
    }

    fn claim(&self) -> usize {
        let mut outstanding = self.outstanding();
        let worker = (0..outstanding.len()).min_by_key(|worker| outstanding[*worker]).unwrap_or(0);
        outstanding[worker] += 1;
        worker
    }

    fn outstanding(&self) -> MutexGuard<'_, Vec<usize>> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(
        &self,
        worker: usize,
        task: &Task,
        index: u64,
        ask: Ask,
        carries_payload: bool,
    ) -> io::Result<(Reply, Vec<u8>)> {
        let line = &self.lines[worker];
        let mut frame = Vec::new();
        Request::encode(task, index, ask, carries_payload, &mut frame);
        let (sender, answer) = oneshot::channel();
        {
            let mut outgoing = line.outgoing.lock().await;
            line.awaited.lock().unwrap_or_else(PoisonError::into_inner).push_back(sender);
            outgoing.write_all(&frame).await?;
        }
        answer.await.map_err(|_| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Hands each reply of a worker to whoever awaits it; replies come in the order of the requests. When the
/// worker is gone, all who wait are told by the drop of their senders.
async fn receive(incoming: OwnedReadHalf, awaited: Arc<Mutex<VecDeque<Answer>>>) {
    let mut incoming = tokio::io::BufReader::new(incoming);
    while let Ok(answer) = receive_one(&mut incoming).await {
        let sender = awaited.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(sender) = sender {
            let _ = sender.send(answer);
        }
    }
    awaited.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

async fn receive_one(incoming: &mut tokio::io::BufReader<OwnedReadHalf>) -> io::Result<(Reply, Vec<u8>)> {
    let mut header = [0; REPLY_BYTES];
    incoming.read_exact(&mut header).await?;
    let reply = Reply::decode(&header);
    let mut payload = vec![0; usize::try_from(reply.length).map_err(io::Error::other)?];
    incoming.read_exact(&mut payload).await?;
    Ok((reply, payload))
}
