//! What must stay small: the start of the program, the memory of a million tasks in flight, the memory of an
//! agent that has done many tasks.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use conbench::internal::agent::descriptors::inherit;
use conbench::internal::candidate::Engine as Kind;
use conbench::internal::clock::now_ns;
use conbench::internal::protocol::{BlockKind, Go, Job, Reply, Request};
use conbench::internal::stats;
use conbench::internal::workload::{Distribution, Load, Step};

use super::job;
use super::table::Line;

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn measure() -> Vec<Line> {
    let mut lines = vec![help()];
    lines.extend(million());
    lines.push(growth());
    lines
}

fn help() -> Line {
    let times: Vec<f64> = (0..40)
        .map(|_| {
            let start = now_ns();
            let status = Command::new(PROGRAM).arg("--help").stdout(Stdio::null()).status().expect("it runs");
            assert!(status.success(), "--help succeeds");
            (now_ns() - start) as f64 / 1e6
        })
        .collect();
    let median = stats::median(&times).unwrap_or(f64::NAN);
    Line {
        what: "conbench --help, median of 40".to_owned(),
        figure: format!("{median:.1} ms"),
        target: "under 10 ms".to_owned(),
        met: median < 10.0,
    }
}

/// An agent driven by hand through the protocol.
struct Agent {
    child: Child,
    requests: std::io::PipeWriter,
    replies: BufReader<std::io::PipeReader>,
}

impl Agent {
    fn start(job: &Job) -> Agent {
        let (requests_end, requests) = std::io::pipe().expect("a pipe");
        let (replies, replies_end) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(PROGRAM);
        command.arg("agent");
        inherit(&mut command, conbench::internal::protocol::REQUESTS_FD, &[requests_end.as_fd(), replies_end.as_fd()])
            .expect("descriptors");
        let child = command.spawn().expect("an agent");
        drop((command, requests_end, replies_end));
        let mut agent = Agent { child, requests, replies: BufReader::new(replies) };
        assert!(matches!(agent.receive(), Reply::Hello(_)));
        agent.ask(&Request::Job(Box::new(job.clone())));
        agent
    }

    fn ask(&mut self, request: &Request) -> Reply {
        let mut text = serde_json::to_vec(request).expect("a frame");
        text.push(b'\n');
        self.requests.write_all(&text).expect("the agent lives");
        self.receive()
    }

    fn receive(&mut self) -> Reply {
        let mut line = String::new();
        self.replies.read_line(&mut line).expect("the agent lives");
        let reply = serde_json::from_str(&line).expect("a frame");
        if let Reply::Failed(failure) = &reply {
            panic!("the agent failed: {failure}");
        }
        reply
    }

    fn block(&mut self, number: u32, window_ns: u64) -> u64 {
        let go = Go { block: number, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks: None };
        match self.ask(&Request::Go(go)) {
            Reply::Block(block) => block.tasks,
            other => panic!("not a block: {other:?}"),
        }
    }

    /// Resident memory of the agent in MiB: now (`VmRSS`) or at its peak (`VmHWM`).
    fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the agent lives");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
        kib * 1024.0 / MIB
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A million tasks in flight: begun for the first time, and then renewed as they end, by which the allocator's free space
/// falls apart.
fn million() -> [Line; 2] {
    const IN_FLIGHT: u32 = 1_000_000;
    const TARGET: f64 = 500e6 / MIB;
    let wait = Step::Wait { time: Distribution::Fixed { time_ns: 1_000_000_000 } };
    let mut job = job(Kind::TokioCurrentThread, IN_FLIGHT, &wait, 1);
    job.load = Load::Closed { max_in_flight: IN_FLIGHT };
    let mut agent = Agent::start(&job);
    let begun = agent.memory("VmHWM");
    agent.block(0, 2_000_000_000);
    let renewed = agent.memory("VmHWM");
    [("begun once", begun), ("renewed as they end", renewed)].map(|(how, peak)| Line {
        what: format!("peak memory, 1,000,000 of `wait 1s` in flight, tokio-current-thread, {how}"),
        figure: format!("{peak:.0} MiB"),
        target: format!("under {TARGET:.0} MiB (500 MB)"),
        met: peak < TARGET,
    })
}

fn growth() -> Line {
    let wait = Step::Wait { time: Distribution::Fixed { time_ns: 10_000 } };
    let mut agent = Agent::start(&job(Kind::TokioCurrentThread, 64, &wait, 1));
    let mut tasks: u64 = (0..20).map(|number| agent.block(number, 100_000_000)).sum();
    let before = agent.memory("VmRSS");
    tasks += (20..120).map(|number| agent.block(number, 100_000_000)).sum::<u64>();
    let grown = agent.memory("VmRSS") - before;
    Line {
        what: format!("growth of an agent's memory, {:.1} million tasks", tasks as f64 / 1e6),
        figure: format!("{grown:.2} MiB"),
        target: "under 1 MiB".to_owned(),
        met: grown < 1.0,
    }
}
