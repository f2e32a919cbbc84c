//! A program that started this one and waits for its answer, as `conbench_cli.recommend` does.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::Failure;

/// The caller, and the private directory in which it left what agents read. Whatever ends the caller (SIGKILL, too) ends
/// this program by SIGTERM, which then removes that directory in its place.
pub(super) struct Caller {
    directory: PathBuf,
    process: Option<Pid>,
}

impl Caller {
    /// Binds this program to the one that started it.
    ///
    /// # Errors
    /// When the kernel does not do that.
    pub(super) fn bind(directory: &Path) -> Result<Caller, Failure> {
        let process = getppid();
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::Signals(io::Error::from(error)))?;
        Ok(Caller { directory: directory.to_owned(), process })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if getppid() != self.process {
            // Nobody is left to be told that it cannot be removed.
            drop(std::fs::remove_dir_all(&self.directory));
        }
    }
}
