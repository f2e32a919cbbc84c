//! Error rates where the truth is set: equals, one that is 5 % slower, and what a stated confidence is worth.

use conbench::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::plan::Entry;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::engines;
use crate::key::cases;
use crate::noise::{Kind, normal};
use crate::options::Options;
use crate::show::{share, share_with_interval, show};
use crate::simulate::{Run, Session, run};

/// The budget of a session of two candidates.
const BUDGET_S: f64 = 20.0;
/// Tasks a second of each candidate, or nearly so.
const RATE: f64 = 1000.0;
/// The time of a task alone.
const ALONE_NS: f64 = 2e6;
/// How much slower the slower of two is.
const SLOWER: f64 = 0.05;

/// So many candidates of fixed sizes: engines of the native runtime in turn, with 2, 4, .. workers or in flight.
pub(crate) fn field(count: usize) -> Vec<Candidate> {
    let engines = [
        Engine::ThreadPool,
        Engine::ProcessPool,
        Engine::Rayon,
        Engine::ThreadPerTask,
        Engine::TokioCurrentThread,
        Engine::TokioMultiThread,
    ];
    let of = |index: usize| {
        let engine = engines[index % engines.len()];
        let axes = engine.axes();
        let size = 2 << (index / engines.len());
        let sizes = Sizes {
            workers: axes.workers.then_some(2.min(size)),
            in_flight: axes.in_flight.then_some(size),
            chunk: None,
        };
        let sizes = if axes.in_flight { sizes } else { Sizes { workers: Some(size), ..sizes } };
        Candidate::new(RUST, engine, sizes)
    };
    (0..count).map(of).collect()
}

/// A race of these candidates, without a search, whose throughputs are these.
pub(crate) fn race_of(options: &Options, kind: &Kind, seed: u64, budget_ns: u64, rates: &[(Candidate, f64)]) -> Run {
    let entries: Vec<Entry> = rates.iter().map(|(candidate, _)| engines::fixed(candidate)).collect();
    let truth = |one: &Candidate| rates.iter().find(|(other, _)| other == one).map_or(1.0, |(_, rate)| *rate);
    let session =
        Session { entries: &entries, margin: options.margin, budget_ns, seed, truth: &truth, alone_ns: ALONE_NS };
    run(&session, &mut kind.begin(options.paired, seed))
}

/// Equals, and one that is 5 % slower: 400 sessions of each unless told otherwise.
pub(crate) fn pairs(options: &Options, kinds: &[Kind]) {
    let sessions = options.sessions.unwrap_or(400);
    let mut rows = Vec::new();
    for count in [2, 6] {
        rows.push(equals(options, kinds, sessions, count));
    }
    show(&["equals", "sessions", "one called worse (95 % interval)", "all tied", "nothing said"], &rows);
    let rows = vec![slower(options, kinds, sessions)];
    show(&["one is 5 % slower", "sessions", "found (95 % interval)", "tied", "called the better one"], &rows);
}

fn equals(options: &Options, kinds: &[Kind], sessions: u64, count: usize) -> Vec<String> {
    let (mut worse, mut tied, mut open) = (0, 0, 0);
    for number in 0..sessions {
        let rates: Vec<(Candidate, f64)> = field(count).into_iter().map(|one| (one, RATE)).collect();
        let kind = &kinds[(number % kinds.len() as u64) as usize];
        let run = race_of(options, kind, options.seed.wrapping_add(number), options.budget_ns(BUDGET_S), &rates);
        worse += usize::from(!run.named.worse.is_empty());
        tied += usize::from(run.named.best.is_some() && run.named.worse.is_empty());
        open += usize::from(run.named.best.is_none() && run.named.worse.is_empty());
    }
    let all = sessions as usize;
    vec![
        format!("{count} candidates"),
        all.to_string(),
        share_with_interval(worse, all),
        share(tied, all),
        share(open, all),
    ]
}

fn slower(options: &Options, kinds: &[Kind], sessions: u64) -> Vec<String> {
    let (mut found, mut tied, mut inverted) = (0, 0, 0);
    for number in 0..sessions {
        // The slower one is the simpler model in every other session.
        let mut candidates = field(2);
        if number % 2 == 0 {
            candidates.reverse();
        }
        let slow = candidates.remove(1);
        let fast = candidates.remove(0);
        let rates = [(fast.clone(), RATE), (slow.clone(), RATE * (1.0 - SLOWER))];
        let kind = &kinds[((number / 2) % kinds.len() as u64) as usize];
        let run = race_of(options, kind, options.seed.wrapping_add(number), options.budget_ns(BUDGET_S), &rates);
        let is = |index: Option<usize>, which: &Candidate| index.is_some_and(|one| run.candidate(one) == which);
        let names = |list: &[usize], which: &Candidate| list.iter().any(|one| run.candidate(*one) == which);
        let is_tied = !run.named.ties.is_empty();
        let is_found = names(&run.named.worse, &slow) || (is(run.named.best, &fast) && !is_tied);
        found += usize::from(is_found);
        tied += usize::from(is_tied);
        inverted += usize::from(names(&run.named.worse, &fast) || (is(run.named.best, &slow) && !is_tied));
    }
    let all = sessions as usize;
    vec![
        "2 candidates".to_owned(),
        all.to_string(),
        share_with_interval(found, all),
        share(tied, all),
        share(inverted, all),
    ]
}

/// The bounds of the bins of stated confidence.
const BINS: [(f64, f64); 5] = [(0.0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, f64::INFINITY)];

/// A stated confidence, and whether whom it is of is within the margin of the best.
type Stated = (f64, bool);

/// What stated confidences are worth: races that are ended at any time.
pub(crate) fn calibration(options: &Options, kinds: &[Kind]) {
    let sessions = options.sessions.unwrap_or(400);
    let tables = [
        ("6 fixed sizes, 4 % apart", of_field(options, kinds, sessions)),
        ("the key's workloads", of_cases(options, kinds, sessions)),
    ];
    for (name, stated) in tables {
        let rows: Vec<Vec<String>> = BINS
            .iter()
            .map(|(low, high)| {
                let bin: Vec<&Stated> = stated.iter().filter(|one| (*low..*high).contains(&one.0)).collect();
                let true_ones = bin.iter().filter(|one| one.1).count();
                let mean = bin.iter().map(|one| one.0).sum::<f64>() / bin.len() as f64;
                vec![
                    if high.is_finite() { format!("{low:.2} to {high:.2}") } else { format!("{low:.2}") },
                    bin.len().to_string(),
                    format!("{mean:.2}"),
                    share_with_interval(true_ones, bin.len()),
                ]
            })
            .collect();
        let header = format!("confidence when ended early, {name}");
        show(&[&header, "sessions", "mean stated", "within the margin of the best (95 % interval)"], &rows);
    }
}

fn of_field(options: &Options, kinds: &[Kind], sessions: u64) -> Vec<Stated> {
    const APART: f64 = 0.04;
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let one = |number: u64| {
        let rates: Vec<(Candidate, f64)> =
            field(6).into_iter().map(|one| (one, RATE * (APART * normal(&mut random)).exp())).collect();
        let best = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let budget_ns = (1e9 * (0.3 + 5.0 * random.random::<f64>().powi(2))) as u64;
        let kind = &kinds[(number % kinds.len() as u64) as usize];
        let run = race_of(options, kind, options.seed.wrapping_add(number), budget_ns, &rates);
        let favourite = run.candidate(run.named.favourite?);
        let rate = rates.iter().find(|(other, _)| other == favourite)?.1;
        Some((run.named.confidence, best / rate <= 1.0 + options.margin))
    };
    (0..sessions).filter_map(one).collect()
}

fn of_cases(options: &Options, kinds: &[Kind], sessions: u64) -> Vec<Stated> {
    let cases = cases(&options.filter);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed ^ 1);
    let one = |number: u64| {
        let case = cases.get((number % cases.len().max(1) as u64) as usize)?;
        let kind = &kinds[((number / cases.len() as u64 + number % cases.len() as u64) % kinds.len() as u64) as usize];
        let seed = options.seed.wrapping_add(number);
        let truth = |one: &Candidate| case.truth(one);
        let session = Session {
            entries: &case.entries,
            margin: options.margin,
            budget_ns: (1e9 * (1.0 + 24.0 * random.random::<f64>())) as u64,
            seed,
            truth: &truth,
            alone_ns: 1e3 * case.task.alone(),
        };
        let run = run(&session, &mut kind.begin(options.paired, seed));
        let favourite = run.candidate(run.named.favourite?);
        Some((run.named.confidence, case.best / case.truth(favourite) <= 1.0 + options.margin))
    };
    (0..sessions).filter_map(one).collect()
}
