//! Candidates: a runtime, an engine and its sizes, written `rust/tokio-multi-thread@w2,f64` or
//! `python3.11/multiprocessing.Pool@fork,w2,c16`.
//!
//! The words of the table live here and nowhere else; every room may use them, and this one knows none but
//! `escape`.

mod cluster;
mod engine;
mod model;
mod own;
mod parsing;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use cluster::{Cluster, ClusterLimits, ClusterWorker, Dispatch};
pub use engine::{Axes, Engine};
pub use model::{Model, StartMethod};
pub use own::{OwnExecutor, Word, tasks};
pub use parsing::{UnknownWord, nearest};

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
