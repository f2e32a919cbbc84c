//! When leaving this machine pays, in words and as a table.

use super::grid::Title;
use crate::analyze::{Leaving, LeavingPoint};
use crate::units::{count, duration, rate};

/// What was measured is told beside the law where it is so many times as much, or as little.
const FAR: f64 = 1.25;

/// What stands above the table.
pub(super) const HEADING: &str = "When leaving this machine pays: tasks a second by the time of a task, computed";

/// `below 2.00 ms a task stays here, since the scheduler hands out 1 000/s at most; above, ..`.
pub(super) fn sentence(leaving: &Leaving) -> String {
    let Leaving { cluster, from_task_ns, from_threads, .. } = leaving;
    let in_chunks = if leaving.chunk > 1 { format!(" in chunks of {}", leaving.chunk) } else { String::new() };
    let ceiling =
        if leaving.is_set_by_bytes { "what tasks carry lets the cluster run" } else { "the scheduler hands out" };
    let shares = if cluster.is_here { ", which share this host's cores" } else { "" };
    let lock = if leaving.holds_lock { "; one thread of a worker process computes at a time" } else { "" };
    let above = match from_threads {
        Some(from) => format!(
            "above, a cluster of {} or more is faster, and this one has {}{shares}{lock}",
            threads(*from),
            cluster.threads
        ),
        None if leaving.is_limited_by_in_flight => {
            "above, too, since `max_in_flight` allows no more tasks at once than this machine runs".to_owned()
        }
        None => "above, too, since the cluster shares this host's cores".to_owned(),
    };
    let start = match (leaving.start_ns, from_threads) {
        (Some(ns), Some(_)) => format!("; {} to start and connect come on top", duration(ns as f64)),
        _ => String::new(),
    };
    format!(
        "below {} a task stays here, since {ceiling} {} at most{in_chunks}; {above}{start}{}",
        duration(*from_task_ns),
        rate(leaving.most_per_s),
        disagreement(leaving)
    )
}

/// That what was measured is far from what the law says of it.
fn disagreement(leaving: &Leaving) -> String {
    let (Some(measured), Some(of_law)) = (leaving.there_per_s, of_law(leaving)) else { return String::new() };
    if measured / of_law < FAR && of_law / measured < FAR {
        return String::new();
    }
    format!(
        "; but at {} it ran {} where this says {}: trust what was measured",
        duration(leaving.task_ns),
        rate(measured),
        rate(of_law)
    )
}

/// What the law says of what was measured.
fn of_law(leaving: &Leaving) -> Option<f64> {
    let is_it = |point: &&LeavingPoint| point.task_ns == leaving.task_ns && point.threads == leaving.cluster.threads;
    leaving.computed.iter().find(is_it).map(|point| point.there_per_s)
}

/// `Leaving pays from tasks of 2.00 ms on, with 3 threads or more`.
pub(super) fn title(leaving: &Leaving) -> String {
    let Some(from) = leaving.from_threads else {
        let why = if leaving.is_limited_by_in_flight {
            "No cluster pays: `max_in_flight` allows too few tasks at once"
        } else {
            "No cluster on this host pays: it shares the cores"
        };
        return why.to_owned();
    };
    format!("Leaving pays from tasks of {} on, with {} or more", duration(leaving.from_task_ns), threads(from))
}

fn threads(count: u32) -> String {
    if count == 1 { "1 thread".to_owned() } else { format!("{count} threads") }
}

/// What was measured, beside what the law says of it: `measured at 20.0 ms: this machine 98.0/s, the cluster 97.1/s with
/// 2 threads, of which the law says 99.0/s`.
pub(super) fn measured(leaving: &Leaving) -> String {
    let of_law = of_law(leaving).map(|per_s| format!(", of which the law says {}", rate(per_s))).unwrap_or_default();
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
            from_threads: Some(3),
            is_limited_by_in_flight: false,
            start_ns: None,
            holds_lock: false,
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
    fn what_was_measured_is_held_against_the_law() {
        let far = Leaving { there_per_s: Some(100.0), holds_lock: true, ..leaving() };
        let said = sentence(&far);
        assert!(
            said.contains("this one has 8; one thread of a worker process computes at a time; but at 4.00 ms"),
            "{said}"
        );
        assert!(said.ends_with("it ran 100/s where this says 1 000/s: trust what was measured"), "{said}");
    }

    #[test]
    fn a_cluster_on_this_host_may_never_pay() {
        let never = Leaving { from_threads: None, ..leaving() };
        assert!(sentence(&never).ends_with("at most; above, too, since the cluster shares this host's cores"));
        assert_eq!(title(&never), "No cluster on this host pays: it shares the cores");
        let limited = Leaving { is_limited_by_in_flight: true, ..never };
        let said = sentence(&limited);
        assert!(said.ends_with("`max_in_flight` allows no more tasks at once than this machine runs"), "{said}");
        assert!(title(&limited).contains("`max_in_flight`"));
    }

    #[test]
    fn the_start_of_a_cluster_is_told_where_tasks_are_counted() {
        let said = sentence(&Leaving { start_ns: Some(2_100_000_000), ..leaving() });
        assert!(said.ends_with("this one has 8; 2.10 s to start and connect come on top"), "{said}");
    }

    #[test]
    fn the_table_marks_who_is_faster() {
        let rows = rows(&leaving());
        assert_eq!(rows[0], ["1.00 ms", "2 000", "1 000", "1 000", "1 000"]);
        assert_eq!(rows[3], ["64.0 ms", "31.3", "125 *", "500 *", "1 000 *"]);
    }
}
