//! How much work there is: what `--tasks` makes of a session of the real binary, under a real interpreter.
//!
//! Nothing is said about winners: what is held against is what was measured, and what is said of it.

mod common;

use std::process::{Command, Stdio};

use common::pythons;
use serde_json::Value;

/// What the fixture's `setup` takes.
const SETUP_NS: f64 = 200e6;

/// The record of a session of the fixture whose `setup` each worker pays.
fn measured(python: &str, args: &[&str]) -> Value {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");
    let code = ["--python-function", "slow_setup:task", "--setup", "slow_setup:setup", "--format", "json"];
    let ran = Command::new(env!("CARGO_BIN_EXE_conbench"))
        .args(["recommend", "--python", python, "--runtimes", "python", "--budget", "12s"])
        .args(code)
        .args(args)
        .current_dir(fixtures)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&ran.stdout);
    let file: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&ran.stderr)));
    file
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn a_number_of_tasks_is_measured_whole_with_the_start_up() {
    let Some(python) = pythons::oldest() else { return };
    let engines = ["--engines", "sequential,multiprocessing.Pool", "--workers", "2", "--start-methods", "fork,spawn"];
    let file = measured(&python.executable.to_string_lossy(), &[engines.as_slice(), &["--tasks", "60"]].concat());
    let record = &file["records"][0];
    assert_eq!(record["workload"]["load"]["mode"], "batch", "{record}");
    assert_eq!(record["workload"]["load"]["tasks"], 60);
    for candidate in list(&record["candidates"]) {
        let lives = list(&candidate["lives"]);
        assert!(lives.iter().all(|life| life["warm"].is_null()), "a start-up that counts is a true one");
        assert!(lives.iter().all(|life| life["ready_ns"].as_f64() >= Some(SETUP_NS)), "{lives:?}");
        for block in list(&candidate["blocks"]).iter().filter(|block| block["kind"] == "timed") {
            // All of the user's items, in their order, each time.
            assert_eq!((block["first_index"].as_u64(), block["tasks"].as_u64()), (Some(0), Some(60)));
        }
    }
    let group = &record["verdict"]["groups"][0];
    let own = list(&group["rows"]).iter().filter(|row| row["is_own_chunk"] == true);
    let own: Vec<&Value> = own.map(|row| &row["candidate"]["sizes"]["chunk"]).collect();
    assert!(
        !own.is_empty() && own.iter().all(|chunk| **chunk == 8),
        "`Pool.map` takes 8 of 60 with two workers: {own:?}"
    );
    let reasons = list(&group["answer"]["reasons"]);
    let all = reasons.iter().find(|reason| reason["reason"] == "all_tasks").expect("the time of all is a reason");
    assert_eq!(all["tasks"], 60);
    assert!(all["named"]["ready_ns"].as_f64() >= Some(SETUP_NS), "{all}");
    // Sixty tasks that do nothing take no time beside that.
    assert!(all["named"]["tasks_ns"].as_f64() < Some(SETUP_NS), "{all}");
}

#[test]
fn a_batch_that_waits_longer_than_a_hang_would_is_none() {
    let Some(python) = pythons::oldest() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let code = "import time\n\n\ndef task(item):\n    time.sleep(0.06)\n    return item\n";
    std::fs::write(directory.path().join("waits.py"), code).expect("written");
    let ran = Command::new(env!("CARGO_BIN_EXE_conbench"))
        .args(["recommend", "waits:task", "--items", "range(60)", "--tasks", "60", "--format", "json"])
        .args(["--engines", "sequential,ThreadPoolExecutor", "--workers", "4", "--budget", "10s", "--python"])
        .arg(&python.executable)
        .current_dir(directory.path())
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let text = String::from_utf8_lossy(&ran.stdout);
    let file: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for candidate in list(&file["records"][0]["candidates"]) {
        assert!(candidate["failure"].is_null() && !list(&candidate["blocks"]).is_empty(), "{candidate}");
    }
}
