//! `conbench plan`: what `run` would do. Nothing is run.

use std::path::PathBuf;

use super::args::{BUDGET, Format, Selection};
use super::{Exit, Failure, Terminal, seams, terminal};
use crate::report;

/// What `plan` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct PlanArgs {
    /// A workload file, or the name of a shipped workload
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// How the plan is written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: Format,
}

/// Prints the plan, and says so if measuring it needs a permission.
pub(super) fn run(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let workload = seams::workload(&args.file, terminal.colour_of_errors())?;
    let settings = args.selection.settings(args.selection.budget.unwrap_or(BUDGET));
    let mut plan = seams::plan(&workload, &settings, &seams::facts());
    // Which they are, the plan says itself.
    if !args.selection.allow_remote && !workload.remote_targets().is_empty() {
        plan.notes.push("to measure it, add --allow-remote: its targets are not this host".to_owned());
    }
    let text = match args.format {
        Format::Table => report::plan_table(&workload, &plan, terminal::stdout_style(terminal.colour)),
        Format::Markdown => report::plan_markdown(&workload, &plan),
        Format::Json => report::plan_json(&workload, &settings, &plan)?,
    };
    terminal.print(&text)?;
    Ok(Exit::Fine)
}
