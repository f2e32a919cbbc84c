//! The measuring seam: what the session's loop needs of agents. Live agents stand behind it, or a fake in tests.

use std::fmt;

use crate::candidate::Candidate;
use crate::protocol::{Block, BlockKind, Failed, LeftBehind, Ready};
use crate::record::MemorySample;

use super::error::AgentError;
use super::hang::Patience;
use super::moment::Moment;

/// What a block is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// Its kind.
    pub kind: BlockKind,
    /// The length of its window.
    pub window_ns: u64,
    /// The index of its first task.
    pub first_index: u64,
    /// The most tasks that it may run, where they are counted.
    pub most_tasks: Option<u64>,
    /// How long its answer is waited for.
    pub patience: Patience,
}

/// What a block gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measurement {
    /// From the session's start to `go`.
    pub at_ns: u64,
    /// The agent's figures.
    pub figures: Block,
    /// For memory blocks: the largest of the samples.
    pub memory: Option<MemorySample>,
    /// CPU time of the embedded server meanwhile.
    pub server_cpu_ns: Option<u64>,
    /// How long its threads waited for a CPU, as a share of the block, where there was a CPU for each of them.
    pub run_delay_share: Option<f64>,
    /// CPU that this life has used between its blocks, as a share of that time.
    pub parked_cpu_share: f64,
}

/// How a life begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// As a new process: what its start-up costs, and what memory it takes, is seen in these alone. So must a life
    /// begin whose environment has to be there before anything is imported.
    Cold,
    /// As a fork of a parent, where the runtime has one; else cold.
    Warm,
}

/// A new life.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Started {
    /// From the process's start, or the fork's, to `hello`.
    pub boot_ns: u64,
    /// How it really began.
    pub beginning: Beginning,
    /// The agent's answer to its job.
    pub ready: Ready,
}

/// How a life ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shutdown {
    /// How long it took to take the pool down; `None` if it did not end in peace.
    pub teardown_ns: Option<u64>,
    /// Processes that outlived it.
    pub leftover: u32,
    /// What its tasks began and did not end, as it says.
    pub left_behind: Vec<LeftBehind>,
    /// Why the user's own teardown failed.
    pub failed_teardown: Option<Failed>,
    /// Whether it did not end.
    pub hung: bool,
}

/// Where an agent is held, one at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentSlot {
    /// That of a candidate, by its index in the record.
    Candidate(usize),
    /// That of an engine that is tried before the race.
    Trial,
    /// Those of a sweep's two sides.
    Sweep(usize),
}

impl From<usize> for AgentSlot {
    fn from(candidate: usize) -> AgentSlot {
        AgentSlot::Candidate(candidate)
    }
}

impl fmt::Display for AgentSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AgentSlot::Candidate(index) => write!(f, "{index}"),
            AgentSlot::Trial => f.write_str("trial"),
            AgentSlot::Sweep(side) => write!(f, "sweep-{side}"),
        }
    }
}

/// Starts, runs and ends agents.
pub(super) trait AgentPool {
    /// Time since the session's start.
    fn elapsed_ns(&self) -> u64;
    /// Whether the user interrupted the session.
    fn interrupted(&self) -> bool;
    /// Leaves the machine idle.
    fn idle(&mut self, ns: u64);
    /// Reads the host's meters. No candidate runs meanwhile.
    fn moment(&mut self) -> Moment;
    /// Starts an agent in an empty slot and has it become `candidate`. `iterations` are those of each step's kernel,
    /// where they are not the workload's own; `patience` is how long it is waited for at most.
    fn start(
        &mut self,
        slot: AgentSlot,
        candidate: &Candidate,
        iterations: Option<&[u64]>,
        beginning: Beginning,
        patience: Patience,
    ) -> Result<Started, AgentError>;
    /// Agents that are started from now on have windows, although their jobs said that a block is one turn.
    fn leave_turns(&mut self);
    /// Runs one block of the agent in `slot`.
    fn block(&mut self, slot: AgentSlot, ask: Ask) -> Result<Measurement, AgentError>;
    /// Ends the agent in `slot` in peace, if it can be.
    fn end(&mut self, slot: AgentSlot) -> Shutdown;
    /// Kills the agent in `slot` and all that it started.
    fn kill(&mut self, slot: AgentSlot);
}

/// The share of CPU between blocks above which an agent does not count as parked.
pub(super) const PARKED_SHARE: f64 = 0.01;
