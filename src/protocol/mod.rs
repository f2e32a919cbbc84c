//! The frames that a controller and an agent speak: JSON, one object a line, over a private pipe pair.
//!
//! ```text
//! controller                                agent
//!                                       <-  hello {protocol, runtime, version, ..}
//! calibrate {target, budget_ns}         ->
//!                                       <-  calibrated {..}
//! probe {factory}                       ->
//!                                       <-  probed {model, ..}
//! cluster {address, ..}                 ->
//!                                       <-  cluster {address, workers, ..}
//! reference {job, budget_ns}            ->
//!                                       <-  reference {tables, ..}
//! job {candidate, steps, load, seed}    ->
//!                                       <-  ready {startup_ns, ..}      pool warm, connections open
//! go {block, kind, window_ns, ..}       ->                              as often as it likes
//!                                       <-  block {..}
//! bye {}                                ->
//!                                       <-  bye {teardown_ns}
//! ```
//!
//! Each frame is one object with one key, the frame's name: `{"go":{"block":1,..}}`. An unknown frame,
//! field or version is refused. At any point an agent may answer `failed {kind, message, where}` and
//! end. An agent reads requests from descriptor 3 and writes replies to descriptor 4; its standard
//! output belongs to the task. Times are nanoseconds of `CLOCK_MONOTONIC`, which all processes share.

mod body;
mod cluster;
mod draws;
mod inflate;
#[cfg(test)]
pub(crate) mod vectors;

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use body::{MAX_BODY_BYTES, MAX_DELAY_NS, TCP_HEADER_BYTES, body, pattern, tcp_header};
pub use cluster::{FindCluster, JobCluster};
pub use draws::{DRAWS, draw_table};

use crate::candidate::{Candidate, Cluster, Engine, Model, StartMethod};
use crate::workload::{Cpu, Load, Payload, Rate, Step};

/// The version of this protocol. An agent with another one is refused.
pub const PROTOCOL: u32 = 3;

/// The descriptor from which an agent reads requests.
pub const REQUESTS_FD: i32 = 3;
/// The descriptor to which an agent writes replies.
pub const REPLIES_FD: i32 = 4;

/// Distinct inputs of a step: task `i` uses variant `i % VARIANTS`, and so repeats its checksum.
pub const VARIANTS: u64 = 16;

/// What the controller asks of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Measure this machine, unloaded.
    Calibrate(Calibrate),
    /// Find out what an executor is that a factory of the user's builds.
    Probe(Probe),
    /// Find out what a cluster is, or start one.
    Cluster(FindCluster),
    /// Make what every candidate is held against.
    Reference(Box<MakeReference>),
    /// Become this candidate.
    Job(Box<Job>),
    /// Run one block.
    Go(Go),
    /// End.
    Bye {},
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// Its first frame, unasked.
    Hello(Hello),
    /// To `calibrate`.
    Calibrated(Calibrated),
    /// To `probe`.
    Probed(Probed),
    /// To `cluster`.
    Cluster(Cluster),
    /// To `reference`.
    Reference(Box<Reference>),
    /// To `job`.
    Ready(Ready),
    /// To `go`.
    Block(Box<Block>),
    /// To `bye`: its last frame.
    Bye(Ended),
    /// To anything: its last frame.
    Failed(Failed),
}

/// A line between a controller and an agent.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes both directions at once")]
enum Frame {
    /// From the controller to the agent.
    Request(Request),
    /// From the agent to the controller.
    Reply(Reply),
}

/// The JSON Schema of a frame.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Frame)
}

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// The protocol it speaks.
    pub protocol: u32,
    /// What tasks are written in: `rust`, `python`, .. Runtimes of one language do equal work in equal steps.
    pub language: String,
    /// The runtime's version.
    pub version: String,
    /// Whose implementation of the language it is: `CPython`, ..; `None` where there is but one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub implementation: Option<String>,
    /// The program that runs it; `None` for the native one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executable: Option<String>,
    /// Whether a global interpreter lock is in force now; `None` for a runtime without one.
    pub gil: Option<bool>,
    /// Whether it was built to run without such a lock; `None` for a runtime that knows none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub free_threaded: Option<bool>,
    /// The engines that it offers.
    pub engines: Vec<Offer>,
    /// Engines of its language that it has not, and why.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub absent: Vec<Absent>,
    /// How its worker processes may begin, its own default first; empty where there is no choice.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub start_methods: Vec<StartMethod>,
    /// The event loops that it has, with their versions.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub event_loops: Vec<String>,
    /// The smallest step of its clock.
    pub clock_resolution_ns: u64,
    /// What one reading of its clock costs.
    pub clock_cost_ns: f64,
}

/// An engine that a runtime offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The engine.
    pub engine: Engine,
    /// What its library starts when nothing is said; `None` is one for each usable CPU, or no workers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default_workers: Option<u32>,
}

/// The most blocking threads that tokio starts when nothing is said.
const TOKIO_BLOCKING_THREADS: u32 = 512;

impl Hello {
    /// How processes of an engine begin where nobody says how; `None` for an engine that begins none.
    #[must_use]
    pub fn start_method(&self, engine: Engine) -> Option<StartMethod> {
        self.start_methods.first().copied().filter(|_| engine.has_start_method())
    }
}

impl Offer {
    /// What the native runtime offers.
    #[must_use]
    pub fn native() -> Vec<Offer> {
        let default_workers = |engine| (engine == Engine::TokioBlockingPool).then_some(TOKIO_BLOCKING_THREADS);
        Engine::RUST.into_iter().map(|engine| Offer { engine, default_workers: default_workers(engine) }).collect()
    }
}

/// An engine that a runtime does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    /// The engine.
    pub engine: Engine,
    /// Why, lower case, no full stop.
    pub reason: String,
}

/// A measurement of the machine, made unloaded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibrate {
    /// What is measured.
    pub target: Target,
    /// About how long it may take.
    pub budget_ns: u64,
}

/// What `calibrate` measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// The unloaded time of one iteration of a kernel, best of many.
    Iteration(Cpu),
    /// How many cores as many independent loops as there are usable CPUs really get.
    Cores {
        /// How many loops.
        loops: u32,
    },
}

/// The result of `calibrate`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibrated {
    /// Nanoseconds of one iteration.
    Iteration {
        /// The best of many.
        best_ns: f64,
    },
    /// The rate of `loops` independent loops over the rate of one.
    Cores {
        /// At most `loops`, up to noise.
        usable_cores: f64,
    },
}

/// Find out what an executor is that a factory of the user's builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The factory: `module:name`, or `file.py:name`.
    pub factory: String,
    /// The folder in which its module is looked for, before the directory that the agent runs in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<PathBuf>,
}

/// What an executor is, as the tasks found that it ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// Where it runs tasks: in `threads` of the agent, or in other `processes`.
    pub model: Model,
    /// The host on which it runs them, where that is not the agent's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub host: Option<String>,
    /// Whether it is a context manager.
    pub is_context: bool,
    /// The tasks that it runs at once whatever number of workers its factory is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fixed_workers: Option<u32>,
}

/// Make what every candidate is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeReference {
    /// The job; its candidate is a sequential one.
    pub job: Job,
    /// About how long the user's own code may run for it; one task at least.
    pub budget_ns: u64,
    /// At most so many calls of the user's own code; `None` is no limit of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub most_calls: Option<u64>,
}

/// What an agent needs to become one candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// The candidate.
    pub candidate: Candidate,
    /// How tasks arrive.
    pub load: Load,
    /// Bytes that cross to the worker and back.
    pub payload: Payload,
    /// The steps of a task.
    pub steps: Vec<StepJob>,
    /// The seed of all inputs.
    pub seed: u64,
    /// The session's own directory, for `file` steps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub directory: Option<PathBuf>,
    /// The embedded server, for `http` and `tcp` steps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<ServerAddress>,
    /// A task that takes longer than this has failed.
    pub task_timeout_ns: u64,
    /// Whether a task that fails (kind `task`) is counted, and its block goes on: see [`Block::errors`]. Without it
    /// the first one is the answer to what was asked. Other failures always are.
    #[serde(skip_serializing_if = "is_false", default)]
    pub tolerates_errors: bool,
    /// The folder in which the factory of an executor of the user's is looked for, before the directory that the agent
    /// runs in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub executor_path: Option<PathBuf>,
    /// The cluster to which an engine of a cluster submits.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<JobCluster>,
    /// What the far side allows: an agent begins tasks no faster, whatever it runs them for (first tasks, blocks of each
    /// kind, a reference), and waits for that outside of them. Each thing that it is asked begins with an empty bucket.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rate: Option<Rate>,
    /// Where tasks are long, how many turns of them a block of a closed load is: so many times as many tasks as may be in
    /// flight, begun as they fit in. Its window ends when the last one begins, and what ended until then counts; of one turn
    /// it is the whole block. No task runs before the first block then, so that `ready` knows of no first task. 0 where
    /// blocks are as long as they are asked.
    #[serde(skip_serializing_if = "is_none", default)]
    pub turns: u32,
    /// Whether a task runs in each slot before the first block all the same, since the first call in a process loads
    /// something.
    #[serde(skip_serializing_if = "is_false", default)]
    pub warms_up: bool,
    /// Whether each call of the user's own code gets a copy of its item, since it changes it: see [`Note::Mutates`].
    #[serde(skip_serializing_if = "is_false", default)]
    pub copies_items: bool,
    /// Whether the user's own teardowns are left out, since one does not end: see [`Note::EndlessTeardown`].
    #[serde(skip_serializing_if = "is_false", default)]
    pub skips_teardown: bool,
}

impl Job {
    /// A job of these steps with nothing else to it: no payload, no rate, no far side, no directory.
    #[must_use]
    pub fn new(candidate: Candidate, load: Load, steps: Vec<StepJob>, seed: u64, task_timeout_ns: u64) -> Job {
        Job {
            candidate,
            load,
            payload: Payload::default(),
            steps,
            seed,
            directory: None,
            server: None,
            task_timeout_ns,
            tolerates_errors: false,
            executor_path: None,
            cluster: None,
            rate: None,
            turns: 0,
            warms_up: false,
            copies_items: false,
            skips_teardown: false,
        }
    }
}

/// Whether a flag has its default.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Whether there are none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_none(turns: &u32) -> bool {
    *turns == 0
}

/// Whether a count has its default.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A step with everything random already drawn, so that it is the same in every engine and runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepJob {
    /// The step.
    pub step: Step,
    /// Iterations of its kernel; 1 without a calibrated time.
    pub iterations: u64,
    /// One table of durations (ns) for each of [`Step::distributions`]; task `i` uses entry `i % length`.
    /// Tables are [`DRAWS`] long; a process made for one task is handed that task's draw alone.
    pub draws: Vec<Vec<u64>>,
    /// How many items are read of the step's iterable: see [`Reference::items`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub items: Option<u64>,
}

impl StepJob {
    /// A step with its durations drawn by this seed, as the step of this number in its task.
    #[must_use]
    pub fn drawn(step: Step, iterations: u64, seed: u64, number: u64) -> StepJob {
        let draws =
            step.distributions().into_iter().map(|distribution| draw_table(distribution, seed, number)).collect();
        StepJob { step, iterations, draws, items: None }
    }
}

/// Where the embedded server listens: loopback ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerAddress {
    /// The HTTP port.
    pub http_port: u16,
    /// The TCP port.
    pub tcp_port: u16,
    /// The server's process.
    pub pid: u32,
}

/// The checksums of each step for each variant: `tables[step][variant]`, [`VARIANTS`] long; and, where a step
/// is the user's own code, the results of tasks, by value.
///
/// A task's checksum is the wrapping sum of its steps' checksums; a block's is the wrapping sum of
/// its tasks'. The user's own code adds nothing to it: digesting each result would charge tasks for work
/// that is not theirs. Its results are compared in `verify` blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// One table a step, and one last for the payload.
    pub tables: Vec<Vec<u64>>,
    /// A digest of the results of task 0, 1, ..; empty without a step of the user's own code, or if there is
    /// nothing to compare. It is 0 for a result without a value to compare, and for a task that failed where that is
    /// tolerated.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub results: Vec<u64>,
    /// How many different items its tasks have: task i uses item `i * stride % distinct`. 0 where they take none.
    #[serde(default)]
    pub distinct: u64,
    /// How far it is from a task's item to the next task's. 1 where tasks take the items in their order.
    #[serde(default)]
    pub stride: u64,
    /// Calls of the user's own code that were made for it.
    #[serde(default)]
    pub calls: u64,
    /// What the first of these calls took, which may load something for all; 0 where there was none.
    #[serde(default)]
    pub first_call_ns: u64,
    /// The least that one of them took; 0 where there was none.
    #[serde(default)]
    pub call_ns: u64,
    /// What was found while the user's own code ran.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<Note>,
    /// What it takes to pickle the user's callables, items and results, whether or not a candidate does so; `None` where
    /// a step has no blocking form of the user's own code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serialisation: Option<Serialisation>,
    /// What the user's code holds open; `None` where it opens nothing, or has no steps.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub opened: Option<Opened>,
    /// What the user's code uses of its modules that each process has its own of.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub module_state: Vec<ModuleState>,
    /// For each step how many items were read of its iterable, `None` where every agent finds the same; empty where all
    /// do. Other agents are told it, so that all use the same items.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items: Vec<Option<u64>>,
    /// Whether a call of what a step names as its items gave them: code that uses them has to call it, too.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub items_are_called: bool,
    /// The names of the function's module that the expression uses which gives the items.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub items_names: Vec<String>,
    /// Whether items are mappings that are spread over parameters by their names.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub items_are_mappings: bool,
    /// What libraries compute with while tasks of the user's own code run; `None` where they started no thread.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<LibraryThreads>,
    /// Engines whose packages the user's own code imports, of those that are raced only then.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub imported: Vec<Engine>,
}

/// Threads that libraries of a task started, which compute in it beside the thread that runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LibraryThreads {
    /// How many compute in one task, the one that runs it among them: as `threadpoolctl` says where the user's
    /// environment has it, else as counted.
    pub threads: u32,
    /// The share of the tasks' CPU time that was used by others than the thread that ran them, from 0 to 1.
    pub cpu_share: f64,
    /// The libraries, as far as they are known: `openblas`, `mkl`, `blis`, `openmp`, `numexpr`, `polars`.
    pub libraries: Vec<String>,
    /// The environment variables that set the number, one a library; `OMP_NUM_THREADS` where no library is known.
    pub variables: Vec<String>,
    /// What the user's environment sets of all such variables, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub set: BTreeMap<String, String>,
}

/// From this share of the tasks' CPU time on, threads of libraries compute in them. Idle ones wake now and then.
const COMPUTING_SHARE: f64 = 0.05;

impl LibraryThreads {
    /// Whether tasks really compute with several threads: a library that is loaded for something else only has them.
    #[must_use]
    pub fn compute(&self) -> bool {
        self.threads > 1 && self.cpu_share >= COMPUTING_SHARE
    }
}

/// What an agent found while it ran the user's own code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Note {
    /// A call changes its item.
    Mutates {
        /// The item, from 0.
        item: u64,
    },
    /// Few calls take many times as long as most.
    Uneven {
        /// How many calls were looked at.
        calls: u64,
        /// What half of them took at most.
        median_ns: u64,
        /// What the longest took.
        longest_ns: u64,
    },
    /// A second call on the same item is much faster: something is cached.
    SecondPassFaster {
        /// The median time of a first call.
        first_ns: u64,
        /// The median time of a second call.
        second_ns: u64,
    },
    /// Two calls on equal items gave different results.
    Unstable {
        /// The item, from 0.
        item: u64,
    },
    /// A result cannot be compared by value.
    Incomparable {
        /// The item, from 0.
        item: u64,
        /// The result's type.
        #[serde(rename = "type")]
        type_name: String,
        /// Why.
        reason: String,
    },
    /// Items are used again and again, though their iterable may have more: it is not read to its end.
    ItemsRepeat {
        /// How many were read.
        items: u64,
    },
    /// The signal SIGCHLD is ignored: the kernel then reaps children, and the CPU time of those that ended is in nobody's
    /// account.
    ChildrenUncounted {},
    /// A teardown of the user's own does not end.
    EndlessTeardown {
        /// How it failed when it was ended.
        message: String,
    },
    /// The user's own code sets a start method when it is imported, which is not the runtime's default.
    SetsStartMethod {
        /// The method.
        method: StartMethod,
    },
    /// An error that a task raised cannot be handed back by a worker process as it is. (Agents hand back its words.)
    ErrorCannotCross {
        /// The error's class.
        #[serde(rename = "type")]
        type_name: String,
        /// Why.
        reason: String,
        /// Whether it is pickled and cannot be made again: a `ProcessPoolExecutor` breaks of it, and a
        /// `multiprocessing.Pool` waits for ever. Else a pickling error comes back in its place.
        breaks_pool: bool,
    },
}

impl Note {
    /// Whether another note says the same of the user's code: times, and words of an interpreter, differ from run to run.
    #[must_use]
    pub fn is_same(&self, other: &Note) -> bool {
        match (self, other) {
            (Note::SecondPassFaster { .. } | Note::Uneven { .. } | Note::ItemsRepeat { .. }, _) => {
                std::mem::discriminant(self) == std::mem::discriminant(other)
            }
            // A class fails in the same way whatever its instance.
            (Note::ErrorCannotCross { type_name: one, .. }, Note::ErrorCannotCross { type_name: other, .. }) => {
                one == other
            }
            _ => self == other,
        }
    }
}

impl Reference {
    /// The checksum that this block must have.
    #[must_use]
    pub fn expected_of(&self, block: &Block) -> u64 {
        if block.variants.is_empty() {
            return self.expected(block.first_index, block.tasks);
        }
        let of = |(variant, tasks): (u64, &u64)| self.expected(variant, 1).wrapping_mul(*tasks);
        (0..VARIANTS).zip(&block.variants).map(of).fold(0, u64::wrapping_add)
    }

    /// The checksum that a block of `tasks` tasks from `first_index` on must have.
    #[must_use]
    pub fn expected(&self, first_index: u64, tasks: u64) -> u64 {
        let one = |variant: u64| {
            self.tables
                .iter()
                .map(|table| table.get(variant as usize).copied().unwrap_or(0))
                .fold(0_u64, u64::wrapping_add)
        };
        (0..VARIANTS)
            .map(|variant| {
                let offset = (variant + VARIANTS - first_index % VARIANTS) % VARIANTS;
                let times = tasks.saturating_sub(offset).div_ceil(VARIANTS);
                one(variant).wrapping_mul(times)
            })
            .fold(0, u64::wrapping_add)
    }
}

/// An agent has become its candidate: its pool is warm and its connections are open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// From `job` received until all workers are ready for tasks: their pool started, everything imported, all of them
    /// set up, at once as in a user's program.
    pub ready_ns: u64,
    /// From `job` received to the first task done.
    pub startup_ns: u64,
    /// The service time of that first task.
    pub first_task_ns: u64,
    /// The processes that make up this candidate now, the agent first.
    pub pids: Vec<u32>,
    /// Whether a global interpreter lock is in force where tasks run, now that all is imported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gil: Option<bool>,
    /// Threads of the agent's process that the interpreter did not start: those of libraries that compute with several.
    #[serde(default)]
    pub library_threads: u32,
}

/// Run one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Go {
    /// The block's number in the session, echoed in the answer.
    pub block: u32,
    /// What kind of block.
    pub kind: BlockKind,
    /// The length of the window. Under a batch load, ignored.
    pub window_ns: u64,
    /// The index of its first task.
    pub first_index: u64,
    /// The most tasks that the block may run, whatever its window; `None` is no limit. A window that the
    /// tasks do not fill is shorter: see [`Block::window_ns`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub most_tasks: Option<u64>,
}

/// What a block is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Its figures count.
    Timed,
    /// Runs under load while memory is sampled from outside and a heartbeat watches each event loop;
    /// its throughput does not count.
    Memory,
    /// Each variant once; its results are compared, its throughput does not count.
    ///
    /// For the user's own code, whose results are compared by value, outside every timed block.
    Verify,
}

/// The figures of one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The number from `go`.
    pub block: u32,
    /// The kind from `go`.
    pub kind: BlockKind,
    /// The index of the first task; the block ran `tasks` successive ones.
    pub first_index: u64,
    /// Tasks done in the whole block, ramp and drain and those that failed included.
    pub tasks: u64,
    /// How many of them failed, where `job` says `tolerates_errors`. They count as tasks run, and for nothing else:
    /// not in `tasks_in_window`, `busy_ns`, `service` and `queueing`.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub errors: u64,
    /// Why the first of those failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_error: Option<Failed>,
    /// What was found of the errors of those, each thing once.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<Note>,
    /// How many tasks there were of each variant (their index modulo [`VARIANTS`]), where they were not successive ones:
    /// loops that take their tasks themselves may have run unequal numbers of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub variants: Vec<u64>,
    /// The wrapping sum of the checksums of all others. It is not compared where tasks failed: which ones is not told.
    pub checksum: u64,
    /// The length of the window; under a batch load, the makespan.
    ///
    /// When `go`'s `most_tasks` were begun before the window's end, the window ends where the last of them
    /// began: until then the load was full. Tasks too few to reach the window at all count as a batch.
    pub window_ns: u64,
    /// The length of the whole block, from `go` to the last task's end.
    pub elapsed_ns: u64,
    /// From `go` to the first task begun.
    pub resume_ns: u64,
    /// Closed load: sum over tasks of (overlap with the window / duration); batch: all tasks. In a record, where more
    /// tasks than cores shared all cores: see [`Block::counted_by_cpu`].
    pub tasks_in_window: f64,
    /// Cores in use within the window of a closed load, by CPU time read when the first tasks ended after its begin and
    /// after its end; where it was read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window_cores: Option<f64>,
    /// Service times of the tasks begun in the window, in ns.
    pub service: HistogramData,
    /// Times from submission to the task's start, of the same tasks, in ns.
    pub queueing: HistogramData,
    /// Sum of the time that tasks spent in service within the window, over all of them, in ns.
    pub busy_ns: u64,
    /// What the whole block used, over all processes of the candidate.
    pub usage: Usage,
    /// The longest that an event loop was late for its heartbeat; memory blocks of event loops only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub longest_stall_ns: Option<u64>,
    /// What it takes to pickle what crosses to a worker and back; memory blocks of engines whose tasks cross.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub serialisation: Option<Serialisation>,
    /// Digests of the results of the user's own code, one a task from `first_index` on, 0 for one that failed; verify
    /// blocks only.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub results: Vec<u64>,
}

/// What the user's own code holds open once a process is ready for tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Opened while it is imported: forked workers share it.
    pub at_import: Descriptors,
    /// Opened by `setup`: each process has its own. Sockets are those with a far side.
    pub by_setup: Descriptors,
    /// Opened by `setup_thread`: each thread has its own.
    #[serde(default)]
    pub by_setup_thread: Descriptors,
    /// Threads of the interpreter's own that run since it was imported. A forked worker lacks them, and any lock that one of
    /// them held at that moment stays locked in it.
    #[serde(default)]
    pub threads: u32,
}

/// Something that the user's code shares between threads by a name of its modules, and of which each process has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleState {
    /// Its name, as the code writes it: `lock`, `cache.rows`.
    pub name: String,
    /// Its type: `threading.Lock`, `list`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether calls were seen to change it; else it is something that threads of one process wait for.
    pub changes: bool,
}

/// Open descriptors, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Descriptors {
    /// Sockets.
    pub sockets: u32,
    /// Files, but for those that are only appended to.
    pub files: u32,
}

/// What it takes to make bytes of what is given to a task and handed back, and values of these bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Serialisation {
    /// Bytes of a task, both ways, with its part of the callable.
    pub bytes_per_task: f64,
    /// Time of a task, both ways, at both ends, with its part of the callable.
    pub ns_per_task: f64,
    /// What is called, pickled once: a function takes the bytes of its name, a method those of its object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub callable: Option<Pickled>,
    /// What a task is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub item: Option<Pickled>,
    /// What a task hands back.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<Pickled>,
    /// Tasks that share one pickled callable: those of a chunk.
    #[serde(default = "one")]
    pub tasks_per_callable: u32,
}

/// What it takes to pickle something and to make it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pickled {
    /// Bytes.
    pub bytes: f64,
    /// Time, at both ends.
    pub ns: f64,
}

fn one() -> u32 {
    1
}

impl Serialisation {
    /// The same parts, where so many tasks share one pickled callable.
    #[must_use]
    pub fn shared_by(self, tasks_per_callable: u32) -> Serialisation {
        let tasks = f64::from(tasks_per_callable.max(1));
        let of_task = |figure: fn(Pickled) -> f64| {
            let both_ways: f64 = self.item.into_iter().chain(self.result).map(figure).sum();
            both_ways + self.callable.map_or(0.0, |callable| figure(callable) / tasks)
        };
        Serialisation {
            bytes_per_task: of_task(|part| part.bytes),
            ns_per_task: of_task(|part| part.ns),
            tasks_per_callable: tasks_per_callable.max(1),
            ..self
        }
    }
}

/// From this share of the cores on, they are taken for what limits the throughput.
const ALL_CORES: f64 = 0.9;
/// Where programs that tasks started used more than this share of the CPU time, it is not known when they used it.
const MOST_OF_CHILDREN: f64 = 0.1;

impl Block {
    /// The block, its tasks counted by CPU time where more threads or processes (`at_once`) than cores shared all of
    /// `cores`: those in the window are the CPU time used in it over that of a task.
    ///
    /// A task that straddles an edge counts by the part of its time that lies in the window, as if it went on evenly.
    /// Threads that share cores do not: each runs for a slice of the scheduler's, and waits for all others. Tasks that
    /// began together, and take about the time of a slice, are nearly done all at once when the window begins, and less so
    /// with every turn. On two cores, 64 threads with tasks of 2 ms ended 5 % more tasks in a window than their CPU time
    /// allows. Over a whole block nothing is in flight at either end, so its CPU time per task is exact.
    #[must_use]
    pub fn counted_by_cpu(mut self, cores: f64, at_once: u32) -> Block {
        let Some(used) = self.window_cores else { return self };
        let is_shared = f64::from(at_once) > cores.ceil() && used >= ALL_CORES * cores;
        let (cpu_ns, children_ns) = (self.usage.cpu_ns() as f64, self.usage.children_ns as f64);
        let is_known = self.errors == 0 && self.tasks > 0 && cpu_ns > 0.0 && children_ns <= MOST_OF_CHILDREN * cpu_ns;
        if is_shared && is_known {
            self.tasks_in_window = used * self.window_ns as f64 * self.tasks as f64 / cpu_ns;
        }
        self
    }

    /// Tasks per second in the window.
    #[must_use]
    pub fn throughput_per_s(&self) -> f64 {
        if self.window_ns == 0 { 0.0 } else { self.tasks_in_window * 1e9 / self.window_ns as f64 }
    }
}

/// What processes used of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// CPU time in user mode.
    pub user_ns: u64,
    /// CPU time in the kernel.
    pub system_ns: u64,
    /// Context switches that a thread asked for by waiting.
    pub voluntary_switches: u64,
    /// Context switches that the scheduler imposed.
    pub involuntary_switches: u64,
    /// What of the CPU time was used by programs that tasks started, not by the processes that run tasks.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub children_ns: u64,
}

impl Usage {
    /// Field by field `self - earlier`, never below zero.
    #[must_use]
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            user_ns: self.user_ns.saturating_sub(earlier.user_ns),
            system_ns: self.system_ns.saturating_sub(earlier.system_ns),
            voluntary_switches: self.voluntary_switches.saturating_sub(earlier.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_sub(earlier.involuntary_switches),
            children_ns: self.children_ns.saturating_sub(earlier.children_ns),
        }
    }

    /// User and system time together.
    #[must_use]
    pub fn cpu_ns(self) -> u64 {
        self.user_ns.saturating_add(self.system_ns)
    }

    /// The part of it that the processes used that run tasks: programs that these started need no lock of theirs.
    #[must_use]
    pub fn own_cpu_ns(self) -> u64 {
        self.cpu_ns().saturating_sub(self.children_ns)
    }
}

impl std::ops::Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            user_ns: self.user_ns.saturating_add(other.user_ns),
            system_ns: self.system_ns.saturating_add(other.system_ns),
            voluntary_switches: self.voluntary_switches.saturating_add(other.voluntary_switches),
            involuntary_switches: self.involuntary_switches.saturating_add(other.involuntary_switches),
            children_ns: self.children_ns.saturating_add(other.children_ns),
        }
    }
}

/// An agent's last word after `bye`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// How long it took to take the pool down, the user's own teardown included.
    pub teardown_ns: u64,
    /// What tasks began and did not end.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub left_behind: Vec<LeftBehind>,
    /// Why the user's own teardown failed: the first that did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failed_teardown: Option<Failed>,
}

/// What tasks began and did not end, of one kind and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftBehind {
    /// What it is: `thread`, `task` (of an event loop), `process`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// Why a candidate cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failed {
    /// What sort of failure.
    pub kind: FailureKind,
    /// What failed and, where known, what to do. Lower case, no full stop.
    pub message: String,
    /// Where: a step (`step 2 (http)`), a worker, or empty.
    #[serde(rename = "where")]
    pub place: String,
    /// For the user's own code: where in it, as its runtime prints it, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub traceback: Vec<String>,
}

impl Reference {
    /// Whether two results of a task are not the same. Where tasks may fail (`tolerant`), they are compared where both have
    /// one.
    #[must_use]
    pub fn differ(one: u64, other: u64, tolerant: bool) -> bool {
        one != other && !(tolerant && (one == 0 || other == 0))
    }

    /// Where the item of task `task` stands among the user's.
    #[must_use]
    pub fn item(&self, task: u64) -> u64 {
        let place = u128::from(task) * u128::from(self.stride.max(1));
        if self.distinct == 0 { task } else { (place % u128::from(self.distinct)) as u64 }
    }
}

impl Failed {
    /// A failure without a traceback.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>, place: impl Into<String>) -> Failed {
        Failed { kind, message: message.into(), place: place.into(), traceback: Vec::new() }
    }

    /// Whether another failure says the same: numbers in it, of an item or a port, may differ.
    #[must_use]
    pub fn says_the_same(&self, other: &Failed) -> bool {
        let words = |failed: &Failed| failed.message.replace(|it: char| it.is_ascii_digit(), "");
        let is_wrong = |failed: &Failed| failed.kind == FailureKind::Checksum;
        (is_wrong(self) && is_wrong(other)) || words(self) == words(other)
    }
}

/// A sort of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A task returned an error.
    Task,
    /// The candidate could not be set up.
    Setup,
    /// A module or what it is to hold is not there: the name is wrong.
    Name,
    /// A worker process or thread died.
    Worker,
    /// The agent process died.
    Agent,
    /// A deadline passed without an answer.
    Hang,
    /// The results were not those of the reference.
    Checksum,
    /// The other side did not speak the protocol.
    Protocol,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.place.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.place, self.message) }
    }
}

impl std::error::Error for Failed {}

/// An HDR histogram of nanoseconds, as base64 of its V2 DEFLATE serialisation (the interchange format
/// of the HdrHistogram project). Three significant digits; nothing clamped.
/// One with more digits is refused: its size would be what its text says, not what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct HistogramData(pub String);

/// A histogram text that does not decode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an HDR histogram in base64: {0}")]
pub struct BadHistogram(String);

impl HistogramData {
    /// Encodes a histogram.
    ///
    /// # Errors
    /// When the histogram is too large to serialise.
    pub fn encode(histogram: &hdrhistogram::Histogram<u64>) -> Result<HistogramData, BadHistogram> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(histogram, &mut bytes)
            .map_err(|error| BadHistogram(format!("{error:?}")))?;
        Ok(HistogramData(BASE64_STANDARD.encode(bytes)))
    }

    /// Decodes the histogram; an empty text is an empty histogram.
    ///
    /// # Errors
    /// When the text is not base64 or not a histogram.
    pub fn decode(&self) -> Result<hdrhistogram::Histogram<u64>, BadHistogram> {
        if self.0.is_empty() {
            return hdrhistogram::Histogram::new(3).map_err(|error| BadHistogram(error.to_string()));
        }
        let bytes = BASE64_STANDARD.decode(&self.0).map_err(|error| BadHistogram(error.to_string()))?;
        let inflated = inflate::inflated(&bytes).map_err(|why| BadHistogram(why.to_owned()))?;
        Deserializer::new().deserialize(&mut inflated.as_slice()).map_err(|error| BadHistogram(format!("{error:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_do_nothing_in_a_task_do_not_compute() {
        let of = |threads, cpu_share| LibraryThreads { threads, cpu_share, ..LibraryThreads::default() };
        assert!(of(2, 0.48).compute());
        assert!(!of(2, 0.001).compute());
        assert!(!of(1, 0.48).compute());
    }

    #[test]
    fn a_frame_is_one_object_with_one_key() {
        let go = Request::Go(Go { block: 1, kind: BlockKind::Timed, window_ns: 5, first_index: 0, most_tasks: None });
        let text = serde_json::to_string(&go).expect("a frame serialises");
        assert_eq!(text, r#"{"go":{"block":1,"kind":"timed","window_ns":5,"first_index":0}}"#);
        assert_eq!(serde_json::from_str::<Request>(&text).expect("and back"), go);
        let text = r#"{"go":{"block":1,"kind":"timed","window_ns":5,"first_index":0,"most_tasks":9}}"#;
        let Request::Go(go) = serde_json::from_str(text).expect("a frame") else { panic!("not a go") };
        assert_eq!(go.most_tasks, Some(9));
        assert_eq!(serde_json::to_string(&Request::Bye {}).expect("a frame serialises"), r#"{"bye":{}}"#);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let text = r#"{"go":{"block":1,"kind":"timed","window_ns":5,"first_index":0,"surprise":1}}"#;
        assert!(serde_json::from_str::<Request>(text).is_err());
        assert!(serde_json::from_str::<Request>(r#"{"come":{}}"#).is_err());
    }

    #[test]
    fn expected_checksum_is_the_sum_over_the_indices() {
        let tables: Vec<Vec<u64>> =
            (0..3).map(|step| (0..VARIANTS).map(|variant| u64::MAX / 3 + variant * 977 + step).collect()).collect();
        let reference = Reference { tables: tables.clone(), ..Reference::default() };
        for first in [0, 1, 15, 16, 37] {
            for tasks in [0, 1, 7, 16, 40] {
                let slow = (first..first + tasks)
                    .flat_map(|index| tables.iter().map(move |table| table[(index % VARIANTS) as usize]))
                    .fold(0, u64::wrapping_add);
                assert_eq!(reference.expected(first, tasks), slow, "{first} {tasks}");
            }
        }
    }

    #[test]
    fn a_histogram_survives_the_wire() {
        let mut histogram = hdrhistogram::Histogram::<u64>::new(3).expect("three digits are legal");
        for value in [1, 20, 300_000, 4_000_000_000] {
            histogram.record(value).expect("auto-resize");
        }
        let data = HistogramData::encode(&histogram).expect("encodes");
        assert_eq!(data.decode().expect("decodes"), histogram);
        assert!(HistogramData("?".to_owned()).decode().is_err());
        assert_eq!(HistogramData::default().decode().expect("empty").len(), 0);
    }
}
