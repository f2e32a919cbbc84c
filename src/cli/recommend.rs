//! `conbench recommend`: the answer of one workload, or "Choosing the Right Tool", a line a workload.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::args::{Paged, PythonCode, RecordFormat, Saved, Selection};
use super::measure::{self, Measuring};
use super::{Exit, Failure, Terminal, report_failure, seams, target};
use crate::report::{Exporter, Judged, View};
use crate::workload::Workload;

/// What `recommend` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
pub(super) struct RecommendArgs {
    /// Workload files, names of shipped workloads, or functions (shop.scrape:parse, shop/scrape.py:parse); none is all
    /// workloads that are shipped
    #[arg(value_name = "TARGET")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    code: PythonCode,
    #[command(flatten)]
    selection: Selection,
    /// How results are written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: RecordFormat,
    /// Print the code of each answer alone, ready to paste
    #[arg(long = "code", id = "as_code", help_heading = "Output", conflicts_with = "format")]
    as_code: bool,
    #[command(flatten)]
    saved: Saved,
    #[command(flatten)]
    paged: Paged,
}

impl RecommendArgs {
    fn workloads(&self, colour: bool) -> Result<Vec<Workload>, Failure> {
        let named = target::workloads(&self.targets, &self.code, colour)?;
        if named.is_empty() { seams::all_shipped(colour) } else { Ok(named) }
    }

    /// The time for all of them, where the user named it; else each has its own.
    fn budget(&self) -> Option<Duration> {
        self.selection.budget
    }
}

/// Measures, prints, saves, one workload after the other.
pub(super) fn run(args: &RecommendArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let workloads = args.workloads(terminal.colour_of_errors())?;
    let workloads: Vec<Workload> = workloads.into_iter().map(|it| args.selection.of_load(it)).collect();
    for workload in &workloads {
        measure::check_remote(workload, args.selection.allow_remote)?;
    }
    measure::check_output(args.saved.output.as_deref())?;
    measure::check_output(args.paged.html.as_deref())?;
    let mut measuring =
        Measuring::prepare(terminal, &args.selection, &workloads, args.saved.output.clone(), &args.paged)?;
    let budget = args.budget();
    let view = if workloads.len() == 1 { View::Answer } else { View::Choice };
    measuring.told = measure::told(view, args.format, args.as_code);
    let (workloads, mut exit) = runnable(&measuring, workloads, budget)?;
    if exit == Exit::Fine {
        // Why something cannot run names them.
        measure::warn_of_left_out(measuring.planning.runtimes().left_out(), terminal);
    }
    measuring.of = workloads.len();
    let exporter = measure::exporter(view, args.format, args.as_code, terminal);
    let (all, ended) = measure_all(&measuring, workloads, budget, exporter.as_deref());
    exit = exit.max(ended);
    let rest = match exporter {
        // Standard error says why there is nothing.
        _ if all.is_empty() => Ok(String::new()),
        Some(exporter) => Ok(exporter.foot(&all)),
        None => measure::whole(args.format, &all),
    };
    // A full disk does not keep it from being shown, nor a closed pipe from being saved.
    let shown = rest.and_then(|text| terminal.print(&text));
    let saved = if all.is_empty() { Ok(()) } else { measuring.save(&all) };
    for failure in [shown.err(), saved.err()].into_iter().flatten() {
        report_failure(&failure);
        exit = exit.max(failure.exit());
    }
    Ok(exit)
}

/// The workloads of which something can run. What must be left out is told before anything is measured; it is an error
/// of usage only if nothing remains.
pub(super) fn runnable(
    measuring: &Measuring<'_>,
    workloads: Vec<Workload>,
    budget: Option<Duration>,
) -> Result<(Vec<Workload>, Exit), Failure> {
    let count = u32::try_from(workloads.len()).unwrap_or(u32::MAX).max(1);
    let mut runnable = Vec::new();
    let mut refused = Vec::new();
    for workload in workloads {
        let share = budget.map_or_else(|| measuring.planning.budget(&workload), |budget| budget / count);
        match measuring.planning.plan(&workload, share) {
            Ok(_) => runnable.push(workload),
            Err(failure) => refused.push(failure.to_string()),
        }
    }
    if runnable.is_empty() {
        let text: Vec<String> = refused.iter().map(|text| format!("error: {text}\n")).collect();
        return Err(Failure::Rendered(text.concat()));
    }
    for text in &refused {
        measuring.terminal.warn(&format!("skipped: {text}"));
    }
    Ok((runnable, if refused.is_empty() { Exit::Fine } else { Exit::NoAnswer }))
}

/// Measures one after the other and shows each at once. What goes wrong is told; what was measured before is returned.
pub(super) fn measure_all(
    measuring: &Measuring<'_>,
    workloads: Vec<Workload>,
    budget: Option<Duration>,
    exporter: Option<&dyn Exporter>,
) -> (Vec<Judged>, Exit) {
    let mut spent = Duration::ZERO;
    let mut all: Vec<Judged> = Vec::new();
    let mut exit = Exit::Fine;
    let mut left = u32::try_from(workloads.len()).unwrap_or(u32::MAX);
    let mut told = false;
    for workload in workloads {
        if measuring.interrupted.load(Ordering::SeqCst) {
            measuring.terminal.warn(&format!("interrupted: {left} of the workloads were not measured"));
            return (all, exit.max(Exit::Interrupted));
        }
        // What one workload does not need of a time that was named is shared among those that follow.
        let share = match budget {
            Some(budget) => budget.saturating_sub(spent) / left.max(1),
            None => measuring.planning.budget(&workload),
        };
        left -= 1;
        let began = Instant::now();
        let measured = measuring.measure(workload, share, &all).and_then(measure::unless_misnamed);
        // A session goes beyond its budget by a quarter at most, unless it waited for one that hung: then the
        // others need not pay for it.
        spent += began.elapsed().min(share + share / 4);
        let judged = match measured {
            Ok(judged) => judged,
            // One workload that cannot be prepared is no reason to leave the others unanswered.
            Err(failure) => {
                report_failure(&failure);
                exit = exit.max(failure.exit());
                continue;
            }
        };
        exit = exit.max(measuring.exit(&judged));
        let row = exporter.map(|exporter| {
            let head = if all.is_empty() { exporter.head(&judged) } else { String::new() };
            head + &exporter.row(&judged)
        });
        all.push(judged);
        if let Some(Err(failure)) = row.map(|row| measuring.terminal.print(&row)) {
            report_failure(&failure);
            // Nobody reads what further ones would say.
            return (all, exit.max(failure.exit()));
        }
        if let Err(failure) = measuring.save(&all)
            && !std::mem::replace(&mut told, true)
        {
            measuring.terminal.warn(&format!("{failure}; measuring goes on, and it is tried again at the end"));
        }
    }
    (all, exit)
}
