//! Native engines: the code is a function of this program, around the same computation as the candidate's tasks.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use conbench::internal::agent::steps::kernels::Input;
use conbench::internal::candidate::{Candidate, Engine};
use conbench::internal::workload::{self, Step};

use crate::{PROGRAM, measured, printed_of, rate_of, sizes_as_options};

#[rustfmt::skip]
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, unused, reason = "it is what users are shown, as they see it")]
#[path = "../../tests/idioms/native.rs"]
mod shown;

/// Tasks of half a millisecond: what an engine takes for each shows.
const WORKLOAD: &str = "name = \"idiom\"\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"500us\"\n";
const FILE: &str = "idiom.toml";

/// Code that calls the task.
type Calls = fn(Vec<u64>) -> Vec<u64>;
/// Code whose workers are this program once more, which is told the item and the iterations in a line of text.
type Starts = fn(Vec<String>, &mut Vec<String>);

/// Code over items.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    Calls(Calls),
    Starts(Starts),
}

/// Every engine whose tasks may be computation alone, with its code. (Sharded loops want tasks that wait.)
pub(crate) fn cases() -> Vec<(Engine, Run)> {
    let calls: [(Engine, Calls); 8] = [
        (Engine::Sequential, shown::sequential::run),
        (Engine::ThreadPool, shown::thread_pool::run),
        (Engine::ThreadPerTask, shown::thread_per_task::run),
        (Engine::Rayon, shown::rayon::run),
        (Engine::TokioCurrentThread, shown::tokio_current_thread::run),
        (Engine::TokioMultiThread, shown::tokio_multi_thread::run),
        (Engine::Smol, shown::smol::run),
        (Engine::TokioBlockingPool, shown::tokio_blocking_pool::run),
    ];
    let starts: [(Engine, Starts); 3] = [
        (Engine::ProcessPool, shown::process_pool::run),
        (Engine::ProcessPerTask, shown::process_per_task::run),
        (Engine::TokioProcessPool, shown::tokio_process_pool::run),
    ];
    let calls = calls.map(|(engine, run)| (engine, Run::Calls(run)));
    let starts = starts.map(|(engine, run)| (engine, Run::Starts(run)));
    // Its crate is there on request alone.
    #[cfg(feature = "compio")]
    let compio = Some((Engine::Compio, Run::Calls(shown::compio::run)));
    #[cfg(not(feature = "compio"))]
    let compio = None;
    calls.into_iter().chain(starts).chain(compio).collect()
}

/// Does what this program does as a worker of its own; whether it is one.
pub(crate) fn works(arguments: &[String]) -> bool {
    match arguments {
        [worker] if worker == "worker" => shown::process_pool::run(Vec::new(), &mut Vec::new()),
        [worker, _] if worker == "worker" => shown::process_per_task::run(Vec::new(), &mut Vec::new()),
        _ => return false,
    }
    true
}

/// What the tasks compute on, and the iterations of one: as the agent found them.
static INPUT: OnceLock<Input> = OnceLock::new();
static ITERATIONS: AtomicU64 = AtomicU64::new(0);

fn computed(item: u64, iterations: u64) -> u64 {
    let input = INPUT.get_or_init(|| {
        let workload = workload::parse(FILE, WORKLOAD).expect("a workload");
        let [Step::Cpu(cpu)] = workload.steps.as_slice() else { panic!("one step") };
        Input::new(cpu, 1)
    });
    input.run(item, iterations).expect("the kernel computes")
}

pub(crate) fn task(item: u64) -> u64 {
    computed(item, ITERATIONS.load(Ordering::Relaxed))
}

pub(crate) async fn async_task(item: u64) -> u64 {
    task(item)
}

pub(crate) fn line_task(line: &str) -> String {
    let mut numbers = line.split(' ').map(|number| number.parse().expect("a number"));
    let (item, iterations) = numbers.next().zip(numbers.next()).expect("an item and the iterations");
    computed(item, iterations).to_string()
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
    let printed = printed_of(&said)?;
    let code = rate_of(printed, |items| seconds(run, items))?;
    Ok((printed, code))
}

/// How long the code takes over so many items.
fn seconds(run: Run, items: u64) -> Result<f64, String> {
    let iterations = ITERATIONS.load(Ordering::Relaxed);
    let (seconds, results) = match run {
        Run::Calls(run) => {
            let items = (0..items).collect();
            let begun = Instant::now();
            let results = run(items);
            (begun.elapsed().as_secs_f64(), results.len())
        }
        Run::Starts(run) => {
            let items = (0..items).map(|item| format!("{item} {iterations}")).collect();
            let mut results = Vec::new();
            let begun = Instant::now();
            run(items, &mut results);
            (begun.elapsed().as_secs_f64(), results.len())
        }
    };
    if results as u64 == items { Ok(seconds) } else { Err(format!("{results} results of {items} items")) }
}
