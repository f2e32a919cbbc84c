//! Connections of each library with an event loop, as its users have them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use async_io::Async;

/// An open connection of an event loop.
pub(super) trait Stream: Sized + Send {
    /// Connects to the first of these addresses that accepts.
    fn connect(addresses: &[SocketAddr]) -> impl Future<Output = io::Result<Self>> + Send;

    fn set_nodelay(&self, is_on: bool) -> io::Result<()>;

    fn read<'a>(&'a mut self, space: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    fn write_all<'a>(&'a mut self, bytes: &'a [u8]) -> impl Future<Output = io::Result<()>> + Send;
}

impl Stream for tokio::net::TcpStream {
    fn connect(addresses: &[SocketAddr]) -> impl Future<Output = io::Result<Self>> + Send {
        tokio::net::TcpStream::connect(addresses)
    }

    fn set_nodelay(&self, is_on: bool) -> io::Result<()> {
        tokio::net::TcpStream::set_nodelay(self, is_on)
    }

    fn read<'a>(&'a mut self, space: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        tokio::io::AsyncReadExt::read(self, space)
    }

    fn write_all<'a>(&'a mut self, bytes: &'a [u8]) -> impl Future<Output = io::Result<()>> + Send {
        tokio::io::AsyncWriteExt::write_all(self, bytes)
    }
}

impl Stream for Async<std::net::TcpStream> {
    async fn connect(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match Async::<std::net::TcpStream>::connect(*address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn set_nodelay(&self, is_on: bool) -> io::Result<()> {
        self.get_ref().set_nodelay(is_on)
    }

    fn read<'a>(&'a mut self, space: &'a mut [u8]) -> impl Future<Output = io::Result<usize>> + Send {
        futures_lite::io::AsyncReadExt::read(self, space)
    }

    fn write_all<'a>(&'a mut self, bytes: &'a [u8]) -> impl Future<Output = io::Result<()>> + Send {
        futures_lite::io::AsyncWriteExt::write_all(self, bytes)
    }
}
