//! The command line.

pub mod check;
pub mod init;
pub mod list;
pub mod schema;
pub mod host;
pub mod serve;

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("agent") => crate::agent::main(),
        Some("companion") => crate::agent::companion::main(),
        Some("guard") => crate::guard::main(),
        Some("worker") => crate::agent::worker::main(&arguments[1..]),
        _ => std::process::ExitCode::SUCCESS,
    }
}
