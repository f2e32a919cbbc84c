//! How an engine scales, as a line of text.

use crate::analyze::{Curve, CurveAxis, Group, Row};
use crate::escape::plain;
use crate::units::count;

/// The title of the column of sparklines.
pub(super) const SCALING: &str = "Scaling";
/// What a sparkline shows.
pub(super) const SPARKLINE: &str =
    "Scaling: throughput of the engine at each size measured, the smallest size first, █ the largest throughput";
/// What stands above the lines of all engines.
pub(super) const HEADING: &str = "Scaling: throughput at each size measured, the others held";

/// The levels of a sparkline, from zero to the largest.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The sparkline of a row's engine along its main axis: tasks in flight where it has them, else workers. Empty where
/// fewer than two sizes were measured.
pub(super) fn sparkline_of(group: &Group, row: &Row) -> String {
    let engine = row.candidate.without_sizes().short();
    let of_engine = group.curves.iter().filter(|curve| curve.engine == engine);
    of_engine.min_by_key(|curve| curve.axis).map_or_else(String::new, sparkline)
}

/// A column is no wider than this: of more sizes, the first, the last and as many between as have room are shown.
const WIDEST: usize = 12;

fn sparkline(curve: &Curve) -> String {
    let largest = curve.points.iter().map(|point| point.throughput_per_s).fold(0.0, f64::max);
    let level = |throughput: f64| {
        let eighths = (throughput / largest * LEVELS.len() as f64).ceil();
        // Casts saturate, so a throughput without a value is at the bottom.
        LEVELS[(eighths as usize).clamp(1, LEVELS.len()) - 1]
    };
    let (last, shown) = (curve.points.len().saturating_sub(1), curve.points.len().min(WIDEST));
    let chosen = (0..shown).filter_map(|at| curve.points.get(at * last / (shown - 1).max(1)));
    chosen.map(|point| level(point.throughput_per_s)).collect()
}

/// The engine of a curve, as a label.
pub(super) fn label(curve: &Curve) -> String {
    format!("{}:", plain(&curve.engine))
}

/// A curve in words: `workers 1, 2, 4 -> 96.0, 192, 190 tasks/s, knee at 2`.
pub(super) fn line(curve: &Curve) -> String {
    let list = |of: &mut dyn Iterator<Item = String>| of.collect::<Vec<String>>().join(", ");
    let sizes = list(&mut curve.points.iter().map(|point| point.size.to_string()));
    let speeds = list(&mut curve.points.iter().map(|point| count(point.throughput_per_s)));
    let knee = match curve.knee {
        Some(knee) => format!("knee at {knee}"),
        None => "no knee up to there".to_owned(),
    };
    let axis = axis(curve.axis);
    format!("{axis} {sizes} -> {speeds} tasks/s, {knee}")
}

/// An axis, as sizes are named.
pub(super) fn axis(axis: CurveAxis) -> &'static str {
    match axis {
        CurveAxis::InFlight => "in flight",
        CurveAxis::Workers => "workers",
        CurveAxis::Chunk => "chunk",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::CurvePoint;

    fn curve(speeds: &[(u32, f64)]) -> Curve {
        let point = |(size, speed): &(u32, f64)| CurvePoint {
            size: *size,
            candidate: 0,
            throughput_per_s: *speed,
            p99_ns: None,
        };
        Curve {
            engine: "thread-pool".to_owned(),
            axis: CurveAxis::Workers,
            points: speeds.iter().map(point).collect(),
            knee: Some(2),
        }
    }

    #[test]
    fn a_sparkline_is_drawn_from_zero() {
        assert_eq!(sparkline(&curve(&[(1, 100.0), (2, 200.0), (4, 800.0), (8, 790.0)])), "▁▂██");
        assert_eq!(sparkline(&curve(&[(1, 0.0), (2, f64::NAN), (4, 1.0)])), "▁▁█");
        assert_eq!(sparkline(&curve(&[])), "");
        let many: Vec<(u32, f64)> = (1..=40).map(|size| (size, f64::from(size))).collect();
        let drawn = sparkline(&curve(&many));
        assert!(drawn.chars().count() == 12 && drawn.starts_with('▁') && drawn.ends_with('█'), "{drawn}");
    }

    #[test]
    fn a_line_names_every_figure() {
        let mut found = curve(&[(1, 96.0), (2, 1240.0)]);
        assert_eq!(line(&found), "workers 1, 2 -> 96.0, 1 240 tasks/s, knee at 2");
        found.knee = None;
        assert_eq!(line(&found), "workers 1, 2 -> 96.0, 1 240 tasks/s, no knee up to there");
    }
}
