//! `conbench completions`: what a shell needs to complete the command line.

use super::{Exit, Failure, Terminal, command};

/// What `completions` is told.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completions.
pub(super) fn run(args: &CompletionsArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    // Into memory first, because the generator panics where its output is closed.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "conbench", &mut text);
    terminal.print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Fine)
}
