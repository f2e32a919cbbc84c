//! A workload of closures.

use std::fmt::Write as _;
use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Error, add_to_current};
use crate::agent::registry::{self, Asynchronous, Blocking, Check, Closures, Indices};
use crate::candidate::Engine;
use crate::cli::bench::Wish;
use crate::workload::{self, Goal, Registered, Step, Workload as Described};

/// A task of yours, and how it is measured.
///
/// A task is called with its index, 0, 1, 2 and so on, and gives a result, which is dropped. Give it as a blocking closure
/// ([`task`](Workload::task)), as an async one ([`async_task`](Workload::async_task)), or best as both: then event loops are
/// measured beside threads and processes.
///
/// ```no_run
/// # fn parse(_: u64) -> usize { 0 }
/// # async fn fetch(_: u64) -> usize { 0 }
/// # fn ask() -> Result<(), conbench::Error> {
/// let answer = conbench::Workload::new("fetch")
///     .task(|index| parse(index))
///     .async_task(|index| async move { fetch(index).await })
///     .recommend()?;
/// println!("{answer}");
/// # Ok(())
/// # }
/// ```
///
/// Closures are called from many threads at once, so they are `Send`, `Sync` and `'static`; what they share is shared as in
/// your program. Worker processes have memory of their own: each makes anew what `register` of [`main`](crate::main)
/// makes. A task that panics has failed.
#[must_use = "a workload does nothing until it is registered"]
pub struct Workload<R> {
    name: String,
    task: Option<Make<R, Blocking>>,
    async_task: Option<Make<R, Asynchronous>>,
    check: Option<Check<R>>,
    items: Option<u64>,
    tasks: Option<u32>,
    max_in_flight: Option<u32>,
    max_calls: Option<u64>,
    task_timeout: Option<Duration>,
    goal: Option<Goal>,
    wish: Wish,
}

/// What makes a form of a task, once it is known how results are checked.
type Make<R, Form> = Box<dyn FnOnce(Option<Check<R>>, Indices) -> Form>;

impl<R: 'static> Workload<R> {
    /// A workload of this name, by which its closures are found again in other processes.
    pub fn new(name: impl Into<String>) -> Workload<R> {
        Workload {
            name: name.into(),
            task: None,
            async_task: None,
            check: None,
            items: None,
            tasks: None,
            max_in_flight: None,
            max_calls: None,
            task_timeout: None,
            goal: None,
            wish: Wish::default(),
        }
    }

    /// The task as a closure that returns when it is done. It is called by plain loops, threads and worker processes, and
    /// without an async form by event loops too, which it then blocks.
    pub fn task(mut self, task: impl Fn(u64) -> R + Send + Sync + 'static) -> Workload<R> {
        self.task = Some(Box::new(move |check, indices| registry::blocking(task, check, indices)));
        self
    }

    /// The same task as a closure that gives a future. It runs on a runtime of tokio, with time and I/O.
    pub fn async_task<F>(mut self, task: impl Fn(u64) -> F + Send + Sync + 'static) -> Workload<R>
    where
        F: Future<Output = R> + Send + 'static,
    {
        self.async_task = Some(Box::new(move |check, indices| registry::asynchronous(task, check, indices)));
        self
    }

    /// Has results compared: of equal indices they must come to an equal number, in every engine and form. A candidate with
    /// other results has failed.
    ///
    /// The number is taken within the task and counts to its time: a length or a sum that is there anyway is best. Tasks are
    /// called with the indices 0 to 15 then, over and over.
    pub fn check(mut self, check: impl Fn(&R) -> u64 + Send + Sync + 'static) -> Workload<R> {
        self.check = Some(Arc::new(check));
        self
    }

    /// How many items you have: tasks are called with the indices below this, over and over, so that an index may be a
    /// place in a list.
    pub fn items(mut self, items: u64) -> Workload<R> {
        self.items = Some(items);
        self
    }

    /// How many tasks you run in all. Then the time of all of them is compared, with the start of whatever runs them.
    /// Without it the rate of many counts.
    pub fn tasks(mut self, tasks: u32) -> Workload<R> {
        self.tasks = Some(tasks);
        self
    }

    /// How many tasks may be begun and not ended at a time, as what they reach allows [default: 64].
    pub fn max_in_flight(mut self, tasks: u32) -> Workload<R> {
        self.max_in_flight = Some(tasks);
        self
    }

    /// How many tasks may run in all, for those that reach something costly.
    pub fn max_calls(mut self, calls: u64) -> Workload<R> {
        self.max_calls = Some(calls);
        self
    }

    /// A task that takes longer has failed [default: 30 seconds].
    pub fn task_timeout(mut self, time: Duration) -> Workload<R> {
        self.task_timeout = Some(time);
        self
    }

    /// What is compared [default: throughput].
    pub fn goal(mut self, goal: Goal) -> Workload<R> {
        self.goal = Some(goal);
        self
    }

    /// How long it may take to find the answer [default: 20 seconds]. `--budget` goes before.
    pub fn budget(mut self, time: Duration) -> Workload<R> {
        self.wish.budget = Some(time);
        self
    }

    /// Only these engines [default: all that fit]. `--engines` goes before.
    pub fn engines(mut self, engines: impl IntoIterator<Item = Engine>) -> Workload<R> {
        self.wish.engines = engines.into_iter().collect();
        self
    }

    /// Only these numbers of threads or processes [default: a search]. `--workers` goes before.
    pub fn workers(mut self, workers: impl IntoIterator<Item = u32>) -> Workload<R> {
        self.wish.workers = workers.into_iter().collect();
        self
    }

    /// Only these numbers of tasks in flight on event loops [default: a search].
    pub fn in_flight(mut self, tasks: impl IntoIterator<Item = u32>) -> Workload<R> {
        self.wish.in_flight = tasks.into_iter().collect();
        self
    }

    /// The seed of the order in which candidates are measured [default: 1]. `--seed` goes before.
    pub fn seed(mut self, seed: u64) -> Workload<R> {
        self.wish.seed = Some(seed);
        self
    }

    /// Registers this one workload with the [`main`](crate::main) that runs, and measures it: see
    /// [`Handle::recommend`](crate::Handle::recommend). Where there are several, register them all first
    /// ([`Registry::add`](crate::Registry::add)).
    ///
    /// # Errors
    /// As both of these, and outside of [`main`](crate::main).
    pub fn recommend(self) -> Result<Answer, Error> {
        add_to_current(self)?.recommend()
    }

    /// What the crate's other rooms know of it.
    pub(super) fn build(self) -> Result<(Described, Closures, Wish), Error> {
        let mut described = self.described()?;
        if self.task.is_none() && self.async_task.is_none() {
            return Err(Error::usage(format!("`{}` has no task: give it one with `.task(..)`", self.name)));
        }
        let items = self.items.map(|items| {
            NonZeroU64::new(items)
                .ok_or_else(|| Error::usage(format!("`{}` has no items: a task needs one", self.name)))
        });
        let indices = Indices { items: items.transpose()?, are_checked: self.check.is_some() };
        let (has_task, has_async_task) = (self.task.is_some(), self.async_task.is_some());
        let step = Registered { name: self.name.clone(), has_task, has_async_task, is_checked: self.check.is_some() };
        described.steps = vec![Step::Registered(step)];
        let closures = Closures {
            name: self.name,
            blocking: self.task.map(|make| make(self.check.clone(), indices)),
            asynchronous: self.async_task.map(|make| make(self.check.clone(), indices)),
        };
        Ok((described, closures, self.wish))
    }

    /// The workload as a file would describe it, with its defaults and its checks, but for the step.
    fn described(&self) -> Result<Described, Error> {
        let mut text = format!("name = {}\n", serde_json::Value::from(self.name.as_str()));
        let mut line = |name: &str, value: Option<u64>| {
            if let Some(value) = value {
                // Writing to a string never fails.
                let _ = writeln!(text, "{name} = {value}");
            }
        };
        line("load.tasks", self.tasks.map(u64::from));
        line("max_calls", self.max_calls);
        line("load.max_in_flight", self.max_in_flight.map(u64::from));
        text.push_str("[[step]]\nkind = \"cpu\"\n");
        let mut described = workload::parse(&self.name, &text)
            .map_err(|faults| Error::usage(format!("the workload `{}` is wrong: {faults}", self.name)))?;
        if let Some(time) = self.task_timeout {
            let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            if time_ns == 0 {
                return Err(Error::usage(format!(
                    "no task of `{}` ends in no time: give it a `task_timeout`",
                    self.name
                )));
            }
            described.task_timeout_ns = time_ns;
        }
        described.objective.goal = self.goal.unwrap_or(described.objective.goal);
        if self.wish.budget.is_some_and(|budget| budget.is_zero()) {
            return Err(Error::usage(format!("`{}` cannot be measured in no time: give it a `budget`", self.name)));
        }
        Ok(described)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Load;

    fn plain() -> Workload<u64> {
        Workload::new("parse").task(|index| index)
    }

    #[test]
    fn what_is_said_is_what_is_measured() {
        let timeout = Duration::from_secs(5);
        let workload = plain().tasks(500).max_in_flight(8).max_calls(10_000).task_timeout(timeout).goal(Goal::P99);
        let workload = workload.check(|it| *it).budget(timeout).engines([Engine::Rayon]).workers([2]).seed(9);
        let (described, closures, wish) = workload.build().expect("complete");
        assert_eq!((described.name.as_str(), described.tasks), ("parse", Some(500)));
        assert_eq!(described.load, Load::Closed { max_in_flight: 8 });
        assert_eq!((described.max_calls, described.task_timeout_ns), (Some(10_000), 5_000_000_000));
        assert_eq!(described.objective.goal, Goal::P99);
        let [Step::Registered(step)] = described.steps.as_slice() else { panic!("{:?}", described.steps) };
        assert!(step.has_task && !step.has_async_task && step.is_checked);
        assert!(closures.blocking.is_some() && closures.asynchronous.is_none());
        assert_eq!((wish.budget, wish.workers, wish.seed), (Some(timeout), vec![2], Some(9)));
    }

    #[test]
    fn the_defaults_are_those_of_a_file() {
        let (described, ..) = plain().build().expect("complete");
        let file = workload::parse("parse", "name = \"parse\"\n[[step]]\nkind = \"cpu\"\n").expect("a workload");
        assert_eq!(Described { steps: file.steps.clone(), ..described }, file);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |workload: Workload<u64>| workload.build().map(|_| ()).expect_err("wrong").to_string();
        assert!(wrong(Workload::new("parse")).contains("has no task"));
        assert!(wrong(plain().items(0)).contains("has no items"));
        assert!(wrong(plain().tasks(0)).contains("tasks"));
        assert!(wrong(plain().max_in_flight(0)).contains("max_in_flight"));
        assert!(wrong(plain().task_timeout(Duration::ZERO)).contains("task_timeout"));
        assert!(wrong(plain().budget(Duration::ZERO)).contains("budget"));
        assert!(wrong(Workload::new("").task(|index| index)).contains("name"));
    }
}
