//! The embedded server: started if a step needs it, in a process of its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::escape::escaped;
use crate::guard::{Guard, Wiring};
use crate::protocol::ServerAddress;
use crate::workload::Step;

/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest first line.
const LONGEST_LINE: u64 = 4096;

/// The running server; it ends when this is dropped.
pub(super) struct Embedded {
    /// Where it listens.
    pub address: ServerAddress,
    _input: OwnedFd,
}

/// Whether a step needs the embedded server.
pub(super) fn needed(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Http { url: None, .. } | Step::Tcp { address: None, .. }))
}

impl Embedded {
    /// Starts `program serve`. What it says on standard error goes to a file in `directory`.
    pub(super) fn start(guard: &mut Guard, program: &Path, directory: &Path) -> io::Result<Embedded> {
        let log = directory.join("server.log");
        let errors = File::create(&log)?;
        let (theirs_input, input) = std::io::pipe()?;
        let (output, theirs_output) = std::io::pipe()?;
        let argv = [program.as_os_str(), OsStr::new("serve")];
        let ends = [theirs_input.as_fd(), theirs_output.as_fd(), errors.as_fd()];
        guard.spawn(&argv, &[], Wiring::Standard, &ends)?;
        drop((theirs_input, theirs_output));
        match address(output) {
            Ok(address) => Ok(Embedded { address, _input: input.into() }),
            Err(error) => {
                // The log is a help, not a need.
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let said = said.lines().last().map(|line| format!(": {}", escaped(line))).unwrap_or_default();
                Err(io::Error::new(error.kind(), format!("{error}{said}")))
            }
        }
    }
}

fn address(output: std::io::PipeReader) -> io::Result<ServerAddress> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not say where it listens"));
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let mut line = String::new();
    BufReader::new(output.take(LONGEST_LINE)).read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("it did not say where it listens: {error}"))
    })
}
