use proptest::prelude::*;

use super::*;

/// Feeds `stream` in pieces of the given lengths (repeated), then its end.
fn feed(answer: &mut HttpAnswer, stream: &[u8], pieces: &[usize]) -> Result<(u16, Vec<u8>, bool), PeerError> {
    answer.begin();
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
            return Ok((answer.status(), answer.body().to_vec(), answer.reusable()));
        }
    }
    answer.advance(0)?;
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

#[test]
fn heads_say_how_a_body_ends_and_whether_the_connection_lives() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nConnection: Keep-Alive, Close\r\n\r\nok", 200, "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok", 200, "ok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 200, "ok", false),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, "", true),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 404, "no", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nto the end", 200, "to the end", false),
    ];
    for (stream, status, body, reusable) in cases {
        let got = whole(stream).unwrap_or_else(|fault| panic!("{stream}: {fault}"));
        assert_eq!(got, (status, body.as_bytes().to_vec(), reusable), "{stream}");
    }
}

#[test]
fn what_is_no_response_is_a_fault_with_a_reason() {
    let cases = [
        ("", "closed the connection"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "closed the connection"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", "closed the connection"),
        ("SSH-2.0-OpenSSH\r\n", "not an HTTP/1.x response"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "content-length is not a number"),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "content-length is not a number"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "two content-lengths"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "larger than"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", "larger than"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", "size of a chunk"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than its size"),
    ];
    for (stream, reason) in cases {
        let fault = whole(stream).expect_err(stream).to_string();
        assert!(fault.contains(reason), "{stream}: {fault}");
    }
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
