//! Two versions of the same work, a block of one beside a block of the other: whether the second is worse, by which figure
//! and by how much.
//!
//! Each block is a life of its own, so what processes differ by from start to start is in the differences. A round
//! gives each comparison one difference for each figure; the interval of their trimmed mean (a pause of the host falls into
//! few rounds, and wholly) is Yuen's, at one constant level for every look
//! (S. J. Pocock, "Group sequential methods in the design and analysis of clinical trials", Biometrika 64, 1977),
//! so that it holds with 95 % though it is looked at while it grows. What decides must show in the signed ranks of the
//! differences, too.

use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ending, Next, RoundPlan, Turn, TurnOutcome};
use crate::candidate::Candidate;
use crate::stats::{Interval, below_zero, trimmed_mean, yuen};

/// The name of the side that the other is held against: the runtime of its candidates.
pub const BASE: &str = "base";
/// The name of the side in question.
pub const HEAD: &str = "head";

/// The numbers of rounds after which intervals are looked at.
const LOOKS: [usize; 12] = [8, 11, 15, 20, 27, 36, 48, 64, 85, 113, 151, MOST_ROUNDS];
/// Below so many rounds no interval is told.
const LEAST_ROUNDS: usize = 4;
/// What decides must show in the ranks of the differences, too, with an error of at most this. On a host that gives one core
/// or two from moment to moment, differences come in clusters: a few that happen to agree have a narrow interval.
const RANKS_ERR: f64 = 0.01;
/// No comparison has more rounds.
pub const MOST_ROUNDS: usize = 200;
/// The version of these rules: another one may say something else of the same blocks.
pub const RULES_VERSION: u32 = 2;

/// The confidence of one look, so that all of them together err in at most 5 %. For ten evenly spaced looks it is
/// 0.9894 (Pocock); these are further apart, each a third later than the one before, and a test counts what that comes to.
const CONFIDENCE: f64 = 1.0 - 0.006;

/// A figure by which versions are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Tasks a second.
    Throughput,
    /// The median service time.
    P50,
    /// The 99th percentile of service times.
    P99,
    /// CPU time a task.
    CpuPerTask,
    /// Memory at full load, with what an idle agent takes.
    Memory,
    /// From the job to the first task done, of a cold life.
    StartUp,
}

impl Figure {
    /// Every figure, in the order in which they are shown.
    pub const ALL: [Figure; 6] =
        [Figure::Throughput, Figure::P50, Figure::P99, Figure::CpuPerTask, Figure::Memory, Figure::StartUp];

    /// Its name, as options and JSON have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Figure::Throughput => "throughput",
            Figure::P50 => "p50",
            Figure::P99 => "p99",
            Figure::CpuPerTask => "cpu_per_task",
            Figure::Memory => "memory",
            Figure::StartUp => "start_up",
        }
    }

    /// Whether more of it is better.
    #[must_use]
    pub const fn is_gain(self) -> bool {
        matches!(self, Figure::Throughput)
    }
}

/// How much worse a figure may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The figure.
    pub figure: Figure,
    /// As a ratio: with 0.05 throughput may be 5 % less, and any other figure 5 % more.
    pub most: f64,
}

impl Threshold {
    /// The logarithm of the ratio of the second to the first beyond which the figure is worse than it may be.
    fn limit(&self) -> f64 {
        if self.figure.is_gain() { (1.0 - self.most).ln() } else { self.most.ln_1p() }
    }
}

/// Two candidates of a duel: is the second worse than the first?
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// An index into the duel's candidates.
    pub first: u32,
    /// Another.
    pub second: u32,
    /// How much worse the second may be. Figures without a threshold are told, and decide nothing.
    pub thresholds: Vec<Threshold>,
}

/// What a duel is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DuelRules {
    /// Who runs.
    pub candidates: Vec<Candidate>,
    /// What is asked.
    pub comparisons: Vec<Comparison>,
    /// When it is to end, on the clock of what is spent.
    pub deadline_ns: u64,
    /// The seed of shuffles.
    pub seed: u64,
    /// So many lives of each candidate begin cold and have their memory sampled: what is known of start-up and memory.
    pub cold_lives: u32,
}

/// What a block and its life say, as natural logarithms, in the order of [`Figure::ALL`]; `None` is not known.
pub type Figures = [Option<f64>; Figure::ALL.len()];

/// How a figure stands beside its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Regression {
    /// The whole interval is beyond the threshold.
    Regressed,
    /// The whole interval is within it.
    NotRegressed,
    /// The threshold lies in the interval, or there is none yet.
    Undecided,
}

/// A figure of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The figure.
    pub figure: Figure,
    /// The rounds that it is known from.
    pub rounds: usize,
    /// The trimmed mean of the logarithms of the first, and that of the second.
    pub means: Option<(f64, f64)>,
    /// The logarithm of the second over the first; `None` below the rounds of a first look.
    pub ratio: Option<Interval>,
    /// What it may be at most, and how it stands to that; `None` where there is no threshold.
    pub answer: Option<(f64, Regression)>,
}

/// The rounds of one comparison.
#[derive(Clone, Debug)]
struct Pairing {
    comparison: Comparison,
    /// The figures of both, a round each.
    rounds: Vec<(Figures, Figures)>,
    /// Nothing more is asked of it: every threshold is decided, or one of the two has failed.
    is_over: bool,
    has_failed: bool,
}

impl Pairing {
    fn change(&self, figure: Figure) -> Change {
        let place = Figure::ALL.iter().position(|one| *one == figure).unwrap_or(0);
        let both = |(first, second): &(Figures, Figures)| Some((first[place]?, second[place]?));
        let pairs: Vec<(f64, f64)> = self.rounds.iter().filter_map(both).collect();
        let differences: Vec<f64> = pairs.iter().map(|(first, second)| second - first).collect();
        let ratio = interval(&differences);
        let (firsts, seconds): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let threshold = self.comparison.thresholds.iter().find(|it| it.figure == figure);
        Change {
            figure,
            rounds: pairs.len(),
            means: trimmed_mean(&firsts).zip(trimmed_mean(&seconds)),
            ratio,
            answer: threshold.map(|threshold| (threshold.most, answer(threshold, ratio, &differences))),
        }
    }

    fn is_decided(&self) -> bool {
        let is_open =
            |it: &Threshold| self.change(it.figure).answer.is_none_or(|(_, answer)| answer == Regression::Undecided);
        !self.comparison.thresholds.iter().any(is_open)
    }
}

/// The interval of the mean of these differences; `None` below as many as a first look has.
fn interval(differences: &[f64]) -> Option<Interval> {
    if differences.len() < LEAST_ROUNDS || differences.iter().any(|it| !it.is_finite()) {
        return None;
    }
    yuen(differences).map(|trimmed| trimmed.interval(CONFIDENCE))
}

fn answer(threshold: &Threshold, ratio: Option<Interval>, differences: &[f64]) -> Regression {
    let (limit, Some(ratio)) = (threshold.limit(), ratio) else { return Regression::Undecided };
    let ranked = |sign: f64| below_zero(&differences.iter().map(|it| sign * (it - limit)).collect::<Vec<f64>>());
    let is_below = ratio.high < limit && ranked(1.0) <= RANKS_ERR;
    let is_above = ratio.low > limit && ranked(-1.0) <= RANKS_ERR;
    let (is_beyond, is_within) = if threshold.figure.is_gain() { (is_below, is_above) } else { (is_above, is_below) };
    match (is_beyond, is_within) {
        (true, _) => Regression::Regressed,
        (_, true) => Regression::NotRegressed,
        _ => Regression::Undecided,
    }
}

/// A duel: gives rounds until each comparison is decided. What it is fed decides alone, so a record that is read again
/// gives the same changes.
#[derive(Clone, Debug)]
pub struct Duel {
    rules: DuelRules,
    pairings: Vec<Pairing>,
    random: ChaCha8Rng,
    /// What the round that runs said so far, by candidate.
    fed: Vec<Option<Figures>>,
    asked_ns: Option<u64>,
    round_ns: u64,
    rounds: u32,
    retired: Vec<usize>,
}

impl Duel {
    /// A duel by these rules.
    #[must_use]
    pub fn new(rules: DuelRules) -> Duel {
        let pairing = |comparison: &Comparison| Pairing {
            comparison: comparison.clone(),
            rounds: Vec::new(),
            is_over: false,
            has_failed: false,
        };
        Duel {
            pairings: rules.comparisons.iter().map(pairing).collect(),
            random: ChaCha8Rng::seed_from_u64(rules.seed),
            fed: vec![None; rules.candidates.len()],
            rules,
            asked_ns: None,
            round_ns: 0,
            rounds: 0,
            retired: Vec::new(),
        }
    }

    /// Who runs.
    #[must_use]
    pub fn candidates(&self) -> &[Candidate] {
        &self.rules.candidates
    }

    /// What comes next, `elapsed_ns` after the session's start.
    pub fn next(&mut self, elapsed_ns: u64) -> Next {
        if let Some(asked_ns) = self.asked_ns.replace(elapsed_ns) {
            self.round_ns = elapsed_ns.saturating_sub(asked_ns);
        }
        self.close();
        let present = self.present();
        if present.is_empty() {
            let is_none = self.pairings.iter().all(|pairing| pairing.has_failed);
            return Next::Over(if is_none { Ending::NoCandidate } else { Ending::Decided });
        }
        let is_spent = elapsed_ns.saturating_add(self.round_ns) > self.rules.deadline_ns;
        if (self.rounds > 0 && is_spent) || self.rounds as usize >= LOOKS[LOOKS.len() - 1] {
            return Next::Over(Ending::BudgetSpent);
        }
        self.rounds += 1;
        let turns = self.order(&present).into_iter().map(|candidate| Turn { candidate, anew: true }).collect();
        Next::Round(RoundPlan { turns })
    }

    /// What the block of a turn said. Who failed is out.
    pub fn feed(&mut self, candidate: usize, outcome: &TurnOutcome) {
        if !matches!(outcome, TurnOutcome::Failed | TurnOutcome::Hung | TurnOutcome::Faulty | TurnOutcome::Infeasible) {
            return;
        }
        for pairing in &mut self.pairings {
            if [pairing.comparison.first, pairing.comparison.second].contains(&index(candidate)) {
                pairing.has_failed = true;
                pairing.is_over = true;
            }
        }
    }

    /// The figures of a candidate's block of the round that runs, if it counts.
    pub fn measured(&mut self, candidate: usize, figures: Figures) {
        if let Some(fed) = self.fed.get_mut(candidate) {
            *fed = Some(figures);
        }
    }

    /// Ends the round that runs: gives each comparison that is open what both of its candidates said, and looks at it if
    /// it has as many rounds as a look.
    pub fn close(&mut self) {
        let before = self.present();
        for pairing in self.pairings.iter_mut().filter(|pairing| !pairing.is_over) {
            let of = |candidate: u32| self.fed.get(candidate as usize).copied().flatten();
            let Some(both) = of(pairing.comparison.first).zip(of(pairing.comparison.second)) else { continue };
            pairing.rounds.push(both);
            pairing.is_over = LOOKS.contains(&pairing.rounds.len()) && pairing.is_decided();
        }
        self.fed.fill(None);
        let present = self.present();
        self.retired.extend(before.into_iter().filter(|one| !present.contains(one)));
    }

    /// Who need not run any more, since this was asked last.
    pub fn retired(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.retired)
    }

    /// How each figure of a comparison stands; `None` where there is no such comparison.
    #[must_use]
    pub fn changes(&self, comparison: usize) -> Option<Vec<Change>> {
        let pairing = self.pairings.get(comparison)?;
        Some(Figure::ALL.into_iter().map(|figure| pairing.change(figure)).collect())
    }

    /// Whether one of the two candidates of a comparison failed.
    #[must_use]
    pub fn has_failed(&self, comparison: usize) -> bool {
        self.pairings.get(comparison).is_some_and(|pairing| pairing.has_failed)
    }

    /// The candidates of the comparisons that are open.
    fn present(&self) -> Vec<usize> {
        let open = self.pairings.iter().filter(|pairing| !pairing.is_over);
        let mut present: Vec<usize> =
            open.flat_map(|pairing| [pairing.comparison.first as usize, pairing.comparison.second as usize]).collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    /// A shuffled order in which the two of a comparison follow each other as far as that can be: what drifts is the same
    /// for both.
    fn order(&mut self, present: &[usize]) -> Vec<usize> {
        let mut open: Vec<[u32; 2]> = self
            .pairings
            .iter()
            .filter(|pairing| !pairing.is_over)
            .map(|pairing| [pairing.comparison.first, pairing.comparison.second])
            .collect();
        open.shuffle(&mut self.random);
        let mut order: Vec<usize> = Vec::with_capacity(present.len());
        for mut pair in open {
            pair.shuffle(&mut self.random);
            for candidate in pair {
                if !order.contains(&(candidate as usize)) {
                    order.push(candidate as usize);
                }
            }
        }
        // One that is of two pairs stands with the first of them: forwards and backwards alike, no side is the later one.
        if self.random.random::<bool>() {
            order.reverse();
        }
        order
    }
}

fn index(candidate: usize) -> u32 {
    u32::try_from(candidate).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use rand::Rng as _;

    use super::*;
    use crate::candidate::{Engine, Sizes};

    const MS: u64 = 1_000_000;

    fn rules(thresholds: &[(Figure, f64)]) -> DuelRules {
        let side = |runtime: &str| Candidate::new(runtime, Engine::Sequential, Sizes::default());
        let thresholds = thresholds.iter().map(|(figure, most)| Threshold { figure: *figure, most: *most }).collect();
        DuelRules {
            candidates: vec![side("base"), side("head")],
            comparisons: vec![Comparison { first: 0, second: 1, thresholds }],
            deadline_ns: 20_000 * MS,
            seed: 1,
            cold_lives: 4,
        }
    }

    /// A standard normal draw, by Box and Muller.
    fn normal(random: &mut ChaCha8Rng) -> f64 {
        let uniform = |random: &mut ChaCha8Rng| (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let (a, b) = (1.0 - uniform(random), uniform(random));
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    fn throughput(log: f64) -> Figures {
        [Some(log), None, None, None, None, None]
    }

    /// A duel whose second has so many times the throughput of the first, with paired differences of this deviation and
    /// rounds of 100 ms. Returns the duel at its end.
    fn fought(ratio: f64, deviation: f64, seed: u64, deadline_ns: u64) -> (Duel, Ending) {
        let mut duel = Duel::new(DuelRules { deadline_ns, seed, ..rules(&[(Figure::Throughput, 0.05)]) });
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut elapsed_ns = 0;
        loop {
            let round = match duel.next(elapsed_ns) {
                Next::Round(round) => round,
                Next::Over(ending) => return (duel, ending),
            };
            assert!(round.turns.iter().all(|turn| turn.anew));
            let noise = deviation * normal(&mut random);
            for turn in round.turns {
                let log = if turn.candidate == 0 { 6.0 } else { 6.0 + f64::ln(ratio) + noise };
                duel.measured(turn.candidate, throughput(log));
                duel.feed(turn.candidate, &TurnOutcome::Unknown);
            }
            elapsed_ns += 100 * MS;
        }
    }

    fn said(duel: &Duel) -> Regression {
        duel.changes(0).expect("a comparison")[0].answer.expect("a threshold").1
    }

    fn share(of: impl Fn(u64) -> bool) -> f64 {
        const TRIALS: u64 = 2000;
        (0..TRIALS).filter(|seed| of(*seed)).count() as f64 / TRIALS as f64
    }

    #[test]
    fn the_same_version_twice_never_regresses() {
        let wrong = share(|seed| said(&fought(1.0, 0.04, seed, 20_000 * MS).0) == Regression::Regressed);
        assert!(wrong <= 0.001, "{wrong}");
    }

    #[test]
    fn a_tenth_more_work_is_found_soon() {
        let fights: Vec<(Duel, Ending)> = (0..500).map(|seed| fought(1.0 / 1.1, 0.04, seed, 20_000 * MS)).collect();
        let right = fights.iter().filter(|(duel, _)| said(duel) == Regression::Regressed).count();
        assert!(right >= 490, "{right} of 500");
        let mut rounds: Vec<usize> = fights.iter().map(|(duel, _)| duel.pairings[0].rounds.len()).collect();
        rounds.sort_unstable();
        assert!(rounds[250] <= 15, "median {} rounds", rounds[250]);
    }

    /// At the threshold itself both answers are wrong, and each look could err anew.
    #[test]
    fn at_the_threshold_it_errs_in_one_of_twenty_at_most() {
        let beyond = share(|seed| said(&fought(0.95, 0.04, seed, 20_000 * MS).0) == Regression::Regressed);
        let within = share(|seed| said(&fought(0.9499, 0.04, seed, 20_000 * MS).0) == Regression::NotRegressed);
        assert!(beyond <= 0.03 && within <= 0.03, "{beyond} and {within}");
    }

    /// A host that gives one core or two from moment to moment: a block takes as long as usual, or a quarter longer.
    #[test]
    fn differences_in_clusters_make_no_regression() {
        let wrong = share(|seed| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut duel = Duel::new(DuelRules { seed, ..rules(&[(Figure::Throughput, 0.05)]) });
            let mut elapsed_ns = 0;
            while let Next::Round(round) = duel.next(elapsed_ns) {
                for turn in round.turns {
                    let is_slow = random.next_u64() % 2 == 0;
                    duel.measured(turn.candidate, throughput(if is_slow { 5.8 } else { 6.0 }));
                }
                elapsed_ns += 300 * MS;
            }
            said(&duel) == Regression::Regressed
        });
        assert!(wrong <= 0.01, "{wrong}");
    }

    #[test]
    fn without_time_it_is_undecided() {
        let (duel, ending) = fought(1.0 / 1.1, 0.04, 1, 150 * MS);
        assert_eq!((said(&duel), ending), (Regression::Undecided, Ending::BudgetSpent));
        assert_eq!(duel.changes(0).expect("a comparison")[0].rounds, 1, "a first round always runs");
    }

    #[test]
    fn a_figure_that_is_better_when_less_regresses_upwards() {
        let threshold = Threshold { figure: Figure::P99, most: 0.10 };
        let of = |ratio: f64| Some(Interval::around(f64::ln(ratio), 0.01));
        let said = |ratio: f64| answer(&threshold, of(ratio), &[ratio.ln(); 8]);
        assert_eq!(said(1.2), Regression::Regressed);
        assert_eq!(said(1.1), Regression::Undecided);
        assert_eq!(said(0.5), Regression::NotRegressed);
        assert_eq!(answer(&threshold, of(1.2), &[0.2; 6]), Regression::Undecided, "too few to tell by their ranks");
        let threshold = Threshold { figure: Figure::Throughput, most: 0.05 };
        let said = |ratio: f64| answer(&threshold, of(ratio), &[ratio.ln(); 8]);
        assert_eq!(said(0.9), Regression::Regressed);
        assert_eq!(said(1.9), Regression::NotRegressed);
        assert_eq!(answer(&threshold, None, &[]), Regression::Undecided);
    }

    #[test]
    fn what_fails_is_out_and_what_is_decided_runs_no_more() {
        let mut rules = rules(&[(Figure::Throughput, 0.05)]);
        let other = |engine| Candidate::new("head", engine, Sizes::default());
        rules.candidates.extend([other(Engine::Asyncio), other(Engine::ThreadPool)]);
        let second = Comparison { first: 2, second: 3, ..rules.comparisons[0].clone() };
        rules.comparisons.push(second);
        let mut duel = Duel::new(rules);
        let Next::Round(round) = duel.next(0) else { panic!("a round") };
        assert_eq!(round.turns.len(), 4);
        duel.feed(3, &TurnOutcome::Failed);
        let mut rounds = 0;
        while let Next::Round(round) = duel.next(0) {
            assert!(round.turns.iter().all(|turn| turn.candidate < 2));
            round.turns.iter().for_each(|turn| duel.measured(turn.candidate, throughput(1.0)));
            rounds += 1;
        }
        assert_eq!((rounds, duel.has_failed(1), duel.has_failed(0)), (8, true, false));
        assert_eq!(said(&duel), Regression::NotRegressed);
        assert_eq!(duel.retired(), [0, 1]);
    }

    #[test]
    fn a_figure_that_is_not_known_is_undecided() {
        let mut duel = Duel::new(rules(&[(Figure::Throughput, 0.05), (Figure::P99, 0.1)]));
        for _ in 0..8 {
            assert!(matches!(duel.next(0), Next::Round(_)));
            duel.measured(0, throughput(1.0));
            duel.measured(1, throughput(1.0));
        }
        assert!(matches!(duel.next(0), Next::Round(_)), "the race goes on for it");
        let changes = duel.changes(0).expect("a comparison");
        assert_eq!(changes[0].answer.expect("a threshold").1, Regression::NotRegressed);
        assert_eq!(changes[2].answer.expect("a threshold").1, Regression::Undecided);
        assert_eq!(changes[1].answer, None);
    }
}
