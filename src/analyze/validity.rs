//! Whether a session can be believed, and the margin that its conditions allow.
//!
//! Two kinds of evidence, both from outside the candidates: what disturbed the rounds that count, and what was taken
//! of the CPU time over the whole session. A candidate that is throttled under its quota earned it: no word of that.

use super::Validity;
use super::figures::Figures;
use super::words::percent;
use crate::race::Margins;
use crate::record::{Disturbance, Flag, Record, Round};
use crate::stats::median;
use crate::workload::Objective;

/// A share of the host's CPU time taken by others from which on a session is noisy.
const NOISY: f64 = 0.05;
/// A share from which on no answer is given.
const INVALID: f64 = 0.25;
/// A share below which a host may be quiet.
const QUIET: f64 = 0.01;
/// The share of flagged rounds from which on a session is noisy.
const NOISY_ROUNDS: f64 = 0.1;
/// The share of rounds that lost so much to others that no answer is given.
const INVALID_ROUNDS: f64 = 0.5;
/// The median drift up to which a host may be quiet, as `|ln(ratio)|`.
const QUIET_DRIFT: f64 = 0.01;

/// What was seen of a session's conditions.
pub(super) struct Judged {
    pub(super) validity: Validity,
    pub(super) reasons: Vec<String>,
    /// The margins that the comparison may use.
    pub(super) margins: Margins,
}

/// The rounds of a session by what disturbed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Rounds that count.
    counted: usize,
    /// Those of them that were disturbed.
    flagged: usize,
    /// Those of them that lost more than a quarter of the CPU time.
    robbed: usize,
    /// Rounds that do not count, since they were disturbed and repeated.
    voided: usize,
}

impl Tally {
    fn of(rounds: &[Round]) -> Tally {
        let counted = || rounds.iter().filter(|round| !round.voided);
        let is_robbed = |round: &&Round| {
            let takes =
                |flag: &Flag| matches!(flag, Flag::Steal { share } | Flag::Others { share } if *share > INVALID);
            round.flags.iter().any(takes)
        };
        Tally {
            counted: counted().count(),
            flagged: counted().filter(|round| !round.flags.is_empty()).count(),
            robbed: counted().filter(is_robbed).count(),
            voided: rounds.iter().filter(|round| round.voided).count(),
        }
    }

    /// A part of the rounds that count.
    fn share(&self, part: usize) -> f64 {
        part as f64 / self.counted.max(1) as f64
    }

    fn validity(&self) -> Validity {
        if self.share(self.robbed) > INVALID_ROUNDS {
            Validity::Invalid
        } else if self.share(self.flagged) > NOISY_ROUNDS {
            Validity::Noisy
        } else {
            Validity::Valid
        }
    }

    fn reason(&self, rounds: &[Round]) -> Option<String> {
        let Tally { counted, flagged, robbed, voided } = *self;
        let repeated = if voided > 0 { format!(", after {voided} were repeated") } else { String::new() };
        match self.validity() {
            Validity::Valid => None,
            Validity::Noisy => Some(format!(
                "{flagged} of {counted} rounds were disturbed{repeated} ({}): the margin is at least 5 %; measure again \
                 when the host is quieter",
                causes(rounds)
            )),
            Validity::Invalid => Some(format!(
                "in {robbed} of {counted} rounds others took more than 25 % of the CPU time{repeated}: no answer is \
                 given; measure again when the host is quieter"
            )),
        }
    }
}

/// What disturbed rounds that count, and how many: `other processes 12, drift 2`.
fn causes(rounds: &[Round]) -> String {
    type Is = fn(&Flag) -> bool;
    let causes: [(&str, Is); 4] = [
        ("the hypervisor", |flag| matches!(flag, Flag::Steal { .. })),
        ("other processes", |flag| matches!(flag, Flag::Others { .. })),
        ("waits for a CPU", |flag| matches!(flag, Flag::RunDelay { .. })),
        ("changes of the host's speed", |flag| matches!(flag, Flag::Drift { .. })),
    ];
    let flagged = |is: Is| rounds.iter().filter(|round| !round.voided && round.flags.iter().any(is)).count();
    let counts = causes.iter().map(|(name, is)| (name, flagged(*is))).filter(|(_, count)| *count > 0);
    counts.map(|(name, count)| format!("{name} {count}")).collect::<Vec<String>>().join(", ")
}

/// Judges a record by its rounds, the voided ones among them, and by the whole session.
pub(super) fn judge(record: &Record, figures: &[Figures]) -> Judged {
    let tally = Tally::of(&record.rounds);
    let mut validity = tally.validity();
    let mut reasons: Vec<String> = tally.reason(&record.rounds).into_iter().collect();
    let seen = [
        (
            record.disturbance.steal_share,
            "the hypervisor took",
            "measure again when the machine's neighbours are quiet",
        ),
        (record.disturbance.others_share, "other processes used", "end them and measure again"),
    ];
    for (share, who, advice) in seen {
        let Some(share) = share.filter(|share| *share > NOISY) else {
            continue;
        };
        let is_invalid = share > INVALID;
        validity = if is_invalid || validity == Validity::Invalid { Validity::Invalid } else { Validity::Noisy };
        let effect = if is_invalid { "no answer is given" } else { "the margin is at least 5 %" };
        reasons.push(format!("{who} {} of the CPU time: {effect}; {advice}", percent(share)));
    }
    let unreadable: usize = figures.iter().map(|one| one.unreadable).sum();
    if unreadable > 0 {
        if validity == Validity::Valid {
            validity = Validity::Noisy;
        }
        reasons.push(format!("{unreadable} histograms of the record cannot be read: their times are missing"));
    }
    let is_quiet = is_quiet(&record.rounds, &record.disturbance);
    Judged { validity, reasons, margins: margins(&record.workload.objective, validity, is_quiet) }
}

/// The margins under these conditions: what the user wrote, else what the host allows, by how steady blocks are. On a
/// noisy host it is at least 5 %.
fn margins(objective: &Objective, validity: Validity, is_quiet: bool) -> Margins {
    let Margins { quiet, usual, noisy } = objective.margin.map_or(Margins::UNWRITTEN, Margins::fixed);
    if validity != Validity::Valid {
        return Margins::fixed(usual.max(Margins::UNWRITTEN.noisy));
    }
    Margins { quiet: if is_quiet { quiet } else { usual }, usual, noisy }
}

/// What is said where blocks differ too much in pairs for the usual margin.
pub(super) fn unsteady(deviation: f64, margins: &Margins) -> String {
    format!(
        "blocks of one round differ by {} in pairs, too much for a margin of {}: it is {}; a longer --budget does not \
         help, a quieter host does",
        percent(deviation),
        percent(margins.usual),
        percent(margins.noisy)
    )
}

/// Whether nothing disturbed: no round, and nearly nothing over the whole session. What is not known is not quiet.
fn is_quiet(rounds: &[Round], disturbance: &Disturbance) -> bool {
    let is_undisturbed = rounds.iter().all(|round| round.flags.is_empty() && !round.voided);
    let taken = disturbance.steal_share.zip(disturbance.others_share).map(|(steal, others)| steal + others);
    let drifts: Vec<f64> =
        rounds.iter().filter_map(|round| round.conditions.drift).map(|ratio| ratio.ln().abs()).collect();
    is_undisturbed
        && taken.is_some_and(|taken| taken < QUIET)
        && median(&drifts).is_some_and(|drift| drift <= QUIET_DRIFT)
}

#[cfg(test)]
#[path = "validity_tests.rs"]
mod tests;
