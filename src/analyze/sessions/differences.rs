//! What of two sessions differs, as far as it changes figures.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::host::Facts;
use crate::record::Record;
use crate::workload::Workload;

/// Members of a workload that change no figure: words, and what an answer may cost.
const WORDS: [&str; 3] = ["use_case", "description", "objective.tolerance"];
/// Memory that differs by less is the same: a kernel keeps another part of it from boot to boot.
const MEMORY: f64 = 0.05;
/// Work that was calibrated to within this is the same.
const WORK: f64 = 0.05;
/// A value is shown up to so many characters.
const LONGEST: usize = 80;

/// One thing that differs between two sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// What it is of.
    pub kind: Kind,
    /// Its name: `cpu`, `load.max_in_flight`.
    pub what: String,
    /// What it was in the first session.
    pub first: String,
    /// What it was in the second.
    pub second: String,
}

/// What a difference is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The host.
    Host,
    /// The workload.
    Workload,
    /// The version of conbench, or of the runtime.
    Version,
}

/// What differs between two records, for this runtime.
pub(super) fn between(first: &Record, second: &Record, runtime: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    let pairs = |kind, one: Vec<(&str, String)>, other: Vec<(&str, String)>| {
        let differing = one.into_iter().zip(other).filter(|(one, other)| one.1 != other.1);
        differing
            .map(|((what, first), (_, second))| Difference { kind, what: what.to_owned(), first, second })
            .collect::<Vec<Difference>>()
    };
    found.extend(pairs(Kind::Host, host(&first.host), host(&second.host)));
    found.extend(memory(&first.host, &second.host));
    found.extend(workloads(&first.workload, &second.workload));
    found.extend(work(first, second, runtime));
    found.extend(pairs(Kind::Version, versions(first, runtime), versions(second, runtime)));
    found
}

/// What a host is, without what it happens to do.
fn host(facts: &Facts) -> Vec<(&'static str, String)> {
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    vec![
        ("cpu", facts.cpu.clone()),
        ("cpus_affinity", facts.cpus_affinity.to_string()),
        ("cpu_quota", facts.cpu_quota.as_ref().map_or("none".to_owned(), |quota| format!("{} cores", quota.cores))),
        ("memory_limit_bytes", facts.memory_limit_bytes.map_or("none".to_owned(), |limit| limit.to_string())),
        ("os", facts.os.clone()),
        ("kernel", facts.kernel.clone()),
        ("clock_source", known(&facts.clock_source)),
        ("governor", known(&facts.governor)),
        ("virtual_machine", known(&facts.virtual_machine.map(|it| it.to_string()))),
        ("session_directory", facts.session_directory.kind.clone()),
    ]
}

fn memory(first: &Facts, second: &Facts) -> Option<Difference> {
    let (one, other) = (first.memory_total_bytes, second.memory_total_bytes);
    let differs = one.abs_diff(other) as f64 > MEMORY * one.max(other) as f64;
    differs.then(|| Difference {
        kind: Kind::Host,
        what: "memory_total_bytes".to_owned(),
        first: one.to_string(),
        second: other.to_string(),
    })
}

/// Who measured, and what ran the tasks.
fn versions(record: &Record, runtime: &str) -> Vec<(&'static str, String)> {
    let hello = record.calibration.runtime(runtime).map(|known| &known.hello);
    let version = hello.map_or("unknown".to_owned(), |hello| hello.version.clone());
    let implementation = hello.and_then(|hello| hello.implementation.clone()).unwrap_or_default();
    let gil = hello.and_then(|hello| hello.gil).map_or("none", |is_on| if is_on { "on" } else { "off" });
    vec![
        ("conbench", record.conbench_version.clone()),
        ("runtime", format!("{implementation} {version}").trim().to_owned()),
        ("gil", gil.to_owned()),
    ]
}

fn workloads(first: &Workload, second: &Workload) -> Vec<Difference> {
    let value = |workload: &Workload| serde_json::to_value(workload).unwrap_or(Value::Null);
    let mut found = Vec::new();
    walk("", &value(first), &value(second), &mut found);
    found.retain(|difference| !WORDS.contains(&difference.what.as_str()));
    found
}

/// How often kernels run in a task, where each session calibrated a time to it: on a host whose cores change their speed
/// they may differ by half.
fn work(first: &Record, second: &Record, runtime: &str) -> Vec<Difference> {
    let iterations = |record: &Record| record.calibration.runtime(runtime).map(|known| known.iterations.clone());
    let (Some(one), Some(other)) = (iterations(first), iterations(second)) else { return Vec::new() };
    if first.workload.steps != second.workload.steps {
        return Vec::new();
    }
    let both = one.into_iter().zip(other).enumerate();
    both.filter(|(_, (one, other))| one.abs_diff(*other) as f64 > WORK * *one.max(other) as f64)
        .map(|(step, (one, other))| Difference {
            kind: Kind::Workload,
            what: format!("steps.{step}.iterations"),
            first: one.to_string(),
            second: other.to_string(),
        })
        .collect()
}

/// Every leaf that differs, by its path.
fn walk(path: &str, first: &Value, second: &Value, found: &mut Vec<Difference>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (first, second) {
        (one, other) if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
            names.sort();
            names.dedup();
            let value = |of: &serde_json::Map<String, Value>, name: &String| of.get(name).cloned().unwrap_or_default();
            for name in names {
                walk(&below(name), &value(one, name), &value(other, name), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                walk(&below(&at.to_string()), one, other, found);
            }
        }
        (one, other) => {
            let (first, second) = (shown(one), shown(other));
            found.push(Difference { kind: Kind::Workload, what: path.to_owned(), first, second });
        }
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(all) => format!("{} of them", all.len()),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain("..".chars()).collect() }
}
