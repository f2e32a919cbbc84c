//! Planning: a workload on a host becomes engines to race and sizes to try; what is left out has a reason.
//!
//! Pure: it reads nothing, starts nothing.

mod build;
mod caps;
mod estimate;
mod ladder;
mod library_threads;
mod memory;
mod named;
mod runtime;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use build::{Call, chunk_ladder, plan, with_short_chunks};
pub use estimate::{nominal_cpu_ns, nominal_task_ns};
pub use library_threads::{with_one_for_each_model, with_one_thread};
pub use named::{admit, begin_by, reach};
pub use runtime::Runtime;

use crate::candidate::{Candidate, Engine, Sizes, StartMethod};
use crate::workload::{Load, Workload};

/// All tasks of a user are run in each block where that is foreseen to take one after another at most this part of the
/// budget,
const BATCH_PART: f64 = 16.0;
/// and where `max_calls` allows so many blocks.
const BATCHES: u64 = 16;

/// The workload of who has so many tasks, or as many as it says itself. Few of them are handed over at once in each block,
/// as a batch; of many the rate is measured, and the time of all is computed from it. What a file calls a batch is one.
#[must_use]
pub fn of_tasks(mut workload: Workload, tasks: Option<u32>, budget_ns: u64) -> Workload {
    let Some(tasks) = tasks.or(workload.tasks) else { return workload };
    let max_in_flight = workload.load.max_in_flight();
    let most = workload.max_calls.unwrap_or(u64::MAX);
    let is_batch = match workload.load {
        Load::Batch { .. } => u64::from(tasks) <= most,
        Load::Closed { .. } => {
            let each_ns = workload.rate.map_or(0.0, |rate| rate.interval_ns() as f64).max(nominal_task_ns(&workload));
            let all_ns = each_ns * f64::from(tasks);
            all_ns <= budget_ns as f64 / BATCH_PART && u64::from(tasks).saturating_mul(BATCHES) <= most
        }
    };
    (workload.load, workload.tasks) = if is_batch {
        (Load::Batch { tasks, max_in_flight }, None)
    } else {
        (Load::Closed { max_in_flight }, Some(tasks))
    };
    workload
}

/// What the user asked for, beside the workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Only these runtimes; empty is all.
    pub runtimes: Vec<String>,
    /// Only these models; empty is all.
    pub models: Vec<crate::candidate::Model>,
    /// Only these engines; empty is all.
    pub engines: Vec<Engine>,
    /// Factories of executors that are raced too, as the user named them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub executors: Vec<String>,
    /// The cluster that is raced too, in the user's words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<String>,
    /// Files of the user's code that its workers are sent, as the user named them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub cluster_upload: Vec<String>,
    /// Only these ways to begin worker processes; empty is each runtime's default.
    pub start_methods: Vec<StartMethod>,
    /// Only these numbers of workers; empty is a search.
    pub workers: Vec<u32>,
    /// Only these numbers of tasks in flight; empty is a search.
    pub in_flight: Vec<u32>,
    /// Only these numbers of tasks in a chunk; empty is a search.
    pub chunk: Vec<u32>,
    /// How long the session may take.
    pub budget_ns: u64,
    /// The seed of all inputs, draws and shuffles.
    pub seed: u64,
    /// Whether to measure, after the answer, how it changes with the computation of a task.
    #[serde(default)]
    pub sweeps: bool,
}

/// What a session will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The engines to race, simplest model first.
    pub entries: Vec<Entry>,
    /// Engines that are raced too where the user's own code imports what they need, which a session finds out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub if_imported: Vec<Entry>,
    /// What is left out, and why.
    pub left_out: Vec<LeftOut>,
    /// What the session will take.
    pub foreseen: Foreseen,
    /// What the user should know before it runs.
    pub notes: Vec<String>,
    /// What is not known before it runs, and what is assumed instead: a session finds it out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub unknowns: Vec<String>,
}

/// One engine of a plan, with the sizes that may be tried.
///
/// Sizes are searched one axis at a time: `in_flight` first, at the default workers, then `workers`, then
/// `chunk`.
/// A ladder is ascending and never empty for an axis that the engine has, empty for one it has not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The runtime.
    pub runtime: String,
    /// The engine.
    pub engine: Engine,
    /// How its worker processes begin, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_method: Option<StartMethod>,
    /// How many threads a task's libraries may compute with: see [`Candidate::library_threads`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<u32>,
    /// The sizes that its library gives when the user says nothing; always on the ladders.
    pub default_sizes: Sizes,
    /// The ladder of `in_flight`.
    pub in_flight: Vec<u32>,
    /// The ladder of `workers`.
    pub workers: Vec<u32>,
    /// The ladder of `chunk`.
    pub chunk: Vec<u32>,
}

impl Entry {
    /// The candidate of this entry with these sizes.
    #[must_use]
    pub fn candidate(&self, sizes: Sizes) -> Candidate {
        let Entry { engine, start_method, library_threads, .. } = *self;
        Candidate { runtime: self.runtime.clone(), engine, start_method, library_threads, sizes }
    }
}

/// A combination that is not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// The combination, as the table names it: `rust/process-pool`, or with sizes.
    pub what: String,
    /// Why, lower case, no full stop.
    pub reason: String,
}

/// What a session is expected to take, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Foreseen {
    /// Time, with its end.
    pub time_ns: u64,
    /// Tasks run, all candidates together.
    pub calls: u64,
    /// Processes alive at once.
    pub processes: u64,
    /// Threads alive at once.
    pub threads: u64,
    /// Open files of the process that has most.
    pub open_files: u64,
}
