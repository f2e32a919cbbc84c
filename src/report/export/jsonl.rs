//! JSON Lines: an object a line, a candidate each.

use serde::Serialize;

use super::ExportError;
use super::line::{Line, lines};
use crate::report::Judged;

/// The candidates of these records; empty where there is none.
pub(super) fn text(all: &[Judged]) -> Result<String, ExportError> {
    written(lines(all))
}

/// An object a line.
pub(in crate::report) fn written<T: Serialize>(lines: impl Iterator<Item = T>) -> Result<String, ExportError> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

/// The JSON Schema of a line.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Line)
}
