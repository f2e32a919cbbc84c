//! The key of the live workloads: every size of every engine, measured without a race.
//!
//! Each candidate runs in a few rounds, in a freshly shuffled order, each time in a life of its own, and is told against
//! blocks of a reference agent that stays. Those that reach half of the best run twice, coarsely; those that may be the
//! best run again, finely, until they surely are not. Each round is written down, so that the next call goes on where this
//! one was stopped. Who of so many seems best is so by its luck, too, so the best is chosen by every other of these rounds
//! and valued by the rest. It is valued once more beside what sessions named, in rounds of their own, in which all are held
//! at once: there the best is whoever is, and may be one that a session named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use conbench::internal::candidate::Candidate;
use conbench::internal::clock::now_ns;
use conbench::internal::stats::trimmed_mean;
use serde::{Deserialize, Serialize};

use crate::ground::{COARSE, FINE, Ground};
use crate::live;
use crate::load::Load;
use crate::options::Options;
use crate::show::{say, show};
use crate::workloads::{LIVE, Live};

/// Rounds of all, the second without those that are far behind.
const ROUNDS: usize = 2;
/// Those that are further behind the best are measured once, as a logarithm: half as good.
const FAR_BEHIND: f64 = std::f64::consts::LN_2;
/// Rounds of those that may be the best.
const ROUNDS_OF_BEST: usize = 6;
/// Rounds of the best and of what sessions named: at least, and at most until the errors of their differences are small
/// enough.
const ROUNDS_TO_VALUE: (usize, usize) = (12, 60);
/// The standard error of a difference of logarithms that is small enough.
const SMALL_ERROR: f64 = 0.01;
/// Those that come within this of the best, as a logarithm, may be it; at most so many.
const MAY_BE_BEST: (f64, usize) = (0.2, 14);
/// After so many rounds of those, whoever is this far behind (logarithm), and by so many standard errors, is not it.
const IS_NOT_BEST: (usize, f64, f64) = (3, 0.08, 3.0);

/// What was measured of one workload: the logarithms of throughputs over the reference's, by round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measured {
    /// The workload file; another one makes this worthless.
    file: String,
    /// How long it took.
    seconds: f64,
    /// Of all candidates.
    all: BTreeMap<String, Vec<f64>>,
    /// Of those that may be the best.
    finalists: BTreeMap<String, Vec<f64>>,
    /// Rounds that are still to be measured.
    #[serde(default)]
    rounds_left: usize,
    /// Of the best, and of all that sessions named, in rounds of their own, each by name: what is named need not be a
    /// finalist.
    #[serde(default)]
    valued: Vec<BTreeMap<String, f64>>,
}

impl Measured {
    /// Of a workload that nothing is known of.
    fn begin(live: &Live, options: &Options) -> Measured {
        let rounds_left = ROUNDS + options.rounds.unwrap_or(ROUNDS_OF_BEST);
        Measured { file: live.file(), rounds_left, ..Measured::default() }
    }

    /// Measures the next round.
    fn round(&mut self, ground: &mut Ground, options: &Options) -> Result<(), String> {
        let begin_ns = now_ns();
        let last = options.rounds.unwrap_or(ROUNDS_OF_BEST);
        let is_final = self.rounds_left <= last;
        let mut candidates = ground.candidates();
        if is_final && self.finalists.is_empty() {
            let mut best = self.within(MAY_BE_BEST.0);
            best.truncate(MAY_BE_BEST.1);
            candidates.retain(|one| best.contains(&one.short()));
        } else if is_final {
            let left = self.may_still_be_best();
            candidates.retain(|one| left.contains(&one.short()));
        } else if !self.all.is_empty() {
            let near = self.within(FAR_BEHIND);
            candidates.retain(|one| near.contains(&one.short()));
        }
        let care = if is_final { FINE } else { COARSE };
        let log_scores = ground.round(&candidates, care, options.seed ^ self.rounds_left as u64)?;
        let known = if is_final { &mut self.finalists } else { &mut self.all };
        for one in candidates.iter().map(Candidate::short) {
            match log_scores.get(&one) {
                Some(log_score) => known.entry(one).or_default().push(*log_score),
                // Who failed once is out.
                None => drop(known.remove(&one)),
            }
        }
        self.rounds_left -= 1;
        self.seconds += ((now_ns() - begin_ns) as f64 / 1e8).round() / 10.0;
        Ok(())
    }

    /// Those that come within this of the best by the rounds of all, the best first.
    fn within(&self, behind: f64) -> Vec<String> {
        let log_score = |name: &String| self.all.get(name).and_then(|it| trimmed_mean(it)).unwrap_or(f64::NEG_INFINITY);
        let mut near: Vec<String> = self.all.keys().cloned().collect();
        near.sort_by(|one, other| log_score(other).total_cmp(&log_score(one)));
        let top = near.first().map_or(0.0, log_score);
        near.retain(|one| log_score(one) >= top - behind);
        near
    }

    /// The finalists that may still be the best.
    fn may_still_be_best(&self) -> Vec<String> {
        let (rounds, behind, errors) = IS_NOT_BEST;
        let known = self.finalists.values().map(|it| Some((trimmed_mean(it)?, variance_of_mean(it)?)));
        let best = known.flatten().max_by(|one, other| one.0.total_cmp(&other.0));
        let is_out = |log_scores: &[f64]| {
            let (Some(best), Some(mean), Some(variance)) =
                (best, trimmed_mean(log_scores), variance_of_mean(log_scores))
            else {
                return false;
            };
            let gap = best.0 - mean;
            log_scores.len() >= rounds && gap > behind && gap > errors * (best.1 + variance).sqrt()
        };
        self.finalists.iter().filter(|(_, log_scores)| !is_out(log_scores)).map(|(name, _)| name.clone()).collect()
    }

    /// The best by the one half of the rounds.
    pub(crate) fn best(&self) -> Option<&str> {
        let of = |log_scores: &[f64]| half(log_scores, 0).unwrap_or(f64::NEG_INFINITY);
        // Who was dropped on the way has fewer rounds, and is not it.
        let rounds = self.finalists.values().map(Vec::len).max()?;
        let stayed = self.finalists.iter().filter(|(_, log_scores)| log_scores.len() == rounds);
        let best = stayed.max_by(|one, other| of(one.1).total_cmp(&of(other.1)));
        best.map(|(name, _)| name.as_str())
    }

    /// The best of what was valued, by these rounds: the key's own best was chosen by few of them, and may be none.
    fn best_of<'a>(&self, rounds: impl Iterator<Item = &'a BTreeMap<String, f64>> + Clone) -> Option<&'a str> {
        let common = self.best()?;
        let names: BTreeSet<&str> = rounds.clone().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let gain = |name: &str| {
            let gains: Vec<f64> =
                rounds.clone().filter_map(|round| Some(round.get(name)? - round.get(common)?)).collect();
            trimmed_mean(&gains).unwrap_or(f64::NEG_INFINITY)
        };
        names.into_iter().max_by(|one, other| gain(one).total_cmp(&gain(other)))
    }

    /// By how much (logarithm) the best is better than this one in each round that valued both: the best by every other
    /// round, in the rest, and the other way round.
    fn gaps(&self, name: &str) -> Vec<f64> {
        let half = |from: usize| self.valued.iter().skip(from).step_by(2);
        let mut gaps = Vec::new();
        for (chosen_by, valued_by) in [(half(0), half(1)), (half(1), half(0))] {
            let Some(best) = self.best_of(chosen_by) else { continue };
            gaps.extend(valued_by.filter_map(|round| Some(round.get(best)? - round.get(name)?)));
        }
        gaps
    }

    /// Those by which others are valued: the best of either half.
    fn leaders(&self) -> Vec<&str> {
        let half = |from: usize| self.valued.iter().skip(from).step_by(2);
        [self.best_of(half(0)), self.best_of(half(1))].into_iter().flatten().collect()
    }

    /// What is best by all that is known.
    pub(crate) fn top(&self) -> Option<&str> {
        self.best_of(self.valued.iter()).or_else(|| self.best())
    }

    /// Whether it is known well enough what this one is worth.
    fn is_valued(&self, name: &str) -> bool {
        let (least, most) = ROUNDS_TO_VALUE;
        let gaps = self.gaps(name);
        let is_sharp = || variance_of_mean(&gaps).is_some_and(|variance| variance.sqrt() <= SMALL_ERROR);
        gaps.len() >= most || (gaps.len() >= least && is_sharp())
    }

    /// By how much the best is better than this candidate, as a ratio: by the rounds that value what was named, or, where
    /// it has none there, by the other half.
    pub(crate) fn loss(&self, name: &str) -> Option<f64> {
        if let Some(gap) = trimmed_mean(&self.gaps(name)) {
            return Some(gap.exp_m1().max(0.0));
        }
        let best = self.finalists.get(self.best()?)?;
        let gap = match self.finalists.get(name) {
            Some(one) => half(best, 1)? - half(one, 1)?,
            None => trimmed_mean(best)? - trimmed_mean(self.all.get(name)?)?,
        };
        Some(gap.exp_m1().max(0.0))
    }
}

/// Measures what sessions named beside the best of each workload, where the key lacks it.
pub(crate) fn value(options: &Options) -> Result<(), String> {
    let path = options.file()?;
    let mut key = Key::read(&path, options.is_loaded)?;
    let named = live::named(&path)?;
    let _load = Load::start(options.is_loaded)?;
    for live in LIVE.iter().filter(|live| options.wants(live.name)) {
        let (Some(mut measured), Some(named)) = (key.of(live).cloned(), named.get(live.name)) else { continue };
        let Some(best) = measured.best().map(str::to_owned) else { continue };
        let mut names: BTreeSet<String> = named.clone();
        names.retain(|name| !measured.is_valued(name));
        if names.is_empty() {
            continue;
        }
        let mut ground = Ground::survey(live)?;
        let all = ground.candidates();
        let mut passes = 0;
        while !names.is_empty() && passes < ROUNDS_TO_VALUE.1 {
            passes += 1;
            let mut held: BTreeSet<String> = measured.leaders().into_iter().map(str::to_owned).collect();
            held.extend(names.iter().cloned().chain([best.clone()]));
            let candidates: Vec<Candidate> = all.iter().filter(|one| held.contains(&one.short())).cloned().collect();
            let round = ground.passes(&candidates, options.seed ^ ((measured.valued.len() as u64) << 8))?;
            // Who failed once is out.
            names.retain(|name| round.contains_key(name) && round.contains_key(&best));
            measured.valued.push(round);
            names.retain(|name| !measured.is_valued(name));
            key.workloads.insert(live.name.to_owned(), measured.clone());
            key.write(&path)?;
        }
        say(&format!("{}: valued", live.name));
    }
    Ok(())
}

/// The variance of the mean; `None` of fewer than two.
fn variance_of_mean(log_scores: &[f64]) -> Option<f64> {
    let count = log_scores.len() as f64;
    let mean = log_scores.iter().sum::<f64>() / count;
    let squares = log_scores.iter().map(|log_score| (log_score - mean).powi(2)).sum::<f64>();
    (log_scores.len() > 1).then(|| squares / (count - 1.0) / count)
}

/// The mean of every other log_score.
fn half(log_scores: &[f64], from: usize) -> Option<f64> {
    trimmed_mean(&log_scores.iter().skip(from).step_by(2).copied().collect::<Vec<_>>())
}

/// A key as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    /// Whether another process computed meanwhile.
    pub(crate) is_loaded: bool,
    workloads: BTreeMap<String, Measured>,
}

impl Key {
    /// The key of this file; empty if there is none.
    pub(crate) fn read(path: &Path, is_loaded: bool) -> Result<Key, String> {
        let Ok(text) = std::fs::read_to_string(path) else { return Ok(Key { is_loaded, ..Key::default() }) };
        let key: Key = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let words = if key.is_loaded { "with" } else { "without" };
        let is_it = key.is_loaded == is_loaded;
        is_it.then_some(key).ok_or_else(|| format!("{}: this key was made {words} `--load`", path.display()))
    }

    fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What is known of this workload, once all of it is.
    pub(crate) fn of(&self, live: &Live) -> Option<&Measured> {
        self.workloads.get(live.name).filter(|known| known.file == live.file() && known.rounds_left == 0)
    }

    /// What is measured of this workload so far.
    fn begun(&self, live: &Live, options: &Options) -> Measured {
        let known = self.workloads.get(live.name).filter(|known| known.file == live.file());
        known.cloned().unwrap_or_else(|| Measured::begin(live, options))
    }
}

/// Measures what the key lacks.
pub(crate) fn make(options: &Options) -> Result<(), String> {
    let path = options.file()?;
    let mut key = Key::read(&path, options.is_loaded)?;
    let _load = Load::start(options.is_loaded)?;
    let mut rows = Vec::new();
    for live in LIVE.iter().filter(|live| options.wants(live.name)) {
        let mut measured = key.begun(live, options);
        if measured.rounds_left > 0 {
            let mut ground = Ground::survey(live)?;
            while measured.rounds_left > 0 {
                measured.round(&mut ground, options)?;
                key.workloads.insert(live.name.to_owned(), measured.clone());
                key.write(&path)?;
            }
            say(&format!("{}: written", live.name));
        }
        let Some(known) = key.of(live) else { continue };
        let near = known.all.keys().filter(|name| known.loss(name).is_some_and(|loss| loss <= 0.05)).count();
        rows.push(vec![
            live.name.to_owned(),
            known.best().unwrap_or_default().to_owned(),
            format!("{near} of {}", known.all.len()),
            format!("{:.0}", known.seconds),
        ]);
    }
    show(&["workload", "best", "within 5 %", "seconds"], &rows);
    Ok(())
}
