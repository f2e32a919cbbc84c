//! Verdicts on synthetic records, of which the truth is known.

mod builder;
mod flip;
mod leaving;
mod library_threads;
mod scaling;
mod sessions;

use hdrhistogram::Histogram;
use proptest::prelude::*;

use self::builder::{Shape, Synthetic, waiting_step};
use super::*;
use crate::candidate::{Engine, Sizes, StartMethod};
use crate::plan::Entry;
use crate::protocol::{Descriptors, Failed, FailureKind, HistogramData, Note, Opened, Pickled, Serialisation};
use crate::record::{CandidateRecord, Life, Phase, Warning};
use crate::workload::{Cpu, Distribution, ErrorLimit, Goal, Kernel, Limits, Load, Python, Rate, Step, Work};

const fn workers(size: u32) -> Sizes {
    Sizes { workers: Some(size), in_flight: None, chunk: None }
}

const fn in_flight(size: u32) -> Sizes {
    Sizes { workers: None, in_flight: Some(size), chunk: None }
}

const NONE: Sizes = Sizes { workers: None, in_flight: None, chunk: None };

/// A task of 2 ms CPU on two cores: threads and processes run twice as fast as the rest.
fn computation() -> Synthetic {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let sequential = session.add(Engine::Sequential, NONE, shape);
    let one = session.add(Engine::ThreadPool, workers(1), shape);
    let two = session.add(Engine::ThreadPool, workers(2), shape);
    let tokio = session.add(Engine::TokioCurrentThread, in_flight(1), shape);
    let processes = session.add(Engine::ProcessPool, workers(2), shape);
    for _ in 0..4 {
        session.round(Phase::Race, 0, &[(one, 500.0), (two, 965.0)]);
    }
    for life in 0..3 {
        for _ in 0..4 {
            let speeds = [(sequential, 500.0), (two, 965.0), (tokio, 490.0), (processes, 960.0)];
            session.round(Phase::Race, life, &speeds);
        }
    }
    session.record.calibration.usable_cores = Some(1.95);
    session
}

/// A task of 10 ms, nearly all waiting: who keeps 64 in flight is 64 times as fast.
fn waiting() -> Synthetic {
    let mut session = Synthetic::new();
    session.record.workload.steps = vec![waiting_step()];
    let shape = Shape { service_ns: 10_100_000, cpu_ns: 200_000 };
    let sequential = session.add(Engine::Sequential, NONE, shape);
    let pool = session.add(Engine::ThreadPool, workers(64), shape);
    let tokio = session.add(Engine::TokioCurrentThread, in_flight(64), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(sequential, 99.0), (pool, 6150.0), (tokio, 6160.0)]);
        }
    }
    session
}

fn only(verdict: &Verdict) -> &Group {
    assert_eq!(verdict.groups.len(), 1);
    &verdict.groups[0]
}

fn named(group: &Group, index: u32) -> String {
    group.rows.iter().find(|row| row.index == index).expect("a row each").candidate.to_string()
}

fn status(group: &Group, name: &str) -> Status {
    group.rows.iter().find(|row| row.candidate.to_string() == name).expect("a row each").status.clone()
}

fn answer(verdict: &Verdict) -> &Answer {
    only(verdict).answer.as_ref().expect("an answer")
}

fn answered(verdict: &Verdict) -> Option<String> {
    let group = only(verdict);
    group.answer.as_ref().map(|answer| named(group, answer.candidate))
}

#[test]
fn a_computation_is_for_threads_or_processes() {
    let session = computation();
    let verdict = analyze(&session.finished());
    let (group, answer) = (only(&verdict), answer(&verdict));
    assert!(!verdict.is_disturbed);
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2"));
    assert_eq!((answer.model, answer.engine, answer.workers), (Model::Threads, Engine::ThreadPool, Some(2)));
    let good: Vec<String> = answer.as_good.iter().map(|good| named(group, good.candidate)).collect();
    assert_eq!(good, ["rust/process-pool@w2"]);
    assert_eq!(models(&session.record, answer), [Model::Threads, Model::Processes]);
    assert!(answer.may_cost <= 0.05, "{}", answer.may_cost);
    assert_eq!(answer.sureness(0.05), Sureness::Sure);
    assert_eq!(answer.tried, 5);
    let next: Vec<Model> = answer.next_model.iter().map(|next| next.model).collect();
    assert_eq!(next[0], Model::Processes);
    let loop_ = answer.next_model.iter().find(|next| next.model == Model::Sequential).expect("each model once");
    assert!((loop_.ratio - 500.0 / 965.0).abs() < 0.02 && loop_.low < loop_.ratio, "{loop_:?}");
    let Reason::Computes { share, two_threads: Some(two), .. } = answer.reasons[0] else { panic!("{answer:?}") };
    assert!(share > 0.98 && (two - 1.93).abs() < 0.05, "{two}");
    assert_eq!(status(group, "rust/thread-pool@w1"), Status::Superseded);
    assert_eq!(status(group, "rust/sequential"), Status::Worse);
    assert_eq!(group.limit.as_ref().map(|limit| limit.set_by), Some(LimitKind::Cores));
    assert_eq!(group.rows[0].status, Status::Best);
    let share = group.rows[0].limit_share.expect("a limit is known");
    assert!((0.9..1.0).contains(&share), "{share}");
}

#[test]
fn what_is_reached_of_the_cores_is_known_though_the_hosts_speed_changes() {
    let mut session = computation();
    // One worker ran in the first four rounds alone, when the host was twice as fast.
    for place in &mut session.record.candidates {
        for block in place.blocks.iter_mut().filter(|block| block.round >= Some(4)) {
            block.figures.usage.user_ns *= 2;
            block.figures.tasks_in_window /= 2.0;
        }
    }
    let verdict = analyze(&session.finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2"));
    let Reason::Computes { share, .. } = answer(&verdict).reasons[0] else { panic!("{verdict:?}") };
    assert!(share > 0.98, "{share}");
    // Two cores at 2 ms of CPU time, and at 4 ms: a quarter of its blocks beside three.
    let limit = only(&verdict).limit.as_ref().expect("a limit is known").throughput_per_s;
    let expected = 1.95e9 / (1.98e6 * 1.75);
    assert!((limit / expected - 1.0).abs() < 0.01, "{limit} {expected}");
}

#[test]
fn a_wait_is_for_who_keeps_most_in_flight_and_threads_are_simplest() {
    let verdict = analyze(&waiting().finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w64"));
    let Reason::Waits { share, .. } = answer(&verdict).reasons[0] else { panic!("{verdict:?}") };
    assert!((share - 0.98).abs() < 0.001);
    let reached = answer(&verdict).reasons.iter().find_map(|reason| match reason {
        Reason::Reaches { share, limit: LimitKind::InFlight, concurrency: 64 } => Some(*share),
        _ => None,
    });
    assert!((reached.expect("it is said") - 0.97).abs() < 0.01);
}

#[test]
fn the_cap_of_a_ladder_is_a_condition() {
    let mut session = waiting();
    let shape = Shape { service_ns: 10_100_000, cpu_ns: 200_000 };
    let smaller = session.add(Engine::ThreadPool, workers(32), shape);
    for _ in 0..4 {
        session.round(Phase::Race, 0, &[(smaller, 3090.0), (1, 6150.0)]);
    }
    let verdict = analyze(&session.finished());
    assert!(answer(&verdict).conditions.contains(&Condition::AtCap { size: 64 }));
}

#[test]
fn a_lock_sets_its_own_limit() {
    let mut session = waiting();
    session
        .record
        .workload
        .steps
        .push(Step::Lock { hold: Work::Wait { time: Distribution::Fixed { time_ns: 2_000_000 } } });
    let verdict = analyze(&session.finished());
    let limit = only(&verdict).limit.clone().expect("a lock limits");
    assert_eq!((limit.throughput_per_s, limit.set_by), (500.0, LimitKind::SerialSection));
    let Reason::SerialSection { is_lock: true, section_ns, most_per_s, .. } = answer(&verdict).reasons[0] else {
        panic!("{verdict:?}")
    };
    assert_eq!((section_ns, most_per_s), (2e6, 500.0));
}

#[test]
fn a_loop_that_stalls_is_named() {
    let mut session = computation();
    session.memory_block(3, 1 << 20, Some(41_000_000));
    let stalls = Reason::Stalls { engine: Engine::TokioCurrentThread, function: None, stall_ns: 41_000_000 };
    assert!(answer(&analyze(&session.finished())).reasons.contains(&stalls));
}

#[test]
fn a_loop_that_is_late_for_many_short_tasks_is_blocked_by_none() {
    let stalls = |cpu_ns: u64, stall_ns: u64| {
        let mut session = Synthetic::new();
        let shape = Shape { service_ns: 30_000_000, cpu_ns };
        let places = [
            (session.add(Engine::Sequential, NONE, shape), 30.0),
            (session.add(Engine::ThreadPool, workers(64), shape), 1_600.0),
            (session.add(Engine::TokioCurrentThread, in_flight(64), shape), 1_200.0),
        ];
        for life in 0..4 {
            session.round(Phase::Race, life, &places);
        }
        session.memory_block(places[2].0, 1 << 20, Some(stall_ns));
        let reasons = answer(&analyze(&session.finished())).reasons.clone();
        reasons.iter().any(|reason| matches!(reason, Reason::Stalls { .. }))
    };
    // 64 of 0.36 ms may be ready at once.
    assert!(!stalls(360_000, 13_000_000) && stalls(360_000, 50_000_000));
    // One alone takes as long.
    assert!(stalls(6_000_000, 13_000_000));
}

/// Two engines whose lives differ as said, each of four blocks.
fn of_lives(ratios: &[f64]) -> Verdict {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let pool = session.add(Engine::ThreadPool, workers(2), shape);
    let tokio = session.add(Engine::TokioCurrentThread, in_flight(8), shape);
    session.noise = 0.0;
    for (life, ratio) in ratios.iter().enumerate() {
        for _ in 0..4 {
            session.round(Phase::Race, life as u32, &[(pool, 1000.0), (tokio, 1000.0 * ratio)]);
        }
    }
    analyze(&session.finished())
}

#[test]
fn what_the_data_do_not_decide_has_an_answer_that_says_so() {
    let verdict = of_lives(&[0.8, 1.0, 1.25]);
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2"));
    assert!(answer(&verdict).may_cost > 0.05, "{}", answer(&verdict).may_cost);
    assert!(answer(&verdict).sureness(0.05) > Sureness::Sure);
    assert_eq!(status(only(&verdict), "rust/tokio-current-thread@f8"), Status::Open);
    let steady = of_lives(&[1.0, 1.0, 1.0]);
    assert!(answer(&steady).may_cost < answer(&verdict).may_cost);
}

#[test]
fn connections_of_threads_are_told() {
    let mut session = waiting();
    let set_up = Descriptors { sockets: 2, files: 0 };
    session.record.calibration.runtimes[0].opened = Some(Opened { by_setup_thread: set_up, ..Opened::default() });
    let verdict = analyze(&session.finished());
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w64"));
    let expected = Condition::SocketsOfThreads { sockets: 2, threads: 64 };
    assert!(answer(&verdict).conditions.contains(&expected), "{:?}", answer(&verdict).conditions);
}

#[test]
fn a_disturbed_host_is_a_condition_of_an_answer_that_stands() {
    let mut session = computation();
    session.record.disturbance.steal_share = Some(0.05);
    assert!(!analyze(&session.finished()).is_disturbed);
    session.record.disturbance.others_share = Some(0.40);
    let verdict = analyze(&session.finished());
    assert!(verdict.is_disturbed);
    assert_eq!(answered(&verdict).as_deref(), Some("rust/thread-pool@w2"));
    assert!(answer(&verdict).conditions.contains(&Condition::OtherProcesses { share: 0.40 }));
}

#[test]
fn a_turn_that_others_take_is_no_waiting() {
    let waits = |cpu_ns: u64, others: Option<f64>| {
        let mut session = Synthetic::new();
        let shape = Shape { service_ns: 10_000_000, cpu_ns };
        let places = [session.add(Engine::Sequential, NONE, shape), session.add(Engine::ThreadPool, workers(2), shape)];
        for life in 0..3 {
            session.round(Phase::Race, life, &places.map(|place| (place, 100.0)));
        }
        session.record.disturbance.others_share = others;
        answer(&analyze(&session.finished())).reasons.iter().any(|reason| matches!(reason, Reason::Waits { .. }))
    };
    assert!(waits(4_000_000, None) && waits(4_000_000, Some(0.05)));
    assert!(!waits(4_000_000, Some(0.4)));
    assert!(waits(500_000, Some(0.4)));
}

#[test]
fn a_long_stall_on_a_busy_host_may_be_a_wait_for_a_core() {
    let stalls = |stall_ns: u64, others: Option<f64>| {
        let mut session = computation();
        session.memory_block(3, 1 << 20, Some(stall_ns));
        session.record.disturbance.others_share = others;
        let reasons = answer(&analyze(&session.finished())).reasons.clone();
        reasons.iter().any(|reason| matches!(reason, Reason::Stalls { .. }))
    };
    assert!(stalls(41_000_000, None) && !stalls(41_000_000, Some(0.3)));
    assert!(stalls(98_000_000, Some(0.3)) && !stalls(98_000_000, Some(0.9)));
    assert!(stalls(600_000_000, Some(0.9)));
}

#[test]
fn few_that_overlap_on_a_busy_host_may_wait_for_a_core() {
    let told = |others: Option<f64>| {
        let mut session = Synthetic::new();
        // At 1000/s one process uses a fifth of a core.
        let shape = Shape { service_ns: 10_000_000, cpu_ns: 200_000 };
        let places = [
            (session.add(Engine::Sequential, NONE, shape), 100.0),
            (session.add(Engine::TokioCurrentThread, in_flight(64), shape), 1_000.0),
        ];
        for life in 0..4 {
            session.round(Phase::Race, life, &places);
        }
        session.record.disturbance.others_share = others;
        let reasons = answer(&analyze(&session.finished())).reasons.clone();
        reasons.iter().any(|reason| matches!(reason, Reason::Waits { overlap: Some(_), .. }))
    };
    assert!(told(None) && told(Some(0.3)));
    assert!(!told(Some(0.9)));
}

#[test]
fn waits_that_do_not_overlap_are_told_with_what_was_measured() {
    let told_of = |engine, threads: f64, processes: f64| {
        let mut session = Synthetic::new();
        let shape = Shape { service_ns: 10_000_000, cpu_ns: 20_000 };
        let places = [
            (session.add(Engine::Sequential, NONE, shape), 100.0),
            (session.add(Engine::ThreadPool, workers(64), shape), threads),
            (session.add(engine, workers(64), shape), processes),
        ];
        for life in 0..4 {
            session.round(Phase::Race, life, &places);
        }
        let reasons = answer(&analyze(&session.finished())).reasons.clone();
        let overlap = reasons.iter().find_map(|reason| match reason {
            Reason::Waits { overlap, .. } => Some(*overlap),
            _ => None,
        });
        let reaches = reasons.iter().any(|reason| matches!(reason, Reason::Reaches { .. }));
        (overlap.expect("it waits"), reaches)
    };
    let told = |threads, processes| told_of(Engine::ProcessPool, threads, processes);
    assert_eq!(told(6000.0, 6000.0), (None, true));
    let (Some(few), false) = told(500.0, 480.0) else { panic!("few are served at a time") };
    assert!((few.gain - 5.0).abs() < 0.2 && few.in_flight == 64 && few.of_processes.is_none(), "{few:?}");
    let (Some(each), false) = told(500.0, 2000.0) else { panic!("each process has its own") };
    assert!(each.of_processes.is_some_and(|gain| (gain - 20.0).abs() < 0.5), "{each:?}");
    // Loops of several threads are no processes.
    let (Some(loops), false) = told_of(Engine::TokioSharded, 500.0, 2000.0) else { panic!("it is told") };
    assert!(loops.of_processes.is_none(), "{loops:?}");
}

#[test]
fn children_that_are_not_counted_leave_open_whether_a_task_waits() {
    let mut session = waiting();
    let note = Note::ChildrenUncounted {};
    session.record.warnings.push(Warning::Found { runtime: "rust".to_owned(), note });
    let verdict = analyze(&session.finished());
    let answer = answer(&verdict);
    assert!(answer.conditions.contains(&Condition::ChildrenUncounted {}), "{:?}", answer.conditions);
    let is_claim = |reason: &Reason| matches!(reason, Reason::Waits { .. } | Reason::Reaches { .. });
    assert!(!answer.reasons.iter().any(is_claim) && verdict.groups[0].limit.is_none(), "{:?}", answer.reasons);
}

#[test]
fn other_rules_give_no_other_answer_to_a_record() {
    let mut record = computation().finished();
    let ours = analyze(&record);
    let mut stored = Verdict { rules_version: RULES_VERSION + 1, ..ours.clone() };
    stored.groups[0].answer.as_mut().expect("an answer").may_cost = 0.5;
    // Rules that are ours judge anew, whatever stands in the file.
    assert_eq!(again(&record, Some(stored.clone())), ours);
    record.races[0].rules_version += 1;
    assert_eq!(only(&analyze(&record)).answer, None);
    assert_eq!(again(&record, Some(stored.clone())), stored);
    // A verdict of yet other rules is not the record's.
    let foreign = Verdict { rules_version: RULES_VERSION + 2, ..stored };
    assert_eq!(only(&again(&record, Some(foreign))).answer, None);
    assert_eq!(only(&again(&record, None)).answer, None);
}

#[test]
fn a_limit_that_is_broken_takes_a_candidate_out() {
    let mut session = computation();
    session.memory_block(4, 600 << 20, None);
    session.memory_block(2, 10 << 20, None);
    session.record.workload.objective.limits = Limits { memory_bytes: Some(512 << 20), ..Limits::default() };
    let verdict = analyze(&session.finished());
    let reason = "memory is 600 MiB, the limit is 512MiB".to_owned();
    assert_eq!(status(only(&verdict), "rust/process-pool@w2"), Status::Infeasible { reason });
    assert_eq!(answer(&verdict).as_good, []);
}

#[test]
fn too_many_failed_tasks_take_a_candidate_out() {
    let reason_under = |limit| {
        let mut session = computation();
        session.record.workload.objective.limits = Limits { errors: limit, ..Limits::default() };
        let blocks = &mut session.record.candidates[4].blocks;
        let tasks = 100 * blocks.len() as u64;
        blocks[0].figures.errors = 12;
        blocks[0].figures.first_error = Some(Failed::new(FailureKind::Task, "no such page", "step 1 (http)"));
        let verdict = analyze(&session.finished());
        assert!(only(&verdict).rows.iter().all(|row| row.errors == if row.index == 4 { 12 } else { 0 }));
        let Status::Infeasible { reason } = status(only(&verdict), "rust/process-pool@w2") else { return None };
        Some(reason.replace(&tasks.to_string(), "all"))
    };
    let reason = reason_under(ErrorLimit::Tasks(11)).expect("it is out");
    assert!(reason.starts_with("12 of all tasks failed ("), "{reason}");
    assert!(reason.ends_with(" %), the limit is 11: step 1 (http): no such page"), "{reason}");
    let reason = reason_under(ErrorLimit::Share(0.0005)).expect("it is out");
    assert!(reason.ends_with("the limit is 0.05 %: step 1 (http): no such page"), "{reason}");
    assert_eq!((reason_under(ErrorLimit::Tasks(12)), reason_under(ErrorLimit::Share(0.12))), (None, None));
}

#[test]
fn p99_needs_a_thousand_samples() {
    let mut session = computation();
    session.record.workload.objective.goal = Goal::P99;
    let verdict = analyze(&session.finished());
    assert!(only(&verdict).rows.iter().all(|row| row.service.p99_ns.is_none()));

    let mut session = Synthetic::new();
    session.record.workload.objective.goal = Goal::P99;
    session.samples = 100;
    let quick = session.add(Engine::ThreadPool, workers(2), Shape { service_ns: 1_000_000, cpu_ns: 900_000 });
    let slow = session.add(Engine::TokioCurrentThread, in_flight(8), Shape { service_ns: 8_000_000, cpu_ns: 900_000 });
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(quick, 900.0), (slow, 1000.0)]);
        }
    }
    let verdict = analyze(&session.finished());
    assert_eq!(answer(&verdict).candidate, quick as u32);
    assert_eq!(status(only(&verdict), "rust/tokio-current-thread@f8"), Status::Worse);
}

#[test]
fn memory_and_cpu_are_goals_too() {
    let mut session = computation();
    session.record.workload.objective.goal = Goal::Memory;
    for (candidate, bytes) in [(0, 1 << 20), (2, 2 << 20), (3, 2 << 20), (4, 20 << 20)] {
        for _ in 0..3 {
            session.memory_block(candidate, bytes, None);
        }
    }
    let verdict = analyze(&session.finished());
    assert_eq!(answer(&verdict).candidate, 0);
    assert_eq!(status(only(&verdict), "rust/process-pool@w2"), Status::Worse);

    let mut session = computation();
    session.record.workload.objective.goal = Goal::CpuPerTask;
    // The same CPU time per task everywhere: a tie, and the simplest is named.
    let verdict = analyze(&session.finished());
    assert_eq!(answer(&verdict).candidate, 0);
    assert_eq!(answer(&verdict).as_good.len(), 3);
}

#[test]
fn what_failed_comes_last_with_its_reason() {
    let mut session = computation();
    let place = "step 1 (cpu)".to_owned();
    let failure = Failed { kind: FailureKind::Checksum, message: "wrong sum".to_owned(), place, traceback: Vec::new() };
    session.record.candidates[2].failure = Some(failure);
    let verdict = analyze(&session.finished());
    let last = only(&verdict).rows.last().expect("rows");
    assert_eq!(last.status, Status::Failed { reason: "step 1 (cpu): wrong sum".to_owned() });
    assert_eq!(last.checked, Some(false));
}

/// A session in which a pool failed so under `fork`, and ran under `spawn`.
fn replaced(failure: &Failed) -> Record {
    let mut record = computation().finished();
    let forked = Candidate { start_method: Some(StartMethod::Fork), ..record.candidates[4].candidate.clone() };
    record.candidates[4].candidate.start_method = Some(StartMethod::Spawn);
    let entries = &mut record.races[0].entries;
    let pool = entries.iter_mut().find(|entry| entry.engine == Engine::ProcessPool).expect("it has one");
    pool.start_method = Some(StartMethod::Spawn);
    let of_fork = Entry { start_method: Some(StartMethod::Fork), ..pool.clone() };
    entries.push(of_fork);
    let (candidate, by, failure) = (forked.clone(), StartMethod::Spawn, failure.clone());
    record.warnings.push(Warning::Replaced { candidate, by, failure: failure.clone() });
    let (lives, blocks) = (Vec::new(), Vec::new());
    record.candidates.push(CandidateRecord { candidate: forked, lives, blocks, failure: Some(failure) });
    record
}

fn is_laid_to_fork(verdict: &Verdict) -> bool {
    answer(verdict).conditions.iter().any(|it| matches!(it, Condition::StartMethodReplaced { .. }))
}

#[test]
fn who_runs_under_another_start_method_is_not_told_as_failed() {
    let failure = Failed::new(FailureKind::Task, "record 3 reads 5", "step 1 (python)");
    let mut record = replaced(&failure);
    let verdict = analyze(&record);
    let is_failed = |it: &Condition| matches!(it, Condition::FailedCandidates { .. });
    assert!(is_laid_to_fork(&verdict) && !answer(&verdict).conditions.iter().any(is_failed));
    record.candidates[4].failure = Some(Failed::new(FailureKind::Agent, "it ended", ""));
    let both = analyze(&record);
    assert!(answer(&both).conditions.contains(&Condition::FailedCandidates { count: 2 }), "{:?}", answer(&both));
}

#[test]
fn an_engine_of_which_another_size_ran_is_told_by_the_size_that_failed() {
    let mut record = computation().finished();
    let failure = Failed::new(FailureKind::Task, "HTTPError: HTTP Error 429: Too Many Requests", "step 1 (python)");
    record.candidates[1].failure = Some(failure.clone());
    let conditions = answer(&analyze(&record)).conditions.clone();
    assert!(conditions.contains(&Condition::FailedSizes { candidates: vec![1] }), "{conditions:?}");
    assert!(!conditions.iter().any(|it| matches!(it, Condition::FailedCandidates { .. })), "{conditions:?}");
    record.candidates[3].failure = Some(failure);
    let conditions = answer(&analyze(&record)).conditions.clone();
    assert!(conditions.contains(&Condition::FailedCandidates { count: 1 }), "{conditions:?}");
}

#[test]
fn where_all_others_failed_what_is_left_is_the_answer() {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 1_000_000, cpu_ns: 1_000_000 };
    let places = [session.add(Engine::Sequential, NONE, shape), session.add(Engine::ThreadPool, workers(2), shape)];
    for life in 0..4 {
        session.round(Phase::Race, life, &[(places[0], 1000.0)]);
    }
    let mut record = session.finished();
    // It never ran: with nothing else to compare, nothing is said.
    assert_eq!(answered(&analyze(&record)), None);
    record.candidates[1].failure = Some(Failed::new(FailureKind::Checksum, "another result", "step 1 (python)"));
    let verdict = analyze(&record);
    assert_eq!(answered(&verdict).as_deref(), Some("rust/sequential"));
    assert!(answer(&verdict).conditions.contains(&Condition::FailedCandidates { count: 1 }), "{:?}", answer(&verdict));
}

#[test]
fn what_fails_alike_under_both_start_methods_is_laid_to_none() {
    let failure = Failed::new(FailureKind::Setup, "locked by process 71", "");
    let mut record = replaced(&failure);
    assert!(is_laid_to_fork(&analyze(&record)));
    record.candidates[4].failure = Some(Failed::new(FailureKind::Setup, "locked by process 80", ""));
    assert!(!is_laid_to_fork(&analyze(&record)));
}

#[test]
fn records_that_lack_everything_have_no_answer_but_a_reason() {
    let empty = Synthetic::new();
    assert_eq!(analyze(&empty.finished()).groups, []);

    let mut unmeasured = Synthetic::new();
    unmeasured.add(Engine::Sequential, NONE, Shape { service_ns: 1, cpu_ns: 1 });
    assert_eq!(only(&analyze(&unmeasured.finished())).answer, None);

    let mut failed = computation();
    for candidate in &mut failed.record.candidates {
        let failure = Failed {
            kind: FailureKind::Hang,
            message: "hangs".to_owned(),
            place: String::new(),
            traceback: Vec::new(),
        };
        candidate.failure = Some(failure);
    }
    let verdict = analyze(&failed.finished());
    assert!(only(&verdict).rows.iter().all(|row| matches!(row.status, Status::Failed { .. })));
}

#[test]
fn one_candidate_alone_is_the_answer() {
    let mut session = Synthetic::new();
    let alone = session.add(Engine::Rayon, workers(2), Shape { service_ns: 2_000_000, cpu_ns: 1_900_000 });
    session.round(Phase::Race, 0, &[(alone, 900.0)]);
    let verdict = analyze(&session.finished());
    assert_eq!(answer(&verdict).candidate, 0);
    assert!(only(&verdict).rows[0].throughput_per_s.is_some());
}

#[test]
fn a_corrupted_histogram_is_said_and_spoils_nothing_else() {
    let mut session = computation();
    session.record.candidates[0].blocks[0].figures.service = HistogramData("not base64!".to_owned());
    let verdict = analyze(&session.finished());
    assert!(answer(&verdict).conditions.contains(&Condition::UnreadableHistograms { count: 1 }));
}

#[test]
fn rounds_and_sizes_that_cannot_be_take_no_time() {
    let mut record = computation().finished();
    let found = answered(&analyze(&record));
    assert!(found.is_some());
    record.races[0].looks.last_mut().expect("looked").round = u32::MAX;
    assert_eq!(answered(&analyze(&record)), found, "it looked after the last round that there is");
    let entry = &mut record.races[0].entries[0];
    (entry.workers, entry.in_flight, entry.chunk) = ((1..5000).collect(), (1..5000).collect(), (1..5000).collect());
    assert_eq!(answered(&analyze(&record)), None, "a hundred thousand million sizes");
}

#[test]
fn runtimes_are_answered_apart() {
    let mut session = computation();
    let mut python = session.record.candidates[2].clone();
    python.candidate.runtime = "python".to_owned();
    session.record.candidates.push(python);
    let verdict = analyze(&session.finished());
    assert_eq!(verdict.groups.iter().map(|group| group.runtime.as_str()).collect::<Vec<_>>(), ["rust", "python"]);
    assert!(verdict.groups[0].answer.is_some());
}

/// The computation under a CPython as well, in which two threads do so much of one.
fn beside_python(threads: f64, gil: bool) -> Synthetic {
    let mut session = computation();
    session.record.workload.steps = vec![Step::Cpu(Cpu { kernel: Kernel::Sort, input_bytes: 4096, time_ns: None })];
    session.add_runtime("python3.11", "python", Some(gil));
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let alone = session.add_to("python3.11", Engine::Sequential, NONE, shape);
    let two = session.add_to("python3.11", Engine::ThreadPoolExecutor, workers(2), shape);
    let pool = session.add_to("python3.11", Engine::ProcessPoolExecutor, workers(2), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(alone, 500.0), (two, 500.0 * threads), (pool, 960.0)]);
        }
    }
    let native = 2;
    for _ in 0..12 {
        session.round(Phase::Runtimes, 3, &[(native, 965.0), (pool, 482.5)]);
    }
    session
}

#[test]
fn runtimes_stand_to_each_other_on_equal_work() {
    let verdict = analyze(&beside_python(0.97, true).record);
    let [native, python] = &verdict.runtimes[..] else { panic!("{:?}", verdict.runtimes) };
    assert_eq!(native.relative.map(|it| it.value), Some(1.0));
    let relative = python.relative.expect("compared");
    assert!((relative.value - 0.5).abs() < 0.02 && relative.low < 0.5 && relative.high > 0.49, "{relative:?}");
    assert_eq!(python.note, None);
}

#[test]
fn runtimes_of_other_work_are_not_compared() {
    let mut session = beside_python(0.97, true);
    session.record.workload.steps =
        vec![Step::Cpu(Cpu { kernel: Kernel::Sort, input_bytes: 4096, time_ns: Some(1_000_000) })];
    let verdict = analyze(&session.finished());
    assert!(verdict.runtimes.iter().all(|standing| standing.relative.is_none()));
    let note = verdict.runtimes[1].note.as_deref().unwrap_or_default();
    assert!(note.contains("other work in each language"), "{note}");
}

#[test]
fn one_runtime_stands_alone() {
    assert!(analyze(&computation().finished()).runtimes.is_empty());
}

#[test]
fn two_threads_are_told_beside_a_loop() {
    for (threads, gil) in [(0.97, true), (1.4, true), (1.9, false)] {
        let verdict = analyze(&beside_python(threads, gil).finished());
        let group = verdict.groups.into_iter().find(|group| group.runtime == "python3.11").expect("a group");
        let reason = group.answer.expect("an answer").reasons.remove(0);
        let Reason::Computes { two_threads: Some(two), lock, .. } = reason else { panic!("{reason:?}") };
        assert!((two - threads).abs() < 0.03 && lock == Some(gil), "{two} {lock:?}");
    }
}

#[test]
fn programs_that_a_task_starts_are_the_reason() {
    for (share, is_alone) in [(0.9, true), (0.3, false)] {
        let mut session = beside_python(1.9, true);
        for block in session.record.candidates.iter_mut().flat_map(|place| &mut place.blocks) {
            let usage = &mut block.figures.usage;
            usage.children_ns = (usage.user_ns as f64 * share) as u64;
        }
        let group = analyze(&session.finished()).groups.remove(1);
        let reasons = group.answer.expect("an answer").reasons;
        let Reason::StartsPrograms { children_ns, cpu_ns, lock, .. } = &reasons[0] else { panic!("{reasons:?}") };
        assert!((children_ns / cpu_ns - share).abs() < 0.01 && *lock == Some(true), "{reasons:?}");
        // What is computed elsewhere says nothing of the lock.
        let speaks_of_lock = reasons.iter().any(|reason| matches!(reason, Reason::Computes { .. }));
        assert_eq!(speaks_of_lock, !is_alone);
        let rows = group.rows.iter().filter_map(|row| row.cpu_children_ns_per_task);
        assert!(rows.into_iter().all(|children| children > 0.0));
    }
}

/// A loop that is ready after 10 ms, and a pool that takes so much longer, at 500 and 960 tasks a second.
fn starting(pool_ms: u64) -> Synthetic {
    let mut session = beside_python(0.97, true);
    for place in session.record.candidates.iter_mut().filter(|place| place.candidate.runtime == "python3.11") {
        let is_pool = place.candidate.model() == Model::Processes;
        place.lives.iter_mut().for_each(|life| life.ready_ns = 10_000_000);
        if is_pool {
            place.lives.iter_mut().for_each(|life| life.ready_ns += pool_ms * 1_000_000);
            // What a fork of a warm parent takes is no start-up of a program.
            place.lives[1] = Life { warm: true, ready_ns: 1, ..place.lives[1] };
        }
    }
    session
}

fn pays_from(session: &Synthetic) -> Option<(u64, u64, Option<u64>)> {
    let answer = analyze(&session.finished()).groups.remove(1).answer.expect("an answer");
    assert_eq!(answer.model, Model::Processes);
    answer.conditions.iter().find_map(|condition| match condition {
        Condition::PaysFrom { tasks, low, high, .. } => Some((*tasks, *low, *high)),
        _ => None,
    })
}

#[test]
fn a_pool_pays_from_so_many_tasks_on() {
    // 240 ms more to start, and 2 ms - 1.042 ms gained a task.
    let (tasks, low, high) = pays_from(&starting(240)).expect("it takes long to start");
    assert!((246..=256).contains(&tasks), "{tasks}");
    let high = high.expect("it is faster beyond doubt");
    assert!(low < tasks && low > 180 && high > tasks && high < 320, "{low} {high}");
    // What pays from a handful of tasks on pays.
    assert_eq!(pays_from(&starting(5)), None);
}

/// A task of 100 ms at a stated rate: eight in flight reach `reached` a second.
fn paced(reached: f64) -> Synthetic {
    let mut session = Synthetic::new();
    session.record.workload.steps = vec![waiting_step()];
    session.record.workload.rate = Some(Rate { tasks: 50, period_ns: 1_000_000_000, burst: 1 });
    let shape = Shape { service_ns: 100_000_000, cpu_ns: 200_000 };
    let sequential = session.add(Engine::Sequential, NONE, shape);
    let pool = session.add(Engine::ThreadPool, workers(8), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Race, life, &[(sequential, 9.9), (pool, reached)]);
        }
    }
    session
}

#[test]
fn a_stated_rate_is_reached_or_not() {
    let verdict = analyze(&paced(49.6).finished());
    let answer = only(&verdict).answer.as_ref().expect("an answer");
    let reached = answer.reasons.iter().find_map(|reason| match reason {
        Reason::RateReached { rate_per_s, throughput_per_s } => Some((*rate_per_s, throughput_per_s.round())),
        _ => None,
    });
    assert_eq!(reached, Some((50.0, 50.0)));
    assert!(!answer.reasons.iter().any(|reason| matches!(reason, Reason::Reaches { .. })));
    let verdict = analyze(&paced(39.0).finished());
    let answer = only(&verdict).answer.as_ref().expect("an answer");
    assert!(!answer.reasons.iter().any(|reason| matches!(reason, Reason::RateReached { .. })));
    let is_it = |condition: &Condition| matches!(condition, Condition::RateNotReached { rate_per_s, .. } if *rate_per_s == 50.0);
    assert!(answer.conditions.iter().any(is_it), "{:?}", answer.conditions);
}

#[test]
fn a_failure_that_names_a_limit_is_told_with_what_went_through() {
    let mut session = paced(49.0);
    session.record.workload.rate = None;
    let shape = Shape { service_ns: 100_000_000, cpu_ns: 200_000 };
    let refused = session.add(Engine::TokioCurrentThread, in_flight(64), shape);
    let told = |session: &Synthetic| {
        let verdict = analyze(&session.finished());
        let conditions = only(&verdict).answer.as_ref().expect("an answer").conditions.clone();
        let told = conditions.into_iter().find_map(|condition| match condition {
            Condition::FarLimit(limit) => Some(limit),
            _ => None,
        });
        assert_eq!(told, only(&verdict).far_limit);
        told
    };
    let failed = |message| Some(Failed::new(FailureKind::Task, message, "step 1 (python)"));
    session.record.candidates[refused].failure = failed("OSError: no route to host");
    assert_eq!(told(&session), None);
    session.record.candidates[refused].failure = failed("HTTPError: HTTP Error 429: Too Many Requests");
    let limit = told(&session).expect("it names a limit");
    assert!(limit.said.expect("its words").contains("429"));
    assert_eq!((limit.growth, limit.through_per_s.map(f64::round)), (None, Some(49.0)));
}

#[test]
fn larger_sizes_that_are_refused_look_like_a_limit() {
    let told = |messages: [Option<&str>; 3]| {
        let mut session = paced(49.0);
        session.record.workload.rate = None;
        for (size, message) in [64, 16, 1].into_iter().zip(messages) {
            let shape = Shape { service_ns: 100_000_000, cpu_ns: 200_000 };
            let place = session.add(Engine::TokioCurrentThread, in_flight(size), shape);
            let failure = message.map(|message| Failed::new(FailureKind::Task, message, "step 1 (python)"));
            session.record.candidates[place].failure = failure;
        }
        analyze(&session.finished()).groups[0].far_limit.clone()
    };
    let limit = told([Some("RuntimeError: status 503"), Some("RuntimeError: status 503"), None]).expect("both larger");
    assert_eq!(limit.refused, Some(Refused { passes: 8, from: 16 }));
    assert!(limit.said.expect("its words").contains("503"));
    assert_eq!(limit.through_per_s.map(f64::round), Some(49.0));
    // One alone, other words, and a size below one that passes.
    for messages in [
        [Some("RuntimeError: status 503"), None, None],
        [Some("ValueError: x"), Some("ValueError: x"), None],
        [Some("RuntimeError: status 503"), None, Some("RuntimeError: status 503")],
    ] {
        assert_eq!(told(messages), None, "{messages:?}");
    }
}

#[test]
fn errors_that_grow_with_the_size_look_like_a_limit() {
    let mut session = paced(49.0);
    session.record.workload.rate = None;
    session.record.workload.objective.limits.errors = ErrorLimit::Share(0.5);
    let mut with = |candidate: usize, of_hundred: u64| {
        for block in &mut session.record.candidates[candidate].blocks {
            (block.figures.tasks, block.figures.errors) = (100, of_hundred);
        }
        analyze(&session.finished()).groups[0].far_limit.clone().and_then(|limit| limit.growth)
    };
    assert_eq!(with(0, 0), None);
    let growth = with(1, 20).expect("none fail alone, and a fifth of eight at once");
    assert_eq!((growth.from, growth.from_share, growth.to, growth.to_share), (1, 0.0, 8, 0.2));
    assert_eq!(with(0, 19), None);
}

#[test]
fn a_known_number_of_tasks_is_part_of_the_answer() {
    let named = |tasks| {
        let mut session = starting(240);
        session.record.workload.tasks = Some(tasks);
        let group = analyze(&session.finished()).groups.remove(1);
        let answer = group.answer.expect("an answer");
        let is_told = |condition: &Condition| matches!(condition, Condition::PaysFrom { .. });
        assert!(!answer.conditions.iter().any(is_told), "{:?}", answer.conditions);
        let all = answer.reasons.iter().find_map(|reason| match reason {
            Reason::AllTasks { tasks, named, other, .. } => Some((*tasks, *named, *other)),
            _ => None,
        });
        (answer.model, all.expect("a reason"))
    };
    let (model, (tasks, time, other)) = named(30);
    assert_eq!((model, tasks, other), (Model::Sequential, 30, Some(Model::Processes)));
    assert!((time.ready_ns - 10e6).abs() < 1.0 && (time.tasks_ns - 60e6).abs() < 2e6, "{time:?}");
    let (model, (_, time, other)) = named(100_000);
    assert_eq!((model, other), (Model::Processes, Some(Model::Sequential)));
    assert!((time.ready_ns - 250e6).abs() < 1.0, "{time:?}");
}

#[test]
fn a_batch_of_which_few_tasks_are_long_is_skewed() {
    let skewed = |long: u64, times: u64| {
        let mut session = computation();
        session.record.workload.load = Load::Batch { tasks: 60, max_in_flight: 64 };
        let mut service = Histogram::<u64>::new(3).expect("three digits are legal");
        service.record_n(1_000_000, 60 - long).expect("resizes");
        service.record_n(times * 1_000_000, long).expect("resizes");
        let service = HistogramData::encode(&service).expect("encodes");
        for block in session.record.candidates.iter_mut().flat_map(|place| &mut place.blocks) {
            block.figures.service = service.clone();
        }
        let answer = analyze(&session.finished()).groups.remove(0).answer.expect("an answer");
        answer.reasons.into_iter().find(|reason| matches!(reason, Reason::Skewed { .. }))
    };
    let Some(Reason::Skewed { tasks, long, share }) = skewed(4, 40) else { panic!("it is skewed") };
    assert_eq!((tasks, long), (60, 4));
    assert!((share - 160.0 / 216.0).abs() < 0.01, "{share}");
    assert_eq!((skewed(30, 40), skewed(4, 3), skewed(1, 10)), (None, None, None));
}

#[test]
fn the_chunk_that_the_library_takes_is_named() {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let chunk = |chunk| Sizes { workers: Some(2), in_flight: None, chunk: Some(chunk) };
    let engines =
        [(Engine::MultiprocessingPool, 8), (Engine::MultiprocessingPool, 1), (Engine::ProcessPoolExecutor, 1)];
    let all: Vec<usize> = engines.iter().map(|(engine, size)| session.add(*engine, chunk(*size), shape)).collect();
    session.round(Phase::Race, 0, &all.iter().map(|one| (*one, 900.0)).collect::<Vec<_>>());
    let own = |session: &Synthetic| {
        let mut rows = analyze(&session.finished()).groups.remove(0).rows;
        rows.sort_by_key(|row| row.index);
        rows.iter().map(|row| row.is_own_chunk).collect::<Vec<bool>>()
    };
    assert_eq!(own(&session), [false, false, false]);
    session.record.workload.load = Load::Batch { tasks: 60, max_in_flight: 64 };
    assert_eq!(own(&session), [true, false, true]);
}

#[test]
fn pickling_that_is_expensive_is_a_reason() {
    let mut session = beside_python(0.97, true);
    let pool = session.record.candidates.len() - 1;
    for block in &mut session.record.candidates[pool].blocks {
        block.figures.tasks_in_window /= 4.0;
    }
    session.pickling(pool, 2_000_000.0, 900_000.0);
    let group = analyze(&session.finished()).groups.remove(1);
    let answer = group.answer.expect("an answer");
    assert_eq!(answer.model, Model::Sequential);
    assert!(answer.reasons.contains(&Reason::Pickling { ns: 900_000.0, bytes: 2_000_000.0 }));
}

#[test]
fn pickling_is_no_reason_for_an_answer_that_pickles_too() {
    let mut session = beside_python(0.97, true);
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let mixed = session.add_to("python3.11", Engine::AsyncioProcesses, workers(2), shape);
    let pool = session.record.candidates.len() - 2;
    for _ in 0..4 {
        session.round(Phase::Race, 0, &[(pool, 960.0), (mixed, 300.0)]);
    }
    session.pickling(mixed, 63.0, 900_000.0);
    let group = analyze(&session.finished()).groups.remove(1);
    assert!(group.rows.iter().any(|row| row.serialisation_ns_per_task.is_some() && row.status == Status::Worse));
    let answer = group.answer.expect("an answer");
    assert_eq!(answer.model, Model::Processes);
    assert!(!answer.reasons.iter().any(|reason| matches!(reason, Reason::Pickling { .. })), "{:?}", answer.reasons);
}

/// A pool that is slower than a loop, since its callable takes as long as given.
fn with_callable(ns: f64, threads: f64) -> Record {
    let mut session = beside_python(threads, true);
    let pool = session.record.candidates.len() - 1;
    for block in &mut session.record.candidates[pool].blocks {
        block.figures.tasks_in_window /= 4.0;
    }
    let mut record = session.finished();
    let small = Some(Pickled { bytes: 5.0, ns: 900.0 });
    let callable = Some(Pickled { bytes: 1.1e6, ns });
    let parts = Serialisation { callable, item: small, result: small, ..Serialisation::default() };
    record.calibration.runtimes[1].serialisation = Some(parts.shared_by(1));
    record.workload.steps =
        vec![Step::Python(Python { function: Some("crossing:big.score".to_owned()), ..Python::default() })];
    record
}

fn reasons_of_python(record: &Record) -> Vec<Reason> {
    analyze(record).groups.remove(1).answer.expect("an answer").reasons
}

#[test]
fn an_object_that_crosses_with_its_method_is_a_reason() {
    let reasons = reasons_of_python(&with_callable(9e5, 0.97));
    let found = reasons.iter().find_map(|reason| match reason {
        Reason::CallableCrosses { function, bytes, ns, tasks, .. } => Some((function.as_str(), *bytes, *ns, *tasks)),
        _ => None,
    });
    assert_eq!(found, Some(("score", 1.1e6, 9e5, 1)), "{reasons:?}");
    assert!(!reasons.iter().any(|reason| matches!(reason, Reason::Pickling { .. })), "it is told once: {reasons:?}");
    let is_told = |record: &Record| {
        reasons_of_python(record).iter().any(|reason| matches!(reason, Reason::CallableCrosses { .. }))
    };
    // A name takes no time worth a word; with threads that help, processes are not missed.
    assert!(!is_told(&with_callable(2e3, 0.97)));
    assert!(!is_told(&with_callable(9e5, 1.9)));
}

#[test]
fn a_chunk_shares_its_callable() {
    let callable = Some(Pickled { bytes: 1000.0, ns: 400.0 });
    let item = Some(Pickled { bytes: 10.0, ns: 4.0 });
    let parts = Serialisation { callable, item, result: item, ..Serialisation::default() };
    let (alone, shared) = (parts.shared_by(1), parts.shared_by(4));
    assert_eq!((alone.bytes_per_task, alone.ns_per_task), (1020.0, 408.0));
    assert_eq!((shared.bytes_per_task, shared.ns_per_task, shared.tasks_per_callable), (270.0, 108.0, 4));
}

#[test]
fn an_error_that_no_real_pool_survives_is_a_condition_where_pools_ran() {
    let mut session = beside_python(0.97, true);
    let (type_name, reason) = ("shop.Refused".to_owned(), "TypeError".to_owned());
    let note = Note::ErrorCannotCross { type_name: type_name.clone(), reason, breaks_pool: true };
    session.record.warnings.push(Warning::Found { runtime: "python3.11".to_owned(), note });
    let mut groups = analyze(&session.finished()).groups;
    let condition = Condition::ErrorCannotCross { type_name, breaks_pool: true };
    assert!(groups.remove(1).answer.expect("an answer").conditions.contains(&condition));
}

#[test]
fn a_stored_record_gives_the_same_verdict() {
    let record = waiting().finished();
    let text = serde_json::to_string(&record).expect("a record serialises");
    let read: crate::record::Record = serde_json::from_str(&text).expect("and back");
    assert_eq!(analyze(&read), analyze(&record));
    let verdict = serde_json::to_value(analyze(&record)).expect("a verdict serialises");
    assert_eq!(serde_json::from_value::<Verdict>(verdict).expect("and back"), analyze(&record));
}

proptest! {
    // Each case decodes a hundred histograms.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_record_has_a_verdict(
        speeds in prop::collection::vec((0_usize..5, prop::num::f64::ANY, 0_u32..4, any::<bool>()), 0..40),
        windows in prop::collection::vec(any::<u64>(), 1..5),
        goal in prop::sample::select(vec![Goal::Throughput, Goal::P99, Goal::Memory, Goal::CpuPerTask]),
        margin in prop::num::f64::ANY, share in prop::option::of(prop::num::f64::ANY), cores in prop::option::of(prop::num::f64::ANY),
    ) {
        let mut session = computation();
        session.record.candidates.iter_mut().for_each(|candidate| candidate.blocks.clear());
        session.record.workload.objective.goal = goal;
        session.record.workload.objective.tolerance = Some(margin);
        session.record.disturbance.steal_share = share;
        session.record.calibration.usable_cores = cores;
        for (position, (candidate, speed, life, is_final)) in speeds.iter().enumerate() {
            let phase = if *is_final { Phase::Race } else { Phase::Runtimes };
            session.round(phase, *life, &[(*candidate, *speed), ((*candidate + 1) % 5, 100.0)]);
            if let Some(block) = session.record.candidates[*candidate].blocks.last_mut() {
                let window = windows[position % windows.len()];
                (block.figures.window_ns, block.figures.tasks) = (window, window);
                block.round = Some(block.round.unwrap_or(0).wrapping_mul(window as u32 | 1));
            }
        }
        let verdict = analyze(&session.finished());
        let group = only(&verdict);
        prop_assert_eq!(group.rows.len(), 5);
        let best = group.rows.iter().filter(|row| row.status == Status::Best).count();
        prop_assert!(best <= usize::from(group.answer.is_some()));
        // What is said can be stored: no figure is without a JSON form.
        let text = serde_json::to_string(&verdict).expect("a verdict serialises");
        prop_assert!(serde_json::from_str::<Verdict>(&text).is_ok(), "{}", text);
    }
}
