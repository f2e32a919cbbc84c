//! The final: the sizes that may be their engine's best, all against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::contest::{Contest, Judgement, MOST_CONFIDENCE, Margins, Rival, Scored};
use super::standing::{LIVES, Standing};
use super::{Candidate, Outcome, simplicity};
use crate::record::Conclusion;

/// Rounds before whoever is far behind is dropped.
const SCREEN: usize = 3;
/// A gross loser's difference lies below this (logarithm of a ratio), and below so many standard errors.
const FAR: (f64, f64) = (-0.30, 6.0);
/// Rounds before the first look at all.
const FIRST_LOOK: f64 = 5.0;
/// Each look comes after so many times the rounds of the one before. Who looks after every round sees, sooner or
/// later, what is not there.
const LOOK_FACTOR: f64 = 1.4;
/// Whoever is dropped is better than the leader beyond the margin with less than this probability, all survivors
/// together. It is half of what the answer may be wrong by: what is dropped at one look adds to what is dropped at
/// another.
const DROP: f64 = 0.025;
/// Who is dropped stays what it was found to be, and there are several looks at which to be unlucky: that takes so many
/// times more certainty than to be called worse at the end.
const DROP_STRICTNESS: f64 = 4.0;
/// From so many rounds on one that is not simpler, and not better, is dropped though it may be tied.
const ROUNDS_BEFORE_OPEN_DROP: usize = 10;
/// Rounds for which a decided race goes on where something simpler may be as good.
const ROUNDS_FOR_SIMPLER: usize = 55;
/// The race is over at two looks that agree, this long after its first round.
const LEAST_NS: u64 = 3_000_000_000;
/// No race has more rounds: what they do not show, more of them would not.
const MOST_ROUNDS: usize = 400;
/// Rounds of each of the first three lives, and of later ones.
const LIFE_ROUNDS: (usize, usize) = (2, 4);

#[derive(Clone, Debug)]
pub(super) struct Finals {
    /// Who is still in, with the entry that it is a size of.
    contenders: BTreeMap<usize, usize>,
    /// Who was dropped at a look.
    dropped: BTreeMap<usize, usize>,
    contest: Contest,
    /// Those whose scores may not yet put anybody out.
    weak: BTreeSet<usize>,
    /// The life in which each round ran; all contenders begin their lives together.
    lives: Vec<u32>,
    /// Rounds of each of the first three lives.
    life_rounds: usize,
    rounds_in_life: usize,
    margins: Margins,
    /// `ln(1 + m)` of the margin of the last look.
    margin: f64,
    /// Looks in a row at which the race was decided.
    agreed: u32,
    is_decided: bool,
    conclusions: Vec<Conclusion>,
}

impl Finals {
    /// A final of these candidates, each with its entry, of which about `foreseen` rounds fit into the budget.
    pub(super) fn new(contenders: BTreeMap<usize, usize>, foreseen: u64, margins: Margins, is_renewed: bool) -> Finals {
        let life_rounds = if is_renewed {
            1
        } else {
            usize::try_from(foreseen).unwrap_or(usize::MAX).div_euclid(LIVES).clamp(1, LIFE_ROUNDS.0)
        };
        Finals {
            contenders,
            dropped: BTreeMap::new(),
            contest: Contest::default(),
            weak: BTreeSet::new(),
            lives: Vec::new(),
            life_rounds,
            rounds_in_life: 0,
            margins,
            margin: margins.usual.ln_1p(),
            agreed: 0,
            is_decided: false,
            conclusions: Vec::new(),
        }
    }

    /// Who is still in.
    pub(super) fn contenders(&self) -> Vec<usize> {
        self.contenders.keys().copied().collect()
    }

    /// Rounds begun.
    pub(super) fn rounds(&self) -> usize {
        self.lives.len()
    }

    /// How it stands now. `None` while nothing was measured.
    pub(super) fn judge(&self, candidates: &[Candidate]) -> Option<Judgement> {
        self.contest.judge(&self.margins, |one| simplicity(candidates, one))
    }

    /// What was concluded since this was asked last, of indices into the race's candidates.
    pub(super) fn conclusions(&mut self) -> Vec<Conclusion> {
        std::mem::take(&mut self.conclusions)
    }

    /// Whether two looks agreed, and nothing simpler is open.
    pub(super) fn is_decided(&self) -> bool {
        self.is_decided || self.rounds() >= MOST_ROUNDS
    }

    /// Begins a round; whether it begins a life anew. The first life is that of the search.
    pub(super) fn begin_round(&mut self) -> bool {
        let life = self.lives.last().copied().unwrap_or(0);
        let is_early = (life as usize) < LIVES || self.life_rounds == 1;
        // A long race has seen what lives differ by: later ones are a sixth of it each.
        let length = if is_early { self.life_rounds } else { LIFE_ROUNDS.1.max(self.rounds() / 6) };
        let anew = self.rounds_in_life >= length;
        self.rounds_in_life = if anew { 1 } else { self.rounds_in_life + 1 };
        self.lives.push(life + u32::from(anew));
        anew
    }

    /// Takes in a round that ended `elapsed_ns` after the race's first began. Who failed or broke a limit is out.
    pub(super) fn settle(
        &mut self,
        outcomes: &BTreeMap<usize, Option<Outcome>>,
        candidates: &[Candidate],
        elapsed_ns: u64,
    ) {
        let round = self.lives.len().saturating_sub(1);
        let life = self.lives.last().copied().unwrap_or(0);
        for (one, outcome) in outcomes {
            match outcome {
                Some(Outcome::Score(score)) => {
                    self.weak.remove(one);
                    self.contest.add(round, *one, Scored { life, score: *score });
                }
                Some(Outcome::Weak(score)) => {
                    self.weak.insert(*one);
                    self.contest.add(round, *one, Scored { life, score: *score });
                }
                Some(Outcome::Failed) => self.put_out(*one),
                Some(Outcome::Infeasible) => {
                    self.conclusions.push(Conclusion::Infeasible { candidate: *one as u32 });
                    self.put_out(*one);
                }
                None => {}
            }
        }
        if self.rounds() == SCREEN {
            self.screen(candidates);
        } else if is_look(self.rounds()) {
            self.look(candidates, elapsed_ns);
        }
    }

    fn put_out(&mut self, one: usize) {
        self.contenders.remove(&one);
        self.contest.remove(one);
    }

    /// Drops whoever is far behind the leader, except the best of the models that rival its own.
    fn screen(&mut self, candidates: &[Candidate]) {
        let contenders = self.contenders();
        let Some(leader) = self.contest.leader(&contenders).filter(|leader| !self.weak.contains(leader)) else {
            return;
        };
        let rival = self.best_rival(leader, candidates);
        for (one, difference) in contenders.iter().zip(self.contest.differences(&contenders, leader)) {
            let Some(difference) = difference.filter(|_| *one != leader && Some(*one) != rival) else { continue };
            let is_far = difference.value < FAR.0
                && difference.standard_error().is_some_and(|error| difference.value < -FAR.1 * error);
            if is_far && !self.weak.contains(one) {
                self.contenders.remove(one);
                let (candidate, leader, ratio) = (*one as u32, leader as u32, difference.value.exp());
                self.conclusions.push(Conclusion::Screened { candidate, leader, ratio });
            }
        }
    }

    /// Looks at all that are left: who is out, and whether the race is decided.
    fn look(&mut self, candidates: &[Candidate], elapsed_ns: u64) {
        self.drop_sizes(candidates);
        let Some(judged) = self.judge(candidates) else { return };
        self.margin = judged.margin.ln_1p();
        self.drop_rivals(&judged, candidates);
        let left = self.contenders.len() as u32;
        let (leader, confidence) = (judged.leader as u32, judged.confidence);
        self.conclusions.push(Conclusion::Look { leader, confidence, contenders: left });
        let model = |one: usize| simplicity(candidates, one).map(|it| it.model);
        let is_open = |rival: &Rival| {
            rival.standing == Standing::Unresolved
                && self.contenders.contains_key(&rival.candidate)
                && model(rival.candidate) < model(judged.best)
        };
        let lives = self.lives.last().map_or(0, |last| last + 1) as usize;
        let alone = self.contenders.len() == 1;
        let is_time = alone || elapsed_ns >= LEAST_NS;
        let is_sure = (confidence >= MOST_CONFIDENCE || alone) && lives >= LIVES && is_time;
        self.agreed = if is_sure { self.agreed + 1 } else { 0 };
        let waits = self.rounds() < ROUNDS_FOR_SIMPLER && judged.rivals.iter().any(is_open);
        self.is_decided = self.agreed >= 2 && !waits;
        if !is_sure {
            self.bring_back(&judged);
        }
    }

    /// Who was dropped beside one that led then may be what leaves another one's lead in doubt: it runs again.
    fn bring_back(&mut self, judged: &Judgement) {
        let doubt = self.doubt();
        let doubtful: Vec<usize> =
            judged.rivals.iter().filter(|rival| rival.probability > doubt).map(|rival| rival.candidate).collect();
        for one in doubtful {
            if let Some(entry) = self.dropped.remove(&one) {
                self.contenders.insert(one, entry);
                self.conclusions.push(Conclusion::Returned { candidate: one as u32 });
            }
        }
    }

    /// Of two sizes of one engine the larger is out when it is not better, and the smaller when it is worse.
    fn drop_sizes(&mut self, candidates: &[Candidate]) {
        let mut engines: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (one, entry) in &self.contenders {
            engines.entry(*entry).or_default().push(*one);
        }
        let doubt = self.doubt();
        for mut sizes in engines.into_values() {
            sizes.sort_by_key(|one| simplicity(candidates, *one));
            let mut kept = 0;
            while kept < sizes.len() {
                let (smaller, larger) = (sizes[kept], sizes[kept + 1..].to_vec());
                for rival in self.contest.differences(&larger, smaller).into_iter().zip(&larger) {
                    let (Some(difference), one) = rival else { continue };
                    let probability = difference.probability_above(self.margin);
                    if probability < doubt && !self.weak.contains(one) {
                        self.drop_one(*one, smaller, difference.value, probability);
                        sizes.retain(|size| size != one);
                    }
                }
                kept += 1;
            }
        }
    }

    /// Whoever is worse than the best beyond doubt is out, except the best of the models that rival its own.
    fn drop_rivals(&mut self, judged: &Judgement, candidates: &[Candidate]) {
        let best = judged.best;
        if self.weak.contains(&best) {
            return;
        }
        let kept = self.best_rival(best, candidates);
        let doubt = self.doubt();
        let is_late = self.rounds() >= ROUNDS_BEFORE_OPEN_DROP;
        for rival in &judged.rivals {
            let one = rival.candidate;
            let is_worse = rival.standing == Standing::Worse
                && rival.difference.is_some_and(|it| it.probability_above(0.0) < 0.5 * doubt / DROP_STRICTNESS);
            let is_idle = is_late
                && rival.standing == Standing::Unresolved
                && simplicity(candidates, one) > simplicity(candidates, best);
            let is_out = rival.probability < doubt && (is_worse || is_idle);
            if is_out && Some(one) != kept && self.contenders.contains_key(&one) && !self.weak.contains(&one) {
                let value = rival.difference.map_or(0.0, |difference| difference.value);
                self.drop_one(one, best, value, rival.probability);
            }
        }
    }

    /// The probability below which one of those that are left may be dropped.
    fn doubt(&self) -> f64 {
        DROP / self.contenders.len().saturating_sub(1).max(1) as f64
    }

    fn drop_one(&mut self, one: usize, leader: usize, difference: f64, probability: f64) {
        self.dropped.extend(self.contenders.remove(&one).map(|entry| (one, entry)));
        let (candidate, leader, ratio) = (one as u32, leader as u32, difference.exp());
        self.conclusions.push(Conclusion::Dropped { candidate, leader, ratio, probability });
    }

    /// The best of those whose model is not the leader's.
    fn best_rival(&self, leader: usize, candidates: &[Candidate]) -> Option<usize> {
        let model = |one: usize| candidates.get(one).map(Candidate::model);
        let rivals: Vec<usize> = self.contenders.keys().copied().filter(|one| model(*one) != model(leader)).collect();
        self.contest.leader(&rivals)
    }
}

/// Whether all are compared after so many rounds: 5, 7, 10, 14, 20, 28, ..
fn is_look(rounds: usize) -> bool {
    let looks = std::iter::successors(Some(FIRST_LOOK), |look| Some((look * LOOK_FACTOR).round()));
    looks.map(|look| look as usize).take_while(|look| *look <= rounds).any(|look| look == rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_as_documented() {
        let looks: Vec<usize> = (0..60).filter(|rounds| is_look(*rounds)).collect();
        assert_eq!(looks, [5, 7, 10, 14, 20, 28, 39, 55]);
    }
}
