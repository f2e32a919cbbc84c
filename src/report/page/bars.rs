//! The best of each model, as bars with their intervals.

use maud::{Markup, html};

use super::frame::{ChartRow, Figure, Table, rows};
use super::svg::{Scale, axis, bar, whisker};
use super::text::capital;
use super::{class_of, row_class};
use crate::analyze::{Answer, Estimate, Group, Row, Sureness};
use crate::candidate::Model;
use crate::report::Judged;
use crate::report::answer::{OfModel, briefs, comparable};
use crate::report::words::{self, against_best, plus_minus, row, status};
use crate::units::{NONE, difference, factor, rate};
use crate::workload::Goal;

/// The figure of one runtime; `None` where nothing was measured.
pub(super) fn figure(judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let models = models(judged, group);
    let shown: Vec<(&OfModel, &Row)> = models.iter().filter_map(|of| Some((of, row(group, of.candidate)?))).collect();
    let goal = judged.record.workload.objective.goal;
    let high = shown.iter().filter_map(|(_, row)| Some(drawn(judged, group, row)?.high)).fold(0.0, f64::max);
    if shown.is_empty() || high <= 0.0 {
        return None;
    }
    let scale = Scale::linear(high, (0.0, 100.0));
    let chart_rows: Vec<ChartRow> = shown.iter().map(|(of, row)| chart_row(judged, group, of, row, &scale)).collect();
    let name: fn(f64) -> String = if goal == Goal::Throughput { rate } else { factor };
    let figure = Figure {
        id,
        title: title(judged, group),
        description: description(goal),
        legend: None,
        chart: rows(&chart_rows, &axis(&scale, name)),
        table: table(group),
    };
    Some(figure.markup())
}

/// The best of each model, as a terminal shows them.
fn models(judged: &Judged, group: &Group) -> Vec<OfModel> {
    let at = judged.verdict.groups.iter().position(|one| one.runtime == group.runtime);
    at.and_then(|at| briefs(judged).into_iter().nth(at)).map_or_else(Vec::new, |brief| brief.models)
}

/// What a bar is of: throughput where that is the goal, else the objective beside the answer's.
fn drawn(judged: &Judged, group: &Group, row: &Row) -> Option<Estimate> {
    let is_throughput = judged.record.workload.objective.goal == Goal::Throughput;
    if is_throughput { comparable(judged, group, row) } else { row.relative }
}

fn description(goal: Goal) -> String {
    let what = match goal {
        Goal::Throughput => {
            "Tasks per second of the best size of each model, as it compares with the answer".to_owned()
        }
        other => format!(
            "The objective ({}) beside the answer's, more is better, of the best of each model",
            words::goal(other)
        ),
    };
    format!("{what}. The line over a bar is its 95 % interval.")
}

fn chart_row(judged: &Judged, group: &Group, of: &OfModel, row: &Row, scale: &Scale) -> ChartRow {
    let goal = judged.record.workload.objective.goal;
    let estimate = drawn(judged, group, row);
    ChartRow {
        class: row_class(group, row),
        who: html! {
            span class={ "swatch " (class_of(of.model)) } {}
            span class="name" { (of.model) }
            span class="soft" { (of.engine) ", " (of.sizes) }
        },
        drawn: html! {
            svg height="22" {
                @if let Some(estimate) = estimate {
                    (bar(0.0, scale.at(estimate.value), (5.0, 12.0), &format!("mark {}", class_of(of.model))))
                    (whisker(scale.at(estimate.low), scale.at(estimate.high), 11.0, "interval"))
                }
            }
        },
        figure: html! {
            b { @if goal == Goal::Throughput { (of.figure) } @else { (estimate.map_or(NONE.to_owned(), |it| difference(it.value))) } }
            @if !of.remark.is_empty() { span class="tag" { (of.remark) } }
            @else if estimate.is_none() { span class="tag" { "not measured" } }
        },
    }
}

/// What the bars say: the answer beside the best of another model.
fn title(judged: &Judged, group: &Group) -> String {
    let Some(answer) = &group.answer else { return "Nothing could be compared yet".to_owned() };
    let said = beside_next(judged, answer);
    if answer.sureness(judged.verdict.tolerance) == Sureness::Rough {
        format!("So far, {said}")
    } else {
        capital(&said)
    }
}

fn beside_next(judged: &Judged, answer: &Answer) -> String {
    let model = if answer.model == Model::Sequential { "a plain loop".to_owned() } else { answer.model.to_string() };
    let Some(next) = answer.next_model.first().filter(|next| next.ratio > 0.0) else {
        return format!("{model}: nothing else was measured");
    };
    let (margin, gain) = (1.0 + judged.verdict.tolerance, 1.0 / next.ratio);
    let is_throughput = judged.record.workload.objective.goal == Goal::Throughput;
    let good = if is_throughput { "fast" } else { "good" };
    let other = called(next.model);
    if gain >= margin {
        format!("{model}: {} as {good} as {other}", factor(gain))
    } else if gain >= 1.0 / margin {
        let simpler = if answer.model < next.model { ", and simpler" } else { "" };
        format!("{model}: as {good} as {other}{simpler}")
    } else {
        format!("{model}: {} as {good} as {other}, but simpler or surer", factor(gain))
    }
}

/// The best of a model, as in a sentence.
fn called(model: Model) -> String {
    if model == Model::Sequential { "a plain loop".to_owned() } else { format!("the best of {model}") }
}

/// Every candidate, not the best of each model alone.
fn table(group: &Group) -> Table {
    let cells = |row: &Row| {
        vec![
            row.candidate.short(),
            row.candidate.model().to_string(),
            row.throughput_per_s.map_or(NONE.to_owned(), |it| rate(it.value)),
            row.throughput_per_s.map_or(NONE.to_owned(), plus_minus),
            against_best(row),
            row.blocks.to_string(),
            status(&row.status).to_owned(),
        ]
    };
    let titles = ["Candidate", "Model", ">Tasks", ">95 %", ">vs best", ">Blocks", "Status"];
    Table::new(&titles, group.rows.iter().map(cells).collect())
}
