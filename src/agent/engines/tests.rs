//! Each in-process engine under a task that counts how it is run. Worker processes are tested with the real
//! binary, in `tests/agent.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::agent::bucket::Bucket;
use crate::agent::sampler::{Arrival, Pace, SamplerSettings};
use crate::agent::task::{BoxFuture, Outcome, Placed, Step};
use crate::candidate::{Candidate, Sizes};
use crate::protocol::{Block, BlockKind};
use crate::workload::{Load, Payload, Rate};

/// Counts how many tasks are inside it at once, and adds the index to the checksum.
#[derive(Default)]
struct Counting {
    inside: AtomicU64,
    most: AtomicU64,
    is_async: bool,
    fail_at: Option<u64>,
    is_tolerated: bool,
    /// When each task began.
    begins_ns: std::sync::Mutex<Vec<u64>>,
}

impl Counting {
    fn enter(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.begins_ns.lock().expect("no panic").push(crate::clock::now_ns());
    }

    fn leave(&self, index: u64) -> Outcome {
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if self.fail_at == Some(index) {
            let message = format!("task {index} fails");
            return Err(Failed {
                kind: FailureKind::Task,
                message,
                place: "step 1 (test)".to_owned(),
                traceback: Vec::new(),
            });
        }
        Ok(index)
    }
}

struct Shared(Arc<Counting>);

impl Step for Shared {
    fn blocking(&self, index: u64) -> Outcome {
        self.0.enter();
        std::thread::sleep(std::time::Duration::from_micros(300));
        self.0.leave(index)
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            self.0.enter();
            let time = std::time::Duration::from_millis(1);
            match tokio::runtime::Handle::try_current() {
                Ok(_) => tokio::time::sleep(time).await,
                Err(_) => drop(async_io::Timer::after(time).await),
            }
            self.0.leave(index)
        })
    }
}

const IN_PROCESS: [Kind; 9] = [
    Kind::Sequential,
    Kind::ThreadPool,
    Kind::ThreadPerTask,
    Kind::Rayon,
    Kind::TokioCurrentThread,
    Kind::TokioMultiThread,
    Kind::Smol,
    Kind::TokioSharded,
    Kind::TokioBlockingPool,
];

/// Those, and compio where it is.
fn in_process() -> Vec<Kind> {
    let here = offers().0.into_iter().map(|offer| offer.engine);
    IN_PROCESS.into_iter().chain(here.filter(|engine| *engine == Kind::Compio)).collect()
}

#[test]
fn compio_is_offered_or_it_is_said_why_not() {
    let (offered, absent) = offers();
    let is_offered = offered.iter().any(|offer| offer.engine == Kind::Compio);
    assert_eq!(offered.len() + absent.len(), Kind::RUST.len());
    assert_eq!(absent.iter().any(|absent| absent.engine == Kind::Compio), !is_offered);
    let built = build(&job(Kind::Compio, 2), Arc::new(Task::new(Vec::new(), Payload::default(), Some(0))));
    assert_eq!(built.is_ok(), is_offered);
    #[cfg(not(feature = "compio"))]
    assert!(absent[0].reason.contains("--features compio"), "{}", absent[0].reason);
}

fn job(engine: Kind, size: u32) -> Job {
    let axes = engine.axes();
    let sizes = Sizes { workers: axes.workers.then_some(size), in_flight: axes.in_flight.then_some(size), chunk: None };
    let candidate = Candidate::new(crate::candidate::RUST, engine, sizes);
    Job::new(candidate, Load::Closed { max_in_flight: 64 }, Vec::new(), 0, u64::MAX)
}

fn run(engine: Kind, size: u32, arrival: Arrival, counting: &Arc<Counting>) -> Result<Block, Failed> {
    run_at(None, engine, size, arrival, counting)
}

fn run_at(
    rate: Option<Rate>,
    engine: Kind,
    size: u32,
    arrival: Arrival,
    counting: &Arc<Counting>,
) -> Result<Block, Failed> {
    let step = Placed { step: Box::new(Shared(Arc::clone(counting))), is_async: counting.is_async };
    let task = Arc::new(Task::new(vec![step], Payload::default(), Some(0)));
    let mut engine = build(&Job { rate, ..job(engine, size) }, task)?;
    let mut last = None;
    // Twice: an engine must be as good for its second block as for its first.
    for _ in 0..2 {
        let settings = SamplerSettings {
            arrival,
            first_index: 10,
            slots: engine.slots(),
            shards: engine.shards(),
            task_timeout_ns: u64::MAX,
            tolerates_errors: counting.is_tolerated,
            heartbeat: false,
            most_tasks: None,
            pace: rate.map(|rate| Pace { bucket: Bucket::filled(rate, 1), tail_ns: 1_000_000 }),
        };
        let sampler = Arc::new(Sampler::new(settings, crate::clock::now_ns()));
        engine.run(&sampler)?;
        last = Some(sampler.finish(0, BlockKind::Timed, Usage::default())?);
    }
    last.ok_or_else(|| cannot("run", &"no block"))
}

#[test]
fn a_batch_runs_each_index_once() {
    for engine in in_process() {
        let counting = Arc::new(Counting::default());
        let block = run(engine, 3, Arrival::Batch { tasks: 50 }, &counting).expect("no failure");
        assert_eq!((block.tasks, block.checksum), (50, (10..60).sum()), "{engine}");
    }
}

#[test]
fn a_window_is_kept_full_and_never_over_full() {
    for is_async in [false, true] {
        for engine in in_process() {
            let size = if engine == Kind::Sequential { 1 } else { 4 };
            let counting = Arc::new(Counting { is_async, ..Counting::default() });
            let window = Arrival::Window { window_ns: 20_000_000, ramp_ns: 500_000 };
            let block = run(engine, size, window, &counting).expect("no failure");
            assert_eq!(block.checksum, (10..10 + block.tasks).sum::<u64>(), "{engine}");
            assert_eq!(counting.most.load(Ordering::SeqCst), u64::from(size), "{engine}");
            assert_eq!(counting.inside.load(Ordering::SeqCst), 0, "{engine}");
        }
    }
}

#[test]
fn a_failing_task_is_the_answer_of_its_block() {
    for engine in in_process() {
        let counting = Arc::new(Counting { fail_at: Some(17), ..Counting::default() });
        let failure = run(engine, 2, Arrival::Batch { tasks: 50 }, &counting).expect_err("task 17 fails");
        assert_eq!(failure.to_string(), "step 1 (test): task 17 fails", "{engine}");
    }
}

#[test]
fn a_tolerated_failure_is_counted_and_its_block_goes_on() {
    for engine in in_process() {
        let window = Arrival::Window { window_ns: 5_000_000, ramp_ns: 0 };
        for (arrival, least) in [(Arrival::Batch { tasks: 50 }, 50), (window, 1)] {
            let counting = Arc::new(Counting { fail_at: Some(10), is_tolerated: true, ..Counting::default() });
            let block = run(engine, 2, arrival, &counting).expect("it is tolerated");
            assert!(block.tasks >= least && block.errors == 1, "{engine} {}", block.tasks);
            let message = block.first_error.expect("it is told").to_string();
            assert_eq!(message, "step 1 (test): task 10 fails", "{engine}");
            assert_eq!(block.checksum, (10..10 + block.tasks).sum::<u64>() - 10, "{engine}");
        }
    }
}

#[test]
fn no_block_of_many_hangs() {
    for engine in in_process() {
        for size in [1, 2, 7] {
            let counting = Arc::new(Counting { is_async: true, ..Counting::default() });
            run(engine, size, Arrival::Batch { tasks: 1 }, &counting).expect("no failure");
        }
    }
}

#[test]
fn loops_share_what_is_in_flight_and_one_without_a_share_takes_nothing() {
    for (workers, in_flight) in [(2, 5), (3, 3), (4, 2)] {
        for arrival in [Arrival::Batch { tasks: 41 }, Arrival::Window { window_ns: 20_000_000, ramp_ns: 0 }] {
            let counting = Arc::new(Counting { is_async: true, ..Counting::default() });
            let step = Placed { step: Box::new(Shared(Arc::clone(&counting))), is_async: true };
            let task = Arc::new(Task::new(vec![step], Payload::default(), Some(0)));
            let mut engine = tokio_sharded::TokioSharded::new(&task, workers, in_flight).expect("threads");
            let settings = SamplerSettings { arrival, ..plain(&engine) };
            let sampler = Arc::new(Sampler::new(settings, crate::clock::now_ns()));
            engine.run(&sampler).expect("it runs");
            let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure");
            assert_eq!(block.checksum, (0..block.tasks).sum::<u64>(), "{workers}, {in_flight}");
            assert_eq!(counting.most.load(Ordering::SeqCst), u64::from(in_flight), "{workers}");
        }
    }
}

/// What a block without a limit of any kind runs under.
fn plain(engine: &dyn Engine) -> SamplerSettings {
    SamplerSettings {
        arrival: Arrival::Batch { tasks: 0 },
        first_index: 0,
        slots: engine.slots(),
        shards: engine.shards(),
        task_timeout_ns: u64::MAX,
        tolerates_errors: false,
        heartbeat: false,
        most_tasks: None,
        pace: None,
    }
}

#[test]
fn what_loops_share_is_one_and_what_is_bound_to_a_loop_is_its_own() {
    use crate::agent::steps::testing::{job as steps_of, step_job, waiting};
    use crate::workload::{Step as Described, Work};
    let steps = [
        Described::Wait { time: waiting() },
        Described::Lock { hold: Work::Wait { time: waiting() } },
        Described::Queue { capacity: 2, stage: Work::Wait { time: waiting() } },
        Described::Event { round_trips: 2 },
    ];
    let described = steps_of(&steps.map(step_job));
    let task = Arc::new(crate::agent::steps::build(&described, crate::agent::steps::Place::Agent).expect("a task"));
    let sum = |sums: &mut dyn Iterator<Item = u64>| sums.fold(0_u64, u64::wrapping_add);
    let of = |index| sum(&mut task.reference(index).expect("a reference").into_iter());
    let expected = sum(&mut (0..90).map(of));
    let mut engine = tokio_sharded::TokioSharded::new(&task, 3, 9).expect("threads");
    // Between blocks no loop turns: what one block leaves behind must serve the next.
    for _ in 0..3 {
        let settings = SamplerSettings { arrival: Arrival::Batch { tasks: 90 }, ..plain(&engine) };
        let sampler = Arc::new(Sampler::new(settings, crate::clock::now_ns()));
        engine.run(&sampler).expect("it runs");
        let block = sampler.finish(0, BlockKind::Timed, Usage::default()).expect("no failure");
        assert_eq!((block.tasks, block.checksum), (90, expected));
    }
}

/// By how many tasks the starts exceed what a rate allows, in whatever time it is most.
fn excess(begins_ns: &mut [u64], rate: Rate) -> f64 {
    begins_ns.sort_unstable();
    let level = |(number, begin_ns): (usize, &u64)| number as f64 - *begin_ns as f64 / rate.interval_ns() as f64;
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for each in begins_ns.iter().enumerate() {
        least = least.min(level(each));
        most = most.max(level(each) - least + 1.0 - f64::from(rate.burst));
    }
    most
}

#[test]
fn every_engine_is_held_to_a_rate() {
    let rate = Rate { tasks: 400, period_ns: 1_000_000_000, burst: 2 };
    for is_async in [false, true] {
        for engine in in_process() {
            let size = if engine == Kind::Sequential { 1 } else { 6 };
            for arrival in [Arrival::Window { window_ns: 50_000_000, ramp_ns: 0 }, Arrival::Batch { tasks: 20 }] {
                let counting = Arc::new(Counting { is_async, ..Counting::default() });
                let block = run_at(Some(rate), engine, size, arrival, &counting).expect("no failure");
                assert_eq!(block.checksum, (10..10 + block.tasks).sum::<u64>(), "{engine}");
                assert!(block.tasks >= 8, "{engine}: {}", block.tasks);
                // Without a bucket there would be hundreds: some are late, and then near to the next ones.
                let mut begins_ns = counting.begins_ns.lock().expect("no panic");
                let beyond = excess(&mut begins_ns, rate);
                assert!(beyond < 6.0, "{engine} {arrival:?}: {beyond} too many of {}", begins_ns.len());
            }
        }
    }
}

#[test]
fn a_failure_ends_the_wait_for_a_token() {
    let rate = Rate { tasks: 1, period_ns: 3_600_000_000_000, burst: 1 };
    let settings = SamplerSettings {
        arrival: Arrival::Batch { tasks: 2 },
        first_index: 0,
        slots: 1,
        shards: 1,
        task_timeout_ns: u64::MAX,
        tolerates_errors: false,
        heartbeat: false,
        most_tasks: None,
        pace: Some(Pace { bucket: Bucket::empty(rate, crate::clock::now_ns()), tail_ns: 0 }),
    };
    let sampler = Arc::new(Sampler::new(settings, crate::clock::now_ns()));
    let waiter = Arc::clone(&sampler);
    let waiting = std::thread::spawn(move || waiter.next());
    sampler.fail(Failed::new(FailureKind::Task, "no", ""));
    assert_eq!(waiting.join().expect("it ends"), None);
}
