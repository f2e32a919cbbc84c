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

/// The agent's package and the cheat sheet's.
const PACKAGES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/python/agent:", env!("CARGO_MANIFEST_DIR"), "/src/python/cheatsheet");

/// Every test.
const ALL: &str = "test_*.py";
/// Without those of the worker engines, which take as long as all the others: `python_agent.rs` runs these engines
/// under each interpreter, too. And without the whole cheat sheet, whose parts the others test.
const BRIEF: &str = "test_[!w]*.py";

fn unit_tests_pass(python: &Python, which: &str) {
    // A file takes all that is printed, whoever holds it open; a pipe would be waited for.
    let mut output = tempfile::tempfile().expect("a file");
    let stream = || output.try_clone().expect("a descriptor");
    let mut command = Command::new(&python.executable);
    command.args(["-m", "unittest", "discover", "-s", "tests/python", "-p", which]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("PYTHONPATH", PACKAGES).env("PYTHONDONTWRITEBYTECODE", "1");
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
    pythons::oldest().into_iter().for_each(|python| unit_tests_pass(python, ALL));
}

#[test]
fn the_newest_passes_the_unit_tests() {
    pythons::newest().into_iter().for_each(|python| unit_tests_pass(python, ALL));
}

#[test]
fn the_others_pass_the_unit_tests() {
    pythons::others().iter().for_each(|python| unit_tests_pass(python, BRIEF));
}
