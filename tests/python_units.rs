//! The unit tests of the Python agent and of the cheat sheet's Python, under the interpreters of this machine.

mod common;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use common::pythons::{self, Python};
use conbench::internal::guard::{Guard, Status, Wiring};

/// They take half a minute; a test of theirs that hangs must not hang this one.
const PATIENCE: Duration = Duration::from_secs(400);
/// Where they are.
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python");

/// The packages, and where their tests are.
const PACKAGES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/python/agent:",
    env!("CARGO_MANIFEST_DIR"),
    "/src/python/cheatsheet:",
    env!("CARGO_MANIFEST_DIR"),
    "/python:",
    env!("CARGO_MANIFEST_DIR"),
    "/tests/python"
);

/// Those that take longer than all the others: they begin workers of every engine under every start method, which
/// `python_agent.rs` does under each interpreter, too; wait for executors that do not answer; and the whole cheat sheet,
/// whose parts the others test. Some run under the oldest interpreter and some under the newest; `named_engines.rs` runs
/// those of `test_dask` where its package is.
const UNDER_THE_OLDEST: [&str; 6] =
    ["test_crossing", "test_errors", "test_programs", "test_setups", "test_start_up", "test_worker_engines"];
const UNDER_THE_NEWEST: [&str; 2] = ["test_own_executor", "test_whole_cheatsheet"];

/// The modules of tests, without those.
fn modules(without: &[&str]) -> Vec<String> {
    let files = std::fs::read_dir(TESTS).expect("the directory of tests").flatten();
    let names = files.filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".py")?.to_owned()));
    let mut modules: Vec<String> =
        names.filter(|name| name.starts_with("test_") && !without.contains(&name.as_str())).collect();
    modules.sort();
    assert!(modules.len() > 20, "{modules:?}");
    modules
}

fn unit_tests_pass(python: &Python, without: &[&str]) {
    // A file takes all that is printed, whoever holds it open; a pipe would be waited for.
    let mut output = tempfile::tempfile().expect("a file");
    let null = File::open("/dev/null").expect("the null device");
    // Agents that are killed leave folders behind; this one is removed with them. Its path is short: those of sockets below
    // it have room for 107 bytes.
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_conbench")), room.path()).expect("a guard");
    let modules = modules(without);
    // Where the packages are, `named_engines.rs` runs those that need them.
    let mut argv = ["/usr/bin/env", "-u", "CONBENCH_REQUIRE_ENGINES"].map(OsStr::new).to_vec();
    argv.extend([python.executable.as_os_str(), OsStr::new("-m"), OsStr::new("unittest")]);
    argv.extend(modules.iter().map(OsStr::new));
    let environment = [
        (OsStr::new("PYTHONPATH"), OsStr::new(PACKAGES)),
        (OsStr::new("PYTHONDONTWRITEBYTECODE"), OsStr::new("1")),
        (OsStr::new("TMPDIR"), room.path().as_os_str()),
    ];
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ends = [null.as_fd(), output.as_fd(), output.as_fd()];
    let child = guard.spawn_in(Some(here), &argv, &environment, Wiring::Standard, &ends).expect("it starts");
    let status = guard.status(child.pid, PATIENCE);
    // Whatever they left behind.
    guard.close().expect("it ends");
    let mut text = String::new();
    output.rewind().expect("a file");
    output.read_to_string(&mut text).expect("text");
    let ran = text.lines().any(|line| line.starts_with("Ran ") && !line.starts_with("Ran 0 "));
    assert!(status == Some(Status::Exit(0)) && ran, "{python}: {status:?}\n{text}");
}

#[test]
fn the_oldest_passes_the_unit_tests() {
    let elsewhere = if pythons::newest().is_some() { UNDER_THE_NEWEST.as_slice() } else { &[] };
    pythons::oldest().into_iter().for_each(|python| unit_tests_pass(python, elsewhere));
}

#[test]
fn the_newest_passes_the_unit_tests() {
    pythons::newest().into_iter().for_each(|python| unit_tests_pass(python, &UNDER_THE_OLDEST));
}

#[test]
fn the_others_pass_the_unit_tests() {
    let long = [UNDER_THE_OLDEST.as_slice(), &UNDER_THE_NEWEST].concat();
    pythons::others().iter().for_each(|python| unit_tests_pass(python, &long));
}
