//! What of two sessions can be compared: what each names, and ratios between candidates within each.
//!
//! Blocks of two sessions were not paired, and a host is another one from hour to hour. So figures of their own are
//! compared only where host, workload and versions are the same, and even then they spread.

mod differences;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Answer, Estimate, Group, Row, Status, Verdict};
use crate::candidate::{Candidate, Model};
use crate::record::Record;

pub use differences::{Difference, Kind};

/// A session: what was measured, and what it says.
#[derive(Clone, Copy, Debug)]
pub struct Session<'a> {
    /// What was measured.
    pub record: &'a Record,
    /// What it says.
    pub verdict: &'a Verdict,
}

/// Two files of sessions, compared.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// One for each workload and runtime that is in both.
    pub pairs: Vec<Pair>,
    /// What is in one of them alone.
    pub unpaired: Vec<Unpaired>,
}

/// One workload under one runtime, in both sessions.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Pair {
    /// The workload's name.
    pub workload: String,
    /// The runtime.
    pub runtime: String,
    /// What the first session names; `None` where it has no answer.
    pub first: Option<Named>,
    /// What the second names.
    pub second: Option<Named>,
    /// Whether the choice is the same.
    pub choice: Choice,
    /// What of host, workload and versions differs.
    pub differences: Vec<Difference>,
    /// What is named over the best of each other model, within each session.
    pub ratios: Vec<Ratio>,
    /// Figures of candidates that are named and were measured in both; `None` where they are refused, since `differences`
    /// is not empty.
    pub figures: Option<Vec<Figures>>,
}

/// What a session names.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Named {
    /// The model.
    pub model: Model,
    /// The candidate.
    pub candidate: Candidate,
    /// By how much the best of all that was considered may be better, at most, as a ratio.
    pub may_cost: f64,
}

/// Whether two sessions make the same choice. They may differ among equals: what counts is how the first session's choice
/// did in the second.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "choice", rename_all = "snake_case")]
pub enum Choice {
    /// Both name the same candidate.
    Same {},
    /// The first one's choice loses no more than the tolerance in the second, with 95 % confidence.
    AsGood {
        /// Its objective over that of the second one's choice, in the second session.
        relative: Estimate,
    },
    /// The first one's choice is no choice in the second.
    Changed {
        /// Why.
        why: Change,
    },
    /// Neither.
    CannotBeTold {
        /// Why.
        why: Unknown,
    },
}

/// Why a choice has changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Change {
    /// It loses more than the tolerance in the second session, with 95 % confidence.
    Loses {
        /// Its objective over that of the second one's choice, in the second session.
        relative: Estimate,
    },
    /// It failed there, or broke a limit.
    Unusable {
        /// How.
        reason: String,
    },
}

/// Why it cannot be told whether a choice has changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Unknown {
    /// The interval holds both.
    Straddles {
        /// The first one's choice over the second one's, in the second session.
        relative: Estimate,
    },
    /// The second session did not measure the first one's choice, or compared it with nothing.
    NotMeasured {
        /// Whether it names the same engine, at other sizes.
        same_engine: bool,
    },
    /// The sessions looked for the best by another measure.
    OtherGoal {},
    /// One of them has no answer, or both.
    NoAnswer {},
}

/// What is named over the best candidate of a model, within each session.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Ratio {
    /// The model.
    pub model: Model,
    /// In the first session: its objective over that of the model's best, more is better.
    pub first: Option<Estimate>,
    /// In the second.
    pub second: Option<Estimate>,
    /// Whether the two 95 % intervals overlap; `None` where there are not two.
    pub overlap: Option<bool>,
}

/// The figures of one candidate in both sessions.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// The candidate.
    pub candidate: Candidate,
    /// In the first session.
    pub first: Absolute,
    /// In the second.
    pub second: Absolute,
}

/// Figures of a candidate in one session.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Absolute {
    /// Tasks per second.
    pub throughput_per_s: Option<Estimate>,
    /// The median of service times.
    pub service_p50_ns: Option<u64>,
    /// Their 99th percentile.
    pub service_p99_ns: Option<u64>,
    /// CPU time per task, in user mode and in the kernel.
    pub cpu_ns_per_task: Option<f64>,
    /// Memory under load.
    pub memory_bytes: Option<u64>,
}

/// What one session has and the other has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unpaired {
    /// The workload.
    pub workload: String,
    /// The runtime.
    pub runtime: String,
    /// Whether the first session has it; else the second.
    pub is_in_first: bool,
}

/// Compares two files of sessions. With `force`, figures are given whatever differs.
#[must_use]
pub fn compare(first: &[Session<'_>], second: &[Session<'_>], force: bool) -> Comparison {
    let mut rest: Vec<(Session<'_>, &Group)> = groups(second);
    let mut comparison = Comparison { pairs: Vec::new(), unpaired: Vec::new() };
    for (session, group) in groups(first) {
        let is_its = |(other, its): &(Session<'_>, &Group)| {
            other.record.workload.name == session.record.workload.name && its.runtime == group.runtime
        };
        match rest.iter().position(is_its) {
            Some(at) => {
                let (other, its) = rest.remove(at);
                comparison.pairs.push(pair((session, group), (other, its), force));
            }
            None => comparison.unpaired.push(unpaired(session, group, true)),
        }
    }
    comparison.unpaired.extend(rest.into_iter().map(|(session, group)| unpaired(session, group, false)));
    comparison
}

fn groups<'a>(sessions: &[Session<'a>]) -> Vec<(Session<'a>, &'a Group)> {
    sessions.iter().flat_map(|session| session.verdict.groups.iter().map(|group| (*session, group))).collect()
}

fn unpaired(session: Session<'_>, group: &Group, is_in_first: bool) -> Unpaired {
    let workload = session.record.workload.name.clone();
    Unpaired { workload, runtime: group.runtime.clone(), is_in_first }
}

fn pair(first: (Session<'_>, &Group), second: (Session<'_>, &Group), force: bool) -> Pair {
    let ((one, left), (other, right)) = (first, second);
    let differences = differences::between(one.record, other.record, &left.runtime);
    let has_one_goal = one.record.workload.objective.goal == other.record.workload.objective.goal;
    let figures = (force || differences.is_empty()).then(|| figures(left, right));
    Pair {
        workload: one.record.workload.name.clone(),
        runtime: left.runtime.clone(),
        first: named(left),
        second: named(right),
        choice: if has_one_goal {
            choice(left, right, other.verdict.tolerance)
        } else {
            Choice::CannotBeTold { why: Unknown::OtherGoal {} }
        },
        // A ratio of throughputs says nothing of one of memory.
        ratios: if has_one_goal { ratios(left, right) } else { Vec::new() },
        differences,
        figures,
    }
}

/// An answer with its row.
fn answered(group: &Group) -> Option<(&Answer, &Row)> {
    let answer = group.answer.as_ref()?;
    Some((answer, answer.row(&group.rows)?))
}

fn named(group: &Group) -> Option<Named> {
    let (answer, row) = answered(group)?;
    Some(Named { model: answer.model, candidate: row.candidate.clone(), may_cost: answer.may_cost })
}

fn choice(first: &Group, second: &Group, tolerance: f64) -> Choice {
    let unknown = |why| Choice::CannotBeTold { why };
    let (Some((_, its)), Some((_, now))) = (answered(first), answered(second)) else {
        return unknown(Unknown::NoAnswer {});
    };
    if its.candidate == now.candidate {
        return Choice::Same {};
    }
    let same_engine = its.candidate.kind() == now.candidate.kind();
    let Some(measured) = second.rows.iter().find(|row| row.candidate == its.candidate) else {
        return unknown(Unknown::NotMeasured { same_engine });
    };
    if let Status::Failed { reason } | Status::Infeasible { reason } = &measured.status {
        return Choice::Changed { why: Change::Unusable { reason: reason.clone() } };
    }
    // What costs `tolerance` reaches this share of the other.
    let margin = 1.0 / (1.0 + tolerance);
    match measured.relative {
        None => unknown(Unknown::NotMeasured { same_engine }),
        Some(relative) if relative.high < margin => Choice::Changed { why: Change::Loses { relative } },
        Some(relative) if relative.low >= margin => Choice::AsGood { relative },
        Some(relative) => unknown(Unknown::Straddles { relative }),
    }
}

/// The models that either session compares its choice with, the plain loop first.
fn ratios(first: &Group, second: &Group) -> Vec<Ratio> {
    let over = |group: &Group, model: Model| {
        let others = &group.answer.as_ref()?.next_model;
        let other = others.iter().find(|other| other.model == model)?;
        inverse(Estimate { value: other.ratio, low: other.low, high: other.high })
    };
    let ratio = |model: Model| {
        let (first, second) = (over(first, model), over(second, model));
        let overlap = first.zip(second).map(|(one, other)| one.low <= other.high && other.low <= one.high);
        (first.is_some() || second.is_some()).then_some(Ratio { model, first, second, overlap })
    };
    Model::ALL.into_iter().filter_map(ratio).collect()
}

/// One over a ratio; `None` where that is no number.
fn inverse(ratio: Estimate) -> Option<Estimate> {
    let turned = Estimate { value: 1.0 / ratio.value, low: 1.0 / ratio.high, high: 1.0 / ratio.low };
    let is_sound = ratio.low > 0.0 && [turned.value, turned.low, turned.high].iter().all(|it| it.is_finite());
    is_sound.then_some(turned)
}

/// The figures of what either session names, where both measured it.
fn figures(first: &Group, second: &Group) -> Vec<Figures> {
    let mut candidates: Vec<&Candidate> =
        [first, second].into_iter().filter_map(answered).map(|(_, row)| &row.candidate).collect();
    candidates.dedup();
    let of = |group: &Group, candidate: &Candidate| {
        group.rows.iter().find(|row| row.candidate == *candidate && row.blocks > 0).map(absolute)
    };
    let figures = |candidate: &Candidate| {
        let (first, second) = (of(first, candidate)?, of(second, candidate)?);
        Some(Figures { candidate: candidate.clone(), first, second })
    };
    candidates.into_iter().filter_map(figures).collect()
}

fn absolute(row: &Row) -> Absolute {
    Absolute {
        throughput_per_s: row.throughput_per_s,
        service_p50_ns: row.service.p50_ns,
        service_p99_ns: row.service.p99_ns,
        cpu_ns_per_task: row.cpu_ns_per_task(),
        memory_bytes: row.memory_bytes,
    }
}
