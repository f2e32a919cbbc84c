//! The library: workloads of Rust closures, from a name to an answer.
//!
//! A program that registers workloads is started again as its own agent, worker and guard. [`main`] tells these lives
//! apart: as an agent or a worker, the program runs up to the registration of the one workload that it was started for.

mod answer;
mod error;
mod part;
mod workload;

use std::cell::RefCell;
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;

pub use answer::Answer;
pub use error::Error;
pub use workload::Workload;

use crate::agent::registry::Closures;
use crate::cli::Exit;
use crate::cli::bench::{self, Asked, Start, Wish};
use crate::workload::Workload as Described;
use error::told;
use part::Part;

/// The whole `main` of a program that asks for recommendations.
///
/// `register` hands workloads to the [`Registry`]. Then each of them is measured and its answer is printed, unless
/// `register` itself asks for an answer ([`Handle::recommend`]): then it does with it what it likes, and nothing else is
/// measured.
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     conbench::main(|registry| {
///         registry.add(conbench::Workload::new("square").task(|index| index * index))?;
///         Ok(())
///     })
/// }
/// ```
///
/// The program is started again several times while it measures: as the process in which one candidate's tasks run, as one
/// of its worker processes, and as a guard that ends all of them. So `register` runs in several processes, up to the
/// workload that each was started for. Make there what tasks need, and nothing that must happen once.
///
/// # Arguments
///
/// `cargo bench` measures, `cargo bench -- parse --budget 5s` only workloads with `parse` in their names, each within five
/// seconds; `--format json` prints records, `--help` shows the rest. `cargo test --benches`, and `--test`, run each task
/// once.
///
/// # Exit code
///
/// 0: answered. 1: with `--test`, a task failed; or an error of [`Error::other`]. 2: wrong arguments, or a workload that cannot be registered. 3: no answer.
/// 130: interrupted by a signal.
pub fn main(register: impl FnOnce(&mut Registry) -> Result<(), Error>) -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Part::taken(arguments.get(1..).unwrap_or_default()) {
        Ok(Some(part)) => return play(part, register),
        Ok(None) => {}
        Err(exit) => return exit,
    }
    match bench::start(&arguments) {
        Start::Ended(exit) => exit,
        Start::Asked(asked) => measure(*asked, register),
    }
}

/// Runs up to the registration of the workload that this process was started for, which never returns.
fn play(part: Part, register: impl FnOnce(&mut Registry) -> Result<(), Error>) -> ExitCode {
    let name = part.name().to_owned();
    let mut registry = Registry::new(Role::Part(Some(part)));
    let ended = within(&registry, || register(&mut registry.shared()));
    let cause = match ended {
        Err(error) if !error.is_early() => format!(": {error}"),
        _ => String::new(),
    };
    registry.forget();
    bench::report_error(&format!(
        "this program was started for its workload `{name}` and did not register it{cause}: register every workload, whatever the arguments and the time, before the first answer is asked for"
    ));
    Exit::Usage.into()
}

fn measure(asked: Asked, register: impl FnOnce(&mut Registry) -> Result<(), Error>) -> ExitCode {
    let registry = Registry::new(Role::Asked(Box::new(asked)));
    let ended = within(&registry, || register(&mut registry.shared()));
    let exit = match ended {
        // In a test, or a list, an answer is refused: what was asked for is done below.
        Err(error) if !error.is_early() => Err(error),
        _ => registry.rest(),
    };
    match exit {
        Ok(exit) => exit.into(),
        Err(error) if error.exit() == Exit::Fine => Exit::Fine.into(),
        Err(error) => {
            bench::report_error(&error.to_string());
            error.exit().into()
        }
    }
}

thread_local! {
    /// The registry of the `main` that runs on this thread.
    static CURRENT: RefCell<Option<Registry>> = const { RefCell::new(None) };
}

/// Runs this with the registry as the current one.
fn within<R>(registry: &Registry, run: impl FnOnce() -> R) -> R {
    CURRENT.set(Some(registry.shared()));
    let done = run();
    CURRENT.set(None);
    done
}

/// What this process does.
enum Role {
    /// A part of a session, until it is taken.
    Part(Option<Part>),
    /// What its arguments say.
    Asked(Box<Asked>),
}

/// The workloads of a program. [`main`] hands it out.
pub struct Registry {
    state: Rc<RefCell<State>>,
}

struct State {
    role: Role,
    entries: Vec<Entry>,
    /// Whether an answer was asked for. Then no workload may be registered any more: a process that is started for it would
    /// come to the question before.
    was_asked: bool,
    /// The worst end of what was answered so far.
    exit: Exit,
}

/// A workload that was registered.
#[derive(Clone)]
struct Entry {
    described: Described,
    wish: Wish,
    closures: Closures,
}

impl Registry {
    fn new(role: Role) -> Registry {
        let state = State { role, entries: Vec::new(), was_asked: false, exit: Exit::Fine };
        Registry { state: Rc::new(RefCell::new(state)) }
    }

    /// Registers a workload, and gives a handle by which its answer can be asked for.
    ///
    /// In a process that was started for this workload it does not return: the process runs tasks until it ends.
    ///
    /// # Errors
    /// When another workload has this name, when an answer was asked for before, or when the workload is not complete: see
    /// [`Workload`].
    pub fn add<R: 'static>(&mut self, workload: Workload<R>) -> Result<Handle, Error> {
        let (described, closures, wish) = workload.build()?;
        let name = described.name.clone();
        self.check(&name)?;
        if let Some(part) = self.part_for(&name) {
            part.play(closures);
        }
        self.state.borrow_mut().entries.push(Entry { described, wish, closures });
        Ok(Handle { registry: self.shared(), name })
    }

    /// The same registry once more.
    fn shared(&self) -> Registry {
        Registry { state: Rc::clone(&self.state) }
    }

    fn check(&self, name: &str) -> Result<(), Error> {
        let state = self.state.borrow();
        if state.entries.iter().any(|entry| entry.described.name == name) {
            return Err(Error::usage(format!(
                "two workloads are named `{name}`: a name is how a process that is started for one finds it, so give each its own"
            )));
        }
        if state.was_asked {
            return Err(Error::usage(format!(
                "`{name}` is registered after an answer was asked for: a process that is started for it would not come that far, so register every workload first"
            )));
        }
        Ok(())
    }

    /// The part that this process has, if it is this workload's.
    fn part_for(&self, name: &str) -> Option<Part> {
        match &mut self.state.borrow_mut().role {
            Role::Part(part) => part.take_if(|part| part.name() == name),
            Role::Asked(_) => None,
        }
    }

    /// Gives up what belongs to a part that found no workload.
    fn forget(&mut self) {
        if let Role::Part(part) = &mut self.state.borrow_mut().role {
            drop(part.take());
        }
    }

    fn recommend(&self, name: &str) -> Result<Answer, Error> {
        let state = &mut *self.state.borrow_mut();
        state.was_asked = true;
        let Role::Asked(asked) = &mut state.role else { return Err(Error::early()) };
        if asked.is_test() || asked.is_list() {
            return Err(Error::early());
        }
        let entry = state.entries.iter().find(|entry| entry.described.name == name);
        let entry = entry.ok_or_else(|| Error::usage(format!("`{name}` is not registered")))?.clone();
        let judged = asked.recommend(entry.described, &entry.wish).map_err(told)?;
        state.exit = state.exit.max(bench::exit(&judged));
        Answer::of(judged)
    }

    /// What is left to do when everything is registered.
    fn rest(&self) -> Result<Exit, Error> {
        let state = &mut *self.state.borrow_mut();
        let Role::Asked(asked) = &mut state.role else { return Ok(Exit::Internal) };
        let is_measured = !asked.is_test() && !asked.is_list();
        if state.was_asked && is_measured {
            return Ok(state.exit);
        }
        let chosen: Vec<Entry> =
            state.entries.iter().filter(|entry| asked.chooses(&entry.described.name)).cloned().collect();
        if chosen.is_empty() && !state.entries.is_empty() {
            let names: Vec<&str> = state.entries.iter().map(|entry| entry.described.name.as_str()).collect();
            return Err(Error::usage(format!("no workload has such a name: there is {}", names.join(", "))));
        }
        if asked.is_list() {
            for entry in &chosen {
                asked.line(&entry.described.name).map_err(told)?;
            }
            return Ok(Exit::Fine);
        }
        if asked.is_test() { test(asked, &chosen) } else { all(asked, chosen) }
    }
}

/// Measures one workload after the other and prints each answer.
fn all(asked: &mut Asked, entries: Vec<Entry>) -> Result<Exit, Error> {
    let mut exit = Exit::Fine;
    for Entry { described, wish, .. } in entries {
        if asked.is_interrupted() {
            return Ok(exit.max(Exit::Interrupted));
        }
        match asked.recommend(described, &wish) {
            Ok(judged) => {
                exit = exit.max(bench::exit(&judged));
                asked.show(judged).map_err(told)?;
            }
            // What goes wrong with one is no reason to leave the others unanswered.
            Err(refused) => {
                bench::report_error(&refused.message);
                exit = exit.max(refused.exit);
            }
        }
    }
    asked.finish().map_err(told)?;
    Ok(exit)
}

/// Runs each form of each task once.
fn test(asked: &Asked, entries: &[Entry]) -> Result<Exit, Error> {
    let mut exit = Exit::Fine;
    for Entry { closures, .. } in entries {
        for (form, outcome) in part::once(closures) {
            let name = &closures.name;
            match outcome {
                Ok(_) => asked.line(&format!("test {name} ({form}) ... ok")).map_err(told)?,
                Err(failed) => {
                    asked.line(&format!("test {name} ({form}) ... FAILED: {}", failed.message)).map_err(told)?;
                    exit = Exit::CandidateFailed;
                }
            }
        }
    }
    Ok(exit)
}

/// A workload that was registered.
pub struct Handle {
    registry: Registry,
    name: String,
}

impl Handle {
    /// Measures the workload and gives the answer: about 20 seconds unless the [budget](Workload::budget) says otherwise,
    /// often less. Progress is on standard error.
    ///
    /// Register every workload before you ask for the first answer, and return the error where there is one (`?`): where the
    /// program was started to only test its tasks (`cargo test`), or for a part of a session, this is how it comes to an end.
    ///
    /// # Errors
    /// When nothing could be measured, and in such a process.
    pub fn recommend(&self) -> Result<Answer, Error> {
        self.registry.recommend(&self.name)
    }
}

/// Registers a workload with the registry of the `main` that runs.
fn add_to_current<R: 'static>(workload: Workload<R>) -> Result<Handle, Error> {
    let current = CURRENT.with_borrow(|current| current.as_ref().map(Registry::shared));
    let mut registry = current.ok_or_else(|| {
        Error::usage(
            "an answer is asked for outside of `conbench::main`: call that from `main`, and ask within".to_owned(),
        )
    })?;
    registry.add(workload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> Registry {
        Registry::new(Role::Part(None))
    }

    #[test]
    fn a_name_stands_for_one_workload() {
        let mut registry = registry();
        registry.add(Workload::new("parse").task(|index| index)).expect("the first");
        let twice = registry.add(Workload::new("parse").task(|_| ())).map(|_| ()).expect_err("the second");
        assert!(twice.to_string().contains("two workloads are named `parse`"), "{twice}");
        assert_eq!(twice.exit(), Exit::Usage);
    }

    #[test]
    fn all_are_registered_before_an_answer_is_asked_for() {
        let mut registry = registry();
        let handle = registry.add(Workload::new("parse").task(|index| index)).expect("the first");
        assert!(handle.recommend().expect_err("a part of a session").is_early());
        let late = registry.add(Workload::new("fetch").task(|_| ())).map(|_| ()).expect_err("too late");
        assert!(late.to_string().contains("register every workload first"), "{late}");
    }

    #[test]
    fn outside_of_main_nothing_is_measured() {
        let outside = Workload::new("parse").task(|index| index).recommend().expect_err("no registry");
        assert!(outside.to_string().contains("outside of `conbench::main`"), "{outside}");
    }
}
