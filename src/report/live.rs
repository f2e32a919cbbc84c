//! The answer so far, in a few lines that are drawn again and again while a session runs, and in one line.

use unicode_width::UnicodeWidthStr as _;

#[cfg(test)]
pub(super) use tests::sample;

use super::answer::{padded, widest};
use super::grid::{Paint, paint};
use super::{Style, sureness};
use crate::candidate::{Candidate, Model};
use crate::decide::ModelStanding;
use crate::escape::plain;

/// Models that are shown, the best first: with a heading and a foot these are six lines.
const MOST_MODELS: usize = 4;
/// The longest bar, in columns, and the shortest that is worth its room.
const BAR: usize = 24;
const LEAST_BAR: usize = 8;
/// Time left from here on is told in minutes.
const LONG_S: u64 = 120;
const NS_PER_S: u64 = 1_000_000_000;

/// What a session does.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// It is calibrating; what, in a few words.
    Calibrating(String),
    /// So many candidates of one runtime are compared.
    Comparing(usize),
    /// The answers of the runtimes are compared.
    Runtimes,
    /// Two versions are compared.
    Versions,
    /// It is seen how the answer changes with the task: at so many times its computation.
    Sweeping(f64),
}

/// Where a session is, as far as it has told.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// The workload.
    pub workload: String,
    /// Which of how many workloads it is, from 1.
    pub place: (usize, usize),
    /// The runtime that is raced; empty before one is.
    pub runtime: String,
    /// What it does.
    pub stage: Stage,
    /// What is named, and what it may cost at most as a ratio, once anything could be compared.
    pub named: Option<(Candidate, f64)>,
    /// How the best of each model stands, what is named first.
    pub models: Vec<ModelStanding>,
    /// The most time that is left (ns), once that is known.
    pub left_ns: Option<u64>,
}

impl Live {
    /// A session of this workload that has told nothing yet.
    #[must_use]
    pub fn new(workload: &str, place: (usize, usize)) -> Live {
        Live {
            workload: plain(workload),
            place,
            runtime: String::new(),
            stage: Stage::Calibrating("the host".to_owned()),
            named: None,
            models: Vec::new(),
            left_ns: None,
        }
    }

    /// `web-scraping, python3.11`, with its place where there are several.
    fn title(&self) -> String {
        let (number, of) = self.place;
        let place = if of > 1 { format!("{number} of {of}: ") } else { String::new() };
        let runtime = if self.runtime.is_empty() { String::new() } else { format!(", {}", plain(&self.runtime)) };
        format!("{place}{}{runtime}", self.workload)
    }

    /// Models of which one may still be named.
    fn still_in(&self) -> Vec<Model> {
        self.models.iter().filter(|it| it.is_in).map(|it| it.candidate.model()).collect()
    }

    fn left(&self) -> Option<String> {
        self.left_ns.map(|ns| match ns.div_ceil(NS_PER_S) {
            0 => "the time is up".to_owned(),
            seconds if seconds <= LONG_S => format!("at most {seconds} s left"),
            seconds => format!("at most {} min left", seconds.div_ceil(60)),
        })
    }
}

/// The lines of a view that is drawn in place: none is wider than the style says.
#[must_use]
pub fn live(live: &Live, style: Style) -> Vec<String> {
    let width = usize::from(style.width);
    let heading = heading(live, width);
    let mut lines = vec![paint(&cut(&heading, width), Paint::Bold, style.colour)];
    let shown: Vec<&ModelStanding> = live.models.iter().filter(|it| it.is_in).take(MOST_MODELS).collect();
    lines.extend(models(&shown, style));
    lines.push(paint(&cut(&foot(live, shown.len(), width), width), Paint::Faint, style.colour));
    lines
}

/// What is named, as much of it as there is room for: its row names it, too.
fn heading(live: &Live, width: usize) -> String {
    let title = live.title();
    let Some((candidate, may_cost)) = &live.named else { return format!("{title}: {}", doing(&live.stage)) };
    let (model, cost) = (use_of(candidate.model()), cost(*may_cost));
    let whole = match candidate.model() {
        Model::Sequential => format!("{title}: so far {model}, {cost}"),
        _ => format!("{title}: so far {model}, {}, {cost}", candidate.short()),
    };
    let shorter = [format!("{title}: so far {model}, {cost}"), format!("{title}: {model}, {cost}")];
    [whole].into_iter().chain(shorter.clone()).find(|it| it.width() <= width).unwrap_or_else(|| shorter[1].clone())
}

/// The same in one line, for a log.
#[must_use]
pub fn live_line(live: &Live) -> String {
    let mut said = vec![match &live.named {
        Some((candidate, may_cost)) => format!("so far `{}`, {}", candidate.short(), cost(*may_cost)),
        None => doing(&live.stage),
    }];
    let others: Vec<&str> = live.still_in().into_iter().skip(1).map(Model::name).collect();
    if !others.is_empty() {
        said.push(format!("still in: {}", others.join(", ")));
    }
    if live.named.is_some() && !matches!(live.stage, Stage::Comparing(_)) {
        said.push(doing(&live.stage));
    }
    said.extend(live.left());
    format!("{}: {}", live.title(), said.join("; "))
}

fn use_of(model: Model) -> &'static str {
    if model == Model::Sequential { "a plain loop" } else { model.name() }
}

fn cost(may_cost: f64) -> String {
    if may_cost < 3.0 { format!("may cost {} at most", sureness::whole(may_cost)) } else { "unsure yet".to_owned() }
}

fn doing(stage: &Stage) -> String {
    match stage {
        Stage::Calibrating(what) => format!("calibrating: {}", plain(what)),
        Stage::Comparing(1) => "measuring 1 candidate".to_owned(),
        Stage::Comparing(candidates) => format!("comparing {candidates} candidates"),
        Stage::Runtimes => "comparing the runtimes".to_owned(),
        Stage::Versions => "comparing the versions".to_owned(),
        Stage::Sweeping(factor) => format!("comparing at {factor} x the computation of a task"),
    }
}

/// A row a model, with a bar: full as far as it surely reaches, light as far as it may.
fn models(shown: &[&ModelStanding], style: Style) -> Vec<String> {
    let width = usize::from(style.width);
    let most = shown.iter().map(|it| it.high.max(it.ratio)).filter(|it| it.is_finite()).fold(0.0, f64::max);
    let name = |it: &&ModelStanding| match it.candidate.model() {
        Model::Sequential => use_of(Model::Sequential).to_owned(),
        _ => it.candidate.short(),
    };
    let names: Vec<String> = shown.iter().map(name).collect();
    let ranges: Vec<String> = shown.iter().map(|it| range(it)).collect();
    let model_columns = widest(shown.iter().map(|it| it.candidate.model().name()));
    let name_columns = widest(names.iter().map(String::as_str));
    let range_columns = widest(ranges.iter().map(String::as_str));
    let bare = 2 + model_columns + 2 + range_columns;
    let has_names = bare + 2 + name_columns + 2 + LEAST_BAR <= width;
    let taken = if has_names { bare + 2 + name_columns } else { bare };
    let bar_columns = width.saturating_sub(taken + 2).min(BAR);
    let line = |((it, name), range): ((&&ModelStanding, &String), &String)| {
        let mut text = format!("  {}  ", padded(it.candidate.model().name(), model_columns));
        if has_names {
            text += &format!("{}  ", padded(name, name_columns));
        }
        if bar_columns >= LEAST_BAR {
            text += &format!("{}  ", padded(&bar(it, most, bar_columns), bar_columns));
        }
        let text = cut((text + range).trim_end(), width);
        paint(&text, if it.is_named { Paint::Good } else { Paint::Plain }, style.colour)
    };
    shown.iter().zip(&names).zip(&ranges).map(line).collect()
}

fn range(of: &ModelStanding) -> String {
    if of.is_named {
        return "leads".to_owned();
    }
    let percent = |ratio: f64| (ratio * 100.0).round();
    match (percent(of.low), percent(of.high)) {
        (low, high) if low == high => format!("{low} %"),
        (low, high) if high < 1000.0 => format!("{low} to {high} %"),
        (low, _) => format!("{low} % or more"),
    }
}

fn bar(of: &ModelStanding, most: f64, columns: usize) -> String {
    let part = |ratio: f64| {
        let share = if most > 0.0 && ratio.is_finite() { (ratio / most).clamp(0.0, 1.0) } else { 0.0 };
        (share * columns as f64).round() as usize
    };
    let (sure, may) = if of.is_named { (part(of.ratio), part(of.ratio)) } else { (part(of.low), part(of.high)) };
    format!("{}{}", "█".repeat(sure), "░".repeat(may.saturating_sub(sure)))
}

/// Time left and how to end it; then, as far as there is room, what else is going on.
fn foot(live: &Live, shown: usize, width: usize) -> String {
    let ends = if live.named.is_some() { "Ctrl-C takes the best so far" } else { "Ctrl-C ends it" };
    let mut parts: Vec<String> = live.left().into_iter().chain([ends.to_owned()]).collect();
    let more = live.still_in().len().saturating_sub(shown);
    let out = live.models.len() - live.still_in().len();
    if more > 0 {
        parts.push(format!("{more} more in"));
    }
    if out > 0 {
        parts.push(format!("{out} {} out", if out == 1 { "model" } else { "models" }));
    }
    if live.named.is_some() {
        parts.push(doing(&live.stage));
    }
    let mut text = String::from("  ");
    for (at, part) in parts.iter().enumerate() {
        let gap = if at == 0 { "" } else { " · " };
        // The first two are cut where they must be, the others left out.
        if at > 1 && text.width() + gap.width() + part.width() > width {
            break;
        }
        text.push_str(gap);
        text.push_str(part);
    }
    text
}

/// A text of so many columns at most; what is cut off leaves an ellipsis.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        if kept.width() + unicode_width::UnicodeWidthChar::width(character).unwrap_or(0) + 1 > width {
            break;
        }
        kept.push(character);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Engine, RUST, Sizes};

    fn standing(engine: Engine, size: u32, ratio: f64, spread: f64) -> ModelStanding {
        let axes = engine.axes();
        let (workers, in_flight) = (axes.workers.then_some(size), axes.in_flight.then_some(size));
        ModelStanding {
            candidate: Candidate::new(RUST, engine, Sizes { workers, in_flight, chunk: None }),
            is_named: false,
            is_in: true,
            ratio,
            low: ratio / (1.0 + spread),
            high: ratio * (1.0 + spread),
        }
    }

    pub(in crate::report) fn sample() -> Live {
        let mut models = vec![
            standing(Engine::ThreadPool, 64, 1.0, 0.02),
            standing(Engine::TokioBlockingPool, 64, 1.01, 0.12),
            standing(Engine::TokioCurrentThread, 64, 0.97, 0.04),
            standing(Engine::ProcessPool, 8, 0.61, 0.2),
            standing(Engine::Sequential, 1, 0.04, 0.01),
        ];
        models[0].is_named = true;
        models[4].is_in = false;
        let mut live = Live::new("web-scraping", (3, 12));
        live.runtime = RUST.to_owned();
        live.stage = Stage::Comparing(5);
        live.named = models.first().map(|named| (named.candidate.clone(), 0.113));
        live.models = models;
        live.left_ns = Some(13_400_000_000);
        live
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_and_there_are_few() {
        let mut crowded = sample();
        for engine in [Engine::ThreadPerTask, Engine::Rayon, Engine::TokioMultiThread] {
            crowded.models.push(standing(engine, 2, 0.5, f64::INFINITY));
        }
        for view in [sample(), crowded, Live::new("a\u{1b}[2J name", (1, 1))] {
            for width in [10, 20, 40, 60, 80, 100, 200] {
                let lines = live(&view, Style { width, colour: false });
                assert!(lines.len() <= 6, "{lines:?}");
                for line in &lines {
                    assert!(line.width() <= usize::from(width), "{width}: {line}");
                    assert!(!line.contains('\u{1b}'), "{line}");
                }
            }
        }
    }

    #[test]
    fn colour_moves_no_column() {
        let strip = |line: &String| line.replace("\u{1b}[1m", "").replace("\u{1b}[32m", "").replace("\u{1b}[2m", "");
        let coloured = live(&sample(), Style { width: 80, colour: true });
        assert!(coloured.iter().any(|line| line.contains("\u{1b}[32m")));
        let stripped: Vec<String> = coloured.iter().map(|line| strip(line).replace("\u{1b}[0m", "")).collect();
        assert_eq!(stripped, live(&sample(), Style { width: 80, colour: false }));
    }

    #[test]
    fn time_that_is_left_is_rounded_up() {
        let left = |ns| Live { left_ns: Some(ns), ..sample() }.left();
        assert_eq!(left(1), Some("at most 1 s left".to_owned()));
        assert_eq!(left(0), Some("the time is up".to_owned()));
        assert_eq!(left(121 * NS_PER_S), Some("at most 3 min left".to_owned()));
    }
}
