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
    let unreadable: usize = figures.iter().map(|one| one.unreadable).sum();
    let steal = beyond(disturbance.steal_share).map(|share| Condition::StolenCpu { share });
    let others = beyond(disturbance.others_share).map(|share| Condition::OtherProcesses { share });
    let lost = (unreadable > 0).then_some(Condition::UnreadableHistograms { count: unreadable as u64 });
    steal.into_iter().chain(others).chain(lost).collect()
}

/// The share of the host's CPU time that others took beyond bearing, other machines among them; 0 where nothing did.
pub(super) fn taken(record: &Record) -> f64 {
    let disturbance = &record.disturbance;
    let all = [disturbance.steal_share, disturbance.others_share].into_iter().filter_map(beyond).sum::<f64>();
    all.clamp(0.0, 1.0)
}

fn beyond(share: Option<f64>) -> Option<f64> {
    share.filter(|share| share.is_finite() && *share > DISTURBED)
}
