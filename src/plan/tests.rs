use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::candidate::{Cluster, ClusterWorker, Model, OwnExecutor, RUST, StartMethod, Word};
use crate::host::{CpuQuota, Facts, FileSystem, ResourceLimits};
use crate::protocol::{Absent, Offer};
use crate::workload::{
    Check, Connection, Cpu, Distribution, FileOperation, Goal, Kernel, Limits, Load, Objective, OwnEngine, Payload,
    Python, Rate, Registered, Step, Work, Workload,
};

const SECOND: u64 = 1_000_000_000;

fn facts() -> Facts {
    Facts {
        os: "Linux".to_owned(),
        kernel: "6".to_owned(),
        cpu: "cpu".to_owned(),
        cpus_online: 3,
        cpus_affinity: 3,
        cpu_quota: None,
        memory_total_bytes: 8 << 30,
        memory_available_bytes: 6 << 30,
        memory_limit_bytes: None,
        clock_source: None,
        governor: None,
        virtual_machine: None,
        load_average: 0.0,
        limits: ResourceLimits::default(),
        session_directory: FileSystem { path: "/tmp".to_owned(), kind: "ext4".to_owned() },
    }
}

fn workload(steps: Vec<Step>) -> Workload {
    Workload {
        name: "w".to_owned(),
        use_case: String::new(),
        description: String::new(),
        load: Load::Closed { max_in_flight: 64 },
        tasks: None,
        steps,
        payload: Payload::default(),
        objective: Objective { goal: Goal::Throughput, tolerance: None, limits: Limits::default() },
        task_timeout_ns: SECOND,
        max_calls: None,
        resources: Default::default(),
        engines: Vec::new(),
        rate: None,
    }
}

fn settings() -> Settings {
    Settings { budget_ns: 20 * SECOND, ..Settings::default() }
}

const fn fixed(time_ns: u64) -> Distribution {
    Distribution::Fixed { time_ns }
}

const CPU: Cpu = Cpu { kernel: Kernel::Loop, input_bytes: 1024, time_ns: Some(2_000_000) };

fn wait() -> Step {
    Step::Wait { time: fixed(10_000_000) }
}

fn file() -> Step {
    Step::File { operation: FileOperation::Append, size_bytes: 4096, fsync: true }
}

fn http(url: Option<&str>) -> Step {
    let url = url.map(str::to_owned);
    Step::Http { url, delay: fixed(20_000_000), body_bytes: 10, connection: Connection::KeepAlive }
}

fn planned(workload: &Workload, settings: &Settings, facts: &Facts) -> Plan {
    plan(workload, settings, facts, &[Runtime::rust()])
}

/// The engines of the native runtime that are raced when nothing is said.
fn unasked() -> Vec<Engine> {
    Engine::RUST.into_iter().filter(|engine| !engine.is_on_request()).collect()
}

fn entry(plan: &Plan, engine: Engine) -> &Entry {
    plan.entries.iter().find(|entry| entry.engine == engine).expect("the engine is planned")
}

#[test]
fn every_engine_runs_a_task_that_blocks() {
    let plan = planned(&workload(vec![wait(), Step::Cpu(CPU)]), &settings(), &facts());
    assert_eq!(plan.entries.iter().map(|entry| entry.engine).collect::<Vec<_>>(), unasked());
    assert_eq!(plan.left_out, []);
    assert_eq!(plan.notes, Vec::<String>::new());
    assert!(plan.entries.is_sorted_by_key(|entry| entry.engine.model()));
}

#[test]
fn ladders_and_defaults_are_as_documented() {
    let plan = planned(&workload(vec![Step::Cpu(CPU)]), &settings(), &facts());
    let sequential = entry(&plan, Engine::Sequential);
    assert_eq!((&sequential.workers, &sequential.in_flight), (&vec![], &vec![]));
    assert_eq!(sequential.default_sizes, Sizes::default());
    assert_eq!(entry(&plan, Engine::ThreadPool).workers, [1, 2, 3, 4, 8, 16, 32, 64]);
    assert_eq!(entry(&plan, Engine::ThreadPool).default_sizes.workers, Some(3));
    let tokio = entry(&plan, Engine::TokioMultiThread);
    assert_eq!(tokio.workers, [1, 2, 3, 4, 6]);
    assert_eq!(tokio.default_sizes, Sizes { workers: Some(3), in_flight: Some(64), chunk: None });
    assert_eq!(entry(&plan, Engine::TokioBlockingPool).default_sizes.workers, Some(64));
    assert_eq!(entry(&plan, Engine::ThreadPerTask).workers, Vec::<u32>::new());
}

#[test]
fn mixes_are_left_out_where_nothing_leaves_the_loop() {
    let plan = planned(&workload(vec![wait(), http(None)]), &settings(), &facts());
    let left_out: Vec<&str> = plan.left_out.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(left_out, ["rust/tokio-blocking-pool", "rust/tokio-process-pool"]);
    assert!(plan.left_out[0].reason.contains("the same as tokio-current-thread"));
}

#[test]
fn which_steps_block_the_loop() {
    let blocks = |step: &Step| !step.has_async_form();
    let blocking = [
        Step::Cpu(CPU),
        file(),
        Step::Lock { hold: Work::Cpu(CPU) },
        Step::Queue { capacity: 1, stage: Work::Cpu(CPU) },
    ];
    let free = [
        wait(),
        Step::Sleep { time: fixed(1) },
        http(None),
        Step::Event { round_trips: 1 },
        Step::Command { argv: vec!["true".to_owned()], expect_status: 0 },
        Step::Lock { hold: Work::Wait { time: fixed(1) } },
        Step::Queue { capacity: 1, stage: Work::Wait { time: fixed(1) } },
    ];
    assert!(blocking.iter().all(blocks));
    assert!(!free.iter().any(blocks));
}

#[test]
fn what_the_user_filters_out_is_not_mentioned() {
    let only =
        Settings { models: vec![Model::Threads], engines: vec![Engine::Rayon, Engine::Sequential], ..settings() };
    let plan = planned(&workload(vec![wait()]), &only, &facts());
    assert_eq!(plan.entries.len(), 1);
    assert_eq!(plan.entries[0].engine, Engine::Rayon);
    assert_eq!(plan.left_out, []);
    let python = Settings { runtimes: vec!["python".to_owned()], ..settings() };
    assert_eq!(planned(&workload(vec![wait()]), &python, &facts()).entries, []);
}

#[test]
fn sizes_asked_for_replace_the_ladders() {
    let asked = Settings { workers: vec![8, 2, 2, 100, 0], in_flight: vec![16], ..settings() };
    let plan = planned(&workload(vec![Step::Cpu(CPU)]), &asked, &facts());
    let pool = entry(&plan, Engine::ThreadPool);
    assert_eq!(pool.workers, [2, 8]);
    assert_eq!(pool.default_sizes.workers, Some(2));
    assert_eq!(entry(&plan, Engine::TokioMultiThread).in_flight, [16]);
    let reason = |what: &str| plan.left_out.iter().find(|one| one.what == what).map(|one| one.reason.as_str());
    assert_eq!(reason("rust/thread-pool@w100"), Some("`max_in_flight` is 64"));
    assert_eq!(reason("rust/thread-pool@w0"), Some("a size is at least 1"));
}

fn of_tails() -> Workload {
    let mut workload = workload(vec![wait(), Step::Cpu(CPU)]);
    workload.objective.goal = Goal::P99;
    workload
}

#[test]
fn tails_are_compared_at_one_number_in_flight() {
    let n = |settings: &Settings| {
        let plan = planned(&of_tails(), settings, &facts());
        let at: BTreeSet<Vec<u32>> = plan
            .entries
            .iter()
            .filter_map(|entry| {
                let axes = entry.engine.axes();
                let ladder = if axes.in_flight { &entry.in_flight } else { &entry.workers };
                (axes.in_flight || axes.workers).then(|| ladder.clone())
            })
            .collect();
        (at.into_iter().collect::<Vec<_>>(), plan)
    };
    let (at, plan) = n(&settings());
    assert_eq!(at, [vec![64]]);
    assert_eq!(plan.entries.len(), unasked().len() - 1);
    let reason = "p99 is compared at 64 in flight".to_owned();
    assert_eq!(plan.left_out, [LeftOut { what: "rust/sequential".to_owned(), reason }]);
    // Where workers are not what is in flight, they are searched.
    assert_eq!(entry(&plan, Engine::TokioMultiThread).workers, [1, 2, 3, 4, 6]);
    assert_eq!(n(&Settings { in_flight: vec![16], ..settings() }).0, [vec![16]]);
    let (at, plan) = n(&Settings { in_flight: vec![1], ..settings() });
    assert_eq!((at, plan.entries.len()), (vec![vec![1]], unasked().len()));
}

#[test]
fn an_engine_that_cannot_have_as_much_in_flight_is_not_compared() {
    let reasons = |settings: &Settings, facts: &Facts| {
        let plan = planned(&of_tails(), settings, facts);
        let reasons: Vec<String> = plan.left_out.iter().map(|one| format!("{}: {}", one.what, one.reason)).collect();
        (plan.entries.iter().map(|entry| entry.engine).collect::<Vec<_>>(), reasons.join("; "))
    };
    let pools = vec![Engine::ThreadPool, Engine::TokioMultiThread];
    let two = Settings { engines: pools.clone(), workers: vec![2], ..settings() };
    let (entries, reasons_of_two) = reasons(&two, &facts());
    assert_eq!(entries, [Engine::TokioMultiThread]);
    assert_eq!(reasons_of_two, "rust/thread-pool: p99 is compared at 64 in flight: `--workers` names no 64");
    let (entries, over) = reasons(&Settings { engines: pools, in_flight: vec![65], ..settings() }, &facts());
    assert!(entries.is_empty() && over.contains("rust/thread-pool@w65: `max_in_flight` is 64"), "{over}");
    let limits = ResourceLimits { processes: Some(200), open_files: None, cgroup_processes: None };
    let (entries, tight) = reasons(&settings(), &Facts { limits, ..facts() });
    assert!(!entries.contains(&Engine::ProcessPool) && entries.contains(&Engine::TokioCurrentThread), "{entries:?}");
    assert!(tight.contains("rust/process-pool@w64: RLIMIT_NPROC is 200"), "{tight}");
}

#[test]
fn an_engine_without_a_possible_size_is_not_an_entry() {
    let asked = Settings { workers: vec![100], engines: vec![Engine::ThreadPool], ..settings() };
    let plan = planned(&workload(vec![wait()]), &asked, &facts());
    assert_eq!(plan.entries, []);
    assert_eq!(plan.left_out.len(), 1);
}

#[test]
fn the_hosts_limits_cut_the_ladders_and_say_so() {
    let limits = ResourceLimits { processes: Some(200), open_files: Some(64), cgroup_processes: None };
    let tight = Facts { limits, ..facts() };
    let plan = planned(&workload(vec![http(None), Step::Cpu(CPU)]), &settings(), &tight);
    let pool = entry(&plan, Engine::ProcessPool);
    assert!(*pool.workers.last().expect("never empty") < 64);
    assert!(plan.left_out.iter().any(|one| one.reason.contains("RLIMIT_NOFILE is 64")), "{:?}", plan.left_out);
    let cpu_only = planned(&workload(vec![Step::Cpu(CPU)]), &settings(), &tight);
    assert!(cpu_only.left_out.iter().any(|one| one.reason.contains("RLIMIT_NPROC is 200")), "{:?}", cpu_only.left_out);
    assert!(cpu_only.foreseen.processes <= 200 && cpu_only.foreseen.threads <= 200, "{:?}", cpu_only.foreseen);
}

#[test]
fn a_million_waits_need_no_million_files() {
    let limits = ResourceLimits { open_files: Some(1024), ..ResourceLimits::default() };
    let host = Facts { limits, ..facts() };
    let mut million = workload(vec![wait(), Step::Event { round_trips: 1 }]);
    million.load = Load::Closed { max_in_flight: 1_000_000 };
    let plan = planned(&million, &settings(), &host);
    for engine in [Engine::TokioCurrentThread, Engine::TokioMultiThread, Engine::ThreadPool] {
        let entry = entry(&plan, engine);
        let ladder = if engine.axes().in_flight { &entry.in_flight } else { &entry.workers };
        assert_eq!(ladder.last(), Some(&1_000_000), "{engine}: {:?}", plan.left_out);
    }
}

#[test]
fn partners_of_events_are_foreseen_where_they_are_threads() {
    let events = [Step::Event { round_trips: 1 }, Step::Event { round_trips: 1 }];
    let threads = |engine: Engine, steps: &[Step]| {
        let one = Settings { engines: vec![engine], ..settings() };
        let host = Facts { limits: ResourceLimits { open_files: Some(1024), ..ResourceLimits::default() }, ..facts() };
        let plan = planned(&workload(steps.to_vec()), &one, &host);
        (plan.foreseen.threads, entry(&plan, engine).workers.last().copied())
    };
    // Sizes 64, 32, 16, 8 and 4, each with an agent and a guard; the controller and its guard.
    let sum = 64 + 32 + 16 + 8 + 4;
    assert_eq!(threads(Engine::ThreadPool, &[wait()]), (sum + 10 + 2, Some(64)));
    assert_eq!(threads(Engine::ThreadPool, &events), (3 * sum + 10 + 2, Some(64)));
    assert_eq!(threads(Engine::TokioCurrentThread, &events), (10 + 2, None));
    // Worker processes have their partners in a peer, which the agent watches.
    assert_eq!(threads(Engine::ProcessPool, &events), (3 * sum + 20 + 2, Some(64)));
    // Descriptors to the peer: 2 x 3 an event and worker while it is started.
    let many: Vec<Step> = std::iter::repeat_n(events[0].clone(), 5).collect();
    assert_eq!(threads(Engine::ProcessPool, &many).1, Some((1024 - 32) / 30));
}

#[test]
fn a_payload_larger_than_the_memory_is_left_out() {
    let mut large = workload(vec![Step::Cpu(CPU)]);
    large.payload.input_bytes = 1 << 30;
    let plan = planned(&large, &settings(), &facts());
    assert_eq!(plan.entries, []);
    // What is left out for another reason is left out anyway.
    let is_idle = |reason: &str| reason.starts_with("no step leaves a loop free");
    assert!(plan.left_out.iter().all(|one| one.reason.contains("memory") || is_idle(&one.reason)));
}

#[test]
fn what_meets_in_the_final_has_room_in_memory() {
    let mut large = workload(vec![wait(), Step::Cpu(CPU)]);
    // Each agent keeps 16 inputs.
    large.payload.input_bytes = 16 << 20;
    let sizes = |available: u64| {
        let host = Facts { memory_available_bytes: available, ..facts() };
        let plan = planned(&large, &settings(), &host);
        let most = plan.entries.iter().map(|entry| entry.in_flight.len().max(entry.workers.len())).max();
        (most.unwrap_or(0), plan)
    };
    let (most, plan) = sizes(64 << 30);
    assert_eq!((most, plan.left_out), (8, Vec::new()));
    let mut before = most;
    for available in [9_u64 << 30, 7 << 30, 5 << 30, 3 << 30] {
        let (most, plan) = sizes(available);
        assert!((1..=before).contains(&most) && most < 8, "{available} {most}");
        before = most;
        assert!(plan.left_out.iter().any(|one| one.reason.contains("that meet in the final need about")));
        assert_eq!(plan.entries.len(), unasked().len(), "no engine is left out for it");
        for entry in &plan.entries {
            let is_on = |ladder: &[u32], size: Option<u32>| size.is_none_or(|size| ladder.contains(&size));
            assert!(is_on(&entry.workers, entry.default_sizes.workers), "{entry:?}");
            assert!(is_on(&entry.in_flight, entry.default_sizes.in_flight), "{entry:?}");
        }
    }
    assert_eq!(before, 1);
}

#[test]
fn what_is_foreseen_follows_from_the_nominal_task() {
    let one = Settings { engines: vec![Engine::TokioCurrentThread], ..settings() };
    let plan = planned(&workload(vec![wait()]), &one, &facts());
    // 64 in flight of 10 ms for 20 s.
    assert_eq!(plan.foreseen.calls, 128_000);
    // The controller and its guard, and five sizes resident at once, each with a guard.
    assert_eq!((plan.foreseen.processes, plan.foreseen.threads), (12, 12));
    assert!(plan.foreseen.time_ns > 25 * SECOND && plan.foreseen.time_ns < 30 * SECOND);
    let mut capped = workload(vec![wait()]);
    capped.max_calls = Some(50);
    assert_eq!(planned(&capped, &one, &facts()).foreseen.calls, 50);
}

#[test]
fn notes_say_what_one_should_know() {
    let mut host = facts();
    host.session_directory.kind = "tmpfs".to_owned();
    host.cpu_quota = Some(CpuQuota { cores: 1.5, period_ns: 100_000_000, cgroup: "/a".to_owned() });
    assert_eq!((host.most_cores(), host.usable_cpus()), (1.5, 2));
    let long = Step::Wait { time: fixed(5 * SECOND) };
    let notes = planned(&workload(vec![file(), long, http(Some("https://example.org/"))]), &settings(), &host).notes;
    for expected in ["tmpfs", "1.50 of 3 CPUs", "a task takes about", "https://example.org/"] {
        assert!(notes.iter().any(|note| note.contains(expected)), "{expected}: {notes:?}");
    }
}

/// A stock CPython.
fn cpython() -> Runtime {
    let own = |engine: &Engine| *engine != Engine::InterpreterPoolExecutor;
    let offer = |engine: Engine| Offer {
        engine,
        default_workers: match engine {
            Engine::ThreadPoolExecutor | Engine::AsyncioThreads => Some(7),
            _ => Some(3).filter(|_| engine.axes().workers),
        },
    };
    Runtime {
        name: "python3.11".to_owned(),
        language: "python".to_owned(),
        engines: Engine::PYTHON.into_iter().filter(own).map(offer).collect(),
        absent: vec![Absent { engine: Engine::InterpreterPoolExecutor, reason: "it needs CPython 3.14".to_owned() }],
        start_methods: vec![StartMethod::Fork, StartMethod::Spawn],
        cluster: None,
    }
}

#[test]
fn the_default_of_anyio_is_among_its_sizes() {
    let mut runtime = cpython();
    let offers = runtime.engines.iter_mut().filter(|offer| offer.engine == Engine::Anyio);
    offers.for_each(|offer| offer.default_workers = Some(40));
    let planned = plan(&workload(vec![own_code(true, false)]), &settings(), &facts(), &[runtime]);
    let anyio = planned.if_imported.iter().find(|entry| entry.engine == Engine::Anyio).expect("planned");
    assert!(anyio.workers.contains(&40), "{anyio:?}");
    assert_eq!(anyio.default_sizes.workers, Some(40));
}

#[test]
fn what_the_users_code_imports_is_raced_and_nothing_else_of_it_is_said() {
    let planned = |step, settings: &Settings| plan(&workload(vec![step]), settings, &facts(), &[cpython()]);
    let mut plan = planned(own_code(true, false), &settings());
    assert!(plan.entries.iter().all(|entry| !entry.engine.is_if_imported()));
    assert!(plan.if_imported.iter().any(|entry| entry.engine == Engine::Loky));
    assert!(plan.left_out.iter().all(|left_out| !left_out.what.contains("joblib")), "{:?}", plan.left_out);
    let joblib = plan.if_imported.iter().find(|entry| entry.engine == Engine::JoblibLoky).expect("planned");
    assert_eq!((joblib.workers.first(), joblib.start_method), (Some(&2), None), "with one job it is a loop");
    let before = plan.entries.len();
    crate::plan::admit(&mut plan, "python3.11", &[Engine::Anyio, Engine::JoblibThreading]);
    let engines: Vec<Engine> = plan.entries.iter().map(|entry| entry.engine).collect();
    assert_eq!(engines.len(), before + 2);
    assert!(engines.is_sorted_by_key(|engine| engine.model()), "{engines:?}");
    assert!(plan.if_imported.iter().all(|entry| entry.engine != Engine::Anyio));
    // Who names engines gets those, and steps that are ours import nothing.
    let named = Settings { engines: vec![Engine::Trio], ..settings() };
    let plan = planned(own_code(true, true), &named);
    assert_eq!((names(&plan), plan.if_imported.len()), (vec!["python3.11/trio".to_owned()], 0));
    assert!(planned(Step::Cpu(CPU), &settings()).if_imported.is_empty());
}

#[test]
fn the_fewest_tasks_in_flight_that_reach_a_rate_are_tried() {
    let mut plan = plan(&workload(vec![own_code(true, true)]), &settings(), &facts(), &[cpython()]);
    let before = plan.clone();
    let rate = Rate { tasks: 50, period_ns: 1_000_000_000, burst: 1 };
    // 5.2 calls at once at the whole rate, and 4.94 within 5 % of it.
    crate::plan::reach(&mut plan, "python3.11", rate, 104_000_000, 0.05);
    for (entry, before) in plan.entries.iter().zip(&before.entries) {
        for (ladder, before) in [(&entry.in_flight, &before.in_flight), (&entry.workers, &before.workers)] {
            let more: Vec<u32> = ladder.iter().copied().filter(|size| !before.contains(size)).collect();
            let is_free = |size: &u32| before.len() > 1 && before.last() > Some(size) && !before.contains(size);
            let is_one_loop = entry.engine.model() != Model::ShardedAsync;
            let expected: Vec<u32> = [5, 6].into_iter().filter(|size| is_one_loop && is_free(size)).collect();
            assert_eq!(more, expected, "{entry:?}");
            assert!(ladder.is_sorted_by(|a, b| a < b), "{entry:?}");
        }
    }
    assert_ne!(plan.entries, before.entries);
    let reached = plan.clone();
    crate::plan::reach(&mut plan, "python3.11", rate, 0, 0.05);
    crate::plan::reach(&mut plan, "python3.11", rate, u64::MAX, 0.05);
    crate::plan::reach(&mut plan, "python3.13", rate, 104_000_000, 0.05);
    assert_eq!(plan, reached);
}

#[test]
fn processes_begin_by_the_method_that_the_users_code_sets() {
    let mut plan = plan(&workload(vec![own_code(true, true)]), &settings(), &facts(), &[cpython()]);
    let methods = |plan: &Plan| -> Vec<Option<StartMethod>> {
        let with_method = plan.entries.iter().filter(|entry| entry.engine.has_start_method());
        with_method.map(|entry| entry.start_method).collect()
    };
    crate::plan::begin_by(&mut plan, "python3.13", StartMethod::Spawn);
    assert!(methods(&plan).iter().all(|method| *method == Some(StartMethod::Fork)), "of another runtime");
    crate::plan::begin_by(&mut plan, "python3.11", StartMethod::Spawn);
    assert!(methods(&plan).iter().all(|method| *method == Some(StartMethod::Spawn)));
    assert!(!methods(&plan).is_empty());
    let others = plan.entries.iter().filter(|entry| !entry.engine.has_start_method());
    assert!(others.into_iter().all(|entry| entry.start_method.is_none()));
}

#[test]
fn engines_that_cannot_run_the_steps_say_why() {
    let why = |engine, step, rate| {
        let mut workload = workload(vec![step]);
        workload.rate = rate;
        let settings = Settings { engines: vec![engine], ..settings() };
        let plan = plan(&workload, &settings, &facts(), &[cpython()]);
        plan.left_out.first().map(|left_out| left_out.reason.clone())
    };
    let says = |engine, step, rate, word: &str| {
        let reason = why(engine, step, rate).expect("it is left out");
        assert!(reason.contains(word), "{engine}: {reason}");
    };
    says(Engine::Trio, Step::Sleep { time: fixed(1) }, None, "asyncio alone");
    says(Engine::Gevent, Step::Wait { time: fixed(1) }, None, "gevent's hub");
    says(Engine::Gevent, own_code(false, true), None, "`async_function` alone");
    let rate = Some(Rate { tasks: 1, period_ns: 1_000_000, burst: 1 });
    says(Engine::JoblibLoky, own_code(true, false), rate, "`rate`");
    says(Engine::Anyio, own_code(false, true), None, "the same as asyncio");
    let one = Settings { engines: vec![Engine::JoblibLoky], workers: vec![1, 4], ..settings() };
    let plan = plan(&workload(vec![own_code(true, false)]), &one, &facts(), &[cpython()]);
    assert_eq!(plan.entries[0].workers, [4]);
    assert!(plan.left_out[0].reason.contains("plain loop"), "{:?}", plan.left_out);
}

fn own_code(function: bool, async_function: bool) -> Step {
    Step::Python(Python {
        function: function.then(|| "shop:fetch".to_owned()),
        async_function: async_function.then(|| "shop:afetch".to_owned()),
        path: "/home/me".to_owned(),
        check: Check::Results,
        ..Python::default()
    })
}

fn names(plan: &Plan) -> Vec<String> {
    plan.entries.iter().map(|entry| entry.candidate(Sizes::default()).to_string()).collect()
}

fn reason<'a>(plan: &'a Plan, what: &str) -> Option<&'a str> {
    plan.left_out.iter().find(|left_out| left_out.what == what).map(|left_out| left_out.reason.as_str())
}

#[test]
fn a_cpython_is_planned_by_what_it_says_of_itself() {
    let workload =
        workload(vec![Step::Wait { time: fixed(100_000) }, Step::Cpu(Cpu { time_ns: Some(500_000), ..CPU })]);
    let plan = plan(&workload, &settings(), &facts(), &[Runtime::rust(), cpython()]);
    let python: Vec<&Entry> = plan.entries.iter().filter(|entry| entry.runtime == "python3.11").collect();
    assert_eq!(plan.entries.len(), unasked().len() + python.len());
    let engines: Vec<Engine> = python.iter().map(|entry| entry.engine).collect();
    assert!(engines.is_sorted_by_key(|engine| engine.model()));
    // `TaskGroup` is measured on request, others where they are imported, and that of clusters where one is named.
    let is_other = |engine: &Engine| engine.is_if_imported() || engine.model() == Model::Cluster;
    let others = Engine::PYTHON.into_iter().filter(is_other).count();
    assert_eq!(engines.len(), Engine::PYTHON.len() - 2 - others);
    assert_eq!(reason(&plan, "python3.11/InterpreterPoolExecutor"), Some("it needs CPython 3.14"));
    let of = |engine: Engine| *python.iter().find(|entry| entry.engine == engine).expect("planned");
    assert_eq!(of(Engine::ThreadPoolExecutor).default_sizes.workers, Some(7));
    let pool = of(Engine::MultiprocessingPool);
    assert_eq!((pool.start_method, pool.default_sizes.workers), (Some(StartMethod::Fork), Some(3)));
    assert_eq!((pool.default_sizes.chunk, &pool.chunk[..]), (Some(1), &[1, 4, 16][..]));
    assert_eq!(of(Engine::ProcessPoolExecutor).chunk, pool.chunk);
    assert_eq!(of(Engine::Thread).start_method, None);
}

/// A cluster of four threads, here or elsewhere.
fn cluster(is_here: bool) -> Cluster {
    Cluster::of_tests(vec![ClusterWorker { is_here, ..ClusterWorker::of_tests() }])
}

#[test]
fn a_cluster_is_raced_last_where_one_is_named() {
    let named = Settings { cluster: Some("dask:local".to_owned()), ..settings() };
    let planned = |step: Step, settings: &Settings, is_here: bool| {
        let runtime = Runtime { cluster: Some(cluster(is_here)), ..cpython() };
        plan(&workload(vec![step]), settings, &facts(), &[runtime])
    };
    let wait = || Step::Wait { time: fixed(1_000_000) };
    let last = planned(wait(), &named, true).entries.pop().expect("planned");
    assert_eq!((last.engine, last.workers.len()), (Engine::Dask, 0));
    assert!(last.in_flight.contains(&4) && last.chunk.contains(&4), "{last:?}");
    let unnamed = planned(wait(), &settings(), true);
    assert!(unnamed.entries.iter().all(|entry| entry.engine != Engine::Dask));
    assert_eq!(reason(&unnamed, "python3.11/dask"), None, "who names no cluster is told nothing of one");
    let asked = planned(wait(), &Settings { engines: vec![Engine::Dask], ..settings() }, true);
    assert!(reason(&asked, "python3.11/dask").is_some_and(|reason| reason.contains("--cluster dask:local")));
}

#[test]
fn what_workers_elsewhere_cannot_reach_they_do_not_run() {
    let named = Settings { cluster: Some("tcp://10.0.0.7:8786".to_owned()), ..settings() };
    let refused = |step: Step, is_here: bool| {
        let runtime = Runtime { cluster: Some(cluster(is_here)), ..cpython() };
        let plan = plan(&workload(vec![step]), &named, &facts(), &[runtime]);
        reason(&plan, "python3.11/dask").map(str::to_owned)
    };
    let lock = || Step::Lock { hold: Work::Wait { time: fixed(1_000) } };
    let reason = refused(lock(), true).expect("a lock is not shared");
    assert_eq!(reason, "step 1 (lock): workers of a cluster share none");
    let tcp = || Step::Tcp {
        address: None,
        delay: fixed(0),
        request_bytes: 8,
        response_bytes: 8,
        connection: Connection::KeepAlive,
    };
    assert_eq!(refused(tcp(), true), None);
    assert!(refused(tcp(), false).is_some_and(|reason| reason.contains("loopback")));
}

#[test]
fn closures_run_under_the_native_runtime_in_the_forms_that_they_have() {
    let closures = |has_task, has_async_task| {
        let step = Registered { name: "parse".to_owned(), has_task, has_async_task, is_checked: false };
        let brief = Settings { budget_ns: SECOND / 10, ..settings() };
        plan(&workload(vec![Step::Registered(step)]), &brief, &facts(), &[Runtime::rust(), cpython()])
    };
    let blocking = closures(true, false);
    assert_eq!(blocking.entries.len(), unasked().len() - 1, "{:?}", blocking.left_out);
    assert_eq!(reason(&blocking, "rust/tokio-sharded"), Some("no step leaves a loop free: the same as thread-pool"));
    assert_eq!(reason(&blocking, "python3.11"), Some("a step is a closure of your own Rust program"));
    assert!(blocking.unknowns[0].contains("how long `parse` takes is not known"), "{:?}", blocking.unknowns);
    assert!(!blocking.notes.iter().any(|note| note.contains("a task takes about")), "{:?}", blocking.notes);
    let both = closures(true, true);
    assert_eq!(
        reason(&both, "rust/tokio-blocking-pool"),
        Some("no step blocks the loop: the same as tokio-current-thread")
    );
    // They may need tokio's own loop.
    let on_smol = |has_async_task| {
        let step = Registered { name: "parse".to_owned(), has_task: true, has_async_task, is_checked: false };
        let named = Settings { engines: vec![Engine::Smol], ..settings() };
        planned(&workload(vec![Step::Registered(step)]), &named, &facts())
    };
    assert_eq!(on_smol(false).entries.len(), 1);
    let needs_tokio = "step 1 (registered) has an `async_task`, which runs on tokio";
    assert_eq!(reason(&on_smol(true), "rust/smol"), Some(needs_tokio));
    let on_compio = |has_async_task| {
        let step = Registered { name: "parse".to_owned(), has_task: true, has_async_task, is_checked: false };
        let named = Settings { engines: vec![Engine::Compio], ..settings() };
        planned(&workload(vec![Step::Registered(step)]), &named, &facts())
    };
    assert_eq!(reason(&on_compio(true), "rust/compio"), Some(needs_tokio));
    let awaited = closures(false, true);
    assert!(
        awaited.entries.iter().all(|entry| matches!(entry.engine.model(), Model::Async | Model::ShardedAsync)),
        "{awaited:?}"
    );
    let missing = reason(&awaited, "rust/thread-pool");
    assert_eq!(missing, Some("step 1 (registered) has an `async_task` alone: give it a `task` too"));
}

#[test]
fn compio_runs_files_and_waits_on_request_alone() {
    let named = Settings { engines: vec![Engine::Compio], ..settings() };
    let file = || Step::File { operation: FileOperation::Read, size_bytes: 4096, fsync: false };
    let command = Step::Command { argv: vec!["true".to_owned()], expect_status: 0 };
    let of = |steps: Vec<Step>| planned(&workload(steps), &named, &facts());
    for steps in [vec![file()], vec![Step::Wait { time: fixed(1_000_000) }], vec![Step::Cpu(CPU), file()]] {
        let plan = of(steps);
        assert_eq!(plan.entries.len(), 1, "{:?}", plan.left_out);
        assert!(plan.entries[0].in_flight.len() > 3, "{:?}", plan.entries);
    }
    assert_eq!(reason(&of(vec![file(), command]), "rust/compio"), Some("step 2 (command) has no form for compio"));
    let computes = of(vec![Step::Cpu(CPU)]);
    assert_eq!(
        reason(&computes, "rust/compio"),
        Some("no step leaves the loop free: the same as tokio-current-thread")
    );
    let unasked = planned(&workload(vec![file()]), &settings(), &facts());
    assert!(unasked.entries.iter().all(|entry| entry.engine != Engine::Compio));
    assert_eq!(reason(&unasked, "rust/compio"), None);
}

#[test]
fn chunks_are_searched_where_they_may_matter() {
    for engine in [Engine::ProcessPoolExecutor, Engine::MultiprocessingPool] {
        let only = Settings { engines: vec![engine], ..settings() };
        let chunks = |step: Step| plan(&workload(vec![step]), &only, &facts(), &[cpython()]).entries[0].chunk.clone();
        let wait = |time_ns| chunks(Step::Wait { time: fixed(time_ns) });
        assert_eq!(wait(100_000), [1, 4, 16, 64]);
        assert_eq!(wait(2_000_000), [1, 4, 16]);
        assert_eq!(wait(8_000_000), [1, 4]);
        assert_eq!(wait(20_000_000), [1]);
        assert_eq!(chunks(own_code(true, false)), [1, 4, 16, 64, 256, 1024], "how long it takes is not known");
    }
}

#[test]
fn start_methods_are_raced_on_request() {
    let workload = workload(vec![Step::Cpu(CPU)]);
    let engines = vec![Engine::ProcessPoolExecutor];
    let start_methods = vec![StartMethod::Spawn, StartMethod::Forkserver, StartMethod::Fork];
    let asked = Settings { engines, start_methods, ..settings() };
    let plan = plan(&workload, &asked, &facts(), &[cpython()]);
    assert_eq!(names(&plan), ["python3.11/ProcessPoolExecutor@spawn", "python3.11/ProcessPoolExecutor@fork"]);
    let reason = reason(&plan, "python3.11/ProcessPoolExecutor@forkserver");
    assert_eq!(reason, Some("it has no start method `forkserver`"));
}

#[test]
fn chunks_are_short_once_it_is_known_what_a_call_takes() {
    let entries = plan(&workload(vec![own_code(true, false)]), &settings(), &facts(), &[cpython()]).entries;
    let closed = Load::Closed { max_in_flight: 64 };
    let of_call = |call: Call, load: Load| {
        let short = with_short_chunks(entries.clone(), call, load);
        let pool = short.into_iter().find(|entry| entry.engine == Engine::ProcessPoolExecutor);
        pool.expect("a pool").chunk
    };
    let chunks = |call_ns: u32| of_call(Call { ns: f64::from(call_ns), bytes: 0 }, closed);
    let quick = |bytes| Call { ns: 5_000.0, bytes };
    assert_eq!(of_call(quick(10_000), closed), [1, 4, 16, 64, 256], "what crosses bounds it, too");
    assert_eq!(of_call(quick(1 << 20), closed), [1, 4, 16, 64]);
    let batch = Load::Batch { tasks: 9000, max_in_flight: 64 };
    assert_eq!(of_call(Call { ns: 1e9, bytes: 0 }, batch), [1, 4, 16, 64], "those suit its number of tasks");
    assert_eq!(chunks(5_000), [1, 4, 16, 64, 256, 1024], "a hand-over takes a hundred times as long");
    assert_eq!(chunks(40_000), [1, 4, 16, 64, 256]);
    assert_eq!(chunks(100_000), [1, 4, 16, 64]);
    assert_eq!(chunks(1_300_000), [1, 4, 16]);
    assert_eq!(chunks(9_000_000), [1]);
    assert_eq!(chunks(900_000_000), [1], "what the library takes by itself");
}

#[test]
fn a_batch_has_several_of_the_largest_chunks() {
    let chunks = |tasks| {
        let mut workload = workload(vec![own_code(true, false)]);
        workload.load = Load::Batch { tasks, max_in_flight: 64 };
        let entries = plan(&workload, &settings(), &facts(), &[cpython()]).entries;
        let of_pool = |entry: &Entry| entry.engine == Engine::ProcessPoolExecutor;
        entries.into_iter().find(of_pool).expect("a pool").chunk
    };
    assert_eq!(chunks(60), [1, 4, 16]);
    assert_eq!(chunks(1_000), [1, 4, 16, 64]);
    assert_eq!(chunks(1_024), [1, 4, 16, 64, 256]);
}

#[test]
fn the_users_own_code_runs_where_it_can() {
    let both = [Runtime::rust(), cpython()];
    let planned = |step: Step| plan(&workload(vec![step]), &settings(), &facts(), &both);
    let blocking = planned(own_code(true, false));
    assert_eq!(reason(&blocking, "rust"), Some("a step is your own Python code"));
    assert!(names(&blocking).iter().any(|name| name == "python3.11/asyncio"), "as the mistake that it is");
    assert!(names(&blocking).iter().any(|name| name.starts_with("python3.11/asyncio+ThreadPoolExecutor")));
    assert!(reason(&blocking, "python3.11/uvloop").is_some_and(|reason| reason.contains("the same as asyncio")));
    assert!(blocking.unknowns.iter().any(|note| note.contains("`fetch`") && note.contains("blocks all other tasks")));
    let event_loop = planned(own_code(false, true));
    assert_eq!(
        names(&event_loop),
        ["python3.11/asyncio", "python3.11/uvloop", "python3.11/threaded-asyncio", "python3.11/sharded-asyncio@fork"]
    );
    let why = reason(&event_loop, "python3.11/ThreadPoolExecutor").expect("a reason");
    assert_eq!(why, "step 1 (python) has an `async_function` alone: give it a `function` too");
    let any = planned(own_code(true, true));
    assert!(names(&any).iter().any(|name| name == "python3.11/uvloop"));
    let mix = reason(&any, "python3.11/asyncio+ThreadPoolExecutor").expect("a reason");
    assert_eq!(mix, "no step blocks the loop: the same as asyncio");
}

#[test]
fn sharded_loops_have_two_sizes_and_no_more_loops_than_pay() {
    let both = [Runtime::rust(), cpython()];
    let plan_of = |steps: Vec<Step>| plan(&workload(steps), &settings(), &facts(), &both);
    let waiting = plan_of(vec![wait(), Step::Cpu(CPU)]);
    for engine in [Engine::TokioSharded, Engine::ThreadedAsyncio, Engine::ShardedAsyncio] {
        let entry = waiting.entries.iter().find(|entry| entry.engine == engine).expect("planned");
        assert_eq!(entry.workers.last(), Some(&(2 * facts().usable_cpus())), "{engine}");
        assert!(entry.in_flight.len() > 1, "{engine}");
    }
    let shared = plan_of(vec![wait(), Step::Lock { hold: Work::Wait { time: fixed(1000) } }]);
    assert!(shared.entries.iter().any(|entry| entry.engine == Engine::TokioSharded));
    for engine in ["python3.11/sharded-asyncio", "python3.11/threaded-asyncio"] {
        let why = reason(&shared, engine);
        assert_eq!(why, Some("step 2 (lock): asyncio has none that several loops share"));
    }
    let blocking = plan_of(vec![Step::Cpu(CPU)]);
    let why = reason(&blocking, "python3.11/threaded-asyncio");
    assert_eq!(why, Some("no step leaves a loop free: the same as ThreadPoolExecutor"));
}

fn arbitrary_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u64>().prop_map(|time_ns| Step::Wait { time: fixed(time_ns) }),
        Just(Step::Cpu(CPU)),
        Just(file()),
        Just(http(None)),
        any::<u32>().prop_map(|round_trips| Step::Event { round_trips }),
    ]
}

#[test]
fn few_tasks_are_a_batch_and_of_many_the_rate_is_measured() {
    let of = |workload: &Workload, tasks| {
        let made = of_tasks(workload.clone(), tasks, 20 * SECOND);
        (made.load, made.all_tasks())
    };
    // A task waits 10 ms, and a block may take 1.25 s.
    let waits = workload(vec![wait()]);
    let batch = |tasks| Load::Batch { tasks, max_in_flight: 64 };
    let closed = Load::Closed { max_in_flight: 64 };
    assert_eq!(of(&waits, None), (closed, None));
    assert_eq!(of(&waits, Some(100)), (batch(100), Some(100)));
    assert_eq!(of(&waits, Some(100_000)), (closed, Some(100_000)));
    // What a file says stands where the user says nothing, and what it calls a batch is one.
    let own = Workload { tasks: Some(7), ..waits.clone() };
    assert_eq!((of(&own, None), of(&own, Some(9))), ((batch(7), Some(7)), (batch(9), Some(9))));
    let large = Workload { load: batch(500), ..waits.clone() };
    assert_eq!((of(&large, None), of(&large, Some(9_000))), ((batch(500), Some(500)), (batch(9_000), Some(9_000))));
    // One batch each of a few candidates must be allowed.
    let capped = Workload { max_calls: Some(150), ..waits };
    assert_eq!(of(&capped, Some(100)), (closed, Some(100)));
}

#[test]
fn a_batch_tries_the_chunk_that_the_library_takes_by_itself() {
    let chunks = |load, engine| {
        let workload = Workload { load, ..workload(vec![wait()]) };
        let plan = plan(&workload, &settings(), &facts(), &[cpython()]);
        let entry = entry(&plan, engine);
        (entry.chunk.clone(), entry.default_sizes.chunk)
    };
    let (closed, batch) = (Load::Closed { max_in_flight: 64 }, Load::Batch { tasks: 60, max_in_flight: 64 });
    assert_eq!(chunks(closed, Engine::MultiprocessingPool), (vec![1], Some(1)));
    // Four chunks for each of three workers.
    assert_eq!(chunks(batch, Engine::MultiprocessingPool), (vec![1, 5], Some(5)));
    assert_eq!(chunks(batch, Engine::ProcessPoolExecutor), (vec![1], Some(1)));
}

proptest! {
    #[test]
    fn every_plan_keeps_its_promises(
        steps in prop::collection::vec(arbitrary_step(), 1..4),
        max_in_flight in 1_u32..100_000,
        tasks in prop::option::of(1_u32..1000),
        workers in prop::collection::vec(0_u32..300, 0..4),
        processes in prop::option::of(0_u64..10_000),
        open_files in prop::option::of(0_u64..100_000),
        cpus_affinity in 1_u32..300,
        input_bytes in prop_oneof![Just(0_u64), any::<u64>()],
    ) {
        let mut workload = workload(steps);
        workload.payload.input_bytes = input_bytes;
        workload.load = match tasks {
            Some(tasks) => Load::Batch { tasks, max_in_flight },
            None => Load::Closed { max_in_flight },
        };
        let limits = ResourceLimits { processes, open_files, cgroup_processes: None };
        let facts = Facts { limits, cpus_affinity, ..facts() };
        let plan = planned(&workload, &Settings { workers, ..settings() }, &facts);
        for entry in &plan.entries {
            let axes = entry.engine.axes();
            prop_assert_eq!(axes.workers, !entry.workers.is_empty());
            prop_assert_eq!(axes.in_flight, !entry.in_flight.is_empty());
            for (ladder, default) in
                [(&entry.workers, entry.default_sizes.workers), (&entry.in_flight, entry.default_sizes.in_flight)]
            {
                prop_assert!(ladder.is_sorted_by(|a, b| a < b));
                prop_assert!(ladder.iter().all(|size| (1..=max_in_flight).contains(size)));
                prop_assert!(default.is_none_or(|size| ladder.contains(&size)));
            }
            prop_assert_eq!(&entry.runtime, RUST);
        }
    }
}

fn own_executor(model: Model, fixed_workers: Option<u32>) -> Runtime {
    let own = OwnExecutor { factory: Word::of("pools:make"), model, is_context: true, fixed_workers };
    let mut runtime = cpython();
    runtime.engines.push(Offer { engine: Engine::Own(own), default_workers: None });
    runtime
}

#[test]
fn an_executor_of_the_users_races_whatever_engines_are_named() {
    let of = |settings: &Settings, fixed, engines: Vec<OwnEngine>| {
        let workload = Workload { engines, ..workload(vec![own_code(true, false)]) };
        let plan = plan(&workload, settings, &facts(), &[own_executor(Model::Threads, fixed)]);
        let entry = plan.entries.iter().find(|entry| matches!(entry.engine, Engine::Own(_))).cloned();
        (entry.map(|entry| (entry.workers, entry.default_sizes.workers)), plan.left_out)
    };
    let named = Settings { engines: vec![Engine::Sequential], ..settings() };
    assert_eq!(of(&named, None, Vec::new()).0, Some((vec![1, 2, 3, 4, 8, 16, 32, 64], Some(3))));
    let processes = Settings { models: vec![Model::Processes], ..settings() };
    assert_eq!(of(&processes, None, Vec::new()).0, None, "its model is asked for like any other's");
    let of_file =
        OwnEngine { factory: "pools:make".to_owned(), path: "/".to_owned(), model: None, workers: vec![8, 2] };
    assert_eq!(of(&settings(), None, vec![of_file]).0, Some((vec![2, 8], Some(2))));
    let (one, left_out) = of(&settings(), Some(1), Vec::new());
    assert_eq!(one, Some((vec![1], Some(1))));
    let words = "python3.11/pools:make, workers other than 1";
    assert!(left_out.iter().any(|it| it.what == words && it.reason.contains("it runs 1 task at once")), "{left_out:?}");
    let asked = Settings { workers: vec![2, 4], ..settings() };
    assert_eq!(of(&asked, Some(1), Vec::new()).0, None);
    assert_eq!(of(&settings(), Some(100), Vec::new()).0, None, "more than may be in flight");
}

#[test]
fn its_processes_share_nothing() {
    let lock = Step::Lock { hold: Work::Cpu(CPU) };
    let planned = |model| plan(&workload(vec![lock.clone()]), &settings(), &facts(), &[own_executor(model, None)]);
    let is_there = |plan: &Plan| plan.entries.iter().any(|entry| matches!(entry.engine, Engine::Own(_)));
    assert!(is_there(&planned(Model::Threads)));
    let plan = planned(Model::Processes);
    assert!(!is_there(&plan));
    assert!(plan.left_out.iter().any(|it| it.what.ends_with("pools:make") && it.reason.contains("share no lock")));
}
