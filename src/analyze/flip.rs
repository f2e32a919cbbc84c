//! The flip point: where along an axis another model becomes the better one. Only what was measured is said, and only
//! where both sides of it are beyond doubt.

use std::collections::BTreeMap;

use super::{Estimate, Reason, Row, Status};
use crate::candidate::{Candidate, Model};
use crate::record::{Record, Sweep, SweepPoint};
use crate::workload::Goal;

/// Which of two candidates that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The recommended one.
    Left,
    /// Its rival.
    Right,
}

/// Where the better side changes along a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flip {
    /// The better side above; the other one is better below.
    pub above: Side,
    /// CPU time of a task at which both are equal, between the points that were measured.
    pub at_ns: f64,
    /// CPU times of a task at the nearest points at which either side is better beyond doubt, ascending.
    pub measured_ns: (f64, f64),
}

/// The side that is better at a point by more than the margin, with its whole interval. `margin` is `ln(1 + m)`.
#[must_use]
pub fn side(point: &SweepPoint, margin: f64) -> Option<Side> {
    if point.low.ln() > margin {
        Some(Side::Left)
    } else if point.high.ln() < -margin {
        Some(Side::Right)
    } else {
        None
    }
}

/// The flip of a sweep's points, ascending: where the better side changes once, both sides beyond the margin (`ln(1 +
/// m)`) and their intervals. Where in between is interpolated: `ln(ratio)` as a line over the logarithm of the CPU time
/// of a task. `None` where the better side does not change, or more often than once.
#[must_use]
pub fn flip(points: &[SweepPoint], margin: f64) -> Option<Flip> {
    let decided = points.iter().enumerate().filter_map(|(at, point)| Some((at, side(point, margin)?)));
    let decided: Vec<(usize, Side)> = decided.collect();
    let mut turns = decided.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    let (Some([(below, _), (above, side)]), None) = (turns.next(), turns.next()) else { return None };
    let between = points.get(*below..=*above)?;
    let at_ns = between.windows(2).find_map(|pair| crossing(&pair[0], &pair[1]))?;
    let measured_ns = (between.first()?.task_cpu_ns, between.last()?.task_cpu_ns);
    // Rounding may put it a hair outside.
    let at_ns = at_ns.max(measured_ns.0).min(measured_ns.1);
    at_ns.is_finite().then_some(Flip { above: *side, at_ns, measured_ns })
}

/// Where the line through two points is at a ratio of one, if it is between them.
fn crossing(one: &SweepPoint, other: &SweepPoint) -> Option<f64> {
    let (from, to) = (one.ratio.ln(), other.ratio.ln());
    if from * to > 0.0 {
        return None;
    }
    let part = from / (from - to);
    let at_ns = (one.task_cpu_ns.ln() + part * (other.task_cpu_ns.ln() - one.task_cpu_ns.ln())).exp();
    at_ns.is_finite().then_some(at_ns)
}

/// Where along the computation of a task the answer of this runtime changes, from its sweep.
pub(super) fn along_computation(record: &Record, runtime: &str, margin: f64) -> Option<Reason> {
    record.sweeps.iter().find_map(|sweep| {
        let of = |one: u32| record.candidates.get(one as usize).map(|place| &place.candidate);
        let (left, right) = (of(sweep.left)?, of(sweep.right)?);
        (left.runtime == runtime).then(|| swept(sweep, left.model(), right.model(), margin))?
    })
}

fn swept(sweep: &Sweep, left: Model, right: Model, margin: f64) -> Option<Reason> {
    let found = flip(&sweep.points, margin)?;
    let (above, below) = match found.above {
        Side::Left => (left, right),
        Side::Right => (right, left),
    };
    Some(Reason::FlipsWithCpu { above, below, at_ns: found.at_ns, measured_ns: found.measured_ns })
}

/// The throughput of an engine by how many tasks it has in flight, the best where several sizes have as many.
type Reach = BTreeMap<u32, Estimate>;

/// Where along the sizes that were measured the engine of `best` and one of another model change places: of several
/// the one that reaches most. Throughput alone is compared, where it is what is wanted.
pub(super) fn along_sizes(record: &Record, rows: &[Row], best: usize, margin: f64) -> Option<Reason> {
    if record.workload.objective.goal != Goal::Throughput {
        return None;
    }
    let mut engines: Vec<(Candidate, Reach)> = Vec::new();
    for row in rows.iter().filter(|row| !matches!(row.status, Status::Failed { .. } | Status::Infeasible { .. })) {
        let Some(throughput) = row.throughput_per_s.filter(|it| it.low > 0.0) else { continue };
        let engine = row.candidate.without_sizes();
        let at = engines.iter().position(|(known, _)| *known == engine).unwrap_or(engines.len());
        if at == engines.len() {
            engines.push((engine, Reach::new()));
        }
        let reached = engines[at].1.entry(row.candidate.sizes.concurrency()).or_insert(throughput);
        if throughput.value > reached.value {
            *reached = throughput;
        }
    }
    let best = record.candidates.get(best)?;
    let engine = best.candidate.without_sizes();
    let own = engines.iter().find(|(known, _)| *known == engine)?;
    let is_rival = |one: &Candidate| one.model() != engine.model() && one.library_threads == engine.library_threads;
    let mut rivals: Vec<&(Candidate, Reach)> = engines.iter().filter(|(one, _)| is_rival(one)).collect();
    let most = |reach: &Reach| reach.values().map(|it| it.value).fold(0.0, f64::max);
    rivals.sort_by(|a, b| most(&b.1).total_cmp(&most(&a.1)));
    rivals.into_iter().find_map(|rival| {
        let turn = turn(&own.1, &rival.1, margin)?;
        let (below, above) = match turn.above {
            Side::Left => (&rival.0, &own.0),
            Side::Right => (&own.0, &rival.0),
        };
        let in_flight = below.engine.axes().in_flight || above.engine.axes().in_flight;
        let (low, high) = turn.measured;
        Some(Reason::FlipsWithSize { below: below.model(), above: above.model(), low, high, in_flight })
    })
}

/// Where the better of two engines changes.
struct Turn {
    above: Side,
    /// The largest size at which the one is better, and the smallest at which the other is.
    measured: (u32, u32),
}

/// The one change of places along the sizes that both were measured at, beyond the margin and what either varies by.
fn turn(left: &Reach, right: &Reach, margin: f64) -> Option<Turn> {
    let better = |one: &Estimate, other: &Estimate| (one.low / other.high).ln() > margin;
    let decided = left.iter().filter_map(|(size, one)| {
        let other = right.get(size)?;
        let left = better(one, other).then_some(Side::Left);
        Some((*size, left.or_else(|| better(other, one).then_some(Side::Right))?))
    });
    let decided: Vec<(u32, Side)> = decided.collect();
    let mut turns = decided.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    match (turns.next(), turns.next()) {
        (Some([(low, _), (high, above)]), None) => Some(Turn { above: *above, measured: (*low, *high) }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::SweepAxis;

    const MARGIN: f64 = 0.03;

    /// Points at 0.1, 0.4, 1.6, .. ms of CPU, each with its ratio and how far its interval reaches.
    fn points(ratios: &[(f64, f64)]) -> Vec<SweepPoint> {
        let point = |(at, (ratio, half)): (usize, &(f64, f64))| SweepPoint {
            factor: 4_f64.powi(at as i32),
            task_cpu_ns: 1e5 * 4_f64.powi(at as i32),
            ratio: *ratio,
            low: ratio * (-half).exp(),
            high: ratio * half.exp(),
        };
        ratios.iter().enumerate().map(point).collect()
    }

    #[test]
    fn a_flip_lies_where_the_line_is_at_one() {
        let found = flip(&points(&[(0.5, 0.1), (2.0, 0.1), (4.0, 0.1)]), MARGIN).expect("it flips");
        assert_eq!((found.above, found.measured_ns), (Side::Left, (1e5, 4e5)));
        assert!((found.at_ns - 2e5).abs() < 1.0, "{found:?}");
        // What is open lies between those that are decided, and still tells where.
        let open = flip(&points(&[(2.0, 0.1), (0.98, 0.1), (0.5, 0.1)]), MARGIN).expect("it flips");
        assert_eq!((open.above, open.measured_ns), (Side::Right, (1e5, 1.6e6)));
        assert!(3e5 < open.at_ns && open.at_ns < 4e5, "{open:?}");
    }

    #[test]
    fn what_does_not_change_beyond_doubt_or_changes_twice_is_no_flip() {
        for ratios in [
            &[(2.0, 0.1), (3.0, 0.1)][..],
            &[(0.97, 0.1), (2.0, 0.1)],
            // Within the margin, however sure.
            &[(0.98, 0.001), (2.0, 0.1)],
            &[(0.5, 0.1), (2.0, 0.1), (0.5, 0.1)],
            &[(2.0, 0.1)],
            &[],
            &[(f64::NAN, 0.1), (2.0, 0.1)],
        ] {
            assert_eq!(flip(&points(ratios), MARGIN), None, "{ratios:?}");
        }
    }

    #[test]
    fn a_flip_is_told_with_what_was_measured() {
        let told = |ratios: &[(f64, f64)]| {
            let sweep = Sweep { axis: SweepAxis::TaskCpu, left: 0, right: 1, points: points(ratios) };
            match swept(&sweep, Model::Processes, Model::Sequential, MARGIN) {
                Some(Reason::FlipsWithCpu { above, below, measured_ns, .. }) => Some((above, below, measured_ns)),
                _ => None,
            }
        };
        let measured = (1e5, 4e5);
        assert_eq!(told(&[(0.5, 0.1), (2.0, 0.1)]), Some((Model::Processes, Model::Sequential, measured)));
        assert_eq!(told(&[(2.0, 0.1), (0.5, 0.1)]), Some((Model::Sequential, Model::Processes, measured)));
        assert_eq!(told(&[(2.0, 0.1), (2.5, 0.1)]), None);
    }

    #[test]
    fn places_change_once_along_sizes_that_both_have() {
        let reach = |values: &[(u32, f64)]| -> Reach {
            let near = |value: f64| Estimate { value, low: 0.99 * value, high: 1.01 * value };
            values.iter().map(|(size, value)| (*size, near(*value))).collect()
        };
        let rising = reach(&[(4, 40.0), (16, 160.0), (64, 640.0), (256, 2000.0)]);
        let found = |values: &[(u32, f64)]| turn(&rising, &reach(values), MARGIN).map(|it| (it.above, it.measured));
        assert_eq!(found(&[(4, 50.0), (64, 700.0), (256, 900.0)]), Some((Side::Left, (64, 256))));
        assert_eq!(found(&[(4, 30.0), (16, 158.0), (64, 700.0)]), Some((Side::Right, (4, 64))));
        assert_eq!(found(&[(4, 50.0), (64, 500.0), (256, 2500.0)]), None);
        assert_eq!(found(&[(4, 50.0), (16, 159.0), (64, 630.0)]), None);
        assert_eq!(found(&[(8, 50.0), (32, 1.0)]), None);
    }

    proptest! {
        #[test]
        fn a_flip_is_between_what_was_measured_and_only_where_both_sides_are_decided(
            ratios in prop::collection::vec((0.2..5.0_f64, 0.0..0.5_f64), 0..7), margin in 0.0..0.2_f64,
        ) {
            let points = points(&ratios);
            let sides: Vec<Side> = points.iter().filter_map(|point| side(point, margin)).collect();
            match flip(&points, margin) {
                Some(found) => {
                    prop_assert!(found.measured_ns.0 <= found.at_ns && found.at_ns <= found.measured_ns.1);
                    prop_assert!(sides.contains(&Side::Left) && sides.contains(&Side::Right));
                    prop_assert_eq!(sides.last(), Some(&found.above));
                }
                None => prop_assert!(sides.windows(2).filter(|pair| pair[0] != pair[1]).count() != 1),
            }
        }

        #[test]
        fn anything_is_borne(values in prop::collection::vec(prop::array::uniform4(prop::num::f64::ANY), 0..6)) {
            let of = |[task_cpu_ns, ratio, low, high]: [f64; 4]| SweepPoint { factor: 1.0, task_cpu_ns, ratio, low, high };
            let points: Vec<SweepPoint> = values.into_iter().map(of).collect();
            if let Some(found) = flip(&points, MARGIN) {
                prop_assert!(found.at_ns.is_finite());
            }
        }
    }
}
