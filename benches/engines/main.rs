//! `cargo bench`: conbench's engines beside programs written by hand, paired in the same run.
//!
//! Each pair runs the same number of the same tasks, once by the engine under the sampler and once by a
//! loop that a programmer would write, without measurement; the order within a pair is drawn by chance.
//! The figure is the trimmed mean of the paired ratios with its 95 % interval (Yuen), so the host's drift
//! cancels. What a task of no work costs more under the sampler than in a bare loop is the price of
//! recording.

mod by_hand;
mod limits;
#[path = "../common/table.rs"]
mod table;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use conbench::internal::agent::engines::{self, Engine};
use conbench::internal::agent::sampler::{Arrival, Sampler, SamplerSettings};
use conbench::internal::agent::steps::{self, Place};
use conbench::internal::agent::task::Task;
use conbench::internal::candidate::{Candidate, Engine as Kind, RUST, Sizes};
use conbench::internal::clock::{nanos, now_ns};
use conbench::internal::protocol::{BlockKind, DRAWS, Job, StepJob, Usage};
use conbench::internal::stats;
use conbench::internal::workload::{Cpu, Distribution, Kernel, Load, Payload, Step};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use by_hand::Loop;
use table::{Line, show};

/// Pairs behind each ratio.
const PAIRS: usize = 40;

/// About how long one side of a pair runs.
const SIDE: Duration = Duration::from_millis(60);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // The engines' worker processes are this program, started again.
    if arguments.first().is_some_and(|first| first == "worker") {
        let rest: Vec<OsString> = arguments[1..].iter().map(OsString::from).collect();
        return conbench::internal::agent::worker::main(&rest);
    }
    if arguments.first().is_some_and(|first| first == by_hand::WORKER) {
        by_hand::worker();
        return ExitCode::SUCCESS;
    }
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    if filter != "limits" {
        show("engine beside a loop written by hand (above 1: the engine is faster)", &ratios(filter));
    }
    if filter.is_empty() || filter == "limits" {
        show("limits", &limits::measure());
    }
    ExitCode::SUCCESS
}

/// The tasks that the engines are compared on.
fn tasks() -> [(&'static str, Step, u64); 2] {
    let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 8192, time_ns: None };
    let iterations = (100_000.0 / iteration_ns(cpu)).round() as u64;
    let wait = Step::Wait { time: Distribution::Fixed { time_ns: 1_000_000 } };
    [("cpu 100 us", Step::Cpu(cpu), iterations.max(1)), ("wait 1 ms", wait, 1)]
}

fn iteration_ns(cpu: Cpu) -> f64 {
    use conbench::internal::agent::calibrate::calibrate;
    use conbench::internal::protocol::{Calibrate, Calibrated, Target};
    match calibrate(&Calibrate { target: Target::Iteration(cpu), budget_ns: 200_000_000 }) {
        Calibrated::Iteration { best_ns } => best_ns,
        Calibrated::Cores { .. } => 1.0,
    }
}

/// The engines whose line contains `filter`, each beside its loop.
fn ratios(filter: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for (name, step, iterations) in tasks() {
        for engine in engines::offers().0.into_iter().map(|offer| offer.engine) {
            let size = if matches!(step, Step::Cpu(_)) { 2 } else { 8 };
            let what = format!("{name}, {engine}");
            if !what.contains(filter) {
                continue;
            }
            lines.push(match ratio(&job(engine, size, &step, iterations)) {
                Ok(logs) => Line::of_ratios(what, &logs, 0.98),
                Err(error) => Line { what, figure: error, target: "0.98 at least".to_owned(), met: false },
            });
        }
    }
    if filter.is_empty() || filter == "recording" {
        lines.push(recording());
    }
    lines
}

pub(crate) fn job(engine: Kind, size: u32, step: &Step, iterations: u64) -> Job {
    let axes = engine.axes();
    let sizes = Sizes {
        workers: axes.workers.then_some(if axes.in_flight { 2 } else { size }),
        in_flight: axes.in_flight.then_some(size),
        chunk: None,
    };
    let draws = step.distributions().into_iter().map(|distribution| vec![distribution.mean_ns() as u64; DRAWS]);
    let steps = vec![StepJob { step: step.clone(), iterations, draws: draws.collect(), items: None }];
    Job::new(Candidate::new(RUST, engine, sizes), Load::Closed { max_in_flight: 64 }, steps, 1, 60_000_000_000)
}

/// How much faster the engine is than the loop written by hand: logarithms of paired ratios of their times.
fn ratio(job: &Job) -> Result<Vec<f64>, String> {
    let task = Arc::new(steps::build(job, Place::Agent).map_err(|failure| failure.to_string())?);
    let mut ours = engines::build(job, Arc::clone(&task)).map_err(|failure| failure.to_string())?;
    // A task of its own: a timer belongs to the event loop that first waits on it.
    let own = Arc::new(steps::build(job, Place::Agent).map_err(|failure| failure.to_string())?);
    let mut theirs = by_hand::build(job, &own);
    let tasks = side_tasks(&mut *theirs);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    Ok((0..PAIRS)
        .map(|_| {
            let (ours_ns, theirs_ns) = if rng.random() {
                let first = timed(&mut *ours, tasks);
                (first, by_hand_ns(&mut *theirs, tasks))
            } else {
                let first = by_hand_ns(&mut *theirs, tasks);
                (timed(&mut *ours, tasks), first)
            };
            (theirs_ns / ours_ns).ln()
        })
        .collect())
}

/// As many tasks as the loop does in [`SIDE`].
fn side_tasks(by_hand: &mut dyn Loop) -> u64 {
    let trial = 64;
    by_hand.run(trial);
    let per_task = by_hand_ns(by_hand, trial) / trial as f64;
    (nanos(SIDE) as f64 / per_task).ceil() as u64
}

fn by_hand_ns(by_hand: &mut dyn Loop, tasks: u64) -> f64 {
    let start = now_ns();
    by_hand.run(tasks);
    (now_ns() - start) as f64
}

fn timed(engine: &mut dyn Engine, tasks: u64) -> f64 {
    let settings = SamplerSettings {
        arrival: Arrival::Batch { tasks },
        first_index: 0,
        slots: engine.slots(),
        shards: engine.shards(),
        task_timeout_ns: u64::MAX,
        tolerates_errors: false,
        heartbeat: false,
        most_tasks: None,
        pace: None,
    };
    let start = now_ns();
    let sampler = Arc::new(Sampler::new(settings, start));
    engine.run(&sampler).unwrap_or_else(|failure| sampler.fail(failure));
    let elapsed = (now_ns() - start) as f64;
    match sampler.finish(0, BlockKind::Timed, Usage::default()) {
        Ok(_) => elapsed,
        Err(_) => f64::NAN,
    }
}

/// What recording costs a task: a sequential engine with tasks of no work, beside a bare loop.
fn recording() -> Line {
    const TASKS: u64 = 200_000;
    let empty = Job { steps: Vec::new(), ..job(Kind::Sequential, 1, &Step::Event { round_trips: 1 }, 1) };
    let task = Arc::new(Task::new(Vec::new(), Payload::default(), Some(0)));
    let figure = engines::build(&empty, Arc::clone(&task)).ok().map(|mut engine| {
        let costs: Vec<f64> = (0..PAIRS)
            .map(|_| {
                let start = now_ns();
                (0..TASKS).for_each(|index| drop(std::hint::black_box(task.blocking(index))));
                let bare_ns = (now_ns() - start) as f64;
                (timed(&mut *engine, TASKS) - bare_ns) / TASKS as f64
            })
            .collect();
        stats::median(&costs).unwrap_or(f64::NAN)
    });
    let cost_ns = figure.unwrap_or(f64::NAN);
    Line {
        what: "recording, per task".to_owned(),
        figure: format!("{cost_ns:.0} ns"),
        target: "under 100 ns".to_owned(),
        met: cost_ns < 100.0,
    }
}
