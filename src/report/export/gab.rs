//! What github-action-benchmark reads: entries of which more is better, and entries of which less is.
//!
//! The action reads one array a step, and which kind it is stands in the workflow. So both are members of one document,
//! under the names that the action has for them.

use serde::Serialize;

use super::ExportError;
use super::line::status;
use super::series::{Point, points};
use crate::report::Judged;

/// Both arrays.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    custom_bigger_is_better: Vec<Entry>,
    custom_smaller_is_better: Vec<Entry>,
}

/// One figure.
#[derive(Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    /// Its 95 % interval, as the action's chart shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    /// What else its chart shows.
    extra: String,
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
    let half = (found.high - found.value).max(found.value - found.low);
    let range = Some(format!("± {}", to_digits(half)));
    Some(Entry { range, ..entry(point, "throughput", "tasks/s", found.value) })
}

fn costs(point: &Point<'_>) -> impl Iterator<Item = Entry> {
    let row = point.row;
    let cpu = row.cpu_user_ns_per_task.zip(row.cpu_system_ns_per_task).map(|(user, system)| user + system);
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

/// Three significant digits, without a space between thousands.
fn to_digits(value: f64) -> String {
    crate::report::units::count(value).replace(' ', "")
}
