//! Worker processes over Unix sockets, fed by the main thread.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Engine;
use crate::agent::ipc::Shared;
use crate::agent::meter;
use crate::agent::sampler::{Lane, Next, Sampler};
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
    outgoing: Outgoing,
    incoming: Incoming,
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
                    outgoing: Outgoing::default(),
                    incoming: Incoming::default(),
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
            let next_ns = self.submit(sampler)?;
            if next_ns.is_none() && self.lines.iter().all(|line| line.outstanding.is_empty()) {
                break;
            }
            self.exchange(sampler, next_ns)?;
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

impl Drop for ProcessPool {
    fn drop(&mut self) {
        self.lines.iter_mut().for_each(|line| line.worker.close());
    }
}

impl ProcessPool {
    /// Gives each worker one task, then each a second (under a rate none), as long as there are tasks. Returns when
    /// there may be a further one, where a worker waits for it.
    fn submit(&mut self, sampler: &Sampler) -> Result<Option<u64>, Failed> {
        let most = if sampler.is_paced() { 1 } else { OUTSTANDING_PER_WORKER };
        for depth in 0..most {
            for line in &mut self.lines {
                if line.outstanding.len() == depth {
                    match sampler.poll_next() {
                        Next::Task(index) => line.submit(&self.task, index, sampler)?,
                        Next::At(at_ns) => return Ok(Some(at_ns)),
                        Next::Over => return Ok(None),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Waits until a worker answers or takes more bytes, or until then; handles all that do.
    fn exchange(&mut self, sampler: &Sampler, until_ns: Option<u64>) -> Result<(), Failed> {
        let ready: Vec<PollFlags> = {
            let mut descriptors = Vec::with_capacity(self.lines.len());
            for line in &self.lines {
                let wanted = if line.outgoing.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
                let socket = line.worker.socket().map_err(|error| super::cannot("reach a worker", &error))?;
                descriptors.push(PollFd::new(socket, wanted));
            }
            let left = until_ns.map(|until_ns| Duration::from_nanos(until_ns.saturating_sub(now_ns())));
            let left = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
            match poll(&mut descriptors, left.as_ref()) {
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
        Request::encode(task, index, Ask::Task, true, self.outgoing.end());
        self.send()
    }

    /// Writes what the socket takes.
    fn send(&mut self) -> Result<(), Failed> {
        let sent = self.worker.socket().and_then(|socket| self.outgoing.send(socket));
        sent.map_err(|error| self.worker.gone(self.lane.slot, &error))
    }

    /// Reads what has come and records each task that is whole.
    fn receive(&mut self, sampler: &Sampler) -> Result<(), Failed> {
        let read = self.worker.socket().and_then(|socket| self.incoming.receive(socket));
        if let Err(error) = read {
            return Err(self.worker.gone(self.lane.slot, &error));
        }
        while let Some((reply, payload)) = self.incoming.reply() {
            let submitted_ns = self.outstanding.pop_front().unwrap_or(reply.begin_ns);
            sampler.ended_at(self.lane, submitted_ns, reply.begin_ns, reply.end_ns, reply.outcome(payload));
        }
        Ok(())
    }
}

/// Bytes under way to a worker. What was sent is only marked, or each write would move all the others.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Where more bytes are appended.
    fn end(&mut self) -> &mut Vec<u8> {
        // Under a worker that always has more to come it is never empty, and must not grow. The rest moves
        // only when it is no longer than what lies before it.
        if self.sent * 2 >= self.bytes.len() {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        &mut self.bytes
    }

    /// Writes what a non-blocking socket takes.
    fn send(&mut self, mut socket: impl Write) -> io::Result<()> {
        while !self.is_empty() {
            match socket.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Bytes that came from a worker, in a buffer that is made once and read into again and again.
#[derive(Default)]
struct Incoming {
    buffer: Vec<u8>,
    /// What was used already.
    used: usize,
    /// What has come.
    filled: usize,
}

impl Incoming {
    /// Room for at least so many bytes is there before a read.
    const ROOM: usize = 64 << 10;

    /// Reads all that a non-blocking socket has.
    fn receive(&mut self, mut socket: impl Read) -> io::Result<()> {
        loop {
            let space = self.space();
            let room = space.len();
            match socket.read(space) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.filled += count;
                    if count < room {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn space(&mut self) -> &mut [u8] {
        // The rest moves only when it is no longer than what lies before it.
        if self.used * 2 >= self.filled {
            self.buffer.copy_within(self.used..self.filled, 0);
            self.filled -= self.used;
            self.used = 0;
        }
        if self.buffer.len() - self.filled < Incoming::ROOM {
            // Doubled, so that a large reply is moved, and its room zeroed, about once.
            self.buffer.resize((self.buffer.len() * 2).max(2 * Incoming::ROOM), 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Takes the next reply that is whole.
    fn reply(&mut self) -> Option<(Reply, &[u8])> {
        let bytes = &self.buffer[self.used..self.filled];
        let reply = Reply::decode(bytes.first_chunk::<REPLY_BYTES>()?);
        let length = usize::try_from(reply.length).ok()?;
        let payload = bytes.get(REPLY_BYTES..REPLY_BYTES.checked_add(length)?)?;
        self.used += REPLY_BYTES + length;
        Some((reply, payload))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::agent::task::pattern;

    fn frame(index: u64, payload: &[u8]) -> Vec<u8> {
        let reply = Reply { index, begin_ns: 0, end_ns: 0, checksum: 0, failed: false, length: payload.len() as u64 };
        [&reply.encode()[..], payload].concat()
    }

    /// Sends `frames` while never more than two are under way, and returns what comes out at the other end.
    fn exchange(frames: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        ours.set_nonblocking(true).expect("a socket");
        theirs.set_nonblocking(true).expect("a socket");
        let (mut outgoing, mut incoming) = (Outgoing::default(), Incoming::default());
        let (mut submitted, mut came) = (0, Vec::new());
        while came.len() < frames.len() {
            while submitted < frames.len() && submitted < came.len() + 2 {
                outgoing.end().extend_from_slice(&frames[submitted]);
                submitted += 1;
            }
            outgoing.send(&ours).expect("sends");
            incoming.receive(&theirs).expect("receives");
            while let Some((reply, payload)) = incoming.reply() {
                came.push((reply.index, payload.to_vec()));
            }
        }
        assert!(outgoing.is_empty());
        came
    }

    #[test]
    fn a_payload_of_64_mib_passes() {
        let payload = pattern(64 << 20, 1);
        let came = exchange(&[frame(0, &payload), frame(1, &payload)]);
        assert!(came == [(0, payload.clone()), (1, payload)], "the bytes that were sent");
    }

    #[test]
    fn frames_of_all_sizes_pass_in_order_and_buffers_stay_small() {
        let payloads: Vec<Vec<u8>> =
            (0..300_u64).map(|index| pattern(index * 7919 % 100_000 * (index % 3), index)).collect();
        let frames: Vec<Vec<u8>> = payloads.iter().zip(0..).map(|(payload, index)| frame(index, payload)).collect();
        let came = exchange(&frames);
        assert!(came.into_iter().eq((0..).zip(payloads)), "each frame once, in order");
        // As under a worker that is always busy: never empty when more is appended.
        let mut outgoing = Outgoing::default();
        outgoing.end().extend_from_slice(&[0; 1500]);
        for _ in 0..1000 {
            outgoing.end().extend_from_slice(&[0; 1000]);
            outgoing.send(Takes(1000)).expect("sends");
            assert_eq!(outgoing.bytes.len() - outgoing.sent, 1500);
            assert!(outgoing.bytes.len() <= 10_000, "{}", outgoing.bytes.len());
        }
    }

    /// Takes so many bytes, then would block.
    struct Takes(usize);

    impl Write for Takes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.min(bytes.len()) {
                0 => Err(ErrorKind::WouldBlock.into()),
                count => {
                    self.0 -= count;
                    Ok(count)
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
