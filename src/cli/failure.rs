//! Why a verb could not do its work, with the code that says so.

use std::io;

use super::exit::Exit;
use crate::checkout::CheckoutError;
use crate::record::StoreError;
use crate::report::ExportError;
use crate::session::SessionError;

/// An error that ends a verb.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Input or usage is bad. The text is complete: several lines perhaps, with its own `error:`.
    #[error("{0}")]
    Rendered(String),
    /// Input or usage is bad.
    #[error("{0}")]
    Usage(String),
    /// A record that cannot be read.
    #[error(transparent)]
    Read(StoreError),
    /// A record that cannot be written.
    #[error(transparent)]
    Save(StoreError),
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Write(#[from] io::Error),
    /// The session could not run at all.
    #[error(transparent)]
    Session(SessionError),
    /// The self-test could not go on.
    #[error("the self-test cannot go on: {0}")]
    Selftest(crate::selftest::LawError),
    /// An agent could not be examined.
    #[error("cannot check the agent: {0}")]
    Examine(crate::conformance::ExamineError),
    /// The cheat sheet could not be measured.
    #[error("cannot measure the cheat sheet: {0}")]
    Cheatsheet(io::Error),
    /// A revision cannot be had, or its files cannot be written.
    #[error(transparent)]
    Checkout(#[from] CheckoutError),
    /// The directory of a session cannot be made.
    #[error("cannot make a directory for the versions: {0}")]
    Directory(io::Error),
    /// This program's own file is not known.
    #[error("cannot find this program's own file, to start it again: {0}")]
    Program(io::Error),
    /// Signals cannot be watched.
    #[error("cannot watch for signals: {0}")]
    Signals(io::Error),
    /// A figure that JSON cannot hold: a fault of this program.
    #[error("cannot write a record as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The same of a format of another program.
    #[error(transparent)]
    Export(ExportError),
}

impl Failure {
    /// The code that it ends with. A reader who has gone away (`conbench .. | head`) is no error.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Failure::Rendered(_) | Failure::Usage(_) | Failure::Read(_) | Failure::Checkout(_) => Exit::Usage,
            Failure::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Fine,
            Failure::Write(_) | Failure::Save(_) => Exit::Output,
            Failure::Session(_)
            | Failure::Selftest(_)
            | Failure::Examine(_)
            | Failure::Cheatsheet(_)
            | Failure::Directory(_)
            | Failure::Program(_) => Exit::NoAnswer,
            Failure::Signals(_) | Failure::Json(_) | Failure::Export(_) => Exit::Internal,
        }
    }
}
