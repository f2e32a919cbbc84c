//! Sessions whose tasks may fail, by the real binary: `[objective.limits] errors`.
//!
//! Nothing is said about durations or winners. Batches make it certain how many tasks of a block fail.

mod common;

use std::process::{Command, Stdio};

use common::{printed, pythons};
use serde_json::Value;

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");

/// A batch of tasks of which one of ten fails, for certain.
fn flaky(errors: &str) -> String {
    let items: Vec<String> = (0..20).map(|item| item.to_string()).collect();
    let items = items.join(", ");
    format!(
        "[load]\nmode = \"batch\"\ntasks = 200\n[objective]\nlimits = {{ errors = {errors} }}\n[[step]]\nkind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"flaky:every_tenth\"\nasync_function = \"flaky:aevery_tenth\"\nitems = [{items}]\n"
    )
}

/// The record of a session of this workload.
fn record(text: &str, args: &[&str]) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("load.toml");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("run").arg(&file).args(["--budget", "15s", "--format", "json"]).args(args);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let ran = command.stdin(Stdio::null()).output().expect("the binary starts");
    printed::record(&ran)
}

/// Each candidate that was measured: its engine, its status, and how many tasks of how many failed.
fn measured(record: &Value) -> Vec<(String, Value, u64, u64)> {
    let rows = record["verdict"]["groups"].as_array().expect("groups").iter().flat_map(|group| {
        assert!(group["rows"].is_array(), "{group}");
        group["rows"].as_array().into_iter().flatten()
    });
    let measured = rows.map(|row| {
        let candidate = &record["candidates"][row["index"].as_u64().expect("an index") as usize];
        assert!(candidate["failure"].is_null(), "{candidate}");
        let blocks = candidate["blocks"].as_array().expect("blocks");
        let sum = |field: &str| blocks.iter().filter_map(|block| block[field].as_u64()).sum::<u64>();
        // Rounds that were voided are in the record, and not in the figures.
        assert!(row["errors"].as_u64().is_some_and(|errors| errors <= sum("errors")), "{row}");
        let engine = row["candidate"]["engine"].as_str().expect("a name").to_owned();
        (engine, row["status"].clone(), sum("errors"), sum("tasks"))
    });
    measured.filter(|(_, _, _, tasks)| *tasks > 0).collect()
}

fn of_python(errors: &str) -> Option<Vec<(String, Value, u64, u64)>> {
    let python = pythons::newest_of_all()?;
    let executable = python.executable.to_str().expect("UTF-8");
    let engines = "ThreadPoolExecutor,asyncio,ProcessPoolExecutor";
    let args = ["--python", executable, "--engines", engines, "--workers", "2", "--in-flight", "2"];
    Some(measured(&record(&flaky(errors), &args)))
}

#[test]
fn tasks_that_raise_within_the_limit_take_nobody_out() {
    let Some(measured) = of_python("\"20%\"") else { return };
    assert!(!measured.is_empty());
    for (engine, status, errors, tasks) in measured {
        assert_eq!(errors * 10, tasks, "{engine}");
        assert!(!["infeasible", "failed"].map(Value::from).contains(&status["status"]), "{engine}: {status}");
    }
}

#[test]
fn beyond_the_limit_they_do_and_the_reason_names_the_figures() {
    let Some(measured) = of_python("\"5%\"") else { return };
    assert!(!measured.is_empty());
    for (engine, status, _, _) in measured {
        assert_eq!(status["status"], "infeasible", "{engine}: {status}");
        let reason = status["reason"].as_str().expect("a reason");
        let numbers: Vec<u64> = reason.split(' ').take(3).filter_map(|word| word.parse().ok()).collect();
        assert!(matches!(numbers[..], [errors, tasks] if errors > 0 && errors * 10 == tasks), "{engine}: {reason}");
        let rest = " tasks failed (10 %), the limit is 5 %: step 1 (python): ValueError: bad item ";
        assert!(reason.contains(rest), "{engine}: {reason}");
    }
}

#[test]
fn a_command_that_fails_at_times_is_one_more_figure() {
    // Numbers of processes are odd about half of the time.
    let step = "[[step]]\nkind = \"command\"\nargv = [\"sh\", \"-c\", \"exit $(( $$ % 2 ))\"]\n";
    let args = ["--runtimes", "rust", "--engines", "sequential,thread-pool,process-pool", "--workers", "2"];
    for (limit, is_out) in [("\"100%\"", false), ("\"5%\"", true)] {
        let head = format!("[load]\nmode = \"batch\"\ntasks = 60\n[objective]\nlimits = {{ errors = {limit} }}\n");
        let measured = measured(&record(&format!("{head}{step}"), &args));
        assert!(!measured.is_empty());
        for (engine, status, errors, tasks) in measured {
            assert!(0 < errors && errors < tasks, "{engine}: {errors} of {tasks}");
            assert_eq!(status["status"] == "infeasible", is_out, "{engine}: {status}");
        }
    }
}
