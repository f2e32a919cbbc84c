//! The command line: one verb, one file. Each reads its settings, calls the rooms below and writes what
//! they say.
//!
//! Results go to standard output, progress, warnings and errors to standard error. This is the only
//! room that knows either, and the only one that decides an exit code ([`Exit`]).

mod agent_check;
mod args;
pub mod bench;
mod caller;
mod cheatsheet;
pub mod check;
mod cluster;
mod cluster_name;
mod compare;
mod completions;
mod duel;
mod executors;
mod exit;
mod explain;
mod failure;
mod hidden;
pub mod host;
pub mod init;
pub mod list;
mod man;
mod measure;
mod panics;
mod plan;
mod progress;
mod recommend;
mod report;
mod run;
mod runtimes;
pub mod schema;
mod seams;
mod selftest;
pub mod serve;
mod sheet;
mod signals;
mod target;
mod terminal;
mod versions;

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub use exit::Exit;
use failure::Failure;
use runtimes::Runtimes;
use terminal::Colour;

/// Measures which concurrency tool fits a workload on this host: threads, processes, async, a mix of
/// them, or none.
#[derive(Parser, Debug)]
#[command(name = "conbench", version, about)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// When colour is used
    #[arg(long, global = true, value_enum, default_value_t, visible_alias = "color", value_name = "WHEN")]
    colour: Colour,
    /// No progress and no warnings on standard error
    #[arg(long, short, global = true)]
    quiet: bool,
    /// How progress is told on standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    progress: progress::Form,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Measure a workload and show its candidates
    Run(Box<run::RunArgs>),
    /// Find the right tool for a function or a workload, with the code to paste; for several, a table
    Recommend(Box<recommend::RecommendArgs>),
    /// Measure the cheat sheet: what each tool of Python and Rust costs here, and its pitfalls
    Cheatsheet(Box<cheatsheet::CheatsheetArgs>),
    /// Show what `run` would do, without doing it
    Plan(Box<plan::PlanArgs>),
    /// Show a saved record again
    Report(report::ReportArgs),
    /// Show how the verdict of a saved record came about, step by step
    Explain(explain::ExplainArgs),
    /// Compare two saved records, as far as two sessions can be compared
    Compare(compare::CompareArgs),
    /// Measure two versions of the same work beside each other: is the second slower, and is the choice the same?
    Duel(Box<duel::DuelArgs>),
    /// Like `duel`, with an exit code for CI
    Gate(Box<duel::GateArgs>),
    /// Check workload files, without running them
    Check(check::CheckArgs),
    /// List the shipped workloads, the engines and the steps
    List(list::ListArgs),
    /// Write a workload file to start from
    Init(init::InitArgs),
    /// Measure known answers, and print each beside its theory
    Selftest(selftest::SelftestArgs),
    /// Check whether a program speaks the protocol of agents, rule by rule
    AgentCheck(agent_check::AgentCheckArgs),
    /// Print a JSON Schema
    Schema(schema::SchemaArgs),
    /// Show what this host is, what of it may be used, and how steady it is
    Host(host::HostArgs),
    /// Run the embedded server by itself
    Serve(serve::ServeArgs),
    /// Print completions for a shell, or install them with the manual pages
    Completions(completions::CompletionsArgs),
    /// Print the manual page of the program, or of a verb
    Man(man::ManArgs),
}

/// What somebody reads who types nothing but the program's name.
const FIRST: &str = "\
conbench measures which concurrency tool fits a task on this host. Type one of:

  conbench recommend web-scraping                        a workload that is shipped; `conbench list` names them
  conbench recommend shop.scrape:parse --items items     a function of yours, with items of its module
  conbench recommend scrape.py:parse --items 'range(9)'  a function of a file, with items written here
  conbench init my.toml                                  a workload file to start from; then: conbench run my.toml
  conbench recommend                                     every workload that is shipped, in a few minutes
  conbench cheatsheet --quick                            what each tool costs here, and its pitfalls

`conbench --help` shows every verb, `conbench recommend --help` every option.
";

/// What every verb may use of its surroundings.
struct Terminal {
    out: io::Stdout,
    colour: Colour,
    quiet: bool,
    progress: progress::Form,
    /// Lines for standard error that wait for the result.
    later: RefCell<Vec<String>>,
}

impl Terminal {
    fn new(colour: Colour, quiet: bool, progress: progress::Form) -> Terminal {
        Terminal { out: io::stdout(), colour, quiet, progress, later: RefCell::default() }
    }

    /// Writes a piece of the result, which the reader sees at once; then what waited for it.
    fn print(&self, text: &str) -> Result<(), Failure> {
        let printed = self.write(text);
        self.later.take().iter().for_each(|line| self.say(line));
        printed
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Writes lines to standard error once the next piece of the result is printed.
    fn say_later(&self, lines: Vec<String>) {
        self.later.borrow_mut().extend(lines);
    }

    /// Writes a line to standard error as it is, if anyone wants it.
    fn say(&self, line: &str) {
        if !self.quiet {
            complain(&format!("{line}\n"));
        }
    }

    /// Writes an error's line to standard error.
    fn complain(&self, text: &str) {
        complain(&format!("error: {text}\n"));
    }

    /// Writes a line to standard error, if anyone wants it.
    fn warn(&self, text: &str) {
        match self.progress {
            _ if self.quiet => {}
            progress::Form::Json => complain(&progress::event("warning", text)),
            progress::Form::Auto | progress::Form::Plain => complain(&terminal::warning(text)),
        }
    }

    /// Writes a line to standard error that is no warning, if anyone wants it.
    fn note(&self, text: &str) {
        match self.progress {
            _ if self.quiet => {}
            progress::Form::Json => complain(&progress::event("note", text)),
            progress::Form::Auto | progress::Form::Plain => complain(&format!("{text}\n")),
        }
    }

    /// Whether messages on standard error are coloured.
    fn colour_of_errors(&self) -> bool {
        self.colour.on(&io::stderr())
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    if let Some(exit) = hidden::run(args.get(1..).unwrap_or_default()) {
        return exit;
    }
    panics::install();
    // Kept to the end, whatever that is.
    let _caller = match caller::Caller::take(&mut args) {
        Ok(caller) => caller,
        Err(failure) => {
            report_failure(&failure);
            return failure.exit().into();
        }
    };
    std::panic::catch_unwind(|| visible(args)).unwrap_or(Exit::Internal.into())
}

fn visible(args: Vec<OsString>) -> ExitCode {
    let parsed = command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let terminal = Terminal::new(cli.colour, cli.quiet, cli.progress);
    let Some(verb) = cli.verb else {
        complain(FIRST);
        return Exit::Usage.into();
    };
    match dispatch(verb, &terminal) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            report_failure(&failure);
            failure.exit().into()
        }
    }
}

fn dispatch(verb: Verb, terminal: &Terminal) -> Result<Exit, Failure> {
    match verb {
        Verb::Run(args) => run::run(&args, terminal),
        Verb::Recommend(args) => recommend::run(&args, terminal),
        Verb::Cheatsheet(args) => cheatsheet::run(&args, terminal),
        Verb::Plan(args) => plan::run(&args, terminal),
        Verb::Report(args) => report::run(&args, terminal),
        Verb::Explain(args) => explain::run(&args, terminal),
        Verb::Compare(args) => compare::run(&args, terminal),
        Verb::Duel(args) => duel::run(&args, terminal),
        Verb::Gate(args) => duel::gate(&args, terminal),
        Verb::Check(args) => plainly(terminal, |out, err, colour| check::run(&args, out, err, colour)),
        Verb::List(args) => plainly(terminal, |out, err, colour| list::run(&args, out, err, colour)),
        Verb::Init(args) => plainly(terminal, |out, err, colour| init::run(&args, out, err, colour)),
        Verb::Selftest(args) => selftest::run(&args, terminal),
        Verb::AgentCheck(args) => agent_check::run(&args, terminal),
        Verb::Schema(args) => plainly(terminal, |out, err, colour| schema::run(&args, out, err, colour)),
        Verb::Host(args) => plainly(terminal, |out, err, colour| host::run(&args, out, err, colour)),
        Verb::Serve(args) => plainly(terminal, |out, err, colour| serve::run(&args, out, err, colour)),
        Verb::Completions(args) => completions::run(&args, terminal),
        Verb::Man(args) => man::run(&args, terminal),
    }
}

/// A verb that needs two streams only, and ends with 0, or with 2 for bad input.
fn plainly(
    terminal: &Terminal,
    verb: impl FnOnce(&mut dyn Write, &mut dyn Write, bool) -> io::Result<u8>,
) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(terminal.out.lock());
    let status = verb(&mut out, &mut io::stderr(), terminal.colour_of_errors())?;
    out.flush()?;
    Ok(if status == 0 { Exit::Fine } else { Exit::Usage })
}

/// The command with its help, which carries the exit codes.
fn command() -> clap::Command {
    Cli::command().after_help(exit::table())
}

/// What clap says: help and version are results, the rest is an error.
fn usage(error: &clap::Error) -> ExitCode {
    match error.print() {
        Err(failed) if failed.kind() != io::ErrorKind::BrokenPipe => Exit::Output.into(),
        _ if error.use_stderr() => Exit::Usage.into(),
        _ => Exit::Fine.into(),
    }
}

fn report_failure(failure: &Failure) {
    match failure {
        Failure::Rendered(text) => complain(text),
        other if other.exit() == Exit::Fine => {}
        // What it quotes may be anybody's.
        other => complain(&format!("error: {}\n", crate::escape::plain_lines(&other.to_string()))),
    }
}

/// Writes to standard error. Where that is closed, nobody is left to be told.
fn complain(text: &str) {
    drop(io::stderr().write_all(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = command().render_long_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())), "{exit:?}");
        }
    }
}
