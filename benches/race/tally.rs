//! What sessions came to, simulated or live, as a row of a table.

use conbench::internal::candidate::Candidate;

use crate::show::{percent, quantile, share, share_with_interval};

/// A session beside the truth.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) named: Option<Candidate>,
    /// By how much the best is better than what was named, as a ratio; `None` where nothing was named.
    pub(crate) loss: Option<f64>,
    /// What it said of that.
    pub(crate) may_cost: f64,
    pub(crate) is_sure: bool,
    pub(crate) seconds: f64,
}

/// What is named is right when the best is no more than this better.
const NEAR: f64 = 0.05;

pub(crate) const HEADER: [&str; 11] = [
    "sessions of",
    "number",
    "right within 5 % (95 % interval)",
    "bound honest",
    "median s",
    "p90 s",
    "sure",
    "nothing named",
    "same model twice",
    "same size within x 2",
    "median / worst loss",
];

/// The row of these sessions, of which each two that follow each other are of the same workload.
pub(crate) fn row(name: String, sessions: &[&Session]) -> Vec<String> {
    let count = |is: &dyn Fn(&Session) -> bool| sessions.iter().filter(|one| is(one)).count();
    let all = sessions.len();
    let seconds: Vec<f64> = sessions.iter().map(|one| one.seconds).collect();
    let losses: Vec<f64> = sessions.iter().filter_map(|one| one.loss).collect();
    let pairs: Vec<(&Candidate, &Candidate)> =
        sessions.chunks_exact(2).filter_map(|pair| pair[0].named.as_ref().zip(pair[1].named.as_ref())).collect();
    let alike: Vec<&(&Candidate, &Candidate)> = pairs.iter().filter(|(a, b)| a.model() == b.model()).collect();
    let of_size = alike.iter().filter(|(a, b)| is_near(a, b)).count();
    vec![
        name,
        all.to_string(),
        share_with_interval(count(&|one| one.loss.is_some_and(|loss| loss <= NEAR)), all),
        share(count(&|one| one.loss.is_some_and(|loss| loss <= one.may_cost + 1e-9)), losses.len()),
        format!("{:.1}", quantile(&seconds, 0.5)),
        format!("{:.1}", quantile(&seconds, 0.9)),
        share(count(&|one| one.is_sure), all),
        count(&|one| one.named.is_none()).to_string(),
        share(alike.len(), pairs.len()),
        share(of_size, alike.len()),
        format!("{} / {}", percent(quantile(&losses, 0.5)), percent(quantile(&losses, 1.0))),
    ]
}

/// Whether the numbers of tasks in flight differ by a factor of two at most.
fn is_near(one: &Candidate, other: &Candidate) -> bool {
    let ratio = f64::from(one.sizes.concurrency()) / f64::from(other.sizes.concurrency());
    (0.49..=2.01).contains(&ratio)
}
