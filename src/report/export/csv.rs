//! CSV (RFC 4180, with line feeds): a row a candidate below a header that stays. Units are in the columns' names.

use serde::Serialize;

use super::ExportError;
use super::line::{Line, lines};
use crate::report::Judged;

/// The columns: the members of a [`Line`], in their order.
pub(super) const COLUMNS: [&str; 46] = [
    "workload",
    "runtime",
    "candidate",
    "model",
    "engine",
    "start_method",
    "workers",
    "in_flight",
    "chunk",
    "library_threads",
    "status",
    "reason",
    "may_cost",
    "sureness",
    "throughput_per_s",
    "throughput_low_per_s",
    "throughput_high_per_s",
    "relative",
    "relative_low",
    "relative_high",
    "service_p50_ns",
    "service_p90_ns",
    "service_p99_ns",
    "service_p999_ns",
    "service_max_ns",
    "service_samples",
    "queueing_p50_ns",
    "queueing_p99_ns",
    "ready_ns",
    "startup_ns",
    "teardown_ns",
    "cpu_user_ns_per_task",
    "cpu_system_ns_per_task",
    "memory_bytes",
    "serialisation_bytes_per_task",
    "serialisation_ns_per_task",
    "limit_share",
    "errors",
    "blocks",
    "lives",
    "checked",
    "goal",
    "tolerance",
    "is_disturbed",
    "began_at",
    "conbench_version",
];

/// The candidates of these records; the header alone where there is none.
pub(super) fn text(all: &[Judged]) -> Result<String, ExportError> {
    let mut writer = ::csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for line in lines(all) {
        writer.serialize(for_spreadsheets(line))?;
    }
    text_of(writer)
}

/// Lines with their members' names as the header. (A header needs a line.)
pub(in crate::report) fn written<T: Serialize>(lines: impl Iterator<Item = T>) -> Result<String, ExportError> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.serialize(line)?;
    }
    text_of(writer)
}

fn text_of(writer: ::csv::Writer<Vec<u8>>) -> Result<String, ExportError> {
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The line with the texts of foreign origin such that no spreadsheet takes them for a formula.
fn for_spreadsheets(mut line: Line) -> Line {
    let texts = [
        &mut line.workload,
        &mut line.runtime,
        &mut line.candidate,
        &mut line.engine,
        &mut line.began_at,
        &mut line.conbench_version,
    ];
    texts.into_iter().chain(line.reason.as_mut()).for_each(harmless);
    line
}

/// Makes a text of foreign origin one that no spreadsheet takes for a formula.
pub(in crate::report) fn harmless(text: &mut String) {
    if text.starts_with(['=', '+', '-', '@']) {
        text.insert(0, '\'');
    }
}
