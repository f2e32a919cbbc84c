//! The lines of a section: what Python and Rust do alike stands on one.

use crate::cheatsheet::catalogue::{Language, Section};
use crate::cheatsheet::sheet::{Figure, Range, Runtime, Sheet, Timed};
use crate::units;

/// One line of a section.
pub(in crate::report) struct Row<'a> {
    /// What is done, where its language is not said by the line above.
    pub(in crate::report) title: String,
    /// What each runtime took, in the sheet's order; `None` where the line is not of it.
    pub(in crate::report) cells: Vec<Option<&'a Timed>>,
    /// Rust's tool.
    pub(in crate::report) tool: &'a str,
    /// Whether it is one more tool for what the line above does.
    pub(in crate::report) is_further: bool,
}

/// The lines of a section.
pub(in crate::report) fn rows(sheet: &Sheet, section: Section) -> Vec<Row<'_>> {
    let timed: Vec<&Timed> = sheet.items.iter().filter(|timed| timed.item.section == section).collect();
    let is_of = |timed: &Timed, language: Language| language_of(sheet, timed) == Some(language);
    let native: Vec<&Timed> = timed.iter().copied().filter(|timed| is_of(timed, Language::Rust)).collect();
    let mut rows = Vec::new();
    let mut ids: Vec<&str> = Vec::new();
    for first in timed.iter().copied().filter(|timed| is_of(timed, Language::Python)) {
        if ids.contains(&first.item.id.as_str()) {
            continue;
        }
        ids.push(&first.item.id);
        let same = |timed: &&&Timed| is_of(timed, Language::Python) && timed.item.id == first.item.id;
        let alike: Vec<&Timed> = timed.iter().filter(same).copied().collect();
        let mut beside = native.iter().filter(|timed| timed.item.beside.as_deref() == Some(&first.item.id));
        let mut own = row(sheet, first.item.title.clone(), &alike, false);
        if let Some(first) = beside.next() {
            own.add(sheet, first);
        }
        rows.push(own);
        rows.extend(beside.map(|timed| row(sheet, timed.item.title.clone(), &[timed], true)));
    }
    let is_placed = |timed: &&&Timed| timed.item.beside.as_deref().is_some_and(|beside| ids.contains(&beside));
    let alone = native.iter().filter(|timed| !is_placed(timed));
    rows.extend(alone.map(|timed| row(sheet, timed.item.title.clone(), &[timed], false)));
    rows
}

fn language_of(sheet: &Sheet, timed: &Timed) -> Option<Language> {
    sheet.runtimes.iter().find(|runtime| runtime.name == timed.runtime).map(|runtime| runtime.language)
}

fn row<'a>(sheet: &'a Sheet, title: String, timed: &[&'a Timed], is_further: bool) -> Row<'a> {
    let mut row = Row { title, cells: vec![None; sheet.runtimes.len()], tool: "", is_further };
    for timed in timed {
        row.add(sheet, timed);
    }
    row
}

impl<'a> Row<'a> {
    fn add(&mut self, sheet: &Sheet, timed: &'a Timed) {
        let is_its_own = |runtime: &Runtime| runtime.name == timed.runtime;
        if let Some(cell) = sheet.runtimes.iter().position(is_its_own).and_then(|at| self.cells.get_mut(at)) {
            *cell = Some(timed);
        }
        self.tool = timed.item.tool.as_deref().unwrap_or(self.tool);
    }

    /// What users read elsewhere about it: the runtime's place, and the figure.
    pub(in crate::report) fn quoted(&self) -> impl Iterator<Item = (usize, &'a str)> {
        let of = |cell: &Option<&'a Timed>| cell.and_then(|timed| timed.item.quoted.as_ref());
        self.cells.iter().enumerate().filter_map(move |(at, cell)| Some((at, of(cell)?.figure.as_str())))
    }
}

/// A median: `48.2 µs`. Below 100 ns with three digits, since a nanosecond is much there.
pub(in crate::report) fn time(ns: f64) -> String {
    match ns {
        _ if ns < 0.05 => "< 0.1 ns".to_owned(),
        _ if ns < 99.95 => format!("{} ns", units::count(ns)),
        _ => units::duration(ns),
    }
}

/// A median's interval, in the median's unit where it is short so: `46.9 to 51.0`.
pub(in crate::report) fn interval(figure: &Figure) -> String {
    let [low, high] = [figure.low_ns, figure.high_ns].map(time);
    let unit = |text: &str| text.rsplit_once(' ').map(|(_, unit)| unit.to_owned());
    if unit(&low) == unit(&high) && unit(&low) == unit(&time(figure.median_ns)) {
        let digits =
            |text: &str| text.rsplit_once(' ').map_or_else(|| text.to_owned(), |(digits, _)| digits.to_owned());
        format!("{} to {}", digits(&low), digits(&high))
    } else {
        format!("{low} to {high}")
    }
}

/// The same as short as it can be said, rounded outwards, in the median's unit: `(46–51)`. Of one repetition there is
/// none.
pub(in crate::report) fn compact(figure: &Figure) -> String {
    if figure.repetitions_ns.len() < 2 { String::new() } else { ends(figure.median_ns, figure.low_ns, figure.high_ns) }
}

fn ends(median_ns: f64, low_ns: f64, high_ns: f64) -> String {
    let median = time(median_ns);
    let (digits, unit) = median.rsplit_once(' ').unwrap_or((&median, "ns"));
    let size = units::TIMES.iter().find(|(name, _)| *name == unit).map_or(1.0, |(_, size)| *size);
    let is_narrow = high_ns - low_ns < 0.1 * median_ns;
    // Two digits would make a point of a narrow one, so it has as many as the median.
    let decimals = digits.split_once('.').map_or(0, |(_, behind)| i32::try_from(behind.len()).unwrap_or(0));
    let end = |ns: f64, round: fn(f64) -> f64| {
        let value = ns / size;
        if value <= 0.0 {
            return "0".to_owned();
        }
        let decimals = if is_narrow { decimals } else { 1 - value.log10().floor() as i32 };
        let scale = 10_f64.powi(decimals);
        let shown = usize::try_from(decimals).unwrap_or(0);
        format!("{:.shown$}", round(value * scale) / scale)
    };
    // What a computer's fractions add is no reason to round to the next digit.
    format!("({}–{})", end(low_ns, |it| (it + 1e-6).floor()), end(high_ns, |it| (it - 1e-6).ceil()))
}

/// The nanoseconds of a unit of time.
fn nanoseconds(unit: &str) -> Option<f64> {
    match unit {
        "ns" => Some(1.0),
        "us" => Some(1e3),
        "ms" => Some(1e6),
        "s" => Some(1e9),
        _ => None,
    }
}

/// The interval of a pitfall's figure: `(201–214)`. None where it was not repeated, or came out the same each time.
pub(in crate::report) fn range(value: f64, range: Option<Range>, unit: &str) -> String {
    let Some(Range { low, high, .. }) = range.filter(|range| range.low < range.high) else { return String::new() };
    match nanoseconds(unit) {
        Some(each) => ends(value * each, low * each, high * each),
        None => format!("({}–{})", amount(low, unit), amount(high, unit)),
    }
}

/// How often pitfalls were shown: one sentence.
pub(in crate::report) fn repeated(sheet: &Sheet) -> Option<String> {
    let times = sheet.pitfalls.iter().filter_map(|shown| shown.figures.as_ref()).map(|both| both.repetitions);
    let (least, most) = (times.clone().min()?, times.max()?);
    Some(match (least, most) {
        (_, 1) => "each of one fresh process".to_owned(),
        (1, _) => format!("times are medians of up to {most} fresh processes, with their intervals; counts are of one"),
        _ => format!("medians of {most} fresh processes, with their intervals where they differ"),
    })
}

/// A pitfall's figure with its unit.
pub(in crate::report) fn amount(value: f64, unit: &str) -> String {
    if let Some(each) = nanoseconds(unit) {
        return time(value * each);
    }
    match unit {
        "/s" => units::rate(value),
        "count" if value.fract() == 0.0 => units::grouped(value),
        "count" => units::count(value),
        other => format!("{} {other}", units::count(value)),
    }
}

/// The name of a runtime's language: `Python`.
pub(in crate::report) fn language_name(sheet: &Sheet, at: usize) -> &'static str {
    match sheet.runtimes.get(at).map(|runtime| runtime.language) {
        Some(Language::Python) => "Python",
        Some(Language::Rust) => "Rust",
        None => "",
    }
}

/// A runtime as a heading: `python3.11 (3.11.9)`.
pub(in crate::report) fn heading(runtime: &Runtime) -> String {
    let lock = match runtime.gil {
        Some(true) => ", with a GIL",
        Some(false) => ", without a GIL",
        None => "",
    };
    format!("{} {}{lock}", crate::escape::plain(&runtime.name), crate::escape::plain(&runtime.version))
}
