//! The noise that a simulated block has on top of the truth: from traces of real machines, or made.
//!
//! All of it is in natural logarithms. A block's noise is the drift of the host, which blocks near in time share, and a
//! deviation of its own, whose centre is another one in each life of an agent.

use std::collections::BTreeMap;

use conbench::internal::session::AgentSlot;
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::traces::Trace;

/// For how long a shared host remembers its speed.
const MEMORY_NS: f64 = 250e6;
/// What a round of a trace took when it was recorded.
const ROUND_OF_TRACE_NS: u64 = 150_000_000;

/// Made noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Made {
    /// The deviation of the host's drift.
    drift: f64,
    /// The deviation of a block's own noise.
    own: f64,
    /// Whether that has heavy tails: a t distribution of three degrees of freedom, of the same middle.
    is_heavy: bool,
    /// The deviation between lives.
    lives: f64,
    /// The probability that a block is disturbed.
    spikes: f64,
    /// How unequally candidates feel the drift: each by a factor `exp(u)`, `u` uniform up to this on either side.
    unequal: f64,
}

/// Where noise comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Trace(Trace),
    Made(Made),
}

/// A kind of noise.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    source: Source,
}

impl Kind {
    /// Every kind: those that are made, then the traces.
    pub(crate) fn all(traces: Vec<Trace>) -> Vec<Kind> {
        let usual = Made { drift: 0.05, own: 0.03, is_heavy: false, lives: 0.01, spikes: 0.0, unequal: 0.0 };
        let made = [
            ("made: usual", usual),
            ("made: quiet", Made { drift: 0.02, own: 0.012, ..usual }),
            ("made: heavy tails", Made { is_heavy: true, spikes: 0.03, ..usual }),
            ("made: lives differ", Made { lives: 0.03, ..usual }),
            ("made: unequal", Made { unequal: 0.5, ..usual }),
            ("made: noisy", Made { drift: 0.1, own: 0.06, is_heavy: true, lives: 0.02, ..usual }),
        ];
        let made = made.map(|(name, made)| Kind { name: name.to_owned(), source: Source::Made(made) });
        let of_trace = |trace: Trace| Kind { name: format!("trace: {}", trace.workload), source: Source::Trace(trace) };
        made.into_iter().chain(traces.into_iter().map(of_trace)).collect()
    }

    /// This noise, beginning anywhere.
    pub(crate) fn begin(&self, seed: u64) -> Noise<'_> {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xC0FF_EE00);
        let first_row = random.next_u32() as usize;
        let drift = normal(&mut random);
        Noise {
            source: &self.source,
            random,
            first_row,
            drift,
            at_ns: 0,
            lives: BTreeMap::new(),
            feels: BTreeMap::new(),
        }
    }
}

/// One life of a candidate's agent.
#[derive(Clone, Debug)]
enum Life {
    /// It has the deviations of a life of a trace: this one, from this round of it on.
    Recorded { life: usize, at: usize },
    /// It deviates by this.
    Made { deviation: f64 },
}

/// Noise that goes on with the clock.
#[derive(Clone, Debug)]
pub(crate) struct Noise<'a> {
    source: &'a Source,
    random: ChaCha8Rng,
    first_row: usize,
    /// The host's drift, as a standard normal.
    drift: f64,
    at_ns: u64,
    lives: BTreeMap<AgentSlot, Life>,
    /// How strongly each candidate feels the drift.
    feels: BTreeMap<AgentSlot, f64>,
}

impl Noise<'_> {
    /// The agent in `slot` begins anew.
    pub(crate) fn life(&mut self, slot: AgentSlot) {
        let life = match self.source {
            Source::Trace(trace) => Life::Recorded {
                life: self.random.next_u32() as usize % trace.lives.len().max(1),
                at: self.random.next_u32() as usize,
            },
            Source::Made(made) => Life::Made { deviation: made.lives * normal(&mut self.random) },
        };
        self.lives.insert(slot, life);
    }

    /// The error of a reading of cores in use (logarithm): the clocks of threads on other cores are up to a tick old.
    pub(crate) fn reading(&mut self, window_ns: u64) -> f64 {
        /// The deviation of two readings, of all cores.
        const DEVIATION_NS: f64 = 0.75e6;
        DEVIATION_NS / window_ns as f64 * normal(&mut self.random)
    }

    /// The noise of a block of the agent in `slot` whose middle is at `now_ns`.
    pub(crate) fn block(&mut self, slot: AgentSlot, now_ns: u64) -> f64 {
        let passed_ns = now_ns.saturating_sub(std::mem::replace(&mut self.at_ns, now_ns)) as f64;
        let random = &mut self.random;
        match (self.source, self.lives.get_mut(&slot)) {
            (Source::Trace(trace), Some(Life::Recorded { life, at })) => {
                let row = self.first_row + (now_ns / ROUND_OF_TRACE_NS) as usize;
                let drift = trace.drift.get(row % trace.drift.len().max(1)).copied().unwrap_or(0.0);
                let recorded = trace.lives.get(*life).map_or(&[][..], Vec::as_slice);
                *at += 1;
                drift + recorded.get(*at % recorded.len().max(1)).copied().unwrap_or(0.0)
            }
            (Source::Made(made), Some(Life::Made { deviation })) => {
                // An Ornstein-Uhlenbeck process.
                let kept = (-passed_ns / MEMORY_NS).exp();
                self.drift = kept * self.drift + (1.0 - kept * kept).sqrt() * normal(random);
                let span = made.unequal;
                let feels = *self.feels.entry(slot).or_insert_with(|| (span * (2.0 * uniform(random) - 1.0)).exp());
                let own = if made.is_heavy { heavy(random) } else { normal(random) };
                let spike = if uniform(random) < made.spikes { 0.15 * uniform(random).ln() } else { 0.0 };
                feels * made.drift * self.drift + made.own * own + *deviation + spike
            }
            _ => 0.0,
        }
    }
}

/// A draw of a t distribution of three degrees of freedom.
fn heavy(random: &mut ChaCha8Rng) -> f64 {
    let squares: f64 = (0..3).map(|_| normal(random).powi(2)).sum();
    normal(random) / (squares / 3.0).sqrt()
}

/// Above 0, below 1.
pub(crate) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    random.random::<f64>().max(f64::MIN_POSITIVE)
}

/// A standard normal draw.
///
/// Box & Muller (1958), "A note on the generation of random normal deviates", Ann. Math. Stat. 29.
pub(crate) fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * uniform(random).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random)).cos()
}
