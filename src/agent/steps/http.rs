//! The step `http`: one HTTP/1.1 GET request and its response.

use std::io::Write as _;
use std::sync::Arc;

use url::Url;

use super::Label;
use super::codec::{Answer as _, HttpAnswer};
use super::draws::Draws;
use super::net::{Client, resolve};
use super::peer_error::PeerError;
use crate::agent::loops::Loop;
use crate::agent::task::{BoxFuture, Outcome, Step, Task};
use crate::clock::Timer;
use crate::protocol::{Failed, Job, MAX_BODY_BYTES, MAX_DELAY_NS, StepJob, VARIANTS, body};
use crate::workload::{self, Connection};

/// One request and its response, from the embedded server or from a URL.
///
/// The embedded server's bodies are known, so each one counts in the checksum; a URL's may change, and
/// only its status is looked at.
pub struct HttpStep {
    label: Label,
    client: Client<HttpAnswer>,
    source: Source,
}

/// Whom the step asks.
#[derive(Clone)]
enum Source {
    Embedded {
        delays: Draws,
        body_bytes: u64,
        /// What follows the request line, up to the end of the head.
        fields: String,
    },
    Url {
        /// The whole request.
        request: String,
    },
}

impl HttpStep {
    /// The step of `job` with this number, counted as users count: from 1. Resolves the URL's host; connects later.
    ///
    /// # Errors
    /// When the URL is not one of plain HTTP or its host has no address, or the job names no server.
    pub fn new(number: usize, job: &Job, step_job: &StepJob) -> Result<HttpStep, Failed> {
        let label = Label::new(number, &step_job.step);
        let setup = |message: String| label.setup(message);
        let workload::Step::Http { url, body_bytes, connection, .. } = &step_job.step else {
            return Err(setup(format!("the job has a `{}` step here", step_job.step.kind())));
        };
        let close = if *connection == Connection::New { "Connection: close\r\n" } else { "" };
        let (addresses, source, expected) = match url {
            Some(url) => {
                let (host, port, request) = remote_request(url, close).map_err(setup)?;
                (resolve(&host, port).map_err(setup)?, Source::Url { request }, 0)
            }
            None => {
                let server = job.server.ok_or_else(|| setup("the job names no embedded server".to_owned()))?;
                let delays = delays(label, step_job)?;
                check_size("body", *body_bytes).map_err(setup)?;
                let fields = format!(" HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n{close}\r\n", server.http_port);
                let source = Source::Embedded { delays, body_bytes: *body_bytes, fields };
                (vec![([127, 0, 0, 1], server.http_port).into()], source, *body_bytes as usize)
            }
        };
        let on = Loop::of(job.candidate.engine);
        let client =
            Client::new(addresses, *connection, job.task_timeout_ns, Vec::new(), on, move || HttpAnswer::new(expected));
        Ok(HttpStep { label, client, source })
    }

    fn write_request(&self, index: u64, out: &mut Vec<u8>) {
        match &self.source {
            Source::Embedded { delays, body_bytes, fields } => {
                let delay_ns = delays.at(index);
                let variant = index % VARIANTS;
                // Writing to a vector cannot fail.
                let _ = write!(out, "GET /?delay_ns={delay_ns}&body_bytes={body_bytes}&variant={variant}{fields}");
            }
            Source::Url { request } => out.extend_from_slice(request.as_bytes()),
        }
    }

    fn read(&self, answer: &HttpAnswer) -> Result<u64, PeerError> {
        if !(200..300).contains(&answer.status()) {
            return Err(PeerError::Status(answer.status()));
        }
        match &self.source {
            Source::Embedded { body_bytes, .. } if answer.body().len() as u64 != *body_bytes => {
                Err(PeerError::Length { got: answer.body().len(), expected: *body_bytes })
            }
            Source::Embedded { .. } => Ok(checksum(self.label, Some(answer.body()))),
            Source::Url { .. } => Ok(checksum(self.label, None)),
        }
    }

    fn failed(&self, fault: &PeerError) -> Failed {
        self.label.task(fault.to_string())
    }
}

impl Step for HttpStep {
    fn blocking(&self, index: u64) -> Outcome {
        self.client
            .blocking(|out| self.write_request(index, out), |answer| self.read(answer))
            .map_err(|fault| self.failed(&fault))
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            self.client
                .asynchronous(move |out: &mut Vec<u8>| self.write_request(index, out), |answer| self.read(answer))
                .await
                .map_err(|fault| self.failed(&fault))
        })
    }

    fn reference(&self, index: u64) -> Outcome {
        Ok(match &self.source {
            Source::Embedded { body_bytes, .. } => checksum(self.label, Some(&body(index % VARIANTS, *body_bytes))),
            Source::Url { .. } => checksum(self.label, None),
        })
    }

    fn on_another_loop(&self, _timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        let (client, source) = (self.client.on_another_loop(), self.source.clone());
        Some(Box::new(HttpStep { label: self.label, client, source }))
    }
}

/// The checksum of an answer with this body, or of one whose body does not count.
pub(super) fn checksum(label: Label, body: Option<&[u8]>) -> u64 {
    let digest = body.map_or(1, Task::digest);
    // Mixed with the step's number, so that the answers of two steps cannot be exchanged.
    digest.wrapping_add(label.number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// How long the embedded server takes to answer.
pub(super) fn delays(label: Label, step_job: &StepJob) -> Result<Draws, Failed> {
    let delays = Draws::new(label, step_job)?;
    if delays.longest() > MAX_DELAY_NS {
        return Err(label.setup("a delay is longer than one hour; shorten `delay`"));
    }
    Ok(delays)
}

/// Checks a size against what the embedded server handles.
pub(super) fn check_size(what: &str, bytes: u64) -> Result<(), String> {
    if bytes <= MAX_BODY_BYTES {
        return Ok(());
    }
    Err(format!(
        "the {what} is larger than the {MAX_BODY_BYTES} bytes that the embedded server handles; make it smaller"
    ))
}

/// Host, port and request of a URL.
fn remote_request(text: &str, close: &str) -> Result<(String, u16, String), String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a url: {error}"))?;
    if url.scheme() != "http" {
        return Err(format!(
            "`{text}` is not an http:// url, and only plain HTTP/1.1 is spoken; put a local proxy before the other side"
        ));
    }
    let host = url.host_str().ok_or_else(|| format!("`{text}` names no host"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let request = format!(
        "GET {path}{query} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: conbench/{version}\r\nAccept: */*\r\n{close}\r\n",
        path = url.path(),
        version = env!("CARGO_PKG_VERSION"),
    );
    // The brackets of an IPv6 address belong to the url, not to the address.
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_becomes_a_request() {
        let (host, port, request) = remote_request("http://[::1]:8080/a b?c=d#e", "").expect("a url");
        assert_eq!((host.as_str(), port), ("::1", 8080));
        assert!(request.starts_with("GET /a%20b?c=d HTTP/1.1\r\nHost: [::1]:8080\r\n"), "{request}");
        assert!(request.ends_with("Accept: */*\r\n\r\n"));
        assert_eq!(remote_request("http://example.org", "").expect("a url").1, 80);
    }

    #[test]
    fn a_url_that_is_not_plain_http_is_refused_with_a_reason() {
        assert!(remote_request("https://example.org", "").expect_err("TLS").contains("only plain HTTP/1.1"));
        assert!(remote_request("example", "").expect_err("relative").contains("not a url"));
    }
}
