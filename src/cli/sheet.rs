//! Cheat sheets that were saved: `conbench report` shows them again.

use std::path::Path;

use serde_json::Value;

use super::Failure;
use super::measure::{self, VERDICT};
use crate::analyze;
use crate::cheatsheet::sheet::{FORMAT_VERSION, Sheet};
use crate::record::{self, Document};
use crate::report::Judged;

/// What sheets are called in messages.
const KIND: &str = "cheat sheet";

/// The sheet in a file, with the records of its section `choosing`; `None` where the file is no sheet.
///
/// # Errors
/// When it is a sheet of another version, or a broken one.
pub(super) fn stored(document: &mut Document) -> Result<Option<(Sheet, Vec<Judged>)>, Failure> {
    let Some(sheet) = document.take("sheet") else { return Ok(None) };
    document.check_version(KIND, FORMAT_VERSION).map_err(Failure::Read)?;
    let choosing = document.take("choosing");
    let broken = |source| Failure::Read(document.broken(KIND, source));
    let choosing = match choosing {
        Some(Value::Array(all)) => all.into_iter().map(judged).collect::<Result<_, _>>().map_err(broken)?,
        _ => Vec::new(),
    };
    Ok(Some((Sheet::read(sheet).map_err(broken)?, choosing)))
}

/// The records of a file that is no cheat sheet; `help` says what to do with one.
pub(super) fn none_but_records(path: &Path, help: &str) -> Result<Vec<Judged>, Failure> {
    let mut document = Document::open(path).map_err(Failure::Read)?;
    if document.take("sheet").is_some() {
        return Err(Failure::Usage(format!("`{}` is a cheat sheet: {help}", path.display())));
    }
    if document.take("duel").is_some() {
        return Err(Failure::Usage(format!("`{}` is a duel, which `conbench report` shows: {help}", path.display())));
    }
    measure::stored(document)
}

fn judged(mut value: Value) -> Result<Judged, serde_json::Error> {
    let verdict = record::take_beside(&mut value, VERDICT);
    let record = serde_json::from_value(value)?;
    Ok(Judged { verdict: analyze::again(&record, verdict), record })
}
