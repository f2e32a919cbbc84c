//! The pitfalls of a sheet: each as a pair of bars, what was seen of it, and what to learn.

use maud::{Markup, html};

use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, bar};
use super::text::prose;
use crate::cheatsheet::sheet::{Both, Sheet, Shown};
use crate::escape::plain;
use crate::report::cheatsheet::rows::{amount, range};

/// The pitfalls, by runtime.
pub(super) fn content(sheet: &Sheet) -> Markup {
    html! {
        @for (at, runtime) in sheet.runtimes.iter().enumerate() {
            @let own: Vec<&Shown> = sheet.pitfalls.iter().filter(|shown| shown.runtime == runtime.name).collect();
            @if !own.is_empty() {
                p class="runtime" { (plain(&runtime.name)) }
                @for shown in own { (pitfall(shown, at + 1)) }
            }
        }
    }
}

fn pitfall(shown: &Shown, runtime: usize) -> Markup {
    let pitfall = &shown.pitfall;
    let id = format!("pitfall-{runtime}-{}", pitfall.id);
    html! {
        article class="pitfall" {
            @match &shown.figures {
                Some(both) => (pair(shown, both, id)),
                None => {
                    h3 id=(id) { (prose(&pitfall.title)) }
                    p class="soft" { "Not shown: " (plain(shown.unavailable.as_deref().unwrap_or_default())) }
                },
            }
        }
    }
}

/// Both figures as bars from zero, and below them what a user sees.
fn pair(shown: &Shown, both: &Both, id: String) -> Markup {
    let pitfall = &shown.pitfall;
    let scale = Scale::linear(both.wrong.max(both.mended), (0.0, 100.0));
    let sides = [
        ("wrong", both.wrong, both.wrong_interval, &pitfall.wrong),
        ("mended", both.mended, both.mended_interval, &pitfall.mended),
    ];
    let drawn = sides.map(|(class, value, interval, what)| ChartRow {
        class: "",
        who: html! { span class="name" { (class) } span class="soft" { (prose(what)) } },
        drawn: html! { svg height="18" { (bar(0.0, scale.at(value), (3.0, 12.0), &format!("mark {class}"))) } },
        figure: html! { b { (amount(value, &pitfall.unit)) } " " (range(value, interval, &pitfall.unit)) },
    });
    let cells = sides.map(|(side, value, interval, what)| {
        vec![side.to_owned(), amount(value, &pitfall.unit), range(value, interval, &pitfall.unit), what.clone()]
    });
    let figure = Figure {
        id,
        title: pitfall.title.clone(),
        description: pitfall.lesson.clone(),
        legend: None,
        chart: rows(&drawn, &html! {}),
        table: Table::new(&["", ">Figure", "Interval", "Of what"], cells.to_vec()),
    };
    html! {
        (figure.markup())
        @if let Some(seen) = &both.shown {
            pre class="seen" { code { (seen.lines().map(plain).collect::<Vec<_>>().join("\n")) } }
        }
    }
}
