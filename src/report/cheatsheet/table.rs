//! The sheet for a terminal: one section a table.

use super::lines;
use super::rows::{self, amount};
use crate::cheatsheet::catalogue::Section;
use crate::cheatsheet::sheet::{Sheet, Shown, Timed};
use crate::escape::plain;
use crate::report::grid::{self, Paint, paint};
use crate::report::{Judged, Style, View};
use crate::units;

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
pub(in crate::report) fn circumstances(sheet: &Sheet) -> Vec<String> {
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
                "each figure: the median of {several} fresh processes, with its {} interval",
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

fn timed(sheet: &Sheet, section: Section, style: Style) -> String {
    let rows = rows::rows(sheet, section);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = lines::drawn(sheet, &rows, style);
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

fn pitfalls(sheet: &Sheet, style: Style) -> String {
    let mut text: String = rows::repeated(sheet).map(|said| grid::paragraph(&said, style.width)).unwrap_or_default();
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
    let sides = [(both.wrong, both.wrong_interval), (both.mended, both.mended_interval)];
    let figures = sides.map(|(value, _)| amount(value, &pitfall.unit));
    let ranges = sides.map(|(value, range)| rows::range(value, range, &pitfall.unit));
    let widest = |texts: &[String; 2]| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
    let (width, room) = (widest(&figures), widest(&ranges));
    for ((figure, range), what) in figures.iter().zip(&ranges).zip([&pitfall.wrong, &pitfall.mended]) {
        let gap = if room > 0 { " " } else { "" };
        text.push_str(&grid::labelled(4, &format!("{figure:>width$}{gap}{range:<room$} "), what, style.width));
    }
    for line in both.shown.iter().flat_map(|seen| seen.lines()) {
        text.push_str(&grid::labelled(4, ">", &plain(line), style.width));
    }
    let lesson = grid::paragraph(&pitfall.lesson, style.width.saturating_sub(4));
    text.extend(lesson.lines().map(|line| format!("    {line}\n")));
    text
}
