//! The head of a page: what to use, what it gains, how sure that is, and what to paste.

use maud::{Markup, html};

use super::text::{capital, prose};
use super::{Ids, class_of, host, runtime_name};
use crate::escape::plain;
use crate::report::answer::{Brief, Gains, briefs};
use crate::report::{Judged, words};

/// The title of the page of one record: its first answer.
pub(super) fn title(judged: &Judged) -> String {
    let briefs = briefs(judged);
    match briefs.as_slice() {
        [brief] => brief.heading.replace('`', ""),
        _ => plain(&judged.record.workload.name),
    }
}

/// The answers of a record, one a runtime.
pub(super) fn markup(judged: &Judged, ids: &Ids) -> Markup {
    let workload = &judged.record.workload;
    let briefs = briefs(judged);
    let name = plain(&workload.name);
    let said = if workload.description.is_empty() { &workload.use_case } else { &workload.description };
    html! {
        header id=(ids.of("answer")) {
            p class="eyebrow" { (name) }
            @if !said.is_empty() { p class="soft what" { (plain(said)) } }
            @if briefs.is_empty() { h1 { "No answer: nothing was measured" } }
            @for (at, (brief, group)) in briefs.iter().zip(&judged.verdict.groups).enumerate() {
                @let runtime = (briefs.len() > 1).then(|| runtime_name(judged, group));
                (answer(brief, &name, runtime.as_deref(), at == 0 && !ids.several))
            }
            (runtimes(judged))
            @if !host::has_answer(judged) { (host::notes(judged)) }
        }
    }
}

fn answer(brief: &Brief, name: &str, runtime: Option<&str>, is_title: bool) -> Markup {
    let said = brief.heading.strip_prefix(name).and_then(|said| said.strip_prefix(": ")).unwrap_or(&brief.heading);
    let named = brief.models.first().filter(|_| brief.gains.is_some());
    html! {
        div class="answer" {
            @if let Some(runtime) = runtime { p class="runtime" { (runtime) } }
            @if is_title { h1 { (prose(&capital(said))) } } @else { h2 class="big" { (prose(&capital(said))) } }
            p class="lead" {
                @if let Some(named) = named {
                    span class={ "swatch " (class_of(named.model)) } {}
                    strong { (named.engine) } ", " (named.sizes)
                    span class="soft" { " · " (brief.place) }
                } @else { span class="soft" { (brief.place) } }
            }
            @if let Some(gains) = &brief.gains { (facts(gains)) }
            @if !brief.code.is_empty() {
                pre class="code" tabindex="0" aria-label="The code to paste" { code { (brief.code) } }
            }
            @if !brief.remarks.is_empty() {
                dl class="remarks" {
                    @for (label, sentence) in &brief.remarks {
                        div { dt { (label) } dd { (prose(&capital(sentence))) "." } }
                    }
                }
            }
        }
    }
}

/// Three figures: what it does, what it gains, how sure that is.
fn facts(gains: &Gains) -> Markup {
    html! {
        ul class="facts" {
            @if let Some(rate) = &gains.rate { li { (figure_and_unit(rate, " tasks/s", "tasks a second")) } }
            @if let Some(factor) = &gains.over_loop {
                li { b { (factor.trim_end_matches('x')) "×" } span { "a plain loop" } }
            }
            li { b { (capital(gains.sure)) } span { (bound(gains)) "; " (gains.effort) } }
        }
    }
}

/// What the bound says, without the word that stands above it.
fn bound(gains: &Gains) -> String {
    let said = gains.bound.split_once(": ").filter(|(word, _)| word.eq_ignore_ascii_case(gains.sure));
    said.map_or_else(|| gains.bound.clone(), |(_, said)| capital(said))
}

fn figure_and_unit(figure: &str, unit: &str, said: &str) -> Markup {
    html! { b { (figure.trim_end_matches(unit)) } span { (said) } }
}

/// How the runtimes stand to each other, where there are several.
fn runtimes(judged: &Judged) -> Markup {
    let lines = words::runtimes(judged);
    html! {
        @if !lines.is_empty() {
            div class="standings" {
                h3 { "Runtimes, on the same steps" }
                ul { @for line in &lines { li { (prose(line)) } } }
            }
        }
    }
}
