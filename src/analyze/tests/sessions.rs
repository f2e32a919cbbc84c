//! Two sessions of known truth, compared.

use super::*;
use crate::analyze::sessions::{Change, Choice, Comparison, Kind, Session, Unknown, compare};
use crate::record::Record;

/// Three engines that reach these throughputs: a plain loop, a pool of two threads, processes.
fn session(sequential: f64, pool: f64, processes: f64) -> Record {
    let mut session = Synthetic::new();
    let shape = Shape { service_ns: 2_000_000, cpu_ns: 1_980_000 };
    let all = [
        (session.add(Engine::Sequential, NONE, shape), sequential),
        (session.add(Engine::ThreadPool, workers(2), shape), pool),
        (session.add(Engine::ProcessPool, workers(2), shape), processes),
    ];
    for life in 0..3 {
        for _ in 0..6 {
            session.round(Phase::Race, life, &all);
        }
    }
    session.finished()
}

fn threads() -> Record {
    session(500.0, 965.0, 700.0)
}

fn compared(first: &Record, second: &Record, force: bool) -> Comparison {
    let (one, other) = (analyze(first), analyze(second));
    let session = |record, verdict| [Session { record, verdict }];
    compare(&session(first, &one), &session(second, &other), force)
}

fn choice(first: &Record, second: &Record) -> Choice {
    let compared = compared(first, second, false);
    assert_eq!((compared.pairs.len(), compared.unpaired.len()), (1, 0));
    compared.pairs[0].choice.clone()
}

#[test]
fn who_names_the_same_makes_the_same_choice() {
    let compared = compared(&threads(), &session(400.0, 800.0, 600.0), false);
    let pair = &compared.pairs[0];
    assert_eq!(pair.choice, Choice::Same {});
    assert_eq!(pair.differences, []);
    let models: Vec<Model> = pair.ratios.iter().map(|ratio| ratio.model).collect();
    assert_eq!(models, [Model::Sequential, Model::Processes]);
    let (first, second) = (pair.ratios[0].first.expect("a ratio"), pair.ratios[0].second.expect("a ratio"));
    for (ratio, truth) in [(first, 965.0 / 500.0), (second, 2.0)] {
        assert!(ratio.low < truth && truth < ratio.high, "{ratio:?}");
        assert!((ratio.value / truth - 1.0).abs() < 0.05, "{ratio:?}");
    }
    // Their figures stand beside each other: nothing that is known differs.
    let figures = pair.figures.as_ref().expect("figures");
    assert_eq!(figures.len(), 1);
    assert!(
        figures[0].first.throughput_per_s.expect("measured").value
            > figures[0].second.throughput_per_s.expect("measured").value
    );
}

#[test]
fn a_choice_has_changed_where_it_loses_for_certain() {
    let processes = session(500.0, 600.0, 965.0);
    let Choice::Changed { why: Change::Loses { relative } } = choice(&threads(), &processes) else {
        panic!("{:?}", choice(&threads(), &processes));
    };
    assert!(relative.high < 0.95 && relative.low < 600.0 / 965.0, "{relative:?}");
    // The other way round it is the other session that decides.
    assert!(matches!(choice(&processes, &threads()), Choice::Changed { .. }));
}

#[test]
fn two_sessions_may_differ_among_equals() {
    // The second names something simpler, of which the first knew that it was slower.
    let equal = session(960.0, 965.0, 700.0);
    let found = choice(&threads(), &equal);
    let Choice::AsGood { relative } = found else { panic!("{found:?}") };
    assert!(relative.low > 0.95, "{relative:?}");
}

#[test]
fn a_wide_interval_tells_nothing() {
    let mut first = threads();
    let mut second = session(920.0, 880.0, 700.0);
    // Blocks that vary by half: whether 880 is as good as 920 is open.
    for (at, block) in second.candidates.iter_mut().flat_map(|one| &mut one.blocks).enumerate() {
        block.figures.tasks_in_window *= [0.6, 1.5, 1.0, 0.8, 1.3][at % 5];
    }
    let name = |record: &Record| analyze(record).groups[0].answer.clone().expect("an answer").engine;
    assert_eq!(name(&first), Engine::ThreadPool);
    assert_eq!(name(&second), Engine::Sequential);
    let found = choice(&first, &second);
    assert!(matches!(found, Choice::CannotBeTold { why: Unknown::Straddles { .. } }), "{found:?}");
    first.workload.objective.goal = Goal::Memory;
    assert_eq!(choice(&first, &second), Choice::CannotBeTold { why: Unknown::OtherGoal {} });
}

#[test]
fn what_the_second_did_not_measure_cannot_be_told() {
    let mut other_sizes = threads();
    for place in &mut other_sizes.candidates {
        if place.candidate.engine == Engine::ThreadPool {
            place.candidate.sizes = workers(4);
        }
    }
    for entry in other_sizes.races.iter_mut().flat_map(|race| &mut race.entries) {
        if entry.engine == Engine::ThreadPool {
            entry.workers = vec![4];
            entry.default_sizes = workers(4);
        }
    }
    let same_engine = true;
    assert_eq!(choice(&threads(), &other_sizes), Choice::CannotBeTold { why: Unknown::NotMeasured { same_engine } });
    let mut nothing = threads();
    nothing.candidates.iter_mut().for_each(|one| one.blocks.clear());
    assert_eq!(choice(&threads(), &nothing), Choice::CannotBeTold { why: Unknown::NoAnswer {} });
}

#[test]
fn a_choice_that_failed_is_none_any_more() {
    let mut second = session(500.0, 965.0, 900.0);
    second.candidates[1].failure = Some(Failed {
        kind: FailureKind::Task,
        message: "no such file".to_owned(),
        place: "step 1 (file)".to_owned(),
        traceback: Vec::new(),
    });
    second.exits.push(crate::record::Exit { round: 0, candidate: 1, reason: crate::record::ExitReason::Failed });
    let found = choice(&threads(), &second);
    let Choice::Changed { why: Change::Unusable { reason } } = found else { panic!("{found:?}") };
    assert!(reason.contains("no such file"), "{reason}");
}

#[test]
fn figures_are_refused_where_anything_differs_that_changes_them() {
    let first = threads();
    let named = |second: &Record| -> Vec<(Kind, String)> {
        let compared = compared(&first, second, false);
        assert!(compared.pairs[0].figures.is_none());
        let forced = super::sessions::compared(&first, second, true);
        assert_eq!(forced.pairs[0].figures.as_ref().map(Vec::len), Some(1));
        compared.pairs[0].differences.iter().map(|it| (it.kind, it.what.clone())).collect()
    };
    let change = |with: fn(&mut Record)| {
        let mut record = first.clone();
        with(&mut record);
        named(&record)
    };
    let one = |kind, what: &str| vec![(kind, what.to_owned())];
    assert_eq!(change(|it| it.host.cpu = "another".to_owned()), one(Kind::Host, "cpu"));
    assert_eq!(change(|it| it.host.cpus_affinity = 8), one(Kind::Host, "cpus_affinity"));
    assert_eq!(change(|it| it.host.memory_total_bytes *= 2), one(Kind::Host, "memory_total_bytes"));
    assert_eq!(change(|it| it.conbench_version = "9".to_owned()), one(Kind::Version, "conbench"));
    assert_eq!(change(|it| it.calibration.runtimes[0].hello.version = "9".to_owned()), one(Kind::Version, "runtime"));
    assert_eq!(change(|it| it.workload.payload.input_bytes = 1 << 20), one(Kind::Workload, "payload.input_bytes"));
    let work = |iterations| {
        let mut record = first.clone();
        record.calibration.runtimes[0].iterations = vec![iterations];
        record
    };
    let (one_work, other) = (work(100), work(160));
    let found = super::sessions::compared(&one_work, &other, false);
    assert!(found.pairs[0].figures.is_none());
    let differences = &found.pairs[0].differences;
    assert_eq!(differences.len(), 1);
    assert_eq!((differences[0].kind, differences[0].what.as_str()), (Kind::Workload, "steps.0.iterations"));
    // What rounding makes of nearly the same speed is none.
    let near = super::sessions::compared(&one_work, &work(101), false);
    assert_eq!(near.pairs[0].differences, []);
    let steps = change(|it| it.workload.steps.push(waiting_step()));
    assert_eq!(steps, one(Kind::Workload, "steps"));
}

#[test]
fn words_and_what_a_host_happens_to_do_are_no_difference() {
    let mut second = threads();
    second.workload.description = "in other words".to_owned();
    second.workload.objective.tolerance = Some(0.1);
    second.host.load_average = 7.0;
    second.host.memory_available_bytes /= 3;
    second.host.memory_total_bytes -= 4096;
    second.host.session_directory.path = "/elsewhere".to_owned();
    let compared = compared(&threads(), &second, false);
    assert_eq!(compared.pairs[0].differences, []);
    assert!(compared.pairs[0].figures.is_some());
}

#[test]
fn what_one_of_them_lacks_is_named() {
    let mut other = threads();
    other.workload.name = "another".to_owned();
    let compared = compared(&threads(), &other, false);
    assert!(compared.pairs.is_empty());
    let told: Vec<(&str, bool)> = compared.unpaired.iter().map(|it| (it.workload.as_str(), it.is_in_first)).collect();
    assert_eq!(told, [("synthetic", true), ("another", false)]);
}

#[test]
fn workloads_of_one_name_are_paired_in_their_order() {
    let (first, second) = (threads(), session(500.0, 600.0, 965.0));
    let (one, other) = (analyze(&first), analyze(&second));
    let (one, other) = (Session { record: &first, verdict: &one }, Session { record: &second, verdict: &other });
    let compared = compare(&[one, other], &[one, other], false);
    assert_eq!(
        compared.pairs.iter().map(|pair| &pair.choice).collect::<Vec<_>>(),
        [&Choice::Same {}, &Choice::Same {}]
    );
    assert!(compared.unpaired.is_empty());
}
