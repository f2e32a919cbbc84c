//! When leaving this machine pays, in words and as a table.

use super::grid::Title;
use super::units::{count, duration, rate};
use crate::analyze::{Leaving, LeavingPoint};

/// What stands above the table.
pub(super) const HEADING: &str = "When leaving this machine pays: tasks a second by the time of a task, computed";

/// `below 2.00 ms a task stays here, since the scheduler hands out 1 000/s at most; above, ..`.
pub(super) fn sentence(leaving: &Leaving) -> String {
    let Leaving { cluster, from_task_ns, from_threads, .. } = leaving;
    let in_chunks = if leaving.chunk > 1 { format!(" in chunks of {}", leaving.chunk) } else { String::new() };
    let ceiling =
        if leaving.is_set_by_bytes { "what tasks carry lets the cluster run" } else { "the scheduler hands out" };
    let shares = if cluster.is_here { ", which share this host's cores" } else { "" };
    format!(
        "below {} a task stays here, since {ceiling} {} at most{in_chunks}; above, a cluster of {} or more is faster, and this one has {}{shares}",
        duration(*from_task_ns),
        rate(leaving.most_per_s),
        threads(*from_threads),
        cluster.threads
    )
}

/// `Leaving pays from tasks of 2.00 ms on, with 3 threads or more`.
pub(super) fn title(leaving: &Leaving) -> String {
    format!(
        "Leaving pays from tasks of {} on, with {} or more",
        duration(leaving.from_task_ns),
        threads(leaving.from_threads)
    )
}

fn threads(count: u32) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

/// What was measured, beside what the law says of it: `measured at 20.0 ms: this machine 98.0/s, the cluster 97.1/s with
/// 2 threads, of which the law says 99.0/s`.
pub(super) fn measured(leaving: &Leaving) -> String {
    let of_law = leaving
        .computed
        .iter()
        .find(|point| point.task_ns == leaving.task_ns && point.threads == leaving.cluster.threads)
        .map(|point| format!(", of which the law says {}", rate(point.there_per_s)))
        .unwrap_or_default();
    let there = leaving
        .there_per_s
        .map(|per_s| format!(", the cluster {} with {} threads{of_law}", rate(per_s), leaving.cluster.threads))
        .unwrap_or_default();
    format!("measured at {}: this machine {}{there}", duration(leaving.task_ns), rate(leaving.here_per_s))
}

/// The titles of the table: the time of a task, this machine, and the cluster at each size that is computed.
pub(super) const TITLES: [Title; 5] = [
    Title { text: "Task", right: true },
    Title { text: "This machine", right: true },
    Title { text: "The cluster", right: true },
    Title { text: "4 x its threads", right: true },
    Title { text: "16 x its threads", right: true },
];

/// The rows, the shortest task first; the faster of this machine and the cluster has a mark.
pub(super) fn rows(leaving: &Leaving) -> Vec<Vec<String>> {
    let mut times: Vec<f64> = leaving.computed.iter().map(|point| point.task_ns).collect();
    times.dedup();
    let row = |time: &f64| {
        let points = row_of(leaving, *time);
        let here = points.first().map_or(0.0, |point| point.here_per_s);
        let cell = |point: &&LeavingPoint| {
            let mark = if point.there_per_s > here { " *" } else { "" };
            format!("{}{mark}", count(point.there_per_s))
        };
        [duration(*time), count(here)].into_iter().chain(points.iter().map(cell)).collect()
    };
    times.iter().map(row).collect()
}

/// What a mark means.
pub(super) const MARK: &str = "* faster than this machine";

fn row_of(leaving: &Leaving, time: f64) -> Vec<&LeavingPoint> {
    leaving.computed.iter().filter(|point| point.task_ns == time).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::candidate::ClusterLimits;

    /// A cluster of eight threads beside a machine of two cores, with a task of 4 ms.
    pub(in crate::report) fn leaving() -> Leaving {
        let point = |task_ns: f64, threads: u32| LeavingPoint {
            task_ns,
            threads,
            here_per_s: 2e9 / task_ns,
            there_per_s: (f64::from(threads) * 1e9 / task_ns).min(1000.0),
        };
        Leaving {
            cluster: ClusterLimits::of_tests(),
            task_ns: 4e6,
            task_there_ns: 4e6,
            bytes_per_task: None,
            chunk: 1,
            here: 0,
            here_per_s: 500.0,
            there: Some(1),
            there_per_s: Some(930.0),
            most_per_s: 1000.0,
            is_set_by_bytes: false,
            from_task_ns: 2e6,
            from_threads: 3,
            computed: [1e6, 2e6, 4e6, 64e6]
                .into_iter()
                .flat_map(|ns| [8, 32, 128].map(|size| point(ns, size)))
                .collect(),
        }
    }

    #[test]
    fn it_says_from_where_on_leaving_pays() {
        assert_eq!(
            sentence(&leaving()),
            "below 2.00 ms a task stays here, since the scheduler hands out 1 000/s at most; above, a cluster of 3 threads or \
             more is faster, and this one has 8"
        );
        assert_eq!(
            measured(&leaving()),
            "measured at 4.00 ms: this machine 500/s, the cluster 930/s with 8 threads, of which the law says 1 000/s"
        );
    }

    #[test]
    fn the_table_marks_who_is_faster() {
        let rows = rows(&leaving());
        assert_eq!(rows[0], ["1.00 ms", "2 000", "1 000", "1 000", "1 000"]);
        assert_eq!(rows[3], ["64.0 ms", "31.3", "125 *", "500 *", "1 000 *"]);
    }
}
