//! Races of simulated candidates: no clock, no process.

use rand::RngExt as _;

use super::*;
use crate::candidate::{Engine, Model, OwnExecutor, RUST, Word};

const MS: u64 = 1_000_000;

fn entry(engine: Engine) -> Entry {
    let ladder = |is_there: bool| if is_there { vec![1, 2, 4, 8, 16, 32, 64] } else { Vec::new() };
    let axes = engine.axes();
    Entry {
        runtime: RUST.to_owned(),
        engine,
        start_method: None,
        library_threads: None,
        default_sizes: Sizes { chunk: None, ..axes.sizes(2, 64, 1) },
        in_flight: ladder(axes.in_flight),
        workers: if engine == Engine::TokioMultiThread { vec![1, 2, 4] } else { ladder(axes.workers) },
        chunk: Vec::new(),
    }
}

const ENGINES: [Engine; 6] = [
    Engine::Sequential,
    Engine::ThreadPool,
    Engine::Rayon,
    Engine::TokioCurrentThread,
    Engine::TokioMultiThread,
    Engine::ProcessPool,
];

fn rules(seed: u64) -> Rules {
    Rules {
        tolerance: 0.05,
        deadline_ns: 20_000 * MS,
        budget_ns: 20_000 * MS,
        seed,
        is_renewed: false,
        cores: 2.0,
        has_lock: false,
        library_threads: None,
        is_async: true,
        blocks_loops: false,
        may_share: false,
        is_throughput: true,
        serial_ns: 0.0,
        tasks: None,
        is_batch: false,
        has_setup: false,
        rate_per_s: None,
        cluster: None,
        turns: None,
    }
}

/// What a task of so many ms of waiting and of computing gives under a candidate, in tasks a second; on two cores.
fn true_rate(candidate: &Candidate, wait_ms: f64, cpu_ms: f64) -> f64 {
    let own = match candidate.engine {
        Engine::Sequential | Engine::ThreadPool => 1.0,
        Engine::ProcessPool => 0.97,
        Engine::TokioCurrentThread => 0.995,
        _ => 0.985,
    };
    let threads = match candidate.model() {
        Model::Sequential => 1.0,
        Model::Async => f64::from(candidate.sizes.workers.unwrap_or(1)),
        _ => f64::from(candidate.sizes.concurrency()),
    };
    let wide = f64::from(candidate.sizes.concurrency());
    let by_latency = wide / (wait_ms + cpu_ms);
    let by_cores = threads.min(wide).min(2.0) / cpu_ms;
    1000.0 * own * by_latency.min(by_cores)
}

struct Ended {
    decide: Decide,
    ending: Ending,
    elapsed_ns: u64,
    rounds: Vec<Vec<Turn>>,
}

/// What a candidate does: tasks a second, the CPU time of each, and the cores in use; 0 where they are not known.
struct Does {
    rate: f64,
    cpu_ns: f64,
    cores: f64,
}

/// Runs a race in which blocks of one round vary by `noise`, lives by half of that, and rounds by 10 %.
fn race(decide: Decide, noise: f64, seed: u64, cpu_ns: f64, outcome: impl Fn(&Candidate) -> Option<f64>) -> Ended {
    race_of(decide, noise, seed, |one| outcome(one).map(|rate| Does { rate, cpu_ns, cores: 0.0 }))
}

/// The same of candidates of which more is known. A slow block is one of slow cores: they are as busy as ever.
fn race_of(decide: Decide, noise: f64, seed: u64, outcome: impl Fn(&Candidate) -> Option<Does>) -> Ended {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f64>();
    let (mut decide, mut elapsed_ns, mut rounds) = (decide, 500 * MS, Vec::new());
    let mut lives: BTreeMap<usize, (u32, f64)> = BTreeMap::new();
    loop {
        let round = match decide.next(elapsed_ns) {
            Next::Round(round) => round,
            Next::Over(ending) => return Ended { decide, ending, elapsed_ns, rounds },
        };
        let shift = 0.1 * normal();
        for turn in &round.turns {
            if decide.drops(turn.candidate) {
                continue;
            }
            let candidate = decide.candidates()[turn.candidate].clone();
            let life = lives.entry(turn.candidate).or_insert((u32::MAX, 0.0));
            if turn.anew {
                *life = (life.0.wrapping_add(1), 0.5 * noise * normal());
                elapsed_ns += 40 * MS;
            }
            let does = outcome(&candidate);
            let batch_ns = |tasks: u32| does.as_ref().map(|does| (f64::from(tasks) / does.rate * 1e9) as u64);
            let batch = decide.rules.tasks.filter(|_| decide.rules.is_batch);
            let block_ns = batch.and_then(batch_ns).unwrap_or(30 * MS);
            elapsed_ns += block_ns;
            decide.took(turn.candidate, block_ns, turn.anew.then_some(40 * MS));
            let Some(Does { rate, cpu_ns, cores }) = does else {
                decide.feed(turn.candidate, TurnOutcome::Hung);
                continue;
            };
            let score = rate.ln() + shift + life.1 + noise * normal();
            let latency_ns = f64::from(candidate.sizes.concurrency()) / rate * 1e9;
            let cpu_ns = if cores > 0.0 { cores / score.exp() * 1e9 } else { cpu_ns };
            let cores = if cores > 0.0 { cores * (0.03 * normal()).exp() } else { 0.0 };
            let seen = Observation { life: life.0, score, latency_ns, cpu_ns, cores, ..Observation::default() };
            decide.feed(turn.candidate, TurnOutcome::Observed(seen));
        }
        rounds.push(round.turns);
        assert!(rounds.len() < 2000, "it ends");
    }
}

fn named(ended: &Ended) -> String {
    let found = ended.decide.finding().expect("an answer");
    ended.decide.candidates()[found.named].short()
}

/// A race of all engines that is to end then, and may take so long.
fn decide_within(deadline_ns: u64, budget_ns: u64) -> Decide {
    let entries: Vec<Entry> = ENGINES.iter().map(|engine| entry(*engine)).collect();
    Decide::new(&entries, &[], Rules { deadline_ns, budget_ns, ..rules(1) })
}

fn decide(engines: &[Engine], seed: u64) -> Decide {
    Decide::new(&engines.iter().map(|engine| entry(*engine)).collect::<Vec<Entry>>(), &[], rules(seed))
}

#[test]
fn computation_gets_two_threads_whatever_the_noise_draws() {
    let named: Vec<String> = (0..20)
        .map(|seed| {
            let ended = race(decide(&ENGINES, seed), 0.03, seed, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
            assert_eq!(ended.ending, Ending::Decided);
            named(&ended)
        })
        .collect();
    let threads = named.iter().filter(|name| *name == "thread-pool@w2").count();
    assert!(threads >= 19, "{named:?}");
}

#[test]
fn a_stated_rate_gets_the_smallest_size_that_reaches_it() {
    let entries: Vec<Entry> = ENGINES.iter().map(|engine| entry(*engine)).collect();
    for seed in 0..10 {
        let rules = Rules { rate_per_s: Some(50.0), ..rules(seed) };
        let held = |one: &Candidate| Some(true_rate(one, 100.0, 0.05).min(50.0));
        let ended = race(Decide::new(&entries, &[], rules), 0.01, seed, 5e4, held);
        assert_eq!((named(&ended).as_str(), ended.ending), ("thread-pool@w8", Ending::Decided), "seed {seed}");
        // What has more in flight cannot be better, and is not measured.
        let sizes = ended.decide.candidates().into_iter().map(|one| one.sizes.concurrency()).max();
        assert!(sizes <= Some(8), "seed {seed}: {sizes:?} in flight");
    }
}

#[test]
fn waits_get_as_many_as_are_allowed() {
    for seed in 0..10 {
        let ended = race(decide(&ENGINES, seed), 0.03, seed, 1e4, |one| Some(true_rate(one, 20.0, 0.01)));
        assert_eq!(named(&ended), "thread-pool@w64");
        // It may stop by the pooled bound; what it states is wider.
        assert!(ended.decide.finding().expect("an answer").loss <= 0.10_f64.ln_1p());
    }
}

#[test]
fn wrong_hints_cost_time_and_not_the_answer() {
    // Blocks say that a task computes for 2 ms, and it waits.
    for seed in 0..10 {
        let ended = race(decide(&ENGINES, seed), 0.03, seed, 2e6, |one| Some(true_rate(one, 20.0, 0.01)));
        let own = ended.decide.candidates()[ended.decide.finding().expect("an answer").named].clone();
        assert_eq!(own.sizes.concurrency(), 64, "{own}");
    }
}

#[test]
fn a_plain_loop_is_named_where_nothing_helps() {
    // One core, or a lock around it all.
    let ended = race(decide(&ENGINES, 1), 0.03, 1, 2e6, |_| Some(500.0));
    assert_eq!((named(&ended).as_str(), ended.ending), ("sequential", Ending::Decided));
}

#[test]
fn an_event_loop_that_tasks_block_is_never_named_beside_a_plain_loop() {
    let engines =
        [Engine::Sequential, Engine::TokioCurrentThread, Engine::TokioMultiThread, Engine::Compio, Engine::Gevent];
    let of = |lucky: Engine, blocks_loops: bool| {
        let rules = Rules { is_async: false, blocks_loops, ..rules(1) };
        let entries: Vec<Entry> = engines.iter().map(|engine| entry(*engine)).collect();
        let rate = |one: &Candidate| {
            // Threads of its own, or waits that it patches.
            let is_more = one.engine == lucky && (one.sizes.workers.unwrap_or(2) > 1);
            Some(if is_more { 900.0 } else { 500.0 })
        };
        named(&race(Decide::new(&entries, &[], rules), 0.02, 1, 2e6, rate))
    };
    // The memory of a loop may suit it better; more in flight it is not.
    assert_eq!(of(Engine::TokioCurrentThread, true), "sequential");
    assert!(of(Engine::TokioCurrentThread, false).starts_with("tokio-current-thread"));
    for other in [Engine::TokioMultiThread, Engine::Compio, Engine::Gevent] {
        assert_ne!(of(other, true), "sequential", "{other}");
    }
}

/// A race of tasks that wait 6 ms for what serves so many of a candidate's tasks at once.
fn race_of_waits(served: impl Fn(&Candidate) -> f64, may_share: bool, seed: u64) -> Ended {
    let rules = Rules { may_share, ..rules(seed) };
    let entries: Vec<Entry> = ENGINES.iter().map(|engine| entry(*engine)).collect();
    let rate = move |one: &Candidate| Some(true_rate(one, 6.0, 0.02).min(served(one) * 1000.0 / 6.02));
    race(Decide::new(&entries, &[], rules), 0.03, seed, 0.02e6, rate)
}

fn most_in_flight(ended: &Ended) -> u32 {
    ended.decide.candidates().iter().map(|one| one.sizes.concurrency()).max().unwrap_or(0)
}

#[test]
fn where_waits_do_not_overlap_engines_begin_with_few_in_flight() {
    for (served, most, workers) in [(1.0, 16, 1), (2.0, 16, 2), (3.0, 16, 4)] {
        let ended = race_of_waits(|_| served, true, 1);
        assert!(most_in_flight(&ended) <= most, "{served}: {:?}", ended.decide.candidates());
        let named = &ended.decide.candidates()[ended.decide.finding().expect("an answer").named];
        assert!(named.sizes.concurrency() <= workers, "{served}: {named}");
        assert_eq!(ended.ending, Ending::Decided);
    }
}

#[test]
fn where_each_process_has_its_own_of_what_serves_few_many_processes_win() {
    let served = |one: &Candidate| if one.engine == Engine::ProcessPool { f64::INFINITY } else { 2.0 };
    let ended = race_of_waits(served, true, 1);
    let named = ended.decide.candidates()[ended.decide.finding().expect("an answer").named];
    assert_eq!((named.engine, named.sizes.workers), (Engine::ProcessPool, Some(64)), "{:?}", ended.decide.candidates());
}

#[test]
fn where_waits_overlap_one_block_with_few_in_flight_shows_it() {
    let ended = race_of_waits(|_| f64::INFINITY, true, 1);
    let second: Vec<&Candidate> =
        ended.rounds[1].iter().map(|turn| ended.decide.candidates()[turn.candidate]).collect();
    let few = second.iter().filter(|one| one.sizes.concurrency() == 8).count();
    assert_eq!((second.len(), few), (2, 1), "{second:?}");
    assert_eq!(most_in_flight(&ended), 64);
    let workers = ended.decide.candidates()[ended.decide.finding().expect("an answer").named].sizes.concurrency();
    assert_eq!(workers, 64);
    // What is known to wait alone needs no such look.
    assert!(race_of_waits(|_| f64::INFINITY, false, 1).rounds[1].len() > 2);
}

#[test]
fn the_bound_holds() {
    let mut broken = Vec::new();
    for seed in 0..60 {
        let ended = race(decide(&ENGINES, seed), 0.05, seed, 1e6, |one| Some(true_rate(one, 3.0, 1.0)));
        let found = ended.decide.finding().expect("an answer");
        let all = ENGINES.iter().flat_map(|engine| {
            let entry = entry(*engine);
            grid::all(&entry).into_iter().map(move |sizes| entry.candidate(sizes)).collect::<Vec<Candidate>>()
        });
        let best = all.map(|one| true_rate(&one, 3.0, 1.0)).fold(0.0, f64::max);
        let own = true_rate(ended.decide.candidates()[found.named], 3.0, 1.0);
        if (best / own).ln() > found.loss {
            broken.push((seed, named(&ended), best / own, found.loss));
        }
    }
    assert!(broken.len() <= 6, "{broken:?}");
}

#[test]
fn the_first_block_is_the_loops_and_every_engine_runs_in_the_second_round() {
    let ended = race(decide(&ENGINES, 3), 0.03, 3, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
    let name = |turn: &Turn| ended.decide.candidates()[turn.candidate].engine;
    assert_eq!(ended.rounds[0].iter().map(name).collect::<Vec<Engine>>(), [Engine::Sequential]);
    let mut second: Vec<Engine> = ended.rounds[1].iter().map(name).collect();
    second.sort_unstable();
    assert_eq!(second, ENGINES);
    assert!(ended.rounds[2..].iter().all(|round| (2..=6).contains(&round.len())));
}

#[test]
fn nothing_is_named_for_good_before_its_neighbours_were_measured() {
    let ended =
        race(decide(&[Engine::Sequential, Engine::ThreadPool], 5), 0.02, 5, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
    let measured: Vec<String> = ended.decide.candidates().iter().map(|one| one.short()).collect();
    assert!(ended.decide.finding().expect("an answer").is_settled);
    assert!(measured.contains(&"thread-pool@w4".to_owned()), "{measured:?}");
}

#[test]
fn engines_that_fail_leave_the_race_and_the_others_go_on() {
    let ended = race(decide(&ENGINES, 7), 0.03, 7, 2e6, |one| {
        (one.model() != Model::Threads).then(|| true_rate(one, 0.0, 2.0))
    });
    assert_eq!(ended.ending, Ending::Decided);
    let found = ended.decide.finding().expect("an answer");
    assert!(found.standings.iter().all(|it| ended.decide.candidates()[it.candidate].model() != Model::Threads));
    // An engine is tried twice at most.
    let tried = |engine| ended.decide.candidates().iter().filter(|one| one.engine == engine).count();
    assert!(tried(Engine::ThreadPool) <= 2 && tried(Engine::Rayon) <= 2);
}

#[test]
fn a_race_in_which_all_fail_ends() {
    let ended = race(decide(&ENGINES, 7), 0.03, 7, 2e6, |_| None);
    assert_eq!(ended.ending, Ending::NoCandidate);
    assert_eq!(ended.decide.finding(), None);
    assert_eq!(race(decide(&[], 1), 0.03, 1, 2e6, |_| None).ending, Ending::NoCandidate);
}

#[test]
fn one_candidate_alone_is_the_answer() {
    let ended = race(decide(&[Engine::Sequential], 1), 0.03, 1, 2e6, |_| Some(100.0));
    assert_eq!((named(&ended).as_str(), ended.ending), ("sequential", Ending::Decided));
    assert!(ended.elapsed_ns < 2000 * MS, "{}", ended.elapsed_ns);
}

#[test]
fn time_that_is_spent_ends_it_with_the_answer_so_far() {
    let ended = race(decide_within(900 * MS, 900 * MS), 0.2, 1, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
    assert_eq!(ended.ending, Ending::BudgetSpent);
    assert!(ended.decide.finding().expect("an answer").loss > 0.0);
}

#[test]
fn a_plain_loop_gets_a_rival_however_short_the_time() {
    let ended = race(decide_within(900 * MS, 200 * MS), 0.02, 1, 40e6, |one| Some(true_rate(one, 0.0, 40.0)));
    let turns: Vec<usize> = ended.rounds.iter().map(Vec::len).collect();
    assert!(turns.len() > 1 && turns[1] > 1, "{turns:?}");
}

#[test]
fn the_same_feeds_and_looks_give_the_same_finding() {
    let ended = race(decide(&ENGINES, 9), 0.04, 9, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
    let mut again = decide(&ENGINES, 9);
    // Only what was fed counts: neither what was chosen next nor what blocks took.
    let mut scores = ended.decide.scores.iter().peekable();
    let mut round = 0;
    while scores.peek().is_some() {
        while let Some(score) = scores.next_if(|score| score.round == round) {
            let arm = &ended.decide.arms[score.arm];
            let candidate = again.enter(&arm.candidate).expect("it is of an entry");
            let (_, life) = ended.decide.lives.iter().find(|(_, life)| **life == score.life).expect("a life").0;
            let of_arm = ended.decide.scores.iter().filter(|one| one.arm == score.arm);
            let position = of_arm.take_while(|one| !std::ptr::eq(*one, score)).count();
            let Task { latency_ns, cpu_ns, .. } = ended.decide.tasks[&score.arm][position];
            let seen = Observation { life: *life, score: score.score, latency_ns, cpu_ns, ..Observation::default() };
            again.feed(candidate, TurnOutcome::Observed(seen));
        }
        assert!(again.look(0));
        round += 1;
    }
    let (one, other) = (ended.decide.finding().expect("an answer"), again.finding().expect("an answer"));
    assert_eq!(one, other);
}

#[test]
fn a_broken_limit_rules_out_the_larger_sizes() {
    let mut decide = decide(&[Engine::Sequential, Engine::ThreadPool], 1);
    let mut elapsed_ns = 0;
    let mut seen: Vec<u32> = Vec::new();
    while let Next::Round(round) = decide.next(elapsed_ns) {
        for turn in round.turns {
            let candidate = decide.candidates()[turn.candidate].clone();
            let workers = candidate.sizes.workers.unwrap_or(1);
            seen.push(workers);
            decide.took(turn.candidate, 30 * MS, None);
            let rate = true_rate(&candidate, 20.0, 0.01);
            let latency_ns = f64::from(workers) / rate * 1e9;
            let observed = Observation { score: rate.ln(), latency_ns, cpu_ns: 1e4, ..Observation::default() };
            decide.feed(
                turn.candidate,
                if workers > 8 { TurnOutcome::Infeasible } else { TurnOutcome::Observed(observed) },
            );
        }
        elapsed_ns += 100 * MS;
    }
    let found = decide.finding().expect("an answer");
    assert_eq!(decide.candidates()[found.named].short(), "thread-pool@w8");
    assert_eq!(seen.iter().filter(|workers| **workers == 64).count(), 1, "{seen:?}");
}

#[test]
fn what_fails_at_large_sizes_is_measured_at_smaller_ones() {
    let decide = Decide::new(&[entry(Engine::Sequential), entry(Engine::ThreadPool)], &[], rules(5));
    let capped = |one: &Candidate| (one.sizes.concurrency() <= 16).then(|| true_rate(one, 6.0, 0.05));
    let ended = race(decide, 0.02, 5, 5e4, capped);
    assert_eq!(ended.ending, Ending::Decided);
    assert_eq!(named(&ended), "thread-pool@w16");
}

#[test]
fn engines_learn_from_failures_of_others() {
    let failures = std::cell::Cell::new(0);
    let capped = |one: &Candidate| {
        let works = one.sizes.concurrency() <= 6;
        failures.set(failures.get() + u32::from(!works));
        works.then(|| true_rate(one, 6.0, 0.05))
    };
    let ended = race(decide(&ENGINES, 3), 0.02, 3, 5e4, capped);
    assert_eq!(ended.ending, Ending::Decided);
    let found = ended.decide.finding().expect("an answer");
    assert_eq!(ended.decide.candidates()[found.named].sizes.concurrency(), 4);
    // Two with 64 and 16, and at most two of each family with 8; each engine by itself would have failed four times.
    assert!(failures.get() <= 8, "{} failures", failures.get());
}

#[test]
fn another_way_to_begin_processes_takes_the_place_of_one_that_hangs() {
    let under = |engine, method| Entry { start_method: Some(method), ..entry(engine) };
    let pools = [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool];
    let forked = pools.map(|engine| under(engine, StartMethod::Fork));
    let spawned = pools.map(|engine| under(engine, StartMethod::Spawn));
    let entries = [&[entry(Engine::Sequential)][..], &forked].concat();
    let hangs = |one: &Candidate| (one.start_method != Some(StartMethod::Fork)).then(|| true_rate(one, 0.0, 2.0));
    let ended = race(Decide::new(&entries, &spawned, rules(7)), 0.02, 7, 2e6, hangs);
    assert_eq!(ended.ending, Ending::Decided);
    let candidates = ended.decide.candidates();
    let found = ended.decide.finding().expect("an answer");
    assert_eq!(candidates[found.named].start_method, Some(StartMethod::Spawn));
    let forked = candidates.iter().filter(|one| one.start_method == Some(StartMethod::Fork)).count();
    assert!(forked <= 2, "one hang is enough");
}

#[test]
fn without_a_hang_no_other_way_to_begin_processes_is_tried() {
    let under = |method| Entry { start_method: Some(method), ..entry(Engine::ProcessPoolExecutor) };
    let entries = [entry(Engine::Sequential), under(StartMethod::Fork)];
    let decide = Decide::new(&entries, &[under(StartMethod::Spawn)], rules(7));
    let ended = race(decide, 0.02, 7, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
    assert!(ended.decide.candidates().iter().all(|one| one.start_method != Some(StartMethod::Spawn)));
}

#[test]
fn a_fault_puts_out_every_size_of_its_engine() {
    let own =
        OwnExecutor { factory: Word::of("pools:make"), model: Model::Threads, is_context: true, fixed_workers: None };
    let entries = [Engine::Sequential, Engine::ThreadPool, Engine::Own(own)].map(entry);
    let mut decide = Decide::new(&entries, &[], rules(5));
    let (mut elapsed_ns, mut faults) = (0, 0);
    while let Next::Round(round) = decide.next(elapsed_ns) {
        for turn in round.turns {
            let candidate = decide.candidates()[turn.candidate].clone();
            let is_own = matches!(candidate.engine, Engine::Own(_));
            decide.took(turn.candidate, 30 * MS, None);
            let rate = if is_own { 1e6 } else { true_rate(&candidate, 6.0, 0.05) };
            let latency_ns = f64::from(candidate.sizes.concurrency()) / rate * 1e9;
            let observed = Observation { score: rate.ln(), latency_ns, cpu_ns: 5e4, ..Observation::default() };
            // The first sizes work for a while.
            let fails = is_own && (faults > 0 || elapsed_ns > 300 * MS);
            faults += u32::from(fails);
            decide.feed(turn.candidate, if fails { TurnOutcome::Faulty } else { TurnOutcome::Observed(observed) });
        }
        elapsed_ns += 100 * MS;
    }
    let found = decide.finding().expect("an answer");
    assert!(faults > 0);
    assert_eq!(decide.candidates()[found.named].engine, Engine::ThreadPool);
}

#[test]
fn the_longer_tasks_are_the_fewer_turns_a_block_has() {
    let turns = |task_ms: u64, budget_ms: u64| Turns::of(task_ms * MS, budget_ms * MS).map(|turns| turns.count);
    assert_eq!([60, 70, 160, 600].map(|task_ms| turns(task_ms, 20_000)), [None, Some(3), Some(2), Some(1)]);
    assert_eq!([20, 30, 600].map(|task_ms| turns(task_ms, 1_000)), [None, Some(1), Some(1)]);
    assert_eq!(turns(600, 600_000), None);
}

/// Computation on two cores: what a candidate takes, where a task takes so many times the CPU time in processes.
fn computes(candidate: &Candidate, in_processes: f64) -> Does {
    let rate = true_rate(candidate, 0.0, 2.0);
    let cores = f64::from(candidate.sizes.concurrency()).min(2.0);
    let cores =
        if candidate.model() == Model::Async && candidate.sizes.workers.unwrap_or(1) == 1 { 1.0 } else { cores };
    let times = if candidate.model() == Model::Processes { in_processes } else { 1.0 };
    Does { rate: rate / times, cpu_ns: 2e6, cores }
}

#[test]
fn whoever_uses_all_cores_is_known_to_be_good_enough_in_less_time() {
    let seconds = |ended: &Ended| ended.elapsed_ns as f64 / 1e9;
    let (mut with, mut without) = (0.0, 0.0);
    for seed in 0..10 {
        let known = race_of(decide(&ENGINES, seed), 0.05, seed, |one| Some(computes(one, 1.0)));
        let unknown = race(decide(&ENGINES, seed), 0.05, seed, 2e6, |one| Some(true_rate(one, 0.0, 2.0)));
        let found = known.decide.finding().expect("an answer");
        assert!(found.loss <= 0.05_f64.ln_1p(), "{} {found:?}", named(&known));
        assert_eq!(known.ending, Ending::Decided);
        (with, without) = (with + seconds(&known), without + seconds(&unknown));
    }
    assert!(with < 0.85 * without, "{with} {without}");
}

#[test]
fn full_cores_are_no_claim_where_tasks_are_cheaper_elsewhere() {
    let mut held = 0;
    for seed in 0..40 {
        let ended = race_of(decide(&ENGINES, seed), 0.03, seed, |one| Some(computes(one, 0.88)));
        let found = ended.decide.finding().expect("an answer");
        let candidate = ended.decide.candidates()[found.named].clone();
        let of_all = ENGINES
            .iter()
            .flat_map(|engine| grid::all(&entry(*engine)).into_iter().map(|it| entry(*engine).candidate(it)));
        let best = of_all.map(|one| computes(&one, 0.88).rate).fold(0.0, f64::max);
        held += u32::from((best / computes(&candidate, 0.88).rate).ln() <= found.loss);
    }
    assert!(held >= 37, "{held} of 40");
}

#[test]
fn a_batch_that_takes_a_good_part_of_the_budget_is_compared_all_the_same() {
    for seed in 0..10 {
        // Thirty tasks of 100 ms: 3 s in a plain loop.
        let entries: Vec<Entry> = ENGINES.iter().map(|engine| entry(*engine)).collect();
        let decide = Decide::new(&entries, &[], Rules { is_batch: true, tasks: Some(30), ..rules(seed) });
        let ended = race(decide, 0.03, seed, 1e8, |one| Some(true_rate(one, 0.0, 100.0)));
        let found = ended.decide.finding().expect("an answer");
        let candidate = ended.decide.candidates()[found.named].clone();
        assert!(candidate.sizes.concurrency() > 1, "two cores do twice as much: {}", named(&ended));
        let best =
            true_rate(&entry(Engine::ThreadPool).candidate(Sizes { workers: Some(2), ..Sizes::default() }), 0.0, 100.0);
        assert!((best / true_rate(&candidate, 0.0, 100.0)).ln() <= found.loss, "{} {found:?}", named(&ended));
        assert!(ended.elapsed_ns < 24_000 * MS, "{}", ended.elapsed_ns);
    }
}

#[test]
fn what_there_is_no_time_to_measure_makes_no_answer_sure() {
    // Under a small budget a batch of 3 s leaves time for a plain loop and little else.
    let entries: Vec<Entry> = [Engine::Sequential, Engine::ThreadPool].map(entry).to_vec();
    let budget = Rules { deadline_ns: 4_000 * MS, budget_ns: 4_000 * MS, ..rules(1) };
    let decide = Decide::new(&entries, &[], Rules { is_batch: true, tasks: Some(30), ..budget });
    let ended = race(decide, 0.03, 1, 1e8, |one| Some(true_rate(one, 0.0, 100.0)));
    assert_eq!(ended.ending, Ending::BudgetSpent);
    let found = ended.decide.finding().expect("an answer");
    assert!(found.loss >= rough_loss(0.05), "{found:?}");
}

#[test]
fn whoever_has_all_that_is_allowed_under_way_leaves_nothing_to_gain() {
    let waits = |one: &Candidate| Some(Does { rate: true_rate(one, 8.0, 0.001), cpu_ns: 1e3, cores: 0.0 });
    for seed in 0..10 {
        let ended = race_of(decide(&ENGINES, seed), 0.004, seed, waits);
        let found = ended.decide.finding().expect("an answer");
        let blocks: usize = ended.rounds.iter().map(Vec::len).sum();
        assert_eq!(ended.decide.candidates()[found.named].sizes.concurrency(), 64, "{}", named(&ended));
        assert!(found.loss <= 0.05_f64.ln_1p() && blocks < 40, "{found:?} {blocks}");
    }
}
