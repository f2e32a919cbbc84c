//! What was seen of the host while it was measured.

use super::{Part, Section, counted};
use crate::record::{Flag, Phase, Round};
use crate::report::Judged;
use crate::report::words::ending;
use crate::units::{factor, percent};

/// Rounds that are told one by one.
const SHOWN: usize = 3;

/// Counts first, then each round that was disturbed, with what of it came from outside.
pub(super) fn section(judged: &Judged) -> Section {
    let record = &judged.record;
    let mut parts = vec![Part::said(counts(&record.rounds))];
    let disturbed_rounds =
        record.rounds.iter().enumerate().filter(|(_, round)| round.voided || !round.flags.is_empty());
    for (at, round) in disturbed_rounds.clone().take(SHOWN) {
        parts.push(Part::Said(format!("Round {} ({}):", at + 1, phase(round.phase)), disturbed(round)));
    }
    let more = disturbed_rounds.count().saturating_sub(SHOWN);
    if more > 0 {
        parts.push(Part::said(format!("and {more} more: the record has them")));
    }
    parts.extend(ending(record).map(|ending| Part::said(ending.to_owned())));
    Section { heading: "Host".to_owned(), parts }
}

fn counts(rounds: &[Round]) -> String {
    let flagged = rounds.iter().filter(|round| !round.flags.is_empty()).count();
    let voided = rounds.iter().filter(|round| round.voided).count();
    if flagged == 0 && voided == 0 {
        return format!("{}, none of them flagged as disturbed", counted(rounds.len(), "round"));
    }
    format!("{}: {flagged} flagged as disturbed, {voided} voided and repeated", counted(rounds.len(), "round"))
}

fn disturbed(round: &Round) -> String {
    let mut said: Vec<String> = round.flags.iter().map(flag).collect();
    said.push(if round.voided { "voided, nothing is concluded from it" } else { "it counts all the same" }.to_owned());
    said.join("; ")
}

fn flag(flag: &Flag) -> String {
    match flag {
        Flag::Steal { share } => format!("the hypervisor took {} of the CPU time", percent(*share)),
        Flag::Others { share } => format!("other processes took {} of the CPU time", percent(*share)),
        Flag::RunDelay { share } => {
            format!("threads waited {} of their block for a CPU, though there was one for each", percent(*share))
        }
        Flag::Drift { ratio } => {
            format!("the same computation took {} the time after the round that it took before", factor(*ratio))
        }
    }
}

/// A phase in a word.
fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Race => "race",
        Phase::Runtimes => "runtimes",
        Phase::Duel => "duel",
    }
}
