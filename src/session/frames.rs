//! Frames out of the bytes that an agent sends. No I/O: bytes go in as they come.

use super::error::{AgentError, out_of_turn};
use crate::escape::escaped;
use crate::protocol::{Block, BlockKind, FailureKind, Hello, PROTOCOL, Reply};

/// The longest frame that is read.
pub const LONGEST_FRAME: usize = 64 << 20;

/// What came of an agent and is not read yet.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// How much of it is known to hold no line's end.
    scanned: usize,
}

impl Frames {
    /// Takes bytes that came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether more waits than a frame may have.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() > LONGEST_FRAME
    }

    /// Whether a whole line waits.
    #[must_use]
    pub fn has_line(&self) -> bool {
        self.bytes[self.scanned..].contains(&b'\n')
    }

    /// Takes the next line, if it is whole.
    ///
    /// # Errors
    /// When it is longer than a frame may be.
    pub fn line(&mut self) -> Result<Option<Vec<u8>>, AgentError> {
        match self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n') {
            Some(offset) => {
                let mut line: Vec<u8> = self.bytes.drain(..=self.scanned + offset).collect();
                line.pop();
                self.scanned = 0;
                Ok(Some(line))
            }
            None if self.is_full() => {
                let message = format!("the agent sent more than {LONGEST_FRAME} bytes without a line's end");
                Err(AgentError::new(FailureKind::Protocol, message))
            }
            None => {
                self.scanned = self.bytes.len();
                Ok(None)
            }
        }
    }
}

/// What a line says. `doing` says what the agent is at, for messages.
///
/// # Errors
/// When it is no frame.
pub fn reply(line: &[u8], doing: &str) -> Result<Reply, AgentError> {
    serde_json::from_slice(line).map_err(|error| {
        let start: String = escaped(&String::from_utf8_lossy(&line[..line.len().min(120)]));
        let message = format!("{doing}, the agent sent a line that is no frame ({error}): `{start}`");
        AgentError::new(FailureKind::Protocol, message)
    })
}

/// What an agent says of itself, if this is its hello.
///
/// # Errors
/// When it is something else, or of another protocol.
pub fn hello(reply: Reply, doing: &str) -> Result<Hello, AgentError> {
    match reply {
        Reply::Hello(hello) if hello.protocol == PROTOCOL => Ok(hello),
        Reply::Hello(hello) => {
            let message = format!(
                "the agent speaks protocol {}, this conbench speaks {PROTOCOL}: use an agent of the same version",
                hello.protocol
            );
            Err(AgentError::new(FailureKind::Protocol, message))
        }
        other => Err(out_of_turn(&other, doing)),
    }
}

/// The figures of the block of this number and kind, if they are what is answered.
///
/// # Errors
/// When it is something else.
pub fn block(reply: Reply, number: u32, kind: BlockKind) -> Result<Block, AgentError> {
    match reply {
        Reply::Block(figures) if figures.block == number && figures.kind == kind => Ok(*figures),
        other => Err(out_of_turn(&other, "in a block")),
    }
}
