//! Before the first round: what the machine gives, unloaded, what each runtime says of itself, and what every
//! task must come to.

use std::collections::HashMap;

use super::error::{AgentError, out_of_turn};
use super::hang::Slowest;
use super::link::Link;
use super::live_agents::{Connected, Launcher};
use super::pool::Beginning;
use super::reference::{self, Limited, Referred, Terms};
use super::{Event, Observer, Session, meters};
use crate::candidate::{Candidate, Engine, Sizes};
use crate::protocol::{
    Calibrate, Calibrated, Failed, Job, JobCluster, Note, Reference, Reply, Request, StepJob, Target,
};
use crate::record::{RuntimeCalibration, Warning};
use crate::workload::{Cpu, Kernel, Step};

const MS: u64 = 1_000_000;

/// What was learnt before the first round.
pub(super) struct Prepared {
    /// What as many independent loops as usable CPUs really got, in cores.
    pub usable_cores: f64,
    /// What was learnt of each runtime, in the order in which they were named.
    pub runtimes: Vec<PreparedRuntime>,
    /// Tasks run for it.
    pub calls: u64,
    /// Time that went to agents which did not answer: the budget does not pay for it.
    pub lost_ns: u64,
    /// The slowest task and start of the references.
    pub slowest: Slowest,
}

/// What was learnt of one runtime.
pub(super) struct PreparedRuntime {
    /// Its name.
    pub name: String,
    /// For the record; `None` when its agent did not come as far as its hello.
    pub calibration: Option<RuntimeCalibration>,
    /// The job of its candidates, with the iterations of its language.
    pub job: Job,
    /// What every block is held against; `None` when checking is off.
    pub reference: Option<Reference>,
    /// The same with libraries that compute with one thread, where they compute with several by themselves and heed the
    /// variables that say otherwise: then both are raced.
    pub limited: Option<Limited>,
    /// Engines whose packages the user's own code imports.
    pub imported: Vec<Engine>,
    /// What a call of the user's own code takes; 0 where there is none.
    pub call_ns: u64,
    /// Whether the first call in a process takes much longer than others do.
    pub loads: bool,
    /// Why none of its candidates can run.
    pub broken: Option<Failed>,
}

/// These steps with everything random drawn; iterations are set for each language.
pub(super) fn draw(session: &Session, steps: &[Step]) -> Vec<StepJob> {
    let steps = steps.iter().zip(0_u64..);
    steps.map(|(step, number)| StepJob::drawn(step.clone(), 1, session.settings.seed, number)).collect()
}

/// A job for the reference agent of a runtime; its candidate is replaced by that of each agent.
pub(super) fn job(session: &Session, steps: Vec<StepJob>, runtime: &str) -> Job {
    Job {
        candidate: Candidate::new(runtime, Engine::Sequential, Sizes::default()),
        load: session.workload.load,
        payload: session.workload.payload,
        steps,
        seed: session.settings.seed,
        directory: None,
        server: None,
        task_timeout_ns: session.workload.task_timeout_ns,
        tolerates_errors: session.workload.objective.limits.errors.tolerates(),
        executor_path: None,
        cluster: session.cluster(runtime).map(|cluster| JobCluster::new(cluster, session.upload.clone())),
        rate: session.workload.rate,
        turns: 0,
        warms_up: false,
        copies_items: false,
        skips_teardown: false,
    }
}

/// Measures the machine, and prepares each runtime that has one of these jobs.
///
/// # Errors
/// When the native agent could not measure the machine, or on an interrupt. What is wrong with a runtime is said in
/// its place.
pub(super) fn prepare(
    launcher: &mut Launcher,
    session: &Session,
    jobs: Vec<Job>,
    observer: &mut dyn Observer,
    warnings: &mut Vec<Warning>,
) -> Result<Prepared, AgentError> {
    let mut preparation = Preparation {
        budget_ns: calibration_budget_ns(session, jobs.len()),
        terms: Terms::new(session, jobs.len() as u64),
        is_alone: jobs.len() == 1,
        launcher,
        session,
        observer,
        warnings,
        languages: HashMap::new(),
        calls: 0,
        lost_ns: 0,
        slowest: Slowest::default(),
    };
    let usable_cores = preparation.cores()?;
    let runtimes = jobs.into_iter().map(|job| preparation.runtime(job)).collect::<Result<_, AgentError>>()?;
    let Preparation { calls, lost_ns, slowest, .. } = preparation;
    Ok(Prepared { usable_cores, runtimes, calls, lost_ns, slowest })
}

/// What one calibration may take: a tenth of the session for all, at most.
fn calibration_budget_ns(session: &Session, runtimes: usize) -> u64 {
    let timed = session.workload.steps.iter().filter_map(|step| step.cpu()).filter(|cpu| cpu.time_ns.is_some());
    let measurements = (timed.count() * runtimes) as u64 + 1;
    (session.settings.budget_ns / (10 * measurements)).clamp(20 * MS, 100 * MS)
}

/// What a language's kernels take, by step: iterations, and the time of one where it was measured.
type Iterations = Vec<(u64, Option<f64>)>;

struct Preparation<'a> {
    launcher: &'a mut Launcher,
    session: &'a Session,
    observer: &'a mut dyn Observer,
    warnings: &'a mut Vec<Warning>,
    /// What one calibration may take.
    budget_ns: u64,
    terms: Terms,
    /// Whether there is one runtime, which then need not be named.
    is_alone: bool,
    /// What one iteration of a kernel takes, by language.
    languages: HashMap<String, HashMap<(Kernel, u64), f64>>,
    calls: u64,
    lost_ns: u64,
    slowest: Slowest,
}

impl Preparation<'_> {
    /// What the native agent measures, whatever runtimes there are: it is of the machine.
    fn cores(&mut self) -> Result<f64, AgentError> {
        let mut agent = self.launcher.native()?.link;
        self.observer.observe(&Event::Calibrating("the cores that can be had"));
        let target = Target::Cores { loops: self.session.host.usable_cpus() };
        match measure(&mut agent, target, self.budget_ns)? {
            // Slices are shorter than a quota's period.
            Calibrated::Cores { usable_cores } => Ok(usable_cores.min(self.session.host.most_cores())),
            other @ Calibrated::Iteration { .. } => Err(out_of_turn(&Reply::Calibrated(other), "in calibration")),
        }
    }

    fn runtime(&mut self, job: Job) -> Result<PreparedRuntime, AgentError> {
        let name = job.candidate.runtime.clone();
        let mut prepared = PreparedRuntime {
            name,
            calibration: None,
            job,
            reference: None,
            limited: None,
            imported: Vec::new(),
            call_ns: 0,
            loads: false,
            broken: None,
        };
        match self.learn(&mut prepared) {
            Ok(()) => {}
            Err(AgentError::Failed(failed)) => prepared.broken = Some(failed),
            Err(AgentError::Interrupted) => return Err(AgentError::Interrupted),
        }
        Ok(prepared)
    }

    fn learn(&mut self, prepared: &mut PreparedRuntime) -> Result<(), AgentError> {
        let Connected { link: mut agent, hello, .. } = self.launcher.agent(&prepared.name, Beginning::Cold)?;
        let baseline = meters::memory_below(agent.guard().pid());
        let language = hello.language.clone();
        let calibration = prepared.calibration.insert(RuntimeCalibration {
            name: prepared.name.clone(),
            hello,
            iterations: Vec::new(),
            iteration_ns: Vec::new(),
            checked: false,
            baseline_memory_bytes: baseline.map(|baseline| baseline.memory_bytes),
            notes: Vec::new(),
            serialisation: None,
            opened: None,
            module_state: Vec::new(),
            items_are_called: false,
            items_names: Vec::new(),
            items_are_mappings: false,
            library_threads: None,
            cluster: self.session.cluster(&prepared.name).cloned(),
        });
        let iterations = self.iterations(&mut agent, &prepared.job, &language)?;
        for (step, (iterations, _)) in prepared.job.steps.iter_mut().zip(&iterations) {
            step.iterations = *iterations;
        }
        (calibration.iterations, calibration.iteration_ns) = iterations.into_iter().unzip();
        self.observer.observe(&Event::Calibrating(&format!("the reference of {}", prepared.name)));
        // The first reference runs on one core.
        self.launcher.boot_ahead(&prepared.name);
        let referred = reference::make(self.launcher, agent, &prepared.job, &self.terms)?;
        self.calls = self.calls.saturating_add(referred.calls);
        self.lost_ns += referred.lost_ns;
        self.slowest.saw(referred.slowest.task_ns, referred.slowest.start_ns);
        prepared.job = reference::with_items(prepared.job.clone(), &referred.items);
        prepared.job.copies_items = referred.changes_items();
        prepared.job.skips_teardown = referred.tears_down_endlessly();
        self.take(prepared, referred);
        Ok(())
    }

    /// Takes what the reference came to, and says what was found on the way.
    fn take(&mut self, prepared: &mut PreparedRuntime, referred: Referred) {
        for note in &referred.notes {
            // The word about what is not compared says this too.
            if !(matches!(note, Note::Unstable { .. }) && referred.unchecked.is_some()) {
                self.found(&prepared.name, note);
            }
        }
        if let Some(message) = referred.unchecked {
            let name = &prepared.name;
            let message = if self.is_alone { message } else { format!("{name}: {message}") };
            self.warn(Warning::Unchecked { message });
        }
        prepared.broken = referred.broken;
        prepared.reference = referred.reference;
        prepared.limited = referred.limited;
        prepared.imported = referred.imported;
        (prepared.call_ns, prepared.loads) = (referred.call_ns, referred.loads);
        let are_compared = self.session.workload.steps.iter().all(Step::is_compared);
        if let Some(calibration) = &mut prepared.calibration {
            calibration.notes = referred.notes;
            calibration.serialisation = referred.serialisation;
            calibration.opened = referred.opened;
            calibration.module_state = referred.module_state;
            calibration.items_are_called = referred.items_are_called;
            calibration.items_names = referred.items_names;
            calibration.items_are_mappings = referred.items_are_mappings;
            calibration.library_threads = referred.library_threads;
            calibration.checked = prepared.reference.is_some() && are_compared;
        }
    }

    /// Says what was found in the user's own code, each thing once: it is the same code under every runtime.
    fn found(&mut self, runtime: &str, note: &Note) {
        let is_known = |warning: &Warning| matches!(warning, Warning::Found { note: known, .. } if known.is_same(note));
        if !self.warnings.iter().any(is_known) {
            self.warn(Warning::Found { runtime: runtime.to_owned(), note: note.clone() });
        }
    }

    fn warn(&mut self, warning: Warning) {
        self.observer.observe(&Event::Warning(&warning));
        self.warnings.push(warning);
    }

    /// The iterations of each step: calibrated by the first runtime of a language, so that all of it do equal work.
    fn iterations(&mut self, agent: &mut Link, job: &Job, language: &str) -> Result<Iterations, AgentError> {
        let mut best = self.languages.remove(language).unwrap_or_default();
        let mut iterations = Iterations::new();
        for step in &job.steps {
            let Some((cpu, time_ns)) = step.step.cpu().and_then(|cpu| Some((*cpu, cpu.time_ns?))) else {
                iterations.push((1, None));
                continue;
            };
            let key = (cpu.kernel, cpu.input_bytes);
            let best_ns = match best.get(&key) {
                Some(best_ns) => *best_ns,
                None => {
                    let what = cpu.kernel.name();
                    let what = if self.is_alone { what.to_owned() } else { format!("{what} in {language}") };
                    self.observer.observe(&Event::Calibrating(&what));
                    iteration(agent, cpu, self.budget_ns)?
                }
            };
            best.insert(key, best_ns);
            iterations.push((((time_ns as f64 / best_ns).round() as u64).max(1), Some(best_ns)));
        }
        self.languages.insert(language.to_owned(), best);
        Ok(iterations)
    }
}

fn iteration(agent: &mut Link, cpu: Cpu, budget_ns: u64) -> Result<f64, AgentError> {
    match measure(agent, Target::Iteration(cpu), budget_ns)? {
        Calibrated::Iteration { best_ns } if best_ns.is_finite() && best_ns > 0.0 => Ok(best_ns),
        other => Err(out_of_turn(&Reply::Calibrated(other), "in calibration")),
    }
}

fn measure(agent: &mut Link, target: Target, budget_ns: u64) -> Result<Calibrated, AgentError> {
    let request = Request::Calibrate(Calibrate { target, budget_ns });
    // One iteration of a large input may take longer than the whole budget.
    match agent.exchange(Some(&request), budget_ns * 10 + 60_000 * MS, "in calibration", None)? {
        Reply::Calibrated(calibrated) => Ok(calibrated),
        other => Err(out_of_turn(&other, "in calibration")),
    }
}
