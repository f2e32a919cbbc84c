//! `conbench selftest`: known answers, measured beside their theory.

use std::io::Write as _;

use clap::Args;

use super::{Exit, Failure, Terminal, seams, signals};
use crate::selftest::{self, Fault, Finding};

/// What `selftest` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct SelftestArgs {
    /// Only the laws whose name contains this: wait, cpu, lock, little, amdahl
    #[arg(default_value = "")]
    law: String,
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
    let mut written = Ok(());
    if !args.json {
        written = line(terminal, &HEADER.map(str::to_owned), "from");
    }
    let measured = selftest::run(&args.law, cpus, &interrupted, &mut |finding| {
        if !args.json && written.is_ok() {
            written = show(terminal, finding);
        }
    });
    written?;
    let findings = match measured {
        Ok(findings) => findings,
        Err(Fault::Interrupted) => return Ok(Exit::Interrupted),
        Err(fault) => return Err(Failure::Selftest(fault)),
    };
    let broken = findings.iter().filter(|finding| !finding.holds()).count();
    if args.json {
        terminal.print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?;
    } else {
        terminal.print(&format!("\n{} of {} laws hold\n", findings.len() - broken, findings.len()))?;
    }
    Ok(if broken == 0 { Exit::Fine } else { Exit::NoAnswer })
}

fn show(terminal: &Terminal, finding: &Finding) -> Result<(), Failure> {
    let (low, high) = finding.tolerance;
    let cells = [
        finding.law.to_owned(),
        finding.what.clone(),
        figure(finding.measured),
        format!("{} {}", figure(finding.theory), finding.unit),
        format!("{:.3}", finding.ratio()),
        format!("{low:.2} to {high:.2}"),
        if finding.holds() { "holds" } else { "BROKEN" }.to_owned(),
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
    writeln!(text, "{law:<7} {what:<42} {measured:>9}  {theory:<20} {ratio:>6}  {tolerance:<13} {verdict:<7} {from}")?;
    terminal.print(&String::from_utf8_lossy(&text))
}
