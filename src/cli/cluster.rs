//! `--cluster`: how users name a cluster, and what each interpreter finds of it before anything is planned.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::runtimes::Runtimes;
use super::{Failure, seams};
use crate::candidate::Cluster;
use crate::plan::{LeftOut, Runtime};
use crate::protocol::FindCluster;
use crate::report;
use crate::session::{AgentProgram, FoundCluster};

/// How long an interpreter may measure a cluster: the whole of looking at it takes a few seconds.
const BUDGET_NS: u64 = 2_500_000_000;
/// The scheme of addresses that are reached without encryption, as users write it and as Dask does.
const SCHEMES: [(&str, &str); 3] = [("dask://", "tcp://"), ("tcp://", "tcp://"), ("tls://", "tls://")];
/// A cluster of worker processes on this host, which the session starts.
const LOCAL: &str = "dask:local";

/// A cluster that the user names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClusterName {
    /// One on this host, for the session.
    Local,
    /// One that is there, by its scheduler's address as Dask writes it.
    At(String),
}

impl FromStr for ClusterName {
    type Err = String;

    fn from_str(text: &str) -> Result<ClusterName, String> {
        if text == LOCAL {
            return Ok(ClusterName::Local);
        }
        let expected = || format!("expected {LOCAL}, dask://HOST:PORT or tls://HOST:PORT");
        let (ours, theirs) = SCHEMES.into_iter().find(|(ours, _)| text.starts_with(ours)).ok_or_else(expected)?;
        let place = &text[ours.len()..];
        let port = place.rsplit_once(':').and_then(|(host, port)| {
            let is_name = |sign: char| sign.is_ascii_alphanumeric() || "-._[]:%".contains(sign);
            (!host.is_empty() && host.chars().all(is_name)).then(|| port.parse::<u16>().ok()).flatten()
        });
        match port {
            Some(port) if port > 0 => Ok(ClusterName::At(format!("{theirs}{place}"))),
            _ => Err(format!("`{place}` is no HOST:PORT; {}", expected())),
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClusterName::Local => f.write_str(LOCAL),
            ClusterName::At(address) => f.write_str(address),
        }
    }
}

impl ClusterName {
    /// Whether its scheduler is on this host, as far as its address says.
    fn is_here(&self) -> bool {
        let ClusterName::At(address) = self else { return true };
        let place = address.rsplit("//").next().unwrap_or_default();
        let host = place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

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
            return Err(Failure::Usage(format!("{name} is not this host: to send it tasks, add --allow-remote")));
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
                    clusters.left_out.push(LeftOut { what, reason: report::plain(&failed.to_string()) });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_by_its_schedulers_address() {
        let of = |text: &str| text.parse::<ClusterName>();
        assert_eq!(of("dask:local"), Ok(ClusterName::Local));
        assert_eq!(of("dask://10.0.0.7:8786"), Ok(ClusterName::At("tcp://10.0.0.7:8786".to_owned())));
        assert_eq!(of("tls://far.example:8786"), Ok(ClusterName::At("tls://far.example:8786".to_owned())));
        for wrong in ["dask", "dask://", "dask://far", "dask://far:0", "dask://:1", "http://far:1", "dask://a b:1"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_loopback_may_be_elsewhere() {
        let is_here = |text: &str| text.parse::<ClusterName>().expect("a cluster").is_here();
        assert!(["dask:local", "dask://127.0.0.1:1", "dask://localhost:1", "tcp://[::1]:1"].into_iter().all(is_here));
        assert!(!["dask://10.0.0.7:1", "tls://far.example:1", "dask://[fe80::1]:1"].into_iter().any(is_here));
    }
}
