//! HTTP/1.1, by hyper.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Shared;
use crate::protocol::{MAX_BODY_BYTES, MAX_DELAY_NS};

/// The most that is buffered of a request's head: what a client may make the server hold.
const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Serves one connection until it ends, whatever comes.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(|request| answer(request, Arc::clone(&shared)));
    // An error concerns one client, which sees the connection end.
    let _ = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// How long the answer is held back.
    pub delay_ns: u64,
    /// How long its body is.
    pub body_bytes: u64,
    /// Which body it is.
    pub variant: u64,
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Infallible> {
    let query = match asked(request.method(), request.uri()) {
        Ok(query) => query,
        Err((status, message)) => return Ok(refuse(status, message)),
    };
    if let Err(error) = shared.delay(query.delay_ns).await {
        return Ok(refuse(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot wait: {error}")));
    }
    Ok(Response::new(Full::new(shared.bodies.get(query.variant, query.body_bytes))))
}

fn refuse(status: StatusCode, message: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(message)));
    *response.status_mut() = status;
    response
}

/// What the head of a request asks for.
///
/// # Errors
/// Why it is refused: the status, and what to tell.
pub fn asked(method: &Method, uri: &Uri) -> Result<Query, (StatusCode, String)> {
    if method != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "only GET is served".to_owned()));
    }
    if uri.path() != "/" {
        return Err((StatusCode::NOT_FOUND, "only / is served".to_owned()));
    }
    parse(uri.query().unwrap_or("")).map_err(|message| (StatusCode::BAD_REQUEST, message))
}

fn parse(text: &str) -> Result<Query, String> {
    let mut query = Query::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (field, most) = match name {
            "delay_ns" => (&mut query.delay_ns, MAX_DELAY_NS),
            "body_bytes" => (&mut query.body_bytes, MAX_BODY_BYTES),
            "variant" => (&mut query.variant, u64::MAX),
            _ => return Err(format!("unknown field `{name}`; delay_ns, body_bytes and variant are known")),
        };
        *field = value
            .parse()
            .ok()
            .filter(|value| *value <= most)
            .ok_or_else(|| format!("{name} must be a whole number up to {most}, not `{value}`"))?;
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_or_refused() {
        assert_eq!(parse(""), Ok(Query::default()));
        let all = Query { delay_ns: 1, body_bytes: 2, variant: 3 };
        assert_eq!(parse("variant=3&delay_ns=1&body_bytes=2"), Ok(all));
        for bad in ["delay=1", "delay_ns", "delay_ns=", "delay_ns=-1", "body_bytes=16777217", "variant=x", "&&&=&"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
