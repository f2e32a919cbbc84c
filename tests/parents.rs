//! Lives that are forks of a warm parent: what they answer, and that nothing of them survives.

mod common;

use std::fs::read_to_string;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::pythons::{self, PACKAGE, Python};
use common::{job, printed};
use conbench::internal::candidate::{Candidate, Engine, StartMethod};
use conbench::internal::clock::now_ns;
use conbench::internal::guard::Guard;
use conbench::internal::protocol::{BlockKind, Go, Hello, Job, Reply, Request};
use conbench::internal::session::AgentProgram;
use conbench::internal::session::error::AgentError;
use conbench::internal::session::link::Link;
use conbench::internal::session::parent::Parent;
use conbench::internal::workload::{Check, Cpu, Items, Kernel, Python as UserCode, Step, Work};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const MINUTE_NS: u64 = 60_000_000_000;

/// Tells what a process finds where it runs; nothing of it may depend on how the agent began.
const FACTS: &str = r#"
import gc, multiprocessing, os, resource, signal, sys, threading
from multiprocessing import forkserver, resource_tracker

def seen(item):
    with open("/proc/self/status") as file:
        status = dict(line.split(None, 1) for line in file if line.startswith(("Sig", "NoNew", "Umask")))
    # (A thread that watches the first task may be there or not; the C library's own signals are its business.)
    signals = [int(status[name], 16) & 0xFFFFFFFF for name in ("SigBlk:", "SigIgn:", "SigCgt:")]
    main = sys.modules["__main__"]
    is_main = threading.current_thread() is threading.main_thread()
    # (Others see what was just opened beside them.)
    is_alone = is_main and multiprocessing.parent_process() is None
    now = multiprocessing.current_process()
    return "\n".join(map(repr, [
        item, sys.argv, is_alone and getattr(sys, "orig_argv", None), sys.path, sys.flags, sys._xoptions, sys.getrecursionlimit(),
        is_alone and depth(), main.__name__, getattr(main, "__file__", None), getattr(main, "__spec__", None) is None, os.getcwd(),
        sorted(os.environ.items()), hash("a text"), is_alone and sorted(os.listdir("/proc/self/fd"), key=int),
        [os.readlink(f"/proc/self/fd/{fd}").partition(":")[0] for fd in range(3)], [os.get_inheritable(fd) for fd in range(3)],
        [(stream.encoding, stream.errors, stream.line_buffering) for stream in (sys.stdin, sys.stdout, sys.stderr)],
        [signal.getsignal(number) for number in signal.valid_signals()], signals, status["NoNewPrivs:"], status["Umask:"],
        is_main, threading.main_thread().native_id == os.getpid(),
        gc.get_freeze_count(), gc.isenabled(), gc.get_threshold(), os.getpgid(0) == os.getpid(), os.nice(0),
        sorted(os.sched_getaffinity(0)), [resource.getrlimit(one) for one in range(10)], now.name.partition("-")[0], len(now.authkey),
        multiprocessing.parent_process() is None, multiprocessing.active_children(),
    ]))

def depth():
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1
    return count
"#;

/// Leaves a process that leaves its session, notes its number in the file beside this one, and what it was.
const RUNAWAY: &str = r#"
import os, subprocess, sys, time

def leave(item):
    child = subprocess.Popen(["setsid", "sleep", "600"], stdin=-3, stdout=-3, stderr=-3)
    with open(os.path.join(os.path.dirname(__file__), "pids"), "a") as file:
        file.write(f"{child.pid}\n{os.getpid()}\n")
    return item

def hang(item):
    leave(item)
    print("the last words", flush=True)
    time.sleep(600)
"#;

struct Bench {
    program: AgentProgram,
    interrupted: Arc<AtomicBool>,
    parent: Parent,
    guard: Guard,
    room: tempfile::TempDir,
}

fn program(python: &Python) -> AgentProgram {
    AgentProgram {
        runtime: "python".to_owned(),
        program: python.executable.clone(),
        arguments: vec![Path::new(PACKAGE).join("main.py").into()],
        parent_argument: Some("parent".into()),
        environment: [("PYTHONHASHSEED", "0"), ("PYTHONDONTWRITEBYTECODE", "1")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        directory: None,
    }
}

impl Bench {
    fn new(python: &Python) -> Bench {
        let room = tempfile::tempdir().expect("a directory");
        let mut guard = Guard::start(Path::new(common::CONBENCH), room.path()).expect("a guard");
        let interrupted = Arc::new(AtomicBool::new(false));
        let program = program(python);
        let parent = Parent::start(&mut guard, &program, &interrupted).expect("a parent");
        Bench { program, interrupted, parent, guard, room }
    }

    fn warm(&self) -> Link {
        Link::fork(&self.guard, &self.parent, Arc::clone(&self.interrupted)).expect("it forks")
    }

    fn cold(&mut self) -> Link {
        Link::start(&mut self.guard, &self.program, Arc::clone(&self.interrupted)).expect("it starts")
    }
}

fn hello(link: &mut Link) -> Hello {
    match link.exchange(None, MINUTE_NS, "at its start", None) {
        Ok(Reply::Hello(hello)) => hello,
        other => panic!("not a hello: {other:?}"),
    }
}

fn ask(link: &mut Link, request: &Request) -> Reply {
    link.exchange(Some(request), MINUTE_NS, "in a test", None).unwrap_or_else(|fault| panic!("{request:?}: {fault:?}"))
}

fn job_of(engine: Engine, start_method: Option<StartMethod>, steps: Vec<Step>) -> Job {
    let mut job = job(engine, 2, steps);
    let axes = engine.axes();
    job.candidate = Candidate { runtime: "python".to_owned(), start_method, ..job.candidate };
    job.candidate.sizes.in_flight = axes.in_flight.then_some(4);
    job.candidate.sizes.chunk = axes.chunk.then_some(2);
    job
}

/// A step that calls `function` of the user's module in `directory`.
fn code(directory: &Path, function: &str) -> Step {
    Step::Python(UserCode {
        function: Some(function.to_owned()),
        items: Some(Items::Listed(vec![serde_json::json!(1), serde_json::json!(2)])),
        path: directory.to_str().expect("UTF-8").to_owned(),
        check: Check::Results,
        ..UserCode::default()
    })
}

/// Has an agent become this candidate. Returns its processes.
fn begin(link: &mut Link, job: Job) -> Vec<u32> {
    match ask(link, &Request::Job(Box::new(job))) {
        Reply::Ready(ready) => ready.pids,
        other => panic!("not ready: {other:?}"),
    }
}

/// The checksum and the results of a block of four tasks.
fn verified(link: &mut Link) -> (u64, Vec<u64>) {
    let go = Go { block: 1, kind: BlockKind::Verify, window_ns: 0, first_index: 0, most_tasks: Some(4) };
    match ask(link, &Request::Go(go)) {
        Reply::Block(block) => (block.checksum, block.results),
        other => panic!("not a block: {other:?}"),
    }
}

fn end(mut link: Link, name: &str) {
    match ask(&mut link, &Request::Bye {}) {
        Reply::Bye(ended) => assert_eq!(ended.left_behind, [], "{name}"),
        other => panic!("{name}: {other:?}"),
    }
    assert_eq!(link.leftover(Duration::from_secs(10)), 0, "{name}");
}

fn lives(pid: u32) -> bool {
    read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn until_gone(what: &str, pids: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(Instant::now() < deadline, "still there: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).expect("a process"), Signal::KILL).expect("it was there");
}

/// A life that hangs in a block, and the processes that belong to it; its own is the last of them.
fn hanging(bench: &Bench) -> (Link, Vec<u32>) {
    let mut link = bench.warm();
    hello(&mut link);
    std::fs::write(bench.room.path().join("runaway.py"), RUNAWAY).expect("writes");
    let pids = bench.room.path().join("pids");
    let _ = std::fs::remove_file(&pids);
    let job = job_of(Engine::Sequential, None, vec![code(bench.room.path(), "runaway:hang")]);
    let fault = link.exchange(Some(&Request::Job(Box::new(job))), 300_000_000_u64, "in a test", None);
    let mut noted: Vec<u32> = Vec::new();
    while noted.len() < 2 {
        noted = read_to_string(&pids).unwrap_or_default().lines().flat_map(str::parse).collect();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(fault, Err(AgentError::Failed(_))), "{fault:?}");
    (link, noted)
}

#[test]
fn a_fork_does_what_a_new_process_does_in_every_engine() {
    let stage = tempfile::tempdir().expect("a directory");
    std::fs::write(stage.path().join("facts.py"), FACTS).expect("writes");
    for python in pythons::pythons() {
        let mut bench = Bench::new(python);
        let offered = hello(&mut bench.cold());
        let kernel = Work::Cpu(Cpu { kernel: Kernel::Sort, input_bytes: 512, time_ns: None });
        let all = Some(python) == pythons::pythons().last();
        let some = [Engine::Sequential, Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor, Engine::Asyncio];
        let engines = offered.engines.iter().map(|offer| offer.engine);
        for engine in engines.filter(|engine| all || some.contains(engine)) {
            let methods: Vec<_> = StartMethod::ALL.into_iter().map(Some).collect();
            for method in if engine.has_start_method() { methods } else { vec![None] } {
                let name = format!("{python} {engine} {method:?}");
                let mut steps = vec![code(stage.path(), "facts:seen")];
                if engine != Engine::InterpreterPoolExecutor {
                    steps.extend([Step::Lock { hold: kernel }, Step::Queue { capacity: 4, stage: kernel }]);
                }
                let of = |mut link: Link| {
                    let clock_cost_ns = offered.clock_cost_ns;
                    assert_eq!(Hello { clock_cost_ns, ..hello(&mut link) }, offered, "{name}");
                    begin(&mut link, job_of(engine, method, steps.clone()));
                    let found = verified(&mut link);
                    end(link, &name);
                    found
                };
                assert_eq!(of(bench.cold()), of(bench.warm()), "{name}");
            }
        }
    }
}

#[test]
fn lives_differ_in_what_must_not_be_the_same() {
    const RANDOM: &str = "import multiprocessing, os, random, tempfile, uuid\nKEY = multiprocessing.current_process().authkey\n\
         def draw(item): return [random.random(), str(uuid.uuid4()), KEY.hex(), next(tempfile._get_candidate_names())]\n";
    let Some(python) = pythons::newest_of_all() else { return };
    let bench = Bench::new(python);
    std::fs::write(bench.room.path().join("luck.py"), RANDOM).expect("writes");
    let draw = || {
        let mut link = bench.warm();
        hello(&mut link);
        begin(&mut link, job_of(Engine::Sequential, None, vec![code(bench.room.path(), "luck:draw")]));
        verified(&mut link).1
    };
    assert_ne!(draw(), draw());
}

#[test]
fn a_life_that_dies_says_how_with_its_last_words() {
    let Some(python) = pythons::newest_of_all() else { return };
    let bench = Bench::new(python);
    let (mut link, pids) = hanging(&bench);
    let mut other = bench.warm();
    hello(&mut other);
    kill(pids[1]);
    let fault = link.exchange(None, MINUTE_NS, "in a test", None);
    let Err(AgentError::Failed(failed)) = fault else { panic!("{fault:?}") };
    assert_eq!(failed.message, "the agent ended with signal 9 (SIGKILL) in a test; its last output: the last words");
    assert_eq!(link.leftover(Duration::ZERO), 1, "what left its session is below its guard, and nothing else is");
    until_gone("what a life left", &pids);
    end(other, "another life goes on");
}

#[test]
fn nothing_outlives_the_link_whoever_died_before() {
    let Some(python) = pythons::newest_of_all() else { return };
    for victim in ["nobody", "the parent", "the guard"] {
        let bench = Bench::new(python);
        let (mut link, pids) = hanging(&bench);
        let guard = link.guard().pid();
        match victim {
            "the parent" => kill(bench.parent.pid()),
            "the guard" => kill(guard),
            _ => {}
        }
        if victim == "the guard" {
            // Its agent dies with it; what that left goes to the guard above, and with that one.
            until_gone("the agent", &pids[1..]);
            drop(link);
            bench.guard.close().expect("it ends");
        } else {
            assert!(pids.iter().all(|pid| lives(*pid)), "{victim}");
            drop(link);
        }
        until_gone(victim, &[pids, vec![guard]].concat());
    }
}

#[test]
fn a_parent_ends_with_its_socket() {
    let Some(python) = pythons::newest_of_all() else { return };
    let Bench { parent, guard, .. } = Bench::new(python);
    let pid = parent.pid();
    drop(parent);
    until_gone("the parent", &[pid]);
    drop(guard);
}

/// The controller that the test below kills.
#[test]
#[ignore = "is started by `a_killed_controller_leaves_neither_parents_nor_lives`"]
fn controller() {
    let room = PathBuf::from(std::env::var_os("PARENTS_ROOM").expect("the room is given"));
    let Some(python) = pythons::newest_of_all() else { return };
    let bench = Bench::new(python);
    let (mut link, mut pids) = hanging(&bench);
    pids.extend([bench.parent.pid(), link.guard().pid(), bench.guard.pid()]);
    let lines: Vec<String> = pids.iter().map(u32::to_string).collect();
    std::fs::write(room.join("draft"), lines.join("\n")).expect("writes");
    std::fs::rename(room.join("draft"), room.join("all")).expect("renames");
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_killed_controller_leaves_neither_parents_nor_lives() {
    if pythons::newest_of_all().is_none() {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let mut controller = Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "controller"])
        .env("PARENTS_ROOM", room.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !room.path().join("all").exists() {
        assert!(Instant::now() < deadline, "still waiting for the lives");
        std::thread::sleep(Duration::from_millis(5));
    }
    let all = read_to_string(room.path().join("all")).expect("reads");
    let pids: Vec<u32> = all.lines().flat_map(str::parse).collect();
    assert!(pids.len() == 5 && pids.iter().all(|pid| lives(*pid)), "{pids:?}");
    controller.kill().expect("SIGKILL");
    controller.wait().expect("reaped");
    until_gone("what a killed controller left", &pids);
}

/// The record of a session of this workload under an interpreter: for each candidate, whether each of its lives
/// was warm, and the lives whose memory was measured.
fn session(python: &Python, file: &str) -> Vec<(String, Vec<bool>, Vec<usize>)> {
    let room = tempfile::tempdir().expect("a directory");
    std::fs::write(room.path().join("load.toml"), file).expect("writes");
    let output = Command::new(common::CONBENCH)
        .args(["run", "load.toml", "--budget", "5s", "--runtimes", "python", "--format", "json"])
        .args(["--engines", "sequential,ThreadPoolExecutor", "--python"])
        .arg(&python.executable)
        .current_dir(room.path())
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the binary starts");
    let record = printed::record(&output);
    let candidates = record["candidates"].as_array().expect("candidates");
    let life = |place: &Value| place["life"].as_u64().expect("a number") as usize;
    candidates
        .iter()
        .map(|one| {
            assert!(one["failure"].is_null(), "{one}");
            let [lives, blocks] = ["lives", "blocks"].map(|list| one[list].as_array().expect("a list"));
            (
                one["candidate"]["engine"].as_str().expect("a name").to_owned(),
                lives.iter().map(|life| life["warm"] == true).collect(),
                blocks.iter().filter(|block| block["kind"] == "memory").map(life).collect(),
            )
        })
        .collect()
}

#[test]
fn a_session_starts_each_engine_cold_once_and_measures_memory_of_cold_lives_alone() {
    let Some(python) = pythons::newest_of_all() else { return };
    let computes = "[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\n";
    let found = session(python, computes);
    let warm = found.iter().flat_map(|(_, lives, _)| lives).filter(|warm| **warm).count();
    assert!(warm > 0, "{found:?}");
    for engine in ["sequential", "ThreadPoolExecutor"] {
        let lives = found.iter().filter(|(name, ..)| name == engine).flat_map(|(_, lives, _)| lives);
        assert!(lives.clone().any(|warm| !warm), "{engine}: {found:?}");
    }
    assert!(found.iter().all(|(_, lives, measured)| measured.iter().all(|life| !lives[*life])), "{found:?}");
    assert!(found.iter().any(|(_, _, measured)| !measured.is_empty()), "{found:?}");

    let found = session(python, &format!("{computes}[objective]\ngoal = \"memory\"\n"));
    assert!(found.iter().all(|(_, lives, _)| !lives.contains(&true)), "{found:?}");
}

#[test]
#[ignore = "prints times, and asserts nothing"]
fn times() {
    for python in pythons::pythons() {
        let begun_ns = now_ns();
        let mut bench = Bench::new(python);
        let parent_ms = (now_ns() - begun_ns) as f64 / 1e6;
        let steps = vec![Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 64, time_ns: None })];
        for engine in [Engine::Sequential, Engine::ThreadPoolExecutor, Engine::Asyncio, Engine::ProcessPoolExecutor] {
            for warm in [false, true] {
                let (mut boots, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..20 {
                    let begun_ns = now_ns();
                    let mut link = if warm { bench.warm() } else { bench.cold() };
                    hello(&mut link);
                    boots.push((now_ns() - link.started_ns()) as f64 / 1e6);
                    begin(&mut link, job_of(engine, None, steps.clone()));
                    starts.push((now_ns() - begun_ns) as f64 / 1e6);
                    let ending_ns = now_ns();
                    ask(&mut link, &Request::Bye {});
                    drop(link);
                    ends.push((now_ns() - ending_ns) as f64 / 1e6);
                }
                for times in [&mut boots, &mut starts, &mut ends] {
                    times.sort_by(f64::total_cmp);
                }
                writeln!(
                    std::io::stderr(),
                    "{python} {engine:?} warm={warm}: hello {:.1} ms, all to ready {:.1} ms, end {:.1} ms (parent {parent_ms:.0} ms)",
                    boots[10], starts[10], ends[10]
                ).expect("standard error");
            }
        }
    }
}
