//! Records traces: identical agents in interleaved rounds, in a freshly shuffled order.
//!
//!     cargo bench --bench race -- record          # some four minutes; run it when the machine is as idle as it gets

use conbench::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::protocol::Job;
use conbench::stats::median;
use conbench::workload::Kernel;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::arms::{Arm, Stable, job, wait};
use crate::options::Options;
use crate::show::{say, show};
use crate::traces::{self, Stored, Trace};

const MS: u64 = 1_000_000;
/// Identical agents.
const ARMS: usize = 8;
/// Rounds of a trace.
const ROUNDS: usize = 160;
/// Rounds of a life: all agents are then started anew.
const LIFE_ROUNDS: usize = 16;
/// The window of a block.
const WINDOW_NS: u64 = 10 * MS;

/// What is recorded: a name of a file, and the job of its agents.
fn jobs(stable: &mut Stable) -> Result<Vec<(&'static str, Job)>, String> {
    let native =
        |engine: Engine, workers, in_flight| Candidate::new(RUST, engine, Sizes { workers, in_flight, chunk: None });
    let pool = || native(Engine::ThreadPool, Some(2), None);
    let mut jobs = vec![
        (
            "cpu-loop-sequential",
            job(native(Engine::Sequential, None, None), vec![stable.cpu(RUST, Kernel::Loop, 1e6)?]),
        ),
        ("wait-5ms-f16", job(native(Engine::TokioCurrentThread, None, Some(16)), vec![wait(5 * MS)])),
        ("cpu-json-w2", job(pool(), vec![stable.cpu(RUST, Kernel::Json, 1e6)?])),
        ("cpu-deflate-w2", job(pool(), vec![stable.cpu(RUST, Kernel::Deflate, 1e6)?])),
    ];
    if let Some(python) = stable.python() {
        let sequential = Candidate::new(&python, Engine::Sequential, Sizes::default());
        let threads = Sizes { workers: Some(16), ..Sizes::default() };
        let threads = Candidate::new(&python, Engine::ThreadPoolExecutor, threads);
        jobs.push(("cpython-sequential", job(sequential, vec![stable.cpu(&python, Kernel::Loop, 1e6)?])));
        jobs.push(("cpython-wait-5ms-w16", job(threads, vec![wait(5 * MS)])));
    }
    Ok(jobs)
}

/// Records every trace whose name contains the filter, and writes each.
pub(crate) fn record(options: &Options) -> Result<(), String> {
    let mut stable = Stable::open()?;
    let recorded = when();
    let mut rows = Vec::new();
    for (name, job) in jobs(&mut stable)? {
        if !name.contains(&options.filter) {
            continue;
        }
        let residuals = residuals(&rates(&mut stable, &job, options.seed)?);
        let stored = Stored {
            workload: name.to_owned(),
            recorded: recorded.clone(),
            window_ns: WINDOW_NS,
            life_rounds: LIFE_ROUNDS,
            residuals,
        };
        write(&stored)?;
        rows.extend(traces::table(&[Trace::of(&stored)]));
        say(&format!("{name}: written"));
    }
    show(&["trace", "rounds x arms", "paired deviation", "between lives", "drift"], &rows);
    Ok(())
}

/// `rates[round][arm]`, tasks a second.
fn rates(stable: &mut Stable, job: &Job, seed: u64) -> Result<Vec<Vec<f64>>, String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS / LIFE_ROUNDS {
        let mut arms: Vec<Arm> = (0..ARMS).map(|_| stable.arm(job)).collect::<Result<_, String>>()?;
        for _ in 0..LIFE_ROUNDS {
            let mut order: Vec<usize> = (0..ARMS).collect();
            order.shuffle(&mut random);
            let mut round = vec![f64::NAN; ARMS];
            for arm in order {
                round[arm] = arms[arm].rate(WINDOW_NS)?;
            }
            rounds.push(round);
        }
    }
    Ok(rounds)
}

/// Logarithms less their median, in thousandths, with one decimal: a hundredth of the noise. A block without a task
/// counts as a quarter of the median.
fn residuals(rates: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let all: Vec<f64> = rates.iter().flatten().map(|rate| rate.ln()).collect();
    let centre = median(&all).unwrap_or(0.0);
    let residual = |rate: &f64| {
        let log = (rate.ln() - centre).max(0.25_f64.ln());
        (log * 10_000.0).round() / 10.0
    };
    rates.iter().map(|round| round.iter().map(residual).collect()).collect()
}

/// The day, and the kernel that it was recorded under.
fn when() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("?").to_owned();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("unix time {seconds}, {cpus} CPUs, kernel {}, load {load} at the start", kernel.trim())
}

/// One round a line.
fn write(stored: &Stored) -> Result<(), String> {
    let text = |error: serde_json::Error| error.to_string();
    let rounds: Vec<String> =
        stored.residuals.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(text)?;
    let head = serde_json::to_string(&Stored { residuals: Vec::new(), ..stored.clone() }).map_err(text)?;
    let head = head.trim_end_matches("]}");
    let path = traces::directory().join(format!("{}.json", stored.workload));
    std::fs::write(&path, format!("{head}\n{}\n]}}\n", rounds.join(",\n")))
        .map_err(|error| format!("{}: {error}", path.display()))
}
