//! What an agent is told of a cluster.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::candidate::Cluster;

/// Find out what a cluster is: one that is there, or one of worker processes that the agent starts and keeps until its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindCluster {
    /// The scheduler's address, e.g. `tcp://10.0.0.7:8786`; `None` has the agent start a cluster on this host.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
    /// The worker processes of a cluster that it starts, each with one thread.
    pub workers: u32,
    /// Where a cluster that it starts keeps its files.
    pub directory: PathBuf,
    /// Whether workers may be on other hosts.
    pub allow_remote: bool,
    /// About how long it may measure.
    pub budget_ns: u64,
}

/// The cluster of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobCluster {
    /// The scheduler's address.
    pub address: String,
    /// The tasks that its workers run at once.
    pub threads: u32,
    /// Where its workers listen, as they were found. Nothing is sent to one on another host that is not among them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub workers: Vec<String>,
    /// Files of the user's code that its workers are sent.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub upload: Vec<PathBuf>,
}

impl JobCluster {
    /// What a job is told of this cluster, whose workers are sent these files.
    #[must_use]
    pub fn new(cluster: &Cluster, upload: Vec<PathBuf>) -> JobCluster {
        JobCluster {
            address: cluster.address.clone(),
            threads: cluster.threads(),
            workers: cluster.workers.iter().filter_map(|worker| worker.address.clone()).collect(),
            upload,
        }
    }
}
