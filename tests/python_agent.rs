//! The Python agent, for real: under the interpreters of this machine, held against the native agent.

mod common;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use common::pythons::{self, Python};
use common::server::Server;
use common::{Agent, job};
use conbench::internal::candidate::{Candidate, Engine, Model, RUST, StartMethod};
use conbench::internal::clock::{now_ns, process_cpu_ns};
use conbench::internal::protocol::{
    Block, BlockKind, Failed, FailureKind, Go, Hello, Job, LeftBehind, Reference, Reply, Request, VARIANTS,
};
use conbench::internal::workload::{
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
        path: FIXTURES.to_owned(),
        check: Check::Results,
        ..UserCode::default()
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
    // The window may be behind before the first process has begun its task.
    assert!(block.busy_ns > 0 || block.tasks_in_window < 1e-9, "{name}: {block:?}");
    assert!(block.usage.cpu_ns() > 0, "{name}: {block:?}");
    let model = job.candidate.model();
    let has_loop = matches!(model, Model::Async | Model::ShardedAsync | Model::AsyncThreads | Model::AsyncProcesses);
    assert_eq!(block.longest_stall_ns.is_some(), go.kind == BlockKind::Memory && has_loop, "{name}");
    let crosses = job.candidate.engine.crosses();
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
        let mut blocks = vec![
            go(BlockKind::Verify, 0, 3, Some(4)),
            go(BlockKind::Memory, 20_000_000, 1003, Some(6)),
            go(BlockKind::Timed, 20_000_000, 0, Some(0)),
        ];
        // A new interpreter for each task takes too long for more of them.
        if job.candidate.engine != Engine::Process || job.candidate.start_method == Some(StartMethod::Fork) {
            blocks.extend([go(BlockKind::Verify, 0, 0, None), go(BlockKind::Timed, 20_000_000, 5, None)]);
        }
        for go in blocks {
            let name = format!("{name}, {:?} from {}", go.kind, go.first_index);
            let block = block(&mut agent, &name, go);
            assert_sane(&block, go, job, &name);
            assert_eq!(block.checksum, reference.expected_of(&block), "{name}");
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
fn the_others_do_the_work_of_the_native_agent_in_threads_processes_and_on_a_loop() {
    let stage = Stage::new();
    for python in pythons::others() {
        let reference = stage.reference(python, Engine::Sequential);
        for engine in [Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor, Engine::Asyncio] {
            stage.prove(python, &reference, &stage.mixed(engine));
        }
    }
}

#[test]
fn without_a_gil_threads_with_a_loop_each_do_the_work_of_the_native_agent() {
    let Some(python) = pythons::free_threaded() else { return };
    let stage = Stage::new();
    let reference = stage.reference(python, Engine::Sequential);
    for engine in [Engine::ThreadedAsyncio, Engine::ThreadPoolExecutor] {
        stage.prove(python, &reference, &stage.mixed(engine));
    }
}

#[test]
fn every_interpreter_says_what_it_offers() {
    for python in pythons::pythons() {
        let agent = Agent::python(python);
        let hello = agent.hello();
        assert!(hello.version.starts_with(&format!("{}.{}.", python.version.0, python.version.1)), "{hello:?}");
        assert_eq!(hello.free_threaded, Some(python.free_threaded), "{python}");
        let offered = hello.engines.iter().map(|offer| offer.engine);
        let named: Vec<Engine> = offered.chain(hello.absent.iter().map(|absent| absent.engine)).collect();
        let all = |engines: &[Engine]| engines.iter().copied().collect::<BTreeSet<_>>();
        assert_eq!((all(&named), named.len()), (all(&Engine::PYTHON), Engine::PYTHON.len()), "{python}: {hello:?}");
        let has = |engine: Engine| !hello.absent.iter().any(|absent| absent.engine == engine);
        assert_eq!(has(Engine::TaskGroup), python.version >= (3, 11), "{python}");
        assert_eq!(has(Engine::InterpreterPoolExecutor), python.version >= (3, 14), "{python}");
        assert_eq!(has(Engine::ThreadedAsyncio), hello.gil == Some(false), "{python}");
        let default = if python.version >= (3, 14) { StartMethod::Forkserver } else { StartMethod::Fork };
        assert_eq!((hello.start_methods[0], hello.start_methods.len()), (default, 3), "{python}");
        assert_eq!(hello.event_loops[0], "asyncio", "{python}");
        // The same is printed for whoever asks without pipes.
        let output = python.agent().arg("hello").output().expect("it starts");
        let printed: Reply = serde_json::from_slice(&output.stdout).expect("a frame");
        let Reply::Hello(printed) = printed else { panic!("not a hello: {printed:?}") };
        let clock_cost_ns = hello.clock_cost_ns;
        assert_eq!(&Hello { clock_cost_ns, ..printed }, hello);
    }
}

#[test]
fn interpreters_that_are_too_old_say_so() {
    for python in pythons::all().iter().filter(|python| python.version < (3, 9)) {
        let output = python.agent().arg("hello").output().expect("it starts");
        assert_eq!(output.status.code(), Some(3), "{python}");
        let errors = String::from_utf8_lossy(&output.stderr);
        let (major, minor) = python.version;
        let expected = format!("conbench needs CPython 3.9 or later, this is {major}.{minor}.");
        assert!(errors.starts_with(&expected), "{python}: {errors}");
    }
}

/// A job of one short wait.
fn waiting(engine: Engine, time_ns: u64) -> Job {
    python_job(engine, vec![Step::Wait { time: fixed(time_ns) }])
}

#[test]
fn a_batch_is_done_whole_unless_that_is_more_than_may_be() {
    let Some(python) = pythons::newest_of_all() else { return };
    for engine in engines(python) {
        let mut job = waiting(engine, 100_000);
        job.load = Load::Batch { tasks: 11, max_in_flight: 4 };
        let mut agent = ready(python, &job);
        for (most, tasks) in [(None, 11), (Some(0), 0), (Some(1), 1), (Some(9), 9), (Some(20), 11)] {
            let name = format!("{python} {engine}, at most {most:?}");
            let go = go(BlockKind::Timed, 0, 0, most);
            let block = block(&mut agent, &name, go);
            assert_sane(&block, go, &job, &name);
            assert_eq!((block.tasks, block.service.decode().expect("a histogram").len()), (tasks, tasks), "{name}");
            assert!((block.tasks_in_window - tasks as f64).abs() < 1e-9, "{name}");
        }
    }
}

#[test]
fn ten_thousand_are_in_flight_on_one_loop() {
    let Some(python) = pythons::newest_of_all() else { return };
    for engine in engines(python).into_iter().filter(|engine| engine.model() == Model::Async) {
        let mut job = waiting(engine, 50_000_000);
        job.load = Load::Closed { max_in_flight: 10_000 };
        job.candidate.sizes.in_flight = Some(10_000);
        let mut agent = ready(python, &job);
        let go = go(BlockKind::Timed, 200_000_000, 0, None);
        let block = block(&mut agent, engine.name(), go);
        assert_sane(&block, go, &job, engine.name());
        assert!(block.tasks >= 10_000, "{engine}: {}", block.tasks);
        let mean_in_flight = block.busy_ns as f64 / block.window_ns as f64;
        assert!(mean_in_flight > 5000.0, "{engine}: {mean_in_flight}");
        assert_eq!(agent.end().left_behind, []);
    }
}

#[test]
fn between_blocks_nothing_runs() {
    let Some(python) = pythons::newest_of_all() else { return };
    let mut agents: Vec<(Engine, Agent)> = Vec::new();
    for engine in engines(python) {
        let mut agent = ready(python, &waiting(engine, 100_000));
        block(&mut agent, engine.name(), go(BlockKind::Timed, 5_000_000, 0, None));
        agents.push((engine, agent));
    }
    let cpu_ns = |agent: &Agent| agent.pids.iter().map(|pid| process_cpu_ns(*pid).expect("alive")).sum::<u64>();
    // What a block started may still come to its end; but not for ever.
    for attempt in 1.. {
        let before: Vec<u64> = agents.iter().map(|(_, agent)| cpu_ns(agent)).collect();
        let start_ns = now_ns();
        std::thread::sleep(Duration::from_millis(300));
        let most_ns = (now_ns() - start_ns) / 100;
        let used = agents.iter().zip(before).map(|((engine, agent), before)| (engine, cpu_ns(agent) - before));
        let busy: Vec<_> = used.filter(|(_, used_ns)| *used_ns > most_ns).collect();
        if busy.is_empty() {
            break;
        }
        assert!(attempt < 10, "CPU time (ns) while nothing was asked, of {most_ns}: {busy:?}");
    }
}

#[test]
fn what_is_not_a_request_is_answered_with_the_reason() {
    let Some(python) = pythons::oldest() else { return };
    let step = r#"{"step":{"kind":"wait","time":{"fixed":{"time_ns":1}},"surprise":1},"iterations":1,"draws":[]}"#;
    let job = format!(
        r#"{{"job":{{"candidate":{{"runtime":"python","engine":"sequential","sizes":{{}}}},"load":{{"mode":"closed","max_in_flight":1}},"payload":{{"input_bytes":0,"output_bytes":0}},"steps":[{step}],"seed":1,"task_timeout_ns":1}}}}"#
    );
    let lines = [
        "",
        "{",
        "[]",
        "\u{1}\u{ff}",
        r#"{"come":{}}"#,
        r#"{"go":{"block":1}}"#,
        r#"{"go":{"block":1,"kind":"slow","window_ns":1,"first_index":0}}"#,
        r#"{"bye":{"x":1}}"#,
        r#"{"bye":{},"go":{}}"#,
        r#"{"calibrate":{"target":{"cores":{"loops":2}},"budget_ns":1}}"#,
        &job,
    ];
    for line in lines {
        let mut agent = Agent::python(python);
        agent.send_line(line);
        match agent.receive() {
            Some(Reply::Failed(failure)) => assert_eq!(failure.kind, FailureKind::Protocol, "{line}: {failure}"),
            other => panic!("{line}: {other:?}"),
        }
        assert!(agent.receive().is_none(), "failed is the last frame");
        assert_eq!(agent.wait_until_gone().code(), Some(1), "{line}");
    }
    let mut agent = Agent::python(python);
    let failure = agent.block(BlockKind::Timed, 1, 0).expect_err("no job yet");
    assert_eq!(failure.message, "the agent does not understand a request: `go` came before `job`");
}

/// Engines with worker processes that live as long as they do, with each way in which these may begin.
fn pools() -> Vec<(Engine, Option<StartMethod>)> {
    let engines = [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool, Engine::AsyncioProcesses];
    engines.into_iter().flat_map(|engine| start_methods(engine).into_iter().map(move |way| (engine, way))).collect()
}

#[test]
fn an_agent_whose_controller_is_gone_ends_with_its_workers() {
    let Some(python) = pythons::newest_of_all() else { return };
    let others = [Engine::Sequential, Engine::ThreadPoolExecutor, Engine::Asyncio, Engine::AsyncioThreads];
    for (engine, method) in pools().into_iter().chain(others.map(|engine| (engine, None))) {
        // What tasks share brings the library's helper processes along.
        let steps = vec![Step::Event { round_trips: 1 }, Step::Cpu(kernel(Kernel::Loop))];
        let mut agent = ready(python, &under(python_job(engine, steps), method));
        assert_eq!(agent.pids[0], agent.child.id());
        assert_eq!(agent.pids.len() > 2, engine.has_start_method(), "{engine}: {:?}", agent.pids);
        agent.close_requests();
        assert!(agent.receive().is_none(), "{engine}");
        assert!(agent.wait_until_gone().success(), "{engine}: {}", agent.errors());
    }
}

/// The processes that this one started, but for the standard library's helpers.
fn workers_of(pid: u32) -> Vec<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a process");
    let is_helper = |pid: &str| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        ["resource_tracker", "forkserver"].iter().any(|helper| command.contains(helper))
    };
    let workers = children.split_whitespace().filter(|pid| !is_helper(pid));
    workers.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

#[test]
fn a_worker_that_is_killed_is_named_with_how_it_died() {
    let Some(python) = pythons::newest_of_all() else { return };
    for (engine, method) in pools().into_iter().chain([(Engine::Process, Some(StartMethod::Fork))]) {
        if method == Some(StartMethod::Forkserver) {
            // Its workers are not the agent's children.
            continue;
        }
        let name = format!("{engine} {method:?}");
        let mut steps = vec![Step::Wait { time: fixed(20_000_000) }];
        // The mix hands to its workers what would block its loop.
        steps.push(Step::Python(user_code("faults:naps")));
        let mut agent = ready(python, &under(python_job(engine, steps), method));
        // In the midst of a block.
        let go = Request::Go(go(BlockKind::Timed, 3_600_000_000_000, 0, None));
        agent.send_line(&serde_json::to_string(&go).expect("a frame"));
        std::thread::sleep(Duration::from_millis(30));
        // A process made for one task may have done it, and be dead already, when the signal comes.
        while !agent.replies_within(Duration::from_millis(200)) {
            for worker in workers_of(agent.child.id()) {
                let _ = kill_process(worker, Signal::KILL);
            }
        }
        match agent.receive() {
            Some(Reply::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::Worker, "{name}: {failure}");
                assert!(failure.message.contains("SIGKILL"), "{name}: {failure}");
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(agent.wait_until_gone().code(), Some(1), "{name}");
    }
}

/// What becomes of a function of the user's under an engine: the failure of `job` or of the first block.
fn fault(python: &Python, engine: Engine, code: UserCode) -> Failed {
    let name =
        format!("{python} {engine} {}", code.function.as_deref().or(code.async_function.as_deref()).unwrap_or(""));
    let job = python_job(engine, vec![Step::Python(code)]);
    let mut agent = Agent::python(python);
    let outcome = agent.become_candidate(&job).err();
    let failure = outcome.or_else(|| agent.go(go(BlockKind::Verify, 0, 0, None)).err());
    let failure = failure.unwrap_or_else(|| panic!("{name} does not fail"));
    assert!(agent.receive().is_none(), "{name}: failed is the last frame");
    assert_eq!(agent.wait_until_gone().code(), Some(1), "{name}");
    failure
}

const IN_PROCESS: [Engine; 3] = [Engine::Sequential, Engine::ThreadPoolExecutor, Engine::AsyncioThreads];
const CROSSING: [Engine; 4] =
    [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool, Engine::Process, Engine::AsyncioProcesses];
/// Those that pickle what is called under every start method: a forked `Process` inherits it.
const POOLS: [Engine; 3] = [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool, Engine::AsyncioProcesses];

#[test]
fn modules_that_cannot_be_imported_are_named() {
    let Some(python) = pythons::newest_of_all() else { return };
    for (engine, function, kind, reason) in [
        (Engine::Sequential, "raises_on_import:task", FailureKind::Setup, "raises_on_import"),
        (Engine::Asyncio, "raises_on_import:task", FailureKind::Setup, "raises_on_import"),
        (Engine::ProcessPoolExecutor, "raises_on_import:task", FailureKind::Setup, "raises_on_import"),
        (Engine::Sequential, "imports_missing:task", FailureKind::Setup, "imports_missing"),
        (Engine::Sequential, "exits_on_import:task", FailureKind::Setup, "exits_on_import"),
        (Engine::Sequential, "no_such_module:task", FailureKind::Name, "no_such_module"),
        (Engine::Sequential, "work:no_such_function", FailureKind::Name, "no_such_function"),
    ] {
        let failure = fault(python, engine, user_code(function));
        assert_eq!((failure.kind, failure.place.as_str()), (kind, "step 1 (python)"), "{failure}");
        assert!(failure.message.contains(reason), "{engine} {function}: {failure}");
    }
}

#[test]
fn a_task_that_raises_is_told_with_its_own_lines() {
    let Some(python) = pythons::newest_of_all() else { return };
    for engine in engines(python) {
        let failure = fault(python, engine, user_code("faults:raises"));
        assert_eq!(failure.kind, FailureKind::Task, "{engine}");
        assert_eq!(failure.to_string(), "step 1 (python): ValueError: bad item 3", "{engine}");
        let lines = failure.traceback.join("\n");
        assert!(lines.contains("faults.py") && lines.contains("in _refuse"), "{engine}: {lines}");
        assert!(!lines.contains("conbench_agent"), "{engine}: {lines}");
    }
}

#[test]
fn what_cannot_cross_is_named_and_runs_where_nothing_crosses() {
    let Some(python) = pythons::newest_of_all() else { return };
    let cases = [
        ("unpicklable:a_lambda", "lambda", &POOLS[..], &IN_PROCESS[..]),
        ("unpicklable:a_local_function", "inner", &CROSSING[..1], &[]),
        ("unpicklable:gives_a_session", "_lock", &CROSSING[..], &IN_PROCESS[..]),
        ("unpicklable:gives_a_local_class", "Point", &CROSSING[..1], &[]),
        ("unpicklable:gives_a_generator", "generator", &CROSSING[..1], &[]),
    ];
    for (function, reason, crossing, in_process) in cases {
        for engine in crossing.iter().copied() {
            let failure = fault(python, engine, user_code(function));
            assert!(matches!(failure.kind, FailureKind::Setup | FailureKind::Task), "{engine} {function}: {failure}");
            assert!(failure.message.contains(reason), "{engine} {function}: {failure}");
        }
        for engine in in_process.iter().copied() {
            let mut agent = ready(python, &python_job(engine, vec![Step::Python(user_code(function))]));
            block(&mut agent, function, go(BlockKind::Timed, 1_000_000, 0, Some(3)));
            agent.end();
        }
    }
}

#[test]
fn a_task_that_ends_its_process_is_a_dead_worker_or_a_dead_agent() {
    let Some(python) = pythons::newest_of_all() else { return };
    for (function, reason, signal) in [("faults:exits", "status 7", None), ("faults:crashes", "SIGSEGV", Some(11))] {
        for engine in CROSSING {
            let failure = fault(python, engine, user_code(function));
            assert_eq!(failure.kind, FailureKind::Worker, "{engine} {function}: {failure}");
            assert!(failure.message.contains(reason), "{engine} {function}: {failure}");
        }
        for engine in IN_PROCESS {
            let mut agent = Agent::python(python);
            let job = python_job(engine, vec![Step::Python(user_code(function))]);
            agent.send_line(&serde_json::to_string(&Request::Job(Box::new(job))).expect("a frame"));
            assert!(agent.receive().is_none(), "{engine} {function}");
            let status = agent.wait_until_gone();
            assert_eq!((status.code(), status.signal()), (signal.is_none().then_some(7), signal), "{engine}");
        }
    }
}

#[test]
fn a_task_may_print_as_much_as_it_likes() {
    let Some(python) = pythons::newest_of_all() else { return };
    for engine in engines(python) {
        let code =
            UserCode { items: Some(Items::Listed(vec![1.into(), 2.into()])), ..user_code("faults:prints_a_megabyte") };
        let mut agent = ready(python, &python_job(engine, vec![Step::Python(code)]));
        let block = block(&mut agent, engine.name(), go(BlockKind::Verify, 0, 0, Some(3)));
        assert_eq!(block.results.len(), 3, "{engine}");
        agent.end();
    }
}

#[test]
fn a_task_that_closes_descriptors_is_noticed() {
    let Some(python) = pythons::newest_of_all() else { return };
    for engine in engines(python) {
        let mut agent = Agent::python(python);
        let job = python_job(engine, vec![Step::Python(user_code("faults:closes_descriptors"))]);
        agent.send_line(&serde_json::to_string(&Request::Job(Box::new(job))).expect("a frame"));
        match agent.receive() {
            // Its pipe was closed too. (A loop whose descriptors another thread closed does not even wake up; whoever
            // started an agent kills it then.)
            None => drop(agent),
            // A worker could not answer any more.
            Some(Reply::Failed(failure)) => {
                assert_ne!(failure.kind, FailureKind::Protocol, "{engine}: {failure}");
                assert_eq!(agent.wait_until_gone().code(), Some(1), "{engine}");
            }
            Some(other) => panic!("{engine}: {other:?}"),
        }
    }
}

#[test]
fn what_tasks_leave_behind_is_told_by_name_and_count() {
    let Some(python) = pythons::newest_of_all() else { return };
    let left = |kind: &str, name: &str, count| LeftBehind { kind: kind.to_owned(), name: name.to_owned(), count };
    let blocking = |function: &str| user_code(function);
    let asynchronous =
        |function: &str| UserCode { function: None, async_function: Some(function.to_owned()), ..user_code("") };
    let cases = [
        (Engine::Sequential, blocking("faults:leaves_thread"), left("thread", "left-thread", 2)),
        (Engine::ThreadPoolExecutor, blocking("faults:leaves_thread"), left("thread", "left-thread", 2)),
        (Engine::Sequential, blocking("faults:leaves_child"), left("process", "sleep", 4)),
        (Engine::Asyncio, asynchronous("faults:leaves_task"), left("task", "_left_task", 7)),
    ];
    for (engine, code, expected) in cases {
        let name = format!("{engine} {}", expected.kind);
        let mut agent = ready(python, &python_job(engine, vec![Step::Python(code)]));
        block(&mut agent, &name, go(BlockKind::Timed, 3_600_000_000_000, 0, Some(2)));
        let Reply::Bye(ended) = agent.ask(&Request::Bye {}) else { panic!("{name}: not a bye") };
        assert_eq!(ended.left_behind, [expected], "{name}");
        assert!(agent.wait_until_gone().success(), "{name}");
    }
}

#[test]
fn what_crosses_carries_no_descriptor_of_the_agent() {
    let Some(python) = pythons::newest_of_all() else { return };
    for (engine, method) in pools() {
        let mut agent = ready(python, &under(waiting(engine, 100_000), method));
        let pipe = |pid: u32, fd: i32| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok();
        let ours: Vec<PathBuf> = [3, 4].iter().filter_map(|fd| pipe(agent.pids[0], *fd)).collect();
        assert_eq!(ours.len(), 2, "{engine}");
        for pid in &agent.pids[1..] {
            let theirs = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("alive").flatten();
            let held: Vec<PathBuf> = theirs.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
            assert!(!held.iter().any(|file| ours.contains(file)), "{engine} {method:?}: process {pid}");
        }
        // One that is killed leaves its semaphores on the host.
        assert!(matches!(agent.ask(&Request::Bye {}), Reply::Bye(_)), "{engine} {method:?}");
        assert!(agent.wait_until_gone().success(), "{engine} {method:?}");
    }
}
