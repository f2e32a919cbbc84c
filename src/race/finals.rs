//! The final: champions against each other.

use std::collections::BTreeMap;

use super::standing::{LIVES, Standing, is_gross, standing};
use super::{Candidate, Outcome};
use crate::stats::{across_lives, trimmed_mean};

/// Rounds before the first look at which the race may be decided.
const LEAST_ROUNDS: u32 = 12;
/// Who is dropped has no chance to come back: that takes so many times more certainty than to be worse at
/// the end.
const DROP_STRICTNESS: usize = 20;
/// Each look comes after so many times the rounds of the one before.
const LOOK_FACTOR: f64 = 1.4;
/// Rounds before a gross loser may be dropped.
const ROUNDS_BEFORE_DROP: u32 = 3;
/// Rounds of a life once the first three are over.
const LATER_LIFE: u32 = 6;

/// The scores of one contender: `scores[round]`, `None` where it said nothing.
type Scores = Vec<Option<f64>>;

#[derive(Clone, Debug)]
pub(super) struct Finals {
    contenders: Vec<usize>,
    /// How many the leader had to beat when the final began.
    rivals: usize,
    scores: BTreeMap<usize, Scores>,
    /// The life in which each round ran; all contenders begin their lives together.
    lives: Vec<usize>,
    /// Rounds of each of the first three lives.
    life_rounds: u32,
    rounds_in_life: u32,
    margin: f64,
}

impl Finals {
    /// A final of these champions, of which about `foreseen` rounds fit into the budget.
    pub(super) fn new(contenders: Vec<usize>, foreseen: u32, margin: f64) -> Finals {
        let life_rounds = (foreseen / LIVES as u32).clamp(1, LEAST_ROUNDS / LIVES as u32);
        let rivals = contenders.len().saturating_sub(1);
        Finals {
            contenders,
            rivals,
            scores: BTreeMap::new(),
            lives: Vec::new(),
            life_rounds,
            rounds_in_life: 0,
            margin,
        }
    }

    /// Who is still in.
    pub(super) fn contenders(&self) -> &[usize] {
        &self.contenders
    }

    /// Rounds begun.
    pub(super) fn rounds(&self) -> u32 {
        self.lives.len() as u32
    }

    /// Who is ahead, and the simplest of those that are tied with it, if that is another: either may be what
    /// is recommended. Empty while nothing was measured.
    pub(super) fn leaders(&self, candidates: &[Candidate]) -> Vec<usize> {
        let Some(leader) = self.leader() else { return Vec::new() };
        let is_tied =
            |one: usize| standing(&self.differences(one, leader), self.margin, self.rivals).0 == Standing::Tied;
        let simplicity = |one: &usize| {
            candidates.get(*one).map(|one| (one.model(), one.sizes.concurrency(), one.engine, one.sizes.workers))
        };
        let equals = self.contenders.iter().copied().filter(|one| *one == leader || is_tied(*one));
        let simplest = equals.min_by_key(simplicity).filter(|one| *one != leader);
        [leader].into_iter().chain(simplest).collect()
    }

    /// Begins a round; whether it begins a life anew. The first life is that of the search.
    pub(super) fn begin_round(&mut self) -> bool {
        let life = self.lives.last().copied().unwrap_or(0);
        let length = if life < LIVES { self.life_rounds } else { LATER_LIFE };
        let anew = self.rounds_in_life >= length;
        self.rounds_in_life = if anew { 1 } else { self.rounds_in_life + 1 };
        self.lives.push(life + usize::from(anew));
        anew
    }

    /// Takes in a round. Who failed is out.
    pub(super) fn settle(&mut self, outcomes: &BTreeMap<usize, Option<Outcome>>) {
        let round = self.lives.len().saturating_sub(1);
        for (one, outcome) in outcomes {
            let scores = self.scores.entry(*one).or_default();
            scores.resize(round, None);
            scores.push(match outcome {
                Some(Outcome::Score(score)) if !score.is_nan() => Some(*score),
                _ => None,
            });
            if *outcome == Some(Outcome::Failed) {
                self.contenders.retain(|contender| contender != one);
            }
        }
    }

    /// Drops who is far behind, or worse beyond doubt, except the best of the models that rival the leader's.
    pub(super) fn drop_losers(&mut self, candidates: &[Candidate]) {
        let Some(leader) = self.leader().filter(|_| self.rounds() >= ROUNDS_BEFORE_DROP) else {
            return;
        };
        let model = |one: usize| candidates.get(one).map(Candidate::model);
        let rival = self.best(self.contenders.iter().copied().filter(|one| model(*one) != model(leader)));
        let is_look = self.is_look();
        let is_lost = |one: usize| {
            self.is_gross_loser(one, leader)
                || (is_look
                    && standing(&self.differences(one, leader), self.margin, DROP_STRICTNESS * self.rivals).0
                        == Standing::Worse)
        };
        let is_kept = |one: usize| one == leader || Some(one) == rival || !is_lost(one);
        self.contenders = self.contenders.iter().copied().filter(|one| is_kept(*one)).collect();
    }

    /// Whether every contender is tied with the leader, or worse, over enough rounds and lives.
    pub(super) fn is_decided(&self) -> bool {
        if !self.is_look() {
            return false;
        }
        self.leader().is_some_and(|leader| {
            self.contenders.iter().filter(|one| **one != leader).all(|one| {
                let (standing, _) = standing(&self.differences(*one, leader), self.margin, self.rivals);
                standing != Standing::Unresolved
            })
        })
    }

    /// Whether this is a round after which anything but gross differences is decided: there were enough
    /// rounds and lives, and some more since the last look. Who looks after every round sees, sooner or
    /// later, what is not there.
    fn is_look(&self) -> bool {
        let lives = self.lives.last().map_or(0, |last| last + 1);
        let looks = std::iter::successors(Some(LEAST_ROUNDS), |look| Some((f64::from(*look) * LOOK_FACTOR) as u32));
        lives >= LIVES && looks.take_while(|look| *look <= self.rounds()).any(|look| look == self.rounds())
    }

    fn is_gross_loser(&self, one: usize, leader: usize) -> bool {
        across_lives(&self.differences(one, leader)).is_some_and(|both| is_gross(&both))
    }

    fn leader(&self) -> Option<usize> {
        self.best(self.contenders.iter().copied())
    }

    fn best(&self, of: impl Iterator<Item = usize>) -> Option<usize> {
        of.filter_map(|one| {
            let scores: Vec<f64> = self.scores.get(&one)?.iter().flatten().copied().collect();
            Some((one, trimmed_mean(&scores)?))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(one, _)| one)
    }

    /// `one - other`, paired within rounds, by life.
    fn differences(&self, one: usize, other: usize) -> Vec<Vec<f64>> {
        let mut lives: Vec<Vec<f64>> = Vec::new();
        let (Some(one), Some(other)) = (self.scores.get(&one), self.scores.get(&other)) else {
            return lives;
        };
        for ((one, other), life) in one.iter().zip(other).zip(&self.lives) {
            if let (Some(one), Some(other)) = (one, other) {
                lives.resize(lives.len().max(life + 1), Vec::new());
                lives[*life].push(one - other);
            }
        }
        lives
    }
}
