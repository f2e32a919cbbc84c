//! Why an exchange with an agent did not succeed.

use crate::protocol::{Failed, FailureKind, Reply};

/// Why an exchange with an agent did not succeed.
#[derive(Clone, Debug, PartialEq)]
pub enum AgentError {
    /// The agent failed.
    Failed(Failed),
    /// The user interrupted the session.
    Interrupted,
}

impl AgentError {
    pub(super) fn new(kind: FailureKind, message: String) -> AgentError {
        AgentError::Failed(Failed { kind, message, place: String::new(), traceback: Vec::new() })
    }

    /// What is told of it where there is no session that an interrupt would end.
    pub(super) fn into_failed(self) -> Failed {
        match self {
            AgentError::Failed(failed) => failed,
            AgentError::Interrupted => Failed::new(FailureKind::Setup, "interrupted", ""),
        }
    }
}

/// The failure of a reply that does not belong here.
pub fn out_of_turn(reply: &Reply, doing: &str) -> AgentError {
    let mut text = format!("{reply:?}");
    if let Some((end, _)) = text.char_indices().nth(120) {
        text.truncate(end);
    }
    AgentError::new(FailureKind::Protocol, format!("{doing}, the agent answered out of turn: `{text}`"))
}
