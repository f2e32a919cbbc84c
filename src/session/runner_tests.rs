//! The loop without processes and clocks: scripted races, fake agents.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::lives::{TURNS_TO_FILL, WARM_UP_NS};
use super::*;
use crate::candidate::{Cluster, Engine, RUST, Sizes};
use crate::decide::Finding;
use crate::protocol::{FailureKind, Note, Reference};
use crate::record::{BlockRecord, Flag, Phase, RuntimeCalibration};
use crate::session::AgentSlot;
use crate::session::fake::{self, BUDGET_NS, Fake, HANG_NS, Notes, Vice, record, reference};
use crate::workload::{ErrorLimit, Goal};

/// A race that is written down.
struct Script {
    candidates: Vec<Candidate>,
    rounds: VecDeque<Vec<Turn>>,
    fed: Vec<(usize, TurnOutcome)>,
    retired: Vec<usize>,
    told_ns: Vec<u64>,
}

impl Script {
    /// Rounds of (candidate, anew).
    fn new(rounds: &[&[(usize, bool)]]) -> Script {
        let most = rounds.iter().flat_map(|round| round.iter()).map(|turn| turn.0 + 1).max().unwrap_or(0);
        let candidates = (1..=most as u32)
            .map(|workers| {
                let sizes = Sizes { workers: Some(workers), ..Sizes::default() };
                Candidate::new(RUST, Engine::ThreadPool, sizes)
            })
            .collect();
        let turn = |(candidate, anew): &(usize, bool)| Turn { candidate: *candidate, anew: *anew };
        let rounds = rounds.iter().map(|round| round.iter().map(turn).collect()).collect();
        Script { candidates, rounds, fed: Vec::new(), retired: Vec::new(), told_ns: Vec::new() }
    }
}

impl Racing for Script {
    fn phase(&self) -> Phase {
        Phase::Race
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.candidates.clone()
    }

    fn next(&mut self, elapsed_ns: u64) -> Next {
        self.told_ns.push(elapsed_ns);
        match self.rounds.pop_front() {
            Some(turns) => Next::Round(RoundPlan { turns }),
            None => Next::Over(decide::Ending::Decided),
        }
    }

    fn feed(&mut self, candidate: usize, outcome: TurnOutcome) {
        self.fed.push((candidate, outcome));
    }

    fn retired(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.retired)
    }

    fn look(&mut self, _elapsed_ns: u64) -> bool {
        false
    }

    fn finding(&self) -> Option<Finding> {
        None
    }

    fn replaced_by(&mut self) -> Option<StartMethod> {
        None
    }

    fn drops(&mut self, _candidate: usize) -> bool {
        false
    }

    fn took(&mut self, _candidate: usize, _block_ns: u64, _start_ns: Option<u64>) {}
}

fn run(pool: &mut Fake, race: &mut Script, record: &mut Record) -> (Ending, Vec<String>) {
    let pace = fake::pace(record);
    run_at(pace, pool, race, record)
}

fn run_at(pace: BlockPace, pool: &mut Fake, race: &mut Script, record: &mut Record) -> (Ending, Vec<String>) {
    run_beside(reference(), pace, pool, race, record)
}

fn run_beside(
    reference: Reference,
    pace: BlockPace,
    pool: &mut Fake,
    race: &mut Script,
    record: &mut Record,
) -> (Ending, Vec<String>) {
    let mut notes = Notes::default();
    let references = HashMap::from([((RUST.to_owned(), None), reference)]);
    let rules = RunnerRules::new(pace, references);
    let (ending, base) = Runner::new(pool, &mut notes, record, &mut Saver::new(None), rules).run(race);
    assert_eq!(base, 0);
    (ending, notes.0)
}

#[test]
fn a_life_is_warmed_and_timed_in_this_order() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, false)], &[(0, true)]]));
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::Decided);
    // Tasks of a millisecond: each round's first index follows the round before.
    let expected = [
        "start 0",
        "timed 0 from 0",
        "timed 0 from 0",
        "timed 0 from 32",
        "end 0",
        "start 0",
        "timed 0 from 64",
        "timed 0 from 64",
        "end 0",
    ];
    assert_eq!(pool.log, expected);
    let place = &record.candidates[0];
    assert_eq!(place.lives.len(), 2);
    assert!(place.lives.iter().all(|life| life.teardown_ns == Some(5)));
    let kept: Vec<(Option<u32>, u32)> = place.blocks.iter().map(|block| (block.round, block.life)).collect();
    assert_eq!(kept, [(Some(0), 0), (Some(1), 0), (Some(2), 1)]);
    let TurnOutcome::Observed(seen) = race.fed[0].1 else { panic!("a score") };
    assert!((seen.score - 1000_f64.ln()).abs() < 1e-9 && seen.life == 0, "{seen:?}");
}

#[test]
fn a_cluster_that_was_started_is_a_part_of_its_candidates_start() {
    let starts = |start_ns: Option<u64>| {
        let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (1, false)]]));
        let sizes = Sizes { in_flight: Some(2), chunk: Some(1), ..Sizes::default() };
        race.candidates[1] = Candidate::new(RUST, Engine::Dask, sizes);
        let mut record = record(None, Goal::Throughput);
        let mut runtime = RuntimeCalibration::of_native();
        runtime.cluster = Some(Cluster { start_ns, ..Cluster::of_tests(Vec::new()) });
        record.calibration.runtimes = vec![runtime];
        run(&mut pool, &mut race, &mut record);
        let of = |slot: usize| record.candidates[slot].lives[0];
        assert_eq!(of(1).startup_ns - of(1).ready_ns, of(0).startup_ns - of(0).ready_ns);
        of(1).ready_ns - of(0).ready_ns
    };
    assert_eq!([starts(Some(900)), starts(None)], [900, 0]);
}

#[test]
fn long_tasks_run_in_turns_without_a_warm_up() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, true)]]));
    let mut record = record(None, Goal::Throughput);
    let pace = BlockPace { turns: decide::Turns::of(1_000 * MS, BUDGET_NS), ..fake::pace(&record) };
    run_at(pace, &mut pool, &mut race, &mut record);
    let expected = ["start 0", "timed 0 from 0", "end 0", "start 0", "timed 0 from 1009", "end 0"];
    assert_eq!(pool.log, expected);
    assert_eq!(pool.windows, [1_000 * MS; 2]);
    let is_long = |warning: &Warning| matches!(warning, Warning::LongTasks { .. });
    assert_eq!(record.warnings.iter().filter(|warning| is_long(warning)).count(), 1);
}

#[test]
fn turns_are_left_where_tasks_are_not_long() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (1, false)]]));
    pool.turn_ns = Some(100 * MS);
    let mut record = record(None, Goal::Throughput);
    let pace = BlockPace { turns: decide::Turns::of(1_000 * MS, BUDGET_NS), ..fake::pace(&record) };
    run_at(pace, &mut pool, &mut race, &mut record);
    let [first, second, third] = [0, 1, 2].map(|line| pool.log[line].as_str());
    assert_eq!([first, second, third], ["start 0", "timed 0 from 0", "leave turns"]);
    // The turn counts for nothing, and what is measured from then on has windows.
    assert!(record.candidates.iter().all(|place| place.blocks.len() == 1), "{:?}", pool.log);
    assert!(pool.windows[1..].iter().all(|window| *window <= 100 * MS), "{:?}", pool.windows);
}

#[test]
fn an_engine_begins_cold_once_and_lives_whose_memory_is_measured_do_too() {
    let rounds: &[&[(usize, bool)]] = &[&[(0, false), (1, false)], &[(0, true), (1, true)], &[(1, true)]];
    let warm = |goal| {
        let (mut pool, mut race) = (Fake { forks: true, ..Fake::default() }, Script::new(rounds));
        let mut record = record(None, goal);
        run(&mut pool, &mut race, &mut record);
        assert!(pool.alive.is_empty());
        let lives = |place: usize| record.candidates[place].lives.iter().map(|life| life.warm).collect::<Vec<bool>>();
        [lives(0), lives(1)]
    };
    // Both are of one engine.
    let once: [Vec<bool>; 2] = [vec![false, true], vec![true, true, true]];
    assert_eq!(warm(Goal::Throughput), once);
    assert_eq!(warm(Goal::Memory), [vec![false, false], vec![false, false, false]]);
}

#[test]
fn candidates_of_a_round_draw_the_same_tasks() {
    let rounds: &[&[(usize, bool)]] = &[&[(1, false), (0, false)], &[(0, false), (1, false)], &[(1, false)]];
    let (mut pool, mut race) = (Fake::default(), Script::new(rounds));
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    let mut firsts = vec![Vec::new(); 3];
    for block in record.candidates.iter().flat_map(|place| &place.blocks) {
        if let Some(round) = block.round {
            firsts[round as usize].push((block.figures.first_index, block.figures.tasks));
        }
    }
    assert!(firsts.iter().all(|round| round.iter().all(|first| first.0 == round[0].0)), "{firsts:?}");
    assert!(firsts.iter().all(|round| round[0].0 % VARIANTS == 0));
    assert!(firsts.windows(2).all(|pair| pair[0].iter().all(|block| block.0 + block.1 <= pair[1][0].0)));
    assert_eq!(record.rounds[0].order, [1, 0]);
}

#[test]
fn one_that_fails_is_out_and_the_others_go_on() {
    let rounds: &[&[(usize, bool)]] = &[&[(0, false), (1, false), (2, false)], &[(2, false)]];
    let (mut pool, mut race) = (Fake::default(), Script::new(rounds));
    pool.vices = vec![(AgentSlot::Candidate(0), Vice::Dies), (AgentSlot::Candidate(1), Vice::Lies)];
    let mut record = record(None, Goal::Throughput);
    let (ending, notes) = run(&mut pool, &mut race, &mut record);
    assert_eq!(ending, Ending::Decided);
    let kinds: Vec<Option<FailureKind>> =
        record.candidates.iter().map(|place| place.failure.as_ref().map(|failure| failure.kind)).collect();
    assert_eq!(kinds, [Some(FailureKind::Agent), Some(FailureKind::Checksum), None]);
    assert_eq!(race.fed[..2], [(0, TurnOutcome::Failed), (1, TurnOutcome::Failed)]);
    assert!(pool.log.contains(&"kill 0".to_owned()) && pool.alive.is_empty());
    assert_eq!(record.rounds[0].order, [2]);
    assert!(notes.contains(&"rust/thread-pool@w2 failed: Checksum".to_owned()), "{notes:?}");
}

#[test]
fn a_cache_of_the_users_is_filled_in_each_life_before_anything_counts() {
    let filled = |items: u64, first_ns: u64| {
        let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, true)]]));
        let mut record = record(None, Goal::Throughput);
        let notes = vec![Note::SecondPassFaster { first_ns, second_ns: 300 }];
        record.calibration.runtimes.push(RuntimeCalibration { notes, ..RuntimeCalibration::of_native() });
        let reference = Reference { distinct: items, ..reference() };
        let pace = fake::pace(&record);
        run_beside(reference, pace, &mut pool, &mut race, &mut record);
        pool.log.iter().filter(|line| line.starts_with("start") || line.starts_with("verify")).cloned().collect()
    };
    let both: Vec<String> = filled(50, 5 * MS);
    assert_eq!(both, ["start 0", "verify 0 from 0", "start 0", "verify 0 from 0"]);
    let too_long: Vec<String> = filled(500, 5 * MS);
    assert_eq!(too_long, ["start 0", "start 0"]);
}

#[test]
fn tasks_that_fail_are_counted_and_put_out_who_has_too_many() {
    let errs = |limit| {
        let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, false)]]));
        // What is left of a block with such tasks has some other checksum.
        pool.vices = vec![(AgentSlot::Candidate(0), Vice::Errs), (AgentSlot::Candidate(0), Vice::Lies)];
        pool.rate = Some(|_| 100.0);
        let mut record = record(None, Goal::Throughput);
        record.workload.objective.limits.errors = limit;
        run(&mut pool, &mut race, &mut record);
        assert_eq!(record.candidates[0].failure, None);
        let failed = record.candidates[0].failed_tasks();
        assert!(failed.tasks > 1000 && failed.errors == failed.tasks / 10, "{failed:?}");
        assert_eq!(failed.first.map(|first| first.message.as_str()), Some("no such page"));
        race.fed[0].1
    };
    assert!(matches!(errs(ErrorLimit::Share(0.2)), TurnOutcome::Observed(_)));
    assert_eq!(errs(ErrorLimit::Share(0.05)), TurnOutcome::Infeasible);
    assert_eq!(errs(ErrorLimit::Tasks(3)), TurnOutcome::Infeasible);
}

#[test]
fn a_hang_costs_the_others_nothing() {
    let rounds: &[&[(usize, bool)]] = &[&[(0, false), (1, false)], &[(1, false)]];
    let (mut pool, mut race) = (Fake::default(), Script::new(rounds));
    pool.vices = vec![(AgentSlot::Candidate(0), Vice::Hangs)];
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::Decided);
    assert_eq!(record.candidates[0].failure.as_ref().map(|failure| failure.kind), Some(FailureKind::Hang));
    assert_eq!(
        (record.rounds[0].order.as_slice(), record.rounds[1].order.as_slice()),
        ([1].as_slice(), [1].as_slice())
    );
    assert!(race.told_ns.iter().all(|told| *told < HANG_NS), "{:?}", race.told_ns);
    assert!(record.elapsed_ns > HANG_NS, "the record tells all of it");
}

#[test]
fn what_hangs_cost_beyond_a_bound_the_budget_pays_for() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (3, false)], &[(0, false), (2, false)]]));
    race.candidates.iter_mut().for_each(|candidate| candidate.start_method = Some(StartMethod::Fork));
    pool.vices = vec![(AgentSlot::Candidate(2), Vice::Hangs), (AgentSlot::Candidate(3), Vice::Hangs)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    let starts = |slot| pool.log.iter().filter(|line| **line == format!("start {slot}")).count();
    assert_eq!((starts(3), starts(2)), (2, 2), "beside another and alone");
    let told_ns = race.told_ns.last().expect("it is told");
    assert!(*told_ns >= 3 * HANG_NS - MOST_LOST_NS, "{told_ns}");
}

#[test]
fn a_window_without_a_task_is_kept_and_nobody_fails() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, false)]]));
    pool.vices = vec![(AgentSlot::Candidate(0), Vice::Pauses)];
    let mut record = record(None, Goal::Throughput);
    let (ending, notes) = run(&mut pool, &mut race, &mut record);
    assert_eq!(ending, Ending::Decided);
    assert!(matches!(race.fed[0], (0, TurnOutcome::Observed(seen)) if seen.score == f64::NEG_INFINITY));
    assert!(matches!(race.fed[1], (0, TurnOutcome::Observed(seen)) if seen.score.is_finite()));
    let kept: Vec<u64> = record.candidates[0].blocks.iter().map(|block| block.figures.tasks).collect();
    assert!(kept.contains(&0) && record.candidates[0].failure.is_none(), "{kept:?} {notes:?}");
    let text = serde_json::to_string(&record).expect("JSON");
    assert_eq!(serde_json::from_str::<Record>(&text).expect("a record"), record);
}

#[test]
fn an_interrupt_keeps_what_was_measured_and_waits_for_nobody() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (1, false)], &[(0, false)]]));
    // Two warm-ups' worth of timed blocks: candidate 0 is done, candidate 1 is not.
    pool.interrupt_after = Some(2);
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::Interrupted);
    assert_eq!(record.rounds[0].order, [0]);
    assert!(pool.alive.is_empty() && !pool.log.iter().any(|line| line.starts_with("end")));
    assert!(record.candidates.iter().all(|place| place.failure.is_none()));
}

#[test]
fn calls_are_never_exceeded() {
    for (max_calls, vices) in [0, 10, 40, 100, 300, 1000]
        .into_iter()
        .flat_map(|most| [(most, vec![]), (most, vec![(AgentSlot::Candidate(0), Vice::Speeds)])])
    {
        let rounds: Vec<&[(usize, bool)]> = vec![&[(0, false), (1, false)]; 100];
        let (mut pool, mut race) = (Fake::default(), Script::new(&rounds));
        pool.vices = vices;
        let mut record = record(Some(max_calls), Goal::Throughput);
        assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::CallsSpent);
        let run: u64 = record.candidates.iter().flat_map(|place| &place.blocks).map(|block| block.figures.tasks).sum();
        assert!(run <= max_calls, "{run} of {max_calls}");
    }
}

/// A record of these rounds of candidates 0 and 1, and what the race was told. `stolen`: whether each attempt at a
/// round was disturbed.
fn disturbed(rounds: usize, stolen: &[bool], vices: Vec<(AgentSlot, Vice)>) -> (Record, Script, Fake) {
    let plan: Vec<&[(usize, bool)]> = vec![&[(0, false), (1, false)]; rounds];
    let (mut pool, mut race) = (Fake::default(), Script::new(&plan));
    pool.vices = vices;
    // The first reading comes before the first round.
    pool.stolen = std::iter::once(false).chain(stolen.iter().copied()).collect();
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::Decided);
    (record, race, pool)
}

fn voided(record: &Record) -> Vec<bool> {
    record.rounds.iter().map(|round| round.voided).collect()
}

#[test]
fn a_disturbed_round_is_voided_and_repeated_whole() {
    let (record, race, pool) = disturbed(2, &[true, false, false], Vec::new());
    assert_eq!(voided(&record), [true, false, false]);
    let flags: Vec<usize> = record.rounds.iter().map(|round| round.flags.len()).collect();
    assert_eq!(flags, [1, 0, 0]);
    assert!(matches!(record.rounds[0].flags[0], Flag::Steal { share } if (share - 0.5).abs() < 1e-9));
    assert_eq!(record.rounds[0].conditions.steal_share, Some(0.5));
    for round in &record.rounds {
        assert_eq!(round.order.iter().copied().collect::<BTreeSet<u32>>(), BTreeSet::from([0, 1]));
    }
    // Each was told of once a round; nobody was started anew.
    assert_eq!(race.fed.iter().map(|fed| fed.0).collect::<BTreeSet<usize>>(), BTreeSet::from([0, 1]));
    assert_eq!(race.fed.len(), 4);
    assert_eq!(pool.log.iter().filter(|line| line.starts_with("start")).count(), 2);
    let timed = |record: &Record| {
        let blocks = record.candidates.iter().flat_map(|place| &place.blocks);
        blocks.filter(|block| block.round.is_some()).count()
    };
    assert_eq!((timed(&record), timed(&record.counted())), (6, 4));
    assert_eq!(record.counted().rounds, record.rounds);
}

#[test]
fn the_third_attempt_counts_and_keeps_its_flags() {
    let (record, race, _) = disturbed(1, &[true; 9], Vec::new());
    assert_eq!(voided(&record), [true, true, false]);
    assert!(record.rounds.iter().all(|round| round.flags.len() == 1));
    assert_eq!(race.fed.len(), 2);
}

#[test]
fn who_fails_in_a_disturbed_round_has_failed() {
    let (record, race, pool) = disturbed(1, &[true, false], vec![(AgentSlot::Candidate(0), Vice::Dies)]);
    assert_eq!(voided(&record), [true, false]);
    assert_eq!(race.fed[0], (0, TurnOutcome::Failed));
    assert!(matches!(race.fed[1..], [(1, TurnOutcome::Observed(_))]), "{:?}", race.fed);
    assert_eq!(pool.log.iter().filter(|line| *line == "start 0").count(), 1);
    assert_eq!(record.rounds[1].order, [1]);
}

#[test]
fn an_interrupted_repetition_tells_what_it_has() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (1, false)]]));
    pool.stolen = VecDeque::from([false, true]);
    // Two warm-ups, two blocks, and one of the repetition.
    pool.interrupt_after = Some(5);
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::Interrupted);
    assert_eq!((voided(&record), race.fed.len()), (vec![true, false], 1));
}

proptest! {
    #[test]
    fn every_round_is_told_once_and_voided_ones_have_their_share_of_the_time_at_most(
        stolen in proptest::collection::vec(any::<bool>(), 0..80), rounds in 1_usize..40,
    ) {
        let (record, race, pool) = disturbed(rounds, &stolen, Vec::new());
        prop_assert_eq!(race.fed.len(), 2 * rounds);
        let voided = voided(&record);
        prop_assert!(voided.windows(3).all(|three| three.contains(&false)), "{:?}", voided);
        prop_assert_eq!(voided.iter().filter(|voided| !**voided).count(), rounds);
        prop_assert!(record.rounds.iter().all(|round| !round.voided || !round.flags.is_empty()));
        prop_assert!(pool.now_ns < BUDGET_NS);
    }
}

#[test]
fn voided_rounds_take_no_more_than_a_tenth_of_the_time_or_of_the_tasks() {
    let rounds: Vec<&[(usize, bool)]> = vec![&[(0, false), (1, false)]; 400];
    for max_calls in [None, Some(4000)] {
        let (mut pool, mut race) = (Fake::default(), Script::new(&rounds));
        pool.stolen = std::iter::once(false).chain(std::iter::repeat_n(true, 4000)).collect();
        let mut record = record(max_calls, Goal::Throughput);
        run(&mut pool, &mut race, &mut record);
        let blocks = || record.candidates.iter().flat_map(|place| &place.blocks);
        let is_voided = |block: &&BlockRecord| block.round.is_some_and(|round| record.rounds[round as usize].voided);
        let voided_ns: u64 = blocks().filter(is_voided).map(|block| block.figures.elapsed_ns).sum();
        let voided_calls: u64 = blocks().filter(is_voided).map(|block| block.figures.tasks).sum();
        assert!(voided_ns > 0 && voided_ns <= BUDGET_NS / 10, "{voided_ns}");
        assert!(max_calls.is_none_or(|most| voided_calls <= most / 10), "{voided_calls}");
    }
}

#[test]
fn the_tasks_of_a_block_that_failed_are_counted() {
    // 1 + 1 in its set-up; in its warm-up those of one millisecond, and twice one that straddles an edge.
    let failing = 2 + WARM_UP_NS / MS + 2;
    for (max_calls, begun) in [(failing + 1, false), (failing + 100, true)] {
        let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (1, false)]]));
        pool.vices = vec![(AgentSlot::Candidate(0), Vice::Dies)];
        let mut record = record(Some(max_calls), Goal::Throughput);
        run(&mut pool, &mut race, &mut record);
        assert!(record.candidates[0].failure.is_some());
        assert_eq!(pool.log.contains(&"start 1".to_owned()), begun, "{max_calls}: {:?}", pool.log);
    }
}

#[test]
fn the_queue_of_a_life_is_filled_before_its_first_block_counts() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(1, false)], &[(1, true)]]));
    pool.vices = vec![(AgentSlot::Candidate(1), Vice::Queues)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    // Two, four and eight milliseconds a task, and eight again: it is full. The next life knows it before.
    let lives: Vec<usize> = pool.log.split(|line| line == "start 1").map(<[String]>::len).collect();
    assert_eq!(lives, [0, 4 + 1 + 1, 1 + 1 + 1], "{:?}", pool.log);
    let turns = pool.windows[pool.windows.len() - 2];
    assert_eq!(turns, TURNS_TO_FILL * 8 * MS);
}

#[test]
fn a_queue_that_the_plain_loop_lets_foresee_is_filled_at_once() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(1, false)]]));
    race.candidates[0] = Candidate::new(RUST, Engine::Sequential, Sizes::default());
    race.candidates[1].sizes.workers = Some(16);
    let mut record = record(None, Goal::Throughput);
    record.calibration.usable_cores = Some(2.0);
    run(&mut pool, &mut race, &mut record);
    // A task computes for a millisecond, and sixteen share two cores.
    assert_eq!(pool.windows[2], TURNS_TO_FILL * 8 * MS, "{:?} {:?}", pool.log, pool.windows);
    let lives: Vec<usize> = pool.log.split(|line| line == "start 1").map(<[String]>::len).collect();
    assert_eq!(lives[1], 1 + 1 + 2, "filled, timed, and the ends of both: {:?}", pool.log);
}

#[test]
fn a_later_life_that_is_handed_long_chunks_is_not_warmed_up_again() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(1, false)], &[(1, true)]]));
    race.candidates[1].sizes.chunk = Some(16);
    pool.vices = vec![(AgentSlot::Candidate(1), Vice::Queues)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    // Tasks of a millisecond. Its queue is filled in the first life, and known from then on.
    let lives: Vec<usize> = pool.log.split(|line| line == "start 1").map(<[String]>::len).collect();
    assert_eq!(lives, [0, 4 + 1 + 1, 1 + 1], "{:?}", pool.log);
    assert_eq!(pool.windows.last(), pool.windows.get(pool.windows.len() - 2), "the window of a full queue");
}

/// The most agents that lived at once in a part of the log.
fn most_alive(log: &[String]) -> usize {
    let (mut alive, mut most) = (0_usize, 0);
    for line in log {
        match line.split_once(' ').map_or("", |(word, _)| word) {
            "start" => alive += 1,
            "end" | "kill" => alive = alive.saturating_sub(1),
            _ => {}
        }
        most = most.max(alive);
    }
    most
}

#[test]
fn who_fails_beside_others_alone_is_not_charged_with_it() {
    let round: &[(usize, bool)] = &[(0, false), (1, false)];
    let (mut pool, mut race) = (Fake::default(), Script::new(&[round, round, round]));
    pool.vices = vec![(AgentSlot::Candidate(0), Vice::Crowded), (AgentSlot::Candidate(1), Vice::Crowded)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    assert!(record.candidates.iter().all(|place| place.failure.is_none()));
    assert_eq!(race.fed.iter().filter(|(_, outcome)| matches!(outcome, TurnOutcome::Observed(_))).count(), 6);
    let told: Vec<_> = record.warnings.iter().filter(|it| matches!(it, Warning::Exclusive { .. })).collect();
    assert_eq!(told.len(), 1, "{:?}", record.warnings);
    let found = pool.log.iter().position(|line| line.starts_with("kill")).expect("one failed");
    assert_eq!(most_alive(&pool.log[found + 2..]), 1, "{:?}", pool.log);
}

#[test]
fn who_hangs_for_what_others_hold_is_not_charged_with_it_once_hangs_have_cost_enough_either() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false), (3, false)], &[(0, false), (2, false)]]));
    race.candidates.iter_mut().for_each(|candidate| candidate.start_method = Some(StartMethod::Fork));
    pool.vices = vec![(AgentSlot::Candidate(3), Vice::Hangs), (AgentSlot::Candidate(2), Vice::Starves)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    assert!(record.elapsed_ns > MOST_LOST_NS, "hangs cost enough: {}", record.elapsed_ns);
    assert!(record.candidates[2].failure.is_none(), "{:?}", record.candidates[2].failure);
    assert!(record.warnings.iter().any(|it| matches!(it, Warning::Exclusive { .. })), "{:?}", record.warnings);
}

#[test]
fn who_fails_alone_too_has_failed_and_larger_ones_are_not_asked_twice() {
    let round: &[(usize, bool)] = &[(0, false), (1, false), (2, false)];
    let (mut pool, mut race) = (Fake::default(), Script::new(&[round]));
    pool.vices = vec![(AgentSlot::Candidate(1), Vice::Dies), (AgentSlot::Candidate(2), Vice::Dies)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    let starts = |slot| pool.log.iter().filter(|line| **line == format!("start {slot}")).count();
    assert_eq!((starts(1), starts(2)), (2, 1), "{:?}", pool.log);
    assert!(record.candidates[1].failure.is_some() && record.candidates[2].failure.is_some());
    assert!(!record.warnings.iter().any(|it| matches!(it, Warning::Exclusive { .. })));
}

/// Whether the hang of the largest of some sizes of an engine is laid to something that tasks share.
fn is_laid_to_scarcity(sizes: usize, start_method: Option<StartMethod>) -> bool {
    let all: Vec<(usize, bool)> = (0..sizes).map(|slot| (slot, false)).collect();
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&all]));
    let first = Candidate::new(RUST, Engine::Sequential, Sizes::default());
    race.candidates.insert(0, first);
    race.candidates.truncate(sizes);
    race.candidates.iter_mut().for_each(|candidate| candidate.start_method = start_method);
    pool.vices = vec![(AgentSlot::Candidate(sizes - 1), Vice::Hangs)];
    let mut record = record(None, Goal::Throughput);
    run(&mut pool, &mut race, &mut record);
    assert_eq!(record.candidates[sizes - 1].failure.as_ref().map(|failure| failure.kind), Some(FailureKind::Hang));
    record.warnings.iter().any(|warning| matches!(warning, Warning::Scarce { .. }))
}

#[test]
fn who_hangs_alone_waits_for_something_shared_only_if_fewer_in_flight_ran() {
    assert!(is_laid_to_scarcity(4, None));
    assert!(!is_laid_to_scarcity(2, None), "nothing smaller of its engine ran");
    assert!(!is_laid_to_scarcity(4, Some(StartMethod::Fork)), "a lock may be one that the fork copied");
}

#[test]
fn restless_and_leaving_agents_are_named_once() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, false)], &[(0, true)]]));
    pool.vices = vec![(AgentSlot::Candidate(0), Vice::Burns), (AgentSlot::Candidate(0), Vice::Leaves)];
    let mut record = record(None, Goal::CpuPerTask);
    run(&mut pool, &mut race, &mut record);
    let parked = record.warnings.iter().filter(|warning| matches!(warning, Warning::NotParked { .. })).count();
    let left = record.warnings.iter().filter(|warning| matches!(warning, Warning::Leftover { .. })).count();
    let behind = record.warnings.iter().filter(|warning| matches!(warning, Warning::LeftBehind { .. })).count();
    assert_eq!((parked, left, behind), (1, 1, 1));
    assert!((record.candidates[0].lives[0].parked_cpu_share - 0.5).abs() < 1e-12);
    assert!(matches!(race.fed[0].1, TurnOutcome::Observed(seen) if seen.score == -(MS as f64).ln()));
}

#[test]
fn what_cannot_be_saved_is_told_once_and_measuring_goes_on() {
    let room = tempfile::tempdir().expect("a directory");
    let path = room.path().join("gone").join("record.json");
    let (mut saver, mut notes) = (Saver::new(Some(path.clone())), Notes::default());
    let record = record(None, Goal::Throughput);
    saver.save(&record, &mut notes);
    saver.save(&record, &mut notes);
    assert_eq!(notes.0, ["warning"]);
    std::fs::create_dir(room.path().join("gone")).expect("made");
    saver.save(&record, &mut notes);
    assert_eq!(crate::record::read(&path).expect("a recording").records, [record]);
}

#[test]
fn no_life_begins_that_ends_far_beyond_the_budget() {
    let round: &[(usize, bool)] = &[(0, true), (1, true)];
    let (mut pool, mut race) = (Fake::default(), Script::new(&[round, round, round, round]));
    pool.start_ns = BUDGET_NS / 4;
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::BudgetSpent);
    assert!(pool.now_ns <= BUDGET_NS / 4 * 5, "{}", pool.now_ns);
}

#[test]
fn a_round_far_beyond_the_budget_is_given_up() {
    let (mut pool, mut race) = (Fake::default(), Script::new(&[&[(0, false)], &[(0, false), (1, false)]]));
    pool.now_ns = 2 * BUDGET_NS;
    let mut record = record(None, Goal::Throughput);
    assert_eq!(run(&mut pool, &mut race, &mut record).0, Ending::BudgetSpent);
    assert!(pool.log.is_empty());
}
