//! The command line.

pub mod check;
pub mod init;
pub mod list;
pub mod schema;

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
