//! Several runtimes without processes and clocks: who runs when, who is tried, who meets whom.

use std::collections::HashMap;

use super::*;
use crate::candidate::{Candidate, Engine, RUST, Sizes, StartMethod};
use crate::protocol::{BlockKind, FailureKind, Hello, LeftBehind, Note, PROTOCOL, Reference};
use crate::record::{ExitReason, Phase, Record, RuntimeCalibration, Warning};
use crate::session::AgentSlot;
use crate::session::blocks::BlockPace;
use crate::session::fake::{self, BUDGET_NS, Fake, Notes, Vice, record, reference};
use crate::session::runner::RunnerRules;
use crate::session::saving::Saver;
use crate::workload::{Check, Python, Step};

const MS: u64 = 1_000_000;
const OTHER: &str = "python3.13t";

fn entry(runtime: &str, engine: Engine) -> Entry {
    let axes = engine.axes();
    let ladder = |has: bool| if has { vec![1, 2] } else { Vec::new() };
    let size = |has: bool| has.then_some(2);
    Entry {
        runtime: runtime.to_owned(),
        engine,
        start_method: engine.has_start_method().then_some(StartMethod::Fork),
        library_threads: None,
        default_sizes: Sizes { workers: size(axes.workers), in_flight: size(axes.in_flight), chunk: None },
        in_flight: ladder(axes.in_flight),
        workers: ladder(axes.workers),
        chunk: Vec::new(),
    }
}

fn runtime_plan(name: &str, engines: &[Engine]) -> RuntimePlan {
    RuntimePlan {
        name: name.to_owned(),
        language: Some("any".to_owned()),
        entries: engines.iter().map(|engine| entry(name, *engine)).collect(),
        methods: vec![StartMethod::Fork, StartMethod::Forkserver, StartMethod::Spawn],
        has_lock: false,
        library_threads: None,
        cluster: None,
        call: None,
        broken: None,
    }
}

fn terms() -> Terms {
    Terms { rules: fake::rules(), is_equal_work: false }
}

/// Workers that all compute, of which two run at once.
fn two_cores(candidate: &Candidate) -> f64 {
    f64::from(candidate.sizes.concurrency().min(2))
}

/// Threads that share a lock, and processes that do not.
fn one_lock(candidate: &Candidate) -> f64 {
    if candidate.engine == Engine::ThreadPoolExecutor { 1.0 } else { two_cores(candidate) }
}

fn pool(rate: fn(&Candidate) -> f64) -> Fake {
    Fake { rate: Some(rate), ..Fake::default() }
}

/// A record of the user's own code.
fn of_code() -> Record {
    let mut record = record(None, Goal::Throughput);
    record.workload.steps = vec![Step::Python(Python {
        function: Some("shop.scrape:fetch".to_owned()),
        path: "/".to_owned(),
        check: Check::Results,
        ..Python::default()
    })];
    record
}

fn play(pool: &mut Fake, record: &mut Record, runtime_plans: &[RuntimePlan], terms: &Terms) -> (Ending, Vec<String>) {
    // The reference knows three items of all.
    let results = pool.results.first().map(|(_, results)| results.clone()).unwrap_or_default();
    let one =
        Reference { distinct: results.len() as u64, results: results.into_iter().take(3).collect(), ..reference() };
    let references =
        runtime_plans.iter().map(|runtime_plan| ((runtime_plan.name.clone(), None), one.clone())).collect();
    let pace = fake::pace(record);
    let (mut notes, mut saver) = (Notes::default(), Saver::new(None));
    let rules = RunnerRules::new(pace, references);
    let mut runner = Runner::new(pool, &mut notes, record, &mut saver, rules);
    let ending = run(&mut runner, runtime_plans, terms);
    (ending, notes.0)
}

/// The runtimes that ran in each round, each round's phase first.
fn rounds(record: &Record) -> Vec<(Phase, Vec<&str>)> {
    let runtime = |place: &u32| record.candidates[*place as usize].candidate.runtime.as_str();
    let of_round = |round: &crate::record::Round| {
        let mut names: Vec<&str> = round.order.iter().map(runtime).collect();
        names.sort_unstable();
        names.dedup();
        (round.phase, names)
    };
    record.rounds.iter().map(of_round).collect()
}

fn failures(record: &Record) -> Vec<(String, FailureKind)> {
    let failed = record.candidates.iter().filter_map(|place| Some((place, place.failure.as_ref()?)));
    failed.map(|(place, failure)| (place.candidate.to_string(), failure.kind)).collect()
}

#[test]
fn runtimes_race_one_after_the_other_and_then_their_leaders_meet() {
    let runtime_plans = [
        runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPool]),
        runtime_plan(OTHER, &[Engine::ThreadPoolExecutor]),
    ];
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    let (ending, _) = play(&mut pool, &mut record, &runtime_plans, &terms());
    assert_eq!(ending, Ending::Decided);
    let rounds = rounds(&record);
    let first_of_other = rounds.iter().position(|(_, names)| names == &[OTHER]).expect("it raced");
    let first_meeting = rounds.iter().position(|(phase, _)| *phase == Phase::Runtimes).expect("they met");
    assert!(rounds[..first_of_other].iter().all(|(_, names)| names == &[RUST]), "{rounds:?}");
    assert!(rounds[first_of_other..first_meeting].iter().all(|(_, names)| names == &[OTHER]), "{rounds:?}");
    let met = &rounds[first_meeting..];
    assert_eq!(met.len(), 9);
    assert!(met.iter().all(|(phase, names)| *phase == Phase::Runtimes && names == &[OTHER, RUST]), "{rounds:?}");
    let leaders: Vec<String> = record.rounds[first_meeting..]
        .iter()
        .flat_map(|round| &round.order)
        .map(|place| record.candidates[*place as usize].candidate.to_string())
        .collect();
    assert!(leaders.iter().all(|name| name.ends_with("@w2")), "{leaders:?}");
    assert!(pool.alive.is_empty());
}

#[test]
fn who_does_not_do_equal_work_does_not_meet() {
    let of = |language: &str, name: &str| RuntimePlan {
        language: Some(language.to_owned()),
        ..runtime_plan(name, &[Engine::Sequential])
    };
    let runtime_plans = [of("rust", RUST), of("python", "python3.11"), of("python", OTHER)];
    let met = |runtime_plans: &[RuntimePlan], terms: &Terms, goal: Goal| {
        let mut record = record(None, goal);
        play(&mut pool(two_cores), &mut record, runtime_plans, terms);
        let met: Vec<Vec<String>> = rounds(&record)
            .into_iter()
            .filter(|(phase, _)| *phase == Phase::Runtimes)
            .map(|(_, names)| names.into_iter().map(str::to_owned).collect())
            .collect();
        met.first().cloned().unwrap_or_default()
    };
    assert_eq!(met(&runtime_plans, &terms(), Goal::Throughput), ["python3.11", OTHER]);
    assert!(met(&runtime_plans[..2], &terms(), Goal::Throughput).is_empty());
    let equal = Terms { is_equal_work: true, ..terms() };
    assert_eq!(met(&runtime_plans, &equal, Goal::Throughput), ["python3.11", OTHER, RUST]);
    assert!(met(&runtime_plans, &equal, Goal::Memory).is_empty());
}

#[test]
fn each_has_a_fair_share_and_what_one_leaves_is_the_nexts() {
    let (mut pool, mut record) = (pool(two_cores), record(Some(1000), Goal::Throughput));
    pool.now_ns = 2000 * MS;
    let pace = BlockPace { task_timeout_ns: MS, ..fake::pace(&record) };
    let (mut notes, mut saver) = (Notes::default(), Saver::new(None));
    let rules = RunnerRules { calls: 100, ..RunnerRules::new(pace, HashMap::new()) };
    let runner = Runner::new(&mut pool, &mut notes, &mut record, &mut saver, rules);
    let alone = share(&runner, BUDGET_NS, 0.0, 1);
    assert_eq!((alone.deadline_ns, alone.budget_ns, alone.most_calls), (20_000 * MS, 18_000 * MS, 1000));
    let first = share(&runner, BUDGET_NS, 0.1, 2);
    assert_eq!((first.deadline_ns, first.budget_ns, first.most_calls), (10_000 * MS, 8_000 * MS, 100 + 400));
    let second = share(&runner, BUDGET_NS, 0.1, 1);
    assert_eq!((second.deadline_ns, second.most_calls), (18_000 * MS, 900));
    assert_eq!(last(&runner, BUDGET_NS, 0.1).deadline_ns, 20_000 * MS);
    // Where races took all of it, there is still what was kept.
    assert_eq!(last(&runner, 1000 * MS, 0.1).deadline_ns, 2100 * MS);
}

#[test]
fn a_broken_runtime_is_told_once_and_the_others_go_on() {
    let broken = Failed::new(FailureKind::Task, "ValueError: no", "step 1 (python)");
    let first = RuntimePlan { broken: Some(broken), ..runtime_plan(OTHER, &[Engine::Sequential, Engine::Thread]) };
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    let runtime_plans = [first, runtime_plan(RUST, &[Engine::Sequential])];
    let (ending, notes) = play(&mut pool, &mut record, &runtime_plans, &terms());
    assert_eq!(ending, Ending::Decided);
    assert_eq!(failures(&record).len(), 2);
    assert_eq!(notes.iter().filter(|note| note.contains("failed")).count(), 1, "{notes:?}");
    assert!(rounds(&record).iter().all(|(phase, names)| names == &[RUST] && *phase != Phase::Runtimes));
    assert_eq!(record.candidates[record.rounds[0].order[0] as usize].candidate.to_string(), "rust/sequential");
}

#[test]
fn nothing_left_anywhere_is_nothing_left() {
    let mut first = runtime_plan(OTHER, &[Engine::Sequential]);
    first.broken = Some(Failed::new(FailureKind::Task, "ValueError: no", ""));
    let mut record = record(None, Goal::Throughput);
    assert_eq!(play(&mut pool(two_cores), &mut record, &[first], &terms()).0, Ending::NoCandidate);
    for (one, other, worst) in [
        (Ending::NoCandidate, Ending::Decided, Ending::Decided),
        (Ending::Decided, Ending::NoCandidate, Ending::Decided),
        (Ending::CallsSpent, Ending::BudgetSpent, Ending::CallsSpent),
        (Ending::Decided, Ending::Interrupted, Ending::Interrupted),
    ] {
        assert_eq!(worse(one, other), worst);
    }
}

#[test]
fn a_preparation_that_took_all_of_the_budget_leaves_time_for_an_answer() {
    let runtime_plans = [runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPoolExecutor])];
    for spent_ns in [BUDGET_NS - 1, BUDGET_NS, 3 * BUDGET_NS] {
        let (mut pool, mut record) = (pool(two_cores), of_code());
        pool.now_ns = spent_ns;
        assert_ne!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::NoCandidate);
        let measured = record.candidates.iter().filter(|place| !place.blocks.is_empty()).count();
        assert!(measured > 1, "{measured} after {spent_ns} ns");
        assert!(pool.now_ns < spent_ns + BUDGET_NS, "{spent_ns}: {}", pool.now_ns);
    }
}

#[test]
fn an_interrupt_ends_all_of_it() {
    let runtime_plans = [runtime_plan(RUST, &[Engine::Sequential]), runtime_plan(OTHER, &[Engine::Sequential])];
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    pool.interrupt_after = Some(5);
    assert_eq!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::Interrupted);
    assert!(rounds(&record).iter().all(|(_, names)| names == &[RUST]));
    assert!(pool.alive.is_empty());
}

#[test]
fn the_tasks_that_are_allowed_are_shared() {
    let runtime_plans = [runtime_plan(RUST, &[Engine::Sequential]), runtime_plan(OTHER, &[Engine::Sequential])];
    for most in [50, 200] {
        let (mut pool, mut record) = (pool(two_cores), record(Some(most), Goal::Throughput));
        assert_eq!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::CallsSpent);
        let all: u64 = record.candidates.iter().flat_map(|place| &place.blocks).map(|block| block.figures.tasks).sum();
        assert!(all <= most, "{all} of {most}");
        if most == 200 {
            assert!(rounds(&record).iter().any(|(_, names)| names == &[OTHER]), "{most}");
        }
    }
}

#[test]
fn libraries_with_threads_race_with_their_own_and_with_one_and_are_tried_once() {
    let engines = [Engine::Sequential, Engine::ThreadPoolExecutor];
    let runtime_plans = [RuntimePlan { library_threads: Some(2), ..runtime_plan(RUST, &engines) }];
    // Of two workers with threads of their own each has one core for two.
    let rate = |one: &Candidate| if one.library_threads.is_some() { two_cores(one) } else { 1.2 };
    let (mut pool, mut record) = (pool(rate), of_code());
    pool.results = vec![("rust/", vec![5, 6, 7])];
    assert_eq!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::Decided);
    assert!(failures(&record).is_empty(), "{:?}", failures(&record));
    let limits: Vec<_> = record.races[0].entries.iter().map(|entry| (entry.engine, entry.library_threads)).collect();
    let both = |engine| [(engine, None), (engine, Some(1))];
    assert_eq!(limits, engines.into_iter().flat_map(both).collect::<Vec<_>>());
    assert_eq!(record.races[0].rules.library_threads, Some(2));
    let trials = pool.log.iter().filter(|line| line.starts_with("verify")).count();
    assert_eq!(trials, 1, "the plain loop was the reference: {:?}", pool.log);
    let raced = |place: &u32| record.candidates[*place as usize].candidate.short();
    let raced: Vec<String> = record.rounds.iter().flat_map(|round| &round.order).map(raced).collect();
    // What is named is held against the same with the library's own threads.
    for wanted in ["sequential", "sequential@t1", "ThreadPoolExecutor@w2", "ThreadPoolExecutor@w2,t1"] {
        assert!(raced.iter().any(|name| name == wanted), "{wanted}: {raced:?}");
    }
    let named = record.races[0].looks.last().and_then(|look| look.named).expect("an answer");
    assert_eq!(record.candidates[named as usize].candidate.short(), "ThreadPoolExecutor@w2,t1");
}

#[test]
fn with_one_thread_results_are_held_against_those_of_one_thread() {
    let runtime_plans = [RuntimePlan { library_threads: Some(2), ..runtime_plan(RUST, &[Engine::Sequential]) }];
    let mut record = of_code();
    let mut pool = pool(two_cores);
    let (mut notes, mut saver) = (Notes::default(), Saver::new(None));
    let of = |results: &[u64]| Reference { results: results.to_vec(), ..reference() };
    let references = HashMap::from([((RUST.to_owned(), None), of(&[5])), ((RUST.to_owned(), Some(1)), of(&[6]))]);
    let pace = fake::pace(&record);
    let rules = RunnerRules::new(pace, references);
    let runner = Runner::new(&mut pool, &mut notes, &mut record, &mut saver, rules);
    let entries = crate::plan::with_one_thread(&runtime_plans[0].entries);
    let results = entries.iter().map(|entry| runner.reference(&small(entry)).map(|it| it.results.clone()));
    assert_eq!(results.collect::<Vec<_>>(), [Some(vec![5]), Some(vec![6])]);
}

#[test]
fn an_engine_is_tried_at_the_smallest_size_that_it_can_have() {
    let tried = |workers: &[u32]| {
        let entry = Entry { workers: workers.to_vec(), ..entry(OTHER, Engine::ThreadPoolExecutor) };
        small(&entry).sizes.workers
    };
    assert_eq!([tried(&[1, 2, 4]), tried(&[1]), tried(&[4]), tried(&[4, 8])], [2, 1, 4, 4].map(Some));
}

#[test]
fn what_cannot_run_leaves_before_the_race_and_another_start_method_takes_its_place() {
    let runtime_plans = [runtime_plan(RUST, &[Engine::Sequential, Engine::Process])];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    let failed = |message: &str| Failed::new(FailureKind::Setup, message, "step 1 (python)");
    pool.fails =
        vec![("rust/Process@fork,", failed("it deadlocked")), ("rust/Process@forkserver", failed("no server"))];
    let (ending, notes) = play(&mut pool, &mut record, &runtime_plans, &terms());
    assert_eq!(ending, Ending::Decided);
    assert_eq!(
        failures(&record),
        [
            ("rust/Process@fork,f2".to_owned(), FailureKind::Setup),
            ("rust/Process@forkserver,f2".to_owned(), FailureKind::Setup)
        ]
    );
    assert_eq!(notes.iter().filter(|note| note.contains("failed")).count(), 2);
    let raced = |place: &u32| record.candidates[*place as usize].candidate.start_method;
    assert!(record.rounds.iter().flat_map(|round| &round.order).any(|place| raced(place) == Some(StartMethod::Spawn)));
    assert!(record.candidates.iter().filter(|place| place.failure.is_some()).all(|place| place.blocks.is_empty()));
}

#[test]
fn what_says_the_same_under_the_next_start_method_is_not_asked_again() {
    let failures_of = |runtime_plan: RuntimePlan, kind| {
        let (mut pool, mut record) = (pool(two_cores), of_code());
        pool.fails = vec![("rust/Process", Failed::new(kind, "cannot pickle a lock", ""))];
        play(&mut pool, &mut record, &[runtime_plan], &terms());
        failures(&record).len()
    };
    let runtime_plan = runtime_plan(RUST, &[Engine::Sequential, Engine::Process]);
    assert_eq!(failures_of(runtime_plan.clone(), FailureKind::Setup), 2);
    assert_eq!(failures_of(runtime_plan.clone(), FailureKind::Task), 2);
    let chosen = RuntimePlan { methods: Vec::new(), ..runtime_plan };
    assert_eq!(failures_of(chosen, FailureKind::Setup), 1);
}

/// The engines with processes that run tasks, each with how those begin, and whether a start method was replaced.
fn with_two_methods(engines: &[Engine], teach: impl FnOnce(&mut Fake)) -> (Vec<(Engine, StartMethod)>, bool) {
    let runtime_plan =
        RuntimePlan { methods: vec![StartMethod::Fork, StartMethod::Spawn], ..runtime_plan(RUST, engines) };
    let (mut pool, mut record) = (pool(two_cores), of_code());
    teach(&mut pool);
    play(&mut pool, &mut record, &[runtime_plan], &terms());
    let ran = record.candidates.iter().filter(|place| !place.blocks.is_empty());
    let begun = |place: &crate::record::CandidateRecord| Some((place.candidate.engine, place.candidate.start_method?));
    let mut ran: Vec<_> = ran.filter_map(begun).collect();
    ran.sort_unstable();
    ran.dedup();
    (ran, record.warnings.iter().any(|warning| matches!(warning, Warning::Replaced { .. })))
}

#[test]
fn wrong_results_under_every_start_method_are_not_laid_to_one() {
    let engines = [Engine::Sequential, Engine::ProcessPoolExecutor, Engine::Process];
    let right = vec![5, 6, 7];
    // Tasks share a file: at times they do not meet.
    let (ran, replaced) = with_two_methods(&engines, |pool| {
        pool.results = vec![
            ("rust/sequential", right.clone()),
            ("rust/ProcessPoolExecutor@fork", vec![5, 9, 7]),
            ("rust/ProcessPoolExecutor@spawn", vec![5, 6, 9]),
            ("rust/Process@fork", vec![9, 6, 7]),
            ("rust/Process@spawn", right.clone()),
        ];
    });
    assert_eq!((ran, replaced), (vec![], false), "who gave wrong results is right by chance");
    let (ran, replaced) = with_two_methods(&engines, |pool| {
        pool.results = vec![("rust/ProcessPoolExecutor@fork", vec![5, 9, 7]), ("rust/", right.clone())];
        pool.results.insert(0, ("rust/sequential", right.clone()));
    });
    let mut by_spawn = vec![(Engine::ProcessPoolExecutor, StartMethod::Spawn), (Engine::Process, StartMethod::Spawn)];
    by_spawn.sort_unstable();
    assert_eq!((ran, replaced), (by_spawn, true), "forked workers read what is meant for another");
}

#[test]
fn a_failure_that_another_engine_has_under_the_next_start_method_is_not_laid_to_one() {
    let engines = [Engine::Sequential, Engine::ProcessPoolExecutor, Engine::Process];
    let locked = Failed::new(FailureKind::Setup, "the database is locked by process 71", "step 1 (python)");
    let also_locked = Failed { message: "the database is locked by process 80".to_owned(), ..locked.clone() };
    let (ran, replaced) = with_two_methods(&engines, |pool| {
        pool.fails = vec![
            ("rust/ProcessPoolExecutor@fork", locked.clone()),
            ("rust/ProcessPoolExecutor@spawn", also_locked),
            ("rust/Process@fork", locked.clone()),
        ];
    });
    assert_eq!((ran, replaced), (vec![(Engine::Process, StartMethod::Spawn)], false));
    let (_, replaced) = with_two_methods(&engines, |pool| pool.fails = vec![("rust/Process@fork", locked)]);
    assert!(replaced);
}

#[test]
fn a_start_method_that_hangs_is_left_by_every_engine() {
    let engines = [Engine::Sequential, Engine::ProcessPoolExecutor, Engine::Process, Engine::MultiprocessingPool];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    // The first engine is lucky.
    pool.fails = vec![("rust/Process@fork,", Failed::new(FailureKind::Hang, "no answer", ""))];
    assert_eq!(play(&mut pool, &mut record, &[runtime_plan(RUST, &engines)], &terms()).0, Ending::Decided);
    assert_eq!(failures(&record), [("rust/Process@fork,f2".to_owned(), FailureKind::Hang)]);
    let raced = record.rounds.iter().flat_map(|round| &round.order).map(|place| &record.candidates[*place as usize]);
    let methods: Vec<_> = raced.filter_map(|place| place.candidate.start_method).collect();
    assert!(!methods.is_empty() && methods.iter().all(|method| *method == StartMethod::Forkserver), "{methods:?}");
    let replaced = record.warnings.iter().find_map(|warning| match warning {
        Warning::Replaced { candidate, by, .. } => Some((candidate.engine, *by)),
        _ => None,
    });
    assert_eq!(replaced, Some((Engine::Process, StartMethod::Forkserver)));
}

#[test]
fn where_all_start_methods_hang_each_is_tried_once() {
    let engines = [Engine::Sequential, Engine::ProcessPoolExecutor, Engine::Process, Engine::MultiprocessingPool];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    let hangs = |name| (name, Failed::new(FailureKind::Hang, "no answer", ""));
    pool.fails = vec![hangs("rust/Process"), hangs("rust/multiprocessing")];
    assert_eq!(play(&mut pool, &mut record, &[runtime_plan(RUST, &engines)], &terms()).0, Ending::Decided);
    let tried = failures(&record).len();
    assert_eq!(tried, 2 + 2, "fork and forkserver say the same, and the others are not tried: {:?}", failures(&record));
}

#[test]
fn trials_leave_half_of_the_time_to_the_race() {
    let engines = [
        Engine::Sequential,
        Engine::ProcessPoolExecutor,
        Engine::MultiprocessingPool,
        Engine::Process,
        Engine::AsyncioProcesses,
    ];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    pool.start_ns = BUDGET_NS / 5;
    play(&mut pool, &mut record, &[runtime_plan(RUST, &engines)], &terms());
    let trials = pool.log.iter().filter(|line| line.starts_with("start trial")).count();
    assert_eq!(trials, 3, "after three fifths of the time no trial begins: {:?}", pool.log);
    assert!(failures(&record).is_empty());
}

#[test]
fn who_gives_other_results_is_out_with_the_items_number() {
    let runtime_plans = [runtime_plan(RUST, &[Engine::Sequential, Engine::Thread, Engine::ThreadPoolExecutor])];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    pool.results =
        vec![("rust/sequential", vec![5, 6, 7]), ("rust/Thread@", vec![5, 9, 7]), ("rust/ThreadPool", vec![5, 6, 7])];
    assert_eq!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::Decided);
    assert_eq!(failures(&record), [("rust/Thread@f2".to_owned(), FailureKind::Checksum)]);
    let failure = record.candidates.iter().find_map(|place| place.failure.clone()).expect("one failed");
    assert!(failure.message.starts_with("the result for item 1 is not the one"), "{failure}");
    assert_eq!(failure.place, "step 1 (python)");
    let trials = pool.log.iter().filter(|line| line.starts_with("verify")).count();
    assert_eq!(trials, 3, "the plain loop was the reference, and what is named ran once more: {:?}", pool.log);
    assert!(record.exits.iter().any(|exit| exit.reason == ExitReason::Faulty));
}

#[test]
fn engines_of_threads_are_tried_in_their_first_life_and_no_other() {
    let runtime_plans =
        [runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor])];
    let (mut pool, mut record) = (pool(two_cores), of_code());
    pool.results = vec![("rust/", vec![5, 6, 7])];
    assert_eq!(play(&mut pool, &mut record, &runtime_plans, &terms()).0, Ending::Decided);
    let place = |engine| record.candidates.iter().position(|place| place.candidate.engine == engine).expect("it raced");
    let threads = place(Engine::ThreadPoolExecutor);
    let of_threads = |line: &&String| line.split(' ').nth(1) == Some(&threads.to_string());
    let of_threads: Vec<&str> = pool.log.iter().filter(of_threads).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(of_threads[..4], ["start", "timed", "verify", "timed"], "what is timed first warms it up");
    let verified = of_threads.iter().filter(|what| **what == "verify").count();
    assert_eq!(verified, 2, "in the first life, and before it is named");
    let apart = pool.log.iter().filter(|line| line.starts_with("start trial")).count();
    assert_eq!(apart, 1, "processes may have to begin in another way: {:?}", pool.log);
    assert!(record.candidates[threads].blocks.iter().all(|block| block.figures.kind != BlockKind::Verify));
}

#[test]
fn an_engine_that_fails_small_too_is_out_and_one_that_does_not_is_raced_smaller() {
    let raced = |fails: &'static str| {
        let mut runtime_plan = runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPoolExecutor]);
        runtime_plan.entries[1].workers = vec![1, 2, 4];
        let (mut pool, mut record) = (pool(|one| f64::from(one.sizes.concurrency())), of_code());
        pool.fails = vec![(fails, Failed::new(FailureKind::Setup, "no room", "step 1 (python)"))];
        play(&mut pool, &mut record, &[runtime_plan], &terms());
        let of_pool = record.candidates.iter().filter(|place| place.candidate.engine == Engine::ThreadPoolExecutor);
        let timed = of_pool.clone().filter(|place| !place.blocks.is_empty()).count();
        let reasons: Vec<ExitReason> = record.exits.iter().map(|exit| exit.reason).collect();
        (timed, reasons, of_pool.filter(|place| place.failure.is_some()).count())
    };
    let (timed, reasons, _) = raced("rust/ThreadPool");
    assert_eq!((timed, reasons), (0, vec![ExitReason::Faulty]));
    let (timed, reasons, failed) = raced("rust/ThreadPoolExecutor@w4");
    assert!(timed > 0 && reasons.iter().all(|reason| *reason == ExitReason::Failed), "{reasons:?}");
    assert_eq!(failed, reasons.len());
}

#[test]
fn what_is_wrong_with_many_in_flight_alone_is_found_before_it_is_named() {
    let mut runtime_plan = runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPoolExecutor]);
    runtime_plan.entries[1].workers = vec![1, 2, 4, 8];
    let (mut pool, mut record) = (pool(|one| f64::from(one.sizes.concurrency())), of_code());
    pool.results = vec![
        ("rust/sequential", vec![5, 6, 7]),
        ("rust/ThreadPoolExecutor@w8", vec![5, 6, 9]),
        ("rust/ThreadPool", vec![5, 6, 7]),
    ];
    assert_eq!(play(&mut pool, &mut record, &[runtime_plan], &terms()).0, Ending::Decided);
    assert_eq!(failures(&record), [("rust/ThreadPoolExecutor@w8".to_owned(), FailureKind::Checksum)]);
    let named = record.races[0].looks.last().and_then(|look| look.named).expect("an answer");
    assert_eq!(record.candidates[named as usize].candidate.to_string(), "rust/ThreadPoolExecutor@w4");
}

#[test]
fn what_is_wrong_with_later_items_alone_is_found_by_a_plain_loop_over_them() {
    let named = |size: &'static str, wrong: u64| {
        let mut runtime_plan = runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPoolExecutor]);
        runtime_plan.entries[1].workers = vec![1, 2];
        let (mut pool, mut record) = (pool(|one| f64::from(one.sizes.concurrency())), of_code());
        pool.results = vec![
            ("rust/sequential", (0..40).collect()),
            (size, (0..40).map(|item| if item == wrong { 99 } else { item }).collect()),
            ("rust/ThreadPool", (0..40).collect()),
        ];
        play(&mut pool, &mut record, &[runtime_plan], &terms());
        let named = record.races[0].looks.last().and_then(|look| look.named).expect("an answer");
        (failures(&record), record.candidates[named as usize].candidate.to_string())
    };
    let wrong = (vec![("rust/ThreadPoolExecutor@w2".to_owned(), FailureKind::Checksum)], "rust/sequential".to_owned());
    // Two in flight, too, are compared where the trial did not look.
    assert_eq!(named("rust/ThreadPoolExecutor@w2", 30), wrong);
    assert_eq!(named("rust/ThreadPoolExecutor@w2", 50), (Vec::new(), "rust/ThreadPoolExecutor@w2".to_owned()));
}

#[test]
fn steps_of_ours_are_not_tried() {
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    play(&mut pool, &mut record, &[runtime_plan(RUST, &[Engine::Sequential])], &terms());
    assert!(!pool.log.iter().any(|line| line.starts_with("verify")));
}

fn calibrated(hello: Hello) -> RuntimeCalibration {
    RuntimeCalibration { name: OTHER.to_owned(), hello, ..RuntimeCalibration::of_native() }
}

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        language: "python".to_owned(),
        version: "3.13.0".to_owned(),
        implementation: None,
        executable: None,
        gil: Some(false),
        free_threaded: Some(true),
        engines: Vec::new(),
        absent: Vec::new(),
        start_methods: Vec::new(),
        event_loops: Vec::new(),
        clock_resolution_ns: 1,
        clock_cost_ns: 40.0,
    }
}

#[test]
fn the_race_stands_in_the_record_with_what_its_answer_is_found_from() {
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    play(&mut pool, &mut record, &[runtime_plan(RUST, &[Engine::Sequential, Engine::ThreadPool])], &terms());
    let [race] = &record.races[..] else { panic!("one race") };
    assert_eq!((race.runtime.as_str(), race.entries.len(), race.ending), (RUST, 2, Ending::Decided));
    let last = race.looks.last().expect("it looked");
    let named = &record.candidates[last.named.expect("an answer") as usize].candidate;
    assert_eq!(named.to_string(), "rust/thread-pool@w2");
    assert!(last.may_cost.is_some_and(|cost| cost <= 0.05), "{last:?}");
    // Each look comes after a round that counts, later than the one before.
    assert!(race.looks.windows(2).all(|pair| pair[0].round < pair[1].round && pair[0].elapsed_ns < pair[1].elapsed_ns));
}

#[test]
fn a_stored_race_takes_its_candidates_again_in_their_order() {
    let (mut pool, mut record) = (pool(two_cores), record(None, Goal::Throughput));
    let engines = [Engine::Sequential, Engine::ThreadPool, Engine::Rayon, Engine::ProcessPool];
    pool.fails = vec![("rust/rayon", Failed::new(FailureKind::Setup, "no", ""))];
    pool.stolen = [false, true, false, true].into_iter().collect();
    play(&mut pool, &mut record, &[runtime_plan(RUST, &engines)], &terms());
    assert!(record.rounds.iter().any(|round| round.voided) && !record.exits.is_empty());
    let last = *record.races[0].looks.last().expect("it looked");
    let text = serde_json::to_string(&record).expect("a record serialises");
    let read: Record = serde_json::from_str(&text).expect("and back");
    let mut again = Decide::new(&read.races[0].entries, &read.races[0].alternates, read.races[0].rules);
    // That its answer is the same is held by a test of `decide`, and by one of the whole that shows a saved record.
    for place in &read.candidates {
        again.enter(&place.candidate).expect("it is of an entry");
    }
    assert_eq!(again.candidates().len(), read.candidates.len());
    assert!(last.named.is_some());
}

#[test]
fn the_method_that_the_users_code_sets_comes_before_the_runtimes_own() {
    let start_methods = vec![StartMethod::Fork, StartMethod::Spawn, StartMethod::Forkserver];
    let mut runtime = calibrated(Hello { start_methods: start_methods.clone(), ..hello() });
    assert_eq!((runtime.own_start_method(), runtime.start_methods()), (None, start_methods));
    runtime.notes = vec![Note::Unstable { item: 0 }, Note::SetsStartMethod { method: StartMethod::Spawn }];
    let of_it = vec![StartMethod::Spawn, StartMethod::Fork, StartMethod::Forkserver];
    assert_eq!((runtime.own_start_method(), runtime.start_methods()), (Some(StartMethod::Spawn), of_it));
}

#[test]
fn threads_under_a_lock_have_windows_of_some_turns() {
    let longest = |gil| {
        let (mut pool, mut record) = (Fake { gil, ..pool(one_lock) }, record(None, Goal::Throughput));
        let mut eight = entry(OTHER, Engine::ThreadPoolExecutor);
        (eight.workers, eight.default_sizes.workers) = (vec![8], Some(8));
        let runtime_plan = RuntimePlan { entries: vec![eight], ..runtime_plan(OTHER, &[]) };
        play(&mut pool, &mut record, &[runtime_plan], &terms());
        let mut timed: Vec<u64> = record.candidates[0]
            .blocks
            .iter()
            .filter(|block| block.round.is_some())
            .map(|block| block.figures.window_ns)
            .collect();
        timed.sort_unstable();
        timed
    };
    assert!(longest(Some(true)).iter().all(|window| *window >= 80 * MS));
    assert!(longest(Some(false)).iter().all(|window| *window < 80 * MS));
}

#[test]
fn a_lock_that_came_back_is_told_once() {
    let warnings = |gil, hello| {
        let (mut pool, mut record) = (Fake { gil, ..pool(two_cores) }, record(None, Goal::Throughput));
        record.calibration.runtimes = vec![calibrated(hello)];
        let engines = [Engine::Sequential, Engine::ThreadPoolExecutor];
        play(&mut pool, &mut record, &[runtime_plan(OTHER, &engines)], &terms());
        record.warnings.iter().filter(|warning| matches!(warning, Warning::GilEnabled { .. })).count()
    };
    assert_eq!(warnings(Some(true), hello()), 1);
    assert_eq!(warnings(Some(false), hello()), 0);
    assert_eq!(warnings(Some(true), Hello { gil: Some(true), free_threaded: Some(false), ..hello() }), 0);
}

#[test]
fn what_a_trial_leaves_behind_is_told_of_its_engine_once() {
    let (mut pool, mut record) = (pool(two_cores), of_code());
    pool.vices = vec![(AgentSlot::Trial, Vice::Leaves), (AgentSlot::Candidate(0), Vice::Leaves)];
    play(&mut pool, &mut record, &[runtime_plan(RUST, &[Engine::Sequential])], &terms());
    let left: Vec<&Vec<LeftBehind>> = record
        .warnings
        .iter()
        .filter_map(|warning| match warning {
            Warning::LeftBehind { left_behind, .. } => Some(left_behind),
            _ => None,
        })
        .collect();
    assert_eq!(left.len(), 1);
    assert_eq!((left[0][0].name.as_str(), left[0][0].count), ("poller", 2));
}
