//! `conbench compare`: what of two saved records can be compared. It runs nothing.

use std::path::{Path, PathBuf};

use super::args::Format;
use super::{Exit, Failure, Terminal, measure, terminal as terminals};
use crate::analyze::sessions::{self, Session};
use crate::record::Document;
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

/// The records of a file that is no cheat sheet.
fn records(path: &Path) -> Result<Vec<Judged>, Failure> {
    let mut document = Document::open(path).map_err(Failure::Read)?;
    if document.take("sheet").is_some() {
        let name = path.display();
        return Err(Failure::Usage(format!("`{name}` is a cheat sheet: `conbench compare` takes records")));
    }
    measure::stored(document)
}

fn all(judged: &[Judged]) -> Vec<Session<'_>> {
    judged.iter().map(|Judged { record, verdict }| Session { record, verdict }).collect()
}
