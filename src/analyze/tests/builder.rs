//! Records made from known figures.

use hdrhistogram::Histogram;

use crate::candidate::{Candidate, Engine, RUST, Sizes};
use crate::decide::{RULES_VERSION, Rules};
use crate::host::{Facts, FileSystem, ResourceLimits};
use crate::plan::{Entry, Plan, Settings};
use crate::protocol::{Block, BlockKind, HistogramData, Serialisation, Usage};
use crate::record::{
    BlockRecord, Calibration, CandidateRecord, Disturbance, Ending, Life, Look, MemorySample, Phase, RaceRecord,
    Record, Round, RuntimeCalibration,
};
use crate::workload::{Cpu, Distribution, Goal, Kernel, Limits, Load, Objective, Payload, Step, Workload};

const WINDOW_NS: u64 = 20_000_000;

/// What one task of a candidate costs.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) service_ns: u64,
    pub(super) cpu_ns: u64,
}

/// A record in the making.
pub(super) struct Synthetic {
    pub(super) record: Record,
    /// Relative differences between blocks, in a fixed pattern.
    pub(super) noise: f64,
    /// Service times recorded a block.
    pub(super) samples: u64,
    shapes: Vec<Shape>,
    blocks: u32,
}

pub(super) fn waiting_step() -> Step {
    Step::Wait { time: Distribution::Fixed { time_ns: 10_000_000 } }
}

impl Synthetic {
    pub(super) fn new() -> Synthetic {
        Synthetic { record: record(), noise: 0.004, samples: 20, shapes: Vec::new(), blocks: 0 }
    }

    /// Adds a candidate, with an entry whose ladder ends at 64.
    pub(super) fn add(&mut self, engine: Engine, sizes: Sizes, shape: Shape) -> usize {
        self.add_to(RUST, engine, sizes, shape)
    }

    /// Adds a runtime.
    pub(super) fn add_runtime(&mut self, name: &str, language: &str, gil: Option<bool>) {
        let mut runtime = RuntimeCalibration::of_native();
        runtime.name = name.to_owned();
        runtime.hello.language = language.to_owned();
        runtime.hello.gil = gil;
        self.record.calibration.runtimes.push(runtime);
    }

    /// The record with its races: their engines had just the sizes that were measured, and they looked after each round.
    pub(super) fn finished(&self) -> Record {
        let mut record = self.record.clone();
        record.races.clear();
        let mut first = 0;
        while let Some(place) = record.candidates.get(first) {
            let runtime = place.candidate.runtime.clone();
            let own: Vec<Candidate> = record.candidates[first..]
                .iter()
                .map(|place| place.candidate.clone())
                .take_while(|candidate| candidate.runtime == runtime)
                .collect();
            record.races.push(race(&record, &runtime, &own, first as u32));
            first += own.len();
        }
        record
    }

    /// A memory block in which pickling was measured.
    pub(super) fn pickling(&mut self, candidate: usize, bytes_per_task: f64, ns_per_task: f64) {
        let mut figures = self.block(BlockKind::Memory, self.shapes[candidate], 0.0);
        figures.serialisation = Some(Serialisation { bytes_per_task, ns_per_task, ..Serialisation::default() });
        self.push(candidate, None, 0, None, figures);
    }

    /// As [`Synthetic::add`], to this runtime.
    pub(super) fn add_to(&mut self, runtime: &str, engine: Engine, sizes: Sizes, shape: Shape) -> usize {
        let ladder = |has: bool| if has { vec![1, 2, 64] } else { Vec::new() };
        self.record.plan.entries.push(Entry {
            runtime: runtime.to_owned(),
            engine,
            start_method: None,
            library_threads: None,
            default_sizes: sizes,
            in_flight: ladder(sizes.in_flight.is_some()),
            workers: ladder(sizes.workers.is_some()),
            chunk: Vec::new(),
        });
        self.record.candidates.push(CandidateRecord {
            candidate: Candidate::new(runtime, engine, sizes),
            lives: Vec::new(),
            blocks: Vec::new(),
            failure: None,
        });
        self.shapes.push(shape);
        self.record.candidates.len() - 1
    }

    /// Adds a candidate that was measured before, with libraries that compute with one thread.
    pub(super) fn add_limited(&mut self, of: usize, shape: Shape) -> usize {
        let Candidate { runtime, engine, sizes, .. } = self.record.candidates[of].candidate.clone();
        let limited = self.add_to(&runtime, engine, sizes, shape);
        self.record.candidates[limited].candidate.library_threads = Some(1);
        limited
    }

    /// A round in which these candidates reached these throughputs, in this life.
    pub(super) fn round(&mut self, phase: Phase, life: u32, speeds: &[(usize, f64)]) {
        let round = self.record.rounds.len() as u32;
        for (candidate, speed) in speeds {
            self.blocks += 1;
            let wave = f64::from(self.blocks.wrapping_mul(2_654_435_761) >> 16) / 65_536.0 - 0.5;
            let figures = self.block(BlockKind::Timed, self.shapes[*candidate], speed * (1.0 + self.noise * wave));
            self.push(*candidate, Some(round), life, None, figures);
        }
        let order = speeds.iter().map(|(candidate, _)| *candidate as u32).collect();
        self.record.rounds.push(Round { order, ..Round::of(phase) });
    }

    /// A memory block.
    pub(super) fn memory_block(&mut self, candidate: usize, memory_bytes: u64, longest_stall_ns: Option<u64>) {
        let mut figures = self.block(BlockKind::Memory, self.shapes[candidate], 0.0);
        figures.longest_stall_ns = longest_stall_ns;
        let sample = MemorySample { memory_bytes, file_pages_bytes: 0, processes: 1 };
        self.push(candidate, None, 0, Some(sample), figures);
    }

    fn push(&mut self, candidate: usize, round: Option<u32>, life: u32, memory: Option<MemorySample>, figures: Block) {
        let candidate = &mut self.record.candidates[candidate];
        while candidate.lives.len() <= life as usize {
            candidate.lives.push(Life {
                boot_ns: 1_000_000,
                ready_ns: 1_500_000,
                startup_ns: 2_000_000,
                first_task_ns: 3_000_000,
                teardown_ns: Some(4_000_000),
                parked_cpu_share: 0.0,
                gil: None,
                warm: false,
                library_threads: 0,
            });
        }
        candidate.blocks.push(BlockRecord { round, life, at_ns: 0, server_cpu_ns: None, memory, figures });
    }

    fn block(&self, kind: BlockKind, shape: Shape, speed: f64) -> Block {
        let mut service = Histogram::<u64>::new(3).expect("three digits are legal");
        service.record_n(shape.service_ns, self.samples).expect("resizes");
        let tasks = 100;
        Block {
            block: self.blocks,
            kind,
            first_index: 0,
            tasks,
            errors: 0,
            first_error: None,
            notes: Vec::new(),
            variants: Vec::new(),
            checksum: 0,
            window_ns: WINDOW_NS,
            elapsed_ns: WINDOW_NS,
            resume_ns: 0,
            tasks_in_window: speed * WINDOW_NS as f64 / 1e9,
            window_cores: None,
            service: HistogramData::encode(&service).expect("encodes"),
            queueing: HistogramData::default(),
            busy_ns: (speed * WINDOW_NS as f64 / 1e9 * shape.service_ns as f64) as u64,
            usage: Usage { user_ns: shape.cpu_ns * tasks, ..Usage::default() },
            longest_stall_ns: None,
            serialisation: None,
            results: Vec::new(),
        }
    }
}

fn race(record: &Record, runtime: &str, own: &[Candidate], first_candidate: u32) -> RaceRecord {
    let mut engines: Vec<(Engine, Option<u32>)> =
        own.iter().map(|candidate| (candidate.engine, candidate.library_threads)).collect();
    engines.dedup();
    engines.sort_unstable();
    engines.dedup();
    let entry = |(engine, library_threads): (Engine, Option<u32>)| {
        let is_it =
            move |candidate: &&Candidate| (candidate.engine, candidate.library_threads) == (engine, library_threads);
        let of_engine = || own.iter().filter(is_it);
        let ladder = |size: fn(Sizes) -> Option<u32>| {
            let mut ladder: Vec<u32> = of_engine().filter_map(|candidate| size(candidate.sizes)).collect();
            ladder.sort_unstable();
            ladder.dedup();
            ladder
        };
        Entry {
            runtime: runtime.to_owned(),
            engine,
            start_method: None,
            library_threads,
            default_sizes: of_engine().next().map(|candidate| candidate.sizes).unwrap_or_default(),
            in_flight: ladder(|sizes| sizes.in_flight),
            workers: ladder(|sizes| sizes.workers),
            chunk: Vec::new(),
        }
    };
    let is_own = |index: &u32| (first_candidate..first_candidate + own.len() as u32).contains(index);
    let rounds = record.rounds.iter().enumerate();
    let rounds = rounds.filter(|(_, round)| round.phase == Phase::Race && round.order.iter().any(is_own));
    RaceRecord {
        runtime: runtime.to_owned(),
        rules_version: RULES_VERSION,
        rules: Rules {
            tolerance: record.workload.objective.tolerance(),
            deadline_ns: 20_000_000_000,
            budget_ns: 20_000_000_000,
            seed: 1,
            is_renewed: false,
            cores: record.calibration.usable_cores.unwrap_or(2.0),
            has_lock: record.calibration.runtime(runtime).is_some_and(|it| it.hello.gil == Some(true)),
            library_threads: own.iter().any(|candidate| candidate.library_threads.is_some()).then_some(2),
            blocks_loops: !record.workload.steps.iter().any(Step::has_async_form),
            is_async: record.workload.steps.iter().all(|step| step.has_async_form() || step.cpu().is_some()),
            may_share: false,
            is_throughput: record.workload.objective.goal == Goal::Throughput,
            serial_ns: 0.0,
            tasks: record.workload.all_tasks(),
            is_batch: matches!(record.workload.load, Load::Batch { .. }),
            has_setup: false,
            rate_per_s: None,
            cluster: None,
            turns: None,
        },
        entries: engines.into_iter().map(entry).collect(),
        first_candidate,
        alternates: Vec::new(),
        looks: rounds
            .map(|(round, _)| Look { round: round as u32, elapsed_ns: 0, named: None, may_cost: None, tried: 0 })
            .collect(),
        ending: Ending::Decided,
    }
}

fn record() -> Record {
    Record {
        conbench_version: "0.1.0".to_owned(),
        began_at: "2026-01-01T00:00:00Z".to_owned(),
        elapsed_ns: 1,
        ending: Ending::Decided,
        host: Facts {
            os: String::new(),
            kernel: String::new(),
            cpu: String::new(),
            cpus_online: 2,
            cpus_affinity: 2,
            cpu_quota: None,
            memory_total_bytes: 1 << 33,
            memory_available_bytes: 1 << 33,
            memory_limit_bytes: None,
            clock_source: None,
            governor: None,
            virtual_machine: None,
            load_average: 0.0,
            limits: ResourceLimits::default(),
            session_directory: FileSystem { path: "/tmp".to_owned(), kind: "ext4".to_owned() },
        },
        settings: Settings::default(),
        workload: Workload {
            name: "synthetic".to_owned(),
            use_case: String::new(),
            description: String::new(),
            load: Load::Closed { max_in_flight: 64 },
            tasks: None,
            steps: vec![Step::Cpu(Cpu { kernel: Kernel::Loop, input_bytes: 8, time_ns: Some(2_000_000) })],
            payload: Payload::default(),
            objective: Objective { goal: Goal::Throughput, tolerance: None, limits: Limits::default() },
            task_timeout_ns: 1_000_000_000,
            max_calls: None,
            resources: Default::default(),
            engines: Vec::new(),
            rate: None,
        },
        plan: Plan::default(),
        calibration: Calibration { usable_cores: None, runtimes: vec![RuntimeCalibration::of_native()] },
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
