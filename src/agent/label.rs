//! How a step calls itself in failures.

use crate::protocol::{Failed, FailureKind};
use crate::workload::Step as Description;

/// A step's number and kind, for the place of a failure: `step 2 (file)`.
#[derive(Clone, Copy, Debug)]
pub(in crate::agent) struct Label {
    /// From 1.
    pub(in crate::agent) number: usize,
    kind: &'static str,
}

impl Label {
    pub(in crate::agent) fn new(number: usize, step: &Description) -> Label {
        Label { number, kind: step.kind() }
    }

    /// A failure of this step.
    pub(in crate::agent) fn failed(self, kind: FailureKind, message: impl Into<String>) -> Failed {
        Failed::new(kind, message, format!("step {} ({})", self.number, self.kind))
    }

    /// This step of one task failed.
    pub(in crate::agent) fn task(self, message: impl Into<String>) -> Failed {
        self.failed(FailureKind::Task, message)
    }

    /// This step cannot be set up.
    pub(in crate::agent) fn setup(self, message: impl Into<String>) -> Failed {
        self.failed(FailureKind::Setup, message)
    }
}
