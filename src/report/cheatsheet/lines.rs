//! The lines of a section for a terminal: a line an item, the intervals beside the medians.
//!
//! What has no room wraps: first what is done, then the tool's name. Only where even that is not enough, which takes
//! several interpreters, the intervals are left out.

use super::rows::{Row, compact, language_name, time};
use crate::cheatsheet::sheet::Sheet;
use crate::escape::plain;
use crate::report::Style;
use crate::report::grid::{self, Paint, paint};

/// What stands where something could not be measured; the reason is below the table.
const UNAVAILABLE: &str = "-";
/// Columns between two columns.
const GAP: u16 = 2;
/// What is done wraps to this first, then the tool to [`NARROW_TOOL`], then what is done to [`NARROWEST`].
const NARROW: u16 = 28;
const NARROW_TOOL: u16 = 12;
const NARROWEST: u16 = 20;

/// The rows of a section, each followed by what is quoted of it.
pub(super) fn drawn(sheet: &Sheet, rows: &[Row<'_>], style: Style) -> String {
    let whole = Columns::of(sheet, rows, true);
    let (columns, is_cut) = match whole.narrowed(style.width) {
        Some(columns) => (columns, false),
        None => {
            let bare = Columns::of(sheet, rows, false);
            (bare.narrowed(style.width).unwrap_or(bare), true)
        }
    };
    let mut text = paint(&columns.head(sheet), Paint::Bold, style.colour) + "\n";
    for group in groups(rows) {
        text.push_str(&columns.group(group));
        for (at, figure) in group.iter().flat_map(Row::quoted) {
            let said = format!("quoted for {}: {figure}", language_name(sheet, at));
            let lines = grid::paragraph(&said, style.width.saturating_sub(4));
            text.extend(lines.lines().map(|line| paint(&format!("    {line}"), Paint::Faint, style.colour) + "\n"));
        }
    }
    if is_cut {
        let sentence = format!("no room at {} columns for the intervals: --format markdown has them", style.width);
        text.push_str(&grid::paragraph(&sentence, style.width));
    }
    text
}

/// Each row with the further tools that follow it.
fn groups<'a, 'b>(rows: &'a [Row<'b>]) -> impl Iterator<Item = &'a [Row<'b>]> {
    rows.chunk_by(|_, next| next.is_further)
}

/// How wide each column is: what is done, a median and an interval for each runtime, and the tool.
struct Columns {
    title: u16,
    /// Of each runtime.
    median: Vec<u16>,
    /// Of each runtime; zero where there are none.
    interval: Vec<u16>,
    tool: u16,
}

/// No terminal is wider, and widths are added up.
const WIDEST: usize = 2_000;

fn width(text: &str) -> u16 {
    u16::try_from(text.chars().take(WIDEST).count()).unwrap_or(u16::MAX)
}

/// A runtime's median and its interval.
fn figure(row: &Row<'_>, at: usize) -> (String, String) {
    let Some(timed) = row.cells.get(at).copied().flatten() else { return Default::default() };
    match &timed.figure {
        Some(figure) => (time(figure.median_ns), compact(figure)),
        None => (UNAVAILABLE.to_owned(), String::new()),
    }
}

impl Columns {
    /// As wide as what is in them.
    fn of(sheet: &Sheet, rows: &[Row<'_>], with_intervals: bool) -> Columns {
        let widest = |text: &dyn Fn(&Row<'_>) -> String| rows.iter().map(|row| width(&text(row))).max().unwrap_or(0);
        let of_runtimes = |text: &dyn Fn(&Row<'_>, usize) -> String| {
            (0..sheet.runtimes.len()).map(|at| widest(&|row| text(row, at))).collect::<Vec<u16>>()
        };
        let interval = of_runtimes(&|row, at| if with_intervals { figure(row, at).1 } else { String::new() });
        let mut median = of_runtimes(&|row, at| figure(row, at).0);
        // A runtime's name stands above both.
        for ((median, interval), runtime) in median.iter_mut().zip(&interval).zip(&sheet.runtimes) {
            let beside = if *interval == 0 { 0 } else { interval + GAP };
            *median = (*median).max(width(&plain(&runtime.name)).saturating_sub(beside));
        }
        Columns { title: widest(&|row| row.title.clone()), median, interval, tool: widest(&|row| row.tool.to_owned()) }
    }

    /// Every column with its side: whether it is aligned to the right.
    fn widths(&self) -> (Vec<u16>, Vec<bool>) {
        let mut all = vec![(self.title, false)];
        for (median, interval) in self.median.iter().zip(&self.interval) {
            all.push((*median, true));
            all.extend((*interval > 0).then_some((*interval, false)));
        }
        all.extend((self.tool > 0).then_some((self.tool, false)));
        all.into_iter().unzip()
    }

    /// The same in so many columns; `None` where there is no room.
    fn narrowed(&self, room: u16) -> Option<Columns> {
        let (widths, _) = self.widths();
        let gaps = GAP.saturating_mul(u16::try_from(widths.len().saturating_sub(1)).unwrap_or(u16::MAX));
        let whole = widths.iter().fold(gaps, |sum, width| sum.saturating_add(*width));
        let mut excess = whole.saturating_sub(room);
        let mut cut = |own: &mut u16, narrowest: u16| {
            let cut = excess.min(own.saturating_sub(narrowest));
            *own -= cut;
            excess -= cut;
        };
        let (mut title, mut tool) = (self.title, self.tool);
        cut(&mut title, NARROW);
        cut(&mut tool, NARROW_TOOL);
        cut(&mut title, NARROWEST);
        (excess == 0).then(|| Columns { title, tool, median: self.median.clone(), interval: self.interval.clone() })
    }

    /// The names of the runtimes, each above its figures.
    fn head(&self, sheet: &Sheet) -> String {
        let mut line = " ".repeat(usize::from(self.title));
        for ((median, interval), runtime) in self.median.iter().zip(&self.interval).zip(&sheet.runtimes) {
            let name = plain(&runtime.name);
            // It ends where the medians end, if it is short enough.
            let lead = usize::from(GAP + median.saturating_sub(width(&name)));
            let taken = median + if *interval == 0 { 0 } else { interval + GAP };
            let behind = usize::from(taken + GAP).saturating_sub(lead + name.chars().count());
            line.push_str(&format!("{}{name}{}", " ".repeat(lead), " ".repeat(behind)));
        }
        line.trim_end().to_owned()
    }

    /// A row and its further tools. What is done is said once, and goes on beside them where it wraps.
    fn group(&self, group: &[Row<'_>]) -> String {
        let title = group.first().map(|row| row.title.as_str()).unwrap_or_default();
        let said = grid::paragraph(title, self.title.max(NARROWEST));
        let mut said = said.lines();
        let mut text = String::new();
        for (at, row) in group.iter().enumerate() {
            let is_last = at + 1 == group.len();
            let own: Vec<&str> = if is_last { said.by_ref().collect() } else { said.by_ref().take(1).collect() };
            text.push_str(&self.row(row, own.join(" ")));
        }
        text
    }

    fn row(&self, row: &Row<'_>, title: String) -> String {
        let mut cells = vec![title];
        for (at, interval) in self.interval.iter().enumerate() {
            let (median, range) = figure(row, at);
            cells.push(median);
            cells.extend((*interval > 0).then_some(range));
        }
        cells.extend((self.tool > 0).then(|| row.tool.to_owned()));
        let (widths, right) = self.widths();
        grid::side_by_side(&cells, &widths, &right, GAP).iter().map(|line| format!("{line}\n")).collect()
    }
}
