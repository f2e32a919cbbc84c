//! Reports: records and their verdicts as a table, Markdown or JSON. Pure: the same records, view and
//! style always give the same bytes, so that a stored record prints what the live session printed.
//!
//! One file an exporter (`table`, `markdown`, `json`, `plan` for what would run, `explain` for how a verdict came
//! about, `cheatsheet` for the cheat sheet, `compare` for two sessions, `duel` for two versions, `export/` for other programs); what they share is
//! what stands in a cell (`figures`, `choice`, `words`) and how a number is written (`units`).

mod answer;
mod cheatsheet;
mod choice;
mod compare;
mod duel;
mod explain;
mod export;
mod figures;
mod grid;
mod json;
mod leaving;
mod live;
mod markdown;
mod page;
mod plan;
mod reasons;
#[cfg(test)]
mod sample;
mod scaling;
mod sureness;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod words;
mod workers;

use schemars::JsonSchema;
use serde::Serialize;

pub use cheatsheet::{cheatsheet_json, cheatsheet_markdown, cheatsheet_schema, cheatsheet_table};
pub use compare::{comparison_json, comparison_markdown, comparison_schema, comparison_table};
pub use duel::{
    duel_export, duel_json, duel_jsonl_schema, duel_junit, duel_markdown, duel_schema, duel_sentence, duel_table,
};
pub use explain::explanation;
pub use export::{Export, ExportError, export, jsonl_schema};
pub use grid::labelled;
pub use json::{plan as plan_json, record_schema, records as records_json};
pub use live::{Live, Stage, live, live_line};
pub use page::{PageOptions, cheatsheet_page, page};
pub use plan::{plan_markdown, plan_table};
pub use words::{is_condition, warning};

use crate::analyze::Verdict;
use crate::record::Record;

/// A record with what it says. As JSON: the record's fields and one more, `verdict`, which
/// [`crate::record::read`] passes over: a verdict is made anew from the record, unless other rules made it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Judged {
    /// What was measured.
    #[serde(flatten)]
    pub record: Record,
    /// What it says.
    pub verdict: Verdict,
}

/// How a text for people looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns that a line may have.
    pub width: u16,
    /// Whether ANSI colours are used. No word depends on them.
    pub colour: bool,
}

/// What of a record is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The candidates of each record, then its verdict: what `run` prints.
    Candidates(Candidates),
    /// "Choosing the Right Tool", a line a record below each runtime: what `recommend` prints of several workloads.
    Choice,
    /// The answer with its code: what `recommend` prints of one workload.
    Answer,
}

/// How much of the candidates is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Every size that was measured, not only the best of each engine.
    pub all: bool,
    /// Every figure, in further tables.
    pub details: bool,
}

/// A text for people, which may be written piece by piece as records come: `head`, then `row` for each
/// record, then `foot`.
pub trait Exporter {
    /// What stands above the first record.
    fn head(&self, first: &Judged) -> String;
    /// What one record adds.
    fn row(&self, judged: &Judged) -> String;
    /// What stands below the last.
    fn foot(&self, all: &[Judged]) -> String;

    /// All of it at once; empty without records.
    fn document(&self, all: &[Judged]) -> String {
        let Some(first) = all.first() else { return String::new() };
        let mut text = self.head(first);
        for judged in all {
            text.push_str(&self.row(judged));
        }
        text.push_str(&self.foot(all));
        text
    }
}

/// The code of each runtime's answer, to be pasted; a comment tells them apart where there are several. Empty where there
/// is no answer.
fn code(judged: &Judged) -> String {
    let groups = &judged.verdict.groups;
    let codes: Vec<(&str, String)> =
        groups.iter().filter_map(|group| Some((group.runtime.as_str(), answer::code(judged, group)?))).collect();
    let comment = |runtime: &str| if runtime == crate::candidate::RUST { "//" } else { "#" };
    match codes.as_slice() {
        [(_, code)] => code.clone(),
        several => {
            let headed = |(runtime, code): &(&str, String)| {
                format!("{} {}\n{code}", comment(runtime), crate::escape::plain(runtime))
            };
            several.iter().map(headed).collect::<Vec<String>>().join("\n")
        }
    }
}

/// Why the answer of the record's first runtime is what it is, in sentences joined by semicolons.
#[must_use]
pub fn why(judged: &Judged) -> String {
    judged.verdict.groups.first().map(|group| reasons::why(judged, group)).unwrap_or_default()
}

/// The exporter that writes tables for a terminal.
#[must_use]
pub fn table(view: View, style: Style) -> Box<dyn Exporter> {
    match view {
        View::Candidates(shown) => Box::new(table::CandidatesTable { shown, style }),
        View::Choice => Box::new(table::ChoiceTable { style }),
        View::Answer => Box::new(table::AnswerTable { style }),
    }
}

/// The exporter that writes the code of each answer and nothing else.
#[must_use]
pub fn codes() -> Box<dyn Exporter> {
    Box::new(Codes)
}

struct Codes;

impl Exporter for Codes {
    fn head(&self, _first: &Judged) -> String {
        String::new()
    }

    fn row(&self, judged: &Judged) -> String {
        code(judged)
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

/// The exporter that writes Markdown. It shows every size and every figure, since a reader of a
/// document cannot ask again.
#[must_use]
pub fn markdown(view: View) -> Box<dyn Exporter> {
    match view {
        View::Candidates(_) => Box::new(markdown::CandidatesMarkdown),
        View::Choice => Box::new(markdown::ChoiceMarkdown),
        View::Answer => Box::new(markdown::AnswerMarkdown),
    }
}
