//! `conbench agent-check`: whether a program speaks the protocol of agents.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Exit, Failure, Terminal, signals};
use crate::candidate::Engine;
use crate::conformance::{self, ExamineError, Finding, Scope, Verdict};
use crate::escape::plain;
use crate::session::AgentProgram;

/// What `agent-check` is told.
#[derive(Args, Clone, Debug)]
pub(super) struct AgentCheckArgs {
    /// The agent: a program, and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
    /// Of the engines that it offers only these, comma-separated
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    engines: Vec<Engine>,
    /// How long an answer may take
    #[arg(long, default_value = "20s", value_parser = humantime::parse_duration, value_name = "TIME")]
    patience: Duration,
    /// How the checks are written
    #[arg(long, value_enum, default_value_t)]
    format: Form,
}

/// How checks are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line a check
    #[default]
    Table,
    /// One JSON array, an object a check
    Json,
}

/// Examines the agent, and shows each finding as it is made.
///
/// # Errors
/// When it cannot be started.
pub(super) fn run(args: &AgentCheckArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let Some((program, arguments)) = args.program.split_first() else {
        return Err(Failure::Usage("name the agent's program".to_owned()));
    };
    let interrupted = signals::watch().map_err(Failure::Signals)?;
    let scope = Scope { engines: args.engines.clone(), patience: args.patience };
    let mut written = Ok(());
    let examined = conformance::examine(&agent(program, arguments), &scope, &interrupted, &mut |finding| {
        if args.format == Form::Table && written.is_ok() {
            written = terminal.print(&line(finding));
        }
    });
    written?;
    let findings = match examined {
        Ok(findings) => findings,
        Err(ExamineError::Interrupted) => return Ok(Exit::Interrupted),
        Err(error) => return Err(Failure::Examine(error)),
    };
    let of = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let broken = of(Verdict::Broken);
    terminal.print(&match args.format {
        Form::Table => format!("\n{} held, {broken} broken, {} not tried\n", of(Verdict::Held), of(Verdict::Untried)),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&findings)?),
    })?;
    Ok(if broken == 0 { Exit::Fine } else { Exit::CandidateFailed })
}

/// The agent of these words. Its runtime is called after the file of its program.
fn agent(program: &OsString, arguments: &[OsString]) -> AgentProgram {
    let program = PathBuf::from(program);
    let name = program.file_name().map_or_else(|| "agent".into(), |name| name.to_string_lossy());
    AgentProgram {
        runtime: name.into_owned(),
        arguments: arguments.to_vec(),
        parent_argument: None,
        environment: Vec::new(),
        directory: None,
        program,
    }
}

/// A check, its verdict first: what it was to be, and what came.
fn line(finding: &Finding) -> String {
    let (check, expected, came) = (plain(&finding.check), plain(&finding.expected), plain(&finding.came));
    match finding.verdict {
        Verdict::Held => format!("held       {check}: {expected}\n"),
        Verdict::Broken => format!("BROKEN     {check}: expected {expected}; came {came}\n"),
        Verdict::Untried => format!("not tried  {check}: {came}\n"),
    }
}
