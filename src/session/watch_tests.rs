//! The rules by themselves; rounds that are voided and repeated are in the tests of the runner.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::host::meter::{FamilyTime, MachineTime};
use crate::session::fake::Fake;
use crate::session::meters::Meters;

const MS: u64 = 1_000_000;

/// Readings so far apart, on two CPUs, of which the session, others and the hypervisor took so much.
fn window(ms: u64, own: f64, others: f64, steal: f64) -> Window {
    let total_ns = 2 * ms * MS;
    let part = |share: f64| (share * total_ns as f64).round() as u64;
    let machine = MachineTime { processes_ns: part(own) + part(others), steal_ns: part(steal), total_ns };
    let start = Moment {
        machine: Some(MachineTime::default()),
        own: Some(FamilyTime::default()),
        speed_probe_ns: Some(1000),
        ..Moment::default()
    };
    let family = FamilyTime { cpu_ns: part(own), error_ns: 0, processes: 3 };
    let end = Moment { at_ns: ms * MS, machine: Some(machine), own: Some(family), ..start };
    Window::between(&start, &end)
}

fn names(flags: &[Flag]) -> Vec<&'static str> {
    let name = |flag: &Flag| match flag {
        Flag::Steal { .. } => "steal",
        Flag::Others { .. } => "others",
        Flag::RunDelay { .. } => "run delay",
        Flag::Drift { .. } => "drift",
    };
    flags.iter().map(name).collect()
}

#[test]
fn what_the_session_uses_is_never_others() {
    for ms in [10, 100, 1000, 10_000] {
        assert_eq!(names(&window(ms, 1.0, 0.0, 0.0).flags(1.0)), [""; 0]);
    }
}

#[test]
fn a_share_is_flagged_beyond_its_bound_by_more_than_ticks_may_be_wrong() {
    // 100 ms on two CPUs: 20 ticks, of which one is 5 %, and three more are 20 %.
    assert!(window(100, 0.5, 0.15, 0.15).flags(1.0).is_empty());
    assert_eq!(names(&window(100, 0.5, 0.2, 0.0).flags(1.0)), ["others"]);
    assert_eq!(names(&window(100, 0.5, 0.0, 0.2).flags(1.0)), ["steal"]);
    // 2 s: 400 ticks, of which three are less than a hundredth.
    assert_eq!(names(&window(2000, 0.5, 0.06, 0.06).flags(1.0)), ["steal", "others"]);
    assert!(window(2000, 0.5, 0.05, 0.05).flags(1.0).is_empty());
}

#[test]
fn what_others_may_be_wrong_by_is_borne_by_them_alone() {
    let mut window = window(2000, 0.5, 0.06, 0.06);
    window.error_ns += 100 * MS;
    assert_eq!(names(&window.flags(1.0)), ["steal"]);
}

#[test]
fn waits_and_drifts_have_their_own_bounds() {
    let mut window = window(100, 0.5, 0.0, 0.0);
    window.conditions.run_delay_share = Some(0.02);
    window.conditions.drift = Some(1.04);
    assert_eq!(names(&window.flags(0.03)), ["drift"]);
    window.conditions.run_delay_share = Some(0.021);
    window.conditions.drift = Some(0.99);
    assert_eq!(names(&window.flags(0.03)), ["run delay"]);
}

#[test]
fn a_drift_is_flagged_where_the_host_is_steadier() {
    let of = |usual: f64, count: usize| largest_drift(&std::iter::repeat_n(usual, count).collect());
    assert_eq!(of(0.001, USUAL_FROM - 1), f64::INFINITY);
    assert_eq!(of(0.001, USUAL_FROM), DRIFT.ln_1p());
    assert!((of(0.04, 9) - 0.12).abs() < 1e-12);
}

#[test]
fn what_is_not_known_is_not_flagged() {
    let window = Window::between(&Moment::default(), &Moment { at_ns: 1000 * MS, ..Moment::default() });
    assert_eq!(window.conditions, Conditions::default());
    assert!(window.flags(0.0).is_empty());
}

#[test]
fn short_rounds_are_judged_together() {
    let (mut watch, mut pool) = (Watch::default(), Fake::default());
    // A twentieth of a round's time is 5 ms: six of them are as much as ticks may be wrong.
    let mut seen = Vec::new();
    for _ in 0..12 {
        watch.begin_round(&mut pool);
        pool.now_ns += MS;
        let (conditions, flags) = watch.end_round(&mut pool);
        assert!(flags.is_empty() && conditions.steal_share == Some(0.0));
        seen.push(watch.since.map(|since| since.at_ns / MS));
    }
    let expected: Vec<Option<u64>> = [0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 6, 12].map(Some).to_vec();
    assert_eq!(seen, expected);
}

#[test]
fn what_is_long_past_is_not_held_against_a_round() {
    let (mut watch, mut pool) = (Watch::default(), Fake::default());
    pool.stolen = VecDeque::from([false, false, true, false]);
    watch.begin_round(&mut pool);
    pool.now_ns += 100 * MS;
    assert!(watch.end_round(&mut pool).1.is_empty());
    pool.now_ns += 1000 * MS;
    watch.begin_round(&mut pool);
    pool.now_ns += 100 * MS;
    assert!(watch.end_round(&mut pool).1.is_empty(), "what was stolen came before it");
}

#[test]
fn meters_that_take_long_are_read_seldom() {
    let mut watch = Watch { since: Some(Moment { cost_ns: MS, ..Moment::default() }), ..Watch::default() };
    let mut pool = Fake { stolen: VecDeque::from([true]), now_ns: 99 * MS, ..Fake::default() };
    assert!(watch.end_round(&mut pool).1.is_empty() && !pool.stolen.is_empty());
    pool.now_ns += MS;
    watch.since = Some(Moment { machine: Some(MachineTime::default()), ..watch.since.unwrap_or_default() });
    assert_eq!(names(&watch.end_round(&mut pool).1), ["steal"]);
}

#[test]
fn the_largest_wait_of_a_round_is_kept() {
    let mut watch = Watch::default();
    for share in [None, Some(0.1), Some(0.3), None, Some(0.2)] {
        watch.saw_delay(share);
    }
    assert_eq!(watch.run_delay_share, Some(0.3));
}

#[test]
fn real_burners_beside_a_session_that_rests_are_others() {
    let mut session =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a process that waits");
    let mut meters = Meters::of(session.id(), &[]);
    let from = meters.read(0);
    let ends = Instant::now() + Duration::from_secs(2);
    // Of this process, which is none of the session's.
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |cpus| cpus.get()) {
            scope.spawn(|| while Instant::now() < ends {});
        }
    });
    let window = Window::between(&from, &meters.read(0));
    assert!(names(&window.flags(f64::INFINITY)).contains(&"others"), "{window:?}");
    drop(session.stdin.take());
    session.wait().expect("it ends");
}

proptest! {
    #[test]
    fn more_disturbance_never_unflags(ms in 1_u64..5000, own in 0.0_f64..0.3, others in 0.0_f64..0.3, more in 0.0_f64..0.3) {
        let before = window(ms, own, others, 0.0).flags(1.0).len();
        prop_assert!(window(ms, own, others + more, 0.0).flags(1.0).len() >= before);
    }

    #[test]
    fn a_window_that_is_long_enough_stays_so(ms in 1_u64..2000) {
        let is_long = |ms| window(ms, 0.5, 0.0, 0.0).is_long_enough();
        prop_assert!(!is_long(ms) || is_long(ms + 1));
        prop_assert_eq!(is_long(ms), ms >= 300);
    }

    #[test]
    fn voided_rounds_stay_within_their_part(rounds in proptest::collection::vec((0_u64..500, 0_u64..50, 0_u32..4), 0..60)) {
        let mut watch = Watch::default();
        watch.begin_allotment(Spent { ns: 1000, calls: 100 });
        let mut sum = Spent::default();
        for (ns, calls, repeats) in rounds {
            if watch.voids(Spent { ns, calls }, repeats, 400) {
                prop_assert!(repeats < 2 && ns <= 400);
                sum = Spent { ns: sum.ns + ns, calls: sum.calls + calls };
            }
        }
        prop_assert!(sum.ns <= 250 && sum.calls <= 25);
    }

    #[test]
    fn a_repetition_has_the_same_candidates_once_and_alive(count in 0_usize..20, seed: u64, round in 0_usize..1000) {
        let scores: Vec<(usize, f64)> = (0..count).map(|one| (one * 3, 1.0)).collect();
        let turns = again(&scores, seed, round);
        prop_assert!(turns.iter().all(|turn| !turn.anew));
        prop_assert_eq!(turns.len(), count);
        let distinct: BTreeSet<usize> = turns.iter().map(|turn| turn.candidate).collect();
        prop_assert_eq!(distinct, scores.iter().map(|score| score.0).collect::<BTreeSet<usize>>());
    }
}
