//! What an answer recommends, and how worker processes begin.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A concurrency model: what a verdict recommends. The order is the order of simplicity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// One task after another, on one thread.
    Sequential,
    /// Threads of one process.
    Threads,
    /// Tasks of an event loop.
    Async,
    /// Tasks of several event loops, one for each thread or process, as servers are deployed.
    #[serde(rename = "sharded-async")]
    ShardedAsync,
    /// Worker processes.
    Processes,
    /// Interpreters of one process (CPython 3.14 and later).
    Interpreters,
    /// An event loop that moves blocking steps to threads.
    #[serde(rename = "async+threads")]
    AsyncThreads,
    /// An event loop that moves blocking steps to processes.
    #[serde(rename = "async+processes")]
    AsyncProcesses,
    /// Workers of a cluster, on this host or on others.
    Cluster,
}

impl Model {
    /// Every model, simplest first.
    pub const ALL: [Model; 9] = [
        Model::Sequential,
        Model::Threads,
        Model::Async,
        Model::ShardedAsync,
        Model::Processes,
        Model::Interpreters,
        Model::AsyncThreads,
        Model::AsyncProcesses,
        Model::Cluster,
    ];

    /// The model's name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Model::Sequential => "sequential",
            Model::Threads => "threads",
            Model::Async => "async",
            Model::ShardedAsync => "sharded-async",
            Model::Processes => "processes",
            Model::Interpreters => "interpreters",
            Model::AsyncThreads => "async+threads",
            Model::AsyncProcesses => "async+processes",
            Model::Cluster => "cluster",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How worker processes of CPython begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StartMethod {
    /// As a copy of the agent.
    Fork,
    /// As a copy of a small server process that was started for this.
    Forkserver,
    /// As a new interpreter that imports what it needs.
    Spawn,
}

impl StartMethod {
    /// Every start method.
    pub const ALL: [StartMethod; 3] = [StartMethod::Fork, StartMethod::Forkserver, StartMethod::Spawn];

    /// Its name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            StartMethod::Fork => "fork",
            StartMethod::Forkserver => "forkserver",
            StartMethod::Spawn => "spawn",
        }
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
