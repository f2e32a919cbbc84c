//! Nothing survives: real guards, real processes, real signals.

mod common;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::pythons;
use conbench::internal::guard::{Child, Guard, Status, Wiring};

/// Starts processes that try to get away, notes their numbers in `$PIDS`, and stays.
const RUNAWAYS: &str = r#"
trap '' HUP INT TERM
(setsid sh -c 'echo $$ >> "$PIDS"; exec sleep 600' &)
(setsid sh -c 'echo $$ >> "$PIDS"; kill -STOP $$; sleep 600' &)
(env -i PIDS="$PIDS" PATH="$PATH" setsid sh -c 'trap "" TERM HUP; echo $$ >> "$PIDS"; exec sleep 600' &)
sleep 600 &
echo $! >> "$PIDS"
echo $$ >> "$PIDS"
wait
"#;
const RUNAWAY_COUNT: usize = 5;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_conbench"))
}

fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "still waiting: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn noted(pids: &Path) -> Option<Vec<i32>> {
    let text = std::fs::read_to_string(pids).ok()?;
    let numbers: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    (numbers.len() >= RUNAWAY_COUNT && text.ends_with('\n')).then_some(numbers)
}

fn lives(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}/stat")).exists()
}

fn shell(guard: &mut Guard, script: &str, pids: &Path) -> (Child, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let null = File::open("/dev/null").expect("the null device");
    let argv = [OsStr::new("/bin/sh"), OsStr::new("-c"), OsStr::new(script)];
    let env = [(OsStr::new("PIDS"), pids.as_os_str())];
    let child = guard
        .spawn(&argv, &env, Wiring::Standard, &[null.as_fd(), writer.as_fd(), writer.as_fd()])
        .expect("a shell starts");
    (child, reader)
}

/// The controller that the test below kills.
#[test]
#[ignore = "is started by `a_killed_controller_leaves_nothing`"]
fn controller() {
    let room = PathBuf::from(std::env::var_os("SURVIVAL_ROOM").expect("the room is given"));
    let mut guard = Guard::start(program(), &room).expect("a guard");
    let directory = guard.directory().expect("a directory").to_owned();
    std::fs::write(directory.join("data"), "left behind").expect("writes");
    let mut nested = guard.nested().expect("a nested guard");
    let _child = shell(&mut nested, RUNAWAYS, &room.join("pids"));
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_killed_controller_leaves_nothing() {
    let room = tempfile::tempdir().expect("a directory");
    let mut controller = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "controller"])
        .env("SURVIVAL_ROOM", room.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let pids = until("the runaways", || noted(&room.path().join("pids")));
    assert!(pids.iter().all(|pid| lives(*pid)));
    let directories = || std::fs::read_dir(room.path()).expect("reads").flatten().filter(|e| e.path().is_dir()).count();
    assert_eq!(directories(), 1);
    controller.kill().expect("SIGKILL");
    controller.wait().expect("reaped");
    until("the end of all runaways", || pids.iter().all(|pid| !lives(*pid)).then_some(()));
    until("the directory's end", || (directories() == 0).then_some(()));
}

/// Runs a session that has a folder for temporary files to itself, in which nothing may be left.
fn leaves_no_file(mut session: Command) {
    let room = tempfile::tempdir().expect("a directory");
    session.env("TMPDIR", room.path()).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    let ran = session.output().expect("runs");
    assert!(matches!(ran.status.code(), Some(0 | 4)), "{}", String::from_utf8_lossy(&ran.stderr));
    let left: Vec<_> = std::fs::read_dir(room.path()).expect("reads").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What `multiprocessing` itself removes only when an interpreter exits as a program's does.
#[test]
fn workers_of_no_start_method_leave_a_file() {
    let Some(python) = pythons::newest_of_all() else { return };
    let mut session = Command::new(program());
    session.args(["run", "parallel-computation", "--engines", "ProcessPoolExecutor,multiprocessing.Pool"]);
    session
        .args(["--start-methods", "forkserver,spawn", "--budget", "2s", "--quiet", "--python"])
        .arg(&python.executable);
    leaves_no_file(session);
}

/// The scratch directory of a module, which Python removes when a program exits.
#[test]
fn what_a_module_removes_at_exit_is_removed_after_every_life() {
    let Some(python) = pythons::newest_of_all() else { return };
    let code = tempfile::tempdir().expect("a directory");
    let program = "import os, tempfile\nscratch = tempfile.TemporaryDirectory()\nitems = list(range(8))\n\
                   def task(item):\n    os.stat(scratch.name)\n    return sum(range(20_000))\n";
    std::fs::write(code.path().join("scratch.py"), program).expect("writes");
    let mut session = Command::new(self::program());
    session.current_dir(code.path()).args(["recommend", "scratch.py:task", "--items", "scratch:items"]);
    session.args(["--engines", "sequential,ThreadPoolExecutor,ProcessPoolExecutor", "--budget", "2s", "--quiet"]);
    session.args(["--start-methods", "fork", "--python"]).arg(&python.executable);
    leaves_no_file(session);
}

#[test]
fn what_cleans_up_after_others_is_not_counted_among_the_killed() {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let null = File::open("/dev/null").expect("the null device");
    let descriptors = [null.as_fd(), null.as_fd(), null.as_fd()];
    let mut start = |name| {
        let argv = ["/bin/sh", "-c", "kill -STOP $$; exit 0", name].map(OsStr::new);
        guard.spawn(&argv, &[], Wiring::Standard, &descriptors).expect("starts").pid
    };
    let pids = [start("other"), start("resource_tracker")];
    let state = |pid: u32| procfs::process::Process::new(pid as i32).and_then(|p| p.stat()).map(|stat| stat.state).ok();
    until("both stand", || pids.iter().all(|pid| state(*pid) == Some('T')).then_some(()));
    assert_eq!(guard.kill(Duration::ZERO).expect("answers"), 1);
    guard.close().expect("ends");
}

#[test]
fn each_nested_guard_ends_its_own_and_counts_them() {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let (mut one, mut other) = (guard.nested().expect("a guard"), guard.nested().expect("a guard"));
    let (first, second) = (room.path().join("first"), room.path().join("second"));
    let _kept = (shell(&mut one, RUNAWAYS, &first), shell(&mut other, RUNAWAYS, &second));
    let (first, second) = (until("the first", || noted(&first)), until("the second", || noted(&second)));
    // The shell's own `sleep` and the subshells that wait are below, too.
    assert!(one.kill(Duration::ZERO).expect("answers") as usize >= RUNAWAY_COUNT);
    assert!(first.iter().all(|pid| !lives(*pid)));
    assert!(second.iter().all(|pid| lives(*pid)));
    assert_eq!(one.kill(Duration::ZERO).expect("answers"), 0);
    other.close().expect("ends");
    assert!(second.iter().all(|pid| !lives(*pid)));
    let directory = guard.directory().expect("a directory").to_owned();
    assert!(directory.is_dir());
    guard.close().expect("ends");
    assert!(!directory.exists());
}

#[test]
fn ends_are_told_and_stopping_stops() {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let nowhere = room.path().join("pids");
    let (fine, _) = shell(&mut guard, "exit 3", &nowhere);
    assert_eq!(guard.status(fine.pid, Duration::from_secs(60)), Some(Status::Exit(3)));
    let (killed, _) = shell(&mut guard, "kill -ABRT $$", &nowhere);
    assert_eq!(guard.status(killed.pid, Duration::from_secs(60)), Some(Status::Signal(6)));

    let (talker, mut output) = shell(&mut guard, "while :; do echo talk; sleep 0.01; done", &nowhere);
    output.read_exact(&mut [0; 5]).expect("it talks");
    guard.stop().expect("answers");
    let state = || procfs::process::Process::new(talker.pid as i32).and_then(|p| p.stat()).map(|stat| stat.state).ok();
    // A shell whose child was stopped between `vfork` and `exec` waits for it in the kernel: it stands still, too.
    let stands = || matches!(state(), Some('T' | 'D'));
    until("a stopped process", || stands().then_some(()));
    guard.resume().expect("answers");
    until("a running process", || (!stands()).then_some(()));
    guard.close().expect("ends");
    assert_eq!(state(), None);
}

#[test]
fn a_fork_bomb_ends() {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let mut nested = guard.nested().expect("a guard");
    // Each generation ends as the next one begins, so that there is never anything to catch by its number.
    let relay = r#"relay() { (relay &) ; exit; }; echo on; relay"#;
    let (_, mut output) = shell(&mut nested, relay, &room.path().join("pids"));
    output.read_exact(&mut [0; 2]).expect("it began");
    nested.kill(Duration::ZERO).expect("it ends");
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).expect("all ends of its output are closed");
}

#[test]
fn what_cannot_start_is_named() {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let (_reader, writer) = std::io::pipe().expect("a pipe");
    let ends = [writer.as_fd(), writer.as_fd(), writer.as_fd()];
    let error = guard.spawn(&[OsStr::new("/nowhere/program")], &[], Wiring::Agent, &ends).expect_err("there is none");
    assert_eq!(error.to_string(), "cannot start `/nowhere/program`: No such file or directory (os error 2)");
    let error = Guard::start(program(), Path::new("/nowhere")).expect_err("no directory can be made there");
    assert!(error.to_string().contains("/nowhere"), "{error}");
}

/// Makes what has a name on the host, tells it, and stays.
const NAMED: &str = r#"
import multiprocessing, sys, time
from multiprocessing import shared_memory
lock = multiprocessing.get_context("spawn").Lock()
memory = shared_memory.SharedMemory(create=True, size=64)
with open(sys.argv[1], "w") as file:
    file.write(f"sem.{lock._semlock.name[1:]} {memory.name.lstrip('/')}\n")
time.sleep(600)
"#;

#[test]
fn what_processes_named_on_the_host_is_removed_with_them() {
    let Some(python) = pythons::newest_of_all() else { return };
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(program(), room.path()).expect("a guard");
    let names = room.path().join("names");
    let null = File::open("/dev/null").expect("the null device");
    let argv = [python.executable.as_os_str(), OsStr::new("-c"), OsStr::new(NAMED), names.as_os_str()];
    guard.spawn(&argv, &[], Wiring::Standard, &[null.as_fd(); 3]).expect("it starts");
    let told = until("names", || std::fs::read_to_string(&names).ok().filter(|text| text.ends_with('\n')));
    let files: Vec<PathBuf> = told.split_whitespace().map(|name| Path::new("/dev/shm").join(name)).collect();
    assert!(files.len() == 2 && files.iter().all(|file| file.exists()), "{files:?}");
    // Between its blocks an agent stands still, with all that is below it.
    guard.stop().expect("it stops");
    guard.kill(Duration::ZERO).expect("answers");
    assert!(files.iter().all(|file| !file.exists()), "{files:?}");
    guard.close().expect("ends");
}
