//! Clusters: what an agent found of one, and what that says of tasks.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster, as an agent found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The scheduler's address.
    pub address: String,
    /// The version of `distributed` in the interpreter that asks.
    pub distributed: String,
    /// The scheduler's version of it.
    pub scheduler: String,
    /// Its workers.
    pub workers: Vec<ClusterWorker>,
    /// The processes of its scheduler and workers that are on this host.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub pids: Vec<u32>,
    /// How fast it runs tasks that do nothing.
    pub dispatch: Dispatch,
    /// Bytes per second that reach a worker and come back, both counted, while some go there and others come back.
    pub bytes_per_s: f64,
    /// Bytes per second that reach a worker, while nothing to speak of comes back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub there_bytes_per_s: Option<f64>,
    /// Bytes per second that come back from a worker, while nothing to speak of goes there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back_bytes_per_s: Option<f64>,
    /// How long it took to start, where the session started it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_ns: Option<u64>,
    /// How long a client takes to connect.
    pub connect_ns: u64,
    /// How long a task that does nothing takes alone.
    pub round_trip_ns: u64,
}

/// A worker of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterWorker {
    /// Where it listens, e.g. `tcp://10.0.0.8:41733`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The name of its host.
    pub host: String,
    /// Whether that is this host.
    pub is_here: bool,
    /// The tasks that it runs at once.
    pub threads: u32,
    /// Its interpreter's version.
    pub python: String,
    /// Its version of `distributed`.
    pub distributed: String,
    /// Its process on that host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pid: Option<u32>,
    /// The cores that this process may use.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cores: Option<u32>,
    /// The cores that the cluster's workers on its host may use, all together.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host_cores: Option<u32>,
    /// How fast it computes, in one thread, beside the interpreter that asks.
    pub speed: f64,
}

/// How fast a cluster runs tasks that do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// So many were in flight.
    pub in_flight: u32,
    /// Tasks per second.
    pub tasks_per_s: f64,
}

/// What a cluster can do, in figures: what an expectation is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterLimits {
    /// The tasks that its workers run at once.
    pub threads: u32,
    /// Tasks per second that it hands out.
    pub tasks_per_s: f64,
    /// Bytes per second that cross, both ways counted.
    pub bytes_per_s: f64,
    /// The same of the way there alone, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub there_bytes_per_s: Option<f64>,
    /// The same of the way back alone, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub back_bytes_per_s: Option<f64>,
    /// How long a task that does nothing takes alone.
    pub round_trip_ns: f64,
    /// How fast a thread of its workers computes, beside one of this host: the mean, weighed by threads.
    pub speed: f64,
    /// Whether all its workers are on this host, and share its cores.
    pub is_here: bool,
}

impl Cluster {
    /// The tasks that its workers run at once.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.workers.iter().map(|worker| worker.threads).fold(0, u32::saturating_add)
    }

    /// The cores that its workers may use, on all hosts; `None` where a host did not say.
    #[must_use]
    pub fn cores(&self) -> Option<u32> {
        let of_hosts: BTreeMap<&str, Option<u32>> =
            self.workers.iter().map(|worker| (worker.host.as_str(), worker.host_cores)).collect();
        of_hosts.into_values().try_fold(0, |sum: u32, cores| Some(sum.saturating_add(cores?)))
    }

    /// Whether all its workers are on this host.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.workers.iter().all(|worker| worker.is_here)
    }

    /// What to say of versions of `distributed` that speak with each other, and are not the same.
    #[must_use]
    pub fn uneven_versions(&self) -> Option<String> {
        let ours = &self.distributed;
        let scheduler = (self.scheduler != *ours).then(|| format!("{} in the scheduler", self.scheduler));
        let uneven = self.workers.iter().filter(|worker| worker.distributed != *ours);
        let workers: BTreeSet<String> = uneven.map(|worker| format!("{} in workers", worker.distributed)).collect();
        let told: Vec<String> = scheduler.into_iter().chain(workers).collect();
        (!told.is_empty()).then(|| {
            format!(
                "the cluster has another version of distributed: {}, and {ours} here; what fails or is slow there may be \
                 due to that: install the same version at both ends",
                told.join(", ")
            )
        })
    }

    /// What it can do.
    #[must_use]
    pub fn limits(&self) -> ClusterLimits {
        let threads = self.threads();
        let speed: f64 = self.workers.iter().map(|worker| worker.speed * f64::from(worker.threads)).sum();
        ClusterLimits {
            threads,
            tasks_per_s: self.dispatch.tasks_per_s,
            bytes_per_s: self.bytes_per_s,
            there_bytes_per_s: self.there_bytes_per_s,
            back_bytes_per_s: self.back_bytes_per_s,
            round_trip_ns: self.round_trip_ns as f64,
            speed: speed / f64::from(threads.max(1)),
            is_here: self.is_here(),
        }
    }
}

#[cfg(test)]
impl ClusterWorker {
    /// A worker of four threads on this host.
    pub(crate) fn of_tests() -> ClusterWorker {
        ClusterWorker {
            address: Some("tcp://10.0.0.8:41733".to_owned()),
            host: "far".to_owned(),
            is_here: true,
            threads: 4,
            python: "3.11.7".to_owned(),
            distributed: "2026.8.0".to_owned(),
            pid: Some(7),
            cores: Some(4),
            host_cores: Some(4),
            speed: 1.0,
        }
    }
}

#[cfg(test)]
impl ClusterLimits {
    /// Those of a cluster of eight threads elsewhere, each as fast as one here.
    pub(crate) fn of_tests() -> ClusterLimits {
        ClusterLimits {
            threads: 8,
            tasks_per_s: 1000.0,
            bytes_per_s: 1e8,
            there_bytes_per_s: None,
            back_bytes_per_s: None,
            round_trip_ns: 3e6,
            speed: 1.0,
            is_here: false,
        }
    }
}

#[cfg(test)]
impl Cluster {
    /// A cluster of these workers.
    pub(crate) fn of_tests(workers: Vec<ClusterWorker>) -> Cluster {
        Cluster {
            address: "tcp://10.0.0.7:8786".to_owned(),
            distributed: "2026.8.0".to_owned(),
            scheduler: "2026.8.0".to_owned(),
            workers,
            pids: Vec::new(),
            dispatch: Dispatch { in_flight: 16, tasks_per_s: 900.0 },
            bytes_per_s: 1e8,
            there_bytes_per_s: None,
            back_bytes_per_s: None,
            start_ns: None,
            connect_ns: 20_000_000,
            round_trip_ns: 3_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_are_told_and_equal_ones_are_not() {
        let old = ClusterWorker { distributed: "2026.3.0".to_owned(), ..ClusterWorker::of_tests() };
        let even = Cluster::of_tests(vec![ClusterWorker::of_tests()]);
        assert_eq!(even.uneven_versions(), None);
        let uneven = Cluster { scheduler: "2026.3.0".to_owned(), workers: vec![old.clone(), old], ..even };
        let said = uneven.uneven_versions().expect("another version");
        assert!(said.contains(": 2026.3.0 in the scheduler, 2026.3.0 in workers, and 2026.8.0 here;"), "{said}");
    }

    #[test]
    fn the_limits_count_threads_and_weigh_speeds_by_them() {
        let far = ClusterWorker { threads: 3, is_here: false, ..ClusterWorker::of_tests() };
        let near = ClusterWorker { threads: 1, speed: 2.0, ..ClusterWorker::of_tests() };
        let limits = Cluster::of_tests(vec![far, near]).limits();
        assert_eq!((limits.threads, limits.speed, limits.is_here), (4, 1.25, false));
    }

    #[test]
    fn the_cores_of_a_host_count_once() {
        let far = ClusterWorker { host_cores: Some(6), ..ClusterWorker::of_tests() };
        let near = ClusterWorker { host: "near".to_owned(), host_cores: Some(2), ..ClusterWorker::of_tests() };
        assert_eq!(Cluster::of_tests(vec![far.clone(), far, near.clone()]).cores(), Some(8));
        let silent = ClusterWorker { host: "old".to_owned(), host_cores: None, ..near.clone() };
        assert_eq!(Cluster::of_tests(vec![near, silent]).cores(), None);
    }
}
