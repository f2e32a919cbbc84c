//! How long an answer takes: in simulated seconds of a session, and in real ones of the race by itself.

use conbench::candidate::{Candidate, RUST};
use conbench::clock::now_ns;
use conbench::plan::Entry;
use conbench::race::{Next, Outcome, Race};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::engines::{self, PYTHON};
use crate::errors::field;
use crate::key::{Case, cases};
use crate::named::rules;
use crate::noise::{Kind, normal};
use crate::options::Options;
use crate::show::{quantile, share, show};
use crate::simulate::{Run, Session, run};

/// Paired deviations that noise is scaled to.
const DEVIATIONS: [f64; 3] = [0.01, 0.02, 0.04];
/// The budget of a session; who needs more has not answered.
const BUDGET_S: f64 = 120.0;

/// Time to an answer: 12 candidates, all native engines, and a native with an interpreter.
pub(crate) fn answers(options: &Options, kinds: &[Kind]) {
    let cases = cases(&options.filter);
    let native: Vec<&Case> = cases.iter().filter(|case| case.runtime == RUST).collect();
    let python: Vec<&Case> = cases.iter().filter(|case| case.runtime == PYTHON).collect();
    let mut rows = Vec::new();
    for paired in DEVIATIONS {
        let at = Options { paired: Some(paired), ..options.clone() };
        let sessions = options.sessions.unwrap_or(100);
        let fixed =
            times(sessions, |number| Some(one(&at, kinds, number, native.get(pick(number, native.len()))?, true)));
        let search =
            times(sessions, |number| Some(one(&at, kinds, number, native.get(pick(number, native.len()))?, false)));
        let both = times(sessions, |number| {
            let first = one(&at, kinds, number, native.get(pick(number, native.len()))?, false);
            // Runtimes are raced one after the other.
            let second = one(&at, kinds, number, python.get(pick(number, python.len()))?, false);
            Some((first.0 + second.0, first.1 && second.1))
        });
        for (what, target, times) in [
            ("12 candidates of fixed sizes", "5", fixed),
            ("all native engines, with search", "10", search),
            ("native and one CPython", "25", both),
        ] {
            let seconds: Vec<f64> = times.iter().map(|one| one.0).collect();
            rows.push(vec![
                what.to_owned(),
                format!("{:.0} %", 100.0 * paired),
                format!("{:.1}", quantile(&seconds, 0.5)),
                format!("{:.1}", quantile(&seconds, 0.9)),
                target.to_owned(),
                share(times.iter().filter(|one| one.1).count(), times.len()),
            ]);
        }
    }
    show(&["time of the race", "paired deviation", "median s", "p90 s", "target s", "decided"], &rows);
}

fn pick(number: u64, length: usize) -> usize {
    (number % length.max(1) as u64) as usize
}

/// The seconds of each session, and whether it named one.
fn times(sessions: u64, one: impl Fn(u64) -> Option<(f64, bool)>) -> Vec<(f64, bool)> {
    (0..sessions).filter_map(one).collect()
}

fn one(options: &Options, kinds: &[Kind], number: u64, case: &Case, is_fixed: bool) -> (f64, bool) {
    let seed = options.seed.wrapping_add(number);
    let fixed = if is_fixed { twelve(case) } else { Vec::new() };
    let truth = |one: &Candidate| case.truth(one);
    let session = Session {
        entries: if is_fixed { &fixed } else { &case.entries },
        margin: options.margin,
        budget_ns: options.budget_ns(BUDGET_S),
        seed,
        truth: &truth,
        alone_ns: 1e3 * case.task.alone(),
    };
    // Another noise each time that the workloads come round.
    let kind = &kinds[((number / 7 + number) % kinds.len() as u64) as usize];
    let Run { elapsed_ns, named, .. } = run(&session, &mut kind.begin(options.paired, seed));
    (elapsed_ns as f64 / 1e9, named.best.is_some())
}

/// Twelve candidates of a workload: its engines at their defaults, then at other sizes.
fn twelve(case: &Case) -> Vec<Entry> {
    let defaults = case.entries.iter().map(|entry| entry.candidate(entry.default_sizes));
    let others = case.entries.iter().flat_map(engines::rungs).filter(|one| one.sizes.concurrency() == 4);
    let mut all: Vec<Candidate> = Vec::new();
    for candidate in defaults.chain(others) {
        if all.len() < 12 && !all.contains(&candidate) {
            all.push(candidate);
        }
    }
    all.iter().map(engines::fixed).collect()
}

/// The race alone, without any process: 1000 candidates of fixed sizes, 100 rounds.
pub(crate) fn speed(options: &Options) {
    const CANDIDATES: usize = 1000;
    const ROUNDS: usize = 100;
    let mut rows = Vec::new();
    for (what, apart) in [("equals", 0.0), ("1 % apart", 0.01), ("10 % apart", 0.1)] {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let entries: Vec<Entry> = many(CANDIDATES).iter().map(engines::fixed).collect();
        let heights: Vec<f64> = entries.iter().map(|_| apart * normal(&mut random)).collect();
        // The draws are no part of the race.
        let noise: Vec<f64> = (0..65_536).map(|_| 0.02 * normal(&mut random)).collect();
        let begin_ns = now_ns();
        let mut race = Race::new(&entries, rules(options.margin, u64::MAX, options.seed));
        let (mut rounds, mut blocks) = (0, 0_usize);
        while let Next::Round(round) = race.next(blocks as u64 * 10_000_000) {
            for turn in &round.turns {
                blocks += 1;
                let score = heights[turn.candidate % CANDIDATES] + noise[blocks % noise.len()];
                race.feed(turn.candidate, Outcome::Score(score));
            }
            race.retired();
            rounds += 1;
            if rounds == ROUNDS {
                break;
            }
        }
        let ms = (now_ns() - begin_ns) as f64 / 1e6;
        rows.push(vec![
            format!("{CANDIDATES} candidates, {what}"),
            rounds.to_string(),
            blocks.to_string(),
            format!("{ms:.0} ms"),
            "under 100 ms".to_owned(),
            if ms < 100.0 { "met" } else { "MISSED" }.to_owned(),
        ]);
    }
    show(&["the race alone", "rounds", "blocks", "measured", "target", ""], &rows);
}

/// So many candidates, each another one.
fn many(count: usize) -> Vec<Candidate> {
    let template = field(1).remove(0);
    (1..=count)
        .map(|size| {
            let mut one = template.clone();
            one.sizes.workers = u32::try_from(size).ok();
            one
        })
        .collect()
}
