//! `conbench selftest`: known answers, measured beside their theory.

use std::io::Write as _;

use clap::Args;

use super::args::Interpreters;
use super::{Exit, Failure, Terminal, runtimes, seams, signals};
use crate::escape::plain;
use crate::python::{Found, Refusal};
use crate::selftest::{self, Finding, LawError};
use crate::session::AgentProgram;

/// What `selftest` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct SelftestArgs {
    /// Only the laws whose name contains this: wait, cpu, lock, little, amdahl, utilisation, cpu-wait, pipeline,
    /// makespan, gil-share
    #[arg(default_value = "")]
    law: String,
    #[command(flatten)]
    interpreters: Interpreters,
    /// Only the native runtime
    #[arg(long, conflicts_with = "python")]
    native_only: bool,
    /// One JSON array instead of a table
    #[arg(long)]
    json: bool,
}

const HEADER: [&str; 7] = ["law", "what", "measured", "theory", "ratio", "tolerance", ""];

/// Measures and shows each finding as it is made.
///
/// # Errors
/// When an agent cannot be started or fails.
pub(super) fn run(args: &SelftestArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let interrupted = signals::watch().map_err(Failure::Signals)?;
    let cpus = seams::facts().usable_cpus();
    // Kept to the end: the agent that interpreters run may go away with it.
    let found = interpreters(args, terminal)?;
    let further: Vec<AgentProgram> = found.interpreters.iter().map(runtimes::agent).collect();
    let mut written = Ok(());
    if !args.json {
        written = line(terminal, &HEADER.map(str::to_owned), "from");
    }
    let measured = selftest::run(&args.law, cpus, &further, &interrupted, &mut |finding| {
        if !args.json && written.is_ok() {
            written = show(terminal, finding);
        }
    });
    written?;
    let findings = match measured {
        Ok(findings) => findings,
        Err(LawError::Interrupted) => return Ok(Exit::Interrupted),
        Err(fault) => return Err(Failure::Selftest(fault)),
    };
    let judged: Vec<bool> = findings.iter().filter_map(Finding::holds).collect();
    let broken = judged.iter().filter(|holds| !**holds).count();
    if args.json {
        terminal.print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?;
    } else {
        terminal.print(&format!("\n{} of {} laws hold\n", judged.len() - broken, judged.len()))?;
    }
    Ok(if broken == 0 { Exit::Fine } else { Exit::NoAnswer })
}

/// The interpreters that take part beside the native runtime.
///
/// # Errors
/// When one that the user named cannot be used.
fn interpreters(args: &SelftestArgs, terminal: &Terminal) -> Result<Found, Failure> {
    if args.native_only {
        return Ok(Found::default());
    }
    let named = &args.interpreters.python;
    let found = seams::interpreters(named);
    for refused in &found.refused {
        let why = format!("{}: {}", plain(&refused.named), plain(&refused.reason.to_string()));
        if !named.is_empty() {
            return Err(Failure::Usage(why));
        }
        if refused.reason != Refusal::NotFound {
            terminal.warn(&format!("the native runtime alone is tested: {why}"));
        }
    }
    Ok(found)
}

fn show(terminal: &Terminal, finding: &Finding) -> Result<(), Failure> {
    let cells = [
        finding.law.to_owned(),
        finding.what.clone(),
        figure(finding.measured),
        format!("{} {}", figure(finding.theory), finding.unit),
        format!("{:.3}", finding.ratio()),
        finding.tolerance.map_or_else(|| "any".to_owned(), |(low, high)| format!("{low:.2} to {high:.2}")),
        match finding.holds() {
            Some(true) => "holds",
            Some(false) => "BROKEN",
            None => "cost",
        }
        .to_owned(),
    ];
    line(terminal, &cells, &finding.from)
}

/// Three significant digits, but whole numbers whole.
fn figure(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// One line of fixed columns: findings come one by one, and are shown as they come.
fn line(terminal: &Terminal, cells: &[String; 7], from: &str) -> Result<(), Failure> {
    let [law, what, measured, theory, ratio, tolerance, verdict] = cells;
    let mut text = Vec::new();
    writeln!(text, "{law:<11} {what:<56} {measured:>9}  {theory:<20} {ratio:>6}  {tolerance:<13} {verdict:<7} {from}")?;
    terminal.print(&String::from_utf8_lossy(&text))
}
