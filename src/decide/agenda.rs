//! What is measured next: what can change the answer most, for what it costs.

use crate::candidate::{Candidate, Sizes};

use super::{BLOCK_NS, Decide, NEAR_RIVAL, mechanism};

/// Blocks of a round at most.
const MOST_TURNS: usize = 6;
/// Blocks of a round at least, as far as there are candidates.
const LEAST_TURNS: usize = 4;
/// What a start takes where none was seen.
const START_NS: f64 = 100e6;
/// The credit of a neighbour that must be measured before its size may be named.
const NEIGHBOUR: f64 = 0.3;
/// First blocks of batches that take long may take this part of the time that is left.
const FIRSTS_PART: f64 = 0.5;

/// What there is to choose from.
pub(super) struct Agenda<'a> {
    decide: &'a mut Decide,
    left_ns: f64,
}

impl<'a> Agenda<'a> {
    pub(super) fn new(decide: &'a mut Decide, elapsed_ns: u64) -> Agenda<'a> {
        let left_ns = decide.rules.deadline_ns.saturating_sub(elapsed_ns) as f64;
        Agenda { decide, left_ns }
    }

    /// The arms of the next round; empty where nothing is left.
    pub(super) fn choose(&mut self) -> Vec<usize> {
        if self.decide.view.is_none() {
            return self.opening();
        }
        if let Some(scouts) = self.scouts() {
            return scouts;
        }
        let firsts = self.firsts();
        if !firsts.is_empty() {
            return firsts;
        }
        self.by_worth()
    }

    /// Before anything is known of a task: the simplest candidate, alone.
    fn opening(&mut self) -> Vec<usize> {
        let mut smallest = self.smallest();
        smallest.sort_by_key(|arm| self.decide.arms[*arm].candidate.simplicity());
        // One that gives no figures twice gives none.
        smallest.into_iter().find(|arm| self.decide.arms[*arm].took.1 < 3).into_iter().collect()
    }

    /// Few in flight beside the simplest candidate, where it is to be seen whether waits overlap.
    fn scouts(&mut self) -> Option<Vec<usize>> {
        let view = self.decide.view.as_ref()?;
        let (task, named) = (view.task, view.arms[view.named]);
        let scout = self.decide.scout(&task).filter(|arm| !self.is_too_expensive(*arm))?;
        Some(vec![scout, named])
    }

    /// The smallest size of each engine.
    fn smallest(&mut self) -> Vec<usize> {
        let decide = &mut *self.decide;
        let mut smallest: Vec<usize> = Vec::new();
        for entry in 0..decide.entries.len() {
            let allowed = decide.allowed(entry);
            if let (Some(sizes), true) = (allowed.first(), !decide.is_out(entry)) {
                smallest.push(decide.arm(entry, *sizes));
            }
        }
        smallest.retain(|arm| !decide.arms[*arm].is_out);
        smallest
    }

    /// The first sizes of engines that were not measured yet, with the simplest candidate beside them.
    fn firsts(&mut self) -> Vec<usize> {
        let Some(task) = self.decide.view.as_ref().map(|view| view.task) else { return Vec::new() };
        let mut firsts = Vec::new();
        for entry in 0..self.decide.entries.len() {
            let is_seen = |decide: &Decide| {
                decide.arms.iter().any(|arm| arm.entry == entry && (arm.blocks > 0 || arm.took.1 > 2))
            };
            let (considered, Some(first)) = self.decide.considered(entry, &task) else { continue };
            let arm = self.decide.arm(entry, first);
            if !is_seen(self.decide) && considered.contains(&arm) {
                firsts.push(arm);
            }
        }
        // Who is too expensive is measured at the smallest of its sizes that are not.
        let mut chosen: Vec<usize> = firsts.into_iter().filter_map(|arm| self.affordable(arm)).collect();
        if self.decide.rules.turns.is_some() {
            return self.best_of_each_model(chosen, self.left_ns);
        }
        // A batch that takes long leaves time for a few engines, and for what is found of these.
        let cost_ns: f64 = chosen.iter().map(|arm| self.cost_ns(*arm)).sum();
        if self.decide.rules.is_batch && cost_ns > FIRSTS_PART * self.left_ns {
            chosen = self.best_of_each_model(chosen, FIRSTS_PART * self.left_ns);
        }
        if chosen.is_empty() {
            chosen.extend(self.rival());
        }
        chosen.extend(self.own_chunks(&task).into_iter().filter(|arm| !chosen.contains(arm)).collect::<Vec<usize>>());
        if !chosen.is_empty() {
            let seen = self.decide.view.as_ref().map(|view| view.arms[view.named]);
            chosen.extend(seen.filter(|arm| !chosen.contains(arm)));
        }
        chosen
    }

    /// As many of these as there is so much time for, and one at least: the models first that promise most, and of those that promise
    /// the same the simplest, with the best engine of each before the others.
    fn best_of_each_model(&self, arms: Vec<usize>, mut left_ns: f64) -> Vec<usize> {
        let Some(view) = self.decide.view.as_ref() else { return arms };
        let mean = |arm: usize| view.arms.iter().position(|one| *one == arm).map(|place| view.posterior.mean[place]);
        let top = arms.iter().filter_map(|arm| mean(*arm)).fold(f64::NEG_INFINITY, f64::max);
        let behind =
            |arm: usize| mean(arm).map_or(usize::MAX, |mean| ((top - mean) / self.decide.tolerance()) as usize);
        let mut ranked: Vec<(usize, usize)> = arms.into_iter().map(|arm| (behind(arm), arm)).collect();
        ranked.sort_by_key(|(behind, arm)| (*behind, self.decide.arms[*arm].candidate.simplicity()));
        let mut models = Vec::new();
        let (firsts, others): (Vec<usize>, Vec<usize>) = ranked.into_iter().map(|(_, arm)| arm).partition(|arm| {
            let model = self.decide.arms[*arm].candidate.model();
            let is_new = !models.contains(&model);
            models.push(model);
            is_new
        });
        let fits = |(place, arm): (usize, usize)| {
            left_ns -= self.cost_ns(arm);
            (place == 0 || left_ns >= 0.0).then_some(arm)
        };
        firsts.into_iter().chain(others).enumerate().map_while(fits).collect()
    }

    /// Where all else is too expensive and nothing was measured beside the simplest candidate, the cheapest that there is time
    /// for: one alone is no answer.
    fn rival(&mut self) -> Option<usize> {
        if self.decide.arms.iter().filter(|arm| arm.blocks > 0).count() > 1 {
            return None;
        }
        let smallest = self.smallest().into_iter().filter(|arm| self.decide.arms[*arm].took.1 == 0);
        let cheapest = smallest.min_by(|one, other| self.cost_ns(*one).total_cmp(&self.cost_ns(*other)));
        cheapest.filter(|arm| self.cost_ns(*arm) <= self.left_ns)
    }

    /// The sizes that libraries take by themselves for a batch which were not measured yet: what a user has who says
    /// nothing of chunks.
    fn own_chunks(&mut self, task: &mechanism::Task) -> Vec<usize> {
        let mut own = Vec::new();
        for entry in 0..self.decide.entries.len() {
            let sizes = self.decide.entries[entry].default_sizes;
            if !self.decide.rules.is_batch || sizes.chunk.is_none() {
                continue;
            }
            let (considered, _) = self.decide.considered(entry, task);
            let arm = self.decide.arm(entry, sizes);
            let is_new = self.decide.arms[arm].blocks == 0 && self.decide.arms[arm].took.1 == 0;
            if is_new && considered.contains(&arm) && !self.is_too_expensive(arm) {
                own.push(arm);
            }
        }
        own
    }

    /// The arm, or the largest smaller one of its engine whose block is not too expensive.
    fn affordable(&mut self, arm: usize) -> Option<usize> {
        if !self.is_too_expensive(arm) {
            return Some(arm);
        }
        let (entry, sizes) = (self.decide.arms[arm].entry, self.decide.arms[arm].candidate.sizes);
        let mut smaller = mechanism::allowed(&self.decide.entries[entry], &self.decide.broken[entry]);
        smaller.retain(|one| super::grid::is_at_least(sizes, *one) && *one != sizes);
        smaller.reverse();
        let smaller: Vec<usize> = smaller.into_iter().map(|sizes| self.decide.arm(entry, sizes)).collect();
        smaller.into_iter().find(|arm| !self.is_too_expensive(*arm))
    }

    /// What narrows the bound of the aim and of what is named most, per second.
    fn by_worth(&mut self) -> Vec<usize> {
        let Some(view) = self.decide.view.as_ref() else { return Vec::new() };
        let targets = if view.aim == view.named { vec![view.aim] } else { vec![view.aim, view.named] };
        let mut credit = vec![0.0; view.arms.len()];
        for target in &targets {
            for (sum, share) in credit.iter_mut().zip(view.losses.credit(*target)) {
                *sum += share;
            }
            credit[*target] += 1.0;
        }
        let mut required = Vec::new();
        for target in targets {
            let arm = view.arms[target];
            let entry = self.decide.arms[arm].entry;
            let limit = view.posterior.mean[target] - self.decide.tolerance();
            let lost = |other: usize| {
                view.arms.iter().position(|one| *one == other).is_some_and(|place| view.posterior.mean[place] < limit)
            };
            required.extend(self.decide.unsettled(arm, &lost).into_iter().map(|sizes| (entry, sizes)));
        }
        // Nothing is good enough while a near rival was measured but once.
        let named = view.posterior.mean[view.named];
        for (place, arm) in view.arms.iter().enumerate() {
            if self.decide.arms[*arm].blocks == 1 && view.posterior.mean[place] > named - NEAR_RIVAL {
                required.push((self.decide.arms[*arm].entry, self.decide.arms[*arm].candidate.sizes));
            }
        }
        required.extend(self.with_own_threads(view.arms[view.named]));
        let view_arms = view.arms.clone();
        let variances: Vec<f64> = view.posterior.deviation.iter().map(|it| it * it).collect();
        let (sigma, tau) = (self.decide.noise.sigma, self.decide.noise.tau);
        let mut worth: Vec<(f64, usize)> = Vec::new();
        for (place, arm) in view_arms.iter().copied().enumerate() {
            let noise = sigma * sigma + tau * tau;
            let gain = variances[place].powi(2) / (variances[place] + noise);
            worth.push((credit[place] * gain / self.cost_ns(arm), arm));
        }
        let known_best = worth.iter().map(|(worth, _)| *worth).fold(0.0, f64::max);
        for (entry, sizes) in required {
            let arm = self.decide.arm(entry, sizes);
            let least = NEIGHBOUR * known_best.max(f64::MIN_POSITIVE);
            match worth.iter_mut().find(|(_, one)| *one == arm) {
                Some((worth, _)) => *worth = worth.max(least),
                None => worth.push((least, arm)),
            }
        }
        worth.retain(|(worth, arm)| *worth > 0.0 && !self.decide.arms[*arm].is_out && !self.is_too_expensive(*arm));
        worth.sort_by(|one, other| other.0.total_cmp(&one.0));
        // What is worth an eighth of the best is left for later: an expensive block must not ride along in each round.
        let least = worth.first().map_or(0.0, |(worth, _)| worth / 8.0);
        let mut chosen: Vec<usize> =
            worth.iter().filter(|(worth, _)| *worth >= least).take(MOST_TURNS).map(|(_, arm)| *arm).collect();
        // Who may leave others nothing to gain is soon known to, or not to.
        if let Some(arm) = self.decide.may_be_at_ceiling() {
            chosen.retain(|one| *one != arm);
            chosen.insert(0, arm);
            chosen.truncate(MOST_TURNS);
        }
        // What rounds share is known from several blocks: few of them would hang an engine's level on one another's.
        let others = worth.iter().map(|(_, arm)| *arm).filter(|arm| self.decide.arms[*arm].blocks > 0);
        for arm in others {
            if chosen.len() < LEAST_TURNS && !chosen.contains(&arm) {
                chosen.push(arm);
            }
        }
        self.within_budget(chosen)
    }

    /// As many of them as there is time for; none where that is one alone, which would have nothing to be told against.
    fn within_budget(&self, chosen: Vec<usize>) -> Vec<usize> {
        let costs_ns = chosen.iter().scan(0.0, |sum, arm| {
            *sum += self.cost_ns(*arm);
            Some(*sum)
        });
        let fitting = costs_ns.take_while(|cost_ns| *cost_ns <= self.left_ns).count();
        if fitting < chosen.len().min(2) { Vec::new() } else { chosen.into_iter().take(fitting).collect() }
    }

    /// What the named candidate is held against where its libraries are limited in their threads: itself without that,
    /// until it was measured.
    fn with_own_threads(&self, named: usize) -> Option<(usize, Sizes)> {
        let Decide { arms, entries, .. } = &*self.decide;
        let candidate = &arms[named].candidate;
        candidate.library_threads?;
        let twin = Candidate { library_threads: None, ..candidate.clone() };
        let is_seen = arms.iter().any(|arm| arm.candidate == twin && (arm.blocks > 0 || arm.is_out));
        let entry = entries.iter().position(|entry| entry.candidate(twin.sizes) == twin)?;
        (!is_seen).then_some((entry, twin.sizes))
    }

    fn is_too_expensive(&self, arm: usize) -> bool {
        let Some(view) = &self.decide.view else { return false };
        let block_ns = self.block_ns(arm);
        block_ns > self.decide.longest_block_ns(&view.task) || (block_ns > self.left_ns && !self.decide.lacks_rival())
    }

    fn cost_ns(&self, arm: usize) -> f64 {
        let start_ns = self.decide.starts_ns[self.decide.arms[arm].entry].unwrap_or(START_NS);
        let most = self.decide.blocks_of_a_life(arm);
        let is_anew = self.decide.arms[arm].life.is_none_or(|blocks| blocks >= most);
        self.block_ns(arm) + if is_anew { start_ns } else { 0.0 }
    }

    /// What a block of this arm takes: as long as those before, or as foreseen.
    fn block_ns(&self, arm: usize) -> f64 {
        let (mean, count) = self.decide.arms[arm].took;
        if count > 0 {
            return mean;
        }
        self.decide.task().map_or(BLOCK_NS, |task| self.decide.expected_block_ns(arm, &task))
    }
}
