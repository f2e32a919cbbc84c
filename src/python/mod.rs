//! The interpreters of Python that are on this host, and the agent for them, which this binary carries.
//!
//! The agent is the package in `agent/`; it mirrors the room [`agent`](crate::agent). Here it is only
//! unpacked, and each interpreter asked whether it can run it: what it then answers, its `hello`, is all that
//! the rooms above know of it.

mod ask;
mod carried;
mod locate;
mod refusal;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use carried::unpack_cheatsheet;
pub use refusal::{Refusal, Refused};

use crate::protocol::Hello;
use carried::Carried;

/// What its agent calls the language.
pub const LANGUAGE: &str = "python";

/// The interpreter that is looked for when the user names none.
pub const DEFAULT: &str = "python3";

/// How long an interpreter may take to say its `hello`: a cold start from a slow disk fits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The argument with which the agent's main file is a parent.
const PARENT: &str = "parent";

/// What an agent finds in its environment beside what the user has there: one seed of hashes for all, or sets
/// of strings would have another order in every process; and a sign by which code that would measure itself
/// (`conbench_cli.recommend`) sees that it is being measured.
const ENVIRONMENT: [(&str, &str); 2] = [("PYTHONHASHSEED", "0"), ("CONBENCH_AGENT", "1")];

/// An interpreter that runs the agent.
#[derive(Clone, Debug, PartialEq)]
pub struct Interpreter {
    /// The runtime's name: `python3.11`, `python3.13t` for a free-threaded build, `python3.11-2` for a
    /// second one of the same version.
    pub name: String,
    /// The program, absolute. Links are not followed: a virtual environment is left by that.
    pub path: PathBuf,
    /// What its agent says of itself.
    pub hello: Hello,
    /// The agent's main file.
    pub main: PathBuf,
}

impl Interpreter {
    /// The arguments with which it is the agent. The user's environment is what is measured: nothing here
    /// isolates it from that.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        vec![self.main.clone().into_os_string()]
    }

    /// The further argument with which it is a parent of agents; `None` for an implementation whose lives are never
    /// forks.
    #[must_use]
    pub fn parent_argument(&self) -> Option<OsString> {
        let is_cpython = self.hello.implementation.as_deref().is_none_or(|implementation| implementation == "CPython");
        is_cpython.then(|| PARENT.into())
    }

    /// What is set in the agent's environment, beside the user's.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        ENVIRONMENT.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// The interpreters that were found. The agent that they run may go away with this.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that can be measured, in the order in which they were named; names and paths are unique.
    pub interpreters: Vec<Interpreter>,
    /// Those that cannot, and why.
    pub refused: Vec<Refused>,
    /// Kept, since it may lie in a directory that is removed with it.
    _agent: Option<Carried>,
}

/// Looks for the interpreters that `paths` name, or for [`DEFAULT`] if there are none. A path is a file, a
/// name on `PATH`, or the directory of a virtual environment. Each is started for a moment, all at once.
#[must_use]
pub fn find(paths: &[PathBuf]) -> Found {
    find_within(paths, PATIENCE, Carried::unpack)
}

fn find_within(paths: &[PathBuf], patience: Duration, unpack: impl FnOnce() -> io::Result<Carried>) -> Found {
    let default = [PathBuf::from(DEFAULT)];
    let named = if paths.is_empty() { default.as_slice() } else { paths };
    let located = locate_all(named);
    // A host without Python is left as it is.
    let wanted = located.iter().any(|(_, located)| located.is_ok());
    let agent = if wanted { unpack().map(Some) } else { Ok(None) };
    let main = match &agent {
        Ok(agent) => Ok(agent.as_ref().map(Carried::main).unwrap_or_default()),
        Err(error) => Err(Refusal::NoAgent(error.to_string())),
    };
    let mut found = Found { _agent: agent.ok().flatten(), ..Found::default() };
    for (named, answer) in ask_all(located, &main, patience) {
        match answer {
            // Two launchers may lead to one program.
            Ok(interpreter) if found.interpreters.iter().any(|other| other.path == interpreter.path) => {}
            Ok(interpreter) => found.interpreters.push(found.with_name(interpreter)),
            Err(reason) => {
                let refused = Refused { named: named.display().to_string(), reason };
                if !found.refused.contains(&refused) {
                    found.refused.push(refused);
                }
            }
        }
    }
    found
}

/// Where each leads; what leads to the same program is there once.
fn locate_all(named: &[PathBuf]) -> Vec<(&Path, Result<PathBuf, Refusal>)> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let mut seen = HashSet::new();
    let located = named.iter().map(|named| (named.as_path(), locate::locate(named, &search_path)));
    located.filter(|(_, located)| located.as_ref().map_or(true, |path| seen.insert(path.clone()))).collect()
}

/// Asks every interpreter at once: one that hangs must not keep the others waiting.
fn ask_all<'a>(
    located: Vec<(&'a Path, Result<PathBuf, Refusal>)>,
    main: &Result<PathBuf, Refusal>,
    patience: Duration,
) -> Vec<(&'a Path, Result<Interpreter, Refusal>)> {
    let ask = |named: &Path, path: PathBuf| {
        let main = main.clone()?;
        let hello = ask::ask(&path, &main, &ENVIRONMENT, patience)?;
        let (path, hello) = behind(named, path, hello, |path| ask::ask(path, &main, &ENVIRONMENT, patience));
        Ok(Interpreter { name: name(&hello)?, path, hello, main })
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = located
            .into_iter()
            .map(|(named, located)| (named, located.map(|path| scope.spawn(move || ask(named, path)))))
            .collect();
        let gone = |_| Err(Refusal::NotStarted("the thread that asked it ended".to_owned()));
        asked
            .into_iter()
            .map(|(named, asked)| (named, asked.and_then(|thread| thread.join().unwrap_or_else(gone))))
            .collect()
    })
}

impl Found {
    /// The interpreter under a name that no other has.
    fn with_name(&self, interpreter: Interpreter) -> Interpreter {
        let taken = |name: &str| self.interpreters.iter().any(|other| other.name == name);
        let further = (2..).map(|number| format!("{}-{number}", interpreter.name));
        let free = std::iter::once(interpreter.name.clone()).chain(further).find(|name| !taken(name));
        Interpreter { name: free.unwrap_or_default(), ..interpreter }
    }
}

/// The program behind a launcher that a version manager put on `PATH`, and which would cost each agent its own
/// start: the executable that the interpreter names, if it says the same of itself without the launcher. Who names
/// a launcher by its path wants what it sets.
fn behind(
    named: &Path,
    path: PathBuf,
    hello: Hello,
    ask: impl FnOnce(&Path) -> Result<Hello, Refusal>,
) -> (PathBuf, Hello) {
    let is_a_word = named.components().count() == 1;
    let own = hello.executable.as_deref().map(PathBuf::from).filter(|_| is_a_word);
    let Some(executable) = own.filter(|own| *own != path && own.is_absolute()) else {
        return (path, hello);
    };
    match ask(&executable) {
        Ok(own) if Hello { clock_cost_ns: hello.clock_cost_ns, ..own.clone() } == hello => (executable, own),
        Ok(_) | Err(_) => (path, hello),
    }
}

/// `python3.11`, `python3.13t`; another implementation than CPython goes by its own name.
fn name(hello: &Hello) -> Result<String, Refusal> {
    let number = |part: Option<&str>| part.and_then(|part| part.parse::<u32>().ok());
    let mut parts = hello.version.split('.');
    let (Some(major), Some(minor)) = (number(parts.next()), number(parts.next())) else {
        return Err(Refusal::NotAHello(format!("version {}", hello.version)));
    };
    let other = hello.implementation.as_deref().filter(|implementation| *implementation != "CPython");
    let stem = other.map_or_else(|| hello.language.clone(), str::to_lowercase);
    let threaded = if hello.free_threaded == Some(true) { "t" } else { "" };
    Ok(format!("{stem}{major}.{minor}{threaded}"))
}

#[cfg(test)]
mod tests;
