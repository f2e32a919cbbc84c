//! What blocks and starts cost, as records of real sessions say.
//!
//!     cargo bench --bench race -- costs RECORD.. > benches/race/costs.toml

use std::collections::BTreeMap;
use std::path::Path;

use conbench::internal::candidate::{Candidate, Model, RUST};
use conbench::internal::protocol::BlockKind;
use conbench::internal::stats::median;
use conbench::record::{self, BlockRecord, Record};
use serde::Deserialize;

use crate::show::say;

/// The costs of all engines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Costs {
    /// From the end of a block to the beginning of the next, where no agent is started between them.
    pub(crate) gap_ms: f64,
    /// From a session's start to its first agent's, by language.
    prepared_ms: BTreeMap<String, f64>,
    /// By language and engine.
    engines: BTreeMap<String, Cost>,
}

/// The costs of one engine.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    /// A start with one worker, until its first tasks are done, those left out.
    start_ms: f64,
    /// Each further worker process or thread.
    worker_ms: f64,
    /// Ramp and drain, in service times of a task; of a pool with chunks, of a chunk.
    outside: f64,
}

impl Costs {
    /// Those that are stored.
    pub(crate) fn read() -> Result<Costs, String> {
        toml::from_str(include_str!("costs.toml")).map_err(|error| format!("costs.toml: {error}"))
    }

    fn of(&self, candidate: &Candidate) -> Cost {
        let known = self.engines.get(&name(candidate)).copied();
        known.unwrap_or_else(|| self.usual(language(&candidate.runtime)))
    }

    /// The medians of a language, for what no record has.
    fn usual(&self, language: &str) -> Cost {
        let of = |figure: fn(&Cost) -> f64| {
            let all = self.engines.iter().filter(|(name, _)| name.starts_with(language));
            median(&all.map(|(_, cost)| figure(cost)).collect::<Vec<_>>()).unwrap_or(0.0)
        };
        Cost { start_ms: of(|it| it.start_ms), worker_ms: of(|it| it.worker_ms), outside: of(|it| it.outside) }
    }

    pub(crate) fn prepared_ns(&self, runtime: &str) -> u64 {
        (1e6 * self.prepared_ms.get(language(runtime)).copied().unwrap_or(0.0)) as u64
    }

    /// A start, until its first tasks are done, which take `task_ns`.
    pub(crate) fn start_ns(&self, candidate: &Candidate, task_ns: f64) -> u64 {
        let cost = self.of(candidate);
        let more = f64::from(candidate.sizes.workers.unwrap_or(1).saturating_sub(1));
        (1e6 * (cost.start_ms + cost.worker_ms * more) + task_ns) as u64
    }

    /// Ramp and drain of a block whose tasks take this.
    pub(crate) fn outside_ns(&self, candidate: &Candidate, latency_ns: f64) -> u64 {
        (self.of(candidate).outside * latency_ns * chunk(candidate)) as u64
    }
}

fn language(runtime: &str) -> &'static str {
    if runtime == RUST { "rust" } else { "python" }
}

fn name(candidate: &Candidate) -> String {
    format!("{}/{}", language(&candidate.runtime), candidate.engine)
}

fn chunk(candidate: &Candidate) -> f64 {
    f64::from(candidate.sizes.chunk.unwrap_or(1))
}

/// What was seen of one engine.
#[derive(Default)]
struct Seen {
    /// Workers beyond the first, and the start in ms.
    starts: Vec<(f64, f64)>,
    outside: Vec<f64>,
}

/// Prints the costs that these records show.
pub(crate) fn costs(files: &[String]) -> Result<(), String> {
    let mut records: Vec<Record> = Vec::new();
    for file in files {
        let recording = record::read(Path::new(file)).map_err(|error| error.to_string())?;
        records.extend(recording.records);
    }
    let (mut gaps, mut prepared) = (Vec::new(), BTreeMap::<&str, Vec<f64>>::new());
    let mut engines: BTreeMap<String, Seen> = BTreeMap::new();
    for record in &records {
        gaps.extend(gaps_of(record));
        if let Some((language, ms)) = prepared_of(record) {
            prepared.entry(language).or_default().push(ms);
        }
        for one in &record.candidates {
            let seen = engines.entry(name(&one.candidate)).or_default();
            let more = f64::from(one.candidate.sizes.workers.unwrap_or(1).saturating_sub(1));
            for life in &one.lives {
                let start_ns = (life.boot_ns + life.startup_ns).saturating_sub(life.first_task_ns);
                seen.starts.push((more, start_ns as f64 / 1e6));
            }
            seen.outside.extend(timed(&one.blocks).filter_map(|block| outside(&one.candidate, block)));
        }
    }
    say(&format!("# Medians of {} records.", records.len()));
    say(&format!("gap_ms = {:.1}", median(&gaps).unwrap_or(4.0)));
    say("\n[prepared_ms]");
    for (language, all) in prepared {
        say(&format!("{language} = {:.0}", median(&all).unwrap_or(0.0)));
    }
    for (name, seen) in engines.iter().filter(|(_, seen)| !seen.outside.is_empty()) {
        let (start_ms, worker_ms) = line(&seen.starts);
        let outside = median(&seen.outside).unwrap_or(2.0);
        say(&format!("\n[engines.\"{name}\"]"));
        say(&format!("start_ms = {start_ms:.1}\nworker_ms = {worker_ms:.2}\noutside = {outside:.1}"));
    }
    Ok(())
}

fn timed(blocks: &[BlockRecord]) -> impl Iterator<Item = &BlockRecord> {
    blocks.iter().filter(|block| block.figures.kind == BlockKind::Timed)
}

fn outside(candidate: &Candidate, block: &BlockRecord) -> Option<f64> {
    let figures = &block.figures;
    let latency_ns = figures.busy_ns as f64 / figures.tasks_in_window;
    // Of tasks of microseconds it is what threads need to wake.
    let is_known = latency_ns.is_finite() && latency_ns > 200e3;
    let is_one = candidate.model() == Model::Sequential || candidate.sizes.concurrency() > 1;
    let outside_ns = figures.elapsed_ns.saturating_sub(figures.window_ns) as f64;
    (is_known && is_one).then(|| outside_ns / latency_ns / chunk(candidate))
}

/// From each block to the next, where the next is not the first of its life.
fn gaps_of(record: &Record) -> Vec<f64> {
    let mut spans: Vec<(u64, u64, bool)> = Vec::new();
    for one in &record.candidates {
        let mut before = None;
        for block in timed(&one.blocks) {
            let is_first = before.replace(block.life) != Some(block.life);
            spans.push((block.at_ns, block.at_ns + block.figures.elapsed_ns, is_first));
        }
    }
    spans.sort_unstable();
    let gap = |pair: &[(u64, u64, bool)]| pair[1].0.saturating_sub(pair[0].1) as f64 / 1e6;
    spans.windows(2).filter(|pair| !pair[1].2).map(gap).collect()
}

fn prepared_of(record: &Record) -> Option<(&'static str, f64)> {
    let first = record.candidates.first()?;
    let (life, block) = (first.lives.first()?, first.blocks.first()?);
    let until_ns = block.at_ns.saturating_sub(life.boot_ns + life.startup_ns);
    Some((language(&first.candidate.runtime), until_ns as f64 / 1e6))
}

/// The start with one worker, and what each further one adds: by the medians of the smaller and the larger half.
fn line(starts: &[(f64, f64)]) -> (f64, f64) {
    let mut sorted = starts.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (small, large) = sorted.split_at(sorted.len().div_ceil(2));
    let middle = |half: &[(f64, f64)]| {
        let of = |figure: fn(&(f64, f64)) -> f64| median(&half.iter().map(figure).collect::<Vec<_>>());
        of(|it| it.0).zip(of(|it| it.1))
    };
    let Some((x, y)) = middle(small) else { return (0.0, 0.0) };
    let Some((far_x, far_y)) = middle(large).filter(|(far_x, _)| *far_x > x + 4.0) else { return (y, 0.0) };
    let slope = ((far_y - y) / (far_x - x)).max(0.0);
    ((y - slope * x).max(0.0), slope)
}
