//! The key of the live workloads: every rung of every engine, measured without a race.
//!
//!     cargo bench --bench race -- key              # what is not in key.json yet
//!     cargo bench --bench race -- key --filter mix # again, of these
//!
//! Each candidate runs in each of [`ROUNDS`] rounds, in a freshly shuffled order, each time in a life of its own and
//! between two blocks of a reference agent that stays: what it does is told against those. Who of so many seems best is
//! so by its luck, too: those that may be run again, in [`ROUNDS_OF_BEST`] rounds that alone count for them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conbench::candidate::{Candidate, Engine, RUST};
use conbench::clock::now_ns;
use conbench::protocol::{Job, StepJob, draw_table};
use conbench::record::{self, Record};
use conbench::stats::trimmed_mean;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use serde::{Deserialize, Serialize};

use crate::arms::{Arm, PROGRAM, Stable};
use crate::engines;
use crate::live_workloads::{LIVE, Live};
use crate::options::Options;
use crate::show::{percent, say, show};

/// Rounds, and lives of each candidate.
const ROUNDS: usize = 4;
/// Rounds of those that may be the best.
pub(crate) const ROUNDS_OF_BEST: usize = 16;
/// Those that come within this of the best, as a logarithm, may be it; at most so many.
const MAY_BE_BEST: (f64, usize) = (0.2, 12);
const SHORTEST_NS: u64 = 10_000_000;
const LONGEST_NS: u64 = 1_000_000_000;
/// What finds sizes and iterations: one short session.
const SURVEY: &str = "6s";

/// What was measured of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    /// The workload file; another one makes this worthless.
    pub(crate) file: String,
    /// How long it took to measure all.
    pub(crate) seconds: f64,
    /// The logarithm of each candidate's throughput over the reference's.
    pub(crate) candidates: BTreeMap<String, f64>,
}

impl Measured {
    /// The best, with its logarithm.
    pub(crate) fn best(&self) -> Option<(&str, f64)> {
        let best = self.candidates.iter().max_by(|a, b| a.1.total_cmp(b.1));
        best.map(|(name, height)| (name.as_str(), *height))
    }

    /// What is lost by this candidate, as a share of the best throughput.
    pub(crate) fn loss(&self, name: &str) -> Option<f64> {
        Some(1.0 - (self.candidates.get(name)? - self.best()?.1).exp())
    }
}

/// The key, by workload.
pub(crate) type Key = BTreeMap<String, Measured>;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/race/key.json")
}

/// The key that is stored; empty if none is.
pub(crate) fn read() -> Result<Key, String> {
    match std::fs::read_to_string(path()) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path().display())),
        Err(_) => Ok(Key::new()),
    }
}

/// Stores the key.
pub(crate) fn write(key: &Key) -> Result<(), String> {
    let text = serde_json::to_string_pretty(key).map_err(|error| error.to_string())?;
    std::fs::write(path(), text + "\n").map_err(|error| format!("{}: {error}", path().display()))
}

/// Measures what the key lacks, or anew what the filter names.
pub(crate) fn make(options: &Options) -> Result<(), String> {
    let mut key = read()?;
    let mut rows = Vec::new();
    for live in LIVE.iter().filter(|live| live.name.contains(&options.filter)) {
        let is_known = key.get(live.name).is_some_and(|known| known.file == live.file());
        if !is_known || !options.filter.is_empty() {
            let mut ground = Ground::survey(live)?;
            let measured = ground.exhaustive(options.seed)?;
            key.insert(live.name.to_owned(), measured);
            write(&key)?;
        }
        let Some(known) = key.get(live.name) else { continue };
        let near = known.candidates.keys().filter(|name| known.loss(name).is_some_and(|loss| loss <= 0.05)).count();
        rows.push(vec![
            live.name.to_owned(),
            known.best().map_or_else(String::new, |(name, _)| name.to_owned()),
            format!("{near} of {}", known.candidates.len()),
            format!("{:.0}", known.seconds),
        ]);
        say(&format!("{}: {}", live.name, percent(rows.len() as f64 / LIVE.len() as f64)));
    }
    show(&["workload", "best", "within 5 %", "seconds"], &rows);
    Ok(())
}

/// What is needed to run any candidate of a workload.
pub(crate) struct Ground {
    stable: Stable,
    file: String,
    record: Record,
    template: Job,
    reference: Arm,
}

impl Ground {
    /// Finds iterations and ladders by a short session, and starts the reference.
    pub(crate) fn survey(live: &Live) -> Result<Ground, String> {
        let mut stable = Stable::open()?;
        let runtime = runtime(live, &stable)?;
        let record = session(live, &runtime, "run", SURVEY)?;
        let calibration = record.calibration.runtime(&runtime).ok_or("the runtime was not calibrated")?;
        let steps = record.workload.steps.iter().zip(&calibration.iterations).zip(0_u64..);
        let steps = steps.map(|((step, iterations), number)| StepJob {
            step: step.clone(),
            iterations: *iterations,
            draws: step.distributions().into_iter().map(|it| draw_table(it, record.settings.seed, number)).collect(),
        });
        let pool = if runtime == RUST { Engine::ThreadPool } else { Engine::ThreadPoolExecutor };
        let entries = &record.plan.entries;
        let entry = entries.iter().find(|entry| entry.engine == pool).or(entries.first()).ok_or("nothing to run")?;
        let template = Job {
            tolerates_errors: false,
            candidate: entry.candidate(entry.default_sizes),
            load: record.workload.load,
            payload: record.workload.payload,
            steps: steps.collect(),
            seed: record.settings.seed,
            directory: None,
            server: None,
            task_timeout_ns: record.workload.task_timeout_ns,
        };
        let reference = stable.arm(&template)?;
        Ok(Ground { stable, file: live.file(), record, template, reference })
    }

    fn exhaustive(&mut self, seed: u64) -> Result<Measured, String> {
        let candidates: Vec<Candidate> = self.record.plan.entries.iter().flat_map(engines::rungs).collect();
        let begin_ns = now_ns();
        let mut heights = self.measure(&candidates, ROUNDS, seed)?;
        let mut first = candidates;
        let height = |one: &Candidate| heights.get(&one.short()).copied().unwrap_or(f64::NEG_INFINITY);
        first.sort_by(|a, b| height(b).total_cmp(&height(a)));
        let top = first.first().map_or(0.0, height);
        let (near, most) = MAY_BE_BEST;
        let again: Vec<Candidate> = first.iter().filter(|one| height(one) >= top - near).take(most).cloned().collect();
        heights.extend(self.measure(&again, ROUNDS_OF_BEST, seed ^ 1)?);
        let seconds = (now_ns() - begin_ns) as f64 / 1e9;
        Ok(Measured { file: self.file.clone(), seconds: (seconds * 10.0).round() / 10.0, candidates: heights })
    }

    /// The logarithm of each candidate's throughput over the reference's. Who fails is left out, with a word.
    pub(crate) fn measure(
        &mut self,
        candidates: &[Candidate],
        rounds: usize,
        seed: u64,
    ) -> Result<BTreeMap<String, f64>, String> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let window_ns = self.window_ns();
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        let mut heights: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
        for _ in 0..rounds {
            order.shuffle(&mut random);
            let mut failed = Vec::new();
            for one in &order {
                match self.height(&candidates[*one], window_ns)? {
                    Ok(height) => heights[*one].push(height),
                    Err(error) => {
                        say(&format!("{}: left out: {error}", candidates[*one]));
                        failed.push(*one);
                    }
                }
            }
            order.retain(|one| !failed.contains(one));
        }
        let named = candidates.iter().zip(&heights);
        let whole = named.filter(|(_, heights)| heights.len() == rounds);
        Ok(whole
            .filter_map(|(one, heights)| Some((one.short(), (trimmed_mean(heights)? * 1e4).round() / 1e4)))
            .collect())
    }

    /// One window for all, lest who has the shorter one loses more to its ends: two turns of those that have most in
    /// flight.
    fn window_ns(&mut self) -> u64 {
        let candidates: Vec<Candidate> = self.record.plan.entries.iter().flat_map(engines::rungs).collect();
        let most = candidates.iter().map(|one| one.sizes.concurrency()).max().unwrap_or(1);
        let mut window_ns = LONGEST_NS;
        for one in candidates.iter().filter(|one| one.sizes.concurrency() == most) {
            let job = Job { candidate: one.clone(), ..self.template.clone() };
            // Who fails here is told of in its turn.
            let Ok(rate) = self.stable.arm(&job).and_then(|mut arm| arm.rate(SHORTEST_NS)) else { continue };
            window_ns = window_ns.min((f64::from(most).mul_add(2.0, 2.0) / rate * 1e9) as u64);
        }
        window_ns.max(SHORTEST_NS)
    }

    /// One life of a candidate between two blocks of the reference; the outer error is the reference's.
    fn height(&mut self, candidate: &Candidate, window_ns: u64) -> Result<Result<f64, String>, String> {
        let job = Job { candidate: candidate.clone(), ..self.template.clone() };
        let mut arm = match self.stable.arm(&job) {
            Ok(arm) => arm,
            Err(error) => return Ok(Err(error)),
        };
        // The first block warms it.
        if let Err(error) = arm.rate(SHORTEST_NS) {
            return Ok(Err(error));
        }
        let before = self.reference.rate(window_ns)?.ln();
        let rate = arm.rate(window_ns);
        let after = self.reference.rate(window_ns)?.ln();
        Ok(rate.map(|rate| rate.ln() - f64::midpoint(before, after)))
    }
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
pub(crate) fn session(live: &Live, runtime: &str, command: &str, budget: &str) -> Result<Record, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (file, output) = (directory.path().join("workload.toml"), directory.path().join("record.json"));
    std::fs::write(&file, live.file()).map_err(|error| error.to_string())?;
    let mut program = Command::new(PROGRAM);
    program.args(["--quiet", command]).arg(&file).args(["--runtimes", runtime, "--budget", budget]);
    let run = program.arg("--output").arg(&output).stdout(Stdio::null()).stderr(Stdio::piped()).output();
    let run = run.map_err(|error| error.to_string())?;
    let recording = record::read(&output)
        .map_err(|error| format!("{}: {error}; {}", live.name, String::from_utf8_lossy(&run.stderr).trim()))?;
    recording.records.into_iter().next().ok_or_else(|| format!("{}: an empty recording", live.name))
}
