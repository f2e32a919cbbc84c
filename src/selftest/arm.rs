//! Agents for the self-test: each holds one candidate, and runs a block when it is asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::candidate::{Candidate, Engine, RUST, Sizes};
use crate::guard::Guard;
use crate::protocol::{Block, BlockKind, Calibrate, Calibrated, Go, Job, Reply, Request, StepJob, Target, draw_table};
use crate::session::AgentProgram;
use crate::session::link::{self, Link};
use crate::workload::{Cpu, Distribution, Kernel, Load, Payload, Step, Work};

/// How long an agent may take for anything.
const PATIENCE_NS: u64 = 60_000_000_000;

/// Why the self-test could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A process could not be started.
    #[error("cannot start an agent: {0}")]
    Start(#[from] std::io::Error),
    /// An agent failed.
    #[error("{candidate}: {failure}")]
    Failed {
        /// Which one.
        candidate: String,
        /// Why.
        failure: crate::protocol::Failed,
    },
    /// A signal ended it.
    #[error("interrupted")]
    Interrupted,
}

/// Starts agents and measures what the host gives.
pub(super) struct Bench {
    program: PathBuf,
    guard: Guard,
    interrupted: Arc<AtomicBool>,
    calibrator: Link,
    iteration_ns: f64,
    /// CPUs that may be used.
    pub(super) usable_cpus: u32,
}

/// The computation of the self-test.
const CPU: Cpu = Cpu { kernel: Kernel::Loop, input_bytes: 8192, time_ns: None };

impl Bench {
    pub(super) fn start(usable_cpus: u32, interrupted: &Arc<AtomicBool>) -> Result<Bench, Fault> {
        let program = std::env::current_exe()?;
        let mut guard = Guard::start(&program, &std::env::temp_dir())?;
        let mut calibrator = connect(&mut guard, &program, interrupted)?;
        let target = Target::Iteration(CPU);
        let iteration_ns = match calibrate(&mut calibrator, target, 300_000_000)? {
            Calibrated::Iteration { best_ns } => best_ns,
            Calibrated::Cores { .. } => f64::NAN,
        };
        Ok(Bench { program, guard, interrupted: Arc::clone(interrupted), calibrator, iteration_ns, usable_cpus })
    }

    /// The cores that as many independent loops as usable CPUs get, now.
    pub(super) fn usable_cores(&mut self) -> Result<f64, Fault> {
        let target = Target::Cores { loops: self.usable_cpus };
        match calibrate(&mut self.calibrator, target, 100_000_000)? {
            Calibrated::Cores { usable_cores } => Ok(usable_cores),
            Calibrated::Iteration { .. } => Ok(f64::NAN),
        }
    }

    /// An agent that holds `engine` with `size` workers or tasks in flight, and `steps` as its task.
    pub(super) fn arm(&mut self, engine: Engine, size: u32, steps: Vec<StepJob>) -> Result<Arm, Fault> {
        let axes = engine.axes();
        let workers = if axes.in_flight { self.usable_cpus } else { size };
        let sizes =
            Sizes { workers: axes.workers.then_some(workers), in_flight: axes.in_flight.then_some(size), chunk: None };
        let candidate = Candidate::new(RUST, engine, sizes);
        let job = Job {
            candidate: candidate.clone(),
            load: Load::Closed { max_in_flight: size },
            payload: Payload::default(),
            steps,
            seed: 1,
            directory: None,
            server: None,
            task_timeout_ns: PATIENCE_NS / 2,
        };
        let link = connect(&mut self.guard, &self.program, &self.interrupted)?;
        let mut arm = Arm { link, candidate: candidate.to_string(), job, blocks: 0 };
        arm.ask(&Request::Job(Box::new(arm.job.clone())))?;
        Ok(arm)
    }

    /// A step that computes for `time_ns` on an unloaded core.
    pub(super) fn cpu(&self, time_ns: f64) -> StepJob {
        StepJob { step: Step::Cpu(CPU), iterations: self.iterations(time_ns), draws: Vec::new() }
    }

    fn iterations(&self, time_ns: f64) -> u64 {
        (time_ns / self.iteration_ns).round().max(1.0) as u64
    }
}

/// A step that waits `time_ns`, always.
pub(super) fn wait(time_ns: u64) -> StepJob {
    drawn(Step::Wait { time: Distribution::Fixed { time_ns } })
}

/// A step that waits `time_ns` under the shared lock.
pub(super) fn lock(time_ns: u64) -> StepJob {
    drawn(Step::Lock { hold: Work::Wait { time: Distribution::Fixed { time_ns } } })
}

fn drawn(step: Step) -> StepJob {
    let draws = step.distributions().into_iter().map(|distribution| draw_table(distribution, 1, 0)).collect();
    StepJob { step, iterations: 1, draws }
}

fn connect(guard: &mut Guard, program: &std::path::Path, interrupted: &Arc<AtomicBool>) -> Result<Link, Fault> {
    let mut link = Link::start(guard, &AgentProgram::native(program), Arc::clone(interrupted))?;
    link.exchange(None, PATIENCE_NS, "starting", None).map_err(|fault| fault_of("agent", fault))?;
    Ok(link)
}

fn calibrate(link: &mut Link, target: Target, budget_ns: u64) -> Result<Calibrated, Fault> {
    let request = Request::Calibrate(Calibrate { target, budget_ns });
    match link.exchange(Some(&request), PATIENCE_NS, "calibrating", None) {
        Ok(Reply::Calibrated(calibrated)) => Ok(calibrated),
        Ok(other) => Err(fault_of("calibration", link::out_of_turn(&other, "calibrating"))),
        Err(fault) => Err(fault_of("calibration", fault)),
    }
}

fn fault_of(candidate: &str, fault: link::Fault) -> Fault {
    match fault {
        link::Fault::Failed(failure) => Fault::Failed { candidate: candidate.to_owned(), failure },
        link::Fault::Interrupted => Fault::Interrupted,
    }
}

/// One agent with its candidate.
pub(super) struct Arm {
    link: Link,
    /// The candidate, as written.
    pub(super) candidate: String,
    job: Job,
    blocks: u32,
}

impl Arm {
    /// Runs one window under full load.
    pub(super) fn window(&mut self, window_ns: u64) -> Result<Block, Fault> {
        self.blocks += 1;
        let go = Go { block: self.blocks, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks: None };
        match self.ask(&Request::Go(go))? {
            Reply::Block(block) => Ok(*block),
            other => Err(fault_of(&self.candidate, link::out_of_turn(&other, "running a block"))),
        }
    }

    /// Runs a batch of `tasks` tasks, and returns its makespan in nanoseconds.
    pub(super) fn makespan_ns(&mut self, tasks: u32) -> Result<f64, Fault> {
        let load = Load::Batch { tasks, max_in_flight: self.job.load.max_in_flight() };
        if self.job.load != load {
            self.job.load = load;
            self.ask(&Request::Job(Box::new(self.job.clone())))?;
        }
        Ok(self.window(0)?.window_ns as f64)
    }

    fn ask(&mut self, request: &Request) -> Result<Reply, Fault> {
        self.link
            .exchange(Some(request), PATIENCE_NS, "in the self-test", None)
            .map_err(|fault| fault_of(&self.candidate, fault))
    }
}
