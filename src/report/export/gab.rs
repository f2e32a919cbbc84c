//! What github-action-benchmark reads: entries of which more is better, and entries of which less is.
//!
//! The action reads one array a step, and which kind it is stands in the workflow. So both are members of one document,
//! under the names that the action has for them.

use serde::Serialize;

use super::ExportError;
use super::line::status;
use super::series::{Point, points};
use crate::analyze::Estimate;
use crate::report::Judged;

/// Both arrays.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::report) struct Document {
    pub(in crate::report) custom_bigger_is_better: Vec<Entry>,
    pub(in crate::report) custom_smaller_is_better: Vec<Entry>,
}

/// One figure.
#[derive(Serialize)]
pub(in crate::report) struct Entry {
    pub(in crate::report) name: String,
    pub(in crate::report) unit: &'static str,
    pub(in crate::report) value: f64,
    /// Its 95 % interval, as the action's chart shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::report) range: Option<String>,
    /// What else its chart shows.
    pub(in crate::report) extra: String,
}

/// The series of these records.
pub(super) fn text(all: &[Judged]) -> Result<String, ExportError> {
    let points = points(all);
    let document = Document {
        custom_bigger_is_better: points.iter().filter_map(throughput).collect(),
        custom_smaller_is_better: points.iter().flat_map(costs).collect(),
    };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn throughput(point: &Point<'_>) -> Option<Entry> {
    let found = point.row.throughput_per_s?;
    Some(Entry { range: Some(range(found)), ..entry(point, "throughput", "tasks/s", found.value) })
}

fn costs(point: &Point<'_>) -> impl Iterator<Item = Entry> {
    let row = point.row;
    let cpu = row.cpu_ns_per_task();
    let found = [
        ("p50", "ns", row.service.p50_ns.map(|ns| ns as f64)),
        ("p99", "ns", row.service.p99_ns.map(|ns| ns as f64)),
        ("CPU per task", "ns", cpu),
        ("memory", "bytes", row.memory_bytes.map(|bytes| bytes as f64)),
    ];
    found.into_iter().filter_map(|(what, unit, value)| Some(entry(point, what, unit, value?)))
}

fn entry(point: &Point<'_>, what: &str, unit: &'static str, value: f64) -> Entry {
    let (candidate, status) = (point.row.candidate.short(), status(&point.row.status));
    let extra = format!("candidate: {candidate}\nmodel: {}\nstatus: {status}", point.row.candidate.model());
    Entry { name: format!("{}: {what}", point.name), unit, value, range: None, extra }
}

/// An interval, as the action's chart shows it.
pub(in crate::report) fn range(found: Estimate) -> String {
    let half = (found.high - found.value).max(found.value - found.low);
    format!("± {}", to_digits(half))
}

/// Three significant digits, without a space between thousands.
fn to_digits(value: f64) -> String {
    crate::units::count(value).replace(' ', "")
}
