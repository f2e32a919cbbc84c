//! Sessions whose engines are computed: the loop of a real session over an agent pool that starts nothing, on a clock that only
//! starts, blocks and pauses move. For benchmarks of what a session finds, and how soon.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::error::AgentError;
use super::hang::Patience;
use super::moment::Moment;
use super::pool::{AgentPool, AgentSlot, Ask, Beginning, Measurement, Shutdown, Started};
use super::runner::{self, Runner};
use super::runtimes::{self, RuntimePlan};
use super::saving::Saver;
use super::{Event, Observer, Session, blank, pace, rules, runtime_names};
use crate::candidate::Candidate;
use crate::host::{Facts, FileSystem, ResourceLimits};
use crate::plan::{Entry, Plan, Settings};
use crate::protocol::{Block, BlockKind, HistogramData, Ready, Usage};
use crate::record::{MemorySample, Record};
use crate::workload::Workload;

/// What is simulated.
pub struct Simulation {
    /// The workload: what is compared, and whether an event loop can run it.
    pub workload: Workload,
    /// The budget and the seed.
    pub settings: Settings,
    /// The engines that race, with the sizes that may be tried.
    pub entries: Vec<Entry>,
    /// What preparation found of the cores.
    pub usable_cores: f64,
    /// Whether threads share a global interpreter lock.
    pub has_lock: bool,
    /// How long preparation took.
    pub prepared_ns: u64,
}

/// The engines of a simulation. A slot holds one agent at a time.
pub trait Engines {
    /// A new agent of this candidate.
    fn start(&mut self, slot: AgentSlot, candidate: &Candidate, now_ns: u64) -> StartCost;
    /// A block of the agent in this slot.
    fn block(&mut self, slot: AgentSlot, candidate: &Candidate, window_ns: u64, now_ns: u64) -> Ran;
}

/// What a start is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartCost {
    /// From the process's start until its first tasks are done.
    pub ready_ns: u64,
    /// The service time of its first task.
    pub first_task_ns: u64,
}

/// What a block is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ran {
    /// Tasks per second within the window.
    pub per_s: f64,
    /// The mean service time of a task.
    pub latency_ns: f64,
    /// CPU time of a task.
    pub cpu_ns: f64,
    /// Cores in use.
    pub cores: f64,
    /// Ramp and drain.
    pub outside_ns: u64,
    /// What passes before the block begins.
    pub gap_ns: u64,
}

/// Runs a session, and returns its record.
#[must_use]
pub fn run(simulation: &Simulation, engines: &mut dyn Engines) -> Record {
    let has_lock = simulation.has_lock;
    let mut pool = Computed { engines, now_ns: simulation.prepared_ns, agents: BTreeMap::new(), has_lock };
    over(simulation, runner::References::default(), &mut pool)
}

/// Runs a session over this pool, whose results are held against these references.
pub(super) fn over(simulation: &Simulation, references: runner::References, pool: &mut dyn AgentPool) -> Record {
    let plan = Plan { entries: simulation.entries.clone(), ..Plan::default() };
    let session = Session {
        workload: simulation.workload.clone(),
        settings: simulation.settings.clone(),
        host: host(),
        plan,
        agents: Vec::new(),
        clusters: Vec::new(),
        upload: Vec::new(),
        output: None,
        interrupted: Arc::new(AtomicBool::new(false)),
        duel: None,
    };
    let mut record = blank(&session);
    record.calibration.usable_cores = Some(simulation.usable_cores);
    let runtime_plan = |name: &str| RuntimePlan {
        name: name.to_owned(),
        entries: session.plan.entries.iter().filter(|entry| entry.runtime == name).cloned().collect(),
        has_lock: simulation.has_lock,
        ..RuntimePlan::default()
    };
    let runtime_plans: Vec<RuntimePlan> = runtime_names(&session.plan).into_iter().map(runtime_plan).collect();
    let rules_of_runner = runner::RunnerRules::new(pace(&session), references);
    let (mut saver, mut nobody) = (Saver::new(None), Nobody);
    let mut runner = Runner::new(pool, &mut nobody, &mut record, &mut saver, rules_of_runner);
    let terms = runtimes::Terms { rules: rules(&session), is_equal_work: false };
    record.ending = runtimes::run(&mut runner, &runtime_plans, &terms);
    record.elapsed_ns = pool.elapsed_ns();
    record
}

struct Nobody;

impl Observer for Nobody {
    fn observe(&mut self, _event: &Event<'_>) {}
}

struct Computed<'a> {
    engines: &'a mut dyn Engines,
    now_ns: u64,
    agents: BTreeMap<AgentSlot, Candidate>,
    has_lock: bool,
}

impl AgentPool for Computed<'_> {
    fn elapsed_ns(&self) -> u64 {
        self.now_ns
    }

    fn interrupted(&self) -> bool {
        false
    }

    fn idle(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn moment(&mut self) -> Moment {
        Moment { at_ns: self.now_ns, ..Moment::default() }
    }

    fn start(
        &mut self,
        slot: AgentSlot,
        candidate: &Candidate,
        _iterations: Option<&[u64]>,
        _beginning: Beginning,
        _patience: Patience,
    ) -> Result<Started, AgentError> {
        let StartCost { ready_ns, first_task_ns } = self.engines.start(slot, candidate, self.now_ns);
        self.now_ns += ready_ns;
        self.agents.insert(slot, candidate.clone());
        let gil = self.has_lock.then_some(true);
        Ok(Started {
            boot_ns: 0,
            beginning: Beginning::Cold,
            ready: Ready { ready_ns, startup_ns: ready_ns, first_task_ns, pids: Vec::new(), gil, library_threads: 0 },
        })
    }

    fn leave_turns(&mut self) {}

    fn block(&mut self, slot: AgentSlot, ask: Ask) -> Result<Measurement, AgentError> {
        let Some(candidate) = self.agents.get(&slot) else { return Err(AgentError::Interrupted) };
        let ran = self.engines.block(slot, candidate, ask.window_ns, self.now_ns);
        let at_ns = self.now_ns + ran.gap_ns;
        let elapsed_ns = ask.window_ns + ran.outside_ns;
        self.now_ns = at_ns + elapsed_ns;
        let tasks_in_window = ran.per_s * ask.window_ns as f64 / 1e9;
        let tasks = (ran.per_s * elapsed_ns as f64 / 1e9).ceil().max(1.0);
        let figures = Block {
            block: 0,
            kind: ask.kind,
            first_index: ask.first_index,
            tasks: tasks as u64,
            errors: 0,
            first_error: None,
            notes: Vec::new(),
            variants: Vec::new(),
            checksum: 0,
            window_ns: ask.window_ns,
            elapsed_ns,
            resume_ns: 0,
            tasks_in_window,
            window_cores: Some(ran.cores),
            service: HistogramData::default(),
            queueing: HistogramData::default(),
            busy_ns: (ran.latency_ns * tasks_in_window) as u64,
            usage: Usage { user_ns: (ran.cpu_ns * tasks) as u64, ..Usage::default() },
            longest_stall_ns: None,
            serialisation: None,
            results: Vec::new(),
        };
        let memory = (ask.kind == BlockKind::Memory).then(MemorySample::default);
        Ok(Measurement { at_ns, figures, memory, server_cpu_ns: None, run_delay_share: None, parked_cpu_share: 0.0 })
    }

    fn end(&mut self, slot: AgentSlot) -> Shutdown {
        self.agents.remove(&slot);
        Shutdown { teardown_ns: Some(0), ..Shutdown::default() }
    }

    fn kill(&mut self, slot: AgentSlot) {
        self.agents.remove(&slot);
    }
}

/// A host with two cores of which nothing is known.
fn host() -> Facts {
    let unknown = String::new;
    Facts {
        os: unknown(),
        kernel: unknown(),
        cpu: unknown(),
        cpus_online: 2,
        cpus_affinity: 2,
        cpu_quota: None,
        memory_total_bytes: 0,
        memory_available_bytes: 0,
        memory_limit_bytes: None,
        clock_source: None,
        governor: None,
        virtual_machine: None,
        load_average: 0.0,
        limits: ResourceLimits::default(),
        session_directory: FileSystem { path: unknown(), kind: unknown() },
    }
}
