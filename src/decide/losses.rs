//! What each arm may cost: joint draws of all arms become bounds of their losses.

use std::collections::BTreeMap;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use statrs::distribution::{ChiSquared, ContinuousCDF as _, Normal};

use super::posterior::Posterior;

/// Draws of a look.
pub(super) const DRAWS: usize = 256;
/// The confidence of a bound.
pub const CONFIDENCE: f64 = 0.95;

/// Standard normals, the same at every look (common random numbers): an arm keeps its own, by its name.
#[derive(Clone, Debug)]
pub(super) struct Normals {
    seed: u64,
    columns: BTreeMap<u64, Vec<f64>>,
    /// The order of the scales.
    order: Vec<usize>,
}

impl Normals {
    pub(super) fn new(seed: u64) -> Normals {
        let mut order: Vec<usize> = (0..DRAWS).collect();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        order.shuffle(&mut random);
        Normals { seed, columns: BTreeMap::new(), order }
    }

    /// A number from 0 to 1, of an arm in a draw.
    fn uniform(&self, arm: usize, draw: usize) -> f64 {
        // Any fixed scramble will do: neighbours must not be alike.
        let step = self.order[(draw + 97 * arm) % DRAWS];
        (step as f64 + 0.5) / DRAWS as f64
    }

    /// What makes a draw one of a t distribution: `sqrt(freedom / chi squared)`.
    fn scales(&self, freedom: f64) -> Vec<f64> {
        // As many values as there are draws would cost more than the draws: a few are enough.
        const STEPS: usize = 16;
        let Ok(squares) = ChiSquared::new(freedom.max(1.0)) else { return vec![1.0; DRAWS] };
        let values: Vec<f64> = (0..STEPS)
            .map(|step| (freedom / squares.inverse_cdf((step as f64 + 0.5) / STEPS as f64)).sqrt())
            .map(|scale| if scale.is_finite() { scale.min(10.0) } else { 1.0 })
            .collect();
        self.order.iter().map(|at| values[at % STEPS]).collect()
    }

    fn column(&mut self, name: u64) -> &[f64] {
        self.columns.entry(name).or_insert_with(|| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream(name);
            let normal = Normal::standard();
            // The middles of as many equal parts, in a random order: no draw is out of proportion.
            let mut column: Vec<f64> =
                (0..DRAWS).map(|part| normal.inverse_cdf((part as f64 + 0.5) / DRAWS as f64)).collect();
            column.shuffle(&mut random);
            column
        })
    }
}

/// Who is this near to the top (logarithm) may be one of equals.
const NEAR_TOP: f64 = 0.06;
/// Equals differ by this deviation,
const SPIKE: f64 = 0.01;
/// others by this,
const SLAB: f64 = 0.05;
/// and so many are others. Real engines lie so: those of one mechanism within 2 %, others 2 to 15 % behind.
const SLAB_SHARE: f64 = 0.2;

/// The part of the bound without pooling in what is stated.
const OF_BOUND: f64 = 0.3;

/// The losses of the arms of one posterior, in its order.
#[derive(Clone, Debug)]
pub(super) struct Losses {
    /// The loss that each arm has at most, with [`CONFIDENCE`]: `ln(best / arm)`.
    pub bound: Vec<f64>,
    /// The same where arms near the top are taken for equals as far as their blocks allow it: by this a race stops. The
    /// best of many equals is always some noise above each of them, so that `bound` needs long to fall.
    pub pooled_bound: Vec<f64>,
    /// The probability that its loss is within the tolerance, pooled.
    pub chance: Vec<f64>,
    /// The draws, one row each.
    draws: Vec<Vec<f64>>,
    /// The best arm of each draw.
    best: Vec<usize>,
    /// By how much each arm can be exceeded, whatever a draw says; infinite where nothing bounds it.
    headroom: Vec<f64>,
}

/// The best of the arms that count in a draw.
fn best_of(draw: &[f64], counts: &[bool]) -> usize {
    let counted = (0..draw.len()).filter(|arm| counts[*arm]);
    counted.max_by(|one, other| draw[*one].total_cmp(&draw[*other])).unwrap_or(0)
}

/// The value that a share of [`CONFIDENCE`] does not exceed.
fn quantile(values: &mut [f64]) -> f64 {
    let rank = (CONFIDENCE * values.len() as f64).ceil() as usize;
    let (_, value, _) = values.select_nth_unstable_by(rank.min(DRAWS - 1), f64::total_cmp);
    *value
}

/// The middle of some values, and their variance by the middle two thirds: the draws have heavy tails, which are those of
/// the noise that is not known, and of no arm.
fn middle_and_variance(values: &[f64]) -> (f64, f64) {
    let mut values = values.to_vec();
    let mut at = |share: f64| {
        let rank = ((share * values.len() as f64) as usize).min(values.len() - 1);
        *values.select_nth_unstable_by(rank, f64::total_cmp).1
    };
    let (low, middle, high) = (at(0.159), at(0.5), at(0.841));
    (middle, ((high - low) / 2.0).powi(2))
}

impl Losses {
    /// The losses against the arms that `counts` names, as far as `headroom` lets these be better. `names` are those by which the arms keep their normals.
    pub(super) fn new(
        posterior: &Posterior,
        names: &[u64],
        counts: &[bool],
        measured: &[bool],
        tolerance: f64,
        headroom: Vec<f64>,
        normals: &mut Normals,
    ) -> Losses {
        let columns: Vec<Vec<f64>> = names.iter().map(|name| normals.column(*name).to_vec()).collect();
        let (mut draws, mut best) = (Vec::with_capacity(DRAWS), Vec::with_capacity(DRAWS));
        let scales = normals.scales(posterior.noise.freedom);
        for number in 0..DRAWS {
            let mut draw: Vec<f64> = columns.iter().map(|column| column[number]).collect();
            posterior.draw(&mut draw, scales[number]);
            best.push(best_of(&draw, counts));
            draws.push(draw);
        }
        let (bound, pooled_bound, chance) = (Vec::new(), Vec::new(), Vec::new());
        let mut losses = Losses { bound, pooled_bound, chance, draws, best, headroom };
        losses.bound = (0..names.len()).map(|arm| quantile(&mut losses.all(arm))).collect();
        let pooled = losses.pooled(posterior, counts, measured, normals);
        for arm in 0..names.len() {
            let mut of_arm = pooled.all(arm);
            let within = of_arm.iter().filter(|loss| **loss <= tolerance).count();
            losses.pooled_bound.push(quantile(&mut of_arm));
            losses.chance.push(within as f64 / DRAWS as f64);
        }
        losses
    }

    /// By how much an arm can be exceeded, whatever a draw says; infinite where nothing bounds it.
    pub(super) fn headroom(&self, arm: usize) -> f64 {
        self.headroom[arm]
    }

    /// What an arm may cost, as it is printed: between the two bounds, nearer to the pooled one.
    pub(super) fn stated(&self, arm: usize) -> f64 {
        OF_BOUND * self.bound[arm] + (1.0 - OF_BOUND) * self.pooled_bound[arm]
    }

    /// The draws, with those arms drawn together that may be equals: an empirical Bayes shrinkage to their weighted mean
    /// by a spike and a slab (George and McCulloch 1993).
    fn pooled(&self, posterior: &Posterior, counts: &[bool], measured: &[bool], normals: &Normals) -> Losses {
        let top = (0..measured.len()).filter(|arm| measured[*arm]).map(|arm| posterior.mean[arm]);
        let top = top.fold(f64::NEG_INFINITY, f64::max);
        let is_near = |arm: &usize| measured[*arm] && posterior.mean[*arm] > top - NEAR_TOP;
        let near: Vec<usize> = (0..measured.len()).filter(is_near).collect();
        let mut pooled = self.clone();
        if near.len() < 3 {
            return pooled;
        }
        let weight = |arm: usize| posterior.deviation[arm].max(1e-6).powi(-2);
        let total: f64 = near.iter().map(|arm| weight(*arm)).sum();
        // What all of them share, such as how quick the host is, is no difference between them: each draw has a middle of
        // its own.
        let middles: Vec<f64> = self
            .draws
            .iter()
            .map(|draw| near.iter().map(|arm| weight(*arm) * draw[*arm]).sum::<f64>() / total)
            .collect();
        for arm in near {
            let apart: Vec<f64> = self.draws.iter().zip(&middles).map(|(draw, middle)| draw[arm] - middle).collect();
            let (mean, variance) = middle_and_variance(&apart);
            let density = |deviation: f64| {
                let spread = variance + deviation * deviation;
                (-0.5 * mean.powi(2) / spread).exp() / spread.sqrt()
            };
            let (spike, slab) = ((1.0 - SLAB_SHARE) * density(SPIKE), SLAB_SHARE * density(SLAB));
            let is_spike = spike / (spike + slab);
            for (number, draw) in pooled.draws.iter_mut().enumerate() {
                let deviation = if normals.uniform(arm, number) < is_spike { SPIKE } else { SLAB };
                let kept = deviation * deviation / (deviation * deviation + variance);
                draw[arm] = middles[number] + kept * mean + kept.sqrt() * (apart[number] - mean);
            }
        }
        for (draw, best) in pooled.draws.iter().zip(&mut pooled.best) {
            *best = best_of(draw, counts);
        }
        pooled
    }

    /// The loss of an arm in each draw.
    fn all(&self, arm: usize) -> Vec<f64> {
        (0..DRAWS).map(|draw| self.loss(draw, arm)).collect()
    }

    fn loss(&self, draw: usize, arm: usize) -> f64 {
        (self.draws[draw][self.best[draw]] - self.draws[draw][arm]).max(0.0).min(self.headroom[arm])
    }

    /// How often each arm is the best in the draws in which `arm` loses most, as a share of them.
    pub(super) fn credit(&self, arm: usize) -> Vec<f64> {
        let mut order: Vec<usize> = (0..DRAWS).collect();
        order.sort_unstable_by(|one, other| self.loss(*other, arm).total_cmp(&self.loss(*one, arm)));
        let tail = &order[..DRAWS / 5];
        let mut credit = vec![0.0; self.bound.len()];
        for draw in tail.iter().filter(|draw| self.loss(**draw, arm) > 0.0) {
            credit[self.best[*draw]] += 1.0 / tail.len() as f64;
        }
        credit
    }

    /// The 95 % interval of `ln(one / other)`.
    pub(super) fn between(&self, one: usize, other: usize) -> (f64, f64) {
        let bounded = |difference: f64| difference.clamp(-self.headroom[one], self.headroom[other]);
        let mut differences: Vec<f64> = self.draws.iter().map(|draw| bounded(draw[one] - draw[other])).collect();
        differences.sort_unstable_by(f64::total_cmp);
        let tail = ((1.0 - CONFIDENCE) / 2.0 * DRAWS as f64) as usize;
        (differences[tail], differences[DRAWS - 1 - tail])
    }
}
