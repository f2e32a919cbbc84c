//! Real agents: each holds one candidate and runs a block when it is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use conbench::internal::candidate::RUST;
use conbench::internal::guard::Guard;
use conbench::internal::protocol::{BlockKind, Go, Job, Reply, Request};
use conbench::internal::python::{self, Found};
use conbench::internal::session::AgentProgram;
use conbench::internal::session::error::AgentError;
use conbench::internal::session::link::Link;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const MINUTE_NS: u64 = 60_000_000_000;

/// Starts agents.
pub(crate) struct Stable {
    guard: Guard,
    found: Found,
}

impl Stable {
    pub(crate) fn open() -> Result<Stable, String> {
        let guard = Guard::start(Path::new(PROGRAM), &std::env::temp_dir()).map_err(|error| error.to_string())?;
        let named: Vec<PathBuf> = std::env::var_os("CONBENCH_PYTHON").map(PathBuf::from).into_iter().collect();
        Ok(Stable { guard, found: python::find(&named) })
    }

    /// The name of the interpreter, if there is one.
    pub(crate) fn python(&self) -> Option<String> {
        self.found.interpreters.first().map(|one| one.name.clone())
    }

    fn program(&self, runtime: &str) -> Result<AgentProgram, String> {
        if runtime == RUST {
            return Ok(AgentProgram::native(Path::new(PROGRAM)));
        }
        let interpreter = self.found.interpreters.iter().find(|one| one.name == runtime);
        let interpreter = interpreter.ok_or_else(|| format!("there is no runtime {runtime} here"))?;
        Ok(AgentProgram {
            runtime: interpreter.name.clone(),
            program: interpreter.path.clone(),
            arguments: interpreter.arguments(),
            parent_argument: None,
            environment: interpreter.environment(),
            directory: None,
        })
    }

    fn connect(&mut self, runtime: &str) -> Result<Link, String> {
        let program = self.program(runtime)?;
        let mut link = Link::start(&mut self.guard, &program, Arc::new(AtomicBool::new(false)))
            .map_err(|error| format!("cannot start an agent: {error}"))?;
        match link.exchange(None, MINUTE_NS, "starting", None) {
            Ok(Reply::Hello(_)) => Ok(link),
            other => Err(format!("{runtime}: {}", unexpected(other))),
        }
    }

    /// An agent that holds the candidate of this job, with its pool warm.
    pub(crate) fn arm(&mut self, job: &Job) -> Result<Arm, String> {
        let mut link = self.connect(&job.candidate.runtime)?;
        match link.exchange(Some(&Request::Job(Box::new(job.clone()))), MINUTE_NS, "making ready", None) {
            Ok(Reply::Ready(_)) => {
                let at_once = job.candidate.sizes.at_once();
                Ok(Arm { link, name: job.candidate.to_string(), at_once, blocks: 0 })
            }
            other => Err(format!("{}: {}", job.candidate, unexpected(other))),
        }
    }
}

/// One agent with its candidate.
pub(crate) struct Arm {
    link: Link,
    name: String,
    at_once: u32,
    blocks: u32,
}

impl Arm {
    /// The tasks a second of one block with a window of this.
    pub(crate) fn rate(&mut self, window_ns: u64) -> Result<f64, String> {
        self.blocks += 1;
        let go = Go { block: self.blocks, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks: None };
        match self.link.exchange(Some(&Request::Go(go)), 2 * MINUTE_NS, "running a block", None) {
            Ok(Reply::Block(block)) => {
                let cpus = std::thread::available_parallelism().map_or(1, usize::from);
                Ok(block.counted_by_cpu(cpus as f64, self.at_once).throughput_per_s())
            }
            other => Err(format!("{}: {}", self.name, unexpected(other))),
        }
    }
}

fn unexpected(reply: Result<Reply, AgentError>) -> String {
    match reply {
        Ok(Reply::Failed(failure)) | Err(AgentError::Failed(failure)) => failure.to_string(),
        Err(AgentError::Interrupted) => "interrupted".to_owned(),
        Ok(other) => format!("out of turn: {other:?}"),
    }
}
