//! The answer key: workloads whose best model theory knows.

use conbench::candidate::{Candidate, Model, RUST};
use conbench::plan::Entry;

use crate::engines::{self, PYTHON};
use crate::model::{Task, throughput};

/// A workload of the key.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) task: Task,
    /// The models that theory expects among the best.
    pub(crate) expected: &'static [Model],
    pub(crate) entries: Vec<Entry>,
    /// The highest throughput of all candidates.
    pub(crate) best: f64,
    /// The simplest of those within 1 % of it.
    pub(crate) winner: Candidate,
}

impl Case {
    fn new(name: &'static str, runtime: &'static str, expected: &'static [Model], task: Task) -> Option<Case> {
        let entries = engines::entries(runtime, &task);
        let all: Vec<(f64, Candidate)> =
            entries.iter().flat_map(engines::grid).map(|one| (throughput(&task, &one), one)).collect();
        let best = all.iter().map(|(rate, _)| *rate).fold(0.0, f64::max);
        let equals = all.into_iter().filter(|(rate, _)| *rate >= 0.99 * best).map(|(_, one)| one);
        let winner = equals.min_by_key(|one| (one.model(), one.sizes.concurrency(), one.sizes.workers))?;
        Some(Case { name, runtime, task, expected, entries, best, winner })
    }

    /// The throughput of a candidate, per second.
    pub(crate) fn truth(&self, candidate: &Candidate) -> f64 {
        throughput(&self.task, candidate)
    }

    /// What is lost by taking this candidate, as a share of the best throughput.
    pub(crate) fn loss(&self, candidate: &Candidate) -> f64 {
        1.0 - self.truth(candidate) / self.best
    }

    /// Whether one of the expected models really is within 5 % of the best here.
    pub(crate) fn agrees_with_theory(&self) -> bool {
        let all = self.entries.iter().flat_map(engines::grid);
        all.filter(|one| self.expected.contains(&one.model())).any(|one| self.loss(&one) <= 0.05)
    }
}

/// All workloads whose name contains `filter`.
pub(crate) fn cases(filter: &str) -> Vec<Case> {
    native().into_iter().chain(python()).flatten().filter(|case| case.name.contains(filter)).collect()
}

fn native() -> Vec<Option<Case>> {
    use Model::{Async, AsyncThreads, Processes, Sequential, Threads};
    let of = |name, expected, task| Case::new(name, RUST, expected, task);
    let task = Task::NOTHING;
    vec![
        of("native: cpu 2 ms", &[Threads], Task { compute: 2000.0, ..task }),
        of("native: cpu 50 us", &[Threads], Task { compute: 50.0, payload: 4096.0, ..task }),
        of("native: cpu 40 ms", &[Threads, Processes], Task { compute: 40_000.0, ..task }),
        of("native: tiny, 0.1 us", &[Sequential], Task { compute: 0.1, ..task }),
        of("native: wait 10 ms", &[Async, Threads], Task { wait: 10_000.0, is_async: true, ..task }),
        of(
            "native: wait, 8 allowed",
            &[Async, Threads],
            Task { wait: 10_000.0, is_async: true, max_in_flight: 8, ..task },
        ),
        of("native: wait that blocks", &[Threads], Task { wait: 5000.0, compute: 50.0, ..task }),
        of(
            "native: wait 8 ms + cpu 1 ms",
            &[Async, Threads],
            Task { wait: 8000.0, compute: 1000.0, is_async: true, ..task },
        ),
        of("native: wait 100 us + cpu 20 us", &[Async], Task { wait: 100.0, compute: 20.0, is_async: true, ..task }),
        of("native: lock 100 us + cpu 40 us", &[Async], Task { locked: 100.0, compute: 40.0, is_async: true, ..task }),
        of(
            "native: queue 5 us + cpu 30 us",
            &[Threads, Async],
            Task { locked: 5.0, compute: 30.0, is_async: true, ..task },
        ),
        of(
            "native: cpu 500 us, 1 MiB",
            &[Threads, AsyncThreads],
            Task { compute: 500.0, payload: 1_048_576.0, ..task },
        ),
    ]
}

fn python() -> Vec<Option<Case>> {
    use Model::{Async, AsyncThreads, Processes, Sequential, Threads};
    let of = |name, expected, task| Case::new(name, PYTHON, expected, task);
    let task = Task::NOTHING;
    vec![
        of("CPython: cpu 2 ms", &[Processes], Task { compute: 2000.0, ..task }),
        of("CPython: cpu 2 ms, released", &[Threads], Task { released: 2000.0, payload: 262_144.0, ..task }),
        of("CPython: cpu 40 ms", &[Processes], Task { compute: 40_000.0, ..task }),
        of("CPython: tiny, 5 us", &[Sequential], Task { compute: 5.0, ..task }),
        of("CPython: wait 10 ms", &[Threads, Async], Task { wait: 10_000.0, is_async: true, ..task }),
        of("CPython: wait 1 ms, 32 KiB", &[Async], Task { wait: 1000.0, payload: 32_768.0, is_async: true, ..task }),
        of("CPython: wait that blocks", &[Threads], Task { wait: 10_000.0, compute: 20.0, ..task }),
        of(
            "CPython: wait 8 ms + cpu 1 ms",
            &[Processes, AsyncThreads],
            Task { wait: 8000.0, compute: 1000.0, is_async: true, ..task },
        ),
        of(
            "CPython: cpu 3 ms, 4 MiB",
            &[Sequential, Async, Threads],
            Task { compute: 3000.0, payload: 4_194_304.0, ..task },
        ),
    ]
}
