//! Two candidates by the objective's goal: logarithms of ratios, paired where the goal allows it.

use std::collections::BTreeMap;

use super::figures::{memory, pooled, timed};
use crate::protocol::Block;
use crate::race::{GROSS, LIVES, Standing, standing};
use crate::record::{BlockRecord, CandidateRecord, Phase, Record};
use crate::stats::{Interval, median, percentile, trimmed_mean, yuen};
use crate::workload::Goal;

/// Differences beyond this (a block without any task) are cut to it.
pub(super) const LARGEST: f64 = 20.0;
/// The fewest samples that stand behind a 99th percentile.
const P99_SAMPLES: u64 = 1000;
/// The fewest samples of one life for its own 99th percentile.
const P99_SAMPLES_OF_A_LIFE: u64 = 100;
/// Memory below this is compared as this: the sampling knows no less.
const PAGE_BYTES: f64 = 4096.0;

/// How good a candidate is, as a logarithm, more is better; `None` when its data do not say.
pub(super) fn height(record: &Record, index: usize) -> Option<f64> {
    let candidate = record.candidates.get(index)?;
    match record.workload.objective.goal {
        Goal::P99 => {
            let (pool, _) = pooled(contest(record, candidate).map(|block| &block.figures.service));
            percentile(&pool?, 0.99).map(|time| -(time.max(1) as f64).ln())
        }
        Goal::Memory => median(&memory(record, candidate)).map(|bytes| -bytes.max(PAGE_BYTES).ln()),
        goal => {
            let scores: Vec<f64> =
                contest(record, candidate).map(|block| score(goal, &block.figures).max(-LARGEST)).collect();
            trimmed_mean(&scores)
        }
    }
}

/// The blocks by which a candidate is compared: those of the final, and without any, all.
fn contest<'a>(record: &'a Record, candidate: &'a CandidateRecord) -> impl Iterator<Item = &'a BlockRecord> {
    let has_final = timed(candidate).any(|block| is_of(record, block, Phase::Final));
    timed(candidate).filter(move |block| !has_final || is_of(record, block, Phase::Final))
}

/// Whether a block ran in a round of this phase.
pub(super) fn is_of(record: &Record, block: &BlockRecord, phase: Phase) -> bool {
    block.round.and_then(|round| record.rounds.get(round as usize)).is_some_and(|round| round.phase == phase)
}

/// How `one` stands against `other`, with the 95 % interval of `ln(one / other)`, more is better.
pub(super) fn against(
    record: &Record,
    one: usize,
    other: usize,
    margin: f64,
    rivals: usize,
) -> (Standing, Option<Interval>) {
    let (Some(left), Some(right)) = (record.candidates.get(one), record.candidates.get(other)) else {
        return (Standing::Unresolved, None);
    };
    match record.workload.objective.goal {
        Goal::Memory => of_memory(&memory(record, left), &memory(record, right), margin, rivals),
        Goal::P99 => standing(&of_p99(record, left, right), margin, rivals),
        goal => standing(&paired(record, left, right, goal, Phase::Final), margin, rivals),
    }
}

/// `ln(left / right)` of throughput over the rounds of this phase that both ran.
pub(super) fn throughput_ratio(record: &Record, left: usize, right: usize, phase: Phase) -> Option<f64> {
    let (left, right) = (record.candidates.get(left)?, record.candidates.get(right)?);
    let lives = paired(record, left, right, Goal::Throughput, phase);
    trimmed_mean(&lives.into_iter().flatten().collect::<Vec<f64>>())
}

/// The 95 % interval of `ln(left / right)` of throughput over the rounds of this phase that both ran.
pub(super) fn throughput_between(record: &Record, left: usize, right: usize, phase: Phase) -> Option<Interval> {
    let (one, other) = (record.candidates.get(left)?, record.candidates.get(right)?);
    if left == right {
        let ran = timed(one).any(|block| is_of(record, block, phase));
        return ran.then_some(Interval { value: 0.0, low: 0.0, high: 0.0 });
    }
    let differences: Vec<f64> = paired(record, one, other, Goal::Throughput, phase).into_iter().flatten().collect();
    yuen(&differences).map(|trimmed| trimmed.interval(0.95))
}

/// The logarithm of the goal in one block, more is better.
pub(super) fn score(goal: Goal, block: &Block) -> f64 {
    match goal {
        Goal::CpuPerTask => -(block.usage.cpu_ns() as f64 / block.tasks as f64).ln(),
        Goal::Throughput | Goal::P99 | Goal::Memory => block.throughput_per_s().ln(),
    }
}

/// Differences paired within rounds; a group for each pair of lives.
fn paired(record: &Record, left: &CandidateRecord, right: &CandidateRecord, goal: Goal, phase: Phase) -> Vec<Vec<f64>> {
    let rights: BTreeMap<u32, &BlockRecord> = timed(right)
        .filter(|block| is_of(record, block, phase))
        .filter_map(|block| Some((block.round?, block)))
        .collect();
    let mut lives: BTreeMap<(u32, u32), Vec<f64>> = BTreeMap::new();
    for block in timed(left).filter(|block| is_of(record, block, phase)) {
        let Some(other) = block.round.and_then(|round| rights.get(&round)) else {
            continue;
        };
        let difference = score(goal, &block.figures) - score(goal, &other.figures);
        if !difference.is_nan() {
            let lives = lives.entry((block.incarnation, other.incarnation)).or_default();
            lives.push(difference.clamp(-LARGEST, LARGEST));
        }
    }
    lives.into_values().collect()
}

/// Differences of the 99th percentiles, one a life: a block has too few tasks for one of its own. Empty
/// when either candidate has too few in all.
fn of_p99(record: &Record, left: &CandidateRecord, right: &CandidateRecord) -> Vec<Vec<f64>> {
    let (Some(left), Some(right)) = (p99_of_lives(record, left), p99_of_lives(record, right)) else {
        return Vec::new();
    };
    left.into_iter().zip(right).map(|(left, right)| vec![right - left]).collect()
}

/// `ln(p99)` of each life; `None` with fewer samples in all than a 99th percentile needs.
fn p99_of_lives(record: &Record, candidate: &CandidateRecord) -> Option<Vec<f64>> {
    let mut lives: BTreeMap<u32, Vec<&BlockRecord>> = BTreeMap::new();
    for block in contest(record, candidate) {
        lives.entry(block.incarnation).or_default().push(block);
    }
    let pools: Vec<_> =
        lives.values().filter_map(|life| pooled(life.iter().map(|block| &block.figures.service)).0).collect();
    let samples = pools.iter().fold(0_u64, |sum, pool| sum.saturating_add(pool.len()));
    (samples >= P99_SAMPLES).then(|| {
        let enough = pools.iter().filter(|pool| pool.len() >= P99_SAMPLES_OF_A_LIFE);
        enough.map(|pool| (pool.value_at_quantile(0.99).max(1) as f64).ln()).collect()
    })
}

/// Memory is sampled once a life or less, and hardly differs: with fewer than three samples each, only a
/// gross difference counts, and it has no interval.
fn of_memory(left: &[f64], right: &[f64], margin: f64, rivals: usize) -> (Standing, Option<Interval>) {
    let logarithm = |bytes: f64| bytes.max(PAGE_BYTES).ln();
    if left.len() >= LIVES && right.len() >= LIVES {
        let lives: Vec<Vec<f64>> =
            left.iter().zip(right).map(|(left, right)| vec![logarithm(*right) - logarithm(*left)]).collect();
        return standing(&lives, margin, rivals);
    }
    let is_gross = match (median(left), median(right)) {
        (Some(left), Some(right)) => logarithm(right) - logarithm(left) < GROSS.0,
        _ => false,
    };
    (if is_gross { Standing::Worse } else { Standing::Unresolved }, None)
}
