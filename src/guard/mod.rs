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
pub use wire::{Status, Wiring};

/// The hidden verb `guard`: serves the socket on standard input. An argument after the verb is the
/// directory in which the session's own directory is made.
///
/// What fails is told over the socket; the exit code only says that something did.
#[must_use]
pub fn main() -> ExitCode {
    let parent = std::env::args_os().nth(2).map(std::path::PathBuf::from);
    match serve::serve(parent.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_told_over_the_socket) => ExitCode::FAILURE,
    }
}
