//! SIGINT and SIGTERM: the first ends the session in peace, the second ends the program at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::exit::Exit;

/// Watches, and returns the flag that the first signal sets.
///
/// # Errors
/// When a handler cannot be installed.
pub(super) fn watch() -> io::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // The order matters: handlers run as registered, so the first signal finds the flag unset and
        // passes the exit, then sets it. What an exit at once leaves behind, the guard cleans up.
        signal_hook::flag::register_conditional_shutdown(
            signal,
            i32::from(Exit::Interrupted.code()),
            Arc::clone(&interrupted),
        )?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}
