use proptest::prelude::*;

use super::*;
use crate::record::{Conditions, Phase};
use crate::workload::{Goal, Limits};

fn round(flags: Vec<Flag>, voided: bool) -> Round {
    let conditions = Conditions { drift: Some(1.001), ..Conditions::default() };
    Round { flags, voided, conditions, ..Round::of(Phase::Final) }
}

fn rounds(plain: usize, flagged: usize, flag: Flag) -> Vec<Round> {
    let mut all = vec![round(Vec::new(), false); plain];
    all.extend(vec![round(vec![flag], false); flagged]);
    all
}

fn objective(margin: Option<f64>) -> Objective {
    Objective { goal: Goal::Throughput, margin, limits: Limits::default() }
}

fn calm() -> Disturbance {
    Disturbance { steal_share: Some(0.001), others_share: Some(0.002), ..Disturbance::default() }
}

#[test]
fn more_than_a_tenth_of_flagged_rounds_is_noise() {
    let drift = Flag::Drift { ratio: 1.2 };
    assert_eq!(Tally::of(&rounds(9, 1, drift)).validity(), Validity::Valid);
    assert_eq!(Tally::of(&rounds(8, 2, drift)).validity(), Validity::Noisy);
    assert_eq!(Tally::of(&rounds(0, 9, drift)).validity(), Validity::Noisy, "drift alone never forbids an answer");
    assert_eq!(Tally::of(&[]).validity(), Validity::Valid);
}

#[test]
fn rounds_that_lost_a_quarter_of_the_time_forbid_an_answer_where_they_are_most() {
    let robbed = Flag::Others { share: 0.3 };
    assert_eq!(Tally::of(&rounds(5, 5, robbed)).validity(), Validity::Noisy);
    assert_eq!(Tally::of(&rounds(4, 5, robbed)).validity(), Validity::Invalid);
    assert_eq!(Tally::of(&rounds(4, 5, Flag::Steal { share: 0.2 })).validity(), Validity::Noisy);
}

#[test]
fn voided_rounds_weigh_nothing_and_are_told() {
    let mut all = rounds(8, 2, Flag::Others { share: 0.1 });
    all.extend(vec![round(vec![Flag::Steal { share: 0.9 }], true); 30]);
    let tally = Tally::of(&all);
    assert_eq!((tally.counted, tally.flagged, tally.robbed, tally.voided), (10, 2, 0, 30));
    let reason = tally.reason(&all).expect("noisy");
    assert!(
        reason.starts_with("2 of 10 rounds were disturbed, after 30 were repeated (other processes 2)"),
        "{reason}"
    );
}

#[test]
fn a_quiet_host_has_nothing_against_it() {
    let quiet = rounds(5, 0, Flag::Drift { ratio: 1.0 });
    assert!(is_quiet(&quiet, &calm()));
    assert!(!is_quiet(&[], &calm()), "nothing was seen");
    assert!(!is_quiet(&quiet, &Disturbance::default()), "nothing is known");
    assert!(!is_quiet(&quiet, &Disturbance { others_share: Some(0.02), ..calm() }));
    let mut voided = quiet.clone();
    voided.push(round(Vec::new(), true));
    assert!(!is_quiet(&voided, &calm()));
    let mut drifting = quiet;
    drifting.iter_mut().for_each(|round| round.conditions.drift = Some(0.95));
    assert!(!is_quiet(&drifting, &calm()));
}

#[test]
fn a_margin_follows_the_host_unless_it_was_written() {
    // Where pairs hardly differ, where they do, and where they do too much.
    let of = |written, validity, is_quiet| {
        let margins = margins(&objective(written), validity, is_quiet);
        [0.005, 0.03, 0.2].map(|deviation| margins.at(Some(deviation)))
    };
    assert_eq!(of(None, Validity::Valid, false), [0.03, 0.03, 0.05]);
    assert_eq!(of(None, Validity::Valid, true), [0.02, 0.03, 0.05]);
    assert_eq!(of(None, Validity::Noisy, false), [0.05; 3]);
    assert_eq!(of(Some(0.03), Validity::Valid, true), [0.03; 3]);
    assert_eq!(of(Some(0.01), Validity::Noisy, false), [0.05; 3]);
    assert_eq!(of(Some(0.2), Validity::Invalid, false), [0.2; 3]);
    assert_eq!(of(Some(f64::NAN), Validity::Valid, true), [0.0; 3]);
}

proptest! {
    #[test]
    fn more_flags_never_make_a_session_better(plain in 0_usize..40, flagged in 0_usize..40, share in 0.0_f64..1.0) {
        let rank = |validity| match validity { Validity::Valid => 0, Validity::Noisy => 1, Validity::Invalid => 2 };
        let of = |flagged| rank(Tally::of(&rounds(plain, flagged, Flag::Others { share })).validity());
        prop_assert!(of(flagged + 1) >= of(flagged));
    }

    #[test]
    fn noise_never_narrows_a_margin(written in prop::option::of(0.0_f64..0.5), is_quiet: bool) {
        let objective = objective(written);
        let of = |validity| margins(&objective, validity, is_quiet).usual;
        prop_assert!(of(Validity::Noisy) >= of(Validity::Valid) && of(Validity::Noisy) >= 0.05);
    }
}
