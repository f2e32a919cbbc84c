//! The step `tcp`: one request and one response of fixed sizes.

use std::sync::Arc;

use super::Label;
use super::codec::{Answer as _, SizedAnswer};
use super::draws::Draws;
use super::http::{check_size, checksum, delays};
use super::net::{Client, resolve};
use super::peer_error::PeerError;
use crate::agent::loops::Loop;
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::clock::Timer;
use crate::protocol::{Failed, Job, StepJob, VARIANTS, body, pattern, tcp_header};
use crate::workload;

/// A request's first bytes are sent together; the rest, which is the same in every request, after them.
const FIRST_BYTES: usize = 1024;

/// One request and its response, from the embedded server or from an address.
///
/// The embedded server's responses are known, so each one counts in the checksum; of an address's only
/// the length is looked at.
pub struct TcpStep {
    label: Label,
    client: Client<SizedAnswer>,
    /// The first bytes of the request, after the header if there is one.
    first: Vec<u8>,
    embedded: Option<Embedded>,
}

#[derive(Clone)]
struct Embedded {
    delays: Draws,
    request_bytes: u32,
    response_bytes: u32,
}

impl TcpStep {
    /// The step of `job` with this number, counted as users count: from 1. Resolves the address; connects later.
    ///
    /// # Errors
    /// When a size is out of range, the address has no meaning, or the job names no server.
    pub fn new(number: usize, job: &Job, step_job: &StepJob) -> Result<TcpStep, Failed> {
        let label = Label::new(number, &step_job.step);
        let setup = |message: String| label.setup(message);
        let workload::Step::Tcp { address, request_bytes, response_bytes, connection, .. } = &step_job.step else {
            return Err(setup(format!("the job has a `{}` step here", step_job.step.kind())));
        };
        check_size("request", *request_bytes).map_err(setup)?;
        check_size("response", *response_bytes).map_err(setup)?;
        if *response_bytes == 0 {
            return Err(setup("a response of no bytes cannot be awaited; give it at least one".to_owned()));
        }
        let (addresses, embedded) = match address {
            Some(address) if *request_bytes == 0 => {
                return Err(setup(format!("`{address}` cannot see a request of no bytes; give it at least one")));
            }
            Some(address) => {
                let (host, port) = split_address(address).map_err(setup)?;
                (resolve(host, port).map_err(setup)?, None)
            }
            None => {
                let server = job.server.ok_or_else(|| setup("the job names no embedded server".to_owned()))?;
                let embedded = Embedded {
                    delays: delays(label, step_job)?,
                    request_bytes: *request_bytes as u32,
                    response_bytes: *response_bytes as u32,
                };
                (vec![([127, 0, 0, 1], server.tcp_port).into()], Some(embedded))
            }
        };
        let mut first = pattern(*request_bytes, job.seed);
        let tail = first.split_off(first.len().min(FIRST_BYTES));
        let length = *response_bytes as usize;
        let on = Loop::of(job.candidate.engine);
        let client =
            Client::new(addresses, *connection, job.task_timeout_ns, tail, on, move || SizedAnswer::new(length));
        Ok(TcpStep { label, client, first, embedded })
    }

    fn write_request(&self, index: u64, out: &mut Vec<u8>) {
        if let Some(embedded) = &self.embedded {
            let delay_ns = embedded.delays.at(index);
            let variant = index % VARIANTS;
            out.extend_from_slice(&tcp_header(embedded.request_bytes, embedded.response_bytes, delay_ns, variant));
        }
        out.extend_from_slice(&self.first);
    }

    fn read(&self, answer: &SizedAnswer) -> Result<u64, PeerError> {
        Ok(checksum(self.label, self.embedded.as_ref().map(|_| answer.body())))
    }

    fn failed(&self, fault: &PeerError) -> Failed {
        self.label.task(fault.to_string())
    }
}

impl Step for TcpStep {
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
        Ok(match &self.embedded {
            Some(embedded) => {
                let body = body(index % VARIANTS, u64::from(embedded.response_bytes));
                checksum(self.label, Some(&body))
            }
            None => checksum(self.label, None),
        })
    }

    fn on_another_loop(&self, _timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        Some(Box::new(TcpStep {
            label: self.label,
            client: self.client.on_another_loop(),
            first: self.first.clone(),
            embedded: self.embedded.clone(),
        }))
    }
}

/// Host and port of `host:port`, an IPv6 address in brackets.
fn split_address(address: &str) -> Result<(&str, u16), String> {
    let (host, port) = address.rsplit_once(':').ok_or_else(|| format!("`{address}` is not `host:port`"))?;
    let port = port.parse().map_err(|error| format!("the port of `{address}` is not a number up to 65535: {error}"))?;
    Ok((host.trim_start_matches('[').trim_end_matches(']'), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_the_port() {
        assert_eq!(split_address("localhost:80"), Ok(("localhost", 80)));
        assert_eq!(split_address("[::1]:80"), Ok(("::1", 80)));
        assert!(split_address("localhost").is_err());
        assert!(split_address("localhost:http").is_err());
    }
}
