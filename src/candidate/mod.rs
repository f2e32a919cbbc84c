//! Candidates: a runtime, an engine and its sizes, written `rust/tokio-multi-thread@w2,f64`.
//!
//! The words of the table live here and nowhere else; every room may use them, and this one knows none.

use std::fmt;
use std::str::FromStr;

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
}

impl Model {
    /// Every model, simplest first.
    pub const ALL: [Model; 7] = [
        Model::Sequential,
        Model::Threads,
        Model::Async,
        Model::Processes,
        Model::Interpreters,
        Model::AsyncThreads,
        Model::AsyncProcesses,
    ];

    /// The model's name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Model::Sequential => "sequential",
            Model::Threads => "threads",
            Model::Async => "async",
            Model::Processes => "processes",
            Model::Interpreters => "interpreters",
            Model::AsyncThreads => "async+threads",
            Model::AsyncProcesses => "async+processes",
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
    /// A plain loop on the main thread.
    Sequential,
    /// Threads that take tasks from one bounded channel.
    ThreadPool,
    /// A thread spawned and joined for each task.
    ThreadPerTask,
    /// A rayon pool fed by `par_bridge`.
    Rayon,
    /// One event loop on one thread.
    TokioCurrentThread,
    /// Tokio's work-stealing runtime.
    TokioMultiThread,
    /// Worker processes over Unix sockets.
    ProcessPool,
    /// A process spawned and reaped for each task.
    ProcessPerTask,
    /// One event loop, with the blocking steps under `spawn_blocking`.
    TokioBlockingPool,
    /// One event loop, with the blocking steps in worker processes.
    TokioProcessPool,
}

/// Which sizes an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    /// It has a number of workers (threads or processes).
    pub workers: bool,
    /// It has a number of tasks in flight of its own. Without it, each worker has one task in flight.
    pub in_flight: bool,
}

impl Engine {
    /// The engines of the native runtime, simplest model first.
    pub const RUST: [Engine; 10] = [
        Engine::Sequential,
        Engine::ThreadPool,
        Engine::ThreadPerTask,
        Engine::Rayon,
        Engine::TokioCurrentThread,
        Engine::TokioMultiThread,
        Engine::ProcessPool,
        Engine::ProcessPerTask,
        Engine::TokioBlockingPool,
        Engine::TokioProcessPool,
    ];

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
            Engine::ProcessPool => "process-pool",
            Engine::ProcessPerTask => "process-per-task",
            Engine::TokioBlockingPool => "tokio-blocking-pool",
            Engine::TokioProcessPool => "tokio-process-pool",
        }
    }

    /// The model this engine implements.
    #[must_use]
    pub const fn model(self) -> Model {
        match self {
            Engine::Sequential => Model::Sequential,
            Engine::ThreadPool | Engine::ThreadPerTask | Engine::Rayon => Model::Threads,
            Engine::TokioCurrentThread | Engine::TokioMultiThread => Model::Async,
            Engine::ProcessPool | Engine::ProcessPerTask => Model::Processes,
            Engine::TokioBlockingPool => Model::AsyncThreads,
            Engine::TokioProcessPool => Model::AsyncProcesses,
        }
    }

    /// The sizes this engine has.
    #[must_use]
    pub const fn axes(self) -> Axes {
        let (workers, in_flight) = match self {
            Engine::Sequential => (false, false),
            Engine::ThreadPool | Engine::Rayon | Engine::ProcessPool => (true, false),
            Engine::ThreadPerTask | Engine::ProcessPerTask | Engine::TokioCurrentThread => (false, true),
            Engine::TokioMultiThread | Engine::TokioBlockingPool | Engine::TokioProcessPool => (true, true),
        };
        Axes { workers, in_flight }
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
        find(text, "engine", &Engine::RUST, |engine| engine.name())
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

/// What is measured and compared: a runtime, an engine and its sizes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// `rust`, or a Python interpreter's name.
    pub runtime: String,
    /// The engine.
    pub engine: Engine,
    /// Its sizes.
    pub sizes: Sizes,
}

impl Candidate {
    /// The model of this candidate's engine.
    #[must_use]
    pub fn model(&self) -> Model {
        self.engine.model()
    }

    /// The candidate without its runtime, as among those of one runtime: `tokio-multi-thread@w2,f64`.
    #[must_use]
    pub fn short(&self) -> String {
        if self.sizes == Sizes::default() { self.engine.to_string() } else { format!("{}@{}", self.engine, self.sizes) }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.runtime, self.short())
    }
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
        let candidate = Candidate {
            runtime: RUST.to_owned(),
            engine: Engine::TokioMultiThread,
            sizes: Sizes { workers: Some(2), in_flight: Some(64), chunk: None },
        };
        assert_eq!(candidate.to_string(), "rust/tokio-multi-thread@w2,f64");
        let plain = Candidate { runtime: RUST.to_owned(), engine: Engine::Sequential, sizes: Sizes::default() };
        assert_eq!(plain.to_string(), "rust/sequential");
    }

    #[test]
    fn names_in_json_and_in_text_are_one() {
        for engine in Engine::RUST {
            assert_eq!(serde_json::to_value(engine).ok(), Some(engine.name().into()));
            assert_eq!(engine.name().parse(), Ok(engine));
        }
        for model in Model::ALL {
            assert_eq!(serde_json::to_value(model).ok(), Some(model.name().into()));
            assert_eq!(model.name().parse(), Ok(model));
        }
    }

    #[test]
    fn a_misspelt_word_names_the_nearest() {
        assert_eq!("thread-pol".parse::<Engine>().map_err(|word| word.nearest), Err(Some("thread-pool")));
        assert_eq!("zzz".parse::<Engine>().map_err(|word| word.nearest), Err(None));
    }
}
