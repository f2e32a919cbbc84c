//! What no candidate can exceed: a stated rate, the cores, and what may be in flight.
//!
//! Who uses all cores for its tasks leaves others nothing to gain but the CPU time of a task. That is a fact of each
//! block by itself, however quick the host is at the moment. It is known long before throughputs are, which vary by some
//! per cent from block to block. How much less CPU time a task may take elsewhere is known from what was measured, from
//! what the engine itself costs, and from experience: most engines that run the same task hardly differ in it, a few do.
//! And who has as many tasks under way as are allowed, each no slower than alone, leaves nothing to gain either (Little's
//! law).

use super::mechanism::Task;
use super::posterior::Weak;
use super::{Decide, ENOUGH_BLOCKS, ENOUGH_LIVES, QUALIFIED, Rules, mechanism, of_all_tasks};
use crate::candidate::Sizes;

/// Deviations of its mean by which an arm may be better than its blocks say.
const LUCKY: f64 = 2.0;
/// The same of the cores that its blocks used.
const MISREAD: f64 = 1.3;
/// The CPU time of a task differs by this deviation (logarithm) from engine to engine, beside what the engines cost;
const SPIKE: f64 = 0.01;
/// of a few engines by this,
const SLAB: f64 = 0.1;
/// and so many are that.
const SLAB_SHARE: f64 = 0.1;
/// What engines cost is known but for this part of it.
const UNKNOWN_OF_OWN: f64 = 0.5;
/// So many deviations beyond what is likely are reckoned with.
const BEYOND: f64 = 0.4;
/// By how much the reading of cores in use varies (logarithm): the clocks of threads on other cores are up to a tick old.
const READING: Weak = Weak { value: 0.03, worth: 2.0 };
/// The same of the throughput of tasks that only wait.
const READING_OF_WAITS: Weak = Weak { value: 0.01, worth: 2.0 };
/// An engine may take so many times the CPU time of a task that is known of it by order of magnitude.
const AT_MOST_OWN: f64 = 3.0;
/// Blocks that a claim of full cores stands on.
const ENOUGH_READINGS: usize = 3;
/// Cores that idle for more than this (logarithm) bound nothing that is worth knowing.
const MUCH: f64 = 0.2;

/// What the blocks of an arm used of the cores.
#[derive(Clone, Debug, Default)]
pub(super) struct Used {
    /// Cores in use (logarithm), a block each.
    cores: Vec<f64>,
    /// The CPU time of a task (logarithm), a round each: the round, the sum of its blocks, and their number.
    cpu: Vec<(usize, f64, f64)>,
}

impl Used {
    /// Adds a block.
    pub(super) fn add(&mut self, round: usize, cores: f64, cpu_ns: f64) {
        self.cores.push(cores.ln());
        match self.cpu.last_mut() {
            Some((last, sum, count)) if *last == round => (*sum, *count) = (*sum + cpu_ns.ln(), *count + 1.0),
            _ => self.cpu.push((round, cpu_ns.ln(), 1.0)),
        }
    }

    /// By how much more CPU time (logarithm) a task takes than under `other`, by the rounds in which both ran, and how
    /// many these are.
    fn dearer_than(&self, other: &Used) -> (f64, f64) {
        let (mut sum, mut rounds) = (0.0, 0.0);
        for (round, of_round, count) in &self.cpu {
            let Ok(at) = other.cpu.binary_search_by_key(round, |(round, ..)| *round) else { continue };
            let (_, of_other, count_of_other) = other.cpu[at];
            sum += of_round / count - of_other / count_of_other;
            rounds += 1.0;
        }
        (sum / f64::max(rounds, 1.0), rounds)
    }
}

/// The mean of some values, and its standard error, where this deviation is expected.
fn mean_of(values: &[f64], expected: Weak) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (expected.variance_with(squares, count - 1.0) / count).sqrt())
}

/// By how much (logarithm) anything can be better than an arm, by its own blocks: infinite where nothing bounds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headroom {
    /// All that bounds it.
    pub all: f64,
    /// All but the cores: what larger chunks leave as it is.
    but_cores: f64,
}

impl Headroom {
    pub(super) const UNBOUNDED: Headroom = Headroom { all: f64::INFINITY, but_cores: f64::INFINITY };
}

impl Decide {
    /// Finds what is left above each arm, as of this look.
    pub(super) fn find_headrooms(&mut self) {
        let quickest_ns = |tasks: &Vec<Task>| tasks.iter().map(|task| task.latency_ns).fold(f64::INFINITY, f64::min);
        let quickest_ns = self.tasks.values().map(quickest_ns).fold(f64::INFINITY, f64::min);
        let shares = self.own_shares();
        let of_arm = |arm: usize| {
            let scores = self.scores_of(arm);
            let of_waiting = self.headroom_of_waiting(&scores, quickest_ns).unwrap_or(f64::INFINITY);
            let but_cores = self.headroom_of_rate(arm, &scores).min(of_waiting);
            let of_cores = self.headroom_of_cores(arm, &shares).unwrap_or(f64::INFINITY);
            Headroom { all: but_cores.min(of_cores), but_cores }
        };
        self.headrooms = (0..self.arms.len()).map(of_arm).collect();
    }

    pub(super) fn headroom(&self, arm: usize) -> Headroom {
        self.headrooms.get(arm).copied().unwrap_or(Headroom::UNBOUNDED)
    }

    /// What no candidate can exceed (a score): what a stated rate allows, else infinite.
    fn ceiling(&self) -> f64 {
        let Rules { rate_per_s, tasks, is_throughput, .. } = self.rules;
        let Some(rate_per_s) = rate_per_s.filter(|_| is_throughput) else { return f64::INFINITY };
        tasks.map_or(rate_per_s.ln(), |tasks| of_all_tasks(rate_per_s.ln(), f64::from(tasks), 0.0))
    }

    /// What is left above an arm where as many tasks as are allowed are always under way, each as quick as the quickest
    /// that was seen; `None` where that is far more.
    fn headroom_of_waiting(&self, scores: &[f64], quickest_ns: f64) -> Option<f64> {
        if !self.is_bounded_by_host() || scores.len() < ENOUGH_READINGS {
            return None;
        }
        let (rate, error) = mean_of(scores, READING_OF_WAITS);
        let left = (self.most_in_flight / quickest_ns * 1e9).ln() - rate + LUCKY * error;
        (left <= MUCH).then(|| left.max(0.0))
    }

    /// What all blocks of a round share does not matter: no round lets a rate be exceeded.
    fn headroom_of_rate(&self, arm: usize, scores: &[f64]) -> f64 {
        let ceiling = self.ceiling();
        if ceiling.is_infinite() || scores.is_empty() {
            return f64::INFINITY;
        }
        let (blocks, lives) = (scores.len() as f64, self.lives_of(arm).max(1) as f64);
        let mean = scores.iter().sum::<f64>() / blocks;
        let deviation = (self.noise.sigma.powi(2) / blocks + self.noise.tau.powi(2) / lives).sqrt();
        (ceiling - mean + LUCKY * deviation).max(0.0)
    }

    /// What the cores leave above an arm; `None` where they bound nothing, or it is not known.
    fn headroom_of_cores(&self, arm: usize, shares: &[f64]) -> Option<f64> {
        let used = self.used.get(&arm).filter(|used| used.cores.len() >= ENOUGH_READINGS)?;
        let (mean, error) = mean_of(&used.cores, READING);
        let idle = (self.rules.cores.ln() - mean + MISREAD * error).max(0.0);
        if !self.is_bounded_by_host() || idle > MUCH {
            return None;
        }
        Some(idle + self.saving(arm, used, shares)?)
    }

    /// The cores (logarithm) that those of these arms left idle of which that is known.
    pub(super) fn idle_of(&self, arms: &[usize]) -> Vec<(Sizes, f64)> {
        if !self.is_bounded_by_host() {
            return Vec::new();
        }
        let of = |arm: &usize| Some((self.arms[*arm].candidate.sizes, self.idle(self.used.get(arm)?)));
        arms.iter().filter_map(of).collect()
    }

    /// The cores (logarithm) that blocks left idle which used this.
    fn idle(&self, used: &Used) -> f64 {
        (self.rules.cores.ln() - mean_of(&used.cores, READING).0).max(0.0)
    }

    /// Whether this host's cores and what it has in flight are bounds of the score. Start-up has no such bounds, and other
    /// hosts have cores of their own.
    fn is_bounded_by_host(&self) -> bool {
        let Rules { tasks, is_throughput, cluster, .. } = self.rules;
        is_throughput && tasks.is_none() && cluster.is_none_or(|cluster| cluster.is_here)
    }

    /// By how much (logarithm) less CPU time a task may take elsewhere than under an arm that used this; `None` where nobody
    /// else ran beside it.
    fn saving(&self, arm: usize, used: &Used, shares: &[f64]) -> Option<f64> {
        let others = self.used.iter().filter(|(other, _)| **other != arm && !self.arms[**other].is_out);
        let seen = others.filter_map(|(other, of_other)| {
            let (mean, rounds) = used.dearer_than(of_other);
            (rounds > 0.0).then(|| self.likely_saving(arm, *other, mean, rounds, shares))
        });
        let most = seen.reduce(f64::max)?;
        Some(most.max((AT_MOST_OWN * shares[arm].exp_m1()).ln_1p()))
    }

    /// What of a task's CPU time each arm's engine is expected to take (logarithm).
    fn own_shares(&self) -> Vec<f64> {
        let cpu_ns = self.task().map_or(f64::INFINITY, |task| task.cpu_ns.max(1.0));
        self.arms.iter().map(|arm| (mechanism::own_cpu_ns(&arm.candidate) / cpu_ns).ln_1p()).collect()
    }

    /// How much less CPU time (logarithm) a task is likely to take under `other` than under `arm`, where it took so much
    /// less in so many rounds: by a spike and a slab (George and McCulloch 1993) around what the engines cost.
    fn likely_saving(&self, arm: usize, other: usize, mean: f64, rounds: f64, shares: &[f64]) -> f64 {
        let lives = |arm: usize| self.lives_of(arm).max(1) as f64;
        let of_lives = self.noise.tau.powi(2) * (1.0 / lives(arm) + 1.0 / lives(other));
        let variance = 2.0 * self.noise.sigma.powi(2) / rounds + of_lives;
        let (own, its) = (shares[arm], shares[other]);
        let beyond = mean - (own - its);
        let parts =
            [(SPIKE + UNKNOWN_OF_OWN * (own + its), 1.0 - SLAB_SHARE), (SLAB, SLAB_SHARE)].map(|(deviation, share)| {
                let spread = variance + deviation * deviation;
                let kept = deviation * deviation / spread;
                let weight = share * (-0.5 * beyond * beyond / spread).exp() / spread.sqrt();
                (weight, kept * beyond, kept * variance)
            });
        let total: f64 = parts.iter().map(|(weight, ..)| weight).sum();
        let mean = parts.iter().map(|(weight, mean, _)| weight * mean).sum::<f64>() / total;
        let square =
            parts.iter().map(|(weight, mean, variance)| weight * (mean * mean + variance)).sum::<f64>() / total;
        own - its + mean + BEYOND * (square - mean * mean).max(0.0).sqrt()
    }

    /// Whether an arm reaches all that anything can reach, but for so many times what matters.
    pub(super) fn is_at_ceiling(&self, arm: usize, times: f64) -> bool {
        self.headroom(arm).all <= times * self.tolerance()
    }

    /// Whether a larger size has nothing to gain. Larger chunks take less CPU time of a task, however busy the cores are.
    pub(super) fn gains_nothing(&self, arm: usize, larger: Sizes) -> bool {
        let has_its_chunk = self.arms[arm].candidate.sizes.chunk == larger.chunk;
        let Headroom { all, but_cores } = self.headroom(arm);
        let headroom = if has_its_chunk { all } else { but_cores };
        headroom <= QUALIFIED * self.tolerance()
    }

    /// The simplest arm that may turn out to leave others nothing to gain, by the few blocks that it has, and needs more.
    pub(super) fn may_be_at_ceiling(&self) -> Option<usize> {
        if !self.is_bounded_by_host() {
            return None;
        }
        let most = QUALIFIED * self.tolerance();
        let mut near: Vec<(usize, f64)> = self.used.iter().map(|(arm, used)| (*arm, self.idle(used))).collect();
        near.retain(|(arm, idle)| !self.arms[*arm].is_out && *idle <= most);
        near.sort_by_key(|(arm, _)| self.arms[*arm].candidate.simplicity());
        let shares = self.own_shares();
        let saving = |arm: &usize| self.saving(*arm, &self.used[arm], &shares);
        let (simplest, _) = near.into_iter().find(|(arm, idle)| saving(arm).is_some_and(|it| idle + it <= most))?;
        (!self.has_enough(simplest)).then_some(simplest)
    }

    /// Whether an arm has the blocks and lives that it needs before it is taken for good enough: fewer where it leaves
    /// nothing to gain, since that is known from each block by itself.
    pub(super) fn has_enough(&self, arm: usize) -> bool {
        let (blocks, lives) = (self.arms[arm].blocks, self.lives_of(arm));
        let is_known = || self.is_at_ceiling(arm, QUALIFIED);
        lives >= ENOUGH_LIVES && blocks >= ENOUGH_BLOCKS || blocks >= ENOUGH_READINGS && lives >= 2 && is_known()
    }
}
