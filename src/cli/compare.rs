//! `conbench compare`: what of two saved records can be compared. It runs nothing.

use std::path::{Path, PathBuf};

use super::args::Format;
use super::{Exit, Failure, Terminal, sheet, terminal as terminals};
use crate::analyze::sessions::{self, Session};
use crate::report::{self, Judged};

/// What `compare` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct CompareArgs {
    /// A record that --output saved
    first: PathBuf,
    /// Another
    second: PathBuf,
    /// Show throughput, latency and memory beside each other, though hosts, workloads or versions differ
    #[arg(long)]
    force: bool,
    /// How the comparison is written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: Format,
}

/// Prints the comparison.
pub(super) fn run(args: &CompareArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (first, second) = (records(&args.first)?, records(&args.second)?);
    let comparison = sessions::compare(&all(&first), &all(&second), args.force);
    if comparison.pairs.is_empty() {
        terminal.warn("the records have no workload and runtime in common");
    }
    terminal.print(&match args.format {
        Format::Table => report::comparison_table(&comparison, terminals::stdout_style(terminal.colour)),
        Format::Json => report::comparison_json(&comparison)?,
        Format::Markdown => report::comparison_markdown(&comparison),
    })?;
    Ok(Exit::Fine)
}

fn records(path: &Path) -> Result<Vec<Judged>, Failure> {
    sheet::none_but_records(path, "`conbench compare` takes records")
}

fn all(judged: &[Judged]) -> Vec<Session<'_>> {
    judged.iter().map(|Judged { record, verdict }| Session { record, verdict }).collect()
}
