//! Service times by percentile.

use maud::{Markup, html};

use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, axis, line, shape};
use super::{champions, class_of, named, row_class, who};
use crate::analyze::{Group, Percentiles, Row};
use crate::report::Judged;
use crate::report::figures::DETAILS;
use crate::units::duration;

/// A percentile: its name, the shape that marks it, and where it is found.
struct Mark {
    name: &'static str,
    path: &'static str,
    of: fn(&Percentiles) -> Option<u64>,
}

const MARKS: [Mark; 5] = [
    Mark { name: "p50", path: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0", of: |it| it.p50_ns },
    Mark { name: "p90", path: "M-4 -4H4V4H-4Z", of: |it| it.p90_ns },
    Mark { name: "p99", path: "M0 -6L6 0L0 6L-6 0Z", of: |it| it.p99_ns },
    Mark { name: "p99.9", path: "M-6 5L0 -6L6 5Z", of: |it| it.p999_ns },
    Mark { name: "largest", path: "M-1 -7H1V7H-1Z", of: |it| it.max_ns },
];

/// The figure of one runtime; `None` where no time is known.
pub(super) fn figure(_judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let shown: Vec<&Row> = champions(group).into_iter().filter(|row| row.service.max_ns.is_some()).collect();
    if shown.is_empty() {
        return None;
    }
    let times = shown.iter().flat_map(|row| MARKS.iter().filter_map(|mark| (mark.of)(&row.service)));
    let scale = Scale::logarithmic(times.map(|ns| ns as f64), (2.0, 98.0));
    let chart_rows: Vec<ChartRow> = shown.iter().map(|row| chart_row(group, row, &scale)).collect();
    let sheet = &DETAILS[0];
    let titles: Vec<String> = sheet
        .titles(u8::MAX)
        .iter()
        .map(|title| format!("{}{}", if title.right { ">" } else { "" }, title.text))
        .collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    let figure = Figure {
        id,
        title: title(group),
        description: "Service time of a task, from its start in a worker to its end, on a logarithmic axis. A mark is left out where too few tasks ran: a percentile p needs 10 / (1 - p) of them.".to_owned(),
        legend: Some(legend()),
        chart: rows(&chart_rows, &axis(&scale, duration)),
        table: Table::new(&titles, shown.iter().map(|row| sheet.cells(u8::MAX, group, row)).collect()),
    };
    Some(figure.markup())
}

fn title(group: &Group) -> String {
    let service = named(group).map(|row| row.service).unwrap_or_default();
    let time = |ns: u64| duration(ns as f64);
    match (service.p50_ns, service.p99_ns, service.p90_ns) {
        (Some(half), Some(most), _) => {
            format!("Half of the answer's tasks take up to {}, 99 of 100 up to {}", time(half), time(most))
        }
        (Some(half), None, Some(most)) => {
            format!("Half of the answer's tasks take up to {}, nine of ten up to {}", time(half), time(most))
        }
        (Some(half), None, None) => format!("Half of the answer's tasks take up to {}", time(half)),
        _ => "How long tasks take".to_owned(),
    }
}

fn legend() -> Markup {
    html! {
        ul class="legend" aria-hidden="true" {
            @for mark in &MARKS {
                li { svg width="16" height="16" { svg x="8" y="8" class="at" { path d=(mark.path) class="key" {} } } (mark.name) }
            }
        }
    }
}

fn chart_row(group: &Group, row: &Row, scale: &Scale) -> ChartRow {
    let class = class_of(row.candidate.model());
    let found: Vec<(&Mark, f64)> =
        MARKS.iter().filter_map(|mark| Some((mark, scale.at((mark.of)(&row.service)? as f64)))).collect();
    let ends = found.first().zip(found.last()).map(|(first, last)| (first.1, last.1));
    ChartRow {
        class: row_class(group, row),
        who: who(row),
        drawn: html! {
            svg height="22" {
                @if let Some((from, to)) = ends { (line((from, 11.0), (to, 11.0), &format!("span {class}"))) }
                @for (mark, x) in &found { (shape(*x, 11.0, mark.path, &format!("mark {class}"))) }
            }
        },
        figure: html! {
            @if let Some(half) = row.service.p50_ns { b { (duration(half as f64)) } }
            @if let Some(most) = row.service.p99_ns { span class="soft" { "p99 " (duration(most as f64)) } }
            @else if let Some(most) = row.service.max_ns { span class="soft" { "largest " (duration(most as f64)) } }
        },
    }
}
