//! numpy, whose library computes with threads of its own: what the session finds of them, and that workers under every
//! start method have as many as their candidate says. Nothing is said about durations or winners.
//!
//! `CONBENCH_TEST_NUMPY_PYTHON` names an interpreter that has numpy (with OpenBLAS) and threadpoolctl. Without it there is
//! a skip that is seen in the tests' output, and a failure where `CONBENCH_REQUIRE_PYTHON` is set.

mod common;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use common::printed;
use serde_json::Value;

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("CONBENCH_TEST_NUMPY_PYTHON").map(PathBuf::from);
    let several = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
    let reason = match (&named, several) {
        (Some(_), true) => return named,
        (Some(_), false) => "with one CPU the library computes with one thread",
        (None, _) => "no interpreter with numpy is here: CONBENCH_TEST_NUMPY_PYTHON names one",
    };
    let is_required = std::env::var_os("CONBENCH_REQUIRE_PYTHON").is_some();
    assert!(named.is_some() || !is_required, "{reason}");
    // Straight to the stream: what a test prints is only shown if it fails.
    let thread = std::thread::current();
    let _ = writeln!(std::io::stderr(), "SKIPPED {}: {reason}", thread.name().unwrap_or_default());
    None
}

/// The record of a session of products by numpy.
fn record(python: &PathBuf, args: &[&str], environment: &[(&str, &str)]) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("products.toml");
    let text = format!(
        "[[step]]\nkind = \"python\"\npath = \"{FIXTURES}\"\nfunction = \"matrices:multiply\"\nitems = \"matrices:items\"\n"
    );
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("recommend").arg(&file).args(["--format", "json", "--python"]).arg(python).args(args);
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"] {
        command.env_remove(name);
    }
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).envs(environment.iter().copied());
    // Two sessions at once on few cores would not come far in their time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ran = command.stdin(Stdio::null()).output().expect("the binary starts");
    printed::record(&ran)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// How many blocks candidates of this engine and start method have run with libraries so limited.
fn blocks(record: &Value, engine: &str, method: Option<&str>, limit: Option<u64>) -> usize {
    let is_it = |place: &&Value| {
        let candidate = &place["candidate"];
        candidate["engine"] == engine
            && candidate["start_method"].as_str() == method
            && candidate["library_threads"].as_u64() == limit
    };
    list(&record["candidates"]).iter().filter(is_it).map(|place| list(&place["blocks"]).len()).sum()
}

fn assert_has_run(record: &Value, engine: &str, method: Option<&str>, limit: Option<u64>) {
    let all: Vec<(&Value, usize)> =
        list(&record["candidates"]).iter().map(|place| (&place["candidate"], list(&place["blocks"]).len())).collect();
    let (ending, ns) = (&record["ending"], &record["elapsed_ns"]);
    assert!(blocks(record, engine, method, limit) > 0, "{engine} {method:?} {limit:?}: {ending} in {ns} ns: {all:?}");
}

fn failures(record: &Value) -> Vec<&Value> {
    list(&record["candidates"]).iter().map(|it| &it["failure"]).filter(|it| !it.is_null()).collect()
}

const LIMITS: [Option<u64>; 2] = [None, Some(1)];

#[test]
fn threads_and_a_plain_loop_race_with_the_librarys_own_threads_and_with_one() {
    let Some(python) = python() else { return };
    let args = ["--engines", "sequential,ThreadPoolExecutor", "--workers", "2", "--budget", "6s"];
    for without in [&[][..], &[("WITHOUT_THREADPOOLCTL", "1")][..]] {
        let record = record(&python, &args, without);
        let found = &record["calibration"]["runtimes"][0]["library_threads"];
        assert!(found["threads"].as_u64() > Some(1), "{found}");
        assert!(found["cpu_share"].as_f64() > Some(0.05), "{found}");
        assert_eq!(found["variables"], serde_json::json!(["OPENBLAS_NUM_THREADS"]), "{found}");
        assert!(failures(&record).is_empty(), "{:?}", failures(&record));
        for limit in LIMITS {
            assert_has_run(&record, "sequential", None, limit);
            assert_has_run(&record, "ThreadPoolExecutor", None, limit);
        }
        for place in list(&record["candidates"]) {
            let is_limited = place["candidate"]["library_threads"] == 1;
            for life in list(&place["lives"]) {
                // Where it is 0 the record has it not.
                assert_eq!(life["library_threads"].is_null(), is_limited, "{}: {life}", place["candidate"]);
            }
        }
        let answer = &record["verdict"]["groups"][0]["answer"];
        assert_eq!(answer["library_threads"].is_null(), answer["library_variables"].is_null(), "{answer}");
        let told = |list_of: &str, tag: &str| list(&answer[list_of]).iter().any(|it| it[tag] == "library_threads");
        assert!(told("reasons", "reason"), "{answer}");
        assert!(!told("conditions", "condition"), "it was searched: {answer}");
    }
}

#[test]
fn workers_inherit_the_limit_under_every_start_method() {
    let Some(python) = python() else { return };
    let engines = "ProcessPoolExecutor,multiprocessing.Pool";
    for method in ["fork", "spawn", "forkserver"] {
        let args =
            ["--engines", engines, "--start-methods", method, "--workers", "2", "--chunk", "1", "--budget", "8s"];
        let record = record(&python, &args, &[]);
        assert!(failures(&record).is_empty(), "{method}: {:?}", failures(&record));
        for limit in LIMITS {
            assert_has_run(&record, "ProcessPoolExecutor", Some(method), limit);
        }
        // With the library's own threads one engine of processes is enough.
        assert_has_run(&record, "multiprocessing.Pool", Some(method), Some(1));
    }
}

#[test]
fn what_the_user_sets_is_what_libraries_do_by_themselves() {
    let Some(python) = python() else { return };
    let args = ["--engines", "sequential,ThreadPoolExecutor", "--workers", "2", "--budget", "6s"];
    let limited = record(&python, &args, &[("OPENBLAS_NUM_THREADS", "1")]);
    assert!(limited["calibration"]["runtimes"][0]["library_threads"].is_null());
    assert!(failures(&limited).is_empty(), "{:?}", failures(&limited));
    assert_has_run(&limited, "ThreadPoolExecutor", None, None);
    assert_eq!(blocks(&limited, "ThreadPoolExecutor", None, Some(1)), 0);
    let several = record(&python, &args, &[("OPENBLAS_NUM_THREADS", "2")]);
    let found = &several["calibration"]["runtimes"][0]["library_threads"];
    assert_eq!((&found["threads"], &found["set"]["OPENBLAS_NUM_THREADS"]), (&2.into(), &"2".into()), "{found}");
    assert_has_run(&several, "ThreadPoolExecutor", None, Some(1));
    let conditions = &several["verdict"]["groups"][0]["answer"]["conditions"];
    assert!(list(conditions).iter().any(|it| it["condition"] == "library_threads_set"), "{conditions}");
}
