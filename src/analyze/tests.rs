//! Verdicts on synthetic records, of which the truth is known.

mod builder;
mod flip;
mod load;
mod scaling;

use proptest::prelude::*;

use self::builder::{Shape, Synthetic, waiting_step};
use super::*;
use crate::candidate::{Engine, Sizes};
use crate::protocol::{Failed, FailureKind, HistogramData};
use crate::record::Phase;
use crate::workload::{Cpu, Distribution, ErrorLimit, Goal, Kernel, Limits, Step, Work};

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
        session.round(Phase::Search, 0, &[(one, 500.0), (two, 965.0)]);
    }
    for life in 0..3 {
        for _ in 0..4 {
            let speeds = [(sequential, 500.0), (two, 965.0), (tokio, 490.0), (processes, 960.0)];
            session.round(Phase::Final, life, &speeds);
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
            session.round(Phase::Final, life, &[(sequential, 99.0), (pool, 6150.0), (tokio, 6160.0)]);
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

#[test]
fn a_computation_is_for_threads_or_processes() {
    let verdict = analyze(&computation().record);
    let group = only(&verdict);
    assert_eq!(verdict.validity, Validity::Valid);
    assert_eq!(group.answer.best.map(|one| named(group, one)).as_deref(), Some("rust/thread-pool@w2"));
    assert_eq!(group.answer.ties.iter().map(|one| named(group, *one)).collect::<Vec<_>>(), ["rust/process-pool@w2"]);
    assert_eq!(group.answer.models, [Model::Threads, Model::Processes]);
    assert_eq!(group.answer.unresolved, Vec::<u32>::new());
    let lead = group.answer.lead.expect("someone is worse");
    assert!((lead.value - 1.93).abs() < 0.02 && lead.low < lead.value && lead.value < lead.high, "{lead:?}");
    assert_eq!(
        group.why,
        "a task computes 99 % of its time; two workers run 1.93 x as fast as one, and this host gives 1.95 cores"
    );
    assert_eq!(status(group, "rust/thread-pool@w1"), Status::Superseded);
    assert_eq!(status(group, "rust/sequential"), Status::Worse);
    assert_eq!(group.limit.as_ref().map(|limit| limit.set_by), Some(LimitKind::Cores));
    assert_eq!(group.rows[0].status, Status::Best);
    let share = group.rows[0].limit_share.expect("a limit is known");
    assert!((0.9..1.0).contains(&share), "{share}");
    assert!(!group.answer.at_cap);
}

#[test]
fn a_wait_is_for_who_keeps_most_in_flight_and_threads_are_simplest() {
    let verdict = analyze(&waiting().record);
    let group = only(&verdict);
    assert_eq!(group.answer.best.map(|one| named(group, one)).as_deref(), Some("rust/thread-pool@w64"));
    assert_eq!(group.answer.models, [Model::Threads, Model::Async]);
    assert!(group.answer.at_cap);
    assert_eq!(
        group.why,
        "a task is 98 % waiting (0.2 ms CPU of 10.1 ms), so engines differ by how many they keep in flight; \
         64 in flight reach 97 % of the limit that `max_in_flight` sets"
    );
}

#[test]
fn a_lock_sets_its_own_limit() {
    let mut session = waiting();
    session
        .record
        .workload
        .steps
        .push(Step::Lock { hold: Work::Wait { time: Distribution::Fixed { time_ns: 2_000_000 } } });
    let verdict = analyze(&session.record);
    let limit = only(&verdict).limit.clone().expect("a lock limits");
    assert_eq!((limit.throughput_per_s, limit.set_by), (500.0, LimitKind::SerialSection));
    assert_eq!(only(&verdict).why, "the lock is held 2 ms of 10.1 ms: no engine can exceed 500/s");
}

#[test]
fn a_loop_that_stalls_is_named() {
    let mut session = computation();
    session.memory_block(3, 1 << 20, Some(41_000_000));
    assert!(
        analyze(&session.record).groups[0]
            .why
            .ends_with("tokio-current-thread stalls: a task blocks its loop for 41 ms")
    );
}

#[test]
fn what_the_data_do_not_decide_has_no_winner() {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let pool = session.add(Engine::ThreadPool, workers(2), shape);
    let tokio = session.add(Engine::TokioCurrentThread, in_flight(8), shape);
    session.noise = 0.0;
    for (life, ratio) in [0.8, 1.0, 1.15].into_iter().enumerate() {
        for _ in 0..4 {
            session.round(Phase::Final, life as u32, &[(pool, 1000.0), (tokio, 1000.0 * ratio)]);
        }
    }
    let verdict = analyze(&session.record);
    let group = only(&verdict);
    assert_eq!(group.answer.best, None);
    assert_eq!(group.answer.unresolved, [0, 1]);
    assert!(group.why.contains(" leads, but by less than the noise"), "{}", group.why);
    assert!(group.rows.iter().all(|row| row.status == Status::Unresolved));
}

#[test]
fn two_lives_are_too_few_for_a_tie() {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let pool = session.add(Engine::ThreadPool, workers(2), shape);
    let tokio = session.add(Engine::TokioCurrentThread, in_flight(8), shape);
    for life in 0..2 {
        for _ in 0..6 {
            session.round(Phase::Final, life, &[(pool, 1000.0), (tokio, 1000.0)]);
        }
    }
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.ties, Vec::<u32>::new());
    assert!(!only(&verdict).answer.unresolved.is_empty());
}

#[test]
fn a_disturbed_host_is_noisy_and_then_invalid() {
    let mut session = computation();
    session.record.disturbance.steal_share = Some(0.10);
    let verdict = analyze(&session.record);
    assert_eq!((verdict.validity, verdict.validity_reasons.len()), (Validity::Noisy, 1));
    assert!(only(&verdict).answer.best.is_some());
    session.record.disturbance.others_share = Some(0.40);
    let verdict = analyze(&session.record);
    assert_eq!(verdict.validity, Validity::Invalid);
    assert_eq!(only(&verdict).answer.best, None);
    assert!(only(&verdict).why.contains("other processes used 40 % of the CPU time"), "{}", only(&verdict).why);
    assert!(only(&verdict).rows.iter().all(|row| row.status != Status::Best));
}

#[test]
fn a_limit_that_is_broken_takes_a_candidate_out() {
    let mut session = computation();
    session.memory_block(4, 600 << 20, None);
    session.memory_block(2, 10 << 20, None);
    session.record.workload.objective.limits = Limits { memory_bytes: Some(512 << 20), ..Limits::default() };
    let verdict = analyze(&session.record);
    let reason = "memory is 600.0 MiB, the limit is 512.0 MiB".to_owned();
    assert_eq!(status(only(&verdict), "rust/process-pool@w2"), Status::Infeasible { reason });
    assert_eq!(only(&verdict).answer.ties, Vec::<u32>::new());
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
        let verdict = analyze(&session.record);
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
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.best, None);
    assert!(only(&verdict).why.contains("1000 tasks"), "{}", only(&verdict).why);

    let mut session = Synthetic::new();
    session.record.workload.objective.goal = Goal::P99;
    session.samples = 100;
    let quick = session.add(Engine::ThreadPool, workers(2), Shape { service_ns: 1_000_000, cpu_ns: 900_000 });
    let slow = session.add(Engine::TokioCurrentThread, in_flight(8), Shape { service_ns: 8_000_000, cpu_ns: 900_000 });
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Final, life, &[(quick, 900.0), (slow, 1000.0)]);
        }
    }
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.best, Some(quick as u32));
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
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.best, Some(0));
    assert_eq!(status(only(&verdict), "rust/process-pool@w2"), Status::Worse);

    let mut session = computation();
    session.record.workload.objective.goal = Goal::CpuPerTask;
    // The same CPU time per task everywhere: a tie, and the simplest is named.
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.best, Some(0));
    assert_eq!(only(&verdict).answer.ties.len(), 3);
}

#[test]
fn what_failed_comes_last_with_its_reason() {
    let mut session = computation();
    let place = "step 1 (cpu)".to_owned();
    let failure = Failed { kind: FailureKind::Checksum, message: "wrong sum".to_owned(), place, traceback: Vec::new() };
    session.record.candidates[2].failure = Some(failure);
    let verdict = analyze(&session.record);
    let last = only(&verdict).rows.last().expect("rows");
    assert_eq!(last.status, Status::Failed { reason: "step 1 (cpu): wrong sum".to_owned() });
    assert_eq!(last.checked, Some(false));
    assert_eq!(
        only(&verdict).answer.best.map(|one| named(only(&verdict), one)).as_deref(),
        Some("rust/process-pool@w2")
    );
}

#[test]
fn records_that_lack_everything_have_no_answer_but_a_reason() {
    let empty = Synthetic::new();
    assert_eq!(analyze(&empty.record).groups, []);

    let mut unmeasured = Synthetic::new();
    unmeasured.add(Engine::Sequential, NONE, Shape { service_ns: 1, cpu_ns: 1 });
    assert_eq!(only(&analyze(&unmeasured.record)).why, "nothing was measured");

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
    let verdict = analyze(&failed.record);
    assert_eq!(only(&verdict).answer.best, None);
    assert!(only(&verdict).why.starts_with("every candidate failed"), "{}", only(&verdict).why);

    let mut no_final = computation();
    no_final.record.rounds.iter_mut().for_each(|round| round.phase = Phase::Search);
    let verdict = analyze(&no_final.record);
    assert_eq!(only(&verdict).answer.best, None);
    assert!(only(&verdict).why.starts_with("the session ended before"), "{}", only(&verdict).why);
}

#[test]
fn one_candidate_alone_is_the_answer() {
    let mut session = Synthetic::new();
    let alone = session.add(Engine::Rayon, workers(2), Shape { service_ns: 2_000_000, cpu_ns: 1_900_000 });
    session.round(Phase::Final, 0, &[(alone, 900.0)]);
    let verdict = analyze(&session.record);
    assert_eq!(only(&verdict).answer.best, Some(0));
    assert!(only(&verdict).rows[0].throughput_per_s.is_some());
}

#[test]
fn a_corrupted_histogram_is_said_and_spoils_nothing_else() {
    let mut session = computation();
    session.record.candidates[0].blocks[0].figures.service = HistogramData("not base64!".to_owned());
    let verdict = analyze(&session.record);
    assert_eq!(verdict.validity, Validity::Noisy);
    assert!(verdict.validity_reasons[0].starts_with("1 histograms"), "{:?}", verdict.validity_reasons);
    assert!(only(&verdict).answer.best.is_some());
}

#[test]
fn runtimes_are_answered_apart() {
    let mut session = computation();
    let mut python = session.record.candidates[2].clone();
    python.candidate.runtime = "python".to_owned();
    session.record.candidates.push(python);
    let verdict = analyze(&session.record);
    assert_eq!(verdict.groups.iter().map(|group| group.runtime.as_str()).collect::<Vec<_>>(), ["rust", "python"]);
    assert_eq!(verdict.groups[1].answer.best, Some(5));
}

/// The computation under a CPython as well, whose best ran at this speed beside the native one's 965.
fn beside_python(ratio: f64, gil: bool) -> Synthetic {
    let mut session = computation();
    session.record.workload.steps = vec![Step::Cpu(Cpu { kernel: Kernel::Sort, input_bytes: 4096, time_ns: None })];
    session.add_runtime("python3.11", "python", Some(gil), ratio);
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let alone = session.add_to("python3.11", Engine::Sequential, NONE, shape);
    let pool = session.add_to("python3.11", Engine::ProcessPoolExecutor, workers(2), shape);
    for life in 0..3 {
        for _ in 0..4 {
            session.round(Phase::Final, life, &[(alone, 500.0), (pool, 960.0)]);
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
    session.record.calibration.runtimes[1].iteration_ns = vec![Some(180_000.0)];
    let verdict = analyze(&session.record);
    assert!(verdict.runtimes.iter().all(|standing| standing.relative.is_none()));
    let note = verdict.runtimes[1].note.as_deref().unwrap_or_default();
    assert!(note.contains("other work in each language (an iteration of `sort` takes 0.18 ms here)"), "{note}");
}

#[test]
fn one_runtime_stands_alone() {
    assert!(analyze(&computation().record).runtimes.is_empty());
}

#[test]
fn the_gil_is_told_from_two_threads_beside_one() {
    let why = |ratio, gil| {
        let verdict = analyze(&beside_python(ratio, gil).record);
        verdict.groups.into_iter().find(|group| group.runtime == "python3.11").expect("a group").why
    };
    let held = why(0.97, true);
    let expected = "threads do not help: two threads run 0.97 x as fast as one, the task holds the GIL";
    assert!(held.contains(expected), "{held}");
    assert!(why(1.4, true).contains("holds the GIL for a part of its time"));
    assert!(why(1.95, true).contains("two threads run 1.95 x as fast as one: the task releases the GIL"));
    assert!(why(1.9, false).contains("two threads run 1.90 x as fast as one, without a GIL"));
}

#[test]
fn pickling_that_is_dear_is_named() {
    let mut session = beside_python(1.9, false);
    let pool = session.record.candidates.len() - 1;
    for block in &mut session.record.candidates[pool].blocks {
        block.figures.tasks_in_window /= 4.0;
    }
    session.pickling(pool, 2_000_000.0, 900_000.0);
    let group = analyze(&session.record).groups.remove(1);
    assert_eq!(group.answer.models, [Model::Sequential]);
    assert!(group.why.contains("processes pay 0.9 ms a task for pickling 1.9 MiB"), "{}", group.why);
}

#[test]
fn a_stored_record_gives_the_same_verdict() {
    let record = waiting().record;
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
        session.record.workload.objective.margin = Some(margin);
        session.record.disturbance.steal_share = share;
        session.record.calibration.usable_cores = cores;
        for (position, (candidate, speed, life, is_final)) in speeds.iter().enumerate() {
            let phase = if *is_final { Phase::Final } else { Phase::Search };
            session.round(phase, *life, &[(*candidate, *speed), ((*candidate + 1) % 5, 100.0)]);
            if let Some(block) = session.record.candidates[*candidate].blocks.last_mut() {
                let window = windows[position % windows.len()];
                (block.figures.window_ns, block.figures.tasks) = (window, window);
                block.round = Some(block.round.unwrap_or(0).wrapping_mul(window as u32 | 1));
            }
        }
        let verdict = analyze(&session.record);
        let group = only(&verdict);
        prop_assert_eq!(group.rows.len(), 5);
        prop_assert!(!group.why.is_empty());
        let best = group.rows.iter().filter(|row| row.status == Status::Best).count();
        prop_assert_eq!(best, usize::from(group.answer.best.is_some()));
        prop_assert_eq!(best == 1, !group.answer.models.is_empty());
        // What is said can be stored: no figure is without a JSON form.
        let text = serde_json::to_string(&verdict).expect("a verdict serialises");
        prop_assert!(serde_json::from_str::<Verdict>(&text).is_ok(), "{}", text);
    }
}
