//! Who starts agents, and keeps what was found of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::rules::Fault;
use super::{ExamineError, Finding, Verdict};
use crate::guard::Guard;
use crate::protocol::{FailureKind, Job, Reference};
use crate::session::AgentProgram;
use crate::session::bare::BareAgent;
use crate::session::error::AgentError;

/// How long the native agent may take for anything.
const NATIVE_PATIENCE_NS: u64 = 60_000_000_000;

/// Starts the agent that is examined, again and again.
pub(super) struct Examiner<'a> {
    guard: Guard,
    program: AgentProgram,
    native: AgentProgram,
    patience: Duration,
    interrupted: Arc<AtomicBool>,
    show: &'a mut dyn FnMut(&Finding),
    findings: Vec<Finding>,
    /// Whether an answer did not come: each further one would be waited for as long.
    hangs: bool,
    /// Whether a signal ended an exchange.
    is_interrupted: bool,
}

impl<'a> Examiner<'a> {
    pub(super) fn start(
        program: &AgentProgram,
        patience: Duration,
        interrupted: &Arc<AtomicBool>,
        show: &'a mut dyn FnMut(&Finding),
    ) -> Result<Examiner<'a>, ExamineError> {
        let own: PathBuf = std::env::current_exe()?;
        Ok(Examiner {
            guard: Guard::start(&own, &std::env::temp_dir())?,
            program: program.clone(),
            native: AgentProgram::native(&own),
            patience,
            interrupted: Arc::clone(interrupted),
            show,
            findings: Vec::new(),
            hangs: false,
            is_interrupted: false,
        })
    }

    /// All of them, unless a signal came.
    pub(super) fn into_findings(self) -> Result<Vec<Finding>, ExamineError> {
        if self.is_interrupted { Err(ExamineError::Interrupted) } else { Ok(self.findings) }
    }

    /// The name under which it is known in jobs.
    pub(super) fn runtime(&self) -> &str {
        &self.program.runtime
    }

    /// How long an answer may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// A directory that is removed in the end.
    pub(super) fn directory(&self) -> PathBuf {
        self.guard.directory().map_or_else(std::env::temp_dir, std::path::Path::to_owned)
    }

    /// An agent that has not said hello.
    pub(super) fn agent(&mut self) -> Result<BareAgent, ExamineError> {
        let patience_ns = u64::try_from(self.patience.as_nanos()).unwrap_or(u64::MAX);
        Ok(BareAgent::start(&mut self.guard, &self.program, patience_ns, &self.interrupted)?)
    }

    /// What the native agent makes of a job.
    pub(super) fn reference(&mut self, job: &Job) -> Result<Reference, ExamineError> {
        let failed = |error: String| ExamineError::Native(error);
        let mut agent = BareAgent::start(&mut self.guard, &self.native, NATIVE_PATIENCE_NS, &self.interrupted)
            .map_err(|error| failed(error.to_string()))?;
        let made = agent.hello().and_then(|_| agent.reference(job));
        made.map_err(|error| match error {
            AgentError::Interrupted => ExamineError::Interrupted,
            AgentError::Failed(failure) => failed(failure.to_string()),
        })
    }

    /// Whether nothing more is asked of it.
    pub(super) fn is_over(&self) -> bool {
        self.hangs || self.is_interrupted
    }

    /// Whether an answer did not come in time.
    pub(super) fn hangs(&self) -> bool {
        self.hangs
    }

    /// Whether anything of it was found broken.
    pub(super) fn has_broken(&self) -> bool {
        self.findings.iter().any(|finding| finding.verdict == Verdict::Broken)
    }

    /// A check of which this came.
    pub(super) fn find(&mut self, check: &str, expected: &str, verdict: Verdict, came: String) {
        let finding = Finding { check: check.to_owned(), verdict, expected: expected.to_owned(), came };
        (self.show)(&finding);
        self.findings.push(finding);
    }

    /// A check that is kept unless there are faults: each is told.
    pub(super) fn judge(&mut self, check: &str, expected: &str, faults: Vec<Fault>) {
        if faults.is_empty() {
            self.find(check, expected, Verdict::Held, String::new());
        }
        for Fault { expected, came } in faults {
            self.find(check, &expected, Verdict::Broken, came);
        }
    }

    /// An answer, if it came; else that is the finding.
    pub(super) fn hear<T>(&mut self, check: &str, expected: &str, answer: Result<T, AgentError>) -> Option<T> {
        match answer {
            Ok(answer) => return Some(answer),
            Err(AgentError::Interrupted) => self.is_interrupted = true,
            Err(AgentError::Failed(failure)) => {
                self.hangs |= failure.kind == FailureKind::Hang;
                self.find(check, expected, Verdict::Broken, failure.to_string());
            }
        }
        None
    }

    /// The same of what an agent need not have: it refuses that as a failure of the kind `setup`.
    pub(super) fn hear_if_there<T>(
        &mut self,
        agent: &mut BareAgent,
        check: &str,
        expected: &str,
        answer: Result<T, AgentError>,
    ) -> Option<T> {
        match answer {
            Err(AgentError::Failed(failure))
                if failure.kind == FailureKind::Setup && agent.link().heard_last_word() =>
            {
                self.find(check, expected, Verdict::Untried, failure.to_string());
                None
            }
            answer => self.hear(check, expected, answer),
        }
    }
}
