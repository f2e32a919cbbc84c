//! When leaving this machine pays, by whole records.

use super::{NONE, Shape, Synthetic, analyze, in_flight, workers};
use crate::analyze::Leaving;
use crate::candidate::{Cluster, ClusterWorker, Engine};
use crate::protocol::{Failed, FailureKind};
use crate::record::{Phase, Record};
use crate::workload::{Load, Rate};

const PYTHON: &str = "python3.11";

/// A task of 2 ms CPU: a loop runs 500 a second, two processes 960, and a cluster of one worker with four threads 900.
fn beside_a_cluster() -> Synthetic {
    let mut session = Synthetic::new();
    session.add_runtime(PYTHON, "python", Some(true));
    let worker = ClusterWorker { is_here: false, ..ClusterWorker::of_tests() };
    session.record.calibration.runtimes[1].cluster = Some(Cluster::of_tests(vec![worker]));
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let alone = session.add_to(PYTHON, Engine::Sequential, NONE, shape);
    let pool = session.add_to(PYTHON, Engine::ProcessPoolExecutor, workers(2), shape);
    let dask = session.add_to(PYTHON, Engine::Dask, in_flight(16), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(alone, 500.0), (pool, 960.0), (dask, 450.0)]);
        }
    }
    session
}

fn leaving(record: &Record) -> Option<Leaving> {
    analyze(record).groups.remove(0).leaving
}

#[test]
fn it_is_said_beside_what_was_measured() {
    let found = leaving(&beside_a_cluster().finished()).expect("a cluster");
    assert!((found.here_per_s - 960.0).abs() < 10.0, "{found:?}");
    assert!(found.there_per_s.is_some_and(|per_s| (per_s - 450.0).abs() < 10.0), "{found:?}");
    // One process of four threads computes one task at a time, while a lock is held: 505 a second.
    let point =
        found.computed.iter().find(|point| point.task_ns == found.task_ns && point.threads == 4).expect("computed");
    assert!((point.there_per_s - 505.0).abs() < 10.0, "{point:?}");
    assert_eq!((found.holds_lock, found.from_threads), (true, Some(8)));
}

#[test]
fn a_lock_that_is_released_bounds_nothing() {
    let mut session = beside_a_cluster();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let threads = session.add_to(PYTHON, Engine::ThreadPoolExecutor, workers(2), shape);
    for _ in 0..4 {
        session.round(Phase::Race, 3, &[(threads, 950.0)]);
    }
    let found = leaving(&session.finished()).expect("a cluster");
    assert_eq!((found.holds_lock, found.from_threads), (false, Some(3)));
}

#[test]
fn no_cluster_runs_more_tasks_at_once_than_the_workload_allows() {
    // A pure wait, 64 allowed: one loop here has all of them under way.
    let mut session = Synthetic::new();
    session.add_runtime(PYTHON, "python", Some(true));
    let worker = ClusterWorker { is_here: false, threads: 256, ..ClusterWorker::of_tests() };
    session.record.calibration.runtimes[1].cluster = Some(Cluster::of_tests(vec![worker]));
    session.record.workload.load = Load::Closed { max_in_flight: 64 };
    let shape = Shape { service_ns: 20_000_000, cpu_ns: 1_000 };
    let alone = session.add_to(PYTHON, Engine::Sequential, NONE, shape);
    let all = session.add_to(PYTHON, Engine::Asyncio, in_flight(64), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(alone, 50.0), (all, 3200.0)]);
        }
    }
    let found = leaving(&session.finished()).expect("a cluster");
    assert_eq!((found.from_threads, found.is_limited_by_in_flight), (None, true));
}

#[test]
fn what_the_scheduler_handed_out_in_the_race_it_can_hand_out() {
    let mut session = beside_a_cluster();
    let dask = session.add_to(PYTHON, Engine::Dask, in_flight(64), Shape { service_ns: 2_000_000, cpu_ns: 1_000 });
    for _ in 0..4 {
        session.round(Phase::Race, 3, &[(dask, 1500.0)]);
    }
    let found = leaving(&session.finished()).expect("a cluster");
    assert!(found.most_per_s >= 1450.0, "{found:?}");
}

#[test]
fn under_a_rate_or_where_all_of_the_cluster_failed_nothing_is_said() {
    let mut session = beside_a_cluster();
    session.record.workload.rate = Some(Rate { tasks: 50, period_ns: 1_000_000_000, burst: 1 });
    assert_eq!(leaving(&session.finished()), None);
    let mut session = beside_a_cluster();
    session.record.candidates[2].failure = Some(Failed::new(FailureKind::Setup, "no module", ""));
    assert_eq!(leaving(&session.finished()), None);
}
