//! Why an interpreter cannot be measured.

use crate::clock::nanos;
use crate::units;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// An interpreter that cannot be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// As the user named it.
    pub named: String,
    /// Why.
    pub reason: Refusal,
}

/// Why an interpreter cannot be measured: lower case, no full stop. What others wrote is in it as they wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is there.
    #[error("it is neither a file, nor a name on PATH, nor the directory of a virtual environment")]
    NotFound,
    /// A directory without an interpreter.
    #[error("the directory holds no bin/python3: name a virtual environment or an interpreter")]
    NoInterpreter,
    /// A link to something that is gone.
    #[error("{0} is a link to a file that is gone: make the virtual environment anew, or name another")]
    Dangling(String),
    /// A file that is no program.
    #[error("{0} is not executable")]
    NotExecutable(String),
    /// It did not start.
    #[error("it cannot be started: {0}")]
    NotStarted(String),
    /// The agent could not be unpacked.
    #[error("the agent for it cannot be unpacked: {0}; set XDG_CACHE_HOME or TMPDIR to a directory of your own")]
    NoAgent(String),
    /// The agent does not run on it: its own words.
    #[error("{0}")]
    Unfit(String),
    /// It ended in another way than well.
    #[error("it ended with {how}{}", said(last_words))]
    Ended {
        /// `exit status: 7`, `signal: 11 (SIGSEGV)`.
        how: String,
        /// The last line that it wrote to standard error; may be empty.
        last_words: String,
    },
    /// It did not answer in time.
    #[error("it said no hello within {}{}", units::written_duration(nanos(*.patience)), said(last_words))]
    Silent {
        /// How long it had.
        patience: Duration,
        /// The last line that it wrote to standard error; may be empty.
        last_words: String,
    },
    /// It ended well, and answered nothing.
    #[error("it ended without a hello; is it a Python?")]
    Mute,
    /// It answered something else.
    #[error("its answer is no hello: `{0}`; is it a Python?")]
    NotAHello(String),
    /// It wrote without an end.
    #[error("it wrote more than {0} bytes and no hello; is it a Python?")]
    Endless(usize),
    /// Its agent is of another version.
    #[error("its agent speaks protocol {theirs}, and this conbench speaks {ours}")]
    Protocol {
        /// The agent's.
        theirs: u64,
        /// The one that is understood here.
        ours: u32,
    },
}

fn said(last_words: &str) -> String {
    if last_words.is_empty() { String::new() } else { format!(": {last_words}") }
}

impl Serialize for Refusal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
