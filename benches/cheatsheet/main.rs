//! `cargo bench --bench cheatsheet`: figures of the cheat sheet beside those of independent harnesses, with their ratio.
//!
//!     cargo bench --bench cheatsheet                     # five of Rust by criterion, five of Python by timeit
//!
//! Both harnesses see the code as a user writes it, in fresh processes that use one core; the sheet's figures come from the
//! real program. A second run of the sheet after the harness shows how far the machine itself has moved meanwhile.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
/// The sheet's figure over the harness's is to be within this of one.
const WITHIN: f64 = 0.15;
const GROUP: &str = "cheatsheet";
/// Has this program measure one item with criterion; its id and a directory follow.
const ONE: &str = "--one";

/// Rust's items.
const RUST: [&str; 5] = ["thread-spawn-join", "mutex-std", "channel-std", "tokio-spawn", "json-list"];

/// Python's items: the setup and the statement.
const PYTHON: [(&str, &str, &str); 5] = [
    ("thread-start-join", "from threading import Thread\ndef f(): pass", "t = Thread(target=f); t.start(); t.join()"),
    (
        "thread-pool-submit-result",
        "from concurrent.futures import ThreadPoolExecutor\ndef f(): pass\npool = ThreadPoolExecutor(2)",
        "pool.submit(f).result()",
    ),
    ("lock-uncontended", "from threading import Lock\nlock = Lock()", "with lock: pass"),
    ("queue-put-get", "import queue\nq = queue.Queue()", "q.put(1); q.get()"),
    ("pickle-bytes", "import pickle\ndata = b'x' * 2**20", "pickle.loads(pickle.dumps(data))"),
];

#[expect(clippy::print_stdout, reason = "a benchmark shows its figures")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [ONE, id, place] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return measure(id, Path::new(place));
    }
    // `cargo test --benches` only wants to know that it starts.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    use_one_core();
    let place = tempfile::tempdir().expect("a directory");
    let before = sheet();
    let mut independent: Vec<(&str, &str, f64)> = Vec::new();
    independent.extend(by_criterion(place.path()).into_iter().map(|(id, ns)| ("rust", id, ns)));
    independent.extend(PYTHON.iter().map(|(id, setup, code)| ("python", *id, by_timeit(setup, code))));
    let after = sheet();
    println!("\nitem                                 sheet ns    harness ns   ratio  within 15 %  sheet again");
    let mut met = 0;
    for (language, id, harness) in &independent {
        let figure = |sheet: &HashMap<(String, String), f64>| sheet[&((*language).to_owned(), (*id).to_owned())];
        let (first, second) = (figure(&before), figure(&after));
        // What the machine did in between meets both runs of the sheet alike.
        let own = f64::midpoint(first, second);
        let ratio = own / harness;
        let is_met = (ratio - 1.0).abs() <= WITHIN;
        met += usize::from(is_met);
        let name = format!("{language}/{id}");
        let verdict = if is_met { "yes" } else { "NO" };
        println!("{name:<34} {own:>10.1}  {harness:>12.1}  {ratio:>6.3}  {verdict:<11}  {:>6.3}", second / first);
    }
    println!("{met} of {} within {:.0} %", independent.len(), WITHIN * 100.0);
}

/// The medians of the sheet, by language and id.
fn sheet() -> HashMap<(String, String), f64> {
    let mut command = Command::new(PROGRAM);
    command.args(["cheatsheet", "threading", "multiprocessing", "asyncio", "--repetitions", "7", "--format", "json"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("it starts");
    let value: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let items = value["sheet"]["items"].as_array().expect("items");
    let figure = |timed: &Value| {
        let language = if timed["runtime"] == "rust" { "rust" } else { "python" };
        let id = timed["item"]["id"].as_str()?;
        Some(((language.to_owned(), id.to_owned()), timed["figure"]["median_ns"].as_f64()?))
    };
    items.iter().filter_map(figure).collect()
}

/// What criterion measures of the same code, each item in a fresh process, as the sheet has it: what one item leaves on the
/// heap, or a runtime with its threads, would be part of the next one's figure.
fn by_criterion(place: &Path) -> Vec<(&'static str, f64)> {
    let own = std::env::current_exe().expect("this program has a path");
    let mebibytes = serde_json::to_vec(&numbers()).expect("written").len() as f64 / 1_048_576.0;
    let measure = |id| {
        let status = Command::new(&own).arg(ONE).arg(id).arg(place).stdin(Stdio::null()).status();
        assert!(status.expect("it starts").success(), "criterion measured {id}");
        (id, median(place, id) / if id == "json-list" { mebibytes } else { 1.0 })
    };
    RUST.map(measure).to_vec()
}

fn numbers() -> Vec<u64> {
    (100_000..200_000).collect()
}

/// Has criterion measure one item.
fn measure(id: &str, place: &Path) {
    let mut criterion = Criterion::default()
        .output_directory(place)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    let mut group = criterion.benchmark_group(GROUP);
    group.bench_function(BenchmarkId::from_parameter(id), |bencher| match id {
        "thread-spawn-join" => bencher.iter(|| std::thread::spawn(|| {}).join().expect("joined")),
        "mutex-std" => {
            let lock = Mutex::new(0_u64);
            bencher.iter(|| drop(lock.lock().expect("not poisoned")));
        }
        "channel-std" => {
            let (sender, receiver) = mpsc::channel();
            bencher.iter(|| {
                sender.send(1).expect("sent");
                receiver.recv().expect("received")
            });
        }
        "tokio-spawn" => bencher.iter_custom(tokio_spawn),
        "json-list" => {
            let numbers = numbers();
            bencher.iter(|| {
                let text = serde_json::to_vec(&numbers).expect("written");
                serde_json::from_slice::<Vec<u64>>(&text).expect("read")
            });
        }
        _ => panic!("there is no item `{id}`"),
    });
    group.finish();
}

fn tokio_spawn(calls: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = Instant::now();
    runtime.block_on(async {
        for _ in 0..calls {
            tokio::spawn(async {}).await.expect("ended");
        }
    });
    start.elapsed()
}

/// Has this process and all that it starts use one core. A thread that begins on another core than its parent starts three
/// times as slowly on some hosts, and which it is changes from second to second: both harnesses measure the same case.
fn use_one_core() {
    let allowed = sched_getaffinity(None).expect("the cores are known");
    let first = (0..CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).expect("there is one");
    let mut one = CpuSet::new();
    one.set(first);
    sched_setaffinity(None, &one).expect("it may be chosen");
}

/// The median that criterion has saved, in nanoseconds.
fn median(place: &Path, id: &str) -> f64 {
    let path: PathBuf = [place, Path::new(GROUP), Path::new(id), Path::new("new/estimates.json")].iter().collect();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["median"]["point_estimate"].as_f64().expect("a number")
}

/// What `python3 -m timeit` measures of the same code: the median of its repetitions, in nanoseconds.
fn by_timeit(setup: &str, code: &str) -> f64 {
    let options = ["-m", "timeit", "-v", "-u", "nsec", "-r", "9", "-s", setup, code];
    let output = Command::new("python3").args(options).stdin(Stdio::null()).output().expect("python3 starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // `raw times: 1.2e+08 nsec, ..` is of so many loops as the last line says.
    let raw = text.lines().find_map(|line| line.strip_prefix("raw times: ")).unwrap_or_else(|| panic!("{text}"));
    let loops = text.lines().last().and_then(|line| line.split(' ').next()?.parse::<f64>().ok()).expect("loops");
    let times: Vec<f64> =
        raw.split(", ").map(|time| time.split(' ').next().unwrap_or_default().parse().expect("a number")).collect();
    conbench::internal::stats::median(&times).expect("times") / loops
}
