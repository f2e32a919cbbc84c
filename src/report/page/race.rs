//! How the race went: what the answer might cost as time passed, and a strip for each candidate.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::class_of;
use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, across, axis, down, line, text};
use crate::analyze::{Group, Row, Running, Status, running};
use crate::record::{ExitReason, Look, RaceRecord, Record};
use crate::report::Judged;
use crate::report::sureness::at_most;
use crate::report::words::{plus_minus, status};
use crate::units::{NONE, duration, percent};

/// Where a strip lies, in pixels: its middle, and half of its height.
const MIDDLE: f64 = 11.0;
const HALF: f64 = 9.0;
/// An interval this far from what is known at the end reaches the edge of its strip.
const EDGE: f64 = 0.5;
/// The falling bound: its height in pixels, and what it is cut at.
const BOUND: (f64, f64) = (18.0, 104.0);
const MOST: f64 = 10.0;
const LEAST: f64 = 0.005;

/// A candidate in the race.
struct Strip<'a> {
    row: &'a Row,
    known: Vec<Running>,
    /// Why it went out, and when.
    exit: Option<(ExitReason, u64)>,
}

impl Strip<'_> {
    fn ends_ns(&self) -> Option<(u64, u64)> {
        Some((self.known.first()?.at_ns, self.known.last()?.at_ns))
    }
}

/// The figure of one runtime; `None` where no block was timed.
pub(super) fn figure(judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let record = &judged.record;
    let mut strips: Vec<Strip<'_>> = group.rows.iter().filter_map(|row| strip(record, row)).collect();
    strips.sort_by_key(|strip| strip.known.first().map_or(u64::MAX, |first| first.at_ns));
    let first = strips.iter().filter_map(|strip| Some(strip.ends_ns()?.0)).min()?;
    let last = strips.iter().filter_map(|strip| Some(strip.ends_ns()?.1)).max()?;
    let time = Time { from_ns: first, scale: Scale::linear(last.saturating_sub(first) as f64, (1.0, 99.0)) };
    let race = record.races.iter().find(|race| race.runtime == group.runtime);
    let chart_rows: Vec<ChartRow> = strips.iter().map(|strip| chart_row(group, strip, &time)).collect();
    let figure = Figure {
        id,
        title: title(judged, race, first),
        description: description(race),
        legend: None,
        chart: html! {
            @if let Some(race) = race { (bound(record, race, &time)) }
            (rows(&chart_rows, &axis(&time.scale, duration)))
        },
        table: table(&strips, first),
    };
    Some(figure.markup())
}

/// The axis of all strips.
struct Time {
    from_ns: u64,
    scale: Scale,
}

impl Time {
    fn at(&self, at_ns: u64) -> f64 {
        self.scale.at(at_ns.saturating_sub(self.from_ns) as f64)
    }
}

fn strip<'a>(record: &Record, row: &'a Row) -> Option<Strip<'a>> {
    let known = running(record, record.candidates.get(row.index as usize)?);
    let exit = record.exits.iter().find(|exit| exit.candidate == row.index);
    let last = known.last()?.at_ns;
    let exit = exit.map(|exit| (exit.reason, round_end(record, exit.round).map_or(last, |end| end.max(last))));
    Some(Strip { row, known, exit })
}

/// When the last block of a round ended.
fn round_end(record: &Record, round: u32) -> Option<u64> {
    let blocks = record.candidates.iter().flat_map(|place| &place.blocks).filter(|block| block.round == Some(round));
    blocks.map(|block| block.at_ns.saturating_add(block.figures.elapsed_ns)).max()
}

fn title(judged: &Judged, race: Option<&RaceRecord>, first: u64) -> String {
    let Some(race) = race else { return "What was measured when".to_owned() };
    let tolerance = race.rules.tolerance;
    // From then on it was so until the end: a bound may rise again.
    let sure = race.looks.iter().rev().take_while(|look| look.may_cost.is_some_and(|cost| cost <= tolerance)).last();
    let at = sure.and_then(|look| round_end(&judged.record, look.round));
    match at {
        Some(at) => format!(
            "After {} nothing tried could be more than {} better",
            duration(at.saturating_sub(first) as f64),
            percent(tolerance)
        ),
        None => format!("It ended before {} could be promised", percent(tolerance)),
    }
}

fn description(race: Option<&RaceRecord>) -> String {
    let bound = race
        .map_or("", |_| "The line: what the answer of that moment might cost at most (95 %), on a logarithmic axis. ");
    format!(
        "{bound}Each strip is a candidate, each upright line a block: the 95 % interval of throughput as known by then, around what is known at the end (± {} at the edges). A strip ends where its candidate was measured last. A cross: it failed, or broke a limit. Grey: the round was voided.",
        percent(EDGE)
    )
}

/// The bound as it fell, in steps from look to look.
fn bound(record: &Record, race: &RaceRecord, time: &Time) -> Markup {
    let look = |look: &Look| Some((time.at(round_end(record, look.round)?), look.may_cost?));
    let looks: Vec<(f64, f64)> = race.looks.iter().filter_map(look).collect();
    let cut = |cost: f64| if cost.is_finite() { cost.clamp(LEAST, MOST) } else { MOST };
    let tolerance = cut(race.rules.tolerance);
    let costs = looks.iter().map(|(_, cost)| cut(*cost)).chain([tolerance, tolerance / 2.0]);
    let scale = Scale::logarithmic(costs, (BOUND.1, BOUND.0));
    let y = |cost: f64| scale.at(cut(cost));
    let last = looks.last().copied();
    html! {
        @if !looks.is_empty() {
            div class="row bound" { div class="who" { span class="name" { "The answer may cost" } } div class="drawn" {
                svg height="112" {
                    (line((0.0, y(tolerance)), (100.0, y(tolerance)), "limit"))
                    (text(0.0, y(tolerance) + 14.0, "start", "label", &format!("{} asked for", percent(race.rules.tolerance))))
                    svg width="100%" height="112" viewBox="0 0 1000 112" preserveAspectRatio="none" {
                        path class="curve accent" d=(steps(looks.iter().map(|(x, cost)| (*x, y(*cost))))) {}
                    }
                    @for (x, cost) in &looks { circle cx=(across(*x)) cy=(down(y(*cost))) r="2.5" class="mark accent" {} }
                }
            } div class="figure" { @if let Some((_, cost)) = last { b { (at_most(cost)) } } } }
        }
    }
}

/// A line of steps through these places: across as long as a value holds, then down or up to the next. Across, a hundred
/// per cent are a thousand units.
fn steps(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut drawn = String::new();
    let mut drawn_y = String::new();
    for (x, y) in places {
        let (x, y) = ((x * 10.0).round(), down(y));
        if y == drawn_y {
            continue;
        }
        // Writing to a text cannot fail.
        let _ = if drawn.is_empty() { write!(drawn, "M{x} {y}") } else { write!(drawn, "H{x}V{y}") };
        drawn_y = y;
    }
    drawn
}

fn chart_row(group: &Group, strip: &Strip<'_>, time: &Time) -> ChartRow {
    let row = strip.row;
    let class = class_of(row.candidate.model());
    let ends = strip.ends_ns().map(|(from, to)| (time.at(from), time.at(to)));
    let is_named = group.answer.as_ref().is_some_and(|answer| answer.candidate == row.index);
    ChartRow {
        class: if is_named { "named strip" } else { "strip" },
        who: html! { span class={ "swatch " (class) } {} span class="name" { (row.candidate.short()) } },
        drawn: html! {
            svg height="22" {
                @if let Some((from, to)) = ends {
                    (line((from, MIDDLE), (to, MIDDLE), "lived"))
                    svg width="100%" height="22" viewBox="0 0 1000 22" preserveAspectRatio="none" {
                        path class={ "blocks " (class) } d=(path(strip, time, false)) {}
                        @let voided = path(strip, time, true);
                        @if !voided.is_empty() { path class="blocks voided" d=(voided) {} }
                    }
                }
                @if let Some((_, at)) = strip.exit {
                    svg x=(across(time.at(at))) y=(down(MIDDLE)) class="at" { path d="M-5 -5L5 5M-5 5L5 -5" class="cross" {} }
                }
            }
        },
        figure: html! { b { (strip.known.len()) } span class="soft" { (status(&row.status)) } },
    }
}

/// The blocks of a strip, an upright line each: those of voided rounds, or the others.
fn path(strip: &Strip<'_>, time: &Time, voided: bool) -> String {
    let last = strip.known.iter().rev().find_map(|it| it.estimate).map(|estimate| estimate.value);
    let mut drawn = String::new();
    for block in strip.known.iter().filter(|block| block.voided == voided) {
        let x = (time.at(block.at_ns) * 10.0).round();
        let height = |throughput: f64| {
            let off = last.filter(|last| *last > 0.0).map_or(0.0, |last| throughput / last - 1.0);
            MIDDLE - (off / EDGE).clamp(-1.0, 1.0) * HALF
        };
        let (low, high) = match block.estimate.filter(|_| !voided) {
            Some(estimate) => (height(estimate.low) + 0.8, height(estimate.high) - 0.8),
            None => (MIDDLE + 3.0, MIDDLE - 3.0),
        };
        // Writing to a text cannot fail.
        let _ = write!(drawn, "M{x} {}V{}", down(low), down(high));
    }
    drawn
}

/// What stands in each strip, as figures.
fn table(strips: &[Strip<'_>], first: u64) -> Table {
    let since = |at: Option<u64>| at.map_or(NONE.to_owned(), |at| duration(at.saturating_sub(first) as f64));
    let cells = |strip: &Strip<'_>| {
        let early = strip.known.iter().find_map(|it| it.estimate);
        let late = strip.known.iter().rev().find_map(|it| it.estimate);
        let ended = match strip.exit {
            Some((ExitReason::Failed | ExitReason::Faulty, _)) => "failed".to_owned(),
            Some((ExitReason::Infeasible, _)) => "broke a limit".to_owned(),
            None => match strip.row.status {
                Status::Failed { .. } => "failed".to_owned(),
                _ => status(&strip.row.status).to_owned(),
            },
        };
        vec![
            strip.row.candidate.short(),
            strip.known.len().to_string(),
            strip.row.lives.to_string(),
            since(strip.known.first().map(|it| it.at_ns)),
            since(strip.known.last().map(|it| it.at_ns)),
            early.map_or(NONE.to_owned(), plus_minus),
            late.map_or(NONE.to_owned(), plus_minus),
            ended,
        ]
    };
    let titles = [
        "Candidate",
        ">Blocks",
        ">Lives",
        ">First block",
        ">Last block",
        ">95 % at first",
        ">95 % at the end",
        "Standing",
    ];
    Table::new(&titles, strips.iter().map(cells).collect())
}
