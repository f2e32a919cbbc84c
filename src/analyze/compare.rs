//! Candidates by the objective's goal: logarithms of ratios, paired within rounds.

use std::collections::BTreeMap;

use super::figures::timed;
use crate::race::{Contest, Scored};
use crate::record::{BlockRecord, CandidateRecord, Phase, Record, score};
use crate::stats::{Interval, trimmed_mean, yuen};
use crate::workload::Goal;

/// Differences beyond this (a block without any task) are cut to it.
pub(super) const LARGEST: f64 = 20.0;

/// What these candidates scored in the rounds of the final.
pub(super) fn contest(record: &Record, candidates: &[usize]) -> Contest {
    let goal = record.workload.objective.goal;
    let mut rounds: BTreeMap<u32, Vec<(usize, Scored)>> = BTreeMap::new();
    for one in candidates {
        let Some(candidate) = record.candidates.get(*one) else { continue };
        let baseline_bytes = record.calibration.baseline_bytes(&candidate.candidate.runtime);
        for block in timed(candidate).filter(|block| is_of(record, block, Phase::Final)) {
            let memory_bytes = candidate.memory_bytes(block.incarnation, baseline_bytes);
            if let (Some(round), Some(score)) = (block.round, score(goal, &block.figures, memory_bytes)) {
                rounds.entry(round).or_default().push((*one, Scored { life: block.incarnation, score }));
            }
        }
    }
    let mut contest = Contest::default();
    for (round, scores) in rounds.into_values().enumerate() {
        for (one, scored) in scores {
            contest.add(round, one, scored);
        }
    }
    contest
}

/// Whether a block ran in a round of this phase.
pub(super) fn is_of(record: &Record, block: &BlockRecord, phase: Phase) -> bool {
    let round = block.round.and_then(|round| record.rounds.get(round as usize));
    round.is_some_and(|round| round.phase == phase)
}

/// `ln(left / right)` of throughput over the rounds of this phase that both ran.
pub(super) fn throughput_ratio(record: &Record, left: usize, right: usize, phase: Phase) -> Option<f64> {
    let (left, right) = (record.candidates.get(left)?, record.candidates.get(right)?);
    trimmed_mean(&paired(record, left, right, phase))
}

/// The 95 % interval of `ln(left / right)` of throughput over the rounds of this phase that both ran.
pub(super) fn throughput_between(record: &Record, left: usize, right: usize, phase: Phase) -> Option<Interval> {
    let (one, other) = (record.candidates.get(left)?, record.candidates.get(right)?);
    if left == right {
        let ran = timed(one).any(|block| is_of(record, block, phase));
        return ran.then_some(Interval { value: 0.0, low: 0.0, high: 0.0 });
    }
    yuen(&paired(record, one, other, phase)).map(|trimmed| trimmed.interval(0.95))
}

/// Differences of `ln` throughput, paired within rounds.
fn paired(record: &Record, left: &CandidateRecord, right: &CandidateRecord, phase: Phase) -> Vec<f64> {
    let of_phase = |block: &&BlockRecord| is_of(record, block, phase);
    let logarithm = |block: &BlockRecord| score(Goal::Throughput, &block.figures, None);
    let rights: BTreeMap<u32, f64> =
        timed(right).filter(of_phase).filter_map(|block| Some((block.round?, logarithm(block)?))).collect();
    let difference = |block: &BlockRecord| Some(logarithm(block)? - rights.get(&block.round?)?);
    let differences = timed(left).filter(of_phase).filter_map(difference).filter(|difference| !difference.is_nan());
    differences.map(|difference| difference.clamp(-LARGEST, LARGEST)).collect()
}
