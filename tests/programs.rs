//! Programs of the kinds that users bring, by the real binary and real interpreters: what the session does about them,
//! and what the record says. Nothing is said about durations or winners.

mod common;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::{printed, pythons};
use serde_json::Value;

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");

/// The record of a session that races these engines on a workload file's text.
fn record(python: &Path, text: &str, args: &[&str], environment: &[(&str, &Path)]) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("load.toml");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("recommend").arg(&file).args(["--format", "json", "--python"]).arg(python).args(args);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).envs(environment.iter().copied());
    let ran = command.stdin(Stdio::null()).output().expect("the binary starts");
    printed::record(&ran)
}

fn code(function: &str, more: &str) -> String {
    format!("{more}[[step]]\nkind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"{function}\"\nitems = [1, 2, 3]\n")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The conditions of the answer of the first runtime, by kind.
fn conditions(record: &Value) -> Vec<&str> {
    list(&record["verdict"]["groups"][0]["answer"]["conditions"])
        .iter()
        .filter_map(|it| it["condition"].as_str())
        .collect()
}

fn failures(record: &Value) -> Vec<&Value> {
    list(&record["candidates"]).iter().map(|it| &it["failure"]).filter(|it| !it.is_null()).collect()
}

fn python() -> Option<PathBuf> {
    pythons::newest_of_all().map(|python| python.executable.clone())
}

#[test]
fn a_lock_that_a_fork_copied_costs_one_hang_and_every_engine_begins_its_processes_otherwise() {
    let Some(python) = python() else { return };
    let engines = ["--engines", "sequential,ProcessPoolExecutor,multiprocessing.Pool", "--budget", "5s"];
    let record = record(&python, &code("held:step", ""), &engines, &[]);
    if record["candidates"]
        .as_array()
        .is_some_and(|all| !all.iter().any(|it| it["candidate"]["start_method"] == "fork"))
    {
        // From 3.14 on, fork is no default.
        return;
    }
    let [failure] = failures(&record)[..] else { panic!("one hang: {:?}", failures(&record)) };
    assert_eq!(failure["kind"], "hang", "{failure}");
    let message = failure["message"].as_str().expect("a message");
    assert!(message.contains("no CPU used") && message.contains("`step` (held.py:"), "{message}");
    let raced = list(&record["candidates"]).iter().filter(|it| !list(&it["blocks"]).is_empty());
    let methods: Vec<&Value> = raced.map(|it| &it["candidate"]["start_method"]).filter(|it| !it.is_null()).collect();
    assert!(!methods.is_empty() && methods.iter().all(|method| *method != "fork"), "{methods:?}");
    assert!(list(&record["warnings"]).iter().any(|it| it["warning"] == "replaced"), "{}", record["warnings"]);
    assert!(conditions(&record).contains(&"start_method_replaced"), "{:?}", conditions(&record));
}

#[test]
fn a_fork_that_hangs_in_the_race_is_replaced_there() {
    let Some(python) = python() else { return };
    let engines = ["--engines", "sequential,ProcessPoolExecutor,multiprocessing.Pool", "--budget", "6s"];
    let record = record(&python, &code("late:step", ""), &engines, &[]);
    let raced: Vec<&Value> = list(&record["candidates"]).iter().filter(|it| !list(&it["blocks"]).is_empty()).collect();
    let begun = |method: &str| raced.iter().any(|it| it["candidate"]["start_method"] == method);
    if !list(&record["candidates"]).iter().any(|it| it["candidate"]["start_method"] == "fork") {
        // From 3.14 on, fork is no default.
        return;
    }
    // Others that were forked may be in flight when the first hangs, but none begins after that.
    let failures = failures(&record);
    assert!((1..=2).contains(&failures.len()), "{failures:?}");
    assert!(failures.iter().all(|failure| failure["kind"] == "hang"), "{failures:?}");
    let replaced = list(&record["warnings"]).iter().find(|it| it["warning"] == "replaced");
    let by = replaced.and_then(|it| it["by"].as_str()).unwrap_or_else(|| panic!("{}", record["warnings"]));
    assert!(by != "fork" && begun(by), "{by}");
    assert!(conditions(&record).contains(&"start_method_replaced"), "{:?}", conditions(&record));
    assert_ne!(record["verdict"]["groups"][0]["answer"]["start_method"], "fork");
}

#[test]
fn what_forked_workers_share_and_what_each_opens_is_told() {
    let Some(python) = python() else { return };
    let mut text = code("opening:step", "");
    text += "setup = \"opening:connect\"\nsetup_thread = \"opening:connect_thread\"\n";
    let only = |engine| ["--engines", engine, "--workers", "2", "--budget", "2s"];
    let in_threads = record(&python, &text, &only("ThreadPoolExecutor"), &[]);
    assert!(conditions(&in_threads).contains(&"sockets_of_threads"), "{:?}", conditions(&in_threads));
    let record = record(&python, &text, &only("ProcessPoolExecutor"), &[]);
    let opened = &record["calibration"]["runtimes"][0]["opened"];
    assert_eq!(opened["at_import"], serde_json::json!({ "sockets": 2, "files": 1 }), "{opened}");
    assert_eq!(opened["by_setup"], serde_json::json!({ "sockets": 1, "files": 0 }), "{opened}");
    assert_eq!(opened["by_setup_thread"], serde_json::json!({ "sockets": 1, "files": 0 }), "{opened}");
    assert_eq!(opened["threads"], 1, "{opened}");
    let answer = &record["verdict"]["groups"][0]["answer"];
    let is_forked = answer["start_method"] == "fork";
    assert_eq!(conditions(&record).contains(&"threads_beside_fork"), is_forked, "{answer}");
    assert_eq!(conditions(&record).contains(&"shared_descriptors"), is_forked, "{answer}");
    assert!(conditions(&record).contains(&"sockets_of_workers"), "{answer}");
}

#[test]
fn what_each_process_has_its_own_of_is_told() {
    let Some(python) = python() else { return };
    let engines = |name: &str| ["--engines", name, "--workers", "2", "--budget", "2s"].map(str::to_owned);
    let told = |function: &str, engine: &str| -> Vec<Value> {
        let engines = engines(engine);
        let record = record(&python, &code(function, ""), &engines.each_ref().map(String::as_str), &[]);
        let all = list(&record["verdict"]["groups"][0]["answer"]["conditions"]);
        let of_state = |it: &&Value| it["condition"].as_str().is_some_and(|name| name.ends_with("_per_process"));
        all.iter().filter(of_state).cloned().collect()
    };
    let lock = serde_json::json!({ "condition": "lock_per_process", "names": ["lock"] });
    assert_eq!(told("sharing:guarded", "ProcessPoolExecutor"), [lock]);
    let copies = serde_json::json!({ "condition": "copy_per_process", "names": ["count", "results", "seen"] });
    assert_eq!(told("sharing:collects", "ProcessPoolExecutor"), [copies]);
    assert_eq!(told("sharing:guarded", "ThreadPoolExecutor"), Vec::<Value>::new());
}

/// A server that takes so many connections.
struct Capped {
    child: Child,
    socket: PathBuf,
    _room: tempfile::TempDir,
}

impl Capped {
    fn start(python: &Path, count: u32) -> Capped {
        let room = tempfile::tempdir().expect("a directory");
        let socket = room.path().join("socket");
        let mut command = Command::new(python);
        command.arg(Path::new(FIXTURES).join("capped.py")).arg(&socket).arg(count.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it is ready");
        assert_eq!(line, "ready\n");
        Capped { child, socket, _room: room }
    }
}

impl Drop for Capped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const THREADS: [&str; 8] = [
    "--engines",
    "sequential,ThreadPoolExecutor,Thread,asyncio+ThreadPoolExecutor",
    "--workers",
    "2",
    "--in-flight",
    "2",
    "--budget",
    "8s",
];

#[test]
fn connections_that_parked_agents_hold_take_nobody_out() {
    let Some(python) = python() else { return };
    // The plain loop's and one pool's: a third agent is one too many.
    let server = Capped::start(&python, 3);
    let record = record(&python, &code("capped:ask", ""), &THREADS, &[("CAPPED", &server.socket)]);
    assert!(failures(&record).is_empty(), "{:?}", failures(&record));
    let told: Vec<&Value> = list(&record["warnings"]).iter().filter(|it| it["warning"] == "exclusive").collect();
    assert_eq!(told.len(), 1, "{}", record["warnings"]);
    // Its words depend on whether the server had gone when the task wrote.
    assert_eq!(told[0]["failure"]["kind"], "task", "{}", told[0]);
    assert!(conditions(&record).contains(&"one_agent_at_a_time"), "{:?}", conditions(&record));
    let raced = list(&record["candidates"]).iter().filter(|it| !list(&it["blocks"]).is_empty()).count();
    assert_eq!(raced, 4);
}

#[test]
fn what_is_said_beforehand_need_not_be_found() {
    let Some(python) = python() else { return };
    let server = Capped::start(&python, 2);
    let text = code("capped:ask", "[resources]\nexclusive = true\n");
    let record = record(&python, &text, &THREADS, &[("CAPPED", &server.socket)]);
    assert!(failures(&record).is_empty(), "{:?}", failures(&record));
    assert!(!list(&record["warnings"]).iter().any(|it| it["warning"] == "exclusive"), "{}", record["warnings"]);
    assert_eq!(record["workload"]["resources"]["exclusive"], true);
}

/// What candidates that ran limit the threads of libraries to, each once.
fn limits(record: &Value) -> Vec<Option<u64>> {
    let raced = list(&record["candidates"]).iter().filter(|it| !list(&it["blocks"]).is_empty());
    let mut limits: Vec<Option<u64>> = raced.map(|it| it["candidate"]["library_threads"].as_u64()).collect();
    limits.sort_unstable();
    limits.dedup();
    limits
}

const LIBRARY: [&str; 6] =
    ["--engines", "sequential,ThreadPoolExecutor,ProcessPoolExecutor", "--workers", "2", "--budget", "5s"];

#[test]
fn threads_that_a_library_computes_with_are_searched_where_it_heeds_a_variable() {
    let Some(python) = python() else { return };
    let record = record(&python, &code("library:multiply", ""), &LIBRARY, &[]);
    let found = &record["calibration"]["runtimes"][0]["library_threads"];
    assert_eq!((&found["threads"], &found["variables"][0]), (&2.into(), &"OMP_NUM_THREADS".into()), "{found}");
    assert!(failures(&record).is_empty(), "{:?}", failures(&record));
    assert_eq!(limits(&record), [None, Some(1)]);
    assert!(!conditions(&record).contains(&"library_threads"), "{:?}", conditions(&record));
    let reasons = &record["verdict"]["groups"][0]["answer"]["reasons"];
    assert!(list(reasons).iter().any(|it| it["reason"] == "library_threads"), "{reasons}");
}

#[test]
fn threads_that_heed_no_variable_are_told_and_those_that_do_nothing_are_not() {
    let Some(python) = python() else { return };
    let told = |function| {
        let record = record(&python, &code(function, ""), &LIBRARY, &[]);
        assert_eq!(limits(&record), [None], "{function}");
        conditions(&record).contains(&"library_threads")
    };
    assert!(told("stubborn:multiply"));
    assert!(!told("library:look"));
    assert!(!told("work:add_up"));
}

#[test]
fn a_teardown_that_waits_for_ever_costs_no_answer_and_is_told_once() {
    let Some(python) = python() else { return };
    let text = code("badbye:work", "") + "setup = \"badbye:setup\"\nteardown = \"badbye:teardown\"\n";
    let engines = ["--engines", "sequential,ThreadPoolExecutor", "--workers", "2", "--budget", "3s"];
    let record = record(&python, &text, &engines, &[]);
    assert!(failures(&record).is_empty(), "{:?}", failures(&record));
    assert!(record["verdict"]["groups"][0]["answer"].is_object(), "{}", record["verdict"]);
    let warnings = list(&record["warnings"]);
    let told: Vec<&Value> = warnings.iter().filter(|it| !it["note"]["endless_teardown"].is_null()).collect();
    let [told] = told[..] else { panic!("{}", record["warnings"]) };
    let message = told["note"]["endless_teardown"]["message"].as_str().expect("a message");
    assert!(message.contains("`teardown` raised TimeoutError"), "{message}");
    // No candidate runs it again.
    assert!(!warnings.iter().any(|it| it["warning"] == "failed_teardown" || it["warning"] == "hung"), "{warnings:?}");
    assert!(conditions(&record).contains(&"endless_teardown"), "{:?}", conditions(&record));
}
