//! `conbench agent-check`: with agents that keep the protocol, and with some that do not. The protocol's schema.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Agent, CONBENCH, pythons};
use conbench::internal::cli::schema;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/protocol.schema.json");

/// Checks the agent of these words.
fn check(options: &[&str], agent: &[&str]) -> Output {
    let mut command = Command::new(CONBENCH);
    command.arg("agent-check").args(options).args(agent).current_dir(ROOT);
    command.output().expect("the binary starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Checks the agent that a shell script is: a loop, whose answers are not waited for long.
fn check_script(script: &str) -> (Option<i32>, String) {
    let output = check(&["--engines", "sequential", "--patience", "10s"], &["/bin/sh", "-c", script]);
    (output.status.code(), text(&output))
}

/// The native agent, its replies passed through `sed`; then what follows.
fn edited(edit: &str, then: &str) -> (Option<i32>, String) {
    check_script(&format!("'{CONBENCH}' agent 4>&1 >/dev/null | sed -u -e '{edit}' >&4; {then}"))
}

fn is_broken(found: &(Option<i32>, String), what: &str) {
    let (code, said) = found;
    assert_eq!(*code, Some(1), "{said}");
    assert!(said.lines().any(|line| line.starts_with("BROKEN") && line.contains(what)), "{what}: {said}");
}

#[test]
fn the_native_agent_keeps_every_rule() {
    let engines = "sequential,thread-pool,tokio-current-thread,process-pool,process-per-task,tokio-process-pool";
    let output = check(&["--engines", engines], &[CONBENCH, "agent"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("held       process-pool: pipes in workers") && said.contains(" 0 broken, 0 not tried"),
        "{said}"
    );
}

#[test]
fn the_agent_for_python_keeps_every_rule() {
    let Some(python) = pythons::newest_of_all() else { return };
    let python = python.executable.to_string_lossy().into_owned();
    let engines = "sequential,ThreadPoolExecutor,asyncio,ProcessPoolExecutor,Process";
    let output = check(&["--engines", engines, "--format", "json"], &[&python, "src/python/agent/main.py"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let found = found.as_array().expect("a list");
    let broken: Vec<&Value> = found.iter().filter(|finding| finding["verdict"] != "held").collect();
    assert!(broken.is_empty() && found.len() > 60, "{broken:?}");
    assert_eq!(output.status.code(), Some(0));
}

/// Node, if it is here.
fn node() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|file| file.is_file());
    let is_required = std::env::var_os("CONBENCH_REQUIRE_NODE").is_some();
    assert!(found.is_some() || !is_required, "no Node is on PATH, and CONBENCH_REQUIRE_NODE is set");
    if found.is_none() {
        pythons::skipped("there is no Node on PATH; `.ci/run` installs one");
    }
    found
}

#[test]
fn the_agent_of_the_examples_keeps_every_rule() {
    if node().is_none() {
        return;
    }
    let output = check(&[], &["examples/agent/agent.js"]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("held       sequential: a block of 2 turns") && said.contains(" 0 broken"), "{said}");
}

#[test]
fn figures_that_are_wrong_are_told_with_those_that_were_expected() {
    is_broken(&edited(r#"s/"checksum":[0-9]*/"checksum":7/"#, ""), "sequential: a timed block: expected checksum ");
    is_broken(&edited(r#"s/"elapsed_ns":/"elapsed_ns":9/"#, ""), "by CLOCK_MONOTONIC; came 9");
    is_broken(
        &edited(r#"s/"tables":\[\[[0-9]*/"tables":[[7/"#, ""),
        "checksums of cpu, loop: expected cpu, loop, variant 0: ",
    );
    is_broken(&edited(r#"s/"first_index":/"first_index":1/"#, ""), "as asked; came (1, Timed, 11005)");
}

#[test]
fn frames_that_do_not_belong_are_told() {
    is_broken(&edited(r#"s/{"ready":{/{"ready":{"surprise":1,/"#, ""), "unknown field `surprise`");
    is_broken(&edited(r#"s/{"calibrated".*/{"bye":{"teardown_ns":1}}/"#, ""), "calibrate: expected the time of an");
    is_broken(
        &edited(r#"s/"kind":"protocol"/"kind":"agent"/"#, ""),
        "an unknown request: expected `failed` of the kind",
    );
    is_broken(&edited("s/\"protocol\":3/\"protocol\":2/", ""), "hello: expected protocol 3; came protocol 2");
    is_broken(&check_script("echo what >&4; sleep 600"), "hello: expected a frame `hello`, unasked; came at its start");
}

#[test]
fn an_end_that_is_not_in_peace_is_told() {
    is_broken(&edited("", "exit 3"), "sequential: bye: expected exit status 0; came exit status 3");
    let left = check_script(&format!("sleep 600 3<&- 4>&- & exec '{CONBENCH}' agent"));
    is_broken(&left, "expected no process that outlives it; came 1, which were killed");
    let heir = check_script(&format!("sleep 600 & exec '{CONBENCH}' agent"));
    is_broken(&heir, "sequential: pipes in workers: expected processes that it started without descriptors");
    is_broken(
        &check_script("echo ouch >&2; exit 4"),
        "the agent ended with exit status 4 at its start; its last output: ouch",
    );
}

#[test]
fn an_agent_that_hangs_is_told_and_left() {
    for script in
        ["exec sleep 600".to_owned(), format!("'{CONBENCH}' agent 4>&1 >/dev/null | head -n 1 >&4; exec sleep 600")]
    {
        let output = check(&["--patience", "1s"], &["/bin/sh", "-c", &script]);
        is_broken(&(output.status.code(), text(&output)), "came no answer within 1");
    }
}

#[test]
fn a_program_that_cannot_be_started_is_no_broken_rule() {
    let output = check(&[], &["/no/such/agent"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(
        text(&output).contains("error: cannot check the agent: cannot start `/no/such/agent`"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_published_schema_of_the_protocol_is_what_the_code_makes() {
    let made = schema::text(schema::Which::Protocol).expect("a schema is JSON");
    if std::env::var_os("CONBENCH_BLESS").is_some() {
        std::fs::write(SCHEMA, &made).expect("the schema can be written");
    }
    let published = std::fs::read_to_string(SCHEMA).unwrap_or_default();
    assert!(published == made, "run the tests with CONBENCH_BLESS=1 to publish the new schema");
}

#[test]
fn the_schema_holds_for_real_frames_and_those_of_the_page_and_for_no_others() {
    let text = schema::text(schema::Which::Protocol).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a legal schema");
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/protocol.md")).expect("the page");
    let frames = page.lines().map(|line| line.trim_start_matches("-> ").trim_start_matches("<- "));
    let mut frames: Vec<Value> = frames.filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(frames.len() >= 7, "the hello and a whole exchange: {}", frames.len());
    frames.push(serde_json::json!({"hello": Agent::start().hello()}));
    for frame in &frames {
        let errors: Vec<String> = validator.iter_errors(frame).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{frame}: {errors:?}");
    }
    for wrong in [r#"{"come":{}}"#, r#"{"bye":{"surprise":1}}"#, r#"{"go":{"block":1}}"#, r#"{"bye":{},"go":{}}"#] {
        assert!(!validator.is_valid(&serde_json::from_str(wrong).expect("JSON")), "{wrong}");
    }
}
