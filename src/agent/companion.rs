//! The companion: the process behind the queues and events of worker processes. It consumes their
//! queues' items and answers their signals, as a thread or a task does where workers share a process.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::descriptors::adopt;
use super::shared::{Line, lines};
use super::steps::{Label, Stage};
use crate::clock::Timer;
use crate::protocol::{Failed, Job};
use crate::workload::Step;

/// The first descriptor that a companion inherits: where it reports that it is ready, or why not.
pub(super) const FIRST: i32 = 5;

/// An answer that no partner gives: whoever reads it learns that the companion has ended.
pub(super) const GONE: u64 = 1 << 32;

/// What a companion reads from its standard input, as one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    pub(super) job: Job,
    pub(super) slots: u32,
}

/// What a companion reports when it has started: nothing, or why it cannot go on.
pub(super) type Report = Option<Failed>;

/// A message in a queue's pipes: three little-endian integers, small enough to be written at once.
type Message = [u64; 3];

fn send(mut to: &File, message: Message) -> io::Result<()> {
    let mut bytes = [0; size_of::<Message>()];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(message) {
        *bytes = word.to_le_bytes();
    }
    to.write_all(&bytes)
}

fn receive(mut from: &File) -> io::Result<Message> {
    let mut bytes = [0; size_of::<Message>()];
    from.read_exact(&mut bytes)?;
    let mut message = [0; 3];
    for (word, bytes) in message.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok(message)
}

fn signal(mut to: &File, count: u64) -> io::Result<()> {
    to.write_all(&count.to_ne_bytes())
}

fn await_signal(mut from: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the companion process has ended")
}

/// A worker's end of a queue: a pipe to the companion, shared by all workers, and one back.
pub(super) struct QueueLine {
    slot: u32,
    request: File,
    reply: File,
    /// The last ticket used. Locked while an item is under way.
    ticket: Mutex<u64>,
}

impl QueueLine {
    pub(super) fn new(slot: u32, request: OwnedFd, reply: OwnedFd) -> QueueLine {
        // Tickets of an earlier process in this slot, which may have died before its reply, differ.
        let ticket = Mutex::new(u64::from(std::process::id()) << 32);
        QueueLine { slot, request: request.into(), reply: reply.into(), ticket }
    }

    /// Hands over item `index` and waits for its checksum.
    pub(super) fn ask(&self, index: u64) -> io::Result<u64> {
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        *ticket += 1;
        send(&self.request, [u64::from(self.slot), *ticket, index])?;
        loop {
            let [answered, done, checksum] = receive(&self.reply).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ended(),
                _ => error,
            })?;
            if answered == *ticket {
                return if done == 1 { Ok(checksum) } else { Err(io::Error::other("its stage failed")) };
            }
        }
    }
}

/// A worker's end of an event: an eventfd to signal and one to be answered on.
pub(super) struct EventLine {
    signal: File,
    /// Locked while a round trip is under way.
    answer: Mutex<File>,
}

impl EventLine {
    pub(super) fn new(signal: OwnedFd, answer: OwnedFd) -> EventLine {
        EventLine { signal: signal.into(), answer: Mutex::new(answer.into()) }
    }

    /// Signals the partner and waits for its answer, `count` times.
    pub(super) fn round_trips(&self, count: u32) -> io::Result<()> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count {
            signal(&self.signal, 1)?;
            if await_signal(&answer)? >= GONE {
                // Reading took the news away; whoever asks next must learn it too.
                signal(&answer, GONE)?;
                return Err(ended());
            }
        }
        Ok(())
    }
}

/// Tells a worker that waits on this eventfd that the companion has ended.
pub(super) fn tell_gone(answer: &OwnedFd) -> io::Result<()> {
    let answer = File::from(answer.try_clone()?);
    signal(&answer, GONE)
}

/// The hidden verb `companion`: serves until its standard input ends.
///
/// An agent starts it with the descriptors of its queues and events; it is of no use by hand.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone, too, nobody is left to tell.
            let _ = writeln!(io::stderr(), "conbench companion: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let Assignment { job, slots } = serde_json::from_str(&line)?;
    let count = 1 + lines(&job).map(|(_, line)| line.companion_descriptors(slots)).sum::<usize>();
    // SAFETY: nothing in this process has opened anything beside its standard streams; whoever started
    // it placed these descriptors.
    let mut descriptors = unsafe { adopt(FIRST, count) }?.into_iter();
    let mut ready = File::from(descriptors.next().ok_or_else(|| io::Error::other("no descriptor to report on"))?);
    let report: Report = serve(&job, slots, &mut descriptors).err();
    serde_json::to_writer(&ready, &report)?;
    ready.write_all(b"\n")?;
    drop(ready);
    if report.is_none() {
        io::copy(&mut input, &mut io::sink())?;
    }
    Ok(())
}

/// Starts the threads behind every queue and event.
fn serve(job: &Job, slots: u32, descriptors: &mut impl Iterator<Item = OwnedFd>) -> Result<(), Failed> {
    for (position, line) in lines(job) {
        let step_job = &job.steps[position];
        let label = Label::new(position + 1, &step_job.step);
        let mut take = |count: u32| descriptors.by_ref().take(count as usize).map(File::from).collect::<Vec<File>>();
        match (line, &step_job.step) {
            (Line::Queue, Step::Queue { stage, .. }) => {
                let stage = Stage::new(label, stage, step_job, job.seed, Arc::new(Timer::new()))?;
                let requests = take(1);
                let replies = take(slots);
                start(label, move || requests.iter().for_each(|requests| consume(requests, &replies, &stage)))?;
            }
            _ => {
                let signals = take(slots);
                for (signals, answers) in signals.into_iter().zip(take(slots)) {
                    start(label, move || answer(&signals, &answers))?;
                }
            }
        }
    }
    Ok(())
}

fn start(label: Label, work: impl FnOnce() + Send + 'static) -> Result<(), Failed> {
    let started = std::thread::Builder::new().spawn(work);
    started.map(drop).map_err(|error| label.setup(format!("cannot start a thread of the companion process: {error}")))
}

/// Consumes items one after another until no worker can send any more.
fn consume(requests: &File, replies: &[File], stage: &Stage) {
    let mut is_prepared = false;
    while let Ok([slot, ticket, index]) = receive(requests) {
        let answer = match stage.blocking(index) {
            Ok(checksum) => [ticket, 1, checksum],
            Err(failed) => {
                // The worker learns that its item failed; the cause goes where the agent's messages go.
                let _ = writeln!(io::stderr(), "conbench companion: {failed}");
                [ticket, 0, 0]
            }
        };
        // A worker that has died reads no reply.
        let _ = replies.get(slot as usize).map(|reply| send(reply, answer));
        // After the first item, so that it is not the start-up that waits; the next one does, before any
        // block is measured.
        if !std::mem::replace(&mut is_prepared, true) {
            stage.prepare(None);
        }
    }
}

/// Answers each signal of one worker, until its eventfd fails, which it does not.
fn answer(signals: &File, answers: &File) {
    while await_signal(signals).is_ok_and(|_| signal(answers, 1).is_ok()) {}
}
