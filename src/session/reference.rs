//! What every candidate is held against: made by two agents of a runtime, which must agree.

use std::time::Duration;

use super::Session;
use super::blocks::grace_ns;
use super::error::{AgentError, out_of_turn};
use super::hang::{Patience, Slowest};
use super::link::Link;
use super::live_agents::Launcher;
use super::pool::Beginning;
use crate::candidate::Engine;
use crate::clock::now_ns;
use crate::decide::Turns;
use crate::protocol::{
    Failed, FailureKind, Job, LibraryThreads, MakeReference, ModuleState, Note, Opened, Reference, Reply, Request,
    Serialisation, StepJob, VARIANTS,
};
use crate::units;
use crate::workload::{Check, Python};

const MS: u64 = 1_000_000;
/// References of a runtime: two agents make one each. (Where libraries compute with threads, a third one makes another
/// with one thread, beyond what both may take.)
const REFERENCES: u64 = 2;
/// The part of `max_calls` that all references together may use.
const CALLS_PART: u64 = 4;
/// The part of the budget that the user's own code may run in all references together.
const BUDGET_PART: u64 = 10;
/// The longest that it may run in one of them.
const LONGEST_NS: u64 = 3_000 * MS;
/// A first call that takes so many times as long as another one loads something.
const LOADS: f64 = 1.25;
/// The threads that libraries are limited to.
const ONE: u32 = 1;
/// How long an agent may take to import what a task needs, beside the tasks themselves.
const SET_UP_NS: u64 = 20_000 * MS;
/// How long the far side may take to notice that an agent has ended.
const RELEASE: Duration = Duration::from_millis(200);

/// What to do about a task that does not end.
const MAY_TAKE_LONG: &str =
    ": if a task may take so long, raise `task_timeout`; else give what it waits for a time limit";

/// What one reference may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// About how long the user's own code may run for it.
    budget_ns: u64,
    /// The tasks that it may run, where they are counted.
    most_calls: Option<u64>,
    /// References of the whole session.
    references: u64,
    /// The budget of the whole session, where long tasks are measured in turns.
    of_turns_ns: Option<u64>,
    /// How long the far side may take to notice that an agent has ended, where the next needs what that one had.
    release: Duration,
}

impl Terms {
    /// What each reference of a session with so many runtimes may take.
    pub(super) fn new(session: &Session, runtimes: u64) -> Terms {
        let references = REFERENCES * runtimes.max(1);
        Terms {
            budget_ns: (session.settings.budget_ns / (BUDGET_PART * references)).min(LONGEST_NS),
            most_calls: session.workload.max_calls.map(|most| most / (CALLS_PART * references)),
            references,
            of_turns_ns: super::may_have_turns(session).then_some(session.settings.budget_ns),
            release: if session.workload.resources.exclusive { RELEASE } else { Duration::ZERO },
        }
    }
}

/// What the making of a reference came to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Referred {
    /// What every block is held against; `None` when checking is off.
    pub reference: Option<Reference>,
    /// Why checking is off, and what to do, if that should be said.
    pub unchecked: Option<String>,
    /// Why no candidate of the runtime can run: each would say the same.
    pub broken: Option<Failed>,
    /// What was found while the user's own code ran, each thing once.
    pub notes: Vec<Note>,
    /// For each step how many items are read of its iterable: see [`with_items`].
    pub items: Vec<Option<u64>>,
    /// The threads that libraries compute with by themselves, where they started some.
    pub library_threads: Option<LibraryThreads>,
    /// What libraries do that may compute with one thread alone; `None` where that makes no difference.
    pub limited: Option<Limited>,
    /// What pickling of the user's own code takes.
    pub serialisation: Option<Serialisation>,
    /// What the user's own code holds open.
    pub opened: Option<Opened>,
    /// What it uses of its modules that each process has its own of.
    pub module_state: Vec<ModuleState>,
    /// Whether a call of what it names as its items gave them.
    pub items_are_called: bool,
    /// The names of the function's module that the expression of its items uses.
    pub items_names: Vec<String>,
    /// Whether items are mappings that are spread over parameters by their names.
    pub items_are_mappings: bool,
    /// Engines whose packages the user's own code imports.
    pub imported: Vec<Engine>,
    /// Tasks run for it.
    pub calls: u64,
    /// What a call of the user's own code takes; 0 where there is none.
    pub call_ns: u64,
    /// Whether the first call in a process takes much longer than others do.
    pub loads: bool,
    /// Time that went to an agent which did not answer.
    pub lost_ns: u64,
    /// What a task of the user's own code took, on average or alone, and what all took beside the calls.
    pub slowest: Slowest,
}

/// What a runtime's tasks come to when libraries may compute with so many threads.
#[derive(Debug, PartialEq)]
pub(super) struct Limited {
    /// How many.
    pub threads: u32,
    /// What blocks are held against: sums of floating-point numbers depend on how many threads add them up. `None` when
    /// checking is off.
    pub reference: Option<Reference>,
}

/// Has `first`, and an agent that is started for it, make the reference of this job.
///
/// # Errors
/// When an agent does not speak the protocol or does not start, or on an interrupt. That a task fails is no error here.
pub(super) fn make(launcher: &mut Launcher, mut first: Link, job: &Job, terms: &Terms) -> Result<Referred, AgentError> {
    let mut referred = Referred::default();
    let least = if runs_variants(job) { VARIANTS } else { 1 };
    if terms.most_calls.is_some_and(|most| most < least) {
        let needed = least * CALLS_PART * terms.references;
        // One of two versions proves all the same that its modules are its own.
        let is_version = |step: &StepJob| step.step.python().is_some_and(|own| own.version.is_some());
        if job.steps.iter().any(is_version) {
            let one_call = Terms { most_calls: Some(1), ..*terms };
            let begun_ns = now_ns();
            match ask(&mut first, job, &one_call) {
                Ok(one) => referred.calls = one.calls,
                Err(fault) => return referred.fails(failure(fault)?, job, &one_call, begun_ns),
            }
        }
        referred.unchecked =
            Some(format!("a reference needs a `max_calls` of {needed} at least: raise it to have them compared"));
        first.leave();
        return Ok(referred);
    }
    let begun_ns = now_ns();
    let one = match ask(&mut first, job, terms) {
        Ok(reference) => reference,
        Err(fault) => return referred.fails(failure(fault)?, job, terms, begun_ns),
    };
    first.leave();
    std::thread::sleep(terms.release);
    referred.ran(job, &one);
    let took_ns = now_ns().saturating_sub(begun_ns);
    if let Some(task_ns) = took_ns.checked_div(one.calls) {
        referred.slowest.saw(task_ns, took_ns.saturating_sub(one.calls.saturating_mul(one.call_ns)));
    }
    for note in &one.notes {
        if let Note::Uneven { longest_ns, .. } = note {
            referred.slowest.saw(*longest_ns, 0);
        }
    }
    referred.items.clone_from(&one.items);
    referred.imported.clone_from(&one.imported);
    referred.call_ns = one.call_ns;
    referred.loads = one.first_call_ns as f64 > LOADS * one.call_ns as f64;
    let job = &Job { skips_teardown: referred.tears_down_endlessly(), ..with_items(job.clone(), &one.items) };
    let turns = terms.of_turns_ns.and_then(|budget_ns| Turns::of(one.call_ns, budget_ns));
    if turns.is_some_and(|turns| turns.is_one()) {
        return without_second(launcher, referred, one, job, terms);
    }
    let mut second = launcher.agent(&job.candidate.runtime, Beginning::Warm)?.link;
    // The second need not call more than the first had time for.
    let again = Terms { most_calls: if one.calls > 0 { Some(one.calls) } else { terms.most_calls }, ..*terms };
    let begun_ns = now_ns();
    let other = match ask(&mut second, job, &again) {
        Ok(reference) => reference,
        Err(fault) => return referred.fails(failure(fault)?, job, &again, begun_ns),
    };
    referred.ran(job, &other);
    second.leave();
    referred.library_threads.clone_from(&one.library_threads);
    let limited = limit(launcher, job, &again, one.library_threads.as_ref())?;
    if let Some(reference) = &limited {
        referred.ran(job, reference);
    }
    match agreed(one, &other, job, &referred.notes) {
        Ok(reference) => referred.reference = Some(reference),
        Err(message) => referred.unchecked = Some(message),
    }
    let is_checked = referred.reference.as_ref().map(|reference| !reference.results.is_empty());
    referred.limited = limited.map(|mut reference| {
        if is_checked == Some(false) {
            reference.results.clear();
        }
        Limited { threads: ONE, reference: is_checked.map(|_| reference) }
    });
    Ok(referred)
}

/// What is known of tasks so long that nothing but what is compared is run of them: their results are not.
fn without_second(
    launcher: &mut Launcher,
    mut referred: Referred,
    one: Reference,
    job: &Job,
    terms: &Terms,
) -> Result<Referred, AgentError> {
    let once = Terms { most_calls: Some(1), ..*terms };
    referred.library_threads.clone_from(&one.library_threads);
    let limited = limit(launcher, job, &once, one.library_threads.as_ref())?;
    if let Some(reference) = &limited {
        referred.ran(job, reference);
    }
    referred.limited = limited.map(|_| Limited { threads: ONE, reference: None });
    if codes(job).any(|python| python.check != Check::None) {
        referred.unchecked = Some(format!(
            "a task takes {}, and more of them for that alone would take much of the budget: --budget {} compares them",
            units::duration(one.call_ns as f64),
            units::written_duration(
                one.call_ns.saturating_mul(Turns::VERY_LONG_PART).div_ceil(1000 * MS).saturating_mul(1000 * MS)
            )
        ));
    }
    Ok(referred)
}

/// What the tasks of this job come to when libraries may compute with one thread; `None` where they have but one, where
/// they heed no variable that is known, or where tasks fail then.
fn limit(
    launcher: &mut Launcher,
    job: &Job,
    terms: &Terms,
    own: Option<&LibraryThreads>,
) -> Result<Option<Reference>, AgentError> {
    let Some(own) = own.filter(|own| own.compute()) else { return Ok(None) };
    let mut job = job.clone();
    job.candidate.library_threads = Some(ONE);
    let mut agent = launcher.agent(&job.candidate.runtime, Beginning::Warm)?.link;
    match ask(&mut agent, &job, terms).map_err(failure) {
        Ok(reference) => {
            agent.leave();
            Ok(Some(reference).filter(|found| heeds(own, found.library_threads.as_ref())))
        }
        Err(Ok(_failed)) => Ok(None),
        Err(Err(fault)) => Err(fault),
    }
}

/// Whether libraries started fewer threads than by themselves.
fn heeds(own: &LibraryThreads, limited: Option<&LibraryThreads>) -> bool {
    limited.map_or(1, |limited| limited.threads) < own.threads
}

/// The job with the numbers of items that a reference found: however fast an iterable is in another agent, all use the
/// same items.
pub(super) fn with_items(mut job: Job, items: &[Option<u64>]) -> Job {
    for (step, items) in job.steps.iter_mut().zip(items) {
        step.items = *items;
    }
    job
}

impl Referred {
    /// Whether calls change their items. In the user's own run each item comes once; here they come again.
    pub(super) fn changes_items(&self) -> bool {
        self.notes.iter().any(|note| matches!(note, Note::Mutates { .. }))
    }

    /// Whether a teardown does not end. Then no candidate runs any: each would lose the same time.
    pub(super) fn tears_down_endlessly(&self) -> bool {
        self.notes.iter().any(|note| matches!(note, Note::EndlessTeardown { .. }))
    }

    /// Counts what a reference ran, and keeps what it found.
    fn ran(&mut self, job: &Job, reference: &Reference) {
        let variants = if runs_variants(job) { VARIANTS } else { 0 };
        self.calls = self.calls.saturating_add(reference.calls.max(variants));
        self.serialisation = self.serialisation.or(reference.serialisation);
        self.opened = self.opened.or(reference.opened);
        for state in &reference.module_state {
            if !self.module_state.contains(state) {
                self.module_state.push(state.clone());
            }
        }
        self.items_are_called |= reference.items_are_called;
        self.items_are_mappings |= reference.items_are_mappings;
        if self.items_names.is_empty() {
            self.items_names.clone_from(&reference.items_names);
        }
        for note in &reference.notes {
            if !self.notes.iter().any(|known| known.is_same(note)) {
                self.notes.push(note.clone());
            }
        }
    }

    /// A task that fails here fails in each candidate too, with its cause; the session need not end for it.
    fn fails(mut self, mut failed: Failed, job: &Job, terms: &Terms, begun_ns: u64) -> Result<Referred, AgentError> {
        if failed.kind == FailureKind::Protocol {
            return Err(AgentError::Failed(failed));
        }
        if failed.kind == FailureKind::Hang {
            self.lost_ns = now_ns().saturating_sub(begun_ns);
            failed.message.push_str(MAY_TAKE_LONG);
        }
        // How many tasks it ran is not known, and the user may pay for each.
        self.calls = self.calls.saturating_add(terms.most_calls.unwrap_or(VARIANTS));
        let is_heard = matches!(failed.kind, FailureKind::Task | FailureKind::Setup | FailureKind::Hang);
        if job.steps.iter().any(|step| step.step.own_code().is_some()) && is_heard {
            self.broken = Some(failed);
        } else {
            self.unchecked = Some(format!("the run that would be the reference failed ({failed})"));
        }
        Ok(self)
    }
}

/// The reference that both agree on; else what they disagree about, and what to do.
fn agreed(mut one: Reference, other: &Reference, job: &Job, notes: &[Note]) -> Result<Reference, String> {
    if one.tables != other.tables {
        let differs = one.tables.iter().zip(&other.tables).position(|(one, other)| one != other);
        let step = differs.and_then(|number| job.steps.get(number).map(|step| (number + 1, step.step.kind())));
        let what = match step {
            Some((number, kind)) => format!("two runs of step {number} ({kind})"),
            None => "two runs".to_owned(),
        };
        return Err(format!("{what} gave different results for the same tasks: {}", advice(job)));
    }
    if codes(job).all(|python| python.check == Check::None) {
        one.results.clear();
        return Ok(one);
    }
    // The times that they had differ, and so may the number of items.
    one.results.truncate(other.results.len());
    // Of a task that may fail, one run may have no result.
    let differ = |(one, other): (&u64, &u64)| Reference::differ(*one, *other, job.tolerates_errors);
    let differs = one.results.iter().zip(&other.results).position(differ);
    let unstable = notes.iter().find_map(|note| match note {
        Note::Unstable { item } => Some(*item),
        _ => None,
    });
    if let Some(item) = differs.map(|task| other.item(task as u64)).or(unstable) {
        let (name, short) = (codes(job).next().map_or("", Python::short), advice(job));
        return Err(format!("two runs of `{name}` gave different results for item {item}: {short}"));
    }
    // A result without a value to compare has the digest 0.
    let is_by_value = codes(job).all(|python| python.check == Check::Results);
    if is_by_value && !one.results.is_empty() && one.results.iter().all(|digest| *digest == 0) {
        return Err(
            "no result can be compared by value: return values, or name a function of your own in `check`".to_owned()
        );
    }
    Ok(one)
}

fn advice(job: &Job) -> &'static str {
    if codes(job).next().is_some() {
        "make a task's result depend on its item alone, or name a function of your own in `check`"
    } else {
        "make a task's result depend on its index alone"
    }
}

fn ask(agent: &mut Link, job: &Job, terms: &Terms) -> Result<Reference, AgentError> {
    // The user's own code is called until its time is over, and then to the end of a call, which may take as long as
    // any task; other steps run once a variant.
    let code = codes(job).next().map_or(0, |_| terms.budget_ns.saturating_add(grace_ns(job.task_timeout_ns)));
    let variants = if runs_variants(job) { job.task_timeout_ns.saturating_mul(VARIANTS) } else { 0 };
    // Within its time the user's own code waits for a rate, too, and for its first call whatever its time.
    let waiting = if runs_variants(job) { VARIANTS + 1 } else { 1 };
    let waits_ns = job.rate.map_or(0, |rate| rate.longest_ns(waiting));
    let patience_ns = SET_UP_NS.saturating_add(code).saturating_add(variants).saturating_add(waits_ns);
    let make = MakeReference { job: job.clone(), budget_ns: terms.budget_ns, most_calls: terms.most_calls };
    let request = Request::Reference(Box::new(make));
    // Nothing is known yet of how long a task waits.
    let idle_ns = SET_UP_NS.max(job.task_timeout_ns / 3 * 2).saturating_add(waits_ns);
    let patience = Patience { whole_ns: patience_ns, idle_ns: (code > 0).then_some(idle_ns) };
    match agent.exchange(Some(&request), patience, "as the reference", None)? {
        Reply::Reference(reference) => Ok(*reference),
        other => Err(out_of_turn(&other, "as the reference")),
    }
}

fn failure(fault: AgentError) -> Result<Failed, AgentError> {
    match fault {
        AgentError::Failed(failed) => Ok(failed),
        AgentError::Interrupted => Err(AgentError::Interrupted),
    }
}

/// The user's own code among the steps.
fn codes(job: &Job) -> impl Iterator<Item = &Python> {
    job.steps.iter().filter_map(|step| step.step.python())
}

/// Whether a reference runs each variant of a step: of all but the user's own code.
fn runs_variants(job: &Job) -> bool {
    let is_code = |step: &StepJob| step.step.python().is_some();
    !job.steps.iter().all(is_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Candidate, Sizes};
    use crate::workload::{Cpu, Kernel, Load, Step};

    fn python(check: Check) -> Step {
        let function = Some("shop.scrape:fetch".to_owned());
        Step::Python(Python { function, path: "/".to_owned(), check, ..Python::default() })
    }

    fn job(steps: Vec<Step>) -> Job {
        let step = |step| StepJob { step, iterations: 1, draws: Vec::new(), items: None };
        let candidate = Candidate::new("python3.11", Engine::Sequential, Sizes::default());
        let steps = steps.into_iter().map(step).collect();
        Job::new(candidate, Load::Closed { max_in_flight: 4 }, steps, 1, 1000 * MS)
    }

    fn results(results: &[u64]) -> Reference {
        let tables = vec![vec![0; 16]; 2];
        Reference { tables, results: results.to_vec(), calls: results.len() as u64, ..Reference::default() }
    }

    fn agree(check: Check, one: &[u64], other: &[u64], notes: &[Note]) -> Result<Vec<u64>, String> {
        agreed(results(one), &results(other), &job(vec![python(check)]), notes).map(|reference| reference.results)
    }

    #[test]
    fn results_are_compared_as_far_as_both_came() {
        assert_eq!(agree(Check::Results, &[5, 6, 7], &[5, 6], &[]), Ok(vec![5, 6]));
        let message = agree(Check::Results, &[5, 6, 7], &[5, 9, 7], &[]).expect_err("they differ");
        assert!(message.starts_with("two runs of `fetch` gave different results for item 1: "), "{message}");
        let message = agree(Check::Results, &[5, 6], &[5, 6], &[Note::Unstable { item: 4 }]).expect_err("unstable");
        assert!(message.contains("item 4"), "{message}");
    }

    #[test]
    fn variables_are_heeded_where_fewer_threads_start() {
        let of = |threads| LibraryThreads { threads, cpu_share: 0.5, ..LibraryThreads::default() };
        assert!(heeds(&of(2), None));
        // A thread that is none of the library's stays.
        assert!(heeds(&of(4), Some(&of(2))));
        assert!(!heeds(&of(2), Some(&of(2))));
    }

    #[test]
    fn who_asks_for_no_comparison_gets_none_without_a_word() {
        assert_eq!(agree(Check::None, &[5], &[6], &[Note::Unstable { item: 0 }]), Ok(Vec::new()));
    }

    #[test]
    fn results_without_a_value_are_not_called_equal() {
        let message = agree(Check::Results, &[0, 0], &[0, 0], &[]).expect_err("nothing was compared");
        assert!(message.contains("cannot be") || message.contains("no result can be compared"), "{message}");
        let check = Check::Function("shop.scrape:check".to_owned());
        assert_eq!(agree(check, &[0, 0], &[0, 0], &[]), Ok(vec![0, 0]));
    }

    #[test]
    fn a_step_that_disagrees_with_itself_is_named() {
        let cpu = Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 8, time_ns: None });
        let mut other = results(&[]);
        other.tables[1][3] = 1;
        let message = agreed(results(&[]), &other, &job(vec![python(Check::Results), cpu]), &[]).expect_err("differs");
        assert!(message.starts_with("two runs of step 2 (cpu) gave different results"), "{message}");
    }

    #[test]
    fn what_a_reference_runs_is_counted_and_what_it_finds_is_kept_once() {
        let cpu = Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 8, time_ns: None });
        let note = |second_ns| Note::SecondPassFaster { first_ns: 100, second_ns };
        let found =
            |second_ns| Reference { notes: vec![Note::Mutates { item: 1 }, note(second_ns)], ..results(&[1, 2]) };
        let (code, mixed) = (job(vec![python(Check::Results)]), job(vec![python(Check::Results), cpu]));
        let mut referred = Referred::default();
        referred.ran(&code, &found(3));
        referred.ran(&code, &found(4));
        assert_eq!((referred.calls, referred.notes.clone()), (4, vec![Note::Mutates { item: 1 }, note(3)]));
        assert!(referred.changes_items() && !Referred::default().changes_items());
        referred.ran(&mixed, &found(5));
        assert_eq!(referred.calls, 4 + VARIANTS);
    }

    #[test]
    fn a_task_of_the_users_that_raises_speaks_for_every_candidate() {
        let terms =
            Terms { budget_ns: 0, most_calls: Some(7), references: 2, of_turns_ns: None, release: Duration::ZERO };
        let code = job(vec![python(Check::Results)]);
        let fails =
            |kind, job: &Job| Referred::default().fails(Failed::new(kind, "ValueError: no", ""), job, &terms, 0);
        let referred = fails(FailureKind::Task, &code).expect("no error of the session");
        assert_eq!(referred.broken.clone().map(|failed| failed.message), Some("ValueError: no".to_owned()));
        assert_eq!(referred.calls, 7);
        assert_eq!(referred.lost_ns, 0);
        assert!(fails(FailureKind::Hang, &code).expect("no error of the session").lost_ns > 0);
        // How a process dies may differ between engines, and steps that are ours fail as each candidate says.
        let died = fails(FailureKind::Agent, &code).expect("no error of the session");
        assert!(died.broken.is_none() && died.unchecked.is_some());
        let wait = job(vec![Step::Event { round_trips: 1 }]);
        assert!(fails(FailureKind::Task, &wait).expect("no error of the session").broken.is_none());
        assert!(fails(FailureKind::Protocol, &code).is_err());
    }
}
