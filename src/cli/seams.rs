//! Where the command line meets the rooms below it: one function a call.

use std::path::Path;

use crate::analyze::Verdict;
use crate::candidate::nearest;
use crate::host::{self, Facts};
use crate::plan::{self, Plan, Settings};
use crate::record::Record;
use crate::session::{self, Observer, Session, SessionError};
use crate::workload::{Workload, load, shipped};

use super::failure::Failure;

/// A workload that the command line names: a file, or one that is shipped.
///
/// # Errors
/// Every fault of the file; or that there is neither a file nor a shipped workload of that name.
pub(super) fn workload(named: &Path, colour: bool) -> Result<Workload, Failure> {
    let name = named.to_str().unwrap_or_default();
    let is_word = !name.is_empty() && !name.contains('/') && !name.ends_with(".toml");
    if !is_word || named.exists() {
        return load(named).map_err(|faults| Failure::Rendered(faults.render(colour)));
    }
    if let Some(found) = shipped::find(name) {
        return found.parse().map_err(|faults| Failure::Rendered(faults.render(colour)));
    }
    let known: Vec<&str> = shipped::ALL.iter().map(|shipped| shipped.name).collect();
    let hint = nearest(name, &known).map_or_else(
        || "`conbench list` shows those that are, `conbench init` writes a new file".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Err(Failure::Usage(format!("`{name}` is neither a file nor a shipped workload: {hint}")))
}

/// A preset of `run`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Preset {
    Cpu,
    Io,
    Mixed,
}

/// The workload behind a preset.
///
/// # Errors
/// None in a released binary: the shipped workloads are all read by a test.
pub(super) fn preset(preset: Preset, colour: bool) -> Result<Workload, Failure> {
    let found = match preset {
        Preset::Cpu => shipped::cpu(),
        Preset::Io => shipped::io(),
        Preset::Mixed => shipped::mixed(),
    };
    found.map_err(|faults| Failure::Rendered(faults.render(colour)))
}

/// Every shipped workload, in the order of the table.
///
/// # Errors
/// None in a released binary: the shipped workloads are all read by a test.
pub(super) fn all_shipped(colour: bool) -> Result<Vec<Workload>, Failure> {
    let read = |shipped: &shipped::Shipped| shipped.parse().map_err(|faults| Failure::Rendered(faults.render(colour)));
    shipped::ALL.iter().map(read).collect()
}

/// The host's facts. Session directories are made where temporary files are.
pub(super) fn facts() -> Facts {
    host::facts(&std::env::temp_dir())
}

/// What a session of this workload would do.
pub(super) fn plan(workload: &Workload, settings: &Settings, facts: &Facts) -> Plan {
    plan::plan(workload, settings, facts, &[plan::Runtime::rust()])
}

/// Runs a session.
///
/// # Errors
/// When it could not run at all.
pub(super) fn measure(session: Session, observer: &mut dyn Observer) -> Result<Record, SessionError> {
    session::run(session, observer)
}

/// What a record says.
pub(super) fn analyze(record: &Record) -> Verdict {
    crate::analyze::analyze(record)
}
