//! `cargo bench --bench programs`: programs of the kinds that users bring, measured by the real program with its default
//! budget, beside what is right for them on two cores and a CPython with a GIL.
//!
//!     cargo bench --bench programs                       # each once, some five minutes
//!     cargo bench --bench programs -- --sessions 10      # each ten times
//!     cargo bench --bench programs -- held               # those whose names contain this
//!     cargo bench --bench programs -- --results FILE     # keeps what each session came to, and goes on from there
//!     CONBENCH_PYTHON=/usr/bin/python3.13 cargo bench --bench programs
//!
//! Programs that compute with numpy are skipped, with a word, where the interpreter has none.
//!
//! A session is right when the answer is one of those that are right, and tells its cause when its reasons, conditions
//! or warnings do. It ends with 1 where a wrong answer was called sure, fewer than 68 of 70 sessions were right, or one
//! took longer than its budget and 15 s.

#[path = "../common/lines.rs"]
mod lines;
mod programs;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use programs::{PROGRAMS, Program};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const CODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/programs/code");
/// An answer that may cost at most this is called sure.
const SURE: f64 = 0.05;
/// A session's budget, and what hangs may cost beside it.
const LONGEST_S: f64 = 20.0 + 15.0;

#[expect(clippy::print_stderr, reason = "a benchmark says what fails")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let value = |option: &str| {
        let at = arguments.iter().position(|argument| argument == option)?;
        arguments.get(at + 1)
    };
    let sessions = value("--sessions").and_then(|number| number.parse().ok()).unwrap_or(1);
    let filter = arguments.first().filter(|argument| !argument.starts_with('-')).map_or("", String::as_str);
    match all(filter, sessions, value("--results").map(Path::new)) {
        Ok(sum) if sum.is_met() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs so many sessions of each program whose name contains `filter`, without those that the file of results holds.
#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a benchmark shows its figures")]
fn all(filter: &str, sessions: u64, results: Option<&Path>) -> Result<Tally, String> {
    let known: Vec<Said> = results.map(lines::read).transpose()?.unwrap_or_default();
    let mut sum = Tally::default();
    println!("program           right    cause told  wrong and sure  longest s  answers");
    for program in PROGRAMS.iter().filter(|program| program.name.contains(filter)) {
        if !has(program.needs) {
            println!("{:16}  skipped: {} has no {}", program.name, interpreter().display(), program.needs);
            continue;
        }
        let mut tally = Tally::default();
        for seed in 1..=sessions {
            if let Some(said) = known.iter().find(|one| one.program == program.name && one.seed == seed) {
                tally.take(said);
                continue;
            }
            match session(program, seed) {
                Ok(said) => {
                    if let Some(path) = results {
                        lines::append(path, &said)?;
                    }
                    tally.take(&said);
                }
                Err(error) => eprintln!("{}: {error}", program.name),
            }
        }
        println!("{}", tally.row(program.name, sessions));
        sum.add(&tally);
    }
    println!("{}", sum.row("all", sum.sessions));
    Ok(sum)
}

/// What a session came to; one line of the file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    program: String,
    seed: u64,
    /// What was named.
    named: String,
    is_right: bool,
    tells_cause: bool,
    /// What it may cost at most, as the answer says it.
    may_cost: Option<f64>,
    seconds: f64,
}

impl Said {
    fn of(program: &Program, seed: u64, record: &Value, seconds: f64) -> Said {
        let answer = &record["verdict"]["groups"][0]["answer"];
        Said {
            program: program.name.to_owned(),
            seed,
            named: named(answer),
            is_right: (program.is_right)(answer),
            tells_cause: program.cause.is_empty() || tells(record, program.cause),
            may_cost: answer["may_cost"].as_f64(),
            seconds,
        }
    }

    fn is_sure(&self) -> bool {
        self.may_cost.is_some_and(|most| most <= SURE)
    }
}

#[derive(Default)]
struct Tally {
    sessions: u64,
    right: u64,
    causes: u64,
    wrong_and_sure: u64,
    longest_s: f64,
    answers: Vec<String>,
}

impl Tally {
    fn take(&mut self, said: &Said) {
        self.sessions += 1;
        self.right += u64::from(said.is_right);
        self.causes += u64::from(said.tells_cause);
        self.wrong_and_sure += u64::from(!said.is_right && said.is_sure());
        self.longest_s = self.longest_s.max(said.seconds);
        if !self.answers.contains(&said.named) {
            self.answers.push(said.named.clone());
        }
    }

    fn add(&mut self, other: &Tally) {
        self.sessions += other.sessions;
        self.right += other.right;
        self.causes += other.causes;
        self.wrong_and_sure += other.wrong_and_sure;
        self.longest_s = self.longest_s.max(other.longest_s);
    }

    /// Whether what these sessions came to is good enough.
    fn is_met(&self) -> bool {
        self.wrong_and_sure == 0 && self.right * 70 >= self.sessions * 68 && self.longest_s <= LONGEST_S
    }

    fn row(&self, name: &str, of: u64) -> String {
        let Tally { right, causes, wrong_and_sure, longest_s, answers, .. } = self;
        let answers = answers.join(", ");
        format!("{name:16}  {right:3} of {of:<3} {causes:7}     {wrong_and_sure:11}     {longest_s:8.1}  {answers}")
    }
}

fn named(answer: &Value) -> String {
    let engine = answer["engine"].as_str().unwrap_or("nothing");
    let method = answer["start_method"].as_str().map(|method| format!("@{method}")).unwrap_or_default();
    let sizes: String = [("workers", 'w'), ("in_flight", 'f'), ("chunk", 'c')]
        .iter()
        .filter_map(|(field, letter)| Some(format!(" {letter}{}", answer[field].as_u64()?)))
        .collect();
    let threads = answer["library_threads"].as_u64().map(|threads| format!(" t{threads}")).unwrap_or_default();
    format!("{engine}{method}{sizes}{threads}")
}

/// Whether a reason, a condition or a warning of this kind is told.
fn tells(record: &Value, cause: &str) -> bool {
    let answer = &record["verdict"]["groups"][0]["answer"];
    let lists =
        [("reason", &answer["reasons"]), ("condition", &answer["conditions"]), ("warning", &record["warnings"])];
    let is_it = |tag: &str, it: &Value| it[tag] == cause || it["note"].get(cause).is_some();
    lists.iter().any(|(tag, list)| list.as_array().is_some_and(|all| all.iter().any(|it| is_it(tag, it))))
}

fn session(program: &Program, seed: u64) -> Result<Said, String> {
    let _server = program.server.map(|(file, argument)| Server::start(file, argument)).transpose()?;
    let room = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = room.path().join("workload.toml");
    let text = program.toml.replace("CODE", CODE);
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new(PROGRAM);
    command.args(["--quiet", "recommend"]).arg(&file).args(["--format", "json", "--seed", &seed.to_string()]);
    command.args(["--python".into(), interpreter()]);
    let begun = Instant::now();
    let ran = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let seconds = begun.elapsed().as_secs_f64();
    let mut all: Value = serde_json::from_slice(&ran.stdout)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&ran.stderr).trim()))?;
    Ok(Said::of(program, seed, &all["records"][0].take(), seconds))
}

fn interpreter() -> PathBuf {
    std::env::var_os("CONBENCH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
}

/// Whether the interpreter can import a package.
fn has(package: &str) -> bool {
    let mut command = Command::new(interpreter());
    command.args(["-c", &format!("import {package}")]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    package.is_empty() || command.status().is_ok_and(|status| status.success())
}

/// What a program's tasks talk to.
struct Server(Child);

impl Server {
    fn start(file: &str, argument: &str) -> Result<Server, String> {
        let mut command = Command::new(interpreter());
        command.arg(Path::new(CODE).join(file)).arg(argument);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{file}: {error}"))?;
        // What it complains of when clients leave must not fill the pipe.
        if let Some(errors) = child.stderr.take() {
            std::thread::spawn(move || BufReader::new(errors).lines().map_while(Result::ok).for_each(drop));
        }
        std::thread::sleep(Duration::from_millis(500));
        Ok(Server(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
