//! Agents for the self-test: each holds one candidate, and runs a block when it is asked.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::candidate::{Candidate, Engine, Model, RUST};
use crate::guard::Guard;
use crate::protocol::{Block, BlockKind, Calibrated, Go, Hello, Job, StepJob, Target};
use crate::session::AgentProgram;
use crate::session::bare::BareAgent;
use crate::session::error::AgentError;
use crate::workload::{Cpu, Distribution, Kernel, Load, Step, Work};

/// How long an agent may take for anything.
const PATIENCE_NS: u64 = 60_000_000_000;

/// Why the self-test could not go on.
#[derive(Debug, thiserror::Error)]
pub enum LawError {
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

/// The computation of the self-test, which holds a global interpreter lock where there is one.
pub(super) const LOOP: Cpu = Cpu { kernel: Kernel::Loop, input_bytes: 8192, time_ns: None };
/// One that lets go of it.
pub(super) const SHA256: Cpu = Cpu { kernel: Kernel::Sha256, input_bytes: 1 << 20, time_ns: None };

/// Starts agents and measures what the host gives.
pub(super) struct Bench {
    native: AgentProgram,
    guard: Guard,
    interrupted: Arc<AtomicBool>,
    /// CPUs that may be used.
    pub(super) usable_cpus: u32,
}

impl Bench {
    pub(super) fn start(usable_cpus: u32, interrupted: &Arc<AtomicBool>) -> Result<Bench, LawError> {
        let program: PathBuf = std::env::current_exe()?;
        let guard = Guard::start(&program, &std::env::temp_dir())?;
        Ok(Bench { native: AgentProgram::native(&program), guard, interrupted: Arc::clone(interrupted), usable_cpus })
    }

    /// The native runtime.
    pub(super) fn native(&mut self) -> Result<Runtime, LawError> {
        self.runtime(&self.native.clone())
    }

    /// The runtime whose agent `program` is.
    pub(super) fn runtime(&mut self, program: &AgentProgram) -> Result<Runtime, LawError> {
        let (mut agent, hello) = self.connect(program)?;
        let mut runtime = Runtime { program: program.clone(), hello, loop_ns: f64::NAN, sha256_ns: f64::NAN };
        for (cpu, iteration_ns) in [(LOOP, &mut runtime.loop_ns), (SHA256, &mut runtime.sha256_ns)] {
            if let Calibrated::Iteration { best_ns } = calibrate(&mut agent, Target::Iteration(cpu), 200_000_000)? {
                *iteration_ns = best_ns;
            }
        }
        Ok(runtime)
    }

    /// What measures the cores that as many independent processes as usable CPUs get when each runs `steps`.
    pub(super) fn cores(&mut self, runtime: &Runtime, steps: &[StepJob]) -> Result<Cores, LawError> {
        if runtime.is_native() {
            let (agent, _) = self.connect(&runtime.program)?;
            return Ok(Cores::Told { agent: Box::new(agent), loops: self.usable_cpus });
        }
        let arms = (0..self.usable_cpus).map(|_| self.arm(runtime, Engine::Sequential, 1, steps.to_vec()));
        Ok(Cores::Measured(arms.collect::<Result<_, LawError>>()?))
    }

    /// An agent that holds `engine` with `size` workers or tasks in flight, and `steps` as its task.
    pub(super) fn arm(
        &mut self,
        runtime: &Runtime,
        engine: Engine,
        size: u32,
        steps: Vec<StepJob>,
    ) -> Result<Arm, LawError> {
        let axes = engine.axes();
        let workers = if axes.in_flight { self.usable_cpus } else { size };
        let sizes = axes.sizes(workers, size, 1);
        let start_method = runtime.hello.start_method(engine);
        let candidate = Candidate { start_method, ..Candidate::new(&runtime.program.runtime, engine, sizes) };
        let load = Load::Closed { max_in_flight: size };
        let job = Job::new(candidate.clone(), load, steps, 1, PATIENCE_NS / 2);
        let (agent, _) = self.connect(&runtime.program)?;
        let mut arm =
            Arm { agent, candidate: candidate.to_string(), gil: false, job, usable_cpus: self.usable_cpus, blocks: 0 };
        arm.gil =
            arm.agent.become_candidate(&arm.job).map_err(|fault| fault_of(&arm.candidate, fault))?.gil == Some(true);
        Ok(arm)
    }

    fn connect(&mut self, program: &AgentProgram) -> Result<(BareAgent, Hello), LawError> {
        let mut agent = BareAgent::start(&mut self.guard, program, PATIENCE_NS, &self.interrupted)?;
        let hello = agent.hello().map_err(|fault| fault_of(&program.runtime, fault))?;
        Ok((agent, hello))
    }
}

/// A runtime whose engines are held against the laws.
pub(super) struct Runtime {
    program: AgentProgram,
    hello: Hello,
    loop_ns: f64,
    sha256_ns: f64,
}

impl Runtime {
    /// Whether it has this engine.
    pub(super) fn offers(&self, engine: Engine) -> bool {
        self.hello.engines.iter().any(|offer| offer.engine == engine)
    }

    /// Whether an interpreter runs the tasks, which costs each of them time of its own.
    pub(super) fn is_interpreted(&self) -> bool {
        self.hello.gil.is_some()
    }

    fn is_native(&self) -> bool {
        self.program.runtime == RUST
    }

    /// One SHA-256 of so large an input that it takes `time_ns` on an unloaded core: where there is a global
    /// interpreter lock it is let go of once, and taken again once.
    pub(super) fn one_sha256(&self, time_ns: f64) -> StepJob {
        let input_bytes = (SHA256.input_bytes as f64 * time_ns / self.sha256_ns).round().max(1.0) as u64;
        StepJob { step: Step::Cpu(Cpu { input_bytes, ..SHA256 }), iterations: 1, draws: Vec::new(), items: None }
    }

    /// A step that computes for `time_ns` on an unloaded core.
    pub(super) fn cpu(&self, cpu: Cpu, time_ns: f64) -> StepJob {
        let iteration_ns = if cpu == SHA256 { self.sha256_ns } else { self.loop_ns };
        let iterations = (time_ns / iteration_ns).round().max(1.0) as u64;
        StepJob { step: Step::Cpu(cpu), iterations, draws: Vec::new(), items: None }
    }
}

/// The cores that independent processes get, now.
pub(super) enum Cores {
    /// The native agent tells it.
    Told { agent: Box<BareAgent>, loops: u32 },
    /// By the rates of agents that run one task after another, all at once beside one alone.
    Measured(Vec<Arm>),
}

impl Cores {
    pub(super) fn usable(&mut self) -> Result<f64, LawError> {
        const WINDOW_NS: u64 = 60_000_000;
        match self {
            Cores::Told { agent, loops } => match calibrate(agent, Target::Cores { loops: *loops }, 100_000_000)? {
                Calibrated::Cores { usable_cores } => Ok(usable_cores),
                Calibrated::Iteration { .. } => Ok(f64::NAN),
            },
            Cores::Measured(arms) => {
                let alone = arms.first_mut().map_or(Ok(f64::NAN), |arm| arm.rate(WINDOW_NS))?;
                let together = at_once(arms, WINDOW_NS)?;
                Ok(together.iter().map(Block::throughput_per_s).sum::<f64>() / alone)
            }
        }
    }
}

/// One window of each of `arms`, all at the same time.
pub(super) fn at_once(arms: &mut [Arm], window_ns: u64) -> Result<Vec<Block>, LawError> {
    std::thread::scope(|scope| {
        let running: Vec<_> = arms.iter_mut().map(|arm| scope.spawn(move || arm.window(window_ns))).collect();
        // A thread that panicked leaves its block out: the figure of it is too low, and no law holds by that.
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
}

/// A step that waits `time_ns`, always.
pub(super) fn wait(time_ns: u64) -> StepJob {
    drawn(Step::Wait { time: Distribution::Fixed { time_ns } })
}

/// A step that waits `time_ns` under the shared lock.
pub(super) fn lock(time_ns: u64) -> StepJob {
    drawn(Step::Lock { hold: Work::Wait { time: Distribution::Fixed { time_ns } } })
}

/// A step that hands an item to one consumer, which waits `time_ns` for each.
pub(super) fn queue(time_ns: u64) -> StepJob {
    drawn(Step::Queue { capacity: 64, stage: Work::Wait { time: Distribution::Fixed { time_ns } } })
}

fn drawn(step: Step) -> StepJob {
    StepJob::drawn(step, 1, 1, 0)
}

fn calibrate(agent: &mut BareAgent, target: Target, budget_ns: u64) -> Result<Calibrated, LawError> {
    agent.calibrate(target, budget_ns).map_err(|fault| fault_of("calibration", fault))
}

fn fault_of(candidate: &str, fault: AgentError) -> LawError {
    match fault {
        AgentError::Failed(failure) => LawError::Failed { candidate: candidate.to_owned(), failure },
        AgentError::Interrupted => LawError::Interrupted,
    }
}

/// One agent with its candidate.
pub(super) struct Arm {
    agent: BareAgent,
    /// The candidate, as written.
    pub(super) candidate: String,
    /// Whether a global interpreter lock is in force where its tasks run.
    pub(super) gil: bool,
    job: Job,
    usable_cpus: u32,
    blocks: u32,
}

impl Arm {
    /// Runs one window under full load.
    pub(super) fn window(&mut self, window_ns: u64) -> Result<Block, LawError> {
        self.blocks += 1;
        let go = Go { block: self.blocks, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks: None };
        let block = self.agent.block(go).map_err(|fault| fault_of(&self.candidate, fault))?;
        Ok(block.counted_by_cpu(f64::from(self.usable_cpus), self.job.candidate.sizes.at_once()))
    }

    /// The rate of one window, per second.
    pub(super) fn rate(&mut self, window_ns: u64) -> Result<f64, LawError> {
        Ok(self.window(window_ns)?.throughput_per_s())
    }

    /// Whether one task at a time computes, however many are in flight.
    pub(super) fn computes_one_at_a_time(&self) -> bool {
        let engine = self.job.candidate.engine;
        match engine.model() {
            Model::Threads => self.gil,
            Model::Sequential => true,
            Model::Async => !engine.axes().workers,
            _ => false,
        }
    }

    /// Runs a batch of `tasks` tasks, and returns its makespan in nanoseconds.
    pub(super) fn makespan_ns(&mut self, tasks: u32) -> Result<f64, LawError> {
        let load = Load::Batch { tasks, max_in_flight: self.job.load.max_in_flight() };
        if self.job.load != load {
            self.job.load = load;
            self.agent.become_candidate(&self.job).map_err(|fault| fault_of(&self.candidate, fault))?;
        }
        Ok(self.window(0)?.window_ns as f64)
    }
}
