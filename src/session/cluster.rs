//! Before a session: what a cluster is that the user names, or one that is started for the session.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::error::out_of_turn;
use super::link::Link;
use super::live_agents::Connected;
use super::pool::Beginning;
use super::{AgentProgram, SessionError};
use crate::candidate::Cluster;
use crate::guard::Guard;
use crate::protocol::{Failed, FindCluster, Reply, Request};

/// How long an agent may take beyond what it measures: interpreters of workers start, each for itself.
const PATIENCE_NS: u64 = 60_000_000_000;

/// A cluster that was looked at. One that was started for it ends when this is dropped.
#[derive(Debug)]
pub struct FoundCluster {
    /// What it is.
    pub cluster: Cluster,
    /// What keeps it, where it was started for this: the agent goes before its guard.
    _kept: Option<(Link, Guard)>,
}

/// What this agent finds of a cluster. Of one that is there, nothing that was started for it is left; one that the agent
/// starts is there for as long as what is returned.
///
/// # Errors
/// When no agent can be started.
pub fn find_cluster(
    agent: &AgentProgram,
    of_directory: impl FnOnce(std::path::PathBuf) -> FindCluster,
) -> Result<Result<FoundCluster, Failed>, SessionError> {
    let guard = |source| SessionError::Start { what: "the guard", source };
    let program = std::env::current_exe().map_err(guard)?;
    let directory = std::env::temp_dir();
    let mut root = Guard::start(&program, &directory).map_err(guard)?;
    let request = of_directory(root.directory().map_or(directory, std::path::Path::to_owned));
    let is_kept = request.address.is_none();
    // A signal ends this program while it is not watched, and with it the guard and all below.
    let never = Arc::new(AtomicBool::new(false));
    let link =
        Link::start(&mut root, agent, never).map_err(|source| SessionError::Start { what: "the agent", source })?;
    match ask(link, request) {
        Ok((cluster, link)) if is_kept => Ok(Ok(FoundCluster { cluster, _kept: Some((link, root)) })),
        answer => {
            let found = answer.map(|(cluster, _)| FoundCluster { cluster, _kept: None });
            root.close().map_err(guard)?;
            Ok(found)
        }
    }
}

fn ask(link: Link, request: FindCluster) -> Result<(Cluster, Link), Failed> {
    let doing = match &request.address {
        Some(address) => format!("while the cluster at {address} was looked at"),
        None => "while a cluster was started".to_owned(),
    };
    let patience_ns = PATIENCE_NS + 4 * request.budget_ns;
    let answer = Connected::hear(link, Beginning::Cold).and_then(|mut life| {
        let reply = life.link.exchange(Some(&Request::Cluster(request)), patience_ns, &doing, None)?;
        Ok((reply, life.link))
    });
    match answer {
        Ok((Reply::Cluster(cluster), link)) => Ok((cluster, link)),
        Ok((other, _)) => Err(out_of_turn(&other, &doing).into_failed()),
        Err(fault) => Err(fault.into_failed()),
    }
}
