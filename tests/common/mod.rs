//! An agent driven through its pipes, as a controller does.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod namespaces;
pub mod printed;
pub mod pythons;
pub mod server;

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use conbench::internal::agent::descriptors::inherit;
use conbench::internal::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::internal::protocol::{
    Block, BlockKind, Ended, Failed, Go, Hello, Job, MakeReference, REQUESTS_FD, Ready, Reference, Reply, Request,
    StepJob,
};
use conbench::internal::workload::{Load, Step};
use pythons::Python;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

/// The binary under test.
pub const CONBENCH: &str = env!("CARGO_BIN_EXE_conbench");

/// No test waits longer for an agent, so that none can hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent and its pipes; killed with its whole process group when dropped.
pub struct Agent {
    pub child: Child,
    hello: Option<Hello>,
    /// The processes of its candidate, itself included.
    pub pids: Vec<u32>,
    requests: Option<PipeWriter>,
    replies: BufReader<PipeReader>,
    /// What it and its tasks write to standard error.
    errors: File,
}

impl Agent {
    /// Starts a native agent and takes its `hello`.
    pub fn start() -> Agent {
        let mut command = Command::new(CONBENCH);
        command.arg("agent");
        let agent = Agent::of(command);
        assert_eq!((agent.hello().language.as_str(), agent.hello().gil), (RUST, None));
        agent
    }

    /// Starts a Python agent and takes its `hello`.
    pub fn python(python: &Python) -> Agent {
        let agent = Agent::of(python.agent());
        assert_eq!((agent.hello().language.as_str(), agent.hello().gil.is_some()), ("python", true));
        agent
    }

    fn of(mut command: Command) -> Agent {
        let (requests_end, requests) = std::io::pipe().expect("a pipe");
        let (replies, replies_end) = std::io::pipe().expect("a pipe");
        let errors = tempfile::tempfile().expect("a file");
        inherit(&mut command, REQUESTS_FD, &[requests_end.as_fd(), replies_end.as_fd()]).expect("descriptors");
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(errors.try_clone().expect("a descriptor"));
        let child = command.spawn().expect("an agent");
        drop((command, requests_end, replies_end));
        let (pids, requests, replies) = (vec![child.id()], Some(requests), BufReader::new(replies));
        let mut agent = Agent { child, hello: None, pids, requests, replies, errors };
        match agent.receive() {
            Some(Reply::Hello(hello)) => agent.hello = Some(hello),
            other => panic!("not a hello: {other:?}\n{}", agent.errors()),
        }
        agent
    }

    /// What it says of itself.
    pub fn hello(&self) -> &Hello {
        self.hello.as_ref().expect("taken at the start")
    }

    /// Sends a line as it is.
    pub fn send_line(&mut self, line: &str) {
        writeln!(self.requests.as_mut().expect("not closed"), "{line}").expect("the agent reads");
    }

    /// Ends the requests: the controller is gone.
    pub fn close_requests(&mut self) {
        drop(self.requests.take());
    }

    /// Whether a reply, or the end of the pipe, comes within this time.
    pub fn replies_within(&self, time: Duration) -> bool {
        let patience = Timespec::try_from(time).expect("a legal time");
        let ready = poll(&mut [PollFd::new(self.replies.get_ref(), PollFlags::IN)], Some(&patience));
        !self.replies.buffer().is_empty() || ready.expect("a pipe") > 0
    }

    /// The next reply; `None` at the end of the pipe.
    pub fn receive(&mut self) -> Option<Reply> {
        let came = self.replies_within(PATIENCE);
        assert!(came, "no reply within {PATIENCE:?}\n{}", self.errors());
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("a pipe");
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Sends a request and takes its reply.
    pub fn ask(&mut self, request: &Request) -> Reply {
        self.send_line(&serde_json::to_string(request).expect("a frame"));
        self.receive().unwrap_or_else(|| panic!("the agent ended without a reply\n{}", self.errors()))
    }

    /// What it wrote to standard error, the last of it.
    pub fn errors(&mut self) -> String {
        let mut text = Vec::new();
        // The descriptor is shared with the agent: reading it moves where the agent writes, to the end again.
        self.errors.seek(SeekFrom::Start(0)).expect("a file");
        self.errors.read_to_end(&mut text).expect("a file");
        String::from_utf8_lossy(&text[text.len().saturating_sub(4000)..]).into_owned()
    }

    /// Waits until the agent has ended, and until all processes of its candidate are gone.
    pub fn wait_until_gone(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < deadline, "the agent does not end\n{}", self.errors());
            std::thread::sleep(Duration::from_millis(2));
        };
        while let Some(pid) = self.pids.iter().copied().find(|pid| is_alive(*pid)) {
            assert!(Instant::now() < deadline, "process {pid} survives its agent\n{}", self.errors());
            std::thread::sleep(Duration::from_millis(2));
        }
        status
    }

    /// Says `bye`, and sees that the agent ends in peace and that nothing survives it.
    pub fn end(mut self) -> Ended {
        let Reply::Bye(ended) = self.ask(&Request::Bye {}) else { panic!("not a bye") };
        assert!(self.receive().is_none(), "bye is the last frame");
        let status = self.wait_until_gone();
        assert!(status.success(), "{status}\n{}", self.errors());
        ended
    }

    /// Makes the agent a candidate.
    pub fn become_candidate(&mut self, job: &Job) -> Result<Ready, Failed> {
        match self.ask(&Request::Job(Box::new(job.clone()))) {
            Reply::Ready(ready) => {
                self.pids.clone_from(&ready.pids);
                Ok(ready)
            }
            Reply::Failed(failure) => Err(failure),
            other => panic!("not ready: {other:?}"),
        }
    }

    /// Runs one block.
    pub fn block(&mut self, kind: BlockKind, window_ns: u64, first_index: u64) -> Result<Block, Failed> {
        self.go(Go { block: 1, kind, window_ns, first_index, most_tasks: None })
    }

    /// Runs the block that `go` asks for.
    pub fn go(&mut self, go: Go) -> Result<Block, Failed> {
        match self.ask(&Request::Go(go)) {
            Reply::Block(block) => Ok(*block),
            Reply::Failed(failure) => Err(failure),
            other => panic!("not a block: {other:?}"),
        }
    }

    /// The reference checksums of a job.
    pub fn reference(&mut self, job: &Job) -> Reference {
        self.reference_within(job, 0)
    }

    /// The reference of a job whose own code may run for so long.
    pub fn reference_within(&mut self, job: &Job, budget_ns: u64) -> Reference {
        let make = MakeReference { job: job.clone(), budget_ns, most_calls: None };
        match self.ask(&Request::Reference(Box::new(make))) {
            Reply::Reference(reference) => *reference,
            other => panic!("not a reference: {other:?}"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Whether a process is there and runs, or may run.
pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A job of these steps, each with one iteration.
pub fn job(engine: Engine, size: u32, steps: Vec<Step>) -> Job {
    let axes = engine.axes();
    let sizes = Sizes { workers: axes.workers.then_some(size), in_flight: axes.in_flight.then_some(size), chunk: None };
    let steps = steps.into_iter().enumerate().map(|(number, step)| StepJob::drawn(step, 1, 7, number as u64)).collect();
    Job::new(Candidate::new(RUST, engine, sizes), Load::Closed { max_in_flight: 64 }, steps, 7, 30_000_000_000)
}
