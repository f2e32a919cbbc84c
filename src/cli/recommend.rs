//! `conbench recommend`: "Choosing the Right Tool", a row a workload, each shown as it is decided.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::args::{Format, Saved, Selection};
use super::measure::{self, BUDGET, Measuring};
use super::{Exit, Failure, Terminal, report_failure, seams, signals};
use crate::report::{self, Exporter, Judged, View};
use crate::workload::Workload;

/// The time for all shipped workloads together when the user names none.
const BUDGET_OF_ALL: Duration = Duration::from_secs(240);

/// What `recommend` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct RecommendArgs {
    /// Workload files, or names of shipped workloads; none is all that are shipped
    files: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// How results are written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: Format,
    #[command(flatten)]
    saved: Saved,
}

impl RecommendArgs {
    /// The workloads, and the time for all of them.
    fn workloads(&self, colour: bool) -> Result<(Vec<Workload>, Duration), Failure> {
        if self.files.is_empty() {
            let all = seams::all_shipped(colour)?;
            return Ok((all, self.selection.budget.unwrap_or(BUDGET_OF_ALL)));
        }
        let all = read_all(&self.files, colour)?;
        let usual = BUDGET.saturating_mul(u32::try_from(all.len()).unwrap_or(u32::MAX));
        Ok((all, self.selection.budget.unwrap_or(usual)))
    }
}

/// Reads every file, so that the faults of all are told at once.
fn read_all(files: &[PathBuf], colour: bool) -> Result<Vec<Workload>, Failure> {
    let mut workloads = Vec::new();
    let mut faults = String::new();
    for file in files {
        match seams::workload(file, colour) {
            Ok(workload) => workloads.push(workload),
            Err(Failure::Rendered(text)) => faults.push_str(&text),
            Err(other) => faults.push_str(&format!("error: {other}\n")),
        }
    }
    if faults.is_empty() { Ok(workloads) } else { Err(Failure::Rendered(faults)) }
}

/// Measures, prints, saves, one workload after the other.
pub(super) fn run(args: &RecommendArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (workloads, budget) = args.workloads(terminal.colour_of_errors())?;
    for workload in &workloads {
        measure::check_remote(workload, args.selection.allow_remote)?;
    }
    measure::check_output(args.saved.output.as_deref())?;
    let measuring = Measuring {
        terminal,
        selection: &args.selection,
        output: args.saved.output.clone(),
        interrupted: signals::watch().map_err(Failure::Signals)?,
        facts: seams::facts(),
    };
    let exporter = measure::exporter(View::Choice, args.format, terminal);
    let (all, exit) = measure_all(&measuring, workloads, budget, exporter.as_deref())?;
    match exporter {
        Some(exporter) if !all.is_empty() => terminal.print(&exporter.foot(&all))?,
        Some(_) => {}
        None => terminal.print(&report::records_json(&all)?)?,
    }
    Ok(exit)
}

fn measure_all(
    measuring: &Measuring<'_>,
    workloads: Vec<Workload>,
    budget: Duration,
    exporter: Option<&dyn Exporter>,
) -> Result<(Vec<Judged>, Exit), Failure> {
    let began = Instant::now();
    let mut all: Vec<Judged> = Vec::new();
    let mut exit = Exit::Fine;
    let mut left = u32::try_from(workloads.len()).unwrap_or(u32::MAX);
    for workload in workloads {
        if measuring.interrupted.load(Ordering::SeqCst) {
            measuring.terminal.warn(&format!("interrupted: {left} of the workloads were not measured"));
            exit = exit.max(Exit::Interrupted);
            break;
        }
        // What one workload does not need is shared among those that follow.
        let share = budget.saturating_sub(began.elapsed()) / left.max(1);
        left -= 1;
        match measuring.measure(workload, share, &all) {
            Ok(judged) => {
                exit = exit.max(measure::exit(&judged));
                if let Some(exporter) = exporter {
                    let head = if all.is_empty() { exporter.head(&judged) } else { String::new() };
                    measuring.terminal.print(&(head + &exporter.row(&judged)))?;
                }
                all.push(judged);
                measuring.save(&all)?;
            }
            // One workload that cannot be prepared is no reason to leave the others unanswered.
            Err(failure) if failure.exit() == Exit::NoAnswer => {
                report_failure(&failure);
                exit = exit.max(Exit::NoAnswer);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((all, exit))
}
