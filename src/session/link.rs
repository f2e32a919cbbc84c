//! One agent's pipes: frames out, frames in, its output drained, its end noticed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::AgentProgram;
use super::error::AgentError;
use super::frames::{self, Frames};
use super::hang::{IdleWatch, Patience, item, places};
use crate::clock::now_ns;
use crate::escape::escaped;
use crate::guard::{Child, Guard, Status, Wiring};
use crate::host::meter;
use crate::protocol::{FailureKind, Reply, Request};
use crate::units;

/// How much of an agent's output is kept.
const TAIL_BYTES: usize = 8 << 10;
/// How many lines of it a failure shows.
const TAIL_LINES: usize = 10;
/// How often an interrupt is looked for.
const TICK_NS: u64 = 50_000_000;
/// How long a process may take to write where it stands.
const DUMP_NS: u64 = 150_000_000;
/// So many of an agent's processes are asked where they stand.
const DUMPS: usize = 4;
/// How long the end of an agent that closed its pipe is waited for.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// How long an agent may take to end after its last word. One for Python ends itself a little sooner.
pub(super) const EXIT_PATIENCE: Duration = Duration::from_millis(1250);

/// Something done at times while an answer is awaited.
pub struct Ticks<'a> {
    /// How often.
    pub every_ns: u64,
    /// What.
    pub call: &'a mut dyn FnMut(),
}

/// A running agent. Dropping it ends the agent and everything that it started.
#[derive(Debug)]
pub struct Link {
    guard: Guard,
    child: Child,
    started_ns: u64,
    requests: OwnedFd,
    replies: OwnedFd,
    output: OwnedFd,
    outgoing: VecDeque<u8>,
    incoming: Frames,
    tail: VecDeque<u8>,
    replies_closed: bool,
    output_closed: bool,
    interrupted: Arc<AtomicBool>,
    /// Whether it has said its last word, and ends by itself now.
    is_ending: bool,
    /// Whether its processes write where they stand when they are sent [`DUMP`].
    dumps: bool,
}

/// What has a Python agent's processes write where their threads stand; who does not know it ignores it.
const DUMP: Signal = Signal::URG;

impl Link {
    /// Starts an agent, under a guard of its own below `root`.
    ///
    /// # Errors
    /// When the guard or the program cannot be started.
    pub fn start(root: &mut Guard, agent: &AgentProgram, interrupted: Arc<AtomicBool>) -> io::Result<Link> {
        let mut guard = root.nested()?;
        let (ours, theirs) = pipes()?;
        let arguments = agent.arguments.iter().map(OsString::as_os_str);
        let argv: Vec<&OsStr> = std::iter::once(agent.program.as_os_str()).chain(arguments).collect();
        let environment: Vec<(&OsStr, &OsStr)> =
            agent.environment.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())).collect();
        let started_ns = now_ns();
        let child = guard.spawn_in(
            agent.directory.as_deref(),
            &argv,
            &environment,
            Wiring::Agent,
            &theirs.each_ref().map(OwnedFd::as_fd),
        )?;
        Ok(Link::of(guard, child, started_ns, ours, interrupted))
    }

    /// The link of an agent that was started with these pipes, whose ends are ours.
    pub(super) fn of(
        guard: Guard,
        child: Child,
        started_ns: u64,
        pipes: [OwnedFd; 3],
        interrupted: Arc<AtomicBool>,
    ) -> Link {
        let [requests, replies, output] = pipes;
        Link {
            guard,
            child,
            started_ns,
            requests,
            replies,
            output,
            outgoing: VecDeque::new(),
            incoming: Frames::default(),
            tail: VecDeque::new(),
            replies_closed: false,
            output_closed: false,
            interrupted,
            is_ending: false,
            dumps: false,
        }
    }

    /// From now on its processes are asked where they stand when they hang.
    pub(super) fn asks_for_dumps(&mut self) {
        self.dumps = true;
    }

    /// When its process was started, or its parent asked to fork.
    #[must_use]
    pub fn started_ns(&self) -> u64 {
        self.started_ns
    }

    /// Its guard, below which are the agent and all that it started.
    pub fn guard(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// Has an agent of which nothing more is wanted end by itself, and run what the user's modules registered for exit.
    pub fn leave(mut self) {
        let patience_ns = u64::try_from(EXIT_PATIENCE.as_nanos()).unwrap_or(u64::MAX);
        // One that does not answer is killed when it is dropped.
        let _ = self.exchange(Some(&Request::Bye {}), patience_ns, "at its end", None);
    }

    /// After the agent's last word: waits as long as `patience` allows for it to run what is registered for exit, and
    /// to end. Whether it ended.
    pub fn ends(&mut self, patience: Duration) -> bool {
        self.exit_status(patience).is_some()
    }

    /// The same, with how it ended.
    pub fn exit_status(&mut self, patience: Duration) -> Option<Status> {
        self.is_ending = false;
        self.guard.status(self.child.pid, patience)
    }

    /// Whether the last frame that came was one after which an agent ends.
    #[must_use]
    pub fn heard_last_word(&self) -> bool {
        self.is_ending
    }

    /// The number of its own process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// The inodes of the pipes of requests and of replies, which are the same at both ends.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn pipes(&self) -> io::Result<[u64; 2]> {
        Ok([rustix::fs::fstat(&self.requests)?.st_ino, rustix::fs::fstat(&self.replies)?.st_ino])
    }

    /// Sends a line as it is, with the next exchange.
    pub fn send_line(&mut self, line: &str) {
        self.outgoing.extend(line.bytes());
        self.outgoing.push_back(b'\n');
    }

    /// Ends the requests, as a controller that is gone.
    ///
    /// # Errors
    /// When there is no null device.
    pub fn end_requests(&mut self) -> io::Result<()> {
        self.requests = File::options().write(true).open("/dev/null")?.into();
        Ok(())
    }

    /// After the agent's last word: gives it `grace` to end, and what it started as long again, then kills the rest.
    /// Returns how many processes outlived the agent.
    pub fn leftover(&mut self, grace: Duration) -> u32 {
        let ended = self.ends(grace);
        // A guard that does not answer has nothing to count; its end is seen to when it is closed.
        let killed = self.guard.kill(if ended { grace } else { Duration::ZERO }).unwrap_or(0);
        if ended { killed } else { killed.saturating_sub(1) }
    }

    /// Sends `request`, if any, and waits as long as `patience` allows for the answer. `doing` says what the agent is
    /// at, for messages.
    ///
    /// # Errors
    /// The agent's own `failed`; its end; no answer in time; a line that is no frame; an interrupt.
    pub fn exchange(
        &mut self,
        request: Option<&Request>,
        patience: impl Into<Patience>,
        doing: &str,
        mut ticks: Option<Ticks<'_>>,
    ) -> Result<Reply, AgentError> {
        let Patience { whole_ns, idle_ns } = patience.into();
        if let Some(request) = request {
            let line = serde_json::to_vec(request)
                .map_err(|error| AgentError::new(FailureKind::Protocol, format!("cannot write a request: {error}")))?;
            self.outgoing.extend(line);
            self.outgoing.push_back(b'\n');
        }
        let begun = now_ns();
        let deadline = begun.saturating_add(whole_ns);
        let mut idle = idle_ns.map(|idle_ns| IdleWatch::begin(self.guard.pid(), idle_ns));
        let mut next_tick = ticks.as_ref().map_or(u64::MAX, |ticks| begun.saturating_add(ticks.every_ns));
        loop {
            if let Some(line) = self.incoming.line()? {
                return self.frame(&line, doing);
            }
            if self.interrupted.load(Ordering::Relaxed) {
                return Err(AgentError::Interrupted);
            }
            let now = now_ns();
            if now >= deadline {
                return Err(self.hang(now - begun, doing, false));
            }
            if idle.as_mut().is_some_and(IdleWatch::is_over) {
                return Err(self.hang(now_ns() - begun, doing, true));
            }
            if let Some(ticks) = &mut ticks
                && now >= next_tick
            {
                (ticks.call)();
                next_tick = now_ns().saturating_add(ticks.every_ns);
            }
            let next_look = idle.as_ref().map_or(u64::MAX, IdleWatch::next_ns);
            let wake = deadline.min(next_tick).min(next_look).min(now.saturating_add(TICK_NS));
            if self.pump(wake.saturating_sub(now_ns())).map_err(|error| broken(doing, &error))? {
                return Err(self.end_of(doing));
            }
        }
    }

    /// Waits at most `patience_ns` for something to do, and does it. Returns whether no answer can come any more.
    fn pump(&mut self, patience_ns: u64) -> io::Result<bool> {
        let timeout =
            Timespec { tv_sec: (patience_ns / 1_000_000_000) as i64, tv_nsec: (patience_ns % 1_000_000_000) as i64 };
        let mut watched =
            vec![PollFd::new(&self.replies, PollFlags::IN), PollFd::new(&self.child.handle, PollFlags::IN)];
        // A closed pipe is always ready: watched, it would make this loop spin beside the block.
        if !self.output_closed {
            watched.push(PollFd::new(&self.output, PollFlags::IN));
        }
        if !self.outgoing.is_empty() {
            watched.push(PollFd::new(&self.requests, PollFlags::OUT));
        }
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = !watched[1].revents().is_empty();
        self.drain_output()?;
        let writable = self.write()?;
        self.read()?;
        Ok(!self.incoming.has_line() && (ended || self.replies_closed || !writable))
    }

    /// Writes what the pipe takes; whether anybody reads it.
    fn write(&mut self) -> io::Result<bool> {
        while !self.outgoing.is_empty() {
            match rustix::io::write(&self.requests, self.outgoing.as_slices().0) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::PIPE) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut part = [0_u8; 64 << 10];
        while !self.replies_closed && !self.incoming.is_full() {
            match rustix::io::read(&self.replies, &mut part) {
                Ok(0) => self.replies_closed = true,
                Ok(count) => self.incoming.extend(&part[..count]),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what the agent's user code printed, and keeps its end.
    fn drain_output(&mut self) -> io::Result<()> {
        let mut part = [0_u8; 16 << 10];
        // A bound, or a flood would keep an answer from being read.
        for _ in 0..64 {
            if self.output_closed {
                break;
            }
            match rustix::io::read(&self.output, &mut part) {
                Ok(0) => self.output_closed = true,
                Ok(count) => {
                    self.tail.extend(&part[..count]);
                    let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
                    self.tail.drain(..surplus);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn frame(&mut self, line: &[u8], doing: &str) -> Result<Reply, AgentError> {
        let reply = frames::reply(line, doing);
        self.is_ending = matches!(reply, Ok(Reply::Failed(_) | Reply::Bye(_)));
        match reply? {
            Reply::Failed(failed) => Err(AgentError::Failed(failed)),
            reply => Ok(reply),
        }
    }

    /// How the agent ended, in words.
    fn end_of(&mut self, doing: &str) -> AgentError {
        // What it wrote before it died may still be in the pipe; that it cannot be read changes nothing.
        let _ = self.drain_output();
        let how = match self.guard.status(self.child.pid, END_PATIENCE) {
            Some(status) => format!("the agent ended with {status}"),
            None => "the agent closed its pipe and lives on".to_owned(),
        };
        let _ = self.drain_output();
        AgentError::new(FailureKind::Agent, format!("{how} {doing}{}", self.last_words()))
    }

    /// That it hangs: it took too long, or did nothing for too long.
    fn hang(&mut self, waited_ns: u64, doing: &str, is_idle: bool) -> AgentError {
        let waited = units::duration((waited_ns / 100_000_000 * 100_000_000) as f64);
        let what = if is_idle { "no answer, and no CPU used" } else { "no answer" };
        // Asking where it stands clears them.
        let words = self.last_words();
        let at = self.stands().unwrap_or_else(|| self.state());
        let message = format!("{what} within {waited} {doing}{at}{words}");
        AgentError::new(FailureKind::Hang, message)
    }

    /// What the agent's own process is at.
    fn state(&self) -> String {
        procfs::process::Process::new(self.child.pid as i32)
            .and_then(|process| process.stat())
            .and_then(|stat| stat.state().map(|state| (state, stat.utime + stat.stime)))
            .map(|(state, ticks)| {
                let cpu = ticks as f64 / procfs::ticks_per_second() as f64;
                format!("; the agent is {state:?} and has used {cpu:.2} s of CPU time in its life").to_lowercase()
            })
            .unwrap_or_default()
    }

    /// Where its processes stand in code that is not the agent's, the workers before the agent itself.
    fn stands(&mut self) -> Option<String> {
        if !self.dumps {
            return None;
        }
        let root = self.guard.pid();
        let mut pids: Vec<u32> = meter::tree(root).into_iter().filter(|pid| *pid != root).collect();
        pids.retain(|pid| *pid != self.child.pid);
        pids.truncate(DUMPS);
        let mut workers = Vec::new();
        for pid in pids {
            workers.extend(harmless_places(&self.dump(pid)));
        }
        workers.dedup();
        let told = self.dump(self.child.pid);
        let own = harmless_places(&told);
        let of_workers = workers.first().map(|place| format!("; a worker stands in {place}"));
        let of_agent = own.iter().find(|place| !workers.contains(place));
        let is_beside = of_workers.is_some();
        let whose = if is_beside { "a thread beside it is" } else { "it stands" };
        let of_agent = of_agent.map(|place| format!("; {whose} in {place}"));
        let at_item = item(&told).map(|item| format!(", at item {item}")).unwrap_or_default();
        let all = at_item + &of_workers.unwrap_or_default() + &of_agent.unwrap_or_default();
        (!all.is_empty()).then_some(all)
    }

    /// Has one of its processes write where its threads stand.
    fn dump(&mut self, pid: u32) -> String {
        self.tail.clear();
        let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return String::new() };
        if kill_process(process, DUMP).is_err() {
            return String::new();
        }
        let until = now_ns().saturating_add(DUMP_NS);
        while now_ns() < until {
            // What it answers now comes too late, and a broken pipe is told elsewhere.
            if self.output_closed || self.pump(until.saturating_sub(now_ns()).min(TICK_NS)).is_err() {
                break;
            }
        }
        let (front, back) = self.tail.as_slices();
        let text = String::from_utf8_lossy(&[front, back].concat()).into_owned();
        self.tail.clear();
        text
    }

    /// The last lines of its output, made harmless for a terminal.
    fn last_words(&self) -> String {
        let (front, back) = self.tail.as_slices();
        let text = [front, back].concat();
        let lines: Vec<String> = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| escaped(&String::from_utf8_lossy(line)))
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        let last = lines[lines.len().saturating_sub(TAIL_LINES)..].join(" | ");
        format!("; its last output: {last}")
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if self.is_ending {
            self.ends(EXIT_PATIENCE);
        }
    }
}

fn broken(doing: &str, error: &io::Error) -> AgentError {
    AgentError::new(FailureKind::Agent, format!("{doing}, the agent's pipes broke: {error}"))
}

/// The places in a dump, made harmless for a terminal.
fn harmless_places(dump: &str) -> Vec<String> {
    places(dump).iter().map(|place| escaped(place)).collect()
}

/// An agent's pipes (requests, replies, output): our ends, then its own.
pub(super) fn pipes() -> io::Result<([OwnedFd; 3], [OwnedFd; 3])> {
    let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let ((their_requests, requests), (replies, their_replies), (output, their_output)) = (pipe()?, pipe()?, pipe()?);
    let ours = [requests, replies, output];
    for end in &ours {
        rustix::io::ioctl_fionbio(end, true)?;
    }
    Ok((ours, [their_requests, their_replies, their_output]))
}
