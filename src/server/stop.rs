//! When to stop: at the end of standard input, or at a signal.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

/// A stream on which a byte comes when it is time to stop.
///
/// A terminal is not read, because Ctrl-C ends the server there. Where standard input is a pipe, SIGINT is
/// ignored: Ctrl-C goes to a whole process group, and whoever holds the pipe decides when to end.
pub(super) fn at_end_of_input_or_signal() -> io::Result<UnixStream> {
    let (stop, write) = UnixStream::pair()?;
    let register = |signal: Signal| signal_hook::low_level::pipe::register(signal.as_raw(), write.try_clone()?);
    register(Signal::TERM)?;
    if io::stdin().is_terminal() {
        register(Signal::INT)?;
    } else {
        signal_hook::flag::register(Signal::INT.as_raw(), std::sync::Arc::default())?;
        let write = write.try_clone()?;
        std::thread::Builder::new().name("end-of-input".to_owned()).spawn(move || wait_for_end(write))?;
    }
    Ok(stop)
}

/// Reads standard input to its end, then says so. An input that cannot be read is at its end.
fn wait_for_end(mut write: UnixStream) {
    let mut piece = [0; 256];
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // The other end is gone only when the server has stopped already.
    let _ = write.write_all(&[0]);
}
