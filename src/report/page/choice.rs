//! "Choosing the Right Tool": a row for each workload and runtime, with a link to what it was found from.

use maud::{Markup, html};

use super::text::prose;
use crate::report::choice::{Choice, choices};
use crate::report::sureness::legend;
use crate::report::{Judged, words};

/// The head of a page of several records.
pub(super) fn section(all: &[Judged]) -> Markup {
    let tolerance = all.first().map_or(0.0, |judged| judged.verdict.tolerance);
    html! {
        header id="choice" {
            h1 { "Choosing the Right Tool" }
            @if let Some(first) = all.first() { p class="soft" { (words::host(&first.record)) } }
            div class="scroll" role="region" aria-label="Choosing the Right Tool" tabindex="0" {
                table class="choice" {
                    thead { tr {
                        th scope="col" { "Use case" } th scope="col" { "Best choice" } th scope="col" { "Engine" }
                        th scope="col" class="n" { "Tasks" } th scope="col" { "Sure?" }
                    } }
                    tbody {
                        @for (at, judged) in all.iter().enumerate() {
                            @for choice in choices(judged) { (row(&choice, at)) }
                        }
                    }
                }
            }
            p class="soft" { (legend(tolerance)) "." }
        }
    }
}

fn row(choice: &Choice, at: usize) -> Markup {
    let lines: Vec<&str> = choice.use_case.split('\n').collect();
    html! {
        tr {
            th scope="row" {
                a href={ "#w" (at + 1) } { (lines.first().copied().unwrap_or_default()) }
                @for line in lines.iter().skip(1) { br; span class="soft" { (line) } }
            }
            td { strong { (choice.best) } }
            td { (choice.engine) @if !choice.sizes.is_empty() { br; span class="soft" { (prose(&choice.sizes_with())) } } }
            td class="n" data-label="Tasks" {
                (choice.throughput)
                @if !choice.over_sequential.is_empty() { br; span class="soft" { (choice.over_sequential) } }
            }
            td data-label="Sure?" { (choice.sure) @if !choice.may_cost.is_empty() { br; span class="soft whole" { (choice.may_cost) } } }
        }
    }
}
