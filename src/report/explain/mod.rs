//! The whole reasoning behind a verdict, in the order in which it happened.
//!
//! One file a stage: `conditions` (host and rounds), `race` (how the answer became what it is, and what each candidate
//! may cost), `sweep`. Rounds are counted from 1, in the order of the record's.

mod conditions;
mod race;
mod sweep;

use super::grid::{self, Paint, Title, paint};
use super::words;
use super::{Judged, Style, table};
use crate::analyze::Group;
use crate::record::{Phase, Record, Round};

/// Why a record's verdict is what it is: what was seen of the host, then for each runtime how the answer
/// became what it is, and the conclusion.
#[must_use]
pub fn explanation(judged: &Judged, style: Style) -> String {
    let mut text = table::title(judged, style);
    text.push_str(&drawn(&conditions::section(judged), style));
    for group in &judged.verdict.groups {
        text.push_str(&format!(
            "\n{}\n",
            paint(&words::runtime(&judged.record, &group.runtime), Paint::Bold, style.colour)
        ));
        for section in sections(judged, group) {
            text.push_str(&drawn(&section, style));
        }
    }
    text.push_str(&drawn(&between_runtimes(judged), style));
    text.push('\n');
    text
}

/// The stages of one runtime.
fn sections(judged: &Judged, group: &Group) -> Vec<Section> {
    let mut sections = race::sections(judged, group);
    sections.push(sweep::section(judged, group));
    let said = words::answer(judged, group).into_iter();
    sections.push(Section {
        heading: "Conclusion".to_owned(),
        parts: said.map(|(label, sentence)| Part::Said(label.to_owned(), sentence)).collect(),
    });
    sections
}

fn between_runtimes(judged: &Judged) -> Section {
    let mut parts: Vec<Part> = words::runtimes(judged).into_iter().map(Part::said).collect();
    if !parts.is_empty() {
        let met = judged.record.rounds.iter().filter(|round| round.phase == Phase::Runtimes);
        parts.insert(0, Part::said(format!("{} of their leaders", rounds_in_words(met))));
    }
    Section { heading: "Runtimes, on the same steps".to_owned(), parts }
}

/// One stage of the reasoning; without parts, there was none.
struct Section {
    heading: String,
    parts: Vec<Part>,
}

/// A piece of a section.
enum Part {
    /// A sentence, with a label that may be empty.
    Said(String, String),
    /// A table.
    Table(Vec<Title>, Vec<(Vec<String>, Paint)>),
}

impl Part {
    fn said(sentence: String) -> Part {
        Part::Said(String::new(), sentence)
    }
}

fn drawn(section: &Section, style: Style) -> String {
    if section.parts.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint(&section.heading, Paint::Bold, style.colour));
    for part in &section.parts {
        match part {
            Part::Said(label, sentence) if label.is_empty() => text.push_str(&grid::paragraph(sentence, style.width)),
            Part::Said(label, sentence) => text.push_str(&grid::labelled(0, label, sentence, style.width)),
            Part::Table(titles, rows) => text.push_str(&grid::fitted(titles, rows, style.width, style.colour)),
        }
    }
    text
}

const fn left(text: &'static str) -> Title {
    Title { text, right: false }
}

const fn right(text: &'static str) -> Title {
    Title { text, right: true }
}

/// `1 round`, `3 rounds`.
fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A candidate by its index, as in a sentence; the index itself where the record has none.
fn name(record: &Record, index: u32) -> String {
    let candidate = record.candidates.get(index as usize);
    candidate.map_or_else(|| format!("candidate {index}"), |one| format!("`{}`", one.candidate.short()))
}

/// Whether a candidate is of this runtime.
fn is_of(record: &Record, index: u32, runtime: &str) -> bool {
    record.candidates.get(index as usize).is_some_and(|one| one.candidate.runtime == runtime)
}

/// How many rounds these are, and how many of them count.
fn rounds_in_words<'a>(rounds: impl Iterator<Item = &'a Round>) -> String {
    let all: Vec<&Round> = rounds.collect();
    let voided = all.iter().filter(|round| round.voided).count();
    let said = counted(all.len(), "round");
    if voided == 0 { said } else { format!("{said}, of which {voided} voided and repeated") }
}
