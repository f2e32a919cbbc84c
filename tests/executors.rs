//! Executors of the user's own, in whole sessions: named, told apart, shown as code, and found out where they misbehave.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use common::{printed, pythons};
use conbench::internal::candidate::{Candidate, Engine, Model, OwnExecutor, Sizes, Word};
use conbench::internal::idiom::{Idiom, ItemsFound};
use conbench::internal::workload;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the program in the folder of the fixtures, or in another.
fn conbench(folder: &Path, python: &Path, args: &[&str]) -> Output {
    // Two sessions at once on few cores would not come far in their time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.args(args).arg("--python").arg(python).current_dir(folder).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).output().expect("the binary starts")
}

fn fixtures() -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/executors")
}

fn python() -> Option<PathBuf> {
    pythons::newest_of_all().map(|python| python.executable.clone())
}

/// The record of a session of this factory beside other engines, with what was said on standard error.
fn raced(factory: &str, args: &[&str]) -> Option<(Value, String)> {
    let target = ["recommend", "work:wait", "--items", "items()", "--format", "json", "--executor", factory];
    let ran = conbench(&fixtures(), &python()?, &[&target, args].concat());
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    Some((printed::record(&ran), said))
}

/// The candidates of a record that the user's own executor is.
fn own<'a>(record: &'a Value, factory: &str) -> Vec<&'a Value> {
    let all = record["candidates"].as_array().expect("candidates");
    all.iter().filter(|it| it["candidate"]["engine"]["own"]["factory"] == factory).collect()
}

/// A record as it is shown when it is read again.
fn reported(record: &Value, view: &str) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("record.json");
    let whole = serde_json::json!({ "format_version": conbench::record::FORMAT_VERSION, "records": [record] });
    std::fs::write(&file, whole.to_string()).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    let report = command.arg("report").arg(&file).args(["--as", view]).output().expect("it runs");
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    String::from_utf8_lossy(&report.stdout).into_owned()
}

#[test]
fn an_executor_of_the_users_is_a_candidate_like_any_other() {
    for (factory, model) in [("pools:threads", "threads"), ("pools.py:processes", "processes")] {
        let args = ["--engines", "sequential", "--workers", "1,2,4", "--budget", "2s"];
        let Some((record, said)) = raced(factory, &args) else { return };
        assert_eq!(record["settings"]["executors"], serde_json::json!([factory]));
        let candidates = own(&record, factory);
        assert!(!candidates.is_empty(), "{said}");
        for candidate in candidates {
            assert_eq!(candidate["candidate"]["engine"]["own"]["model"], model);
            assert_eq!(candidate["failure"], Value::Null);
        }
        let group = &record["verdict"]["groups"][0];
        assert_eq!(group["answer"]["engine"]["own"]["factory"], factory, "waiting is overlapped: {group}");
        assert_eq!(group["answer"]["model"], model);
        let code = record["said"][0]["code"].as_str().expect("code");
        let name = factory.rsplit(':').next().expect("a name");
        assert!(code.contains(&format!("from pools import {name}\n")), "{code}");
        let text = reported(&record, "run");
        assert!(text.contains(&format!("{factory}@w")), "{text}");
    }
}

#[test]
fn a_crossing_is_priced_and_workers_are_counted() {
    let args = ["--engines", "sequential", "--workers", "2", "--budget", "2s"];
    let Some((record, said)) = raced("pools:processes", &args) else { return };
    let [candidate] = own(&record, "pools:processes")[..] else { panic!("{said}") };
    let of = |kind: &str| {
        let blocks = candidate["blocks"].as_array().expect("blocks");
        blocks.iter().find(|block| block["kind"] == kind)
    };
    let timed = of("timed").expect("a timed block");
    assert!(timed["usage"]["user_ns"].as_u64().is_some_and(|ns| ns > 0), "{timed}");
    if let Some(memory) = of("memory") {
        assert!(memory["serialisation"]["bytes_per_task"].as_f64().is_some_and(|bytes| bytes > 0.0), "{memory}");
    }
}

#[test]
fn who_misbehaves_is_found_and_no_size_of_it_is_the_answer() {
    for (factory, words) in
        [("pools:Loses", "it lost what it was given, or hangs"), ("pools:TwiceInProcesses", "ran tasks more than once")]
    {
        // A small tolerance keeps the race going: each begins to misbehave after some tens of tasks.
        let args =
            ["--engines", "sequential,ThreadPoolExecutor", "--workers", "1,2", "--budget", "5s", "--tolerance", "0.5%"];
        let Some((record, said)) = raced(factory, &args) else { return };
        assert!(said.contains(&format!("`{factory}` ")) && said.contains(words), "{said}");
        for candidate in own(&record, factory) {
            let message = candidate["failure"]["message"].as_str().unwrap_or_default();
            assert!(message.contains(words), "{candidate}");
        }
        let engine = &record["verdict"]["groups"][0]["answer"]["engine"];
        assert!(engine == "sequential" || engine == "ThreadPoolExecutor", "{engine}: {said}");
        let warnings = record["warnings"].to_string();
        assert!(!warnings.contains("scarce") && !warnings.contains("exclusive"), "{warnings}");
    }
}

#[test]
fn who_ignores_the_number_of_workers_is_measured_as_it_is() {
    let args = ["--engines", "sequential,ThreadPoolExecutor", "--budget", "2s"];
    let Some((record, said)) = raced("pools:one_thread", &args) else { return };
    let words = "`pools:one_thread` ignores the number of workers: it runs 1 task at once whatever it is asked for";
    assert!(said.contains(words) && record["warnings"].to_string().contains(words), "{said}");
    let sizes: Vec<&Value> =
        own(&record, "pools:one_thread").iter().map(|it| &it["candidate"]["sizes"]["workers"]).collect();
    assert_eq!(sizes, [1]);
    let left_out = record["plan"]["left_out"].to_string();
    assert!(left_out.contains("pools:one_thread, workers other than 1"), "{left_out}");
    let Some((larger, said)) = raced("pools:four_threads", &args) else { return };
    let sizes: Vec<(&Value, &Value)> = own(&larger, "pools:four_threads")
        .iter()
        .map(|it| (&it["candidate"]["sizes"]["workers"], &it["failure"]))
        .collect();
    assert_eq!(sizes, [(&Value::from(4), &Value::Null)], "{said}");
    // It is shown beside the best of its model, which it is not.
    let text = reported(&record, "recommend");
    let line = |name: &str, size: &str| text.lines().any(|line| line.contains(name) && line.contains(size));
    assert!(line("pools:one_thread", "1 worker") && line("ThreadPoolExecutor", "workers"), "{text}");
}

#[test]
fn a_workload_file_names_executors_too() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::copy(fixtures().join("pools.py"), directory.path().join("pools.py")).expect("copied");
    let step = "[[step]]\nkind = \"sleep\"\ntime = \"1ms\"\n";
    let write = |engine: &str| std::fs::write(directory.path().join("w.toml"), format!("{engine}\n{step}"));
    let file = directory.path().join("w.toml");
    let file = file.to_str().expect("a path");
    let args = ["recommend", file, "--runtimes", "python", "--engines", "sequential", "--budget", "2s"];
    let args = [&args[..], &["--format", "json"]].concat();
    // From another folder: modules are looked for in the file's own.
    write("[[engine]]\nfactory = \"pools:threads\"\nmodel = \"threads\"\nworkers = [2, 4]\n").expect("written");
    let ran = conbench(Path::new(ROOT), &python, &args);
    let said = String::from_utf8_lossy(&ran.stderr);
    let record = printed::record(&ran);
    let candidates = own(&record, "pools:threads");
    assert!(!candidates.is_empty() && candidates.iter().all(|it| it["failure"].is_null()), "{said}");
    let sizes = candidates.iter().map(|it| it["candidate"]["sizes"]["workers"].as_u64());
    assert!(sizes.flatten().all(|workers| [2, 4].contains(&workers)), "{candidates:?}");
    write("[[engine]]\nfactory = \"pools:threads\"\nmodel = \"processes\"\n").expect("written");
    let ran = conbench(Path::new(ROOT), &python, &args);
    let said = String::from_utf8_lossy(&ran.stderr);
    let words = "`pools:threads` runs tasks in threads, and the file's [[engine]] says `model = \"processes\"`";
    assert!(ran.status.code() == Some(2) && said.contains(words), "{said}");
    write("[[engine]]\nfactory = \"pools\"\nworkers = [0]\n[[engine]]\nmodel = \"threads\"\n").expect("written");
    let ran = Command::new(env!("CARGO_BIN_EXE_conbench")).args(["check", file]).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(2));
    for words in ["a factory is a name in a module", "`workers`: 0 is out of range", "`factory` is missing in `engine`"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}

const WAIT: &str = "[[step]]\nkind = \"sleep\"\ntime = \"1ms\"\n";

/// The records of a short session with two workers, and what it said on standard error.
fn recorded(directory: &Path, python: &Path, args: &[&str]) -> (Value, String) {
    let ran = conbench(directory, python, &[args, &["--workers", "2", "--budget", "2s", "--format", "json"]].concat());
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    (printed::document(&ran), said)
}

#[test]
fn one_name_in_two_folders_is_two_executors() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let pools = [("a", "ThreadPoolExecutor"), ("b", "ProcessPoolExecutor")];
    for (folder, class) in pools {
        let folder = directory.path().join(folder);
        std::fs::create_dir(&folder).expect("made");
        std::fs::write(folder.join("pools.py"), format!("from concurrent.futures import {class} as make\n"))
            .expect("written");
        std::fs::write(folder.join("w.toml"), format!("[[engine]]\nfactory = \"pools:make\"\n{WAIT}"))
            .expect("written");
    }
    let args = ["recommend", "a/w.toml", "b/w.toml", "--runtimes", "python", "--engines", "sequential"];
    let (all, said) = recorded(directory.path(), &python, &args);
    for (record, model) in [(0, "threads"), (1, "processes")] {
        let candidates = own(&all["records"][record], "pools:make");
        assert!(!candidates.is_empty(), "{said}");
        for candidate in candidates {
            assert_eq!(candidate["candidate"]["engine"]["own"]["model"], model, "{said}");
            assert_eq!(candidate["failure"], Value::Null);
        }
    }
}

#[test]
fn who_is_named_by_an_option_is_not_looked_for_in_the_folder_of_a_file() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let folder = directory.path().join("a");
    std::fs::create_dir(&folder).expect("made");
    let make = "from concurrent.futures import ThreadPoolExecutor as make\n";
    std::fs::write(directory.path().join("pools.py"), make).expect("written");
    std::fs::write(folder.join("others.py"), make).expect("written");
    std::fs::write(folder.join("pools.py"), "raise ValueError('this is the wrong file')\n").expect("written");
    std::fs::write(folder.join("w.toml"), format!("[[engine]]\nfactory = \"others:make\"\n{WAIT}")).expect("written");
    let args = ["recommend", "a/w.toml", "--runtimes", "python", "--engines", "sequential", "--executor", "pools:make"];
    let (all, said) = recorded(directory.path(), &python, &args);
    for factory in ["others:make", "pools:make"] {
        let candidates = own(&all["records"][0], factory);
        assert!(
            !candidates.is_empty() && candidates.iter().all(|it| it["failure"].is_null()),
            "{candidates:?}: {said}"
        );
    }
}

#[test]
fn bad_input_is_one_error() {
    let Some(python) = python() else { return };
    for (factory, words) in [
        ("pools:raises", "error: `pools:raises` raised ValueError: no 1 workers here"),
        ("pools:without_arguments", "cannot be called with the number of workers alone"),
        ("pools:gives_a_list", "gave a value of type list, which has no `submit` and `shutdown`"),
        ("pools:another_host", "runs tasks on another host, elsewhere: executors are measured on this host alone"),
        ("pools", "a factory is a name in a module: write e.g. `pools:make`"),
    ] {
        for verb in ["recommend", "run"] {
            let args = [verb, "work:wait", "--items", "items()", "--executor", factory];
            let ran = conbench(&fixtures(), &python, &args);
            let said = String::from_utf8_lossy(&ran.stderr);
            assert_eq!((ran.status.code(), said.matches("error:").count()), (Some(2), 1), "{factory}: {said}");
            assert!(said.contains(words), "{said}");
        }
    }
}

#[test]
fn a_plan_builds_nothing() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let module = "open('imported', 'w').close()\n\n\ndef make(workers):\n    raise ValueError\n";
    std::fs::write(directory.path().join("pools.py"), module).expect("written");
    let ran = conbench(directory.path(), &python, &["plan", "file-io", "--executor", "pools:make"]);
    let text = String::from_utf8_lossy(&ran.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        ran.status.success() && text.contains("what `pools:make` builds is found out before it is measured"),
        "{text}"
    );
    assert!(!directory.path().join("imported").exists());
}

#[test]
fn the_code_gives_what_a_plain_loop_gives() {
    let Some(python) = python() else { return };
    let expected: Vec<String> = (0..24).map(|item: u64| (item * item).to_string()).collect();
    let plain = "function = \"work:wait\"\n";
    let set_up = "function = \"work:checked\"\nsetup_thread = \"work:ready\"\n";
    let cases = [
        ("pools:threads", Model::Threads, true),
        ("pools.py:Plain", Model::Threads, false),
        ("pools:processes", Model::Processes, true),
    ];
    for (factory, model, is_context) in cases {
        for form in [plain, set_up] {
            let text =
                format!("name = \"w\"\n[[step]]\nkind = \"python\"\npath = \".\"\nitems = \"work:items\"\n{form}");
            let workload = workload::parse("w.toml", &text).expect("a workload");
            let engine =
                Engine::Own(OwnExecutor { factory: Word::of(factory), model, is_context, fixed_workers: None });
            let candidate = Candidate::new("python3", engine, Sizes { workers: Some(2), ..Sizes::default() });
            let idiom = Idiom {
                workload: &workload,
                candidate: &candidate,
                default_method: None,
                items: ItemsFound { are_called: true, ..ItemsFound::default() },
                variables: &[],
                cluster: None,
            };
            let code = idiom.code();
            let indent = if code.contains("__main__") { "    " } else { "" };
            let directory = tempfile::tempdir().expect("a directory");
            let program = directory.path().join("program.py");
            std::fs::write(&program, format!("{code}{indent}print(*results)\n")).expect("written");
            let ran = Command::new(&python).arg(&program).env("PYTHONPATH", fixtures()).output().expect("it runs");
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert_eq!(said.trim().split(' ').collect::<Vec<_>>(), expected, "{code}\n{errors}");
        }
    }
}

/// The parts of a page that are fenced as this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("a part").to_owned()).collect()
}

#[test]
fn the_examples_of_the_page_run_as_they_stand() {
    let named = std::env::var_os("CONBENCH_TEST_ENGINES_PYTHON").map(|path| Path::new(ROOT).join(path));
    let reason = "no interpreter with the packages is here: CONBENCH_TEST_ENGINES_PYTHON names one";
    assert!(named.is_some() || std::env::var_os("CONBENCH_REQUIRE_ENGINES").is_none(), "{reason}");
    let Some(python) = named.or_else(python) else { return };
    let has_packages = std::env::var_os("CONBENCH_TEST_ENGINES_PYTHON").is_some();
    let page = "docs/executors.md";
    let (modules, commands) = (blocks(page, "python"), blocks(page, "sh"));
    let modules: Vec<&String> = modules.iter().filter(|module| module.starts_with("# pools.py\n")).collect();
    assert_eq!((modules.len(), commands.len()), (3, 2));
    let one_line = commands[0].trim().strip_prefix("conbench ").expect("a command");
    let with_module = commands[1].trim().strip_prefix("conbench ").expect("a command");
    let runs = [
        (None, one_line),
        (Some(modules[0]), with_module),
        (Some(modules[1]), with_module),
        (Some(modules[2]), with_module),
    ];
    for (module, command) in runs {
        let needs_package = module.is_none_or(|text| text.contains("loky") || text.contains("pebble"));
        if needs_package && !has_packages {
            pythons::skipped("an example of docs/executors.md needs loky or pebble");
            continue;
        }
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(directory.path().join("shop")).expect("made");
        let scrape = &blocks("docs/python-functions.md", "python")[0];
        std::fs::write(directory.path().join("shop/scrape.py"), scrape).expect("written");
        if let Some(module) = module {
            std::fs::write(directory.path().join("pools.py"), module).expect("written");
        }
        let quoted = command.replace('\'', "");
        let mut args: Vec<&str> = quoted.split(' ').collect();
        args.extend(["--engines", "sequential", "--budget", "3s", "--format", "json"]);
        let ran = conbench(directory.path(), &python, &args);
        let said = String::from_utf8_lossy(&ran.stderr);
        let record = printed::record(&ran);
        let factory = if module.is_some() { "pools:make" } else { "loky:ProcessPoolExecutor" };
        let candidates = own(&record, factory);
        assert!(!candidates.is_empty(), "{said}");
        assert!(candidates.iter().all(|it| it["failure"].is_null()), "{command}: {said}");
    }
}
