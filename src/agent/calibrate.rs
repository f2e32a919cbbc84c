//! Measurements of the unloaded machine, and the reference checksums.

use std::hint::black_box;
use std::ops::Range;

use super::bucket::Bucket;
use super::steps::kernels::{Input, input_seed};
use super::task::Task;
use crate::clock::{now_ns, wait_blocking_until};
use crate::protocol::{Calibrate, Calibrated, Failed, Reference, Target, VARIANTS};
use crate::workload::{Cpu, Kernel, Rate};

/// Measures what `calibrate` asks for, best of many within its budget.
///
/// A core whose loop's thread cannot be started counts as none.
#[must_use]
pub fn calibrate(request: &Calibrate) -> Calibrated {
    match &request.target {
        Target::Iteration(cpu) => Calibrated::Iteration { best_ns: iteration_ns(cpu, request.budget_ns) },
        Target::Cores { loops } => Calibrated::Cores { usable_cores: usable_cores(*loops, request.budget_ns) },
    }
}

/// What is told of how long a task takes, beside its checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Nothing: the workload says it.
    Unasked,
    /// What each variant of the reference takes, which runs the user's own code.
    OfReference,
    /// What one task takes: a reference runs no program.
    OfTask,
}

/// The checksums of every variant of every step, no faster than `rate`, and how long a task takes, where that is asked.
///
/// # Errors
/// When a step failed.
pub fn reference(task: &Task, rate: Option<Rate>, time: Time) -> Result<Reference, Failed> {
    let mut took_ns = Vec::new();
    let mut bucket = rate.map(|rate| Bucket::empty(rate, now_ns()));
    let one = |index| {
        // The far side does not care why it is called.
        while let Some(Err(ready_ns)) = bucket.as_mut().map(|bucket| bucket.take(now_ns())) {
            wait_blocking_until(ready_ns);
        }
        let begun_ns = now_ns();
        let sums = task.reference(index);
        took_ns.push(now_ns() - begun_ns);
        sums
    };
    let variants = (0..VARIANTS).map(one).collect::<Result<Vec<Vec<u64>>, Failed>>()?;
    let steps = variants.first().map_or(0, Vec::len);
    let tables = (0..steps).map(|step| variants.iter().map(|sums| sums[step]).collect()).collect();
    if time == Time::OfTask {
        let begun_ns = now_ns();
        task.prepare(Some(0));
        // How it fails, if it does, is told by the candidates.
        took_ns = task.blocking(0).map(|_| now_ns() - begun_ns).into_iter().collect();
    }
    let told = || took_ns.iter().copied().filter(|_| time != Time::Unasked);
    let (first_call_ns, call_ns) = (told().next().unwrap_or(0), told().min().unwrap_or(0));
    Ok(Reference { tables, first_call_ns, call_ns, ..Reference::default() })
}

/// Inputs that are averaged over: tasks work on several, which need not cost the same.
const INPUTS: u64 = 4;
/// A batch lasts about so long, beside which the clock's cost and resolution are nothing.
const BATCH_NS: u64 = 50_000;

/// The time of one iteration: for each input the best batch, and of these the mean.
fn iteration_ns(cpu: &Cpu, budget_ns: u64) -> f64 {
    let end_ns = now_ns().saturating_add(budget_ns);
    let inputs: Vec<Input> = (0..INPUTS).map(|variant| Input::new(cpu, input_seed(0, 1, variant))).collect();
    let mut sizes = [1_u64; INPUTS as usize];
    let mut best = [f64::INFINITY; INPUTS as usize];
    // Every input runs once, whatever the budget; the first runs also warm caches and allocator.
    loop {
        for ((input, size), best) in inputs.iter().zip(&mut sizes).zip(&mut best) {
            let each_ns = batch_ns(input, *size);
            *best = best.min(each_ns);
            *size = (BATCH_NS as f64 / each_ns.max(1.0)).clamp(1.0, 1e6) as u64;
        }
        if now_ns() >= end_ns {
            return best.iter().sum::<f64>() / best.len() as f64;
        }
    }
}

/// The mean time of one iteration in a batch of `size`.
fn batch_ns(input: &Input, size: u64) -> f64 {
    let start_ns = now_ns();
    // The kernels run on inputs of their own making, where they do not fail.
    let _ = black_box(input.run(0, size));
    (now_ns() - start_ns) as f64 / size as f64
}

/// Slices that say nothing are tried again beyond the budget, up to so many in all.
const ATTEMPTS: usize = 50;

/// The rate of `loops` independent loops over the rate of one of them.
///
/// Each slice of all lies between two slices of one, so that a steady drift of the machine's speed
/// cancels; the result is the median ratio. On a host too loaded for a lone loop to get a turn, it is 1; where lone loops
/// were disturbed more than all, it is no more than `loops`.
fn usable_cores(loops: u32, budget_ns: u64) -> f64 {
    // 20 ratios, unless that makes slices shorter than a scheduler's turn, or longer than noise lasts.
    let slice_ns = (budget_ns / 60).clamp(5_000_000, 20_000_000);
    let end_ns = now_ns().saturating_add(budget_ns);
    let mut ratios = Vec::new();
    for attempt in 1.. {
        let before = iterations_in_slice(1, slice_ns);
        let all = iterations_in_slice(loops.max(1), slice_ns);
        let after = iterations_in_slice(1, slice_ns);
        // A slice in which other programs let nothing run says nothing about cores.
        if before > 0.0 && all > 0.0 && after > 0.0 {
            ratios.push(2.0 * all / (before + after));
        }
        if now_ns() >= end_ns && (ratios.len() >= 3 || attempt >= ATTEMPTS) {
            break;
        }
    }
    cores_of(&mut ratios, loops)
}

/// The median ratio, and at most one core for each loop.
fn cores_of(ratios: &mut [f64], loops: u32) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(1.0).min(f64::from(loops.max(1)))
}

/// What `loops` independent loops do together in a slice: iterations, with the parts of those that
/// straddle its edges.
fn iterations_in_slice(loops: u32, slice_ns: u64) -> f64 {
    // None may begin late for want of a thread: all are started, and spin, before the slice begins.
    let run_up_ns = 300_000 + 50_000 * u64::from(loops);
    let start_ns = now_ns() + run_up_ns;
    let slice = start_ns..start_ns + slice_ns;
    std::thread::scope(|scope| {
        let counts: Vec<_> = (0..loops)
            .map(|number| {
                let slice = slice.clone();
                let count = move || count_in_slice(u64::from(number), &slice);
                std::thread::Builder::new().spawn_scoped(scope, count)
            })
            .collect();
        // A loop that could not be started did nothing.
        counts.into_iter().flatten().filter_map(|count| count.join().ok()).sum()
    })
}

fn count_in_slice(number: u64, slice: &Range<u64>) -> f64 {
    let input = Input::new(&Cpu { kernel: Kernel::Loop, input_bytes: 16 << 10, time_ns: None }, number);
    let mut count = 0.0;
    let mut begun_ns = now_ns();
    while begun_ns < slice.end {
        // The loop kernel cannot fail.
        let _ = black_box(input.run(number, 1));
        let done_ns = now_ns();
        let inside = done_ns.min(slice.end).saturating_sub(begun_ns.max(slice.start));
        count += inside as f64 / (done_ns - begun_ns).max(1) as f64;
        begun_ns = done_ns;
    }
    count
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::agent::steps::testing::{in_agent, job, step_job, waiting};
    use crate::agent::steps::{Place, build};
    use crate::protocol::vectors::Vectors;
    use crate::protocol::{Job, ServerAddress, StepJob};
    use crate::workload::{Connection, FileOperation, Payload, Step, Work};

    fn cpu(input_bytes: u64) -> Cpu {
        Cpu { kernel: Kernel::Loop, input_bytes, time_ns: None }
    }

    #[test]
    fn more_work_takes_longer() {
        let best = |bytes| match calibrate(&Calibrate { target: Target::Iteration(cpu(bytes)), budget_ns: 20_000_000 })
        {
            Calibrated::Iteration { best_ns } => best_ns,
            Calibrated::Cores { .. } => panic!("not what was asked for"),
        };
        assert!(best(64 << 10) > best(1 << 10));
    }

    #[test]
    fn an_iteration_is_measured_even_without_a_budget() {
        for kernel in Kernel::ALL {
            let target = Target::Iteration(Cpu { kernel, input_bytes: 100, time_ns: None });
            let calibrated = calibrate(&Calibrate { target, budget_ns: 0 });
            let Calibrated::Iteration { best_ns } = calibrated else { panic!("not what was asked for") };
            assert!(best_ns.is_finite() && best_ns > 0.0, "{} {best_ns}", kernel.name());
        }
    }

    #[test]
    fn cores_are_a_positive_number() {
        for loops in [0, 1, 3] {
            let calibrated = calibrate(&Calibrate { target: Target::Cores { loops }, budget_ns: 10_000_000 });
            let Calibrated::Cores { usable_cores } = calibrated else { panic!("not what was asked for") };
            assert!(usable_cores.is_finite() && usable_cores > 0.0, "{usable_cores}");
        }
    }

    #[test]
    fn no_loop_has_more_than_a_core() {
        assert_eq!(cores_of(&mut [3.11, 1.9, 3.4], 2), 2.0);
        assert_eq!(cores_of(&mut [1.7, 1.9, 1.8], 2), 1.8);
        assert_eq!(cores_of(&mut [1.2], 0), 1.0);
        assert_eq!(cores_of(&mut [], 2), 1.0);
    }

    /// Steps of each kind, as a job has them.
    fn described() -> Vec<StepJob> {
        let (time, wait) = (waiting(), Work::Wait { time: waiting() });
        let file = |operation| Step::File { operation, size_bytes: 1000, fsync: false };
        let [keep_alive, new] = [Connection::KeepAlive, Connection::New];
        let steps = [
            Step::Cpu(cpu(800)),
            Step::Wait { time },
            Step::Sleep { time },
            Step::Http { url: None, delay: time, body_bytes: 2000, connection: keep_alive },
            Step::Tcp { address: None, delay: time, request_bytes: 24, response_bytes: 2000, connection: new },
            Step::Http { url: Some("http://127.0.0.1:9/".to_owned()), delay: time, body_bytes: 9, connection: new },
            file(FileOperation::Read),
            file(FileOperation::Write),
            file(FileOperation::Append),
            Step::Lock { hold: wait },
            Step::Lock { hold: Work::Cpu(cpu(800)) },
            Step::Queue { capacity: 1, stage: wait },
            Step::Queue { capacity: 1, stage: Work::Cpu(cpu(800)) },
            Step::Event { round_trips: 1 },
            Step::Command { argv: vec!["true".to_owned()], expect_status: 0 },
        ];
        let short = |step: Step| StepJob {
            draws: step_job(step.clone()).draws.iter().map(|_| vec![50_000]).collect(),
            ..step_job(step)
        };
        steps.map(short).into_iter().collect()
    }

    fn tables(steps: &[StepJob], seed: u64, payload: Payload) -> Value {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Some(ServerAddress { http_port: 1, tcp_port: 2, pid: 3 });
        let job = Job { seed, payload, server, directory: Some(directory.path().to_owned()), ..job(steps) };
        let task = build(&job, Place::Agent).expect("a task");
        let made = reference(&task, None, Time::Unasked).expect("a reference");
        json!({"steps": steps, "seed": seed, "payload": payload, "tables": made.tables})
    }

    #[test]
    fn the_vectors_are_what_steps_come_to() {
        let mut cases: Vec<Value> = described().chunks(1).map(|step| tables(step, 7, Payload::default())).collect();
        // The number of a step is in its checksum.
        let of_three = [described(), described(), described()].map(|mut steps| steps.swap_remove(0));
        cases.push(tables(&of_three, u64::MAX, Payload { input_bytes: 3000, output_bytes: 500 }));
        Vectors::new(
            "steps",
            "The `tables` of the frame `reference` for a job of these steps: a list a step, the payload last; a checksum \
             for each variant. The job has a `directory` and a `server` of any ports.",
        )
        .with("jobs", cases)
        .hold();
    }

    #[test]
    fn the_reference_predicts_any_run_of_tasks() {
        let mut job = job(&[step_job(Step::Cpu(cpu(100))), step_job(Step::Wait { time: waiting() })]);
        job.payload = Payload { input_bytes: 9, output_bytes: 3 };
        let task = build(&job, Place::Agent).expect("a task");
        let reference = reference(&task, None, Time::Unasked).expect("a reference");
        assert_eq!(reference.tables.iter().map(Vec::len).collect::<Vec<usize>>(), [VARIANTS as usize; 3]);
        let sum = (5..40).fold(0_u64, |sum, index| sum.wrapping_add(task.blocking(index).expect("runs")));
        assert_eq!(reference.expected(5, 35), sum);
        assert_eq!(
            super::reference(&in_agent(&job.steps[0]), None, Time::Unasked).expect("again").tables[0],
            reference.tables[0]
        );
    }
}
