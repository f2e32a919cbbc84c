//! Engines of packages, which are raced where the user's code imports them: the agent's own tests under an interpreter
//! that has the packages, and whole sessions.
//!
//! `CONBENCH_TEST_ENGINES_PYTHON` names one that has those of `tests/python/requirements-engines.txt`. Without it there is
//! a skip that is seen in the tests' output, and a failure where `CONBENCH_REQUIRE_ENGINES` is set.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use common::{printed, pythons};
use conbench::internal::candidate::{Candidate, Engine, Model, OwnExecutor, Sizes, Word};
use conbench::internal::idiom::{Idiom, ItemsFound};
use conbench::internal::workload;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The user's module, which imports this.
fn shop(imports: &str) -> String {
    format!(
        "{imports}\nimport threading\n\npages = list(range(24))\n_own = threading.local()\n\n\ndef parse(page):\n    return page * page\n\n\ndef ready():\n    _own.ready = True\n\n\ndef checked(page):\n    assert _own.ready, \"set up in this thread\"\n    return page * page\n\n\ndef connect():\n    import os\n    with open(\"set_ups\", \"a\") as file:\n        file.write(f\"{{os.getpid()}}\\n\")\n    return 100\n\n\ndef ask(state, page):\n    return page * page + state - 100\n\n\nasync def parse_async(page):\n    import trio\n\n    await trio.sleep(0.001)\n    return page * page\n"
    )
}

#[test]
fn agents_pass_their_tests_with_the_real_packages() {
    let Some(python) = pythons::with_packages() else { return };
    let ran = Command::new(python)
        .args(["-m", "unittest", "test_named_engines", "test_own_executor.Packages", "test_dask"])
        .arg("test_package_executors.OfPackages")
        .env("PYTHONPATH", format!("{ROOT}/src/python/agent:{ROOT}/python:{ROOT}/tests/python"))
        .envs([("PYTHONDONTWRITEBYTECODE", "1"), ("CONBENCH_REQUIRE_ENGINES", "1")])
        .current_dir(ROOT)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("\nOK") && !said.contains("Ran 0 "), "{said}");
}

/// The record of a session of the user's module, which imports this.
fn record(python: &Path, imports: &str, args: &[&str]) -> Value {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.py"), shop(imports)).expect("written");
    let file = directory.path().join("shop.toml");
    let text = "[[step]]\nkind = \"python\"\npath = \".\"\nfunction = \"shop:parse\"\nitems = \"shop:pages\"\n";
    std::fs::write(&file, text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.arg("recommend").arg(&file).args(["--format", "json", "--budget", "5s", "--python"]).arg(python).args(args);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    // Two sessions at once on few cores would not come far in their time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ran = command.stdin(Stdio::null()).output().expect("the binary starts");
    printed::record(&ran)
}

/// The engines of all candidates of a record that was raced, each once.
fn raced(record: &Value) -> Vec<String> {
    let entries = record["races"][0]["entries"].as_array().expect("a race");
    entries.iter().filter_map(|entry| entry["engine"].as_str().map(str::to_owned)).collect()
}

fn failures(record: &Value) -> Vec<&Value> {
    let candidates = record["candidates"].as_array().map_or(&[][..], Vec::as_slice);
    candidates.iter().map(|it| &it["failure"]).filter(|it| !it.is_null()).collect()
}

#[test]
fn what_the_users_module_imports_is_raced() {
    let Some(python) = pythons::with_packages() else { return };
    let found = record(&python, "import anyio, multiprocessing.pool", &["--models", "threads,async+threads"]);
    assert_eq!(failures(&found), Vec::<&Value>::new());
    let engines = raced(&found);
    for engine in ["multiprocessing.pool.ThreadPool", "anyio", "ThreadPoolExecutor"] {
        assert!(engines.iter().any(|raced| raced == engine), "{engine}: {engines:?}");
    }
    assert!(engines.iter().all(|engine| !engine.contains("joblib")), "{engines:?}");
}

#[test]
fn what_it_does_not_import_is_raced_by_name_alone() {
    let Some(python) = pythons::with_packages() else { return };
    let found = record(&python, "", &["--models", "threads"]);
    assert_eq!(raced(&found), ["ThreadPoolExecutor", "Thread"]);
    let left_out = found["plan"]["left_out"].to_string();
    assert!(!left_out.contains("joblib"), "{left_out}");
    let found = record(&python, "", &["--engines", "sequential,loky,joblib+loky,gevent", "--workers", "2"]);
    assert_eq!(failures(&found), Vec::<&Value>::new());
    assert_eq!(raced(&found), ["sequential", "gevent", "loky", "joblib+loky"]);
}

#[test]
fn their_code_gives_what_a_plain_loop_gives() {
    let Some(python) = pythons::with_packages() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.py"), shop("")).expect("written");
    let expected: Vec<String> = (0..24).map(|page: u64| (page * page).to_string()).collect();
    let plain = "function = \"shop:parse\"\nitems = \"shop:pages\"\n";
    let thread = "function = \"shop:checked\"\nsetup_thread = \"shop:ready\"\nitems = \"shop:pages\"\n";
    let state = "function = \"shop:ask\"\nsetup = \"shop:connect\"\npass_state = true\nitems = \"shop:pages\"\n";
    let both = "function = \"shop:parse\"\nasync_function = \"shop:parse_async\"\nitems = \"shop:pages\"\n";
    for engine in Engine::PYTHON.into_iter().filter(|engine| engine.is_if_imported()) {
        let sizes = engine.axes().sizes(2, 3, 4);
        for form in [plain, thread, state, both] {
            // A greenlet is no thread, and what is awaited here is trio's.
            if engine == Engine::Gevent && form == thread || engine != Engine::Trio && form == both {
                continue;
            }
            let (program, line) = results(&python, directory.path(), form, &Candidate::new("python3", engine, sizes));
            assert_eq!(line.split(' ').collect::<Vec<_>>(), expected, "{program}");
        }
    }
}

#[test]
fn joblibs_code_takes_results_as_they_are_done() {
    let text = "name = \"shop\"\n[[step]]\nkind = \"python\"\npath = \".\"\nfunction = \"shop:parse\"\nitems = \"shop:pages\"\n";
    let workload = workload::parse("shop.toml", text).expect("a workload");
    let (items, cluster) = (ItemsFound::default(), None);
    let code = |engine: Engine| {
        let candidate = Candidate::new("python3.11", engine, engine.axes().sizes(2, 3, 4));
        Idiom { workload: &workload, candidate: &candidate, default_method: None, items, variables: &[], cluster }
            .code()
    };
    for (engine, sized) in [
        (Engine::JoblibThreading, "n_jobs=2, backend=\"threading\",\n"),
        (Engine::JoblibLoky, "n_jobs=2, batch_size=4, pre_dispatch=16,\n"),
        (Engine::JoblibAuto, "n_jobs=2,\n"),
    ] {
        let code = code(engine);
        assert!(code.contains(sized) && code.contains("return_as=\"generator_unordered\""), "{code}");
    }
}

/// The program that is shown for a candidate, and what it prints as its results.
fn results(python: &Path, directory: &Path, form: &str, candidate: &Candidate) -> (String, String) {
    let text = format!("name = \"shop\"\n[[step]]\nkind = \"python\"\npath = \".\"\n{form}");
    let workload = workload::parse("shop.toml", &text).expect("a workload");
    let idiom = Idiom {
        workload: &workload,
        candidate,
        default_method: None,
        items: ItemsFound::default(),
        variables: &[],
        cluster: None,
    };
    let code = idiom.code();
    let indent = if code.contains("__main__") { "    " } else { "" };
    let program = format!("{code}{indent}print(\"results\", *results)\n");
    std::fs::write(directory.join("program.py"), &program).expect("written");
    let ran = Command::new(python).arg("program.py").current_dir(directory).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("results "));
    let line = line.unwrap_or_else(|| panic!("{program}\n{}", String::from_utf8_lossy(&ran.stderr)));
    (program, line.to_owned())
}

#[test]
fn their_code_sets_up_each_worker_process_once() {
    let Some(python) = pythons::with_packages() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.py"), shop("")).expect("written");
    let expected: Vec<String> = (0..24).map(|page: u64| (page * page).to_string()).collect();
    let loky = OwnExecutor {
        factory: Word::of("loky:ProcessPoolExecutor"),
        model: Model::Processes,
        is_context: true,
        fixed_workers: None,
    };
    let forms = [
        "function = \"shop:parse\"\nsetup = \"shop:connect\"\nitems = \"shop:pages\"\n",
        "function = \"shop:ask\"\nsetup = \"shop:connect\"\npass_state = true\nitems = \"shop:pages\"\n",
        "function = \"shop:ask\"\nsetup_thread = \"shop:connect\"\npass_state = true\nitems = \"shop:pages\"\n",
    ];
    for form in forms {
        let sizes = Sizes { workers: Some(2), ..Sizes::default() };
        let (program, line) =
            results(&python, directory.path(), form, &Candidate::new("python3", Engine::Own(loky), sizes));
        assert_eq!(line.split(' ').collect::<Vec<_>>(), expected, "{program}");
        let log = directory.path().join("set_ups");
        let text = std::fs::read_to_string(&log).expect("workers were set up");
        std::fs::remove_file(log).expect("it is there");
        let mut pids: Vec<&str> = text.lines().collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(text.lines().count(), pids.len(), "{program}");
    }
}
