//! A session: starts agents, feeds the race, tells observers, saves as it goes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::candidate::Candidate;
use crate::host::Facts;
use crate::plan::{Plan, Settings};
use crate::protocol::Failed;
use crate::record::{Phase, Record, Warning};
use crate::workload::Workload;

/// What a session measures.
pub struct Session {
    /// The workload.
    pub workload: Workload,
    /// What the user asked for.
    pub settings: Settings,
    /// The host.
    pub host: Facts,
    /// What was planned.
    pub plan: Plan,
    /// Where the record is saved as it grows, if anywhere.
    pub output: Option<PathBuf>,
    /// Set by a signal handler: end as soon as the block that runs can be ended.
    pub interrupted: Arc<AtomicBool>,
}

/// What an observer of a session is told. Observers are never called while a block runs.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The session is calibrating; what, in a few words.
    Calibrating(&'a str),
    /// A round begins.
    Round {
        /// Its number, from 0.
        number: u32,
        /// What it is for.
        phase: Phase,
        /// How many candidates run in it.
        candidates: usize,
        /// Time spent.
        elapsed_ns: u64,
        /// The budget.
        budget_ns: u64,
    },
    /// A candidate failed.
    Failed {
        /// The candidate.
        candidate: &'a Candidate,
        /// Why.
        failure: &'a Failed,
    },
    /// Something that the user should know.
    Warning(&'a Warning),
    /// The record so far, after it was saved.
    Saved(&'a Record),
}

/// Watches a session.
pub trait Observer {
    /// Is told what happened.
    fn observe(&mut self, event: &Event<'_>);
}

/// Why a session could not run at all. What was measured before a later fault is in the record instead.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The guard, the server or the session's directory could not be made.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The native agent could not calibrate or make the reference.
    #[error("cannot prepare the workload: {0}")]
    Prepare(Failed),
    /// The record could not be saved.
    #[error(transparent)]
    Store(#[from] crate::record::StoreError),
}
