//! Analysis: a record becomes a verdict. Pure, so a stored record gives the verdict of the live one.
//!
//! Engines are compared by the rounds of the final alone, one size each; the rounds of the search give
//! the figures of the other sizes, and how the work scales.

mod answer;
mod compare;
mod figures;
mod flip;
mod limit;
mod load;
mod pareto;
mod runtimes;
mod scaling;
#[cfg(test)]
mod tests;
mod usl;
mod validity;
mod why;
mod words;

pub use flip::{Flip, Side, flip, side};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::candidate::{Candidate, Model};
use crate::record::Record;

/// The verdict on a record. Total: whatever the record lacks, the answer is then "no clear winner", with
/// the reason in `why`.
#[must_use]
pub fn analyze(record: &Record) -> Verdict {
    let (whole, counted) = (record, record.counted());
    let record = counted.as_ref();
    let all: Vec<figures::Figures> = (0..record.candidates.len()).map(|one| figures::of(record, one)).collect();
    let judged = validity::judge(record, &all);
    let mut runtimes: Vec<&str> = Vec::new();
    for candidate in record.candidates.iter().map(|one| &one.candidate) {
        if !runtimes.contains(&candidate.runtime.as_str()) {
            runtimes.push(&candidate.runtime);
        }
    }
    let groups: Vec<Group> = runtimes
        .into_iter()
        .map(|runtime| {
            let of_runtime: Vec<figures::Figures> =
                all.iter().filter(|one| one.row.candidate.runtime == runtime).cloned().collect();
            let mut group = answer::group(record, runtime, of_runtime, &judged);
            if let Some(sentence) = load::dependence(whole, runtime) {
                group.why = format!("{}; {sentence}", group.why);
            }
            group
        })
        .collect();
    let (validity, validity_reasons) = steadiness(judged, &groups);
    let margin = groups.iter().map(|group| group.margin).fold(0.0, f64::max);
    let runtimes = runtimes::standings(record, &groups);
    Verdict { validity, validity_reasons, margin, groups, runtimes }
}

/// The validity with its reasons, where blocks that differ too much in pairs make a session noisy.
fn steadiness(judged: validity::Judged, groups: &[Group]) -> (Validity, Vec<String>) {
    let validity::Judged { mut validity, mut reasons, margins } = judged;
    let is_widened = |group: &&Group| group.margin > margins.usual;
    let deviations = groups.iter().filter(is_widened).filter_map(|group| group.deviation);
    if let (Some(deviation), Validity::Valid) = (deviations.max_by(f64::total_cmp), validity) {
        validity = Validity::Noisy;
        reasons.push(validity::unsteady(deviation, &margins));
    }
    (validity, reasons)
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Whether the session can be believed.
    pub validity: Validity,
    /// Why it is not `valid`; empty when it is.
    pub validity_reasons: Vec<String>,
    /// The relative difference below which candidates were taken as equivalent: the margin that the user wrote, or
    /// 3 %, on a quiet host 2 %; at least 5 % on a noisy one. Of several groups, the largest.
    pub margin: f64,
    /// One group a runtime; candidates are compared within a runtime.
    pub groups: Vec<Group>,
    /// How the runtimes stand to each other; empty where there is but one.
    pub runtimes: Vec<RuntimeStanding>,
}

/// How a runtime stands to the fastest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuntimeStanding {
    /// The runtime.
    pub runtime: String,
    /// The candidate that ran for it; an index into the record's `candidates`.
    pub candidate: Option<u32>,
    /// Its throughput over that of the fastest runtime, paired within rounds.
    pub relative: Option<Estimate>,
    /// Why there is none.
    pub note: Option<String>,
}

/// Whether a session can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validity {
    /// Nothing seen speaks against it.
    Valid,
    /// The host was disturbed; the answer stands with a wider margin.
    Noisy,
    /// No answer may be given.
    Invalid,
}

/// The candidates of one runtime, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The runtime.
    pub runtime: String,
    /// The conclusion.
    pub answer: Answer,
    /// Why, from what was measured: one or two sentences.
    pub why: String,
    /// The throughput (tasks/s) that this host allows at best for this task, and what sets it.
    pub limit: Option<HostLimit>,
    /// The relative difference below which its candidates were taken as equivalent.
    pub margin: f64,
    /// By how much the difference of two candidates varies from round to round (logarithm); `None` where too little
    /// ran.
    pub deviation: Option<f64>,
    /// Every candidate measured, best first; failed ones last.
    pub rows: Vec<Row>,
    /// How each engine scales, in the order of the plan.
    pub curves: Vec<Curve>,
}

/// The conclusion for one runtime. Indices point into the record's `candidates`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// What is recommended: of a tie the simplest model, the smallest size. `None` is "no clear winner".
    pub best: Option<u32>,
    /// What is equivalent to it in practice, simplest first, without `best`.
    pub ties: Vec<u32>,
    /// What is neither worse nor tied: the data do not decide.
    pub unresolved: Vec<u32>,
    /// The models of `best` and its ties, simplest first, without repetition.
    pub models: Vec<Model>,
    /// `best` over the strongest candidate that is neither tied nor unresolved (1.25 is 25 % better).
    pub lead: Option<Estimate>,
    /// Whether `best` has the largest size that its caps allow, so that more might be better.
    pub at_cap: bool,
    /// The probability that no other candidate is better than `best` by more than the margin, never stated above
    /// 0.95; `None` where nothing could be compared.
    pub confidence: Option<f64>,
}

/// How one engine's throughput grows along one of its axes, at the sizes that were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Curve {
    /// The engine, with its start method where there is a choice: `Process@fork`.
    pub engine: String,
    /// What grows.
    pub axis: CurveAxis,
    /// The sizes measured, ascending.
    pub points: Vec<CurvePoint>,
    /// The smallest size from which on nothing is gained beyond the margin; `None` where it still rises at the last
    /// point.
    pub knee: Option<u32>,
    /// A fit of the Universal Scalability Law; indicative, and said of no size beyond twice the measured.
    pub scalability: Option<Scalability>,
}

/// What grows along a curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CurveAxis {
    /// Tasks in flight.
    InFlight,
    /// Workers.
    Workers,
    /// Tasks in a chunk.
    Chunk,
}

/// One measured size of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurvePoint {
    /// The size on the curve's axis.
    pub size: u32,
    /// The candidate; an index into the record's.
    pub candidate: u32,
    /// Tasks per second.
    pub throughput_per_s: f64,
    /// The 99th percentile of service times, where enough were measured.
    pub p99_ns: Option<u64>,
}

/// The Universal Scalability Law, `X(n) = g n / (1 + s (n - 1) + k n (n - 1))` (Gunther 1993), fitted to a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scalability {
    /// `g`: tasks per second of one.
    pub gamma_per_s: f64,
    /// `s`: the share that is serial (contention).
    pub sigma: f64,
    /// `k`: the cost of each pair that must agree (coherency).
    pub kappa: f64,
    /// The size of the largest throughput, where there is one within twice the measured sizes.
    pub peak: Option<u32>,
    /// The largest relative deviation of a measured point from the fit.
    pub deviation: f64,
}

/// The throughput that the host allows at best for a task, whatever the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostLimit {
    /// Tasks per second.
    pub throughput_per_s: f64,
    /// What sets it: the smallest of the limits that apply.
    pub set_by: LimitKind,
}

/// What limits throughput.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Usable cores / CPU time per task.
    Cores,
    /// Cap on tasks in flight / unloaded latency.
    InFlight,
    /// 1 / the section that runs one task at a time.
    SerialSection,
}

/// A candidate's figures, over all its timed blocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The index into the record's `candidates`.
    pub index: u32,
    /// The candidate.
    pub candidate: Candidate,
    /// What the analysis made of it.
    pub status: Status,
    /// Timed blocks behind the figures.
    pub blocks: u32,
    /// Lives of its agent.
    pub incarnations: u32,
    /// Tasks per second.
    pub throughput_per_s: Option<Estimate>,
    /// Its objective over that of `best` (without one, of the candidate that leads), paired within
    /// rounds, more is better (0.8 is 20 % worse).
    pub relative: Option<Estimate>,
    /// Service times.
    pub service: Percentiles,
    /// Times from submission to the task's start.
    pub queueing: Percentiles,
    /// From the agent's start to `hello`, the median of its lives.
    pub boot_ns: Option<u64>,
    /// From `job` to the first task done, the median of its lives.
    pub startup_ns: Option<u64>,
    /// How long it took to take the pool down, the median of its lives.
    pub teardown_ns: Option<u64>,
    /// CPU time in user mode per task.
    pub cpu_user_ns_per_task: Option<f64>,
    /// CPU time in the kernel per task.
    pub cpu_system_ns_per_task: Option<f64>,
    /// Voluntary context switches per task.
    pub voluntary_switches_per_task: Option<f64>,
    /// Involuntary context switches per task.
    pub involuntary_switches_per_task: Option<f64>,
    /// CPU time of the embedded server per task.
    pub server_cpu_ns_per_task: Option<f64>,
    /// Memory of the process tree under load, without the no-op agent's baseline.
    pub memory_bytes: Option<u64>,
    /// File pages of the process tree under load.
    pub file_pages_bytes: Option<u64>,
    /// The share of the host's limit that it reached.
    pub limit_share: Option<f64>,
    /// Whether no other candidate beats it on throughput, p99 and memory at once.
    pub undominated: bool,
    /// The longest that its event loop was late for a heartbeat.
    pub longest_stall_ns: Option<u64>,
    /// Bytes that pickling makes of what is given to a task and handed back.
    pub serialisation_bytes_per_task: Option<f64>,
    /// Time that pickling takes a task, both ways, at both ends.
    pub serialisation_ns_per_task: Option<f64>,
    /// Tasks that failed, over all its blocks; a limit may allow some.
    #[serde(default)]
    pub errors: u64,
    /// Whether its results were those of the reference; `None` when nothing was compared.
    pub checked: Option<bool>,
}

/// What the analysis made of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// It is recommended.
    Best,
    /// It is equivalent to the best in practice.
    Tied,
    /// It is worse.
    Worse,
    /// The data do not decide.
    Unresolved,
    /// Another size of the same engine was preferred.
    Superseded,
    /// It broke a limit of the objective.
    Infeasible {
        /// The figure that broke it.
        reason: String,
    },
    /// It failed.
    Failed {
        /// Why.
        reason: String,
    },
}

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// Percentiles of a distribution of times. A percentile p is given from 10 / (1 - p) samples on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Samples behind them.
    pub samples: u64,
    /// The median.
    pub p50_ns: Option<u64>,
    /// The 90th percentile.
    pub p90_ns: Option<u64>,
    /// The 99th percentile.
    pub p99_ns: Option<u64>,
    /// The 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// The largest.
    pub max_ns: Option<u64>,
}
