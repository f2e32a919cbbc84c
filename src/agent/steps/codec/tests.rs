use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::vectors::Vectors;

/// Feeds `stream` in pieces of the given lengths (repeated), then its end.
fn feed(answer: &mut HttpAnswer, stream: &[u8], pieces: &[usize]) -> Result<(u16, Vec<u8>, bool), PeerError> {
    answer.begin();
    super::super::feed(answer, stream, pieces)?;
    Ok((answer.status(), answer.body().to_vec(), answer.reusable()))
}

fn whole(stream: &str) -> Result<(u16, Vec<u8>, bool), PeerError> {
    feed(&mut HttpAnswer::new(0), stream.as_bytes(), &[usize::MAX])
}

fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_vec();
    for part in body.chunks(chunk) {
        stream.extend(format!("{:x};name=value\r\n", part.len()).bytes());
        stream.extend(part);
        stream.extend(b"\r\n");
    }
    stream.extend(b"0\r\nTrailer: yes\r\n\r\n");
    stream
}

proptest! {
    #[test]
    fn any_split_gives_the_same_response(
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        chunk in 1_usize..700,
        form in 0_u8..3,
        pieces in proptest::collection::vec(1_usize..400, 1..20),
        expected in 0_usize..3000,
    ) {
        let stream = match form {
            0 => [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat(),
            1 => chunked(&body, chunk),
            _ => [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &body].concat(),
        };
        let mut answer = HttpAnswer::new(expected);
        // Twice on one codec: nothing of the first response may show in the second.
        for _ in 0..2 {
            let (status, got, reusable) = feed(&mut answer, &stream, &pieces).expect("a response");
            prop_assert_eq!((status, reusable), (200, form != 2));
            prop_assert_eq!(&got, &body);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..600),
        head in 0_u8..4,
        pieces in proptest::collection::vec(1_usize..100, 1..10),
    ) {
        let head: &[u8] = match head {
            0 => b"",
            1 => b"HTTP/1.1 ",
            2 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\nContent-Length: ",
        };
        let stream = [head, &noise].concat();
        let _ = feed(&mut HttpAnswer::new(0), &stream, &pieces);
    }
}

/// Streams that are responses, or are not: how a body ends, whether the connection lives, what is refused.
const STREAMS: [&str; 25] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\nContent-Length:2\n\nok",
    "HTTP/1.1 200\r\nCONTENT-LENGTH: 2 \r\nx-content-length: 9\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nConnection: Keep-Alive, Close\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
    "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nto the end",
    "",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok",
    "SSH-2.0-OpenSSH\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
];

fn read(stream: &&str) -> Value {
    match whole(stream) {
        Ok((status, body, reusable)) => {
            let body = String::from_utf8(body).expect("text");
            json!({"stream": stream, "status": status, "body": body, "is_reusable": reusable})
        }
        Err(fault) => {
            // What follows is what to do, or a parser's own words.
            let fault = fault.to_string();
            json!({"stream": stream, "fault": fault.split([':', ';']).next()})
        }
    }
}

#[test]
fn the_vectors_are_what_is_read_of_streams() {
    let streams: Vec<Value> = STREAMS.iter().map(read).collect();
    let refused = streams.iter().filter(|case| case.get("fault").is_some()).count();
    assert_eq!(refused, 14, "those that come last");
    Vectors::new(
        "http",
        "What a client reads of a stream of bytes and its end: a response, and whether its connection serves a further \
         request; or why it is none, as an agent's words begin.",
    )
    .with("streams", streams)
    .hold();
}

#[test]
fn an_endless_head_is_refused() {
    let stream = format!("HTTP/1.1 200 OK\r\nName: {}", "x".repeat(2 * MAX_HEAD_BYTES));
    assert!(whole(&stream).expect_err("too large").to_string().contains("head is larger"));
}

#[test]
fn a_kept_buffer_is_small() {
    let mut answer = HttpAnswer::new(0);
    let body = "x".repeat(4 << 20);
    feed(&mut answer, format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes(), &[65536])
        .expect("a response");
    answer.begin();
    assert!(answer.buffer.capacity() <= 2 * KEPT_BYTES);
}
