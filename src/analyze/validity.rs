//! Whether a session can be believed.

use super::Validity;
use super::figures::Figures;
use super::words::percent;
use crate::record::Record;

/// A share of the host's CPU time taken by others from which on a session is noisy.
const NOISY: f64 = 0.05;
/// A share from which on no answer is given.
const INVALID: f64 = 0.25;
/// The margin of a noisy session is at least this.
const NOISY_MARGIN: f64 = 0.05;

/// What was seen of a session's conditions.
pub(super) struct Judged {
    pub(super) validity: Validity,
    pub(super) reasons: Vec<String>,
    /// `ln(1 + m)` of the margin that the comparison uses.
    pub(super) margin: f64,
}

pub(super) fn judge(record: &Record, figures: &[Figures]) -> Judged {
    let mut validity = Validity::Valid;
    let mut reasons = Vec::new();
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
    let margin = record.workload.objective.margin;
    let margin = if margin.is_finite() { margin.max(0.0) } else { 0.0 };
    let margin = if validity == Validity::Valid { margin } else { margin.max(NOISY_MARGIN) };
    Judged { validity, reasons, margin: margin.ln_1p() }
}
