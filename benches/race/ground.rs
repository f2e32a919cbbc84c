//! What is needed to run any candidate of a live workload, without a session.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use conbench::internal::candidate::{Candidate, Engine, RUST};
use conbench::internal::plan::Entry;
use conbench::internal::protocol::{Job, StepJob};
use conbench::record::{self, Record};
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::arms::{Arm, PROGRAM, Stable};
use crate::engines;
use crate::show::say;
use crate::workloads::Live;

/// Of a block that only finds out how quick a candidate is.
const SHORTEST_NS: u64 = 25_000_000;
/// It is as long as so many turns of all that is in flight.
const TURNS: f64 = 2.0;
/// Tasks of the reference at once, at most.
const BUSY: u32 = 32;
/// Blocks of each candidate in a round of passes.
const PASSES: usize = 5;
/// The tasks a second of a block in which none ended.
const LEAST_PER_S: f64 = 0.01;
/// What finds sizes and iterations: one short session.
const SURVEY: &str = "6s";

/// How carefully a candidate is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Care {
    /// The least time of a block that counts.
    shortest_ns: u64,
    /// The most time that turns make of it.
    longest_ns: u64,
    /// Blocks before the one that counts.
    warm_ups: usize,
    /// Whether the reference runs after it, too.
    is_between: bool,
}

/// Enough to see who is far behind: the first, shorter block is its warm-up.
pub(crate) const COARSE: Care =
    Care { shortest_ns: 100_000_000, longest_ns: 400_000_000, warm_ups: 0, is_between: false };
/// Enough to compare the best.
pub(crate) const FINE: Care =
    Care { shortest_ns: 150_000_000, longest_ns: 1_000_000_000, warm_ups: 2, is_between: true };

/// What is needed to run any candidate of a workload.
pub(crate) struct Ground {
    stable: Stable,
    record: Record,
    template: Job,
    reference: Arm,
}

impl Ground {
    /// Finds iterations and ladders by a short session, and starts the reference.
    pub(crate) fn survey(live: &Live) -> Result<Ground, String> {
        let mut stable = Stable::open()?;
        let runtime = runtime(live, &stable)?;
        let record = session(live, &runtime)?;
        let calibration = record.calibration.runtime(&runtime).ok_or("the runtime was not calibrated")?;
        let steps = record.workload.steps.iter().zip(&calibration.iterations).zip(0_u64..);
        let steps = steps.map(|((step, iterations), number)| {
            StepJob::drawn(step.clone(), *iterations, record.settings.seed, number)
        });
        let pool = if runtime == RUST { Engine::ThreadPool } else { Engine::ThreadPoolExecutor };
        let entries = &record.plan.entries;
        let entry = entries.iter().find(|entry| entry.engine == pool).or(entries.first()).ok_or("nothing to run")?;
        let (workload, seed) = (&record.workload, record.settings.seed);
        let job = Job::new(busy(entry), workload.load, steps.collect(), seed, workload.task_timeout_ns);
        let template = Job { payload: workload.payload, ..job };
        let reference = stable.arm(&template)?;
        Ok(Ground { stable, record, template, reference })
    }

    /// Every size of every engine.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        self.record.plan.entries.iter().flat_map(engines::grid).collect()
    }

    /// One round in an order of its own: the logarithm of each candidate's throughput over the reference's. Who fails is
    /// left out, with a word.
    pub(crate) fn round(
        &mut self,
        candidates: &[Candidate],
        care: Care,
        seed: u64,
    ) -> Result<BTreeMap<String, f64>, String> {
        let mut order: Vec<&Candidate> = candidates.iter().collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut log_scores = BTreeMap::new();
        for one in order {
            match self.log_score(one, care)? {
                Ok(log_score) => drop(log_scores.insert(one.short(), (log_score * 1e4).round() / 1e4)),
                Err(error) => say(&format!("{one}: left out: {error}")),
            }
        }
        Ok(log_scores)
    }

    /// One life of a candidate, after or between blocks of the reference; the outer error is the reference's.
    fn log_score(&mut self, candidate: &Candidate, care: Care) -> Result<Result<f64, String>, String> {
        let (mut arm, window_ns) = match self.warm(candidate, care) {
            Ok(warm) => warm,
            Err(error) => return Ok(Err(error)),
        };
        let before = self.reference_log_rate(window_ns)?;
        let log_rate = log_rate(&mut arm, window_ns);
        let after = if care.is_between { self.reference_log_rate(window_ns)? } else { before };
        Ok(log_rate.map(|log_rate| log_rate - f64::midpoint(before, after)))
    }

    /// One life of each candidate, all held at once: in each of some passes each runs a block, in a freshly shuffled order,
    /// beside one of the reference. The mean logarithm of each one's throughput over the reference's; a difference between
    /// two of a round is one of blocks that ran within seconds of each other. Who fails is left out, with a word.
    pub(crate) fn passes(&mut self, candidates: &[Candidate], seed: u64) -> Result<BTreeMap<String, f64>, String> {
        let mut held = Vec::new();
        for one in candidates {
            match self.warm(one, FINE) {
                Ok((arm, window_ns)) => held.push((one, arm, window_ns, 0.0)),
                Err(error) => say(&format!("{one}: left out: {error}")),
            }
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..PASSES {
            held.shuffle(&mut random);
            let reference = self.reference_log_rate(FINE.shortest_ns)?;
            held.retain_mut(|(one, arm, window_ns, sum)| match log_rate(arm, *window_ns) {
                Ok(log_rate) => {
                    *sum += log_rate - reference;
                    true
                }
                Err(error) => {
                    say(&format!("{one}: left out: {error}"));
                    false
                }
            });
        }
        let mean = |sum: f64| (sum / PASSES as f64 * 1e4).round() / 1e4;
        Ok(held.into_iter().map(|(one, _, _, sum)| (one.short(), mean(sum))).collect())
    }

    /// A life of a candidate, warm, and how long its blocks have to be.
    fn warm(&mut self, candidate: &Candidate, care: Care) -> Result<(Arm, u64), String> {
        let job = Job { candidate: candidate.clone(), ..self.template.clone() };
        let mut arm = self.stable.arm(&job)?;
        let window_ns = window_ns(candidate, arm.rate(SHORTEST_NS)?).clamp(care.shortest_ns, care.longest_ns);
        // These blocks warm it. They are as long as the one that counts: what an agent learns of its tasks' time under
        // full load says when the window of the next block begins, and a queue of tasks needs some turns to fill.
        for _ in 0..care.warm_ups {
            arm.rate(window_ns)?;
        }
        Ok((arm, window_ns))
    }

    fn reference_log_rate(&mut self, window_ns: u64) -> Result<f64, String> {
        log_rate(&mut self.reference, window_ns)
    }
}

/// The logarithm of the tasks/s of a block. One without a task has none, and JSON no infinity: it counts as the least.
fn log_rate(arm: &mut Arm, window_ns: u64) -> Result<f64, String> {
    arm.rate(window_ns).map(|rate| rate.max(LEAST_PER_S).ln())
}

/// The size of an engine that its blocks are told against: with so many at once, tasks that wait most of the time use all
/// cores, too. How quick the cores are at the moment, which other guests of a host decide, is then in both figures.
fn busy(entry: &Entry) -> Candidate {
    let sizes = engines::grid(entry).into_iter().filter(|one| one.sizes.concurrency() <= BUSY);
    sizes.max_by_key(|one| one.sizes.concurrency()).unwrap_or_else(|| entry.candidate(entry.default_sizes))
}

/// How long a block of a candidate with about this rate (tasks/s) has to be, so that its ends do not matter.
fn window_ns(candidate: &Candidate, rate: f64) -> u64 {
    let in_flight = candidate.sizes.concurrency() * candidate.sizes.chunk.unwrap_or(1);
    let turn_ns = f64::from(in_flight + 1) / rate.max(LEAST_PER_S) * 1e9;
    (TURNS * turn_ns) as u64
}

/// The runtime that this workload is for.
pub(crate) fn runtime(live: &Live, stable: &Stable) -> Result<String, String> {
    if live.is_python {
        stable.python().ok_or_else(|| "there is no interpreter".to_owned())
    } else {
        Ok(RUST.to_owned())
    }
}

/// Runs the program on this workload, and reads its record.
fn session(live: &Live, runtime: &str) -> Result<Record, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (file, output) = (directory.path().join("workload.toml"), directory.path().join("record.json"));
    std::fs::write(&file, live.file()).map_err(|error| error.to_string())?;
    let mut program = Command::new(PROGRAM);
    program.args(["--quiet", "run"]).arg(&file).args(["--runtimes", runtime, "--budget", SURVEY]);
    let run = program.arg("--output").arg(&output).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let run = run.map_err(|error| error.to_string())?;
    let recording = record::read(&output)
        .map_err(|error| format!("{}: {error}; {}", live.name, String::from_utf8_lossy(&run.stderr).trim()))?;
    recording.records.into_iter().next().ok_or_else(|| format!("{}: an empty recording", live.name))
}
