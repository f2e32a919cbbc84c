//! What is played: each a life of an agent of its own, from its hello to its end.

use std::fs;
use std::time::Duration;

use super::examiner::Examiner;
use super::jobs::{self, LOOP, WAIT_NS};
use super::rules::{self, Fault, Seen};
use super::{ExamineError, Verdict};
use crate::candidate::{Engine, Model};
use crate::clock::nanos;
use crate::clock::now_ns;
use crate::host::meter;
use crate::protocol::{Block, BlockKind, Calibrated, FailureKind, Go, Hello, Job, Reference, StepJob, Target};
use crate::session::bare::BareAgent;
use crate::session::error::AgentError;
use crate::units;
use crate::workload::{Load, Payload};

/// The window of a timed block.
const WINDOW_NS: u64 = 40_000_000;
/// A window that no few tasks reach.
const ENDLESS_NS: u64 = 600_000_000_000;
/// How long calibration may take.
const BUDGET_NS: u64 = 20_000_000;
/// How long what an agent started may take to end after it: a session is less patient, but a busy host breaks no rule.
const GRACE: Duration = Duration::from_secs(2);
/// After a block, an agent is left this long to settle; then it is watched for as long as follows.
const SETTLING: Duration = Duration::from_millis(30);
const WATCHED: Duration = Duration::from_millis(200);
/// The CPU time that a parked agent may use of that. (From 1 % on it is stopped between its blocks.)
const PARKED_NS: u64 = 40_000_000;
/// Lines that no agent understands, by what is wrong with them.
const REFUSED: [(&str, &str); 4] = [
    ("an unknown request", r#"{"come":{}}"#),
    ("an unknown field", r#"{"bye":{"surprise":1}}"#),
    ("a line that is no JSON", "{"),
    ("`go` before `job`", r#"{"go":{"block":1,"kind":"timed","window_ns":1000000,"first_index":0}}"#),
];

type Played = Result<(), ExamineError>;

/// All lives, as long as the agent answers. Of the engines that it offers only `engines`, unless there are none.
pub(super) fn all(examiner: &mut Examiner<'_>, engines: &[Engine]) -> Played {
    let Some((hello, iteration_ns)) = greeting(examiner)? else { return Ok(()) };
    let offered: Vec<Engine> = hello.engines.iter().map(|offer| offer.engine).collect();
    let chosen = |engine: &Engine| engines.is_empty() || engines.contains(engine);
    let steps = vec![jobs::wait(), jobs::compute(iteration_ns)];
    checksums(examiner, &hello)?;
    for (what, line) in REFUSED {
        while_it_answers(examiner, |examiner| refusal(examiner, what, line))?;
    }
    while_it_answers(examiner, |examiner| programs(examiner, &hello))?;
    while_it_answers(examiner, |examiner| failing_tasks(examiner, &hello))?;
    for engine in offered.into_iter().filter(chosen) {
        if engine.model() == Model::Cluster {
            examiner.find(&engine.to_string(), "blocks", Verdict::Untried, "it needs a cluster".to_owned());
            continue;
        }
        let job = jobs::job(examiner.runtime(), &hello, engine, steps.clone());
        while_it_answers(examiner, |examiner| closed(examiner, &job))?;
        while_it_answers(examiner, |examiner| batch(examiner, &job))?;
        while_it_answers(examiner, |examiner| turns(examiner, &job))?;
    }
    if examiner.hangs() {
        let came = "not asked: it did not answer in time".to_owned();
        examiner.find("the rest", "answers", Verdict::Untried, came);
    }
    Ok(())
}

fn while_it_answers(examiner: &mut Examiner<'_>, life: impl FnOnce(&mut Examiner<'_>) -> Played) -> Played {
    if examiner.is_over() { Ok(()) } else { life(examiner) }
}

/// What it says of itself, and how fast it computes.
fn greeting(examiner: &mut Examiner<'_>) -> Result<Option<(Hello, f64)>, ExamineError> {
    let mut agent = examiner.agent()?;
    let heard = agent.hello();
    let Some(hello) = examiner.hear("hello", "a frame `hello`, unasked", heard) else { return Ok(None) };
    examiner.judge("hello", "its protocol, runtime and engines", rules::of_hello(&hello));
    if examiner.has_broken() {
        return Ok(None);
    }
    let expected = "the time of an iteration of the kernel `loop`";
    let answer = agent.calibrate(Target::Iteration(LOOP), BUDGET_NS);
    let Some(calibrated) = examiner.hear("calibrate", expected, answer) else { return Ok(None) };
    let iteration_ns = match calibrated {
        Calibrated::Iteration { best_ns } => best_ns,
        Calibrated::Cores { .. } => f64::NAN,
    };
    let is_time = iteration_ns.is_finite() && iteration_ns > 0.0;
    let fault = || Fault { expected: expected.to_owned(), came: format!("{calibrated:?}") };
    examiner.judge("calibrate", expected, if is_time { Vec::new() } else { vec![fault()] });
    say_bye(examiner, agent, "bye before a job");
    Ok(is_time.then_some((hello, iteration_ns)))
}

/// `bye`, and what follows it.
fn say_bye(examiner: &mut Examiner<'_>, mut agent: BareAgent, check: &str) {
    let begun_ns = now_ns();
    let answer = agent.bye();
    let seen_ns = now_ns() - begun_ns;
    let expected = "`bye`, exit status 0, and nothing that outlives it";
    let Some(ended) = examiner.hear(check, expected, answer) else { return };
    let mut faults = rules::of_ended(&ended, seen_ns);
    faults.extend(end(examiner, &mut agent, true));
    examiner.judge(check, expected, faults);
}

/// How an agent ends of which nothing more is wanted.
fn end(examiner: &Examiner<'_>, agent: &mut BareAgent, is_peaceful: bool) -> Vec<Fault> {
    let patience = examiner.patience();
    let status = agent.link().exit_status(patience);
    let left = if status.is_some() { agent.link().leftover(GRACE) } else { 0 };
    rules::of_end(status, patience, left, is_peaceful)
}

/// An agent that has said hello, as it did before.
fn greeted(examiner: &mut Examiner<'_>, check: &str) -> Result<Option<BareAgent>, ExamineError> {
    let mut agent = examiner.agent()?;
    let heard = agent.hello();
    Ok(examiner.hear(check, "a frame `hello`, unasked", heard).map(|_| agent))
}

/// The checksums of each step.
fn checksums(examiner: &mut Examiner<'_>, hello: &Hello) -> Played {
    for (name, step) in jobs::steps() {
        while_it_answers(examiner, |examiner| checksum(examiner, hello, &name, step))?;
    }
    Ok(())
}

fn checksum(examiner: &mut Examiner<'_>, hello: &Hello, name: &str, step: StepJob) -> Played {
    let check = format!("checksums of {name}");
    let is_required = jobs::is_required(&step.step);
    let payload = Payload { input_bytes: 3000, output_bytes: 500 };
    let directory = Some(examiner.directory());
    let job = jobs::job(examiner.runtime(), hello, Engine::Sequential, vec![step]);
    let job = Job { payload, directory, ..job };
    let expected = examiner.reference(&jobs::native(&job))?;
    let Some(mut agent) = greeted(examiner, &check)? else { return Ok(()) };
    let answer = agent.reference(&job);
    let says = "the tables of a reference";
    let made = if is_required {
        examiner.hear(&check, says, answer)
    } else {
        examiner.hear_if_there(&mut agent, &check, says, answer)
    };
    let Some(made) = made else { return Ok(()) };
    let faults = rules::of_tables(&made, &expected, &[name, "the payload"]);
    examiner.judge(&check, "those of the native agent", faults);
    Ok(())
}

/// A line that is to be refused.
fn refusal(examiner: &mut Examiner<'_>, what: &str, line: &str) -> Played {
    let expected = "`failed` of the kind `protocol`, and then its end";
    let Some(mut agent) = greeted(examiner, what)? else { return Ok(()) };
    let answer = agent.answer_to(line);
    let faults = match answer {
        Err(AgentError::Failed(failure)) if agent.link().heard_last_word() => {
            let mut faults = end(examiner, &mut agent, false);
            if failure.kind != FailureKind::Protocol {
                faults
                    .push(Fault { expected: expected.to_owned(), came: format!("kind {:?}: {failure}", failure.kind) });
            }
            faults
        }
        answer => match examiner.hear(what, expected, answer) {
            Some(reply) => vec![Fault { expected: expected.to_owned(), came: shortened(&reply) }],
            None => return Ok(()),
        },
    };
    examiner.judge(what, expected, faults);
    Ok(())
}

fn shortened(reply: &impl std::fmt::Debug) -> String {
    format!("{reply:?}").chars().take(120).collect()
}

/// Programs that tasks start have not the agent's pipes.
fn programs(examiner: &mut Examiner<'_>, hello: &Hello) -> Played {
    let (check, expected) = ("pipes in programs", "programs of tasks without descriptors of the agent's pipes");
    let Some(mut agent) = greeted(examiner, check)? else { return Ok(()) };
    let pipes = agent.link().pipes().unwrap_or_default();
    let job = jobs::job(examiner.runtime(), hello, Engine::Sequential, vec![jobs::without_pipes(pipes)]);
    let answer = agent.become_candidate(&job);
    if examiner.hear_if_there(&mut agent, check, expected, answer).is_some() {
        examiner.judge(check, expected, Vec::new());
        say_bye(examiner, agent, "bye after programs");
    }
    Ok(())
}

/// Tasks that fail, where that is tolerated and where it is not.
fn failing_tasks(examiner: &mut Examiner<'_>, hello: &Hello) -> Played {
    let check = "a task that fails";
    let job = jobs::job(examiner.runtime(), hello, Engine::Sequential, vec![jobs::exits(3)]);
    let Some(mut agent) = greeted(examiner, check)? else { return Ok(()) };
    let expected = "`failed` of the kind `task`";
    match agent.become_candidate(&job) {
        Err(AgentError::Failed(failure)) if failure.kind == FailureKind::Task && agent.link().heard_last_word() => {
            examiner.judge(check, expected, Vec::new());
        }
        Ok(_) => {
            let fault = Fault { expected: expected.to_owned(), came: "`ready`".to_owned() };
            examiner.judge(check, expected, vec![fault]);
        }
        answer => {
            examiner.hear_if_there(&mut agent, check, expected, answer);
            return Ok(());
        }
    }
    tolerated(examiner, &Job { tolerates_errors: true, ..job })
}

fn tolerated(examiner: &mut Examiner<'_>, job: &Job) -> Played {
    let (check, expected) = ("tasks that may fail", "a block that counts its failed tasks as `errors`");
    let Some(mut agent) = greeted(examiner, check)? else { return Ok(()) };
    let ready = agent.become_candidate(job);
    if examiner.hear(check, expected, ready).is_none() {
        return Ok(());
    }
    let go = Go { most_tasks: Some(3), ..go(1, BlockKind::Timed, ENDLESS_NS) };
    let answer = agent.block(go);
    let Some(block) = examiner.hear(check, expected, answer) else { return Ok(()) };
    let came = format!("{} tasks, {} errors, first error {:?}", block.tasks, block.errors, block.first_error);
    let is_told = (block.tasks, block.errors) == (3, 3) && block.first_error.is_some();
    let wrong = Fault { expected: "3 tasks, 3 errors, and the first of them".to_owned(), came };
    examiner.judge(check, expected, if is_told { Vec::new() } else { vec![wrong] });
    Ok(())
}

fn go(block: u32, kind: BlockKind, window_ns: u64) -> Go {
    Go { block, kind, window_ns, first_index: u64::from(block) * 1000 + 5, most_tasks: None }
}

/// A candidate under a closed load: blocks of all kinds, parked between them, and an end in peace.
fn closed(examiner: &mut Examiner<'_>, job: &Job) -> Played {
    let Some(mut candidate) = Candidate::begin(examiner, job, "ready")? else { return Ok(()) };
    candidate.pipes(examiner);
    let few = Go { most_tasks: Some(7), ..go(3, BlockKind::Timed, ENDLESS_NS) };
    let blocks = [
        ("a timed block", go(1, BlockKind::Timed, WINDOW_NS)),
        ("the next timed block", go(2, BlockKind::Timed, WINDOW_NS)),
        ("a block of 7 tasks", few),
        ("a verify block", go(4, BlockKind::Verify, WINDOW_NS)),
        ("a memory block", go(5, BlockKind::Memory, WINDOW_NS)),
    ];
    for (what, go) in blocks {
        if candidate.block(examiner, what, go).is_none() {
            return Ok(());
        }
    }
    candidate.parked(examiner);
    let check = candidate.named("bye");
    say_bye(examiner, candidate.agent, &check);
    Ok(())
}

/// A batch; then the controller is gone.
fn batch(examiner: &mut Examiner<'_>, job: &Job) -> Played {
    let load = Load::Batch { tasks: 9, max_in_flight: job.load.max_in_flight() };
    let job = Job { load, ..job.clone() };
    let Some(mut candidate) = Candidate::begin(examiner, &job, "ready for a batch")? else { return Ok(()) };
    if candidate.block(examiner, "a batch of 9 tasks", go(1, BlockKind::Timed, 0)).is_none() {
        return Ok(());
    }
    let check = candidate.named("the end of the requests");
    let expected = "an end without `bye`, and nothing that outlives it";
    let gone = candidate.agent.link().end_requests();
    let faults = match gone {
        Ok(()) => end(examiner, &mut candidate.agent, false),
        Err(error) => vec![Fault { expected: expected.to_owned(), came: error.to_string() }],
    };
    examiner.judge(&check, expected, faults);
    Ok(())
}

/// Turns of tasks that are taken for long.
fn turns(examiner: &mut Examiner<'_>, job: &Job) -> Played {
    let job = Job { turns: 2, ..job.clone() };
    let Some(mut candidate) = Candidate::begin(examiner, &job, "ready for turns")? else { return Ok(()) };
    candidate.block(examiner, "a block of 2 turns", go(1, BlockKind::Timed, WINDOW_NS));
    Ok(())
}

/// An agent that became a candidate.
struct Candidate {
    agent: BareAgent,
    job: Job,
    reference: Reference,
    /// Its processes, where all of its tasks run in them from one block to the next.
    pids: Vec<u32>,
}

impl Candidate {
    fn begin(examiner: &mut Examiner<'_>, job: &Job, what: &str) -> Result<Option<Candidate>, ExamineError> {
        let check = format!("{}: {what}", job.candidate.engine);
        let reference = examiner.reference(&jobs::native(job))?;
        let Some(mut agent) = greeted(examiner, &check)? else { return Ok(None) };
        let begun_ns = now_ns();
        let answer = agent.become_candidate(job);
        let seen_ns = now_ns() - begun_ns;
        let expected = "`ready`, with its times and its processes";
        let Some(ready) = examiner.hear(&check, expected, answer) else { return Ok(None) };
        let below = meter::tree(agent.link().guard().pid());
        examiner.judge(&check, expected, rules::of_ready(&ready, job, seen_ns, &below));
        let pids = ready.pids;
        Ok(Some(Candidate { agent, job: job.clone(), reference, pids }))
    }

    fn named(&self, what: &str) -> String {
        format!("{}: {what}", self.job.candidate.engine)
    }

    /// Runs a block, and judges what it says.
    fn block(&mut self, examiner: &mut Examiner<'_>, what: &str, go: Go) -> Option<Block> {
        let check = self.named(what);
        let (before, begun_ns) = (self.cpu_ns(), now_ns());
        let answer = self.agent.block(go);
        let (ns, after) = (now_ns() - begun_ns, self.cpu_ns());
        let expected = "`block`, with figures that agree with each other and with what was seen";
        let block = examiner.hear(&check, expected, answer)?;
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
        let cpu_ns = before.zip(after).map(|(before, after)| after.saturating_sub(before));
        let seen = Seen { ns, cpu_ns, cpus, least_task_ns: WAIT_NS };
        examiner.judge(&check, expected, rules::of_block(&block, &go, &self.job, &self.reference, seen));
        Some(block)
    }

    /// The CPU time of a candidate whose tasks run in the agent's own process.
    fn cpu_ns(&self) -> Option<u64> {
        let in_agent = matches!(self.job.candidate.model(), Model::Sequential | Model::Threads | Model::Async);
        let [pid] = self.pids.as_slice() else { return None };
        meter::process_cpu_ns(*pid).filter(|_| in_agent)
    }

    /// No process that it started has its pipes.
    fn pipes(&mut self, examiner: &mut Examiner<'_>) {
        let check = self.named("pipes in workers");
        let own = [self.agent.link().pid(), self.agent.link().guard().pid()];
        let below = meter::tree(own[1]);
        let started =
            below.into_iter().filter(|pid| !own.contains(pid) && self.pids.first().is_none_or(|it| it != pid));
        let pipes = self.agent.link().pipes().unwrap_or_default().map(|inode| format!("pipe:[{inode}]"));
        let heirs: Vec<u32> = started.filter(|pid| has_any(*pid, &pipes)).collect();
        let expected = "processes that it started without descriptors of its pipes";
        let fault = || Fault { expected: expected.to_owned(), came: format!("process {heirs:?} has one") };
        examiner.judge(&check, expected, if heirs.is_empty() { Vec::new() } else { vec![fault()] });
    }

    /// Between its blocks it uses no CPU.
    fn parked(&mut self, examiner: &mut Examiner<'_>) {
        let check = self.named("parked");
        std::thread::sleep(SETTLING);
        let used = |pids: &[u32]| -> u64 { pids.iter().filter_map(|pid| meter::process_cpu_ns(*pid)).sum() };
        let before = used(&self.pids);
        std::thread::sleep(WATCHED);
        let used_ns = used(&self.pids).saturating_sub(before);
        let expected = "no CPU used between blocks";
        let came = format!("{used_ns} ns of CPU time within {}", units::written_duration(nanos(WATCHED)));
        let fault = Fault { expected: expected.to_owned(), came };
        examiner.judge(&check, expected, if used_ns <= PARKED_NS { Vec::new() } else { vec![fault] });
    }
}

/// Whether a process holds one of these open.
fn has_any(pid: u32, names: &[String]) -> bool {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    open.filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|to| names.iter().any(|name| to.as_os_str() == name.as_str()))
}
