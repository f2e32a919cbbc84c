//! The rounds of the sample, and what its race concluded.

use crate::record::{Conclusion, Decision, Flag, Phase, Round, Sweep, SweepAxis, SweepPoint};

/// A search, one round of it voided, and a final.
pub(super) fn rounds() -> Vec<Round> {
    let of = |phase, order: &[u32]| Round { order: order.to_vec(), ..Round::of(phase) };
    let mut rounds = vec![
        of(Phase::Search, &[0, 5, 3, 2, 4]),
        of(Phase::Search, &[3, 1]),
        of(Phase::Search, &[1, 3]),
        of(Phase::Final, &[1, 0, 2]),
        of(Phase::Final, &[2, 1]),
        of(Phase::Final, &[1, 2]),
    ];
    rounds[1].flags = vec![Flag::Steal { share: 0.123 }, Flag::RunDelay { share: 0.08 }];
    rounds[1].voided = true;
    rounds[4].flags = vec![Flag::Drift { ratio: 1.041 }];
    rounds
}

/// What the race of these rounds concluded.
pub(super) fn decisions() -> Vec<Decision> {
    let look = |confidence, contenders| Conclusion::Look { leader: 1, confidence, contenders };
    let all = [
        (0, Conclusion::Champion { candidate: 0 }),
        (2, Conclusion::Champion { candidate: 1 }),
        (2, Conclusion::Champion { candidate: 2 }),
        (3, look(0.41, 3)),
        (3, Conclusion::Screened { candidate: 0, leader: 1, ratio: 0.016_2 }),
        (4, look(0.87, 2)),
        (5, look(0.95, 2)),
    ];
    all.map(|(round, conclusion)| Decision { round, conclusion }).to_vec()
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
