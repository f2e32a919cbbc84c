//! `conbench init`: writes a commented starter file, and never over one that is there.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::target;
use crate::workload::function_name;

/// The starter file's text.
pub const STARTER: &str = include_str!("starter.toml");

/// What is written for a function of the user's own.
const OF_FUNCTION: &str = "\
# A function of yours, as conbench measures it: docs/workloads.md names every field.
name = \"NAME\"
task_timeout = \"10s\"                      # a call that takes longer has failed
# max_calls = 200_000                       # for the whole session, if calls cost something

# [load]
# tasks = 1_000                             # how many you have: then start-up counts
# rate = \"50/s\"                           # what the other side allows

[[step]]
kind = \"python\"
FORM = \"FUNCTION\"
# items = \"MODULE:items\"                   # an iterable, a function that gives one, or a list written here
# setup = \"MODULE:setup\"                   # once a process, outside what is measured
path = \".\"                                # put first on sys.path, relative to this file
";

/// What `init` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct InitArgs {
    /// The new file's name; `.toml` is added where it has no ending. For a function (shop.scrape:parse) it is the
    /// function's
    #[arg(default_value = "workload.toml", value_name = "NAME|MODULE:NAME")]
    pub name: PathBuf,
}

/// The file's name and text.
fn file(named: &Path) -> (PathBuf, String) {
    let function = named.to_str().and_then(|name| function_name(name).ok());
    if let Some(function) = &function
        && let Some((module, name)) = function.split_once(':')
    {
        let short = name.rsplit('.').next().unwrap_or(name);
        let form = if target::is_async(function, None) { "async_function" } else { "function" };
        let text = OF_FUNCTION.replace("NAME", short).replace("FUNCTION", function);
        return (PathBuf::from(format!("{short}.toml")), text.replace("FORM", form).replace("MODULE", module));
    }
    let mut path = named.to_owned();
    if path.extension().is_none() {
        path.set_extension("toml");
    }
    (path, STARTER.to_owned())
}

/// Writes the starter file. Gives 0, or 2 when it cannot be written or is there already.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn run(args: &InitArgs, out: &mut dyn Write, err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    let (path, text) = file(&args.name);
    // `create_new` leaves no time between the look and the write.
    match File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes())) {
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
