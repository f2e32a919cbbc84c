//! The entries of a runtime where the libraries of a task compute with threads of their own.

use super::{Entry, LeftOut};
use crate::candidate::Model;

/// The threads that libraries are limited to: several workers then have a core each.
const ONE: u32 = 1;

/// The entries of one runtime, which race with libraries that compute with one thread, and with those that do as they do
/// by themselves; what is left out of that, with the reason.
///
/// Several workers whose libraries compute with several threads each are slow, and so is measuring them: one engine of
/// each model, the first, stands for the others. An event loop that computes does so one task at a time, as a plain loop
/// does: where there is a plain loop with one thread, no event loop is needed with one.
#[must_use]
pub fn with_one_thread(entries: &[Entry]) -> (Vec<Entry>, Vec<LeftOut>) {
    let has_loop = entries.iter().any(|entry| entry.engine.model() == Model::Sequential);
    let (mut all, mut left_out) = (Vec::new(), Vec::new());
    for entry in entries {
        let model = entry.engine.model();
        let first = entries.iter().find(|other| other.engine.model() == model).unwrap_or(entry);
        let stands_for_itself = first.engine == entry.engine;
        let is_limited = !(has_loop && model == Model::Async);
        if stands_for_itself || !is_limited {
            all.push(entry.clone());
        } else {
            left_out.push(LeftOut {
                what: format!("{}/{} with the threads that libraries take by themselves", entry.runtime, entry.engine),
                reason: format!("{} stands for {model} with them", first.engine),
            });
        }
        if is_limited {
            all.push(Entry { library_threads: Some(ONE), ..entry.clone() });
        }
    }
    (all, left_out)
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

    fn names(engines: &[Engine]) -> Vec<String> {
        let entries: Vec<Entry> = engines.iter().copied().map(entry).collect();
        with_one_thread(&entries).0.iter().map(|entry| entry.candidate(Sizes::default()).short()).collect()
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
        let (all, left_out) = with_one_thread(&methods);
        assert_eq!((all.len(), left_out.len()), (4, 0));
        let (_, left_out) = with_one_thread(&engines.map(entry));
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
