//! `conbench serve`: the embedded server by itself.

use std::io::{self, Write};

use crate::server::{self, CannotListen, Options};

/// What `serve` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ServeArgs {
    /// The port for HTTP on 127.0.0.1; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub http_port: u16,
    /// The port for plain TCP on 127.0.0.1; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub tcp_port: u16,
}

/// Serves until standard input ends or SIGTERM comes; at a terminal, until Ctrl-C. Writes its ports to `out` as
/// one line of JSON. Gives 0, or 2 when a port cannot be had.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(args: &ServeArgs, out: &mut dyn Write, err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    match server::run(Options { http_port: args.http_port, tcp_port: args.tcp_port }, out) {
        Ok(()) => Ok(0),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<CannotListen>()) => {
            writeln!(err, "error: {error}; name another port, or 0 for any that is free")?;
            Ok(2)
        }
        Err(error) => Err(error),
    }
}
