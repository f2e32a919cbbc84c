//! When leaving this machine pays: its best beside what a cluster can do, over the time of a task and the cluster's size.
//!
//! The law: a cluster of N threads runs `min(N / (slower t), D, B / bytes)` tasks of time `t` a second. `slower` is how many
//! times as long a task takes there, D how many tasks the scheduler hands out (calls times tasks in a call), and B how many
//! bytes move. This machine runs `S / t`: S is how many tasks' time it gets done at once, from what was measured.
//! The wait and the computation of a task grow alike with `t`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limit::Task;
use super::{Row, Status};
use crate::candidate::{ClusterLimits, Model};
use crate::record::Record;

/// The times of a task that are computed, in steps of this, on either side of what was measured and of where it pays.
const STEP: f64 = 4.0;
/// So many of them on each side.
const STEPS: i32 = 2;
/// So many times the time from which it pays is computed, too: there clusters of different sizes differ.
const FAR: f64 = 64.0;
/// None of them is so near to what was measured, or to where it pays.
const APART: f64 = 1.5;
/// A cluster is computed at its size, and at so many times that.
const SIZES: [u32; 3] = [1, 4, 16];

/// When the cluster pays, beside the best of this machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Leaving {
    /// What the cluster can do.
    pub cluster: ClusterLimits,
    /// Service time of a task here, alone.
    pub task_ns: f64,
    /// The same on a thread of the cluster.
    pub task_there_ns: f64,
    /// Bytes that a task takes along and brings back, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bytes_per_task: Option<f64>,
    /// Tasks in a call of the best of the cluster.
    pub chunk: u32,
    /// The best of this machine: an index into the record's candidates.
    pub here: u32,
    /// Its tasks per second.
    pub here_per_s: f64,
    /// The best of the cluster, where one was measured: an index into the record's candidates.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub there: Option<u32>,
    /// Its tasks per second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub there_per_s: Option<f64>,
    /// Tasks per second that a cluster of any size can be handed.
    pub most_per_s: f64,
    /// Whether bytes set that; else the scheduler does.
    pub is_set_by_bytes: bool,
    /// From this time of a task on a large enough cluster is faster than this machine, by more than the tolerance.
    pub from_task_ns: f64,
    /// A cluster is large enough from so many threads on.
    pub from_threads: u32,
    /// What the law says of other tasks and sizes.
    pub computed: Vec<LeavingPoint>,
}

/// What the law says of tasks of one length on clusters of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeavingPoint {
    /// Service time of a task here.
    pub task_ns: f64,
    /// Threads of the cluster.
    pub threads: u32,
    /// Tasks per second of this machine.
    pub here_per_s: f64,
    /// Tasks per second of the cluster.
    pub there_per_s: f64,
}

/// When the cluster of this runtime pays; `None` where there is none, where all of it failed, or too little was measured
/// to tell. Under a rate it does not say either: what was measured is the rate then, and not what anyone can do.
pub(super) fn of(record: &Record, runtime: &str, rows: &[Row], task: &Task) -> Option<Leaving> {
    let cluster = record.calibration.runtime(runtime)?.cluster.as_ref()?.limits();
    if record.workload.rate.is_some() || is_failed(rows) {
        return None;
    }
    let best = |is_wanted: &dyn Fn(Model) -> bool| {
        rows.iter()
            .filter(|row| is_wanted(row.candidate.model()) && !has_failed(row))
            .filter_map(|row| Some((row, row.throughput_per_s?.value)))
            .filter(|(_, per_s)| per_s.is_finite() && *per_s > 0.0)
            .max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (here, here_per_s) = best(&|model| model != Model::Cluster)?;
    let there = best(&|model| model == Model::Cluster);
    let task_ns = task.unloaded_ns.filter(|time| *time > 0.0)?;
    let cpu_ns = task.cpu_ns.unwrap_or(0.0).min(task_ns);
    let task_there_ns = task_ns - cpu_ns + cpu_ns / cluster.speed.max(1e-3);
    let bytes_per_task = there.and_then(|(row, _)| row.serialisation_bytes_per_task).filter(|bytes| *bytes > 0.0);
    let chunk = there.and_then(|(row, _)| row.candidate.sizes.chunk).unwrap_or(1).max(1);
    let slower = task_there_ns / task_ns;
    let law = Law {
        cluster,
        chunk: f64::from(chunk),
        here: here_per_s * task_ns / 1e9,
        slower,
        bytes_per_task,
        // What the law computes is no closer than that.
        lead: 1.0 + record.workload.objective.tolerance(),
    };
    Some(Leaving {
        cluster,
        task_ns,
        task_there_ns,
        bytes_per_task,
        chunk,
        here: here.index,
        here_per_s,
        there: there.map(|(row, _)| row.index),
        there_per_s: there.map(|(_, per_s)| per_s),
        most_per_s: law.most_per_s(),
        is_set_by_bytes: law.most_per_s() < law.handed_per_s(),
        from_task_ns: law.least_task_ns(),
        from_threads: law.least_threads(),
        computed: law.points(task_ns),
    })
}

/// Whether the cluster was raced, and failed at every size.
fn is_failed(rows: &[Row]) -> bool {
    let mut there = rows.iter().filter(|row| row.candidate.model() == Model::Cluster).peekable();
    there.peek().is_some() && there.all(has_failed)
}

fn has_failed(row: &Row) -> bool {
    matches!(row.status, Status::Failed { .. })
}

/// The law of this module.
#[derive(Clone, Copy, Debug)]
struct Law {
    cluster: ClusterLimits,
    /// Tasks in a call.
    chunk: f64,
    /// Tasks whose time this machine gets done at once.
    here: f64,
    /// How many times as long a task takes there.
    slower: f64,
    bytes_per_task: Option<f64>,
    /// Times this machine's throughput that a cluster must reach to pay.
    lead: f64,
}

impl Law {
    fn handed_per_s(&self) -> f64 {
        self.cluster.tasks_per_s * self.chunk
    }

    fn most_per_s(&self) -> f64 {
        let by_bytes = self.bytes_per_task.map_or(f64::INFINITY, |bytes| self.cluster.bytes_per_s / bytes);
        self.handed_per_s().min(by_bytes)
    }

    /// The time of a task from which a large enough cluster pays.
    fn least_task_ns(&self) -> f64 {
        self.lead * self.here / self.most_per_s() * 1e9
    }

    /// The threads from which a cluster pays for tasks that are long enough.
    fn least_threads(&self) -> u32 {
        (self.lead * self.here * self.slower).floor().min(1e9) as u32 + 1
    }

    fn point(&self, task_ns: f64, threads: u32) -> LeavingPoint {
        let there_per_s = (f64::from(threads) * 1e9 / (self.slower * task_ns)).min(self.most_per_s());
        LeavingPoint { task_ns, threads, here_per_s: self.here * 1e9 / task_ns, there_per_s }
    }

    /// The measured task and the shortest that pays, and shorter and longer ones, at each size of the cluster.
    fn points(&self, task_ns: f64) -> Vec<LeavingPoint> {
        let from_task_ns = self.least_task_ns();
        let around = |middle_ns: f64| (-STEPS..=STEPS).map(move |step| middle_ns * STEP.powi(step));
        let named = [task_ns, from_task_ns];
        let is_apart = |time: &f64| named.iter().all(|other| (time / other).max(other / time) >= APART);
        let mut times: Vec<f64> = around(task_ns)
            .chain([from_task_ns * FAR])
            .filter(is_apart)
            .chain(named)
            .filter(|time| time.is_finite())
            .collect();
        times.sort_by(f64::total_cmp);
        let sizes = SIZES.map(|times| self.cluster.threads.saturating_mul(times));
        times.iter().flat_map(|time| sizes.map(|threads| self.point(*time, threads))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn law(here: f64, slower: f64, bytes_per_task: Option<f64>) -> Law {
        Law { cluster: ClusterLimits::of_tests(), chunk: 1.0, here, slower, bytes_per_task, lead: 1.05 }
    }

    #[test]
    fn a_cluster_pays_above_what_its_scheduler_can_hand_out() {
        // This machine gets two tasks' time done at once: 1000 tasks a second of 2 ms.
        let law = law(2.0, 1.0, None);
        let (below, above) = (law.point(1e6, 8), law.point(20e6, 8));
        assert_eq!((below.here_per_s, below.there_per_s), (2000.0, 1000.0));
        assert_eq!((above.here_per_s, above.there_per_s), (100.0, 400.0));
    }

    #[test]
    fn large_items_set_the_limit() {
        assert_eq!(law(2.0, 1.0, Some(1e6)).most_per_s(), 100.0);
        assert_eq!(law(2.0, 1.0, Some(10.0)).most_per_s(), 1000.0);
        let in_chunks = Law { chunk: 4.0, ..law(2.0, 1.0, None) };
        assert_eq!(in_chunks.most_per_s(), 4000.0);
    }

    proptest! {
        #[test]
        fn it_pays_exactly_from_the_named_time_and_size_on(here in 0.5_f64..500.0, slower in 0.2_f64..5.0) {
            let law = law(here, slower, None);
            let (from_ns, from_threads) = (law.least_task_ns(), law.least_threads());
            let pays = |time_ns: f64, threads: u32| {
                let point = law.point(time_ns, threads);
                point.there_per_s > law.lead * point.here_per_s
            };
            prop_assert!(pays(from_ns * 1.01, u32::MAX));
            prop_assert!(!pays(from_ns * 0.99, u32::MAX));
            prop_assert!(pays(from_ns * 1e6, from_threads));
            prop_assert!(from_threads == 1 || !pays(from_ns * 1e6, from_threads - 1));
        }
    }
}
