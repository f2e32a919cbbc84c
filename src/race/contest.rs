//! What the candidates of a final scored, and what follows from it: the race stops by it, and the verdict on a
//! record is made of it.

use std::collections::BTreeMap;

use super::standing::{Difference, Standing, differences, standing};
use crate::stats::{median, trimmed_mean};

/// The score of one block: the natural logarithm of the objective, more is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The life of the candidate's agent, any numbering.
    pub life: u32,
    /// The score. One too large to compare is cut; NaN says nothing.
    pub score: f64,
}

/// Scores beyond this (a block without any task) are cut to it.
const LARGEST: f64 = 50.0;
/// Of the leader's equals so many, the simplest first, are asked whether they may be named.
const SIMPLER: usize = 2;
/// No confidence is stated above this: what the instrument does not see is not in it.
pub const MOST_CONFIDENCE: f64 = 0.95;

/// The relative differences below which two candidates are equivalent in practice: how much it takes depends on how
/// steady the host is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    /// Where blocks of one round hardly differ in pairs.
    pub quiet: f64,
    /// Else.
    pub usual: f64,
    /// Where they differ too much for the usual one.
    pub noisy: f64,
}

/// A paired deviation up to which a host is quiet.
const QUIET_DEVIATION: f64 = 0.01;
/// The rounds that a paired deviation implies are `(2.9 deviation / margin)^2`: 1.645 for each side of a test of
/// equivalence at 5 %, with as much for its power.
const ROUNDS_FACTOR: f64 = 2.9;
/// A deviation that implies more rounds than this is too large for a margin.
const MOST_IMPLIED: f64 = 40.0;

impl Margins {
    /// What is used where nobody wrote one.
    pub const UNWRITTEN: Margins = Margins { quiet: 0.02, usual: 0.03, noisy: 0.05 };

    /// One margin, whatever the host does.
    #[must_use]
    pub fn fixed(margin: f64) -> Margins {
        let margin = if margin.is_finite() { margin.max(0.0) } else { 0.0 };
        Margins { quiet: margin, usual: margin, noisy: margin }
    }

    /// The margin for a paired deviation (of the logarithm).
    #[must_use]
    pub fn at(&self, deviation: Option<f64>) -> f64 {
        match deviation {
            Some(deviation) if implied_rounds(deviation, self.usual) > MOST_IMPLIED => self.noisy,
            Some(deviation) if deviation <= QUIET_DEVIATION => self.quiet,
            _ => self.usual,
        }
    }
}

/// How many rounds it takes to find two equal candidates equivalent whose blocks have this paired deviation.
#[must_use]
pub fn implied_rounds(deviation: f64, margin: f64) -> f64 {
    (ROUNDS_FACTOR * deviation / margin.ln_1p()).powi(2)
}

/// The scores of a contest, by candidate and round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contest {
    scores: BTreeMap<usize, Vec<Option<Scored>>>,
    rounds: usize,
}

/// How a contest stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The candidate that scored best.
    pub leader: usize,
    /// What would be recommended: of the leader and its equals the simplest that nobody is better than.
    pub best: usize,
    /// The probability that nobody is better than `best` by more than the margin, at most [`MOST_CONFIDENCE`].
    pub confidence: f64,
    /// How every other candidate stands against `best`.
    pub rivals: Vec<Rival>,
    /// The relative difference below which candidates were taken as equivalent.
    pub margin: f64,
    /// By how much the difference of a pair varies from round to round (logarithms): the median over those who ran with
    /// the leader to the end, so that it is not about one of them. `None` where too little ran.
    pub deviation: Option<f64>,
}

/// A rival of the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rival {
    /// The candidate.
    pub candidate: usize,
    /// How it stands.
    pub standing: Standing,
    /// Its difference to the best, `ln(rival / best)`; `None` where they never ran in the same round.
    pub difference: Option<Difference>,
    /// The probability that it is better than the best by more than the margin.
    pub probability: f64,
}

impl Contest {
    /// Adds what a candidate scored in a round, numbered from 0.
    pub fn add(&mut self, round: usize, candidate: usize, scored: Scored) {
        if scored.score.is_nan() {
            return;
        }
        let scores = self.scores.entry(candidate).or_default();
        scores.resize(scores.len().max(round + 1), None);
        scores[round] = Some(Scored { score: scored.score.clamp(-LARGEST, LARGEST), ..scored });
        self.rounds = self.rounds.max(round + 1);
    }

    /// Takes a candidate out, with what it scored.
    pub fn remove(&mut self, candidate: usize) {
        self.scores.remove(&candidate);
    }

    /// Everyone who scored.
    pub fn candidates(&self) -> impl Iterator<Item = usize> {
        self.scores.keys().copied()
    }

    /// Those who were not dropped: they scored in the last round, or, where that was cut short, in the one before.
    #[must_use]
    pub fn survivors(&self) -> Vec<usize> {
        let last = self.rounds.saturating_sub(2);
        let survives = |scores: &&Vec<Option<Scored>>| scores.iter().skip(last).any(Option::is_some);
        self.scores.iter().filter(|(_, scores)| survives(scores)).map(|(one, _)| *one).collect()
    }

    /// Of these candidates the one that scored best. They are compared over the same rounds, as far as they have them.
    #[must_use]
    pub fn leader(&self, among: &[usize]) -> Option<usize> {
        let height = |one: &usize| {
            let scores: Vec<f64> = self.scores.get(one)?.iter().flatten().map(|scored| scored.score).collect();
            Some((*one, trimmed_mean(&scores)?))
        };
        let first = among.iter().filter_map(height).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(one, _)| one)?;
        // Who came late, or missed rounds, met other weather: its own rounds decide between it and the first.
        let ran = |one: &usize| {
            let scores = self.scores.get(one)?;
            Some((scores.len(), scores.iter().flatten().count()))
        };
        let others = among.iter().filter(|one| ran(one) != ran(&first));
        let better = others.filter_map(|one| {
            let gain = trimmed_mean(&self.paired(*one, first).concat())?;
            (gain > 0.0).then_some((*one, gain))
        });
        Some(better.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(first, |(one, _)| one))
    }

    /// `one - other` over the rounds that both ran, a group for each pair of lives.
    #[must_use]
    pub fn paired(&self, one: usize, other: usize) -> Vec<Vec<f64>> {
        let (Some(one), Some(other)) = (self.scores.get(&one), self.scores.get(&other)) else {
            return Vec::new();
        };
        let mut lives: Vec<((u32, u32), Vec<f64>)> = Vec::new();
        for (one, other) in one.iter().zip(other) {
            let (Some(one), Some(other)) = (one, other) else { continue };
            let key = (one.life, other.life);
            let known = lives.iter().rposition(|(life, _)| *life == key);
            let at = known.unwrap_or_else(|| {
                lives.push((key, Vec::with_capacity(self.rounds)));
                lives.len() - 1
            });
            lives[at].1.push(one.score - other.score);
        }
        lives.into_iter().map(|(_, life)| life).collect()
    }

    /// How these rivals differ from `reference`, in their order.
    #[must_use]
    pub fn differences(&self, rivals: &[usize], reference: usize) -> Vec<Option<Difference>> {
        differences(&rivals.iter().map(|one| self.paired(*one, reference)).collect::<Vec<_>>())
    }

    /// How the contest stands; `simplicity` orders equals. `None` when nobody scored.
    #[must_use]
    pub fn judge<K: Ord>(&self, margins: &Margins, simplicity: impl Fn(usize) -> K) -> Option<Judgement> {
        let survivors = self.survivors();
        let leader = self.leader(&survivors)?;
        let others = |reference: usize| -> Vec<usize> { self.candidates().filter(|one| *one != reference).collect() };
        let all = others(leader);
        let differences = self.differences(&all, leader);
        let deviation = deviation(&all, &differences, &survivors);
        let margin = margins.at(deviation);
        let rivals = stand(&all, differences, margin.ln_1p());
        let mut equals: Vec<usize> = rivals
            .iter()
            .filter(|rival| rival.standing == Standing::Tied)
            .map(|rival| rival.candidate)
            .filter(|one| simplicity(*one) < simplicity(leader))
            .collect();
        equals.sort_by_key(|one| simplicity(*one));
        let of_leader = confidence(&rivals);
        for best in equals.into_iter().take(SIMPLER) {
            let all = others(best);
            let rivals = stand(&all, self.differences(&all, best), margin.ln_1p());
            let confidence = confidence(&rivals);
            if confidence >= of_leader {
                return Some(Judgement { leader, best, confidence, rivals, margin, deviation });
            }
        }
        Some(Judgement { leader, best: leader, confidence: of_leader, rivals, margin, deviation })
    }
}

/// The median deviation of the rivals that ran to the end. Survivors are ascending.
fn deviation(rivals: &[usize], differences: &[Option<Difference>], survivors: &[usize]) -> Option<f64> {
    let of_survivors = rivals.iter().zip(differences).filter(|(one, _)| survivors.binary_search(one).is_ok());
    let deviations: Vec<f64> = of_survivors.filter_map(|(_, difference)| difference.as_ref()?.deviation()).collect();
    median(&deviations)
}

/// How rivals stand that differ so from a reference. `margin` is `ln(1 + m)`.
fn stand(rivals: &[usize], differences: Vec<Option<Difference>>, margin: f64) -> Vec<Rival> {
    let chances = differences.iter().flatten().filter(|one| one.is_of_enough_lives()).count();
    let rival = |(candidate, difference): (&usize, Option<Difference>)| {
        let judged = difference.map(|one| standing(&one, margin, chances));
        let (standing, probability) = judged.unwrap_or((Standing::Unresolved, 0.5));
        Rival { candidate: *candidate, standing, difference, probability }
    };
    rivals.iter().zip(differences).map(rival).collect()
}

/// The probability that none of these is better than the reference by more than the margin (Bonferroni).
fn confidence(rivals: &[Rival]) -> f64 {
    (1.0 - rivals.iter().map(|rival| rival.probability).sum::<f64>()).clamp(0.0, MOST_CONFIDENCE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARGINS: Margins = Margins { quiet: 0.03, usual: 0.03, noisy: 0.03 };

    /// Rounds of three a life; the candidates' heights with a little noise that they do not share.
    fn contest(heights: &[f64], rounds: usize) -> Contest {
        let mut contest = Contest::default();
        for round in 0..rounds {
            for (one, height) in heights.iter().enumerate() {
                let noise = 0.002 * (((round * 7 + one * 3) % 5) as f64 - 2.0);
                contest.add(round, one, Scored { life: (round / 3) as u32, score: height + noise + round as f64 });
            }
        }
        contest
    }

    #[test]
    fn the_simplest_of_the_equals_is_named() {
        let judged = contest(&[-0.01, 0.0, -0.5], 10).judge(&MARGINS, |one| one).expect("they scored");
        assert_eq!((judged.leader, judged.best, judged.confidence), (1, 0, MOST_CONFIDENCE));
        let other = contest(&[-0.01, 0.0, -0.5], 10).judge(&MARGINS, |one| 9 - one).expect("they scored");
        assert_eq!((other.leader, other.best), (1, 1));
        let standings: Vec<Standing> = other.rivals.iter().map(|rival| rival.standing).collect();
        assert_eq!(standings, [Standing::Tied, Standing::Worse]);
    }

    #[test]
    fn a_simpler_one_that_is_not_tied_is_not_named() {
        let judged = contest(&[-0.028, 0.0], 10).judge(&MARGINS, |one| one).expect("they scored");
        assert_eq!((judged.best, judged.rivals[0].standing), (1, Standing::Unresolved));
        assert!(judged.confidence > 0.9, "it is not better, whatever it is");
    }

    #[test]
    fn who_was_dropped_does_not_lead_by_the_weather_of_its_rounds() {
        let mut contest = contest(&[0.0, 0.1], 10);
        for round in 0..2 {
            contest.add(round, 2, Scored { life: 0, score: round as f64 - 0.5 });
        }
        // Scores rise by one a round: the late rounds look far better than those that the third ran.
        assert_eq!(contest.survivors(), [0, 1]);
        assert_eq!(contest.judge(&MARGINS, |one| one).map(|judged| judged.leader), Some(1));
        // One that came late ran in the best weather only, and is no better for it.
        contest.add(9, 3, Scored { life: 9, score: 9.05 });
        assert_eq!(contest.leader(&[0, 1, 3]), Some(1));
        contest.add(9, 4, Scored { life: 9, score: 9.4 });
        assert_eq!(contest.leader(&[0, 1, 4]), Some(4));
    }

    #[test]
    fn the_margin_follows_the_deviation() {
        let unwritten = Margins::UNWRITTEN;
        let at = |deviation: f64| unwritten.at(Some(deviation));
        assert_eq!([at(0.005), at(0.02), at(0.05), at(0.10)], [0.02, 0.03, 0.03, 0.05]);
        assert_eq!((unwritten.at(None), Margins::fixed(0.01).at(Some(0.2))), (0.03, 0.01));
        assert_eq!(Margins::fixed(f64::NAN).at(None), 0.0);
        assert!((implied_rounds(0.04, 0.03) - 15.4).abs() < 0.1);
        let deviation = |heights: &[f64]| contest(heights, 10).judge(&unwritten, |one| one).expect("scores").deviation;
        let quiet = deviation(&[0.0, 0.0, -0.1]).expect("ten rounds");
        assert!((0.0005..0.01).contains(&quiet), "{quiet}");
        assert_eq!(deviation(&[0.0]), None);
    }

    #[test]
    fn without_scores_there_is_no_judgement() {
        let mut contest = Contest::default();
        assert_eq!(contest.judge(&MARGINS, |one| one), None);
        contest.add(0, 3, Scored { life: 0, score: f64::NAN });
        assert_eq!(contest.judge(&MARGINS, |one| one), None);
        contest.add(0, 3, Scored { life: 0, score: f64::NEG_INFINITY });
        let alone = contest.judge(&MARGINS, |one| one).expect("one");
        assert_eq!((alone.best, alone.confidence, alone.rivals.len()), (3, MOST_CONFIDENCE, 0));
    }

    proptest! {
        #[test]
        fn it_is_total(scores in prop::collection::vec((0..6_usize, 0..9_usize, 0..4_u32, prop::num::f64::ANY), 0..80)) {
            let mut contest = Contest::default();
            for (candidate, round, life, score) in scores {
                contest.add(round, candidate, Scored { life, score });
            }
            if let Some(judged) = contest.judge(&MARGINS, |one| one) {
                prop_assert!((0.0..=MOST_CONFIDENCE).contains(&judged.confidence));
                prop_assert!(judged.rivals.iter().all(|rival| (0.0..=1.0).contains(&rival.probability)));
                prop_assert!(judged.rivals.iter().all(|rival| rival.candidate != judged.best));
            }
        }
    }
}
