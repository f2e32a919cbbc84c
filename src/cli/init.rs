//! `conbench init`: writes a commented starter file, and never over one that is there.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::target::{self, Target};
use crate::workload::{self, Items};

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
{items}
# setup = \"MODULE:setup\"                   # once a process, outside what is measured
path = \"FOLDER\"                           # put first on sys.path, relative to this file
";

/// What `init` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct InitArgs {
    /// The new file's name; `.toml` is added where it has no ending. For a function (shop.scrape:parse or
    /// shop/scrape.py:parse) it is the function's
    #[arg(default_value = "workload.toml", value_name = "NAME|MODULE:NAME|FILE.py:NAME")]
    pub name: PathBuf,

    /// What a function is called with: the name of an iterable or of a function that gives one (MODULE:NAME), or a list
    /// of JSON
    #[arg(long, value_name = "NAME|JSON")]
    pub items: Option<String>,
}

/// The line of items where none are named.
const NO_ITEMS: &str =
    "# items = \"MODULE:items\"                   # an iterable, a function that gives one, or a list written here";

/// The file's name and text.
fn file(args: &InitArgs) -> Result<(PathBuf, String), Failure> {
    match target::read(&args.name)? {
        Target::Function { name, folder } => {
            let module = name.split(':').next().unwrap_or_default();
            let items = args.items.as_deref().map(|text| items(text, module)).transpose()?;
            let (path, text) = of_function(&name, folder.as_deref(), items);
            if args.items.is_some() {
                // JSON has tables and `null`, which TOML writes otherwise or lacks.
                workload::parse(&path.to_string_lossy(), &text).map_err(|faults| {
                    Failure::Usage(format!("--items: a file cannot hold this list; name it in your module: {faults}"))
                })?;
            }
            Ok((path, text))
        }
        Target::Workload(_) if args.items.is_some() => {
            Err(Failure::Usage("--items are those of a function: name one, `module:function`".to_owned()))
        }
        Target::Workload(path) if path.to_string_lossy().contains(':') && !path.exists() => {
            Err(Failure::Usage(format!(
                "`{}` names no function and is no name for a workload file: write `module:function`, `file.py:function` or `NAME.toml`",
                path.display()
            )))
        }
        Target::Workload(mut path) => {
            if path.extension().is_none() {
                path.set_extension("toml");
            }
            Ok((path, STARTER.to_owned()))
        }
    }
}

/// The line of the file that holds these items; a name alone is one of this module.
fn items(text: &str, module: &str) -> Result<String, Failure> {
    let wrong = |error: &str| Failure::Usage(format!("--items: {error}"));
    let value = match workload::items(text).map_err(|error| wrong(&error))? {
        Items::Named(name) => serde_json::Value::from(name),
        Items::Listed(list) => serde_json::Value::from(list),
        Items::Expression(name) if name.chars().all(|sign| sign.is_alphanumeric() || sign == '_') => {
            serde_json::Value::from(format!("{module}:{name}"))
        }
        Items::Expression(_) => {
            return Err(wrong("a file holds no expression: write a function that gives them, and name it"));
        }
    };
    Ok(format!("items = {value}"))
}

/// The file of `module:function`, whose module is in this folder, with this line of items, if there is one.
fn of_function(function: &str, folder: Option<&Path>, items: Option<String>) -> (PathBuf, String) {
    let (module, name) = function.split_once(':').unwrap_or((function, function));
    let short = name.rsplit('.').next().unwrap_or(name);
    let form = if target::is_async(function, folder) { "async_function" } else { "function" };
    // TOML writes a string as JSON does.
    let path = serde_json::Value::from(folder.unwrap_or(Path::new(".")).to_string_lossy()).to_string();
    let items = items.unwrap_or_else(|| NO_ITEMS.replace("MODULE", module));
    let text = OF_FUNCTION.replace("NAME", short).replace("FUNCTION", function).replace("FORM", form);
    (
        PathBuf::from(format!("{short}.toml")),
        text.replace("MODULE", module).replace("\"FOLDER\"", &path).replace("{items}", &items),
    )
}

/// Writes the starter file. Gives 0, or 2 when it cannot be written or is there already.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn run(args: &InitArgs, out: &mut dyn Write, err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    let (path, text) = match file(args) {
        Ok(file) => file,
        Err(failure) => {
            writeln!(err, "error: {failure}")?;
            return Ok(2);
        }
    };
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
