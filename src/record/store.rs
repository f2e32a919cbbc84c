//! Reading and atomic writing of recordings.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, Record};

/// A file of records: one session each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recording {
    /// The version of this format: [`FORMAT_VERSION`].
    pub format_version: u32,
    /// One record a workload, in the order in which they were measured.
    pub records: Vec<Record>,
}

impl Recording {
    /// A recording of these records, in the current format.
    #[must_use]
    pub fn new(records: Vec<Record>) -> Recording {
        Recording { format_version: FORMAT_VERSION, records }
    }
}

/// A recording that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be read.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a recording.
    #[error("`{path}` is not a conbench record: {source}")]
    Format {
        /// The file.
        path: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The file has a version that this conbench does not read.
    #[error(
        "`{path}` has record format {found}, this conbench reads format {FORMAT_VERSION}: measure again, or use the conbench that wrote it"
    )]
    Version {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
    },
}

/// Reads a recording.
///
/// # Errors
/// When the file cannot be read, is not a recording, or has another version.
pub fn read(path: &Path) -> Result<Recording, StoreError> {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|source| StoreError::Read { path: name.clone(), source })?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|source| StoreError::Format { path: name.clone(), source })?;
    if let Some(found) = value.get("format_version").and_then(serde_json::Value::as_u64)
        && found != u64::from(FORMAT_VERSION)
    {
        return Err(StoreError::Version { path: name, found });
    }
    serde_json::from_value(value).map_err(|source| StoreError::Format { path: name, source })
}

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part.
///
/// # Errors
/// When the directory cannot be written to.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| StoreError::Write { path: path.display().to_string(), source };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A temporary file is private; a record is as readable as any file that the user makes.
    let ordinary = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(ordinary).tempfile_in(parent).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
