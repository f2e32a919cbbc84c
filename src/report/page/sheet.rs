//! The cheat sheet as a page: a table a section, whose dots lie on one axis of time.

use maud::{Markup, html};

use super::host::{list, machine};
use super::svg::{Scale, axis, line, shape, whisker};
use super::{PageOptions, choice, data, frame, mistakes, private};
use crate::cheatsheet::catalogue::{Item, Language, Section};
use crate::cheatsheet::sheet::{Figure, Runtime, Sheet, Timed};
use crate::escape::plain;
use crate::report::cheatsheet::rows::{self, Row, compact, time};
use crate::report::cheatsheet::table::circumstances;
use crate::report::{Judged, cheatsheet_json};

/// How high the row of one runtime is, in pixels.
const LANE: f64 = 20.0;

/// The page of a sheet, and of the records of its section `choosing`.
///
/// # Errors
/// When a figure cannot be written as JSON, which would be a fault of this program.
pub fn cheatsheet_page(sheet: &Sheet, choosing: &[Judged], options: &PageOptions) -> Result<String, serde_json::Error> {
    let home = options.home.as_deref();
    let sheet: Sheet = private::without_homes(sheet, home)?;
    let choosing = choosing.iter().map(|judged| private::shared(judged, home));
    let choosing: Vec<Judged> = choosing.collect::<Result<_, _>>()?;
    let json = options.with_record.then(|| cheatsheet_json(&sheet, &choosing)).transpose()?;
    let record = json.map(|json| data::linked("The sheet", json.as_bytes(), "cheatsheet.json.gz"));
    let body = html! {
        (header(&sheet))
        @for part in &sheet.sections {
            @let heading = format!("{}. {}", part.number(), part.title());
            (frame::section(part.name(), &heading, &section(&sheet, *part, &choosing)))
        }
        (frame::section("host", "The host", &host(&sheet)))
        @if let Some(record) = &record { (record) }
    };
    Ok(frame::page("Concurrency, measured here", &body))
}

fn header(sheet: &Sheet) -> Markup {
    html! {
        header {
            h1 { "Concurrency, measured here" }
            @for line in circumstances(sheet) { p class="soft line" { (line) } }
            nav aria-label="Sections" {
                @for part in &sheet.sections { a href={ "#" (part.name()) } { (part.title()) } " " }
            }
        }
    }
}

fn section(sheet: &Sheet, part: Section, choosing: &[Judged]) -> Markup {
    match part {
        Section::Choosing if !choosing.is_empty() => choice::tables(choosing, false),
        Section::Pitfalls if !sheet.pitfalls.is_empty() => mistakes::content(sheet),
        _ => {
            let rows = rows::rows(sheet, part);
            if rows.is_empty() {
                html! { p class="soft" { "Not measured." } }
            } else {
                table(sheet, part, &rows)
            }
        }
    }
}

/// The least time on an axis: what takes less is written as less than this.
const LEAST_NS: f64 = 0.1;

/// The items of a section: what is done, the figures, where they lie, and the code.
fn table(sheet: &Sheet, part: Section, rows: &[Row<'_>]) -> Markup {
    let figures = || rows.iter().flat_map(|row| &row.cells).flatten().filter_map(|timed| timed.figure.as_ref());
    let values = figures().flat_map(|figure| [figure.low_ns, figure.median_ns, figure.high_ns]);
    // What cannot be told from nothing lies at the axis' start.
    let scale = Scale::logarithmic(values.map(|ns| ns.max(LEAST_NS)), (2.0, 98.0));
    html! {
        div class="scroll" role="region" aria-label={ (part.title()) ", the figures" } tabindex="0" {
            table class="sheet" {
                thead { tr {
                    th scope="col" { "What" }
                    @for runtime in &sheet.runtimes { th scope="col" { (key(runtime)) (plain(&runtime.name)) } }
                    th scope="col" class="dots" { "Time, on a logarithmic axis" (axis(&scale, time)) }
                } }
                @for row in rows { (item(sheet, row, &scale)) }
                tfoot { tr {
                    td colspan=(1 + sheet.runtimes.len()) {}
                    td class="dots" { (axis(&scale, time)) }
                } }
            }
        }
    }
}

/// A runtime's mark in the heading.
fn key(runtime: &Runtime) -> Markup {
    html! { svg class={ "key-mark " (class_of(runtime)) } width="12" height="12" aria-hidden="true" { (mark(runtime, 50.0, 6.0)) } }
}

fn class_of(runtime: &Runtime) -> &'static str {
    match runtime.language {
        Language::Python => "l-python",
        Language::Rust => "l-rust",
    }
}

/// A dot for Python, a diamond for Rust.
fn mark(runtime: &Runtime, x: f64, y: f64) -> Markup {
    let path = match runtime.language {
        Language::Python => "M -4.5 0 A 4.5 4.5 0 1 1 4.5 0 A 4.5 4.5 0 1 1 -4.5 0 Z",
        Language::Rust => "M 0 -5.6 L 5.6 0 L 0 5.6 L -5.6 0 Z",
    };
    shape(x, y, path, "mark")
}

fn item(sheet: &Sheet, row: &Row<'_>, scale: &Scale) -> Markup {
    html! {
        tbody class={ @if row.is_further { "further" } } {
            tr {
                th scope="row" { @if row.is_further { span class="soft" { "the same with " (row.tool) } } @else { (row.title) } }
                @for (runtime, cell) in sheet.runtimes.iter().zip(&row.cells) {
                    td data-label=(plain(&runtime.name)) class=[cell.is_none().then_some("empty")] {
                        @if let Some(timed) = cell { (figure(timed, row.is_further)) }
                    }
                }
                td class="dots" { (dots(sheet, row, scale)) }
            }
            tr class="about" { td colspan=(2 + sheet.runtimes.len()) { (codes(sheet, row)) } }
        }
    }
}

/// A median with its interval, and the tool where the line is not named after it.
fn figure(timed: &Timed, is_further: bool) -> Markup {
    let tool = timed.item.tool.as_deref().filter(|_| !is_further);
    html! {
        @match &timed.figure {
            Some(figure) => { b { (time(figure.median_ns)) } " " span class="soft" { (compact(figure)) } },
            None => { span class="soft" { "not here: " (plain(timed.unavailable.as_deref().unwrap_or_default())) } },
        }
        @if let Some(tool) = tool { " " span class="tool" { (tool) } }
    }
}

/// Each runtime's figure in a lane of its own.
fn dots(sheet: &Sheet, row: &Row<'_>, scale: &Scale) -> Markup {
    let measured = |(runtime, cell): (&'_ Runtime, &Option<&Timed>)| -> Option<(Runtime, Figure)> {
        Some((runtime.clone(), (*cell)?.figure.clone()?))
    };
    let lanes: Vec<(Runtime, Figure)> = sheet.runtimes.iter().zip(&row.cells).filter_map(measured).collect();
    let height = LANE * lanes.len().max(1) as f64;
    html! {
        svg height=(height) aria-hidden="true" {
            @for tick in scale.ticks() { (line((scale.at(tick), 0.0), (scale.at(tick), height), "base")) }
            @for (at, (runtime, figure)) in lanes.iter().enumerate() {
                @let y = LANE * (at as f64 + 0.5);
                g class=(class_of(runtime)) {
                    @if figure.repetitions_ns.len() > 1 {
                        (whisker(scale.at(figure.low_ns), scale.at(figure.high_ns), y, "interval"))
                    }
                    (mark(runtime, scale.at(figure.median_ns), y))
                }
            }
        }
    }
}

/// The code of each runtime, and what is quoted of it. Interpreters that run the same code share a line.
fn codes(sheet: &Sheet, row: &Row<'_>) -> Markup {
    let mut shown: Vec<(&str, &Item)> = Vec::new();
    for (at, timed) in row.cells.iter().enumerate() {
        let Some(timed) = timed else { continue };
        let language = rows::language_name(sheet, at);
        if !shown.iter().any(|(known, item)| *known == language && item.code == timed.item.code) {
            shown.push((language, &timed.item));
        }
    }
    html! {
        @for (language, item) in &shown {
            p class="code" {
                span class="soft" { (language) } " " code { (item.code) }
                @if item.per != "call" { " " span class="soft per" { "per " (item.per) } }
            }
            @if let Some(quoted) = &item.quoted {
                p class="quoted" { "Quoted: " (quoted.figure) " (" (source(&quoted.source)) ")" }
            }
        }
    }
}

/// A link whose text is the host that it leads to.
fn source(url: &str) -> Markup {
    match url.strip_prefix("https://") {
        Some(rest) => html! { a href=(url) rel="noreferrer" { (rest.split('/').next().unwrap_or(rest)) } },
        None => html! { (plain(url)) },
    }
}

/// The machine, the versions, and what else is to be known.
fn host(sheet: &Sheet) -> Markup {
    let mut facts = machine(&sheet.host, None);
    facts.extend(sheet.runtimes.iter().map(|runtime| ("Runtime", rows::heading(runtime))));
    facts.push(("Began", plain(&format!("{}, by conbench {}", sheet.began_at, sheet.conbench_version))));
    html! {
        (list(&facts))
        @if !sheet.warnings.is_empty() {
            h3 { "What else to know" }
            ul class="notes" { @for warning in &sheet.warnings { li { (plain(warning)) } } }
        }
    }
}
