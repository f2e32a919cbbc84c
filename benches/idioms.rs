//! `cargo bench --bench idioms`: the code that answers show, beside the rate that is printed for its candidate.
//!
//!     cargo bench --bench idioms                     # all engines of CPython, some three minutes
//!     cargo bench --bench idioms -- Executor         # those whose names contain this
//!
//! A rate is that of many tasks: the code runs over so many items and over three times as many, and what both need for
//! their start cancels. Code and candidate take turns, so that what the host does meets both.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use conbench::candidate::{Candidate, Engine, Sizes};
use conbench::idiom::Idiom;
use conbench::workload::{self, Step, Workload};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
/// Turns of code and candidate.
const TURNS: usize = 3;
/// About how long the shorter run of the code takes, in seconds.
const SHORT_S: f64 = 0.5;
/// The code's rate over the printed one is to be within this of one.
const WITHIN: f64 = 0.05;

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
"#;

/// Engines with the task and the sizes that fit it.
const CASES: [(Engine, &str, Sizes); 10] = [
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
];

const fn sizes(workers: Option<u32>, in_flight: Option<u32>, chunk: Option<u32>) -> Sizes {
    Sizes { workers, in_flight, chunk }
}

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a benchmark shows its figures")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let filter = arguments.first().map_or("", String::as_str);
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join("tasks.py"), TASKS).expect("written");
    println!("candidate                               printed/s    code/s   ratio  within 5 %");
    let (mut met, mut all) = (0, 0);
    for (engine, task, sizes) in CASES.iter().filter(|(engine, ..)| engine.name().contains(filter)) {
        let candidate = Candidate::new("python", *engine, *sizes);
        match compare(place.path(), &candidate, task) {
            Ok((printed, code)) => {
                let ratio = code / printed;
                let is_met = (ratio - 1.0).abs() <= WITHIN;
                (met, all) = (met + u32::from(is_met), all + 1);
                let word = if is_met { "yes" } else { "NO" };
                println!("{:38}  {printed:9.1}  {code:8.1}  {ratio:6.3}  {word}", candidate.short());
            }
            Err(error) => eprintln!("{}: {error}", candidate.short()),
        }
    }
    println!("{met} of {all}");
    ExitCode::SUCCESS
}

/// The medians of what is printed of a candidate, and of what its code reaches.
fn compare(place: &Path, candidate: &Candidate, task: &str) -> Result<(f64, f64), String> {
    let has_async_form = task == "wait" && matches!(candidate.engine, Engine::Asyncio | Engine::TaskGroup);
    let (mut printed, mut code) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let rate = printed_rate(place, candidate, task, has_async_form)?;
        printed.push(rate);
        code.push(code_rate(place, candidate, task, has_async_form, rate)?);
    }
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    Ok((median(&mut printed), median(&mut code)))
}

fn python() -> PathBuf {
    std::env::var_os("CONBENCH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

fn printed_rate(place: &Path, candidate: &Candidate, task: &str, has_async_form: bool) -> Result<f64, String> {
    let Sizes { workers, in_flight, chunk } = candidate.sizes;
    let mut command = Command::new(PROGRAM);
    command.current_dir(place).args(["--quiet", "run", "--python-function", &format!("tasks:{task}")]);
    if has_async_form {
        command.args(["--python-async-function", &format!("tasks:{task}_async")]);
    }
    command.args(["--items", "range(100)", "--engines", candidate.engine.name(), "--budget", "3s"]);
    for (option, size) in [("--workers", workers), ("--in-flight", in_flight), ("--chunk", chunk)] {
        command.args(size.map(|size| [option.to_owned(), size.to_string()]).into_iter().flatten());
    }
    let ran = command.arg("--python").arg(python()).args(["--format", "json"]).stdin(Stdio::null()).output();
    let ran = ran.map_err(|error| error.to_string())?;
    let all: Value = serde_json::from_slice(&ran.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&ran.stderr).trim()))?;
    let row = &all["records"][0]["verdict"]["groups"][0]["rows"][0];
    row["throughput_per_s"]["value"].as_f64().ok_or_else(|| format!("no figure: {row}"))
}

fn code_rate(place: &Path, candidate: &Candidate, task: &str, has_async_form: bool, rate: f64) -> Result<f64, String> {
    let few = (rate * SHORT_S).ceil() as u64;
    let short_s = code_s(place, candidate, task, has_async_form, few)?;
    let long_s = code_s(place, candidate, task, has_async_form, 3 * few)?;
    Ok((2 * few) as f64 / (long_s - short_s))
}

/// How long the code takes over so many items.
fn code_s(place: &Path, candidate: &Candidate, task: &str, has_async_form: bool, items: u64) -> Result<f64, String> {
    let of_loop = if has_async_form { format!("async_function = \"tasks:{task}_async\"\n") } else { String::new() };
    let text = format!("name = \"idiom\"\n[[step]]\nkind = \"python\"\nfunction = \"tasks:{task}\"\n{of_loop}");
    let mut workload: Workload = workload::parse("idiom.toml", &text).map_err(|faults| faults.to_string())?;
    if let [Step::Python(python)] = workload.steps.as_mut_slice() {
        python.items = Some(workload::items(&format!("range({items})"))?);
    }
    let code = Idiom {
        workload: &workload,
        candidate,
        default_method: None,
        items_are_called: false,
        items_are_mappings: false,
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
