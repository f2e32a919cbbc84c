//! Reading and atomic writing of recordings.

use std::io;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// The file is not what it is read as.
    #[error("`{path}` is not a conbench {kind}: {source}")]
    Format {
        /// The file.
        path: String,
        /// What it is read as.
        kind: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The file has a version that this conbench does not read.
    #[error(
        "`{path}` has {kind} format {found}, this conbench reads format {reads}: measure again, or use the conbench that wrote it"
    )]
    Version {
        /// The file.
        path: String,
        /// What it is read as.
        kind: &'static str,
        /// The version that is read.
        reads: u32,
        /// Its version.
        found: u64,
    },
}

/// What records are called in messages.
const KIND: &str = "record";

/// A file that conbench saved, as JSON. What it is shows in its members.
#[derive(Clone, Debug)]
pub struct Document {
    path: String,
    value: Value,
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not JSON.
    pub fn open(path: &Path) -> Result<Document, StoreError> {
        let path_name = path.display().to_string();
        let text = super::contents(path).map_err(|source| StoreError::Read { path: path_name.clone(), source })?;
        Document::parse(path_name, &text)
    }

    /// Reads what a file of this name holds.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(path: String, text: &[u8]) -> Result<Document, StoreError> {
        match serde_json::from_slice(text) {
            Ok(value) => Ok(Document { path, value }),
            Err(source) => Err(StoreError::Format { path, kind: KIND, source }),
        }
    }

    /// Takes the member of this name out of it.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.value.as_object_mut()?.remove(name)
    }

    /// Passes where the file has the version of its format that is read, or says none.
    ///
    /// # Errors
    /// When it says another one.
    pub fn check_version(&self, kind: &'static str, reads: u32) -> Result<(), StoreError> {
        match self.value.get("format_version").and_then(Value::as_u64) {
            Some(found) if found != u64::from(reads) => {
                Err(StoreError::Version { path: self.path.clone(), kind, reads, found })
            }
            _ => Ok(()),
        }
    }

    /// The error of a file that is not what it is read as.
    #[must_use]
    pub fn broken(&self, kind: &'static str, source: serde_json::Error) -> StoreError {
        StoreError::Format { path: self.path.clone(), kind, source }
    }

    /// Its records, and beside each what the file says of it under this key; `None` where it says nothing, or something
    /// else than a `T`.
    ///
    /// # Errors
    /// When it is not a recording, or has another version.
    pub fn records_beside<T: DeserializeOwned>(mut self, key: &str) -> Result<Vec<(Record, Option<T>)>, StoreError> {
        self.check_version(KIND, FORMAT_VERSION)?;
        let records = self.value.get_mut("records").and_then(Value::as_array_mut);
        let beside: Vec<Option<T>> =
            records.map_or_else(Vec::new, |records| records.iter_mut().map(|it| take_beside(it, key)).collect());
        Ok(self.recording()?.records.into_iter().zip(beside).collect())
    }

    fn recording(mut self) -> Result<Recording, StoreError> {
        serde_json::from_value(self.value.take()).map_err(|source| self.broken(KIND, source))
    }
}

/// Reads a recording.
///
/// # Errors
/// When the file cannot be read, is not a recording, or has another version.
pub fn read(path: &Path) -> Result<Recording, StoreError> {
    let document = Document::open(path)?;
    document.check_version(KIND, FORMAT_VERSION)?;
    document.recording()
}

/// Takes what a record says beside itself under this key out of it; `None` where that is nothing, or no `T`.
pub fn take_beside<T: DeserializeOwned>(record: &mut Value, key: &str) -> Option<T> {
    serde_json::from_value(record.as_object_mut()?.remove(key)?).ok()
}

/// The most symbolic links that are followed, as in the kernel.
const MOST_LINKS: usize = 40;

/// The file that writing to `path` means: itself, or what its symbolic links lead to, which need not exist yet.
///
/// # Errors
/// When something else than a regular file is there: a record would take the place of a directory or a device.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => return std::fs::canonicalize(path),
        Ok(found) if found.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory; name a file in it"));
        }
        Ok(_) => {
            let what = "it is not a regular file; name one, or a new one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Nothing is there, or a link that leads to nothing, which nothing else resolves.
    let mut target = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = std::fs::read_link(&target) else { break };
        // A relative link counts from its own directory; an absolute one replaces all before it.
        target = directory(&target).join(link);
    }
    Ok(target)
}

/// The directory that holds the file at `path`.
#[must_use]
pub fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part. Symbolic links stay,
/// and what they lead to is written.
///
/// # Errors
/// When the directory cannot be written to, or something else than a regular file is there.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| StoreError::Write { path: path.display().to_string(), source };
    let target = target(path).map_err(failed)?;
    // A temporary file is private; a record is as readable as any file that the user makes.
    let ordinary = std::fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new().permissions(ordinary).tempfile_in(directory(&target)).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(&target).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;

    #[test]
    fn a_link_is_written_through() {
        let room = tempfile::tempdir().expect("a directory");
        let at = |name: &str| room.path().join(name);
        std::fs::create_dir(at("inner")).expect("made");
        symlink("inner/second", at("first")).expect("linked");
        symlink("file", at("inner/second")).expect("linked");
        // Nothing is there, then something is.
        for content in ["one", "two"] {
            write(&at("first"), content.as_bytes()).expect("written");
            assert_eq!(std::fs::read_to_string(at("inner/file")).expect("read"), content);
        }
        assert!(at("first").is_symlink() && at("inner/second").is_symlink());
        assert_eq!(std::fs::read_dir(room.path()).expect("read").count(), 2);
    }

    #[test]
    fn only_a_regular_file_is_replaced() {
        let room = tempfile::tempdir().expect("a directory");
        let at = |name: &str| room.path().join(name);
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("made");
        symlink("fifo", at("link")).expect("linked");
        symlink("circle", at("circle")).expect("linked");
        for (name, cause) in [
            ("fifo", "it is not a regular file"),
            ("link", "it is not a regular file"),
            ("circle", "symbolic links"),
            (".", "it is a directory"),
        ] {
            let error = write(&at(name), b"record").expect_err("refused").to_string();
            assert!(error.contains(cause), "{error}");
        }
        assert!(std::fs::symlink_metadata(at("fifo")).expect("there").file_type().is_fifo());
        assert!(write(Path::new("/dev/null"), b"record").is_err());
    }
}
