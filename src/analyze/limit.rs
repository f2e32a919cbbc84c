//! The throughput that the host allows at best for a task, whatever the engine.

use super::figures::Figures;
use super::{HostLimit, LimitKind, disturbance, least_cpu};
use crate::record::Record;
use crate::workload::{Cpu, Distribution, Load, Step, Work};

/// Tasks whose mean says enough of a distribution with a long tail: half a table of draws.
const ENOUGH_DRAWS: u64 = 512;

/// What the limit is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Task {
    /// The mean service time with one task in flight.
    pub(super) unloaded_ns: Option<f64>,
    /// The least CPU time per task of any candidate whose libraries compute with as many threads as those of the one that
    /// `unloaded_ns` is of, at the speed that the host had for that one: with fewer threads, a task may take far less.
    pub(super) cpu_ns: Option<f64>,
    /// What of it was used by programs that the task started.
    pub(super) children_ns: f64,
    /// The least CPU time per task of any candidate and of the embedded server, which shares its cores, at the speed that
    /// the host had for the candidate with most blocks.
    pub(super) cpu_with_server_ns: Option<f64>,
    /// The longest section that runs one task at a time.
    pub(super) serial: Option<Serial>,
    /// Cores that independent loops really got.
    pub(super) cores: f64,
    /// The share of the host's CPU time that others took, where it is beyond bearing: a task waits for its turn, too.
    pub(super) taken: f64,
}

/// A section that runs one task at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Serial {
    pub(super) time_ns: f64,
    /// Whether it is a lock; else the consumer of a queue.
    pub(super) is_lock: bool,
}

/// What is known of one task, from the candidates of one runtime that did not fail.
pub(super) fn task(record: &Record, figures: &[Figures]) -> Task {
    let unloaded = unloaded(record, figures);
    let libraries = |one: &Figures| one.row.candidate.library_threads;
    let is_like_it = |one: &&Figures| unloaded.is_none_or(|alone| libraries(one) == libraries(alone));
    let like_it: Vec<&Figures> = figures.iter().filter(is_like_it).collect();
    let is_counted = !record.leaves_children_uncounted();
    let index = |one: &Figures| one.row.index;
    let alone = unloaded.and_then(|alone| like_it.iter().position(|one| index(one) == index(alone)));
    let frugal = alone
        .or_else(|| least_cpu::best_known(&like_it))
        .filter(|_| is_counted)
        .and_then(|reference| least_cpu::beside(record, &like_it, reference, least_cpu::own));
    let all: Vec<&Figures> = figures.iter().collect();
    let with_server = least_cpu::best_known(&all)
        .and_then(|reference| least_cpu::beside(record, &all, reference, least_cpu::with_server));
    Task {
        unloaded_ns: unloaded.and_then(|one| one.mean_service_ns),
        cpu_ns: frugal.map(|(cpu_ns, _)| cpu_ns),
        children_ns: frugal.and_then(|(_, at)| like_it[at].row.cpu_children_ns_per_task).unwrap_or(0.0),
        cpu_with_server_ns: with_server.map(|(cpu_ns, _)| cpu_ns),
        serial: serial(record, figures),
        cores: record
            .calibration
            .usable_cores
            .filter(|cores| cores.is_finite() && *cores > 0.0)
            .unwrap_or_else(|| f64::from(record.host.usable_cpus())),
        taken: disturbance::taken(record),
    }
}

/// Who has the unloaded service time of a task: the least mean among those with one task in flight. Where tasks
/// draw their times, a few of them say little of the mean, and waiting is not slowed by load: then it is
/// the least mean among those that ran enough tasks, whatever they had in flight.
fn unloaded<'a>(record: &Record, figures: &'a [Figures]) -> Option<&'a Figures> {
    let steps = &record.workload.steps;
    let is_fixed = |step: &Step| step.distributions().iter().all(|it| matches!(it, Distribution::Fixed { .. }));
    let least = |of: &mut dyn Iterator<Item = &'a Figures>| {
        let timed = of.filter_map(|one| Some((one, one.mean_service_ns.filter(|time| *time > 0.0)?)));
        timed.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(one, _)| one)
    };
    let alone = least(&mut figures.iter().filter(|one| one.row.candidate.sizes.concurrency() == 1));
    if steps.iter().all(is_fixed) {
        return alone;
    }
    least(&mut figures.iter().filter(|one| one.row.service.samples >= ENOUGH_DRAWS)).or(alone)
}

/// The smallest of the limits that apply; `None` when none is known, or when it is not known whether cores are one.
pub(super) fn limit(record: &Record, task: &Task) -> Option<HostLimit> {
    if record.leaves_children_uncounted() {
        return None;
    }
    let load = record.workload.load;
    let in_flight = match load {
        Load::Batch { tasks, max_in_flight } => tasks.min(max_in_flight),
        Load::Closed { max_in_flight } => max_in_flight,
    };
    let cores = task.cpu_with_server_ns.map(|cpu| (task.cores * 1e9 / cpu, LimitKind::Cores));
    let in_flight = task.unloaded_ns.map(|time| (f64::from(in_flight) * 1e9 / time, LimitKind::InFlight));
    let serial = task.serial.map(|serial| (1e9 / serial.time_ns, LimitKind::SerialSection));
    [cores, in_flight, serial]
        .into_iter()
        .flatten()
        .filter(|(throughput, _)| throughput.is_finite() && *throughput > 0.0)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(throughput_per_s, set_by)| HostLimit { throughput_per_s, set_by })
}

/// The longest lock or queue stage of a task. Each has a lock or a consumer of its own.
fn serial(record: &Record, figures: &[Figures]) -> Option<Serial> {
    let runtime = figures.first().map_or("", |one| one.row.candidate.runtime.as_str());
    let of_step = |(position, step): (usize, &Step)| {
        let (work, is_lock) = match step {
            Step::Lock { hold } => (hold, true),
            Step::Queue { stage, .. } => (stage, false),
            _ => return None,
        };
        let time_ns = match work {
            Work::Wait { time } => time.mean_ns(),
            Work::Cpu(cpu) => cpu_time_ns(record, runtime, position, cpu)?,
        };
        (time_ns.is_finite() && time_ns > 0.0).then_some(Serial { time_ns, is_lock })
    };
    let steps = record.workload.steps.iter().enumerate();
    steps.filter_map(of_step).max_by(|a, b| a.time_ns.total_cmp(&b.time_ns))
}

/// The unloaded time of a step's computation: as calibrated, else as its user wrote it.
fn cpu_time_ns(record: &Record, runtime: &str, position: usize, cpu: &Cpu) -> Option<f64> {
    let calibrated = || {
        let calibration = record.calibration.runtime(runtime)?;
        let iteration = calibration.iteration_ns.get(position).copied().flatten()?;
        Some(iteration * *calibration.iterations.get(position)? as f64)
    };
    calibrated().or(cpu.time_ns.map(|time| time as f64))
}
