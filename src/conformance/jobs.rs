//! What the examined agent is asked to do.

use crate::candidate::{Candidate, Engine, RUST, Sizes};
use crate::protocol::{Hello, Job, StepJob};
use crate::workload::{Cpu, Distribution, FileOperation, Kernel, Load, Step, Work};

/// What a task waits.
pub(super) const WAIT_NS: u64 = 300_000;
/// What it computes, about.
const COMPUTE_NS: f64 = 300_000.0;
/// The number of workers, and of tasks in flight, of an engine that has either.
const SIZES: (u32, u32) = (2, 4);
/// A task that takes longer has failed.
const TASK_TIMEOUT_NS: u64 = 30_000_000_000;

/// The computation of most tasks.
pub(super) const LOOP: Cpu = Cpu { kernel: Kernel::Loop, input_bytes: 4096, time_ns: None };

/// A step as a job has it.
pub(super) fn step(step: Step, iterations: u64) -> StepJob {
    StepJob::drawn(step, iterations, 1, 0)
}

/// A wait.
pub(super) fn wait() -> StepJob {
    step(Step::Wait { time: fixed() }, 1)
}

/// A computation of about as long as the wait, on an agent that takes so long for an iteration.
pub(super) fn compute(iteration_ns: f64) -> StepJob {
    step(Step::Cpu(LOOP), (COMPUTE_NS / iteration_ns).clamp(1.0, 1e6) as u64)
}

/// A program that exits with `status` where it is to exit with 0.
pub(super) fn exits(status: u32) -> StepJob {
    shell(&format!("exit {status}"))
}

/// A program that fails where it has one of these pipes.
pub(super) fn without_pipes([requests, replies]: [u64; 2]) -> StepJob {
    let cases = format!("'pipe:[{requests}]'|'pipe:[{replies}]') exit 9;;");
    shell(&format!("for fd in /proc/$$/fd/*; do case $(readlink $fd) in {cases} esac; done"))
}

fn shell(script: &str) -> StepJob {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    step(Step::Command { argv, expect_status: 0 }, 1)
}

/// Steps whose checksums are compared, by name: those that every agent has, then those that it may lack.
pub(super) fn steps() -> Vec<(String, StepJob)> {
    let computing = |kernel| Cpu { kernel, input_bytes: 600, time_ns: None };
    let mut steps = vec![("wait".to_owned(), wait())];
    steps.extend(Kernel::ALL.map(|kernel| (format!("cpu, {}", kernel.name()), step(Step::Cpu(computing(kernel)), 3))));
    let [holds, waits] = [Work::Cpu(computing(Kernel::Loop)), Work::Wait { time: fixed() }];
    for other in [
        Step::Sleep { time: fixed() },
        Step::File { operation: FileOperation::Read, size_bytes: 1000, fsync: false },
        Step::Lock { hold: holds },
        Step::Queue { capacity: 4, stage: waits },
        Step::Event { round_trips: 1 },
    ] {
        steps.push((other.kind().to_owned(), step(other, 1)));
    }
    steps
}

/// Whether every agent has this step.
pub(super) fn is_required(step: &Step) -> bool {
    matches!(step, Step::Wait { .. } | Step::Cpu(Cpu { kernel: Kernel::Loop, .. }))
}

fn fixed() -> Distribution {
    Distribution::Fixed { time_ns: WAIT_NS }
}

/// A job of these steps for an engine of the agent's, under a closed load.
pub(super) fn job(runtime: &str, hello: &Hello, engine: Engine, steps: Vec<StepJob>) -> Job {
    let (workers, in_flight) = SIZES;
    let sizes = engine.axes().sizes(workers, in_flight, 1);
    let start_method = hello.start_method(engine);
    let candidate = Candidate { start_method, ..Candidate::new(runtime, engine, sizes) };
    let load = Load::Closed { max_in_flight: sizes.concurrency() };
    Job::new(candidate, load, steps, 7, TASK_TIMEOUT_NS)
}

/// The same for the native agent's plain loop, which makes the reference.
pub(super) fn native(job: &Job) -> Job {
    Job { candidate: Candidate::new(RUST, Engine::Sequential, Sizes::default()), ..job.clone() }
}
