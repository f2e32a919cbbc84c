//! The frame of a page, whatever stands on it: head, style and its hash, sections, charts with their tables.
//!
//! Nothing here knows a record, so that other pages have the same look.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::escape::escaped_but;

/// The one style of every page.
const STYLE: &str = include_str!("style.css");

/// A whole page: one file that loads nothing and runs nothing.
///
/// `title` is plain text. The markup may use the classes of `style.css` and must have no `style` attribute, since the
/// policy of the page allows its one style element alone.
pub(in crate::report) fn page(title: &str, body: &Markup) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let markup = html! {
        (DOCTYPE)
        html lang="en" dir="ltr" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "conbench " (env!("CARGO_PKG_VERSION")) };
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (patterns())
                main { (body) }
                footer { "Made by conbench " (env!("CARGO_PKG_VERSION")) ". One file, no network, no scripts." }
            }
        }
    };
    escaped_but(&markup.into_string(), &['\n', '\t'])
}

/// The patterns that charts are filled with, beside colours.
fn patterns() -> Markup {
    html! {
        svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect width="6" height="6" class="under" {}
                    rect width="1.6" height="6" class="over" {}
                }
                pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse" {
                    rect width="6" height="6" class="under" {}
                    circle cx="3" cy="3" r="1.1" class="over" {}
                }
            }
        }
    }
}

/// A part of a page with a heading of its own.
pub(in crate::report) fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-h" } {
            h2 id={ (id) "-h" } { (heading) }
            (content)
        }
    }
}

/// A table of texts.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Table {
    /// Titles, and whether the column is one of numbers, which stand at the right.
    pub(in crate::report) titles: Vec<(String, bool)>,
    /// Cells, as many in a row as there are titles.
    pub(in crate::report) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns: `>` before a title is one of numbers.
    pub(in crate::report) fn new(titles: &[&str], rows: Vec<Vec<String>>) -> Table {
        let title = |title: &&str| match title.strip_prefix('>') {
            Some(of_numbers) => (of_numbers.to_owned(), true),
            None => ((*title).to_owned(), false),
        };
        Table { titles: titles.iter().map(title).collect(), rows }
    }

    /// The table alone. The first cell of a row is its heading.
    pub(in crate::report) fn markup(&self, label: &str) -> Markup {
        let class = |at: usize| self.titles.get(at).filter(|title| title.1).map(|_| "n");
        html! {
            div class="scroll" role="region" aria-label=(label) tabindex="0" {
                table {
                    thead { tr { @for (at, title) in self.titles.iter().enumerate() {
                        th scope="col" class=[class(at)] { (title.0) }
                    } } }
                    tbody { @for row in &self.rows { tr { @for (at, cell) in row.iter().enumerate() {
                        @if at == 0 { th scope="row" { (cell) } } @else { td class=[class(at)] { (cell) } }
                    } } } }
                }
            }
        }
    }
}

/// A chart with all that belongs to it.
pub(in crate::report) struct Figure {
    /// Unique on the page.
    pub(in crate::report) id: String,
    /// What the chart says, in a sentence.
    pub(in crate::report) title: String,
    /// What is drawn, in which units, and what is not.
    pub(in crate::report) description: String,
    /// What the marks mean, where they are several.
    pub(in crate::report) legend: Option<Markup>,
    /// The drawing.
    pub(in crate::report) chart: Markup,
    /// Everything that is drawn, as figures.
    pub(in crate::report) table: Table,
}

impl Figure {
    /// The figure: title, description, drawing, and the table behind a line that opens it.
    pub(in crate::report) fn markup(&self) -> Markup {
        let id = &self.id;
        html! {
            figure id=(id) {
                figcaption {
                    h3 id={ (id) "-t" } { (super::text::prose(&self.title)) }
                    p id={ (id) "-d" } class="soft" { (super::text::prose(&self.description)) }
                }
                @if let Some(legend) = &self.legend { (legend) }
                div class="chart" role="img" aria-labelledby={ (id) "-t" } aria-describedby={ (id) "-d" } { (self.chart) }
                details {
                    summary { "The figures as a table" }
                    (self.table.markup(&self.title))
                }
            }
        }
    }
}

/// A row of a chart: who, the drawing, and what is read from it.
pub(in crate::report) struct ChartRow {
    /// A class that marks the row, or nothing.
    pub(in crate::report) class: &'static str,
    /// The name, at the left.
    pub(in crate::report) who: Markup,
    /// The drawing, as wide as there is room.
    pub(in crate::report) drawn: Markup,
    /// The figure, at the right.
    pub(in crate::report) figure: Markup,
}

/// Rows below each other, with an axis under them.
pub(in crate::report) fn rows(rows: &[ChartRow], axis: &Markup) -> Markup {
    html! {
        div class="rows" {
            @for row in rows {
                div class={ "row " (row.class) } {
                    div class="who" { (row.who) }
                    div class="drawn" { (row.drawn) }
                    div class="figure" { (row.figure) }
                }
            }
            div class="row foot" { div class="drawn" { (axis) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_the_style_and_nothing_else() {
        let page = page("a title", &html! { p { "text" } });
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        assert!(page.contains(&format!("<style>{STYLE}</style>")), "the hash is of what stands between the tags");
        let policy = format!("content=\"default-src 'none'; style-src 'sha256-{hash}'; base-uri");
        assert!(page.contains(&policy), "{}", &page[..600]);
        assert!(!STYLE.contains("http") && !STYLE.contains("@import"), "the style loads nothing");
    }

    #[test]
    fn tables_say_what_their_cells_are() {
        let table = Table::new(&["Name", ">Tasks"], vec![vec!["<a>".to_owned(), "1".to_owned()]]);
        let text = table.markup("it").into_string();
        assert!(text.contains("<th scope=\"col\" class=\"n\">Tasks</th>"), "{text}");
        assert!(text.contains("<th scope=\"row\">&lt;a&gt;</th><td class=\"n\">1</td>"), "{text}");
    }
}
