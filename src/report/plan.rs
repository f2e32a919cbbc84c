//! What a session would do, before it does it.

use super::Style;
use super::grid::{self, Paint, Title, paint};
use super::markdown::{escaped, header, line};
use crate::escape::plain;
use crate::plan::{Entry, Foreseen, Plan};
use crate::units::{count, duration};
use crate::workload::Workload;

const TITLES: [Title; 6] = [
    Title { text: "Engine", right: false },
    Title { text: "Model", right: false },
    Title { text: "Default", right: false },
    Title { text: "Workers", right: false },
    Title { text: "In flight", right: false },
    Title { text: "Chunk", right: false },
];

/// A plan for a terminal.
#[must_use]
pub fn plan_table(workload: &Workload, plan: &Plan, style: Style) -> String {
    let titles = titles(plan);
    let row = |entry| (cells(entry, titles.len()), Paint::Plain);
    let rows: Vec<(Vec<String>, Paint)> = plan.entries.iter().map(row).collect();
    let mut text = paint(&plain(&workload.name), Paint::Bold, style.colour) + "\n";
    if !workload.description.is_empty() {
        text.push_str(&grid::paragraph(&plain(&workload.description), style.width));
    }
    text.push('\n');
    if rows.is_empty() {
        text.push_str("nothing to run\n");
    } else {
        text.push_str(&grid::lines(titles, &rows, style.colour));
    }
    text.push('\n');
    for left_out in &plan.left_out {
        let sentence = format!("`{}`: {}", plain(&left_out.what), plain(&left_out.reason));
        text.push_str(&grid::labelled(0, "Left out:", &sentence, style.width));
    }
    for note in plan.notes.iter().chain(&plan.unknowns) {
        text.push_str(&grid::labelled(0, "Note:", &plain(note), style.width));
    }
    text.push_str(&grid::labelled(0, "Foreseen:", &foreseen(plan.foreseen), style.width));
    text
}

/// A plan in Markdown.
#[must_use]
pub fn plan_markdown(workload: &Workload, plan: &Plan) -> String {
    let titles = titles(plan);
    let mut text = format!("## {}\n\n{}", escaped(&workload.name), header(titles));
    text.extend(plan.entries.iter().map(|entry| line(&cells(entry, titles.len()))));
    text.push('\n');
    for left_out in &plan.left_out {
        text.push_str(&format!("- `{}` left out: {}\n", escaped(&left_out.what), escaped(&left_out.reason)));
    }
    text.extend(plan.notes.iter().chain(&plan.unknowns).map(|note| format!("- {}\n", escaped(note))));
    text.push_str(&format!("- foreseen: {}\n", foreseen(plan.foreseen)));
    text
}

/// The columns: chunks are for few engines.
fn titles(plan: &Plan) -> &'static [Title] {
    let has_chunks = plan.entries.iter().any(|entry| !entry.chunk.is_empty());
    if has_chunks { &TITLES } else { &TITLES[..TITLES.len() - 1] }
}

/// The first so many cells of a row.
fn cells(entry: &Entry, columns: usize) -> Vec<String> {
    let default = entry.candidate(entry.default_sizes).details();
    let cells = [
        format!("{}/{}", plain(&entry.runtime), entry.engine),
        entry.engine.model().to_string(),
        if default.is_empty() { "-".to_owned() } else { default },
        ladder(&entry.workers),
        ladder(&entry.in_flight),
        ladder(&entry.chunk),
    ];
    cells.into_iter().take(columns).collect()
}

/// A ladder; a long one by its ends.
fn ladder(rungs: &[u32]) -> String {
    let text = |rungs: &[u32]| rungs.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    match rungs {
        [] => "-".to_owned(),
        [first, second, third, .., last] if rungs.len() > 8 => format!("{first} {second} {third} .. {last}"),
        _ => text(rungs),
    }
}

fn foreseen(foreseen: Foreseen) -> String {
    format!(
        "up to {}, about {} calls, {} processes and {} threads at once, {} open files in one process",
        duration(foreseen.time_ns as f64),
        count(foreseen.calls as f64),
        foreseen.processes,
        foreseen.threads,
        foreseen.open_files
    )
}
