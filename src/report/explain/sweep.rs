//! How the answer changes with the task.

use super::{Judged, Part, Section, is_of, left, name, right};
use crate::analyze::{Group, Side, flip, side};
use crate::record::{Record, Sweep, SweepAxis, SweepPoint};
use crate::report::grid::Paint;
use crate::units::{difference, duration, factor};

/// The sweeps of a runtime's candidates, each with the point at which the answer turns. A side is better where it is by
/// more than the tolerance, with its whole interval.
pub(super) fn section(judged: &Judged, group: &Group) -> Section {
    let (record, margin) = (&judged.record, judged.verdict.tolerance.ln_1p());
    let own = record.sweeps.iter().filter(|sweep| is_of(record, sweep.left, &group.runtime));
    Section {
        heading: "How it changes with the task".to_owned(),
        parts: own.flat_map(|it| parts(record, it, margin)).collect(),
    }
}

fn parts(record: &Record, sweep: &Sweep, margin: f64) -> Vec<Part> {
    let what = match sweep.axis {
        SweepAxis::TaskCpu => "the CPU time of a task",
    };
    let (one, other) = (name(record, sweep.left), name(record, sweep.right));
    let titles = vec![right("Work"), right("CPU/task"), right("Difference"), right("90 % interval"), left("Better")];
    let cells = |point: &SweepPoint| {
        let better = match side(point, margin) {
            Some(Side::Left) => one.replace('`', ""),
            Some(Side::Right) => other.replace('`', ""),
            None => "neither".to_owned(),
        };
        vec![
            factor(point.factor),
            duration(point.task_cpu_ns),
            difference(point.ratio),
            format!("{} to {}", difference(point.low), difference(point.high)),
            better,
        ]
    };
    vec![
        Part::said(format!("{one} beside {other}, as {what} changes; the difference is that of the former")),
        Part::Table(titles, sweep.points.iter().map(|point| (cells(point), Paint::Plain)).collect()),
        Part::said(turn(&sweep.points, margin, &one, &other)),
    ]
}

/// Where the better side changes.
fn turn(points: &[SweepPoint], margin: f64, one: &str, other: &str) -> String {
    let name = |side: Side| match side {
        Side::Left => one,
        Side::Right => other,
    };
    if let Some(found) = flip(points, margin) {
        let below = if found.above == Side::Left { other } else { one };
        let (from, to) = found.measured_ns;
        return format!(
            "{} wins from {} of CPU per task, {below} below: a line through what was measured, {below} beyond doubt at \
             {} and {} at {}",
            name(found.above),
            duration(found.at_ns),
            duration(from),
            name(found.above),
            duration(to),
        );
    }
    let sides: Vec<Side> = points.iter().filter_map(|point| side(point, margin)).collect();
    match (sides.first(), points.first(), points.last()) {
        (Some(first), _, _) if sides.iter().any(|side| side != first) => {
            "it turns more than once: that is no answer".to_owned()
        }
        (Some(first), Some(from), Some(to)) if sides.len() == points.len() => format!(
            "{} wins at {} to {} of CPU per task alike",
            name(*first),
            duration(from.task_cpu_ns),
            duration(to.task_cpu_ns)
        ),
        (Some(first), _, _) => {
            format!("it does not turn: where they differ by more than the tolerance, {} wins", name(*first))
        }
        _ => "nowhere do they differ by more than the tolerance, beyond the noise".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_side_changes_only_beyond_the_noise() {
        let said = |ratios: &[f64]| {
            let point = |(at, ratio): (usize, &f64)| SweepPoint {
                factor: 1.0,
                task_cpu_ns: 1000.0 * (at + 1) as f64,
                ratio: *ratio,
                low: ratio - 0.01,
                high: ratio + 0.01,
            };
            turn(&ratios.iter().enumerate().map(point).collect::<Vec<_>>(), 0.0, "a", "b")
        };
        assert_eq!(
            said(&[1.1, 1.005, 0.995, 0.9]),
            "b wins from 2.45 µs of CPU per task, a below: a line through what was measured, a beyond doubt at 1.00 µs \
             and b at 4.00 µs"
        );
        assert_eq!(said(&[1.1, 1.2]), "a wins at 1.00 µs to 2.00 µs of CPU per task alike");
        assert_eq!(
            said(&[1.005, 0.9, 0.995]),
            "it does not turn: where they differ by more than the tolerance, b wins"
        );
        assert_eq!(said(&[1.1, 0.9, 1.1]), "it turns more than once: that is no answer");
        let nowhere = "nowhere do they differ by more than the tolerance, beyond the noise";
        assert_eq!((said(&[1.005, 0.995]).as_str(), said(&[f64::NAN]).as_str()), (nowhere, nowhere));
    }
}
