//! The sizes of an entry as a grid: its axes, and which sizes are neighbours.

use crate::candidate::Sizes;
use crate::plan::Entry;

/// What grows along a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Axis {
    InFlight,
    Workers,
    Chunk,
}

impl Axis {
    pub(super) const ALL: [Axis; 3] = [Axis::InFlight, Axis::Workers, Axis::Chunk];

    pub(super) fn of(self, sizes: Sizes) -> Option<u32> {
        match self {
            Axis::InFlight => sizes.in_flight,
            Axis::Workers => sizes.workers,
            Axis::Chunk => sizes.chunk,
        }
    }

    pub(super) fn with(self, sizes: Sizes, size: u32) -> Sizes {
        match self {
            Axis::InFlight => Sizes { in_flight: Some(size), ..sizes },
            Axis::Workers => Sizes { workers: Some(size), ..sizes },
            Axis::Chunk => Sizes { chunk: Some(size), ..sizes },
        }
    }

    /// Its ladder in this entry; empty where the engine has no such size.
    pub(super) fn ladder(self, entry: &Entry) -> &[u32] {
        match self {
            Axis::InFlight => &entry.in_flight,
            Axis::Workers => &entry.workers,
            Axis::Chunk => &entry.chunk,
        }
    }
}

/// Every combination of an entry's sizes, the smaller ones first.
pub(super) fn all(entry: &Entry) -> Vec<Sizes> {
    Axis::ALL.into_iter().fold(vec![Sizes::default()], |known, axis| {
        let ladder = axis.ladder(entry);
        if ladder.is_empty() {
            return known;
        }
        known.iter().flat_map(|sizes| ladder.iter().map(|size| axis.with(*sizes, *size))).collect()
    })
}

/// The sizes that are one rung away on one axis.
pub(super) fn neighbours(entry: &Entry, sizes: Sizes) -> Vec<Sizes> {
    let mut found = Vec::new();
    for axis in Axis::ALL {
        let ladder = axis.ladder(entry);
        let Some(rung) = axis.of(sizes).and_then(|size| ladder.iter().position(|one| *one == size)) else { continue };
        let below = rung.checked_sub(1).and_then(|rung| ladder.get(rung));
        found.extend(below.into_iter().chain(ladder.get(rung + 1)).map(|size| axis.with(sizes, *size)));
    }
    found
}

/// Whether `one` is at least as large as `other` on every axis.
pub(super) fn is_at_least(one: Sizes, other: Sizes) -> bool {
    Axis::ALL.into_iter().all(|axis| axis.of(one) >= axis.of(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, RUST};

    fn entry() -> Entry {
        Entry {
            runtime: RUST.to_owned(),
            engine: Engine::TokioMultiThread,
            start_method: None,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: vec![1, 2, 4],
            workers: vec![1, 2],
            chunk: Vec::new(),
        }
    }

    #[test]
    fn neighbours_are_one_rung_away() {
        let sizes = Sizes { workers: Some(1), in_flight: Some(2), chunk: None };
        let found: Vec<String> = neighbours(&entry(), sizes).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["w1,f1", "w1,f4", "w2,f2"]);
        assert_eq!(all(&entry()).len(), 6);
        assert_eq!(all(&Entry { in_flight: Vec::new(), workers: Vec::new(), ..entry() }), [Sizes::default()]);
    }

    #[test]
    fn larger_is_larger_on_no_axis_smaller() {
        let sizes = |workers, in_flight| Sizes { workers: Some(workers), in_flight: Some(in_flight), chunk: None };
        assert!(is_at_least(sizes(2, 4), sizes(2, 2)));
        assert!(!is_at_least(sizes(1, 8), sizes(2, 2)));
    }
}
