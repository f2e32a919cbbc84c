//! The record: all that a session measured, as it is stored. Versioned JSON with a published schema.
//!
//! A verdict is a function of a record alone, so a stored record gives the same verdict as a live one.

mod contents;
#[doc(hidden)]
pub mod duel;
mod score;
mod store;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::FailureKind;

#[doc(hidden)]
pub use contents::contents;
#[doc(hidden)]
pub use score::{FailedTasks, figures, observation, score};
#[doc(hidden)]
pub use store::{Document, Recording, StoreError, directory, read, take_beside, target, write};

// What a record is made of, with it.
#[doc(inline)]
pub use crate::candidate::{Candidate, Cluster, StartMethod};
#[doc(inline)]
pub use crate::decide::Rules;
#[doc(inline)]
pub use crate::host::Facts;
#[doc(inline)]
pub use crate::plan::{Entry, LeftOut, Plan, Settings};
#[doc(inline)]
pub use crate::protocol::{Block, Failed, Hello, LeftBehind, LibraryThreads, ModuleState, Note, Opened, Serialisation};
#[doc(inline)]
pub use crate::workload::Workload;

/// The version of the record's format. A file with another one is refused, with a word.
pub const FORMAT_VERSION: u32 = 4;

/// All that one session measured for one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// The version of `conbench` that measured.
    pub conbench_version: String,
    /// When the session began, RFC 3339 in UTC.
    pub began_at: String,
    /// How long it took.
    pub elapsed_ns: u64,
    /// How it ended.
    pub ending: Ending,
    /// The host.
    pub host: Facts,
    /// What the user asked for.
    pub settings: Settings,
    /// The workload.
    pub workload: Workload,
    /// What was planned.
    pub plan: Plan,
    /// What was measured before the first round.
    pub calibration: Calibration,
    /// What was measured; in the order in which the candidates entered the race.
    pub candidates: Vec<CandidateRecord>,
    /// Rounds, in their order.
    pub rounds: Vec<Round>,
    /// The races, one a runtime, with what an answer is found from beside the blocks.
    pub races: Vec<RaceRecord>,
    /// Who went out of a race, in their order.
    pub exits: Vec<Exit>,
    /// How the answer changes with the task, where that was measured.
    pub sweeps: Vec<Sweep>,
    /// What disturbed the session, from outside evidence.
    pub disturbance: Disturbance,
    /// CPU time of telling and drawing progress, between blocks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub progress_cpu_ns: Option<u64>,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// How a session ended: of the races of several runtimes, the worst end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is not at its end yet.
    Running,
    /// The race was decided.
    Decided,
    /// The budget was spent before the race was decided.
    BudgetSpent,
    /// The tasks that `max_calls` allows were spent before the race was decided.
    CallsSpent,
    /// A signal ended it.
    Interrupted,
    /// Nothing was left to race, under any runtime.
    NoCandidate,
}

/// What was measured before the first round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Calibration {
    /// What as many independent loops as usable CPUs really got, in cores.
    pub usable_cores: Option<f64>,
    /// What was learnt of each runtime, in the order of the plan.
    pub runtimes: Vec<RuntimeCalibration>,
}

impl Calibration {
    /// What was learnt of the runtime of this name.
    #[must_use]
    pub fn runtime(&self, name: &str) -> Option<&RuntimeCalibration> {
        self.runtimes.iter().find(|runtime| runtime.name == name)
    }

    /// Memory of an idle agent of the runtime of this name, 0 where it is not known.
    #[must_use]
    pub fn baseline_bytes(&self, name: &str) -> u64 {
        self.runtime(name).and_then(|runtime| runtime.baseline_memory_bytes).unwrap_or(0)
    }
}

/// What was measured of one runtime before its first round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeCalibration {
    /// The runtime.
    pub name: String,
    /// Its agent's words about itself.
    pub hello: Hello,
    /// For each step: iterations of its kernel, 1 where there is none. The same for all runtimes of one
    /// language.
    pub iterations: Vec<u64>,
    /// For each step: the unloaded time of one iteration, where it was calibrated.
    pub iteration_ns: Vec<Option<f64>>,
    /// Whether checksums and results are compared; off when the reference disagreed with itself.
    pub checked: bool,
    /// Memory of an agent that holds a no-op candidate.
    pub baseline_memory_bytes: Option<u64>,
    /// What was found while the user's own code ran.
    pub notes: Vec<Note>,
    /// What it takes to pickle the user's callables, items and results, once each.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serialisation: Option<Serialisation>,
    /// What the user's own code holds open; `None` where that is nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opened: Option<Opened>,
    /// What the user's own code uses of its modules that each process has its own of.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub module_state: Vec<ModuleState>,
    /// Whether a call of what the user's own code names as its items gave them.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub items_are_called: bool,
    /// The names of the function's module that the expression uses which gives the items.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items_names: Vec<String>,
    /// Whether items are mappings that are spread over parameters by their names.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub items_are_mappings: bool,
    /// The threads that libraries computed with while the user's own code ran, where they started some.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<LibraryThreads>,
    /// The cluster that takes part under it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<Cluster>,
}

impl RuntimeCalibration {
    /// What a first call takes and a second one on the same item, where the user's own code keeps what it found.
    #[must_use]
    pub fn cached_ns(&self) -> Option<(u64, u64)> {
        self.notes.iter().find_map(|note| match *note {
            Note::SecondPassFaster { first_ns, second_ns } => Some((first_ns, second_ns)),
            _ => None,
        })
    }

    /// The start method that the user's own code sets when it is imported.
    #[must_use]
    pub fn own_start_method(&self) -> Option<StartMethod> {
        self.notes.iter().find_map(|note| match note {
            Note::SetsStartMethod { method } => Some(*method),
            _ => None,
        })
    }

    /// How processes can begin: first as they do where nothing is said.
    #[must_use]
    pub fn start_methods(&self) -> Vec<StartMethod> {
        let own = self.own_start_method();
        let others = self.hello.start_methods.iter().copied().filter(|method| own != Some(*method));
        own.into_iter().chain(others).collect()
    }
}

#[cfg(test)]
impl RuntimeCalibration {
    /// The native runtime's, of a workload of one step.
    pub(crate) fn of_native() -> RuntimeCalibration {
        RuntimeCalibration {
            name: crate::candidate::RUST.to_owned(),
            hello: Hello {
                protocol: crate::protocol::PROTOCOL,
                language: crate::candidate::RUST.to_owned(),
                version: "0.1.0".to_owned(),
                implementation: None,
                executable: None,
                gil: None,
                free_threaded: None,
                engines: Vec::new(),
                absent: Vec::new(),
                start_methods: Vec::new(),
                event_loops: Vec::new(),
                clock_resolution_ns: 1,
                clock_cost_ns: 24.0,
            },
            iterations: vec![1],
            iteration_ns: vec![None],
            checked: true,
            baseline_memory_bytes: None,
            notes: Vec::new(),
            serialisation: None,
            opened: None,
            module_state: Vec::new(),
            items_are_called: false,
            items_names: Vec::new(),
            items_are_mappings: false,
            library_threads: None,
            cluster: None,
        }
    }
}

/// One candidate in the race.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CandidateRecord {
    /// The candidate.
    pub candidate: Candidate,
    /// Its lives, in their order.
    #[serde(alias = "incarnations")]
    pub lives: Vec<Life>,
    /// Its blocks, of all lives, in their order.
    pub blocks: Vec<BlockRecord>,
    /// Why it went out of the race, if it failed.
    pub failure: Option<Failed>,
}

/// One life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Life {
    /// From the process's start to `hello`; of a warm life, from the fork.
    pub boot_ns: u64,
    /// From `job` until all workers are ready for tasks: started, everything imported, all set up. It is honest of lives
    /// that began cold. With the start of the cluster, where the session started it for the candidate.
    #[serde(default)]
    pub ready_ns: u64,
    /// From `job` to the first task done, with that start.
    pub startup_ns: u64,
    /// The service time of the first task.
    pub first_task_ns: u64,
    /// How long it took to take the pool down; `None` if it did not end in peace.
    pub teardown_ns: Option<u64>,
    /// The most CPU that it used while parked, as a share of the parked time.
    pub parked_cpu_share: f64,
    /// Whether a global interpreter lock was in force where its tasks ran, after all imports.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gil: Option<bool>,
    /// Whether it began as a fork of an agent that had no job yet.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub warm: bool,
    /// Threads that libraries had started in it by the time of its first tasks.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub library_threads: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A block with its place in the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockRecord {
    /// The round; an index into `rounds`. `None` for memory and verify blocks.
    pub round: Option<u32>,
    /// The life; an index into the candidate's.
    #[serde(alias = "incarnation")]
    pub life: u32,
    /// From the session's start to `go`.
    pub at_ns: u64,
    /// CPU time of the embedded server during the block.
    pub server_cpu_ns: Option<u64>,
    /// What memory the process tree had, for memory blocks.
    pub memory: Option<MemorySample>,
    /// The agent's figures.
    #[serde(flatten)]
    pub figures: Block,
}

/// Memory of a process tree, the largest of the samples of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemorySample {
    /// Proportional share of anonymous and shared memory (`Pss_Anon` + `Pss_Shmem`).
    pub memory_bytes: u64,
    /// Proportional share of file pages (`Pss_File`).
    pub file_pages_bytes: u64,
    /// Processes in the tree.
    pub processes: u32,
}

/// One round: a block of every candidate still in the race, in a shuffled order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// The candidates (indices) in the order in which they ran.
    pub order: Vec<u32>,
    /// What the round was for.
    pub phase: Phase,
    /// What was seen of the host while it ran.
    pub conditions: Conditions,
    /// What of that is beyond its bounds.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub flags: Vec<Flag>,
    /// Whether nothing is concluded from it, since it was disturbed and repeated whole.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub voided: bool,
}

impl Round {
    /// A round of this phase that has not begun.
    #[must_use]
    pub fn of(phase: Phase) -> Round {
        Round { order: Vec::new(), phase, conditions: Conditions::default(), flags: Vec::new(), voided: false }
    }
}

/// What was seen of the host during one round, from outside the candidates; `None` is what was not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conditions {
    /// Time that the hypervisor took, as a share of all CPU time.
    pub steal_share: Option<f64>,
    /// CPU time of processes that do not belong to the session, as a share of all CPU time.
    pub others_share: Option<f64>,
    /// How long runnable threads of candidates with no more threads than cores waited for a CPU, as a share of
    /// their blocks' time: the largest of the round's blocks.
    pub run_delay_share: Option<f64>,
    /// The time of a fixed computation after the round over that before it.
    pub drift: Option<f64>,
}

/// What disturbed a round, beyond the bound of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "flag", rename_all = "snake_case")]
pub enum Flag {
    /// The hypervisor took this share of all CPU time.
    Steal {
        /// The share.
        share: f64,
    },
    /// Processes that do not belong to the session took this share of all CPU time.
    Others {
        /// The share.
        share: f64,
    },
    /// Runnable threads waited for a CPU, though there was one for each.
    RunDelay {
        /// Their wait as a share of the block.
        share: f64,
    },
    /// The same computation took another time after the round than before it.
    Drift {
        /// The later time over the earlier.
        ratio: f64,
    },
}

/// A race among the candidates of one runtime. With its blocks and its exits, in their order, it gives the answer
/// again that the session gave, as long as the rules are the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RaceRecord {
    /// The runtime.
    pub runtime: String,
    /// The version of the rules by which the answer was found.
    pub rules_version: u32,
    /// What the race was told.
    pub rules: Rules,
    /// The engines that raced: those of the plan that could run.
    pub entries: Vec<Entry>,
    /// The same engines under another way to begin processes: they race in the place of those of the entries where one of
    /// these hangs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub alternates: Vec<Entry>,
    /// The place of its first candidate in the record.
    pub first_candidate: u32,
    /// When the answer was found anew, in their order.
    pub looks: Vec<Look>,
    /// How it ended.
    pub ending: Ending,
}

/// The answer at some moment of a race.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// The round after which it was found; an index into `rounds`.
    pub round: u32,
    /// When, on the clock of what is spent.
    pub elapsed_ns: u64,
    /// What was named; an index into the record's candidates. `None` before anything could be compared.
    pub named: Option<u32>,
    /// What it might cost at most, with 95 % confidence, as a ratio: 0.03 is 3 %.
    pub may_cost: Option<f64>,
    /// How many candidates had been measured.
    pub tried: u32,
}

/// A candidate that went out of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// The round in which it did: an index into `rounds`.
    pub round: u32,
    /// The candidate: an index into the record's.
    pub candidate: u32,
    /// Why.
    pub reason: ExitReason,
}

/// Why a candidate went out of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// It broke a limit of the objective.
    Infeasible,
    /// It failed.
    Failed,
    /// It failed, and its engine would at every size.
    Faulty,
}

/// How two candidates compare as the task changes: paired blocks at several points of one axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sweep {
    /// What changes.
    pub axis: SweepAxis,
    /// The candidate that was recommended; an index into the record's.
    pub left: u32,
    /// Its strongest rival of another model.
    pub right: u32,
    /// The points, ascending.
    pub points: Vec<SweepPoint>,
}

/// What a sweep changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SweepAxis {
    /// The computation of a task.
    TaskCpu,
}

/// One point of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SweepPoint {
    /// How many times the workload's own computation a task does.
    pub factor: f64,
    /// CPU time of a task, the smaller of the two candidates'.
    pub task_cpu_ns: f64,
    /// The objective of `left` over that of `right`, paired.
    pub ratio: f64,
    /// The lower end of its 90 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding the answer of one runtime.
    Race,
    /// Comparing what is named in each runtime.
    Runtimes,
    /// Comparing two versions.
    Duel,
}

/// What disturbed a session, seen from outside the candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disturbance {
    /// Time that the hypervisor took, as a share of all CPU time.
    pub steal_share: Option<f64>,
    /// CPU time of processes that do not belong to the session, as a share of all CPU time.
    pub others_share: Option<f64>,
    /// How often the session's cgroup was throttled.
    pub throttled_periods: Option<u64>,
    /// Share of time in which some task waited for a CPU (pressure stall information).
    pub cpu_pressure_share: Option<f64>,
}

/// Something that the user should know about a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "warning", rename_all = "snake_case")]
pub enum Warning {
    /// A candidate used CPU between its blocks and was stopped (SIGSTOP) from then on.
    NotParked {
        /// The candidate.
        candidate: Candidate,
        /// CPU time used as a share of the parked time.
        share: f64,
    },
    /// Checksums are not compared: two references differ, or none could be made.
    Unchecked {
        /// Why, and what to do next.
        message: String,
    },
    /// `file` steps ran on a file system in memory.
    FilesInMemory {
        /// The file system's type.
        kind: String,
    },
    /// Agents did not answer.
    Hung {
        /// What of their cost is no part of the budget, ns.
        lost_ns: u64,
    },
    /// A block could be only a few tasks long.
    LongTasks {
        /// The candidate.
        candidate: Candidate,
        /// The service time of a task.
        task_ns: u64,
    },
    /// Processes of a candidate outlived it and were killed.
    Leftover {
        /// The candidate.
        candidate: Candidate,
        /// How many.
        processes: u32,
    },
    /// Tasks of a candidate began what they did not end: threads, tasks of an event loop, processes.
    LeftBehind {
        /// The candidate.
        candidate: Candidate,
        /// What, by name.
        left_behind: Vec<LeftBehind>,
    },
    /// The user's own teardown failed when a candidate ended; its figures were taken before.
    FailedTeardown {
        /// The candidate.
        candidate: Candidate,
        /// Why.
        failure: Failed,
    },
    /// A runtime that was built to run without a global interpreter lock has it in force: an import turned
    /// it on again.
    GilEnabled {
        /// The runtime.
        runtime: String,
    },
    /// No agent lived beside another from then on: each block began a life.
    Exclusive {
        /// Who failed beside others that were parked, and worked alone.
        candidate: Candidate,
        /// How it failed.
        failure: Failed,
    },
    /// What is about to be named runs few tasks that take far longer than those that its blocks saw.
    FewLong {
        /// The candidate.
        candidate: Candidate,
        /// What was found.
        #[serde(flatten)]
        found: FewLong,
    },
    /// A candidate hangs alone, though its engine runs with fewer in flight: it waits for something that tasks share. No
    /// agent lived beside another from then on.
    Scarce {
        /// The candidate.
        candidate: Candidate,
        /// How it failed.
        failure: Failed,
    },
    /// What failed under one way to begin processes worked under another, which all engines of the runtime then had.
    Replaced {
        /// Who failed.
        candidate: Candidate,
        /// The way that worked.
        by: StartMethod,
        /// How it failed.
        failure: Failed,
    },
    /// What an agent found while it ran the user's own code.
    Found {
        /// The runtime.
        runtime: String,
        /// What.
        note: Note,
    },
    /// Something else.
    Other {
        /// What was seen, and what to do next.
        message: String,
    },
}

/// Few tasks that hold most of the time, seen when many ran at once, and hardly by blocks, which are shorter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FewLong {
    /// How many tasks ran.
    pub tasks: u64,
    /// How many of them took long.
    pub long: u64,
    /// The share of the time of all that these hold.
    pub share: f64,
    /// What the longest took.
    pub longest_ns: u64,
    /// From the first task's begin to the last one's end.
    pub elapsed_ns: u64,
}

impl Record {
    /// The round that a block ran in; `None` of one outside all rounds.
    #[must_use]
    pub fn round_of(&self, block: &BlockRecord) -> Option<&Round> {
        self.rounds.get(block.round? as usize)
    }

    /// Whether a block ran in a round that was voided: nothing is concluded from it.
    #[must_use]
    pub fn is_voided(&self, block: &BlockRecord) -> bool {
        self.round_of(block).is_some_and(|round| round.voided)
    }

    /// The record without the blocks of rounds that were voided, from which nothing is concluded. The rounds stay, so
    /// that their places do.
    #[must_use]
    pub fn counted(&self) -> Cow<'_, Record> {
        if !self.rounds.iter().any(|round| round.voided) {
            return Cow::Borrowed(self);
        }
        let mut counted = self.clone();
        for candidate in &mut counted.candidates {
            candidate.blocks.retain(|block| !self.is_voided(block));
        }
        Cow::Owned(counted)
    }

    /// The few long tasks that blocks of this runtime missed.
    #[must_use]
    pub fn few_long(&self, runtime: &str) -> Option<FewLong> {
        self.warnings.iter().find_map(|warning| match warning {
            Warning::FewLong { candidate, found } if candidate.runtime == runtime => Some(*found),
            _ => None,
        })
    }

    /// Whether the user's code has the kernel reap its children, so that the CPU time of those that ended is not known.
    #[must_use]
    pub fn leaves_children_uncounted(&self) -> bool {
        let is_it = |warning: &Warning| matches!(warning, Warning::Found { note: Note::ChildrenUncounted {}, .. });
        self.warnings.iter().any(is_it)
    }

    /// Whether a teardown of the user's does not end, so that none is run.
    #[must_use]
    pub fn tears_down_endlessly(&self) -> bool {
        let is_it = |warning: &Warning| matches!(warning, Warning::Found { note: Note::EndlessTeardown { .. }, .. });
        self.warnings.iter().any(is_it)
    }

    /// What is not there of what the workload names, if that is why every candidate failed.
    #[must_use]
    pub fn misnamed(&self) -> Option<&Failed> {
        let mut failures = self.candidates.iter().map(|candidate| candidate.failure.as_ref());
        let first = failures.next()??;
        let is_name = |failure: Option<&Failed>| failure.is_some_and(|failure| failure.kind == FailureKind::Name);
        (is_name(Some(first)) && failures.all(is_name)).then_some(first)
    }

    /// The combinations left out of the plan.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.plan.left_out
    }
}
