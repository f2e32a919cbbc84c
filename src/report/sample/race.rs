//! The rounds of the sample, and what its race found as it went.

use super::plan;
use crate::candidate::RUST;
use crate::decide::{RULES_VERSION, Rules};
use crate::record::{Ending, Flag, Look, Phase, RaceRecord, Round, Sweep, SweepAxis, SweepPoint};

/// Six rounds, one of them voided.
pub(super) fn rounds() -> Vec<Round> {
    let of = |order: &[u32]| Round { order: order.to_vec(), ..Round::of(Phase::Race) };
    let mut rounds = vec![of(&[0, 5, 3, 2, 4]), of(&[3, 1]), of(&[1, 3]), of(&[1, 0, 2]), of(&[2, 1]), of(&[1, 2])];
    rounds[1].flags = vec![Flag::Steal { share: 0.123 }, Flag::RunDelay { share: 0.08 }];
    rounds[1].voided = true;
    rounds[4].flags = vec![Flag::Drift { ratio: 1.041 }];
    rounds
}

/// What the race of these rounds found as it went.
pub(super) fn race() -> RaceRecord {
    let look = |round, elapsed_ms: u64, named, may_cost, tried| Look {
        round,
        elapsed_ns: elapsed_ms * 1_000_000,
        named: Some(named),
        may_cost: Some(may_cost),
        tried,
    };
    RaceRecord {
        runtime: RUST.to_owned(),
        rules_version: RULES_VERSION,
        rules: Rules {
            tolerance: 0.05,
            deadline_ns: 20_000_000_000,
            budget_ns: 19_500_000_000,
            seed: 1,
            is_renewed: false,
            cores: 1.94,
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
        },
        entries: plan().entries.into_iter().filter(|entry| entry.runtime == RUST).collect(),
        first_candidate: 0,
        alternates: Vec::new(),
        looks: vec![
            look(0, 740, 3, 1.9, 4),
            look(2, 1_120, 1, 0.31, 5),
            look(3, 1_480, 1, 0.12, 6),
            look(4, 1_830, 1, 0.061, 6),
            look(5, 2_190, 1, 0.028, 6),
        ],
        ending: Ending::Decided,
    }
}

/// Async overtakes threads where a task computes more.
pub(super) fn sweep() -> Sweep {
    let point = |factor, ratio| SweepPoint {
        factor,
        task_cpu_ns: 55_500.0 * factor,
        ratio,
        low: ratio - 0.013,
        high: ratio + 0.013,
    };
    let points = vec![point(1.0, 1.006), point(4.0, 1.062), point(16.0, 0.98), point(64.0, 0.91)];
    Sweep { axis: SweepAxis::TaskCpu, left: 1, right: 2, points }
}
