//! `cargo bench --bench tool`: what conbench itself takes beside measuring, with the targets of each figure.
//!
//! Exporters and pages are made from the stored records in `reports/`. What Python takes is measured with the package of
//! `python/` and this build of the program; `CONBENCH_PYTHON` names the interpreter.

#[path = "../common/table.rs"]
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use conbench::internal::analyze;
use conbench::internal::report::{Export, Judged, PageOptions, export, page};
use conbench::internal::stats;
use conbench::record::{self, Record};

use table::{Line, show};

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How often each is timed.
const TIMES: usize = 20;
/// The same of what takes a session.
const FEW_TIMES: usize = 5;
/// Pairs of sessions with and without progress.
const PAIRS: usize = 12;

type Fault = Box<dyn std::error::Error>;

#[expect(clippy::print_stderr, reason = "a benchmark tells what went wrong")]
fn main() -> ExitCode {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let measured: Result<Vec<Line>, Fault> = [exporters, whole_report, pages, import, overhead, drawing, progress]
        .into_iter()
        .map(|measure| measure())
        .collect();
    match measured {
        Ok(lines) => {
            show("conbench itself", &lines);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}

fn reports(name: &str) -> PathBuf {
    Path::new(ROOT).join("reports").join(name)
}

/// Thirteen workloads under two runtimes each, as `recommend` without a name measured them.
fn thirteen() -> Result<Vec<Record>, Fault> {
    Ok(record::read(&reports("choosing.json.gz"))?.records)
}

fn judged(record: Record) -> Judged {
    Judged { verdict: analyze::again(&record, None), record }
}

/// The median of what so many runs took, in ms.
fn median_ms(times: usize, run: impl FnMut(usize) -> Result<f64, Fault>) -> Result<f64, Fault> {
    let took = (0..times).map(run).collect::<Result<Vec<f64>, Fault>>()?;
    stats::median(&took).ok_or_else(|| "no runs".into())
}

fn timed_ms(run: impl FnOnce() -> Result<(), Fault>) -> Result<f64, Fault> {
    let begun = Instant::now();
    run()?;
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

fn under(what: &str, ms: f64, most_ms: f64) -> Line {
    Line {
        what: what.to_owned(),
        figure: format!("{ms:.1} ms"),
        target: format!("under {most_ms} ms"),
        met: ms < most_ms,
    }
}

fn exporters() -> Result<Line, Fault> {
    let all: Vec<Judged> = thirteen()?.into_iter().map(judged).collect();
    let every = [Export::Csv, Export::Jsonl, Export::Junit, Export::Bmf, Export::Github, Export::Gab];
    let mut slowest: f64 = 0.0;
    for format in every {
        let one = |_| timed_ms(|| export(format, &all).map(drop).map_err(Fault::from));
        slowest = slowest.max(median_ms(TIMES, one)?);
    }
    Ok(under("the slowest exporter, 13 workloads x 2 runtimes", slowest, 50.0))
}

fn whole_report() -> Result<Line, Fault> {
    let room = tempfile::tempdir()?;
    let path = room.path().join("all.json");
    std::fs::write(&path, record::contents(&reports("choosing.json.gz"))?)?;
    let ms = median_ms(TIMES, |_| {
        timed_ms(|| {
            let path = path.display().to_string();
            let ran =
                Command::new(PROGRAM).args(["report", &path, "--format", "csv"]).stdout(Stdio::null()).status()?;
            if ran.success() { Ok(()) } else { Err("report failed".into()) }
        })
    })?;
    Ok(under("the same as a command: read, judge again, write", ms, 300.0))
}

fn pages() -> Result<Line, Fault> {
    let recording = record::read(&reports("parallel-computation.json"))?;
    let all: Vec<Judged> = recording.records.into_iter().map(judged).collect();
    let candidates: usize = all.iter().map(|one| one.record.candidates.len()).sum();
    let options = PageOptions { with_record: true, home: None };
    let mut size = 0;
    let ms = median_ms(TIMES, |_| {
        timed_ms(|| {
            size = page(&all, &options)?.len();
            Ok(())
        })
    })?;
    let line = under(&format!("a page of {candidates} candidates"), ms, 100.0);
    let is_small = size * 30 / candidates < 200 * 1024;
    let figure = format!("{}, {} KiB", line.figure, size / 1024);
    Ok(Line { figure, target: format!("{}, 200 KiB for 30", line.target), met: line.met && is_small, ..line })
}

fn python() -> Command {
    let named = std::env::var_os("CONBENCH_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(named);
    command.env("PYTHONPATH", Path::new(ROOT).join("python")).env("CONBENCH", PROGRAM).stdin(Stdio::null());
    command
}

/// What a script of Python prints.
fn said(script: &str) -> Result<f64, Fault> {
    let ran = python().args(["-c", script]).output()?;
    let text = String::from_utf8_lossy(&ran.stdout);
    text.trim().parse().map_err(|_| format!("{text}{}", String::from_utf8_lossy(&ran.stderr)).into())
}

fn import() -> Result<Line, Fault> {
    let script =
        "import time\nbegun = time.perf_counter()\nimport conbench_cli\nprint((time.perf_counter() - begun) * 1e3)";
    Ok(under("`import conbench_cli`", median_ms(TIMES, |_| said(script))?, 30.0))
}

/// What `recommend(fn, items)` takes beside its session, less what the program takes beside one.
fn overhead() -> Result<Line, Fault> {
    let room = tempfile::tempdir()?;
    std::fs::write(room.path().join("mine.py"), "def parse(item):\n    return sum(range(20_000 + item))\n")?;
    let folder = room.path().display().to_string();
    let script = format!(
        "import sys, time\nsys.path.insert(0, {folder:?})\nfrom conbench_cli import recommend\nfrom mine import parse\n\
         begun = time.perf_counter()\n\
         answer = recommend(parse, list(range(50)), budget='2s', engines=['sequential'], progress=False)\n\
         print((time.perf_counter() - begun) * 1e3 - answer.record['records'][0]['elapsed_ns'] / 1e6)"
    );
    let of_package = median_ms(FEW_TIMES, |_| said(&script))?;
    let of_program = median_ms(FEW_TIMES, |_| beside_session(room.path()))?;
    Ok(under("`recommend(fn, items)` beside the program", of_package - of_program, 300.0))
}

/// What the program takes beside its session, in ms.
fn beside_session(folder: &Path) -> Result<f64, Fault> {
    let named = std::env::var("CONBENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let begun = Instant::now();
    let ran = Command::new(PROGRAM)
        .current_dir(folder)
        .args(["--quiet", "recommend", "mine.py:parse", "--items", "range(50)", "--engines", "sequential"])
        .args(["--budget", "2s", "--runtimes", "python", "--python", &named, "--format", "json"])
        .stdin(Stdio::null())
        .output()?;
    let took_ms = begun.elapsed().as_secs_f64() * 1e3;
    let said: serde_json::Value = serde_json::from_slice(&ran.stdout)?;
    let session_ns = said["records"][0]["elapsed_ns"].as_f64().ok_or("no session")?;
    Ok(took_ms - session_ns / 1e6)
}

/// What `conbench run` says of two threads that compute, as JSON.
fn ran(progress: &[&str]) -> Result<serde_json::Value, Fault> {
    let fixed = ["run", "--cpu", "--runtimes", "rust", "--engines", "thread-pool", "--workers", "2", "--budget", "2s"];
    let ran =
        Command::new(PROGRAM).args(fixed).args(["--format", "json"]).args(progress).stdin(Stdio::null()).output()?;
    Ok(serde_json::from_slice(&ran.stdout)?)
}

/// The CPU time of telling progress, which is between blocks, beside the session's time.
fn drawing() -> Result<Line, Fault> {
    let said = ran(&["--progress", "json"])?;
    let record = &said["records"][0];
    let of = |name: &str| record[name].as_f64().ok_or_else(|| format!("no {name}"));
    let share = of("progress_cpu_ns")? / of("elapsed_ns")?;
    Ok(Line {
        what: "CPU time of telling progress, of a session".to_owned(),
        figure: format!("{:.3} %", share * 100.0),
        target: "under 0.5 %".to_owned(),
        met: share < 0.005,
    })
}

/// The throughput with progress over that without, of sessions in turns.
fn progress() -> Result<Line, Fault> {
    let throughput = |progress: &[&str]| -> Result<f64, Fault> {
        let said = ran(progress)?;
        let row = &said["records"][0]["verdict"]["groups"][0]["rows"][0];
        row["throughput_per_s"]["value"].as_f64().ok_or_else(|| "no figure".into())
    };
    let mut logs = Vec::new();
    for pair in 0..PAIRS {
        let order: [&[&str]; 2] = [&["--progress", "json"], &["--quiet"]];
        let first = throughput(order[pair % 2])?;
        let second = throughput(order[1 - pair % 2])?;
        let ratio = if pair % 2 == 0 { first / second } else { second / first };
        logs.push(ratio.ln());
    }
    let line = Line::of_ratios("throughput with progress over that without".to_owned(), &logs, 0.995);
    // Sessions spread by more than half a per cent, so that the interval says what can be told.
    let interval = stats::yuen(&logs).map(|estimate| estimate.interval(0.95).exp());
    let met = interval.is_some_and(|interval| interval.high >= 0.995 && interval.low >= 0.97);
    Ok(Line { target: "0.995 in the interval, 0.97 below it".to_owned(), met, ..line })
}
