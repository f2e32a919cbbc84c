//! What the blocks say of the arms: one Gaussian model of all of them.
//!
//! `y = mean[arm] + life + round + error`, all in natural logarithms of the objective. A life differs from the arm's mean
//! by N(0, tau^2), a round shifts all of its blocks by N(0, 0.15^2), and an error is sigma times a t distribution of 4
//! degrees of freedom, by weights `5 / (4 + e^2 / sigma^2)` (the EM weights of the t distribution, Lange, Little and
//! Taylor 1989). Lives are eliminated, each of them alone: they meet only through their arms and rounds, which are solved
//! together.
//!
//! Two steps, so that a wrong expectation is not taken for noise. The first lets the blocks speak: arms that were
//! measured are hardly held by their prior. It gives the weights, and `sigma` and `tau` from the residuals and their
//! effective degrees of freedom (MacKay 1992), with weak priors. Then each measured arm is compared with what the other
//! sizes of its engine foretell of it (leave-one-out residuals of a Gaussian process, Rasmussen and Williams 2006,
//! 5.4.2); where they contradict, the arm is let go. The second step solves with that prior.

use super::matrix::{Factor, Matrix};

/// How far a round may shift its blocks.
const ROUND_SD: f64 = 0.15;
/// Degrees of freedom of the errors' t distribution.
const T_FREEDOM: f64 = 4.0;
/// What is taken for the deviation of errors before any was seen, and how many residuals that is worth.
const SIGMA: Weak = Weak { value: 0.025, worth: 2.0 };
/// The same of lives.
const TAU: Weak = Weak { value: 0.018, worth: 4.0 };
/// Bounds of both deviations.
const LEAST_DEVIATION: f64 = 0.003;
const MOST_DEVIATION: f64 = 1.0;
/// How far a measured arm may be from its prior in the first step.
const FREE: f64 = 0.5;
/// A leave-one-out residual beyond so many deviations contradicts the prior.
const CONTRADICTION: f64 = 2.0;

/// A deviation that is expected before any residual, and how many of them that is worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weak {
    pub value: f64,
    pub worth: f64,
}

impl Weak {
    /// The variance of so many residuals with this sum of squares.
    pub(super) fn variance_with(self, squares: f64, freedom: f64) -> f64 {
        (self.worth * self.value * self.value + squares) / (self.worth + freedom.max(0.0))
    }

    /// Their deviation, within bounds.
    fn with(self, squares: f64, freedom: f64) -> f64 {
        self.variance_with(squares, freedom).sqrt().clamp(LEAST_DEVIATION, MOST_DEVIATION)
    }
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// The arm.
    pub arm: usize,
    /// The arm's life, numbered over all arms.
    pub life: usize,
    /// The round.
    pub round: usize,
    /// Its score.
    pub score: f64,
}

/// By how much blocks and lives vary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Deviations {
    /// Of a block, beside others of its round.
    pub sigma: f64,
    /// Of a life.
    pub tau: f64,
    /// How many residuals `sigma` is known from, its weak prior among them.
    pub freedom: f64,
}

impl Default for Deviations {
    fn default() -> Deviations {
        Deviations { sigma: SIGMA.value, tau: TAU.value, freedom: SIGMA.worth }
    }
}

/// What is known of the arms before any block.
#[derive(Clone, Debug, Default)]
pub(super) struct Prior {
    /// The mean of each arm.
    pub mean: Vec<f64>,
    /// The covariance of the arms of each engine, in their order.
    pub engines: Vec<Matrix>,
}

impl Prior {
    /// The inverse of the arms' covariance, each arm with a variance of its own beside it.
    fn precision(&self, own: &[f64]) -> Option<Matrix> {
        let mut precision = Matrix::zero(self.mean.len());
        let mut from = 0;
        for engine in &self.engines {
            let inverse = with(engine, &own[from..from + engine.size()]).cholesky()?.inverse();
            for row in 0..engine.size() {
                for column in 0..engine.size() {
                    precision.add(from + row, from + column, inverse.at(row, column));
                }
            }
            from += engine.size();
        }
        Some(precision)
    }

    /// The variance that each measured arm needs beside its prior, so that it does not contradict the arms that were
    /// measured with this mean and this variance.
    fn released(&self, measured: &[bool], mean: &[f64], variance: &[f64]) -> Option<Vec<f64>> {
        let mut own = vec![0.0; self.mean.len()];
        let mut from = 0;
        for engine in &self.engines {
            let places: Vec<usize> = (0..engine.size()).filter(|place| measured[from + place]).collect();
            let mut seen = Matrix::zero(places.len());
            for (row, one) in places.iter().enumerate() {
                for (column, other) in places.iter().enumerate() {
                    seen.add(row, column, engine.at(*one, *other));
                }
                seen.add(row, row, variance[from + one]);
            }
            let inverse = seen.cholesky()?.inverse();
            for (row, one) in places.iter().enumerate() {
                let pulls = places.iter().enumerate();
                let pull: f64 = pulls
                    .map(|(column, other)| inverse.at(row, column) * (mean[from + other] - self.mean[from + other]))
                    .sum();
                let (residual, its_variance) = (pull / inverse.at(row, row), 1.0 / inverse.at(row, row));
                let beyond = residual * residual - CONTRADICTION.powi(2) * its_variance;
                own[from + one] = beyond.max(0.0);
            }
            from += engine.size();
        }
        Some(own)
    }
}

/// A matrix with these values added to its diagonal.
fn with(matrix: &Matrix, diagonal: &[f64]) -> Matrix {
    let mut sum = matrix.clone();
    for (at, value) in diagonal.iter().enumerate() {
        sum.add(at, at, *value);
    }
    sum
}

/// What is known of the arms after these blocks.
#[derive(Clone, Debug)]
pub(super) struct Posterior {
    /// The mean of each arm.
    pub mean: Vec<f64>,
    /// Its standard deviation.
    pub deviation: Vec<f64>,
    /// The factor of the precision of rounds and arms, rounds first.
    factor: Factor,
    rounds: usize,
    /// How much blocks and lives vary, by these blocks.
    pub noise: Deviations,
}

impl Posterior {
    /// Solves the model, from what was known of the noise. `scores` are grouped by round, `lives` is their number.
    /// `None` where figures are so extreme that nothing can be solved.
    pub(super) fn solve(prior: &Prior, scores: &[Score], lives: usize, noise: Deviations) -> Option<Posterior> {
        let arms = prior.mean.len();
        let mut measured = vec![false; arms];
        scores.iter().for_each(|score| measured[score.arm] = true);
        let free: Vec<f64> = measured.iter().map(|measured| if *measured { FREE * FREE } else { 0.0 }).collect();
        let precision = prior.precision(&free)?;
        let blocks = Blocks::new(scores, lives);
        let mut weights = vec![1.0; scores.len()];
        let first = System::new(&prior.mean, &precision, &blocks, noise, &weights).solve()?;
        for (weight, error) in weights.iter_mut().zip(first.errors(&blocks)) {
            *weight = t_weight(error, noise.sigma);
        }
        let solved = System::new(&prior.mean, &precision, &blocks, noise, &weights).solve()?;
        let covariance = solved.factor.inverse();
        let noise = solved.renewed_noise(&precision, &covariance, &blocks, noise, &weights);
        let rounds = blocks.rounds;
        let variance: Vec<f64> = (rounds..rounds + arms).map(|at| covariance.at(at, at).max(0.0)).collect();
        let own = prior.released(&measured, &solved.mean[rounds..], &variance)?;
        let precision = prior.precision(&own)?;
        let solved = System::new(&prior.mean, &precision, &blocks, noise, &weights).solve()?;
        let deviation = solved.factor.deviations(rounds);
        Some(Posterior { mean: solved.mean[rounds..].to_vec(), deviation, factor: solved.factor, rounds, noise })
    }

    /// Overwrites independent standard normals, one an arm, with a joint draw of the arms, `scale` times as far from the
    /// mean: `sigma` is not known for sure.
    pub(super) fn draw(&self, normals: &mut [f64], scale: f64) {
        // The part of the factor that comes after the rounds is that of the arms alone.
        self.factor.solve_transposed(normals, self.rounds);
        for (value, mean) in normals.iter_mut().zip(&self.mean) {
            *value = mean + scale * *value;
        }
    }
}

/// The weight of an error under the t distribution.
fn t_weight(error: f64, sigma: f64) -> f64 {
    (T_FREEDOM + 1.0) / (T_FREEDOM + (error / sigma).powi(2))
}

/// Rounds of a system at most: its cost grows with their cube.
const MOST_ROUNDS: usize = 192;

/// Blocks, as a system needs them.
struct Blocks<'a> {
    scores: &'a [Score],
    /// The round of each block, counted from 0 without gaps.
    round: Vec<usize>,
    rounds: usize,
    lives: usize,
}

impl Blocks<'_> {
    fn new(scores: &[Score], lives: usize) -> Blocks<'_> {
        let mut round = Vec::with_capacity(scores.len());
        let mut rounds = 0;
        // A system of all rounds of a long session would take the time of many blocks: neighbours become one.
        let last = scores.last().map_or(0, |score| score.round);
        let merged = (last + 1).div_ceil(MOST_ROUNDS);
        for of_round in scores.chunk_by(|one, other| one.round / merged == other.round / merged) {
            round.resize(round.len() + of_round.len(), rounds);
            rounds += 1;
        }
        Blocks { scores, round, rounds, lives }
    }

    /// The places of a block's round and arm among the unknowns.
    fn places(&self, block: usize) -> [usize; 2] {
        [self.round[block], self.rounds + self.scores[block].arm]
    }
}

/// A life, which is eliminated.
#[derive(Clone, Debug, Default)]
struct Life {
    /// Its own precision.
    precision: f64,
    right: f64,
    /// Its precision with each unknown that it meets.
    with: Vec<(usize, f64)>,
}

impl Life {
    fn meets(&mut self, place: usize, precision: f64) {
        match self.with.iter_mut().find(|(known, _)| *known == place) {
            Some((_, sum)) => *sum += precision,
            None => self.with.push((place, precision)),
        }
    }
}

/// A linear system of rounds and arms, rounds first.
struct System {
    precision: Matrix,
    right: Vec<f64>,
    lives: Vec<Life>,
}

struct Solved {
    /// Of rounds and arms.
    mean: Vec<f64>,
    factor: Factor,
    lives: Vec<Life>,
    /// The mean of each life.
    life_mean: Vec<f64>,
}

impl System {
    fn new(prior_mean: &[f64], prior: &Matrix, blocks: &Blocks<'_>, noise: Deviations, weights: &[f64]) -> System {
        let (arms, rounds) = (prior_mean.len(), blocks.rounds);
        let lives = vec![Life { precision: noise.tau.powi(-2), ..Life::default() }; blocks.lives];
        let size = rounds + arms;
        let mut system = System { precision: Matrix::zero(size), right: vec![0.0; size], lives };
        for round in 0..rounds {
            system.precision.add(round, round, ROUND_SD.powi(-2));
        }
        for row in 0..arms {
            for (column, mean) in prior_mean.iter().enumerate() {
                let precision = prior.at(row, column);
                system.precision.add(rounds + row, rounds + column, precision);
                system.right[rounds + row] += precision * mean;
            }
        }
        for (block, weight) in weights.iter().enumerate() {
            system.add(blocks, block, weight / (noise.sigma * noise.sigma));
        }
        system.eliminate_lives();
        system
    }

    fn add(&mut self, blocks: &Blocks<'_>, block: usize, precision: f64) {
        let Score { life, score, .. } = blocks.scores[block];
        let life = &mut self.lives[life];
        life.precision += precision;
        life.right += precision * score;
        let places = blocks.places(block);
        for row in places {
            life.meets(row, precision);
            self.right[row] += precision * score;
            for column in places {
                self.precision.add(row, column, precision);
            }
        }
    }

    /// What is left of the system without the lives (its Schur complement).
    fn eliminate_lives(&mut self) {
        for life in &self.lives {
            for (row, one) in &life.with {
                self.right[*row] -= one * life.right / life.precision;
                for (column, other) in &life.with {
                    self.precision.add(*row, *column, -one * other / life.precision);
                }
            }
        }
    }

    fn solve(self) -> Option<Solved> {
        let factor = self.precision.cholesky()?;
        let mean = factor.solve(&self.right);
        let of_life = |life: &Life| {
            let explained: f64 = life.with.iter().map(|(place, precision)| precision * mean[*place]).sum();
            (life.right - explained) / life.precision
        };
        let life_mean: Vec<f64> = self.lives.iter().map(of_life).collect();
        let is_finite = mean.iter().chain(&life_mean).all(|value| value.is_finite());
        is_finite.then_some(Solved { mean, factor, lives: self.lives, life_mean })
    }
}

impl Solved {
    /// What of each block nothing explains.
    fn errors(&self, blocks: &Blocks<'_>) -> Vec<f64> {
        let error = |(at, one): (usize, &Score)| {
            let explained: f64 = blocks.places(at).into_iter().map(|place| self.mean[place]).sum();
            one.score - explained - self.life_mean[one.life]
        };
        blocks.scores.iter().enumerate().map(error).collect()
    }

    /// The deviations that the residuals speak for.
    fn renewed_noise(
        &self,
        prior: &Matrix,
        covariance: &Matrix,
        blocks: &Blocks<'_>,
        noise: Deviations,
        weights: &[f64],
    ) -> Deviations {
        let (arms, rounds) = (prior.size(), blocks.rounds);
        // How many of the lives and of the arms the blocks determine, instead of their prior.
        let lives_variance: f64 = self.lives.iter().map(|life| variance_of(life, covariance)).sum();
        let lives_known = self.lives.len() as f64 - lives_variance / noise.tau.powi(2);
        let kept: f64 = (0..arms)
            .flat_map(|row| (0..arms).map(move |column| (row, column)))
            .map(|(row, column)| prior.at(row, column) * covariance.at(rounds + row, rounds + column))
            .sum();
        let count = blocks.scores.len() as f64;
        let freedom = (count - lives_known - (arms as f64 - kept) - rounds as f64).max(0.0);
        let squares: f64 = self.errors(blocks).iter().zip(weights).map(|(error, weight)| weight * error * error).sum();
        let of_lives: f64 = self.life_mean.iter().map(|life| life * life).sum();
        Deviations {
            sigma: SIGMA.with(squares, freedom),
            tau: TAU.with(of_lives, lives_known),
            freedom: SIGMA.worth + freedom,
        }
    }
}

/// The variance of a life, from the covariance of rounds and arms.
fn variance_of(life: &Life, covariance: &Matrix) -> f64 {
    let pairs = life.with.iter().flat_map(|one| life.with.iter().map(move |other| (one, other)));
    let through: f64 = pairs.map(|(one, other)| one.1 * covariance.at(one.0, other.0) * other.1).sum();
    (1.0 + through / life.precision) / life.precision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prior(arms: usize, deviation: f64) -> Prior {
        let mut engine = Matrix::zero(1);
        engine.add(0, 0, deviation * deviation);
        Prior { mean: vec![0.0; arms], engines: vec![engine; arms] }
    }

    /// Rounds of two arms, the second by `gap` better, in one life each, with shifts of rounds and errors.
    fn rounds(count: usize, gap: f64, error: impl Fn(usize) -> f64) -> Vec<Score> {
        let shift = |round: usize| ((round * 7919) % 13) as f64 * 0.02;
        (0..count)
            .flat_map(|round| {
                [
                    Score { arm: 0, life: 0, round, score: 5.0 + shift(round) },
                    Score { arm: 1, life: 1, round, score: 5.0 + gap + shift(round) + error(round) },
                ]
            })
            .collect()
    }

    #[test]
    fn what_rounds_share_cancels() {
        let scores = rounds(12, 0.2, |_| 0.0);
        let found = Posterior::solve(&prior(2, 10.0), &scores, 2, Deviations::default()).expect("solvable");
        assert!((found.mean[1] - found.mean[0] - 0.2).abs() < 1e-3, "{:?}", found.mean);
        assert!(found.noise.sigma < 0.03);
    }

    #[test]
    fn one_wild_block_moves_little() {
        let wild = rounds(12, 0.0, |round| if round == 5 { 2.0 } else { 0.0 });
        let found = Posterior::solve(&prior(2, 10.0), &wild, 2, Deviations::default()).expect("solvable");
        assert!((found.mean[1] - found.mean[0]).abs() < 0.03, "{:?}", found.mean);
    }

    #[test]
    fn noise_is_found_and_lives_keep_their_own() {
        let errors = [0.1, -0.1, 0.05, -0.12, 0.08, -0.03];
        let scores = rounds(24, 0.0, |round| errors[round % errors.len()]);
        let mut noise = Deviations::default();
        for _ in 0..6 {
            noise = Posterior::solve(&prior(2, 10.0), &scores, 2, noise).expect("solvable").noise;
        }
        assert!((0.03..0.09).contains(&noise.sigma), "{noise:?}");
        // Twelve blocks of one life each say little of the next life.
        let found = Posterior::solve(&prior(2, 10.0), &scores, 2, noise).expect("solvable");
        assert!(found.deviation[0] > 0.01);
    }

    #[test]
    fn a_prior_that_the_blocks_contradict_is_let_go() {
        // Two sizes of one engine that should be alike, and are not.
        let mut engine = Matrix::zero(2);
        for (row, column, value) in [(0, 0, 0.25), (0, 1, 0.25), (1, 0, 0.25), (1, 1, 0.250_1)] {
            engine.add(row, column, value);
        }
        let prior = Prior { mean: vec![5.0; 2], engines: vec![engine] };
        let found = Posterior::solve(&prior, &rounds(4, 0.69, |_| 0.0), 2, Deviations::default()).expect("solvable");
        assert!((found.mean[1] - found.mean[0] - 0.69).abs() < 0.05, "{:?}", found.mean);
        assert!(found.noise.sigma < 0.05, "{:?}", found.noise);
        // Where they agree, few blocks profit from each other.
        let alike = Posterior::solve(&prior, &rounds(2, 0.03, |_| 0.0), 2, Deviations::default()).expect("solvable");
        assert!((alike.mean[1] - alike.mean[0]).abs() < 0.02, "{:?}", alike.mean);
    }

    #[test]
    fn extreme_scores_are_solved_or_refused() {
        let mut scores = rounds(3, 0.0, |_| 0.0);
        scores[1].score = -1e9;
        let found = Posterior::solve(&prior(2, 10.0), &scores, 2, Deviations::default());
        assert!(found.is_none_or(|found| found.mean.iter().all(|mean| mean.is_finite())));
        scores[1].score = f64::NEG_INFINITY;
        assert!(Posterior::solve(&prior(2, 10.0), &scores, 2, Deviations::default()).is_none());
    }
}
