//! Live agents: started, parked and run through their links.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::blocks::grace_ns;
use super::error::{AgentError, out_of_turn};
use super::frames;
use super::hang::Patience;
use super::link::{EXIT_PATIENCE, Link, Ticks};
use super::moment::Moment;
use super::parent::Parents;
use super::pool::{AgentPool, AgentSlot, Ask, Beginning, Measurement, PARKED_SHARE, Shutdown, Started};
use super::{AgentProgram, meters};
use crate::candidate::{Candidate, Engine, Model, RUST};
use crate::clock::now_ns;
use crate::guard::Guard;
use crate::host::meter::RunDelay;
use crate::protocol::{BlockKind, FailureKind, Go, Hello, Job, Reply, Request};
use crate::record::MemorySample;
use crate::workload::OwnEngine;

const SECOND_NS: u64 = 1_000_000_000;
/// How long an agent may take to say hello.
const HELLO_NS: u64 = 20 * SECOND_NS;
/// How long it may take to import what it needs, fill its pool and open its connections.
const SET_UP_NS: u64 = 10 * SECOND_NS;
/// How much longer for each worker that is a process or an interpreter of its own.
const WORKER_SET_UP_NS: u64 = SECOND_NS / 2;
/// How long an agent may take to say goodbye.
const BYE_NS: u64 = 5 * SECOND_NS;
/// The same where another agent of the runtime did not come to its end.
const HASTY_BYE_NS: u64 = SECOND_NS / 4;
/// A teardown that failed after so long did not end by itself: an agent gives it that long.
const HUNG_TEARDOWN_NS: u64 = SECOND_NS / 2 * 5;
/// An agent that takes so long to end after its last word does not end by itself: one for Python gives that 1 s.
const LINGERING_NS: u64 = SECOND_NS / 10 * 9;
/// How long processes may take to end after their agent did.
const LEFTOVER_GRACE: Duration = Duration::from_millis(250);
/// How long after its block an agent is left to settle before what it uses counts against it.
const SETTLING_NS: u64 = 1_000_000;
/// From so much parked time on, its CPU time is judged.
const JUDGED_NS: u64 = 50_000_000;
/// How often memory is sampled in a block.
const MEMORY_SAMPLES: u64 = 5;

/// What starts agents: the guard above them and their programs.
pub(super) struct Launcher {
    /// The session's guard.
    pub guard: Guard,
    /// This program: it is the native agent and the embedded server, too.
    pub program: PathBuf,
    /// The agents of the session's runtimes.
    pub agents: Vec<AgentProgram>,
    /// Their parents, where they have some.
    pub parents: Parents,
    /// Whether every life begins cold.
    pub is_cold: bool,
    /// Set when the user interrupts.
    pub interrupted: Arc<AtomicBool>,
}

/// An agent that has said hello.
pub(super) struct Connected {
    pub link: Link,
    pub hello: Hello,
    /// From its beginning to its hello.
    pub boot_ns: u64,
    /// How it really began.
    pub beginning: Beginning,
}

impl Launcher {
    /// Starts the native agent and hears its hello, whatever runtimes are measured.
    pub(super) fn native(&mut self) -> Result<Connected, AgentError> {
        let native = AgentProgram::native(&self.program);
        self.start_cold(&native)
    }

    /// Starts an agent of this runtime and hears its hello.
    pub(super) fn agent(&mut self, runtime: &str, beginning: Beginning) -> Result<Connected, AgentError> {
        match self.agents.iter().find(|agent| agent.runtime == runtime) {
            Some(agent) => self.start(&agent.clone(), beginning),
            None if runtime == RUST => self.native(),
            None => Err(AgentError::new(FailureKind::Setup, format!("no agent of the runtime `{runtime}` is known"))),
        }
    }

    /// Has that of which warm agents of this runtime are forks boot beside whatever else runs.
    pub(super) fn boot_ahead(&mut self, runtime: &str) {
        let agent = self.agents.iter().find(|agent| agent.runtime == runtime);
        if let Some(agent) = agent.filter(|_| !self.is_cold) {
            self.parents.begin(&mut self.guard, agent);
        }
    }

    fn start(&mut self, agent: &AgentProgram, beginning: Beginning) -> Result<Connected, AgentError> {
        if beginning == Beginning::Warm && !self.is_cold {
            let forked = self.parents.fork(&mut self.guard, agent, &self.interrupted);
            // What is wrong with the agent is what a cold one says.
            if let Some(Ok(life)) = forked.map(|link| Connected::hear(link, Beginning::Warm)) {
                return Ok(life);
            }
        }
        self.start_cold(agent)
    }

    fn start_cold(&mut self, agent: &AgentProgram) -> Result<Connected, AgentError> {
        let link = Link::start(&mut self.guard, agent, Arc::clone(&self.interrupted))
            .map_err(|error| AgentError::new(FailureKind::Setup, format!("cannot start the agent: {error}")))?;
        Connected::hear(link, Beginning::Cold)
    }
}

impl Connected {
    /// Hears the hello of an agent that was started.
    pub(super) fn hear(mut link: Link, beginning: Beginning) -> Result<Connected, AgentError> {
        let doing = "at its start";
        let hello = frames::hello(link.exchange(None, HELLO_NS, doing, None)?, doing)?;
        let boot_ns = now_ns() - link.started_ns();
        // An interpreter can tell where its threads stand.
        if hello.gil.is_some() {
            link.asks_for_dumps();
        }
        Ok(Connected { link, hello, boot_ns, beginning })
    }
}

/// Every agent of the session, by slot.
pub(super) struct LiveAgents {
    /// What starts them.
    pub launcher: Launcher,
    /// The jobs, by runtime; their candidates are replaced.
    pub jobs: HashMap<String, Job>,
    /// Executors of the user's own that files name, by runtime.
    own_engines: HashMap<String, Vec<OwnEngine>>,
    /// How many threads libraries compute with in a task by themselves, by runtime, where they are more than one.
    library_threads: HashMap<String, u32>,
    /// When the session began.
    pub began_ns: u64,
    agents: HashMap<AgentSlot, LiveAgent>,
    /// Runtimes of which an agent did not come to its end: the user's own teardown waits there, each time.
    endless: HashSet<String>,
    /// Runtimes of which an agent took long to end after its last word: what runs at exit does not end there.
    lingering: HashSet<String>,
    next_block: u32,
    /// Whose block ended last, and when: its parked time is not counted yet.
    settling: Option<(AgentSlot, u64)>,
    /// What tells whether the host disturbs.
    meters: meters::Meters,
    /// CPUs that may be used.
    cpus: u32,
}

struct LiveAgent {
    link: Link,
    runtime: String,
    pids: Vec<u32>,
    parked: Parked,
    /// Whether each of its threads that may run can have a CPU for itself.
    has_cpus: bool,
}

/// What an agent used between its blocks, by readings of the time and of its processes' CPU clocks.
#[derive(Debug, Default)]
struct Parked {
    since: Option<Reading>,
    parked_ns: u64,
    used_ns: u64,
    /// Whether it is stopped between its blocks from now on.
    stops: bool,
}

/// The time, and what each process of an agent has used until then, where it is known.
#[derive(Clone, Debug)]
struct Reading {
    at_ns: u64,
    cpu_ns: Vec<Option<u64>>,
}

impl Reading {
    fn take(pids: &[u32]) -> Reading {
        Reading { at_ns: now_ns(), cpu_ns: pids.iter().map(|pid| meters::process_cpu_ns(*pid)).collect() }
    }
}

impl Parked {
    fn begin(&mut self, from: Reading) {
        self.since = Some(from);
    }

    /// Takes the parked time that ends now; a stopped agent is not judged again.
    fn finish(&mut self, to: &Reading) {
        let Some(from) = self.since.take() else { return };
        if self.stops {
            return;
        }
        let used = from.cpu_ns.iter().zip(&to.cpu_ns).filter_map(|(from, to)| Some((*to)?.saturating_sub((*from)?)));
        self.used_ns += used.sum::<u64>();
        self.parked_ns += to.at_ns.saturating_sub(from.at_ns);
    }

    fn share(&self) -> f64 {
        if self.parked_ns < JUDGED_NS { 0.0 } else { self.used_ns as f64 / self.parked_ns as f64 }
    }
}

impl LiveAgents {
    pub(super) fn new(
        launcher: Launcher,
        jobs: HashMap<String, Job>,
        own_engines: HashMap<String, Vec<OwnEngine>>,
        library_threads: HashMap<String, u32>,
        began_ns: u64,
        meters: meters::Meters,
    ) -> LiveAgents {
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
        LiveAgents {
            launcher,
            jobs,
            own_engines,
            library_threads,
            began_ns,
            agents: HashMap::new(),
            endless: HashSet::new(),
            lingering: HashSet::new(),
            next_block: 0,
            settling: None,
            meters,
            cpus,
        }
    }

    /// Begins the account of the agent whose block ended last, since something else runs from now on. What it
    /// does at once after its answer (a pool's threads that go to sleep) is its block's end, not restlessness.
    fn settle(&mut self) {
        let Some((slot, ended_ns)) = self.settling.take() else { return };
        let Some(agent) = self.agents.get_mut(&slot) else { return };
        let left = SETTLING_NS.saturating_sub(now_ns().saturating_sub(ended_ns));
        if left > 0 {
            std::thread::sleep(Duration::from_nanos(left));
        }
        agent.parked.begin(Reading::take(&agent.pids));
    }

    /// The folder in which the factory of this candidate's executor is looked for first: that of the file that names it. One
    /// that an option names has none.
    fn executor_path(&self, candidate: &Candidate) -> Option<PathBuf> {
        let Engine::Own(own) = candidate.engine else { return None };
        let engines = self.own_engines.get(&candidate.runtime).into_iter().flatten();
        engines.filter(|engine| engine.factory == own.factory.text()).map(|engine| (&engine.path).into()).next()
    }

    /// Whether there is a CPU for each thread of this candidate that may run, for the one that hands tasks out to
    /// them, and for the embedded server.
    fn has_cpus(&self, candidate: &Candidate) -> bool {
        let server = u32::from(self.jobs.values().any(|job| job.server.is_some()));
        let each = candidate.library_threads.or(self.own_threads(candidate)).unwrap_or(1).max(1);
        busy_threads(candidate).saturating_mul(each).saturating_add(1 + server) <= self.cpus
    }

    /// How many threads libraries compute with in each task of a candidate, where that is left to them and more than one.
    fn own_threads(&self, candidate: &Candidate) -> Option<u32> {
        self.library_threads.get(&candidate.runtime).copied().filter(|_| candidate.library_threads.is_none())
    }

    /// Kills what is left of the agents and gives the guard back.
    pub(super) fn into_guard(self) -> Guard {
        drop(self.agents);
        self.launcher.guard
    }
}

impl AgentPool for LiveAgents {
    fn elapsed_ns(&self) -> u64 {
        now_ns() - self.began_ns
    }

    fn interrupted(&self) -> bool {
        self.launcher.interrupted.load(Ordering::Relaxed)
    }

    fn moment(&mut self) -> Moment {
        self.settle();
        self.meters.read(self.began_ns)
    }

    fn idle(&mut self, ns: u64) {
        std::thread::sleep(Duration::from_nanos(ns));
    }

    fn start(
        &mut self,
        slot: AgentSlot,
        candidate: &Candidate,
        iterations: Option<&[u64]>,
        beginning: Beginning,
        patience: Patience,
    ) -> Result<Started, AgentError> {
        self.settle();
        let has_cpus = self.has_cpus(candidate);
        let Some(job) = self.jobs.get(&candidate.runtime) else {
            return Err(AgentError::new(FailureKind::Setup, format!("there is no job for `{}`", candidate.runtime)));
        };
        let executor_path = self.executor_path(candidate);
        let mut job = Job { candidate: candidate.clone(), executor_path, ..job.clone() };
        for (step, iterations) in job.steps.iter_mut().zip(iterations.unwrap_or_default()) {
            step.iterations = *iterations;
        }
        let Connected { mut link, boot_ns, beginning, .. } = self.launcher.agent(&candidate.runtime, beginning)?;
        let first_tasks = u64::from(candidate.sizes.concurrency()) + 1;
        let waits_ns = job.rate.map_or(0, |rate| rate.longest_ns(first_tasks));
        let whole_ns = set_up_ns(candidate).saturating_add(grace_ns(job.task_timeout_ns)).saturating_add(waits_ns);
        let patience = Patience { whole_ns: whole_ns.min(patience.whole_ns), ..patience };
        let doing = "while it was set up";
        match link.exchange(Some(&Request::Job(Box::new(job))), patience, doing, None)? {
            Reply::Ready(ready) => {
                // Threads of libraries look out for the next task for tens of milliseconds: who runs next would pay for it.
                let parked = Parked { stops: self.own_threads(candidate).is_some(), ..Parked::default() };
                let (runtime, pids) = (candidate.runtime.clone(), ready.pids.clone());
                self.agents.insert(slot, LiveAgent { link, runtime, pids, parked, has_cpus });
                self.settling = Some((slot, now_ns()));
                Ok(Started { boot_ns, beginning, ready })
            }
            other => Err(out_of_turn(&other, doing)),
        }
    }

    fn leave_turns(&mut self) {
        self.jobs.values_mut().for_each(|job| job.turns = 0);
    }

    fn block(&mut self, slot: AgentSlot, ask: Ask) -> Result<Measurement, AgentError> {
        let number = self.next_block;
        self.next_block += 1;
        // Who runs twice in a row was never parked.
        if self.settling.is_some_and(|(last, _)| last == slot) {
            self.settling = None
        } else {
            self.settle()
        }
        let server = self.jobs.values().find_map(|job| job.server).map(|server| server.pid);
        let Some(agent) = self.agents.get_mut(&slot) else {
            return Err(AgentError::new(FailureKind::Agent, "the agent is gone".to_owned()));
        };
        agent.wake()?;
        let server_before = server.and_then(meters::process_cpu_ns);
        let at_ns = now_ns() - self.began_ns;
        let delay_before = agent.delay();
        let (reply, memory) = agent.go(number, ask)?;
        self.settling = Some((slot, now_ns()));
        let delay = agent.delay().zip(delay_before).map(|(after, before)| after.beyond_waking_since(before));
        let server_after = server.and_then(meters::process_cpu_ns);
        let elapsed_ns = now_ns() - self.began_ns - at_ns;
        agent.park()?;
        let figures = frames::block(reply, number, ask.kind)?;
        Ok(Measurement {
            at_ns,
            figures,
            memory,
            server_cpu_ns: server_after.zip(server_before).map(|(after, before)| after.saturating_sub(before)),
            run_delay_share: delay.map(|delay| delay as f64 / elapsed_ns.max(1) as f64),
            parked_cpu_share: agent.parked.share(),
        })
    }

    fn end(&mut self, slot: AgentSlot) -> Shutdown {
        self.settle();
        let Some(mut agent) = self.agents.remove(&slot) else { return Shutdown::default() };
        let patience_ns = if self.endless.contains(&agent.runtime) { HASTY_BYE_NS } else { BYE_NS };
        let bye = Request::Bye {};
        let reply = agent.wake().and_then(|()| agent.link.exchange(Some(&bye), patience_ns, "at its end", None));
        let ended = match reply {
            Ok(Reply::Bye(ended)) => ended,
            Err(AgentError::Failed(failed)) if failed.kind == FailureKind::Hang => {
                let is_new = self.endless.insert(agent.runtime);
                return Shutdown {
                    failed_teardown: Some(failed).filter(|_| is_new),
                    hung: true,
                    ..Shutdown::default()
                };
            }
            // Whatever else went wrong at an agent's end shows as a missing teardown time: its figures are taken.
            _ => return Shutdown::default(),
        };
        let hung = ended.failed_teardown.is_some() && ended.teardown_ns >= HUNG_TEARDOWN_NS;
        if hung {
            self.endless.insert(agent.runtime.clone());
            // Each further candidate would lose the same time.
            if let Some(job) = self.jobs.get_mut(&agent.runtime) {
                job.skips_teardown = true;
            }
        }
        let patience = if self.lingering.contains(&agent.runtime) { LEFTOVER_GRACE } else { EXIT_PATIENCE };
        let said_ns = now_ns();
        agent.link.ends(patience);
        if now_ns().saturating_sub(said_ns) >= LINGERING_NS {
            self.lingering.insert(agent.runtime.clone());
        }
        let leftover = agent.link.leftover(LEFTOVER_GRACE);
        Shutdown {
            teardown_ns: Some(ended.teardown_ns).filter(|_| !hung),
            leftover,
            left_behind: ended.left_behind,
            failed_teardown: ended.failed_teardown,
            hung,
        }
    }

    fn kill(&mut self, slot: AgentSlot) {
        // A link ends everything below it when it is dropped.
        self.agents.remove(&slot);
    }
}

impl LiveAgent {
    /// How long its threads have waited for a CPU, if they need not.
    fn delay(&self) -> Option<RunDelay> {
        if self.has_cpus { RunDelay::of(&self.pids) } else { None }
    }

    fn go(&mut self, number: u32, ask: Ask) -> Result<(Reply, Option<MemorySample>), AgentError> {
        let go = Go {
            block: number,
            kind: ask.kind,
            window_ns: ask.window_ns,
            first_index: ask.first_index,
            most_tasks: ask.most_tasks,
        };
        let request = Request::Go(go);
        let doing = match ask.kind {
            BlockKind::Timed => "in a timed block",
            BlockKind::Memory => "in a memory block",
            BlockKind::Verify => "in a verify block",
        };
        if ask.kind != BlockKind::Memory {
            return Ok((self.link.exchange(Some(&request), ask.patience, doing, None)?, None));
        }
        let root = self.link.guard().pid();
        let mut most: Option<MemorySample> = None;
        let mut sample = || {
            let Some(now) = meters::memory_below(root) else { return };
            most = Some(most.filter(|most| most.memory_bytes >= now.memory_bytes).unwrap_or(now));
        };
        let ticks = Ticks { every_ns: ask.window_ns / (MEMORY_SAMPLES + 1), call: &mut sample };
        let reply = self.link.exchange(Some(&request), ask.patience, doing, Some(ticks))?;
        Ok((reply, most))
    }

    /// Ends the parked time: reads what was used, and lets a stopped agent go on.
    fn wake(&mut self) -> Result<(), AgentError> {
        self.parked.finish(&Reading::take(&self.pids));
        if self.parked.stops {
            return self.link.guard().resume().map_err(guard_failed);
        }
        self.parked.stops = self.parked.share() > PARKED_SHARE;
        Ok(())
    }

    /// Stops an agent that does not park by itself.
    fn park(&mut self) -> Result<(), AgentError> {
        if self.parked.stops { self.link.guard().stop().map_err(guard_failed) } else { Ok(()) }
    }
}

/// How many threads of a candidate run tasks at once, at most.
fn busy_threads(candidate: &Candidate) -> u32 {
    match candidate.model() {
        // What a cluster runs, it runs elsewhere.
        Model::Sequential | Model::Cluster => 1,
        Model::Async | Model::ShardedAsync => candidate.sizes.workers.unwrap_or(1),
        Model::AsyncThreads | Model::AsyncProcesses => candidate.sizes.concurrency().saturating_add(1),
        Model::Threads | Model::Processes | Model::Interpreters => candidate.sizes.concurrency(),
    }
}

/// How long this candidate may take to fill its pool and open its connections. Worker processes may each be a
/// new interpreter that imports what it needs, one after another on a host of few cores.
fn set_up_ns(candidate: &Candidate) -> u64 {
    let processes = if candidate.engine.crosses() { candidate.sizes.at_once() } else { 0 };
    SET_UP_NS + u64::from(processes).saturating_mul(WORKER_SET_UP_NS)
}

fn guard_failed(error: std::io::Error) -> AgentError {
    AgentError::new(FailureKind::Agent, format!("the agent could not be stopped between its blocks: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// An agent of two processes that was parked so often, so long, and used this share of a core each time.
    fn parked(times: u64, each_ns: u64, share: f64) -> Parked {
        let mut parked = Parked::default();
        let (mut at_ns, mut used_ns) = (0, 0);
        for _ in 0..times {
            let reading = |at_ns, used_ns| Reading { at_ns, cpu_ns: vec![Some(used_ns), Some(7)] };
            parked.begin(reading(at_ns, used_ns));
            at_ns += each_ns;
            used_ns += (each_ns as f64 * share) as u64;
            parked.finish(&reading(at_ns, used_ns));
            // A block, whose CPU time is its own.
            at_ns += 10 * MS;
            used_ns += 20 * MS;
        }
        parked
    }

    #[test]
    fn short_rounds_hide_no_burner() {
        assert!(parked(20, 5 * MS, 0.03).share() > PARKED_SHARE);
        assert!(parked(200, MS, 0.03).share() > PARKED_SHARE);
        assert!(parked(1, 60 * MS, 0.03).share() > PARKED_SHARE);
    }

    #[test]
    fn who_rests_is_never_accused_and_nobody_is_before_enough_was_seen() {
        assert!(parked(20, 5 * MS, 0.005).share() < PARKED_SHARE);
        assert_eq!(parked(200, MS, 0.0).share(), 0.0);
        assert_eq!(parked(9, 5 * MS, 1.0).share(), 0.0);
    }

    #[test]
    fn a_process_that_ends_or_cannot_be_read_counts_nothing() {
        let mut parked = Parked::default();
        parked.begin(Reading { at_ns: 0, cpu_ns: vec![Some(5), None, Some(0)] });
        parked.finish(&Reading { at_ns: 100 * MS, cpu_ns: vec![None, Some(90 * MS), Some(50 * MS)] });
        assert_eq!(parked.share(), 0.5);
        parked.finish(&Reading { at_ns: 200 * MS, cpu_ns: vec![Some(0); 3] });
        assert_eq!(parked.share(), 0.5, "nothing was begun");
    }
}
