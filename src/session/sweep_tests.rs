//! Sweeps without processes and clocks.

use std::collections::HashMap;

use super::*;
use crate::candidate::{Engine, RUST, Sizes};
use crate::plan::Entry;
use crate::protocol::Failed;
use crate::record::{Ending, RuntimeCalibration};
use crate::session::blocks::BlockPace;
use crate::session::fake::{self, BUDGET_NS, Fake, Notes, Vice, record};
use crate::session::runner::RunnerRules;
use crate::session::runtimes::{RuntimePlan, Terms, run};
use crate::session::saving::Saver;
use crate::workload::{Check, Kernel, Python};

fn entry(engine: Engine, workers: &[u32]) -> Entry {
    Entry {
        runtime: RUST.to_owned(),
        engine,
        start_method: None,
        library_threads: None,
        default_sizes: Sizes { workers: workers.last().copied(), ..Sizes::default() },
        in_flight: Vec::new(),
        workers: workers.to_vec(),
        chunk: Vec::new(),
    }
}

/// Two workers do twice as much as one.
fn two_cores(candidate: &Candidate) -> f64 {
    f64::from(candidate.sizes.concurrency().min(2))
}

fn pool() -> Fake {
    Fake { rate: Some(two_cores), ..Fake::default() }
}

/// A record of tasks of a millisecond that is so many iterations.
fn of_iterations(iterations: u64, max_calls: Option<u64>) -> Record {
    let mut record = record(max_calls, Goal::Throughput);
    record.calibration.runtimes =
        vec![RuntimeCalibration { iterations: vec![iterations], ..RuntimeCalibration::of_native() }];
    record
}

/// A race of a loop, threads and processes, and what comes after it.
fn play(pool: &mut Fake, record: &mut Record) -> (Ending, Vec<String>) {
    let entries = vec![
        entry(Engine::Sequential, &[]),
        entry(Engine::ThreadPool, &[1, 2]),
        entry(Engine::ProcessPool, &[1]),
        entry(Engine::TokioProcessPool, &[2]),
    ];
    let runtime_plan =
        RuntimePlan { name: RUST.to_owned(), language: Some(RUST.to_owned()), entries, ..RuntimePlan::default() };
    let pace = BlockPace { task_timeout_ns: record.workload.task_timeout_ns, ..fake::pace(record) };
    let (mut notes, mut saver) = (Notes::default(), Saver::new(None));
    let rules = RunnerRules::new(pace, HashMap::new());
    let mut runner = Runner::new(pool, &mut notes, record, &mut saver, rules);
    let ending = run(&mut runner, &[runtime_plan], &Terms { rules: fake::rules(), is_equal_work: false });
    assert!(pool.alive.is_empty(), "no agent is left: {:?}", pool.alive);
    (ending, notes.0)
}

fn factors(record: &Record) -> Vec<f64> {
    record.sweeps.iter().flat_map(|sweep| &sweep.points).map(|point| point.factor).collect()
}

#[test]
fn after_a_decided_race_the_best_runs_beside_its_rival_at_other_computations() {
    let (mut pool, mut record) = (pool(), of_iterations(64, None));
    let (ending, notes) = play(&mut pool, &mut record);
    assert_eq!(ending, Ending::Decided);
    assert_eq!(factors(&record), [1.0 / 16.0, 0.25, 1.0, 4.0, 16.0]);
    let sweep = &record.sweeps[0];
    let name = |one: u32| record.candidates[one as usize].candidate.to_string();
    assert_eq!(name(sweep.left), "rust/thread-pool@w2");
    // A mix is no rival where something plainer is.
    assert!(["rust/sequential", "rust/process-pool@w1"].contains(&name(sweep.right).as_str()), "{}", name(sweep.right));
    assert!(sweep.points.iter().all(|point| (point.ratio - 2.0).abs() < 0.1 && point.task_cpu_ns == 1e6), "{sweep:?}");
    assert!(sweep.points.iter().all(|point| point.low <= point.ratio && point.ratio <= point.high));
    let iterations: Vec<u64> = pool.scaled.iter().map(|(_, iterations)| iterations[0]).collect();
    // Who was far behind left the final after three rounds: the workload's own computation is measured, too.
    assert_eq!(iterations, [4, 4, 16, 16, 64, 64, 256, 256, 1024, 1024]);
    assert_eq!(notes.iter().filter(|note| note.contains("Sweeping")).count(), 5);
    // Nothing of it is a candidate's.
    let rounds: usize = record.rounds.iter().map(|round| round.order.len()).sum();
    let timed = record.candidates.iter().flat_map(|place| &place.blocks).filter(|block| block.round.is_some());
    assert_eq!(timed.count(), rounds);
}

#[test]
fn what_cannot_be_scaled_is_not_swept() {
    let swept = |change: &dyn Fn(&mut Record)| {
        let (mut pool, mut record) = (pool(), of_iterations(64, None));
        change(&mut record);
        play(&mut pool, &mut record);
        (factors(&record), pool.scaled.len())
    };
    let nothing = (Vec::new(), 0);
    assert_eq!(swept(&|record| record.workload.objective.goal = Goal::Memory), nothing);
    assert_eq!(swept(&|record| record.workload.steps = vec![Step::Sleep { time: fixed() }]), nothing);
    assert_eq!(swept(&|record| record.calibration.runtimes.clear()), nothing);
    let code = || Python {
        function: Some("shop:fetch".to_owned()),
        path: "/".to_owned(),
        check: Check::Results,
        ..Python::default()
    };
    let add_code = |record: &mut Record| {
        record.workload.steps.push(Step::Python(code()));
        record.calibration.runtimes[0].iterations.push(1);
    };
    assert_eq!(swept(&add_code), nothing);
    // One iteration can be made more, not less.
    assert_eq!(swept(&|record| record.calibration.runtimes[0].iterations = vec![1]).0, [1.0, 4.0, 16.0]);
    // A task of 16 ms might not end in time.
    assert_eq!(swept(&|record| record.workload.task_timeout_ns = 20 * MS).0, [1.0 / 16.0, 0.25, 1.0, 4.0]);
}

fn fixed() -> crate::workload::Distribution {
    crate::workload::Distribution::Fixed { time_ns: MS }
}

#[test]
fn it_takes_its_part_of_the_budget_at_most_and_nothing_beyond_it() {
    for spent_ms in [0, 10_000, 14_000, 16_000, 17_000, 18_000, 19_000] {
        let (mut pool, mut record) = (pool(), of_iterations(64, None));
        pool.now_ns = spent_ms * MS;
        let (ending, _) = play(&mut pool, &mut record);
        let last = record.candidates.iter().flat_map(|place| &place.blocks).map(|block| block.at_ns).max().unwrap_or(0);
        if ending != Ending::Decided {
            assert!(record.sweeps.is_empty(), "{spent_ms}");
        } else {
            // A block of the race that had begun may have ended after it.
            assert!(pool.now_ns <= last + BUDGET_NS / PART + 200 * MS, "{spent_ms}");
            assert!(record.sweeps.is_empty() || pool.now_ns <= BUDGET_NS, "{spent_ms}: {}", pool.now_ns);
        }
    }
}

#[test]
fn the_tasks_that_are_allowed_suffice_or_it_is_left_out() {
    let mut swept = 0;
    for most in [500, 2000, 5000, 20_000, 100_000] {
        let (mut pool, mut record) = (pool(), of_iterations(64, Some(most)));
        let (ending, _) = play(&mut pool, &mut record);
        assert!(pool.tasks <= most, "{} of {most}", pool.tasks);
        assert!(ending == Ending::Decided || record.sweeps.is_empty());
        swept += record.sweeps.len();
    }
    assert!(swept > 0);
}

#[test]
fn an_interrupt_ends_it_and_what_was_measured_stays() {
    let (mut calm, mut record) = (pool(), of_iterations(64, None));
    play(&mut calm, &mut record);
    let all = calm.timed;
    // The last point has six blocks of either agent, its warm-up among them.
    let (mut pool, mut record) = (Fake { interrupt_after: Some(all - 3), ..pool() }, of_iterations(64, None));
    assert_eq!(play(&mut pool, &mut record).0, Ending::Interrupted);
    assert_eq!(factors(&record), [1.0 / 16.0, 0.25, 1.0, 4.0]);
    assert!(pool.log.iter().any(|line| line == &format!("kill {}", SLOTS[0])), "{:?}", pool.log.last());
}

#[test]
fn who_fails_at_other_work_is_no_failed_candidate() {
    for vice in [Vice::Dies, Vice::Hangs] {
        let (mut pool, mut record) = (pool(), of_iterations(64, None));
        pool.vices = vec![(SLOTS[1], vice)];
        let (ending, notes) = play(&mut pool, &mut record);
        assert_eq!((ending, record.sweeps.len()), (Ending::Decided, 0));
        let failed: Vec<&Failed> = record.candidates.iter().filter_map(|place| place.failure.as_ref()).collect();
        assert!(failed.is_empty() && !notes.iter().any(|note| note.contains("failed")), "{notes:?}");
    }
}

#[test]
fn results_of_other_work_are_not_compared() {
    let (mut pool, mut record) = (pool(), of_iterations(64, None));
    pool.vices = vec![(SLOTS[0], Vice::Lies), (SLOTS[1], Vice::Lies)];
    play(&mut pool, &mut record);
    assert_eq!(factors(&record).len(), 5);
}

#[test]
fn whole_iterations_meet_the_factor_or_are_not_taken() {
    let cpu = |input_bytes| Step::Cpu(crate::workload::Cpu { kernel: Kernel::Loop, input_bytes, time_ns: None });
    let steps = [cpu(64), Step::Sleep { time: fixed() }, cpu(8)];
    assert_eq!(scaled(&steps, &[8, 1, 100], 0.25), Some(vec![2, 1, 25]));
    assert_eq!(scaled(&steps, &[9, 1, 100], 0.25), None);
    assert_eq!(scaled(&steps, &[1, 1, 100], 0.25), None);
    assert_eq!(scaled(&steps, &[1, 1, 100], 4.0), Some(vec![4, 1, 400]));
}

#[test]
fn a_turn_is_looked_between_once() {
    let point = |factor: f64, ratio: f64| SweepPoint {
        factor,
        task_cpu_ns: factor,
        ratio,
        low: ratio - 0.05,
        high: ratio + 0.05,
    };
    assert_eq!(turn(&[point(1.0, 0.5), point(0.25, 1.5), point(4.0, 0.4)]), Some(0.5));
    assert_eq!(turn(&[point(1.0, 0.5), point(0.25, 1.5), point(0.5, 1.4)]), None);
    assert_eq!(turn(&[point(1.0, 0.5), point(0.25, 1.02)]), None);
    assert_eq!(turn(&[point(1.0, 0.5), point(0.25, 0.7)]), None);
}

#[test]
fn what_computes_scales_and_what_waits_does_not() {
    let own = Learned {
        resume_ns: 1,
        latency_ns: 10 * MS,
        throughput_per_s: 100.0,
        elapsed_ns: 20 * MS,
        outside_ns: 5 * MS,
        turns_ns: 0,
        varies: false,
    };
    let computes = estimated(&own, 12e6, 0.25);
    assert_eq!((computes.latency_ns, computes.elapsed_ns), (3 * MS, 6 * MS));
    let waits = estimated(&own, 1e6, 16.0);
    assert_eq!((waits.latency_ns, waits.throughput_per_s), (25 * MS, 40.0));
}
