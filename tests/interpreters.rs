//! The real binary with real interpreters of Python, and with programs that only pass for one.
//!
//! What needs a Python takes the `python3` on `PATH`. Without one such a test says so and ends, unless
//! `CONBENCH_REQUIRE_PYTHON` is set.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Files of one test, and a cache of its own.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A program that passes for an interpreter.
    fn script(&self, name: &str, text: &str) -> String {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.draft")));
        std::fs::write(&draft, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&draft, Permissions::from_mode(0o755)).expect("set");
        // A copy by another process: a program cannot be started while some process has it open for writing, as a
        // child that another test is just starting may have the draft.
        assert!(Command::new("cp").args([&draft, &path]).status().expect("cp starts").success());
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Makes a virtual environment of this interpreter's.
    fn environment(&self, python: &str) -> String {
        let path = self.path("venv");
        let made = Command::new(python).args(["-m", "venv", "--without-pip"]).arg(&path).status();
        assert!(made.expect("python starts").success(), "this python3 has no venv module");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Runs with this search path.
    fn run_with(&self, search_path: Option<&str>, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
        command.args(args).stdin(Stdio::null()).current_dir(self.directory.path());
        command.env("XDG_CACHE_HOME", self.path("cache")).env("NO_COLOR", "1");
        if let Some(search_path) = search_path {
            command.env("PATH", search_path);
        }
        let output = command.output().expect("the binary starts");
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.run_with(None, args)
    }

    /// What `conbench host` knows of these interpreters.
    fn host(&self, pythons: &[&str]) -> Value {
        let named = pythons.iter().flat_map(|python| ["--python", python]);
        let args: Vec<&str> = ["host", "--format", "json"].into_iter().chain(named).collect();
        let ran = self.run(&args);
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
        serde_json::from_str(&ran.out).expect("JSON alone")
    }
}

/// The absolute path of the Python of this machine, without what a version manager may have put before it.
fn python() -> Option<String> {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).stdin(Stdio::null()).output();
    let path = asked.ok().filter(|asked| asked.status.success()).and_then(|asked| String::from_utf8(asked.stdout).ok());
    if path.is_none() {
        assert!(std::env::var_os("CONBENCH_REQUIRE_PYTHON").is_none(), "there is no python3 on PATH");
        // A skip that nobody sees passes for a success.
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: there is no python3 on PATH").expect("standard error");
    }
    path.map(|path| path.trim().to_owned())
}

fn runtimes(plan: &Ran) -> Vec<String> {
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    let plan: Value = serde_json::from_str(&plan.out).expect("JSON alone");
    let entries = plan["plan"]["entries"].as_array().expect("entries");
    let mut names: Vec<String> =
        entries.iter().map(|entry| entry["runtime"].as_str().expect("a name").to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn two_interpreters_of_one_version_have_two_names() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let further = place.environment(&python);
    let seen = place.host(&[&python, &further]);
    let names: Vec<&str> = seen["interpreters"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["name"].as_str().expect("a name"))
        .collect();
    assert!(names[0].starts_with("python3."), "{names:?}");
    assert_eq!(names, [names[0].to_owned(), format!("{}-2", names[0])]);
    assert_eq!(seen["refused"], serde_json::json!([]));
    let hello = &seen["interpreters"][0]["hello"];
    assert_eq!(hello["language"], "python");
    assert!(hello["start_methods"].as_array().is_some_and(|methods| !methods.is_empty()), "{hello}");
    assert!(hello["event_loops"].as_array().is_some_and(|loops| loops.contains(&"asyncio".into())), "{hello}");
}

#[test]
fn a_virtual_environment_is_named_by_its_directory_and_not_left() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let named = place.environment(&python);
    let seen = place.host(&[&named]);
    assert_eq!(seen["refused"], serde_json::json!([]));
    let inside = place.path("venv/bin/python3");
    assert_eq!(seen["interpreters"][0]["path"], inside.to_str().expect("UTF-8"));
    let executable = seen["interpreters"][0]["hello"]["executable"].as_str().expect("a path");
    assert!(Path::new(executable).starts_with(&named), "{executable}");
}

#[test]
fn an_interpreter_that_is_too_old_says_so() {
    let place = Place::new();
    let old = ["python2.7", "python3.6", "python3.7", "python3.8"].into_iter().find(|old| {
        let version = Command::new(old).arg("--version").stdin(Stdio::null()).output();
        version.is_ok_and(|version| version.status.success())
    });
    let Some(old) = old else {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: no Python older than 3.9 is on PATH").expect("standard error");
        return;
    };
    let seen = place.host(&[old]);
    let reason = seen["refused"][0]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("conbench needs CPython 3.9 or later, this is "), "{reason}");
}

#[test]
fn the_default_interpreter_takes_part_and_may_be_kept_out() {
    let Some(_) = python() else { return };
    let place = Place::new();
    let all = runtimes(&place.run(&["plan", "file-io", "--format", "json"]));
    assert!(all.len() == 2 && all[0] == "rust" && all[1].starts_with("python3."), "{all:?}");
    let plan = |which: &str| runtimes(&place.run(&["plan", "file-io", "--format", "json", "--runtimes", which]));
    assert_eq!(plan("rust"), ["rust"]);
    assert_eq!(plan("python"), [all[1].clone()]);
    assert_eq!(plan(&all[1]), [all[1].clone()]);
    assert_eq!(plan("python,rust"), all);
}

#[test]
fn a_further_runtime_gets_more_time() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let further = place.environment(&python);
    let budget = |args: &[&str]| {
        let ran = place.run(&[["plan", "file-io", "--format", "json"].as_slice(), args].concat());
        let plan: Value = serde_json::from_str(&ran.out).expect("JSON alone");
        plan["settings"]["budget_ns"].as_u64().expect("a number") / 1_000_000_000
    };
    assert_eq!(budget(&["--runtimes", "rust"]), 20);
    assert_eq!(budget(&["--python", &python]), 40);
    assert_eq!(budget(&["--python", &python, "--python", &further]), 60);
    assert_eq!(budget(&["--python", &python, "--runtimes", "python"]), 20);
    assert_eq!(budget(&["--python", &python, "--budget", "20s"]), 20);
}

#[test]
fn a_host_without_python_is_no_news() {
    let place = Place::new();
    let ran = place.run_with(Some("/no/such/directory"), &["plan", "file-io", "--format", "json"]);
    assert_eq!(ran.err, "");
    assert_eq!(runtimes(&ran), ["rust"]);
    assert!(!ran.out.contains("python3"), "{}", ran.out);
    assert!(!place.path("cache").exists(), "nothing is unpacked where nothing can use it");
}

#[test]
fn an_interpreter_that_was_named_and_cannot_be_used_is_told() {
    let place = Place::new();
    let broken = place.script("broken", "echo \"no module named 'encodings'\" >&2; exit 7");
    let ran = place.run(&["plan", "file-io", "--format", "json", "--python", &broken]);
    assert_eq!(
        ran.err,
        format!("warning: `{broken}` is left out: it ended with status 7: no module named 'encodings'\n")
    );
    assert_eq!(runtimes(&ran), ["rust"]);
    let plan: Value = serde_json::from_str(&ran.out).expect("JSON alone");
    assert_eq!(plan["plan"]["left_out"][0]["what"], broken);
    let reason = "it ended with status 7: no module named 'encodings'";
    assert_eq!(plan["plan"]["left_out"][0]["reason"], reason);
    let quiet = place.run(&["--quiet", "plan", "file-io", "--python", &broken]);
    assert_eq!((quiet.err.as_str(), quiet.code), ("", Some(0)));
}

#[test]
fn a_refused_interpreter_is_told_once() {
    let place = Place::new();
    let broken = place.script("broken", "exit 7");
    let python = ["--python", &broken, "--python", &broken];
    let short = ["file-io", "--runtimes", "rust,python", "--engines", "sequential", "--budget", "1s"];
    let code = ["--python-function", "shop.scrape:fetch", "--items", "[1, null]"];
    let one = ["file-io", "--budget", "1s", "--models", "sequential"];
    for args in [
        [&["plan", "file-io"][..], &python].concat(),
        [&["plan", "file-io", "--format", "json"][..], &python].concat(),
        [&["run"][..], &one, &python].concat(),
        [&["recommend"][..], &one, &python].concat(),
        [&["recommend"][..], &code, &python].concat(),
        [&["recommend"][..], &short, &python].concat(),
        [&["host"][..], &python].concat(),
    ] {
        let ran = place.run(&args);
        let told = ran.err.matches("it ended with status 7").count();
        // JSON is for programs, and not what a person reads beside it.
        let printed = if args.contains(&"json") { 0 } else { ran.out.matches("it ended with status 7").count() };
        assert_eq!(told + printed, 1, "{args:?}\n{}\n{}", ran.err, ran.out);
    }
}

#[test]
fn interpreters_are_not_asked_where_nothing_needs_them() {
    let place = Place::new();
    let told = place.path("told");
    let spy = place.script("spy", &format!("touch '{}'; exit 1", told.display()));
    for filter in [["--runtimes", "rust"], ["--engines", "thread-pool"]] {
        let ran = place.run(&[["plan", "file-io", "--python", &spy].as_slice(), &filter].concat());
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
        assert!(!told.exists(), "{filter:?}");
    }
    place.run(&["plan", "file-io", "--python", &spy]);
    assert!(told.exists());
}

#[test]
fn an_unknown_runtime_is_told_what_there_is() {
    let place = Place::new();
    let refused = |args: &[&str]| {
        let ran = place.run_with(Some("/no/such/directory"), &[["plan", "file-io"].as_slice(), args].concat());
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
        ran.err
    };
    let missing = "  python3: it is neither a file, nor a name on PATH, nor the directory of a virtual environment\n";
    assert_eq!(
        refused(&["--runtimes", "rusty"]),
        format!(
            "error: unknown runtime `rusty`, did you mean `rust`?\n  found: rust (--python PATH names an interpreter)\n{missing}"
        )
    );
    assert_eq!(refused(&["--runtimes", "python"]), format!("error: there is no runtime of Python:\n{missing}"));
}

#[test]
fn code_needs_an_interpreter() {
    let place = Place::new();
    let code = ["--python-function", "shop.scrape:fetch", "--items", "[1, null]"];
    for verb in ["plan", "run", "recommend"] {
        let ran = place.run_with(Some("/no/such/directory"), &[[verb].as_slice(), &code].concat());
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{}", ran.err);
        assert_eq!(
            ran.err,
            "error: `fetch` calls `fetch`, which is Python, and there is no interpreter for it:\n  python3: it is neither a file, nor a name on PATH, nor the directory of a virtual environment\n  name one with --python PATH\n"
        );
    }
    let ran = place.run(&[["plan", "--runtimes", "rust"].as_slice(), &code].concat());
    assert_eq!(
        ran.err,
        "error: `fetch` calls `fetch`, which is Python, and --runtimes or --engines leave no Python: rust cannot run it\n"
    );
}

#[test]
fn code_is_planned_without_a_file() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let args =
        ["--python", &python, "--python-function", "shop.scrape:fetch", "--python-async-function", "shop:afetch"];
    let more = ["--items", "[1, null]", "--setup", "shop:setup", "--format", "json", "--runtimes", "python"];
    let ran = place.run(&[["plan"].as_slice(), &args, &more].concat());
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
    let mut plan: Value = serde_json::from_str(&ran.out).expect("JSON alone");
    assert_eq!(plan["workload"]["name"], "fetch");
    let path = plan["workload"]["steps"][0].as_object_mut().expect("a step").remove("path").expect("a path");
    let here = place.directory.path().canonicalize().expect("a path");
    assert_eq!(path.as_str().map(Path::new), Some(here.as_path()));
    assert_eq!(
        plan["workload"]["steps"],
        serde_json::json!([{
            "kind": "python", "function": "shop.scrape:fetch", "async_function": "shop:afetch", "setup": "shop:setup",
            "items": { "listed": [1, null] }, "check": "results",
        }])
    );
}

#[test]
fn a_name_that_is_no_function_is_refused() {
    let place = Place::new();
    let ran = place.run(&["plan", "--python-function", "shop.scrape.fetch"]);
    assert!(ran.err.contains("`shop.scrape.fetch` is not a name in a module"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}
