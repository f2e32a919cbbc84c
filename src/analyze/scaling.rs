//! How an engine scales: its throughput at the sizes that were measured along one axis.

use std::collections::BTreeMap;

use super::{Curve, CurveAxis, CurvePoint, Row};
use crate::candidate::{Candidate, Sizes};
use crate::record::Record;

const AXES: [CurveAxis; 3] = [CurveAxis::InFlight, CurveAxis::Workers, CurveAxis::Chunk];

/// The curves of one runtime's engines, in the order of the plan: for each axis of an engine on which two or more
/// sizes were measured while the others were held, one curve.
///
/// `rows` are the runtime's; those without a throughput above zero, and those that failed, are no points.
/// `margin` is `ln(1 + m)`.
pub(super) fn curves(record: &Record, rows: &[Row], margin: f64) -> Vec<Curve> {
    let mut engines: BTreeMap<(usize, u32), (Candidate, Vec<&Row>)> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.has_failed()) {
        let engine = row.candidate.without_sizes();
        let found = engines.values_mut().find(|(known, _)| *known == engine);
        match found {
            Some((_, sizes)) => sizes.push(row),
            None => {
                engines.insert((position(record, &engine), row.index), (engine, vec![row]));
            }
        }
    }
    let of_engine = |(engine, rows): &(Candidate, Vec<&Row>)| -> Vec<Curve> {
        AXES.into_iter().filter_map(|axis| curve(engine, axis, rows, margin)).collect()
    };
    engines.values().flat_map(of_engine).collect()
}

/// Where an engine stands in the plan; behind all others if it does not.
fn position(record: &Record, engine: &Candidate) -> usize {
    // What the threads of libraries are limited to is found after the plan.
    let planned = Candidate { library_threads: None, ..engine.clone() };
    let is_it = |entry: &crate::plan::Entry| entry.candidate(Sizes::default()) == planned;
    record.plan.entries.iter().position(is_it).unwrap_or(usize::MAX)
}

/// The curve along one axis. The other sizes are held at those under which most sizes were measured; of several
/// such, at those with the largest throughput.
fn curve(engine: &Candidate, axis: CurveAxis, rows: &[&Row], margin: f64) -> Option<Curve> {
    let mut held: BTreeMap<Sizes, BTreeMap<u32, CurvePoint>> = BTreeMap::new();
    for row in rows {
        if let Some((size, others, point)) = point(row, axis) {
            held.entry(others).or_default().entry(size).or_insert(point);
        }
    }
    let best = |points: &BTreeMap<u32, CurvePoint>| points.values().map(|it| it.throughput_per_s).fold(0.0, f64::max);
    let points = held
        .into_values()
        .max_by(|one, other| one.len().cmp(&other.len()).then(best(one).total_cmp(&best(other))))
        .filter(|points| points.len() > 1)?;
    let points: Vec<CurvePoint> = points.into_values().collect();
    Some(Curve { engine: engine.short(), axis, knee: knee(&points, margin), points })
}

/// A row as a point: its size on the axis, its other sizes, and its figures.
fn point(row: &Row, axis: CurveAxis) -> Option<(u32, Sizes, CurvePoint)> {
    let mut others = row.candidate.sizes;
    let size = match axis {
        CurveAxis::InFlight => others.in_flight.take(),
        CurveAxis::Workers => others.workers.take(),
        CurveAxis::Chunk => others.chunk.take(),
    }?;
    let throughput_per_s = row.throughput_per_s.map(|it| it.value).filter(|it| it.is_finite() && *it > 0.0)?;
    let point = CurvePoint { size, candidate: row.index, throughput_per_s, p99_ns: row.service.p99_ns };
    Some((size, others, point))
}

/// The smallest size within the margin of the best; `None` while the curve still rises at its last point: the best
/// is there, and the last step gained more than the margin.
fn knee(points: &[CurvePoint], margin: f64) -> Option<u32> {
    let best = points.iter().map(|it| it.throughput_per_s).max_by(f64::total_cmp)?;
    let is_near = |point: &&CurvePoint| (best / point.throughput_per_s).ln() <= margin;
    let (last, before) = (points.last()?, points.get(points.len().checked_sub(2)?)?);
    let rises = last.throughput_per_s >= best && !is_near(&before);
    points.iter().find(is_near).filter(|_| !rises).map(|point| point.size)
}
