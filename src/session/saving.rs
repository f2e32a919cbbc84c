//! Saving the record as it grows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::SessionError;
use crate::record::{FORMAT_VERSION, Record, StoreError, write};

/// The least time between two savings while the session runs.
const PAUSE: Duration = Duration::from_millis(300);
/// Saving takes at most one part in so many of the session's time.
const PART: u32 = 20;

/// [`crate::record::Recording`], borrowed.
#[derive(Serialize)]
struct Recording<'a> {
    format_version: u32,
    records: [&'a Record; 1],
}

/// Saves a record to its file, not too often.
#[derive(Debug)]
pub(super) struct Saver {
    path: Option<PathBuf>,
    not_before: Instant,
}

impl Saver {
    pub(super) fn new(path: Option<PathBuf>) -> Saver {
        Saver { path, not_before: Instant::now() }
    }

    /// Saves if it is time; whether it did.
    pub(super) fn save_at_times(&mut self, record: &Record) -> Result<bool, SessionError> {
        if Instant::now() < self.not_before { Ok(false) } else { self.save(record) }
    }

    /// Saves; whether there is a file to save to.
    pub(super) fn save(&mut self, record: &Record) -> Result<bool, SessionError> {
        let Some(path) = &self.path else { return Ok(false) };
        let begun = Instant::now();
        let recording = Recording { format_version: FORMAT_VERSION, records: [record] };
        let bytes = serde_json::to_vec(&recording)
            .map_err(|error| StoreError::Write { path: path.display().to_string(), source: error.into() })?;
        write(path, &bytes)?;
        self.not_before = Instant::now() + PAUSE.max(begun.elapsed() * PART);
        Ok(true)
    }
}
