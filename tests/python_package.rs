//! The Python package beside the program: real scripts that ask the real program under real interpreters.
//!
//! `CONBENCH_TEST_PACKAGE_PYTHON` names the interpreter of an environment in which the wheel and cloudpickle are
//! installed. Without it there is a skip that is seen in the tests' output, and a failure where `CONBENCH_REQUIRE_PYTHON`
//! is set. Nothing is said about durations or winners.

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{printed, pythons};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/package");
/// No test waits longer for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sessions of several tests at once on few cores would not come far in their time.
fn turn() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A script's place: where temporary files are, which must be empty again at its end.
struct Place {
    temporary: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { temporary: tempfile::tempdir().expect("a directory") }
    }

    fn command(&self, python: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(python);
        command.args(arguments).current_dir(FIXTURES).stdin(Stdio::null());
        command.env("PYTHONPATH", format!("{ROOT}/python")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("CONBENCH", env!("CARGO_BIN_EXE_conbench")).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        command.env("TMPDIR", self.temporary.path());
        command
    }

    /// The names of what is there.
    fn left(&self) -> String {
        let entries = std::fs::read_dir(self.temporary.path()).expect("read").flatten();
        entries.map(|entry| format!("{} ", entry.path().display())).collect()
    }

    /// What a case of the script tells; nothing of it may be left.
    fn told(&self, python: &Path, arguments: &[&str]) -> Value {
        let ran = self.command(python, arguments).output().expect("it starts");
        assert_eq!(self.left(), "", "{}", errors(&ran));
        printed::document(&ran)
    }
}

fn errors(ran: &Output) -> String {
    format!("{}\n{}\n{}", ran.status, String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

/// The interpreter of the environment in which the wheel and cloudpickle are.
fn installed() -> Option<PathBuf> {
    let named = std::env::var_os("CONBENCH_TEST_PACKAGE_PYTHON").map(PathBuf::from);
    if named.is_none() {
        let reason = "no interpreter has the wheel and cloudpickle: CONBENCH_TEST_PACKAGE_PYTHON names one";
        assert!(std::env::var_os("CONBENCH_REQUIRE_PYTHON").is_none(), "{reason}");
        // Straight to the stream: what a test prints is only shown if it fails.
        let thread = std::thread::current();
        let _ = writeln!(std::io::stderr(), "SKIPPED {}: {reason}", thread.name().unwrap_or_default());
    }
    named
}

fn text<'a>(told: &'a Value, field: &str) -> &'a str {
    told[field].as_str().unwrap_or_else(|| panic!("no {field}: {told}"))
}

fn a_modules_function_is_answered(python: &Path) {
    let _turn = turn();
    let told = Place::new().told(python, &["script.py", "module"]);
    let answer = &told["record"]["records"][0]["verdict"]["groups"][0]["answer"];
    assert_eq!((&told["model"], &told["engine"]), (&answer["model"], &answer["engine"]));
    assert_eq!(told["may_cost"], answer["may_cost"]);
    assert!(["sure", "likely", "rough"].contains(&text(&told, "sureness")));
    let doubled: Vec<u64> = (0..8).map(|page| page * 2).collect();
    assert_eq!(told["results"], serde_json::json!(doubled));
    let code = text(&told, "code");
    assert!(code.contains("from shop.pages import parse\n") && code.contains("PAGES"), "{code}");
    assert!(!code.contains("import PAGES") && !code.contains("__main__:"), "{code}");
    let printed = text(&told, "printed");
    assert!(printed.starts_with("parse: use ") && printed.contains("use this"), "{printed}");
    // The table wraps it.
    let first: Vec<&str> = text(&told, "why").split_whitespace().take(4).collect();
    assert!(first.len() == 4 && printed.contains(&first.join(" ")), "{first:?}\n{printed}");
    assert!(
        text(&told, "page").starts_with("<iframe sandbox srcdoc=\"&lt;!DOCTYPE html&gt;"),
        "{}",
        &text(&told, "page")[..80]
    );
    let step = &told["record"]["records"][0]["workload"]["steps"][0];
    assert_eq!((&step["function"], &step["items"]["named"]), (&"shop.pages:parse".into(), &"__main__:PAGES".into()));
}

#[test]
fn the_oldest_answers_for_a_modules_function() {
    pythons::oldest().into_iter().for_each(|python| a_modules_function_is_answered(&python.executable));
}

#[test]
fn the_newest_answers_for_a_modules_function() {
    pythons::newest().into_iter().for_each(|python| a_modules_function_is_answered(&python.executable));
}

#[test]
fn callable_objects_cross_and_nothing_else_is_needed() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let told = Place::new().told(&python.executable, &["script.py", "partial"]);
    assert_eq!(told["failures"], serde_json::json!({}), "{told}");
}

#[test]
fn a_scripts_own_functions_and_items_cross_by_cloudpickle() {
    let Some(python) = installed() else { return };
    let _turn = turn();
    for (case, function, items) in
        [("main", "here", 4), ("spawned", "here", 4), ("with_state", "counted", 8), ("with_cache", "cached", 8)]
    {
        let told = Place::new().told(&python, &["script.py", case]);
        assert_eq!((&told["failures"], &told["items"]), (&serde_json::json!({}), &items.into()), "{told}");
        assert!(text(&told, "code").contains(function) && !text(&told, "code").contains("import main"), "{told}");
    }
}

#[test]
fn a_closure_runs_where_nothing_is_pickled() {
    let Some(python) = installed() else { return };
    let _turn = turn();
    let told = Place::new().told(&python, &["script.py", "closure"]);
    let failures = told["failures"].as_object().expect("failures");
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["ProcessPoolExecutor"], "{told}");
    let reason = failures["ProcessPoolExecutor"].as_str().expect("a reason");
    assert!(reason.contains("the function `inner` is defined inside `nested`"), "{reason}");
}

#[test]
fn without_cloudpickle_it_is_said_what_to_do() {
    let Some(python) = pythons::newest_of_all() else { return };
    // Without the packages of the environment, whichever those are.
    let told = Place::new().told(&python.executable, &["-S", "script.py", "main"]);
    assert_eq!(told["error"], "NeedsCloudpickle");
    let words = "items[0] holds `Page`, which belongs to `__main__`, which no other process can import: `pip install \
                 cloudpickle`, or put it into a module and import it from there";
    assert_eq!(text(&told, "message"), words);
}

#[test]
fn a_running_event_loop_does_not_matter() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let told = Place::new().told(&python.executable, &["script.py", "on_a_loop"]);
    assert_eq!((text(&told, "engine"), &told["sizes"][1]), ("asyncio", &4.into()));
    assert_eq!(told["results"][7], 14);
}

#[test]
fn an_executor_of_the_users_own_is_answered_and_built() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let told = Place::new().told(&python.executable, &["script.py", "own_executor"]);
    assert_eq!((text(&told, "engine"), text(&told, "model")), ("shop.pools:make", "threads"));
    assert_eq!(told["results"][7], 14);
    assert!(text(&told, "code").contains("from shop.pools import make\n"), "{told}");
}

#[test]
fn errors_are_the_programs_own() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let told = Place::new().told(&python.executable, &["script.py", "fails"]);
    assert_eq!(told["error"], "NoAnswer");
    let message = text(&told, "message");
    assert!(message.starts_with("no answer: step 1 (python): ValueError: no page 0\n"), "{message}");
    assert!(message.contains("shop/pages.py\", line ") && !message.contains("conbench_agent"), "{message}");
    let told = Place::new().told(&python.executable, &["script.py", "misspelt"]);
    assert_eq!(told["error"], "BadInput");
    let message = text(&told, "message");
    assert!(message.starts_with("invalid value 'ThreadPool' for '--engines <NAME,..>': unknown engine"), "{message}");
    assert!(!message.contains("--help"), "{message}");
}

#[test]
fn a_module_that_measures_itself_does_not_recur() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let place = Place::new();
    let ran = place.command(&python.executable, &["-c", "import recursive"]).output().expect("it starts");
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(out.starts_with("NoAnswer no answer: step 1 (python): recursive raised on import: "), "{}", errors(&ran));
    assert!(out.contains("`recommend` was called while conbench measures this code"), "{}", errors(&ran));
    assert_eq!(place.left(), "");
}

/// A session that only a signal ends, as far as its first answer.
fn endless(place: &Place, python: &Path) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut command = place.command(python, &["script.py", "endless"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut heard = Vec::new();
    // The line of progress is written over and over.
    while !String::from_utf8_lossy(&heard).contains("so far") {
        assert_ne!(said.read_until(b'\r', &mut heard).expect("a pipe"), 0, "{}", String::from_utf8_lossy(&heard));
    }
    (child, said)
}

fn signal(child: &Child, signal: Signal) {
    let process = Pid::from_raw(child.id() as i32).expect("a process");
    kill_process(process, signal).expect("it runs");
}

#[test]
fn ctrl_c_gives_the_best_answer_so_far() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let place = Place::new();
    let (mut child, mut said) = endless(&place, &python.executable);
    signal(&child, Signal::INT);
    let (mut out, mut rest) = (String::new(), String::new());
    said.read_to_string(&mut rest).expect("text");
    child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
    let status = child.wait().expect("a child");
    assert!(status.success(), "{status}: {out}{rest}");
    let told: Value = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{rest}"));
    assert_eq!((&told["interrupted"], told["engine"].is_string()), (&true.into(), true), "{told}");
    assert_eq!(place.left(), "");
}

#[test]
fn nothing_outlives_a_caller_that_is_killed() {
    let Some(python) = pythons::newest_of_all() else { return };
    let _turn = turn();
    let place = Place::new();
    let (mut child, mut said) = endless(&place, &python.executable);
    assert_ne!(place.left(), "");
    child.kill().expect("it runs");
    child.wait().expect("a child");
    // The program holds the other end until it ends itself.
    drop(child.stdout.take());
    let mut rest = Vec::new();
    said.read_to_end(&mut rest).expect("a pipe");
    let deadline = Instant::now() + PATIENCE;
    while !place.left().is_empty() {
        assert!(Instant::now() < deadline, "{}", place.left());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_wheel_has_the_program_and_runs_it() {
    let Some(python) = installed() else { return };
    let place = Place::new();
    let run = |arguments: &[&str]| {
        let mut command = place.command(&python, &["-m", "conbench_cli"]);
        // What is installed, and nothing of this checkout.
        command.env_remove("PYTHONPATH").env_remove("CONBENCH").args(arguments).output().expect("it starts")
    };
    let ran = run(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), concat!("conbench ", env!("CARGO_PKG_VERSION"), "\n"));
    let ran = run(&["recommend", "nowhere"]);
    assert_eq!(ran.status.code(), Some(2), "{}", errors(&ran));
    assert!(String::from_utf8_lossy(&ran.stderr).starts_with("error: `nowhere` is neither a file"), "{}", errors(&ran));
}

/// The contents of all fenced blocks of a page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("a part").to_owned()).collect()
}

/// Runs lines of a page as one program, beside the package that the pages speak of.
fn run_as_they_stand(python: &Path, lines: &str) {
    let _turn = turn();
    let here = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(here.path().join("shop")).expect("made");
    let scrape = &blocks("docs/python-functions.md", "python")[0];
    std::fs::write(here.path().join("shop/scrape.py"), scrape).expect("written");
    std::fs::write(here.path().join("page.py"), lines).expect("written");
    let place = Place::new();
    let mut command = place.command(python, &["page.py"]);
    let ran =
        command.current_dir(here.path()).env_remove("PYTHONPATH").env_remove("CONBENCH").output().expect("it starts");
    assert!(ran.status.success(), "{}", errors(&ran));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("use this"), "{}", errors(&ran));
    assert_eq!(place.left(), "");
}

#[test]
fn the_lines_of_the_page_run_as_they_stand() {
    let Some(python) = installed() else { return };
    let blocks = blocks("docs/python-package.md", "python");
    assert!(blocks.len() > 2, "{blocks:?}");
    // As a notebook has them: one after the other, in one program.
    run_as_they_stand(&python, &blocks.join("\n"));
}

#[test]
fn the_lines_of_the_readme_run_as_they_stand() {
    let Some(python) = installed() else { return };
    let [block] = &blocks("README.md", "python")[..] else { panic!("one block") };
    run_as_they_stand(&python, block);
}
