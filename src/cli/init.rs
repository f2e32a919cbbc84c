//! `conbench init`: writes a commented starter file, and never over one that is there.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

/// The starter file's text.
pub const STARTER: &str = include_str!("starter.toml");

/// What `init` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct InitArgs {
    /// The new file's name; `.toml` is added where it has no ending
    #[arg(default_value = "workload.toml", value_name = "NAME")]
    pub name: PathBuf,
}

/// Writes the starter file. Gives 0, or 2 when it cannot be written or is there already.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn run(args: &InitArgs, out: &mut dyn Write, err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    let mut path = args.name.clone();
    if path.extension().is_none() {
        path.set_extension("toml");
    }
    // `create_new` leaves no time between the look and the write.
    match File::create_new(&path).and_then(|mut file| file.write_all(STARTER.as_bytes())) {
        Ok(()) => {
            let path = path.display();
            writeln!(out, "wrote {path}; edit it, then: conbench run {path}")?;
            Ok(0)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            writeln!(err, "error: `{}` exists already: name another file, or remove it first", path.display())?;
            Ok(2)
        }
        Err(error) => {
            writeln!(err, "error: cannot write `{}`: {error}", path.display())?;
            Ok(2)
        }
    }
}
