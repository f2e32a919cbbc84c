//! What is expected of an arm before its first block, from what a task alone does: the prior by mechanism.
//!
//! A task waits and computes. `wide` tasks under way at once on `parallel` cores give at most `wide / latency` and
//! `parallel / cpu` tasks a second. Where tasks do both, they meet at the cores by chance and queue: the expectation is the
//! throughput of a closed queue, which is well below both limits where these are near. What an engine itself costs is
//! not known: two offsets an engine, one for each of the two limits, are found from its own blocks. Between sizes of
//! one engine the deviation from the expectation is a Brownian path over the rungs, anchored at the engine's first
//! size: narrow where no change is expected, wide where a rung should gain.

use super::grid::{self, Axis};
use super::matrix::Matrix;
use crate::candidate::{Candidate, ClusterLimits, Engine, Model, Sizes};
use crate::plan::Entry;

/// Tasks under way beyond which chance evens out: the smaller limit is the throughput.
const MANY: f64 = 256.0;
/// The deviations of an engine's two offsets.
const LATENCY_OFFSET: f64 = 0.4;
const CPU_OFFSET: f64 = 0.6;
/// The deviation of an engine where nothing is expected of it: of goals other than throughput.
const UNKNOWN_OFFSET: f64 = 1.5;
/// The deviation of a rung that should change nothing, and what each unit of an expected change adds to it.
const FLAT_RUNG: f64 = 0.01;
const STEEP_RUNG: f64 = 0.35;
/// The same of a rung that should change nothing where tasks still meet at the cores by chance: real ones queue for
/// longer than the model says.
const QUEUEING_RUNG: f64 = 0.04;
/// Real tasks queue although cores are idle, on whichever core woke them. With more of them under way the idle cores are used:
/// this part of them (logarithm) is expected, with that deviation.
const IDLE_RUNG: (f64, f64) = (0.5, 0.5);
/// Where one limit is this many times the other, they do not.
const FAR: f64 = 4.0;
/// A wait of less than this part of a task's time changes nothing that would show.
const NOTICEABLE: f64 = 0.02;
/// A task that takes this many times as long as it is served waits elsewhere, too: less may be an error of measurement.
const WAITS: f64 = 1.5;
/// The deviation of a rung where nothing is expected.
const UNKNOWN_RUNG: f64 = 0.15;
/// The deviation of the second thread's gain under a global interpreter lock, which a task holds or releases.
const LOCK_RUNG: f64 = 0.3;
/// What each size has of its own.
const NUGGET: f64 = 0.004;

/// What is known of a task, from blocks of the smallest candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Task {
    /// Service time of a task alone.
    pub latency_ns: f64,
    /// The median of service times: few long tasks do not move it.
    pub median_ns: f64,
    /// CPU time of a task alone.
    pub cpu_ns: f64,
    /// What of it is used by programs that the task starts: they hold no lock of the interpreter.
    pub children_ns: f64,
    /// How long the smallest candidate took until it was ready for tasks: its imports and set-up, which all need.
    pub ready_ns: f64,
}

impl Task {
    /// The task with libraries that compute with one thread: that one does what all of them did.
    pub(super) fn with_one_thread(self) -> Task {
        Task { latency_ns: self.latency_ns.max(self.cpu_ns), ..self }
    }

    /// CPU time in the process that runs the task.
    fn own_ns(&self) -> f64 {
        (self.cpu_ns - self.children_ns).max(0.0)
    }

    /// Whether other programs do most of its computation.
    fn computes_elsewhere(&self) -> bool {
        self.children_ns > 0.5 * self.cpu_ns
    }
}

/// What the candidates of a runtime run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Setting {
    /// Cores that can be had.
    pub cores: f64,
    /// Whether threads share a global interpreter lock.
    pub has_lock: bool,
    /// Threads that libraries compute with in one task; they hold no lock of the interpreter.
    pub task_threads: f64,
    /// Whether every step leaves an event loop free.
    pub is_async: bool,
    /// Whether tasks per second are what is compared.
    pub is_throughput: bool,
    /// The longest section of a task that only one runs at a time; 0 where there is none.
    pub serial_ns: f64,
    /// The same of what the workload says alone (a lock, a queue's consumer): tasks come there by chance.
    pub section_ns: f64,
    /// How many tasks there are in all, where start-up counts.
    pub tasks: Option<f64>,
    /// How many tasks each block has, where that is fixed.
    pub batch: Option<f64>,
    /// Whether each process that runs tasks is set up by the user's own code.
    pub has_setup: bool,
    /// The tasks per second that the far side allows, where that is stated.
    pub rate_per_s: Option<f64>,
    /// What the cluster can do, where one takes part.
    pub cluster: Option<ClusterLimits>,
}

/// What is expected of some sizes of an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    /// The logarithm of tasks per second.
    score: f64,
    /// How much of it the cores limit, from 0 to 1.
    by_cores: f64,
    /// Whether tasks meet at what limits them by chance: they wait and are served, and neither limit is far below the other.
    queues: bool,
    /// Whether that is the cores.
    at_cores: bool,
}

/// What tasks meet at: cores, a lock, a thread that hands out.
#[derive(Clone, Copy, Debug)]
struct Station {
    /// How many it serves at once; at least 1.
    servers: f64,
    /// How long it serves a task.
    service_ns: f64,
}

impl Station {
    /// One that has so many cores for tasks of this CPU time.
    fn new(cores: f64, cpu_ns: f64) -> Station {
        let servers = cores.max(1.0);
        Station { servers, service_ns: servers * cpu_ns.max(1.0) / cores }
    }

    /// Tasks that it serves in a nanosecond at most.
    fn per_ns(self) -> f64 {
        self.servers / self.service_ns
    }

    /// Whether a task that takes so long alone also waits elsewhere.
    fn waits(self, latency_ns: f64) -> bool {
        latency_ns > WAITS * self.service_ns
    }

    /// Tasks per nanosecond where `wide` tasks of this latency are always under way, and how much of that depends on the
    /// station (an elasticity, from 0 to 1).
    fn fed(self, wide: f64, latency_ns: f64) -> (f64, f64) {
        /// The relative step of a derivative.
        const STEP: f64 = 0.01;
        // What computes for longer than it takes does so on several cores, and each of them is busy.
        let at_once = (self.service_ns / latency_ns).max(1.0);
        let station = Station { servers: self.servers / at_once, service_ns: self.service_ns / at_once };
        let waiting_ns = latency_ns - station.service_ns;
        let per_ns = station.throughput(wide, waiting_ns);
        let slower = Station { service_ns: station.service_ns * (1.0 + STEP), ..station };
        let lost = (per_ns / slower.throughput(wide, waiting_ns)).ln() / STEP.ln_1p();
        (per_ns, lost.clamp(0.0, 1.0))
    }

    /// The throughput of a closed queue M/M/c//N: `wide` tasks wait for this long, then meet here (Bolch, Greiner, de Meer,
    /// Trivedi, "Queueing Networks and Markov Chains", 2006, 6.5; between whole numbers of tasks and servers, on a line).
    fn throughput(self, wide: f64, waiting_ns: f64) -> f64 {
        let most = self.per_ns();
        let alone = wide / (waiting_ns + self.service_ns);
        let is_far = alone > FAR * most || alone * FAR * FAR < most;
        if waiting_ns <= 0.0 || wide > MANY || is_far {
            return alone.min(most);
        }
        let of = |tasks: f64| {
            let (mut state, mut all, mut served) = (1.0, 1.0, 0.0);
            for present in 1..=tasks as u32 {
                let busy = f64::from(present).min(self.servers);
                state *= (tasks - f64::from(present) + 1.0) * self.service_ns / (waiting_ns * busy);
                all += state;
                served += state * busy;
                if all > 1e200 {
                    (state, all, served) = (state / 1e200, all / 1e200, served / 1e200);
                }
            }
            served / self.service_ns / all
        };
        between(wide, of)
    }
}

/// What is known of whole numbers of tasks, on a line between them; of less than one, what is known of one.
fn between(tasks: f64, of: impl Fn(f64) -> f64) -> f64 {
    let (whole, part) = (tasks.floor().max(1.0), tasks.fract());
    if part > 0.0 && tasks > 1.0 { (1.0 - part) * of(whole) + part * of(whole + 1.0) } else { of(whole) }
}

/// How long a task waits for its turn at a section of this length, where `wide` tasks of this latency are under way: mean value
/// analysis of one server and a delay (Reiser and Lavenberg, "Mean-value analysis of closed multichain queuing networks",
/// 1980).
fn wait_ns(section_ns: f64, latency_ns: f64, wide: f64) -> f64 {
    if section_ns <= 0.0 {
        return 0.0;
    }
    let elsewhere_ns = (latency_ns - section_ns).max(0.0);
    let of = |tasks: f64| {
        let (mut present, mut there_ns) = (0.0, section_ns);
        for tasks in 1..=tasks as u32 {
            there_ns = section_ns * (1.0 + present);
            present = f64::from(tasks) * there_ns / (elsewhere_ns + there_ns);
        }
        there_ns - section_ns
    };
    between(wide.min(MANY), of)
}

/// What an engine itself costs a task, by order of magnitude: where a task runs, and where tasks are handed out.
fn own_ns(engine: Engine) -> (f64, f64) {
    match engine {
        Engine::Sequential => (0.0, 0.0),
        Engine::ThreadPool
        | Engine::Rayon
        | Engine::TokioCurrentThread
        | Engine::TokioMultiThread
        | Engine::Smol
        | Engine::Compio => (2e3, 1e3),
        Engine::TokioSharded => (3e3, 0.0),
        Engine::TokioBlockingPool => (5e3, 5e3),
        Engine::ThreadPerTask => (10e3, 15e3),
        Engine::ProcessPool => (10e3, 8e3),
        Engine::TokioProcessPool => (15e3, 15e3),
        Engine::ProcessPerTask => (300e3, 400e3),
        Engine::ThreadPoolExecutor | Engine::Asyncio | Engine::TaskGroup | Engine::Trio | Engine::Gevent => {
            (10e3, 30e3)
        }
        Engine::Uvloop => (5e3, 20e3),
        // Each loop takes its tasks itself.
        Engine::ThreadedAsyncio => (15e3, 0.0),
        Engine::ShardedAsyncio => (40e3, 0.0),
        Engine::Thread | Engine::PoolOfThreads => (20e3, 60e3),
        Engine::JoblibThreading => (50e3, 150e3),
        Engine::ProcessPoolExecutor | Engine::Loky => (200e3, 350e3),
        Engine::JoblibLoky => (150e3, 250e3),
        Engine::MultiprocessingPool => (150e3, 250e3),
        // Its batches last for 0.2 s and longer.
        Engine::JoblibAuto => (20e3, 30e3),
        Engine::InterpreterPoolExecutor => (50e3, 100e3),
        Engine::AsyncioThreads | Engine::Anyio => (30e3, 60e3),
        Engine::AsyncioProcesses => (200e3, 350e3),
        Engine::Process => (3e6, 2e6),
        Engine::Dask => (1e6, 500e3),
        Engine::Own(own) if own.model == Model::Processes => (100e3, 150e3),
        Engine::Own(_) => (20e3, 60e3),
    }
}

/// What a candidate's engine itself costs a task of CPU time, by order of magnitude.
pub(super) fn own_cpu_ns(candidate: &Candidate) -> f64 {
    let (worker_ns, feeder_ns) = own_ns(candidate.engine);
    (worker_ns + feeder_ns) / candidate.sizes.chunk.map_or(1.0, f64::from)
}

/// What an engine takes to start beyond what any needs, by order of magnitude: processes, and modules to import.
fn own_start_ns(engine: Engine) -> f64 {
    match engine {
        Engine::ProcessPoolExecutor | Engine::MultiprocessingPool | Engine::AsyncioProcesses => 60e6,
        Engine::ShardedAsyncio => 100e6,
        Engine::InterpreterPoolExecutor => 40e6,
        Engine::Loky | Engine::JoblibLoky | Engine::JoblibAuto => 300e6,
        Engine::Trio | Engine::Gevent | Engine::Anyio | Engine::JoblibThreading => 100e6,
        Engine::Asyncio | Engine::TaskGroup | Engine::Uvloop | Engine::ThreadedAsyncio | Engine::AsyncioThreads => 40e6,
        Engine::Process => 20e6,
        Engine::Dask => 700e6,
        Engine::ProcessPool | Engine::TokioProcessPool => 5e6,
        Engine::ThreadPoolExecutor | Engine::PoolOfThreads => 5e6,
        Engine::Own(own) if own.model == Model::Processes => 300e6,
        _ => 0.0,
    }
}

/// How many of so many tasks run at once on average, in chunks of this size on `wide` workers: the last turn may leave
/// some without work.
fn at_once(tasks: f64, wide: f64, chunk: f64) -> f64 {
    let turns = ((tasks / chunk).ceil() / wide).ceil().max(1.0);
    (tasks / (turns * chunk)).max(1.0).min(wide)
}

/// Whether what runs an engine's tasks shares a lock of the interpreter.
fn shares_lock(engine: Engine, setting: &Setting) -> bool {
    setting.has_lock && matches!(engine.model(), Model::Threads | Model::Async | Model::AsyncThreads)
}

fn expected(engine: Engine, sizes: Sizes, task: &Task, setting: &Setting) -> Expected {
    if !setting.is_throughput {
        return Expected { score: 0.0, by_cores: 0.0, queues: false, at_cores: false };
    }
    if let (Model::Cluster, Some(cluster)) = (engine.model(), &setting.cluster) {
        return expected_of_cluster(cluster, sizes, task, setting);
    }
    let workers = sizes.workers.map_or(1.0, f64::from);
    let in_flight = sizes.in_flight.map_or(f64::INFINITY, f64::from);
    let (wide, threads) = match engine.model() {
        Model::Sequential => (1.0, 1.0),
        // Files, too, leave the loop of compio free.
        Model::Async if !setting.is_async && engine != Engine::Compio => (workers.min(in_flight), workers),
        Model::ShardedAsync if !setting.is_async => (workers.min(in_flight), workers.min(in_flight)),
        Model::Async => (in_flight, workers),
        Model::ShardedAsync => (in_flight, workers.min(in_flight)),
        // What waits stays on the loop; the workers compute.
        Model::AsyncThreads | Model::AsyncProcesses if setting.is_async => (in_flight, workers.min(in_flight)),
        _ if engine.axes().workers => (workers.min(in_flight), workers.min(in_flight)),
        // A thread or process for each task.
        _ => (in_flight, in_flight),
    };
    let chunk = sizes.chunk.map_or(1.0, f64::from);
    let narrowed = |wide: f64| setting.batch.map_or(wide, |tasks| at_once(tasks, wide, chunk));
    let (wide, threads) = (narrowed(wide), narrowed(threads));
    let cores_of = |threads: f64| threads.min(setting.cores).max(1e-3);
    let cores = cores_of(threads * setting.task_threads);
    // Whether a task holds the lock is not known: half way.
    let under_lock = 1.0_f64.min(cores_of(threads)) + 0.5 * (cores_of(threads) - 1.0).max(0.0);
    let parallel = if shares_lock(engine, setting) { cores_of(under_lock * setting.task_threads) } else { cores };
    let (worker_ns, feeder_ns) = own_ns(engine);
    // A process that is made for one task is set up for it alone.
    let is_set_up_anew = setting.has_setup && engine == Engine::Process;
    let set_up_ns = if is_set_up_anew { task.ready_ns } else { 0.0 };
    let (worker_ns, feeder_ns) = (worker_ns / chunk, feeder_ns / chunk);
    let latency_ns = task.latency_ns + set_up_ns + worker_ns + feeder_ns;
    let limits = [
        Station::new(cores, task.cpu_ns + worker_ns),
        Station::new(parallel, task.own_ns() + worker_ns),
        Station::new(1.0, feeder_ns),
        Station::new(1.0, setting.serial_ns),
    ];
    let narrowest = limits.into_iter().min_by(|one, other| one.per_ns().total_cmp(&other.per_ns()));
    let station = narrowest.unwrap_or(limits[0]);
    // Tasks wait for each other at a section, too, where something else is narrower.
    let is_narrower = station.per_ns() * setting.section_ns < 0.99;
    let in_turn_ns = if is_narrower { wait_ns(setting.section_ns, latency_ns, wide) } else { 0.0 };
    let meets = in_turn_ns > NOTICEABLE * latency_ns;
    let is_near = (wide / latency_ns / station.per_ns()).ln().abs() < FAR.ln();
    let latency_ns = latency_ns + in_turn_ns;
    let at_cores = station.per_ns() >= limits[0].per_ns();
    let (per_ns, by_station) = station.fed(wide, latency_ns);
    let queues = is_near && (meets || station.waits(latency_ns));
    Expected { at_cores, ..within_rate(engine, per_ns, by_station, queues, task, setting) }
}

/// What is expected of so many tasks per nanosecond, under the stated rate, with start-up where it counts.
fn within_rate(engine: Engine, per_ns: f64, by_station: f64, queues: bool, task: &Task, setting: &Setting) -> Expected {
    let rate_per_ns = setting.rate_per_s.map_or(f64::INFINITY, |rate| rate / 1e9);
    let (per_ns, by_cores) = if per_ns < rate_per_ns { (per_ns, by_station) } else { (rate_per_ns, 1.0) };
    let score = per_ns.ln() + 1e9_f64.ln();
    let ready_ns = task.ready_ns + own_start_ns(engine);
    Expected {
        score: setting.tasks.map_or(score, |tasks| super::of_all_tasks(score, tasks, ready_ns)),
        by_cores,
        queues,
        at_cores: false,
    }
}

/// The same of a cluster: a thread of its workers runs a task at a time, faster or slower than this host does; each call
/// of some tasks takes its way there and back, and one scheduler hands them all out.
fn expected_of_cluster(cluster: &ClusterLimits, sizes: Sizes, task: &Task, setting: &Setting) -> Expected {
    let tasks_of = |calls: f64| calls * sizes.chunk.map_or(1.0, f64::from);
    let chunk = tasks_of(1.0);
    let calls = (sizes.in_flight.map_or(1.0, f64::from) / chunk).floor().max(1.0);
    let cpu_ns = task.cpu_ns / cluster.speed.max(1e-3);
    let service_ns = chunk * (task.latency_ns - task.cpu_ns + cpu_ns).max(1.0);
    let threads = f64::from(cluster.threads);
    let mut limits = vec![Station::new(threads, service_ns), Station::new(1.0, 1e9 / cluster.tasks_per_s)];
    if cluster.is_here {
        limits.push(Station::new(threads.min(setting.cores), chunk * cpu_ns));
    }
    let narrowest = limits.iter().copied().min_by(|one, other| one.per_ns().total_cmp(&other.per_ns()));
    let station = narrowest.unwrap_or(limits[0]);
    let (calls_per_ns, by_station) = station.fed(calls, service_ns + cluster.round_trip_ns);
    within_rate(Engine::Dask, tasks_of(calls_per_ns), by_station, false, task, setting)
}

/// The simplest sizes of an entry that are expected to be within 4 % of its best.
pub(super) fn first(entry: &Entry, allowed: &[Sizes], task: &Task, setting: &Setting) -> Option<Sizes> {
    let score = |sizes: &Sizes| expected(entry.engine, *sizes, task, setting).score;
    let best = allowed.iter().map(score).fold(f64::NEG_INFINITY, f64::max);
    let near = allowed.iter().copied().filter(|sizes| score(sizes) >= best - 0.04);
    near.min_by_key(|sizes| entry.candidate(*sizes).simplicity())
}

/// The expected time of a block's tasks under these sizes: how long one is under way.
pub(super) fn latency_ns(entry: &Entry, sizes: Sizes, task: &Task, setting: &Setting) -> f64 {
    let under_way = f64::from(sizes.concurrency()) * f64::from(sizes.chunk.unwrap_or(1));
    (under_way * task_ns(entry, sizes, task, setting)).max(task.latency_ns)
}

/// The expected time of a block, where it runs a fixed number of tasks.
pub(super) fn batch_ns(entry: &Entry, sizes: Sizes, task: &Task, setting: &Setting) -> Option<f64> {
    Some(setting.batch? * task_ns(entry, sizes, task, setting))
}

/// The expected time from one task's end to the next one's.
fn task_ns(entry: &Entry, sizes: Sizes, task: &Task, setting: &Setting) -> f64 {
    let rate = Setting { is_throughput: true, tasks: None, ..*setting };
    1e9 / expected(entry.engine, sizes, task, &rate).score.exp()
}

/// The tasks per second that are expected of these sizes, once they run.
pub(super) fn rate_per_s(entry: &Entry, sizes: Sizes, task: &Task, setting: &Setting) -> f64 {
    expected(entry.engine, sizes, task, setting).score.exp()
}

/// Sizes that were measured, each with the cores (logarithm) that it left idle.
pub(super) type Idle = [(Sizes, f64)];

/// The mean and the covariance of some sizes of one engine; `anchor` is where its path begins, `scale` widens it.
pub(super) fn prior(
    entry: &Entry,
    sizes: &[Sizes],
    anchor: Sizes,
    scale: f64,
    task: &Task,
    setting: &Setting,
    idle: &Idle,
) -> (Vec<f64>, Matrix) {
    let expected: Vec<Expected> = sizes.iter().map(|one| expected(entry.engine, *one, task, setting)).collect();
    let paths: Vec<Path> =
        Axis::ALL.into_iter().filter_map(|axis| Path::new(axis, entry, anchor, task, setting, idle)).collect();
    let mut covariance = Matrix::zero(sizes.len());
    let (latency, cpu) =
        if setting.is_throughput { (LATENCY_OFFSET, CPU_OFFSET) } else { (UNKNOWN_OFFSET, UNKNOWN_OFFSET) };
    for (row, one) in expected.iter().enumerate() {
        for (column, other) in expected.iter().enumerate() {
            let offsets = (1.0 - one.by_cores) * (1.0 - other.by_cores) * latency.powi(2)
                + one.by_cores * other.by_cores * cpu.powi(2);
            let shared: f64 = paths.iter().map(|path| path.covariance(sizes[row], sizes[column])).sum();
            let own = if row == column { NUGGET.powi(2) } else { 0.0 };
            covariance.add(row, column, (offsets + shared) * scale + own);
        }
    }
    let lifted =
        |(one, sizes): (&Expected, &Sizes)| one.score + paths.iter().map(|path| path.lift(*sizes)).sum::<f64>();
    (expected.iter().zip(sizes).map(lifted).collect(), covariance)
}

/// The cores (logarithm of a ratio) that an engine with a fixed number of threads leaves to others, however much is in flight.
fn unreachable_cores(engine: Engine, sizes: Sizes, setting: &Setting) -> f64 {
    let has_fixed_threads = matches!(engine.model(), Model::Async | Model::ShardedAsync);
    let threads = sizes.workers.map_or(1.0, f64::from) * setting.task_threads;
    if has_fixed_threads { (setting.cores / threads.min(setting.cores).max(1e-3)).ln().max(0.0) } else { 0.0 }
}

/// A Brownian path over the rungs of one axis.
struct Path<'a> {
    axis: Axis,
    ladder: &'a [u32],
    /// The variance from the first rung to each; ascending.
    variance: Vec<f64>,
    /// What is expected of idle cores from the first rung to each.
    lift: Vec<f64>,
    /// That of the anchor.
    anchor: f64,
}

impl<'a> Path<'a> {
    fn new(
        axis: Axis,
        entry: &'a Entry,
        anchor: Sizes,
        task: &Task,
        setting: &Setting,
        idle: &Idle,
    ) -> Option<Path<'a>> {
        let ladder = axis.ladder(entry);
        if ladder.is_empty() {
            return None;
        }
        let of = |size: u32| expected(entry.engine, axis.with(anchor, size), task, setting);
        // What a lock leaves idle, more tasks do not use.
        let may_use = setting.is_throughput && !shares_lock(entry.engine, setting);
        // Cores that an engine's own threads cannot use, more tasks under way do not use either.
        let out_of_reach = if axis == Axis::InFlight { unreachable_cores(entry.engine, anchor, setting) } else { 0.0 };
        let idle_at = |size: u32| {
            let there = idle.iter().filter(|(sizes, _)| axis.of(*sizes) == Some(size));
            (there.map(|(_, idle)| *idle).reduce(f64::min).unwrap_or(0.0) - out_of_reach).max(0.0)
        };
        let (mut variance, mut lift) = (vec![0.0], vec![0.0]);
        for pair in ladder.windows(2) {
            let doublings = (f64::from(pair[1]) / f64::from(pair[0].max(1))).log2();
            let (one, other) = (of(pair[0]), of(pair[1]));
            let gain = (other.score - one.score).abs();
            let flat = match (setting.is_throughput, one.queues) {
                (false, _) => UNKNOWN_RUNG,
                (true, true) => QUEUEING_RUNG,
                (true, false) => FLAT_RUNG,
            };
            let mut deviation = flat * doublings.sqrt() + STEEP_RUNG * gain;
            let uses = may_use && one.queues && one.at_cores && other.score > one.score;
            let idle = if uses { idle_at(pair[0]) } else { 0.0 };
            deviation = deviation.max(IDLE_RUNG.1 * idle);
            lift.push(lift.last().copied().unwrap_or(0.0) + IDLE_RUNG.0 * idle);
            let is_second = axis == Axis::Workers && pair[0] == 1;
            let may_hold = setting.has_lock && !task.computes_elsewhere();
            if may_hold && is_second && entry.engine.model() == Model::Threads {
                deviation = deviation.max(LOCK_RUNG);
            }
            variance.push(variance.last().copied().unwrap_or(0.0) + deviation.powi(2));
        }
        let mut path = Path { axis, ladder, variance, lift, anchor: 0.0 };
        path.anchor = path.at(anchor);
        Some(path)
    }

    fn rung(&self, sizes: Sizes) -> usize {
        let size = self.axis.of(sizes).unwrap_or(0);
        self.ladder.iter().position(|one| *one >= size).unwrap_or(self.ladder.len() - 1)
    }

    fn at(&self, sizes: Sizes) -> f64 {
        self.variance[self.rung(sizes)]
    }

    fn lift(&self, sizes: Sizes) -> f64 {
        self.lift[self.rung(sizes)]
    }

    /// Two sizes on the same side of the anchor share the path up to the nearer one.
    fn covariance(&self, one: Sizes, other: Sizes) -> f64 {
        let (one, other) = (self.at(one) - self.anchor, self.at(other) - self.anchor);
        if one * other > 0.0 { one.abs().min(other.abs()) } else { 0.0 }
    }
}

/// The sizes of an entry that are allowed: those no larger than ones that broke a limit.
pub(super) fn allowed(entry: &Entry, broken: &[Sizes]) -> Vec<Sizes> {
    let is_allowed = |sizes: &Sizes| !broken.iter().any(|one| grid::is_at_least(*sizes, *one));
    grid::all(entry).into_iter().filter(is_allowed).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::candidate::RUST;

    const SETTING: Setting = Setting {
        cores: 2.0,
        has_lock: false,
        task_threads: 1.0,
        is_async: true,
        is_throughput: true,
        serial_ns: 0.0,
        section_ns: 0.0,
        tasks: None,
        batch: None,
        has_setup: false,
        rate_per_s: None,
        cluster: None,
    };

    fn entry(engine: Engine) -> Entry {
        let ladder = |is_there: bool| if is_there { vec![1, 2, 4, 8, 16, 32, 64] } else { Vec::new() };
        let axes = engine.axes();
        Entry {
            runtime: RUST.to_owned(),
            engine,
            start_method: None,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: ladder(axes.in_flight),
            workers: ladder(axes.workers),
            chunk: if axes.chunk { vec![1, 4, 16, 64] } else { Vec::new() },
        }
    }

    fn first_of(engine: Engine, latency_ns: f64, cpu_ns: f64) -> String {
        let entry = entry(engine);
        let task = Task { latency_ns, cpu_ns, ..Task::default() };
        first(&entry, &allowed(&entry, &[]), &task, &SETTING).expect("there are sizes").to_string()
    }

    #[test]
    fn the_first_size_is_the_one_that_theory_names() {
        assert_eq!(first_of(Engine::ThreadPool, 2e6, 2e6), "w2");
        assert_eq!(first_of(Engine::ThreadPool, 20e6, 1e4), "w64");
        assert_eq!(first_of(Engine::TokioCurrentThread, 20e6, 1e4), "f64");
        // 10 ms of which 1 ms computes: two cores are full with some twenty in flight.
        assert_eq!(first_of(Engine::ThreadPool, 10e6, 1e6), "w32");
        assert_eq!(first_of(Engine::TokioMultiThread, 2e6, 2e6), "w2,f2");
        assert_eq!(first_of(Engine::Sequential, 2e6, 2e6), "");
    }

    #[test]
    fn a_section_that_runs_alone_is_a_limit() {
        // 8 ms outside a lock and 2 ms inside it: five in flight reach what the lock allows.
        let (entry, task) = (entry(Engine::ThreadPool), Task { latency_ns: 10e6, cpu_ns: 5e4, ..Task::default() });
        let setting = Setting { serial_ns: 2e6, ..SETTING };
        let found = first(&entry, &allowed(&entry, &[]), &task, &setting).expect("there are sizes");
        assert_eq!(found.to_string(), "w8");
    }

    #[test]
    fn tasks_wait_for_each_other_at_a_section_that_is_not_the_limit() {
        // 400 us on two cores, of which a queue's one consumer takes 100: two tasks under way leave cores idle, four do not.
        let (entry, task) = (entry(Engine::TokioMultiThread), Task { latency_ns: 4e5, cpu_ns: 4e5, ..Task::default() });
        let at = |setting: &Setting, in_flight: u32| {
            let sizes = Sizes { workers: Some(2), in_flight: Some(in_flight), ..Sizes::default() };
            expected(Engine::TokioMultiThread, sizes, &task, setting)
        };
        let with = Setting { section_ns: 1e5, serial_ns: 1e5, ..SETTING };
        let gain = at(&with, 4).score - at(&with, 2).score;
        assert!((0.02..0.2).contains(&gain) && at(&with, 2).queues, "{gain}");
        // Far beyond, cores are full and nothing changes any more.
        assert!(!at(&with, 64).queues);
        assert!((at(&SETTING, 4).score - at(&SETTING, 2).score).abs() < 0.01 && !at(&SETTING, 2).queues);
        let found = first(&entry, &allowed(&entry, &[]), &task, &with).expect("there are sizes");
        assert_eq!(found.to_string(), "w2,f4");
    }

    #[test]
    fn a_loop_of_one_thread_gains_nothing_from_cores_that_it_cannot_use() {
        let of = |engine: Engine, workers: Option<u32>| {
            unreachable_cores(engine, Sizes { workers, ..Sizes::default() }, &SETTING)
        };
        assert!((of(Engine::TokioCurrentThread, None) - 2.0_f64.ln()).abs() < 1e-9);
        assert!(of(Engine::TokioMultiThread, Some(2)).abs() < 1e-9);
        assert!(of(Engine::ThreadPerTask, None).abs() < 1e-9);
    }

    #[test]
    fn mean_value_analysis_knows_its_two_ends() {
        assert!(wait_ns(100.0, 400.0, 1.0).abs() < 1e-9);
        // Two tasks: an arriving one finds the other there for a quarter of the time.
        assert!((wait_ns(100.0, 400.0, 2.0) - 25.0).abs() < 1e-9);
        // Many: the section is always busy, and a task waits for nearly all others.
        assert!((wait_ns(100.0, 400.0, 200.0) - (200.0 * 100.0 - 400.0)).abs() < 1.0);
        assert!(wait_ns(0.0, 400.0, 8.0).abs() < 1e-9);
    }

    #[test]
    fn a_stated_rate_is_a_limit() {
        // 100 ms at 50 a second: five in flight reach it.
        let (entry, task) = (entry(Engine::ThreadPool), Task { latency_ns: 100e6, cpu_ns: 5e4, ..Task::default() });
        let setting = Setting { rate_per_s: Some(50.0), ..SETTING };
        let found = first(&entry, &allowed(&entry, &[]), &task, &setting).expect("there are sizes");
        assert_eq!(found.to_string(), "w8");
    }

    #[test]
    fn a_cluster_is_limited_by_its_threads_its_scheduler_and_the_way_there() {
        let cluster = ClusterLimits { round_trip_ns: 5e6, speed: 2.0, ..ClusterLimits::of_tests() };
        let rate = |cluster: ClusterLimits, task_ns: f64, in_flight: u32, chunk: u32| {
            let sizes = Sizes { in_flight: Some(in_flight), chunk: Some(chunk), ..Sizes::default() };
            let task = Task { latency_ns: task_ns, cpu_ns: task_ns, ..Task::default() };
            expected(Engine::Dask, sizes, &task, &Setting { cluster: Some(cluster), ..SETTING }).score.exp()
        };
        let is_near = |found: f64, wanted: f64| assert!((found / wanted - 1.0).abs() < 0.02, "{found} {wanted}");
        // A thread there computes twice as fast: 20 ms here are 10 ms there.
        is_near(rate(cluster, 20e6, 1, 1), 1e9 / 15e6);
        is_near(rate(cluster, 20e6, 64, 1), 8e9 / 10e6);
        is_near(rate(cluster, 0.2e6, 64, 1), 1000.0);
        // One call hands over sixteen.
        is_near(rate(cluster, 0.2e6, 1024, 16), 16.0 * 1000.0);
        // Workers on this host share its two cores.
        is_near(rate(ClusterLimits { is_here: true, speed: 1.0, ..cluster }, 20e6, 64, 1), 2e9 / 20e6);
    }

    #[test]
    fn tasks_that_wait_and_compute_queue_where_both_limits_meet() {
        // 8 ms of waiting and 1 ms on two cores: the limits meet at 18 under way.
        let station = Station::new(2.0, 1e6);
        let (alone, _) = station.fed(1.0, 9e6);
        assert!((alone * 9e6 - 1.0).abs() < 1e-9);
        let part = |wide: f64| station.fed(wide, 9e6).0 / (wide / 9e6).min(station.per_ns());
        assert!((0.8..0.95).contains(&part(18.0)), "{}", part(18.0));
        assert!(part(4.0) > 0.98 && part(40.0) > 0.98, "{} {}", part(4.0), part(40.0));
        // What only computes does not: each worker has its core.
        assert!((station.fed(2.0, 1e6).0 - station.per_ns()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_queue_stays_below_both_limits_and_grows_with_what_is_under_way(
            cores in 0.3..8.0_f64, cpu_ns in 1e3..1e7_f64, waiting_ns in 0.0..1e8_f64, wide in 1.0..300.0_f64,
        ) {
            let station = Station::new(cores, cpu_ns);
            let latency_ns = waiting_ns + cpu_ns / cores.min(1.0);
            let (per_ns, share) = station.fed(wide, latency_ns);
            prop_assert!(per_ns > 0.0 && (0.0..=1.0).contains(&share));
            prop_assert!(per_ns <= (wide / latency_ns).min(station.per_ns()) * (1.0 + 1e-9));
            prop_assert!(station.fed(wide + 1.0, latency_ns).0 >= per_ns * (1.0 - 1e-9));
        }
    }

    #[test]
    fn chunks_that_do_not_come_out_even_leave_workers_idle() {
        // Sixty tasks on two workers: in chunks of 8 one has four of them, in chunks of 16 two of them, too.
        assert_eq!([1.0, 8.0, 16.0, 64.0].map(|chunk| at_once(60.0, 2.0, chunk)), [2.0, 60.0 / 32.0, 60.0 / 32.0, 1.0]);
        assert_eq!(at_once(3.0, 64.0, 1.0), 3.0);
    }

    #[test]
    fn few_tasks_do_not_pay_for_a_pool() {
        let task = Task { latency_ns: 4e6, cpu_ns: 4e6, ready_ns: 400e6, ..Task::default() };
        let gain = |tasks| {
            let setting = Setting { has_lock: true, tasks: Some(tasks), ..SETTING };
            let two = Sizes { workers: Some(2), chunk: Some(16), ..Sizes::default() };
            let score = |engine, sizes| expected(engine, sizes, &task, &setting).score;
            score(Engine::MultiprocessingPool, two) - score(Engine::Sequential, Sizes::default())
        };
        assert!(gain(30.0) < 0.01, "{}", gain(30.0));
        assert!((gain(100_000.0) - 2.0_f64.ln()).abs() < 0.05, "{}", gain(100_000.0));
    }

    #[test]
    fn a_program_that_computes_for_a_task_holds_no_lock() {
        let setting = Setting { has_lock: true, ..SETTING };
        let score = |children_ns, workers| {
            let task = Task { latency_ns: 24e6, cpu_ns: 22e6, children_ns, ..Task::default() };
            let sizes = Sizes { workers: Some(workers), ..Sizes::default() };
            expected(Engine::ThreadPoolExecutor, sizes, &task, &setting).score
        };
        // Of what the task computes itself half a core is expected of the second thread, of a program a whole one.
        assert!((score(0.0, 2) - score(0.0, 1) - 1.5_f64.ln()).abs() < 0.1);
        assert!((score(20e6, 2) - score(20e6, 1) - 2.0_f64.ln()).abs() < 0.1);
    }

    #[test]
    fn libraries_that_use_all_cores_leave_none_to_a_second_worker() {
        // Two threads compute for 2 ms each.
        let task = Task { latency_ns: 2e6, cpu_ns: 4e6, ..Task::default() };
        let score = |engine, workers: Option<u32>, has_lock, task: Task, task_threads| {
            let setting = Setting { has_lock, task_threads, ..SETTING };
            let chunk = workers.map(|_| 16);
            expected(engine, Sizes { workers, chunk, ..Sizes::default() }, &task, &setting).score
        };
        let own = |engine, workers| score(engine, workers, true, task, 2.0);
        for engine in [Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor] {
            assert!((own(engine, Some(2)) - own(engine, Some(1))).abs() < 0.1, "{engine}");
            assert!((own(engine, Some(1)) - own(Engine::Sequential, None)).abs() < 0.2, "{engine}");
        }
        // With one thread each, two workers make up for it.
        let one = |engine, workers| score(engine, workers, false, task.with_one_thread(), 1.0);
        assert!((own(Engine::Sequential, None) - one(Engine::Sequential, None) - 2.0_f64.ln()).abs() < 0.1);
        assert!((one(Engine::ProcessPoolExecutor, Some(2)) - own(Engine::Sequential, None)).abs() < 0.1);
    }

    #[test]
    fn a_size_that_broke_a_limit_rules_out_the_larger_ones() {
        let entry = entry(Engine::ThreadPool);
        let broken = Sizes { workers: Some(8), ..Sizes::default() };
        assert_eq!(allowed(&entry, &[broken]).len(), 3);
    }

    /// The variance of what 32 in flight gain over 16, where two workers left so much of the cores idle.
    fn deviation_of_next(engine: Engine, has_lock: bool, idle: f64) -> f64 {
        let entry = entry(engine);
        let of = |size| match engine.axes().in_flight {
            true => Sizes { workers: Some(2), in_flight: Some(size), chunk: None },
            false => Sizes { workers: Some(size), ..Sizes::default() },
        };
        let sizes = [of(16), of(32)];
        let task = Task { latency_ns: 9.3e6, cpu_ns: 1.3e6, ..Task::default() };
        let setting = Setting { has_lock, ..SETTING };
        let (_, covariance) = prior(&entry, &sizes, sizes[0], 1.0, &task, &setting, &[(sizes[0], idle)]);
        covariance.at(0, 0) + covariance.at(1, 1) - 2.0 * covariance.at(0, 1)
    }

    #[test]
    fn a_size_that_leaves_cores_idle_rules_out_no_larger_one() {
        assert!(
            deviation_of_next(Engine::ShardedAsyncio, true, 0.4)
                > deviation_of_next(Engine::ShardedAsyncio, true, 0.0) + 0.02
        );
        // What a lock leaves idle, more threads do not use.
        assert_eq!(
            deviation_of_next(Engine::ThreadPoolExecutor, true, 0.4).to_bits(),
            deviation_of_next(Engine::ThreadPoolExecutor, true, 0.0).to_bits()
        );
        assert!(
            deviation_of_next(Engine::ThreadPoolExecutor, false, 0.4)
                > deviation_of_next(Engine::ThreadPoolExecutor, false, 0.0)
        );
    }

    #[test]
    fn rungs_that_gain_nothing_are_tight_and_the_prior_is_a_covariance() {
        let entry = entry(Engine::ThreadPool);
        let sizes = grid::all(&entry);
        let task = Task { latency_ns: 2e6, cpu_ns: 2e6, ..Task::default() };
        let anchor = Sizes { workers: Some(2), ..Sizes::default() };
        let (mean, covariance) = prior(&entry, &sizes, anchor, 1.0, &task, &SETTING, &[]);
        assert!(covariance.cholesky().is_some());
        let between = |one: usize, other: usize| {
            (covariance.at(one, one) + covariance.at(other, other) - 2.0 * covariance.at(one, other)).sqrt()
        };
        assert!(between(1, 2) < 0.03, "{}", between(1, 2));
        assert!(between(0, 1) > 0.1, "{}", between(0, 1));
        assert!(mean[1] - mean[0] > 0.5);
    }
}
