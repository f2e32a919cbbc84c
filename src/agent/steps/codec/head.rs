//! What the head of a response says of its body and its connection.

use super::super::peer_error::PeerError;

/// The largest response body.
const MAX_BODY_BYTES: usize = 64 << 20;

/// What a head says of the body that follows.
pub(super) enum Framing {
    Length(usize),
    Chunked,
    ToEnd,
}

/// How the body ends (RFC 9112, section 6.3).
pub(super) fn framing(status: u16, headers: &[httparse::Header<'_>]) -> Result<Framing, PeerError> {
    if matches!(status, 101 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if let Some(coding) = tokens(headers, "transfer-encoding").last() {
        return Ok(if coding.eq_ignore_ascii_case(b"chunked") { Framing::Chunked } else { Framing::ToEnd });
    }
    let mut length = None;
    for token in tokens(headers, "content-length") {
        let value = std::str::from_utf8(token)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<usize>().ok())
            .ok_or_else(|| PeerError::Malformed("the response's content-length is not a number".to_owned()))?;
        if length.is_some_and(|earlier| earlier != value) {
            return Err(PeerError::Malformed("the response has two content-lengths".to_owned()));
        }
        check_body(value)?;
        length = Some(value);
    }
    Ok(length.map_or(Framing::ToEnd, Framing::Length))
}

/// Whether the connection stays open after this response (RFC 9112, section 9.3).
pub(super) fn keeps_alive(version: Option<u8>, headers: &[httparse::Header<'_>]) -> bool {
    let says = |word: &[u8]| tokens(headers, "connection").any(|token| token.eq_ignore_ascii_case(word));
    if version == Some(1) { !says(b"close") } else { says(b"keep-alive") && !says(b"close") }
}

/// The comma-separated values of a header field, over all its lines.
fn tokens<'a>(headers: &'a [httparse::Header<'_>], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

/// Refuses a body that is longer than what is read.
pub(super) fn check_body(length: usize) -> Result<(), PeerError> {
    if length <= MAX_BODY_BYTES {
        return Ok(());
    }
    Err(PeerError::Malformed(format!(
        "the response's body is larger than {MAX_BODY_BYTES} bytes, the most that is read"
    )))
}
