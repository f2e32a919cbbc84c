//! What blocks an event loop, or fills its pool.

use std::collections::HashSet;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, spawn_blocking};

use super::super::threads::pool;
use super::super::timing::ms;
use super::super::{Pair, PitfallFn, Unavailable, seen};

pub(super) const PITFALLS: &[(&str, PitfallFn)] = &[
    ("cpu-on-a-worker", cpu_on_a_worker),
    ("cpu-in-spawn-blocking", cpu_in_spawn_blocking),
    ("blocking-sleep", blocking_sleep),
];

/// What a computation takes.
const LONG: Duration = Duration::from_millis(100);
/// When a timer should ring meanwhile.
const TIMER: Duration = Duration::from_millis(10);
/// Computations at once, and what each takes.
const JOBS: usize = 64;
const SHORT: Duration = Duration::from_millis(2);
/// Naps at once, and what each takes.
const NAPS: usize = 10;
const NAP: Duration = Duration::from_millis(20);

/// Keeps a core busy.
fn compute(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        black_box(0);
    }
}

/// A server with one worker, as on one core; of more, as many tasks that compute do the same.
fn one_worker() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}

/// How late a timer rings that was set before something else began, in milliseconds.
fn lateness_beside(begin: impl FnOnce() + Send + 'static) -> Result<f64, Unavailable> {
    let runtime = one_worker()?;
    let gone = |_| Unavailable("the timer's task did not end".to_owned());
    runtime.block_on(async {
        let timer = tokio::spawn(async {
            let due = tokio::time::Instant::now() + TIMER;
            tokio::time::sleep_until(due).await;
            due.elapsed().as_secs_f64() * 1e3
        });
        // The timer is set before the other one runs: both are in the queue of the one worker.
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            begin();
        });
        timer.await.map_err(gone)
    })
}

fn cpu_on_a_worker() -> Result<Pair, Unavailable> {
    let wrong = lateness_beside(|| compute(LONG))?;
    let mended = lateness_beside(|| seen(spawn_blocking(|| compute(LONG))))?;
    Ok(Pair::of(wrong, mended))
}

/// The threads on which jobs ran.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<HashSet<ThreadId>>>);

impl Threads {
    fn note(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(thread::current().id());
    }

    fn count(&self) -> f64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len() as f64
    }
}

fn cpu_in_spawn_blocking() -> Result<Pair, Unavailable> {
    let runtime = one_worker()?;
    let many = Threads::default();
    let wrong_ms = ms(|| {
        runtime.block_on(async {
            let mut jobs = JoinSet::new();
            for _ in 0..JOBS {
                let many = many.clone();
                jobs.spawn_blocking(move || {
                    many.note();
                    compute(SHORT);
                });
            }
            while jobs.join_next().await.is_some() {}
        });
    });
    let few = Threads::default();
    let pool = pool()?;
    let mended_ms = ms(|| {
        pool.scope(|scope| {
            for _ in 0..JOBS {
                scope.spawn(|_| {
                    few.note();
                    compute(SHORT);
                });
            }
        });
    });
    let shown =
        format!("all {JOBS} jobs took {wrong_ms:.0} ms, on the pool {mended_ms:.0} ms; tokio starts up to 512 threads");
    Ok(Pair::of(many.count(), few.count()).showing(shown))
}

fn blocking_sleep() -> Result<Pair, Unavailable> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let wrong = ms(|| {
        runtime.block_on(async {
            let mut naps: JoinSet<()> = (0..NAPS).map(|_| async { thread::sleep(NAP) }).collect();
            while naps.join_next().await.is_some() {}
        });
    });
    let mended = ms(|| {
        runtime.block_on(async {
            let mut naps: JoinSet<()> = (0..NAPS).map(|_| tokio::time::sleep(NAP)).collect();
            while naps.join_next().await.is_some() {}
        });
    });
    Ok(Pair::of(wrong, mended))
}
