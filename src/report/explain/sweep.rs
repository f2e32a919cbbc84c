//! How the answer changes with the task.

use super::{Part, Section, is_of, left, name, right};
use crate::analyze::Group;
use crate::record::{Record, Sweep, SweepAxis, SweepPoint};
use crate::report::grid::Paint;
use crate::report::units::{difference, duration, factor};

/// The sweeps of a runtime's candidates, each with the point at which the answer turns.
pub(super) fn section(record: &Record, group: &Group) -> Section {
    let own = record.sweeps.iter().filter(|sweep| is_of(record, sweep.left, &group.runtime));
    Section {
        heading: "How it changes with the task".to_owned(),
        parts: own.flat_map(|it| parts(record, it)).collect(),
    }
}

fn parts(record: &Record, sweep: &Sweep) -> Vec<Part> {
    let what = match sweep.axis {
        SweepAxis::TaskCpu => "the CPU time of a task",
    };
    let (one, other) = (name(record, sweep.left), name(record, sweep.right));
    let titles = vec![right("Work"), right("CPU/task"), right("Difference"), right("90 % interval"), left("Better")];
    let cells = |point: &SweepPoint| {
        let better = match side(point) {
            Some(true) => one.replace('`', ""),
            Some(false) => other.replace('`', ""),
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
        Part::said(turn(&sweep.points, &one, &other)),
    ]
}

/// Which side is better beyond the noise: `left` if true.
fn side(point: &SweepPoint) -> Option<bool> {
    if point.low > 1.0 {
        Some(true)
    } else if point.high < 1.0 {
        Some(false)
    } else {
        None
    }
}

/// Between which two points the better side changes.
fn turn(points: &[SweepPoint], one: &str, other: &str) -> String {
    let decided: Vec<(&SweepPoint, bool)> = points.iter().filter_map(|point| Some((point, side(point)?))).collect();
    let turned = decided.windows(2).find(|pair| pair[0].1 != pair[1].1);
    let side = |is_left| if is_left { one } else { other };
    match (turned, decided.first()) {
        (Some([before, after]), _) => format!(
            "it turns between {} and {} of CPU time a task: {} is better below, {} above",
            duration(before.0.task_cpu_ns),
            duration(after.0.task_cpu_ns),
            side(before.1),
            side(after.1)
        ),
        (_, Some((_, is_left))) => format!("it does not turn: where they differ, {} is better", side(*is_left)),
        (_, None) => "nowhere do they differ beyond the noise".to_owned(),
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
            turn(&ratios.iter().enumerate().map(point).collect::<Vec<_>>(), "a", "b")
        };
        assert_eq!(
            said(&[1.1, 1.005, 0.995, 0.9]),
            "it turns between 1.00 µs and 4.00 µs of CPU time a task: a is better below, b above"
        );
        assert_eq!(said(&[1.005, 0.9, 0.995]), "it does not turn: where they differ, b is better");
        assert_eq!(said(&[1.005, 0.995]), "nowhere do they differ beyond the noise");
        assert_eq!(said(&[f64::NAN]), "nowhere do they differ beyond the noise");
    }
}
