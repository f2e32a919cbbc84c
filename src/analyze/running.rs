//! How a candidate's throughput became known: its estimate after each of its blocks.

use super::Estimate;
use super::figures::throughput;
use crate::record::{BlockRecord, CandidateRecord, Record};

/// What was known of a candidate after one of its timed blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    /// When the block ended, from the session's start.
    pub at_ns: u64,
    /// Its throughput (tasks/s) over all blocks until then, by the same rules as that of its row; `None` where there is
    /// none yet.
    pub estimate: Option<Estimate>,
    /// Whether the block's round was voided: nothing is concluded from it.
    pub voided: bool,
}

/// What was known after each timed block of a candidate, in their order.
#[must_use]
pub fn running(record: &Record, candidate: &CandidateRecord) -> Vec<Running> {
    let mut counted: Vec<&BlockRecord> = Vec::new();
    let mut known = None;
    let mut found = Vec::new();
    for block in candidate.timed() {
        let voided = record.is_voided(block);
        if !voided {
            counted.push(block);
            known = throughput(&counted);
        }
        let at_ns = block.at_ns.saturating_add(block.figures.elapsed_ns);
        found.push(Running { at_ns, estimate: known, voided });
    }
    found
}
