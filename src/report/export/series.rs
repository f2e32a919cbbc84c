//! What is followed over time: the answer of each runtime, and each engine by the size that stands for it.
//!
//! Names hold no sizes: a search finds another size in the next session, and that is no new series.

use std::collections::HashMap;

use crate::analyze::{Row, Status};
use crate::escape::plain;
use crate::report::Judged;

/// A name of a series has so many characters at most: Bencher takes 1024.
const LONGEST: usize = 1000;

/// One point of one series.
pub(super) struct Point<'a> {
    /// `parse/python3.11/answer`, `parse/python3.11/ProcessPoolExecutor@fork`. Each once.
    pub(super) name: String,
    /// The candidate.
    pub(super) row: &'a Row,
}

/// The points of these records: of each runtime the answer's, then one an engine, best first.
pub(super) fn points(all: &[Judged]) -> Vec<Point<'_>> {
    let mut known: HashMap<String, u32> = HashMap::new();
    let mut points = Vec::new();
    for judged in all {
        for group in &judged.verdict.groups {
            let place = format!("{}/{}", plain(&judged.record.workload.name), plain(&group.runtime));
            let place: String = place.chars().take(LONGEST - 100).collect();
            let named = group.answer.as_ref().map(|answer| answer.candidate);
            let answer = group.rows.iter().filter(|row| Some(row.index) == named).map(|row| ("answer".to_owned(), row));
            let engines = group.rows.iter().filter(|row| stands_for_its_engine(&row.status));
            let engines = engines.map(|row| (row.candidate.without_sizes().short(), row));
            for (what, row) in answer.chain(engines) {
                let name = format!("{place}/{what}");
                // The same workload may have been measured twice; then the second is a series of its own.
                let times = known.entry(name.clone()).or_default();
                *times += 1;
                let name = if *times == 1 { name } else { format!("{name} ({times})") };
                points.push(Point { name, row });
            }
        }
    }
    points
}

const fn stands_for_its_engine(status: &Status) -> bool {
    matches!(status, Status::Best | Status::AsGood | Status::Open | Status::Worse)
}
