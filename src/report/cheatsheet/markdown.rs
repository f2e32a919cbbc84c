//! The sheet as Markdown, with the code of each line: a reader of a document cannot ask again.

use std::fmt::Write as _;

use super::rows::{self, Row, amount, interval, range, repeated, time};
use super::table::circumstances;
use crate::cheatsheet::catalogue::Section;
use crate::cheatsheet::sheet::{Sheet, Shown};
use crate::escape::plain;
use crate::report::markdown::escaped;
use crate::report::{Judged, View};

/// The whole sheet.
#[must_use]
pub fn cheatsheet_markdown(sheet: &Sheet, choosing: &[Judged]) -> String {
    let mut text = "# Concurrency, measured here\n\n".to_owned();
    for line in circumstances(sheet) {
        text.push_str(&format!("- {}\n", escaped(&line)));
    }
    for section in &sheet.sections {
        text.push_str(&format!("\n## {}. {}\n\n", section.number(), section.title()));
        match section {
            Section::Choosing if choosing.is_empty() => text.push_str("not measured\n"),
            Section::Choosing => text.push_str(&crate::report::markdown(View::Choice).document(choosing)),
            Section::Pitfalls => text.push_str(&pitfalls(sheet)),
            _ => text.push_str(&timed(sheet, *section)),
        }
    }
    for warning in &sheet.warnings {
        text.push_str(&format!("\nNote: {}\n", escaped(warning)));
    }
    text
}

fn timed(sheet: &Sheet, section: Section) -> String {
    let mut text = "| what | runtime | code | per | median | interval | quoted |\n".to_owned();
    text.push_str("| --- | --- | --- | --- | ---: | --- | --- |\n");
    for row in rows::rows(sheet, section) {
        text.push_str(&lines(&row));
    }
    text
}

/// A line for each runtime of a row.
fn lines(row: &Row<'_>) -> String {
    let mut text = String::new();
    for timed in row.cells.iter().flatten() {
        let item = &timed.item;
        let (median, range) = match &timed.figure {
            Some(figure) => (time(figure.median_ns), interval(figure)),
            None => ("-".to_owned(), escaped(timed.unavailable.as_deref().unwrap_or_default())),
        };
        let tool = item.tool.as_ref().map(|tool| format!(", {tool}")).unwrap_or_default();
        let quoted = item.quoted.as_ref().map(|quoted| format!("[{}]({})", escaped(&quoted.figure), quoted.source));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {}{} | {} | {} | {median} | {range} | {} |",
            escaped(&item.title),
            escaped(&timed.runtime),
            escaped(&tool),
            code(&item.code),
            escaped(&item.per),
            quoted.unwrap_or_default()
        );
    }
    text
}

fn pitfalls(sheet: &Sheet) -> String {
    let mut text = repeated(sheet).map(|said| said + "\n\n").unwrap_or_default();
    for runtime in &sheet.runtimes {
        for shown in sheet.pitfalls.iter().filter(|shown| shown.runtime == runtime.name) {
            text.push_str(&pitfall(shown));
        }
    }
    text
}

fn pitfall(shown: &Shown) -> String {
    let pitfall = &shown.pitfall;
    let mut text = format!("### {} ({})\n\n", escaped(&pitfall.title), escaped(&shown.runtime));
    let Some(both) = &shown.figures else {
        let why = shown.unavailable.as_deref().unwrap_or_default();
        return text + &format!("Not shown: {}\n\n", escaped(why));
    };
    for (label, value, interval, what) in [
        ("wrong", both.wrong, both.wrong_interval, &pitfall.wrong),
        ("mended", both.mended, both.mended_interval, &pitfall.mended),
    ] {
        let range = range(value, interval, &pitfall.unit);
        let gap = if range.is_empty() { "" } else { " " };
        let _ = writeln!(text, "- {label}: **{}**{gap}{range}, {}", amount(value, &pitfall.unit), escaped(what));
    }
    for line in both.shown.iter().flat_map(|seen| seen.lines()) {
        let _ = writeln!(text, "- seen: {}", code(&plain(line)));
    }
    text + &format!("\n{}\n\n", escaped(&pitfall.lesson))
}

/// Code within a cell: a bar would end the cell, so it is escaped even there.
fn code(text: &str) -> String {
    // A mark longer than any in the text encloses it.
    let mark = if text.contains('`') { "``" } else { "`" };
    format!("{mark}{}{mark}", text.replace('|', "\\|"))
}
