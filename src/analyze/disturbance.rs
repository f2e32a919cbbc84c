//! What disturbed a session, from outside the candidates. A candidate that is throttled under its quota earned it: no
//! word of that.

use super::Condition;
use super::figures::Figures;
use crate::record::Record;

/// A share of the host's CPU time taken by others from which on a session counts as disturbed.
const DISTURBED: f64 = 0.10;

/// What disturbed the session beyond bearing; empty where nothing did.
pub(super) fn conditions(record: &Record, figures: &[Figures]) -> Vec<Condition> {
    let disturbance = &record.disturbance;
    let beyond = |share: Option<f64>| share.filter(|share| share.is_finite() && *share > DISTURBED);
    let unreadable: usize = figures.iter().map(|one| one.unreadable).sum();
    let steal = beyond(disturbance.steal_share).map(|share| Condition::StolenCpu { share });
    let others = beyond(disturbance.others_share).map(|share| Condition::OtherProcesses { share });
    let lost = (unreadable > 0).then_some(Condition::UnreadableHistograms { count: unreadable as u64 });
    steal.into_iter().chain(others).chain(lost).collect()
}
