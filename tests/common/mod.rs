//! An agent driven through its pipes, as a controller does.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command};

use conbench::agent::descriptors::inherit;
use conbench::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::protocol::{
    Block, BlockKind, Failed, Go, Job, MakeReference, REQUESTS_FD, Ready, Reference, Reply, Request, StepJob,
    draw_table,
};
use conbench::workload::{Load, Payload, Step};

/// The binary under test.
pub const CONBENCH: &str = env!("CARGO_BIN_EXE_conbench");

/// A native agent and its pipes; killed when dropped.
pub struct Agent {
    pub child: Child,
    requests: PipeWriter,
    replies: BufReader<PipeReader>,
}

impl Agent {
    /// Starts an agent and takes its `hello`.
    pub fn start() -> Agent {
        let (requests_end, requests) = std::io::pipe().expect("a pipe");
        let (replies, replies_end) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(CONBENCH);
        command.arg("agent");
        inherit(&mut command, REQUESTS_FD, &[requests_end.as_fd(), replies_end.as_fd()]).expect("descriptors");
        let child = command.spawn().expect("an agent");
        drop((command, requests_end, replies_end));
        let mut agent = Agent { child, requests, replies: BufReader::new(replies) };
        match agent.receive() {
            Some(Reply::Hello(hello)) => assert_eq!((hello.language.as_str(), hello.gil), (RUST, None)),
            other => panic!("not a hello: {other:?}"),
        }
        agent
    }

    /// Sends a line as it is.
    pub fn send_line(&mut self, line: &str) {
        writeln!(self.requests, "{line}").expect("the agent reads");
    }

    /// The next reply; `None` at the end of the pipe.
    pub fn receive(&mut self) -> Option<Reply> {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("a pipe");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("a frame"))
    }

    /// Sends a request and takes its reply.
    pub fn ask(&mut self, request: &Request) -> Reply {
        self.send_line(&serde_json::to_string(request).expect("a frame"));
        self.receive().expect("a reply")
    }

    /// Makes the agent a candidate.
    pub fn become_candidate(&mut self, job: &Job) -> Result<Ready, Failed> {
        match self.ask(&Request::Job(Box::new(job.clone()))) {
            Reply::Ready(ready) => Ok(ready),
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
        let make = MakeReference { job: job.clone(), budget_ns: 0, most_calls: None };
        match self.ask(&Request::Reference(Box::new(make))) {
            Reply::Reference(reference) => reference,
            other => panic!("not a reference: {other:?}"),
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A job of these steps, each with one iteration.
pub fn job(engine: Engine, size: u32, steps: Vec<Step>) -> Job {
    let axes = engine.axes();
    let sizes = Sizes { workers: axes.workers.then_some(size), in_flight: axes.in_flight.then_some(size), chunk: None };
    let steps = steps
        .into_iter()
        .enumerate()
        .map(|(number, step)| {
            let tables = step.distributions().into_iter().map(|draws| draw_table(draws, 7, number as u64)).collect();
            StepJob { step, iterations: 1, draws: tables }
        })
        .collect();
    Job {
        candidate: Candidate::new(RUST, engine, sizes),
        load: Load::Closed { max_in_flight: 64 },
        payload: Payload::default(),
        steps,
        seed: 7,
        directory: None,
        server: None,
        task_timeout_ns: 30_000_000_000,
    }
}
