//! `registered`: closures of the program that is its own agent.

use super::Label;
use crate::agent::registry::{Closures, registered};
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::protocol::Failed;
use crate::workload::Registered;

/// Calls the closures that were registered under a name.
pub(super) struct RegisteredStep {
    label: Label,
    closures: &'static Closures,
    is_checked: bool,
}

impl RegisteredStep {
    /// # Errors
    /// When this process has no closures of that name.
    pub(super) fn new(label: Label, described: &Registered) -> Result<RegisteredStep, Failed> {
        let closures = registered(&described.name).ok_or_else(|| {
            label.setup(format!(
                "`{}` is a closure of the program that registered it, and this one does not have it: run that program",
                described.name
            ))
        })?;
        Ok(RegisteredStep { label, closures, is_checked: described.is_checked })
    }
}

impl Step for RegisteredStep {
    fn blocking(&self, index: u64) -> Outcome {
        let task = self.closures.blocking.as_ref();
        task.ok_or_else(|| self.label.setup("it has no `task`, only an `async_task`"))?(index)
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        match &self.closures.asynchronous {
            Some(task) => task(index),
            None => Box::pin(async move { self.blocking(index) }),
        }
    }

    /// Of what is not checked the first task tells all: whether it runs, and what each comes to.
    fn reference(&self, index: u64) -> Outcome {
        let index = if self.is_checked { index } else { 0 };
        match (&self.closures.blocking, &self.closures.asynchronous) {
            (None, Some(task)) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime
                    .map_err(|error| self.label.setup(format!("cannot start a tokio runtime: {error}")))?
                    .block_on(task(index))
            }
            _ => self.blocking(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::registry::{self, Closures, Indices};
    use crate::agent::steps::testing::{check_forms, job, step_job};
    use crate::agent::steps::{Place, build};
    use crate::protocol::FailureKind;
    use crate::workload::{Registered, Step};

    fn named(name: &str) -> Step {
        Step::Registered(Registered { name: name.to_owned(), has_task: true, has_async_task: true, is_checked: true })
    }

    #[test]
    fn both_forms_agree_and_other_names_are_refused() {
        let indices = Indices { items: None, are_checked: true };
        registry::register(Closures {
            name: "parse".to_owned(),
            blocking: Some(registry::blocking(|index| index * 3, Some(std::sync::Arc::new(|it| *it)), indices)),
            asynchronous: Some(registry::asynchronous(
                |index| async move { index * 3 },
                Some(std::sync::Arc::new(|it| *it)),
                indices,
            )),
        });
        check_forms(&step_job(named("parse")));
        let refused = build(&job(&[step_job(named("fetch"))]), Place::Agent).map(|_| ()).expect_err("another name");
        assert_eq!((refused.kind, refused.place.as_str()), (FailureKind::Setup, "step 1 (registered)"));
        assert!(refused.message.contains("`fetch`"), "{}", refused.message);
    }
}
