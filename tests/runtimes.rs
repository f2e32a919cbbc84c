//! Sessions of several runtimes. The native agent stands in for the second one, under another name.
//!
//! Nothing is said about durations or winners.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use conbench::internal::host::{self, Facts};
use conbench::internal::plan::{self, Runtime, Settings};
use conbench::internal::session::{self, AgentProgram, Event, Observer, Session};
use conbench::internal::workload::{Check, Python, Step, Workload, parse};
use conbench::record::{Ending, Phase, Record, Warning};

const CONBENCH: &str = env!("CARGO_BIN_EXE_conbench");
const SECOND: &str = "rust-2";
const COMPUTES: &str = "[[step]]\nkind = \"cpu\"\ntime = \"100us\"\n";

/// Counts what it is told of failures.
#[derive(Default)]
struct Failures(usize);

impl Observer for Failures {
    fn observe(&mut self, event: &Event<'_>) {
        self.0 += usize::from(matches!(event, Event::Failed { .. }));
    }
}

fn workload(text: &str) -> Workload {
    parse("test.toml", text).expect("a workload")
}

/// The user's own code, which the native agent does not know.
fn of_code() -> Workload {
    let python = Python {
        function: Some("shop:fetch".to_owned()),
        path: "/".to_owned(),
        check: Check::Results,
        ..Python::default()
    };
    Workload { steps: vec![Step::Python(python)], ..workload(COMPUTES) }
}

/// A session of the native runtime, and of a second one whose agent is `second`.
fn run(workload: Workload, second: &Path) -> (Record, usize) {
    let settings = Settings {
        engines: vec!["sequential".parse().expect("an engine"), "thread-pool".parse().expect("an engine")],
        workers: vec![1, 2],
        budget_ns: 6_000_000_000,
        seed: 1,
        ..Settings::default()
    };
    let facts: Facts = host::facts(&std::env::temp_dir());
    // A plan gives Python code to no other runtime: both pass for one, and then cannot run it.
    let is_code = workload.steps.iter().any(|step| step.python().is_some());
    let language = if is_code { "python" } else { "rust" };
    let native = Runtime { language: language.to_owned(), ..Runtime::rust() };
    let runtimes = [native.clone(), Runtime { name: SECOND.to_owned(), ..native }];
    let plan = plan::plan(&workload, &settings, &facts, &runtimes);
    let native = AgentProgram::native(Path::new(CONBENCH));
    let other = AgentProgram { runtime: SECOND.to_owned(), program: second.to_owned(), ..native.clone() };
    let session = Session {
        workload,
        settings,
        host: facts,
        plan,
        agents: vec![native, other],
        clusters: Vec::new(),
        upload: Vec::new(),
        output: None,
        interrupted: Arc::new(AtomicBool::new(false)),
        duel: None,
    };
    let mut failures = Failures::default();
    let record = session::run_with(Path::new(CONBENCH), session, &mut failures).expect("it runs");
    (record, failures.0)
}

fn runtime_of(record: &Record, place: u32) -> &str {
    &record.candidates[place as usize].candidate.runtime
}

#[test]
fn two_runtimes_race_one_after_the_other_and_meet() {
    let (record, failures) = run(workload(COMPUTES), Path::new(CONBENCH));
    assert!(matches!(record.ending, Ending::Decided | Ending::BudgetSpent), "{:?}", record.ending);
    assert_eq!(failures, 0);
    let [one, two] = record.calibration.runtimes.as_slice() else { panic!("two runtimes") };
    assert_eq!((one.name.as_str(), two.name.as_str()), ("rust", SECOND));
    assert!(one.checked && two.checked && record.calibration.usable_cores.is_some());
    // Of one language: the same work.
    assert_eq!((&one.iterations, &one.iteration_ns), (&two.iterations, &two.iteration_ns));
    let mut phases: Vec<(Phase, Vec<&str>)> = Vec::new();
    for round in record.rounds.iter().filter(|round| !round.order.is_empty()) {
        let mut names: Vec<&str> = round.order.iter().map(|place| runtime_of(&record, *place)).collect();
        names.sort_unstable();
        names.dedup();
        phases.push((round.phase, names));
    }
    for (phase, names) in &phases {
        assert_eq!(names.len(), if *phase == Phase::Runtimes { 2 } else { 1 }, "{phase:?}");
    }
    assert!(phases.iter().any(|(phase, _)| *phase == Phase::Runtimes), "they met");
    for name in ["rust", SECOND] {
        assert!(phases.contains(&(Phase::Race, vec![name])), "{name} raced");
    }
    for place in &record.candidates {
        assert!(place.blocks.iter().all(|block| block.figures.tasks > 0 || block.figures.window_ns > 0));
    }
}

#[test]
fn a_runtime_whose_agent_cannot_start_does_not_keep_the_other_from_an_answer() {
    let (record, failures) = run(workload(COMPUTES), Path::new("/nowhere/agent"));
    assert!(matches!(record.ending, Ending::Decided | Ending::BudgetSpent), "{:?}", record.ending);
    assert_eq!((record.calibration.runtimes.len(), failures), (1, 1), "told once");
    for place in &record.candidates {
        let failure = place.failure.as_ref().map(ToString::to_string);
        assert_eq!(failure.is_some(), place.candidate.runtime == SECOND, "{failure:?}");
        if let Some(failure) = failure {
            assert!(failure.contains("cannot start the agent") && failure.contains("/nowhere/agent"), "{failure}");
        }
    }
    assert!(record.rounds.iter().all(|round| round.phase != Phase::Runtimes));
}

#[test]
fn code_that_a_runtime_cannot_run_is_refused_before_anything_is_timed() {
    let (record, failures) = run(of_code(), Path::new(CONBENCH));
    assert_eq!((record.ending, failures), (Ending::NoCandidate, 2), "told once a runtime");
    assert_eq!(record.candidates.len(), 4);
    assert!(record.candidates.iter().all(|place| place.failure.is_some() && place.blocks.is_empty()));
    assert!(!record.warnings.iter().any(|warning| matches!(warning, Warning::Unchecked { .. })));
}
