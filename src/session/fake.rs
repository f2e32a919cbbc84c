//! A pool of agents without processes and clocks, for the tests of what leads it.

use std::collections::{HashMap, VecDeque};

use super::blocks::BlockPace;
use super::error::AgentError;
use super::hang::Patience;
use super::moment::Moment;
use super::pool::{AgentPool, AgentSlot, Ask, Beginning, Measurement, Shutdown, Started};
use super::{Event, Observer};
use crate::candidate::Candidate;
use crate::decide::Rules;
use crate::host::{Facts, FileSystem, ResourceLimits};
use crate::plan::{Plan, Settings};
use crate::protocol::{
    Block, BlockKind, Failed, FailureKind, HistogramData, LeftBehind, Ready, Reference, Usage, VARIANTS,
};
use crate::record::{Calibration, Disturbance, Ending, Record};
use crate::workload::{Cpu, Goal, Kernel, Limits, Load, Objective, Payload, Step, Workload};

const MS: u64 = 1_000_000;
/// The budget of a session with fake agents.
pub(super) const BUDGET_NS: u64 = 20_000 * MS;

/// How long an agent that hangs is waited for.
pub(super) const HANG_NS: u64 = 10_000 * MS;

/// What a fake agent does wrong.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Vice {
    Lies,
    /// A tenth of its tasks fail.
    Errs,
    Dies,
    Hangs,
    /// Its first round's window passes without a task.
    Pauses,
    /// Its tasks take a hundredth of what the block before lets expect.
    Speeds,
    Burns,
    Leaves,
    /// Its tasks queue for something: in each block of a life they take twice as long as before, up to eight times.
    Queues,
    /// It fails while another agent lives.
    Crowded,
    /// It hangs while another agent lives.
    Starves,
}

#[derive(Default)]
pub(super) struct Fake {
    pub now_ns: u64,
    pub alive: Vec<AgentSlot>,
    pub log: Vec<String>,
    pub vices: Vec<(AgentSlot, Vice)>,
    /// Timed blocks after which the user interrupts.
    pub interrupt_after: Option<usize>,
    pub timed: usize,
    /// Tasks of all blocks.
    pub tasks: u64,
    /// Candidates whose names begin like this fail in their set-up.
    pub fails: Vec<(&'static str, Failed)>,
    /// Candidates whose names begin like this give this as their results.
    pub results: Vec<(&'static str, Vec<u64>)>,
    /// Tasks that a candidate runs in a millisecond; without it, as many as its slot's number.
    pub rate: Option<fn(&Candidate) -> f64>,
    /// How long each start takes.
    pub start_ns: u64,
    /// How long a first task takes; 0 is a millisecond.
    pub first_task_ns: u64,
    pub gil: Option<bool>,
    pub windows: Vec<u64>,
    pub candidates: HashMap<AgentSlot, Candidate>,
    /// The iterations of agents that were not started with the workload's own.
    pub scaled: Vec<(AgentSlot, Vec<u64>)>,
    /// Whether the hypervisor took half of the time before each reading of the meters; then it rests.
    pub stolen: VecDeque<bool>,
    /// What a turn of tasks takes that are not as long as they seemed, until turns are left.
    pub turn_ns: Option<u64>,
    /// Whether its agents can begin warm.
    pub forks: bool,
    /// The slots of those that did.
    pub warm: Vec<AgentSlot>,
    /// The last reading.
    pub shown: Moment,
}

impl Fake {
    fn results_of(&self, slot: AgentSlot, first: u64, tasks: u64) -> Option<Vec<u64>> {
        let name = self.candidates[&slot].to_string();
        let (_, results) = self.results.iter().find(|(start, _)| name.starts_with(start))?;
        Some(results.iter().copied().skip(first as usize).take(tasks as usize).collect())
    }

    /// What a task takes in the block that was logged last.
    fn task_ns(&self, slot: AgentSlot) -> u64 {
        let begun = format!("start {slot}");
        let timed = format!("timed {slot} ");
        let blocks = self.log.iter().rev().take_while(|line| **line != begun).filter(|line| line.starts_with(&timed));
        if self.has(slot, Vice::Queues) { MS << blocks.count().min(3) } else { MS }
    }

    fn has(&self, slot: AgentSlot, vice: Vice) -> bool {
        self.vices.contains(&(slot, vice))
    }
}

/// Every task takes a millisecond; one candidate's workers run side by side.
impl AgentPool for Fake {
    fn elapsed_ns(&self) -> u64 {
        self.now_ns
    }

    fn interrupted(&self) -> bool {
        self.interrupt_after.is_some_and(|after| self.timed >= after)
    }

    fn idle(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn moment(&mut self) -> Moment {
        // So many CPUs that any time is enough to be judged.
        const CPUS: u64 = 100;
        let mut machine = self.shown.machine.unwrap_or_default();
        let took_ns = CPUS * (self.now_ns - self.shown.at_ns);
        machine.total_ns += took_ns;
        if self.stolen.pop_front() == Some(true) {
            machine.steal_ns += took_ns / 2;
        }
        self.shown = Moment { at_ns: self.now_ns, machine: Some(machine), ..Moment::default() };
        self.shown
    }

    fn start(
        &mut self,
        slot: AgentSlot,
        candidate: &Candidate,
        iterations: Option<&[u64]>,
        beginning: Beginning,
        _patience: Patience,
    ) -> Result<Started, AgentError> {
        assert!(!self.alive.contains(&slot), "one agent a slot");
        if let Some((_, failed)) = self.fails.iter().find(|(name, _)| candidate.to_string().starts_with(name)) {
            return Err(AgentError::Failed(failed.clone()));
        }
        self.now_ns += self.start_ns;
        self.candidates.insert(slot, candidate.clone());
        self.alive.push(slot);
        self.log.push(format!("start {slot}"));
        self.scaled.extend(iterations.map(|iterations| (slot, iterations.to_vec())));
        let first_task_ns = if self.first_task_ns == 0 { MS } else { self.first_task_ns };
        let beginning = if self.forks { beginning } else { Beginning::Cold };
        self.warm.extend((beginning == Beginning::Warm).then_some(slot));
        let startup_ns = 2 * MS + self.start_ns;
        let ready = Ready { ready_ns: MS, startup_ns, first_task_ns, pids: vec![1], gil: self.gil, library_threads: 0 };
        Ok(Started { boot_ns: MS, beginning, ready })
    }

    fn leave_turns(&mut self) {
        self.turn_ns = None;
        self.log.push("leave turns".to_owned());
    }

    fn block(&mut self, slot: AgentSlot, ask: Ask) -> Result<Measurement, AgentError> {
        assert!(self.alive.contains(&slot), "a block of a living agent");
        if self.interrupted() {
            return Err(AgentError::Interrupted);
        }
        self.log.push(format!("{:?} {slot} from {}", ask.kind, ask.first_index).to_lowercase());
        if ask.kind == BlockKind::Timed {
            self.timed += 1;
            if self.has(slot, Vice::Crowded) && self.alive.len() > 1 {
                return Err(AgentError::new(FailureKind::Task, "no connection is free".to_owned()));
            }
            if self.has(slot, Vice::Dies) {
                return Err(AgentError::new(FailureKind::Agent, "the agent ended with signal 9".to_owned()));
            }
        }
        if self.has(slot, Vice::Hangs) || (self.has(slot, Vice::Starves) && self.alive.len() > 1) {
            self.now_ns += HANG_NS;
            return Err(AgentError::new(FailureKind::Hang, "no answer".to_owned()));
        }
        let at_ns = self.now_ns;
        let paused = self.has(slot, Vice::Pauses) && self.timed == 2;
        self.windows.push(ask.window_ns);
        let number = if let AgentSlot::Candidate(index) = slot { index } else { 0 };
        let rate = self.rate.map_or(number as f64 + 1.0, |rate| rate(&self.candidates[&slot]));
        let tasks = if paused { 0 } else { ((ask.window_ns / MS) as f64 * rate) as u64 };
        let tasks = if ask.kind == BlockKind::Verify { u64::MAX } else { tasks };
        let tasks = if self.has(slot, Vice::Speeds) { tasks * 100 } else { tasks };
        let tasks = tasks.min(ask.most_tasks.unwrap_or(u64::MAX));
        self.tasks += tasks;
        self.now_ns += ask.window_ns.max(MS);
        let errs = self.has(slot, Vice::Errs);
        let figures = Block {
            block: 0,
            kind: ask.kind,
            first_index: ask.first_index,
            tasks,
            errors: if errs { tasks / 10 } else { 0 },
            first_error: errs.then(|| Failed::new(FailureKind::Task, "no such page", "step 1 (http)")),
            notes: Vec::new(),
            variants: Vec::new(),
            checksum: reference().expected(ask.first_index, tasks) + u64::from(self.has(slot, Vice::Lies)),
            window_ns: ask.window_ns,
            elapsed_ns: self.turn_ns.unwrap_or(ask.window_ns),
            resume_ns: 1000,
            tasks_in_window: tasks as f64,
            window_cores: None,
            service: HistogramData::default(),
            queueing: HistogramData::default(),
            busy_ns: tasks * self.task_ns(slot),
            usage: Usage { user_ns: tasks * MS, ..Usage::default() },
            longest_stall_ns: None,
            serialisation: None,
            results: self
                .results_of(slot, ask.first_index, tasks)
                .filter(|_| ask.kind == BlockKind::Verify)
                .unwrap_or_default(),
        };
        let parked_cpu_share = if self.has(slot, Vice::Burns) { 0.5 } else { 0.001 };
        Ok(Measurement { at_ns, figures, memory: None, server_cpu_ns: None, run_delay_share: None, parked_cpu_share })
    }

    fn end(&mut self, slot: AgentSlot) -> Shutdown {
        self.alive.retain(|alive| *alive != slot);
        self.log.push(format!("end {slot}"));
        let left = LeftBehind { kind: "thread".to_owned(), name: "poller".to_owned(), count: 2 };
        let leaves = self.has(slot, Vice::Leaves);
        let left_behind = if leaves { vec![left] } else { Vec::new() };
        Shutdown { teardown_ns: Some(5), leftover: u32::from(leaves), left_behind, ..Shutdown::default() }
    }

    fn kill(&mut self, slot: AgentSlot) {
        self.alive.retain(|alive| *alive != slot);
        self.log.push(format!("kill {slot}"));
    }
}

/// The rules of a race of the fake agents, whose tasks compute on two cores.
pub(super) fn rules() -> Rules {
    Rules {
        tolerance: 0.05,
        deadline_ns: BUDGET_NS,
        budget_ns: BUDGET_NS,
        seed: 1,
        is_renewed: false,
        cores: 2.0,
        has_lock: false,
        library_threads: None,
        is_async: true,
        blocks_loops: false,
        may_share: false,
        is_throughput: true,
        serial_ns: 0.0,
        tasks: None,
        is_batch: false,
        has_setup: false,
        rate_per_s: None,
        cluster: None,
        turns: None,
    }
}

/// The pace of a session of this record, whose tasks may take long.
pub(super) fn pace(record: &Record) -> BlockPace {
    BlockPace {
        budget_ns: BUDGET_NS,
        quota_period_ns: None,
        task_timeout_ns: 30_000 * MS,
        load: record.workload.load,
        goal: record.workload.objective.goal,
        rate: record.workload.rate,
        turns: None,
        shortest_ns: crate::session::blocks::SHORTEST_NS,
    }
}

/// What tasks of the fake agents come to.
pub(super) fn reference() -> Reference {
    let tables = vec![(0..VARIANTS).map(|variant| variant * 31 + 7).collect()];
    Reference { tables, ..Reference::default() }
}

/// An empty record of a session with fake agents.
pub(super) fn record(max_calls: Option<u64>, goal: Goal) -> Record {
    let load = Load::Closed { max_in_flight: 64 };
    Record {
        conbench_version: String::new(),
        began_at: String::new(),
        elapsed_ns: 0,
        ending: Ending::Running,
        host: Facts {
            os: String::new(),
            kernel: String::new(),
            cpu: String::new(),
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
            session_directory: FileSystem { path: String::new(), kind: String::new() },
        },
        settings: Settings { budget_ns: BUDGET_NS, sweeps: true, ..Settings::default() },
        workload: Workload {
            name: "test".to_owned(),
            use_case: String::new(),
            description: String::new(),
            load,
            tasks: None,
            steps: vec![Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 64, time_ns: None })],
            payload: Payload::default(),
            objective: Objective { goal, tolerance: None, limits: Limits::default() },
            task_timeout_ns: 30_000 * MS,
            max_calls,
            resources: Default::default(),
            engines: Vec::new(),
            rate: None,
        },
        plan: Plan::default(),
        calibration: Calibration::default(),
        candidates: Vec::new(),
        rounds: Vec::new(),
        races: Vec::new(),
        exits: Vec::new(),
        sweeps: Vec::new(),
        disturbance: Disturbance::default(),
        progress_cpu_ns: None,
        warnings: Vec::new(),
    }
}

/// Notes what it is told.
#[derive(Default)]
pub(super) struct Notes(pub Vec<String>);

impl Observer for Notes {
    fn observe(&mut self, event: &Event<'_>) {
        self.0.push(match event {
            // There is one a block, which the record has.
            Event::BetweenBlocks { .. } => return,
            Event::Round { number, candidates, .. } => format!("round {number} of {candidates}"),
            Event::Failed { candidate, failure } => format!("{candidate} failed: {:?}", failure.kind),
            Event::Warning(_) => "warning".to_owned(),
            other => format!("{other:?}"),
        });
    }
}
