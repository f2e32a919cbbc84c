//! Reports as JSON: the records whole, each with its verdict, in one versioned document.

use schemars::JsonSchema;
use serde::Serialize;

use super::Judged;
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
    records: &'a [Judged],
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
    pretty(&Document { format_version: FORMAT_VERSION, records: all })
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
