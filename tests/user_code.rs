//! What sessions find out about the user's own code, by the real binary and a real interpreter.
//!
//! Nothing is said about durations or winners.

mod common;

use std::process::{Command, Stdio};

use common::{printed, pythons};
use serde_json::Value;

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");

/// The record of a session with these engines; `None` where there is no interpreter.
fn record(step: &str, objective: &str, engines: &str) -> Option<Value> {
    record_of(step, objective, engines, &["--workers", "2", "--chunk", "1"])
}

fn record_of(step: &str, objective: &str, engines: &str, sizes: &[&str]) -> Option<Value> {
    let python = pythons::newest_of_all()?;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("load.toml");
    let text = format!("{objective}\n[[step]]\nkind = \"python\"\npath = \"{FIXTURES}\"\n{step}\n");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("run").arg(&file).args(["--budget", "8s", "--format", "json", "--runtimes", "python"]);
    command.args(sizes).args(["--engines", engines]).arg("--python").arg(&python.executable);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let ran = command.stdin(Stdio::null()).output().expect("the binary starts");
    Some(printed::record(&ran))
}

fn answer(record: &Value) -> &Value {
    let answer = &record["verdict"]["groups"][0]["answer"];
    assert!(answer.is_object(), "{}", record["verdict"]);
    answer
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn an_object_that_crosses_with_each_task_is_priced_and_named() {
    let step = "function = \"heavy:heavy.burn\"\nitems = [1, 2, 3, 4]";
    let Some(record) = record(step, "", "sequential,ThreadPoolExecutor,ProcessPoolExecutor") else { return };
    let parts = &record["calibration"]["runtimes"][0]["serialisation"];
    let bytes = |part: &str| parts[part]["bytes"].as_f64().unwrap_or_default();
    assert!(bytes("callable") > 1e6 && bytes("item") < 100.0 && bytes("result") < 100.0, "{parts}");
    // A name would do where no lock keeps threads from helping, and where processes won in spite of it.
    let has_lock = record["calibration"]["runtimes"][0]["hello"]["gil"] == true;
    let answer = answer(&record);
    if has_lock && answer["model"] != "processes" {
        let reasons = list(&answer["reasons"]);
        let reason = reasons.iter().find(|reason| reason["reason"] == "callable_crosses");
        let reason = reason.unwrap_or_else(|| panic!("{reasons:?}"));
        assert_eq!((reason["function"].as_str(), reason["tasks"].as_u64()), (Some("burn"), Some(1)), "{reason}");
        assert!(reason["bytes"].as_f64() > Some(1e6) && reason["ns"].as_f64() > Some(0.0), "{reason}");
    }
}

#[test]
fn what_a_session_finds_out_is_told_once_and_costs_no_figures() {
    let step = "function = \"unpicklable:refuses_odd_items\"\nitems = \"itertools:count\"\nteardown = \"lives:fails\"";
    let objective = "[objective]\nlimits = { errors = \"90%\" }";
    let Some(record) = record(step, objective, "sequential,ProcessPoolExecutor") else { return };
    let warnings = list(&record["warnings"]);
    let found = |kind: &str| {
        let notes =
            warnings.iter().filter(|warning| warning["warning"] == "found").map(|warning| &warning["note"][kind]);
        notes.filter(|note| !note.is_null()).collect::<Vec<_>>()
    };
    let [error] = found("error_cannot_cross")[..] else { panic!("{warnings:?}") };
    assert_eq!((error["type"].as_str(), error["breaks_pool"].as_bool()), (Some("unpicklable.Refused"), Some(true)));
    let condition = list(&answer(&record)["conditions"]).iter().find(|it| it["condition"] == "error_cannot_cross");
    assert_eq!(condition.map(|it| &it["type_name"]), Some(&Value::from("unpicklable.Refused")), "{record}");

    let [repeat] = found("items_repeat")[..] else { panic!("{warnings:?}") };
    assert!(repeat["items"].as_u64().is_some_and(|items| (1..=10_000).contains(&items)), "{repeat}");

    let failed: Vec<&Value> = warnings.iter().filter(|warning| warning["warning"] == "failed_teardown").collect();
    let [failed] = failed[..] else { panic!("{warnings:?}") };
    assert_eq!(failed["failure"]["message"], "`teardown` raised OSError: it was closed already");
    for candidate in list(&record["candidates"]) {
        assert!(candidate["failure"].is_null() && !list(&candidate["blocks"]).is_empty(), "{candidate}");
    }
}

#[test]
fn what_children_compute_that_the_kernel_reaps_is_no_waiting_and_nobody_elses() {
    let step = "function = \"unreaped:step\"\nitems = [1, 2, 3]";
    let Some(record) = record(step, "", "sequential,ThreadPoolExecutor") else { return };
    let answer = answer(&record);
    let conditions = list(&answer["conditions"]);
    assert!(conditions.iter().any(|it| it["condition"] == "children_uncounted"), "{conditions:?}");
    assert!(conditions.iter().all(|it| it["condition"] != "other_processes"), "{conditions:?}");
    assert!(record["disturbance"]["others_share"].is_null(), "{}", record["disturbance"]);
    assert!(list(&answer["reasons"]).iter().all(|it| it["reason"] != "waits"), "{}", answer["reasons"]);
}

#[test]
fn engines_begin_with_few_in_flight_where_tasks_wait_for_one_lock() {
    let step = "function = \"one_lock:keep\"\nitems = [1, 2, 3]";
    let Some(record) = record_of(step, "", "sequential,ThreadPoolExecutor", &[]) else { return };
    let sizes: Vec<u64> =
        list(&record["candidates"]).iter().filter_map(|one| one["candidate"]["sizes"]["workers"].as_u64()).collect();
    assert!(!sizes.is_empty() && sizes.iter().all(|workers| *workers <= 16), "{sizes:?}");
    let waits = list(&answer(&record)["reasons"]).iter().find(|it| it["reason"] == "waits");
    let waits = waits.unwrap_or_else(|| panic!("{}", answer(&record)));
    assert!(waits["overlap"]["gain"].as_f64() < Some(2.0), "{waits}");
}

#[test]
fn long_tasks_are_measured_in_turns_and_more_at_once_is_named() {
    // Of a budget of 8 s, 250 ms are more than a fortieth.
    let step = "function = \"lasting:wait_250_ms\"\nitems = [1, 2, 3]";
    let Some(record) = record(step, "", "sequential,ThreadPoolExecutor") else { return };
    let rules = &record["races"][0]["rules"];
    assert_eq!(rules["turns"]["count"], 1, "{rules}");
    assert!(rules["turns"]["task_ns"].as_u64() >= Some(250_000_000), "{rules}");
    for candidate in list(&record["candidates"]) {
        let at_once = candidate["candidate"]["sizes"]["workers"].as_u64().unwrap_or(1);
        for block in list(&candidate["blocks"]) {
            assert_eq!(block["tasks"].as_u64(), Some(at_once), "{block}");
        }
        for life in list(&candidate["lives"]) {
            assert_eq!(life["first_task_ns"], 0, "{life}");
        }
    }
    assert_eq!(answer(&record)["model"], "threads", "{record}");
}

#[test]
fn tasks_are_not_long_whose_first_calls_load_something() {
    let step = "function = \"lasting:loads_first\"\nitems = [1, 2, 3]";
    let Some(record) = record(step, "", "sequential,ThreadPoolExecutor") else { return };
    assert!(record["races"][0]["rules"]["turns"].is_null(), "{}", record["races"][0]["rules"]);
    assert!(answer(&record)["candidate"].is_number(), "{record}");
}

#[test]
fn who_takes_items_apart_is_compared_on_a_copy_for_each_call() {
    let step = "function = \"state:takes_apart\"\nitems = \"state:letters\"";
    let Some(record) = record(step, "", "sequential,ThreadPoolExecutor,asyncio,ProcessPoolExecutor") else { return };
    let candidates = list(&record["candidates"]);
    let failed: Vec<&Value> = candidates.iter().filter(|one| !one["failure"].is_null()).collect();
    assert!(!candidates.is_empty() && failed.is_empty(), "{failed:?}");
    let is_told = |warning: &&Value| !warning["note"]["mutates"].is_null();
    assert_eq!(list(&record["warnings"]).iter().filter(is_told).count(), 1, "{}", record["warnings"]);
    assert_eq!(record["calibration"]["runtimes"][0]["checked"], true, "{record}");
}

/// The record of a session with processes of a module that sets a start method by itself.
fn record_of_start_method(module: &str) -> Option<Value> {
    record(&format!("function = \"{module}:work\"\nitems = [1, 2, 3]"), "", "sequential,ProcessPoolExecutor")
}

/// The start methods of the candidates with processes that ran.
fn methods(record: &Value) -> Vec<&str> {
    let is_of_it = |one: &&Value| one["failure"].is_null();
    list(&record["candidates"])
        .iter()
        .filter(is_of_it)
        .filter_map(|one| one["candidate"]["start_method"].as_str())
        .collect()
}

#[test]
fn processes_begin_by_the_method_that_the_module_sets() {
    let Some(record) = record_of_start_method("spawning") else { return };
    let ran = methods(&record);
    assert!(!ran.is_empty() && ran.iter().all(|method| *method == "spawn"), "{record}");
    let told = list(&record["warnings"]).iter().find(|it| !it["note"]["sets_start_method"].is_null());
    assert_eq!(told.map(|it| &it["note"]["sets_start_method"]["method"]), Some(&Value::from("spawn")), "{record}");
}

#[test]
fn the_next_method_takes_the_place_of_one_that_the_module_refuses_in_workers() {
    let Some(record) = record_of_start_method("spawning_once") else { return };
    let failed = list(&record["candidates"]).iter().find(|one| one["candidate"]["start_method"] == "spawn");
    let message = failed.map_or("", |one| one["failure"]["message"].as_str().unwrap_or_default());
    assert!(message.contains("`set_start_method`") && message.contains("force=True"), "{record}");
    // Where `forkserver` is next, it says the same.
    if record["calibration"]["runtimes"][0]["hello"]["start_methods"][0] == "fork" {
        let ran = methods(&record);
        assert!(!ran.is_empty() && ran.iter().all(|method| *method == "fork"), "{record}");
        let told = list(&record["warnings"]).iter().find(|it| it["warning"] == "replaced");
        assert_eq!(told.map(|it| &it["by"]), Some(&Value::from("fork")), "{record}");
    }
}
