//! A program that started this one and waits for its answer, as `conbench_cli.recommend` does.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::Failure;

/// What stands before the verb, and is followed by the caller's directory: `conbench caller DIRECTORY recommend ..`.
const WORD: &str = "caller";

/// The caller, and the private directory in which it left what agents read. Whatever ends the caller (SIGKILL, too) ends
/// this program by SIGTERM, which then removes that directory in its place.
pub(super) struct Caller {
    directory: PathBuf,
    process: Option<Pid>,
}

impl Caller {
    /// Binds this program to the one that started it, if its arguments (with its own name) name a caller, and takes that
    /// out of them.
    ///
    /// # Errors
    /// When the kernel does not do that.
    pub(super) fn take(args: &mut Vec<OsString>) -> Result<Option<Caller>, Failure> {
        if args.len() < 3 || args[1] != WORD {
            return Ok(None);
        }
        let directory = args.drain(1..3).next_back().map(PathBuf::from).unwrap_or_default();
        let process = getppid();
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::Signals(io::Error::from(error)))?;
        Ok(Some(Caller { directory, process }))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_arguments_are_left_alone() {
        for line in [&["conbench", "recommend", "caller"][..], &["conbench", "caller"], &["conbench"]] {
            let mut args: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert!(Caller::take(&mut args).expect("nothing to do").is_none());
            assert_eq!(args, line);
        }
    }
}
