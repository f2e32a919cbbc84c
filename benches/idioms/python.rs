//! Engines of CPython: the code is a program that imports the task.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conbench::internal::candidate::{Candidate, Engine, Sizes};
use conbench::internal::idiom::{Idiom, ItemsFound};
use conbench::internal::workload::{self, Step, Workload};

use crate::{PROGRAM, measured, printed_of, rate_of, sizes, sizes_as_options};

const TASKS: &str = r#"
import asyncio, hashlib, time

_text = b"x" * 1500


def compute(number):
    digest = 0
    for turn in range(250):
        digest ^= hashlib.sha1(_text).digest()[0]
    return digest


def wait(number):
    time.sleep(0.008)
    return number


async def wait_async(number):
    await asyncio.sleep(0.008)
    return number


async def wait_trio(number):
    import trio

    await trio.sleep(0.008)
    return number
"#;

/// Engines with the task and the sizes that fit it.
pub(crate) const CASES: [(Engine, &str, Sizes); 21] = [
    (Engine::Sequential, "compute", sizes(None, None, None)),
    (Engine::ThreadPoolExecutor, "wait", sizes(Some(16), None, None)),
    (Engine::Thread, "wait", sizes(None, Some(16), None)),
    (Engine::Asyncio, "wait", sizes(None, Some(64), None)),
    (Engine::TaskGroup, "wait", sizes(None, Some(64), None)),
    (Engine::ProcessPoolExecutor, "compute", sizes(Some(2), None, Some(1))),
    (Engine::ProcessPoolExecutor, "compute", sizes(Some(2), None, Some(16))),
    (Engine::MultiprocessingPool, "compute", sizes(Some(2), None, Some(4))),
    (Engine::AsyncioThreads, "wait", sizes(Some(16), Some(16), None)),
    (Engine::AsyncioProcesses, "compute", sizes(Some(2), Some(4), None)),
    (Engine::Process, "compute", sizes(None, Some(2), None)),
    (Engine::ShardedAsyncio, "wait", sizes(Some(2), Some(64), None)),
    (Engine::Uvloop, "wait", sizes(None, Some(64), None)),
    (Engine::InterpreterPoolExecutor, "compute", sizes(Some(2), None, None)),
    (Engine::PoolOfThreads, "wait", sizes(Some(16), None, None)),
    (Engine::Anyio, "wait", sizes(Some(16), Some(16), None)),
    (Engine::Trio, "wait", sizes(None, Some(64), None)),
    (Engine::Gevent, "wait", sizes(None, Some(64), None)),
    (Engine::JoblibThreading, "wait", sizes(Some(16), None, Some(1))),
    (Engine::JoblibLoky, "compute", sizes(Some(2), None, Some(4))),
    (Engine::Loky, "compute", sizes(Some(2), None, Some(4))),
];

/// The tasks, beside which the programs are written.
pub(crate) fn write(place: &Path) -> std::io::Result<()> {
    std::fs::write(place.join("tasks.py"), TASKS)
}

/// What is printed of a candidate and what its code reaches, in turns.
pub(crate) fn turn(place: &Path, candidate: &Candidate, task: &str) -> Result<(f64, f64), String> {
    let of_loop = of_loop(candidate.engine, task);
    let printed = printed_rate(place, candidate, task, of_loop)?;
    let code = rate_of(printed, |items| code_s(place, candidate, task, of_loop, items))?;
    Ok((printed, code))
}

/// The task's asynchronous form, where the engine awaits one.
fn of_loop(engine: Engine, task: &str) -> Option<&'static str> {
    match engine {
        _ if task != "wait" => None,
        Engine::Asyncio | Engine::TaskGroup | Engine::Uvloop | Engine::ShardedAsyncio => Some("wait_async"),
        Engine::Trio => Some("wait_trio"),
        _ => None,
    }
}

fn python() -> PathBuf {
    std::env::var_os("CONBENCH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

fn printed_rate(place: &Path, candidate: &Candidate, task: &str, of_loop: Option<&str>) -> Result<f64, String> {
    let mut command = Command::new(PROGRAM);
    command.current_dir(place).args(["--quiet", "run", "--python-function", &format!("tasks:{task}")]);
    if let Some(of_loop) = of_loop {
        command.args(["--python-async-function", &format!("tasks:{of_loop}")]);
    }
    command.args(["--items", "range(100)", "--engines", candidate.engine.name(), "--budget", "3s"]);
    command.args(sizes_as_options(candidate.sizes));
    command.arg("--python").arg(python());
    let all = measured(&mut command)?;
    printed_of(&all)
}

/// How long the code takes over so many items.
fn code_s(place: &Path, candidate: &Candidate, task: &str, of_loop: Option<&str>, items: u64) -> Result<f64, String> {
    let of_loop = of_loop.map(|name| format!("async_function = \"tasks:{name}\"\n")).unwrap_or_default();
    let text = format!("name = \"idiom\"\n[[step]]\nkind = \"python\"\nfunction = \"tasks:{task}\"\n{of_loop}");
    let mut workload: Workload = workload::parse("idiom.toml", &text).map_err(|faults| faults.to_string())?;
    if let [Step::Python(python)] = workload.steps.as_mut_slice() {
        python.items = Some(workload::items(&format!("range({items})"))?);
    }
    let code = Idiom {
        workload: &workload,
        candidate,
        default_method: None,
        items: ItemsFound::default(),
        variables: &[],
        cluster: None,
    }
    .code();
    let program = format!(
        "import time\n\nbegun = time.perf_counter()\n{code}assert len(results) == {items}\nprint(time.perf_counter() - begun)\n"
    );
    std::fs::write(place.join("program.py"), &program).map_err(|error| error.to_string())?;
    let ran = Command::new(python()).arg("program.py").current_dir(place).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ran.stdout);
    said.trim().parse().map_err(|_| format!("{program}\n{}", String::from_utf8_lossy(&ran.stderr)))
}
