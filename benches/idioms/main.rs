//! `cargo bench --bench idioms`: the code that answers show, beside the rate that is printed for its candidate.
//!
//!     cargo bench --bench idioms                     # all engines, some ten minutes
//!     cargo bench --bench idioms -- Executor         # those whose names contain this
//!
//! Engines that the interpreter lacks are named, and left out; `CONBENCH_PYTHON` names another. `--features compio` adds compio.
//!
//! A rate is that of many tasks: the code runs over so many items and over three times as many, and what both need for
//! their start cancels. Code and candidate take turns, so that what the host does meets both.

mod native;
mod python;

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use conbench::internal::candidate::{Candidate, RUST, Sizes};
use conbench::internal::stats;
use serde_json::Value;

// The code that is shown calls them from here.
use native::{async_task, line_task, task};

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
/// Turns of code and candidate.
const TURNS: usize = 3;
/// About how long the shorter run of the code takes, in seconds.
const SHORT_S: f64 = 0.5;
/// The code's rate over the printed one is to be within this of one.
const WITHIN: f64 = 0.05;

const fn sizes(workers: Option<u32>, in_flight: Option<u32>, chunk: Option<u32>) -> Sizes {
    Sizes { workers, in_flight, chunk }
}

/// What is printed of a candidate, and what its code reaches.
type Turn<'a> = Box<dyn Fn() -> Result<(f64, f64), String> + 'a>;

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a benchmark shows its figures")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    if native::works(&arguments) {
        return ExitCode::SUCCESS;
    }
    let filter = arguments.first().map_or("", String::as_str);
    let place = tempfile::tempdir().expect("a directory");
    python::write(place.path()).expect("written");
    native::write(place.path()).expect("written");
    println!("candidate                               printed/s    code/s   ratio  within 5 %");
    let (mut met, mut all) = (0, 0);
    for (candidate, turn) in cases(place.path()).iter().filter(|(one, _)| one.engine.name().contains(filter)) {
        match medians(turn) {
            Ok((printed, code)) => {
                let ratio = code / printed;
                let is_met = (ratio - 1.0).abs() <= WITHIN;
                (met, all) = (met + u32::from(is_met), all + 1);
                let word = if is_met { "yes" } else { "NO" };
                println!("{:38}  {printed:9.1}  {code:8.1}  {ratio:6.3}  {word}", candidate.to_string());
            }
            Err(error) => eprintln!("{candidate}: {error}"),
        }
    }
    println!("{met} of {all}");
    ExitCode::SUCCESS
}

fn cases(place: &Path) -> Vec<(Candidate, Turn<'_>)> {
    let of_python = python::CASES.into_iter().map(|(engine, task, sizes)| {
        let candidate = Candidate::new("python", engine, sizes);
        let one = candidate.clone();
        (candidate, Box::new(move || python::turn(place, &one, task)) as Turn<'_>)
    });
    let of_rust = native::cases().into_iter().map(|(engine, run)| {
        // The sizes that are written in the code.
        let candidate = Candidate::new(RUST, engine, engine.axes().sizes(2, 3, 1));
        let one = candidate.clone();
        (candidate, Box::new(move || native::turn(place, &one, run)) as Turn<'_>)
    });
    of_python.chain(of_rust).collect()
}

/// The medians of the turns.
fn medians(turn: &Turn<'_>) -> Result<(f64, f64), String> {
    let turns = (0..TURNS).map(|_| turn()).collect::<Result<Vec<(f64, f64)>, String>>()?;
    let (printed, code): (Vec<f64>, Vec<f64>) = turns.into_iter().unzip();
    stats::median(&printed).zip(stats::median(&code)).ok_or_else(|| "no turns".to_owned())
}

/// The rate of code that takes so many seconds over so many items, where it is about `expected` per second.
fn rate_of(expected: f64, seconds: impl Fn(u64) -> Result<f64, String>) -> Result<f64, String> {
    let few = (expected * SHORT_S).ceil() as u64;
    let (short_s, long_s) = (seconds(few)?, seconds(3 * few)?);
    Ok((2 * few) as f64 / (long_s - short_s))
}

fn sizes_as_options(sizes: Sizes) -> Vec<String> {
    let all = [("--workers", sizes.workers), ("--in-flight", sizes.in_flight), ("--chunk", sizes.chunk)];
    let named = all.into_iter().filter_map(|(option, size)| Some([option.to_owned(), size?.to_string()]));
    named.flatten().collect()
}

/// What `conbench run` says, as JSON.
fn measured(command: &mut Command) -> Result<Value, String> {
    let ran = command.args(["--format", "json"]).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    serde_json::from_slice(&ran.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&ran.stderr).trim()))
}

/// The rate that it prints for its one candidate.
fn printed_of(said: &Value) -> Result<f64, String> {
    let row = &said["records"][0]["verdict"]["groups"][0]["rows"][0];
    row["throughput_per_s"]["value"].as_f64().ok_or_else(|| format!("no figure: {row}"))
}
