//! A synthetic record with its verdict, for tests: round figures, and one of each thing that a report
//! must show.

mod race;

use self::race::{race, rounds, sweep};
use super::{Judged, Style};
use crate::analyze::{
    Alternative, Answer, AsGood, Condition, Curve, CurveAxis, CurvePoint, Estimate, Group, HostLimit, LimitKind,
    Percentiles, Reason, Row, RuntimeStanding, Status, Verdict,
};
use crate::candidate::{Candidate, Cluster, ClusterWorker, Engine, Model, RUST, Sizes, StartMethod};
use crate::decide::RULES_VERSION;
use crate::host::{Facts, FileSystem, ResourceLimits};
use crate::plan::{Entry, Foreseen, LeftOut, Plan, Settings};
use crate::protocol::{Block, BlockKind, Failed, FailureKind, Hello, HistogramData, Usage};
use crate::record::{
    BlockRecord, Calibration, CandidateRecord, Disturbance, Ending, Exit, ExitReason, Life, MemorySample, Record,
    RuntimeCalibration, Warning,
};
use crate::workload::{
    Connection, Distribution, Goal, Items, Limits, Load, Objective, Payload, Python, Step, Workload,
};

pub(super) const PLAIN_80: Style = Style { width: 80, colour: false };
pub(super) const PLAIN_120: Style = Style { width: 120, colour: false };
pub(super) const COLOURED: Style = Style { width: 120, colour: true };

/// A record of a workload of waits, as its session would leave it.
pub(super) fn judged() -> Judged {
    let rows = rows();
    Judged { record: record(&rows), verdict: verdict(rows) }
}

/// The same with a cluster of two workers on another host, and when leaving this machine pays.
pub(super) fn of_a_cluster() -> Judged {
    let mut judged = judged();
    let one = ClusterWorker { is_here: false, ..ClusterWorker::of_tests() };
    let other = ClusterWorker { pid: Some(8), ..one.clone() };
    judged.record.calibration.runtimes[0].cluster = Some(Cluster::of_tests(vec![one, other]));
    judged.verdict.groups[0].leaving = Some(super::leaving::tests::leaving());
    judged
}

/// The same of which nothing could be compared: it was interrupted in its first round.
pub(super) fn unanswered() -> Judged {
    let mut judged = judged();
    judged.record.workload.name = "background-jobs".to_owned();
    judged.record.workload.use_case = "Background jobs with events".to_owned();
    judged.record.ending = Ending::Interrupted;
    judged.record.candidates.iter_mut().for_each(|candidate| candidate.failure = None);
    judged.verdict.is_disturbed = false;
    judged.verdict.groups.iter_mut().for_each(|group| {
        group.rows.truncate(1);
        group.rows.iter_mut().for_each(|row| row.status = Status::Superseded);
        group.answer = None;
    });
    judged
}

/// The same with a rough answer.
pub(super) fn rough() -> Judged {
    let mut judged = judged();
    judged.record.workload.name = "queue-pipeline".to_owned();
    judged.record.workload.use_case = String::new();
    judged.record.ending = Ending::BudgetSpent;
    judged.record.warnings.clear();
    judged.verdict.is_disturbed = false;
    for group in &mut judged.verdict.groups {
        group.rows.truncate(3);
        group.rows[1].status = Status::Open;
        let Some(answer) = &mut group.answer else { continue };
        answer.may_cost = 0.213;
        answer.as_good.clear();
        answer.conditions = vec![
            Condition::NeighboursNotMeasured {},
            Condition::BudgetSpent {},
            Condition::MayBeSimpler { candidate: 0 },
        ];
    }
    judged
}

/// The same under a second runtime, whose one other candidate raised an error in the user's own code.
pub(super) fn of_two_runtimes() -> Judged {
    const PYTHON: &str = "python3.11";
    let mut judged = judged();
    let mut group = judged.verdict.groups[0].clone();
    group.runtime = PYTHON.to_owned();
    group.rows.truncate(3);
    group.curves.clear();
    let first = judged.record.candidates.len() as u32;
    let engines = [Engine::ThreadPoolExecutor, Engine::AsyncioThreads, Engine::Sequential];
    for (row, engine) in group.rows.iter_mut().zip(engines) {
        row.candidate.runtime = PYTHON.to_owned();
        row.candidate.engine = engine;
        row.index += first;
        row.serialisation_bytes_per_task = Some(65_800.0);
        row.serialisation_ns_per_task = Some(41_000.0);
    }
    let mut in_order: Vec<&Row> = group.rows.iter().collect();
    in_order.sort_by_key(|row| row.index);
    judged.record.candidates.extend(in_order.into_iter().map(candidate_record));
    if let Some(answer) = &mut group.answer {
        (answer.candidate, answer.engine) = (first + 1, Engine::ThreadPoolExecutor);
        (answer.model, answer.workers) = (Model::Threads, Some(64));
        answer.as_good = vec![AsGood { candidate: first + 2, may_cost: 0.041 }];
        answer.next_model.iter_mut().for_each(|next| next.candidate += first);
        answer.reasons = vec![Reason::Computes {
            share: 0.97,
            cores: 1.94,
            two_threads: Some(0.97),
            two_threads_between: Some((0.94, 1.0)),
            lock: Some(true),
        }];
        answer.conditions = vec![Condition::FailedCandidates { count: 1 }];
    }
    let reason = "step 1 (python): ValueError: bad item 3".to_owned();
    let lines = ["  File \"/home/me/shop/scrape.py\", line 12, in parse", "    raise ValueError(item)"];
    judged.record.candidates[first as usize].failure = Some(Failed {
        traceback: lines.map(str::to_owned).to_vec(),
        ..Failed::new(FailureKind::Task, "ValueError: bad item 3", "step 1 (python)")
    });
    group.rows[2].status = Status::Failed { reason };
    let mut python = judged.record.calibration.runtimes[0].clone();
    python.name = PYTHON.to_owned();
    python.hello = Hello {
        language: "python".to_owned(),
        version: "3.11.7".to_owned(),
        implementation: Some("CPython".to_owned()),
        executable: Some("/usr/bin/python3".to_owned()),
        gil: Some(true),
        free_threaded: Some(false),
        ..python.hello
    };
    judged.record.calibration.runtimes.push(python);
    judged.verdict.groups.push(group);
    let standing = |runtime: &str, candidate, value, half| RuntimeStanding {
        runtime: runtime.to_owned(),
        candidate: Some(candidate),
        relative: estimate(value, half),
        note: None,
    };
    judged.verdict.runtimes = vec![standing(RUST, 1, 1.0, 0.0), standing(PYTHON, first + 1, 0.62, 0.01)];
    judged
}

/// The same of one runtime and the user's own function, under another way to begin processes than its default.
pub(super) fn of_own_code() -> Judged {
    let mut judged = of_two_runtimes();
    judged.record.workload.name = "parse".to_owned();
    judged.record.workload.steps = vec![Step::Python(Python {
        function: Some("shop.scrape:parse".to_owned()),
        items: Some(Items::Named("shop.scrape:pages".to_owned())),
        path: "/home/me".to_owned(),
        ..Python::default()
    })];
    judged.verdict.runtimes.clear();
    let mut group = judged.verdict.groups.remove(1);
    let best = &mut group.rows[0].candidate;
    (best.engine, best.start_method) = (Engine::ProcessPoolExecutor, Some(StartMethod::Spawn));
    best.sizes = Sizes { workers: Some(2), in_flight: None, chunk: Some(4) };
    if let Some(answer) = &mut group.answer {
        (answer.model, answer.engine, answer.chunk) = (Model::Processes, Engine::ProcessPoolExecutor, Some(4));
        (answer.workers, answer.start_method) = (Some(2), Some(StartMethod::Spawn));
    }
    judged.verdict.groups = vec![group];
    judged
}

pub(super) fn candidate(engine: Engine, workers: Option<u32>, in_flight: Option<u32>) -> Candidate {
    Candidate::new(RUST, engine, Sizes { workers, in_flight, chunk: None })
}

fn estimate(value: f64, half: f64) -> Option<Estimate> {
    Some(Estimate { value, low: value - half, high: value + half })
}

fn rows() -> Vec<Row> {
    let figures = |candidate: Candidate, index, status, throughput: f64, relative: f64| Row {
        index,
        candidate,
        status,
        blocks: 27,
        lives: 3,
        throughput_per_s: estimate(throughput, throughput * 0.012),
        relative: estimate(relative, 0.01),
        service: Percentiles {
            samples: 1840,
            p50_ns: Some(20_400_000),
            p90_ns: Some(41_800_000),
            p99_ns: Some(80_900_000),
            p999_ns: None,
            max_ns: Some(131_000_000),
        },
        queueing: Percentiles { samples: 1840, p50_ns: Some(310_000), p99_ns: Some(1_900_000), ..Default::default() },
        boot_ns: Some(1_900_000),
        ready_ns: Some(2_100_000),
        startup_ns: Some(23_100_000),
        teardown_ns: Some(640_000),
        cpu_user_ns_per_task: Some(21_000.0),
        cpu_system_ns_per_task: Some(34_500.0),
        cpu_children_ns_per_task: None,
        voluntary_switches_per_task: Some(2.02),
        involuntary_switches_per_task: Some(0.013),
        server_cpu_ns_per_task: Some(48_100.0),
        memory_bytes: Some(2_310_000),
        file_pages_bytes: Some(3_900_000),
        limit_share: Some(0.961),
        undominated: true,
        longest_stall_ns: None,
        serialisation_bytes_per_task: None,
        serialisation_ns_per_task: None,
        is_own_chunk: false,
        errors: 0,
        checked: Some(true),
    };
    let failed = Status::Failed { reason: "step 1 (http): the server closed the connection\nretry".to_owned() };
    let mut lost = figures(candidate(Engine::ProcessPerTask, None, Some(64)), 4, failed, 0.0, 0.0);
    lost.throughput_per_s = None;
    lost.relative = None;
    lost.service = Percentiles::default();
    lost.memory_bytes = None;
    lost.startup_ns = None;
    lost.checked = None;
    let mut good = figures(candidate(Engine::TokioMultiThread, Some(2), Some(64)), 2, Status::AsGood, 2_600.0, 0.994);
    good.longest_stall_ns = Some(1_100_000);
    good.service.p99_ns = Some(61_200_000);
    good.memory_bytes = Some(3_310_000);
    let mut alone = figures(candidate(Engine::Sequential, None, None), 0, Status::Worse, 42.3, 0.016_2);
    alone.service.p99_ns = Some(59_000_000);
    alone.memory_bytes = Some(310_000);
    let other_size = |workers, index, throughput| {
        let mut row =
            figures(candidate(Engine::ThreadPool, Some(workers), None), index, Status::Superseded, throughput, 0.0);
        (row.relative, row.memory_bytes, row.undominated) = (None, None, false);
        row
    };
    lost.undominated = false;
    let mut best = figures(candidate(Engine::ThreadPool, Some(64), None), 1, Status::Best, 2_617.0, 1.0);
    best.relative = estimate(1.0, 0.0);
    vec![best, good, alone, other_size(32, 3, 1_310.0), other_size(16, 5, 655.0), lost]
}

fn verdict(rows: Vec<Row>) -> Verdict {
    Verdict {
        rules_version: RULES_VERSION,
        tolerance: 0.05,
        is_disturbed: true,
        groups: vec![Group {
            far_limit: None,
            runtime: RUST.to_owned(),
            answer: Some(answer()),
            limit: Some(HostLimit { throughput_per_s: 2_720.0, set_by: LimitKind::InFlight }),
            deviation: Some(0.021),
            rows,
            curves: vec![curve(
                "thread-pool",
                CurveAxis::Workers,
                &[(16, 5, 655.0), (32, 3, 1_310.0), (64, 1, 2_617.0)],
                None,
            )],
            leaving: None,
        }],
        runtimes: Vec::new(),
    }
}

fn answer() -> Answer {
    let alternative = |model, candidate, ratio: f64, half: f64| Alternative {
        model,
        candidate,
        ratio,
        low: ratio - half,
        high: ratio + half,
    };
    Answer {
        model: Model::Threads,
        engine: Engine::ThreadPool,
        start_method: None,
        library_threads: None,
        library_variables: Vec::new(),
        workers: Some(64),
        in_flight: None,
        chunk: None,
        candidate: 1,
        may_cost: 0.028,
        confidence: 0.95,
        tried: 5,
        as_good: vec![AsGood { candidate: 2, may_cost: 0.031 }],
        next_model: vec![
            alternative(Model::Async, 2, 0.994, 0.021),
            alternative(Model::Sequential, 0, 0.016_2, 0.000_2),
        ],
        reasons: vec![
            Reason::Waits { share: 0.998, cpu_ns: 55_500.0, latency_ns: 23_500_000.0, overlap: None },
            Reason::Reaches { share: 0.961, limit: LimitKind::InFlight, concurrency: 64 },
        ],
        conditions: vec![
            Condition::StolenCpu { share: 0.123 },
            Condition::FailedCandidates { count: 1 },
            Condition::AtCap { size: 64 },
        ],
    }
}

/// A curve of points (size, candidate, throughput).
fn curve(engine: &str, axis: CurveAxis, points: &[(u32, u32, f64)], knee: Option<u32>) -> Curve {
    let point = |(size, candidate, throughput_per_s): &(u32, u32, f64)| CurvePoint {
        size: *size,
        candidate: *candidate,
        throughput_per_s: *throughput_per_s,
        p99_ns: None,
    };
    Curve { engine: engine.to_owned(), axis, points: points.iter().map(point).collect(), knee }
}

fn record(rows: &[Row]) -> Record {
    let mut in_order: Vec<&Row> = rows.iter().collect();
    in_order.sort_by_key(|row| row.index);
    let candidates: Vec<CandidateRecord> = in_order.into_iter().map(candidate_record).collect();
    Record {
        conbench_version: "0.1.0".to_owned(),
        began_at: "2026-01-02T03:04:05Z".to_owned(),
        elapsed_ns: 19_800_000_000,
        ending: Ending::Decided,
        host: facts(),
        settings: Settings { budget_ns: 20_000_000_000, seed: 1, ..Settings::default() },
        workload: workload(),
        plan: plan(),
        calibration: Calibration {
            usable_cores: Some(1.94),
            runtimes: vec![RuntimeCalibration {
                baseline_memory_bytes: Some(1_200_000),
                ..RuntimeCalibration::of_native()
            }],
        },
        candidates,
        rounds: rounds(),
        races: vec![race()],
        exits: vec![Exit { round: 0, candidate: 4, reason: ExitReason::Failed }],
        sweeps: vec![sweep()],
        disturbance: Disturbance { steal_share: Some(0.023), ..Disturbance::default() },
        progress_cpu_ns: None,
        warnings: vec![Warning::NotParked {
            candidate: candidate(Engine::TokioMultiThread, Some(2), Some(64)),
            share: 0.031,
        }],
    }
}

fn candidate_record(row: &Row) -> CandidateRecord {
    let block = |kind, round, memory| BlockRecord {
        round,
        life: 0,
        at_ns: 1_000_000_000,
        server_cpu_ns: Some(3_000_000),
        memory,
        figures: Block {
            block: 1,
            kind,
            first_index: 0,
            tasks: 64,
            errors: 0,
            first_error: None,
            notes: Vec::new(),
            variants: Vec::new(),
            checksum: 77,
            window_ns: 20_000_000,
            elapsed_ns: 61_000_000,
            resume_ns: 40_000,
            tasks_in_window: 52.3,
            window_cores: None,
            service: HistogramData::default(),
            queueing: HistogramData::default(),
            busy_ns: 1_280_000_000,
            usage: Usage {
                user_ns: 1_300_000,
                system_ns: 2_200_000,
                voluntary_switches: 129,
                involuntary_switches: 1,
                children_ns: 0,
            },
            longest_stall_ns: row.longest_stall_ns,
            serialisation: None,
            results: Vec::new(),
        },
    };
    let memory = MemorySample { memory_bytes: 3_510_000, file_pages_bytes: 3_900_000, processes: 1 };
    let rounds = rounds().into_iter().enumerate().filter(|(_, round)| round.order.contains(&row.index));
    let timed = rounds.map(|(at, _)| block(BlockKind::Timed, Some(at as u32), None));
    let failure = matches!(row.status, Status::Failed { .. }).then(|| Failed {
        kind: FailureKind::Task,
        message: "the server closed the connection\nretry".to_owned(),
        place: "step 1 (http)".to_owned(),
        traceback: Vec::new(),
    });
    CandidateRecord {
        candidate: row.candidate.clone(),
        lives: vec![Life {
            boot_ns: 1_900_000,
            ready_ns: 2_100_000,
            startup_ns: 23_100_000,
            first_task_ns: 21_000_000,
            teardown_ns: Some(640_000),
            parked_cpu_share: 0.0001,
            gil: None,
            warm: false,
            library_threads: 0,
        }],
        blocks: timed.chain([block(BlockKind::Memory, None, Some(memory))]).collect(),
        failure,
    }
}

pub(super) fn plan() -> Plan {
    let entry = |candidate: Candidate, workers, in_flight| Entry {
        runtime: candidate.runtime,
        engine: candidate.engine,
        start_method: candidate.start_method,
        library_threads: None,
        default_sizes: candidate.sizes,
        in_flight,
        workers,
        chunk: Vec::new(),
    };
    Plan {
        entries: vec![
            entry(candidate(Engine::Sequential, None, None), Vec::new(), Vec::new()),
            entry(candidate(Engine::ThreadPool, Some(2), None), vec![1, 2, 4, 8, 16, 32, 64], Vec::new()),
            entry(
                candidate(Engine::TokioMultiThread, Some(2), Some(64)),
                vec![1, 2, 4],
                (0..10).map(|power| 1 << power).collect(),
            ),
            Entry {
                start_method: Some(StartMethod::Forkserver),
                default_sizes: Sizes { workers: Some(2), in_flight: None, chunk: Some(1) },
                chunk: vec![1, 8, 64],
                runtime: "python3.14".to_owned(),
                ..entry(candidate(Engine::MultiprocessingPool, Some(2), None), vec![1, 2, 4], Vec::new())
            },
        ],
        left_out: vec![LeftOut {
            what: "rust/tokio-blocking-pool".to_owned(),
            reason: "no step blocks the loop, the same as tokio-current-thread".to_owned(),
        }],
        foreseen: Foreseen { time_ns: 20_000_000_000, calls: 41_300, processes: 13, threads: 140, open_files: 160 },
        notes: vec!["workers above 64: max_in_flight".to_owned()],
        if_imported: Vec::new(),
        unknowns: Vec::new(),
    }
}

pub(super) fn workload() -> Workload {
    Workload {
        name: "web-scraping".to_owned(),
        use_case: "Web scraping, requests".to_owned(),
        description: "Fetch a page from a server that takes its time.".to_owned(),
        load: Load::Closed { max_in_flight: 64 },
        tasks: None,
        steps: vec![Step::Http {
            url: None,
            delay: Distribution::Lognormal { p50_ns: 20_000_000, p99_ns: 80_000_000 },
            body_bytes: 32_768,
            connection: Connection::KeepAlive,
        }],
        payload: Payload::default(),
        objective: Objective { goal: Goal::Throughput, tolerance: None, limits: Limits::default() },
        task_timeout_ns: 30_000_000_000,
        max_calls: None,
        resources: Default::default(),
        engines: Vec::new(),
        rate: None,
    }
}

pub(super) fn facts() -> Facts {
    Facts {
        os: "Debian GNU/Linux 12".to_owned(),
        kernel: "6.1.0".to_owned(),
        cpu: "Sample CPU".to_owned(),
        cpus_online: 2,
        cpus_affinity: 2,
        cpu_quota: None,
        memory_total_bytes: 8 << 30,
        memory_available_bytes: 6 << 30,
        memory_limit_bytes: None,
        clock_source: Some("tsc".to_owned()),
        governor: None,
        virtual_machine: Some(true),
        load_average: 0.2,
        limits: ResourceLimits { open_files: Some(1024), processes: None, cgroup_processes: None },
        session_directory: FileSystem { path: "/tmp".to_owned(), kind: "ext4".to_owned() },
    }
}
