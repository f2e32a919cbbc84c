//! What a duel came to: a record in, figures and an answer out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answer, Estimate, Verdict, analyze};
use crate::candidate::Candidate;
use crate::decide::TurnOutcome;
use crate::decide::duel::{BASE, Change, Duel, DuelRules, Figure, HEAD, Regression};
use crate::record::duel::DuelRecord;
pub use crate::record::duel::{EITHER, SideFailure};
use crate::record::{Ending, ExitReason, Phase, Record, figures};

/// What a duel came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DuelVerdict {
    /// In a word.
    pub said: Said,
    /// Why there was nothing to compare.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<SideFailure>,
    /// Head beside base, a candidate each.
    pub compared: Vec<Compared>,
    /// Whether the base's choice is still good for the head; `None` where the candidates were named.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub choice: Option<ChoiceStanding>,
}

/// What a duel came to, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// No figure is worse than it may be, and the choice is still good.
    NotRegressed,
    /// A figure is worse than it may be.
    Regressed,
    /// What was measured does not tell.
    Undecided,
    /// No figure is known to be worse, and the base's choice is not good enough for the head.
    ChoiceChanged,
    /// A side could not run.
    SideFailed,
}

impl Said {
    /// The word, as it is printed.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Said::NotRegressed => "not regressed",
            Said::Regressed => "regressed",
            Said::Undecided => "undecided",
            Said::ChoiceChanged => "choice changed",
            Said::SideFailed => "side failed",
        }
    }
}

/// A candidate under both versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The candidate of the base; that of the head differs in its side alone.
    pub candidate: Candidate,
    /// Why one of the two could not run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub failure: Option<SideFailure>,
    /// Its figures.
    pub figures: Vec<FigureChange>,
}

/// A figure of both versions: per second, in nanoseconds, or in bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FigureChange {
    /// Which.
    pub figure: Figure,
    /// The geometric mean of the base's rounds.
    pub base: Option<f64>,
    /// That of the head's.
    pub head: Option<f64>,
    /// Head over base, with its 95 % interval.
    pub ratio: Option<Estimate>,
    /// The rounds behind it.
    pub rounds: u32,
    /// How much worse it may be, as a ratio; `None` where nobody says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub most: Option<f64>,
    /// How it stands to that.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<Regression>,
}

/// The base's choice and the head's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChoiceStanding {
    /// What the base's race named.
    pub base: Candidate,
    /// What the head's race named.
    pub head: Candidate,
    /// How they stand.
    pub standing: StillGood,
    /// What the base's choice reaches of the head's, both with the head's code; `None` where they are the same, or it is
    /// not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ratio: Option<Estimate>,
}

/// Whether the base's choice is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StillGood {
    /// Both races named it.
    Same,
    /// It loses no more than the tolerance.
    AsGood,
    /// It loses more than the tolerance, or it cannot be used any more.
    Changed,
    /// What was measured does not tell.
    Undecided,
}

/// What a duel came to.
#[must_use]
pub fn duel(record: &DuelRecord) -> DuelVerdict {
    let Some(measured) = &record.record else {
        let failure = record.failure.clone().or_else(|| without_choice(record));
        // A race that was cut short names nothing, and is no failure.
        let said = if failure.is_some() { Said::SideFailed } else { Said::Undecided };
        return DuelVerdict { said, failure, compared: Vec::new(), choice: None };
    };
    let fought = fought(&record.rules, measured);
    let is_choice = |at: usize| record.choice.is_some_and(|choice| choice as usize == at);
    let compared: Vec<Compared> = (0..record.rules.comparisons.len())
        .filter(|at| !is_choice(*at))
        .filter_map(|at| compared(&record.rules, measured, &fought, at))
        .collect();
    let choice = choice(record, &fought);
    let is_empty = compared.iter().all(|it| it.failure.is_none() && it.figures.iter().all(|figure| figure.rounds == 0));
    if is_empty && measured.ending != Ending::Interrupted {
        let reason = "nothing was measured within the budget: raise --budget, or `max_calls`".to_owned();
        let failure = Some(SideFailure { side: EITHER.to_owned(), reason });
        return DuelVerdict { said: Said::SideFailed, failure, compared, choice };
    }
    let said = said(measured.ending, &compared, choice.as_ref());
    DuelVerdict { said, failure: None, compared, choice }
}

/// The side whose race names nothing, and why.
fn without_choice(record: &DuelRecord) -> Option<SideFailure> {
    let of = |name: &str, race: &Option<Record>| {
        let race = race.as_ref()?;
        if race.ending == Ending::Interrupted || named(&analyze(race)).is_some() {
            return None;
        }
        let failures = race.candidates.iter().filter_map(|place| place.failure.as_ref());
        let reason = failures.map(ToString::to_string).next();
        let reason = reason.unwrap_or_else(|| {
            match race.ending {
                Ending::BudgetSpent => "its race named nothing within its part of the budget: raise --budget",
                Ending::CallsSpent => "its race named nothing within its part of `max_calls`: raise it",
                _ => "nothing could be compared",
            }
            .to_owned()
        });
        Some(SideFailure { side: name.to_owned(), reason })
    };
    of(BASE, &record.base.race).or_else(|| of(HEAD, &record.head.race))
}

/// The duel, fought again from its record.
fn fought(rules: &DuelRules, measured: &Record) -> Duel {
    let mut duel = Duel::new(rules.clone());
    for (candidate, place) in measured.candidates.iter().enumerate() {
        let has_exit = measured.exits.iter().any(|exit| exit.candidate as usize == candidate);
        if place.failure.is_some() && !has_exit {
            duel.feed(candidate, &TurnOutcome::Failed);
        }
    }
    for (number, round) in measured.rounds.iter().enumerate().filter(|(_, round)| round.phase == Phase::Duel) {
        let is_of = |at: u32| at as usize == number;
        for exit in measured.exits.iter().filter(|exit| is_of(exit.round)) {
            let outcome = match exit.reason {
                ExitReason::Infeasible => TurnOutcome::Infeasible,
                ExitReason::Failed | ExitReason::Faulty => TurnOutcome::Failed,
            };
            duel.feed(exit.candidate as usize, &outcome);
        }
        if !round.voided {
            for (candidate, place) in measured.candidates.iter().enumerate() {
                if let Some(block) = place.blocks.iter().find(|block| block.round.is_some_and(is_of)) {
                    duel.measured(candidate, figures(place, block, measured.workload.all_tasks()));
                }
            }
        }
        duel.close();
    }
    duel
}

fn compared(rules: &DuelRules, measured: &Record, fought: &Duel, at: usize) -> Option<Compared> {
    let comparison = rules.comparisons.get(at)?;
    let candidate = rules.candidates.get(comparison.first as usize)?.clone();
    let failure = failed(measured, comparison.first).or_else(|| failed(measured, comparison.second));
    Some(Compared { candidate, failure, figures: fought.changes(at)?.iter().map(figure).collect() })
}

/// Why a candidate is out: it failed, or breaks a limit.
fn failed(measured: &Record, candidate: u32) -> Option<SideFailure> {
    let place = measured.candidates.get(candidate as usize)?;
    let failure = place.failure.as_ref().map(ToString::to_string);
    let reason = failure.or_else(|| infeasible(measured, candidate))?;
    Some(SideFailure { side: place.candidate.runtime.clone(), reason })
}

fn infeasible(record: &Record, candidate: u32) -> Option<String> {
    let is_out = |exit: &&crate::record::Exit| exit.candidate == candidate && exit.reason == ExitReason::Infeasible;
    record.exits.iter().find(is_out).map(|_| "it breaks a limit of the workload's objective".to_owned())
}

fn figure(change: &Change) -> FigureChange {
    let (most, answer) = change.answer.unzip();
    FigureChange {
        figure: change.figure,
        base: change.means.map(|(base, _)| base.exp()),
        head: change.means.map(|(_, head)| head.exp()),
        ratio: change.ratio.map(|ratio| estimate(ratio.exp())),
        rounds: u32::try_from(change.rounds).unwrap_or(u32::MAX),
        most,
        answer,
    }
}

fn estimate(interval: crate::stats::Interval) -> Estimate {
    Estimate { value: interval.value, low: interval.low, high: interval.high }
}

fn choice(record: &DuelRecord, fought: &Duel) -> Option<ChoiceStanding> {
    let named = |race: &Option<Record>| named(&analyze(race.as_ref()?));
    let (base, head) = (named(&record.base.race)?, named(&record.head.race)?);
    let Some(at) = record.choice.map(|at| at as usize) else {
        return Some(ChoiceStanding { base, head, standing: StillGood::Same, ratio: None });
    };
    let changes = fought.changes(at)?;
    let asked = changes.iter().find_map(|change| Some((change, change.answer?.1)));
    let base_at_head = record.rules.comparisons.get(at)?.second;
    let is_out = failed(record.record.as_ref()?, base_at_head).is_some();
    let standing = still_good(asked.map(|(_, answer)| answer), fought.has_failed(at), is_out);
    let ratio = asked.and_then(|(change, _)| Some(estimate(change.ratio?.exp())));
    Some(ChoiceStanding { base, head, standing, ratio })
}

/// Whether the base's choice is still good, where the head's race names another one: how it stands to that, whether one
/// of both failed, and whether the base's did.
fn still_good(asked: Option<Regression>, has_failed: bool, is_out: bool) -> StillGood {
    match asked {
        _ if is_out => StillGood::Changed,
        // Where the head's own choice failed, nothing is known against the base's.
        _ if has_failed => StillGood::Undecided,
        Some(Regression::Regressed) => StillGood::Changed,
        Some(Regression::NotRegressed) => StillGood::AsGood,
        Some(Regression::Undecided) | None => StillGood::Undecided,
    }
}

/// What a race of one runtime names.
#[must_use]
pub fn named(verdict: &Verdict) -> Option<Candidate> {
    let group = verdict.groups.first()?;
    let Answer { candidate, .. } = group.answer.as_ref()?;
    group.rows.iter().find(|row| row.index == *candidate).map(|row| row.candidate.clone())
}

fn said(ending: Ending, compared: &[Compared], choice: Option<&ChoiceStanding>) -> Said {
    let answers = || compared.iter().flat_map(|it| &it.figures).filter_map(|figure| figure.answer);
    let standing = choice.map(|choice| choice.standing);
    let is_cut_short = ending == Ending::Interrupted;
    if compared.is_empty() || compared.iter().any(|it| it.failure.is_some()) {
        Said::SideFailed
    } else if answers().any(|answer| answer == Regression::Regressed) {
        Said::Regressed
    } else if standing == Some(StillGood::Changed) {
        Said::ChoiceChanged
    } else if is_cut_short
        || standing == Some(StillGood::Undecided)
        || answers().any(|answer| answer == Regression::Undecided)
    {
        Said::Undecided
    } else {
        Said::NotRegressed
    }
}

#[cfg(test)]
mod tests;
