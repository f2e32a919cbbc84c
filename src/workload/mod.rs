//! Workloads: what one task does, how tasks arrive, what "best" means.
//!
//! The types here are the *domain*: validated, in base units (nanoseconds, bytes), serialisable for
//! the agent protocol and the record. What a user writes is TOML, read by [`parse`](parse()).

mod build;
#[cfg(test)]
mod defaults_tests;
mod diagnostics;
mod distribution;
mod errors;
mod executor;
mod fields;
mod kernel;
mod language;
mod python;
mod quantity;
mod rate;
mod registered;
mod remote;
mod scalar;
mod schema;
pub mod shipped;
mod source;
mod syntax;
mod value;
mod walk;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use diagnostics::{Diagnostics, Fault};
pub use distribution::Distribution;
pub use errors::ErrorLimit;
pub use executor::{OwnEngine, factory_name};
pub use fields::{Field, Presence, Shape, Table};
pub use kernel::{Cpu, Kernel};
pub use language::{STEPS, WORKLOAD};
pub use python::{Check, Code, Items, Python, Version, function_name, items};
pub use rate::{Rate, rate};
pub use registered::Registered;
pub use schema::schema;
pub use source::{MAX_FILE_BYTES, SHORTEST, load, parse};

/// A validated workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Its name: the file's `name`, else the file's stem.
    pub name: String,
    /// What it stands for, in words; empty when the file has none.
    pub use_case: String,
    /// One or more sentences on what a task does; may be empty.
    pub description: String,
    /// How tasks arrive.
    pub load: Load,
    /// How many tasks the user has, under a closed load; a batch says it itself. See [`Workload::all_tasks`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tasks: Option<u32>,
    /// What the far side allows, whatever the load: closed or a batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<Rate>,
    /// What one task does, in order. Never empty.
    pub steps: Vec<Step>,
    /// Bytes that cross to the worker and back.
    pub payload: Payload,
    /// What "best" means.
    pub objective: Objective,
    /// A task that takes longer than this has failed.
    pub task_timeout_ns: u64,
    /// At most so many tasks in the whole session, for tasks that reach something costly.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_calls: Option<u64>,
    /// What tasks need and is scarce.
    #[serde(skip_serializing_if = "Resources::is_none", default)]
    pub resources: Resources,
    /// Executors of the user's own that race, too.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub engines: Vec<OwnEngine>,
}

/// What tasks need and is scarce, beside the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Whether candidates must not hold it at once: one agent lives at a time, and each block begins a life.
    pub exclusive: bool,
}

impl Resources {
    /// Whether there is nothing to heed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.exclusive
    }
}

impl Workload {
    /// How many tasks the user has, where that is known. Then throughput is that of all of them together, the start-up
    /// of whatever runs them included.
    #[must_use]
    pub fn all_tasks(&self) -> Option<u32> {
        match self.load {
            Load::Batch { tasks, .. } => Some(tasks),
            Load::Closed { .. } => self.tasks,
        }
    }

    /// Takes the directories that steps and engines name as relative to `base`, an absolute path.
    pub fn resolve(&mut self, base: &Path) {
        for engine in &mut self.engines {
            engine.path = base.join(&engine.path).to_string_lossy().into_owned();
        }
        for step in &mut self.steps {
            if let Step::Python(python) = step {
                python.path = base.join(&python.path).to_string_lossy().into_owned();
            }
        }
    }
}

/// How tasks arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "lowercase", deny_unknown_fields)]
pub enum Load {
    /// A task is begun whenever fewer than `in_flight` are; no candidate has more than this cap in flight.
    Closed {
        /// The cap on tasks begun and not ended, for every engine alike.
        max_in_flight: u32,
    },
    /// `tasks` tasks at once; what counts is the makespan.
    Batch {
        /// How many tasks are handed over at once.
        tasks: u32,
        /// The cap on tasks begun and not ended, for every engine alike.
        max_in_flight: u32,
    },
}

impl Load {
    /// The cap on tasks begun and not ended.
    #[must_use]
    pub fn max_in_flight(self) -> u32 {
        match self {
            Load::Closed { max_in_flight } | Load::Batch { max_in_flight, .. } => max_in_flight,
        }
    }
}

/// Bytes of a task that really cross to its worker and back, where the model makes them cross.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Bytes handed to the task.
    pub input_bytes: u64,
    /// Bytes handed back.
    pub output_bytes: u64,
}

impl Payload {
    /// Bytes both ways.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.input_bytes.saturating_add(self.output_bytes)
    }
}

/// What "best" means, and what a candidate must not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objective {
    /// The figure that is compared.
    pub goal: Goal,
    /// What the answer may cost, as a ratio (0.05 is 5 %), where the user wrote it; else [`DEFAULT_TOLERANCE`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tolerance: Option<f64>,
    /// A candidate over one of these is not feasible.
    pub limits: Limits,
}

/// What the answer may cost where the user wrote nothing.
pub const DEFAULT_TOLERANCE: f64 = 0.05;

impl Objective {
    /// What the answer may cost: nothing that was tried is better by more than this.
    #[must_use]
    pub fn tolerance(&self) -> f64 {
        // A record that was made by hand may hold anything.
        let sound = self.tolerance.filter(|tolerance| (0.0..=1.0).contains(tolerance));
        sound.unwrap_or(DEFAULT_TOLERANCE)
    }

    /// Whether memory is compared, or limited.
    #[must_use]
    pub fn looks_at_memory(&self) -> bool {
        self.goal == Goal::Memory || self.limits.memory_bytes.is_some()
    }
}

/// The figure by which candidates are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Tasks per second: more is better.
    Throughput,
    /// The 99th percentile of the service time: less is better.
    P99,
    /// Memory of the process tree under load: less is better.
    Memory,
    /// CPU time per task: less is better.
    CpuPerTask,
}

/// Upper limits on a candidate's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The 99th percentile of the service time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub p99_ns: Option<u64>,
    /// Memory of the process tree under load.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_bytes: Option<u64>,
    /// Tasks that fail; without a limit, none may.
    #[serde(skip_serializing_if = "ErrorLimit::is_none", default)]
    pub errors: ErrorLimit,
}

/// One step of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "a task has a handful of steps, and none is copied in a hurry")]
pub enum Step {
    /// Computation.
    Cpu(Cpu),
    /// A device that answers on time: a precise wait in every engine.
    Wait {
        /// How long.
        time: Distribution,
    },
    /// The runtime's own sleep, with the precision that it has.
    Sleep {
        /// How long.
        time: Distribution,
    },
    /// One HTTP/1.1 request and its response.
    Http {
        /// A URL, or `None` for the embedded server.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        url: Option<String>,
        /// How long the embedded server takes to answer.
        delay: Distribution,
        /// The size of the embedded server's response body.
        body_bytes: u64,
        /// Whether a connection serves many requests.
        connection: Connection,
    },
    /// One request and one response of fixed sizes over TCP.
    Tcp {
        /// `host:port` of an echo-like service that answers each request of `request_bytes` with
        /// `response_bytes`, or `None` for the embedded server.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        address: Option<String>,
        /// How long the embedded server takes to answer.
        delay: Distribution,
        /// The size of a request.
        request_bytes: u64,
        /// The size of a response.
        response_bytes: u64,
        /// Whether a connection serves many requests.
        connection: Connection,
    },
    /// One file operation in a directory of the session's own.
    File {
        /// What is done.
        operation: FileOperation,
        /// How many bytes are read or written.
        size_bytes: u64,
        /// Whether a write is followed by `fsync`.
        fsync: bool,
    },
    /// A critical section under one lock that all tasks share.
    Lock {
        /// What is done while the lock is held.
        hold: Work,
    },
    /// An item handed to one consumer over a bounded queue, and its result awaited.
    Queue {
        /// How many items the queue holds.
        capacity: u32,
        /// What the consumer does with an item.
        stage: Work,
    },
    /// One task signals another and waits for its answer, this many times.
    Event {
        /// Signals and answers per task.
        round_trips: u32,
    },
    /// A program run without a shell.
    Command {
        /// The program and its arguments. Never empty.
        argv: Vec<String>,
        /// The exit status that means success.
        expect_status: i32,
    },
    /// A function of the user's own.
    Python(Python),
    /// Closures of the user's own program.
    Registered(Registered),
}

impl Step {
    /// The step's `kind`, as users write it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Step::Cpu(_) => "cpu",
            Step::Wait { .. } => "wait",
            Step::Sleep { .. } => "sleep",
            Step::Http { .. } => "http",
            Step::Tcp { .. } => "tcp",
            Step::File { .. } => "file",
            Step::Lock { .. } => "lock",
            Step::Queue { .. } => "queue",
            Step::Event { .. } => "event",
            Step::Command { .. } => "command",
            Step::Python(_) => "python",
            Step::Registered(_) => "registered",
        }
    }

    /// The distributions from which this step draws, in the order of its draw tables.
    #[must_use]
    pub fn distributions(&self) -> Vec<Distribution> {
        match self {
            Step::Wait { time } | Step::Sleep { time } => vec![*time],
            Step::Http { delay, .. } | Step::Tcp { delay, .. } => vec![*delay],
            Step::Lock { hold: Work::Wait { time } } | Step::Queue { stage: Work::Wait { time }, .. } => vec![*time],
            _ => Vec::new(),
        }
    }

    /// Whether an event loop stays free while this step waits: `wait`, `sleep`, `http`, `tcp`, `event`,
    /// `command`, a `lock` or `queue` whose work is a wait, and the user's own code that has an async form.
    /// The others (`cpu`, `file`, a `lock` or `queue` that computes, and blocking code of the user's) block
    /// the loop that runs them.
    #[must_use]
    pub const fn has_async_form(&self) -> bool {
        match self {
            Step::Wait { .. }
            | Step::Sleep { .. }
            | Step::Http { .. }
            | Step::Tcp { .. }
            | Step::Event { .. }
            | Step::Command { .. }
            | Step::Lock { hold: Work::Wait { .. } }
            | Step::Queue { stage: Work::Wait { .. }, .. } => true,
            Step::Python(python) => python.async_function.is_some(),
            Step::Registered(closures) => closures.has_async_task,
            Step::Cpu(_)
            | Step::File { .. }
            | Step::Lock { hold: Work::Cpu(_) }
            | Step::Queue { stage: Work::Cpu(_), .. } => false,
        }
    }

    /// Whether a blocking engine can run it: the user's own code may have an async form alone.
    #[must_use]
    pub const fn has_blocking_form(&self) -> bool {
        match self {
            Step::Python(python) => python.function.is_some(),
            Step::Registered(closures) => closures.has_task,
            _ => true,
        }
    }

    /// The user's own code, if it is that.
    #[must_use]
    pub const fn python(&self) -> Option<&Python> {
        match self {
            Step::Python(python) => Some(python),
            _ => None,
        }
    }

    /// What the user's own code is called, in Python or in Rust, if it is that: how long it takes, and whether it fails,
    /// is not known before it runs.
    #[must_use]
    pub fn own_code(&self) -> Option<&str> {
        match self {
            Step::Python(python) => Some(python.short()),
            Step::Registered(closures) => Some(&closures.name),
            _ => None,
        }
    }

    /// Whether it may wait for something that serves few tasks at a time and that is not known: the user's own code, another
    /// program, a far side of the user's.
    #[must_use]
    pub fn may_share(&self) -> bool {
        match self {
            Step::Http { url, .. } => url.is_some(),
            Step::Tcp { address, .. } => address.is_some(),
            Step::Command { .. } => true,
            _ => self.own_code().is_some(),
        }
    }

    /// Whether what it comes to is held against a reference.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        match self {
            Step::Python(python) => python.check != Check::None,
            Step::Registered(closures) => closures.is_checked,
            _ => true,
        }
    }

    /// The computation inside this step, if it has one.
    #[must_use]
    pub fn cpu(&self) -> Option<&Cpu> {
        match self {
            Step::Cpu(cpu) | Step::Lock { hold: Work::Cpu(cpu) } | Step::Queue { stage: Work::Cpu(cpu), .. } => {
                Some(cpu)
            }
            _ => None,
        }
    }
}

/// What is done inside a critical section or by a queue's consumer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Work {
    /// A precise wait.
    Wait {
        /// How long.
        time: Distribution,
    },
    /// Computation.
    Cpu(Cpu),
}

/// Whether a connection serves one request or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Connection {
    /// Connections are pooled and used again.
    KeepAlive,
    /// Each request opens a connection of its own.
    New,
}

/// A file operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileOperation {
    /// Reads one of a set of files whole.
    Read,
    /// Writes a file whole.
    Write,
    /// Appends to one file that all tasks share.
    Append,
}
