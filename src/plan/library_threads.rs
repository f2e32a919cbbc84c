//! The entries of a runtime where the libraries of a task compute with threads of their own.

use super::Entry;
use crate::candidate::Model;

/// The threads that libraries are limited to: several workers then have a core each.
const ONE: u32 = 1;

/// These entries of one runtime, each followed by itself with libraries that compute with one thread.
///
/// An event loop that computes does so one task at a time, as a plain loop does, so that where there is a loop its own
/// is enough.
#[must_use]
pub fn with_one_thread(entries: &[Entry]) -> Vec<Entry> {
    let has_loop = entries.iter().any(|entry| entry.engine.model() == Model::Sequential);
    let matters = |entry: &Entry| !(has_loop && entry.engine.model() == Model::Async);
    let limited = |entry: &Entry| Entry { library_threads: Some(ONE), ..entry.clone() };
    let both = |entry: &Entry| [Some(entry.clone()), matters(entry).then(|| limited(entry))];
    entries.iter().flat_map(both).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, Sizes};

    fn names(engines: &[Engine]) -> Vec<String> {
        let entry = |engine: &Engine| Entry {
            runtime: "python".to_owned(),
            engine: *engine,
            start_method: None,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: Vec::new(),
            workers: Vec::new(),
            chunk: Vec::new(),
        };
        let entries: Vec<Entry> = engines.iter().map(entry).collect();
        with_one_thread(&entries).iter().map(|entry| entry.candidate(Sizes::default()).short()).collect()
    }

    #[test]
    fn each_engine_races_with_its_libraries_own_threads_and_with_one() {
        let engines = [Engine::Sequential, Engine::ThreadPoolExecutor, Engine::AsyncioProcesses];
        let wanted = [
            "sequential",
            "sequential@t1",
            "ThreadPoolExecutor",
            "ThreadPoolExecutor@t1",
            "asyncio+ProcessPoolExecutor",
            "asyncio+ProcessPoolExecutor@t1",
        ];
        assert_eq!(names(&engines), wanted);
    }

    #[test]
    fn an_event_loop_that_computes_is_a_plain_loop() {
        assert_eq!(names(&[Engine::Sequential, Engine::Asyncio]), ["sequential", "sequential@t1", "asyncio"]);
        assert_eq!(names(&[Engine::Asyncio]), ["asyncio", "asyncio@t1"]);
    }
}
