//! Requests and responses of fixed sizes over plain TCP.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;
use crate::protocol::{MAX_BODY_BYTES, MAX_DELAY_NS, TCP_HEADER_BYTES};

/// Requests are read in pieces of this size, header and padding alike.
const PIECE_BYTES: usize = 4096;

/// From this delay on it pays to look whether the client is still there: a connection that was given up
/// would hold its descriptor until the delay is over.
const WATCHED_DELAY_NS: u64 = 1_000_000_000;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    padding: usize,
    response_bytes: u64,
    delay_ns: u64,
    variant: u64,
}

impl Request {
    /// Reads a header; `None` if it asks for more than is served.
    fn parse(header: &[u8; TCP_HEADER_BYTES]) -> Option<Request> {
        let number = |from: usize, to: usize| {
            header[from..to].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let (padding, response_bytes, delay_ns) = (number(0, 4), number(4, 8), number(8, 16));
        (padding <= MAX_BODY_BYTES && response_bytes <= MAX_BODY_BYTES && delay_ns <= MAX_DELAY_NS).then_some(Request {
            padding: padding as usize,
            response_bytes,
            delay_ns,
            variant: number(16, 24),
        })
    }
}

/// Serves one connection until it ends or asks for what is not served.
pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // An error concerns one client, which sees the connection end.
    let _ = converse(&mut stream, &shared).await;
}

async fn converse(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut filled = 0;
    loop {
        while filled < TCP_HEADER_BYTES {
            match stream.read(&mut piece[filled..]).await? {
                0 => return Ok(()),
                length => filled += length,
            }
        }
        let Some(request) = piece.first_chunk().and_then(Request::parse) else { return Ok(()) };
        let whole = TCP_HEADER_BYTES + request.padding;
        let mut missing = whole.saturating_sub(filled);
        // What came beyond this request begins the next one.
        let surplus = filled.saturating_sub(whole);
        piece.copy_within(filled - surplus..filled, 0);
        filled = surplus;
        while missing > 0 {
            let most = missing.min(PIECE_BYTES);
            match stream.read(&mut piece[..most]).await? {
                0 => return Ok(()),
                length => missing -= length,
            }
        }
        if request.delay_ns < WATCHED_DELAY_NS {
            shared.delay(request.delay_ns).await?;
        } else {
            tokio::select! {
                done = shared.delay(request.delay_ns) => done?,
                () = ended(stream) => return Ok(()),
            }
        }
        stream.write_all(&shared.bodies.get(request.variant, request.response_bytes)).await?;
    }
}

/// Completes when the client has closed the connection; never if it sends something before that.
async fn ended(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tcp_header;

    #[test]
    fn a_header_is_read_back_or_refused() {
        let request = Request { padding: 7, response_bytes: 1 << 24, delay_ns: 1 << 40, variant: u64::MAX };
        assert_eq!(Request::parse(&tcp_header(7, 1 << 24, 1 << 40, u64::MAX)), Some(request));
        assert_eq!(Request::parse(&tcp_header((1 << 24) + 1, 0, 0, 0)), None);
        assert_eq!(Request::parse(&tcp_header(0, u32::MAX, 0, 0)), None);
        assert_eq!(Request::parse(&[0xFF; TCP_HEADER_BYTES]), None);
    }
}
