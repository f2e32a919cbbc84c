//! The guard: a small process between the controller and everything that it starts, so that nothing survives.
//!
//! A guard is a child subreaper: whatever is orphaned below it becomes its child, however it forked and
//! whichever session or group it moved to. It starts processes on request and, when its socket closes for
//! whatever reason (the controller's SIGKILL included), kills and reaps until nothing is left below it.
//!
//! Guards nest. The first one holds the session's directory and the server; under it, each agent has a
//! guard of its own ([`Guard::nested`]), so that "everything below this guard" is exactly one candidate,
//! daemons included, and one candidate's remains are never taken for another's.

mod client;
mod serve;
mod spawn;
mod tree;
mod wire;

use std::process::ExitCode;

pub use client::{Child, Guard};
pub use wire::{Status, Wiring, send};

/// The argument after the verb that says that a child is there before the guard; its number follows.
const CHILD: &str = "--child";

/// The hidden verb `guard`: serves the socket on standard input. An argument after the verb is the
/// directory in which the session's own directory is made; or it is `--child`, and the next one the number of a
/// child that this process had before it became a guard.
///
/// What fails is told over the socket; the exit code only says that something did.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(2);
    let duty = match arguments.next() {
        None => serve::Duty::Agent,
        Some(word) if word == CHILD => {
            let number = arguments.next().and_then(|number| number.to_str()?.parse().ok());
            let Some(child) = number.and_then(rustix::process::Pid::from_raw) else { return ExitCode::FAILURE };
            serve::Duty::Child(child)
        }
        Some(parent) => serve::Duty::Session(parent.into()),
    };
    match serve::serve(&duty) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_told_over_the_socket) => ExitCode::FAILURE,
    }
}
