//! Two versions beside each other: whether the second is worse, by which figure, and whether the choice is still good.

use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCaseStatus};
use schemars::JsonSchema;
use serde::Serialize;

use super::export::ExportError;
use super::export::junit::{Case, Suite, document, failed, skipped};
use super::grid::{self, Paint, Title, paint};
use super::text::listed;
use super::words;
use super::{Style, markdown};
use crate::analyze::Estimate;
use crate::analyze::duel::{ChoiceStanding, Compared, DuelVerdict, FigureChange, Said, SideFailure, StillGood};
use crate::decide::duel::{BASE, Figure, HEAD, MOST_ROUNDS, Regression};
use crate::escape::plain;
use crate::record::Record;
use crate::record::duel::{DuelRecord, FORMAT_VERSION, SideRecord};
use crate::units::{NONE, bytes, duration, percent, rate};

/// Files of a working tree that are named; of more than these the number is said.
const MOST_NAMES: usize = 6;
/// The titles of the table of figures.
const TITLES: [Title; 6] = [
    Title { text: "Figure", right: false },
    Title { text: "Base", right: true },
    Title { text: "Head", right: true },
    Title { text: "Change (95 %)", right: true },
    Title { text: "Limit", right: true },
    Title { text: "", right: false },
];

/// A duel as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "conbench duel")]
struct Document<'a> {
    /// The version of this format.
    format_version: u32,
    /// The version of conbench that measured.
    conbench_version: String,
    /// What was measured.
    duel: &'a DuelRecord,
    /// What it came to.
    verdict: &'a DuelVerdict,
}

/// The duel as JSON.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn duel_json(record: &DuelRecord, verdict: &DuelVerdict) -> Result<String, serde_json::Error> {
    let conbench_version = version(record);
    let document = Document { format_version: FORMAT_VERSION, conbench_version, duel: record, verdict };
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The JSON Schema of [`duel_json`].
#[must_use]
pub fn duel_schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}

/// What a duel came to, in one sentence.
#[must_use]
pub fn duel_sentence(record: &DuelRecord, verdict: &DuelVerdict) -> String {
    let name = workload(record);
    let worst = verdict.compared.iter().find_map(|compared| {
        let figure = compared.figures.iter().find(|it| it.answer == Some(Regression::Regressed))?;
        Some(format!("{} {} with `{}`", word(figure.figure), change(figure), compared.candidate.short()))
    });
    match verdict.said {
        Said::NotRegressed => format!("{name}: head is not worse than base"),
        Said::Regressed => format!("{name}: head is worse than base: {}", worst.unwrap_or_default()),
        Said::Undecided => format!("{name}: undecided: {}", next_step(verdict)),
        Said::ChoiceChanged => format!("{name}: {}", verdict.choice.as_ref().map(choice).unwrap_or_default()),
        Said::SideFailed => {
            let failure = failures(verdict).next();
            format!("{name}: {}", failure.map_or_else(|| "a side could not run".to_owned(), side_failure))
        }
    }
}

/// The duel for a terminal.
#[must_use]
pub fn duel_table(record: &DuelRecord, verdict: &DuelVerdict, style: Style) -> String {
    let heading = format!("{}: {}", workload(record), verdict.said.word());
    let is_bad = !matches!(verdict.said, Said::NotRegressed | Said::Undecided);
    let how = if is_bad { Paint::Bad } else { Paint::Bold };
    let mut text = paint(&heading, how, style.colour) + "\n\n";
    let labelled = |label: &str, said: &str| grid::labelled(2, &format!("{label:<7}"), said, style.width);
    for (label, said) in sides(record) {
        text.push_str(&labelled(label, &said));
    }
    for compared in verdict.compared.iter().filter(|compared| has_figures(compared)) {
        let rows: Vec<(Vec<String>, Paint)> =
            compared.figures.iter().filter_map(|figure| Some((cells(figure)?, painted(figure)))).collect();
        text.push_str(&format!("\n  {}\n", compared.candidate.short()));
        if !rows.is_empty() {
            let drawn = grid::fitted(&TITLES, &rows, style.width.saturating_sub(2), style.colour);
            text.extend(drawn.lines().map(|line| format!("  {line}\n")));
        }
    }
    let remarks = remarks(record, verdict);
    if !remarks.is_empty() {
        text.push('\n');
    }
    text.extend(remarks.iter().map(|(label, said)| labelled(label, said)));
    text
}

/// The duel in Markdown.
#[must_use]
pub fn duel_markdown(record: &DuelRecord, verdict: &DuelVerdict) -> String {
    let mut text = format!("## {}: {}\n\n", markdown::escaped(&workload(record)), verdict.said.word());
    let item = |(label, said): (&str, String)| format!("- **{label}** {}\n", markdown::escaped(&said));
    text.extend(sides(record).into_iter().map(item));
    for compared in verdict.compared.iter().filter(|compared| has_figures(compared)) {
        let head = markdown::header(&TITLES);
        text.push_str(&format!("\n`{}`\n\n{head}", compared.candidate.short()));
        text.extend(compared.figures.iter().filter_map(cells).map(|cells| markdown::line(&cells)));
    }
    let remarks = remarks(record, verdict);
    if !remarks.is_empty() {
        text.push('\n');
    }
    text.extend(remarks.into_iter().map(item));
    text
}

/// The duel as a test report: a case a candidate, and one for the choice.
///
/// # Errors
/// When the text cannot be written as XML, which would be a fault of this program.
pub fn duel_junit(record: &DuelRecord, verdict: &DuelVerdict) -> Result<String, ExportError> {
    let took_ns = sessions(record).fold(0_u64, |sum, it| sum.saturating_add(it.elapsed_ns));
    let mut cases: Vec<Case> = verdict.compared.iter().map(case).collect();
    cases.extend(verdict.choice.as_ref().map(choice_case));
    cases.extend(verdict.failure.as_ref().map(|failure| Case {
        name: plain(&failure.side),
        status: failed(NonSuccessKind::Error, "side_failed", &side_failure(failure), &[]),
        properties: Vec::new(),
        output: Vec::new(),
    }));
    let about = sides(record).into_iter().map(|(label, said)| (if label == "Base" { BASE } else { HEAD }, said));
    document(vec![Suite {
        name: workload(record),
        time: Duration::from_nanos(took_ns),
        properties: about.collect(),
        cases,
    }])
}

fn case(compared: &Compared) -> Case {
    let lines: Vec<String> = compared.figures.iter().filter_map(cells).map(|cells| cells.join("  ")).collect();
    let of = |wanted: Regression| {
        let found = compared.figures.iter().filter(move |figure| figure.answer == Some(wanted));
        found.map(|figure| format!("{} {}", word(figure.figure), change(figure))).collect::<Vec<String>>()
    };
    let (worse, open) = (of(Regression::Regressed), of(Regression::Undecided));
    let status = if let Some(failure) = &compared.failure {
        failed(NonSuccessKind::Error, "side_failed", &side_failure(failure), &lines)
    } else if !worse.is_empty() {
        failed(NonSuccessKind::Failure, "regressed", &listed(&worse, "and"), &lines)
    } else if !open.is_empty() {
        skipped(&format!("undecided: {}", listed(&open, "and")))
    } else if !has_figures(compared) {
        skipped("not measured")
    } else {
        TestCaseStatus::success()
    };
    let mut properties = Vec::new();
    for figure in &compared.figures {
        properties.extend(figure.ratio.map(|ratio| (figure.figure.name(), ratio.value.to_string())));
    }
    Case { name: compared.candidate.short(), status, properties, output: lines }
}

fn choice_case(standing: &ChoiceStanding) -> Case {
    let said = choice(standing);
    let status = match standing.standing {
        StillGood::Same | StillGood::AsGood => TestCaseStatus::success(),
        StillGood::Changed => failed(NonSuccessKind::Failure, "choice_changed", &said, std::slice::from_ref(&said)),
        StillGood::Undecided => skipped(&said),
    };
    Case { name: "choice".to_owned(), status, properties: Vec::new(), output: vec![said] }
}

/// `base` and `head`, and what they are.
fn sides(record: &DuelRecord) -> Vec<(&'static str, String)> {
    let said = |side: &SideRecord| {
        let mut said = plain(&side.what);
        if !side.changed.is_empty() {
            let mut names: Vec<String> = side.changed.iter().take(MOST_NAMES).map(|name| plain(name)).collect();
            if side.changed.len() > MOST_NAMES {
                names.push(format!("{} more", side.changed.len() - MOST_NAMES));
            }
            said.push_str(&format!(", with changes that are not committed: {}", listed(&names, "and")));
        }
        said
    };
    vec![("Base", said(&record.base)), ("Head", said(&record.head))]
}

fn remarks(record: &DuelRecord, verdict: &DuelVerdict) -> Vec<(&'static str, String)> {
    let mut said: Vec<(&'static str, String)> =
        failures(verdict).map(|failure| ("Failed", side_failure(failure))).collect();
    said.extend(verdict.choice.as_ref().map(|standing| ("Choice", choice(standing))));
    let bare = verdict.compared.iter().filter(|it| it.failure.is_none()).flat_map(|it| &it.figures);
    let bare: Vec<&str> = bare.filter(|it| it.answer.is_some() && it.rounds == 0).map(|it| word(it.figure)).collect();
    if !bare.is_empty() && verdict.failure.is_none() {
        said.push(("Note", format!("{} cannot be told: a block has too few tasks for it", listed(&bare, "and"))));
    }
    if verdict.said == Said::Undecided {
        said.push(("Next", next_step(verdict)));
    }
    if let Some(measured) = record.record.as_ref().filter(|_| verdict.compared.iter().any(has_figures)) {
        said.push(("How", how(measured, verdict)));
        said.extend(measured.warnings.iter().map(|warning| ("Note", words::warning(warning))));
    }
    said
}

/// What to do where nothing is decided.
fn next_step(verdict: &DuelVerdict) -> String {
    let is_open = |figure: &FigureChange| figure.answer == Some(Regression::Undecided);
    let is_of_choice = !verdict.compared.iter().flat_map(|it| &it.figures).any(is_open);
    if is_of_choice && verdict.choice.as_ref().is_some_and(|choice| choice.standing == StillGood::Undecided) {
        return "whether base's choice is still good is what is open: give it more time (--budget), or allow it to lose more (--tolerance)"
            .to_owned();
    }
    if rounds(verdict) as usize >= MOST_ROUNDS {
        return "more time would not tell: the difference is about what is allowed; allow more (--max-regression)"
            .to_owned();
    }
    "give it more time (--budget), or allow more (--max-regression)".to_owned()
}

fn rounds(verdict: &DuelVerdict) -> u32 {
    verdict.compared.iter().flat_map(|it| &it.figures).map(|figure| figure.rounds).max().unwrap_or(0)
}

fn how(measured: &Record, verdict: &DuelVerdict) -> String {
    let rounds = rounds(verdict);
    format!(
        "{rounds} rounds of a block of each side, every block in a new process, {} on {}",
        duration(measured.elapsed_ns as f64),
        words::host(measured)
    )
}

fn failures(verdict: &DuelVerdict) -> impl Iterator<Item = &SideFailure> {
    verdict.failure.iter().chain(verdict.compared.iter().filter_map(|it| it.failure.as_ref()))
}

fn side_failure(failure: &SideFailure) -> String {
    format!("{} could not run: {}", plain(&failure.side), plain(&failure.reason))
}

fn choice(standing: &ChoiceStanding) -> String {
    let (base, head) = (standing.base.short(), standing.head.short());
    let reach = standing.ratio.map(|ratio| format!(", of which it reaches {}", of(ratio))).unwrap_or_default();
    match standing.standing {
        StillGood::Same => format!("the same for both: `{base}`"),
        StillGood::AsGood => format!("`{base}` is as good as ever: head's own race names `{head}`{reach}"),
        StillGood::Changed => format!("`{base}` is not good enough any more: head's own race names `{head}`{reach}"),
        StillGood::Undecided => {
            format!("it cannot be told whether `{base}` is still good: head's own race names `{head}`{reach}")
        }
    }
}

/// `62.2 % (58 % to 66.1 %)`.
fn of(ratio: Estimate) -> String {
    format!("{} ({} to {})", percent(ratio.value), percent(ratio.low), percent(ratio.high))
}

fn has_figures(compared: &Compared) -> bool {
    compared.figures.iter().any(|figure| figure.rounds > 0)
}

/// The cells of a figure's row; `None` where it was not measured.
fn cells(figure: &FigureChange) -> Option<Vec<String>> {
    let shown = |value: f64| match figure.figure {
        Figure::Throughput => rate(value),
        Figure::Memory => bytes(value as u64),
        Figure::P50 | Figure::P99 | Figure::CpuPerTask | Figure::StartUp => duration(value),
    };
    let allowed = figure.most.map_or_else(String::new, |most| {
        let sign = if figure.figure.is_gain() { '-' } else { '+' };
        format!("{sign}{}", percent(most))
    });
    let answer = figure.answer.map_or("", answer_word);
    if !has_cells(figure) {
        return None;
    }
    Some(vec![
        word(figure.figure).to_owned(),
        figure.base.map_or_else(|| NONE.to_owned(), shown),
        figure.head.map_or_else(|| NONE.to_owned(), shown),
        change(figure),
        allowed,
        answer.to_owned(),
    ])
}

/// Whether there is anything to say of a figure.
const fn has_cells(figure: &FigureChange) -> bool {
    figure.base.is_some() || figure.answer.is_some()
}

const fn answer_word(answer: Regression) -> &'static str {
    match answer {
        Regression::Regressed => "regressed",
        Regression::NotRegressed => "not regressed",
        Regression::Undecided => "undecided",
    }
}

/// `-9.1 % (-10.2 to -8.0)`.
fn change(figure: &FigureChange) -> String {
    let signed = |ratio: f64| format!("{:+.1}", (ratio - 1.0) * 100.0);
    let Some(Estimate { value, low, high }) = figure.ratio else { return NONE.to_owned() };
    format!("{} % ({} to {})", signed(value), signed(low), signed(high))
}

fn painted(figure: &FigureChange) -> Paint {
    if figure.answer == Some(Regression::Regressed) { Paint::Bad } else { Paint::Plain }
}

fn word(figure: Figure) -> &'static str {
    match figure {
        Figure::Throughput => "throughput",
        Figure::P50 => "p50",
        Figure::P99 => "p99",
        Figure::CpuPerTask => "CPU/task",
        Figure::Memory => "memory",
        Figure::StartUp => "start-up",
    }
}

fn workload(record: &DuelRecord) -> String {
    // Duels that were saved before they had a name.
    let of_session = sessions(record).next().map_or("", |session| session.workload.name.as_str());
    plain(if record.workload.is_empty() { of_session } else { &record.workload })
}

/// The version that measured; this one, where nothing was measured.
fn version(record: &DuelRecord) -> String {
    let measured = sessions(record).next().map(|session| plain(&session.conbench_version));
    measured.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned())
}

fn sessions(record: &DuelRecord) -> impl Iterator<Item = &Record> {
    [record.record.as_ref(), record.base.race.as_ref(), record.head.race.as_ref()].into_iter().flatten()
}

mod export;
#[cfg(test)]
mod tests;

pub use export::{duel_export, duel_jsonl_schema};
