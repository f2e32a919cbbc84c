//! Before the first round: what the machine gives, unloaded, and what every task must come to.

use std::collections::HashMap;

use super::link::{Fault, Link, out_of_turn};
use super::resident::Nursery;
use super::{Event, Observer, Session, meters};
use crate::candidate::{Candidate, Engine, RUST, Sizes};
use crate::protocol::{
    Calibrate, Calibrated, FailureKind, Job, MakeReference, Reference, Reply, Request, StepJob, Target, VARIANTS,
    draw_table,
};
use crate::record::{Calibration, RuntimeCalibration, Warning};
use crate::workload::{Cpu, Kernel};

const MS: u64 = 1_000_000;
/// Reference runs of a session: two agents run each variant once.
const REFERENCES: u64 = 2;
/// The part of `max_calls` that the reference may use.
const CALLS_PART: u64 = 4;

/// What was learnt before the first round.
pub(super) struct Prepared {
    /// For the record.
    pub calibration: Calibration,
    /// What every block is held against; `None` when checking is off.
    pub reference: Option<Reference>,
    /// Tasks run for it.
    pub calls: u64,
}

/// The steps with everything random drawn; iterations are set by [`calibrate`].
pub(super) fn draw(session: &Session) -> Vec<StepJob> {
    let steps = session.workload.steps.iter().zip(0_u64..);
    steps
        .map(|(step, number)| StepJob {
            step: step.clone(),
            iterations: 1,
            draws: step
                .distributions()
                .into_iter()
                .map(|distribution| draw_table(distribution, session.settings.seed, number))
                .collect(),
        })
        .collect()
}

/// A job for the reference agent; residents replace its candidate.
pub(super) fn job(session: &Session, steps: Vec<StepJob>) -> Job {
    Job {
        candidate: Candidate::new(RUST, Engine::Sequential, Sizes::default()),
        load: session.workload.load,
        payload: session.workload.payload,
        steps,
        seed: session.settings.seed,
        directory: None,
        server: None,
        task_timeout_ns: session.workload.task_timeout_ns,
    }
}

/// Measures the machine, sets the iterations in `job`, and makes the reference.
pub(super) fn prepare(
    nursery: &mut Nursery,
    session: &Session,
    job: &mut Job,
    observer: &mut dyn Observer,
    warnings: &mut Vec<Warning>,
) -> Result<Prepared, Fault> {
    let (mut agent, hello, _) = nursery.agent()?;
    let baseline = meters::memory_below(agent.guard().pid());
    let mut calibration = RuntimeCalibration {
        name: RUST.to_owned(),
        hello,
        iterations: Vec::new(),
        iteration_ns: Vec::new(),
        checked: false,
        baseline_memory_bytes: baseline.map(|baseline| baseline.memory_bytes),
        thread_scaling: None,
        notes: Vec::new(),
    };
    let usable_cores = calibrate(&mut agent, session, job, &mut calibration, observer)?;
    calibration.iterations = job.steps.iter().map(|step| step.iterations).collect();
    let (reference, calls) = references(nursery, &mut agent, session, job, observer, warnings)?;
    calibration.checked = reference.is_some();
    let calibration = Calibration { usable_cores: Some(usable_cores), runtimes: vec![calibration] };
    Ok(Prepared { calibration, reference, calls })
}

fn calibrate(
    agent: &mut Link,
    session: &Session,
    job: &mut Job,
    calibration: &mut RuntimeCalibration,
    observer: &mut dyn Observer,
) -> Result<f64, Fault> {
    let timed = |step: &StepJob| step.step.cpu().filter(|cpu| cpu.time_ns.is_some()).copied();
    let mut best: HashMap<(Kernel, u64), f64> = HashMap::new();
    let kernels = job.steps.iter().filter_map(timed).count() as u64;
    // A tenth of the session in all, at most.
    let budget_ns = (session.settings.budget_ns / (10 * (kernels + 1))).clamp(20 * MS, 500 * MS);
    observer.observe(&Event::Calibrating("the cores that can be had"));
    let target = Target::Cores { loops: session.host.usable_cpus() };
    let usable_cores = match measure(agent, target, budget_ns)? {
        Calibrated::Cores { usable_cores } => usable_cores,
        other @ Calibrated::Iteration { .. } => return Err(out_of_turn(&Reply::Calibrated(other), "in calibration")),
    };
    for step in &mut job.steps {
        let Some(cpu) = timed(step) else {
            calibration.iteration_ns.push(None);
            continue;
        };
        let key = (cpu.kernel, cpu.input_bytes);
        let best_ns = match best.get(&key) {
            Some(best_ns) => *best_ns,
            None => {
                observer.observe(&Event::Calibrating(cpu.kernel.name()));
                let best_ns = iteration(agent, cpu, budget_ns)?;
                best.insert(key, best_ns);
                best_ns
            }
        };
        calibration.iteration_ns.push(Some(best_ns));
        step.iterations = ((cpu.time_ns.unwrap_or(0) as f64 / best_ns).round() as u64).max(1);
    }
    Ok(usable_cores)
}

fn iteration(agent: &mut Link, cpu: Cpu, budget_ns: u64) -> Result<f64, Fault> {
    match measure(agent, Target::Iteration(cpu), budget_ns)? {
        Calibrated::Iteration { best_ns } if best_ns.is_finite() && best_ns > 0.0 => Ok(best_ns),
        other => Err(out_of_turn(&Reply::Calibrated(other), "in calibration")),
    }
}

fn measure(agent: &mut Link, target: Target, budget_ns: u64) -> Result<Calibrated, Fault> {
    let request = Request::Calibrate(Calibrate { target, budget_ns });
    // One iteration of a large input may take longer than the whole budget.
    match agent.exchange(Some(&request), budget_ns * 10 + 60_000 * MS, "in calibration", None)? {
        Reply::Calibrated(calibrated) => Ok(calibrated),
        other => Err(out_of_turn(&other, "in calibration")),
    }
}

/// The checksums of all variants, made by two processes; `None`, and a warning, when they are of no use.
fn references(
    nursery: &mut Nursery,
    first: &mut Link,
    session: &Session,
    job: &Job,
    observer: &mut dyn Observer,
    warnings: &mut Vec<Warning>,
) -> Result<(Option<Reference>, u64), Fault> {
    let mut unchecked = |message: String, calls: u64| {
        let warning = Warning::Unchecked { message };
        observer.observe(&Event::Warning(&warning));
        warnings.push(warning);
        Ok((None, calls))
    };
    let calls = REFERENCES * VARIANTS;
    if session.workload.max_calls.is_some_and(|most| most / CALLS_PART < calls) {
        let least = calls * CALLS_PART;
        return unchecked(
            format!("a reference needs a `max_calls` of {least} at least: raise it to have them compared"),
            0,
        );
    }
    let one = match reference(first, job) {
        Ok(reference) => reference,
        Err(fault) => return unchecked(of_the_task(fault)?, VARIANTS),
    };
    let (mut second, ..) = nursery.agent()?;
    match reference(&mut second, job) {
        Ok(other) if other == one => Ok((Some(one), calls)),
        Ok(other) => unchecked(disagreement(&one, &other, session), calls),
        Err(fault) => unchecked(of_the_task(fault)?, calls),
    }
}

fn reference(agent: &mut Link, job: &Job) -> Result<Reference, Fault> {
    let patience_ns = job.task_timeout_ns.saturating_mul(VARIANTS).saturating_add(30_000 * MS);
    let make = MakeReference { job: job.clone(), budget_ns: 0, most_calls: None };
    let request = Request::Reference(Box::new(make));
    match agent.exchange(Some(&request), patience_ns, "as the reference", None)? {
        Reply::Reference(reference) => Ok(reference),
        other => Err(out_of_turn(&other, "as the reference")),
    }
}

/// A task that fails here fails in each candidate too, with its cause; the session need not end for it.
fn of_the_task(fault: Fault) -> Result<String, Fault> {
    match fault {
        Fault::Failed(failed) if failed.kind != FailureKind::Protocol => {
            Ok(format!("the run that would be the reference failed ({failed})"))
        }
        other => Err(other),
    }
}

fn disagreement(one: &Reference, other: &Reference, session: &Session) -> String {
    let differs = one.tables.iter().zip(&other.tables).position(|(one, other)| one != other);
    let step = differs.and_then(|number| session.workload.steps.get(number).map(|step| (number + 1, step.kind())));
    let what = match step {
        Some((number, kind)) => format!("two runs of step {number} ({kind})"),
        None => "two runs".to_owned(),
    };
    format!("{what} gave different results for the same tasks: make a task's result depend on its index alone")
}
