//! The CPython interpreters of this machine, for tests that drive real ones.
//!
//! `CONBENCH_PYTHONS` names further ones (a list with colons, as PATH is). A version that is not there is a skip
//! that is seen in the tests' output; where fewer than `CONBENCH_REQUIRE_PYTHONS` versions are there, tests fail.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// The Python agent's package.
pub const PACKAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/python/agent");

/// Prints the version, whether the build is free-threaded, and the interpreter behind a shim.
const PROBE: &str = "import sys; print(sys.implementation.name, sys.version_info[0], sys.version_info[1], \
                     int('t' in getattr(sys, 'abiflags', '')), sys.executable)";

/// An interpreter that really starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The interpreter itself, not a shim.
    pub executable: PathBuf,
    /// Its major and minor version.
    pub version: (u32, u32),
    /// Whether it was built to run without a GIL.
    pub free_threaded: bool,
}

impl Python {
    /// The agent under this interpreter, yet without its pipes.
    pub fn agent(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.arg(Path::new(PACKAGE).join("main.py"));
        command.env("PYTHONHASHSEED", "0").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.free_threaded { "t" } else { "" };
        write!(f, "python{}.{}{suffix}", self.version.0, self.version.1)
    }
}

/// One interpreter of each version from 3.9 on, the oldest first.
pub fn pythons() -> &'static [Python] {
    static FOUND: LazyLock<Vec<Python>> = LazyLock::new(|| {
        let mut found: Vec<Python> = Vec::new();
        for python in all().into_iter().filter(|python| python.version >= (3, 9)) {
            if !found.iter().any(|other| other.to_string() == python.to_string()) {
                found.push(python);
            }
        }
        found.sort_by_key(|python| (python.version, python.free_threaded));
        found
    });
    let required = std::env::var("CONBENCH_REQUIRE_PYTHONS").map_or(0, |text| text.parse().expect("a number"));
    let names: Vec<String> = FOUND.iter().map(Python::to_string).collect();
    assert!(FOUND.len() >= required, "{required} versions of CPython are required, and there are {names:?}");
    &FOUND
}

/// Every interpreter that starts, however old, in the order of preference.
pub fn all() -> Vec<Python> {
    let starts: Vec<Child> = names()
        .iter()
        .filter_map(|name| {
            let mut command = Command::new(name);
            command.args(["-c", PROBE]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
            command.spawn().ok()
        })
        .collect();
    starts.into_iter().filter_map(|child| python(&child.wait_with_output().ok()?.stdout)).collect()
}

/// The oldest version; `None`, with a word about the skip, where there is none.
pub fn oldest() -> Option<&'static Python> {
    noted("no CPython is here", pythons().first())
}

/// The newest version, if there are two.
pub fn newest() -> Option<&'static Python> {
    noted("there is no second version of CPython here", pythons().get(1..).and_then(<[Python]>::last))
}

/// The newest version, even if it is the only one.
pub fn newest_of_all() -> Option<&'static Python> {
    noted("no CPython is here", pythons().last())
}

/// The versions between the oldest and the newest.
pub fn others() -> &'static [Python] {
    let between = match pythons() {
        [_, between @ .., _] => between,
        _ => &[],
    };
    noted("there is no third version of CPython here", between.first());
    between
}

/// One that runs without a GIL.
pub fn free_threaded() -> Option<&'static Python> {
    let found = pythons().iter().rev().find(|python| python.free_threaded);
    noted("no free-threaded CPython is here: CONBENCH_PYTHONS names one", found)
}

/// The newest, if its executors' `map` has a `buffersize`.
pub fn maps_lazily() -> Option<&'static Python> {
    let found = pythons().last().filter(|python| python.version >= (3, 14));
    noted("no CPython 3.14 is here: CONBENCH_PYTHONS names one", found)
}

/// One that has the packages of `tests/python/requirements-engines.txt`, which `CONBENCH_TEST_ENGINES_PYTHON` names;
/// `None`, with a word about the skip, where there is none, and a failure where `CONBENCH_REQUIRE_ENGINES` is set.
pub fn with_packages() -> Option<PathBuf> {
    let named = std::env::var_os("CONBENCH_TEST_ENGINES_PYTHON");
    let reason = "no interpreter with the packages is here: CONBENCH_TEST_ENGINES_PYTHON names one";
    assert!(named.is_some() || std::env::var_os("CONBENCH_REQUIRE_ENGINES").is_none(), "{reason}");
    noted(reason, named.map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path)))
}

fn noted<T>(reason: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        skipped(reason);
    }
    found
}

/// Says that the test is skipped, and why.
pub fn skipped(reason: &str) {
    // Straight to the stream: what a test prints is only shown if it fails.
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {reason}", thread.name().unwrap_or_default());
}

/// Where interpreters are looked for: names on PATH, and paths.
fn names() -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = std::env::var_os("CONBENCH_PYTHONS").iter().flat_map(std::env::split_paths).collect();
    names.push("python3".into());
    names.extend((9..=14).map(|minor| PathBuf::from(format!("python3.{minor}"))));
    names.extend(["python3.13t".into(), "python3.14t".into()]);
    if let Some(root) = std::env::var_os("PYENV_ROOT") {
        let versions = std::fs::read_dir(Path::new(&root).join("versions")).into_iter().flatten().flatten();
        names.extend(versions.map(|version| version.path().join("bin/python3")));
    }
    names
}

/// The interpreter that answered the probe so.
fn python(answer: &[u8]) -> Option<Python> {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.trim_end().splitn(5, ' ');
    (words.next()? == "cpython").then_some(())?;
    let version = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let free_threaded = words.next()? == "1";
    Some(Python { executable: words.next()?.into(), version, free_threaded })
}
