//! A session: starts agents, feeds the race, tells observers, saves as it goes.
//!
//! [`run`] sets the stage (guard, server, calibration, reference) and clears it; in between, `runtimes` has one
//! runtime race after the other, and `runner` is a race's loop, which knows agents only as `pool`; `live_agents` is
//! that pool over live agents, each behind a [`link`].

pub mod bare;
mod blocks;
mod cluster;
mod confirm;
mod embedded;
pub mod error;
#[cfg(test)]
mod fake;
#[doc(hidden)]
pub mod frames;
pub mod hang;
pub mod link;
mod live_agents;
mod metered;
mod meters;
mod moment;
pub mod parent;
mod pool;
mod prepare;
mod probe;
mod racing;
mod reference;
mod runner;
mod runtimes;
mod saving;
#[doc(hidden)]
pub mod simulated;
#[doc(hidden)]
pub mod spoken;
mod sweep;
mod trial;
mod watch;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use crate::candidate::{self, Candidate, Cluster, Engine, RUST, StartMethod};
use crate::clock::now_ns;
use crate::decide::duel::{Duel, DuelRules};
use crate::decide::{ModelStanding, Rules, Turns};
use crate::guard::Guard;
use crate::host::Facts;
use crate::plan::{Call, Entry, Plan, Settings, admit, begin_by, nominal_task_ns, reach};
use crate::protocol::{Failed, Job, Reference, Serialisation};
use crate::record::{Calibration, Disturbance, Ending, Phase, Record, RuntimeCalibration, Warning};
use crate::workload::{Goal, Load, OwnEngine, Step, Work, Workload};
use blocks::BlockPace;
pub use cluster::{FoundCluster, find_cluster};
use embedded::Embedded;
use error::AgentError;
use live_agents::{Launcher, LiveAgents};
use metered::Metered;
use parent::Parents;
pub use pool::AgentSlot;
use prepare::PreparedRuntime;
pub use probe::probe;
use reference::Limited;
use runner::Runner;
use runtimes::RuntimePlan;
use saving::Saver;

/// The program that is the agent of one runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentProgram {
    /// The runtime's name, as candidates carry it.
    pub runtime: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The further argument with which it is a parent, of which its lives are forks; `None` if it cannot be one.
    pub parent_argument: Option<OsString>,
    /// What its environment has beside this process's own.
    pub environment: Vec<(OsString, OsString)>,
    /// The folder in which it runs; `None` is that of this process.
    pub directory: Option<PathBuf>,
}

impl AgentProgram {
    /// The native agent: `program` is this one.
    #[must_use]
    pub fn native(program: &Path) -> AgentProgram {
        AgentProgram {
            runtime: RUST.to_owned(),
            program: program.to_owned(),
            arguments: vec!["agent".into()],
            parent_argument: None,
            environment: Vec::new(),
            directory: None,
        }
    }
}

/// What a session measures.
pub struct Session {
    /// The workload.
    pub workload: Workload,
    /// What the user asked for.
    pub settings: Settings,
    /// The host.
    pub host: Facts,
    /// What was planned.
    pub plan: Plan,
    /// The agents of the plan's runtimes. The native one need not be among them.
    pub agents: Vec<AgentProgram>,
    /// The cluster of each runtime that has one, by the runtime's name.
    pub clusters: Vec<(String, Cluster)>,
    /// Files of the user's code that the workers of a cluster are sent.
    pub upload: Vec<PathBuf>,
    /// Where the record is saved as it grows, if anywhere.
    pub output: Option<PathBuf>,
    /// Set by a signal handler: end as soon as the block that runs can be ended.
    pub interrupted: Arc<AtomicBool>,
    /// Two versions that are compared, in the place of a race. The runtimes of the plan are then the sides.
    pub duel: Option<Versions>,
}

/// Two versions of the same work.
#[derive(Clone, Debug, PartialEq)]
pub struct Versions {
    /// What is compared, and how. Its candidates run under the sides' names.
    pub rules: DuelRules,
    /// What a task of each side does.
    pub sides: [Side; 2],
}

/// One of two versions.
#[derive(Clone, Debug, PartialEq)]
pub struct Side {
    /// Its name: the runtime of its candidates, and of its agent.
    pub name: String,
    /// What its tasks do.
    pub steps: Vec<Step>,
    /// Executors of the user's own that its file names.
    pub engines: Vec<OwnEngine>,
}

impl Session {
    /// The steps of a task: of each side, where there are two.
    fn all_steps(&self) -> impl Iterator<Item = &[Step]> {
        let sides = self.duel.iter().flat_map(|versions| &versions.sides).map(|side| side.steps.as_slice());
        std::iter::once(self.workload.steps.as_slice()).chain(sides)
    }

    /// The cluster that takes part under this runtime.
    fn cluster(&self, runtime: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|(name, _)| name == runtime).map(|(_, cluster)| cluster)
    }

    /// The processes of clusters on this host.
    fn pids_of_clusters(&self) -> Vec<u32> {
        self.clusters.iter().flat_map(|(_, cluster)| cluster.pids.iter().copied()).collect()
    }

    /// What a task of this runtime does.
    fn steps(&self, runtime: &str) -> &[Step] {
        let side = self.duel.iter().flat_map(|versions| &versions.sides).find(|side| side.name == runtime);
        side.map_or(&self.workload.steps, |side| &side.steps)
    }

    /// Executors of the user's own that the file of this runtime names: it has its folder for them.
    fn engines(&self, runtime: &str) -> &[OwnEngine] {
        let side = self.duel.iter().flat_map(|versions| &versions.sides).find(|side| side.name == runtime);
        side.map_or(&self.workload.engines, |side| &side.engines)
    }
}

/// What an observer of a session is told. Observers are never called while a block runs.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The session is calibrating; what, in a few words.
    Calibrating(&'a str),
    /// A round begins.
    Round {
        /// Its number, from 0.
        number: u32,
        /// What it is for.
        phase: Phase,
        /// The runtime that is raced; of a comparison of the runtimes, the last that was.
        runtime: &'a str,
        /// How many candidates run in it.
        candidates: usize,
        /// Time spent, without what was lost to candidates that did not answer.
        elapsed_ns: u64,
        /// The budget.
        budget_ns: u64,
    },
    /// The answer so far.
    Answer {
        /// What is named.
        candidate: &'a Candidate,
        /// What it may cost at most, with 95 % confidence, as a ratio.
        may_cost: f64,
        /// How many candidates were measured.
        tried: u32,
        /// How the best of each model stands.
        models: &'a [ModelStanding],
        /// Time spent.
        elapsed_ns: u64,
        /// The budget.
        budget_ns: u64,
    },
    /// A block of a round has ended, and the next one has not begun.
    BetweenBlocks {
        /// Time spent.
        elapsed_ns: u64,
    },
    /// It is measured how the answer changes with the task.
    Sweeping {
        /// How many times the workload's own computation a task does.
        factor: f64,
    },
    /// A candidate failed.
    Failed {
        /// The candidate.
        candidate: &'a Candidate,
        /// Why.
        failure: &'a Failed,
    },
    /// Something that the user should know.
    Warning(&'a Warning),
    /// The record so far, after it was saved.
    Saved(&'a Record),
}

/// Watches a session.
pub trait Observer {
    /// Is told what happened.
    fn observe(&mut self, event: &Event<'_>);
}

/// Why a session could not run at all. What was measured before a later fault is in the record instead.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The guard, the server or the session's directory could not be made.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The native agent could not measure the machine.
    #[error("cannot measure the machine: {0}")]
    Prepare(Failed),
}

/// Measures what `session` says. An interrupted session, too, ends with what was measured until then, and one whose
/// record cannot be saved, of which the observer is warned.
///
/// # Errors
/// When nothing could be measured at all.
pub fn run(session: Session, observer: &mut dyn Observer) -> Result<Record, SessionError> {
    let program = std::env::current_exe().map_err(|source| SessionError::Start { what: "the native agent", source })?;
    run_with(&program, session, observer)
}

/// As [`run`], where `program` is the `conbench` that is the guard, the embedded server and the native agent.
///
/// # Errors
/// When nothing could be measured at all.
pub fn run_with(program: &Path, session: Session, observer: &mut dyn Observer) -> Result<Record, SessionError> {
    let counters = meters::Counters::start(session.pids_of_clusters());
    let began_ns = now_ns();
    let mut observer = Metered::new(observer);
    let guard = Guard::start(program, &std::env::temp_dir())
        .map_err(|source| SessionError::Start { what: "the guard", source })?;
    let mut record = blank(&session);
    let mut saver = Saver::new(session.output.clone());
    let launcher = Launcher {
        guard,
        program: program.to_owned(),
        agents: session.agents.clone(),
        parents: Parents::default(),
        // A fork shares its parent's pages, and has them for less.
        // It has its imports before its job comes, too.
        is_cold: session.workload.objective.looks_at_memory() || counts_start_up(&session.workload),
        interrupted: Arc::clone(&session.interrupted),
    };
    let stage = Stage { session: &session, observer: &mut observer, record: &mut record, saver: &mut saver, began_ns };
    let (ending, guard) = stage.play(launcher)?;
    if let Err(error) = guard.close() {
        let warning = Warning::Other { message: format!("at the session's end: {error}") };
        observer.observe(&Event::Warning(&warning));
        record.warnings.push(warning);
    }
    record.ending = ending;
    // After the guard's end, all that the session started is reaped and its CPU time known.
    record.disturbance = counters.disturbance();
    if record.leaves_children_uncounted() {
        // What these used would be laid to others.
        record.disturbance.others_share = None;
    }
    record.elapsed_ns = now_ns() - began_ns;
    record.progress_cpu_ns = Some(observer.cpu_ns());
    saver.save(&record, &mut observer);
    Ok(record)
}

/// What a session plays on.
struct Stage<'a> {
    session: &'a Session,
    observer: &'a mut dyn Observer,
    record: &'a mut Record,
    saver: &'a mut Saver,
    began_ns: u64,
}

impl Stage<'_> {
    /// Prepares and races. Returns the guard, below which every agent has ended.
    fn play(self, mut launcher: Launcher) -> Result<(Ending, Guard), SessionError> {
        let Stage { session, observer, record, saver, began_ns } = self;
        let directory = launcher.guard.directory().map(Path::to_owned);
        if let (Some(directory), true) = (&directory, has_files(session)) {
            warn_of_memory(directory, observer, &mut record.warnings);
        }
        for message in uneven_executors(&session.plan).into_iter().chain(uneven_clusters(session)) {
            warn(Warning::Other { message }, observer, &mut record.warnings);
        }
        let server = match &directory {
            Some(directory) if session.all_steps().any(embedded::needed) => Some(
                Embedded::start(&mut launcher.guard, &launcher.program, directory)
                    .map_err(|source| SessionError::Start { what: "the embedded server", source })?,
            ),
            _ => None,
        };
        let server_address = server.as_ref().map(|server| server.address);
        let job = |runtime: &str| Job {
            directory: directory.clone(),
            server: server_address,
            ..prepare::job(session, prepare::draw(session, session.steps(runtime)), runtime)
        };
        let jobs = runtime_names(&session.plan).into_iter().map(job).collect();
        let prepared = match prepare::prepare(&mut launcher, session, jobs, observer, &mut record.warnings) {
            Ok(prepared) => prepared,
            Err(AgentError::Interrupted) => return Ok((Ending::Interrupted, launcher.guard)),
            Err(AgentError::Failed(failed)) => return Err(SessionError::Prepare(failed)),
        };
        let turns = turns(session, &prepared.runtimes);
        let rules = rules(session);
        let is_equal_work =
            session.workload.steps.iter().all(|step| step.cpu().is_none_or(|cpu| cpu.time_ns.is_none()));
        record.calibration.usable_cores = Some(prepared.usable_cores);
        let (calls, lost_ns, slowest) = (prepared.calls, prepared.lost_ns, prepared.slowest);
        let (mut runtime_plans, mut jobs, mut references) = (Vec::new(), HashMap::new(), HashMap::new());
        let mut own_engines = HashMap::new();
        let mut library_threads = HashMap::new();
        for runtime in prepared.runtimes {
            let computing = runtime.calibration.as_ref().and_then(|it| it.library_threads.as_ref());
            let computing = computing.filter(|own| own.compute()).map(|own| (runtime.name.clone(), own.threads));
            library_threads.extend(computing);
            admit(&mut record.plan, &runtime.name, &runtime.imported);
            if let Some(method) = own_start_method(session, &runtime) {
                begin_by(&mut record.plan, &runtime.name, method);
            }
            if let Some(rate) = session.workload.rate.filter(|_| names_no_sizes(session)) {
                reach(&mut record.plan, &runtime.name, rate, runtime.call_ns, session.workload.objective.tolerance());
            }
            runtime_plans.push(runtime_plan(session, &record.plan, &runtime));
            record.calibration.runtimes.extend(runtime.calibration);
            own_engines.insert(runtime.name.clone(), session.engines(&runtime.name).to_owned());
            jobs.insert(
                runtime.name.clone(),
                Job {
                    turns: turns.map_or(0, |turns| turns.count),
                    warms_up: turns.is_some() && runtime.loads,
                    ..runtime.job
                },
            );
            let PreparedRuntime { name, reference, limited, .. } = runtime;
            references.extend(reference.map(|reference| ((name.clone(), None), reference)));
            if let Some(Limited { threads, reference: Some(reference) }) = limited {
                references.insert((name, Some(threads)), reference);
            }
        }
        let meters = meters::Meters::start(&session.pids_of_clusters());
        let meters = if record.leaves_children_uncounted() { meters.without_own() } else { meters };
        let mut live_agents = LiveAgents::new(launcher, jobs, own_engines, library_threads, began_ns, meters);
        let rules_of_runner = runner::RunnerRules {
            pace: BlockPace { turns, ..pace(session) },
            references,
            calls,
            lost_ns,
            slowest,
            is_exclusive: session.workload.resources.exclusive,
            cold_lives: session.duel.as_ref().map_or(0, |versions| versions.rules.cold_lives as usize),
        };
        if let Some(message) = differing_results(session, &rules_of_runner.references) {
            warn(Warning::Other { message }, observer, &mut record.warnings);
        }
        let mut runner = Runner::new(&mut live_agents, observer, record, saver, rules_of_runner);
        let ending = match &session.duel {
            Some(versions) => duel(&mut runner, &runtime_plans, versions),
            None => runtimes::run(&mut runner, &runtime_plans, &runtimes::Terms { rules, is_equal_work }),
        };
        runner.tell_of_hangs();
        Ok((ending, live_agents.into_guard()))
    }
}

/// What to say of executors of the user's that run one number of tasks at once, whatever they are asked for.
fn uneven_executors(plan: &Plan) -> BTreeSet<String> {
    let of = |entry: &Entry| {
        let Engine::Own(own) = entry.engine else { return None };
        let tasks = candidate::tasks(own.fixed_workers?);
        Some(format!(
            "`{}` ignores the number of workers: it runs {tasks} at once whatever it is asked for, and only that is \
             measured",
            own.factory
        ))
    };
    plan.entries.iter().filter_map(of).collect()
}

/// What to say of clusters of another version than the interpreters that use them.
fn uneven_clusters(session: &Session) -> BTreeSet<String> {
    session.clusters.iter().filter_map(|(_, cluster)| cluster.uneven_versions()).collect()
}

/// Compares two versions. Where one cannot run, neither does.
fn duel(runner: &mut Runner<'_>, runtime_plans: &[RuntimePlan], versions: &Versions) -> Ending {
    if runtime_plans.iter().all(|runtime_plan| runtime_plan.broken.is_none()) {
        return runner.run(&mut Duel::new(versions.rules.clone())).0;
    }
    let broken = |name: &str| runtime_plans.iter().find(|runtime_plan| runtime_plan.name == name)?.broken.clone();
    for candidate in &versions.rules.candidates {
        runner.stand_by(candidate.clone(), broken(&candidate.runtime));
    }
    Ending::NoCandidate
}

/// What to say where the versions give different results for the same items.
fn differing_results(session: &Session, references: &runner::References) -> Option<String> {
    let [base, head] = &session.duel.as_ref()?.sides;
    let of = |side: &Side| references.get(&(side.name.clone(), None));
    let (one, other): (&Reference, &Reference) = of(base).zip(of(head))?;
    if one.items != other.items {
        let counts =
            |items: &[Option<u64>]| items.iter().flatten().map(u64::to_string).collect::<Vec<String>>().join(", ");
        return Some(format!(
            "{} has {} items and {} has {}: they do not do the same work; name a list of one length",
            base.name,
            counts(&one.items),
            head.name,
            counts(&other.items)
        ));
    }
    let task = one.results.iter().zip(&other.results).position(|(one, other)| one != other)?;
    let item = one.item(task as u64);
    Some(format!("{} and {} give different results, first for item {item}", base.name, head.name))
}

/// What the races of a session have in common.
fn rules(session: &Session) -> Rules {
    let (settings, workload) = (&session.settings, &session.workload);
    Rules {
        tolerance: workload.objective.tolerance(),
        deadline_ns: settings.budget_ns,
        budget_ns: settings.budget_ns,
        seed: settings.seed,
        // Memory hardly varies within a life.
        is_renewed: workload.objective.goal == Goal::Memory,
        // Those that are measured are fewer while others run: an expectation that takes one of two cores for all there is
        // would be wrong for as long as it matters. Blocks tell what can be had.
        cores: session
            .host
            .cpu_quota
            .as_ref()
            .map_or(f64::INFINITY, |quota| quota.cores)
            .min(f64::from(session.host.usable_cpus())),
        has_lock: false,
        library_threads: None,
        // Computation keeps a loop busy, and lets waits overlap all the same.
        is_async: workload.steps.iter().all(|step| step.has_async_form() || step.cpu().is_some()),
        blocks_loops: !workload.steps.iter().any(Step::has_async_form),
        may_share: workload.steps.iter().any(Step::may_share),
        is_throughput: workload.objective.goal == Goal::Throughput,
        serial_ns: workload.steps.iter().map(serial_ns).fold(0.0, f64::max),
        tasks: workload.all_tasks(),
        is_batch: matches!(workload.load, Load::Batch { .. }),
        rate_per_s: rate_per_s(workload),
        cluster: None,
        has_setup: workload.steps.iter().filter_map(Step::python).any(|python| python.setup.is_some()),
        turns: None,
    }
}

/// The tasks per second that the stated rate allows: of a batch, with its burst; `None` where it allows any.
fn rate_per_s(workload: &Workload) -> Option<f64> {
    let rate = workload.rate?;
    let Load::Batch { tasks, .. } = workload.load else { return Some(rate.per_s()) };
    let waiting = tasks.saturating_sub(rate.burst);
    (waiting > 0).then(|| rate.per_s() * f64::from(tasks) / f64::from(waiting))
}

/// Whether the start-up of candidates is a part of what is compared.
fn counts_start_up(workload: &Workload) -> bool {
    workload.all_tasks().is_some() && workload.objective.goal == Goal::Throughput
}

/// How long a step keeps what only one task may have at a time, where the workload says so.
fn serial_ns(step: &Step) -> f64 {
    match step {
        Step::Lock { hold: Work::Wait { time } } | Step::Queue { stage: Work::Wait { time }, .. } => time.mean_ns(),
        Step::Lock { hold: Work::Cpu(cpu) } | Step::Queue { stage: Work::Cpu(cpu), .. } => {
            cpu.time_ns.map_or(0.0, |time| time as f64)
        }
        _ => 0.0,
    }
}

/// The runtimes of a plan, each once, in its order.
fn runtime_names(plan: &Plan) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for entry in &plan.entries {
        if !names.contains(&entry.runtime.as_str()) {
            names.push(&entry.runtime);
        }
    }
    names
}

/// The start method that the user's own code sets, unless the user named some: who did gets those.
fn own_start_method(session: &Session, prepared: &PreparedRuntime) -> Option<StartMethod> {
    let calibration = prepared.calibration.as_ref().filter(|_| session.settings.start_methods.is_empty());
    calibration.and_then(RuntimeCalibration::own_start_method)
}

/// Whether the user leaves it to the session which sizes are tried.
fn names_no_sizes(session: &Session) -> bool {
    let Settings { workers, in_flight, .. } = &session.settings;
    workers.is_empty() && in_flight.is_empty() && session.workload.engines.iter().all(|own| own.workers.is_empty())
}

/// A runtime's part of the session.
fn runtime_plan(session: &Session, plan: &Plan, prepared: &PreparedRuntime) -> RuntimePlan {
    let calibration = prepared.calibration.as_ref();
    let hello = calibration.map(|calibration| &calibration.hello);
    let is_its_own = |entry: &&Entry| entry.runtime == prepared.name;
    // Who chose start methods gets those.
    let methods = calibration.filter(|_| session.settings.start_methods.is_empty());
    let methods = methods.map(RuntimeCalibration::start_methods);
    let is_called = prepared.call_ns > 0 && session.settings.chunk.is_empty();
    let bytes = |cost: Serialisation| cost.item.iter().chain(&cost.result).map(|part| part.bytes).sum::<f64>() as u64;
    let call = is_called.then(|| Call {
        ns: prepared.call_ns as f64,
        bytes: calibration.and_then(|known| known.serialisation).map_or(0, bytes),
    });
    RuntimePlan {
        name: prepared.name.clone(),
        language: hello.map(|hello| hello.language.clone()),
        entries: plan.entries.iter().filter(is_its_own).cloned().collect(),
        methods: methods.unwrap_or_default(),
        has_lock: hello.is_some_and(|hello| hello.gil == Some(true)),
        broken: prepared.broken.clone(),
        cluster: session.cluster(&prepared.name).map(Cluster::limits),
        call,
        library_threads: prepared
            .limited
            .as_ref()
            .and(calibration.and_then(|it| it.library_threads.as_ref()))
            .map(|it| it.threads),
    }
}

fn blank(session: &Session) -> Record {
    Record {
        conbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        began_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        elapsed_ns: 0,
        ending: Ending::Running,
        host: session.host.clone(),
        settings: session.settings.clone(),
        workload: session.workload.clone(),
        plan: session.plan.clone(),
        calibration: Calibration::default(),
        candidates: Vec::new(),
        rounds: Vec::new(),
        races: Vec::new(),
        exits: Vec::new(),
        sweeps: Vec::new(),
        disturbance: Disturbance::default(),
        progress_cpu_ns: None,
        warnings: Vec::new(),
    }
}

fn pace(session: &Session) -> BlockPace {
    let host = &session.host;
    let quota = host.cpu_quota.as_ref().filter(|quota| quota.cores < f64::from(host.cpus_affinity));
    BlockPace {
        budget_ns: session.settings.budget_ns,
        quota_period_ns: quota.map(|quota| quota.period_ns),
        task_timeout_ns: session.workload.task_timeout_ns,
        load: session.workload.load,
        goal: session.workload.objective.goal,
        rate: session.workload.rate,
        turns: None,
        shortest_ns: shortest_window_ns(session),
    }
}

/// The shortest window of a session's blocks. Each block of a duel begins a life, and for some tens of milliseconds the
/// kernel has yet to spread new processes over the cores: longer windows vary less by that.
fn shortest_window_ns(session: &Session) -> u64 {
    let candidates = session.duel.iter().flat_map(|versions| &versions.rules.candidates);
    let begins_processes = candidates.into_iter().any(|candidate| candidate.engine.has_worker_processes());
    if begins_processes { blocks::SHORTEST_OF_NEW_PROCESSES_NS } else { blocks::SHORTEST_NS }
}

/// Whether blocks may be turns of long tasks: where blocks are compared one by one, and are no batch. What is compared of two
/// versions may be how they start.
fn may_have_turns(session: &Session) -> bool {
    let Session { workload, duel, .. } = session;
    let objective = workload.objective;
    let is_paired = matches!(objective.goal, Goal::Throughput | Goal::CpuPerTask);
    let looks_at_all = objective.looks_at_memory() || objective.limits.p99_ns.is_some();
    let is_closed = matches!(workload.load, Load::Closed { .. }) && workload.rate.is_none();
    duel.is_none() && is_closed && is_paired && !looks_at_all
}

/// Of what a block is where tasks are long: by what a call of the user's own code took, and by what the workload says of
/// other steps.
fn turns(session: &Session, runtimes: &[PreparedRuntime]) -> Option<Turns> {
    let Session { workload, settings, .. } = session;
    let call_ns = runtimes.iter().map(|runtime| runtime.call_ns).max().unwrap_or(0);
    // Where a step is a program, a whole task was timed.
    let is_whole = workload.steps.iter().any(|step| matches!(step, Step::Command { .. }));
    let is_other = |step: &&Step| !is_whole && step.own_code().is_none();
    let others = workload.steps.iter().filter(is_other).cloned().collect();
    let others_ns = nominal_task_ns(&Workload { steps: others, ..workload.clone() }) as u64;
    may_have_turns(session).then(|| Turns::of(call_ns.saturating_add(others_ns), settings.budget_ns)).flatten()
}

fn has_files(session: &Session) -> bool {
    session.all_steps().flatten().any(|step| matches!(step, Step::File { .. }))
}

/// Says so when `directory` is on a file system that holds its files in memory.
fn warn_of_memory(directory: &Path, observer: &mut dyn Observer, warnings: &mut Vec<Warning>) {
    // statfs(2) names them; the type of the field differs between architectures, its low 32 bits do not.
    let kind = match rustix::fs::statfs(directory).map(|found| found.f_type as u32) {
        Ok(0x0102_1994) => "tmpfs",
        Ok(0x8584_58f6) => "ramfs",
        // Not known is not in memory: the warning would be a guess.
        Ok(_) | Err(_) => return,
    };
    warn(Warning::FilesInMemory { kind: kind.to_owned() }, observer, warnings);
}

fn warn(warning: Warning, observer: &mut dyn Observer, warnings: &mut Vec<Warning>) {
    observer.observe(&Event::Warning(&warning));
    warnings.push(warning);
}
