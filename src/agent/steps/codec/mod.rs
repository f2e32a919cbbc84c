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

/// A response that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether the connection may serve another request.
    pub reusable: bool,
}

/// Reads an HTTP/1.x response from a stream that comes in pieces of the given lengths (repeated), then ends, by a codec for
/// bodies of about `expected` bytes.
///
/// # Errors
/// When that is no response: why.
pub fn response(stream: &[u8], pieces: &[usize], expected: usize) -> Result<Response, String> {
    let mut answer = HttpAnswer::new(expected);
    answer.begin();
    feed(&mut answer, stream, pieces).map_err(|error| error.to_string())?;
    Ok(Response { status: answer.status(), body: answer.body().to_vec(), reusable: answer.reusable() })
}

/// Feeds a stream, then its end, until the answer is whole.
fn feed(answer: &mut HttpAnswer, stream: &[u8], pieces: &[usize]) -> Result<(), PeerError> {
    let mut rest = stream;
    for piece in pieces.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let space = answer.space();
        let length = (*piece).clamp(1, rest.len().min(space.len()));
        space[..length].copy_from_slice(&rest[..length]);
        rest = &rest[length..];
        if answer.advance(length)? {
            return Ok(());
        }
    }
    answer.advance(0).map(drop)
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
