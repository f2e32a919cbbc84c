//! What a controller and a guard say to each other: one JSON object a packet, with descriptors attached.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::{Deserialize, Serialize};

/// The most descriptors that one packet carries.
const MOST_DESCRIPTORS: usize = 4;
/// The largest packet. Argument lists and environments are a few hundred bytes; the kernel's default socket buffer holds it.
const LARGEST_PACKET: usize = 128 * 1024;

/// What the controller asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// Start a process; its descriptors are attached, as its wiring says.
    /// Start `argv`, in `directory` if one is named.
    Start { argv: Vec<String>, env: Vec<(String, String)>, directory: Option<String>, wiring: Wiring },
    /// SIGSTOP everything below.
    Stop {},
    /// SIGCONT everything below.
    Continue {},
    /// Give what is below `grace_ms` to end by itself, then kill it.
    Kill { grace_ms: u64 },
}

/// What a guard answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Reply {
    /// Its first packet, unasked: it stands, with the session's directory if it was to make one.
    Up { directory: Option<PathBuf> },
    /// Its first packet, unasked, where its child was there before it: both numbers; the pidfds of both are attached.
    Around { guard: u32, child: u32 },
    /// To `start`; a pidfd is attached.
    Started { pid: u32 },
    /// To `stop` and `continue`.
    Done {},
    /// To `kill`: nothing is left; so many processes had to be killed.
    Killed { processes: u32 },
    /// To anything: why it could not be done.
    Failed { message: String },
    /// Unasked: a process that it started has ended.
    Ended { pid: u32, status: Status },
}

/// How a process's descriptors are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wiring {
    /// Given: requests, replies, output. Requests on descriptor 3, replies on 4, standard output and
    /// standard error on `output`, standard input empty.
    Agent,
    /// Given: standard input, output and error.
    Standard,
    /// Given: standard input, a guard's socket. It alone outlives the guard above it.
    Guard,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// By itself, with this exit status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Status::Exit(status) => write!(f, "exit status {status}"),
            Status::Signal(number) => match signal_hook::low_level::signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

/// Sends one packet: a message as JSON, with these descriptors.
///
/// # Errors
/// When it is too long, or the other end is gone.
pub fn send<T: Serialize>(socket: impl AsFd, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    if bytes.len() > LARGEST_PACKET {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is longer than a packet"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for a packet"));
    }
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one packet; `None` is the end.
pub(super) fn receive<T: for<'a> Deserialize<'a>>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = vec![0_u8; LARGEST_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a packet was cut short"));
    }
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    let message = serde_json::from_slice(&bytes[..received.bytes])?;
    Ok(Some((message, descriptors)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn a_packet_carries_its_descriptors_and_the_end_is_told() {
        let (one, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket pair");
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        send(&one, &Reply::Started { pid: 7 }, &[writer.as_fd()]).expect("sends");
        drop((writer, one));
        let (reply, descriptors) = receive::<Reply>(&other).expect("receives").expect("a packet");
        assert!(matches!(reply, Reply::Started { pid: 7 }));
        let mut writer = std::fs::File::from(descriptors.into_iter().next().expect("a descriptor"));
        writer.write_all(b"through").expect("writes");
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "through");
        assert!(receive::<Reply>(&other).expect("the end is no error").is_none());
    }

    #[test]
    fn an_end_names_its_signal() {
        assert_eq!(Status::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Status::Exit(3).to_string(), "exit status 3");
    }
}
