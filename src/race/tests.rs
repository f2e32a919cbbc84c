use std::collections::BTreeMap;

use proptest::prelude::*;

use super::standing::LIVES;
use super::*;
use crate::candidate::{Engine, RUST, Sizes};

const BUDGET: u64 = 20_000_000_000;
const MARGIN: f64 = 0.03;

fn entry(engine: Engine, in_flight: &[u32], workers: &[u32], default: (Option<u32>, Option<u32>)) -> Entry {
    Entry {
        runtime: RUST.to_owned(),
        engine,
        start_method: None,
        default_sizes: Sizes { workers: default.0, in_flight: default.1, chunk: None },
        in_flight: in_flight.to_vec(),
        workers: workers.to_vec(),
        chunk: Vec::new(),
    }
}

const LADDER: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

fn entries() -> Vec<Entry> {
    vec![
        entry(Engine::Sequential, &[], &[], (None, None)),
        entry(Engine::ThreadPool, &[], &LADDER, (Some(2), None)),
        entry(Engine::TokioCurrentThread, &LADDER, &[], (None, Some(64))),
        entry(Engine::TokioMultiThread, &LADDER, &[1, 2, 4], (Some(2), Some(64))),
        entry(Engine::ProcessPool, &[], &LADDER, (Some(2), None)),
        entry(Engine::TokioBlockingPool, &LADDER, &LADDER, (Some(64), Some(64))),
    ]
}

/// Blocks whose scores are known but for noise: drift that a round shares, lives that differ, and blocks.
struct Simulator {
    random: ChaCha8Rng,
    drift: f64,
    lives: BTreeMap<usize, f64>,
    noise: f64,
    round_ns: u64,
}

/// What a simulated race left behind.
struct Run {
    race: Race,
    ending: Ending,
    /// Scores of the final's rounds by candidate, with the life.
    finals: Vec<BTreeMap<usize, (usize, f64)>>,
    anew: BTreeMap<usize, usize>,
    elapsed_ns: u64,
}

impl Simulator {
    fn new(seed: u64, noise: f64) -> Simulator {
        let random = ChaCha8Rng::seed_from_u64(seed ^ 0xC0FF_EE00);
        Simulator { random, drift: 0.0, lives: BTreeMap::new(), noise, round_ns: 20_000_000 }
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| f64::from(self.random.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0
    }

    fn run(mut self, entries: &[Entry], seed: u64, truth: impl Fn(&Candidate) -> f64) -> Run {
        let mut race =
            Race::new(entries, Rules { margins: Margins::fixed(MARGIN), budget_ns: BUDGET, seed, is_renewed: false });
        let (mut elapsed_ns, mut finals, mut anew) = (0, Vec::new(), BTreeMap::<usize, usize>::new());
        loop {
            let plan = match race.next(elapsed_ns) {
                Next::Round(plan) => plan,
                Next::Over(ending) => return Run { race, ending, finals, anew, elapsed_ns },
            };
            self.drift = 0.9 * self.drift + 0.03 * self.normal();
            let mut round = BTreeMap::new();
            for turn in &plan.turns {
                if turn.anew {
                    *anew.entry(turn.candidate).or_default() += 1;
                    let life = 0.5 * self.noise * self.normal();
                    self.lives.insert(turn.candidate, life);
                }
                let score = truth(&race.candidates()[turn.candidate]).ln()
                    + self.drift
                    + self.lives[&turn.candidate]
                    + self.noise * self.normal();
                round.insert(turn.candidate, (anew[&turn.candidate], score));
                race.feed(turn.candidate, Outcome::Score(score));
            }
            elapsed_ns += self.round_ns * plan.turns.len() as u64;
            if plan.phase == Phase::Final {
                finals.push(round);
            }
            race.retired();
        }
    }
}

impl Run {
    /// The finalists' names, without those dropped.
    fn finalists(&self) -> Vec<String> {
        let last = self.finals.last().expect("a final was run");
        last.keys().map(|one| self.race.candidates()[*one].to_string()).collect()
    }

    /// What would be recommended, with how the other finalists stand against it.
    fn standings(&self) -> (String, Vec<Standing>) {
        let judged = self.judged();
        (self.name(judged.best), judged.rivals.iter().map(|rival| rival.standing).collect())
    }

    fn judged(&self) -> Judgement {
        self.race.judge().expect("a final was run")
    }

    fn name(&self, one: usize) -> String {
        self.race.candidates()[one].to_string()
    }
}

/// Two cores, and a little lost to switching beyond them.
fn cpu_bound(candidate: &Candidate) -> f64 {
    let speed = match candidate.engine {
        Engine::Sequential | Engine::TokioCurrentThread => 1.0,
        Engine::ThreadPool => f64::from(candidate.sizes.concurrency().min(2)),
        Engine::TokioBlockingPool => {
            f64::from(candidate.sizes.workers.unwrap_or(1).min(candidate.sizes.concurrency()).min(2)) * 0.9
        }
        _ => f64::from(candidate.sizes.workers.unwrap_or(1).min(candidate.sizes.concurrency()).min(2)) * 0.8,
    };
    speed * 500.0
}

/// Waits that overlap, with what each engine costs.
fn waiting(candidate: &Candidate) -> f64 {
    let workers = f64::from(candidate.sizes.workers.unwrap_or(u32::MAX));
    let tasks = f64::from(candidate.sizes.concurrency());
    match candidate.engine {
        Engine::Sequential => 100.0,
        Engine::TokioBlockingPool => 100.0 * tasks.min(workers) * 0.9,
        Engine::ThreadPool => 100.0 * tasks * 0.93,
        Engine::ProcessPool => 100.0 * tasks * 0.85,
        _ => 100.0 * tasks,
    }
}

const SEEDS: u64 = 200;

/// The share of the seeds for which this holds of a race, in per cent.
fn percent(holds: impl Fn(u64) -> bool) -> u64 {
    (0..SEEDS).filter(|seed| holds(*seed)).count() as u64 * 100 / SEEDS
}

#[test]
fn a_computation_ends_with_as_many_threads_as_cores() {
    let right = percent(|seed| {
        let run = Simulator::new(seed, 0.01).run(&entries(), seed, cpu_bound);
        let judged = run.judged();
        run.name(judged.best) == "rust/thread-pool@w2"
            && judged.confidence >= MOST_CONFIDENCE
            && judged
                .rivals
                .iter()
                .all(|one| one.standing == Standing::Worse || run.name(one.candidate).starts_with("rust/thread-pool"))
    });
    assert!(right >= 95, "{right} %");
}

#[test]
fn a_wait_ends_with_all_in_flight_on_an_event_loop() {
    let right = percent(|seed| {
        let run = Simulator::new(seed, 0.01).run(&entries(), seed, waiting);
        let (best, _) = run.standings();
        best.starts_with("rust/tokio-") && best.ends_with("f64")
    });
    assert!(right >= 95, "{right} %");
}

#[test]
fn equals_are_tied_and_seldom_have_a_winner() {
    let (mut ties, mut winners, mut simplest) = (0, 0, 0);
    for seed in 0..SEEDS {
        let run = Simulator::new(seed, 0.01).run(&entries(), seed, |_| 1000.0);
        let (best, standings) = run.standings();
        simplest += usize::from(best == "rust/sequential");
        ties += usize::from(standings.iter().filter(|one| **one == Standing::Tied).count() >= 4);
        winners += usize::from(standings.contains(&Standing::Worse));
    }
    assert!(simplest * 100 >= SEEDS as usize * 95, "the simplest in {simplest} of {SEEDS}");
    assert!(ties * 100 >= SEEDS as usize * 90, "{ties} ties of {SEEDS}");
    assert!(winners * 100 <= SEEDS as usize * 5, "{winners} false losers of {SEEDS}");
}

#[test]
fn loud_noise_is_undecided_rather_than_wrong() {
    let wrong = percent(|seed| {
        let run = Simulator::new(seed, 0.08).run(&entries(), seed, |_| 1000.0);
        run.standings().1.contains(&Standing::Worse)
    });
    assert!(wrong <= 10, "{wrong} % name a rival worse");
}

#[test]
fn who_may_be_named_has_three_lives() {
    let run = Simulator::new(1, 0.01).run(&entries(), 1, cpu_bound);
    assert_eq!(run.ending, Ending::Decided);
    let last = run.finals.last().expect("a final was run");
    assert!(last.keys().all(|one| run.anew[one] >= LIVES), "{:?}", run.anew);
    assert!(last.len() < run.finals[0].len(), "losers are dropped");
    assert!(run.race.cut_searches().is_empty());
}

#[test]
fn a_small_budget_cuts_the_search_and_still_has_a_final() {
    let mut simulator = Simulator::new(1, 0.01);
    simulator.round_ns = 300_000_000;
    let run = simulator.run(&entries(), 1, waiting);
    assert!(!run.race.cut_searches().is_empty());
    assert!(!run.finals.is_empty());
    assert_eq!(run.ending, Ending::BudgetSpent);
    assert!(run.elapsed_ns <= BUDGET * 6 / 5, "{}", run.elapsed_ns);
}

#[test]
fn one_candidate_alone_is_measured() {
    let alone = [entry(Engine::Sequential, &[], &[], (None, None))];
    let run = Simulator::new(1, 0.01).run(&alone, 1, |_| 1.0);
    assert_eq!((run.ending, run.finals.len()), (Ending::Decided, 7));
}

#[test]
fn one_candidate_that_fails_leaves_none() {
    let mut race = Race::new(
        &[entry(Engine::Sequential, &[], &[], (None, None))],
        Rules { margins: Margins::fixed(MARGIN), budget_ns: BUDGET, seed: 0, is_renewed: false },
    );
    let Next::Round(round) = race.next(0) else { panic!("a round comes first") };
    race.feed(round.turns[0].candidate, Outcome::Failed);
    assert_eq!(race.retired(), [0]);
    assert_eq!(race.next(1), Next::Over(Ending::NoCandidate));
    assert_eq!(
        Race::new(&[], Rules { margins: Margins::fixed(MARGIN), budget_ns: 0, seed: 0, is_renewed: false }).next(0),
        Next::Over(Ending::NoCandidate)
    );
}

#[test]
fn a_failed_size_ends_the_climb_below() {
    let pool = [entry(Engine::ThreadPool, &[], &[1, 2, 4, 8], (Some(2), None))];
    let mut race =
        Race::new(&pool, Rules { margins: Margins::fixed(MARGIN), budget_ns: BUDGET, seed: 0, is_renewed: false });
    let (mut last, mut now_ns) = (Vec::new(), 0);
    while let Next::Round(round) = race.next(now_ns) {
        now_ns += 300_000_000;
        last = round.turns.iter().map(|turn| race.candidates()[turn.candidate].to_string()).collect();
        for turn in round.turns {
            let size = race.candidates()[turn.candidate].sizes.concurrency();
            race.feed(turn.candidate, if size >= 4 { Outcome::Failed } else { Outcome::Score(f64::from(size).ln()) });
        }
    }
    assert_eq!(last, ["rust/thread-pool@w2"]);
}

#[test]
fn a_default_beyond_a_plateau_is_not_missed() {
    let pool = [entry(Engine::ThreadPool, &[], &LADDER, (Some(64), None))];
    let run = Simulator::new(1, 0.01).run(&pool, 1, |one| if one.sizes.concurrency() == 64 { 2.0 } else { 1.0 });
    assert_eq!(run.finalists(), ["rust/thread-pool@w64"]);
}

/// Processes that get chunks: what crosses costs as much as `costs` tasks of a worker.
fn chunked(costs: f64) -> impl Fn(&Candidate) -> f64 {
    move |one| {
        let workers = f64::from(one.sizes.workers.unwrap_or(1).min(2));
        let chunk = f64::from(one.sizes.chunk.unwrap_or(1));
        workers * chunk / (chunk + costs)
    }
}

fn chunk_pool() -> Entry {
    let mut pool = entry(Engine::MultiprocessingPool, &[], &LADDER, (Some(2), None));
    pool.default_sizes.chunk = Some(1);
    pool.chunk = LADDER.to_vec();
    pool
}

#[test]
fn chunks_are_searched_last_and_only_grow_where_they_gain() {
    for (costs, least, most) in [(0.0, 1, 1), (1.0, 16, 64), (20.0, 64, 64)] {
        let run = Simulator::new(1, 0.003).run(&[chunk_pool()], 1, chunked(costs));
        let candidates = run.race.candidates();
        let chosen = run.finals.last().and_then(|last| last.keys().next()).map(|one| candidates[*one].sizes);
        let chosen = chosen.expect("a champion");
        assert!(matches!(chosen.workers, Some(2 | 4)), "{costs}: {chosen}");
        assert!((least..=most).contains(&chosen.chunk.unwrap_or(0)), "{costs}: {chosen}");
        // The workers were found before any chunk was tried.
        let first = candidates.iter().position(|one| one.sizes.chunk > Some(1));
        let is_searched = |one: &Candidate| one.sizes.chunk == Some(1);
        assert!(first.is_none_or(|first| candidates[..first].iter().all(is_searched)), "{candidates:?}");
    }
}

#[test]
fn a_chunk_that_fails_keeps_those_below_it() {
    let mut race = Race::new(
        &[chunk_pool()],
        Rules { margins: Margins::fixed(MARGIN), budget_ns: BUDGET, seed: 0, is_renewed: false },
    );
    let (mut last, mut now_ns) = (Vec::new(), 0);
    while let Next::Round(round) = race.next(now_ns) {
        now_ns += 300_000_000;
        last = round.turns.iter().map(|turn| race.candidates()[turn.candidate].to_string()).collect();
        for turn in round.turns {
            let one = race.candidates()[turn.candidate].clone();
            let failed = one.sizes.chunk >= Some(4);
            let score = chunked(20.0)(&one).ln();
            race.feed(turn.candidate, if failed { Outcome::Failed } else { Outcome::Score(score) });
        }
    }
    assert_eq!(last, ["rust/multiprocessing.Pool@w2,c2"]);
}

#[test]
fn start_methods_are_entries_of_their_own() {
    use crate::candidate::StartMethod;
    let of = |method| Entry { start_method: Some(method), ..entry(Engine::Process, &[1, 2], &[], (None, Some(2))) };
    let entries = [of(StartMethod::Fork), of(StartMethod::Spawn)];
    let run = Simulator::new(1, 0.003)
        .run(&entries, 1, |one| if one.start_method == Some(StartMethod::Fork) { 1.1 } else { 1.0 });
    assert!(run.standings().0.starts_with("rust/Process@fork"), "{}", run.standings().0);
}

#[test]
fn leaders_are_who_is_ahead_and_the_simplest_that_is_tied() {
    let run = Simulator::new(1, 0.01).run(&entries(), 1, cpu_bound);
    let names = |run: &Run| -> Vec<String> {
        run.race.leaders().into_iter().map(|one| run.race.candidates()[one].to_string()).collect()
    };
    assert_eq!(names(&run), ["rust/thread-pool@w2"]);
    let two =
        [entry(Engine::Sequential, &[], &[], (None, None)), entry(Engine::ProcessPool, &[], &[1], (Some(1), None))];
    let tied = Simulator::new(1, 0.001).run(&two, 1, |one| if one.engine == Engine::Sequential { 1.0 } else { 1.01 });
    assert_eq!(names(&tied), ["rust/process-pool@w1", "rust/sequential"]);
    let none =
        Race::new(&two, Rules { margins: Margins::fixed(MARGIN), budget_ns: BUDGET, seed: 0, is_renewed: false });
    assert!(none.leaders().is_empty());
}

#[test]
fn the_same_seed_is_the_same_race() {
    let order = |seed| {
        let run = Simulator::new(5, 0.01).run(&entries(), seed, waiting);
        (run.race.candidates().to_vec(), run.elapsed_ns)
    };
    assert_eq!(order(3), order(3));
}

fn any_outcome() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        6 => (-10.0..10.0_f64).prop_map(|score| Some(Outcome::Score(score))),
        1 => prop::num::f64::ANY.prop_map(|score| Some(Outcome::Score(score))),
        1 => Just(Some(Outcome::Failed)),
        1 => Just(Some(Outcome::Infeasible)),
        2 => (-10.0..10.0_f64).prop_map(|score| Some(Outcome::Weak(score))),
        1 => Just(None),
    ]
}

proptest! {
    #[test]
    fn every_race_ends_and_keeps_its_rules(
        outcomes in prop::collection::vec(any_outcome(), 1..200),
        steps in prop::collection::vec(0..2_000_000_000_u64, 1..20),
        which in prop::collection::vec(any::<bool>(), 6),
        budget_ns in 0..BUDGET, margin in 0.0..0.2_f64, seed in any::<u64>(),
    ) {
        let chosen: Vec<Entry> =
            entries().into_iter().zip(&which).filter(|(_, keep)| **keep).map(|(entry, _)| entry).collect();
        let mut race = Race::new(&chosen, Rules { margins: Margins::fixed(margin), budget_ns, seed, is_renewed: false });
        let (mut elapsed, mut turn_count, mut rounds) = (0_u64, 0_usize, 0_usize);
        let mut resident = std::collections::BTreeSet::new();
        let mut failed = std::collections::BTreeSet::new();
        while let Next::Round(round) = race.next(elapsed) {
            rounds += 1;
            prop_assert!(rounds < 1000, "it does not end");
            prop_assert!(!round.turns.is_empty());
            for turn in &round.turns {
                prop_assert!(turn.anew || resident.contains(&turn.candidate), "an agent that was ended runs on");
                prop_assert!(!failed.contains(&turn.candidate), "a failed candidate runs again");
                resident.insert(turn.candidate);
                if let Some(outcome) = outcomes[turn_count % outcomes.len()] {
                    if matches!(outcome, Outcome::Failed | Outcome::Infeasible) { failed.insert(turn.candidate); }
                    race.feed(turn.candidate, outcome);
                }
                turn_count += 1;
            }
            for one in race.retired() {
                prop_assert!(resident.remove(&one), "told twice");
            }
            elapsed += steps[rounds % steps.len()];
        }
    }
}
