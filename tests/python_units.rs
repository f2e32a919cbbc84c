//! The unit tests of the Python agent and of the cheat sheet's Python, under the interpreters of this machine.

mod common;

use std::io::{Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::pythons::{self, Python};
use rustix::process::{Pid, Signal, kill_process_group};

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
    let stream = || output.try_clone().expect("a descriptor");
    // Agents that are killed leave folders behind; this one is removed with them. Its path is short: those of sockets below
    // it have room for 107 bytes.
    let room = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(&python.executable);
    command.args(["-m", "unittest"]).args(modules(without)).env("PYTHONPATH", PACKAGES);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("TMPDIR", room.path());
    // Where the packages are, `named_engines.rs` runs those that need them.
    command.env_remove("CONBENCH_REQUIRE_ENGINES");
    command.stdin(Stdio::null()).stdout(stream()).stderr(stream()).process_group(0);
    let mut child = command.spawn().expect("it starts");
    let group = Pid::from_raw(child.id() as i32).expect("a process");
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if Instant::now() > deadline {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // Whatever they left behind.
    let _ = kill_process_group(group, Signal::KILL);
    if status.is_none() {
        let _ = child.wait();
    }
    let mut text = String::new();
    output.rewind().expect("a file");
    output.read_to_string(&mut text).expect("text");
    let ran = text.lines().any(|line| line.starts_with("Ran ") && !line.starts_with("Ran 0 "));
    assert!(status.is_some_and(|status| status.success()) && ran, "{python}: {status:?}\n{text}");
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
