//! The command line.

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> std::process::ExitCode {
    if std::env::args_os().nth(1).is_some_and(|verb| verb == "guard") {
        return crate::guard::main();
    }
    std::process::ExitCode::SUCCESS
}
