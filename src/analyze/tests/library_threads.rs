//! What is said of threads that libraries compute with.

use super::*;
use crate::protocol::LibraryThreads;

/// A task that a library computes on both cores: so many tasks a second by a loop and by two threads, with the library's
/// own threads, and the same with one.
fn session(own: (f64, f64), one: Option<(f64, f64)>) -> Synthetic {
    let mut session = Synthetic::new();
    let wide = Shape { service_ns: 1_000_000, cpu_ns: 1_990_000 };
    let narrow = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let sequential = session.add(Engine::Sequential, NONE, wide);
    let threads = session.add(Engine::ThreadPool, workers(2), wide);
    let mut speeds = vec![(sequential, own.0), (threads, own.1)];
    if let Some(one) = one {
        speeds.push((session.add_limited(sequential, narrow), one.0));
        speeds.push((session.add_limited(threads, narrow), one.1));
    }
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &speeds);
        }
    }
    session.record.calibration.usable_cores = Some(1.95);
    found(&mut session, 0.48, &[]);
    session
}

fn found(session: &mut Synthetic, cpu_share: f64, set: &[(&str, &str)]) {
    session.record.calibration.runtimes[0].library_threads = Some(LibraryThreads {
        threads: 2,
        cpu_share,
        libraries: vec!["openblas".to_owned()],
        variables: vec!["OPENBLAS_NUM_THREADS".to_owned()],
        set: set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    });
}

/// Whether the answer is limited, and how far the other kind comes.
fn told(answer: &Answer) -> Option<(bool, bool, f64)> {
    answer.reasons.iter().find_map(|reason| match reason {
        Reason::LibraryThreads { limited, same_sizes, ratio, .. } => Some((*limited, *same_sizes, *ratio)),
        _ => None,
    })
}

#[test]
fn workers_with_one_thread_each_are_named_with_the_variable_and_what_they_gain() {
    let verdict = analyze(&session((700.0, 690.0), Some((500.0, 970.0))).finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2,t1"));
    let answer = answer(&verdict);
    assert_eq!(answer.library_threads, Some(1));
    assert_eq!(answer.library_variables, ["OPENBLAS_NUM_THREADS"]);
    let (limited, same_sizes, ratio) = told(answer).expect("it is the reason");
    assert!(limited && same_sizes && (ratio - 690.0 / 970.0).abs() < 0.02, "{ratio}");
    let set = Condition::SetBeforeImport { variables: vec!["OPENBLAS_NUM_THREADS".to_owned()], threads: 1 };
    assert!(answer.conditions.contains(&set), "{:?}", answer.conditions);
    // Two threads beside one, where each has a core: beside two that have both, it would look like a lock that is held.
    let two = answer.reasons.iter().find_map(|reason| match reason {
        Reason::Computes { two_threads, .. } => *two_threads,
        _ => None,
    });
    assert!((two.expect("both were measured") - 1.94).abs() < 0.05, "{two:?}");
}

#[test]
fn of_equals_the_one_that_sets_nothing_is_named() {
    let verdict = analyze(&session((960.0, 955.0), Some((500.0, 970.0))).finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/sequential"));
    let answer = answer(&verdict);
    assert_eq!((answer.library_threads, answer.library_variables.len()), (None, 0));
    let (limited, same_sizes, ratio) = told(answer).expect("it is a reason");
    assert!(!limited && !same_sizes && (ratio - 970.0 / 960.0).abs() < 0.02, "{ratio}");
    assert!(!answer.conditions.iter().any(|it| matches!(it, Condition::SetBeforeImport { .. })));
}

#[test]
fn what_was_not_searched_is_told_and_what_does_nothing_is_not() {
    let mut session = session((960.0, 955.0), None);
    let tells = |session: &Synthetic| {
        let verdict = analyze(&session.finished());
        assert_eq!(told(answer(&verdict)), None);
        answer(&verdict).conditions.contains(&Condition::LibraryThreads { count: 2 })
    };
    assert!(tells(&session));
    found(&mut session, 0.001, &[]);
    assert!(!tells(&session));
}

#[test]
fn what_the_users_environment_sets_is_told() {
    let mut session = session((700.0, 690.0), Some((500.0, 970.0)));
    found(&mut session, 0.48, &[("OMP_NUM_THREADS", "2")]);
    let verdict = analyze(&session.finished());
    let set = Condition::LibraryThreadsSet { variables: [("OMP_NUM_THREADS".to_owned(), "2".to_owned())].into() };
    assert!(answer(&verdict).conditions.contains(&set));
}

#[test]
fn the_time_and_the_computing_of_a_task_are_of_the_same_threads() {
    let mut session = Synthetic::new();
    let crowded = Shape { service_ns: 112_000_000, cpu_ns: 180_000_000 };
    let sequential = session.add(Engine::Sequential, NONE, crowded);
    let threads = session.add(Engine::ThreadPool, workers(2), Shape { service_ns: 15_000_000, cpu_ns: 180_000_000 });
    // With one thread each, only two at a time were measured.
    let narrow = session.add_limited(threads, Shape { service_ns: 8_000_000, cpu_ns: 7_700_000 });
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(sequential, 9.0), (threads, 15.0), (narrow, 240.0)]);
        }
    }
    found(&mut session, 0.48, &[]);
    let verdict = analyze(&session.finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2,t1"));
    let reasons = &answer(&verdict).reasons;
    assert!(reasons.iter().any(|reason| matches!(reason, Reason::Computes { .. })), "{reasons:?}");
}
