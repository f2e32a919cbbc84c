//! How each engine scales: a small chart for each, all of one height, with the host's limit and the knee.

use maud::{Markup, html};

use super::class_of;
use super::frame::{Figure, Table};
use super::svg::{Scale, across, down, line, shape, text};
use crate::analyze::{Curve, CurvePoint, Estimate, Group};
use crate::candidate::Model;
use crate::report::Judged;
use crate::report::scaling::axis;
use crate::report::words::{self, row};
use crate::units::{NONE, duration, rate};

/// Where the axes of a small chart are, in pixels down and per cent across.
const TOP: f64 = 22.0;
const BOTTOM: f64 = 126.0;
const ENDS: (f64, f64) = (8.0, 92.0);
/// A limit that is higher than this many times what was measured is named, not drawn: it would flatten the curves.
const FAR: f64 = 2.5;
/// More sizes than this have no room for all their names.
const NAMES: usize = 6;

/// The figure of one runtime; `None` where no engine was measured at two sizes.
pub(super) fn figure(_judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    if group.curves.is_empty() {
        return None;
    }
    let estimate = |point: &CurvePoint| row(group, point.candidate).and_then(|row| row.throughput_per_s);
    let points = || group.curves.iter().flat_map(|curve| &curve.points);
    let measured = points().map(|it| it.throughput_per_s).fold(0.0, f64::max);
    // An interval of two blocks may reach to the sky.
    let whiskers = points().filter_map(|it| Some(estimate(it)?.high)).filter(|high| *high <= 1.3 * measured);
    let top = whiskers.fold(measured, f64::max);
    let limit = group.limit.as_ref().map(|limit| limit.throughput_per_s);
    let near = limit.filter(|limit| *limit <= FAR * top);
    let rates = RateScale { top: near.map_or(top, |limit| top.max(limit)) * 1.04, limit: near };
    let charts = group.curves.iter().map(|curve| small(group, curve, &rates));
    let figure = Figure {
        id,
        title: title(group),
        description: description(group, near.is_some()),
        legend: None,
        chart: html! { div class="small" { @for chart in charts { (chart) } } },
        table: table(group),
    };
    Some(figure.markup())
}

/// What all charts of a figure share.
struct RateScale {
    /// Tasks per second at the top.
    top: f64,
    /// The host's limit, where it is near.
    limit: Option<f64>,
}

impl RateScale {
    fn of(&self, throughput: f64) -> f64 {
        let share = (throughput / self.top).clamp(0.0, 1.0);
        BOTTOM - share * (BOTTOM - TOP)
    }
}

/// What the curve of the answer's engine says.
fn title(group: &Group) -> String {
    let named = group.answer.as_ref().and_then(|answer| row(group, answer.candidate));
    let engine = named.map(|row| row.candidate.without_sizes().short());
    let own = engine.and_then(|engine| {
        let of_engine = group.curves.iter().filter(|curve| curve.engine == engine);
        of_engine.min_by_key(|curve| curve.axis)
    });
    match own {
        Some(Curve { engine, knee: Some(knee), axis: along, .. }) => {
            format!("`{engine}` gains nothing beyond {}", sized(*knee, axis(*along)))
        }
        Some(Curve { engine, knee: None, axis: along, points, .. }) => {
            let last = points.last().map_or(0, |point| point.size);
            format!("`{engine}` still gains at {}, the most that was measured", sized(last, axis(*along)))
        }
        None => "How throughput grows with the size of each engine".to_owned(),
    }
}

/// `2 workers`, `64 in flight`, `chunks of 4`.
fn sized(size: u32, axis: &str) -> String {
    match axis {
        "chunk" => format!("chunks of {size}"),
        "workers" if size == 1 => "1 worker".to_owned(),
        axis => format!("{size} {axis}"),
    }
}

fn description(group: &Group, is_drawn: bool) -> String {
    let limit = group.limit.as_ref().map(|limit| words::host_limit(limit, group));
    let limit = match limit {
        Some(said) if is_drawn => format!(" The dashed line is the host's limit: {said}."),
        Some(said) => format!(" The host's limit is far above what is drawn: {said}."),
        None => " The host's limit is not known.".to_owned(),
    };
    format!(
        "Throughput at each size that was measured, the others held; all charts have the same height. A ring marks the knee, beyond which nothing is gained.{limit}"
    )
}

fn small(group: &Group, curve: &Curve, rates: &RateScale) -> Markup {
    let model = curve.points.first().and_then(|point| row(group, point.candidate)).map(|row| row.candidate.model());
    let class = class_of(model.unwrap_or(Model::Sequential));
    let sizes = || curve.points.iter().map(|point| f64::from(point.size));
    let scale = Scale::logarithmic(sizes(), ENDS);
    let places: Vec<(f64, f64)> =
        curve.points.iter().map(|it| (scale.at(f64::from(it.size)), rates.of(it.throughput_per_s))).collect();
    let last = curve.points.len().saturating_sub(1);
    let is_named = |at: usize| last < NAMES || at == last || (at.is_multiple_of(2) && at + 1 < last);
    html! {
        div class="panel" {
            p class="head" {
                span class={ "swatch " (class) } {}
                span { span class="name" { (curve.engine) } " " span class="soft" { (axis(curve.axis)) } }
            }
            svg height="150" {
                (line((0.0, BOTTOM), (100.0, BOTTOM), "base"))
                @if let Some(limit) = rates.limit {
                    @let y = rates.of(limit);
                    (line((0.0, y), (100.0, y), "limit"))
                    (text(100.0, y - 5.0, "end", "label", &format!("limit {}", rate(limit))))
                }
                @for pair in places.windows(2) { (line(pair[0], pair[1], &format!("curve {class}"))) }
                @for (at, (point, place)) in curve.points.iter().zip(&places).enumerate() {
                    @if let Some(estimate) = row(group, point.candidate).and_then(|row| row.throughput_per_s) {
                        (upright(place.0, &estimate, rates))
                    }
                    circle cx=(across(place.0)) cy=(down(place.1)) r="3.5" class={ "mark " (class) } {}
                    @if is_named(at) { (text(place.0, BOTTOM + 16.0, "middle", "label", &point.size.to_string())) }
                }
                (knee(curve, &places))
            }
        }
    }
}

/// An interval that stands.
fn upright(x: f64, estimate: &Estimate, rates: &RateScale) -> Markup {
    line((x, rates.of(estimate.low)), (x, rates.of(estimate.high)), "interval")
}

/// A ring around the knee, with the throughput there.
fn knee(curve: &Curve, places: &[(f64, f64)]) -> Markup {
    let at = curve.knee.and_then(|knee| curve.points.iter().position(|point| point.size == knee));
    let found = at.and_then(|at| Some((curve.points.get(at)?, places.get(at)?)));
    html! {
        @if let Some((point, (x, y))) = found {
            (shape(*x, *y, "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0", "knee"))
            @let anchor = if *x > 70.0 { "end" } else if *x < 25.0 { "start" } else { "middle" };
            @let below = if *y < 70.0 { y + 22.0 } else { y - 12.0 };
            (text(*x, below, anchor, "value", &format!("knee {}", point.size)))
        }
    }
}

fn table(group: &Group) -> Table {
    let cells = |curve: &Curve, point: &CurvePoint| {
        vec![
            curve.engine.clone(),
            axis(curve.axis).to_owned(),
            point.size.to_string(),
            rate(point.throughput_per_s),
            point.p99_ns.map_or(NONE.to_owned(), |ns| duration(ns as f64)),
            if curve.knee == Some(point.size) { "knee".to_owned() } else { String::new() },
        ]
    };
    let titles = ["Engine", "Axis", ">Size", ">Tasks", ">p99", "Knee"];
    let rows = group.curves.iter().flat_map(|curve| curve.points.iter().map(move |point| cells(curve, point)));
    Table::new(&titles, rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_by_their_axis() {
        assert_eq!(
            [sized(1, "workers"), sized(64, "in flight"), sized(4, "chunk")],
            ["1 worker", "64 in flight", "chunks of 4"]
        );
    }
}
