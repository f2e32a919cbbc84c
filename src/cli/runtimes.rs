//! The runtimes that are there: the native one, and the interpreters that were found.

use super::args::Selection;
use super::{Failure, seams};
use crate::candidate::{RUST, nearest};
use crate::escape::plain;
use crate::plan::{LeftOut, Plan, Runtime};
use crate::python::{self, Found, Interpreter, Refusal};
use crate::session::AgentProgram;
use crate::workload::Workload;

/// The runtimes of this host, and which of them take part.
pub(super) struct Runtimes {
    /// `None` if nobody looked, since nothing that was selected needs Python.
    found: Option<Found>,
    /// Names of runtimes; empty is all.
    chosen: Vec<String>,
    /// Whether the user named interpreters.
    named: bool,
}

impl Runtimes {
    /// Looks for what the selection may need.
    ///
    /// # Errors
    /// When the selection names a runtime that is not there.
    pub(super) fn find(selection: &Selection) -> Result<Runtimes, Failure> {
        let named = &selection.interpreters.python;
        let found = selection.may_need_python().then(|| seams::interpreters(named));
        let mut runtimes = Runtimes { found, chosen: Vec::new(), named: !named.is_empty() };
        runtimes.chosen = runtimes.choose(&selection.runtimes)?;
        Ok(runtimes)
    }

    /// The names that `--runtimes` means: a language means all its runtimes.
    fn choose(&self, words: &[String]) -> Result<Vec<String>, Failure> {
        let all = self.planned();
        let mut chosen: Vec<String> = Vec::new();
        for word in words {
            let meant = all.iter().filter(|runtime| runtime.name == *word || runtime.language == *word);
            let before = chosen.len();
            chosen.extend(meant.map(|runtime| runtime.name.clone()));
            if chosen.len() == before {
                return Err(self.unknown(word, &all));
            }
        }
        let mut seen = std::collections::HashSet::new();
        chosen.retain(|name| seen.insert(name.clone()));
        Ok(chosen)
    }

    fn unknown(&self, word: &str, all: &[Runtime]) -> Failure {
        if word == python::LANGUAGE {
            let why = if self.found.is_some() { self.reasons() } else { "\n  --engines names none of it".to_owned() };
            return Failure::Usage(format!("there is no runtime of Python:{why}"));
        }
        let names: Vec<&str> = all.iter().map(|runtime| runtime.name.as_str()).collect();
        let hint = nearest(word, &names).map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
        let word = plain(word);
        let names = names.join(", ");
        Failure::Usage(format!(
            "unknown runtime `{word}`{hint}\n  found: {names} (--python PATH names an interpreter){}",
            self.reasons()
        ))
    }

    /// A line for each interpreter that was refused.
    fn reasons(&self) -> String {
        let line = |left_out: LeftOut| format!("\n  {}: {}", left_out.what, left_out.reason);
        self.refused().map(line).collect()
    }

    /// Every interpreter that was refused, harmless for a terminal.
    fn refused(&self) -> impl Iterator<Item = LeftOut> {
        let refused = self.found.iter().flat_map(|found| &found.refused);
        refused.map(|refused| LeftOut { what: plain(&refused.named), reason: plain(&refused.reason.to_string()) })
    }

    /// What the user should know of interpreters that will not take part. That there is no Python at all is no news
    /// to those who never asked for it.
    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        let nothing_there = |found: &Found| found.refused.iter().all(|refused| refused.reason == Refusal::NotFound);
        if !self.named && self.found.as_ref().is_none_or(nothing_there) { Vec::new() } else { self.refused().collect() }
    }

    /// All runtimes, for a plan.
    pub(super) fn planned(&self) -> Vec<Runtime> {
        let interpreters = self.found.iter().flat_map(|found| &found.interpreters);
        let further = interpreters.map(|interpreter| Runtime::of(&interpreter.name, &interpreter.hello));
        let (engines, absent) = crate::agent::engines::offers();
        let native = Runtime { engines, absent, ..Runtime::rust() };
        std::iter::once(native).chain(further).collect()
    }

    /// The names of those that take part; empty is all.
    pub(super) fn chosen(&self) -> Vec<String> {
        self.chosen.clone()
    }

    /// The agents of a plan's runtimes, but for the native one.
    pub(super) fn agents(&self, plan: &Plan) -> Vec<AgentProgram> {
        let interpreters = self.found.iter().flat_map(|found| &found.interpreters);
        interpreters
            .filter(|interpreter| plan.entries.iter().any(|entry| entry.runtime == interpreter.name))
            .map(agent)
            .collect()
    }

    /// Whether the native runtime takes part.
    pub(super) fn has_rust(&self) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|name| name == RUST)
    }

    /// The interpreters that take part.
    pub(super) fn chosen_interpreters(&self) -> impl Iterator<Item = &Interpreter> {
        let is_chosen = |it: &&Interpreter| self.chosen.is_empty() || self.chosen.contains(&it.name);
        self.found.iter().flat_map(|found| &found.interpreters).filter(is_chosen)
    }

    /// Refuses a workload with code that nothing here can run.
    pub(super) fn check(&self, workload: &Workload) -> Result<(), Failure> {
        let Some(python) = workload.steps.iter().find_map(|step| step.python()) else { return Ok(()) };
        let planned = self.planned();
        let is_chosen = |runtime: &&Runtime| self.chosen.is_empty() || self.chosen.contains(&runtime.name);
        if planned.iter().filter(is_chosen).any(|runtime| runtime.language == python::LANGUAGE) {
            return Ok(());
        }
        let code = plain(python.short());
        let name = plain(&workload.name);
        let there = self.found.as_ref().is_some_and(|found| !found.interpreters.is_empty());
        Err(Failure::Usage(if self.found.is_none() || there {
            format!(
                "`{name}` calls `{code}`, which is Python, and --runtimes or --engines leave no Python: {RUST} cannot run it"
            )
        } else {
            let reasons = self.reasons();
            format!(
                "`{name}` calls `{code}`, which is Python, and there is no interpreter for it:{reasons}\n  name one with --python PATH"
            )
        }))
    }
}

/// The agent of an interpreter.
pub(super) fn agent(interpreter: &Interpreter) -> AgentProgram {
    AgentProgram {
        runtime: interpreter.name.clone(),
        program: interpreter.path.clone(),
        arguments: interpreter.arguments(),
        parent_argument: interpreter.parent_argument(),
        environment: interpreter.environment(),
        directory: None,
    }
}
