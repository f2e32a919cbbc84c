//! `conbench run`: measures one workload and shows its candidates.

use std::path::PathBuf;

use clap::ArgGroup;

use super::args::{FUNCTIONS, Paged, PythonCode, Saved, Selection, Shown};
use super::measure::{self, Measuring, Told};
use super::seams::{self, Preset};
use super::{Exit, Failure, Terminal, target};
use crate::workload::Workload;

/// What `run` is told.
#[derive(clap::Args, Clone, Debug)]
#[group(skip)]
#[command(group = ArgGroup::new("what").args(WHAT).args(FUNCTIONS).required(true).multiple(true))]
pub(super) struct RunArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    code: PythonCode,
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    saved: Saved,
    #[command(flatten)]
    paged: Paged,
}

/// The names of the arguments of [`What`].
const WHAT: [&str; 4] = ["target", "cpu", "io", "mixed"];

/// The workload: just one of these, or code.
#[derive(clap::Args, Clone, Debug)]
#[group(id = "preset", multiple = false)]
struct What {
    /// A workload file, the name of a shipped workload, or a function (shop.scrape:parse, shop/scrape.py:parse)
    target: Option<PathBuf>,
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

impl RunArgs {
    fn workload(&self, colour: bool) -> Result<Workload, Failure> {
        let preset = match &self.what {
            What { cpu: true, .. } => Some(("--cpu", Preset::Cpu)),
            What { io: true, .. } => Some(("--io", Preset::Io)),
            What { mixed: true, .. } => Some(("--mixed", Preset::Mixed)),
            _ => None,
        };
        if let Some((option, preset)) = preset {
            self.code.refuse(&format!("`{option}` is a workload"))?;
            return seams::preset(preset, colour);
        }
        target::one(self.what.target.as_ref(), &self.code, colour)
    }
}

/// Measures, prints, saves.
pub(super) fn run(args: &RunArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let workload = args.selection.of_load(args.workload(terminal.colour_of_errors())?);
    measure::check_remote(&workload, args.selection.allow_remote)?;
    measure::check_output(args.saved.output.as_deref())?;
    measure::check_output(args.paged.html.as_deref())?;
    let prepared = Measuring::prepare(
        terminal,
        &args.selection,
        std::slice::from_ref(&workload),
        args.saved.output.clone(),
        &args.paged,
    )?;
    let (view, format) = (measure::candidates(args.shown), args.shown.format);
    let measuring = Measuring { sweeps: true, told: measure::told(view, format, args.shown.code), ..prepared };
    let budget = measuring.planning.budget(&workload);
    if measuring.told != Told::Always {
        measuring.planning.warn_beside(&workload, terminal);
    }
    let judged = measure::unless_misnamed(measuring.measure(workload, budget, &[])?)?;
    let all = [judged];
    let text = match measure::exporter(view, format, args.shown.code, terminal) {
        Some(exporter) => Ok(exporter.document(&all)),
        None => measure::whole(format, &all),
    };
    // A full disk does not keep it from being shown, nor a closed pipe from being saved.
    let shown = text.and_then(|text| terminal.print(&text));
    measuring.save(&all)?;
    shown?;
    Ok(measuring.exit(&all[0]))
}
