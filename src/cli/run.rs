//! `conbench run`: measures one workload and shows its candidates.

use std::path::PathBuf;

use super::args::{BUDGET, Saved, Selection, Shown};
use super::measure::{self, Measuring};
use super::seams::{self, Preset};
use super::{Exit, Failure, Terminal, signals};
use crate::report;
use crate::workload::Workload;

/// What `run` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(super) struct RunArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    saved: Saved,
}

/// The workload: just one of these.
#[derive(clap::Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct What {
    /// A workload file, or the name of a shipped workload
    file: Option<PathBuf>,
    /// Computation alone
    #[arg(long)]
    cpu: bool,
    /// Requests that wait for another host
    #[arg(long)]
    io: bool,
    /// Waiting and computation in one task
    #[arg(long)]
    mixed: bool,
}

impl What {
    fn workload(&self, colour: bool) -> Result<Workload, Failure> {
        match &self.file {
            Some(file) => seams::workload(file, colour),
            None if self.cpu => seams::preset(Preset::Cpu, colour),
            None if self.io => seams::preset(Preset::Io, colour),
            None => seams::preset(Preset::Mixed, colour),
        }
    }
}

/// Measures, prints, saves.
pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let workload = args.what.workload(terminal.colour_of_errors())?;
    measure::check_remote(&workload, args.selection.allow_remote)?;
    measure::check_output(args.saved.output.as_deref())?;
    let measuring = Measuring {
        terminal,
        selection: &args.selection,
        output: args.saved.output.clone(),
        interrupted: signals::watch().map_err(Failure::Signals)?,
        facts: seams::facts(),
    };
    let judged = measuring.measure(workload, args.selection.budget.unwrap_or(BUDGET), &[])?;
    let all = [judged];
    let text = match measure::exporter(measure::candidates(args.shown), args.shown.format, terminal) {
        Some(exporter) => Ok(exporter.document(&all)),
        None => report::records_json(&all).map_err(Failure::Json),
    };
    // A full disk does not keep it from being shown, nor a closed pipe from being saved.
    let shown = text.and_then(|text| terminal.print(&text));
    measuring.save(&all)?;
    shown?;
    Ok(measure::exit(&all[0]))
}
