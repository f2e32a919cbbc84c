//! The noise that a simulated block has on top of the truth: from traces of real machines, or synthetic.
//!
//! All of it is in natural logarithms. A block's noise is the round's drift, which all share, and a deviation of its
//! own, whose centre is another one in each life of an agent.

use std::collections::BTreeMap;

use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::traces::Trace;

/// Made noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Synthetic {
    /// The standard deviation of the difference of two blocks of one round, without spikes and lives.
    pub(crate) paired: f64,
    /// The standard deviation between lives, as a share of `paired`.
    pub(crate) lives: f64,
    /// The probability that a block is disturbed.
    pub(crate) spikes: f64,
    /// How unequally engines feel drift and noise: each by a factor `exp(u)`, `u` uniform up to this on either side.
    pub(crate) unequal: f64,
}

/// Where noise comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Trace(Trace),
    Synthetic(Synthetic),
}

/// A kind of noise.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) source: Source,
}

impl Kind {
    /// Every kind: the traces, then four that are made.
    pub(crate) fn all(traces: Vec<Trace>) -> Vec<Kind> {
        let usual = Synthetic { paired: 0.02, lives: 0.3, spikes: 0.0, unequal: 0.0 };
        let made = [
            ("made: even", usual),
            ("made: spikes", Synthetic { spikes: 0.03, ..usual }),
            ("made: lives differ", Synthetic { lives: 1.0, ..usual }),
            ("made: unequal", Synthetic { unequal: 0.3, ..usual }),
        ];
        let of_traces = traces.into_iter().map(|trace| Kind { name: trace.name(), source: Source::Trace(trace) });
        let made = made.map(|(name, made)| Kind { name: name.to_owned(), source: Source::Synthetic(made) });
        of_traces.chain(made).collect()
    }

    /// The paired deviation that it has by itself.
    pub(crate) fn paired(&self) -> f64 {
        match &self.source {
            Source::Trace(trace) => trace.paired_deviation,
            Source::Synthetic(made) => made.paired,
        }
    }

    /// This noise, beginning anywhere, scaled to `paired` if that is given.
    pub(crate) fn begin(&self, paired: Option<f64>, seed: u64) -> Noise<'_> {
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xC0FF_EE00);
        let scale = paired.map_or(1.0, |wished| wished / self.paired().max(1e-6));
        let row = random.next_u32() as usize;
        Noise { source: &self.source, random, scale, row, drift: 0.0, lives: BTreeMap::new(), feels: BTreeMap::new() }
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

/// Noise that goes on from round to round.
#[derive(Clone, Debug)]
pub(crate) struct Noise<'a> {
    source: &'a Source,
    random: ChaCha8Rng,
    scale: f64,
    row: usize,
    drift: f64,
    lives: BTreeMap<usize, Life>,
    /// How strongly each candidate feels drift and noise.
    feels: BTreeMap<usize, f64>,
}

impl Noise<'_> {
    /// A round begins.
    pub(crate) fn round(&mut self) {
        self.drift = match self.source {
            Source::Trace(trace) => {
                self.row = (self.row + 1) % trace.drift.len().max(1);
                trace.drift.get(self.row).copied().unwrap_or(0.0)
            }
            Source::Synthetic(_) => 0.9 * self.drift + 0.02 * normal(&mut self.random),
        };
    }

    /// The agent of `candidate` begins anew.
    pub(crate) fn life(&mut self, candidate: usize) {
        let life = match self.source {
            Source::Trace(trace) => Life::Recorded {
                life: self.random.next_u32() as usize % trace.lives.len().max(1),
                at: self.random.next_u32() as usize,
            },
            Source::Synthetic(made) => {
                Life::Made { deviation: made.lives * made.paired * self.scale * normal(&mut self.random) }
            }
        };
        self.lives.insert(candidate, life);
    }

    /// The noise of the block of `candidate` in this round.
    pub(crate) fn block(&mut self, candidate: usize) -> f64 {
        let (drift, scale, random) = (self.drift, self.scale, &mut self.random);
        match (self.source, self.lives.get_mut(&candidate)) {
            (Source::Trace(trace), Some(Life::Recorded { life, at })) => {
                *at += 1;
                let recorded = trace.lives.get(*life).map_or(&[][..], Vec::as_slice);
                drift + scale * recorded.get(*at % recorded.len().max(1)).copied().unwrap_or(0.0)
            }
            (Source::Synthetic(made), Some(Life::Made { deviation })) => {
                let span = made.unequal;
                let feels =
                    *self.feels.entry(candidate).or_insert_with(|| (span * (2.0 * uniform(random) - 1.0)).exp());
                // The difference of two blocks has both deviations.
                let own = scale * made.paired / std::f64::consts::SQRT_2 * normal(random);
                let spike = if uniform(random) < made.spikes { 0.15 * uniform(random).ln() } else { 0.0 };
                feels * (drift + own) + deviation.to_owned() + spike
            }
            _ => drift,
        }
    }
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
