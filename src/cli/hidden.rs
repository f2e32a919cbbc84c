//! The verbs that processes of a session are started with. They are told apart by the first argument,
//! before anything else is done, since their start is measured.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the hidden verb that the arguments (without the program's name) begin with, if they do.
pub(super) fn run(args: &[OsString]) -> Option<ExitCode> {
    let (verb, rest) = args.split_first()?;
    match verb.to_str()? {
        "agent" => Some(crate::agent::main()),
        "worker" => Some(crate::agent::worker::main(rest)),
        "peer" => Some(crate::agent::peer::main()),
        crate::cheatsheet::VERB => Some(crate::cheatsheet::measure::main(rest)),
        "guard" => Some(crate::guard::main()),
        _ => None,
    }
}
