//! Closures of a program of the user's own as a step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Closures that a Rust program registered under its workload's name. No file declares them: they are known to that
/// program alone, which is its own agent. At least one of the two forms is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// The workload's name, under which they were registered.
    pub name: String,
    /// Whether there is a blocking form: called by sequential, threads and processes.
    pub has_task: bool,
    /// Whether there is an async form: awaited by event loops.
    pub has_async_task: bool,
    /// Whether results are held against a reference.
    pub is_checked: bool,
}
