//! The peer: the process behind the queues and events of worker processes. It consumes their
//! queues' items and answers their signals, as a thread or a task does where workers share a process.

use std::fs::File;
use std::io::{self, BufRead as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::descriptors::adopt;
use super::ipc::line::{await_signal, receive, send, signal};
use super::ipc::{Line, lines};
use super::label::Label;
use super::steps::Stage;
use crate::clock::Timer;
use crate::protocol::{Failed, Job};
use crate::workload::Step;

/// The first descriptor that a peer inherits: where it reports that it is ready, or why not.
pub(super) const FIRST: i32 = 5;

/// What a peer reads from its standard input, as one line of JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    pub(super) job: Job,
    pub(super) slots: u32,
}

/// What a peer reports when it has started: nothing, or why it cannot go on.
pub(super) type Report = Option<Failed>;

/// The hidden verb `peer`: serves until its standard input ends.
///
/// An agent starts it with the descriptors of its queues and events; it is of no use by hand.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone, too, nobody is left to tell.
            let _ = writeln!(io::stderr(), "conbench peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line)?;
    let Assignment { job, slots } = serde_json::from_str(&line)?;
    let count = 1 + lines(&job).map(|(_, line)| line.peer_descriptors(slots)).sum::<usize>();
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
    started.map(drop).map_err(|error| label.setup(format!("cannot start a thread of the peer process: {error}")))
}

/// Consumes items one after another until no worker can send any more.
fn consume(requests: &File, replies: &[File], stage: &Stage) {
    let mut is_prepared = false;
    while let Ok([slot, ticket, index]) = receive(requests) {
        let answer = match stage.blocking(index) {
            Ok(checksum) => [ticket, 1, checksum],
            Err(failed) => {
                // The worker learns that its item failed; the cause goes where the agent's messages go.
                let _ = writeln!(io::stderr(), "conbench peer: {failed}");
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
