//! The throughput that the host allows at best for a task, whatever the engine.

use super::figures::Figures;
use super::{HostLimit, LimitKind};
use crate::record::Record;
use crate::workload::{Cpu, Load, Step, Work};

/// What the limit is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Task {
    /// The mean service time with one task in flight.
    pub(super) unloaded_ns: Option<f64>,
    /// The least CPU time per task of any candidate.
    pub(super) cpu_ns: Option<f64>,
    /// The longest section that runs one task at a time.
    pub(super) serial: Option<Serial>,
    /// Cores that independent loops really got.
    pub(super) cores: f64,
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
    let least = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|value| value.is_finite() && *value > 0.0).min_by(f64::total_cmp)
    };
    let alone = figures.iter().filter(|one| one.row.candidate.sizes.concurrency() == 1);
    Task {
        unloaded_ns: least(&mut alone.filter_map(|one| one.mean_service_ns)),
        cpu_ns: least(&mut figures.iter().filter_map(Figures::cpu_ns_per_task)),
        serial: serial(record),
        cores: record
            .calibration
            .usable_cores
            .filter(|cores| cores.is_finite() && *cores > 0.0)
            .unwrap_or_else(|| f64::from(record.host.usable_cpus())),
    }
}

/// The smallest of the limits that apply; `None` when none is known.
pub(super) fn limit(record: &Record, task: &Task) -> Option<HostLimit> {
    let load = record.workload.load;
    let in_flight = match load {
        Load::Batch { tasks, max_in_flight } => tasks.min(max_in_flight),
        Load::Closed { max_in_flight } => max_in_flight,
    };
    let cores = task.cpu_ns.map(|cpu| (task.cores * 1e9 / cpu, LimitKind::Cores));
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
fn serial(record: &Record) -> Option<Serial> {
    let of_step = |(position, step): (usize, &Step)| {
        let (work, is_lock) = match step {
            Step::Lock { hold } => (hold, true),
            Step::Queue { stage, .. } => (stage, false),
            _ => return None,
        };
        let time_ns = match work {
            Work::Wait { time } => time.mean_ns(),
            Work::Cpu(cpu) => cpu_time_ns(record, position, cpu)?,
        };
        (time_ns.is_finite() && time_ns > 0.0).then_some(Serial { time_ns, is_lock })
    };
    let steps = record.workload.steps.iter().enumerate();
    steps.filter_map(of_step).max_by(|a, b| a.time_ns.total_cmp(&b.time_ns))
}

/// The unloaded time of a step's computation: as calibrated, else as its user wrote it.
fn cpu_time_ns(record: &Record, position: usize, cpu: &Cpu) -> Option<f64> {
    let calibration = &record.calibration;
    let calibrated = || {
        let iteration = calibration.iteration_ns.get(position).copied().flatten()?;
        Some(iteration * *calibration.iterations.get(position)? as f64)
    };
    calibrated().or(cpu.time_ns.map(|time| time as f64))
}
