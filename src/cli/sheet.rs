//! Cheat sheets that were saved: `conbench report` shows them again.

use std::path::Path;

use serde_json::Value;

use super::Failure;
use super::measure::VERDICT;
use crate::analyze;
use crate::cheatsheet::sheet::{FORMAT_VERSION, Sheet};
use crate::record::{self, StoreError};
use crate::report::Judged;

/// The sheet in a file, with the records of its section `choosing`; `None` where the file is no sheet, or cannot be read:
/// whoever reads it as a record says why.
///
/// # Errors
/// When it is a sheet of another version, or a broken one.
pub(super) fn stored(path: &Path) -> Result<Option<(Sheet, Vec<Judged>)>, Failure> {
    let Some(mut value) = record::contents(path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok())
    else {
        return Ok(None);
    };
    let Some(sheet) = value.get_mut("sheet").map(Value::take) else { return Ok(None) };
    let name = path.display().to_string();
    let found = value.get("format_version").and_then(Value::as_u64).unwrap_or_default();
    if found != u64::from(FORMAT_VERSION) {
        return Err(Failure::Read(StoreError::Version { path: name, found }));
    }
    let broken = |source| Failure::Read(StoreError::Format { path: name.clone(), source });
    let choosing = match value.get_mut("choosing").map(Value::take) {
        Some(Value::Array(all)) => all.into_iter().map(judged).collect::<Result<_, _>>().map_err(broken)?,
        _ => Vec::new(),
    };
    Ok(Some((serde_json::from_value(sheet).map_err(broken)?, choosing)))
}

fn judged(mut value: Value) -> Result<Judged, serde_json::Error> {
    let verdict = record::take_beside(&mut value, VERDICT);
    let record = serde_json::from_value(value)?;
    Ok(Judged { verdict: analyze::again(&record, verdict), record })
}
