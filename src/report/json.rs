//! Reports as JSON: the records whole, each with its verdict, in one versioned document.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Judged, answer, reasons, sureness};
use crate::plan::{Plan, Settings};
use crate::record::FORMAT_VERSION;
use crate::workload::Workload;

/// A file of records with their verdicts. [`crate::record::read`] reads it.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "conbench record")]
struct Document<'a> {
    /// The version of this format.
    format_version: u32,
    /// One record a workload, in the order in which they were measured.
    records: Vec<Told<'a>>,
}

/// A record with its verdict, and the words for it.
#[derive(Serialize, JsonSchema)]
struct Told<'a> {
    #[serde(flatten)]
    judged: &'a Judged,
    /// What is said of each answer, in the words of the other formats. Nothing reads it again.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    said: Vec<Said>,
}

/// What is said of the answer of one runtime.
#[derive(Serialize, JsonSchema)]
struct Said {
    /// The runtime.
    runtime: String,
    /// `sure`, `likely` or `rough`.
    sureness: &'static str,
    /// Why it is best.
    why: String,
    /// What it depends on, or what would make it surer.
    conditions: Vec<String>,
    /// The code to paste.
    code: String,
}

impl Told<'_> {
    fn of(judged: &Judged) -> Told<'_> {
        let of_group = |group: &crate::analyze::Group| {
            let found = group.answer.as_ref()?;
            Some(Said {
                runtime: group.runtime.clone(),
                sureness: sureness::word(found.sureness(judged.verdict.tolerance)),
                why: reasons::why(judged, group),
                conditions: reasons::conditions(judged, found),
                code: answer::code(judged, group).unwrap_or_default(),
            })
        };
        Told { judged, said: judged.verdict.groups.iter().filter_map(of_group).collect() }
    }
}

/// A plan of something that was not run.
#[derive(Serialize)]
struct Planned<'a> {
    format_version: u32,
    workload: &'a Workload,
    settings: &'a Settings,
    plan: &'a Plan,
}

/// The records with their verdicts.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn records(all: &[Judged]) -> Result<String, serde_json::Error> {
    pretty(&Document { format_version: FORMAT_VERSION, records: all.iter().map(Told::of).collect() })
}

/// What a session would do.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn plan(workload: &Workload, settings: &Settings, plan: &Plan) -> Result<String, serde_json::Error> {
    pretty(&Planned { format_version: FORMAT_VERSION, workload, settings, plan })
}

/// The JSON Schema of [`records`].
#[must_use]
pub fn record_schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}

fn pretty(value: &impl Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
