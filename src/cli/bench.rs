//! Targets that register workloads of their own, in `benches/` or `examples/`: how they are told what to do, and what
//! they print. Everything between a workload and its answer is what `recommend` does.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;

use super::args::{self, Paged, RecordFormat, Selection};
use super::failure::Failure;
use super::measure::{self, Measuring, Planning};
use super::terminal::{self, Colour};
use super::{Exit, Terminal, complain, progress, signals};
use crate::candidate::Engine;
use crate::report::{self, Judged, Style, View};
use crate::workload::Workload;

/// What `cargo bench` hands to every target, and what it takes to only try one.
const BENCH: &str = "--bench";
const TEST: &str = "--test";

/// The seed of a target that names none.
const SEED: u64 = 1;

/// Recommends a concurrency tool for each workload that this target registers: sequential, threads, async, processes, or a
/// mix of them.
#[derive(Parser, Clone, Debug)]
#[command(disable_version_flag = true, after_help = AFTER_HELP)]
struct Arguments {
    /// Only workloads whose name holds one of these words
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// How long each workload may take, e.g. 10s or 5m; it is rarely used up [default: what the target says, or 20s]
    #[arg(long, value_name = "TIME", value_parser = args::budget)]
    budget: Option<Duration>,
    /// Only these engines, e.g. thread-pool,rayon
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    engines: Vec<Engine>,
    /// Only these numbers of workers, instead of a search
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    workers: Vec<u32>,
    /// The seed of all shuffles
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How answers are written
    #[arg(long, value_enum, default_value_t)]
    format: RecordFormat,
    /// Print the code of each answer alone, ready to paste
    #[arg(long = "code", id = "as_code", conflicts_with = "format")]
    code: bool,
    /// No progress and no warnings on standard error
    #[arg(long, short)]
    quiet: bool,
    /// When colour is used
    #[arg(long, value_enum, default_value_t, visible_alias = "color", value_name = "WHEN")]
    colour: Colour,
    /// List the workloads
    #[arg(long)]
    list: bool,
    /// Run each task once, and measure nothing
    #[arg(long)]
    test: bool,
    /// What `cargo bench` says
    #[arg(long, hide = true)]
    bench: bool,
}

const AFTER_HELP: &str = "`cargo test` runs each task once, `cargo bench` measures.";

/// What a target is to do.
pub enum Start {
    /// Nothing more: a process of a session has ended, or the arguments are wrong, which was said.
    Ended(ExitCode),
    /// What the arguments ask for.
    Asked(Box<Asked>),
}

/// Reads the arguments, the program's name first. One that is started as a guard is one until its end.
#[must_use]
pub fn start(arguments: &[OsString]) -> Start {
    let rest = arguments.get(1..).unwrap_or_default();
    if !is_asked_by_cargo(rest)
        && let Some(exit) = super::hidden::run(rest)
    {
        return Start::Ended(exit);
    }
    match Arguments::try_parse_from(arguments) {
        Ok(parsed) => Start::Asked(Box::new(Asked::new(parsed))),
        Err(error) => Start::Ended(super::usage(&error)),
    }
}

/// Whether the arguments are those of `cargo bench`, whose first one may be a filter with the name of a hidden verb.
#[must_use]
pub fn is_asked_by_cargo(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| argument == BENCH || argument == TEST)
}

/// What somebody asks of a target.
pub struct Asked {
    arguments: Arguments,
    is_test: bool,
    terminal: Terminal,
    /// Set by a signal, once they are watched.
    interrupted: Option<Arc<AtomicBool>>,
    /// Whether it was said that nothing is optimised.
    told: bool,
    /// What was shown in formats that are written whole, at the end.
    kept: Vec<Judged>,
}

/// What the target itself says of how a workload is measured. What its user writes on the command line goes before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wish {
    /// How long it may take.
    pub budget: Option<Duration>,
    /// Only these engines; empty is all.
    pub engines: Vec<Engine>,
    /// Only these numbers of workers; empty is a search.
    pub workers: Vec<u32>,
    /// Only these numbers of tasks in flight; empty is a search.
    pub in_flight: Vec<u32>,
    /// The seed of all shuffles.
    pub seed: Option<u64>,
}

/// Why something could not be done.
#[derive(Debug)]
pub struct Refused {
    /// In words, without `error:`.
    pub message: String,
    /// The code that a program ends with.
    pub exit: Exit,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused { exit: failure.exit(), message: failure.to_string() }
    }
}

impl Asked {
    fn new(arguments: Arguments) -> Asked {
        let program = std::env::current_exe().unwrap_or_default();
        let is_test = arguments.test || (!arguments.bench && is_run_by_tests(&program));
        let terminal = Terminal::new(arguments.colour, arguments.quiet, progress::Form::default());
        Asked { arguments, is_test, terminal, interrupted: None, told: false, kept: Vec::new() }
    }

    /// Whether each task is to run once, and nothing to be measured.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.is_test
    }

    /// Whether names are asked for, and nothing else.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.arguments.list
    }

    /// Whether a workload of this name is asked for.
    #[must_use]
    pub fn chooses(&self, name: &str) -> bool {
        let filters = &self.arguments.filters;
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    }

    /// Finds the answer of a workload.
    ///
    /// # Errors
    /// When nothing can be measured, or signals cannot be watched.
    pub fn recommend(&mut self, workload: Workload, wish: &Wish) -> Result<Judged, Refused> {
        if cfg!(debug_assertions) && !std::mem::replace(&mut self.told, true) {
            self.terminal
                .warn("this program is not optimised, and neither are its tasks: use `cargo bench`, or --release");
        }
        let selection = self.selection(wish);
        let workload = selection.of_load(workload);
        let planning = Planning::prepare(&selection)?;
        planning.warn_beside(&workload, &self.terminal);
        let interrupted = match &self.interrupted {
            Some(interrupted) => Arc::clone(interrupted),
            None => Arc::clone(self.interrupted.insert(signals::watch().map_err(Failure::Signals)?)),
        };
        let budget = planning.budget(&workload);
        let paged = Paged::default();
        let measuring = Measuring::new(&self.terminal, planning, &paged, interrupted);
        Ok(measuring.measure(workload, budget, &[])?)
    }

    fn selection(&self, wish: &Wish) -> Selection {
        let or = |said: &[Engine], wished: &[Engine]| if said.is_empty() { wished.to_vec() } else { said.to_vec() };
        let workers = if self.arguments.workers.is_empty() { &wish.workers } else { &self.arguments.workers };
        Selection::native(
            or(&self.arguments.engines, &wish.engines),
            workers.clone(),
            wish.in_flight.clone(),
            self.arguments.seed.or(wish.seed).unwrap_or(SEED),
            self.arguments.budget.or(wish.budget),
        )
    }

    /// Whether a signal has ended what was measured: nothing else is begun.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|interrupted| interrupted.load(Ordering::SeqCst))
    }

    /// Prints an answer, or keeps it for [`Asked::finish`].
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn show(&mut self, judged: Judged) -> Result<(), Refused> {
        let exporter = measure::exporter(View::Answer, self.arguments.format, self.arguments.code, &self.terminal);
        let Some(exporter) = exporter else {
            self.kept.push(judged);
            return Ok(());
        };
        Ok(self.terminal.print(&exporter.document(&[judged]))?)
    }

    /// Prints what is written at the end.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn finish(&mut self) -> Result<(), Refused> {
        if self.kept.is_empty() {
            return Ok(());
        }
        let text = measure::whole(self.arguments.format, &self.kept)?;
        Ok(self.terminal.print(&text)?)
    }

    /// Prints a line.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Refused> {
        Ok(self.terminal.print(&format!("{text}\n"))?)
    }
}

/// The code that a record ends with. A disturbed host is told in its answer, and is no failure of the target.
#[must_use]
pub fn exit(judged: &Judged) -> Exit {
    match measure::exit(judged, false) {
        Exit::Disturbed => Exit::Fine,
        other => other,
    }
}

/// The text of an answer as a file has it.
#[must_use]
pub fn text(judged: &Judged) -> String {
    let style = Style { width: terminal::PAGE, colour: false };
    report::table(View::Answer, style).document(std::slice::from_ref(judged))
}

/// Writes why a target ends.
pub fn report_error(message: &str) {
    // Some texts have a beginning of their own.
    let start = if message.starts_with("error: ") { "" } else { "error: " };
    complain(&format!("{start}{}\n", message.trim_end()));
}

/// Whether `cargo test` runs this program, which it does without an argument that says so: a bench lies in a folder
/// `deps`, out of which nobody else starts it, and an example beside that.
fn is_run_by_tests(program: &Path) -> bool {
    program.parent().and_then(Path::file_name).is_some_and(|folder| folder == "deps")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(arguments: &[&str]) -> Asked {
        let all = std::iter::once("target").chain(arguments.iter().copied());
        Asked::new(Arguments::try_parse_from(all).expect("legal"))
    }

    #[test]
    fn cargo_says_what_a_bench_is_to_do() {
        // This test lies in such a folder, too.
        assert!(asked(&[]).is_test() && asked(&["--test"]).is_test() && asked(&["--bench", "--test"]).is_test());
        assert!(!asked(&["parse", "--bench"]).is_test());
        assert!(is_run_by_tests(Path::new("/x/target/debug/deps/mine-0123")));
        assert!(!is_run_by_tests(Path::new("/x/target/debug/examples/mine")));
    }

    #[test]
    fn a_filter_is_a_part_of_a_name() {
        let asked = asked(&["par", "fetch", "--bench"]);
        assert!(asked.chooses("parse") && asked.chooses("prefetch") && !asked.chooses("save"));
        assert!(self::asked(&["--bench"]).chooses("save"));
    }

    #[test]
    fn the_command_line_goes_before_what_the_target_says() {
        let wish = Wish { budget: Some(Duration::from_secs(3)), engines: vec![Engine::Rayon], ..Wish::default() };
        let plain = asked(&["--bench"]).selection(&wish);
        assert_eq!((plain.budget, plain.names_engines()), (wish.budget, true));
        let said = asked(&["--bench", "--budget", "1s"]).selection(&wish);
        assert_eq!(said.budget, Some(Duration::from_secs(1)));
    }
}
