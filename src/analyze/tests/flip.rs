//! Where the answer would be another one, from the record to the verdict.

use super::builder::{Shape, Synthetic};
use super::{NONE, in_flight, workers};
use crate::analyze::{Group, Reason, analyze};
use crate::candidate::{Engine, Model};
use crate::record::{Phase, Sweep, SweepAxis, SweepPoint};
use crate::workload::Goal;

/// Processes beside a plain loop, which is half as fast; in a sweep they have these ratios at 0.1, 0.4, .. ms.
fn swept(ratios: &[f64]) -> Synthetic {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let plain = session.add(Engine::Sequential, NONE, shape);
    let processes = session.add(Engine::ProcessPool, workers(2), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(plain, 500.0), (processes, 960.0)]);
        }
    }
    let point = |(at, ratio): (usize, &f64)| SweepPoint {
        factor: 4_f64.powi(at as i32),
        task_cpu_ns: 1e5 * 4_f64.powi(at as i32),
        ratio: *ratio,
        low: ratio * 0.95,
        high: ratio * 1.05,
    };
    let points = ratios.iter().enumerate().map(point).collect();
    session.record.sweeps = vec![Sweep { axis: SweepAxis::TaskCpu, left: 1, right: 0, points }];
    session
}

fn group(session: &Synthetic) -> Group {
    analyze(&session.finished()).groups.remove(0)
}

fn flips(session: &Synthetic) -> Vec<Reason> {
    let reasons = group(session).answer.expect("an answer").reasons;
    let is_flip = |reason: &Reason| matches!(reason, Reason::FlipsWithCpu { .. } | Reason::FlipsWithSize { .. });
    reasons.into_iter().filter(is_flip).collect()
}

#[test]
fn a_sweep_that_turns_is_among_the_reasons() {
    let found = flips(&swept(&[0.5, 2.0, 1.9]));
    let [Reason::FlipsWithCpu { above, below, measured_ns, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*above, *below, *measured_ns), (Model::Processes, Model::Sequential, (1e5, 4e5)));
    for ratios in [&[1.5, 2.0, 1.9][..], &[0.99, 2.0, 1.9], &[2.0]] {
        assert_eq!(flips(&swept(ratios)), []);
    }
}

#[test]
fn a_sweep_of_places_that_are_not_there_says_nothing() {
    let mut session = swept(&[0.5, 2.0]);
    session.record.sweeps[0].right = 99;
    assert_eq!(flips(&session), []);
}

/// Threads that stop gaining at 64, and a loop that goes on.
fn sizes() -> Synthetic {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 10_000_000, cpu_ns: 200_000 };
    let mut add = |engine, size| {
        let sizes = if engine == Engine::ThreadPool { workers(size) } else { in_flight(size) };
        session.add(engine, sizes, shape)
    };
    let all = [16, 64, 256].map(|size| (add(Engine::ThreadPool, size), add(Engine::TokioCurrentThread, size)));
    for life in 0..3 {
        for _ in 0..4 {
            for ((threads, async_), speeds) in all.into_iter().zip([(1600.0, 1200.0), (5000.0, 4400.0)]) {
                session.round(Phase::Race, life, &[(threads, speeds.0), (async_, speeds.1)]);
            }
            session.round(Phase::Race, life, &[(all[2].0, 6000.0), (all[2].1, 12_000.0)]);
        }
    }
    session
}

#[test]
fn engines_that_change_places_along_the_sizes_are_told() {
    let mut session = sizes();
    let found = flips(&session);
    let [Reason::FlipsWithSize { below, above, low, high, in_flight }] = found[..] else { panic!("{found:?}") };
    assert_eq!((below, above, low, high, in_flight), (Model::Threads, Model::Async, 64, 256, true));
    session.record.workload.objective.goal = Goal::CpuPerTask;
    assert_eq!(flips(&session), [], "throughput is not what is wanted");
}
