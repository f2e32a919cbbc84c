//! Worker processes over Unix sockets, fed by the main thread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};

use super::Engine;
use crate::agent::meter;
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::shared::Shared;
use crate::agent::task::Task;
use crate::agent::worker::{Ask, REPLY_BYTES, Reply, Request, Worker, ask_usage, encode_job};
use crate::clock::now_ns;
use crate::protocol::{Failed, Job, Usage};

/// Requests that a worker holds: the one it runs and one more, so that it never waits for the next.
const OUTSTANDING_PER_WORKER: usize = 2;

/// A pool of worker processes, started from the main thread and fed by it through `poll`.
pub(super) struct ProcessPool {
    task: Arc<Task>,
    lines: Vec<Line>,
    shared: Shared,
}

/// One worker and what is under way to it and from it.
struct Line {
    worker: Worker,
    lane: Lane,
    outstanding: VecDeque<u64>,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl ProcessPool {
    pub(super) fn new(job: &Job, task: Arc<Task>, workers: u32) -> Result<ProcessPool, Failed> {
        let text = encode_job(job)?;
        let shared = Shared::create(job, workers)?;
        let lines = (0..workers)
            .map(|slot| {
                let worker = Worker::start(&text, slot, &shared.descriptors(slot))?;
                Ok(Line {
                    worker,
                    lane: Lane { slot, shard: 0 },
                    outstanding: VecDeque::new(),
                    outgoing: Vec::new(),
                    incoming: Vec::new(),
                })
            })
            .collect::<Result<Vec<Line>, Failed>>()?;
        Ok(ProcessPool { task, lines, shared })
    }
}

impl Engine for ProcessPool {
    fn slots(&self) -> u32 {
        self.lines.len() as u32
    }

    fn shards(&self) -> u32 {
        1
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        for line in &self.lines {
            line.set_nonblocking(true)?;
        }
        loop {
            self.submit(sampler)?;
            if self.lines.iter().all(|line| line.outstanding.is_empty()) {
                break;
            }
            self.exchange(sampler)?;
        }
        self.lines.iter().try_for_each(|line| line.set_nonblocking(false))
    }

    fn pids(&self) -> Vec<u32> {
        self.lines.iter().map(|line| line.worker.pid()).chain(self.shared.pids()).collect()
    }

    fn workers_usage(&mut self) -> Result<Usage, Failed> {
        let mut sum = meter::live(&self.shared.pids());
        for line in &mut self.lines {
            let usage = line.worker.socket().and_then(|socket| ask_usage(socket, &self.task));
            sum = sum + usage.map_err(|error| line.worker.gone(line.lane.slot, &error))?;
        }
        Ok(sum)
    }
}

impl ProcessPool {
    /// Gives each worker one task, then each a second, as long as there are tasks.
    fn submit(&mut self, sampler: &Sampler) -> Result<(), Failed> {
        for depth in 0..OUTSTANDING_PER_WORKER {
            for line in &mut self.lines {
                if line.outstanding.len() == depth {
                    let Some(index) = sampler.next() else { return Ok(()) };
                    line.submit(&self.task, index, sampler)?;
                }
            }
        }
        Ok(())
    }

    /// Waits until a worker answers or takes more bytes, and handles all that do.
    fn exchange(&mut self, sampler: &Sampler) -> Result<(), Failed> {
        let ready: Vec<PollFlags> = {
            let mut descriptors = Vec::with_capacity(self.lines.len());
            for line in &self.lines {
                let wanted = if line.outgoing.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
                let socket = line.worker.socket().map_err(|error| super::cannot("reach a worker", &error))?;
                descriptors.push(PollFd::new(socket, wanted));
            }
            match poll(&mut descriptors, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(super::cannot("wait for workers", &error)),
            }
            descriptors.iter().map(PollFd::revents).collect()
        };
        for (line, ready) in self.lines.iter_mut().zip(ready) {
            if ready.contains(PollFlags::OUT) {
                line.send()?;
            }
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                line.receive(sampler)?;
            }
        }
        Ok(())
    }
}

impl Line {
    fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Failed> {
        let set = self.worker.socket().and_then(|socket| socket.set_nonblocking(nonblocking));
        set.map_err(|error| super::cannot("set up a worker's socket", &error))
    }

    fn submit(&mut self, task: &Task, index: u64, sampler: &Sampler) -> Result<(), Failed> {
        let submitted_ns = now_ns();
        if self.outstanding.is_empty() {
            sampler.begun_at(self.lane, submitted_ns);
        }
        self.outstanding.push_back(submitted_ns);
        Request::encode(task, index, Ask::Task, true, &mut self.outgoing);
        self.send()
    }

    /// Writes what the socket takes.
    fn send(&mut self) -> Result<(), Failed> {
        let mut sent = 0;
        while sent < self.outgoing.len() {
            match self.worker.socket().and_then(|mut socket| socket.write(&self.outgoing[sent..])) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.worker.gone(self.lane.slot, &error)),
            }
        }
        self.outgoing.drain(..sent);
        Ok(())
    }

    /// Reads what has come and records each task that is whole.
    fn receive(&mut self, sampler: &Sampler) -> Result<(), Failed> {
        let read = self.worker.socket().and_then(|socket| read_available(socket, &mut self.incoming));
        if let Err(error) = read {
            return Err(self.worker.gone(self.lane.slot, &error));
        }
        let mut used = 0;
        while let Some(header) = self.incoming[used..].first_chunk::<REPLY_BYTES>() {
            let reply = Reply::decode(header);
            let end = used + REPLY_BYTES + reply.length as usize;
            let Some(payload) = self.incoming.get(used + REPLY_BYTES..end) else { break };
            let submitted_ns = self.outstanding.pop_front().unwrap_or(reply.begin_ns);
            sampler.ended_at(self.lane, submitted_ns, reply.begin_ns, reply.end_ns, reply.outcome(payload));
            used = end;
        }
        self.incoming.drain(..used);
        Ok(())
    }
}

/// Appends to `buffer` all that a non-blocking socket has.
fn read_available(mut socket: &UnixStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0; 64 * 1024];
    loop {
        match socket.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer.extend_from_slice(&part[..count]);
                if count < part.len() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
