//! The engines: concrete implementations of the models, each with its sizes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sizes;
use super::model::Model;
use super::own::OwnExecutor;

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

    /// Whether its worker processes can begin in several ways: see [`StartMethod`](super::StartMethod).
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
