//! When leaving this machine pays: its best beside what a cluster can do, over the time of a task and the cluster's size.
//!
//! The law: a cluster of N threads runs `min(N / (slower t), D, B)` tasks of time `t` a second. `slower` is how many times as
//! long a task takes there, D how many tasks the scheduler hands out (calls times tasks in a call), and B how many tasks'
//! bytes move: the least of what one way carries by itself over what a task takes along, the same of the way back, and what
//! both carry at once over the sum. A link that carries both ways at full speed is bound by the fuller way; one that shares
//! itself between them, or a client that is busy with either, by the sum. What a task computes has limits of its own: a worker
//! process computes in one thread at a time while the interpreter's lock is held, and the workers of a host have no more than
//! its cores. No cluster runs more tasks at once than `max_in_flight` allows. This machine runs `S / t`: S is how many tasks'
//! time it gets done at once, from what was measured. The wait and the computation of a task grow alike with `t`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Row;
use super::figures::pickled;
use super::limit::Task;
use super::reasons::lock;
use crate::candidate::{Cluster, ClusterLimits, Model};
use crate::protocol::Pickled;
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

/// Threads of one process that use more cores than this compute at once.
const AT_ONCE: f64 = 1.2;

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
    /// A cluster is large enough from so many threads on; `None` where none is: it shares this host's cores, or
    /// `max_in_flight` allows too few tasks at once.
    pub from_threads: Option<u32>,
    /// Whether `max_in_flight` limits a cluster of any size; else the cores of this host do, if anything does.
    #[serde(default)]
    pub is_limited_by_in_flight: bool,
    /// How long the cluster takes to start and to connect to; counts where there is a number of tasks in all.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_ns: Option<u64>,
    /// Whether the interpreter's lock keeps a worker process to one computing thread at a time.
    #[serde(default)]
    pub holds_lock: bool,
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
    let whole = record.calibration.runtime(runtime)?.cluster.as_ref()?;
    let mut cluster = whole.limits();
    if record.workload.rate.is_some() || is_failed(rows) {
        return None;
    }
    let best = |is_wanted: &dyn Fn(Model) -> bool| {
        rows.iter()
            .filter(|row| is_wanted(row.candidate.model()) && !row.has_failed())
            .filter_map(|row| Some((row, row.throughput_per_s?.value)))
            .filter(|(_, per_s)| per_s.is_finite() && *per_s > 0.0)
            .max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (here, here_per_s) = best(&|model| model != Model::Cluster)?;
    let there = best(&|model| model == Model::Cluster);
    let task_ns = task.unloaded_ns.filter(|time| *time > 0.0)?;
    let cpu_ns = task.cpu_ns.unwrap_or(0.0).min(task_ns);
    let task_there_ns = task_ns - cpu_ns + cpu_ns / cluster.speed.max(1e-3);
    let carried = there.and_then(|(row, _)| Carried::of(record, row));
    let chunk = there.and_then(|(row, _)| row.candidate.sizes.chunk).unwrap_or(1).max(1);
    if let Some((_, per_s)) = there {
        // What its scheduler handed out in the race it can hand out.
        cluster.tasks_per_s = cluster.tasks_per_s.max(per_s / f64::from(chunk));
    }
    let slower = task_there_ns / task_ns;
    let holds_lock = lock(record, rows) == Some(true) && !rows.iter().any(computes_at_once);
    let (per_thread, by_cores) = Computing::of(whole, task, holds_lock).limits();
    // Whoever runs them, no more tasks are under way than the workload allows.
    let allowed = f64::from(record.workload.load.max_in_flight()) / slower;
    let law = Law {
        per_thread: per_thread.min(1.0 / slower),
        at_once: by_cores.min(allowed),
        cluster,
        chunk: f64::from(chunk),
        here: here_per_s * task_ns / 1e9,
        carried,
        // What the law computes is no closer than that.
        lead: 1.0 + record.workload.objective.tolerance(),
    };
    Some(Leaving {
        cluster,
        task_ns,
        task_there_ns,
        bytes_per_task: carried.map(|carried| carried.both),
        chunk,
        here: here.index,
        here_per_s,
        there: there.map(|(row, _)| row.index),
        there_per_s: there.map(|(_, per_s)| per_s),
        most_per_s: law.most_per_s(),
        is_set_by_bytes: law.most_per_s() < law.handed_per_s(),
        from_task_ns: law.least_task_ns(),
        from_threads: law.least_threads(),
        is_limited_by_in_flight: allowed < by_cores,
        start_ns: record.workload.all_tasks().map(|_| whole.start_ns.unwrap_or(0).saturating_add(whole.connect_ns)),
        holds_lock,
        computed: law.points(task_ns),
    })
}

/// Whether the cluster was raced, and failed at every size.
fn is_failed(rows: &[Row]) -> bool {
    let mut there = rows.iter().filter(|row| row.candidate.model() == Model::Cluster).peekable();
    there.peek().is_some() && there.all(Row::has_failed)
}

/// Whether several threads of this candidate's one process computed at once: then no lock is held meanwhile.
fn computes_at_once(row: &Row) -> bool {
    let cpu_ns = row.cpu_user_ns_per_task.unwrap_or(0.0) + row.cpu_system_ns_per_task.unwrap_or(0.0)
        - row.cpu_children_ns_per_task.unwrap_or(0.0);
    let cores = row.throughput_per_s.map_or(0.0, |per_s| per_s.value * cpu_ns / 1e9);
    matches!(row.candidate.model(), Model::Threads | Model::AsyncThreads) && cores > AT_ONCE
}

/// What bounds the computation of a cluster's tasks.
struct Computing {
    threads: f64,
    processes: f64,
    /// Cores of its hosts, where they are known.
    cores: Option<f64>,
    /// Cores of this host, where all workers are on it.
    cores_here: Option<f64>,
    /// The part of a task's time that it computes there,
    share: f64,
    /// and that of it for which a lock is held.
    share_locked: f64,
}

impl Computing {
    fn of(cluster: &Cluster, task: &Task, holds_lock: bool) -> Computing {
        let limits = cluster.limits();
        let time_ns = task.unloaded_ns.unwrap_or(f64::INFINITY) * limits.speed.max(1e-3);
        let cpu_ns = task.cpu_ns.unwrap_or(0.0).min(task.unloaded_ns.unwrap_or(0.0));
        let own_ns = if holds_lock { (cpu_ns - task.children_ns).max(0.0) } else { 0.0 };
        let cores = cluster.cores().map(f64::from);
        Computing {
            threads: f64::from(limits.threads.max(1)),
            processes: cluster.workers.len() as f64,
            cores,
            cores_here: limits.is_here.then(|| task.cores.min(cores.unwrap_or(f64::INFINITY))),
            share: cpu_ns / time_ns,
            share_locked: own_ns / time_ns,
        }
    }

    /// How many tasks' time a thread gets done at once at most, and a cluster of any size.
    fn limits(&self) -> (f64, f64) {
        // (What is not computed has no limit: x / 0 is infinite.)
        let by_lock = self.processes / self.threads / self.share_locked;
        let by_cores = self.cores.map_or(f64::INFINITY, |cores| cores / self.threads / self.share);
        let at_once = self.cores_here.map_or(f64::INFINITY, |cores| cores / self.share);
        // More threads on this host have no more cores.
        (if self.cores_here.is_some() { by_lock } else { by_lock.min(by_cores) }, at_once)
    }
}

/// Bytes of a task.
#[derive(Clone, Copy, Debug)]
struct Carried {
    /// What it takes along and brings back.
    both: f64,
    /// What it takes along, with its part of the callable; 0 where that is not known.
    there: f64,
    /// What it brings back; 0 where that is not known.
    back: f64,
}

impl Carried {
    fn of(record: &Record, row: &Row) -> Option<Carried> {
        let both = row.serialisation_bytes_per_task.filter(|bytes| *bytes > 0.0)?;
        let place = record.candidates.get(row.index as usize)?;
        let measured = place.blocks.iter().rev().find_map(|block| block.figures.serialisation);
        let parts = measured.or_else(|| pickled(record, &place.candidate)).unwrap_or_default();
        let bytes = |part: Option<Pickled>| part.map_or(0.0, |part| part.bytes);
        let there = bytes(parts.item) + bytes(parts.callable) / f64::from(parts.tasks_per_callable.max(1));
        let back = bytes(parts.result);
        // The parts are of one block, and their sum of all.
        let of_all = if there + back > 0.0 { both / (there + back) } else { 0.0 };
        Some(Carried { both, there: there * of_all, back: back * of_all })
    }

    /// How many tasks' bytes move a second.
    fn most_per_s(self, cluster: &ClusterLimits) -> f64 {
        let one_way = |per_s: Option<f64>, bytes: f64| match per_s {
            Some(per_s) if bytes > 0.0 => per_s / bytes,
            _ => f64::INFINITY,
        };
        let there = one_way(cluster.there_bytes_per_s, self.there);
        there.min(one_way(cluster.back_bytes_per_s, self.back)).min(cluster.bytes_per_s / self.both)
    }
}

/// The law of this module.
#[derive(Clone, Copy, Debug)]
struct Law {
    /// Tasks whose time a thread of the cluster gets done at once: less than one where it is slower, or waits for others.
    per_thread: f64,
    /// The same of a cluster of any size.
    at_once: f64,
    cluster: ClusterLimits,
    /// Tasks in a call.
    chunk: f64,
    /// Tasks whose time this machine gets done at once.
    here: f64,
    carried: Option<Carried>,
    /// Times this machine's throughput that a cluster must reach to pay.
    lead: f64,
}

impl Law {
    fn handed_per_s(&self) -> f64 {
        self.cluster.tasks_per_s * self.chunk
    }

    fn most_per_s(&self) -> f64 {
        let by_bytes = self.carried.map_or(f64::INFINITY, |carried| carried.most_per_s(&self.cluster));
        self.handed_per_s().min(by_bytes)
    }

    /// The time of a task from which a large enough cluster pays.
    fn least_task_ns(&self) -> f64 {
        self.lead * self.here / self.most_per_s() * 1e9
    }

    /// The threads from which a cluster pays for tasks that are long enough, if it ever does.
    fn least_threads(&self) -> Option<u32> {
        let wanted = self.lead * self.here;
        (self.at_once > wanted).then(|| (wanted / self.per_thread).floor().min(1e9) as u32 + 1)
    }

    fn point(&self, task_ns: f64, threads: u32) -> LeavingPoint {
        let at_once = (f64::from(threads) * self.per_thread).min(self.at_once);
        let there_per_s = (at_once * 1e9 / task_ns).min(self.most_per_s());
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
    use crate::candidate::ClusterWorker;

    fn law(here: f64, slower: f64, carried: Option<Carried>) -> Law {
        Law {
            per_thread: 1.0 / slower,
            at_once: f64::INFINITY,
            cluster: ClusterLimits::of_tests(),
            chunk: 1.0,
            here,
            carried,
            lead: 1.05,
        }
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
        let sum = |both: f64| Some(Carried { both, there: 0.0, back: 0.0 });
        assert_eq!(law(2.0, 1.0, sum(1e6)).most_per_s(), 100.0);
        assert_eq!(law(2.0, 1.0, sum(10.0)).most_per_s(), 1000.0);
        let in_chunks = Law { chunk: 4.0, ..law(2.0, 1.0, None) };
        assert_eq!(in_chunks.most_per_s(), 4000.0);
    }

    #[test]
    fn the_fuller_way_bounds_a_link_of_two_ways_and_the_sum_one_that_is_shared() {
        // Two megabits a second each way: an item of 60 kB crosses four times a second, however little comes back.
        let one_way = 2e6 / 8.0;
        let of = |bytes_per_s: f64, there: f64, back: f64| {
            let (there_bytes_per_s, back_bytes_per_s) = (Some(one_way), Some(one_way));
            let cluster =
                ClusterLimits { bytes_per_s, there_bytes_per_s, back_bytes_per_s, ..ClusterLimits::of_tests() };
            Carried { both: there + back, there, back }.most_per_s(&cluster)
        };
        let (full, half) = (2.0 * one_way, one_way);
        assert!((of(full, 60_000.0, 100.0) - 4.17).abs() < 0.01);
        assert!((of(full, 100.0, 60_000.0) - 4.17).abs() < 0.01);
        assert!((of(full, 60_000.0, 60_000.0) - 4.17).abs() < 0.01);
        assert!((of(half, 60_000.0, 100.0) - 4.16).abs() < 0.01);
        assert!((of(half, 60_000.0, 60_000.0) - 2.08).abs() < 0.01);
    }

    fn computing(is_here: bool, holds_lock: bool) -> (f64, f64) {
        let worker = ClusterWorker { threads: 8, host_cores: Some(4), is_here, ..ClusterWorker::of_tests() };
        let task = Task { unloaded_ns: Some(4e6), cpu_ns: Some(2e6), cores: 2.0, ..Task::default() };
        Computing::of(&Cluster::of_tests(vec![worker]), &task, holds_lock).limits()
    }

    #[test]
    fn a_lock_and_cores_bound_what_threads_compute() {
        // Half of a task's time is computed: one process that holds a lock gets two tasks' time done at once, in 8 threads.
        assert_eq!(computing(false, true), (2.0 / 8.0, f64::INFINITY));
        // Without a lock four cores get eight tasks' time done.
        assert_eq!(computing(false, false), (1.0, f64::INFINITY));
        // More threads on this host share its two cores.
        assert_eq!(computing(true, false), (f64::INFINITY, 4.0));
    }

    #[test]
    fn no_cluster_on_this_host_is_larger_than_its_cores() {
        let bounded = Law { at_once: 2.0, ..law(2.0, 1.0, None) };
        assert_eq!(bounded.least_threads(), None);
        assert_eq!(bounded.point(20e6, 512).there_per_s, 100.0);
    }

    proptest! {
        #[test]
        fn it_pays_exactly_from_the_named_time_and_size_on(here in 0.5_f64..500.0, slower in 0.2_f64..5.0) {
            let law = law(here, slower, None);
            let from_ns = law.least_task_ns();
            let from_threads = law.least_threads().expect("nothing bounds it");
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
