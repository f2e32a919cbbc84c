//! What goes wrong, in the program's own words.

use std::fmt;

use crate::cli::Exit;
use crate::cli::bench::Refused;

/// Why a workload cannot be registered, or has no answer. Its text says what to do.
pub struct Error {
    message: String,
    exit: Exit,
    /// Whether it only says that this process gives no answers.
    is_early: bool,
}

impl Error {
    /// An error of your own, with which `register` ends; the program's exit code is then 1.
    ///
    /// ```
    /// fn load() -> Result<String, conbench::Error> {
    ///     std::fs::read_to_string("/no/such/file").map_err(conbench::Error::other)
    /// }
    /// assert!(load().is_err());
    /// ```
    #[must_use]
    pub fn other(error: impl fmt::Display) -> Error {
        Error { message: error.to_string(), exit: Exit::CandidateFailed, is_early: false }
    }

    pub(super) fn usage(message: String) -> Error {
        Error { message, exit: Exit::Usage, is_early: false }
    }

    /// Nothing could be compared, or a signal came before anything was.
    pub(super) fn no_answer(message: String, was_interrupted: bool) -> Error {
        let exit = if was_interrupted { Exit::Interrupted } else { Exit::NoAnswer };
        Error { message, exit, is_early: false }
    }

    /// What asking for an answer gives where the process is for something else.
    pub(super) fn early() -> Error {
        let message = "this process was started for a part of a session, or to test tasks: it gives no answers, so let this error end it (`?`)";
        Error { message: message.to_owned(), exit: Exit::Usage, is_early: true }
    }

    pub(super) fn is_early(&self) -> bool {
        self.is_early
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }
}

/// What the command line refused.
pub(super) fn told(refused: Refused) -> Error {
    Error { message: refused.message, exit: refused.exit, is_early: false }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.message.trim_end())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `unwrap` and a `main` that returns it show.
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Error {}
