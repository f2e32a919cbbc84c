//! Two candidates by their throughput, paired within rounds.

use std::collections::BTreeMap;

use crate::record::{BlockRecord, CandidateRecord, Phase, Record, score};
use crate::stats::{Interval, yuen};
use crate::workload::Goal;

/// Differences beyond this (a block without any task) are cut to it.
const LARGEST: f64 = 20.0;

/// Whether a block ran in a round of this phase.
pub(super) fn is_of(record: &Record, block: &BlockRecord, phase: Phase) -> bool {
    record.round_of(block).is_some_and(|round| round.phase == phase)
}

/// The 95 % interval of `ln(left / right)` of throughput over the rounds of this phase that both ran.
pub(super) fn throughput_between(record: &Record, left: usize, right: usize, phase: Phase) -> Option<Interval> {
    let (one, other) = (record.candidates.get(left)?, record.candidates.get(right)?);
    if left == right {
        let ran = one.timed().any(|block| is_of(record, block, phase));
        return ran.then_some(Interval { value: 0.0, low: 0.0, high: 0.0 });
    }
    yuen(&paired(record, one, other, phase)).map(|trimmed| trimmed.interval(0.95))
}

/// Differences of `ln` throughput, paired within rounds.
fn paired(record: &Record, left: &CandidateRecord, right: &CandidateRecord, phase: Phase) -> Vec<f64> {
    let of_phase = |block: &&BlockRecord| is_of(record, block, phase);
    let logarithm = |block: &BlockRecord| score(Goal::Throughput, &block.figures, None);
    let rights: BTreeMap<u32, f64> =
        right.timed().filter(of_phase).filter_map(|block| Some((block.round?, logarithm(block)?))).collect();
    let difference = |block: &BlockRecord| Some(logarithm(block)? - rights.get(&block.round?)?);
    let differences = left.timed().filter(of_phase).filter_map(difference).filter(|difference| !difference.is_nan());
    differences.map(|difference| difference.clamp(-LARGEST, LARGEST)).collect()
}
