//! "Choosing the Right Tool": a table a runtime, a row a workload, with a link to what it was found from.

use maud::{Markup, html};

use super::text::prose;
use crate::report::choice::{Choice, Section, TITLES, notes, sections};
use crate::report::{Judged, words};

/// The head of a page of several records.
pub(super) fn section(all: &[Judged]) -> Markup {
    html! {
        header id="choice" {
            h1 { "Choosing the Right Tool" }
            @if let Some(first) = all.first() { p class="soft" { (words::host(&first.record)) } }
            (tables(all, true))
        }
    }
}

/// The tables and their notes; a workload leads to its part where the page has one.
pub(super) fn tables(all: &[Judged], has_parts: bool) -> Markup {
    let notes = notes(all);
    html! {
        @for section in sections(all) { (table(&section, has_parts)) }
        @if !notes.is_empty() {
            ul class="soft" { @for note in &notes { li { (prose(note)) } } }
        }
    }
}

fn table(section: &Section, has_parts: bool) -> Markup {
    html! {
        @if has_parts { h2 { (section.title) } } @else { h3 { (section.title) } }
        div class="scroll" role="region" aria-label={ "Choosing the Right Tool, " (section.title) } tabindex="0" {
            table class="choice" {
                thead { tr { @for title in TITLES { th scope="col" { (title) } } } }
                tbody { @for choice in &section.rows { (row(choice, has_parts)) } }
            }
        }
    }
}

fn row(choice: &Choice, has_parts: bool) -> Markup {
    let [workload, model, tool, gain, may_cost, why] = &choice.cells;
    let titled = |at: usize, cell: &str| html! { td data-label=(TITLES[at]) { (cell) } };
    html! {
        tr {
            th scope="row" {
                @if has_parts { a href={ "#w" (choice.place + 1) } { (workload) } } @else { (workload) }
            }
            td { @if choice.is_answered { strong { (model) } } @else { (model) } }
            (titled(2, tool)) (titled(3, gain)) (titled(4, may_cost)) (titled(5, why))
        }
    }
}
