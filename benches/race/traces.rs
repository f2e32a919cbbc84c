//! Traces: what the throughputs of identical agents differed by, in interleaved rounds on a real machine.

use std::fs;
use std::path::{Path, PathBuf};

use conbench::internal::stats::median;
use serde::Deserialize;

/// A trace as it is stored.
#[derive(Clone, Debug, Deserialize)]
struct Stored {
    /// What the agents ran.
    workload: String,
    /// Rounds of each life: all agents were started anew at once.
    life_rounds: usize,
    /// `residuals[round][arm]`: the logarithm of the throughput less the median of all, in thousandths.
    residuals: Vec<Vec<f64>>,
}

/// A trace taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) workload: String,
    /// What the arms share: the median of each round.
    pub(crate) drift: Vec<f64>,
    /// What is left of them: for each arm and life, by round.
    pub(crate) lives: Vec<Vec<f64>>,
}

impl Trace {
    fn of(stored: &Stored) -> Trace {
        let rows: Vec<Vec<f64>> =
            stored.residuals.iter().map(|round| round.iter().map(|one| one / 1000.0).collect()).collect();
        let arms = rows.first().map_or(0, Vec::len);
        let drift: Vec<f64> = rows.iter().map(|round| median(round).unwrap_or(0.0)).collect();
        let own: Vec<Vec<f64>> =
            rows.iter().zip(&drift).map(|(round, drift)| round.iter().map(|one| one - drift).collect()).collect();
        let lives = own
            .chunks(stored.life_rounds.max(1))
            .flat_map(|life| (0..arms).map(|arm| life.iter().filter_map(|round| round.get(arm).copied()).collect()))
            .collect();
        Trace { workload: stored.workload.clone(), drift, lives }
    }
}

/// All traces, by name.
pub(crate) fn read_all() -> Result<Vec<Trace>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/race/traces");
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
