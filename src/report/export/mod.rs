//! Records in the formats of other programs: spreadsheets, test reports, and the services that keep figures over time.
//!
//! One small file a format, each a pure function of judged records. Text of foreign origin is always on one line, without
//! characters that steer a terminal or turn the direction of writing.

pub(super) mod bmf;
pub(super) mod csv;
pub(super) mod gab;
pub(super) mod github;
pub(super) mod jsonl;
pub(super) mod junit;
mod line;
mod series;
#[cfg(test)]
mod tests;

use super::Judged;

pub use jsonl::schema as jsonl_schema;

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// A row a candidate, for spreadsheets and data frames.
    Csv,
    /// A JSON object a line, a candidate each, with the members that CSV has as columns.
    Jsonl,
    /// A test report: a suite a workload, a case a runtime.
    Junit,
    /// Bencher Metric Format.
    Bmf,
    /// Markdown for the summary of a job of GitHub Actions.
    Github,
    /// What github-action-benchmark reads.
    Gab,
}

/// An export that could not be written: a fault of this program.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A figure that JSON cannot hold.
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A row that is none.
    #[error("cannot write CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// Text that XML cannot hold.
    #[error("cannot write XML: {0}")]
    Xml(#[from] quick_junit::SerializeError),
}

/// The records in this format, with a line feed at the end.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn export(format: Export, all: &[Judged]) -> Result<String, ExportError> {
    match format {
        Export::Csv => csv::text(all),
        Export::Jsonl => jsonl::text(all),
        Export::Junit => junit::text(all),
        Export::Bmf => bmf::text(all),
        Export::Github => Ok(github::text(all)),
        Export::Gab => gab::text(all),
    }
}
