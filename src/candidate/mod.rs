//! Candidates: a runtime, an engine and its sizes, written `rust/tokio-multi-thread@w2,f64` or
//! `python3.11/multiprocessing.Pool@fork,w2,c16`.
//!
//! The words of the table live here and nowhere else; every room may use them, and this one knows none.

mod cluster;
mod own;

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cluster::{Cluster, ClusterLimits, ClusterWorker, Dispatch};
pub use own::{OwnExecutor, Word, steers, tasks};

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

impl FromStr for Model {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "model", &Model::ALL, |model| model.name())
    }
}

/// One concrete implementation of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// A plain loop on the main thread; every runtime has it.
    Sequential,
    /// Threads that take tasks from one bounded channel.
    ThreadPool,
    /// A thread spawned and joined for each task.
    ThreadPerTask,
    /// A rayon pool that runs a parallel iterator.
    Rayon,
    /// One event loop on one thread.
    TokioCurrentThread,
    /// Tokio's work-stealing runtime.
    TokioMultiThread,
    /// One event loop on one thread, by smol.
    Smol,
    /// One event loop on one thread over io_uring, by compio.
    Compio,
    /// Threads with a current-thread tokio runtime each.
    TokioSharded,
    /// Worker processes over Unix sockets.
    ProcessPool,
    /// A process spawned and reaped for each task.
    ProcessPerTask,
    /// One event loop, with the blocking steps under `spawn_blocking`.
    TokioBlockingPool,
    /// One event loop, with the blocking steps in worker processes.
    TokioProcessPool,
    /// `concurrent.futures.ThreadPoolExecutor`.
    #[serde(rename = "ThreadPoolExecutor")]
    ThreadPoolExecutor,
    /// A `threading.Thread` started and joined for each task.
    #[serde(rename = "Thread")]
    Thread,
    /// `asyncio` tasks (`create_task`, or `gather` over a batch) with a bound on what is in flight.
    #[serde(rename = "asyncio")]
    Asyncio,
    /// `asyncio.TaskGroup` with a bound on what is in flight.
    #[serde(rename = "TaskGroup")]
    TaskGroup,
    /// `asyncio` tasks on uvloop.
    #[serde(rename = "uvloop")]
    Uvloop,
    /// Threads with an `asyncio` loop each, in a CPython that runs without a GIL.
    #[serde(rename = "threaded-asyncio")]
    ThreadedAsyncio,
    /// Worker processes with an `asyncio` loop each.
    #[serde(rename = "sharded-asyncio")]
    ShardedAsyncio,
    /// `concurrent.futures.ProcessPoolExecutor`: `submit`, or `map` over a batch; chunks as `map(chunksize=)` makes them.
    #[serde(rename = "ProcessPoolExecutor")]
    ProcessPoolExecutor,
    /// `multiprocessing.Pool`: `map`.
    #[serde(rename = "multiprocessing.Pool")]
    MultiprocessingPool,
    /// A `multiprocessing.Process` for each task, its result over a `Queue`.
    #[serde(rename = "Process")]
    Process,
    /// `concurrent.futures.InterpreterPoolExecutor` (CPython 3.14 and later).
    #[serde(rename = "InterpreterPoolExecutor")]
    InterpreterPoolExecutor,
    /// One event loop, with the blocking steps under `run_in_executor` on threads.
    #[serde(rename = "asyncio+ThreadPoolExecutor")]
    AsyncioThreads,
    /// One event loop, with the blocking steps under `run_in_executor` on a `ProcessPoolExecutor`.
    #[serde(rename = "asyncio+ProcessPoolExecutor")]
    AsyncioProcesses,
    /// `multiprocessing.pool.ThreadPool`: `apply_async`, or `map` over a batch.
    #[serde(rename = "multiprocessing.pool.ThreadPool")]
    PoolOfThreads,
    /// `joblib.Parallel` on its threads.
    #[serde(rename = "joblib+threading")]
    JoblibThreading,
    /// `trio` tasks in a nursery, with a bound on what is in flight.
    #[serde(rename = "trio")]
    Trio,
    /// Greenlets of a `gevent.pool.Pool`, under a standard library that is patched.
    #[serde(rename = "gevent")]
    Gevent,
    /// loky's reusable executor.
    #[serde(rename = "loky")]
    Loky,
    /// `joblib.Parallel` on loky's processes.
    #[serde(rename = "joblib+loky")]
    JoblibLoky,
    /// The same with joblib's own `batch_size="auto"`, which is no fixed size.
    #[serde(rename = "joblib+loky+auto")]
    JoblibAuto,
    /// One event loop, with the blocking steps under `anyio.to_thread.run_sync`.
    #[serde(rename = "anyio")]
    Anyio,
    /// `distributed.Client.submit` to the workers of a Dask cluster, with a bound on what is in flight.
    Dask,
    /// What a factory of the user's builds, under CPython.
    Own(OwnExecutor),
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

impl FromStr for StartMethod {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "start method", &StartMethod::ALL, |method| method.name())
    }
}

/// Which sizes an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// It has a number of workers (threads or processes).
    pub workers: bool,
    /// It has a number of tasks in flight of its own. Without it, each worker has one task in flight.
    pub in_flight: bool,
    /// It hands tasks to its workers in chunks.
    pub chunk: bool,
}

impl Axes {
    /// Those of these sizes that the engine has.
    #[must_use]
    pub fn sizes(self, workers: u32, in_flight: u32, chunk: u32) -> Sizes {
        Sizes {
            workers: self.workers.then_some(workers),
            in_flight: self.in_flight.then_some(in_flight),
            chunk: self.chunk.then_some(chunk),
        }
    }
}

impl Engine {
    /// The engines of the native runtime, simplest model first.
    pub const RUST: [Engine; 13] = [
        Engine::Sequential,
        Engine::ThreadPool,
        Engine::ThreadPerTask,
        Engine::Rayon,
        Engine::TokioCurrentThread,
        Engine::TokioMultiThread,
        Engine::Smol,
        Engine::Compio,
        Engine::TokioSharded,
        Engine::ProcessPool,
        Engine::ProcessPerTask,
        Engine::TokioBlockingPool,
        Engine::TokioProcessPool,
    ];

    /// The engines of CPython, simplest model first; then those that are raced where the user's code imports them, and the
    /// one that is raced where the user names a cluster.
    pub const PYTHON: [Engine; 23] = [
        Engine::Sequential,
        Engine::ThreadPoolExecutor,
        Engine::Thread,
        Engine::Asyncio,
        Engine::TaskGroup,
        Engine::Uvloop,
        Engine::ThreadedAsyncio,
        Engine::ShardedAsyncio,
        Engine::ProcessPoolExecutor,
        Engine::MultiprocessingPool,
        Engine::Process,
        Engine::InterpreterPoolExecutor,
        Engine::AsyncioThreads,
        Engine::AsyncioProcesses,
        Engine::PoolOfThreads,
        Engine::JoblibThreading,
        Engine::Trio,
        Engine::Gevent,
        Engine::Loky,
        Engine::JoblibLoky,
        Engine::JoblibAuto,
        Engine::Anyio,
        Engine::Dask,
    ];

    /// Every engine of every runtime, each once; those of the user's own are not known here.
    #[must_use]
    pub fn all() -> Vec<Engine> {
        let python = Engine::PYTHON.into_iter().filter(|engine| !Engine::RUST.contains(engine));
        Engine::RUST.into_iter().chain(python).collect()
    }

    /// The engine's name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Engine::Sequential => "sequential",
            Engine::ThreadPool => "thread-pool",
            Engine::ThreadPerTask => "thread-per-task",
            Engine::Rayon => "rayon",
            Engine::TokioCurrentThread => "tokio-current-thread",
            Engine::TokioMultiThread => "tokio-multi-thread",
            Engine::Smol => "smol",
            Engine::Compio => "compio",
            Engine::TokioSharded => "tokio-sharded",
            Engine::ProcessPool => "process-pool",
            Engine::ProcessPerTask => "process-per-task",
            Engine::TokioBlockingPool => "tokio-blocking-pool",
            Engine::TokioProcessPool => "tokio-process-pool",
            Engine::ThreadPoolExecutor => "ThreadPoolExecutor",
            Engine::Thread => "Thread",
            Engine::Asyncio => "asyncio",
            Engine::TaskGroup => "TaskGroup",
            Engine::Uvloop => "uvloop",
            Engine::ThreadedAsyncio => "threaded-asyncio",
            Engine::ShardedAsyncio => "sharded-asyncio",
            Engine::ProcessPoolExecutor => "ProcessPoolExecutor",
            Engine::MultiprocessingPool => "multiprocessing.Pool",
            Engine::Process => "Process",
            Engine::InterpreterPoolExecutor => "InterpreterPoolExecutor",
            Engine::AsyncioThreads => "asyncio+ThreadPoolExecutor",
            Engine::AsyncioProcesses => "asyncio+ProcessPoolExecutor",
            Engine::PoolOfThreads => "multiprocessing.pool.ThreadPool",
            Engine::JoblibThreading => "joblib+threading",
            Engine::Trio => "trio",
            Engine::Gevent => "gevent",
            Engine::Loky => "loky",
            Engine::JoblibLoky => "joblib+loky",
            Engine::JoblibAuto => "joblib+loky+auto",
            Engine::Anyio => "anyio",
            Engine::Dask => "dask",
            Engine::Own(own) => own.factory.text(),
        }
    }

    /// The model this engine implements.
    #[must_use]
    pub const fn model(self) -> Model {
        match self {
            Engine::Sequential => Model::Sequential,
            Engine::ThreadPool
            | Engine::ThreadPerTask
            | Engine::Rayon
            | Engine::ThreadPoolExecutor
            | Engine::Thread
            | Engine::PoolOfThreads
            | Engine::JoblibThreading => Model::Threads,
            Engine::TokioCurrentThread
            | Engine::TokioMultiThread
            | Engine::Smol
            | Engine::Compio
            | Engine::Asyncio
            | Engine::TaskGroup
            | Engine::Uvloop
            | Engine::Trio
            | Engine::Gevent => Model::Async,
            Engine::TokioSharded | Engine::ThreadedAsyncio | Engine::ShardedAsyncio => Model::ShardedAsync,
            Engine::ProcessPool
            | Engine::ProcessPerTask
            | Engine::ProcessPoolExecutor
            | Engine::MultiprocessingPool
            | Engine::Process
            | Engine::Loky
            | Engine::JoblibLoky
            | Engine::JoblibAuto => Model::Processes,
            Engine::InterpreterPoolExecutor => Model::Interpreters,
            Engine::TokioBlockingPool | Engine::AsyncioThreads | Engine::Anyio => Model::AsyncThreads,
            Engine::TokioProcessPool | Engine::AsyncioProcesses => Model::AsyncProcesses,
            Engine::Dask => Model::Cluster,
            Engine::Own(own) => own.model,
        }
    }

    /// The sizes this engine has.
    #[must_use]
    pub const fn axes(self) -> Axes {
        let (workers, in_flight) = match self {
            Engine::Sequential => (false, false),
            Engine::ThreadPool
            | Engine::Rayon
            | Engine::ProcessPool
            | Engine::ThreadPoolExecutor
            | Engine::ProcessPoolExecutor
            | Engine::MultiprocessingPool
            | Engine::InterpreterPoolExecutor
            | Engine::PoolOfThreads
            | Engine::JoblibThreading
            | Engine::Loky
            | Engine::JoblibLoky
            | Engine::JoblibAuto
            | Engine::Own(_) => (true, false),
            Engine::ThreadPerTask
            | Engine::ProcessPerTask
            | Engine::TokioCurrentThread
            | Engine::Smol
            | Engine::Compio
            | Engine::Thread
            | Engine::Process
            | Engine::Asyncio
            | Engine::TaskGroup
            | Engine::Uvloop
            | Engine::Trio
            | Engine::Gevent
            | Engine::Dask => (false, true),
            Engine::TokioMultiThread
            | Engine::TokioSharded
            | Engine::ThreadedAsyncio
            | Engine::ShardedAsyncio
            | Engine::TokioBlockingPool
            | Engine::TokioProcessPool
            | Engine::AsyncioThreads
            | Engine::AsyncioProcesses
            | Engine::Anyio => (true, true),
        };
        let chunk = matches!(
            self,
            Engine::ProcessPoolExecutor
                | Engine::MultiprocessingPool
                | Engine::Loky
                | Engine::JoblibLoky
                | Engine::Dask
        );
        Axes { workers, in_flight, chunk }
    }

    /// The tasks in a chunk that its library takes by itself where so many workers map over so many items at once;
    /// `None` for an engine without chunks.
    #[must_use]
    pub const fn own_chunk(self, workers: u32, items: u32) -> Option<u32> {
        match self {
            // What `Pool.map` computes: four chunks for each worker.
            Engine::MultiprocessingPool => {
                let chunks = if workers == 0 { 4 } else { workers.saturating_mul(4) };
                Some(if items == 0 { 1 } else { items.div_ceil(chunks) })
            }
            Engine::ProcessPoolExecutor | Engine::Loky | Engine::JoblibLoky | Engine::Dask => Some(1),
            _ => None,
        }
    }

    /// Whether its worker processes can begin in several ways: see [`StartMethod`].
    #[must_use]
    pub const fn has_start_method(self) -> bool {
        matches!(
            self,
            Engine::ShardedAsyncio
                | Engine::ProcessPoolExecutor
                | Engine::MultiprocessingPool
                | Engine::Process
                | Engine::AsyncioProcesses
        )
    }

    /// Whether tasks run in worker processes, at least in part.
    #[must_use]
    pub const fn has_worker_processes(self) -> bool {
        matches!(self.model(), Model::Processes | Model::AsyncProcesses) || matches!(self, Engine::ShardedAsyncio)
    }

    /// Whether what tasks are given and hand back crosses to another process or interpreter, by pickling.
    #[must_use]
    pub const fn crosses(self) -> bool {
        self.has_worker_processes() || matches!(self.model(), Model::Interpreters | Model::Cluster)
    }

    /// Whether it is measured only when the user names it: another spelling of an engine that is, or another library for it.
    #[must_use]
    pub const fn is_on_request(self) -> bool {
        matches!(self, Engine::Smol | Engine::Compio | Engine::TaskGroup)
    }

    /// Whether it is measured only where the user's own code imports what it needs, or the user names it.
    #[must_use]
    pub const fn is_if_imported(self) -> bool {
        matches!(
            self,
            Engine::PoolOfThreads
                | Engine::JoblibThreading
                | Engine::Trio
                | Engine::Gevent
                | Engine::Loky
                | Engine::JoblibLoky
                | Engine::JoblibAuto
                | Engine::Anyio
        )
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Engine {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "engine", &Engine::all(), |engine| engine.name())
    }
}

/// The sizes of a candidate; a size that its engine does not have is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Threads or processes that run tasks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workers: Option<u32>,
    /// Tasks begun and not ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub in_flight: Option<u32>,
    /// Tasks handed to a worker at once.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chunk: Option<u32>,
}

impl Sizes {
    /// Tasks that are in flight at once under these sizes: `in_flight`, else `workers`, else one.
    #[must_use]
    pub fn concurrency(self) -> u32 {
        self.in_flight.or(self.workers).unwrap_or(1)
    }

    /// How many threads or processes run tasks at once.
    #[must_use]
    pub fn at_once(self) -> u32 {
        self.workers.or(self.in_flight).unwrap_or(1)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [('w', self.workers), ('f', self.in_flight), ('c', self.chunk)]
            .into_iter()
            .filter_map(|(letter, size)| size.map(|size| format!("{letter}{size}")))
            .collect();
        f.write_str(&parts.join(","))
    }
}

/// What is measured and compared: a runtime, an engine, a start method where there is a choice, and sizes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// `rust`, or a Python interpreter's name.
    pub runtime: String,
    /// The engine.
    pub engine: Engine,
    /// How its worker processes begin, where there is a choice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start_method: Option<StartMethod>,
    /// How many threads a task's libraries may compute with in each process, as variables that are set before they are
    /// loaded have it (`OMP_NUM_THREADS` and its kin); `None` leaves it to them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub library_threads: Option<u32>,
    /// Its sizes.
    pub sizes: Sizes,
}

impl Candidate {
    /// A candidate without a start method, whose libraries compute with the threads that they take by themselves.
    #[must_use]
    pub fn new(runtime: &str, engine: Engine, sizes: Sizes) -> Candidate {
        Candidate { runtime: runtime.to_owned(), engine, start_method: None, library_threads: None, sizes }
    }

    /// The model of this candidate's engine.
    #[must_use]
    pub fn model(&self) -> Model {
        self.engine.model()
    }

    /// How simple it is: of equals the simplest is named.
    #[must_use]
    pub fn simplicity(&self) -> Simplicity {
        Simplicity {
            model: self.model(),
            concurrency: self.sizes.concurrency(),
            library_threads: self.library_threads,
            engine: self.engine,
            workers: self.sizes.workers,
            chunk: self.sizes.chunk,
        }
    }

    /// The candidate without its runtime, as among those of one runtime: `tokio-multi-thread@w2,f64`.
    #[must_use]
    pub fn short(&self) -> String {
        let details = self.details();
        if details.is_empty() { self.engine.to_string() } else { format!("{}@{details}", self.engine) }
    }

    /// How its processes begin, its sizes, and the threads of its libraries where they are set: `fork,w2,c16,t1`; empty
    /// where it has none of them.
    #[must_use]
    pub fn details(&self) -> String {
        let method = self.start_method.map(|method| method.to_string());
        let sizes = Some(self.sizes).filter(|sizes| *sizes != Sizes::default()).map(|sizes| sizes.to_string());
        let threads = self.library_threads.map(|threads| format!("t{threads}"));
        method.into_iter().chain(sizes).chain(threads).collect::<Vec<_>>().join(",")
    }

    /// What starts as it does: its engine, with its start method.
    #[must_use]
    pub fn kind(&self) -> Candidate {
        Candidate { library_threads: None, ..self.without_sizes() }
    }

    /// Its engine, with all that is chosen but its sizes.
    #[must_use]
    pub fn without_sizes(&self) -> Candidate {
        Candidate { sizes: Sizes::default(), ..self.clone() }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.runtime, self.short())
    }
}

/// The order of simplicity: the model first (sequential, threads, async, processes, mixes,
/// a cluster), then the smaller size, then
/// whoever leaves to libraries how many threads they compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Simplicity {
    /// The model.
    pub model: Model,
    /// Tasks that run at once.
    pub concurrency: u32,
    /// Threads of a task's libraries; `None`, what they take by themselves, is simpler than any number that is set.
    pub library_threads: Option<u32>,
    /// The engine, in the order of the table.
    pub engine: Engine,
    /// Its workers.
    pub workers: Option<u32>,
    /// Tasks in a chunk.
    pub chunk: Option<u32>,
}

/// The name of the native runtime.
pub const RUST: &str = "rust";

/// A word that is not in the table, with the nearest one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// What kind of word was expected: `model`, `engine`, ..
    pub kind: &'static str,
    /// The word found.
    pub found: String,
    /// The nearest known word, when one is near.
    pub nearest: Option<&'static str>,
    /// Every known word.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`", self.kind, self.found)?;
        match self.nearest {
            Some(nearest) => write!(f, ", did you mean `{nearest}`?"),
            None => write!(f, ", expected one of: {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for UnknownWord {}

fn find<T: Copy>(
    text: &str,
    kind: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, UnknownWord> {
    all.iter().copied().find(|word| name(*word) == text).ok_or_else(|| {
        let known: Vec<&'static str> = all.iter().map(|word| name(*word)).collect();
        UnknownWord { kind, found: text.to_owned(), nearest: nearest(text, &known), known }
    })
}

/// The word of `known` that `text` most likely meant, if any is near.
#[must_use]
pub fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(text, word), *word))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_written_as_documented() {
        let sizes = Sizes { workers: Some(2), in_flight: Some(64), chunk: None };
        let candidate = Candidate::new(RUST, Engine::TokioMultiThread, sizes);
        assert_eq!(candidate.to_string(), "rust/tokio-multi-thread@w2,f64");
        assert_eq!(Candidate::new(RUST, Engine::Sequential, Sizes::default()).to_string(), "rust/sequential");
        let sizes = Sizes { workers: Some(2), in_flight: None, chunk: Some(16) };
        let pool = Candidate::new("python3.11", Engine::MultiprocessingPool, sizes);
        let pool = Candidate { start_method: Some(StartMethod::Fork), ..pool };
        assert_eq!(pool.to_string(), "python3.11/multiprocessing.Pool@fork,w2,c16");
        let limited = Candidate { library_threads: Some(1), ..pool };
        assert_eq!(limited.to_string(), "python3.11/multiprocessing.Pool@fork,w2,c16,t1");
        let alone = Candidate::new("python3.11", Engine::Sequential, Sizes::default());
        assert_eq!(Candidate { library_threads: Some(1), ..alone }.to_string(), "python3.11/sequential@t1");
    }

    #[test]
    fn of_equal_sizes_what_leaves_libraries_alone_is_simpler() {
        let of = |engine, workers, library_threads| {
            let candidate = Candidate::new("python3.11", engine, Sizes { workers, ..Sizes::default() });
            Candidate { library_threads, ..candidate }.simplicity()
        };
        let threads = |workers, limit| of(Engine::ThreadPoolExecutor, Some(workers), limit);
        assert!(threads(2, None) < threads(2, Some(1)));
        assert!(threads(2, Some(1)) < threads(4, None));
        assert!(of(Engine::Sequential, None, Some(1)) < threads(1, None));
    }

    #[test]
    fn names_in_json_and_in_text_are_one() {
        for engine in Engine::all() {
            assert_eq!(serde_json::to_value(engine).ok(), Some(engine.name().into()));
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        for method in StartMethod::ALL {
            assert_eq!(serde_json::to_value(method).ok(), Some(method.name().into()));
            assert_eq!(method.name().parse(), Ok(method));
        }
        for model in Model::ALL {
            assert_eq!(serde_json::to_value(model).ok(), Some(model.name().into()));
            assert_eq!(model.name().parse(), Ok(model));
        }
    }

    #[test]
    fn a_pool_takes_four_chunks_a_worker_by_itself() {
        // As `multiprocessing.pool.Pool._map_async` has it.
        let of = |workers, items| Engine::MultiprocessingPool.own_chunk(workers, items);
        assert_eq!([of(2, 60), of(2, 64), of(4, 60), of(8, 3), of(0, 5)], [8, 8, 4, 1, 2].map(Some));
        assert_eq!(Engine::ProcessPoolExecutor.own_chunk(2, 60), Some(1));
        assert_eq!(Engine::ThreadPoolExecutor.own_chunk(2, 60), None);
    }

    #[test]
    fn a_misspelt_word_names_the_nearest() {
        assert_eq!("thread-pol".parse::<Engine>().map_err(|word| word.nearest), Err(Some("thread-pool")));
        assert_eq!("zzz".parse::<Engine>().map_err(|word| word.nearest), Err(None));
    }
}
