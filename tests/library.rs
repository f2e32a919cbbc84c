//! Programs with workloads of their own, run as their users do: the example, and one that does what few should.

mod common;

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use conbench::internal::agent::descriptors::inherit;
use conbench::internal::protocol::REQUESTS_FD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The task `ask` of the example, in a file.
const ASK: &str = "name = \"ask\"\n[[step]]\nkind = \"sleep\"\ntime = \"5ms\"\n";

/// An example, which `cargo test` builds beside the tests.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    let path = test.parent().and_then(|deps| deps.parent()).expect("a folder").join("examples").join(name);
    assert!(path.exists(), "`cargo build --examples` makes {}", path.display());
    path
}

/// A folder for one program: it runs there, and its processes are known by it.
struct Room {
    folder: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        let folder = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(folder.path().join("tmp")).expect("made");
        Room { folder }
    }

    fn command(&self, program: &std::path::Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("TMPDIR", self.folder.path().join("tmp")).env("ROOM", self.folder.path());
        command
    }

    fn ran(&self, mut command: Command) -> Ran {
        let ran = Ran::from(command.output().expect("it starts"));
        assert!(self.is_left(), "something outlived it: {ran:?}");
        ran
    }

    fn example(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(&example("recommend"), arguments))
    }

    fn case(&self, case: &str, arguments: &[&str]) -> Ran {
        let mut command = self.command(&example("registered-fixture"), arguments);
        command.env("CASE", case);
        self.ran(command)
    }

    fn conbench(&self, arguments: &[&str]) -> Ran {
        self.ran(self.command(std::path::Path::new(env!("CARGO_BIN_EXE_conbench")), arguments))
    }

    /// How many processes have an environment that names this room.
    fn processes(&self) -> usize {
        let mark = format!("ROOM={}", self.folder.path().display());
        let is_here = |entry: &std::fs::DirEntry| {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        std::fs::read_dir("/proc").expect("listed").flatten().filter(is_here).count()
    }

    fn is_tidy(&self) -> bool {
        std::fs::read_dir(self.folder.path().join("tmp")).expect("listed").next().is_none()
    }

    fn is_left(&self) -> bool {
        self.processes() == 0 && self.is_tidy()
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// The only record that was printed, and nothing else was. A busy host is no fault of it.
    fn record(&self) -> Value {
        assert!(matches!(self.code, Some(0 | 4)), "{self:?}");
        let mut all: Value = serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(all["records"].as_array().map(Vec::len), Some(1));
        all["records"][0].take()
    }
}

fn until(what: &str, probe: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !probe() {
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a record's answer names.
fn named(record: &Value) -> [Value; 4] {
    let answer = &record["verdict"]["groups"][0]["answer"];
    ["model", "engine", "workers", "in_flight"].map(|field| answer[field].clone())
}

#[test]
fn the_answer_is_that_of_the_same_work_in_a_file() {
    let room = Room::new();
    std::fs::write(room.folder.path().join("ask.toml"), ASK).expect("written");
    let quick = ["--budget", "3s", "--format", "json", "--quiet"];
    for (engines, workers, model) in
        [("sequential,thread-pool", "8", "threads"), ("sequential,process-pool", "6", "processes")]
    {
        let chosen = [&quick[..], &["--engines", engines, "--workers", workers]].concat();
        let ours = room.example(&[&["ask", "--bench"], &chosen[..]].concat()).record();
        let theirs = room.conbench(&[&["recommend", "ask.toml", "--runtimes", "rust"], &chosen[..]].concat()).record();
        assert_eq!(named(&ours), named(&theirs));
        assert_eq!(named(&ours)[0], model);
    }
    let chosen = [&["ask"], &quick[..], &["--engines", "sequential,tokio-current-thread"]].concat();
    let record = room.example(&chosen).record();
    assert_eq!(named(&record)[0], "async");
    let step = serde_json::json!(
        { "kind": "registered", "name": "ask", "has_task": true, "has_async_task": true, "is_checked": false }
    );
    assert_eq!(record["workload"]["steps"], Value::from(vec![step]));
}

#[test]
fn a_record_is_read_and_obeys_its_schema() {
    let room = Room::new();
    let engines = ["--engines", "sequential,thread-pool", "--workers", "2", "--budget", "2s", "--quiet"];
    let ran = room.example(&[&["squeeze", "--format", "json"], &engines[..]].concat());
    let record = ran.record();
    assert_eq!(record["calibration"]["runtimes"][0]["checked"], true);
    let schema: Value = serde_json::from_str(&room.conbench(&["schema", "record"]).out).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let all: Value = serde_json::from_str(&ran.out).expect("JSON");
    let wrong: Vec<String> = validator.iter_errors(&all).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    std::fs::write(room.folder.path().join("squeeze.json"), &ran.out).expect("written");
    let read = room.conbench(&["report", "squeeze.json"]);
    assert!(matches!(read.code, Some(0 | 4)) && read.out.contains("squeeze"), "{read:?}");
}

#[test]
fn a_test_runs_each_form_once_and_measures_nothing() {
    let room = Room::new();
    let tested = room.example(&["--test"]);
    let lines = "test squeeze (task) ... ok\ntest ask (task) ... ok\ntest ask (async task) ... ok\n";
    assert_eq!((tested.code, tested.out.as_str()), (Some(0), lines));
    assert_eq!(room.example(&["ask", "--list"]).out, "ask\n");
    let unknown = room.example(&["nothing", "--bench"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("there is squeeze, ask"), "{unknown:?}");
    let failed = room.case("panics", &["--test"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.out.contains("FAILED: the task panicked: no page 0"), "{failed:?}");
    // An answer that the program itself asks for is none in a test.
    let asked = room.case("asks", &["--test"]);
    assert_eq!((asked.code, asked.out.as_str()), (Some(0), "test pause (task) ... ok\n"));
}

#[test]
fn a_program_works_with_its_answer() {
    let room = Room::new();
    let ran = room.case("asks", &["--quiet"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("pause: thread-pool with Some(8) workers\npause: use threads"), "{ran:?}");
    assert_eq!(ran.out.matches("use threads").count(), 1, "it is not measured again: {ran:?}");
}

#[test]
fn what_is_wrong_is_told_once() {
    let room = Room::new();
    let quick = ["--quiet", "--budget", "1s", "--engines", "sequential,thread-pool,process-pool"];
    for (case, code, words) in [
        ("twice", 2, "error: two workloads are named `parse`"),
        ("own", 1, "error: no pages to parse"),
        ("fickle", 0, ""),
    ] {
        let ran = room.case(case, &quick);
        if case == "fickle" {
            assert_eq!(ran.code, Some(3), "{ran:?}");
            let said = format!("{}{}", ran.out, ran.err);
            assert!(said.contains("workload `parse` and did not register it"), "{ran:?}");
            continue;
        }
        assert_eq!((ran.code, ran.out.as_str()), (Some(code), ""), "{ran:?}");
        assert!(ran.err.starts_with(words), "{ran:?}");
    }
}

#[test]
fn a_task_that_panics_has_failed_and_one_that_differs_is_no_answer() {
    let room = Room::new();
    let panics = room.case("panics", &["--quiet", "--budget", "1s", "--format", "json"]);
    assert_eq!(panics.code, Some(3), "{panics:?}");
    assert!(panics.out.contains("the task panicked: no page 0, at "), "{panics:?}");
    // The first ones run; a later one is the candidate's failure, in its own process or in a worker's.
    let engines = ["--engines", "sequential,thread-pool,process-pool", "--workers", "2"];
    // All fail soon; on a busy host the budget must not end first.
    let stumbles = room.case("stumbles", &[&["--quiet", "--budget", "20s", "--format", "json"], &engines[..]].concat());
    assert_eq!(stumbles.code, Some(3), "{stumbles:?}");
    let all: Value = serde_json::from_str(&stumbles.out).expect("JSON");
    let failures = all["records"][0]["candidates"].as_array().expect("candidates").iter().map(|one| &one["failure"]);
    let failures: Vec<&Value> = failures.collect();
    assert_eq!(failures.len(), 3, "{failures:?}");
    for failure in failures {
        assert_eq!(failure["kind"], "task", "{failure}");
        let message = failure["message"].as_str().expect("a message");
        assert!(message.starts_with("the task panicked: no page ") && message.contains("registered.rs:"), "{failure}");
    }
    let engines = ["--engines", "sequential,thread-pool,tokio-current-thread", "--workers", "4"];
    let differs = room.case("differs", &[&["--quiet", "--budget", "2s", "--format", "json"], &engines[..]].concat());
    let record = differs.record();
    assert_eq!(named(&record)[0], "threads");
    let failed: Vec<&Value> = record["candidates"]
        .as_array()
        .expect("candidates")
        .iter()
        .filter(|candidate| !candidate["failure"].is_null())
        .map(|candidate| &candidate["candidate"]["engine"])
        .collect();
    // Each size that was tried.
    assert!(!failed.is_empty() && failed.iter().all(|engine| *engine == "tokio-current-thread"), "{failed:?}");
}

#[test]
fn a_part_of_a_session_registers_no_more_than_it_needs() {
    let room = Room::new();
    // It cannot make its folder; that it fails of that is all that it does.
    let guard = room.case("", &["guard", "missing"]);
    assert!(guard.code != Some(0) && guard.out.is_empty(), "{guard:?}");
    // As an agent whose controller has gone.
    let (requests, requests_end) = std::io::pipe().expect("a pipe");
    let (mut replies, replies_end) = std::io::pipe().expect("a pipe");
    drop(requests_end);
    let mut command = room.command(&example("registered-fixture"), &["agent"]);
    command.env("CONBENCH_WORKLOAD", "parse").env("CASE", "");
    inherit(&mut command, REQUESTS_FD, &[requests.as_fd(), replies_end.as_fd()]).expect("descriptors");
    let child = command.spawn().expect("it starts");
    drop((command, replies_end));
    let ran = Ran::from(child.wait_with_output().expect("it ends"));
    let mut said = String::new();
    replies.read_to_string(&mut said).expect("it ended");
    assert_eq!((ran.code, said.as_str()), (Some(2), ""), "{ran:?}");
    assert_eq!(ran.err.matches("error: ").count(), 1, "{ran:?}");
    assert!(ran.err.contains("its workload `parse` and did not register it: register every workload"), "{ran:?}");
}

#[test]
fn nothing_survives_a_signal() {
    for (signal, code) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let room = Room::new();
        let mut command = room.command(&example("recommend"), &["ask", "--budget", "10m", "--quiet"]);
        command.stdout(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        until("a session", || room.processes() > 3 && !room.is_tidy());
        kill_process(Pid::from_child(&child), signal).expect("it runs");
        assert_eq!(child.wait().expect("it ends").code(), code);
        until("the end of all", || room.is_left());
    }
}
