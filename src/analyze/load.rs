//! Whether the answer depends on what else the host does: who leads while nothing disturbs, and who while something
//! does.

use super::compare::{LARGEST, is_of};
use super::figures::timed;
use super::words::percent;
use crate::record::{Flag, Phase, Record, score};
use crate::stats::{Interval, trimmed_mean, yuen};
use crate::workload::Goal;

/// So many rounds of each kind stand behind a statement.
pub(super) const LEAST_ROUNDS: usize = 5;
/// The certainty of both statements together, over all rivals.
const DOUBT: f64 = 0.05;

/// The scores of one finalist by round; `None` where it did not run.
struct Finalist {
    candidate: usize,
    scores: Vec<Option<f64>>,
}

/// A sentence, where the leader among this runtime's candidates in disturbed rounds is of another model than that in
/// calm ones, and each is better in its rounds beyond doubt. `record` has the blocks of voided rounds, too: that they
/// are not compared makes them no worse as evidence of how candidates bear a load.
pub(super) fn dependence(record: &Record, runtime: &str) -> Option<String> {
    if !matches!(record.workload.objective.goal, Goal::Throughput | Goal::CpuPerTask) {
        return None;
    }
    let finalists = finalists(record, runtime);
    let is_disturbed: Vec<bool> = record
        .rounds
        .iter()
        .map(|round| round.flags.iter().any(|flag| matches!(flag, Flag::Steal { .. } | Flag::Others { .. })))
        .collect();
    let calm: Vec<usize> = (0..record.rounds.len()).filter(|round| record.rounds[*round].flags.is_empty()).collect();
    let busy: Vec<usize> = (0..record.rounds.len()).filter(|round| is_disturbed[*round]).collect();
    let (first, second) = (leader(&finalists, &calm)?, leader(&finalists, &busy)?);
    let of = |one: &Finalist| &record.candidates[one.candidate].candidate;
    if of(first).model() == of(second).model() {
        return None;
    }
    let certainty = 1.0 - DOUBT / finalists.len().max(1) as f64;
    let ahead = between(first, second, &calm, certainty).filter(|ahead| ahead.low > 0.0)?;
    let behind = between(second, first, &busy, certainty).filter(|ahead| ahead.low > 0.0)?;
    Some(format!(
        "it depends on the background load: `{}` is {} better than `{}` in calm rounds, and {} worse in those that \
         others disturbed",
        of(first).short(),
        percent(ahead.value.exp_m1()),
        of(second).short(),
        percent(-(-behind.value).exp_m1())
    ))
}

fn finalists(record: &Record, runtime: &str) -> Vec<Finalist> {
    let goal = record.workload.objective.goal;
    let of_runtime = record.candidates.iter().enumerate().filter(|(_, one)| one.candidate.runtime == runtime);
    let finalist = |(candidate, place)| {
        let mut scores = vec![None; record.rounds.len()];
        for block in timed(place).filter(|block| is_of(record, block, Phase::Final)) {
            if let Some(place) = block.round.and_then(|round| scores.get_mut(round as usize)) {
                *place = score(goal, &block.figures, None).map(|said| said.clamp(-LARGEST, LARGEST));
            }
        }
        Finalist { candidate, scores }
    };
    of_runtime.map(finalist).filter(|one| one.scores.iter().any(Option::is_some)).collect()
}

/// Who is best over these rounds, of those who ran in enough of them.
fn leader<'a>(finalists: &'a [Finalist], rounds: &[usize]) -> Option<&'a Finalist> {
    let mean = |one: &Finalist| {
        let scores: Vec<f64> = rounds.iter().filter_map(|round| one.scores[*round]).collect();
        trimmed_mean(&scores).filter(|_| scores.len() >= LEAST_ROUNDS)
    };
    let means = finalists.iter().filter_map(|one| Some((one, mean(one)?)));
    means.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(one, _)| one)
}

/// The interval of `one - other`, paired within these rounds.
fn between(one: &Finalist, other: &Finalist, rounds: &[usize], certainty: f64) -> Option<Interval> {
    let pair = |round: &usize| Some(one.scores[*round]? - other.scores[*round]?);
    let differences: Vec<f64> = rounds.iter().filter_map(pair).collect();
    yuen(&differences).filter(|_| differences.len() >= LEAST_ROUNDS).map(|trimmed| trimmed.interval(certainty))
}
