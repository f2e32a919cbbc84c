//! JSON Lines: an object a line, a candidate each.

use super::ExportError;
use super::line::{Line, lines};
use crate::report::Judged;

/// The candidates of these records; empty where there is none.
pub(super) fn text(all: &[Judged]) -> Result<String, ExportError> {
    let mut text = String::new();
    for line in lines(all) {
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
