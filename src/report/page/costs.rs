//! What a candidate takes beside time: memory under load, and its start-up.

use maud::{Markup, html};

use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, axis, bar};
use super::{champions, class_of, named, row_class, who};
use crate::analyze::{Group, Row};
use crate::report::Judged;
use crate::units::{NONE, bytes, duration};

/// The figures of one runtime: memory, then start-up; `None` where neither was measured.
pub(super) fn figures(_judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let drawn: Vec<Markup> =
        [memory(group, format!("{id}-memory")), start_up(group, format!("{id}-start"))].into_iter().flatten().collect();
    (!drawn.is_empty()).then(|| html! { @for figure in &drawn { (figure) } })
}

/// One figure of a row, and how it is written.
struct Cost {
    of: fn(&Row) -> Option<u64>,
    name: fn(f64) -> String,
    scale: fn(f64, (f64, f64)) -> Scale,
}

fn memory(group: &Group, id: String) -> Option<Markup> {
    let cost = Cost { of: |row| row.memory_bytes, name: |size| bytes(size.max(0.0) as u64), scale: Scale::of_bytes };
    let title = match named(group).and_then(|row| row.memory_bytes) {
        Some(size) => format!("The answer takes {} under load", bytes(size)),
        None => "Memory under load".to_owned(),
    };
    let description = "Anonymous and shared memory of all processes of a candidate under load, without what an idle agent takes. It is measured of the candidates that were left at the end.".to_owned();
    figure(group, id, title, description, &cost)
}

fn start_up(group: &Group, id: String) -> Option<Markup> {
    let cost = Cost { of: |row| row.startup_ns, name: duration, scale: Scale::linear };
    let title = match named(group).and_then(|row| row.startup_ns) {
        Some(time) => format!("The answer has done its first task after {}", duration(time as f64)),
        None => "Start-up".to_owned(),
    };
    let description = "From the start of the pool to the end of the first task, with imports and set-up, the median of the lives that began cold; the interpreter's own start is apart (boot, in the table).".to_owned();
    figure(group, id, title, description, &cost)
}

fn figure(group: &Group, id: String, title: String, description: String, cost: &Cost) -> Option<Markup> {
    let all = champions(group);
    let shown: Vec<(&Row, u64)> = all.iter().filter_map(|row| Some((*row, (cost.of)(row)?))).collect();
    let most = shown.iter().map(|(_, found)| *found as f64).fold(0.0, f64::max);
    if shown.is_empty() || most <= 0.0 {
        return None;
    }
    let scale = (cost.scale)(most, (0.0, 100.0));
    let unmeasured = all.len() - shown.len();
    let said = match unmeasured {
        0 => description,
        1 => format!("{description} Of one candidate it was not measured."),
        more => format!("{description} Of {more} candidates it was not measured."),
    };
    let chart_rows: Vec<ChartRow> =
        shown.iter().map(|(row, found)| chart_row(group, row, *found, &scale, cost)).collect();
    Some(
        Figure {
            id,
            title,
            description: said,
            legend: None,
            chart: rows(&chart_rows, &axis(&scale, cost.name)),
            table: table(&all),
        }
        .markup(),
    )
}

fn chart_row(group: &Group, row: &Row, found: u64, scale: &Scale, cost: &Cost) -> ChartRow {
    let class = format!("mark {}", class_of(row.candidate.model()));
    ChartRow {
        class: row_class(group, row),
        who: who(row),
        drawn: html! { svg height="18" { (bar(0.0, scale.at(found as f64), (4.0, 10.0), &class)) } },
        figure: html! { b { ((cost.name)(found as f64)) } },
    }
}

fn table(all: &[&Row]) -> Table {
    let time = |ns: Option<u64>| ns.map_or(NONE.to_owned(), |ns| duration(ns as f64));
    let size = |found: Option<u64>| found.map_or(NONE.to_owned(), bytes);
    let cells = |row: &&Row| {
        vec![
            row.candidate.short(),
            size(row.memory_bytes),
            size(row.file_pages_bytes),
            time(row.boot_ns),
            time(row.startup_ns),
            time(row.teardown_ns),
        ]
    };
    let titles = ["Candidate", ">Memory", ">File pages", ">Boot", ">Start-up", ">Teardown"];
    Table::new(&titles, all.iter().map(cells).collect())
}
