//! The native agent: the only place where user work runs. One process, one candidate.
//!
//! *Engines* ([`engines`]) know how to run tasks and see no step; *steps* ([`steps`]) know what a task
//! does and see no engine. They meet in [`task`].

pub mod bucket;
pub mod calibrate;
pub mod descriptors;
pub mod engines;
pub mod ipc;
mod label;
mod loops;
mod meter;
pub mod peer;
pub mod registry;
pub mod sampler;
mod shared_mutex;
pub mod steps;
pub mod task;
pub mod worker;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use bucket::Bucket;
use calibrate::Time;
use engines::Engine;
use sampler::{Arrival, CpuClock, Pace, Sampler, SamplerSettings, ServiceTimes};
use task::Task;

use crate::candidate::Model;
use crate::clock::{self, now_ns};
use crate::protocol::{
    Block, BlockKind, Ended, Failed, FailureKind, Go, Hello, Job, PROTOCOL, REPLIES_FD, REQUESTS_FD, Ready, Reply,
    Request, Usage, VARIANTS,
};
use crate::workload::{Load, Step};

/// The agent's life: `hello`, then a reply to each request until `bye` or the end of the requests.
#[must_use]
pub fn main() -> ExitCode {
    match Pipes::adopt() {
        Ok(pipes) => pipes.serve(),
        Err(_) => ExitCode::from(2),
    }
}

/// The pipes to the controller, of an agent that has not said hello.
pub struct Pipes(Vec<OwnedFd>);

impl Pipes {
    /// Takes the pipes over. Call it before the process opens anything.
    ///
    /// # Errors
    /// When there are none: nobody started this process as an agent.
    pub fn adopt() -> io::Result<Pipes> {
        debug_assert_eq!(REPLIES_FD, REQUESTS_FD + 1);
        // SAFETY: this is the first thing the process does; nobody else owns these descriptors.
        unsafe { descriptors::adopt(REQUESTS_FD, 2) }.map(Pipes)
    }

    /// The agent's life, from its `hello` on.
    #[must_use]
    pub fn serve(self) -> ExitCode {
        abort_on_panic();
        match serve(self.0) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}

/// A panic ends the agent at once: its message is on standard error, and no block that lost a worker is ever
/// counted. That of a closure of the user's is its task's failure.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !registry::keeps(panic) {
            report(panic);
            std::process::abort();
        }
    }));
}

fn serve(descriptors: Vec<OwnedFd>) -> io::Result<()> {
    let mut descriptors = descriptors.into_iter().map(File::from);
    let (Some(requests), Some(mut replies)) = (descriptors.next(), descriptors.next()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    send(&mut replies, &Reply::Hello(hello()))?;
    let mut candidate = None;
    let mut requests = BufReader::new(requests);
    let mut line = String::new();
    loop {
        line.clear();
        if requests.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let received_ns = now_ns();
        let reply = serde_json::from_str(&line)
            .map_err(|error| protocol_failure(&error))
            .and_then(|request| answer(request, received_ns, &mut candidate))
            .unwrap_or_else(Reply::Failed);
        send(&mut replies, &reply)?;
        if matches!(reply, Reply::Bye(_) | Reply::Failed(_)) {
            return Ok(());
        }
    }
}

fn send(replies: &mut File, reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    replies.write_all(&text)
}

fn hello() -> Hello {
    let (offered, absent) = engines::offers();
    Hello {
        protocol: PROTOCOL,
        language: crate::candidate::RUST.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        implementation: None,
        executable: None,
        gil: None,
        free_threaded: None,
        engines: offered,
        absent,
        start_methods: Vec::new(),
        event_loops: Vec::new(),
        clock_resolution_ns: clock::resolution_ns(),
        clock_cost_ns: clock::cost_ns(),
    }
}

fn answer(request: Request, received_ns: u64, candidate: &mut Option<Running>) -> Result<Reply, Failed> {
    match request {
        Request::Calibrate(calibrate) => Ok(Reply::Calibrated(calibrate::calibrate(&calibrate))),
        Request::Probe(probe) => Err(Failed::new(
            FailureKind::Setup,
            format!("`{}` is Python, which the native agent does not run", probe.factory),
            "",
        )),
        Request::Cluster(_) => {
            Err(Failed::new(FailureKind::Setup, "a cluster runs Python, which the native agent does not run", ""))
        }
        Request::Reference(made) => {
            let task = steps::build(&made.job, steps::Place::Agent)?;
            let steps = || made.job.steps.iter().map(|step| &step.step);
            let time = match () {
                () if steps().any(|step| matches!(step, Step::Command { .. })) => Time::OfTask,
                () if steps().any(|step| step.own_code().is_some()) => Time::OfReference,
                () => Time::Unasked,
            };
            calibrate::reference(&task, made.job.rate, time).map(|found| Reply::Reference(Box::new(found)))
        }
        Request::Job(job) => {
            let running = candidate.insert(Running::start(*job)?);
            running.first_tasks(received_ns).map(Reply::Ready)
        }
        Request::Go(go) => match candidate {
            Some(running) => running.block(go).map(|block| Reply::Block(Box::new(block))),
            None => Err(protocol_failure(&"`go` came before `job`")),
        },
        Request::Bye {} => {
            drop(candidate.take());
            Ok(Reply::Bye(Ended {
                teardown_ns: now_ns() - received_ns,
                left_behind: Vec::new(),
                failed_teardown: None,
            }))
        }
    }
}

fn protocol_failure(error: &dyn std::fmt::Display) -> Failed {
    Failed {
        kind: FailureKind::Protocol,
        message: format!("the agent does not understand a request: {error}"),
        place: String::new(),
        traceback: Vec::new(),
    }
}

/// A candidate that is ready to run blocks.
struct Running {
    job: Job,
    task: Arc<Task>,
    engine: Box<dyn Engine>,
    /// The mean service time of the block before, for the next one's ramp.
    mean_service_ns: u64,
    /// Under a rate, the longest one, or a few times the mean if that is less: one hiccup is not what tasks take.
    longest_service_ns: u64,
    /// How long the block before waited for its first tokens, before its time began.
    waited_ns: u64,
}

/// The longest task of a block is taken for no longer than so many times the mean.
const LONGEST_TASK: u64 = 4;

impl Running {
    fn start(job: Job) -> Result<Running, Failed> {
        let task = Arc::new(steps::build(&job, steps::Place::Agent)?);
        let engine = engines::build(&job, Arc::clone(&task))?;
        Ok(Running { job, task, engine, mean_service_ns: 0, longest_service_ns: 0, waited_ns: 0 })
    }

    /// Runs one task, for the figure of the start-up; then one for each slot, so that every worker has run
    /// and every connection is open.
    fn first_tasks(&mut self, received_ns: u64) -> Result<Ready, Failed> {
        // Worker processes prepare themselves what they run; the agent would only hold it for nothing.
        let runs_here = !matches!(self.job.candidate.model(), Model::Processes | Model::AsyncProcesses);
        if runs_here {
            self.task.prepare(Some(0));
        }
        // Worker processes answer when they have made their task.
        self.engine.workers_usage()?;
        let ready_ns = now_ns() - received_ns;
        if self.job.turns > 0 {
            if runs_here {
                self.task.prepare(None);
            }
            if self.job.warms_up {
                self.sample(Arrival::Batch { tasks: u64::from(self.engine.slots()) }, Go::first())?;
                self.task.settle();
            }
            return Ok(self.ready(ready_ns, ready_ns, 0));
        }
        let (first, service) = self.sample(Arrival::Batch { tasks: 1 }, Go::first())?;
        // What waits for the far side is no start-up.
        let startup_ns = now_ns() - received_ns - self.waited_ns;
        if runs_here {
            self.task.prepare(None);
        }
        let (_, warmed) = self.sample(Arrival::Batch { tasks: u64::from(self.engine.slots()) }, Go::first())?;
        if self.job.rate.is_some() {
            self.learn(warmed);
        }
        self.task.settle();
        // What is known of a first task that failed is when it was over.
        let first_task_ns = if first.errors == 0 { service.mean_ns } else { first.elapsed_ns };
        Ok(self.ready(ready_ns, startup_ns, first_task_ns))
    }

    fn ready(&self, ready_ns: u64, startup_ns: u64, first_task_ns: u64) -> Ready {
        let pids = std::iter::once(std::process::id()).chain(self.engine.pids()).collect();
        Ready { ready_ns, startup_ns, first_task_ns, pids, gil: None, library_threads: 0 }
    }

    fn block(&mut self, go: Go) -> Result<Block, Failed> {
        let longest_ns = self.job.rate.map(|_| self.longest_service_ns);
        let arrival = arrival(&go, &self.job, self.engine.slots(), ramp_ns(go.block, self.mean_service_ns, longest_ns));
        let (block, service) = self.sample(arrival, go)?;
        self.learn(service);
        self.task.settle();
        Ok(block)
    }

    fn learn(&mut self, service: ServiceTimes) {
        self.mean_service_ns = service.mean_ns;
        self.longest_service_ns = service.longest_ns.min(LONGEST_TASK * service.mean_ns);
    }

    /// What holds the tasks of a block back, its first tokens waited for.
    fn pace(&mut self, arrival: Arrival) -> Option<Pace> {
        let begun_ns = now_ns();
        let at_once = match arrival {
            Arrival::Window { .. } => 1,
            Arrival::Batch { tasks } | Arrival::Turns { tasks } => tasks,
        };
        let pace =
            self.job.rate.map(|rate| Pace { bucket: Bucket::filled(rate, at_once), tail_ns: self.longest_service_ns });
        self.waited_ns = if pace.is_some() { now_ns() - begun_ns } else { 0 };
        pace
    }

    /// What this process used so far, and its reaped children.
    fn own_usage(&self) -> Usage {
        let used = meter::usage();
        // What such workers started themselves is in their time, and not told apart.
        if self.engine.reaps_workers() { Usage { children_ns: 0, ..used } } else { used }
    }

    /// What tells the CPU time of all that runs tasks; of processes that live for one task, nothing does.
    fn cpu_clock(&self) -> Option<CpuClock> {
        if self.engine.reaps_workers() {
            return None;
        }
        let pids = self.engine.pids();
        Some(Box::new(move || meter::cpu_ns(&pids)))
    }

    fn sample(&mut self, arrival: Arrival, go: Go) -> Result<(Block, ServiceTimes), Failed> {
        let settings = SamplerSettings {
            arrival,
            first_index: go.first_index,
            slots: self.engine.slots(),
            shards: self.engine.shards(),
            task_timeout_ns: self.job.task_timeout_ns,
            tolerates_errors: self.job.tolerates_errors,
            heartbeat: go.kind == BlockKind::Memory,
            most_tasks: go.most_tasks,
            pace: self.pace(arrival),
        };
        // Asking workers costs this process CPU time, which lies outside of its own two readings.
        let workers = self.engine.workers_usage()?;
        let before = self.own_usage() + workers;
        let clock = self.cpu_clock();
        let sampler = Arc::new(Sampler::new(settings, now_ns()).with_cpu_clock(clock));
        self.engine.run(&sampler)?;
        let own = self.own_usage();
        let usage = (own + self.engine.workers_usage()?).since(before);
        let block = sampler.finish(go.block, go.kind, usage)?;
        Ok((block, sampler.service_times()))
    }
}

/// How the tasks of a block arrive.
fn arrival(go: &Go, job: &Job, slots: u32, ramp_ns: u64) -> Arrival {
    match (go.kind, job.load) {
        (BlockKind::Verify, _) => Arrival::Batch { tasks: go.most_tasks.unwrap_or(VARIANTS) },
        (_, Load::Batch { tasks, .. }) => Arrival::Batch { tasks: u64::from(tasks) },
        (_, Load::Closed { .. }) if job.turns > 0 => Arrival::Turns { tasks: u64::from(slots) * u64::from(job.turns) },
        (_, Load::Closed { .. }) => Arrival::Window { window_ns: go.window_ns, ramp_ns },
    }
}

/// A task's time, and a part of it that spreads evenly over blocks (the golden ratio's multiples): by then those
/// that began together have ended once, and the edges of windows fall at every phase of their successors. Under a rate
/// tasks begin one by one: until the longest has ended, not all are in flight that will be.
///
/// Tasks that wait inside, for a worker behind an event loop or for a lock, are served in turn: of those that begin
/// together the first take much less time than any later one, and a window that saw them would count too many.
fn ramp_ns(block: u32, mean_service_ns: u64, longest_service_ns: Option<u64>) -> u64 {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let part = (f64::from(block) * GOLDEN).fract();
    longest_service_ns.unwrap_or(mean_service_ns) + (part * mean_service_ns as f64) as u64
}

impl Go {
    /// The frame that stands for the first tasks of a candidate, before any `go`.
    fn first() -> Go {
        Go { block: 0, kind: BlockKind::Verify, window_ns: 0, first_index: 0, most_tasks: None }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::vectors::Vectors;

    fn arrives(go: Go, load: Load, turns: u32) -> Value {
        let (slots, ramp_ns) = (4, 25_000);
        let job = Job { load, turns, ..steps::testing::job(&[]) };
        let arrival = match arrival(&go, &job, slots, ramp_ns) {
            Arrival::Window { window_ns, ramp_ns } => json!({"window": {"window_ns": window_ns, "ramp_ns": ramp_ns}}),
            Arrival::Batch { tasks } => json!({"batch": {"tasks": tasks}}),
            Arrival::Turns { tasks } => json!({"turns": {"tasks": tasks}}),
        };
        json!({"go": go, "load": load, "turns": turns, "slots": slots, "ramp_ns": ramp_ns, "arrival": arrival})
    }

    fn arrivals() -> Vec<Value> {
        let closed = Load::Closed { max_in_flight: 64 };
        let batch = Load::Batch { tasks: 500, max_in_flight: 64 };
        let go = |kind, most_tasks| Go { block: 3, kind, window_ns: 1_000_000, first_index: 5, most_tasks };
        let mut cases = Vec::new();
        for (load, turns) in [(closed, 0), (closed, 3), (batch, 0)] {
            for (kind, most) in [
                (BlockKind::Timed, None),
                (BlockKind::Timed, Some(9)),
                (BlockKind::Memory, None),
                (BlockKind::Verify, None),
                (BlockKind::Verify, Some(3)),
                (BlockKind::Verify, Some(40)),
            ] {
                cases.push(arrives(go(kind, most), load, turns));
            }
        }
        cases
    }

    fn ramp(block: u32, mean_ns: u64, longest_ns: Option<u64>) -> Value {
        let ramp_ns = ramp_ns(block, mean_ns, longest_ns);
        json!({"block": block, "mean_service_ns": mean_ns, "longest_service_ns": longest_ns, "ramp_ns": ramp_ns})
    }

    #[test]
    fn the_vectors_are_how_blocks_are_run() {
        let ramps = [0, 1, 2, 3, 100, 12_345].map(|block| ramp(block, 1_000_003, None)).into_iter();
        let rated = [1, 2, 77].map(|block| ramp(block, 1_000_003, Some(3_000_001)));
        Vectors::new(
            "blocks",
            "`arrivals`: how the tasks of a block arrive that `go` asks for, under a job of this load and these turns, \
             whose engine has so many slots. `ramps`: from the last slot's first begin to the begin of the window, by the \
             mean service time of the block before; with the longest one, under a rate.",
        )
        .with("arrivals", arrivals())
        .with("ramps", ramps.chain(rated).collect())
        .hold();
    }
}
