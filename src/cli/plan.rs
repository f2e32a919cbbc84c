//! `conbench plan`: what `run` would do. No task is run; interpreters are asked what they are.

use std::path::PathBuf;

use clap::ArgGroup;

use super::args::{FUNCTIONS, Format, PythonCode, Selection};
use super::measure::{self, Planning};
use super::{Exit, Failure, Terminal, target, terminal};
use crate::escape::plain;
use crate::report;
use crate::workload::Workload;

/// What `plan` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
#[command(group = ArgGroup::new("what").arg("target").args(FUNCTIONS).required(true).multiple(true))]
pub(super) struct PlanArgs {
    /// A workload file, the name of a shipped workload, or a function (shop.scrape:parse, shop/scrape.py:parse)
    target: Option<PathBuf>,
    #[command(flatten)]
    code: PythonCode,
    #[command(flatten)]
    selection: Selection,
    /// How the plan is written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: Format,
}

impl PlanArgs {
    fn workload(&self, colour: bool) -> Result<Workload, Failure> {
        target::one(self.target.as_ref(), &self.code, colour)
    }
}

/// Prints the plan, and says so if measuring it needs a permission.
pub(super) fn run(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let workload = args.selection.of_load(args.workload(terminal.colour_of_errors())?);
    let planning = Planning::prepare(&args.selection)?;
    let budget = planning.budget(&workload);
    let settings = planning.settings_of(&workload, budget);
    let mut plan = planning.outline(&workload, budget)?;
    // Which they are, the plan says itself.
    if !args.selection.allow_remote && !workload.remote_targets().is_empty() {
        plan.notes.push("to measure it, add --allow-remote: its targets are not this host".to_owned());
    }
    for factory in &settings.executors {
        let factory = plain(factory);
        plan.unknowns
            .push(format!("what `{factory}` builds is found out before it is measured: it races beside these"));
    }
    if let Some(cluster) = &settings.cluster {
        let cluster = plain(cluster);
        plan.unknowns.push(format!(
            "how many threads {cluster} has is found out before it is measured, and its sizes follow from that"
        ));
    }
    if args.format == Format::Json {
        // Who reads the others reads it there.
        measure::warn_of_left_out(planning.runtimes().left_out(), terminal);
    }
    let text = match args.format {
        Format::Table => report::plan_table(&workload, &plan, terminal::stdout_style(terminal.colour)),
        Format::Markdown => report::plan_markdown(&workload, &plan),
        Format::Json => report::plan_json(&workload, &settings, &plan)?,
    };
    terminal.print(&text)?;
    Ok(Exit::Fine)
}
