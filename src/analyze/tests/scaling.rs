//! How engines scale, from the record to the verdict.

use super::builder::{Shape, Synthetic};
use crate::analyze::{Curve, CurveAxis, Group, analyze};
use crate::candidate::{Engine, Sizes};
use crate::protocol::{Failed, FailureKind};
use crate::record::Phase;

const SHAPE: Shape = Shape { service_ns: 2_000_000, cpu_ns: 1_900_000 };

fn sizes(workers: u32, in_flight: u32) -> Sizes {
    Sizes { workers: Some(workers), in_flight: Some(in_flight), chunk: None }
}

/// A session in which these candidates reached these throughputs.
fn measured(speeds: &[(Engine, Sizes, f64)]) -> Group {
    let mut session = Synthetic::new();
    session.noise = 0.0;
    for (engine, sizes, speed) in speeds {
        let candidate = session.add(*engine, *sizes, SHAPE);
        session.round(Phase::Race, 0, &[(candidate, *speed)]);
    }
    analyze(&session.finished()).groups.remove(0)
}

fn pool(speeds: &[(u32, f64)]) -> Option<Curve> {
    let of = |(workers, speed): &(u32, f64)| {
        (Engine::ThreadPool, Sizes { workers: Some(*workers), ..Sizes::default() }, *speed)
    };
    measured(&speeds.iter().map(of).collect::<Vec<_>>()).curves.pop()
}

#[test]
fn a_knee_is_where_nothing_more_is_gained() {
    let knee = |speeds: &[(u32, f64)]| pool(speeds).expect("a curve").knee;
    assert_eq!(knee(&[(1, 96.0), (2, 192.0), (4, 190.0), (8, 193.0)]), Some(2));
    assert_eq!(knee(&[(8, 100.0), (2, 192.0), (4, 190.0)]), Some(2));
    // It rises still, steadily or after a dip.
    assert_eq!(knee(&[(1, 96.0), (2, 192.0), (4, 380.0)]), None);
    assert_eq!(knee(&[(1, 192.0), (2, 96.0), (4, 193.0)]), None);
    // The best is the last, but hardly.
    assert_eq!(knee(&[(1, 96.0), (2, 190.0), (4, 194.0)]), Some(2));
}

#[test]
fn an_axis_is_followed_while_the_others_are_held() {
    let tokio = Engine::TokioMultiThread;
    let group = measured(&[
        (tokio, sizes(2, 16), 160.0),
        (tokio, sizes(2, 4), 40.0),
        (tokio, sizes(2, 64), 500.0),
        (tokio, sizes(1, 64), 520.0),
        (tokio, sizes(4, 16), 90.0),
        (Engine::Sequential, Sizes::default(), 10.0),
    ]);
    let found: Vec<(CurveAxis, Vec<u32>)> =
        group.curves.iter().map(|curve| (curve.axis, curve.points.iter().map(|point| point.size).collect())).collect();
    // Workers were compared at 16 and at 64 in flight: 64 is faster.
    assert_eq!(found, [(CurveAxis::InFlight, vec![4, 16, 64]), (CurveAxis::Workers, vec![1, 2])]);
    assert!(group.curves.iter().all(|curve| curve.engine == "tokio-multi-thread"));
}

#[test]
fn one_size_or_a_failed_one_is_no_curve() {
    assert_eq!(pool(&[(4, 100.0)]), None);
    assert_eq!(pool(&[(4, 100.0), (8, 0.0)]), None);
    let mut session = Synthetic::new();
    for workers in [1, 2] {
        let one = session.add(Engine::ThreadPool, Sizes { workers: Some(workers), ..Sizes::default() }, SHAPE);
        session.round(Phase::Race, 0, &[(one, 100.0)]);
    }
    assert_eq!(analyze(&session.finished()).groups[0].curves.len(), 1);
    session.record.candidates[1].failure = Some(Failed::new(FailureKind::Task, "lost", ""));
    assert!(analyze(&session.finished()).groups[0].curves.is_empty());
}

#[test]
fn engines_come_in_the_order_of_the_plan() {
    let workers = |workers| Sizes { workers: Some(workers), ..Sizes::default() };
    let mut session = Synthetic::new();
    for (engine, size) in [(Engine::Rayon, 1), (Engine::ThreadPool, 1), (Engine::Rayon, 2), (Engine::ThreadPool, 2)] {
        let one = session.add(engine, workers(size), SHAPE);
        session.round(Phase::Race, 0, &[(one, 100.0)]);
    }
    session.record.plan.entries.reverse();
    let names: Vec<String> =
        analyze(&session.finished()).groups.remove(0).curves.into_iter().map(|curve| curve.engine).collect();
    assert_eq!(names, ["thread-pool", "rayon"]);
}

#[test]
fn only_what_may_be_chosen_is_undominated() {
    let pool = |workers| Sizes { workers: Some(workers), ..Sizes::default() };
    let mut session = Synthetic::new();
    session.noise = 0.0;
    let mut add = |engine, sizes, speed, bytes: u64| {
        let one = session.add(engine, sizes, SHAPE);
        session.round(Phase::Race, 0, &[(one, speed)]);
        session.memory_block(one, bytes, None);
        one
    };
    let small = add(Engine::Sequential, Sizes::default(), 100.0, 1 << 20);
    let fast = add(Engine::ThreadPool, pool(2), 200.0, 2 << 20);
    let neither = add(Engine::Rayon, pool(2), 150.0, 3 << 20);
    let failed = add(Engine::ThreadPool, pool(4), 900.0, 1 << 20);
    let infeasible = add(Engine::ThreadPool, pool(8), 800.0, 9 << 20);
    session.record.candidates[failed].failure = Some(Failed::new(FailureKind::Task, "lost", ""));
    session.record.workload.objective.limits.memory_bytes = Some(8 << 20);
    let group = analyze(&session.finished()).groups.remove(0);
    let undominated: Vec<usize> =
        group.rows.iter().filter(|row| row.undominated).map(|row| row.index as usize).collect();
    assert!(undominated.contains(&small) && undominated.contains(&fast), "{undominated:?}");
    assert!([neither, failed, infeasible].iter().all(|one| !undominated.contains(one)), "{undominated:?}");
}
