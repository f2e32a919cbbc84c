//! The sheet as JSON, in one versioned document.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cheatsheet::sheet::{FORMAT_VERSION, Sheet};
use crate::report::Judged;

/// A cheat sheet that was measured.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "conbench cheat sheet")]
struct Document<'a> {
    /// The version of this format.
    format_version: u32,
    /// What each tool costs, and its pitfalls.
    sheet: &'a Sheet,
    /// The records of the section `choosing`, with their verdicts.
    choosing: &'a [Judged],
}

/// The sheet, and what the shipped workloads say.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn cheatsheet_json(sheet: &Sheet, choosing: &[Judged]) -> Result<String, serde_json::Error> {
    let document = Document { format_version: FORMAT_VERSION, sheet, choosing };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The JSON Schema of [`cheatsheet_json`].
#[must_use]
pub fn cheatsheet_schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}
