//! Whether a round can be believed, by what was seen of the host outside the candidates. A candidate's own slowness
//! never speaks against its round, and throttling under a quota, which it earned, neither.
//!
//! **Windows.** The kernel counts CPU time in ticks of 10 ms, and a round may last 100 ms. So what is judged is a
//! *window*: all since the round that was judged last, the round at its end included. A share is flagged when it is
//! beyond its bound by more than its counting error. The window then ends, and so it does when it is long enough for
//! the bound to be seen: from there on a share at the bound exceeds the counting error. Else it stays open, and the
//! next round adds to it. A flag falls on the round at the window's end: those before it were believed already.
//!
//! **Drift.** A fixed computation takes another time after a round than before it where the host itself changes its
//! speed. Some hosts always do: on shared cores ± 5 % within half a second is common, and what is measured in pairs
//! bears it. So drift is flagged where it is beyond its bound and beyond thrice what is usual in this session.
//!
//! **Repeating.** A round is voided and repeated whole where others or the hypervisor took CPU time: that biases against
//! whatever uses all cores. It is repeated at most twice, while voided rounds have taken less than a tenth of the time (and,
//! where tasks are counted, of the tasks) that this part of the session has. After that it counts, and keeps its flags.

use std::collections::VecDeque;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::moment::Moment;
use super::pool::AgentPool;
use crate::decide::Turn;
use crate::record::{Conditions, Flag};

/// The share of CPU time from which on steal or others disturb.
const SHARE: f64 = 0.05;
/// The share of a block from which on waiting for a CPU disturbs.
const RUN_DELAY: f64 = 0.02;
/// How much faster or slower the host may become, where it is steady.
const DRIFT: f64 = 0.03;
/// How many times the usual drift of a host is unusual.
const UNUSUAL: f64 = 3.0;
/// So many drifts of the past tell what is usual; with fewer, nothing is flagged for it.
const USUAL_FROM: usize = 5;
/// So many are remembered.
const USUAL_OF: usize = 32;
/// By so much ticks may be wrong: each figure is cut to whole ones, and the kernel looks only at ticks who runs.
const COUNTING_NS: u64 = 30_000_000;
/// Reading the meters takes at most this part of the time.
const COST_PART: u64 = 100;
/// What happened longer than this before a round says nothing of it.
const STALE_NS: u64 = 50_000_000;
/// How often a round is repeated at most.
const REPEATS: u32 = 2;
/// Voided rounds take at most this part of what an allotment may take.
const VOIDED_PART: u64 = 10;

/// What was seen between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Window {
    conditions: Conditions,
    /// All CPU time in it.
    total_ns: u64,
    /// By how much a share of it may be wrong, as a time.
    error_ns: u64,
}

impl Window {
    fn between(from: &Moment, to: &Moment) -> Window {
        let machine = to.machine.zip(from.machine).map(|(to, from)| to.since(from));
        let own = to.own.zip(from.own).map(|(to, from)| (to.cpu_ns.saturating_sub(from.cpu_ns), to.error_ns));
        let total_ns = machine.map_or(0, |machine| machine.total_ns);
        let share = |part_ns: u64| (total_ns > 0).then(|| (part_ns as f64 / total_ns as f64).min(1.0));
        let others = machine.zip(own).map(|(machine, (own_ns, _))| machine.processes_ns.saturating_sub(own_ns));
        let drift = |(to, from): (u64, u64)| (from > 0).then(|| to as f64 / from as f64);
        Window {
            conditions: Conditions {
                steal_share: machine.and_then(|machine| share(machine.steal_ns)),
                others_share: others.and_then(share),
                run_delay_share: None,
                drift: to.speed_probe_ns.zip(from.speed_probe_ns).and_then(drift),
            },
            total_ns,
            error_ns: COUNTING_NS + own.map_or(0, |(_, error_ns)| error_ns),
        }
    }

    /// What is beyond its bound by more than it may be wrong.
    fn flags(&self, largest_drift: f64) -> Vec<Flag> {
        let Conditions { steal_share, others_share, run_delay_share, drift } = self.conditions;
        let is_beyond =
            |share: &f64, error_ns: u64| *share > SHARE && (share - SHARE) * self.total_ns as f64 >= error_ns as f64;
        let is_drift = |ratio: &f64| ratio.ln().abs() > largest_drift;
        [
            steal_share.filter(|share| is_beyond(share, COUNTING_NS)).map(|share| Flag::Steal { share }),
            others_share.filter(|share| is_beyond(share, self.error_ns)).map(|share| Flag::Others { share }),
            run_delay_share.filter(|share| *share > RUN_DELAY).map(|share| Flag::RunDelay { share }),
            drift.filter(is_drift).map(|ratio| Flag::Drift { ratio }),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether a share at its bound is more than the counting error.
    fn is_long_enough(&self) -> bool {
        self.total_ns as f64 * SHARE >= self.error_ns as f64
    }
}

/// The largest `|ln(ratio)|` of a drift that is not flagged, by those before it.
fn largest_drift(before: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = before.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() / 2).filter(|_| sorted.len() >= USUAL_FROM);
    usual.map_or(f64::INFINITY, |usual| DRIFT.ln_1p().max(UNUSUAL * usual))
}

/// What voided rounds have taken, and may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// Time.
    pub ns: u64,
    /// Tasks.
    pub calls: u64,
}

/// Watches the host while rounds run.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// Where the window begins.
    since: Option<Moment>,
    /// When the last round ended.
    ended_ns: u64,
    /// The largest of this round's blocks.
    run_delay_share: Option<f64>,
    /// `|ln(ratio)|` of the windows before.
    drifts: VecDeque<f64>,
    voided: Spent,
    /// What this allotment may take in all.
    allotment: Spent,
}

impl Watch {
    /// An allotment of the session begins that may take so much.
    pub(super) fn begin_allotment(&mut self, allotment: Spent) {
        (self.allotment, self.voided) = (allotment, Spent::default());
    }

    /// A round begins.
    pub(super) fn begin_round(&mut self, pool: &mut dyn AgentPool) {
        self.run_delay_share = None;
        let is_stale = pool.elapsed_ns().saturating_sub(self.ended_ns) > STALE_NS;
        if self.since.is_none() || is_stale {
            self.since = Some(pool.moment());
        }
    }

    /// A block of the round waited this share of its time for a CPU.
    pub(super) fn saw_delay(&mut self, share: Option<f64>) {
        // `None` is the least.
        self.run_delay_share = if self.run_delay_share >= share { self.run_delay_share } else { share };
    }

    /// A round ended: what was seen while it ran, and what of that disturbed it.
    pub(super) fn end_round(&mut self, pool: &mut dyn AgentPool) -> (Conditions, Vec<Flag>) {
        let now_ns = pool.elapsed_ns();
        let from = self.since.unwrap_or_default();
        let largest_drift = largest_drift(&self.drifts);
        let mut window = Window::default();
        if now_ns.saturating_sub(from.at_ns) >= from.cost_ns.saturating_mul(COST_PART) {
            let to = pool.moment();
            window = Window::between(&from, &to);
            if window.is_long_enough() || !window.flags(largest_drift).is_empty() {
                self.since = Some(to);
                self.remember(window.conditions.drift);
            }
        }
        window.conditions.run_delay_share = self.run_delay_share;
        self.ended_ns = pool.elapsed_ns();
        (window.conditions, window.flags(largest_drift))
    }

    fn remember(&mut self, drift: Option<f64>) {
        self.drifts.extend(drift.map(|ratio| ratio.ln().abs()));
        let surplus = self.drifts.len().saturating_sub(USUAL_OF);
        self.drifts.drain(..surplus);
    }

    /// Whether a disturbed round that took so much is voided and repeated, `repeats` times so far; if so, it is
    /// noted. `left_ns` is what is left of the allotment's time.
    pub(super) fn voids(&mut self, round: Spent, repeats: u32, left_ns: u64) -> bool {
        let voided = Spent { ns: self.voided.ns + round.ns, calls: self.voided.calls + round.calls };
        let is_within =
            voided.ns <= self.allotment.ns / VOIDED_PART && voided.calls <= self.allotment.calls / VOIDED_PART;
        // A repetition that would be cut short is worth less than what there is.
        let may = repeats < REPEATS && is_within && round.ns <= left_ns;
        if may {
            self.voided = voided;
        }
        may
    }
}

/// The turns of a round that is repeated: those who ended it, in a new order, alive as they are.
pub(super) fn again<T>(scores: &[(usize, T)], seed: u64, round: usize) -> Vec<Turn> {
    let mut turns: Vec<Turn> =
        scores.iter().map(|(candidate, _)| Turn { candidate: *candidate, anew: false }).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(round as u64));
    turns.shuffle(&mut random);
    turns
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
