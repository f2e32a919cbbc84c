//! Sessions of the real program on real workloads, beside the key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use conbench::internal::analyze::{Sureness, Verdict};
use conbench::internal::candidate::Candidate;
use conbench::internal::clock::now_ns;
use serde::{Deserialize, Serialize};

use crate::arms::{PROGRAM, Stable};
use crate::ground;
use crate::key::{Key, Measured};
use crate::lines;
use crate::load::Load;
use crate::options::Options;
use crate::show::{percent, say, show};
use crate::tally::{HEADER, Session, row};
use crate::workloads::{LIVE, Live};

/// What one session said; one line of the file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    workload: String,
    seed: u64,
    named: Option<Candidate>,
    may_cost: f64,
    is_sure: bool,
    seconds: f64,
    /// Candidates that failed, with the reason: who is missing may be why another was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
}

/// Runs so many sessions of each workload that the key has, ten unless told otherwise; those that are in the file of
/// results already are not run again.
pub(crate) fn live(options: &Options) -> Result<(), String> {
    let path = options.file()?;
    let key = Key::read(&path, options.is_loaded)?;
    let results = path.with_extension("sessions.jsonl");
    let chosen: Vec<(&Live, &Measured)> =
        LIVE.iter().filter(|live| options.wants(live.name)).filter_map(|live| Some((live, key.of(live)?))).collect();
    if chosen.is_empty() {
        return Err("the key has none of these workloads: run `key` first".to_owned());
    }
    let mut said = read(&results)?;
    let stable = Stable::open()?;
    let _load = Load::start(options.is_loaded)?;
    for number in 0..options.sessions.unwrap_or(10) {
        let seed = options.seed.wrapping_add(number);
        for (live, known) in &chosen {
            let name = (live.name.to_owned(), seed);
            if said.contains_key(&name) {
                continue;
            }
            let one = session(live, &ground::runtime(live, &stable)?, seed)?;
            lines::append(&results, &one)?;
            tell(&one, known);
            said.insert(name, one);
        }
    }
    let mut groups: BTreeMap<bool, Vec<Session>> = BTreeMap::new();
    let mut rows = Vec::new();
    for (live, known) in &chosen {
        let of_it = said.values().filter(|one| one.workload == live.name);
        let sessions: Vec<Session> = of_it.map(|one| judged(one, known)).collect();
        let title = format!("{}: best {}", live.name, known.top().unwrap_or_default());
        rows.push(row(title, &sessions.iter().collect::<Vec<_>>()));
        // An odd one has no partner.
        let even = sessions.len() - sessions.len() % 2;
        groups.entry(live.is_python).or_default().extend_from_slice(&sessions[..even]);
    }
    for (is_python, sessions) in &groups {
        let title = if *is_python { "CPython" } else { "native" };
        rows.push(row(title.to_owned(), &sessions.iter().collect::<Vec<_>>()));
    }
    rows.push(row("all".to_owned(), &groups.values().flatten().collect::<Vec<_>>()));
    show(&HEADER, &rows);
    Ok(())
}

fn judged(said: &Said, known: &Measured) -> Session {
    let loss = said.named.as_ref().and_then(|named| known.loss(&named.short()));
    Session { named: said.named.clone(), loss, may_cost: said.may_cost, is_sure: said.is_sure, seconds: said.seconds }
}

fn tell(said: &Said, known: &Measured) {
    let name = said.named.as_ref().map_or_else(|| "nothing".to_owned(), Candidate::short);
    let loss = known.loss(&name).map_or_else(|| "what the key does not know".to_owned(), percent);
    let (may_cost, seconds) = (percent(said.may_cost), said.seconds);
    say(&format!("{} {}: {name}, loses {loss}, may cost {may_cost}, {seconds:.1} s", said.workload, said.seed));
}

/// What the program said of a workload.
pub(crate) struct Told {
    record: serde_json::Value,
    pub(crate) verdict: Verdict,
    pub(crate) seconds: f64,
}

/// Runs the program as a user does.
pub(crate) fn recommend(live: &Live, runtime: &str, seed: u64, options: &[&str]) -> Result<Told, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = directory.path().join("workload.toml");
    std::fs::write(&file, live.file()).map_err(|error| error.to_string())?;
    let mut program = Command::new(PROGRAM);
    program.args(["--quiet", "recommend"]).arg(&file).args(["--runtimes", runtime, "--format", "json"]);
    program.args(["--seed", &seed.to_string()]).args(options);
    let begun_ns = now_ns();
    let run = program.stdin(Stdio::null()).output();
    let run = run.map_err(|error| format!("{PROGRAM}: {error}"))?;
    let seconds = (now_ns() - begun_ns) as f64 / 1e9;
    let because = |error: String| format!("{}: {error}; {}", live.name, String::from_utf8_lossy(&run.stderr).trim());
    let document: serde_json::Value =
        serde_json::from_slice(&run.stdout).map_err(|error| because(error.to_string()))?;
    let record = document.pointer("/records/0").ok_or_else(|| because("no record".to_owned()))?;
    let verdict = Verdict::deserialize(&record["verdict"]).map_err(|error| because(error.to_string()))?;
    Ok(Told { record: record.clone(), verdict, seconds })
}

fn session(live: &Live, runtime: &str, seed: u64) -> Result<Said, String> {
    let Told { record, verdict, seconds } = recommend(live, runtime, seed, &[])?;
    let answer = verdict.groups.first().and_then(|group| group.answer.as_ref());
    let place = answer.map(|answer| &record["candidates"][answer.candidate as usize]["candidate"]);
    let named = place.map(Candidate::deserialize).transpose();
    Ok(Said {
        workload: live.name.to_owned(),
        seed,
        named: named.map_err(|error| format!("{}: {error}", live.name))?,
        // JSON has no infinity.
        may_cost: answer.map_or(1e9, |answer| answer.may_cost),
        is_sure: answer.is_some_and(|answer| answer.sureness(verdict.tolerance) == Sureness::Sure),
        seconds,
        failed: failed(&record),
    })
}

fn failed(record: &serde_json::Value) -> Vec<String> {
    let all = record["candidates"].as_array().into_iter().flatten();
    let failed = all.filter_map(|one| {
        let candidate = Candidate::deserialize(&one["candidate"]).ok()?;
        Some(format!("{}: {}", candidate.short(), one["failure"]["message"].as_str()?))
    });
    failed.collect()
}

/// What sessions named, by workload: the results that belong to this key.
pub(crate) fn named(key: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for said in read(&key.with_extension("sessions.jsonl"))?.into_values() {
        named.entry(said.workload).or_default().extend(said.named.as_ref().map(Candidate::short));
    }
    Ok(named)
}

/// The results of a file, by workload and seed; none if there is no file.
fn read(path: &Path) -> Result<BTreeMap<(String, u64), Said>, String> {
    let all: Vec<Said> = lines::read(path)?;
    Ok(all.into_iter().map(|said| ((said.workload.clone(), said.seed), said)).collect())
}
