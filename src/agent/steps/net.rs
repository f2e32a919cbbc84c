//! Requests over TCP in both forms: connections, their pools, and what can go wrong.

mod streams;

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::codec::Answer;
use super::peer_error::PeerError;
use crate::agent::loops::Loop;
use crate::clock;
use crate::workload::Connection;
use streams::Stream;

/// Resolves a host name, once.
pub(super) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve `{host}`: {error}; correct the name"))?
        .collect();
    if addresses.is_empty() { Err(format!("`{host}` has no address; correct the name")) } else { Ok(addresses) }
}

/// Sends requests to one peer, in both forms; connections are pooled as HTTP client libraries do it.
///
/// The pool of the async form belongs to the event loop that filled it; a connection whose loop has ended is
/// replaced like one that the peer has closed.
pub(super) struct Client<A> {
    addresses: Vec<SocketAddr>,
    connection: Connection,
    timeout: Duration,
    answer: Arc<dyn Fn() -> A + Send + Sync>,
    /// Bytes that follow every request.
    tail: Arc<[u8]>,
    blocking: Pool<Link<std::net::TcpStream, A>>,
    asynchronous: Asynchronous<A>,
}

/// Connections of an event loop.
enum Asynchronous<A> {
    Tokio(Pool<Link<tokio::net::TcpStream, A>>),
    Smol(Pool<Link<async_io::Async<std::net::TcpStream>, A>>),
}

impl<A> Asynchronous<A> {
    fn new(on: Loop) -> Asynchronous<A> {
        match on {
            Loop::Smol => Asynchronous::Smol(Pool::default()),
            // It has no form for compio, and is not made for it.
            _ => Asynchronous::Tokio(Pool::default()),
        }
    }

    /// Whose event loop it is.
    fn on(&self) -> Loop {
        match self {
            Asynchronous::Tokio(_) => Loop::Tokio,
            Asynchronous::Smol(_) => Loop::Smol,
        }
    }
}

/// An open connection with its buffers.
struct Link<S, A> {
    stream: S,
    answer: A,
    request: Vec<u8>,
}

impl<S, A: Answer> Link<S, A> {
    /// Whether a failure only says that the peer had closed a pooled connection.
    fn was_stale(&self, fault: &PeerError) -> bool {
        !self.answer.has_begun() && matches!(fault, PeerError::Io(_) | PeerError::Closed)
    }
}

/// Idle connections; the one used last is used next.
struct Pool<L>(Mutex<Vec<L>>);

impl<L> Default for Pool<L> {
    fn default() -> Pool<L> {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<L> Pool<L> {
    fn take(&self) -> Option<L> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give(&self, link: L) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(link);
    }
}

impl<A: Answer> Client<A> {
    /// A client of the peer at `addresses` (never empty), with no connection yet. Every connection gets
    /// a codec from `answer`.
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        connection: Connection,
        timeout_ns: u64,
        tail: Vec<u8>,
        on: Loop,
        answer: impl Fn() -> A + Send + Sync + 'static,
    ) -> Client<A> {
        Client {
            addresses,
            connection,
            // The operating system takes a timeout of zero for none.
            timeout: Duration::from_nanos(timeout_ns).max(Duration::from_millis(1)),
            answer: Arc::new(answer),
            tail: tail.into(),
            blocking: Pool::default(),
            asynchronous: Asynchronous::new(on),
        }
    }

    /// A client of the same peer for another event loop, with no connection yet.
    pub(super) fn on_another_loop(&self) -> Client<A> {
        Client {
            addresses: self.addresses.clone(),
            connection: self.connection,
            timeout: self.timeout,
            answer: Arc::clone(&self.answer),
            tail: Arc::clone(&self.tail),
            blocking: Pool::default(),
            asynchronous: Asynchronous::new(self.asynchronous.on()),
        }
    }

    /// Sends what `request` writes, and gives the answer to `read`.
    pub(super) fn blocking<T>(
        &self,
        request: impl Fn(&mut Vec<u8>),
        read: impl FnOnce(&A) -> Result<T, PeerError>,
    ) -> Result<T, PeerError> {
        let pooled = self.blocking.take();
        let is_pooled = pooled.is_some();
        let mut link = pooled.map_or_else(|| self.open(), Ok)?;
        let mut done = self.talk(&mut link, &request);
        if is_pooled && done.as_ref().is_err_and(|fault| link.was_stale(fault)) {
            link = self.open()?;
            done = self.talk(&mut link, &request);
        }
        done?;
        let result = read(&link.answer);
        if self.connection == Connection::KeepAlive && link.answer.reusable() {
            self.blocking.give(link);
        }
        result
    }

    /// [`Client::blocking`] on an event loop; a runtime of tokio must have I/O and time enabled.
    pub(super) async fn asynchronous<T>(
        &self,
        request: impl Fn(&mut Vec<u8>) + Send + Sync,
        read: impl FnOnce(&A) -> Result<T, PeerError> + Send,
    ) -> Result<T, PeerError> {
        let late = || Err(PeerError::Timeout(self.timeout));
        match &self.asynchronous {
            Asynchronous::Tokio(pool) => {
                let exchange = self.exchange_async(pool, request, read);
                tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_elapsed| late())
            }
            Asynchronous::Smol(pool) => {
                let timeout = async {
                    async_io::Timer::after(self.timeout).await;
                    late()
                };
                futures_lite::future::or(self.exchange_async(pool, request, read), timeout).await
            }
        }
    }

    async fn exchange_async<S: Stream, T>(
        &self,
        pool: &Pool<Link<S, A>>,
        request: impl Fn(&mut Vec<u8>) + Send + Sync,
        read: impl FnOnce(&A) -> Result<T, PeerError> + Send,
    ) -> Result<T, PeerError> {
        let pooled = pool.take();
        let is_pooled = pooled.is_some();
        let mut link = match pooled {
            Some(link) => link,
            None => self.open_async().await?,
        };
        let mut done = self.talk_async(&mut link, &request).await;
        if is_pooled && done.as_ref().is_err_and(|fault| link.was_stale(fault)) {
            link = self.open_async().await?;
            done = self.talk_async(&mut link, &request).await;
        }
        done?;
        let result = read(&link.answer);
        if self.connection == Connection::KeepAlive && link.answer.reusable() {
            pool.give(link);
        }
        result
    }

    fn link<S>(&self, stream: S) -> Link<S, A> {
        Link { stream, answer: (self.answer)(), request: Vec::new() }
    }

    fn open(&self) -> Result<Link<std::net::TcpStream, A>, PeerError> {
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for address in &self.addresses {
            match std::net::TcpStream::connect_timeout(address, self.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(PeerError::Io)?;
                    stream.set_read_timeout(Some(self.timeout)).map_err(PeerError::Io)?;
                    stream.set_write_timeout(Some(self.timeout)).map_err(PeerError::Io)?;
                    return Ok(self.link(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(self.fault(last, PeerError::Connect))
    }

    async fn open_async<S: Stream>(&self) -> Result<Link<S, A>, PeerError> {
        let stream = S::connect(&self.addresses).await.map_err(PeerError::Connect)?;
        stream.set_nodelay(true).map_err(PeerError::Io)?;
        Ok(self.link(stream))
    }

    fn talk(&self, link: &mut Link<std::net::TcpStream, A>, request: &impl Fn(&mut Vec<u8>)) -> Result<(), PeerError> {
        let deadline_ns = clock::now_ns().saturating_add(clock::nanos(self.timeout));
        link.begin(request);
        link.stream.write_all(&link.request).map_err(|error| self.fault(error, PeerError::Io))?;
        link.stream.write_all(&self.tail).map_err(|error| self.fault(error, PeerError::Io))?;
        loop {
            match link.stream.read(link.answer.space()) {
                Ok(length) => {
                    if link.answer.advance(length)? {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.fault(error, PeerError::Io)),
            }
            // The socket's timeout is for one read; a peer that trickles would never reach it.
            if clock::now_ns() > deadline_ns {
                return Err(PeerError::Timeout(self.timeout));
            }
        }
    }

    async fn talk_async<S: Stream>(
        &self,
        link: &mut Link<S, A>,
        request: &(impl Fn(&mut Vec<u8>) + Sync),
    ) -> Result<(), PeerError> {
        link.begin(request);
        link.stream.write_all(&link.request).await.map_err(PeerError::Io)?;
        if !self.tail.is_empty() {
            link.stream.write_all(&self.tail).await.map_err(PeerError::Io)?;
        }
        loop {
            let length = link.stream.read(link.answer.space()).await.map_err(PeerError::Io)?;
            if link.answer.advance(length)? {
                return Ok(());
            }
        }
    }

    /// A socket's timeout is told apart from other errors.
    fn fault(&self, error: io::Error, other: fn(io::Error) -> PeerError) -> PeerError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => PeerError::Timeout(self.timeout),
            _ => other(error),
        }
    }
}

impl<S, A: Answer> Link<S, A> {
    fn begin(&mut self, request: &impl Fn(&mut Vec<u8>)) {
        self.answer.begin();
        self.request.clear();
        request(&mut self.request);
    }
}
