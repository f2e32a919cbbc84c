//! `conbench explain`: prints how the verdict of a saved record came about.

use std::path::PathBuf;

use super::{Exit, Failure, Terminal, sheet, terminal};
use crate::candidate::nearest;
use crate::escape::plain;
use crate::report::{self, Judged};

/// What `explain` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct ExplainArgs {
    /// A file that --output saved
    record: PathBuf,
    /// Only the workload of this name [default: all that the record holds]
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
}

/// Prints the reasoning.
pub(super) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let help = format!("`conbench report {}` shows it", args.record.display());
    let all = sheet::none_but_records(&args.record, &help)?;
    let chosen = chosen(&all, args.workload.as_deref())?;
    let style = terminal::stdout_style(terminal.colour);
    let text: Vec<String> = chosen.into_iter().map(|judged| report::explanation(judged, style)).collect();
    terminal.print(&text.concat())?;
    Ok(Exit::Fine)
}

/// The records of this name, or all.
fn chosen<'a>(all: &'a [Judged], name: Option<&str>) -> Result<Vec<&'a Judged>, Failure> {
    let Some(name) = name else { return Ok(all.iter().collect()) };
    let found: Vec<&Judged> = all.iter().filter(|judged| judged.record.workload.name == name).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let known: Vec<&str> = all.iter().map(|judged| judged.record.workload.name.as_str()).collect();
    let help = match nearest(name, &known) {
        Some(near) => format!("did you mean `{}`?", plain(near)),
        None => {
            format!("it holds {}", known.iter().map(|it| format!("`{}`", plain(it))).collect::<Vec<_>>().join(", "))
        }
    };
    Err(Failure::Usage(format!("the record holds no workload `{}`: {help}", plain(name))))
}
