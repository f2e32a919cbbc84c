//! One agent by itself, driven frame by frame: for what measures or examines agents outside of a session.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::AgentProgram;
use super::error::{AgentError, out_of_turn};
use super::link::Link;
use crate::guard::Guard;
use crate::protocol::{
    Block, Calibrate, Calibrated, Ended, Go, Hello, Job, MakeReference, Ready, Reference, Reply, Request, Target,
};

/// An agent outside of a session.
#[derive(Debug)]
pub struct BareAgent {
    link: Link,
    patience_ns: u64,
}

impl BareAgent {
    /// Starts an agent below `root`, whose answers are waited for so long.
    ///
    /// # Errors
    /// When the guard or the program cannot be started.
    pub fn start(
        root: &mut Guard,
        program: &AgentProgram,
        patience_ns: u64,
        interrupted: &Arc<AtomicBool>,
    ) -> io::Result<BareAgent> {
        Ok(BareAgent { link: Link::start(root, program, Arc::clone(interrupted))?, patience_ns })
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// As [`Link::exchange`]; also when it says anything else.
    pub fn hello(&mut self) -> Result<Hello, AgentError> {
        match self.exchange(None, "at its start")? {
            Reply::Hello(hello) => Ok(hello),
            other => Err(out_of_turn(&other, "at its start")),
        }
    }

    /// Has it measure this machine.
    ///
    /// # Errors
    /// As [`BareAgent::hello`].
    pub fn calibrate(&mut self, target: Target, budget_ns: u64) -> Result<Calibrated, AgentError> {
        match self.ask(&Request::Calibrate(Calibrate { target, budget_ns }), "calibrating")? {
            Reply::Calibrated(calibrated) => Ok(calibrated),
            other => Err(out_of_turn(&other, "calibrating")),
        }
    }

    /// Has it make the reference of a job.
    ///
    /// # Errors
    /// As [`BareAgent::hello`].
    pub fn reference(&mut self, job: &Job) -> Result<Reference, AgentError> {
        let made = MakeReference { job: job.clone(), budget_ns: 0, most_calls: None };
        match self.ask(&Request::Reference(Box::new(made)), "making a reference")? {
            Reply::Reference(reference) => Ok(*reference),
            other => Err(out_of_turn(&other, "making a reference")),
        }
    }

    /// Has it become a candidate.
    ///
    /// # Errors
    /// As [`BareAgent::hello`].
    pub fn become_candidate(&mut self, job: &Job) -> Result<Ready, AgentError> {
        match self.ask(&Request::Job(Box::new(job.clone())), "while it was set up")? {
            Reply::Ready(ready) => Ok(ready),
            other => Err(out_of_turn(&other, "while it was set up")),
        }
    }

    /// Has it run a block.
    ///
    /// # Errors
    /// As [`BareAgent::hello`].
    pub fn block(&mut self, go: Go) -> Result<Block, AgentError> {
        match self.ask(&Request::Go(go), "running a block")? {
            Reply::Block(block) => Ok(*block),
            other => Err(out_of_turn(&other, "running a block")),
        }
    }

    /// Has it end.
    ///
    /// # Errors
    /// As [`BareAgent::hello`].
    pub fn bye(&mut self) -> Result<Ended, AgentError> {
        match self.ask(&Request::Bye {}, "at its end")? {
            Reply::Bye(ended) => Ok(ended),
            other => Err(out_of_turn(&other, "at its end")),
        }
    }

    /// Its answer to a line that need not be a request.
    ///
    /// # Errors
    /// As [`Link::exchange`].
    pub fn answer_to(&mut self, line: &str) -> Result<Reply, AgentError> {
        self.link.send_line(line);
        self.exchange(None, "after a line that is no request")
    }

    /// What is known of it as a process.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    fn ask(&mut self, request: &Request, doing: &str) -> Result<Reply, AgentError> {
        self.exchange(Some(request), doing)
    }

    fn exchange(&mut self, request: Option<&Request>, doing: &str) -> Result<Reply, AgentError> {
        self.link.exchange(request, self.patience_ns, doing, None)
    }
}
