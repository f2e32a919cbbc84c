//! The sheet for a terminal: one section a table.

use super::rows::{self, Row, amount, interval, time};
use crate::cheatsheet::catalogue::Section;
use crate::cheatsheet::sheet::{Sheet, Shown, Timed};
use crate::report::grid::{self, Paint, Title, paint};
use crate::report::{Judged, Style, View, plain, units};

/// What stands where a runtime has nothing of the kind.
const NOTHING: &str = "";
/// What stands where something could not be measured; the reason is below the table.
const UNAVAILABLE: &str = "-";

/// The whole sheet.
#[must_use]
pub fn cheatsheet_table(sheet: &Sheet, choosing: &[Judged], style: Style) -> String {
    let mut text = paint("Concurrency, measured here", Paint::Bold, style.colour) + "\n";
    for line in circumstances(sheet) {
        text.push_str(&grid::paragraph(&line, style.width));
    }
    for section in &sheet.sections {
        let heading = format!("{}. {}", section.number(), section.title());
        let body = match section {
            Section::Choosing => crate::report::table(View::Choice, style).document(choosing),
            Section::Pitfalls => pitfalls(sheet, style),
            _ => timed(sheet, *section, style),
        };
        text.push_str(&format!("\n{}\n", paint(&heading, Paint::Bold, style.colour)));
        text.push_str(if body.is_empty() { "not measured\n" } else { &body });
    }
    for warning in &sheet.warnings {
        text.push_str(&grid::labelled(0, "Note:", &plain(warning), style.width));
    }
    text
}

/// The host, the runtimes, and how to read a figure.
pub(super) fn circumstances(sheet: &Sheet) -> Vec<String> {
    let cpus = sheet.host.usable_cpus();
    let host = format!(
        "{cpus} usable {}, {}, {}, kernel {}",
        if cpus == 1 { "CPU" } else { "CPUs" },
        plain(&sheet.host.cpu),
        plain(&sheet.host.os),
        plain(&sheet.host.kernel)
    );
    let runtimes: Vec<String> = sheet.runtimes.iter().map(rows::heading).collect();
    let mut lines = vec![host, runtimes.join("; ")];
    let figures = sheet.items.iter().filter_map(|timed| timed.figure.as_ref());
    if let Some(figure) = figures.max_by_key(|figure| figure.repetitions_ns.len()) {
        let what = match figure.repetitions_ns.len() {
            1 => "each figure: of one fresh process".to_owned(),
            several => format!(
                "each figure: the median of {several} fresh processes, with its {} interval (± its wider side)",
                units::percent(figure.confidence)
            ),
        };
        let version = plain(&sheet.conbench_version);
        lines.push(format!("{what}; conbench {version}, seed {}, {}", sheet.seed, plain(&sheet.began_at)));
    }
    if sheet.is_interrupted {
        lines.push("a signal ended it: what was measured until then is here".to_owned());
    }
    lines
}

/// How much of an interval is shown: as much as has room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spread {
    /// Both ends.
    Interval,
    /// The wider side, as a share.
    Share,
    /// None.
    Nothing,
}

fn timed(sheet: &Sheet, section: Section, style: Style) -> String {
    let rows = rows::rows(sheet, section);
    if rows.is_empty() {
        return String::new();
    }
    let fits = |spread: &Spread| {
        let plain = drawn(sheet, &rows, *spread, false);
        plain.lines().all(|line| line.chars().count() <= usize::from(style.width))
    };
    let spread = [Spread::Interval, Spread::Share].into_iter().find(fits).unwrap_or(Spread::Nothing);
    let mut text = drawn(sheet, &rows, spread, style.colour);
    if spread == Spread::Nothing {
        let sentence = format!("no room at {} columns for the intervals: --format markdown has them", style.width);
        text.push_str(&grid::paragraph(&sentence, style.width));
    }
    for timed in sheet.items.iter().filter(|timed| timed.item.section == section) {
        if let Some(why) = &timed.unavailable {
            text.push_str(&grid::labelled(0, "-", &unavailable(timed, why), style.width));
        }
    }
    text
}

fn unavailable(timed: &Timed, why: &str) -> String {
    format!("{} under {}: {}", timed.item.title, plain(&timed.runtime), plain(why))
}

/// The table; each runtime has a column for its medians and, where there is room, one for their intervals.
fn drawn(sheet: &Sheet, rows: &[Row<'_>], spread: Spread, colour: bool) -> String {
    let mut titles = vec![Title { text: "", right: false }];
    let mut heads = vec![String::new()];
    for runtime in &sheet.runtimes {
        heads.push(plain(&runtime.name));
        titles.push(Title { text: "", right: true });
        if spread != Spread::Nothing {
            heads.push(String::new());
            titles.push(Title { text: "", right: false });
        }
    }
    if rows.iter().any(|row| !row.tool.is_empty()) {
        heads.push(String::new());
        titles.push(Title { text: "", right: false });
    }
    let mut lines = vec![(heads, Paint::Bold)];
    for row in rows {
        lines.push((line(row, spread, titles.len()), Paint::Plain));
        lines.extend(row.quoted().map(|(at, figure)| (quoted(sheet, at, figure, titles.len()), Paint::Faint)));
    }
    grid::bare(&titles, &lines, colour)
}

fn line(row: &Row<'_>, spread: Spread, columns: usize) -> Vec<String> {
    // What is said by the line above need not be said again.
    let title = if row.is_further { String::new() } else { row.title.clone() };
    let mut cells = vec![title];
    for cell in &row.cells {
        let figure = cell.and_then(|timed| timed.figure.as_ref());
        cells.push(match (cell, figure) {
            (_, Some(figure)) => time(figure.median_ns),
            (Some(_), None) => UNAVAILABLE.to_owned(),
            (None, None) => NOTHING.to_owned(),
        });
        match spread {
            Spread::Interval => cells.push(figure.map(interval).unwrap_or_default()),
            Spread::Share => cells.push(figure.map(rows::spread).unwrap_or_default()),
            Spread::Nothing => {}
        }
    }
    if cells.len() < columns {
        cells.push(row.tool.to_owned());
    }
    cells
}

/// The line below, with what is quoted elsewhere.
fn quoted(sheet: &Sheet, at: usize, figure: &str, columns: usize) -> Vec<String> {
    let name = sheet.runtimes.get(at).map(|runtime| plain(&runtime.name)).unwrap_or_default();
    let language = name.trim_end_matches(|letter: char| !letter.is_ascii_alphabetic()).to_owned();
    let mut cells = vec![format!("  quoted of {language}: {figure}")];
    cells.resize(columns, String::new());
    cells
}

fn pitfalls(sheet: &Sheet, style: Style) -> String {
    let mut text = String::new();
    for runtime in &sheet.runtimes {
        let own: Vec<&Shown> = sheet.pitfalls.iter().filter(|shown| shown.runtime == runtime.name).collect();
        if own.is_empty() {
            continue;
        }
        text.push_str(&(paint(&plain(&runtime.name), Paint::Bold, style.colour) + "\n"));
        text.extend(own.iter().map(|shown| pitfall(shown, style)));
    }
    text
}

/// A pitfall: its name, both figures with what they are of, what a user sees, and the lesson.
fn pitfall(shown: &Shown, style: Style) -> String {
    let pitfall = &shown.pitfall;
    let mut text = format!("  {}\n", paint(&pitfall.title, Paint::Bold, style.colour));
    let Some(both) = &shown.figures else {
        let why = shown.unavailable.as_deref().unwrap_or_default();
        return text + &grid::labelled(4, "not shown:", &plain(why), style.width);
    };
    let [wrong, mended] = [both.wrong, both.mended].map(|value| amount(value, &pitfall.unit));
    let width = wrong.chars().count().max(mended.chars().count());
    for (figure, what) in [(wrong, &pitfall.wrong), (mended, &pitfall.mended)] {
        text.push_str(&grid::labelled(4, &format!("{figure:>width$} "), what, style.width));
    }
    for line in both.shown.iter().flat_map(|seen| seen.lines()) {
        text.push_str(&grid::labelled(4, ">", &plain(line), style.width));
    }
    let lesson = grid::paragraph(&pitfall.lesson, style.width.saturating_sub(4));
    text.extend(lesson.lines().map(|line| format!("    {line}\n")));
    text
}
