//! The embedded server, inside the test.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use conbench::internal::protocol::ServerAddress;
use conbench::internal::server::{self, Options};

/// A server on a thread, stopped when dropped.
pub struct Server {
    pub address: ServerAddress,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    pub fn start() -> Server {
        let (stop, until) = UnixStream::pair().expect("a socket pair");
        let (announced, mut announce) = UnixStream::pair().expect("a socket pair");
        let thread = std::thread::spawn(move || server::run_until(Options::default(), &mut announce, until));
        let mut line = String::new();
        BufReader::new(announced).read_line(&mut line).expect("an announcement");
        let address = serde_json::from_str(&line).expect("an address");
        Server { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().expect("started").join();
        if !std::thread::panicking() {
            ended.expect("no panic in the server").expect("the server ends in peace");
        }
    }
}
