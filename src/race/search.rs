//! The search for one entry's best size, one axis after the other.

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It climbs this axis.
    Climb(Axis),
    /// It compares what the climb chose with the library's default, which the climb did not reach: two
    /// flat steps say nothing of what comes after them.
    Check(Axis),
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Search {
    entry: Entry,
    margin: f64,
    /// The size at which climbs begin.
    start: u32,
    stage: Stage,
    climb: Climb,
    /// The sizes held while one axis is searched; at the end, the champion's.
    sizes: Sizes,
    champion: Option<usize>,
    was_cut: bool,
}

impl Search {
    /// A search that begins its climbs at sizes of `start`, that of chunks at 1.
    pub(super) fn new(entry: Entry, start: u32, margin: f64) -> Search {
        // An engine without sizes has nothing to climb, on whatever axis.
        let axis = axes(&entry).next().unwrap_or(Axis::Workers);
        let sizes = entry.default_sizes;
        let climb = Climb::new(Vec::new(), start, margin);
        let stage = Stage::Climb(axis);
        let mut search = Search { entry, margin, start, stage, climb, sizes, champion: None, was_cut: false };
        search.climb(axis);
        search
    }

    /// The candidates of the next round. None when the search is over.
    pub(super) fn turns(&mut self, roster: &mut Roster) -> Vec<usize> {
        loop {
            if self.stage == Stage::Done {
                return Vec::new();
            }
            let step = self.step_candidates();
            if step.is_empty() {
                self.advance(roster);
                continue;
            }
            let turns: Vec<usize> = step.into_iter().map(|candidate| roster.enter(candidate)).collect();
            if !turns.iter().any(|one| roster.failed.contains(one)) {
                return turns;
            }
            let known = |one: &usize| roster.failed.contains(one).then_some(Outcome::Failed);
            self.climb.feed(&turns.iter().map(known).collect::<Vec<_>>());
        }
    }

    /// Takes in what a round said.
    pub(super) fn settle(&mut self, outcomes: &BTreeMap<usize, Option<Outcome>>, roster: &mut Roster) {
        let step = self.step_candidates();
        if step.is_empty() {
            return;
        }
        let said = |candidate: &Candidate| roster.find(candidate).and_then(|one| outcomes.get(&one).copied().flatten());
        self.climb.feed(&step.iter().map(said).collect::<Vec<_>>());
        self.advance_if_over(roster);
    }

    /// Ends the search here; what was measured decides, and where nothing was, the library's default. It
    /// counts as cut when a larger size may yet be far better.
    pub(super) fn cut(&mut self, roster: &mut Roster) {
        self.advance_if_over(roster);
        if let Stage::Climb(axis) | Stage::Check(axis) = self.stage {
            self.was_cut = self.climb.stop();
            // Above the first axis the default was measured already: it stands until it is compared.
            let default_stands = !self.is_first(axis) && !self.has_reached_default(axis);
            if self.climb.has_measured() && !default_stands {
                self.take(axis, self.climb.chosen());
            }
            self.finish(roster);
        }
    }

    pub(super) fn was_cut(&self) -> bool {
        self.was_cut
    }

    /// The champion's index, once the search is over.
    pub(super) fn champion(&self) -> Option<usize> {
        self.champion
    }

    /// The candidates that may run in the next round.
    pub(super) fn needed(&self, roster: &Roster) -> Vec<usize> {
        if self.stage == Stage::Done {
            return self.champion.into_iter().collect();
        }
        self.step_candidates().iter().filter_map(|one| roster.find(one)).collect()
    }

    /// The candidates of the climb's next round; none when there is no such round.
    fn step_candidates(&self) -> Vec<Candidate> {
        let (Stage::Climb(axis) | Stage::Check(axis)) = self.stage else {
            return Vec::new();
        };
        let at = |size: u32| {
            let mut sizes = self.sizes;
            *size_of(&mut sizes, axis) = Some(size);
            self.entry.candidate(sizes)
        };
        self.climb.sizes().into_iter().map(at).collect()
    }

    fn advance_if_over(&mut self, roster: &mut Roster) {
        while self.stage != Stage::Done && self.climb.sizes().is_empty() {
            self.advance(roster);
        }
    }

    /// Goes on from a climb that is over.
    fn advance(&mut self, roster: &mut Roster) {
        let chosen = self.climb.chosen();
        match (self.stage, chosen) {
            (Stage::Climb(axis), Some(size)) if !self.climb.has_failed() && !self.has_reached_default(axis) => {
                let default = size_of(&mut self.entry.default_sizes.clone(), axis).unwrap_or(size);
                self.climb = Climb::check(size, default, self.margin);
                self.stage = Stage::Check(axis);
            }
            // Its first rung failed, and nothing else is known of it.
            (Stage::Climb(axis), None) if self.is_first(axis) && self.climb.has_failed() => self.stage = Stage::Done,
            (Stage::Climb(axis) | Stage::Check(axis), chosen) => {
                self.take(axis, chosen);
                self.next_axis(axis, roster);
            }
            (Stage::Done, _) => {}
        }
    }

    fn next_axis(&mut self, axis: Axis, roster: &mut Roster) {
        let next = axes(&self.entry).find(|next| *next > axis);
        match next {
            Some(next) => self.climb(next),
            None => self.finish(roster),
        }
    }

    /// Begins to climb this axis.
    fn climb(&mut self, axis: Axis) {
        let mut rungs = ladder(&self.entry, axis).to_vec();
        if axis == Axis::Workers {
            // More workers than tasks in flight have nothing to do.
            let in_flight = self.sizes.in_flight.unwrap_or(u32::MAX);
            let useful = rungs.iter().filter(|size| **size <= in_flight).count();
            rungs.truncate(useful.max(1));
        }
        // Chunks help where tasks are short, and starve workers where they are not: they begin at the bottom.
        let start = if axis == Axis::Chunk { 1 } else { self.start };
        self.climb = Climb::new(rungs, start, self.margin);
        self.stage = Stage::Climb(axis);
    }

    fn finish(&mut self, roster: &mut Roster) {
        self.champion = Some(roster.enter(self.entry.candidate(self.sizes)));
        self.stage = Stage::Done;
    }

    /// Takes this size, or keeps the default.
    fn take(&mut self, axis: Axis, size: Option<u32>) {
        if size.is_some() {
            *size_of(&mut self.sizes, axis) = size;
        }
    }

    fn is_first(&self, axis: Axis) -> bool {
        axes(&self.entry).next().is_none_or(|first| first == axis)
    }

    fn has_reached_default(&self, axis: Axis) -> bool {
        let mut default = self.entry.default_sizes;
        size_of(&mut default, axis).is_none_or(|size| self.climb.has_reached(size))
    }
}

/// The axes that this entry has, in the order in which they are searched.
fn axes(entry: &Entry) -> impl Iterator<Item = Axis> {
    Axis::ALL.into_iter().filter(|axis| !ladder(entry, *axis).is_empty())
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
