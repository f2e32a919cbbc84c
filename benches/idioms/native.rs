//! Native engines: the code is a function of this program, around the same computation as the candidate's tasks.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use conbench::agent::steps::kernels::Input;
use conbench::candidate::{Candidate, Engine};
use conbench::workload::{self, Step};

use crate::{PROGRAM, measured, printed_of, rate_of, sizes_as_options};

#[rustfmt::skip]
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, unused, reason = "it is what users are shown, as they see it")]
#[path = "../../tests/idioms/native.rs"]
mod shown;

/// Tasks of half a millisecond: what an engine takes for each shows.
const WORKLOAD: &str = "name = \"idiom\"\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"500us\"\n";
const FILE: &str = "idiom.toml";

/// Code over items.
type Run = fn(Vec<u64>) -> Vec<u64>;

/// Engines whose code can be called, and whose tasks may be computation alone. (That of processes is a program of its own, and
/// sharded loops want tasks that wait.)
pub(crate) const CASES: [(Engine, Run); 8] = [
    (Engine::Sequential, shown::sequential::run),
    (Engine::ThreadPool, shown::thread_pool::run),
    (Engine::ThreadPerTask, shown::thread_per_task::run),
    (Engine::Rayon, shown::rayon::run),
    (Engine::TokioCurrentThread, shown::tokio_current_thread::run),
    (Engine::TokioMultiThread, shown::tokio_multi_thread::run),
    (Engine::Smol, shown::smol::run),
    (Engine::TokioBlockingPool, shown::tokio_blocking_pool::run),
];

/// What the tasks compute on, and the iterations of one: as the agent found them.
static INPUT: OnceLock<Input> = OnceLock::new();
static ITERATIONS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn task(item: u64) -> u64 {
    let input = INPUT.get().expect("the candidate was measured before");
    input.run(item, ITERATIONS.load(Ordering::Relaxed)).expect("the kernel computes")
}

pub(crate) async fn async_task(item: u64) -> u64 {
    task(item)
}

pub(crate) fn line_task(line: &str) -> String {
    line.to_owned()
}

pub(crate) fn write(place: &Path) -> std::io::Result<()> {
    std::fs::write(place.join(FILE), WORKLOAD)
}

/// What is printed of a candidate, and what its code reaches.
pub(crate) fn turn(place: &Path, candidate: &Candidate, run: Run) -> Result<(f64, f64), String> {
    let mut command = Command::new(PROGRAM);
    command.current_dir(place).args(["--quiet", "run", FILE, "--runtimes", "rust", "--budget", "3s"]);
    command.args(["--engines", candidate.engine.name()]).args(sizes_as_options(candidate.sizes));
    let said = measured(&mut command)?;
    let iterations = &said["records"][0]["calibration"]["runtimes"][0]["iterations"][0];
    ITERATIONS.store(iterations.as_u64().ok_or("no iterations")?, Ordering::Relaxed);
    INPUT.get_or_init(|| {
        let workload = workload::parse(FILE, WORKLOAD).expect("a workload");
        let [Step::Cpu(cpu)] = workload.steps.as_slice() else { panic!("one step") };
        Input::new(cpu, 1)
    });
    let printed = printed_of(&said)?;
    let code = rate_of(printed, |items| {
        let begun = Instant::now();
        let results = run((0..items).collect());
        let seconds = begun.elapsed().as_secs_f64();
        if results.len() as u64 == items { Ok(seconds) } else { Err(format!("{} results", results.len())) }
    })?;
    Ok((printed, code))
}
