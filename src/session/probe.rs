//! Before a session: what an executor is that a factory of the user's builds. An agent builds it and looks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::error::out_of_turn;
use super::link::Link;
use super::live_agents::Connected;
use super::pool::Beginning;
use super::{AgentProgram, SessionError};
use crate::guard::Guard;
use crate::protocol::{Failed, Probe, Probed, Reply, Request};

/// How long an agent may take for it. What does not answer in its own time, it says itself much sooner: this is for a
/// factory that does not come back.
const PATIENCE_NS: u64 = 60_000_000_000;

/// What this agent finds when it builds an executor by this factory. Nothing that was started for it is left.
///
/// # Errors
/// When no agent can be started.
pub fn probe(agent: &AgentProgram, probe: Probe) -> Result<Result<Probed, Failed>, SessionError> {
    let guard = |source| SessionError::Start { what: "the guard", source };
    let program = std::env::current_exe().map_err(guard)?;
    let mut root = Guard::start(&program, &std::env::temp_dir()).map_err(guard)?;
    // A signal ends this program while it is not watched, and with it the guard and all below.
    let never = Arc::new(AtomicBool::new(false));
    let link =
        Link::start(&mut root, agent, never).map_err(|source| SessionError::Start { what: "the agent", source })?;
    let found = ask(link, probe);
    root.close().map_err(guard)?;
    Ok(found)
}

fn ask(link: Link, probe: Probe) -> Result<Probed, Failed> {
    let doing = format!("while `{}` was tried", probe.factory);
    let answer = Connected::hear(link, Beginning::Cold).and_then(|mut life| {
        let reply = life.link.exchange(Some(&Request::Probe(probe)), PATIENCE_NS, &doing, None)?;
        life.link.leave();
        Ok(reply)
    });
    match answer {
        Ok(Reply::Probed(probed)) => Ok(probed),
        Ok(other) => Err(out_of_turn(&other, &doing).into_failed()),
        Err(fault) => Err(fault.into_failed()),
    }
}
