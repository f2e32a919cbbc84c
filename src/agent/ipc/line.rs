//! A worker's ends of what it shares with the peer, and the messages that go through them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

/// An answer that no partner gives: whoever reads it learns that the peer has ended.
pub(in crate::agent) const GONE: u64 = 1 << 32;

/// A message in a queue's pipes: three little-endian integers, small enough to be written at once.
pub(in crate::agent) type Message = [u64; 3];

pub(in crate::agent) fn send(mut to: &File, message: Message) -> io::Result<()> {
    let mut bytes = [0; size_of::<Message>()];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(message) {
        *bytes = word.to_le_bytes();
    }
    to.write_all(&bytes)
}

pub(in crate::agent) fn receive(mut from: &File) -> io::Result<Message> {
    let mut bytes = [0; size_of::<Message>()];
    from.read_exact(&mut bytes)?;
    let mut message = [0; 3];
    for (word, bytes) in message.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Ok(message)
}

pub(in crate::agent) fn signal(mut to: &File, count: u64) -> io::Result<()> {
    to.write_all(&count.to_ne_bytes())
}

pub(in crate::agent) fn await_signal(mut from: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the peer process has ended")
}

/// A worker's end of a queue: a pipe to the peer, shared by all workers, and one back.
pub(in crate::agent) struct QueueLine {
    slot: u32,
    request: File,
    reply: File,
    /// The last ticket used. Locked while an item is under way.
    ticket: Mutex<u64>,
}

impl QueueLine {
    pub(in crate::agent) fn new(slot: u32, request: OwnedFd, reply: OwnedFd) -> QueueLine {
        // Tickets of an earlier process in this slot, which may have died before its reply, differ.
        let ticket = Mutex::new(u64::from(std::process::id()) << 32);
        QueueLine { slot, request: request.into(), reply: reply.into(), ticket }
    }

    /// Hands over item `index` and waits for its checksum.
    pub(in crate::agent) fn ask(&self, index: u64) -> io::Result<u64> {
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        *ticket += 1;
        send(&self.request, [u64::from(self.slot), *ticket, index])?;
        loop {
            let [answered, done, checksum] = receive(&self.reply).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ended(),
                _ => error,
            })?;
            if answered == *ticket {
                return if done == 1 { Ok(checksum) } else { Err(io::Error::other("its stage failed")) };
            }
        }
    }
}

/// A worker's end of an event: an eventfd to signal and one to be answered on.
pub(in crate::agent) struct EventLine {
    signal: File,
    /// Locked while a round trip is under way.
    answer: Mutex<File>,
}

impl EventLine {
    pub(in crate::agent) fn new(signal: OwnedFd, answer: OwnedFd) -> EventLine {
        EventLine { signal: signal.into(), answer: Mutex::new(answer.into()) }
    }

    /// Signals the partner and waits for its answer, `count` times.
    pub(in crate::agent) fn round_trips(&self, count: u32) -> io::Result<()> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..count {
            signal(&self.signal, 1)?;
            if await_signal(&answer)? >= GONE {
                // Reading took the news away; whoever asks next must learn it too.
                signal(&answer, GONE)?;
                return Err(ended());
            }
        }
        Ok(())
    }
}

/// Tells a worker that waits on this eventfd that the peer has ended.
pub(in crate::agent) fn tell_gone(answer: &OwnedFd) -> io::Result<()> {
    let answer = File::from(answer.try_clone()?);
    signal(&answer, GONE)
}
