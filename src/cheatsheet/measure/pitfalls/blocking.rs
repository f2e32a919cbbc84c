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
const SHORT: Duration = Duration::from_millis(5);
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

/// What jobs did: the threads on which they ran, and when each ended, in milliseconds from their begin.
#[derive(Clone)]
struct Jobs {
    begun: Instant,
    ended: Arc<Mutex<Vec<(ThreadId, f64)>>>,
}

impl Jobs {
    fn begin() -> Jobs {
        Jobs { begun: Instant::now(), ended: Arc::default() }
    }

    /// Does one job.
    fn run(&self, turns: u64) {
        spin(turns);
        let ended = (thread::current().id(), self.begun.elapsed().as_secs_f64() * 1e3);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
    }

    /// When half of them had ended, and on how many threads they ran.
    fn half(&self) -> (f64, usize) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let threads: HashSet<ThreadId> = ended.iter().map(|(thread, _)| *thread).collect();
        (ended.get(ended.len() / 2).map_or(f64::NAN, |(_, ms)| *ms), threads.len())
    }
}

/// The same work in every job, however many share a core.
fn spin(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

/// How many turns take about so long.
fn turns_in(time: Duration) -> u64 {
    const MANY: u64 = 100_000;
    let (mut turns, begun) = (0, Instant::now());
    while begun.elapsed() < time {
        spin(MANY);
        turns += MANY;
    }
    turns
}

fn cpu_in_spawn_blocking() -> Result<Pair, Unavailable> {
    let turns = turns_in(SHORT);
    let runtime = one_worker()?;
    let of_many = Jobs::begin();
    runtime.block_on(async {
        let mut jobs = JoinSet::new();
        for _ in 0..JOBS {
            let of_many = of_many.clone();
            jobs.spawn_blocking(move || of_many.run(turns));
        }
        while jobs.join_next().await.is_some() {}
    });
    let pool = pool()?;
    let of_pool = Jobs::begin();
    pool.scope_fifo(|scope| {
        for _ in 0..JOBS {
            scope.spawn_fifo(|_| of_pool.run(turns));
        }
    });
    let ((wrong_ms, many), (mended_ms, few)) = (of_many.half(), of_pool.half());
    let shown = format!("on {many} threads, and on {few} of the pool; tokio starts up to 512");
    Ok(Pair::of(wrong_ms, mended_ms).showing(shown))
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
