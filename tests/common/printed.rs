//! What the program printed, as JSON.

use std::process::Output;

use serde_json::Value;

/// The document on standard output; a test without one fails with what was said on standard error.
#[track_caller]
pub fn document(ran: &Output) -> Value {
    serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)))
}

/// The first record of that document.
#[track_caller]
pub fn record(ran: &Output) -> Value {
    document(ran)["records"][0].take()
}
