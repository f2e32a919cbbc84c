//! HTTP/1.x responses.

use std::ops::Range;

use super::super::peer_error::PeerError;
use super::Answer;
use super::head::{Framing, check_body, framing, keeps_alive};

/// The largest response head, and the longest line of a chunked body.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most header fields of a response.
const MAX_HEADERS: usize = 100;
/// A buffer that is kept between responses is at most this large, unless responses are expected to be larger.
const KEPT_BYTES: usize = 64 << 10;
/// Bodies up to this length get their room at once; a longer one gets it as its bytes come, because a
/// length is only a claim.
const TRUSTED_BYTES: usize = 1 << 20;

/// An HTTP/1.x response to a GET request: `Content-Length`, chunked, or up to the end of the stream.
///
/// One buffer holds head and body, and is used again for the next response. A chunked body is decoded in place.
pub(in crate::agent::steps) struct HttpAnswer {
    buffer: Vec<u8>,
    filled: usize,
    /// How large responses are expected to be, head included.
    expected: usize,
    begun: bool,
    state: State,
    status: u16,
    reusable: bool,
    body: Range<usize>,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    /// The body goes from one offset to the other.
    Length(usize, usize),
    Chunked(Chunked),
    /// The body goes from this offset to the end of the stream.
    ToEnd(usize),
    Whole,
}

/// A chunked body within the buffer: `start..decoded` is body, `read..` is still encoded.
#[derive(Clone, Copy)]
struct Chunked {
    start: usize,
    decoded: usize,
    read: usize,
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Size,
    Data(usize),
    DataEnd,
    Trailer,
    Whole,
}

impl HttpAnswer {
    /// A codec for responses of about `expected_body_bytes`.
    pub(in crate::agent::steps) fn new(expected_body_bytes: usize) -> HttpAnswer {
        HttpAnswer {
            buffer: Vec::new(),
            filled: 0,
            // The embedded server's head has about 100 bytes.
            expected: expected_body_bytes + 256,
            begun: false,
            state: State::Head,
            status: 0,
            reusable: false,
            body: 0..0,
        }
    }

    /// The status of a whole response.
    pub(in crate::agent::steps) fn status(&self) -> u16 {
        self.status
    }

    fn finish(&mut self, body: Range<usize>) {
        self.body = body;
        self.state = State::Whole;
    }

    /// Decodes what has come. `true` when the response is whole.
    fn decode(&mut self) -> Result<bool, PeerError> {
        loop {
            match self.state {
                State::Head => {
                    if !self.decode_head()? {
                        return Ok(false);
                    }
                }
                State::Length(start, end) => {
                    if self.filled < end {
                        return Ok(false);
                    }
                    // Bytes that nobody asked for would be taken for the next response.
                    self.reusable &= self.filled == end;
                    self.finish(start..end);
                }
                State::Chunked(mut chunked) => {
                    self.decode_chunks(&mut chunked)?;
                    self.state = State::Chunked(chunked);
                    if !matches!(chunked.part, Part::Whole) {
                        return Ok(false);
                    }
                    self.reusable &= chunked.decoded == self.filled;
                    self.finish(chunked.start..chunked.decoded);
                }
                State::ToEnd(start) => {
                    check_body(self.filled - start)?;
                    return Ok(false);
                }
                State::Whole => return Ok(true),
            }
        }
    }

    /// Decodes the head, if it is whole.
    fn decode_head(&mut self) -> Result<bool, PeerError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let end = match response.parse(&self.buffer[..self.filled]) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) if self.filled > MAX_HEAD_BYTES => {
                return Err(PeerError::Malformed(format!("the response's head is larger than {MAX_HEAD_BYTES} bytes")));
            }
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(error) => return Err(PeerError::Malformed(format!("this is not an HTTP/1.x response: {error}"))),
        };
        let status = response.code.unwrap_or(0);
        if (100..200).contains(&status) && status != 101 {
            // An interim response: the one that was asked for follows.
            self.buffer.copy_within(end..self.filled, 0);
            self.filled -= end;
            return Ok(self.filled > 0);
        }
        let framing = framing(status, response.headers)?;
        self.reusable = keeps_alive(response.version, response.headers);
        self.status = status;
        self.state = match framing {
            Framing::Length(length) => State::Length(end, end + length),
            Framing::Chunked => State::Chunked(Chunked { start: end, decoded: end, read: end, part: Part::Size }),
            Framing::ToEnd => {
                self.reusable = false;
                State::ToEnd(end)
            }
        };
        Ok(true)
    }

    /// Decodes what has come of a chunked body, and closes the gap between what is decoded and what is not.
    fn decode_chunks(&mut self, chunked: &mut Chunked) -> Result<(), PeerError> {
        while self.decode_part(chunked)? {}
        self.buffer.copy_within(chunked.read..self.filled, chunked.decoded);
        self.filled -= chunked.read - chunked.decoded;
        chunked.read = chunked.decoded;
        Ok(())
    }

    /// Decodes one part of a chunked body; `false` when it needs more bytes, or is whole.
    fn decode_part(&mut self, chunked: &mut Chunked) -> Result<bool, PeerError> {
        let waiting = &self.buffer[chunked.read..self.filled];
        match chunked.part {
            Part::Size => {
                let Some(first) = waiting.first() else { return Ok(false) };
                let parsed = first.is_ascii_hexdigit().then(|| httparse::parse_chunk_size(waiting));
                match parsed {
                    Some(Ok(httparse::Status::Complete((length, size)))) => {
                        let size = usize::try_from(size).unwrap_or(usize::MAX);
                        check_body((chunked.decoded - chunked.start).saturating_add(size))?;
                        chunked.read += length;
                        chunked.part = if size == 0 { Part::Trailer } else { Part::Data(size) };
                        Ok(true)
                    }
                    Some(Ok(httparse::Status::Partial)) => more(waiting),
                    _ => Err(PeerError::Malformed("the size of a chunk is not a number".to_owned())),
                }
            }
            Part::Data(left) => {
                let taken = left.min(waiting.len());
                self.buffer.copy_within(chunked.read..chunked.read + taken, chunked.decoded);
                chunked.read += taken;
                chunked.decoded += taken;
                chunked.part = if taken == left { Part::DataEnd } else { Part::Data(left - taken) };
                Ok(taken == left)
            }
            Part::DataEnd => match waiting {
                [b'\r', b'\n', ..] => {
                    chunked.read += 2;
                    chunked.part = Part::Size;
                    Ok(true)
                }
                [] | [b'\r'] => Ok(false),
                _ => Err(PeerError::Malformed("a chunk is longer than its size".to_owned())),
            },
            Part::Trailer => match waiting.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    chunked.read += end + 1;
                    if matches!(&waiting[..end], [] | [b'\r']) {
                        chunked.part = Part::Whole;
                    }
                    Ok(!matches!(chunked.part, Part::Whole))
                }
                None => more(waiting),
            },
            Part::Whole => Ok(false),
        }
    }

    /// How large the buffer should be to go on.
    fn wanted(&self) -> usize {
        match self.state {
            State::Length(_, end) if end <= TRUSTED_BYTES || end <= self.expected => end,
            State::Length(_, end) => end.min((self.filled * 2).max(TRUSTED_BYTES)),
            _ => self.expected.max(self.filled * 2),
        }
    }
}

impl Answer for HttpAnswer {
    fn begin(&mut self) {
        let kept = KEPT_BYTES.max(self.expected);
        if self.buffer.len() > kept {
            self.buffer.truncate(kept);
            self.buffer.shrink_to_fit();
        }
        self.filled = 0;
        self.begun = false;
        self.state = State::Head;
        self.status = 0;
        self.reusable = false;
        self.body = 0..0;
    }

    fn space(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            let wanted = self.wanted().max(self.filled + 1);
            self.buffer.resize(wanted, 0);
        }
        &mut self.buffer[self.filled..]
    }

    fn advance(&mut self, length: usize) -> Result<bool, PeerError> {
        if length == 0 {
            return match self.state {
                State::ToEnd(start) => {
                    self.finish(start..self.filled);
                    Ok(true)
                }
                State::Whole => Ok(true),
                _ => Err(PeerError::Closed),
            };
        }
        self.begun = true;
        self.filled = (self.filled + length).min(self.buffer.len());
        self.decode()
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn reusable(&self) -> bool {
        self.reusable
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }
}

/// Asks for more of a line, within reason.
fn more(line: &[u8]) -> Result<bool, PeerError> {
    if line.len() <= MAX_HEAD_BYTES {
        return Ok(false);
    }
    Err(PeerError::Malformed("a line of the chunked body does not end".to_owned()))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
