//! What may be written on the command line. Nothing here touches the machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::candidate::{Engine, Model, RUST, UnknownWord, nearest};
use crate::plan::Settings;

/// The time for one workload when the user names none.
pub(super) const BUDGET: Duration = Duration::from_secs(45);
/// The time for all shipped workloads together when the user names none.
pub(super) const BUDGET_OF_ALL: Duration = Duration::from_secs(300);

/// The runtimes that `--runtimes` may name.
const RUNTIMES: [&str; 1] = [RUST];

/// Which candidates take part.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Candidates")]
pub(super) struct Selection {
    /// Only these runtimes
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = runtime)]
    runtimes: Vec<String>,
    /// Only these models: sequential, threads, async, processes, async+threads, async+processes
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    models: Vec<Model>,
    /// Only these engines; `conbench list` names them
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    engines: Vec<Engine>,
    /// Only these numbers of workers, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    workers: Vec<u32>,
    /// Only these numbers of tasks in flight, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: Vec<u32>,
    /// The seed of all inputs, draws and shuffles
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[arg(long, value_name = "TIME", value_parser = budget, help = budget_help())]
    pub(super) budget: Option<Duration>,
    /// Let tasks reach targets beyond this host
    #[arg(long)]
    pub(super) allow_remote: bool,
}

impl Selection {
    /// The settings of a session that may take this long.
    pub(super) fn settings(&self, budget: Duration) -> Settings {
        Settings {
            runtimes: self.runtimes.clone(),
            models: self.models.clone(),
            engines: self.engines.clone(),
            start_methods: Vec::new(),
            chunk: Vec::new(),
            workers: self.workers.clone(),
            in_flight: self.in_flight.clone(),
            budget_ns: u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX),
            seed: self.seed,
        }
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people, at a terminal
    #[default]
    Table,
    /// The record with its verdict, whole
    Json,
    /// For a document
    Markdown,
}

/// What of the candidates is shown.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Shown {
    /// How results are written
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Show every size measured, not only each engine's best
    #[arg(long)]
    pub(super) all: bool,
    /// Show every figure, in further tables
    #[arg(long)]
    pub(super) details: bool,
}

/// Where the record goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(super) struct Saved {
    /// Save the record here as it grows, for `conbench report` (of several workloads, the one being
    /// measured grows in FILE.partial)
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

fn budget_help() -> String {
    format!(
        "How long it may take in all, e.g. 20s or 5m [default: {} a workload, {} for all that are shipped]",
        humantime::format_duration(BUDGET),
        humantime::format_duration(BUDGET_OF_ALL)
    )
}

fn runtime(text: &str) -> Result<String, UnknownWord> {
    if RUNTIMES.contains(&text) {
        return Ok(text.to_owned());
    }
    let known = RUNTIMES.to_vec();
    Err(UnknownWord { kind: "runtime", found: text.to_owned(), nearest: nearest(text, &known), known })
}

fn budget(text: &str) -> Result<Duration, String> {
    let found = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; a duration needs a number and a unit, e.g. 20s or 5m"))?;
    if found.is_zero() {
        return Err("nothing can be measured in no time; try 20s".to_owned());
    }
    if u64::try_from(found.as_nanos()).is_err() {
        return Err("that is longer than a clock of nanoseconds can count; try 1h".to_owned());
    }
    Ok(found)
}
