//! `conbench report`: prints of a saved record what `run`, `recommend` or `cheatsheet` printed when they measured it.

use std::path::PathBuf;

use clap::ValueEnum;

use super::args::{Paged, RecordFormat, Shown};
use super::{Exit, Failure, Terminal, cheatsheet, duel, measure, sheet, terminal as terminals};
use crate::analyze::duel::DuelVerdict;
use crate::cheatsheet::sheet::Sheet;
use crate::record::Document;
use crate::record::duel::DuelRecord;
use crate::report::{self, Judged, View};

/// What `report` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ReportArgs {
    /// A file that --output saved: records, a cheat sheet, or a duel
    record: PathBuf,
    /// The verb whose view is shown [default: run for one workload, recommend for several]
    #[arg(long = "as", value_enum, value_name = "VERB")]
    view: Option<Verb>,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    paged: Paged,
}

/// A verb that shows records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Verb {
    /// The candidates of each workload
    Run,
    /// A row a workload
    Recommend,
}

/// Prints the record.
pub(super) fn run(args: &ReportArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    measure::check_output(args.paged.html.as_deref())?;
    let mut document = Document::open(&args.record).map_err(Failure::Read)?;
    if let Some((measured, choosing)) = sheet::stored(&mut document)? {
        return show_sheet(args, terminal, &measured, &choosing);
    }
    if let Some((fought, verdict)) = duel::stored(&mut document)? {
        return show_duel(args, terminal, &fought, &verdict);
    }
    let all = measure::stored(document)?;
    measure::write_page(&all, &args.paged)?;
    let usual = if all.len() == 1 { Verb::Run } else { Verb::Recommend };
    let view = match args.view.unwrap_or(usual) {
        Verb::Run => measure::candidates(args.shown),
        Verb::Recommend if all.len() == 1 => View::Answer,
        Verb::Recommend => View::Choice,
    };
    match measure::exporter(view, args.shown.format, args.shown.code, terminal) {
        Some(exporter) => terminal.print(&exporter.document(&all))?,
        None => terminal.print(&measure::whole(args.shown.format, &all)?)?,
    }
    Ok(Exit::Fine)
}

fn show_sheet(args: &ReportArgs, terminal: &Terminal, sheet: &Sheet, choosing: &[Judged]) -> Result<Exit, Failure> {
    let text = match args.shown.format {
        RecordFormat::Table => report::cheatsheet_table(sheet, choosing, terminals::stdout_style(terminal.colour)),
        RecordFormat::Markdown => report::cheatsheet_markdown(sheet, choosing),
        RecordFormat::Json => report::cheatsheet_json(sheet, choosing)?,
        _ => {
            let path = args.record.display();
            return Err(Failure::Usage(format!(
                "`{path}` is a cheat sheet, which has no candidates: --format takes table, json or markdown for it"
            )));
        }
    };
    cheatsheet::write_page(&args.paged, sheet, choosing)?;
    terminal.print(&text)?;
    Ok(Exit::Fine)
}

fn show_duel(
    args: &ReportArgs,
    terminal: &Terminal,
    record: &DuelRecord,
    verdict: &DuelVerdict,
) -> Result<Exit, Failure> {
    if args.paged.html.is_some() {
        return Err(Failure::Usage(format!("`{}` is a duel, which has no page", args.record.display())));
    }
    terminal.print(&duel::text(args.shown.format, record, verdict, terminal)?)?;
    Ok(Exit::Fine)
}
