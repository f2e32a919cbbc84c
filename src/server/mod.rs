//! The embedded server: HTTP/1.1 and plain TCP on loopback, in a process of its own.
//!
//! It answers after the delay that a request names, with a body that the request determines
//! ([`protocol::body`](crate::protocol::body())), so that both its time and its bytes are known. One thread serves
//! all, bodies are made once, and its delays are as precise as the agent's waits.
//!
//! ```text
//! GET /?delay_ns=N&body_bytes=M&variant=V      each may be absent and is 0 then; 400 for what is out of range
//! ```
//!
//! Over TCP a request is a header ([`protocol::tcp_header`](crate::protocol::tcp_header)) and its padding, the response is
//! the body alone. A connection carries any number of requests, one after the other.

mod bodies;
#[doc(hidden)]
pub mod http;
mod stop;
mod tcp;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::clock::{Timer, now_ns};
use crate::protocol::ServerAddress;
use bodies::Bodies;

/// Where to listen, on loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The HTTP port; 0 is any that is free.
    pub http_port: u16,
    /// The TCP port; 0 is any that is free.
    pub tcp_port: u16,
}

/// A port that cannot be had: what the error of [`run`] holds then.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on 127.0.0.1:{port}: {source}")]
pub struct CannotListen {
    /// The port.
    pub port: u16,
    /// Why.
    pub source: io::Error,
}

/// How many connections may wait to be accepted; the kernel cuts it to its own limit.
const BACKLOG: u32 = 65_535;

/// How long accepting pauses when the process has no descriptor left.
const ACCEPT_PAUSE_NS: u64 = 10_000_000;

/// Serves until standard input ends or SIGTERM comes; when standard input is a terminal, until Ctrl-C or SIGTERM.
///
/// Writes one line to `announce` once it listens: a [`ServerAddress`] as JSON.
///
/// # Errors
/// When a port cannot be had, or the announcement cannot be written.
pub fn run(options: Options, announce: &mut dyn Write) -> io::Result<()> {
    run_until(options, announce, stop::at_end_of_input_or_signal()?)
}

/// [`run`] until a byte, or the end of the stream, comes from `stop`.
///
/// # Errors
/// When a port cannot be had, or the announcement cannot be written.
pub fn run_until(options: Options, announce: &mut dyn Write, stop: UnixStream) -> io::Result<()> {
    raise_open_files();
    stop.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let stop = tokio::net::UnixStream::from_std(stop)?;
        let http = listen(options.http_port)?;
        let tcp = listen(options.tcp_port)?;
        let address = ServerAddress {
            http_port: http.local_addr()?.port(),
            tcp_port: tcp.local_addr()?.port(),
            pid: std::process::id(),
        };
        let shared = Arc::new(Shared { timer: Timer::new(), bodies: Bodies::default() });
        tokio::spawn(accept(http, Arc::clone(&shared), http::serve));
        tokio::spawn(accept(tcp, shared, tcp::serve));
        writeln!(announce, "{}", serde_json::to_string(&address)?)?;
        announce.flush()?;
        let mut byte = [0];
        tokio::io::AsyncReadExt::read(&mut { stop }, &mut byte).await.map(drop)
    })
}

/// What all connections share.
struct Shared {
    timer: Timer,
    bodies: Bodies,
}

impl Shared {
    /// Waits until `delay_ns` after now.
    async fn delay(&self, delay_ns: u64) -> io::Result<()> {
        if delay_ns == 0 { Ok(()) } else { self.timer.wait_until(now_ns().saturating_add(delay_ns)).await }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let explain = |error: io::Error| io::Error::new(error.kind(), CannotListen { port, source: error });
    let socket = TcpSocket::new_v4().map_err(explain)?;
    socket.set_reuseaddr(true).map_err(explain)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).map_err(explain)?;
    socket.listen(BACKLOG).map_err(explain)
}

/// Gives each connection a task of its own, for ever.
async fn accept<F>(listener: TcpListener, shared: Arc<Shared>, serve: impl Fn(TcpStream, Arc<Shared>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if stream.set_nodelay(true).is_ok() {
                    tokio::spawn(serve(stream, Arc::clone(&shared)));
                }
            }
            // One connection was given up by its client, or descriptors have run out: those that end give theirs back.
            Err(_) => {
                if shared.delay(ACCEPT_PAUSE_NS).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Raises the soft limit on open files to the hard one: each connection is one. A refusal leaves what there was.
fn raise_open_files() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
