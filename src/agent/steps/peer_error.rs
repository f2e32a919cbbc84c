//! Why a request had no answer, and what to do about it.

use std::io::{self, ErrorKind};
use std::time::Duration;

/// Why a request had no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    #[error("cannot connect: {0}{advice}", advice = advice(.0))]
    Connect(#[source] io::Error),
    #[error("the connection failed: {0}{advice}", advice = advice(.0))]
    Io(#[source] io::Error),
    #[error("the other side closed the connection before its answer was whole; see why it did")]
    Closed,
    #[error("no answer within the task's timeout of {0:?}; raise `task_timeout`, or lower the number in flight")]
    Timeout(Duration),
    #[error("{0}; only plain HTTP/1.1 is spoken")]
    Malformed(String),
    #[error("the answer's status is {0}, and only 2xx counts as done; correct the url or the other side")]
    Status(u16),
    #[error("the answer has {got} bytes instead of {expected}")]
    Length { got: usize, expected: u64 },
}

/// What to do about an error of the operating system, where that is known.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "; nothing listens there: start the other side, or correct the address",
        ErrorKind::AddrNotAvailable => {
            "; no local port is free: use `connection = \"keep-alive\"`, or lower the number in flight"
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
            "; raise the limit on open files (`ulimit -n`), or lower the number in flight"
        }
        _ => "",
    }
}
