//! A stated rate holds over whole sessions, by the real binary and real interpreters; and failures that look like a
//! limit get the advice to state one.
//!
//! Nothing is said about durations: tasks tell when they begin, and the law is checked over all of these times.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::printed::record;
use common::pythons;
use serde_json::Value;

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");
const RATE: f64 = 50.0;
const BURST: u32 = 10;
/// A task that was let begin is late by what its process, thread or event loop takes to begin it, and then nearer to those
/// that follow. Without a rate there would be hundreds, and with a full bucket for each agent a burst at each change.
const LATE: f64 = 6.0;

fn conbench(text: &str, starts: &Path, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("load.toml");
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("run").arg(&file).args(arguments);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).env("CONBENCH_TEST_STARTS", starts);
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

/// By how many tasks the starts of a session exceed what the rate allows, in whatever time it is most; and their number.
fn excess(starts: &Path) -> (f64, usize) {
    let text = std::fs::read_to_string(starts).expect("starts");
    let mut times_ns: Vec<u64> = text.lines().map(|line| line.parse().expect("a time")).collect();
    times_ns.sort_unstable();
    let first_ns = times_ns.first().copied().unwrap_or_default();
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for (number, at_ns) in times_ns.iter().enumerate() {
        let level = number as f64 - (at_ns - first_ns) as f64 / 1e9 * RATE;
        least = least.min(level);
        most = most.max(level - least + 1.0 - f64::from(BURST));
    }
    (most, times_ns.len())
}

/// How many candidates gave figures.
fn measured(record: &Value) -> usize {
    let candidates = record["candidates"].as_array().expect("candidates");
    for candidate in candidates {
        assert!(candidate["failure"].is_null(), "{candidate}");
    }
    candidates.iter().filter(|candidate| candidate["blocks"].as_array().is_some_and(|it| !it.is_empty())).count()
}

fn load(step: &str) -> String {
    format!("[load]\nrate = \"{RATE}/s\"\nburst = {BURST}\n[[step]]\n{step}\n")
}

#[test]
fn python_begins_no_faster_than_stated_whatever_it_runs_tasks_for() {
    let Some(python) = pythons::newest_of_all() else { return };
    let python = python.executable.to_str().expect("a path");
    let step = format!(
        "kind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"paced:fetch\"\nasync_function = \"paced:fetch_async\"\nitems = [1, 2, 3]"
    );
    let engines = "sequential,ThreadPoolExecutor,Thread,ProcessPoolExecutor,multiprocessing.Pool,Process,asyncio";
    let starts = tempfile::NamedTempFile::new().expect("a file");
    let arguments = ["--budget", "15s", "--format", "json", "--runtimes", "python", "--python", python];
    let sizes = ["--workers", "1,4", "--in-flight", "1,4", "--engines", engines];
    let ran = conbench(&load(&step), starts.path(), &[arguments.as_slice(), &sizes].concat());
    let record = record(&ran);
    assert!(measured(&record) >= 7, "{}", record["candidates"]);
    let (beyond, tasks) = excess(starts.path());
    assert!(beyond < LATE, "{beyond} too many of {tasks}");
    assert_eq!(record["workload"]["rate"]["tasks"], 50);
    // Whether it is reached hangs on what else this machine does, but it is told.
    let answer = &record["verdict"]["groups"][0]["answer"];
    let tells = |list: &str, tag: &str, what: &str| {
        let list = answer[list].as_array().expect("a list");
        list.iter().any(|it| it[tag] == what && it["rate_per_s"] == RATE)
    };
    let is_reached = tells("reasons", "reason", "rate_reached");
    assert!(is_reached != tells("conditions", "condition", "rate_not_reached"), "{answer}");
}

#[test]
fn the_native_engines_begin_no_faster_than_stated() {
    let starts = tempfile::NamedTempFile::new().expect("a file");
    let script = format!("date +%s%N >> '{}'", starts.path().display());
    let step = format!("kind = \"command\"\nargv = [\"sh\", \"-c\", \"{script}\"]");
    let arguments =
        ["--budget", "8s", "--format", "json", "--runtimes", "rust", "--workers", "1,4", "--in-flight", "4"];
    let engines = ["--engines", "sequential,thread-pool,rayon,tokio-current-thread,process-pool"];
    let ran = conbench(&load(&step), starts.path(), &[arguments.as_slice(), &engines].concat());
    let record = record(&ran);
    assert!(measured(&record) >= 5, "{}", record["candidates"]);
    let (beyond, tasks) = excess(starts.path());
    assert!(tasks > 50 && beyond < LATE, "{beyond} too many of {tasks}");
}

#[test]
fn a_batch_is_held_to_the_rate_as_a_whole() {
    let Some(python) = pythons::newest_of_all() else { return };
    let python = python.executable.to_str().expect("a path");
    let step = format!("kind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"paced:fetch\"\nitems = [1, 2, 3]");
    let text = load(&step).replace("[load]\n", "[load]\nmode = \"batch\"\ntasks = 20\n");
    let starts = tempfile::NamedTempFile::new().expect("a file");
    let arguments = ["--budget", "16s", "--format", "json", "--runtimes", "python", "--python", python];
    let engines = ["--workers", "4", "--engines", "sequential,ThreadPoolExecutor,multiprocessing.Pool"];
    let ran = conbench(&text, starts.path(), &[arguments.as_slice(), &engines].concat());
    let record = record(&ran);
    assert!(measured(&record) >= 3, "{}", record["candidates"]);
    let (beyond, tasks) = excess(starts.path());
    assert!(beyond < LATE, "{beyond} too many of {tasks}");
}

#[test]
fn a_far_side_that_refuses_gets_the_advice() {
    let Some(python) = pythons::newest_of_all() else { return };
    let python = python.executable.to_str().expect("a path");
    let text =
        format!("[[step]]\nkind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"paced:refused\"\nitems = [1]\n");
    let arguments =
        ["--budget", "4s", "--runtimes", "python", "--engines", "sequential,ThreadPoolExecutor", "--python"];
    let nowhere = Path::new("/dev/null");
    let json = record(&conbench(&text, nowhere, &[arguments.as_slice(), &[python, "--format", "json"]].concat()));
    let group = &json["verdict"]["groups"][0];
    assert!(group["answer"].is_null(), "{group}");
    let said = group["far_limit"]["said"].as_str().unwrap_or_else(|| panic!("{group}"));
    assert!(said.contains("TooManyRequests: come back later"), "{said}");
    let shown = conbench(&text, nowhere, &[arguments.as_slice(), &[python]].concat());
    let shown = String::from_utf8_lossy(&shown.stdout).split_whitespace().collect::<Vec<&str>>().join(" ");
    assert!(shown.contains("looks like a limit of the far side"), "{shown}");
    assert!(shown.contains("state it as `[load] rate` (or `--rate`), e.g. `rate = \"50/s\"`"), "{shown}");
}

#[test]
fn a_burst_needs_a_rate_and_a_rate_its_time() {
    let check = |lines: &str| {
        let ran = conbench(&format!("[load]\n{lines}\n[[step]]\nkind = \"cpu\"\n"), Path::new("/dev/null"), &[]);
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    let text = check("burst = 3");
    assert!(text.contains("a burst without its rate") && text.contains("add e.g. `rate = \"50/s\"`"), "{text}");
    let text = check("rate = \"50\"");
    assert!(text.contains("it lacks its time") && text.contains("write e.g. \"50/s\""), "{text}");
    assert!(check("rate = 50").contains("found an integer"));
    assert!(check("rate = \"50/s\"\nburst = 0").contains("0 is out of range"));
}
