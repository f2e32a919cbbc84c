//! Bencher Metric Format: for each series its measures, each a value with the ends of its interval where there is one.
//!
//! `throughput` (tasks per second) and `latency` (the median of service times, ns) are the measures that each project of
//! Bencher has; the others it makes when it sees them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::ExportError;
use super::series::points;
use crate::analyze::{Estimate, Row};
use crate::report::Judged;

/// One figure. Without an interval it has none of its ends.
#[derive(Serialize)]
pub(in crate::report) struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

impl Metric {
    fn of(value: f64) -> Metric {
        Metric { value, lower_value: None, upper_value: None }
    }

    /// A value between the ends of its interval.
    pub(in crate::report) fn between(Estimate { value, low, high }: Estimate) -> Metric {
        Metric { value, lower_value: Some(low), upper_value: Some(high) }
    }
}

/// The series of these records.
pub(super) fn text(all: &[Judged]) -> Result<String, ExportError> {
    let series: BTreeMap<String, BTreeMap<&str, Metric>> =
        points(all).into_iter().map(|point| (point.name, measures(point.row))).collect();
    Ok(serde_json::to_string_pretty(&series)? + "\n")
}

fn measures(row: &Row) -> BTreeMap<&'static str, Metric> {
    let cpu = row.cpu_ns_per_task();
    let found = [
        ("throughput", row.throughput_per_s.map(Metric::between)),
        ("latency", row.service.p50_ns.map(|ns| Metric::of(ns as f64))),
        ("latency-p99", row.service.p99_ns.map(|ns| Metric::of(ns as f64))),
        ("cpu-time-per-task", cpu.map(Metric::of)),
        ("memory", row.memory_bytes.map(|bytes| Metric::of(bytes as f64))),
    ];
    found.into_iter().filter_map(|(name, metric)| Some((name, metric?))).collect()
}
