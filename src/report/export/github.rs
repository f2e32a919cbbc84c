//! Markdown for `$GITHUB_STEP_SUMMARY`. GitHub drops a summary beyond 1 MiB whole, so this one ends before that.
//!
//! What matters comes first: the choices of all workloads, then each answer with its code, then the candidates.

use crate::analyze::{Group, Row};
use crate::escape::plain;
use crate::report::choice::{TITLES, sections};
use crate::report::figures::MAIN;
use crate::report::grid::Title;
use crate::report::markdown::{AnswerMarkdown, escaped, header, line};
use crate::report::words::DASH;
use crate::report::{Exporter as _, Judged};

/// The bytes that a summary has at most. GitHub takes 1 MiB of a step, which may write something of its own, too.
pub(super) const MOST_BYTES: usize = 1_000_000;
/// What the last line takes.
const LAST_LINE: usize = 200;

/// The summary of these records.
pub(super) fn text(all: &[Judged]) -> String {
    let mut summary = Summary::default();
    if all.len() > 1 {
        let titles = TITLES.map(|text| Title { text, right: false });
        for section in sections(all) {
            let head = format!("### {}\n\n{}", escaped(&section.title), header(&titles));
            summary.table(&head, section.rows.iter().map(|choice| line(&choice.cells)), "\n");
        }
    }
    for judged in all {
        summary.block(&AnswerMarkdown.row(judged));
    }
    for judged in all {
        for group in &judged.verdict.groups {
            candidates(&mut summary, judged, group);
        }
    }
    summary.finish()
}

fn candidates(summary: &mut Summary, judged: &Judged, group: &Group) {
    if group.rows.is_empty() {
        return;
    }
    let (name, count) = (escaped(&plain(&judged.record.workload.name)), group.rows.len());
    let what = if count == 1 { "candidate" } else { "candidates" };
    let head = format!(
        "<details><summary>{name}, {}: {count} {what}</summary>\n\n{}",
        escaped(&plain(&group.runtime)),
        header(&MAIN.titles(u8::MAX))
    );
    let cells = |row: &Row| line(&MAIN.cells(u8::MAX, group, row));
    summary.table(&head, group.rows.iter().map(cells), &format!("\n{DASH}\n\n</details>\n\n"));
}

/// A summary of a duel: its first lines, where it is longer than what GitHub takes.
pub(in crate::report) fn cut(mut text: String) -> String {
    if text.len() > MOST_BYTES {
        let room = text.floor_char_boundary(MOST_BYTES - LAST_LINE);
        text.truncate(text[..room].rfind('\n').map_or(0, |end| end + 1));
        text.push_str("\nThe rest is left out: GitHub takes no more.\n");
    }
    text
}

/// A text that ends before it is too long, and says what it lacks.
#[derive(Default)]
struct Summary {
    text: String,
    /// Rows of tables, and answers, that had no room.
    rows_left_out: usize,
    answers_left_out: usize,
}

impl Summary {
    fn has_room(&self, bytes: usize) -> bool {
        self.text.len() + bytes + LAST_LINE <= MOST_BYTES
    }

    /// Adds an answer, whole: half of its code would be worse than none.
    fn block(&mut self, text: &str) {
        if self.has_room(text.len()) {
            self.text.push_str(text);
        } else {
            self.answers_left_out += 1;
        }
    }

    /// Adds as many rows as there is room for, below their header and above what ends them.
    fn table(&mut self, head: &str, rows: impl Iterator<Item = String>, end: &str) {
        let mut rows = rows.peekable();
        let first = rows.peek().map_or(0, String::len);
        if !self.has_room(head.len() + first + end.len()) {
            self.rows_left_out += rows.count();
            return;
        }
        self.text.push_str(head);
        for row in rows {
            if self.has_room(row.len() + end.len()) {
                self.text.push_str(&row);
            } else {
                self.rows_left_out += 1;
            }
        }
        self.text.push_str(end);
    }

    fn finish(mut self) -> String {
        let said: Vec<String> = [("answer", self.answers_left_out), ("row", self.rows_left_out)]
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(what, count)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        if !said.is_empty() {
            self.text.push_str(&format!(
                "Left out, since a summary on GitHub has 1 MiB at most: {}. `conbench report` shows all.\n",
                said.join(" and ")
            ));
        }
        self.text
    }
}
