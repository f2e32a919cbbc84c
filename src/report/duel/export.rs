//! A duel in the formats of other programs: a row, or a series, a figure of a candidate.
//!
//! What is followed over time is head over base: figures of two jobs differ by their hosts, and their ratio does not.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{duel_junit, duel_markdown, has_cells, side_failure, version, word, workload};
use crate::analyze::Estimate;
use crate::analyze::duel::{Compared, DuelVerdict, FigureChange, Said};
use crate::candidate::Candidate;
use crate::decide::duel::{Figure, Regression};
use crate::escape::plain;
use crate::record::duel::DuelRecord;
use crate::report::export::bmf::Metric;
use crate::report::export::csv::{harmless, written};
use crate::report::export::gab::{Document, Entry, range};
use crate::report::export::{Export, ExportError, github, jsonl};

/// One figure of one candidate, under both versions; of what could not run, why. What is not known is null (in CSV: empty).
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "conbench figure of a duel")]
pub(in crate::report) struct Line {
    /// The workload's name.
    workload: String,
    /// What base is: a revision, a folder, a target.
    base_version: String,
    /// What head is.
    head_version: String,
    /// The candidate: engine, start method, sizes.
    candidate: Option<String>,
    /// Its engine.
    engine: Option<String>,
    /// `throughput`, `p50`, `p99`, `cpu_per_task`, `memory` or `start_up`.
    figure: Option<&'static str>,
    /// That of the base: tasks per second, nanoseconds, or bytes.
    base: Option<f64>,
    /// That of the head.
    head: Option<f64>,
    /// Head over base.
    ratio: Option<f64>,
    /// The lower end of its 95 % interval.
    ratio_low: Option<f64>,
    /// The upper end.
    ratio_high: Option<f64>,
    /// How much worse it may be, as a ratio, where it decides.
    most: Option<f64>,
    /// How it stands to that, where it decides.
    answer: Option<Regression>,
    /// The rounds behind it.
    rounds: u32,
    /// What the whole duel says.
    said: Said,
    /// Why a version could not run.
    failure: Option<String>,
    /// The version of conbench that measured.
    conbench_version: String,
}

/// The duel in this format, with a line feed at the end.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn duel_export(format: Export, record: &DuelRecord, verdict: &DuelVerdict) -> Result<String, ExportError> {
    match format {
        Export::Csv => written(lines(record, verdict).into_iter().map(for_spreadsheets)),
        Export::Jsonl => jsonl::written(lines(record, verdict).into_iter()),
        Export::Junit => duel_junit(record, verdict),
        Export::Bmf => bmf(record, verdict),
        Export::Github => Ok(github::cut(duel_markdown(record, verdict))),
        Export::Gab => gab(record, verdict),
    }
}

fn lines(record: &DuelRecord, verdict: &DuelVerdict) -> Vec<Line> {
    let whole = Line {
        workload: workload(record),
        base_version: plain(&record.base.what),
        head_version: plain(&record.head.what),
        said: verdict.said,
        failure: verdict.failure.as_ref().map(side_failure),
        conbench_version: version(record),
        candidate: None,
        engine: None,
        figure: None,
        base: None,
        head: None,
        ratio: None,
        ratio_low: None,
        ratio_high: None,
        most: None,
        answer: None,
        rounds: 0,
    };
    let mut lines: Vec<Line> = verdict.compared.iter().flat_map(|compared| of_candidate(&whole, compared)).collect();
    if lines.is_empty() {
        lines.push(whole);
    }
    lines
}

fn of_candidate(whole: &Line, compared: &Compared) -> Vec<Line> {
    let of_it = Line {
        candidate: Some(compared.candidate.short()),
        engine: Some(compared.candidate.engine.to_string()),
        failure: compared.failure.as_ref().map(side_failure).or_else(|| whole.failure.clone()),
        ..whole.clone()
    };
    let measured = compared.figures.iter().filter(|figure| has_cells(figure));
    let mut lines: Vec<Line> = measured.map(|figure| of_figure(&of_it, figure)).collect();
    if lines.is_empty() {
        lines.push(of_it);
    }
    lines
}

fn of_figure(of_it: &Line, figure: &FigureChange) -> Line {
    Line {
        figure: Some(figure.figure.name()),
        base: figure.base,
        head: figure.head,
        ratio: figure.ratio.map(|ratio| ratio.value),
        ratio_low: figure.ratio.map(|ratio| ratio.low),
        ratio_high: figure.ratio.map(|ratio| ratio.high),
        most: figure.most,
        answer: figure.answer,
        rounds: figure.rounds,
        ..of_it.clone()
    }
}

fn for_spreadsheets(mut line: Line) -> Line {
    let texts = [&mut line.workload, &mut line.base_version, &mut line.head_version, &mut line.conbench_version];
    texts
        .into_iter()
        .chain(line.failure.as_mut())
        .chain(line.candidate.as_mut())
        .chain(line.engine.as_mut())
        .for_each(harmless);
    line
}

/// `parse/ProcessPoolExecutor@fork`: no sizes, so that another choice of them is no new series.
fn series(record: &DuelRecord, candidate: &Candidate) -> String {
    format!("{}/{}", workload(record), candidate.without_sizes().short())
}

/// The figures of a duel that have a ratio.
fn ratios(verdict: &DuelVerdict) -> impl Iterator<Item = (&Candidate, Figure, Estimate)> {
    verdict.compared.iter().flat_map(|compared| {
        compared.figures.iter().filter_map(|change| Some((&compared.candidate, change.figure, change.ratio?)))
    })
}

fn bmf(record: &DuelRecord, verdict: &DuelVerdict) -> Result<String, ExportError> {
    let mut all: BTreeMap<String, BTreeMap<String, Metric>> = BTreeMap::new();
    for (candidate, figure, ratio) in ratios(verdict) {
        let name = format!("{}-head-over-base", figure.name().replace('_', "-"));
        all.entry(series(record, candidate)).or_default().insert(name, Metric::between(ratio));
    }
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

fn gab(record: &DuelRecord, verdict: &DuelVerdict) -> Result<String, ExportError> {
    let mut document = Document::default();
    for (candidate, figure, ratio) in ratios(verdict) {
        let entry = Entry {
            name: format!("{}: {}, head over base", series(record, candidate), word(figure)),
            unit: "x",
            value: ratio.value,
            range: Some(range(ratio)),
            extra: format!("candidate: {}\nduel: {}", candidate.short(), verdict.said.word()),
        };
        if figure.is_gain() {
            document.custom_bigger_is_better.push(entry);
        } else {
            document.custom_smaller_is_better.push(entry);
        }
    }
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The JSON Schema of a line of [`Export::Jsonl`].
#[must_use]
pub fn duel_jsonl_schema() -> schemars::Schema {
    schemars::schema_for!(Line)
}
