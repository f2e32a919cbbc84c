//! The simulated workloads, and what is true of each candidate: what theory says, and a little of its own.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use conbench::internal::candidate::{Candidate, Engine, Model, RUST};
use conbench::internal::plan::Entry;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::engines::{self, PYTHON};
use crate::model::{Says, Task, says};
use crate::noise::{normal, uniform};

/// A workload.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) runtime: &'static str,
    pub(crate) task: Task,
    /// The models that theory expects among the best.
    expected: &'static [Model],
    pub(crate) entries: Vec<Entry>,
    /// What is true of every size of every engine.
    truths: BTreeMap<Candidate, Says>,
    /// The highest throughput of all.
    best: f64,
}

impl Case {
    fn new(name: &'static str, runtime: &'static str, expected: &'static [Model], task: Task) -> Case {
        let entries = engines::entries(runtime, &task);
        let truths: BTreeMap<Candidate, Says> =
            entries.iter().flat_map(engines::grid).map(|one| (one.clone(), truth(name, &task, &one))).collect();
        let best = truths.values().map(|it| it.per_s).fold(0.0, f64::max);
        Case { name, runtime, task, expected, entries, truths, best }
    }

    /// What is true of a candidate.
    pub(crate) fn truth(&self, candidate: &Candidate) -> Says {
        self.truths.get(candidate).copied().unwrap_or_else(|| truth(self.name, &self.task, candidate))
    }

    /// By how much the best is better than this candidate, as a ratio.
    pub(crate) fn loss(&self, candidate: &Candidate) -> f64 {
        self.best / self.truth(candidate).per_s - 1.0
    }

    /// The best candidate.
    pub(crate) fn best(&self) -> Option<&Candidate> {
        self.truths.iter().max_by(|one, other| one.1.per_s.total_cmp(&other.1.per_s)).map(|(best, _)| best)
    }

    /// The simplest candidate that loses no more than this.
    pub(crate) fn simplest(&self, tolerance: f64) -> Option<&Candidate> {
        self.truths.keys().filter(|one| self.loss(one) <= tolerance).min_by_key(|one| one.simplicity())
    }

    /// Whether one of the models that theory names really is within 5 % of the best here.
    pub(crate) fn agrees_with_theory(&self) -> bool {
        self.truths.keys().filter(|one| self.expected.contains(&one.model())).any(|one| self.loss(one) <= 0.05)
    }
}

/// Real engines do not lie where theory puts them, nor on smooth curves: each is up to 3 % behind, and each of its
/// sizes differs by half a per cent more. What is behind uses more CPU time, or leaves cores idle.
fn truth(name: &str, task: &Task, candidate: &Candidate) -> Says {
    let random = |size: Option<&Candidate>, engine: Engine| {
        let mut hasher = DefaultHasher::new();
        (name, engine, size).hash(&mut hasher);
        ChaCha8Rng::seed_from_u64(hasher.finish())
    };
    let behind = 0.03 * uniform(&mut random(None, candidate.engine));
    let own = 0.005 * normal(&mut random(Some(candidate), candidate.engine));
    let said = says(task, candidate);
    let is_by_cpu = behind % 0.01 < 0.005;
    let cpu = said.cpu * if is_by_cpu { behind.exp() } else { 1.0 };
    Says { per_s: said.per_s * (own - behind).exp(), cpu, ..said }
}

/// All workloads whose name contains `filter`.
pub(crate) fn cases(filter: &str) -> Vec<Case> {
    native().into_iter().chain(python()).filter(|case| case.name.contains(filter)).collect()
}

fn native() -> Vec<Case> {
    use Model::{Async, AsyncThreads, Processes, Threads};
    let of = |name, expected, task| Case::new(name, RUST, expected, task);
    let task = Task::NOTHING;
    vec![
        of("native: cpu 2 ms", &[Threads], Task { compute: 2000.0, ..task }),
        of("native: cpu 50 us", &[Threads], Task { compute: 50.0, payload: 4096.0, ..task }),
        of("native: cpu 40 ms", &[Threads, Processes], Task { compute: 40_000.0, ..task }),
        of("native: tiny, 0.1 us", &[Threads], Task { compute: 0.1, ..task }),
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

fn python() -> Vec<Case> {
    use Model::{Async, AsyncThreads, Processes, Sequential, Threads};
    let of = |name, expected, task| Case::new(name, PYTHON, expected, task);
    let task = Task::NOTHING;
    vec![
        of("CPython: cpu 2 ms", &[Processes], Task { compute: 2000.0, ..task }),
        of("CPython: cpu 2 ms, released", &[Threads], Task { released: 2000.0, payload: 262_144.0, ..task }),
        of("CPython: cpu 40 ms", &[Processes], Task { compute: 40_000.0, ..task }),
        of("CPython: tiny, 5 us", &[Processes], Task { compute: 5.0, ..task }),
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
