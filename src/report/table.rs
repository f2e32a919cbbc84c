//! Reports for a terminal.

use super::choice::{Choice, choices};
use super::figures::{COSTS, DETAILS, LEGEND, MAIN, Sheet, choice_of};
use super::grid::{self, Paint, paint};
use super::scaling::{SCALING, SPARKLINE};
use super::sureness::legend;
use super::words::{self, DASH, plain};
use super::{Candidates, Exporter, Judged, Style, answer, scaling};
use crate::analyze::{Group, Row, Status};

/// The candidates of each record, and the verdict.
pub(super) struct CandidatesTable {
    pub(super) shown: Candidates,
    pub(super) style: Style,
}

impl Exporter for CandidatesTable {
    fn head(&self, _first: &Judged) -> String {
        String::new()
    }

    fn row(&self, judged: &Judged) -> String {
        let mut text = answer::text(judged, self.style);
        text.push_str(&title(judged, self.style));
        for group in &judged.verdict.groups {
            text.push('\n');
            text.push_str(&self.group(judged, group));
        }
        text.push_str(&runtimes(judged, self.style));
        text.push_str(&notes(judged, self.style));
        text.push('\n');
        text
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

/// What was measured, and on what.
pub(super) fn title(judged: &Judged, style: Style) -> String {
    let workload = &judged.record.workload;
    let name = plain(&workload.name);
    let heading = if workload.use_case.is_empty() { name } else { format!("{name}: {}", plain(&workload.use_case)) };
    let mut text = paint(&heading, Paint::Bold, style.colour) + "\n";
    text.push_str(&grid::paragraph(&words::circumstances(judged), style.width));
    text.push_str(&grid::paragraph(&words::host(&judged.record), style.width));
    text
}

impl CandidatesTable {
    fn group(&self, judged: &Judged, group: &Group) -> String {
        let champions: Vec<&Row> = group.rows.iter().filter(|row| row.status != Status::Superseded).collect();
        // Where no size of any engine was preferred yet, all of them are what there is to show.
        let every = self.shown.all || champions.is_empty();
        let rows: Vec<&Row> = if every { group.rows.iter().collect() } else { champions };
        let hidden = group.rows.len() - rows.len();
        let heading = words::runtime(&judged.record, &group.runtime);
        let mut text = paint(&heading, Paint::Bold, self.style.colour) + "\n";
        let (sheet, titles) = self.sheet(&MAIN, group, &rows);
        text.push_str(&sheet);
        if hidden > 0 {
            let sizes = if hidden == 1 { "size" } else { "sizes" };
            text.push_str(&grid::paragraph(
                &format!("{hidden} other {sizes} measured: --all shows them"),
                self.style.width,
            ));
        }
        if titles.contains(&SCALING) && rows.iter().any(|row| !scaling::sparkline_of(group, row).is_empty()) {
            let further = if self.shown.details { "" } else { "; --details has the figures" };
            text.push_str(&grid::paragraph(&format!("{SPARKLINE}{further}"), self.style.width));
        }
        if has_dash(group, &rows) {
            text.push_str(&grid::paragraph(DASH, self.style.width));
        }
        let choice = choice_of(group, &rows);
        if !choice.is_empty() {
            text.push_str(&self.headed(&COSTS, group, &choice));
        }
        if self.shown.details {
            text.push_str(&self.details(group, &rows));
        }
        if let Some(limit) = &group.limit {
            text.push('\n');
            text.push_str(&grid::labelled(0, "Limit:", &words::host_limit(limit, group), self.style.width));
        }
        text
    }

    /// Every figure, and how each engine scales.
    fn details(&self, group: &Group, rows: &[&Row]) -> String {
        let mut text: String = DETAILS.iter().map(|sheet| self.headed(sheet, group, rows)).collect();
        text.push_str(&grid::paragraph(LEGEND, self.style.width));
        if !group.curves.is_empty() {
            text.push_str(&self.heading(scaling::HEADING));
            let line = |curve| grid::labelled(0, &scaling::label(curve), &scaling::line(curve), self.style.width);
            text.extend(group.curves.iter().map(line));
        }
        text
    }

    fn headed(&self, sheet: &Sheet, group: &Group, rows: &[&Row]) -> String {
        self.heading(sheet.heading) + &self.sheet(sheet, group, rows).0
    }

    fn heading(&self, heading: &str) -> String {
        let lines = grid::paragraph(heading, self.style.width);
        let painted: String = lines.lines().map(|line| paint(line, Paint::Bold, self.style.colour) + "\n").collect();
        format!("\n{painted}")
    }

    /// The sheet with as many of its columns as have room, the most important first, and their titles.
    fn sheet(&self, sheet: &Sheet, group: &Group, rows: &[&Row]) -> (String, Vec<&'static str>) {
        let last = sheet.columns.iter().map(|column| column.rank).max().unwrap_or(0);
        let cells = |rank: u8| -> Vec<(Vec<String>, Paint)> {
            rows.iter().map(|row| (sheet.cells(rank, group, row), colour_of(&row.status))).collect()
        };
        let fits = |rank: &u8| grid::needed(&sheet.titles(*rank), &cells(*rank)) <= usize::from(self.style.width);
        let rank = (0..=last).rev().find(fits).unwrap_or(0);
        let mut text = grid::lines(&sheet.titles(rank), &cells(rank), self.style.colour);
        let dropped = sheet.dropped(rank);
        if !dropped.is_empty() {
            let sentence = format!("no room at {} columns for: {}", self.style.width, dropped.join(", "));
            text.push_str(&grid::paragraph(&sentence, self.style.width));
        }
        (text, sheet.titles(rank).iter().map(|title| title.text).collect())
    }
}

fn colour_of(status: &Status) -> Paint {
    match status {
        Status::Best | Status::AsGood => Paint::Good,
        Status::Worse | Status::Open => Paint::Plain,
        Status::Superseded => Paint::Faint,
        Status::Infeasible { .. } | Status::Failed { .. } => Paint::Bad,
    }
}

fn has_dash(group: &Group, rows: &[&Row]) -> bool {
    rows.iter().any(|row| MAIN.cells(u8::MAX, group, row).iter().any(|cell| cell == "-"))
}

/// The answer of one workload, with its code.
pub(super) struct AnswerTable {
    pub(super) style: Style,
}

impl Exporter for AnswerTable {
    fn head(&self, _first: &Judged) -> String {
        String::new()
    }

    fn row(&self, judged: &Judged) -> String {
        let text = answer::text(judged, self.style);
        let is_answered = judged.verdict.groups.iter().any(|group| group.answer.is_some());
        // What failed is told as it happens, and is in the record; here it stands where it is the answer.
        if is_answered { text } else { text + &notes(judged, self.style) }
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

/// "Choosing the Right Tool". Its columns have fixed widths, so that a row can be written as soon as it
/// is decided, without knowing the next.
pub(super) struct ChoiceTable {
    pub(super) style: Style,
}

/// Use case, best choice, engine, throughput, how sure: 80 columns with the gaps between.
const WIDTHS: [u16; 5] = [14, 15, 20, 16, 7];
/// From this width on, the reasons stand in a column of their own.
const WIDE: u16 = 110;
/// The label of a reason, where it has no column.
const WHY: &str = "Why:";
/// A line longer than this is hard to read.
const LONGEST_WHY: u16 = 60;

impl ChoiceTable {
    fn widths(&self) -> Vec<u16> {
        let mut widths = WIDTHS.to_vec();
        if self.style.width >= WIDE {
            let taken: u16 = WIDTHS.iter().map(|width| width + 2).sum();
            widths.push((self.style.width - taken).min(LONGEST_WHY));
        }
        widths
    }

    fn row_of(&self, choice: &Choice) -> String {
        let widths = self.widths();
        let wide = widths.len() > WIDTHS.len();
        // A mix is wider than its column: it is broken where it is joined.
        let name = choice.engine.replace('+', "+\n");
        let engine = if choice.sizes.is_empty() { name } else { format!("{name}\n{}", choice.sizes) };
        let figures = [&choice.throughput, &choice.over_sequential];
        let figures: Vec<&str> = figures.into_iter().map(String::as_str).filter(|figure| !figure.is_empty()).collect();
        let mut cells = vec![choice.use_case.clone(), choice.best.clone(), engine, figures.join("\n"), sure(choice)];
        let with = if choice.with.is_empty() { String::new() } else { choice.sizes_with() };
        let beside = remarks(choice, &with);
        if wide {
            cells.push(
                beside
                    .iter()
                    .map(|(label, text)| if *label == WHY { (*text).to_owned() } else { format!("{label} {text}") })
                    .collect::<Vec<_>>()
                    .join("\n"),
            );
        }
        let mut text = String::new();
        for (at, line) in grid::wrapped(&cells, &widths).iter().enumerate() {
            let how = if at == 0 { Paint::Bold } else { Paint::Plain };
            text.push_str(&(paint(line, how, self.style.colour) + "\n"));
        }
        if !wide {
            text.extend(beside.iter().map(|(label, sentence)| grid::labelled(2, label, sentence, self.style.width)));
        }
        text
    }
}

/// How sure, in a word, with what it may cost below it: `sure`, `≤ 3 %`.
fn sure(choice: &Choice) -> String {
    format!("{}\n{}", choice.sure, choice.may_cost).trim_end().to_owned()
}

/// What is said of a row beside its figures.
fn remarks<'a>(choice: &'a Choice, with: &'a str) -> Vec<(&'static str, &'a str)> {
    // A variable's name is wider than the engine's column.
    let all = [("Use:", with), (WHY, choice.why.as_str()), ("As good:", &choice.as_good), ("But:", &choice.conditions)];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

impl Exporter for ChoiceTable {
    fn head(&self, first: &Judged) -> String {
        let widths = self.widths();
        let titles = ["Use case", "Best choice", "Engine", "Tasks", "Sure?", "Why"].map(str::to_owned);
        let titles = titles.get(..widths.len()).unwrap_or(&titles);
        let mut text = paint("Choosing the Right Tool", Paint::Bold, self.style.colour) + "\n";
        text.push_str(&grid::paragraph(&words::host(&first.record), self.style.width));
        text.push('\n');
        for line in grid::wrapped(titles, &widths) {
            text.push_str(&(paint(&line, Paint::Bold, self.style.colour) + "\n"));
        }
        let rule = widths.iter().map(|width| grid::rule(*width)).collect::<Vec<_>>().join("  ");
        text.push_str(&(paint(&rule, Paint::Faint, self.style.colour) + "\n"));
        text
    }

    fn row(&self, judged: &Judged) -> String {
        let mut text = String::new();
        for choice in choices(judged) {
            text.push_str(&(self.row_of(&choice) + "\n"));
        }
        let runtimes = words::runtimes(judged);
        if !runtimes.is_empty() {
            text.push_str(&grid::labelled(2, "Runtimes:", &runtimes.join("; "), self.style.width));
            text.push('\n');
        }
        text
    }

    fn foot(&self, all: &[Judged]) -> String {
        let tolerance = all.first().map_or(0.0, |judged| judged.verdict.tolerance);
        let mut text = grid::paragraph(&legend(tolerance), self.style.width);
        for judged in all {
            let notes = brief_notes(judged, self.style);
            if !notes.is_empty() {
                text.push_str(&format!("\n{}\n{notes}", plain(&judged.record.workload.name)));
            }
        }
        text
    }
}

/// How the runtimes stand to each other, where there are several.
fn runtimes(judged: &Judged, style: Style) -> String {
    let lines = words::runtimes(judged);
    if lines.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}\n", paint("Runtimes, on the same steps", Paint::Bold, style.colour));
    text.extend(lines.iter().map(|line| grid::labelled(2, "", line, style.width)));
    text
}

/// What a reader must know beside the verdict: faults, reservations, what was left out.
fn notes(judged: &Judged, style: Style) -> String {
    let mut text = brief_notes(judged, style);
    for left_out in judged.record.left_out() {
        let sentence = format!("`{}`: {}", plain(&left_out.what), plain(&left_out.reason));
        text.push_str(&grid::labelled(0, "Left out:", &sentence, style.width));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}

fn brief_notes(judged: &Judged, style: Style) -> String {
    let mut text = String::new();
    for fault in words::faults(judged) {
        let label = if fault.what == "failed" { "Failed:" } else { "Over limit:" };
        let lines = grid::labelled(0, label, &format!("{}: {}", fault.candidates, fault.reason), style.width);
        text.extend(lines.lines().map(|line| paint(line, Paint::Bad, style.colour) + "\n"));
        text.extend(fault.traceback.iter().map(|line| format!("    {line}\n")));
    }
    for reservation in words::reservations(judged) {
        text.push_str(&grid::labelled(0, "Note:", &reservation, style.width));
    }
    text
}
