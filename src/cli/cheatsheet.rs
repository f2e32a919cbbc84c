//! `conbench cheatsheet`: what each tool costs here, section by section, and its pitfalls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::args::{Interpreters, Paged, Selection};
use super::measure::{self, Measuring, Planning};
use super::progress::Progress;
use super::{Exit, Failure, Terminal, recommend, report_failure, seams, signals, terminal};
use crate::candidate::RUST;
use crate::cheatsheet::catalogue::{Language, Section};
use crate::cheatsheet::driver::{self, Effort, Event, Program, Task};
use crate::cheatsheet::sheet::{Runtime, Sheet};
use crate::python::{self, Interpreter};
use crate::record;
use crate::report::{self, Judged};
use crate::units;

/// What is said of Rust's figures that nobody would see in a program of theirs.
const UNOPTIMISED: &str =
    "this conbench was built without optimisation, so Rust's figures are too high: build it with --release";

/// What `cheatsheet` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct CheatsheetArgs {
    /// Only these sections: threading, multiprocessing, asyncio, mixing, choosing, pitfalls; none is all of them
    #[arg(value_name = "SECTION")]
    sections: Vec<Section>,
    /// Fewer repetitions, and without the section `choosing`, unless it is named: half a minute
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    interpreters: Interpreters,
    /// Only these runtimes: rust, python (every interpreter), or one by its name, e.g. python3.11
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    runtimes: Vec<String>,
    /// The seed of the order of everything
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many times every item is measured, each time in a fresh process
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repetitions: Option<u32>,
    /// How results are written
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: SheetFormat,
    #[command(flatten)]
    saved: SavedSheet,
}

/// Where the sheet goes.
#[derive(Args, Clone, Debug)]
struct SavedSheet {
    /// Save the sheet here, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    output: Option<PathBuf>,
    /// Write the sheet as a page here: one HTML file that loads nothing and runs nothing
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    html: Option<PathBuf>,
    /// Leave the sheet itself out of the page
    #[arg(long, help_heading = "Output")]
    no_record: bool,
}

/// How a sheet is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum SheetFormat {
    /// For people, at a terminal
    #[default]
    Table,
    /// Every figure, with each repetition
    Json,
    /// For a document
    Markdown,
    /// A page of one file
    Html,
}

impl CheatsheetArgs {
    /// The sections to show, each once, in the sheet's order.
    fn sections(&self) -> Vec<Section> {
        let is_meant = |section: &Section| {
            if self.sections.is_empty() {
                !(self.quick && *section == Section::Choosing)
            } else {
                self.sections.contains(section)
            }
        };
        Section::ALL.into_iter().filter(is_meant).collect()
    }

    fn effort(&self) -> Effort {
        let effort = if self.quick { Effort::QUICK } else { Effort::FULL };
        let Some(repetitions) = self.repetitions else { return effort };
        // Who says how many gets as many.
        let [pitfalls, fewest_pitfalls] = [effort.pitfalls, effort.fewest_pitfalls].map(|usual| usual.min(repetitions));
        Effort { repetitions, fewest: repetitions, pitfalls, fewest_pitfalls, ..effort }
    }
}

/// Measures, prints, saves.
pub(super) fn run(args: &CheatsheetArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    measure::check_output(args.saved.output.as_deref())?;
    measure::check_output(args.saved.html.as_deref())?;
    let selection = Selection::of(args.interpreters.clone(), args.runtimes.clone(), args.seed);
    // Before signals are watched: until then, one ends this program, and with it the interpreter that it asks.
    let planning = Planning::prepare(&selection)?;
    measure::warn_of_left_out(planning.runtimes().left_out(), terminal);
    let interrupted = signals::watch().map_err(Failure::Signals)?;
    let sections = args.sections();
    let has_choosing = sections.contains(&Section::Choosing);
    let programs = programs(&planning)?;
    let paged = Paged::default();
    let mut measuring = Measuring::new(terminal, planning, &paged, Arc::clone(&interrupted));
    if has_choosing {
        tell_how_long(&measuring, terminal)?;
    }
    let task = Task {
        sections,
        programs,
        effort: args.effort(),
        seed: args.seed,
        host: measuring.planning.facts().clone(),
        guard: own_program()?,
        interrupted,
    };
    let mut told = Progress::new("cheatsheet", (1, 1), terminal);
    let measured = driver::run(&task, &mut |event| match event {
        Event::Measuring { runtime, what } => told.measuring(runtime, what),
        // The sheet says it, too.
        Event::Warning(_) if matches!(args.format, SheetFormat::Table | SheetFormat::Markdown) => {}
        Event::Warning(warning) => told.warned(warning),
    });
    told.clear();
    let mut sheet = measured.map_err(Failure::Cheatsheet)?;
    if cfg!(debug_assertions) && sheet.runtimes.iter().any(|runtime| runtime.language == Language::Rust) {
        sheet.warnings.push(UNOPTIMISED.to_owned());
    }
    let chosen =
        if has_choosing && !sheet.is_interrupted { choose(&mut measuring) } else { Ok((Vec::new(), Exit::Fine)) };
    // What was measured before is shown all the same.
    let (choosing, exit) = chosen.unwrap_or_else(|failure| {
        report_failure(&failure);
        (Vec::new(), failure.exit())
    });
    finish(args, terminal, &sheet, &choosing).map(|ended| ended.max(exit))
}

/// Shows and saves what was measured.
fn finish(args: &CheatsheetArgs, terminal: &Terminal, sheet: &Sheet, choosing: &[Judged]) -> Result<Exit, Failure> {
    let text = match args.format {
        SheetFormat::Table => report::cheatsheet_table(sheet, choosing, terminal::stdout_style(terminal.colour)),
        SheetFormat::Markdown => report::cheatsheet_markdown(sheet, choosing),
        SheetFormat::Json => report::cheatsheet_json(sheet, choosing)?,
        SheetFormat::Html => page(sheet, choosing, args.saved.no_record)?,
    };
    let mut exit = exit(sheet);
    // A full disk does not keep it from being shown, nor a closed pipe from being saved.
    let shown = terminal.print(&text);
    let paged = Paged { html: args.saved.html.clone(), no_record: args.saved.no_record };
    let written = write_page(&paged, sheet, choosing);
    for failure in [shown.err(), save(args, sheet, choosing).err(), written.err()].into_iter().flatten() {
        report_failure(&failure);
        exit = exit.max(failure.exit());
    }
    Ok(exit)
}

fn save(args: &CheatsheetArgs, sheet: &Sheet, choosing: &[Judged]) -> Result<(), Failure> {
    let Some(path) = &args.saved.output else { return Ok(()) };
    record::write(path, report::cheatsheet_json(sheet, choosing)?.as_bytes()).map_err(Failure::Save)
}

/// Writes the sheet as a page, if it is to be written.
pub(super) fn write_page(paged: &Paged, sheet: &Sheet, choosing: &[Judged]) -> Result<(), Failure> {
    let Some(path) = &paged.html else { return Ok(()) };
    record::write(path, page(sheet, choosing, paged.no_record)?.as_bytes()).map_err(Failure::Save)
}

fn page(sheet: &Sheet, choosing: &[Judged], no_record: bool) -> Result<String, Failure> {
    Ok(report::cheatsheet_page(sheet, choosing, &measure::page_options(no_record))?)
}

fn exit(sheet: &Sheet) -> Exit {
    let is_empty = sheet.items.iter().all(|timed| timed.figure.is_none())
        && sheet.pitfalls.iter().all(|shown| shown.figures.is_none());
    if sheet.is_interrupted {
        Exit::Interrupted
    } else if is_empty && sheet.sections != [Section::Choosing] {
        Exit::NoAnswer
    } else {
        Exit::Fine
    }
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(Failure::Cheatsheet)
}

/// The runtimes that take part, Python's first.
fn programs(planning: &Planning<'_>) -> Result<Vec<Program>, Failure> {
    let runtimes = planning.runtimes();
    let mut programs: Vec<Program> = runtimes.chosen_interpreters().filter_map(of_python).collect();
    if runtimes.has_rust() {
        programs.push(Program {
            runtime: Runtime {
                name: RUST.to_owned(),
                language: Language::Rust,
                version: env!("CONBENCH_RUSTC").to_owned(),
                gil: None,
            },
            program: own_program()?,
            environment: Vec::new(),
        });
    }
    Ok(programs)
}

/// An interpreter, if its language is the one that is measured.
fn of_python(interpreter: &Interpreter) -> Option<Program> {
    (interpreter.hello.language == python::LANGUAGE).then(|| Program {
        runtime: Runtime {
            name: interpreter.name.clone(),
            language: Language::Python,
            version: interpreter.hello.version.clone(),
            gil: interpreter.hello.gil,
        },
        program: interpreter.path.clone(),
        environment: Vec::new(),
    })
}

/// Says beforehand how long the shipped workloads take.
fn tell_how_long(measuring: &Measuring<'_>, terminal: &Terminal) -> Result<(), Failure> {
    let workloads = seams::all_shipped(terminal.colour_of_errors())?;
    let most: Duration = workloads.iter().map(|workload| measuring.planning.budget(workload)).sum();
    let text = format!(
        "the section `choosing` measures {} workloads, which takes {} at most, mostly half of it; --quick leaves it out",
        workloads.len(),
        units::duration(most.as_nanos() as f64)
    );
    terminal.note(&text);
    Ok(())
}

/// The shipped workloads' answers, as `recommend` finds them.
fn choose(measuring: &mut Measuring<'_>) -> Result<(Vec<Judged>, Exit), Failure> {
    let workloads = seams::all_shipped(measuring.terminal.colour_of_errors())?;
    let (workloads, exit) = recommend::runnable(measuring, workloads, None)?;
    measuring.of = workloads.len();
    let (all, ended) = recommend::measure_all(measuring, workloads, None, None);
    Ok((all, exit.max(ended)))
}
