//! Warm parents: agents that have imported what all of them do, and become nobody; a life is then a fork of one.
//!
//! A parent runs below the session's guard, imports nothing of the user's, and has one thread. For each life it is
//! sent the life's pipes and the socket of a guard. It forks a child, which forks the life and then becomes that guard:
//! so the life is below a guard of its own from its first moment, as one that boots anew is. A parent ends when its
//! socket closes; its lives do not end with it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use serde::Serialize;

use super::AgentProgram;
use super::link::{Link, pipes};
use crate::clock::now_ns;
use crate::guard::{self, Guard, Wiring};

/// Parents of a runtime, at most: their lives differ in where things lie in memory.
const MOST: usize = 3;
/// A further parent is started when those that are there have had so many lives each: it costs about as much as the boot
/// of a life.
const LIVES_EACH: usize = 4;
/// How long a parent may take to import what is its own.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often an interrupt is looked for meanwhile.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// A parent that is ready.
#[derive(Debug)]
pub struct Parent {
    control: OwnedFd,
    pid: u32,
}

/// What a parent is asked. The socket of the life's guard is attached, then the life's pipes: requests, replies, output.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    /// Fork a life, and have its guard be this program; the life's number is its last argument.
    Fork { guard: Vec<&'a str> },
}

impl Parent {
    /// Starts a parent of this agent's lives, and waits until it is ready.
    ///
    /// # Errors
    /// When the agent knows no such thing, does not become ready (as when something that the interpreter imports by
    /// itself starts threads), or on an interrupt.
    pub fn start(root: &mut Guard, agent: &AgentProgram, interrupted: &AtomicBool) -> io::Result<Parent> {
        let parent = Parent::begin(root, agent)?;
        parent.wait(interrupted)?;
        Ok(parent)
    }

    /// Starts a parent, which is not ready before [`Parent::wait`] says so.
    fn begin(root: &mut Guard, agent: &AgentProgram) -> io::Result<Parent> {
        let argument = agent.parent_argument.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let (control, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let arguments = agent.arguments.iter().chain([argument]).map(OsString::as_os_str);
        let argv: Vec<&OsStr> = std::iter::once(agent.program.as_os_str()).chain(arguments).collect();
        let environment: Vec<(&OsStr, &OsStr)> =
            agent.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
        let ends = [theirs.as_fd(), null.as_fd(), null.as_fd()];
        let child = root.spawn_in(agent.directory.as_deref(), &argv, &environment, Wiring::Agent, &ends)?;
        drop(theirs);
        Ok(Parent { control, pid: child.pid })
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    fn wait(&self, interrupted: &AtomicBool) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !interrupted.load(Ordering::Relaxed) {
            match poll(&mut [PollFd::new(&self.control, PollFlags::IN)], Some(&TICK)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => {
                    let mut word = [0_u8; 16];
                    let (length, _) = rustix::net::recv(&self.control, &mut word, RecvFlags::empty())?;
                    return if length > 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Has it fork a life with these pipes, below the guard `program` that serves `socket`.
    pub(super) fn fork(&self, program: &[&OsStr], socket: BorrowedFd<'_>, pipes: &[OwnedFd; 3]) -> io::Result<()> {
        let guard: Option<Vec<&str>> = program.iter().map(|word| word.to_str()).collect();
        let guard = guard.ok_or(io::ErrorKind::InvalidInput)?;
        let [requests, replies, output] = pipes.each_ref().map(OwnedFd::as_fd);
        guard::send(&self.control, &Request::Fork { guard }, &[socket, requests, replies, output])
    }
}

impl Link {
    /// Begins an agent as a fork of `parent`, under a guard of its own below `root`.
    ///
    /// # Errors
    /// When the parent does not fork, or the guard cannot be started.
    pub fn fork(root: &Guard, parent: &Parent, interrupted: Arc<AtomicBool>) -> io::Result<Link> {
        let (ours, theirs) = pipes()?;
        let started_ns = now_ns();
        let (guard, child) = root.around(|program, socket| parent.fork(program, socket, &theirs))?;
        Ok(Link::of(guard, child, started_ns, ours, interrupted))
    }
}

/// The parents of a session.
#[derive(Debug, Default)]
pub(super) struct Parents {
    of_runtimes: HashMap<String, OfRuntime>,
}

#[derive(Debug, Default)]
struct OfRuntime {
    parents: Vec<Parent>,
    /// One that was begun, and need not be ready yet.
    begun: Option<Parent>,
    /// Parents that were started, those that failed among them.
    started: usize,
    lives: usize,
}

impl Parents {
    /// Begins the first parent of this agent's lives beside whatever else runs.
    pub(super) fn begin(&mut self, root: &mut Guard, agent: &AgentProgram) {
        let of_runtime = self.of_runtimes.entry(agent.runtime.clone()).or_default();
        if of_runtime.started == 0 {
            // That it cannot be started is seen when it is needed.
            of_runtime.begun = Parent::begin(root, agent).ok();
        }
    }

    /// Begins a life of this agent as a fork, if it can be; why it cannot is of no interest, since every life can
    /// begin cold.
    pub(super) fn fork(
        &mut self,
        root: &mut Guard,
        agent: &AgentProgram,
        interrupted: &Arc<AtomicBool>,
    ) -> Option<Link> {
        agent.parent_argument.as_ref()?;
        let of_runtime = self.of_runtimes.entry(agent.runtime.clone()).or_default();
        if of_runtime.started < MOST && of_runtime.lives >= of_runtime.started * LIVES_EACH {
            of_runtime.started += 1;
            let started = match of_runtime.begun.take() {
                Some(parent) => parent.wait(interrupted).map(|()| parent),
                None => Parent::start(root, agent, interrupted),
            };
            match started {
                Ok(parent) => of_runtime.parents.push(parent),
                // The next ones would fail in the same way.
                Err(_) => of_runtime.started = MOST,
            }
        }
        let next = of_runtime.lives.checked_rem(of_runtime.parents.len())?;
        of_runtime.lives += 1;
        let life = Link::fork(root, &of_runtime.parents[next], Arc::clone(interrupted));
        if life.is_err() {
            of_runtime.parents.remove(next);
        }
        life.ok()
    }
}
