//! Whole sessions of the real binary, as a user runs them: what is printed, saved and left behind.
//!
//! Nothing is said about durations or winners. Where the exit code hangs on how quiet the host was, it is
//! held against the verdict that was printed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const LOOP: &str = "[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\n";
/// Tasks so long that no race of them is decided while a test looks on.
const LONG: &str = "[[step]]\nkind = \"wait\"\ntime = \"200ms\"\n";
/// Two native engines, one size each.
const TWO: [&str; 6] = ["--engines", "sequential,thread-pool", "--workers", "2", "--runtimes", "rust"];

/// A place for one session: its files, its temporary files, its processes.
struct Room {
    directory: tempfile::TempDir,
}

impl Room {
    fn new() -> Room {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("tmp")).expect("made");
        Room { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn word(&self, name: &str) -> String {
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a workload file and returns its path.
    fn file(&self, text: &str) -> String {
        std::fs::write(self.path("load.toml"), text).expect("written");
        self.word("load.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("TMPDIR", self.path("tmp")).env("ROOM", self.directory.path());
        // What is kept for later sessions is none of a session's leftovers.
        command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::from(self.command(args).output().expect("the binary starts"));
        assert!(self.processes().is_empty(), "something outlived the session");
        assert!(self.is_tidy(), "something is left in TMPDIR");
        ran
    }

    /// Every process whose environment names this room.
    fn processes(&self) -> Vec<u32> {
        let mark = format!("ROOM={}", self.directory.path().display());
        let here = |pid: &u32| {
            // One that has ended meanwhile has no environment.
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        let listed = std::fs::read_dir("/proc").expect("listed").flatten();
        listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(here).collect()
    }

    fn is_tidy(&self) -> bool {
        std::fs::read_dir(self.path("tmp")).expect("listed").next().is_none()
    }

    /// Starts a session that would take long, and waits until it has measured rounds of both engines.
    fn begun(&self, output: &str) -> Child {
        let file = self.file(LONG);
        let args =
            [["run", &file, "--budget", "10m", "--format", "json", "--output", output].as_slice(), &TWO].concat();
        let mut child = self.command(&args).spawn().expect("the binary starts");
        until("the first rounds", || {
            assert_eq!(child.try_wait().expect("a child"), None, "it ended");
            let saved: Value = serde_json::from_slice(&std::fs::read(output).ok()?).expect("never a part of a record");
            let measured = |candidate: &Value| candidate["blocks"].as_array().is_some_and(|blocks| !blocks.is_empty());
            let candidates = saved["records"][0]["candidates"].as_array()?;
            (candidates.len() == 2 && candidates.iter().all(measured)).then_some(())
        });
        assert!(self.processes().len() > 2 && !self.is_tidy(), "the session is seen");
        child
    }
}

/// What a program that ended wrote.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Ran {
    /// The JSON that was printed, and nothing else was.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The only record of it.
    fn record(&self) -> Value {
        let mut all = self.json();
        assert_eq!(all["records"].as_array().map(Vec::len), Some(1));
        all["records"][0].take()
    }
}

fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The documented code of a session that was not interrupted, under `--strict`.
fn strict_code(record: &Value) -> i32 {
    let groups = record["verdict"]["groups"].as_array().expect("groups");
    if groups.iter().all(|group| group["answer"].is_null()) {
        3
    } else if record["verdict"]["is_disturbed"] == true {
        4
    } else {
        i32::from(failures(record).iter().any(|(_, failure)| !failure.is_null()))
    }
}

/// Each candidate's engine with its failure, or null.
fn failures(record: &Value) -> Vec<(String, Value)> {
    let all = record["candidates"].as_array().expect("candidates");
    let engine = |one: &Value| one["candidate"]["engine"].as_str().expect("a name").to_owned();
    all.iter().map(|one| (engine(one), one["failure"].clone())).collect()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("the child lives");
}

#[test]
fn a_record_is_json_alone_and_keeps_its_schema() {
    let room = Room::new();
    let file = room.file(LOOP);
    let ran = room.run(&[["run", &file, "--budget", "2s", "--strict", "--format", "json"].as_slice(), &TWO].concat());
    let schema: Value = serde_json::from_str(&room.run(&["schema", "record"]).out).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let all = ran.json();
    let faults: Vec<String> = validator.iter_errors(&all).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let record = ran.record();
    assert_eq!(ran.code, Some(strict_code(&record)), "{}", ran.err);
    assert_eq!(failures(&record).len(), 2);
    assert_eq!(record["calibration"]["runtimes"][0]["checked"], true);
}

#[test]
fn a_saved_record_is_shown_as_it_was_when_it_was_measured() {
    for format in
        [["--format", "table"].as_slice(), &["--format", "markdown", "--details", "--all"], &["--format", "json"]]
    {
        let room = Room::new();
        let (file, saved) = (room.file(LOOP), room.word("record.json"));
        let ran = room.run(&[["run", &file, "--budget", "2s", "--output", &saved].as_slice(), &TWO, format].concat());
        assert!(ran.out.contains("thread-pool"), "{ran:?}");
        let again = room.run(&[["report", &saved].as_slice(), format].concat());
        assert_eq!((again.out, again.code), (ran.out, Some(0)));
    }
}

#[test]
fn a_command_that_is_not_there_fails_every_candidate() {
    let room = Room::new();
    let file = room.file("[[step]]\nkind = \"command\"\nargv = [\"no-such-program\"]\n");
    let ran = room.run(&[["run", &file, "--budget", "2s"].as_slice(), &TWO].concat());
    assert!(matches!(ran.code, Some(3 | 4)), "{}", ran.err);
    let shown = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    let cause =
        "every candidate failed: step 1 (command): cannot run `no-such-program`: not found; check argv[0] or PATH";
    assert_eq!(shown.matches(cause).count(), 1, "told once: {}", ran.out);
}

/// Runs a session whose tasks do this where a worker process runs them, and nothing elsewhere.
fn worker_does(what: &str, head: &str, cause: &str) {
    let room = Room::new();
    let script = format!("tr '\\\\0' '\\\\n' < /proc/$PPID/cmdline | grep -qx worker && {what}; exit 0");
    let file = room.file(&format!("{head}\n[[step]]\nkind = \"command\"\nargv = [\"sh\", \"-c\", \"{script}\"]\n"));
    let engines = [
        "--engines",
        "sequential,thread-pool,process-pool",
        "--workers",
        "2",
        "--in-flight",
        "2",
        "--runtimes",
        "rust",
    ];
    let ran =
        room.run(&[["run", &file, "--budget", "4s", "--strict", "--format", "json"].as_slice(), &engines].concat());
    let record = ran.record();
    for (engine, failure) in failures(&record) {
        assert_eq!(failure.is_null(), engine != "process-pool", "{engine}: {failure}");
        if engine == "process-pool" {
            assert!(failure.to_string().contains(cause), "{failure}");
        }
    }
    let rounds = record["rounds"].as_array().expect("rounds");
    assert!(rounds.iter().any(|round| round["order"].as_array().is_some_and(|order| order.len() == 2)), "{rounds:?}");
    assert_eq!(ran.code, Some(strict_code(&record)), "{}", ran.err);
    assert_ne!(ran.code, Some(0));
}

#[test]
fn one_engine_whose_tasks_fail_does_not_keep_the_others_from_an_answer() {
    worker_does("exit 7", "", "ended with exit status 7, expected 0");
}

#[test]
fn nor_does_one_whose_workers_are_killed() {
    worker_does("kill -9 $PPID", "", "the worker process died: signal: 9");
}

#[test]
fn nor_does_one_that_hangs() {
    worker_does("exec sleep 600", "task_timeout = \"1s\"", "no answer, and no CPU used within");
}

#[test]
fn a_task_longer_than_its_timeout_fails_with_that_cause() {
    let room = Room::new();
    let file = room.file("task_timeout = \"20ms\"\n[[step]]\nkind = \"command\"\nargv = [\"sleep\", \"0.1\"]\n");
    let ran = room.run(&[["run", &file, "--budget", "2s", "--format", "json"].as_slice(), &TWO].concat());
    let record = ran.record();
    for (engine, failure) in failures(&record) {
        assert!(failure.to_string().contains("longer than task_timeout (20.0 ms)"), "{engine}: {failure}");
    }
    assert_eq!((failures(&record).len(), ran.code), (2, Some(strict_code(&record))));
}

#[test]
fn a_tail_of_latencies_is_compared_by_a_session_and_by_its_record_alike() {
    let room = Room::new();
    let slow = "[load]\nmax_in_flight = 4\n[objective]\ngoal = \"p99\"\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"2ms\"\n";
    let file = room.file(slow);
    let engines = ["--engines", "thread-pool,tokio-multi-thread", "--runtimes", "rust", "--budget", "6s"];
    let ran = room.run(&[&["run", &file, "--format", "json", "--quiet"], &engines[..]].concat());
    assert!(matches!(ran.code, Some(0 | 4)), "{ran:?}");
    let record = ran.record();
    let looks = record["races"][0]["looks"].as_array().expect("looks");
    let last = looks.last().expect("each block says something");
    assert_eq!(record["verdict"]["groups"][0]["answer"]["candidate"], last["named"]);
}

#[test]
fn max_calls_caps_what_really_runs() {
    let room = Room::new();
    let file =
        room.file("max_calls = 200\n[[step]]\nkind = \"command\"\nargv = [\"sh\", \"-c\", \"echo >> $ROOM/calls\"]\n");
    let ran = room.run(&[["run", &file, "--budget", "60s", "--format", "json"].as_slice(), &TWO].concat());
    let record = ran.record();
    assert_eq!(record["ending"], "calls_spent", "{}", ran.err);
    let calls = std::fs::read(room.path("calls")).expect("tasks ran").len();
    assert!((1..=200).contains(&calls), "{calls}");
    let shown = room.run(&[["run", &file, "--budget", "60s"].as_slice(), &TWO].concat()).out;
    assert!(shown.contains("`max_calls`"), "{shown}");
}

#[test]
fn a_signal_keeps_what_was_measured_and_leaves_nothing() {
    for which in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let room = Room::new();
        let output = room.word("record.json");
        let child = room.begun(&output);
        signal(&child, which);
        let ran = Ran::from(child.wait_with_output().expect("ends"));
        assert_eq!(ran.code, Some(130), "{}", ran.err);
        let record = ran.record();
        assert_eq!(record["ending"], "interrupted");
        assert!(failures(&record).iter().all(|(_, failure)| failure.is_null()));
        assert!(record["candidates"][1]["blocks"].as_array().is_some_and(|blocks| !blocks.is_empty()));
        assert_eq!(std::fs::read_to_string(&output).expect("saved"), ran.out);
        assert!(room.processes().is_empty() && room.is_tidy());
    }
}

#[test]
fn a_killed_session_leaves_nothing_but_its_record() {
    let room = Room::new();
    let output = room.word("record.json");
    let mut child = room.begun(&output);
    child.kill().expect("SIGKILL");
    child.wait().expect("reaped");
    until("the end of its processes", || room.processes().is_empty().then_some(()));
    until("the end of its directory", || room.is_tidy().then_some(()));
    let shown = room.run(&["report", &output]);
    assert_eq!(shown.code, Some(0), "{}", shown.err);
    assert!(shown.out.contains("unfinished"), "{}", shown.out);
}

#[test]
fn what_cannot_be_saved_is_shown_all_the_same() {
    let room = Room::new();
    std::fs::create_dir(room.path("gone")).expect("made");
    let mut child = room.begun(&room.word("gone/record.json"));
    // A file may be put into it while it is removed.
    until("an empty directory", || std::fs::remove_dir_all(room.path("gone")).is_ok().then_some(()));
    let mut err = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    err.read_line(&mut line).expect("a warning");
    assert!(line.starts_with("warning: cannot write `") && line.contains("measuring goes on"), "{line}");
    signal(&child, rustix::process::Signal::INT);
    let ran = Ran::from(child.wait_with_output().expect("ends"));
    assert_eq!(ran.record()["ending"], "interrupted");
    assert_eq!(ran.code, Some(74));
    // It was told once, and at the end once more, as an error.
    let mut rest = String::new();
    err.read_to_string(&mut rest).expect("read");
    assert!(rest.starts_with("error: cannot write `") && rest.lines().count() == 1, "{rest}");
}

#[test]
fn recommend_prints_an_answer_or_a_row_for_each_and_skips_what_cannot_run() {
    let room = Room::new();
    let ran = room.run(&[["recommend", "json-parsing", "--budget", "2s"].as_slice(), &TWO].concat());
    assert!(ran.out.starts_with("json-parsing: "), "{ran:?}");
    assert!(matches!(ran.code, Some(0 | 3 | 4)), "{}", ran.err);

    let native_mixes = ["--runtimes", "rust", "--models", "async+threads", "--budget", "2s"];
    let ran = room.run(&[["recommend", "web-scraping", "file-io"].as_slice(), &native_mixes].concat());
    assert!(ran.err.starts_with("warning: skipped: nothing of `web-scraping` can run here:\n"), "{}", ran.err);
    assert!(ran.out.contains("\nfile-io "), "{}", ran.out);
    assert!(matches!(ran.code, Some(3 | 4)), "{}", ran.err);

    let ran = room.run(&[["recommend", "web-scraping"].as_slice(), &native_mixes].concat());
    assert!(ran.err.starts_with("error: nothing of `web-scraping` can run here:\n"), "{}", ran.err);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
}

#[test]
fn a_decided_race_is_followed_by_a_sweep_of_the_computation() {
    let room = Room::new();
    let file = room.file("[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"1ms\"\n");
    let engines = ["--engines", "sequential,process-pool", "--workers", "2", "--runtimes", "rust"];
    // One of the two does twice the work of the other: it is told within a part of the time, however busy the host is.
    let limits = ["--budget", "40s", "--tolerance", "20%", "--format", "json"];
    let ran = room.run(&[["run", &file].as_slice(), &limits, &engines].concat());
    let record = ran.record();
    let sweeps = record["sweeps"].as_array().expect("sweeps");
    if record["calibration"]["usable_cores"].as_f64().is_some_and(|cores| cores < 1.5) {
        // Two workers do hardly more than a loop there, and nothing decides.
        let _ = writeln!(std::io::stderr(), "SKIPPED: less than two cores can be had");
        return;
    }
    assert_eq!(record["ending"], "decided");
    let points = sweeps.first().and_then(|sweep| sweep["points"].as_array()).expect("a sweep");
    assert!(points.len() >= 2, "{points:?}");
    for point in points {
        let figures = ["factor", "task_cpu_ns", "ratio", "low", "high"].map(|figure| point[figure].as_f64());
        assert!(figures.iter().all(|figure| figure.is_some_and(|it| it.is_finite() && it > 0.0)), "{point}");
    }
    assert!(points.windows(2).all(|pair| pair[0]["factor"].as_f64() < pair[1]["factor"].as_f64()), "{points:?}");
    let models =
        ["left", "right"].map(|side| &record["candidates"][sweeps[0][side].as_u64().expect("a place") as usize]);
    assert_ne!(models[0]["candidate"]["engine"], models[1]["candidate"]["engine"]);
}
