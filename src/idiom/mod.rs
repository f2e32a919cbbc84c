//! Idioms: the code that a user writes for a candidate, with its sizes and the user's own names.
//!
//! Pure text from a workload and a candidate. A workload that is one step of the user's own code gives code that runs
//! as it stands; of any other, the code is a skeleton in which `task` is what the user fills in.

mod names;
mod python;
mod rust;

use crate::candidate::{Candidate, Cluster, RUST, StartMethod};
use crate::workload::Workload;

/// What a candidate's code is made from.
#[derive(Clone, Copy, Debug)]
pub struct Idiom<'a> {
    /// The workload.
    pub workload: &'a Workload,
    /// The candidate.
    pub candidate: &'a Candidate,
    /// How processes of its runtime begin when nothing is said: the code says so only where it is another way.
    pub default_method: Option<StartMethod>,
    /// What is known of the items.
    pub items: ItemsFound<'a>,
    /// The environment variables by which the candidate's number of library threads is set, where it has one.
    pub variables: &'a [String],
    /// The cluster, of a candidate that runs on one.
    pub cluster: Option<OnCluster<'a>>,
}

/// The cluster that code runs on.
#[derive(Clone, Copy, Debug)]
pub struct OnCluster<'a> {
    /// What it is.
    pub cluster: &'a Cluster,
    /// Files of the user's code that its workers are sent, as the user named them.
    pub upload: &'a [String],
}

/// What an agent found of the items of the user's own code.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemsFound<'a> {
    /// Whether they are what a call of their name gives.
    pub are_called: bool,
    /// Whether they are mappings that are spread over parameters by their names.
    pub are_mappings: bool,
    /// The names of the function's module that their expression uses.
    pub names: &'a [String],
}

impl Idiom<'_> {
    /// The code, in lines that end with a newline each: Python for a CPython, else Rust.
    #[must_use]
    pub fn code(&self) -> String {
        if self.candidate.runtime == RUST { rust::code(self) } else { python::code(self) }
    }
}

/// Lines of code, indented by four spaces more than they were.
fn indented(code: &str) -> String {
    code.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}
