//! Where the command line meets the rooms below it: one function a call.

use std::path::{Path, PathBuf};

use crate::candidate::nearest;
use crate::host::{self, Facts};
use crate::plan::{self, Plan, Runtime, Settings};
use crate::protocol::{Failed, FindCluster, Probe, Probed};
use crate::python::{self, Found};
use crate::record::Record;
use crate::session::{self, AgentProgram, FoundCluster, Observer, Session, SessionError};
use crate::workload::{Code, Workload, function_name, load, shipped};

use super::failure::Failure;

/// A workload that the command line names: a file, or one that is shipped.
///
/// # Errors
/// Every fault of the file; or that there is neither a file nor a shipped workload of that name.
pub(super) fn workload(named: &Path, colour: bool) -> Result<Workload, Failure> {
    let name = named.to_str().unwrap_or_default();
    let is_file = name.is_empty() || name.contains('/') || name.ends_with(".toml");
    let source = Some(named.with_extension("py")).filter(|file| named.extension().is_none() && file.is_file());
    if named.exists() || is_file && source.is_none() && near_file(named).is_none() {
        return load(named).map_err(|faults| Failure::Rendered(faults.render(colour)));
    }
    if let Some(found) = shipped::find(name) {
        return found.parse().map_err(|faults| Failure::Rendered(faults.render(colour)));
    }
    let known: Vec<&str> = shipped::ALL.iter().map(|shipped| shipped.name).collect();
    let shipped = nearest(name, &known).filter(|_| !is_file).map(str::to_owned);
    let source = source.map(|file| format!("{}:NAME", file.display()));
    let file = near_file(named).map(|file| file.display().to_string());
    let near: Vec<String> = source.into_iter().chain(shipped).chain(file).map(|near| format!("`{near}`")).collect();
    let hint = match near.as_slice() {
        [_, ..] => format!("did you mean {}?", near.join(" or ")),
        [] if is_module(name) => format!("a function of a module is written `{name}:NAME`"),
        [] => "`conbench list` shows those that are, `conbench init` writes a new file; a function is written `module:function` or `file.py:function`"
            .to_owned(),
    };
    Err(Failure::Usage(format!("`{name}` is neither a file nor a shipped workload: {hint}")))
}

/// The workload file that was most likely meant by one that is not there.
fn near_file(missing: &Path) -> Option<PathBuf> {
    beside(&missing.with_extension("toml"))
}

/// The file of that ending, in the folder of one that is not there, which was most likely meant.
pub(super) fn beside(missing: &Path) -> Option<PathBuf> {
    let folder = missing.parent().filter(|folder| !folder.as_os_str().is_empty());
    let files = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?.flatten().map(|entry| entry.path());
    let alike = files.filter(|file| file.extension() == missing.extension() && file.is_file());
    let names: Vec<String> = alike.filter_map(|file| Some(file.file_name()?.to_str()?.to_owned())).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let near = nearest(missing.file_name()?.to_str()?, &known)?;
    Some(folder.map_or_else(|| PathBuf::from(near), |folder| folder.join(near)))
}

/// Whether a text can be the name of a module in a package.
fn is_module(name: &str) -> bool {
    name.contains('.') && function_name(&format!("{name}:name")).is_ok()
}

/// The workload that a function of the user's makes. Its module is looked for in this folder first, or in the current
/// one.
///
/// # Errors
/// When the current directory is not known, or there is no function.
pub(super) fn code(code: Code, folder: Option<&Path>, colour: bool) -> Result<Workload, Failure> {
    let here = std::env::current_dir()
        .map_err(|error| Failure::Usage(format!("the current directory cannot be read: {error}; enter another")))?;
    let base = folder.map_or(here.clone(), |folder| here.join(folder));
    code.workload(&base).map_err(|faults| Failure::Rendered(faults.render(colour)))
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

/// The interpreters that are named, or the default one.
pub(super) fn interpreters(named: &[PathBuf]) -> Found {
    python::find(named)
}

/// What a session of this workload on these runtimes would do.
pub(super) fn plan(workload: &Workload, settings: &Settings, facts: &Facts, runtimes: &[Runtime]) -> Plan {
    plan::plan(workload, settings, facts, runtimes)
}

/// What an agent finds of an executor that a factory of the user's builds.
///
/// # Errors
/// When no agent can be started.
pub(super) fn probe(agent: &AgentProgram, probe: Probe) -> Result<Result<Probed, Failed>, SessionError> {
    session::probe(agent, probe)
}

/// What an agent finds of a cluster.
///
/// # Errors
/// When no agent can be started.
pub(super) fn find_cluster(
    agent: &AgentProgram,
    of_directory: impl FnOnce(PathBuf) -> FindCluster,
) -> Result<Result<FoundCluster, Failed>, SessionError> {
    session::find_cluster(agent, of_directory)
}

/// Runs a session.
///
/// # Errors
/// When it could not run at all.
pub(super) fn measure(session: Session, observer: &mut dyn Observer) -> Result<Record, SessionError> {
    session::run(session, observer)
}
