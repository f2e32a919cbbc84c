//! How a lead turns under load.

use super::builder::{Shape, Synthetic};
use crate::analyze::load::{LEAST_ROUNDS, dependence};
use crate::candidate::{Engine, RUST, Sizes};
use crate::record::{Flag, Phase};
use crate::workload::Goal;

/// Threads are as fast as `calm` in calm rounds and as `busy` in disturbed ones; async is always as fast as 100.
fn dependence_of(calm: f64, busy: f64, rounds: usize) -> Option<String> {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 1_000_000, cpu_ns: 1000 };
    let sizes = Sizes { workers: Some(2), ..Sizes::default() };
    let threads = session.add(Engine::ThreadPool, sizes, shape);
    let loops = session.add(Engine::TokioCurrentThread, Sizes { in_flight: Some(2), ..Sizes::default() }, shape);
    for round in 0..2 * rounds {
        let is_busy = round % 2 == 1;
        session.round(Phase::Final, 0, &[(threads, if is_busy { busy } else { calm }), (loops, 100.0)]);
        if is_busy && let Some(last) = session.record.rounds.last_mut() {
            last.flags = vec![Flag::Others { share: 0.4 }];
            last.voided = round % 3 == 0;
        }
    }
    dependence(&session.record, RUST)
}

#[test]
fn a_lead_that_turns_under_load_is_told() {
    let told = dependence_of(110.0, 80.0, 8).expect("it turns");
    let expected = "it depends on the background load: `thread-pool@w2` is 10 % better than \
                    `tokio-current-thread@f2` in calm rounds, and 20 % worse in those that others disturbed";
    assert_eq!(told, expected);
}

#[test]
fn a_lead_that_shrinks_or_is_seen_too_seldom_is_not() {
    assert_eq!(dependence_of(110.0, 101.0, 8), None);
    assert_eq!(dependence_of(110.0, 100.0, 8), None);
    assert_eq!(dependence_of(110.0, 80.0, LEAST_ROUNDS - 1), None);
    assert_eq!(dependence_of(90.0, 80.0, 8), None);
}

#[test]
fn other_runtimes_and_goals_are_no_part_of_it() {
    let mut session = Synthetic::new();
    assert_eq!(dependence(&session.record, RUST), None);
    session.record.workload.objective.goal = Goal::Memory;
    assert_eq!(dependence(&session.record, RUST), None);
}
