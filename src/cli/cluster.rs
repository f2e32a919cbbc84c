//! `--cluster`: what each interpreter finds of a cluster before anything is planned.

use std::collections::HashMap;
use std::path::PathBuf;

use super::cluster_name::ClusterName;
use super::runtimes::Runtimes;
use super::{Failure, seams};
use crate::candidate::Cluster;
use crate::escape::plain;
use crate::plan::{LeftOut, Runtime};
use crate::protocol::FindCluster;
use crate::session::{AgentProgram, FoundCluster};

/// How long an interpreter may measure a cluster: the whole of looking at it takes a few seconds.
const BUDGET_NS: u64 = 2_500_000_000;

/// What was found of the cluster that the user names.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// By the runtime's name.
    found: HashMap<String, FoundCluster>,
    /// Which runtime cannot use it, and why.
    left_out: Vec<LeftOut>,
}

impl Clusters {
    /// Has every interpreter that takes part look at the cluster; agents are as `prepared` makes them.
    ///
    /// # Errors
    /// When no interpreter can use it, or there is none; when it is on another host and that is not allowed.
    pub(super) fn find(
        name: &ClusterName,
        runtimes: &Runtimes,
        prepared: impl Fn(AgentProgram) -> AgentProgram,
        allow_remote: bool,
        workers: u32,
    ) -> Result<Clusters, Failure> {
        if !allow_remote && !name.is_here() {
            let hint = "write 127.0.0.1 if it is this host, or add --allow-remote to send tasks to another one";
            return Err(Failure::Usage(format!("{name} may be another host: {hint}")));
        }
        let mut clusters = Clusters::default();
        for interpreter in runtimes.chosen_interpreters() {
            let agent = prepared(super::runtimes::agent(interpreter));
            let request = |directory: PathBuf| FindCluster {
                address: match name {
                    ClusterName::Local => None,
                    ClusterName::At(address) => Some(address.clone()),
                },
                workers,
                directory,
                allow_remote,
                budget_ns: BUDGET_NS,
            };
            match seams::find_cluster(&agent, request).map_err(Failure::Session)? {
                Ok(found) => drop(clusters.found.insert(interpreter.name.clone(), found)),
                Err(failed) => {
                    let what = format!("{}/dask", interpreter.name);
                    clusters.left_out.push(LeftOut { what, reason: plain(&failed.to_string()) });
                }
            }
        }
        if clusters.found.is_empty() { Err(none(name, &clusters.left_out)) } else { Ok(clusters) }
    }

    /// The runtime with the cluster that takes part under it.
    pub(super) fn of(&self, runtime: Runtime) -> Runtime {
        let cluster = self.found.get(&runtime.name).map(|found| found.cluster.clone());
        Runtime { cluster, ..runtime }
    }

    /// The cluster of each runtime that has one.
    pub(super) fn all(&self) -> Vec<(String, Cluster)> {
        self.found.iter().map(|(runtime, found)| (runtime.clone(), found.cluster.clone())).collect()
    }

    /// Which runtime cannot use it, and why.
    pub(super) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

fn none(name: &ClusterName, reasons: &[LeftOut]) -> Failure {
    Failure::Usage(match reasons {
        [] => format!("{name} runs tasks of Python, and no interpreter takes part: name one with --python PATH"),
        [only] => only.reason.clone(),
        several => {
            let line = |left_out: &LeftOut| format!("\n  {}: {}", left_out.what, left_out.reason);
            format!("no interpreter can use {name}:{}", several.iter().map(line).collect::<String>())
        }
    })
}
