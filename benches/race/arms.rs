//! Real agents: each holds one candidate and runs a block when it is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use conbench::candidate::{Candidate, RUST};
use conbench::guard::Guard;
use conbench::protocol::{BlockKind, Calibrate, Calibrated, Go, Job, Reply, Request, StepJob, Target, draw_table};
use conbench::python::{self, Found};
use conbench::session::AgentProgram;
use conbench::session::link::{Fault, Link};
use conbench::workload::{Cpu, Distribution, Kernel, Load, Payload, Step};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const MINUTE_NS: u64 = 60_000_000_000;

/// Starts agents.
pub(crate) struct Stable {
    guard: Guard,
    found: Found,
    iteration_ns: BTreeMap<(String, String), f64>,
}

impl Stable {
    pub(crate) fn open() -> Result<Stable, String> {
        let guard = Guard::start(Path::new(PROGRAM), &std::env::temp_dir()).map_err(|error| error.to_string())?;
        let named: Vec<PathBuf> = std::env::var_os("CONBENCH_PYTHON").map(PathBuf::from).into_iter().collect();
        Ok(Stable { guard, found: python::find(&named), iteration_ns: BTreeMap::new() })
    }

    /// The name of the interpreter, if there is one.
    pub(crate) fn python(&self) -> Option<String> {
        self.found.interpreters.first().map(|one| one.name.clone())
    }

    fn program(&self, runtime: &str) -> Result<AgentProgram, String> {
        if runtime == RUST {
            return Ok(AgentProgram::native(Path::new(PROGRAM)));
        }
        let interpreter = self.found.interpreters.iter().find(|one| one.name == runtime);
        let interpreter = interpreter.ok_or_else(|| format!("there is no runtime {runtime} here"))?;
        Ok(AgentProgram {
            runtime: interpreter.name.clone(),
            program: interpreter.path.clone(),
            arguments: interpreter.arguments(),
            parent_argument: None,
            environment: interpreter.environment(),
        })
    }

    fn connect(&mut self, runtime: &str) -> Result<Link, String> {
        let program = self.program(runtime)?;
        let mut link = Link::start(&mut self.guard, &program, Arc::new(AtomicBool::new(false)))
            .map_err(|error| format!("cannot start an agent: {error}"))?;
        match link.exchange(None, MINUTE_NS, "starting", None) {
            Ok(Reply::Hello(_)) => Ok(link),
            other => Err(format!("{runtime}: {}", unexpected(other))),
        }
    }

    /// An agent that holds the candidate of this job, with its pool warm.
    pub(crate) fn arm(&mut self, job: &Job) -> Result<Arm, String> {
        let mut link = self.connect(&job.candidate.runtime)?;
        match link.exchange(Some(&Request::Job(Box::new(job.clone()))), MINUTE_NS, "making ready", None) {
            Ok(Reply::Ready(_)) => Ok(Arm { link, name: job.candidate.to_string(), blocks: 0 }),
            other => Err(format!("{}: {}", job.candidate, unexpected(other))),
        }
    }

    /// A step that computes for so long on a core that does nothing else.
    pub(crate) fn cpu(&mut self, runtime: &str, kernel: Kernel, time_ns: f64) -> Result<StepJob, String> {
        let cpu = Cpu { kernel, input_bytes: 4096, time_ns: None };
        let key = (runtime.to_owned(), format!("{kernel:?}"));
        let known = self.iteration_ns.get(&key).copied();
        let iteration_ns = match known {
            Some(known) => known,
            None => {
                let request = Request::Calibrate(Calibrate { target: Target::Iteration(cpu), budget_ns: 300_000_000 });
                match self.connect(runtime)?.exchange(Some(&request), MINUTE_NS, "calibrating", None) {
                    Ok(Reply::Calibrated(Calibrated::Iteration { best_ns })) => best_ns,
                    other => return Err(unexpected(other)),
                }
            }
        };
        self.iteration_ns.insert(key, iteration_ns);
        let iterations = (time_ns / iteration_ns).round().max(1.0) as u64;
        Ok(StepJob { step: Step::Cpu(cpu), iterations, draws: Vec::new() })
    }
}

/// A step that waits so long.
pub(crate) fn wait(time_ns: u64) -> StepJob {
    let distribution = Distribution::Fixed { time_ns };
    StepJob { step: Step::Wait { time: distribution }, iterations: 1, draws: vec![draw_table(distribution, 1, 0)] }
}

/// A job of these steps under a closed load.
pub(crate) fn job(candidate: Candidate, steps: Vec<StepJob>) -> Job {
    Job {
        tolerates_errors: false,
        load: Load::Closed { max_in_flight: candidate.sizes.concurrency() },
        candidate,
        payload: Payload::default(),
        steps,
        seed: 1,
        directory: None,
        server: None,
        task_timeout_ns: MINUTE_NS / 2,
    }
}

/// One agent with its candidate.
pub(crate) struct Arm {
    link: Link,
    name: String,
    blocks: u32,
}

impl Arm {
    /// The tasks a second of one block with a window of this.
    pub(crate) fn rate(&mut self, window_ns: u64) -> Result<f64, String> {
        self.blocks += 1;
        let go = Go { block: self.blocks, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks: None };
        match self.link.exchange(Some(&Request::Go(go)), 2 * MINUTE_NS, "running a block", None) {
            Ok(Reply::Block(block)) => Ok(block.throughput_per_s()),
            other => Err(format!("{}: {}", self.name, unexpected(other))),
        }
    }
}

fn unexpected(reply: Result<Reply, Fault>) -> String {
    match reply {
        Ok(Reply::Failed(failure)) | Err(Fault::Failed(failure)) => failure.to_string(),
        Err(Fault::Interrupted) => "interrupted".to_owned(),
        Ok(other) => format!("out of turn: {other:?}"),
    }
}
