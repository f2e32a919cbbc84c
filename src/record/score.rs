//! What a block says of the objective.

use super::{BlockRecord, CandidateRecord, ExitReason};
use crate::candidate::Engine;
use crate::decide::duel::Figures;
use crate::decide::{Observation, TurnOutcome, of_all_tasks};
use crate::protocol::{Block, BlockKind, Failed, FailureKind};
use crate::workload::Goal;

/// Of fewer samples a block says nothing of the 99th percentile. Windows hold a few more, if they can.
const LEAST_OF_A_TAIL: u64 = 50;
/// Memory below this is compared as this: the sampling knows no less.
const PAGE_BYTES: u64 = 4096;

/// The natural logarithm of the objective in one timed block, more is better: the one figure that candidates are
/// compared by. Without a task in the window it is minus infinity. `memory_bytes` is what the block's life of the agent
/// took, without the baseline; without it, memory says nothing, and so does a 99th percentile of few samples.
#[must_use]
pub fn score(goal: Goal, block: &Block, memory_bytes: Option<u64>) -> Option<f64> {
    let score = match goal {
        Goal::Throughput => block.throughput_per_s().ln(),
        Goal::CpuPerTask if block.tasks > 0 => -(block.usage.cpu_ns().max(1) as f64 / block.tasks as f64).ln(),
        Goal::CpuPerTask => f64::NEG_INFINITY,
        Goal::P99 => {
            let service = block.service.decode().ok().filter(|service| service.len() >= LEAST_OF_A_TAIL)?;
            -(service.value_at_quantile(0.99).max(1) as f64).ln()
        }
        Goal::Memory => -(memory_bytes?.max(PAGE_BYTES) as f64).ln(),
    };
    Some(if score.is_nan() { f64::NEG_INFINITY } else { score })
}

/// What one timed block says of its candidate; `None` where [`score`] says nothing.
///
/// Where it is known how many `tasks` the user has, throughput is that of all of them from the candidate's start on: each
/// block counts with the start-up of its own life.
#[must_use]
pub fn observation(
    goal: Goal,
    candidate: &CandidateRecord,
    block: &BlockRecord,
    memory_bytes: Option<u64>,
    tasks: Option<u32>,
) -> Option<Observation> {
    let figures = &block.figures;
    let life = candidate.lives.get(block.life as usize);
    let ready_ns = life.map_or(0.0, |life| life.ready_ns as f64);
    let score = score(goal, figures, memory_bytes)?;
    let of_all = tasks.filter(|_| goal == Goal::Throughput);
    Some(Observation {
        life: block.life,
        score: of_all.map_or(score, |tasks| of_all_tasks(score, f64::from(tasks), ready_ns)),
        ready_ns,
        latency_ns: figures.busy_ns as f64 / figures.tasks_in_window,
        median_ns: figures.service.decode().map_or(0.0, |service| service.value_at_quantile(0.5) as f64),
        cpu_ns: figures.usage.cpu_ns() as f64 / figures.tasks as f64,
        children_ns: figures.usage.children_ns as f64 / figures.tasks as f64,
        cores: figures.window_cores.unwrap_or(0.0),
    })
}

/// Tasks that a percentile of one block must stand on: two beyond the 99th.
const LEAST_OF_P99: u64 = 200;
const LEAST_OF_P50: u64 = 8;

/// Every figure that versions are compared by, of one timed block and its life. Memory is all that the agent takes: what is
/// taken off one side must be taken off the other, too. Start-up is known of cold lives. Where it is known how many `tasks`
/// the user has, throughput is that of all of them, as in [`observation`].
#[must_use]
pub fn figures(candidate: &CandidateRecord, block: &BlockRecord, tasks: Option<u32>) -> Figures {
    let ready_ns = candidate.lives.get(block.life as usize).map_or(0.0, |life| life.ready_ns as f64);
    let whole = |score: f64| tasks.map_or(score, |tasks| of_all_tasks(score, f64::from(tasks), ready_ns));
    let of = |goal| score(goal, &block.figures, None).filter(|score: &f64| score.is_finite());
    let service = block.figures.service.decode().ok();
    let at = |quantile: f64, least: u64| {
        let service = service.as_ref().filter(|service| service.len() >= least)?;
        Some((service.value_at_quantile(quantile).max(1) as f64).ln())
    };
    let life = candidate.lives.get(block.life as usize).filter(|life| !life.warm);
    let memory = candidate.memory_bytes(block.life, 0);
    [
        of(Goal::Throughput).map(whole),
        at(0.5, LEAST_OF_P50),
        at(0.99, LEAST_OF_P99),
        of(Goal::CpuPerTask).map(|score| -score),
        memory.map(|bytes| (bytes.max(PAGE_BYTES) as f64).ln()),
        life.filter(|life| life.startup_ns > 0).map(|life| (life.startup_ns as f64).ln()),
    ]
}

/// How many tasks of a candidate failed, over all of its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailedTasks<'a> {
    /// So many failed,
    pub errors: u64,
    /// of so many.
    pub tasks: u64,
    /// Why the first one did.
    pub first: Option<&'a Failed>,
}

impl<'a> FailedTasks<'a> {
    /// Those of these blocks.
    pub fn of(blocks: impl Iterator<Item = &'a BlockRecord>) -> FailedTasks<'a> {
        let mut failed = FailedTasks::default();
        for Block { errors, tasks, first_error, .. } in blocks.map(|block| &block.figures) {
            failed.errors = failed.errors.saturating_add(*errors);
            failed.tasks = failed.tasks.saturating_add(*tasks);
            failed.first = failed.first.or(first_error.as_ref());
        }
        failed
    }
}

impl CandidateRecord {
    /// Its timed blocks.
    pub fn timed(&self) -> impl Iterator<Item = &BlockRecord> {
        self.blocks.iter().filter(|block| block.figures.kind == BlockKind::Timed)
    }

    /// What its failure is to a race, which it left for this reason. An executor of the user's that loses tasks or runs
    /// them twice, or hangs, does so at every size sooner or later.
    #[must_use]
    pub fn failed_outcome(&self, reason: ExitReason) -> TurnOutcome {
        let kind = self.failure.as_ref().map(|failure| failure.kind);
        match (kind, self.candidate.engine) {
            _ if reason == ExitReason::Faulty => TurnOutcome::Faulty,
            (Some(FailureKind::Hang | FailureKind::Checksum), Engine::Own(_)) => TurnOutcome::Faulty,
            (Some(FailureKind::Hang), _) => TurnOutcome::Hung,
            _ => TurnOutcome::Failed,
        }
    }

    /// The tasks that failed where that is tolerated.
    #[must_use]
    pub fn failed_tasks(&self) -> FailedTasks<'_> {
        FailedTasks::of(self.blocks.iter())
    }

    /// What the agent took in the life of this block, as sampled in it, without `baseline_bytes`.
    #[must_use]
    pub fn memory_bytes(&self, life: u32, baseline_bytes: u64) -> Option<u64> {
        let of_life = |block: &&BlockRecord| block.life == life;
        let samples = self.blocks.iter().filter(of_life).filter_map(|block| block.memory);
        samples.map(|sample| sample.memory_bytes.saturating_sub(baseline_bytes)).max()
    }
}
