//! Where a task's time goes: computing, waiting, queueing, pickling.

use maud::{Markup, html};

use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, axis, bar};
use super::{champions, named, row_class, who};
use crate::analyze::{Group, Row};
use crate::record::{BlockRecord, CandidateRecord};
use crate::report::Judged;
use crate::units::{NONE, duration, percent};

/// The mean time of a task from its submission to its end, in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Split {
    /// CPU time of all processes, without pickling.
    cpu_ns: f64,
    /// What of the service time is left.
    wait_ns: f64,
    /// From submission to the start; `None` where no histogram is there.
    queueing_ns: Option<f64>,
    /// Time for what crosses to a worker and back; `None` where nothing does, or it was not measured.
    pickling_ns: Option<f64>,
}

/// A part: its name, its class, and its time.
type Part = (&'static str, &'static str, fn(&Split) -> Option<f64>);

/// The parts, in the order in which they are drawn.
const PARTS: [Part; 4] = [
    ("CPU", "cpu", |it| Some(it.cpu_ns)),
    ("wait", "wait", |it| Some(it.wait_ns)),
    ("queueing", "queueing", |it| it.queueing_ns),
    ("pickling", "pickling", |it| it.pickling_ns),
];

impl Split {
    fn all_ns(&self) -> f64 {
        PARTS.iter().filter_map(|(_, _, of)| of(self)).sum()
    }
}

/// The figure of one runtime; `None` where no time is known.
pub(super) fn figure(judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let place = |row: &Row| judged.record.candidates.get(row.index as usize);
    let known = champions(group).into_iter().filter_map(|row| Some((row, split(place(row)?, row)?)));
    let shown: Vec<(&Row, Split)> = known.collect();
    if shown.is_empty() {
        return None;
    }
    let scale = Scale::linear(1.0, (0.0, 100.0));
    let chart_rows: Vec<ChartRow> = shown.iter().map(|(row, split)| chart_row(group, row, split)).collect();
    let has_pickling = shown.iter().any(|(_, split)| split.pickling_ns.is_some());
    let figure = Figure {
        id,
        title: title(group, &shown),
        description: description(has_pickling),
        legend: Some(legend(has_pickling)),
        chart: rows(&chart_rows, &axis(&scale, percent)),
        table: table(&shown),
    };
    Some(figure.markup())
}

/// The split of a candidate's task; `None` where nothing was timed.
fn split(place: &CandidateRecord, row: &Row) -> Option<Split> {
    let blocks: Vec<&BlockRecord> = place.timed().collect();
    let busy_ns: f64 = blocks.iter().map(|block| block.figures.busy_ns as f64).sum();
    let tasks: f64 = blocks.iter().map(|block| block.figures.tasks_in_window).sum();
    let service_ns = Some(busy_ns / tasks).filter(|time| time.is_finite())?;
    let all_cpu_ns = row.cpu_ns_per_task()?;
    let pickling_ns = row.serialisation_ns_per_task;
    // Pickling is computed, too.
    let cpu_ns = (all_cpu_ns - pickling_ns.unwrap_or(0.0)).max(0.0);
    Some(Split { cpu_ns, wait_ns: (service_ns - cpu_ns).max(0.0), queueing_ns: queueing(&blocks), pickling_ns })
}

/// The mean over all tasks of these blocks.
fn queueing(blocks: &[&BlockRecord]) -> Option<f64> {
    let histograms = blocks.iter().filter_map(|block| block.figures.queueing.decode().ok());
    let (sum, tasks) = histograms.filter(|it| !it.is_empty()).fold((0.0, 0.0), |(sum, tasks), it| {
        let count = it.len() as f64;
        (sum + it.mean() * count, tasks + count)
    });
    (tasks > 0.0).then(|| sum / tasks)
}

fn title(group: &Group, shown: &[(&Row, Split)]) -> String {
    let answer = named(group).map(|row| row.index);
    let Some((_, split)) = shown.iter().find(|(row, _)| Some(row.index) == answer) else {
        return "Computing, waiting, queueing, pickling".to_owned();
    };
    let service = split.cpu_ns + split.wait_ns;
    let share = if service > 0.0 { split.cpu_ns / service } else { 0.0 };
    if share >= 0.5 {
        format!("With the answer, a task computes {} of its service time", percent(share))
    } else {
        format!("With the answer, a task waits {} of its service time", percent(1.0 - share))
    }
}

fn description(has_pickling: bool) -> String {
    let pickling = if has_pickling {
        " Pickling is what it takes to hand a task to another process and its result back."
    } else {
        " No pickling: nothing was measured that crosses to another process."
    };
    format!(
        "The mean time of a task from its submission to its end, as shares of the whole. CPU is the time of all processes of the candidate; wait is what is left of the service time, for input, output, a lock, or a core. Queueing is the time before a worker takes the task: pools keep a backlog.{pickling}"
    )
}

fn legend(has_pickling: bool) -> Markup {
    html! {
        ul class="legend" aria-hidden="true" {
            @for (name, class, _) in PARTS.iter().filter(|(name, ..)| has_pickling || *name != "pickling") {
                li { svg width="16" height="12" { rect width="16" height="12" rx="2" class={ "part " (class) } {} } (name) }
            }
        }
    }
}

fn chart_row(group: &Group, row: &Row, split: &Split) -> ChartRow {
    let all = split.all_ns();
    let mut from = 0.0;
    let mut bars = Vec::new();
    let mut said = Vec::new();
    for (name, class, of) in &PARTS {
        let Some(time) = of(split) else { continue };
        let share = if all > 0.0 { time / all } else { 0.0 };
        if share >= 0.001 {
            bars.push(bar(from, from + share * 100.0, (3.0, 14.0), &format!("mark part {class}")));
        }
        from += share * 100.0;
        if time > 0.0 {
            // A figure and its unit stand on one line.
            said.push(format!("{name}\u{a0}{}", duration(time).replace(' ', "\u{a0}")));
        }
    }
    ChartRow {
        class: row_class(group, row),
        who: who(row),
        drawn: html! {
            svg height="20" { @for bar in &bars { (bar) } }
            p class="soft parts" { (said.join(" · ")) }
        },
        figure: html! { b { (duration(all)) } },
    }
}

fn table(shown: &[(&Row, Split)]) -> Table {
    let time = |ns: Option<f64>| ns.map_or(NONE.to_owned(), duration);
    let cells = |(row, split): &(&Row, Split)| {
        let mut cells = vec![row.candidate.short()];
        cells.extend(PARTS.iter().map(|(_, _, of)| time(of(split))));
        cells.push(duration(split.all_ns()));
        cells
    };
    let titles = ["Candidate", ">CPU", ">Wait", ">Queueing", ">Pickling", ">Together"];
    Table::new(&titles, shown.iter().map(cells).collect())
}
