//! One self-contained page of judged records: the answer and its code first, then what it was found from.
//!
//! Pure: the same records and options give the same bytes. `frame` and `style.css` are the page whatever stands on it,
//! `svg` the places on a chart; then a file for each chart. `private` says what of a record may be handed on, and all
//! that is drawn is drawn from that.

mod answer;
mod bars;
mod choice;
mod costs;
mod data;
pub(super) mod frame;
mod host;
mod latency;
mod leaving;
mod mistakes;
mod private;
mod race;
mod scaling;
mod sheet;
mod split;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use maud::{Markup, html};

use super::Judged;
use super::words;
use crate::analyze::{Group, Row, Status};
use crate::candidate::{Model, RUST};
use crate::escape::plain;
use frame::section;

pub use sheet::cheatsheet_page;

/// What a page holds beside what it always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    /// Whether the records themselves are in it, compressed, to be downloaded.
    pub with_record: bool,
    /// A home directory that paths are shortened by, beside those known by their place (`/home/..`, `/root`).
    pub home: Option<String>,
}

/// The page of these records; of several, "Choosing the Right Tool" stands first.
///
/// # Errors
/// When a figure cannot be written as JSON, which would be a fault of this program.
pub fn page(all: &[Judged], options: &PageOptions) -> Result<String, serde_json::Error> {
    let shared = all.iter().map(|judged| private::shared(judged, options.home.as_deref()));
    let all: Vec<Judged> = shared.collect::<Result<_, _>>()?;
    let record = if options.with_record { Some(data::section(&all)?) } else { None };
    let several = all.len() > 1;
    let title = match all.as_slice() {
        [one] => answer::title(one),
        _ => "Choosing the Right Tool".to_owned(),
    };
    let body = html! {
        @if several { (choice::section(&all)) }
        @for (at, judged) in all.iter().enumerate() { (workload(judged, &Ids { at, several })) }
        @if several { @if let Some(first) = all.first() { (section("host", "The host", &host::host_alone(first))) } }
        @if let Some(record) = &record { (record) }
    };
    Ok(frame::page(&title, &body))
}

/// How the parts of one workload are named.
struct Ids {
    at: usize,
    several: bool,
}

impl Ids {
    /// The name of a part, unique on the page.
    fn of(&self, part: &str) -> String {
        if self.several { format!("w{}-{part}", self.at + 1) } else { part.to_owned() }
    }
}

/// All of one workload: the answers, then the charts.
fn workload(judged: &Judged, ids: &Ids) -> Markup {
    let charts = html! {
        @for (part, heading, draw) in CHARTS {
            @let drawn = per_runtime(judged, ids, part, draw);
            @if let Some(drawn) = drawn { (section(&ids.of(part), heading, &drawn)) }
        }
        (section(&ids.of("notes"), if ids.several { "How it was measured" } else { "The host" }, &host::content(judged, ids.several)))
    };
    html! {
        article id=[ids.several.then(|| format!("w{}", ids.at + 1))] {
            (answer::markup(judged, ids))
            @if ids.several {
                details class="more" {
                    summary { "How this was found: charts of " (plain(&judged.record.workload.name)) }
                    (charts)
                }
            } @else { (charts) }
        }
    }
}

/// Draws one runtime's figure; `None` where the record has nothing for it.
type Draw = fn(&Judged, &Group, String) -> Option<Markup>;

/// The charts in their order: part, heading, and what draws them.
const CHARTS: [(&str, &str, Draw); 7] = [
    ("models", "Models compared", bars::figure),
    ("scaling", "Scaling", scaling::figure),
    ("leaving", "When leaving this machine pays", leaving::figure),
    ("latency", "Latency", latency::figure),
    ("split", "Where a task's time goes", split::figure),
    ("costs", "Memory and start-up", costs::figures),
    ("race", "How the race went", race::figure),
];

/// A chart a runtime; the runtime is named where there are several.
fn per_runtime(judged: &Judged, ids: &Ids, part: &str, draw: Draw) -> Option<Markup> {
    let groups = &judged.verdict.groups;
    let drawn = groups.iter().enumerate();
    let drawn =
        drawn.filter_map(|(at, group)| Some((group, draw(judged, group, ids.of(&format!("{part}-{}", at + 1)))?)));
    let drawn: Vec<(&Group, Markup)> = drawn.collect();
    if drawn.is_empty() {
        return None;
    }
    Some(html! {
        @for (group, figure) in &drawn {
            @if groups.len() > 1 { p class="runtime" { (runtime_name(judged, group)) } }
            (figure)
        }
    })
}

/// A runtime as a heading: `Rust`, `CPython 3.11.7`.
fn runtime_name(judged: &Judged, group: &Group) -> String {
    if group.runtime == RUST {
        return "Rust".to_owned();
    }
    let hello = judged.record.calibration.runtime(&group.runtime).map(|known| &known.hello);
    let name = hello.and_then(|hello| Some(format!("{} {}", hello.implementation.as_deref()?, hello.version)));
    plain(&name.unwrap_or_else(|| group.runtime.clone()))
}

/// The class of a model's colour.
fn class_of(model: Model) -> &'static str {
    match model {
        Model::Sequential => "m-sequential",
        Model::Threads => "m-threads",
        Model::Async => "m-async",
        Model::ShardedAsync => "m-sharded-async",
        Model::Processes => "m-processes",
        Model::Interpreters => "m-interpreters",
        Model::AsyncThreads => "m-async-threads",
        Model::AsyncProcesses => "m-async-processes",
        Model::Cluster => "m-cluster",
    }
}

/// The candidates that charts show: the best size of each engine, what failed left out; all sizes where none stands for
/// its engine yet.
fn champions(group: &Group) -> Vec<&Row> {
    let sound = |row: &&Row| !row.has_failed();
    let best: Vec<&Row> = group.rows.iter().filter(sound).filter(|row| row.status != Status::Superseded).collect();
    if best.is_empty() { group.rows.iter().filter(sound).collect() } else { best }
}

/// A candidate as the head of a chart's row: its model in its colour, and its name.
fn who(row: &Row) -> Markup {
    html! {
        span class={ "swatch " (class_of(row.candidate.model())) } {}
        span class="name" { (row.candidate.short()) }
        span class="soft" { (row.candidate.model()) }
    }
}

/// The class of a row: the answer's stands out.
fn row_class(group: &Group, row: &Row) -> &'static str {
    let is_named = group.answer.as_ref().is_some_and(|answer| answer.candidate == row.index);
    if is_named { "named" } else { "" }
}

/// The row of a group's answer.
fn named(group: &Group) -> Option<&Row> {
    words::row(group, group.answer.as_ref()?.candidate)
}
