//! Saving the record as it grows.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Event, Observer};
use crate::record::{FORMAT_VERSION, Record, StoreError, Warning, write};

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

/// Saves a record to its file, not too often. What cannot be saved is told once, and tried again at the next time:
/// what is measured is worth more than its file.
#[derive(Debug)]
pub(super) struct Saver {
    path: Option<PathBuf>,
    not_before: Instant,
    told: bool,
}

impl Saver {
    pub(super) fn new(path: Option<PathBuf>) -> Saver {
        Saver { path, not_before: Instant::now(), told: false }
    }

    /// Saves if it is time.
    pub(super) fn save_at_times(&mut self, record: &Record, observer: &mut dyn Observer) {
        if Instant::now() >= self.not_before {
            self.save(record, observer);
        }
    }

    /// Saves, if there is a file to save to, and something ran: an earlier record in its place is worth more than a
    /// wrong name.
    pub(super) fn save(&mut self, record: &Record, observer: &mut dyn Observer) {
        let Some(path) = self.path.as_ref().filter(|_| record.misnamed().is_none()) else { return };
        let begun = Instant::now();
        let recording = Recording { format_version: FORMAT_VERSION, records: [record] };
        let saved = serde_json::to_vec(&recording)
            .map_err(|error| StoreError::Write { path: path.display().to_string(), source: error.into() })
            .and_then(|bytes| write(path, &bytes));
        self.not_before = Instant::now() + PAUSE.max(begun.elapsed() * PART);
        match saved {
            Ok(()) => observer.observe(&Event::Saved(record)),
            Err(_) if self.told => {}
            // Not for the record: it says something about this file, not about what was measured.
            Err(error) => {
                self.told = true;
                let message = format!("{error}; measuring goes on, and it is tried again at the end");
                observer.observe(&Event::Warning(&Warning::Other { message }));
            }
        }
    }
}
