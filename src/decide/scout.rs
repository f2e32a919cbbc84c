//! Whether tasks that wait do so at once: seen from one cheap block with few in flight, before engines begin with many.
//!
//! What a user's task waits for may serve few at a time: a far side with few places, a lock on a file, another program.
//! Nothing shows that beforehand, and with 64 in flight each task then takes 64 times as long: a block would take a good
//! part of the budget, to show what 8 in flight show as well.

use super::mechanism::{self, Setting, Task};
use super::{Arm, Decide};
use crate::candidate::Model;

/// Tasks in flight of the scout.
const FEW: u32 = 8;
/// It is sent where an engine would begin with so many in flight.
const MANY: u32 = 32;
/// Tasks wait for each other where they should take a smaller part of the time that they take with few in flight.
const SHARED: f64 = 0.6;
/// Engines then begin with at most so many times as many in flight as were served at once.
const BEYOND: f64 = 2.0;
/// Processes have their own of what tasks wait for where they let so many times as many wait at once.
const OWN: f64 = 1.5;

impl Decide {
    /// The arm that shows whether waits overlap, where that is not known, and some engine would begin with many in flight.
    pub(super) fn scout(&mut self, task: &Task) -> Option<usize> {
        let mut tried = self.arms.iter().filter(|arm| arm.took.1 > 0 || arm.is_out);
        if !self.looks_at_waits() || tried.any(|arm| concurrency(arm) > 1.0) {
            return None;
        }
        let begins_with_many = (0..self.entries.len()).any(|entry| {
            let first = self.considered(entry, task).1;
            first.is_some_and(|sizes| sizes.concurrency() >= MANY)
        });
        let few = (0..self.entries.len()).filter_map(|entry| self.few_of(entry)).collect::<Vec<usize>>();
        let simplest = few.into_iter().min_by_key(|arm| self.arms[*arm].candidate.simplicity());
        simplest.filter(|_| begins_with_many)
    }

    /// Whether it is not known that waits overlap, and blocks show it: windows of tasks whose rate is compared.
    fn looks_at_waits(&self) -> bool {
        let rules = &self.rules;
        let has_windows = rules.is_throughput && !rules.is_batch && rules.turns.is_none() && rules.rate_per_s.is_none();
        rules.may_share && has_windows
    }

    /// The size with few in flight of an engine whose tasks share one process, and wait in threads or on a loop.
    fn few_of(&mut self, entry: usize) -> Option<usize> {
        let model = self.entries[entry].engine.model();
        let waits = model == Model::Threads || (model == Model::Async && self.rules.is_async);
        if !waits || self.is_out(entry) {
            return None;
        }
        let few = self.allowed(entry).into_iter().filter(|sizes| sizes.concurrency() <= FEW);
        let most = few.max_by_key(|sizes| sizes.concurrency()).filter(|sizes| sizes.concurrency() > FEW / 2)?;
        Some(self.arm(entry, most))
    }

    /// With how many in flight an engine begins at most, since waits do not overlap beyond; `None` where they do, or nothing
    /// is known of it.
    pub(super) fn begins_with_at_most(&self, entry: usize) -> Option<u32> {
        self.served_at_once(entry).map(|at_once| (BEYOND * at_once).ceil().max(1.0) as u32)
    }

    /// For how long a task keeps the others of an entry waiting, where waits do not overlap; else 0.
    pub(super) fn serial_ns_of(&self, entry: usize) -> f64 {
        let serial_ns = |at_once: f64| self.task().map_or(0.0, |task| task.latency_ns / at_once);
        self.served_at_once(entry).map_or(0.0, serial_ns)
    }

    /// How many of its tasks an entry has served at once at most, where waits do not overlap.
    fn served_at_once(&self, entry: usize) -> Option<f64> {
        self.at_once.filter(|at_once| !self.has_its_own(entry, *at_once))
    }

    /// How many tasks wait at once in one process, where that is less than were in flight there; `None` where it is not, or
    /// nothing is known of it.
    pub(super) fn waits_at_once(&self) -> Option<f64> {
        if !self.looks_at_waits() {
            return None;
        }
        let arm = self.first_of_several()?;
        let Arm { entry, candidate, .. } = &self.arms[arm];
        let setting = Setting { tasks: None, ..self.setting_with(*entry, self.rules.serial_ns) };
        let task = self.task()?;
        let expected_per_s = mechanism::rate_per_s(&self.entries[*entry], candidate.sizes, &task, &setting);
        let expected_ns = concurrency(&self.arms[arm]) * 1e9 / expected_per_s;
        (expected_ns < SHARED * self.first_median_ns(arm)?).then(|| self.overlap_of(arm)).flatten()
    }

    /// How many tasks of an arm wait at once, by its first block.
    fn overlap_of(&self, arm: usize) -> Option<f64> {
        let one_in_flight = self.tasks.keys().filter(|arm| concurrency(&self.arms[**arm]) == 1.0);
        let alone_ns = one_in_flight.filter_map(|arm| self.first_median_ns(*arm)).min_by(f64::total_cmp)?;
        Some((concurrency(&self.arms[arm]) * alone_ns / self.first_median_ns(arm)?).max(1.0))
    }

    /// The median service time of an arm's first block.
    fn first_median_ns(&self, arm: usize) -> Option<f64> {
        self.tasks.get(&arm)?.first().map(|task| task.median_ns)
    }

    /// Whether processes have each their own of what tasks wait for in one: several of them let far more wait at once.
    fn has_its_own(&self, entry: usize, at_once: f64) -> bool {
        let processes = (0..self.arms.len()).filter(|arm| self.arms[*arm].candidate.engine.crosses());
        let mut overlaps = processes.filter_map(|arm| self.overlap_of(arm));
        self.entries[entry].engine.crosses() && overlaps.any(|overlap| overlap > OWN * at_once)
    }

    /// The first of the arms with several in flight in one process that ran.
    fn first_of_several(&self) -> Option<usize> {
        let score = self.scores.iter().find(|score| {
            let arm = &self.arms[score.arm];
            let is_shared = matches!(arm.candidate.model(), Model::Threads | Model::Async);
            is_shared && (2..=FEW).contains(&arm.candidate.sizes.concurrency())
        })?;
        Some(score.arm)
    }
}

fn concurrency(arm: &Arm) -> f64 {
    f64::from(arm.candidate.sizes.concurrency())
}
