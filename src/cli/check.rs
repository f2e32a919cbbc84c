//! `conbench check`: validates workload files and runs nothing.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::workload;

/// What `check` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckArgs {
    /// Workload files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Reports every fault of every file to `err`, and the files that are fine to `out`.
/// Gives 0, or 2 when a file is not a workload.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn run(args: &CheckArgs, out: &mut dyn Write, err: &mut dyn Write, colour: bool) -> io::Result<u8> {
    let mut status = 0;
    for file in &args.files {
        match workload::load(file) {
            Ok(_) => writeln!(out, "{}: ok", file.display())?,
            Err(diagnostics) => {
                // What is known so far comes first, wherever the two streams end.
                out.flush()?;
                err.write_all(diagnostics.render(colour).as_bytes())?;
                status = 2;
            }
        }
    }
    Ok(status)
}
