//! The parts of a session that need a workload's closures: the agent, and a worker process.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use crate::agent::registry::{self, Closures, WORKLOAD_VARIABLE};
use crate::agent::task::Outcome;
use crate::agent::worker::Seat;
use crate::agent::{Pipes, registry::caught};
use crate::cli::bench;
use crate::protocol::{Failed, FailureKind};

/// What a process was started for, with what it was handed.
pub(super) struct Part {
    name: String,
    duty: Duty,
}

enum Duty {
    Agent(Pipes),
    Worker(Seat),
}

impl Part {
    /// The part that the arguments and the environment name, if they do. Before the process opens anything.
    ///
    /// # Errors
    /// The code to end with where what it should have been handed is not there.
    pub(super) fn taken(arguments: &[OsString]) -> Result<Option<Part>, ExitCode> {
        let Some(name) = std::env::var_os(WORKLOAD_VARIABLE).and_then(|name| name.into_string().ok()) else {
            return Ok(None);
        };
        let Some((verb, rest)) = arguments.split_first().filter(|_| !bench::is_asked_by_cargo(arguments)) else {
            return Ok(None);
        };
        let duty = match verb {
            verb if verb == OsStr::new("agent") => Pipes::adopt().map(Duty::Agent),
            verb if verb == OsStr::new("worker") => Seat::take(rest).map(Duty::Worker),
            _ => return Ok(None),
        };
        match duty {
            Ok(duty) => Ok(Some(Part { name, duty })),
            Err(_) => Err(ExitCode::from(2)),
        }
    }

    /// The workload's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Plays it with these closures, to its end and that of the process.
    pub(super) fn play(self, closures: Closures) -> ! {
        registry::register(closures);
        let exit = match self.duty {
            Duty::Agent(pipes) => pipes.serve(),
            Duty::Worker(seat) => {
                registry::hush();
                seat.serve()
            }
        };
        // Nothing of the user's `main` that follows may run in a part of a session.
        std::process::exit(i32::from(exit != ExitCode::SUCCESS));
    }
}

/// Runs each form once, with the first index.
pub(super) fn once(closures: &Closures) -> Vec<(&'static str, Outcome)> {
    let blocking = closures.blocking.iter().map(|task| ("task", task(0)));
    let awaited = closures.asynchronous.iter().map(|task| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let outcome =
            runtime.map_err(|error| error.to_string()).and_then(|runtime| caught(|| runtime.block_on(task(0))));
        ("async task", outcome.unwrap_or_else(|message| Err(Failed::new(FailureKind::Setup, message, String::new()))))
    });
    blocking.chain(awaited).collect()
}
