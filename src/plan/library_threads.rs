//! The entries of a runtime where the libraries of a task compute with threads of their own.

use super::{Entry, LeftOut};
use crate::candidate::Model;

/// The threads that libraries are limited to: several workers then have a core each.
const ONE: u32 = 1;

/// These entries of one runtime, of which one engine of each model, the first, stands for the others where libraries take
/// as many threads as they do by themselves: the others have one. Returns what is left out so, with the reason.
///
/// Several workers whose libraries compute with several threads each are slow, and so is measuring them.
#[must_use]
pub fn with_one_for_each_model(entries: &[Entry]) -> (Vec<Entry>, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let of = |entry: &Entry| {
        let model = entry.engine.model();
        let first = entries.iter().find(|other| other.engine.model() == model).unwrap_or(entry);
        if first.engine == entry.engine || !matters(entry, entries) {
            return entry.clone();
        }
        left_out.push(LeftOut {
            what: format!("{}/{} with the threads that libraries take by themselves", entry.runtime, entry.engine),
            reason: format!("{} stands for {model} with them", first.engine),
        });
        Entry { library_threads: Some(ONE), ..entry.clone() }
    };
    (entries.iter().map(of).collect(), left_out)
}

/// These entries of one runtime, each that leaves it to libraries followed by itself with libraries that compute with one
/// thread.
#[must_use]
pub fn with_one_thread(entries: &[Entry]) -> Vec<Entry> {
    let limited = |entry: &Entry| Entry { library_threads: Some(ONE), ..entry.clone() };
    let is_doubled = |entry: &Entry| entry.library_threads.is_none() && matters(entry, entries);
    entries
        .iter()
        .flat_map(|entry| [Some(entry.clone()), is_doubled(entry).then(|| limited(entry))])
        .flatten()
        .collect()
}

/// Whether one thread may make an entry better than others. An event loop that computes does so one task at a time, as a
/// plain loop does: where there is a plain loop, its own is enough.
fn matters(entry: &Entry, entries: &[Entry]) -> bool {
    let has_loop = entries.iter().any(|entry| entry.engine.model() == Model::Sequential);
    !(has_loop && entry.engine.model() == Model::Async)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, Sizes, StartMethod};

    fn entry(engine: Engine) -> Entry {
        Entry {
            runtime: "python".to_owned(),
            engine,
            start_method: None,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: Vec::new(),
            workers: Vec::new(),
            chunk: Vec::new(),
        }
    }

    fn both(entries: &[Entry]) -> (Vec<Entry>, Vec<LeftOut>) {
        let (entries, left_out) = with_one_for_each_model(entries);
        (with_one_thread(&entries), left_out)
    }

    fn names(engines: &[Engine]) -> Vec<String> {
        let entries: Vec<Entry> = engines.iter().copied().map(entry).collect();
        both(&entries).0.iter().map(|entry| entry.candidate(Sizes::default()).short()).collect()
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
    fn one_engine_of_each_model_has_the_threads_that_libraries_take() {
        let engines = [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool, Engine::Process];
        let wanted = ["ProcessPoolExecutor", "ProcessPoolExecutor@t1", "multiprocessing.Pool@t1", "Process@t1"];
        assert_eq!(names(&engines), wanted);
        assert_eq!(names(&engines[1..2]), ["multiprocessing.Pool", "multiprocessing.Pool@t1"]);
        // Ways to begin processes are compared under both.
        let methods = [StartMethod::Fork, StartMethod::Spawn]
            .map(|method| Entry { start_method: Some(method), ..entry(Engine::ProcessPoolExecutor) });
        let (all, left_out) = both(&methods);
        assert_eq!((all.len(), left_out.len()), (4, 0));
        let (_, left_out) = both(&engines.map(entry));
        let told: Vec<String> = left_out.iter().map(|it| format!("{}: {}", it.what, it.reason)).collect();
        assert_eq!(
            told[0],
            "python/multiprocessing.Pool with the threads that libraries take by themselves: ProcessPoolExecutor stands \
             for processes with them"
        );
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn an_event_loop_that_computes_is_a_plain_loop() {
        assert_eq!(names(&[Engine::Sequential, Engine::Asyncio]), ["sequential", "sequential@t1", "asyncio"]);
        assert_eq!(names(&[Engine::Asyncio]), ["asyncio", "asyncio@t1"]);
    }
}
