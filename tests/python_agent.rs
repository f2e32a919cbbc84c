//! The Python agent, for real: under the interpreters of this machine, held against the native agent.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::pythons::{self, Python};
use common::server::Server;
use common::{Agent, is_alive, job};
use conbench::candidate::{Candidate, Engine, Model, RUST, StartMethod};
use conbench::clock::{now_ns, process_cpu_ns};
use conbench::protocol::{
    Block, BlockKind, Failed, FailureKind, Go, Job, LeftBehind, Reference, Reply, Request, VARIANTS,
};
use conbench::workload::{
    Check, Connection, Cpu, Distribution, FileOperation, Items, Kernel, Load, Payload, Python as UserCode, Step, Work,
};
use rustix::process::{Pid, Signal, kill_process};

/// The user's code of these tests.
const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python");

fn fixed(time_ns: u64) -> Distribution {
    Distribution::Fixed { time_ns }
}

fn kernel(kernel: Kernel) -> Cpu {
    Cpu { kernel, input_bytes: 2048, time_ns: None }
}

/// A `python` step whose results are compared.
fn user_code(function: &str) -> UserCode {
    UserCode {
        function: Some(function.to_owned()),
        async_function: None,
        setup: None,
        items: None,
        path: FIXTURES.to_owned(),
        check: Check::Results,
    }
}

/// A function with all that can belong to it: an async form, a setup, items.
fn scraper() -> Step {
    Step::Python(UserCode {
        async_function: Some("shop.scrape:afetch".to_owned()),
        setup: Some("shop.scrape:setup".to_owned()),
        items: Some(Items::Named("shop.scrape:items".to_owned())),
        ..user_code("shop.scrape:fetch_and_parse")
    })
}

/// Steps of every kind but the user's own code.
fn built_in_steps(engine: Engine) -> Vec<Step> {
    let connection = Connection::KeepAlive;
    let delay = fixed(100_000);
    let mut steps: Vec<Step> = Kernel::ALL.into_iter().map(|each| Step::Cpu(kernel(each))).collect();
    steps.extend([
        Step::Wait { time: Distribution::Exponential { mean_ns: 200_000 } },
        Step::Sleep { time: fixed(100_000) },
        Step::Http { url: None, delay, body_bytes: 3000, connection },
        Step::Http { url: None, delay, body_bytes: 10, connection: Connection::New },
        Step::Tcp { address: None, delay, request_bytes: 500, response_bytes: 700, connection },
        Step::File { operation: FileOperation::Read, size_bytes: 1024, fsync: false },
        Step::File { operation: FileOperation::Write, size_bytes: 1024, fsync: false },
        Step::Command { argv: vec!["true".to_owned()], expect_status: 0 },
    ]);
    // The standard library has none of these that interpreters could share.
    if engine.model() != Model::Interpreters {
        steps.extend([
            Step::Lock { hold: Work::Cpu(kernel(Kernel::Loop)) },
            Step::Lock { hold: Work::Wait { time: fixed(10_000) } },
            Step::Queue { capacity: 4, stage: Work::Cpu(kernel(Kernel::Sort)) },
            Step::Queue { capacity: 4, stage: Work::Wait { time: fixed(10_000) } },
            Step::Event { round_trips: 2 },
        ]);
    }
    steps
}

/// A job of a Python engine at a small size, under its default start method.
fn python_job(engine: Engine, steps: Vec<Step>) -> Job {
    let mut job = job(engine, 2, steps);
    let axes = engine.axes();
    job.candidate = Candidate { runtime: "python".to_owned(), ..job.candidate };
    job.candidate.sizes.in_flight = axes.in_flight.then_some(4);
    job.candidate.sizes.chunk = axes.chunk.then_some(2);
    job
}

fn under(mut job: Job, start_method: Option<StartMethod>) -> Job {
    job.candidate.start_method = start_method;
    job
}

/// The engines that an interpreter offers.
fn engines(python: &Python) -> Vec<Engine> {
    Agent::python(python).hello().engines.iter().map(|offer| offer.engine).collect()
}

/// The ways in which an engine's workers may begin; one, `None`, for an engine without a choice.
fn start_methods(engine: Engine) -> Vec<Option<StartMethod>> {
    if engine.has_start_method() { StartMethod::ALL.into_iter().map(Some).collect() } else { vec![None] }
}

fn go(kind: BlockKind, window_ns: u64, first_index: u64, most_tasks: Option<u64>) -> Go {
    Go { block: 7, kind, window_ns, first_index, most_tasks }
}

/// An agent that has become this candidate.
fn ready(python: &Python, job: &Job) -> Agent {
    let mut agent = Agent::python(python);
    if let Err(failure) = agent.become_candidate(job) {
        panic!("{python} {}: {failure}\n{}\n{}", job.candidate.short(), failure.traceback.join("\n"), agent.errors());
    }
    agent
}

/// The block that must come of this.
fn block(agent: &mut Agent, name: &str, go: Go) -> Block {
    match agent.go(go) {
        Ok(block) => block,
        Err(failure) => panic!("{name}: {failure}\n{}\n{}", failure.traceback.join("\n"), agent.errors()),
    }
}

/// Whatever the engine and the kind of the block, its figures hold together.
fn assert_sane(block: &Block, go: Go, job: &Job, name: &str) {
    assert_eq!((block.block, block.kind, block.first_index), (go.block, go.kind, go.first_index), "{name}");
    assert!(go.most_tasks.is_none_or(|most| block.tasks <= most), "{name}: {}", block.tasks);
    assert!(block.window_ns <= block.elapsed_ns && block.resume_ns <= block.elapsed_ns, "{name}: {block:?}");
    assert!(block.tasks_in_window <= block.tasks as f64 + 1e-9, "{name}: {block:?}");
    // No more tasks than may be were ever in flight at once.
    let concurrency = u64::from(job.candidate.sizes.concurrency());
    assert!(block.busy_ns <= concurrency * block.window_ns, "{name}: {block:?}");
    let service = block.service.decode().expect("a histogram");
    let queueing = block.queueing.decode().expect("a histogram");
    assert_eq!(service.len(), queueing.len(), "{name}");
    assert!(service.len() <= block.tasks, "{name}");
    if block.tasks > 0 {
        assert!(service.len() > 0 && block.busy_ns > 0 && block.usage.cpu_ns() > 0, "{name}: {block:?}");
    }
    let model = job.candidate.model();
    let has_loop = matches!(model, Model::Async | Model::AsyncThreads | Model::AsyncProcesses);
    assert_eq!(block.longest_stall_ns.is_some(), go.kind == BlockKind::Memory && has_loop, "{name}");
    let crosses = matches!(model, Model::Processes | Model::Interpreters | Model::AsyncProcesses);
    let pickles = go.kind == BlockKind::Memory && crosses && block.tasks > 0;
    assert_eq!(block.serialisation.is_some_and(|cost| cost.bytes_per_task > 0.0), pickles, "{name}: {block:?}");
}

/// What tasks work on, and what comes of them by the native agent and the user's code.
struct Stage {
    server: Server,
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Stage {
        Stage { server: Server::start(), directory: tempfile::tempdir().expect("a directory") }
    }

    fn set(&self, mut job: Job) -> Job {
        job.server = Some(self.server.address);
        job.directory = Some(self.directory.path().to_owned());
        job.payload = Payload { input_bytes: 3000, output_bytes: 500 };
        job
    }

    /// A job of all kinds of steps.
    fn mixed(&self, engine: Engine) -> Job {
        let mut steps = built_in_steps(engine);
        steps.push(scraper());
        self.set(python_job(engine, steps))
    }

    /// The native agent's checksums of the built-in steps, and the results of the user's code.
    fn reference(&self, python: &Python, engine: Engine) -> Reference {
        let mut job = self.mixed(engine);
        job.candidate = Candidate::new("python", Engine::Sequential, Default::default());
        let found = Agent::python(python).reference_within(&job, 2_000_000_000);
        job.candidate.runtime = RUST.to_owned();
        job.steps.pop();
        let native = Agent::start().reference(&job);
        assert_eq!(found.tables.len(), native.tables.len() + 1, "{python}");
        let steps = job.steps.iter().map(|each| format!("{:?}", each.step)).chain(["payload".to_owned()]);
        let (payload, built_in) = found.tables.split_last().expect("the payload's");
        let (users, built_in) = built_in.split_last().expect("the user's");
        assert_eq!(users, &vec![0; VARIANTS as usize], "{python}");
        for ((step, ours), theirs) in steps.zip(built_in.iter().chain([payload])).zip(&native.tables) {
            assert_eq!(ours, theirs, "{python}: {step}");
        }
        assert_eq!(found.results.len() as u64, VARIANTS, "{python}");
        assert_eq!(found.results.iter().collect::<BTreeSet<_>>().len() as u64, VARIANTS, "{python}: items differ");
        assert_eq!((found.calls, found.notes), (2 * VARIANTS, Vec::new()), "{python}");
        Reference { results: found.results, ..native }
    }

    /// Runs blocks of each kind, and holds them against the reference.
    fn prove(&self, python: &Python, reference: &Reference, job: &Job) {
        let name = format!("{python} {}", job.candidate.short());
        let mut agent = ready(python, job);
        let blocks = [
            go(BlockKind::Verify, 0, 0, None),
            go(BlockKind::Timed, 20_000_000, 5, None),
            go(BlockKind::Memory, 20_000_000, 1003, Some(6)),
            go(BlockKind::Verify, 0, 3, Some(9)),
            go(BlockKind::Timed, 20_000_000, 0, Some(0)),
        ];
        for go in blocks {
            let name = format!("{name}, {:?} from {}", go.kind, go.first_index);
            let block = block(&mut agent, &name, go);
            assert_sane(&block, go, job, &name);
            assert_eq!(block.checksum, reference.expected(go.first_index, block.tasks), "{name}");
            assert_eq!(block.tasks > 0, go.most_tasks != Some(0), "{name}");
            if go.kind == BlockKind::Verify {
                let first = go.first_index as usize;
                assert_eq!(block.tasks, go.most_tasks.unwrap_or(VARIANTS), "{name}");
                assert_eq!(block.results, reference.results[first..first + block.tasks as usize], "{name}");
            } else {
                assert!(block.results.is_empty(), "{name}");
            }
        }
        let ended = agent.end();
        assert_eq!(ended.left_behind, [], "{name}");
    }

    /// Every engine, started in every way.
    fn prove_all(&self, python: &Python) {
        let (mut reference, interpreters) =
            (self.reference(python, Engine::Sequential), Engine::InterpreterPoolExecutor);
        for engine in engines(python) {
            if engine == interpreters {
                reference = self.reference(python, interpreters);
            }
            for method in start_methods(engine) {
                self.prove(python, &reference, &under(self.mixed(engine), method));
            }
        }
    }
}

#[test]
fn the_oldest_does_the_work_of_the_native_agent_in_every_engine() {
    let Some(python) = pythons::oldest() else { return };
    Stage::new().prove_all(python);
}

#[test]
fn the_newest_does_the_work_of_the_native_agent_in_every_engine() {
    let Some(python) = pythons::newest() else { return };
    Stage::new().prove_all(python);
}

#[test]
fn the_others_do_the_work_of_the_native_agent_in_an_engine_of_each_model() {
    let stage = Stage::new();
    for python in pythons::others() {
        let reference = stage.reference(python, Engine::Sequential);
        for engine in [
            Engine::Sequential,
            Engine::ThreadPoolExecutor,
            Engine::Asyncio,
            Engine::ProcessPoolExecutor,
            Engine::AsyncioThreads,
        ] {
            stage.prove(python, &reference, &stage.mixed(engine));
        }
    }
}
