//! Interpreters that behave and others that do not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::*;

/// Long enough for any answer, on a busy host too.
const LONG: Duration = Duration::from_secs(60);
/// Long enough for a script to have begun to hang.
const SHORT: Duration = Duration::from_millis(300);

/// What is found, with an agent that no other test sees.
fn asked(paths: &[PathBuf], patience: Duration) -> Found {
    find_within(paths, patience, Carried::unpack_for_a_test)
}

/// Programs that pass for interpreters.
struct Zoo {
    directory: tempfile::TempDir,
}

impl Zoo {
    fn new() -> Zoo {
        Zoo { directory: tempfile::tempdir().expect("a directory") }
    }

    /// A shell script of this name.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        self.file(name, &format!("#!/bin/sh\n{text}\n"))
    }

    /// An executable file of this name.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let draft = path.with_extension("draft");
        fs::write(&draft, text).expect("written");
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).expect("set");
        // A copy by another process: a program cannot be started while some process has it open for writing, as a
        // child that another test is just starting may have the draft.
        assert!(Command::new("cp").args([&draft, &path]).status().expect("cp starts").success());
        path
    }

    /// One whose agent says this.
    fn says(&self, name: &str, hello: &serde_json::Value) -> PathBuf {
        self.script(name, &format!("echo '{}'", serde_json::json!({ "hello": hello })))
    }
}

fn hello(version: &str) -> serde_json::Value {
    serde_json::json!({
        "protocol": crate::protocol::PROTOCOL, "language": "python", "version": version, "implementation": "CPython",
        "gil": true, "free_threaded": false, "engines": [{ "engine": "sequential" }],
        "clock_resolution_ns": 1, "clock_cost_ns": 40.0,
    })
}

/// Why this one is refused.
fn refusal(path: PathBuf, patience: Duration) -> String {
    let found = asked(std::slice::from_ref(&path), patience);
    assert_eq!(found.interpreters, []);
    let [refused] = found.refused.as_slice() else { panic!("{:?}", found.refused) };
    assert_eq!(Path::new(&refused.named), path);
    refused.reason.to_string()
}

fn names(found: &Found) -> Vec<&str> {
    assert_eq!(found.refused, []);
    found.interpreters.iter().map(|interpreter| interpreter.name.as_str()).collect()
}

#[test]
fn each_has_a_name_of_its_own() {
    let zoo = Zoo::new();
    let mut free_threaded = hello("3.13.1");
    free_threaded["free_threaded"] = true.into();
    let mut pypy = hello("3.10.14");
    pypy["implementation"] = "PyPy".into();
    let paths = [
        zoo.says("a", &hello("3.11.7")),
        zoo.says("b", &free_threaded),
        zoo.says("c", &hello("3.11.9")),
        zoo.says("d", &pypy),
        zoo.says("e", &hello("3.11.7")),
    ];
    let found = asked(&paths, LONG);
    assert_eq!(names(&found), ["python3.11", "python3.13t", "python3.11-2", "pypy3.10", "python3.11-3"]);
    let found_paths: Vec<&PathBuf> = found.interpreters.iter().map(|interpreter| &interpreter.path).collect();
    assert_eq!(found_paths, paths.iter().collect::<Vec<_>>());
}

#[test]
fn one_named_twice_is_one() {
    let zoo = Zoo::new();
    let path = zoo.says("a", &hello("3.11.7"));
    assert_eq!(names(&asked(&[path.clone(), path], LONG)), ["python3.11"]);
}

#[test]
fn start_up_code_may_print_before_the_hello() {
    let zoo = Zoo::new();
    let hello = serde_json::json!({ "hello": hello("3.12.0") });
    let path = zoo.script("noisy", &format!("echo welcome\necho; echo '{hello}'"));
    assert_eq!(names(&asked(&[path], LONG)), ["python3.12"]);
}

#[test]
fn one_that_ends_badly_is_quoted() {
    let zoo = Zoo::new();
    let path = zoo.script("ends", "echo first >&2\necho 'no module named site' >&2\necho >&2\nexit 7");
    assert_eq!(refusal(path, LONG), "it ended with status 7: no module named site");
    assert_eq!(refusal(zoo.script("mute", "exit 3"), LONG), "it ended with status 3");
    assert_eq!(refusal(zoo.script("killed", "kill -9 $$"), LONG), "it ended with signal 9");
    let old = "echo 'conbench needs CPython 3.9 or later, this is 3.8.18' >&2; exit 3";
    assert_eq!(refusal(zoo.script("old", old), LONG), "conbench needs CPython 3.9 or later, this is 3.8.18");
}

#[test]
fn one_that_hangs_is_ended_with_what_it_started() {
    let zoo = Zoo::new();
    let pids = zoo.directory.path().join("pids");
    let path =
        zoo.script("hangs", &format!("echo loading >&2; sleep 1000 & echo $$ $! > {}; sleep 1000", pids.display()));
    // Under load it may be ended before it has begun; then it is asked for longer.
    let mut patience = SHORT;
    let reason = loop {
        let reason = refusal(path.clone(), patience);
        if pids.exists() {
            break reason;
        }
        patience *= 2;
    };
    assert!(reason.starts_with("it said no hello within ") && reason.ends_with(": loading"), "{reason}");
    for pid in fs::read_to_string(pids).expect("written").split_whitespace() {
        // A kill is on its way at once, but done only when the process is scheduled; and one that is killed may be
        // left to be reaped by another process.
        let deadline = std::time::Instant::now() + LONG;
        while !matches!(state(pid), None | Some('Z' | 'X')) {
            assert!(std::time::Instant::now() < deadline, "{pid} lives on");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The state of a process, as `/proc` has it; `None` if there is none.
fn state(pid: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn one_that_leaves_a_child_with_its_pipes_is_not_waited_for() {
    let zoo = Zoo::new();
    let hello = serde_json::json!({ "hello": hello("3.11.7") });
    let path = zoo.script("parent", &format!("echo '{hello}'; sleep 1000 &"));
    assert_eq!(names(&asked(&[path], LONG)), ["python3.11"]);
}

#[test]
fn one_that_answers_something_else_is_no_python() {
    let zoo = Zoo::new();
    assert_eq!(
        refusal(zoo.script("garbage", "echo '<html>'"), LONG),
        "its answer is no hello: `<html>`; is it a Python?"
    );
    assert_eq!(
        refusal(
            zoo.script("endless", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done"),
            LONG
        ),
        "it wrote more than 1048576 bytes and no hello; is it a Python?"
    );
    let mut other = hello("3.11.7");
    other["protocol"] = 99.into();
    let reason = refusal(zoo.says("other", &other), LONG);
    assert!(reason.starts_with("its agent speaks protocol 99, and this conbench speaks "), "{reason}");
    let reason = refusal(zoo.says("unversioned", &hello("nightly")), LONG);
    assert_eq!(reason, "its answer is no hello: `version nightly`; is it a Python?");
}

#[test]
fn what_cannot_be_started_is_told() {
    let zoo = Zoo::new();
    let path = zoo.file("astray", "#!/no/such/program\n");
    assert_eq!(refusal(path, LONG), "it cannot be started: No such file or directory (os error 2)");
    let missing = zoo.directory.path().join("missing");
    let reason = "it is neither a file, nor a name on PATH, nor the directory of a virtual environment";
    assert_eq!(refusal(missing, LONG), reason);
}

#[test]
fn one_that_is_refused_does_not_keep_others_out() {
    let zoo = Zoo::new();
    let nowhere = PathBuf::from("/no/such/python");
    let paths = [zoo.script("bad", "exit 1"), zoo.says("good", &hello("3.11.7")), nowhere.clone(), nowhere];
    let found = asked(&paths, LONG);
    assert_eq!((found.interpreters.len(), found.refused.len()), (1, 2));
    let interpreter = &found.interpreters[0];
    assert!(Path::new(&interpreter.arguments()[0]).ends_with("main.py"));
    assert_eq!(
        interpreter.environment(),
        [("PYTHONHASHSEED".into(), "0".into()), ("CONBENCH_AGENT".into(), "1".into())]
    );
}

#[test]
fn a_launcher_found_on_the_path_is_passed_by_for_the_program_behind_it() {
    let of = |executable: &str| -> Hello {
        let mut hello = hello("3.11.7");
        hello["executable"] = serde_json::json!(executable);
        serde_json::from_value(hello).expect("a hello")
    };
    let chosen = |named: &str, own: Result<Hello, Refusal>| {
        behind(Path::new(named), PathBuf::from("/shims/python3"), of("/real/python3"), |_| own).0
    };
    let (shim, real) = (Path::new("/shims/python3"), Path::new("/real/python3"));
    let faster = Hello { clock_cost_ns: 1.0, ..of("/real/python3") };
    assert_eq!(chosen("python3", Ok(faster.clone())), real);
    // Who names it by its path wants what it sets.
    assert_eq!(chosen("/shims/python3", Ok(faster)), shim);
    // It sets what the interpreter needs.
    assert_eq!(chosen("python3", Ok(of("/other/python3"))), shim);
    assert_eq!(chosen("python3", Err(Refusal::NotStarted(String::new()))), shim);
}

#[test]
fn two_launchers_of_one_program_are_told_by_their_paths() {
    let zoo = Zoo::new();
    let one = zoo.says("one", &hello("3.11.7"));
    let launcher = zoo.script("launcher", &format!("exec '{}' \"$@\"", one.display()));
    assert_eq!(names(&asked(&[one, launcher], LONG)), ["python3.11", "python3.11-2"]);
}
