//! The search for the sizes of one entry that may be its best, one axis after the other.

use std::collections::BTreeMap;

use super::climb::Climb;
use super::{Outcome, Roster};
use crate::candidate::{Candidate, Sizes};
use crate::plan::Entry;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Axis {
    InFlight,
    Workers,
    Chunk,
}

impl Axis {
    /// In the order in which they are searched.
    const ALL: [Axis; 3] = [Axis::InFlight, Axis::Workers, Axis::Chunk];
}

#[derive(Clone, Debug)]
pub(super) struct Search {
    entry: Entry,
    margin: f64,
    /// The axis that is climbed; `None` when the search is over.
    axis: Option<Axis>,
    climb: Climb,
    /// The sizes held while one axis is searched; at the end, those that are chosen.
    sizes: Sizes,
    /// The sizes that may be better than the chosen ones, each on one axis.
    alternatives: Vec<(Axis, u32)>,
    /// The best score of any block.
    best: f64,
    is_dead: bool,
    was_cut: bool,
    /// What a block may cost that is likely to gain nothing.
    most_ns: u64,
    /// Defaults that were not measured, as they would have cost more than that.
    passed: Vec<Candidate>,
}

impl Search {
    /// A search in which a block that is likely to gain nothing may cost `most_ns`.
    pub(super) fn new(entry: Entry, margin: f64, most_ns: u64) -> Search {
        let sizes = entry.default_sizes;
        let mut search = Search {
            margin,
            axis: None,
            climb: Climb::new(Vec::new(), None, margin, most_ns),
            sizes,
            alternatives: Vec::new(),
            best: f64::NEG_INFINITY,
            is_dead: false,
            was_cut: false,
            most_ns,
            passed: Vec::new(),
            entry,
        };
        search.begin(axis_after(&search.entry, None));
        search
    }

    /// The candidates of the next round. None when the search is over.
    pub(super) fn turns(&mut self, roster: &mut Roster) -> Vec<usize> {
        loop {
            let step = self.step_candidates();
            if step.is_empty() {
                return Vec::new();
            }
            let turns: Vec<usize> = step.into_iter().map(|candidate| roster.enter(candidate)).collect();
            if !turns.iter().any(|one| roster.out.contains(one)) {
                return turns;
            }
            let known = |one: &usize| roster.out.contains(one).then_some(Outcome::Failed);
            self.feed(&turns.iter().map(known).collect::<Vec<_>>());
        }
    }

    /// Takes in what a round said, and what turns cost so far.
    pub(super) fn settle(
        &mut self,
        outcomes: &BTreeMap<usize, Option<Outcome>>,
        roster: &Roster,
        costs: &BTreeMap<usize, u64>,
    ) {
        let step = self.step_candidates();
        if step.is_empty() {
            return;
        }
        for (size, candidate) in self.climb.sizes().into_iter().zip(&step) {
            if let Some(ns) = roster.find(candidate).and_then(|one| costs.get(&one)) {
                self.climb.cost(size, *ns);
            }
        }
        let said = |candidate: &Candidate| roster.find(candidate).and_then(|one| outcomes.get(&one).copied().flatten());
        self.feed(&step.iter().map(said).collect::<Vec<_>>());
    }

    /// Ends the search here; what was measured decides, and where nothing was, the library's default. It
    /// counts as cut when a larger size may yet be far better.
    pub(super) fn cut(&mut self) {
        if let Some(axis) = self.axis {
            self.was_cut |= self.climb.stop();
            // Above the first axis the default was measured already: it stands until it is compared.
            let default_stands = !self.is_first(axis) && !self.has_reached_default(axis);
            if self.climb.has_measured() && !default_stands {
                self.take(axis);
            }
            self.axis = None;
        }
    }

    pub(super) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// Whether the search is over.
    pub(super) fn is_over(&self) -> bool {
        self.axis.is_none()
    }

    /// Defaults that were not measured, as a block of them would have cost too much.
    pub(super) fn passed(&self) -> &[Candidate] {
        &self.passed
    }

    /// The best score of any of its blocks.
    pub(super) fn best(&self) -> f64 {
        self.best
    }

    /// The sizes that it chose, and those that may be better: all of the engine that the final compares.
    pub(super) fn champions(&self) -> Vec<Candidate> {
        if self.is_dead {
            return Vec::new();
        }
        let with = |(axis, size): &(Axis, u32)| {
            let mut sizes = self.sizes;
            *size_of(&mut sizes, *axis) = Some(*size);
            sizes
        };
        let mut all = vec![self.sizes];
        all.extend(self.alternatives.iter().map(with));
        let mut candidates: Vec<Candidate> = Vec::new();
        for sizes in all {
            let candidate = self.entry.candidate(sizes);
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// The candidates that may run in the next round.
    pub(super) fn needed(&self, roster: &Roster) -> Vec<usize> {
        let wanted = if self.is_over() { self.champions() } else { self.step_candidates() };
        wanted.iter().filter_map(|one| roster.find(one)).collect()
    }

    /// The candidates of the climb's next round; none when there is no such round.
    fn step_candidates(&self) -> Vec<Candidate> {
        let Some(axis) = self.axis else { return Vec::new() };
        let at = |size: u32| {
            let mut sizes = self.sizes;
            *size_of(&mut sizes, axis) = Some(size);
            self.entry.candidate(sizes)
        };
        self.climb.sizes().into_iter().map(at).collect()
    }

    fn feed(&mut self, said: &[Option<Outcome>]) {
        let scores = said.iter().flatten().filter_map(|outcome| outcome.score());
        self.best = scores.fold(self.best, f64::max);
        self.climb.feed(said);
        if let (Some(axis), true) = (self.axis, self.climb.sizes().is_empty()) {
            self.take(axis);
            self.begin(axis_after(&self.entry, Some(axis)).filter(|_| !self.is_dead));
        }
    }

    /// Goes on with this axis, or the next one that has something to climb.
    fn begin(&mut self, axis: Option<Axis>) {
        self.axis = axis;
        let Some(axis) = axis else { return };
        // More workers than tasks in flight would idle.
        let most = self.sizes.in_flight.filter(|_| axis == Axis::Workers).unwrap_or(u32::MAX);
        let rungs: Vec<u32> = ladder(&self.entry, axis).iter().copied().filter(|rung| *rung <= most).collect();
        let mut default = self.entry.default_sizes;
        self.climb = Climb::new(rungs, *size_of(&mut default, axis), self.margin, self.most_ns);
        if self.climb.sizes().is_empty() {
            self.take(axis);
            self.begin(axis_after(&self.entry, Some(axis)));
        }
    }

    /// Takes what the climb chose, with what may be better. A climb that had nothing to compare changes nothing but
    /// a size that is not on its ladder.
    fn take(&mut self, axis: Axis) {
        let Some(chosen) = self.climb.chosen() else {
            // The smallest failed, so that nothing is left of the engine; an empty ladder says nothing.
            self.is_dead |= self.climb.has_measured();
            return;
        };
        if self.climb.has_passed_default() {
            let mut sizes = self.sizes;
            *size_of(&mut sizes, axis) = *size_of(&mut self.entry.default_sizes.clone(), axis);
            self.passed.push(self.entry.candidate(sizes));
        }
        *size_of(&mut self.sizes, axis) = Some(chosen);
        let plausible = self.climb.plausible().into_iter().filter(|size| *size != chosen);
        self.alternatives.extend(plausible.map(|size| (axis, size)));
    }

    fn is_first(&self, axis: Axis) -> bool {
        axis_after(&self.entry, None) == Some(axis)
    }

    fn has_reached_default(&self, axis: Axis) -> bool {
        let mut default = self.entry.default_sizes;
        size_of(&mut default, axis).is_none_or(|size| self.climb.has_reached(size))
    }
}

/// The first axis that this entry has after another, in the order in which they are searched.
fn axis_after(entry: &Entry, last: Option<Axis>) -> Option<Axis> {
    Axis::ALL.into_iter().filter(|axis| Some(*axis) > last).find(|axis| !ladder(entry, *axis).is_empty())
}

fn ladder(entry: &Entry, axis: Axis) -> &[u32] {
    match axis {
        Axis::InFlight => &entry.in_flight,
        Axis::Workers => &entry.workers,
        Axis::Chunk => &entry.chunk,
    }
}

fn size_of(sizes: &mut Sizes, axis: Axis) -> &mut Option<u32> {
    match axis {
        Axis::InFlight => &mut sizes.in_flight,
        Axis::Workers => &mut sizes.workers,
        Axis::Chunk => &mut sizes.chunk,
    }
}
