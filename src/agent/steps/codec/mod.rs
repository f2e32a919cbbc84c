//! Answers to a request, without I/O: bytes go in as they come, and at some point the answer is whole.
//!
//! The blocking and the async form of a step drive the same codec, so the client cannot decide between them.

mod head;
mod http;

use super::peer_error::PeerError;

pub(super) use http::HttpAnswer;

/// What a peer answers to one request.
pub(super) trait Answer: Send {
    /// Prepares for the answer to a new request.
    fn begin(&mut self);

    /// Room for the next bytes; never empty before the answer is whole.
    fn space(&mut self) -> &mut [u8];

    /// Takes note that `length` bytes were read into [`Answer::space`]; 0 is the end of the stream.
    /// `true` when the answer is whole.
    ///
    /// # Errors
    /// When the bytes are not an answer, or the stream ended within it.
    fn advance(&mut self, length: usize) -> Result<bool, PeerError>;

    /// Whether any byte of the answer has come.
    fn has_begun(&self) -> bool;

    /// Whether the connection may serve another request after this answer.
    fn reusable(&self) -> bool;

    /// The answer's body; empty until it is whole.
    fn body(&self) -> &[u8];
}

/// A response of a known length.
pub(super) struct SizedAnswer {
    buffer: Vec<u8>,
    filled: usize,
}

impl SizedAnswer {
    /// A response of `length` bytes.
    pub(super) fn new(length: usize) -> SizedAnswer {
        SizedAnswer { buffer: vec![0; length], filled: 0 }
    }
}

impl Answer for SizedAnswer {
    fn begin(&mut self) {
        self.filled = 0;
    }

    fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    fn advance(&mut self, length: usize) -> Result<bool, PeerError> {
        if length == 0 && self.filled < self.buffer.len() {
            return Err(PeerError::Closed);
        }
        self.filled = (self.filled + length).min(self.buffer.len());
        Ok(self.filled == self.buffer.len())
    }

    fn has_begun(&self) -> bool {
        self.filled > 0
    }

    fn reusable(&self) -> bool {
        true
    }

    fn body(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}
