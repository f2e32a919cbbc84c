//! The cheat sheet, by the real program: real interpreters, real processes. Nothing is said about durations.

mod common;

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{printed, pythons};
use conbench::internal::cheatsheet::catalogue::{Language, Section, catalogue};
use serde_json::Value;

/// By this the processes of a test are known.
const MARK: &str = "CONBENCH_TEST_MARK";

fn conbench(arguments: &[&str], temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("cheatsheet").args(arguments).stdin(Stdio::null()).env("TMPDIR", temporary).env(MARK, temporary);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(arguments: &[&str]) -> (Output, tempfile::TempDir) {
    let temporary = tempfile::tempdir().expect("a directory");
    let output = conbench(arguments, temporary.path()).output().expect("the binary starts");
    (output, temporary)
}

/// The sheet of these arguments, which obeys its schema and leaves nothing.
fn sheet(arguments: &[&str]) -> Value {
    let (output, temporary) = run(&[arguments, &["--format", "json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(std::fs::read_dir(temporary.path()).expect("listed").count(), 0, "something is left in the directory");
    let value = printed::document(&output);
    let schema = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/reports/cheatsheet.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    value["sheet"].clone()
}

/// Each entry has figures or a reason, and there is one for each of the catalogue.
fn assert_whole(sheet: &Value, runtime: &str, language: Language, sections: &[Section]) {
    let all = catalogue(language, sections).expect("a legal file");
    let of = |entries: &str, inner: &str| -> Vec<String> {
        let entries = sheet[entries].as_array().expect("an array");
        let own = entries.iter().filter(|entry| entry["runtime"] == runtime);
        own.map(|entry| {
            let has_figure = entry["figure"].is_object() || entry["figures"].is_object();
            assert_ne!(has_figure, entry["unavailable"].is_string(), "{entry}");
            let never = entry["unavailable"].as_str().is_some_and(|why| why.starts_with("it was not measured"));
            assert!(!never, "{entry}");
            entry[inner]["id"].as_str().expect("an id").to_owned()
        })
        .collect()
    };
    assert_eq!(of("items", "item"), all.items.iter().map(|item| item.id.clone()).collect::<Vec<_>>());
    assert_eq!(of("pitfalls", "pitfall"), all.pitfalls.iter().map(|pitfall| pitfall.id.clone()).collect::<Vec<_>>());
    for entry in sheet["items"].as_array().expect("an array") {
        let Some(figure) = entry["figure"].as_object() else { continue };
        let [low, median, high] = ["low_ns", "median_ns", "high_ns"].map(|key| figure[key].as_f64().expect("a number"));
        assert!(0.0 <= low && low <= median && median <= high, "{entry}");
    }
}

/// The two figures of a pitfall.
fn both(sheet: &Value, id: &str) -> (f64, f64) {
    let pitfalls = sheet["pitfalls"].as_array().expect("an array");
    let found = pitfalls.iter().find(|shown| shown["pitfall"]["id"] == id).expect("the pitfall");
    let figure = |key: &str| found["figures"][key].as_f64().unwrap_or_else(|| panic!("{found}"));
    (figure("wrong"), figure("mended"))
}

#[test]
fn every_item_of_rust_has_its_figure() {
    let sections = [Section::Threading, Section::Multiprocessing, Section::Asyncio, Section::Mixing];
    let names = sections.map(Section::name);
    let sheet = sheet(&[&names[..], &["--runtimes", "rust", "--repetitions", "1", "--quick"]].concat());
    assert_whole(&sheet, "rust", Language::Rust, &sections);
    let missing: Vec<&Value> =
        sheet["items"].as_array().expect("an array").iter().filter(|timed| timed["figure"].is_null()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_pitfalls_of_rust_are_shown_and_mended() {
    let sheet = sheet(&["pitfalls", "--runtimes", "rust", "--repetitions", "2"]);
    assert_whole(&sheet, "rust", Language::Rust, &[Section::Pitfalls]);
    for shown in sheet["pitfalls"].as_array().expect("an array") {
        let figures = &shown["figures"];
        assert_eq!(figures["repetitions"], 2, "{shown}");
        for side in ["wrong", "mended"] {
            let (value, range) = (figures[side].as_f64(), &figures[format!("{side}_interval")]);
            assert!(range["low"].as_f64() <= value && value <= range["high"].as_f64(), "{shown}");
        }
    }
    // What must come out, however fast or slow the machine is.
    assert_eq!(both(&sheet, "mutex-across-await").0, 0.0);
    assert_eq!(both(&sheet, "future-not-awaited"), (0.0, 1.0));
    assert_eq!(both(&sheet, "select-cancels"), (0.0, 20.0));
    assert_eq!(both(&sheet, "lost-error"), (0.0, 1.0));
    let (lines, joined) = both(&sheet, "detached-thread");
    assert!(lines < joined && joined == 20.0, "{lines} {joined}");
    let (failed, bounded) = both(&sheet, "unbounded-spawn");
    assert!(failed > 0.0 && bounded == 0.0, "{failed} {bounded}");
    let (many, pool) = both(&sheet, "cpu-in-spawn-blocking");
    // Where all 64 have a core each, none waits for another.
    let has_few = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() <= 16);
    assert!(pool > 0.0 && (many > pool || !has_few), "{many} {pool}");
    assert!(both(&sheet, "unbounded-channel").1 <= 101.0);
    for sleeping in ["blocking-sleep", "await-one-by-one"] {
        // Ten naps of 20 ms, one after another.
        assert!(both(&sheet, sleeping).0 >= 200.0);
    }
}

#[test]
fn python_and_rust_stand_beside_each_other() {
    let Some(python) = pythons::newest_of_all() else { return };
    let executable = python.executable.to_str().expect("UTF-8");
    let options = ["asyncio", "--python", executable, "--repetitions", "2", "--quick"];
    let sheet = sheet(&options);
    assert_whole(&sheet, &python.to_string(), Language::Python, &[Section::Asyncio]);
    assert_whole(&sheet, "rust", Language::Rust, &[Section::Asyncio]);
    assert_eq!(sheet["runtimes"].as_array().map(Vec::len), Some(2));
    let figure = &sheet["items"][0]["figure"];
    assert_eq!(figure["repetitions_ns"].as_array().map(Vec::len), Some(2), "{figure}");
    // Of two values, the median lies between them with probability one half.
    assert!(figure["confidence"].as_f64().is_some_and(|it| (it - 0.5).abs() < 1e-9), "{figure}");
}

#[test]
fn a_misspelt_section_is_told_the_nearest() {
    let (output, _temporary) = run(&["asynco"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("unknown section `asynco`, did you mean `asyncio`?"), "{errors}");
}

/// Processes that carry the mark of this directory.
fn processes_in(temporary: &Path) -> Vec<String> {
    let mark = format!("{MARK}={}", temporary.display()).into_bytes();
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let is_ours = |entry: &std::fs::DirEntry| {
        std::fs::read(entry.path().join("environ")).is_ok_and(|all| all.split(|byte| *byte == 0).any(|it| it == mark))
    };
    entries.filter(is_ours).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_signal_ends_it_with_what_is_there_and_nothing_survives() {
    let temporary = tempfile::tempdir().expect("a directory");
    let options = ["multiprocessing", "--runtimes", "rust", "--repetitions", "1000", "--progress", "plain"];
    let mut command = conbench(&options, temporary.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut first = [0];
    // The first word of its progress: a process measures.
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("progress");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stdout).contains("a signal ended it"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !processes_in(temporary.path()).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(processes_in(temporary.path()), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(temporary.path()).expect("listed").count(), 0);
}
