//! Gates of the real program: how often one says that the same version twice has regressed, and how often it finds a tenth
//! more work, and how soon.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arms::PROGRAM;
use crate::lines::{append, read};
use crate::load::Load;
use crate::options::Options;
use crate::show::{quantile, share_with_interval, show};

/// Two versions of a task.
struct Versions {
    name: &'static str,
    /// Their targets, as files of the session's folder.
    base: &'static str,
    head: &'static str,
    /// The code at which a gate is right, or may end.
    right: &'static [i32],
    arguments: &'static [&'static str],
}

const NATIVE: [&str; 4] = ["--engines", "thread-pool", "--workers", "2"];
const PYTHON: [&str; 8] =
    ["--items", "range(64)", "--engines", "ProcessPoolExecutor", "--workers", "2", "--chunk", "4"];

const ALL: [Versions; 4] = [
    Versions { name: "native, the same twice", base: "a.toml", head: "b.toml", right: &[0, 11], arguments: &NATIVE },
    Versions { name: "native, +10 % work", base: "a.toml", head: "more.toml", right: &[10], arguments: &NATIVE },
    Versions {
        name: "CPython, the same twice",
        base: "a.py:task",
        head: "b.py:task",
        right: &[0, 11],
        arguments: &PYTHON,
    },
    Versions { name: "CPython, +10 % work", base: "a.py:task", head: "more.py:task", right: &[10], arguments: &PYTHON },
];

/// What one gate said; one line of the file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    versions: String,
    seed: u64,
    code: i32,
    rounds: u64,
    /// From the first block to the end.
    compared_s: f64,
    seconds: f64,
}

/// Runs so many gates of each, 100 unless told otherwise; those that are in the file of results already are not run again.
pub(crate) fn duel(options: &Options) -> Result<(), String> {
    let path = options.file()?;
    let mut said: Vec<Said> = read(&path)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    write(folder.path()).map_err(|error| error.to_string())?;
    let _load = Load::start(options.is_loaded)?;
    for number in 0..options.sessions.unwrap_or(100) {
        let seed = options.seed.wrapping_add(number);
        for versions in ALL.iter().filter(|versions| options.wants(versions.name)) {
            if said.iter().any(|one| one.seed == seed && one.versions == versions.name) {
                continue;
            }
            let one = gate(versions, folder.path(), seed)?;
            append(&path, &one)?;
            said.push(one);
        }
    }
    let rows = ALL.iter().filter_map(|versions| {
        let of_it: Vec<&Said> = said.iter().filter(|one| one.versions == versions.name).collect();
        (!of_it.is_empty()).then(|| row(versions, &of_it))
    });
    show(
        &[
            "gates, live",
            "gates",
            "right (95 % interval)",
            "undecided",
            "rounds",
            "compared s (median, p90)",
            "in all s",
        ],
        &rows.collect::<Vec<_>>(),
    );
    Ok(())
}

fn row(versions: &Versions, said: &[&Said]) -> Vec<String> {
    let right = said.iter().filter(|one| versions.right.contains(&one.code)).count();
    let of = |of: fn(&Said) -> f64| said.iter().map(|one| of(one)).collect::<Vec<f64>>();
    let (compared, all) = (of(|one| one.compared_s), of(|one| one.seconds));
    vec![
        versions.name.to_owned(),
        said.len().to_string(),
        share_with_interval(right, said.len()),
        said.iter().filter(|one| one.code == 11).count().to_string(),
        format!("{:.0}", quantile(&of(|one| one.rounds as f64), 0.5)),
        format!("{:.1}, {:.1}", quantile(&compared, 0.5), quantile(&compared, 0.9)),
        format!("{:.1}", quantile(&all, 0.5)),
    ]
}

/// The versions: tasks of 2 ms, and one of 2.2.
fn write(folder: &Path) -> std::io::Result<()> {
    let native =
        |time: &str| format!("name = \"task\"\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"{time}\"\n");
    let python = |rounds: u32| {
        format!(
            "def task(item):\n    total = 0\n    for number in range({rounds}):\n        total += number\n    return item\n"
        )
    };
    for (name, text) in [
        ("a.toml", native("2ms")),
        ("b.toml", native("2ms")),
        ("more.toml", native("2.2ms")),
        ("a.py", python(50_000)),
        ("b.py", python(50_000)),
        ("more.py", python(55_000)),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn gate(versions: &Versions, folder: &Path, seed: u64) -> Result<Said, String> {
    let because = |error: &dyn std::fmt::Display| format!("{}, seed {seed}: {error}", versions.name);
    let begun_ns = conbench::internal::clock::now_ns();
    let ran = Command::new(PROGRAM)
        .current_dir(folder)
        .args(["--quiet", "gate", versions.base, versions.head, "--format", "json", "--seed", &seed.to_string()])
        .args(versions.arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| because(&error))?;
    let seconds = (conbench::internal::clock::now_ns() - begun_ns) as f64 / 1e9;
    let found: Value = serde_json::from_slice(&ran.stdout)
        .map_err(|error| because(&format!("{error}: {}", String::from_utf8_lossy(&ran.stderr).trim())))?;
    let record = &found["duel"]["record"];
    let candidates = record["candidates"].as_array().into_iter().flatten();
    let blocks = candidates.flat_map(|candidate| candidate["blocks"].as_array().into_iter().flatten());
    let first_ns = blocks.filter_map(|block| block["at_ns"].as_u64()).min().unwrap_or(0);
    let elapsed_ns = record["elapsed_ns"].as_u64().unwrap_or(0);
    Ok(Said {
        versions: versions.name.to_owned(),
        seed,
        code: ran.status.code().ok_or_else(|| because(&"it was killed"))?,
        rounds: found["verdict"]["compared"][0]["figures"][0]["rounds"].as_u64().unwrap_or(0),
        compared_s: elapsed_ns.saturating_sub(first_ns) as f64 / 1e9,
        seconds,
    })
}
