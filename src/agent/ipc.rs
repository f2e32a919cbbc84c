//! What the worker processes of one candidate share: the lock, the queue's consumer, the event's answerer.

pub(super) mod line;
mod process;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use self::line::{EventLine, QueueLine};
use self::process::Peer;
use super::label::Label;
use super::shared_mutex::SharedMutexes;
use crate::candidate::Engine;
use crate::protocol::{Failed, FailureKind, Job};
use crate::workload::Step;

/// What a step shares through descriptors of its own; locks share one memory instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A pipe to the peer, and one back for each slot.
    Queue,
    /// Two eventfds for each slot.
    Event,
}

impl Line {
    /// How many descriptors the peer inherits for it.
    pub(super) fn peer_descriptors(self, slots: u32) -> usize {
        match self {
            Line::Queue => 1 + slots as usize,
            Line::Event => 2 * slots as usize,
        }
    }
}

/// Whether `step` shares something between the workers of this job: an engine that keeps it on its event
/// loop never runs it in a worker.
pub(super) fn is_shared(job: &Job, step: &Step) -> bool {
    matches!(step, Step::Lock { .. } | Step::Queue { .. } | Step::Event { .. })
        && !(job.candidate.engine == Engine::TokioProcessPool && step.has_async_form())
}

/// The positions (from 0) of the steps with a line to the peer.
pub(super) fn lines(job: &Job) -> impl Iterator<Item = (usize, Line)> {
    let shared = job.steps.iter().enumerate().filter(|(_, step_job)| is_shared(job, &step_job.step));
    shared.filter_map(|(position, step_job)| match step_job.step {
        Step::Queue { .. } => Some((position, Line::Queue)),
        Step::Event { .. } => Some((position, Line::Event)),
        _ => None,
    })
}

fn locks(job: &Job) -> usize {
    job.steps.iter().filter(|step| matches!(step.step, Step::Lock { .. }) && is_shared(job, &step.step)).count()
}

/// Shared memory, pipes and the peer process behind them; made by the agent, ended when dropped.
pub struct Shared {
    locks: Option<OwnedFd>,
    ends: Arc<Vec<Ends>>,
    peer: Option<Peer>,
}

/// The workers' ends of one line.
enum Ends {
    Queue { request: OwnedFd, replies: Vec<OwnedFd> },
    Event { signals: Vec<OwnedFd>, answers: Vec<OwnedFd> },
}

impl Shared {
    /// Makes what `slots` workers of this job need; starts the peer process only if a step needs one.
    ///
    /// A queue's capacity counts items in its pipe, each in a page of its own: it is rounded up to a
    /// power of two, and down to what the kernel allows an unprivileged process (256 by default).
    ///
    /// # Errors
    /// When something cannot be made.
    pub fn create(job: &Job, slots: u32) -> Result<Shared, Failed> {
        let locks = match locks(job) {
            0 => None,
            count => Some(SharedMutexes::create(count).map_err(|error| setup("cannot make the shared lock", &error))?),
        };
        let mut ends = Vec::new();
        let mut theirs = Vec::new();
        for (position, line) in lines(job) {
            let step = &job.steps[position].step;
            let label = Label::new(position + 1, step);
            let made = match (line, step) {
                (Line::Queue, Step::Queue { capacity, .. }) => queue(*capacity, slots, &mut theirs),
                _ => event(slots, &mut theirs),
            };
            let made = made.map_err(|error| Failed {
                place: label.setup("").place,
                ..setup(&format!("cannot make pipes for {slots} workers"), &error)
            })?;
            ends.push(made);
        }
        let ends = Arc::new(ends);
        let peer = if ends.is_empty() { None } else { Some(Peer::start(job, slots, &theirs, Arc::clone(&ends))?) };
        Ok(Shared { locks, ends, peer })
    }

    /// The descriptors that the worker of `slot` inherits, in the order that
    /// [`Place::Worker`](super::steps::Place::Worker) expects.
    #[must_use]
    pub fn descriptors(&self, slot: u32) -> Vec<BorrowedFd<'_>> {
        let slot = slot as usize;
        let lines = self.ends.iter().flat_map(move |ends| match ends {
            Ends::Queue { request, replies } => [Some(request), replies.get(slot)],
            Ends::Event { signals, answers } => [signals.get(slot), answers.get(slot)],
        });
        self.locks.iter().chain(lines.flatten()).map(|fd| fd.as_fd()).collect()
    }

    /// The processes behind it (the peer's), for meters and for the kill list.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.peer.iter().map(|peer| peer.pid).collect()
    }
}

fn setup(what: &str, error: &io::Error) -> Failed {
    let full = [libc::EMFILE, libc::EBADF].contains(&error.raw_os_error().unwrap_or(0));
    let hint = if full { "; use fewer workers or raise the limit of open files (ulimit -n)" } else { "" };
    Failed {
        kind: FailureKind::Setup,
        message: format!("{what}: {error}{hint}"),
        place: String::new(),
        traceback: Vec::new(),
    }
}

/// Makes the pipes of one queue; the peer's ends go to `theirs`.
fn queue(capacity: u32, slots: u32, theirs: &mut Vec<OwnedFd>) -> io::Result<Ends> {
    // In packet mode each write has a page of the pipe to itself, so the pipe's size counts items.
    let (requests, request) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)?;
    let page = rustix::param::page_size();
    let mut pages = (capacity.clamp(1, 1 << 18) as usize).next_power_of_two();
    while let Err(error) = fcntl_setpipe_size(&request, pages * page) {
        if pages == 1 {
            return Err(error.into());
        }
        pages /= 2;
    }
    theirs.push(requests);
    let mut replies = Vec::new();
    for _ in 0..slots {
        let (reply, replying) = pipe_with(PipeFlags::CLOEXEC)?;
        replies.push(reply);
        theirs.push(replying);
    }
    Ok(Ends::Queue { request, replies })
}

/// Makes the eventfds of one event; the peer inherits them all.
fn event(slots: u32, theirs: &mut Vec<OwnedFd>) -> io::Result<Ends> {
    let make = || (0..slots).map(|_| Ok(eventfd(0, EventfdFlags::CLOEXEC)?)).collect::<io::Result<Vec<OwnedFd>>>();
    let (signals, answers) = (make()?, make()?);
    for end in signals.iter().chain(&answers) {
        theirs.push(end.try_clone()?);
    }
    Ok(Ends::Event { signals, answers })
}

/// What a worker was handed, given out to its steps in order.
pub(super) struct Handed {
    slot: u32,
    locks: Option<Arc<SharedMutexes>>,
    next_lock: usize,
    lines: std::vec::IntoIter<OwnedFd>,
}

impl Handed {
    /// Takes the descriptors of [`Shared::descriptors`] apart.
    pub(super) fn new(job: &Job, slot: u32, descriptors: Vec<OwnedFd>) -> Result<Handed, Failed> {
        let mut lines = descriptors.into_iter();
        let locks = match (locks(job), lines.as_slice().is_empty()) {
            (0, _) | (_, true) => None,
            (count, false) => {
                let memory = lines.next().map(|memory| SharedMutexes::open(memory, count));
                memory.transpose().map_err(|error| setup("cannot map the shared lock", &error))?.map(Arc::new)
            }
        };
        Ok(Handed { slot, locks, next_lock: 0, lines })
    }

    /// The next lock: the mapping, and its position there.
    pub(super) fn lock(&mut self, label: Label) -> Result<(Arc<SharedMutexes>, usize), Failed> {
        let locks = self.locks.clone().ok_or_else(|| missing(label))?;
        self.next_lock += 1;
        Ok((locks, self.next_lock - 1))
    }

    /// The next queue.
    pub(super) fn queue(&mut self, label: Label) -> Result<QueueLine, Failed> {
        let (request, reply) = self.pair(label)?;
        Ok(QueueLine::new(self.slot, request, reply))
    }

    /// The next event.
    pub(super) fn event(&mut self, label: Label) -> Result<EventLine, Failed> {
        let (signal, answer) = self.pair(label)?;
        Ok(EventLine::new(signal, answer))
    }

    fn pair(&mut self, label: Label) -> Result<(OwnedFd, OwnedFd), Failed> {
        self.lines.next().zip(self.lines.next()).ok_or_else(|| missing(label))
    }
}

fn missing(label: Label) -> Failed {
    label.setup("the worker was not handed what this step shares with the others")
}

#[cfg(test)]
mod tests;
