//! Reports for a terminal.

use super::choice::{self, Section, TITLES};
use super::figures::{COSTS, DETAILS, LEGEND, MAIN, Sheet, choice_of};
use super::grid::{self, Paint, Title, paint};
use super::scaling::{SCALING, SPARKLINE};
use super::words::{self, DASH};
use super::{Candidates, Exporter, Judged, Style, answer, leaving, reasons, scaling, workers};
use crate::analyze::{Group, Leaving, Row, Status};
use crate::escape::plain;

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
        let mut legend = Legend::default();
        for group in &judged.verdict.groups {
            text.push('\n');
            text.push_str(&self.group(judged, group, &mut legend));
        }
        text.push_str(&self.legend(legend));
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

/// What the tables of a record show that needs a word.
#[derive(Clone, Copy, Default)]
struct Legend {
    sparklines: bool,
    dashes: bool,
    details: bool,
}

impl CandidatesTable {
    /// Said once, below the tables of all runtimes.
    fn legend(&self, legend: Legend) -> String {
        let further = if self.shown.details { "" } else { "; --details has the figures" };
        let sparklines = legend.sparklines.then(|| format!("{SPARKLINE}{further}"));
        let dashes = legend.dashes.then(|| DASH.to_owned());
        let details = legend.details.then(|| LEGEND.to_owned());
        let text: String = [sparklines, dashes, details]
            .iter()
            .flatten()
            .map(|sentence| grid::paragraph(sentence, self.style.width))
            .collect();
        if text.is_empty() { text } else { format!("\n{text}") }
    }

    fn group(&self, judged: &Judged, group: &Group, legend: &mut Legend) -> String {
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
        legend.sparklines |=
            titles.contains(&SCALING) && rows.iter().any(|row| !scaling::sparkline_of(group, row).is_empty());
        legend.dashes |= has_dash(group, &rows);
        legend.details |= self.shown.details;
        let choice = choice_of(group, &rows);
        if !choice.is_empty() {
            text.push_str(&self.headed(&COSTS, group, &choice));
        }
        if self.shown.details {
            text.push_str(&self.details(judged, group, &rows));
        }
        if let Some(limit) = &group.limit {
            text.push('\n');
            text.push_str(&grid::labelled(0, "Limit:", &words::host_limit(limit, group), self.style.width));
        }
        text
    }

    /// Every figure, and how each engine scales.
    fn details(&self, judged: &Judged, group: &Group, rows: &[&Row]) -> String {
        let mut text: String = DETAILS.iter().map(|sheet| self.headed(sheet, group, rows)).collect();
        if !group.curves.is_empty() {
            text.push_str(&self.heading(scaling::HEADING));
            let line = |curve| grid::labelled(0, &scaling::label(curve), &scaling::line(curve), self.style.width);
            text.extend(group.curves.iter().map(line));
        }
        if let Some(leaving) = &group.leaving {
            text.push_str(&self.leaving(leaving));
        }
        let workers = workers::lines(judged, group);
        if !workers.is_empty() {
            text.push_str(&self.heading(workers::HEADING));
            text.extend(workers.iter().map(|line| grid::paragraph(line, self.style.width)));
        }
        text
    }

    /// When the cluster pays.
    fn leaving(&self, leaving: &Leaving) -> String {
        let rows: Vec<_> = leaving::rows(leaving).into_iter().map(|cells| (cells, Paint::Plain)).collect();
        self.heading(leaving::HEADING)
            + &grid::fitted(&leaving::TITLES, &rows, self.style.width, self.style.colour)
            + &grid::paragraph(&format!("{}; {}", leaving::MARK, leaving::measured(leaving)), self.style.width)
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
        let text = answer::text_with_runtimes(judged, self.style);
        let is_answered = judged.verdict.groups.iter().any(|group| group.answer.is_some());
        // What failed is told as it happens, and is in the record; here it stands where it is the answer.
        if is_answered { text } else { text.trim_end().to_owned() + "\n\n" + &notes(judged, self.style) }
    }

    fn foot(&self, _all: &[Judged]) -> String {
        String::new()
    }
}

/// "Choosing the Right Tool": a line a workload, below each runtime. Columns are as wide as what they hold, so that all
/// of it is written at the end.
pub(super) struct ChoiceTable {
    pub(super) style: Style,
}

/// The column that is left out where there is no room: each answer alone says why.
const WHY: usize = 5;
/// The next one: the tool's name says what it is.
const IMPLIED: usize = 1;
/// Figures are aligned to the right.
const FIGURES: [usize; 2] = [3, 4];

/// Titles and painted rows.
type Sheets = (Vec<Title>, Vec<(Vec<String>, Paint)>);

/// The columns of a table, from all to few.
const LAYOUTS: [fn(Sheets) -> Sheets; 3] = [|all| all, without_why, |all| without_implied(without_why(all))];

impl ChoiceTable {
    fn fits(&self, (titles, rows): &Sheets) -> bool {
        grid::needed(titles, rows) <= usize::from(self.style.width)
    }

    fn section(&self, section: &Section, layout: fn(Sheets) -> Sheets) -> String {
        let (titles, rows) = layout(cells(section));
        let text = if grid::needed(&titles, &rows) <= usize::from(self.style.width) {
            grid::lines(&titles, &rows, self.style.colour)
        } else {
            grid::fitted(&titles, &rows, self.style.width, self.style.colour)
        };
        let heading = grid::paragraph(&section.title, self.style.width);
        format!("\n{}\n{text}", paint(heading.trim_end(), Paint::Bold, self.style.colour))
    }
}

fn cells(section: &Section) -> Sheets {
    let title = |(at, text)| Title { text, right: FIGURES.contains(&at) };
    let painted =
        |choice: &choice::Choice| (choice.cells.to_vec(), if choice.is_answered { Paint::Plain } else { Paint::Bad });
    (TITLES.into_iter().enumerate().map(title).collect(), section.rows.iter().map(painted).collect())
}

fn without_why((mut titles, mut rows): Sheets) -> Sheets {
    titles.truncate(WHY);
    rows.iter_mut().for_each(|(cells, _)| cells.truncate(WHY));
    (titles, rows)
}

/// The model is left out, unless it is all that is said: a plain loop, no answer.
fn without_implied((titles, rows): Sheets) -> Sheets {
    let titles = titles.into_iter().enumerate().filter(|(at, _)| *at != IMPLIED).map(|(_, title)| title).collect();
    let narrowed = |(mut cells, how): (Vec<String>, Paint)| {
        let implied = cells.remove(IMPLIED);
        if let Some(tool) = cells.get_mut(IMPLIED).filter(|tool| tool.is_empty()) {
            *tool = implied;
        }
        (cells, how)
    };
    (titles, rows.into_iter().map(narrowed).collect())
}

impl Exporter for ChoiceTable {
    fn head(&self, first: &Judged) -> String {
        let text = paint("Choosing the Right Tool", Paint::Bold, self.style.colour) + "\n";
        text + &grid::paragraph(&words::host(&first.record), self.style.width)
    }

    fn row(&self, _judged: &Judged) -> String {
        String::new()
    }

    fn foot(&self, all: &[Judged]) -> String {
        let sections = choice::sections(all);
        // All of them alike.
        let all_fit = |layout: &fn(Sheets) -> Sheets| sections.iter().all(|section| self.fits(&layout(cells(section))));
        let [.., narrowest] = LAYOUTS;
        let layout = LAYOUTS.into_iter().find(all_fit).unwrap_or(narrowest);
        let mut text: String = sections.iter().map(|section| self.section(section, layout)).collect();
        let notes = choice::notes(all);
        if !notes.is_empty() {
            text.push('\n');
        }
        text.extend(notes.iter().map(|note| grid::paragraph(note, self.style.width)));
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
    let mut text = String::new();
    for fault in words::faults(judged) {
        if !fault.is_told {
            let label = if fault.what == "failed" { "Failed:" } else { "Over limit:" };
            let lines = grid::labelled(0, label, &format!("{}: {}", fault.candidates, fault.reason), style.width);
            text.extend(lines.lines().map(|line| paint(line, Paint::Bad, style.colour) + "\n"));
        }
        text.extend(fault.traceback.iter().map(|line| format!("    {line}\n")));
    }
    for reservation in words::reservations(judged) {
        text.push_str(&grid::labelled(0, "Note:", &reservation, style.width));
    }
    // Where nothing runs for one reason, what could not have run either is of no interest.
    let groups = &judged.verdict.groups;
    let is_told = !groups.is_empty() && groups.iter().all(|group| reasons::common_failure(group).is_some());
    for left_out in judged.record.left_out().iter().filter(|_| !is_told) {
        let sentence = format!("`{}`: {}", plain(&left_out.what), plain(&left_out.reason));
        text.push_str(&grid::labelled(0, "Left out:", &sentence, style.width));
    }
    if text.is_empty() { text } else { format!("\n{text}") }
}
