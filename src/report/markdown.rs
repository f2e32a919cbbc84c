//! Reports in Markdown.

use super::answer::{Brief, OfModel, briefs};
use super::choice::{TITLES, notes as choice_notes, sections};
use super::figures::{COSTS, DETAILS, LEGEND, MAIN, Sheet, choice_of};
use super::grid::Title;
use super::words::{self, DASH};
use super::{Exporter, Judged, leaving, scaling, workers};
use crate::analyze::{Group, Row};
use crate::escape::plain;

/// The answers of each record, and its candidates with every size and every figure.
pub(super) struct CandidatesMarkdown;

impl Exporter for CandidatesMarkdown {
    fn head(&self, _first: &Judged) -> String {
        String::new()
    }

    fn row(&self, judged: &Judged) -> String {
        let record = &judged.record;
        let mut text: String = briefs(judged).iter().map(answered).collect();
        text.push_str(&format!(
            "## {}: what was measured\n\n{}\n\n{}\n",
            escaped(&record.workload.name),
            escaped(&words::circumstances(judged)),
            escaped(&words::host(record))
        ));
        text.extend(judged.verdict.groups.iter().map(|group| measured(judged, group)));
        let runtimes = words::runtimes(judged);
        if !runtimes.is_empty() {
            text.push_str("\n### Runtimes, on the same steps\n\n");
            text.extend(runtimes.iter().map(|line| format!("- {}\n", escaped(line))));
        }
        let notes = notes(judged);
        if notes.is_empty() { text + "\n" } else { format!("{text}\n{notes}\n") }
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

/// The candidates of a runtime, with every figure.
fn measured(judged: &Judged, group: &Group) -> String {
    let rows: Vec<&Row> = group.rows.iter().collect();
    let mut text = format!("\n### {}\n\n", escaped(&words::runtime(&judged.record, &group.runtime)));
    text.push_str(&sheet(&MAIN, group, &rows));
    let choice = choice_of(group, &rows);
    if !choice.is_empty() {
        text.push_str(&headed(&COSTS, group, &choice));
    }
    text.extend(DETAILS.iter().map(|details| headed(details, group, &rows)));
    text.push_str(&format!("\n{LEGEND}\n\n{DASH}\n"));
    if !group.curves.is_empty() {
        text.push_str(&format!("\n{}\n\n", scaling::HEADING));
        let line = |curve| escaped(&format!("{} {}", scaling::label(curve), scaling::line(curve)));
        text.extend(group.curves.iter().map(|curve| format!("- {}\n", line(curve))));
        text.push_str(&format!("\n{}\n", scaling::SPARKLINE));
    }
    if let Some(leaving) = &group.leaving {
        text.push_str(&format!("\n{}\n\n{}", leaving::HEADING, header(&leaving::TITLES)));
        text.extend(leaving::rows(leaving).iter().map(|cells| line(cells)));
        text.push_str(&format!("\n{}; {}\n", escaped(leaving::MARK), leaving::measured(leaving)));
    }
    let workers = workers::lines(judged, group);
    if !workers.is_empty() {
        text.push_str(&format!("\n{}\n\n", workers::HEADING));
        text.extend(workers.iter().map(|line| format!("- {}\n", escaped(line))));
    }
    if let Some(limit) = &group.limit {
        text.push_str(&format!("\n**Limit:** {}\n", escaped(&words::host_limit(limit, group))));
    }
    text
}

/// The answer of one workload, with its code.
pub(super) struct AnswerMarkdown;

impl Exporter for AnswerMarkdown {
    fn head(&self, _first: &Judged) -> String {
        String::new()
    }

    fn row(&self, judged: &Judged) -> String {
        let mut text: String = briefs(judged).iter().map(answered).collect();
        let runtimes = words::runtimes(judged);
        text.extend(runtimes.iter().map(|line| format!("- {}\n", escaped(line))));
        let is_answered = judged.verdict.groups.iter().any(|group| group.answer.is_some());
        if is_answered { text } else { text + &notes(judged) }
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

fn answered(brief: &Brief) -> String {
    let mut text = format!("## {}\n\n{}\n\n", escaped(&brief.heading), escaped(&brief.place));
    if !brief.code.is_empty() {
        let Brief { language, code, summary, .. } = brief;
        let fence = fence(code);
        text.push_str(&format!("{fence}{language}\n{code}{fence}\n\n{}\n\n", escaped(summary)));
    }
    if !brief.models.is_empty() {
        text.push_str(&models(&brief.models));
    }
    text.extend(brief.remarks.iter().map(|(label, said)| format!("- **{label}** {}\n", escaped(said))));
    text + "\n"
}

/// A row a model.
fn models(models: &[OfModel]) -> String {
    let titles = ["Model", "Engine", "Sizes", "Tasks", ""].map(|text| Title { text, right: false });
    let cells = |it: &OfModel| [it.model.name(), &it.engine, &it.sizes, &it.figure, it.remark].map(str::to_owned);
    let rows = models.iter().map(|it| line(&cells(it))).collect::<String>();
    format!("{}{rows}\n", header(&titles))
}

/// Backticks, more than the code itself has in a row.
fn fence(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// "Choosing the Right Tool".
pub(super) struct ChoiceMarkdown;

impl Exporter for ChoiceMarkdown {
    fn head(&self, first: &Judged) -> String {
        format!("## Choosing the Right Tool\n\n{}\n", escaped(&words::host(&first.record)))
    }

    fn row(&self, _judged: &Judged) -> String {
        String::new()
    }

    fn foot(&self, all: &[Judged]) -> String {
        let titles = TITLES.map(|text| Title { text, right: false });
        let mut text = String::new();
        for section in sections(all) {
            text.push_str(&format!("\n### {}\n\n{}", escaped(&section.title), header(&titles)));
            text.extend(section.rows.iter().map(|choice| line(&choice.cells)));
        }
        let notes = choice_notes(all);
        if !notes.is_empty() {
            text.push('\n');
        }
        text.extend(notes.iter().map(|note| format!("- {}\n", escaped(note))));
        text
    }
}

fn notes(judged: &Judged) -> String {
    let mut lines: Vec<String> = words::faults(judged)
        .into_iter()
        .filter(|fault| !fault.is_told)
        .map(|fault| {
            let at = fault.traceback.last().map(|line| format!(" (at: {})", line.trim())).unwrap_or_default();
            format!("{} {}: {}{at}", fault.candidates, fault.what, fault.reason)
        })
        .collect();
    lines.extend(words::reservations(judged));
    let left_out = judged.record.left_out().iter();
    lines.extend(left_out.map(|left_out| format!("`{}` left out: {}", left_out.what, left_out.reason)));
    lines.iter().map(|line| format!("- {}\n", escaped(line))).collect()
}

fn headed(of: &Sheet, group: &Group, rows: &[&Row]) -> String {
    format!("\n{}\n\n{}", of.heading, sheet(of, group, rows))
}

fn sheet(sheet: &Sheet, group: &Group, rows: &[&Row]) -> String {
    let mut text = header(&sheet.titles(u8::MAX));
    text.extend(rows.iter().map(|row| line(&sheet.cells(u8::MAX, group, row))));
    text
}

/// A header with the rule that says which side a column is aligned to.
pub(super) fn header(titles: &[Title]) -> String {
    let names: Vec<String> = titles.iter().map(|title| title.text.to_owned()).collect();
    let rules: Vec<&str> = titles.iter().map(|title| if title.right { "---:" } else { "---" }).collect();
    format!("{}| {} |\n", line(&names), rules.join(" | "))
}

/// A row of cells.
pub(super) fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// Text on one line, that neither ends a cell nor starts markup of its own.
pub(super) fn escaped(text: &str) -> String {
    plain(text).replace('|', "\\|").replace('<', "&lt;")
}
