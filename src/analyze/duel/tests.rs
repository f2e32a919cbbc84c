//! The words of a duel: what outweighs what.

use super::*;
use crate::candidate::{Engine, Sizes};

fn candidate() -> Candidate {
    Candidate::new(BASE, Engine::ThreadPool, Sizes { workers: Some(2), ..Sizes::default() })
}

fn compared(answers: &[Regression]) -> Compared {
    let figure = |answer: &Regression| FigureChange {
        figure: Figure::Throughput,
        base: Some(1.0),
        head: Some(1.0),
        ratio: None,
        rounds: 8,
        most: Some(0.05),
        answer: Some(*answer),
    };
    Compared { candidate: candidate(), failure: None, figures: answers.iter().map(figure).collect() }
}

fn choice_that_is(standing: StillGood) -> ChoiceStanding {
    ChoiceStanding { base: candidate(), head: candidate(), standing, ratio: None }
}

#[test]
fn the_choice_has_changed_only_where_base_s_loses_at_head() {
    assert_eq!(still_good(Some(Regression::Regressed), false, false), StillGood::Changed);
    assert_eq!(still_good(Some(Regression::NotRegressed), false, false), StillGood::AsGood);
    assert_eq!(still_good(Some(Regression::Undecided), false, false), StillGood::Undecided);
    assert_eq!(still_good(None, false, false), StillGood::Undecided);
    // What failed: base's choice at head, or head's own.
    assert_eq!(still_good(Some(Regression::NotRegressed), true, true), StillGood::Changed);
    assert_eq!(still_good(Some(Regression::Regressed), true, false), StillGood::Undecided);
}

#[test]
fn what_is_worse_outweighs_what_is_open_and_what_failed_outweighs_both() {
    use Regression::{NotRegressed, Regressed, Undecided};
    let word = |answers: &[Regression], standing: Option<StillGood>| {
        said(Ending::Decided, &[compared(answers)], standing.map(choice_that_is).as_ref())
    };
    assert_eq!(word(&[NotRegressed, NotRegressed], None), Said::NotRegressed);
    assert_eq!(word(&[NotRegressed, Undecided], None), Said::Undecided);
    assert_eq!(word(&[Undecided, Regressed], Some(StillGood::Changed)), Said::Regressed);
    assert_eq!(word(&[Undecided], Some(StillGood::Changed)), Said::ChoiceChanged);
    assert_eq!(word(&[NotRegressed], Some(StillGood::Undecided)), Said::Undecided);
    assert_eq!(word(&[NotRegressed], Some(StillGood::AsGood)), Said::NotRegressed);
    let failure = Some(SideFailure { side: HEAD.to_owned(), reason: "it is gone".to_owned() });
    let broken = Compared { failure, ..compared(&[Regressed]) };
    assert_eq!(said(Ending::Decided, &[broken], None), Said::SideFailed);
    assert_eq!(said(Ending::Decided, &[], None), Said::SideFailed);
    assert_eq!(said(Ending::Interrupted, &[compared(&[NotRegressed])], None), Said::Undecided);
    assert_eq!(said(Ending::Interrupted, &[compared(&[Regressed])], None), Said::Regressed);
}

#[test]
fn what_could_not_run_at_all_is_no_choice_and_no_figure() {
    let side =
        || crate::record::duel::SideRecord { what: "one".to_owned(), commit: None, changed: Vec::new(), race: None };
    let rules = DuelRules { candidates: Vec::new(), comparisons: Vec::new(), deadline_ns: 0, seed: 0, cold_lives: 4 };
    let failure = SideFailure { side: EITHER.to_owned(), reason: "there is no room".to_owned() };
    let record = DuelRecord {
        rules_version: 1,
        workload: "one".to_owned(),
        base: side(),
        head: side(),
        rules,
        choice: None,
        record: None,
        failure: Some(failure.clone()),
    };
    let verdict = duel(&record);
    assert_eq!((verdict.said, verdict.failure), (Said::SideFailed, Some(failure)));
    assert_eq!(duel(&DuelRecord { failure: None, ..record }).said, Said::Undecided);
}
