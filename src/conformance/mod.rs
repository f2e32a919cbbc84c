//! Whether an agent speaks the protocol: plays the controller's part, and says of each rule whether it is kept.
//!
//! `lives` are what is played, each with an agent of its own; `rules` hold what it says against what was seen of
//! it. Checksums are those of the native agent.

mod examiner;
mod jobs;
mod lives;
mod rules;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::Serialize;

use crate::candidate::Engine;
use crate::session::AgentProgram;
use examiner::Examiner;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The rule is kept.
    Held,
    /// It is not.
    Broken,
    /// It was not tried: the agent has not what it is about, or does not answer any more.
    Untried,
}

/// A check, with what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: `hello`, `sequential: a timed block`.
    pub check: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What an agent does.
    pub expected: String,
    /// What this one did; empty where it is as expected.
    pub came: String,
}

/// What of an agent is examined.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Of the engines that it offers only these; empty is all.
    pub engines: Vec<Engine>,
    /// How long an answer may take.
    pub patience: Duration,
}

/// Why an agent could not be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// It cannot be started, or what watches over it.
    #[error("{0}")]
    Start(#[from] io::Error),
    /// This program's own agent, which makes the checksums, failed.
    #[error("the native agent failed, which makes the checksums to compare with: {0}")]
    Native(String),
    /// A signal ended it.
    #[error("interrupted")]
    Interrupted,
}

/// Examines the agent that `program` is; each finding is shown as it is made.
///
/// # Errors
/// When it cannot be started, or on an interrupt.
pub fn examine(
    program: &AgentProgram,
    scope: &Scope,
    interrupted: &Arc<AtomicBool>,
    show: &mut dyn FnMut(&Finding),
) -> Result<Vec<Finding>, ExamineError> {
    let mut examiner = Examiner::start(program, scope.patience, interrupted, show)?;
    lives::all(&mut examiner, &scope.engines)?;
    examiner.into_findings()
}
