//! The figures of one candidate.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{Estimate, Percentiles, Row, Status};
use crate::candidate::{Candidate, Engine, StartMethod};
use crate::protocol::{FailureKind, HistogramData, Serialisation, Usage};
use crate::record::{BlockRecord, CandidateRecord, Record};
use crate::stats::{Interval, interval_across_lives, median, merged, percentile};
use crate::workload::Load;

/// A candidate's row, with what else the comparison needs of it.
#[derive(Clone)]
pub(super) struct Figures {
    /// Its `status`, `relative` and `limit_share` are not final yet.
    pub(super) row: Row,
    /// The mean service time.
    pub(super) mean_service_ns: Option<f64>,
    /// Histograms that do not decode.
    pub(super) unreadable: usize,
}

/// Memory that a candidate's tree took in each memory block, without the baseline.
pub(super) fn memory(record: &Record, candidate: &CandidateRecord) -> Vec<f64> {
    let baseline = record.calibration.baseline_bytes(&candidate.candidate.runtime);
    let samples = candidate.blocks.iter().filter_map(|block| block.memory);
    samples.map(|sample| sample.memory_bytes.saturating_sub(baseline) as f64).collect()
}

/// The histograms of these texts in one, with the number of those that cannot be read. An empty text is an
/// empty histogram.
pub(super) fn pooled<'a>(texts: impl Iterator<Item = &'a HistogramData>) -> (Option<Histogram<u64>>, usize) {
    let decoded: Vec<_> = texts.map(HistogramData::decode).collect();
    let unreadable = decoded.iter().filter(|one| one.is_err()).count();
    match merged(decoded.iter().flatten()) {
        Ok(all) => (all.filter(|all| !all.is_empty()), unreadable),
        Err(_incompatible) => (None, decoded.len()),
    }
}

/// The figures of candidate `index` of a record.
pub(super) fn of(record: &Record, index: usize) -> Figures {
    let candidate = &record.candidates[index];
    let blocks: Vec<&BlockRecord> = candidate.timed().collect();
    let (service, unreadable) = pooled(blocks.iter().map(|block| &block.figures.service));
    let (queueing, unreadable_too) = pooled(blocks.iter().map(|block| &block.figures.queueing));
    let tasks: u64 = blocks.iter().fold(0, |sum, block| sum.saturating_add(block.figures.tasks));
    let per_task = |total: &dyn Fn(Usage) -> u64| {
        let total = blocks.iter().fold(0_u64, |sum, block| sum.saturating_add(total(block.figures.usage)));
        (tasks > 0).then(|| total as f64 / tasks as f64)
    };
    let server: Option<u64> = blocks.iter().filter_map(|block| block.server_cpu_ns).reduce(u64::saturating_add);
    let lives = &candidate.lives;
    let cold_lives = || lives.iter().filter(|life| !life.warm);
    let middle = |times: Vec<f64>| median(&times).map(|time| time.round() as u64);
    let row = Row {
        index: index as u32,
        candidate: candidate.candidate.clone(),
        status: Status::Superseded,
        blocks: blocks.len() as u32,
        lives: lives.len() as u32,
        throughput_per_s: throughput(&blocks),
        relative: None,
        service: percentiles(service.as_ref()),
        queueing: percentiles(queueing.as_ref()),
        boot_ns: middle(cold_lives().map(|life| life.boot_ns as f64).collect()),
        ready_ns: middle(cold_lives().map(|life| life.ready_ns as f64).collect()),
        startup_ns: middle(cold_lives().map(|life| life.startup_ns as f64).collect()),
        teardown_ns: middle(lives.iter().filter_map(|life| life.teardown_ns).map(|time| time as f64).collect()),
        cpu_user_ns_per_task: per_task(&|usage| usage.user_ns),
        cpu_system_ns_per_task: per_task(&|usage| usage.system_ns),
        cpu_children_ns_per_task: per_task(&|usage| usage.children_ns),
        voluntary_switches_per_task: per_task(&|usage| usage.voluntary_switches),
        involuntary_switches_per_task: per_task(&|usage| usage.involuntary_switches),
        server_cpu_ns_per_task: server.filter(|_| tasks > 0).map(|server| server as f64 / tasks as f64),
        memory_bytes: middle(memory(record, candidate)),
        file_pages_bytes: middle(
            candidate.blocks.iter().filter_map(|block| Some(block.memory?.file_pages_bytes as f64)).collect(),
        ),
        limit_share: None,
        undominated: false,
        longest_stall_ns: candidate.blocks.iter().filter_map(|block| block.figures.longest_stall_ns).max(),
        serialisation_bytes_per_task: serialised(record, candidate, |it| it.bytes_per_task),
        serialisation_ns_per_task: serialised(record, candidate, |it| it.ns_per_task),
        is_own_chunk: is_own_chunk(record, &candidate.candidate),
        errors: candidate.failed_tasks().errors,
        checked: checked(record, candidate),
    };
    Figures { row, mean_service_ns: service.map(|all| all.mean()), unreadable: unreadable + unreadable_too }
}

fn is_own_chunk(record: &Record, candidate: &Candidate) -> bool {
    let Load::Batch { tasks, .. } = record.workload.load else { return false };
    let own = candidate.sizes.workers.and_then(|workers| candidate.engine.own_chunk(workers, tasks));
    own.is_some() && own == candidate.sizes.chunk
}

/// The median over the blocks in which pickling was measured; else what it takes by the parts that the reference knows.
fn serialised(record: &Record, place: &CandidateRecord, figure: impl Fn(Serialisation) -> f64) -> Option<f64> {
    let measured: Vec<f64> = place.blocks.iter().filter_map(|block| block.figures.serialisation).map(&figure).collect();
    median(&measured).or_else(|| pickled(record, &place.candidate).map(figure))
}

/// What a candidate pickles of the user's own code, by what its parts take once; `None` where nothing crosses, or
/// where that is not known.
pub(super) fn pickled(record: &Record, candidate: &Candidate) -> Option<Serialisation> {
    if !candidate.engine.crosses() {
        return None;
    }
    let parts = record.calibration.runtime(&candidate.runtime)?.serialisation?;
    // A forked process inherits what it is to do.
    let inherits = candidate.engine == Engine::Process && candidate.start_method == Some(StartMethod::Fork);
    let parts = if inherits { Serialisation { callable: None, item: None, ..parts } } else { parts };
    Some(parts.shared_by(candidate.sizes.chunk.unwrap_or(1)))
}

fn checked(record: &Record, candidate: &CandidateRecord) -> Option<bool> {
    let is_wrong = candidate.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Checksum);
    if is_wrong {
        return Some(false);
    }
    let checks = record.calibration.runtime(&candidate.candidate.runtime).is_some_and(|runtime| runtime.checked);
    // A block with tasks that failed is compared with nothing.
    let was_compared = candidate.blocks.iter().any(|block| block.figures.errors == 0);
    (checks && was_compared).then_some(true)
}

/// The trimmed mean of the blocks' throughput. A single block has the interval of a count of its tasks
/// (Poisson), which says too much rather than too little of a regular one.
pub(super) fn throughput(blocks: &[&BlockRecord]) -> Option<Estimate> {
    let mut lives: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for block in blocks {
        lives.entry(block.life).or_default().push(block.figures.throughput_per_s());
    }
    let lives: Vec<Vec<f64>> = lives.into_values().collect();
    let interval = interval_across_lives(&lives, 0.95).or_else(|| {
        let block = blocks.first()?;
        let value = block.figures.throughput_per_s();
        Some(Interval::around(value, 1.96 * value / block.figures.tasks_in_window.max(1.0).sqrt()))
    })?;
    estimate(Interval { low: interval.low.max(0.0), ..interval })
}

/// An interval on the wire; `None` when it has an end that JSON cannot hold.
pub(super) fn estimate(interval: Interval) -> Option<Estimate> {
    let Interval { value, low, high } = interval;
    [value, low, high].iter().all(|one| one.is_finite()).then_some(Estimate { value, low, high })
}

fn percentiles(histogram: Option<&Histogram<u64>>) -> Percentiles {
    let Some(histogram) = histogram else {
        return Percentiles::default();
    };
    Percentiles {
        samples: histogram.len(),
        p50_ns: percentile(histogram, 0.5),
        p90_ns: percentile(histogram, 0.9),
        p99_ns: percentile(histogram, 0.99),
        p999_ns: percentile(histogram, 0.999),
        max_ns: Some(histogram.max()),
    }
}
