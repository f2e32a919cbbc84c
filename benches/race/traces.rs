//! Traces: what the throughputs of identical agents differed by, in interleaved rounds on a real machine.

use std::fs;
use std::path::{Path, PathBuf};

use conbench::stats::{median, winsorised_variance};
use serde::{Deserialize, Serialize};

/// The winsorised deviation (20 % at either end) of a normal sample is this share of its standard deviation.
///
/// Wilcox, "Introduction to Robust Estimation and Hypothesis Testing", 3.3.
const WINSORISED_OF_NORMAL: f64 = 0.642;

/// A trace as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    /// What the agents ran.
    pub(crate) workload: String,
    /// When and where it was recorded.
    pub(crate) recorded: String,
    /// The window of a block.
    pub(crate) window_ns: u64,
    /// Rounds of each life: all agents were started anew at once.
    pub(crate) life_rounds: usize,
    /// `residuals[round][arm]`: the logarithm of the throughput less the median of all, in thousandths.
    pub(crate) residuals: Vec<Vec<f64>>,
}

/// A trace taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) workload: String,
    pub(crate) rounds: usize,
    pub(crate) arms: usize,
    /// What the arms share: the median of each round.
    pub(crate) drift: Vec<f64>,
    /// What is left of them: for each arm and life, by round.
    pub(crate) lives: Vec<Vec<f64>>,
    /// The standard deviation of the difference of two arms of one round, robust.
    pub(crate) paired_deviation: f64,
    /// The standard deviation between lives, robust, without what blocks contribute.
    pub(crate) between_lives: f64,
}

impl Trace {
    pub(crate) fn of(stored: &Stored) -> Trace {
        let rows: Vec<Vec<f64>> =
            stored.residuals.iter().map(|round| round.iter().map(|one| one / 1000.0).collect()).collect();
        let arms = rows.first().map_or(0, Vec::len);
        let drift: Vec<f64> = rows.iter().map(|round| median(round).unwrap_or(0.0)).collect();
        let own: Vec<Vec<f64>> =
            rows.iter().zip(&drift).map(|(round, drift)| round.iter().map(|one| one - drift).collect()).collect();
        let lives: Vec<Vec<f64>> = own
            .chunks(stored.life_rounds.max(1))
            .flat_map(|life| (0..arms).map(|arm| life.iter().filter_map(|round| round.get(arm).copied()).collect()))
            .collect();
        Trace {
            workload: stored.workload.clone(),
            rounds: rows.len(),
            arms,
            paired_deviation: paired_deviation(&rows),
            between_lives: between_lives(&lives),
            drift,
            lives,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("trace: {}", self.workload)
    }
}

/// A standard deviation that a few wild values do not change.
fn robust_deviation(values: &[f64]) -> f64 {
    winsorised_variance(values).map_or(f64::NAN, f64::sqrt) / WINSORISED_OF_NORMAL
}

/// The deviation of differences of two arms within rounds, over all pairs of neighbours.
fn paired_deviation(rows: &[Vec<f64>]) -> f64 {
    let differences: Vec<f64> = rows.iter().flat_map(|round| round.windows(2).map(|pair| pair[0] - pair[1])).collect();
    robust_deviation(&differences)
}

/// The deviation of the lives' medians, less what the blocks' own deviation makes of it. The median of `n` normal
/// values varies by `pi / 2 / n` of their variance.
fn between_lives(lives: &[Vec<f64>]) -> f64 {
    let medians: Vec<f64> = lives.iter().filter_map(|life| median(life)).collect();
    let within: Vec<f64> = lives
        .iter()
        .filter_map(|life| median(life).map(|centre| (life, centre)))
        .flat_map(|(life, centre)| life.iter().map(move |one| one - centre))
        .collect();
    let rounds = lives.first().map_or(1, Vec::len).max(1) as f64;
    let by_blocks = robust_deviation(&within).powi(2) * std::f64::consts::FRAC_PI_2 / rounds;
    (robust_deviation(&medians).powi(2) - by_blocks).max(0.0).sqrt()
}

/// Where traces are.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/race/traces")
}

/// All traces, by name.
pub(crate) fn read_all() -> Result<Vec<Trace>, String> {
    let directory = directory();
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(Vec::new()) };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Trace, String> {
    let because = |error: String| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| because(error.to_string()))?;
    let stored: Stored = serde_json::from_str(&text).map_err(|error| because(error.to_string()))?;
    Ok(Trace::of(&stored))
}

/// The table of all traces.
pub(crate) fn table(traces: &[Trace]) -> Vec<Vec<String>> {
    traces
        .iter()
        .map(|trace| {
            vec![
                trace.workload.clone(),
                format!("{} x {}", trace.rounds, trace.arms),
                format!("{:.2} %", 100.0 * trace.paired_deviation),
                format!("{:.2} %", 100.0 * trace.between_lives),
                format!("{:.2} %", 100.0 * robust_deviation(&trace.drift)),
            ]
        })
        .collect()
}
