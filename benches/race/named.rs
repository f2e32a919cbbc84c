//! How a race is made, and what it names when it is over: all that this bench knows of its rules.

use std::collections::{BTreeMap, BTreeSet};

use conbench::race::{Race, Rules, Standing, standing};
use conbench::record::Ending;

use crate::model::CORES;

/// The rules of a race on the machine that is simulated.
pub(crate) fn rules(margin: f64, budget_ns: u64, seed: u64) -> Rules {
    Rules { margin, budget_ns, seed, usable_cpus: CORES }
}

/// What a race names; candidates are indices into [`Race::candidates`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    /// Who is ahead.
    pub(crate) leader: Option<usize>,
    /// Who would be recommended: the simplest of the leader's equals; none while that is not sure.
    pub(crate) best: Option<usize>,
    /// Equals of the leader.
    pub(crate) ties: Vec<usize>,
    /// Neither equals nor worse.
    pub(crate) unresolved: Vec<usize>,
    /// Who of the final was found worse than the leader.
    pub(crate) worse: Vec<usize>,
    /// Of whom the confidence is: who would be recommended, sure or not.
    pub(crate) favourite: Option<usize>,
    /// How sure it is that nobody is better than the favourite by more than the margin; NaN when that is not said.
    pub(crate) confidence: f64,
}

/// The scores of a round of the final, with the life of the candidate; empty for a round of the search.
pub(crate) type FinalRound = BTreeMap<usize, (usize, f64)>;

/// What this race names, whose end was `ending`.
pub(crate) fn named(race: &Race, ending: Ending, margin: f64, finals: &[FinalRound]) -> Named {
    // Until a race says it itself: its leader, and how its own rule finds the others of the final.
    let leaders = race.leaders();
    let leader = leaders.first().copied();
    let finalists: BTreeSet<usize> = finals.iter().flat_map(BTreeMap::keys).copied().collect();
    let rivals = finalists.len().saturating_sub(1);
    let mut named = Named {
        leader,
        favourite: leader,
        best: leaders.last().copied().filter(|_| ending == Ending::Decided),
        ties: Vec::new(),
        unresolved: Vec::new(),
        worse: Vec::new(),
        confidence: f64::NAN,
    };
    for one in finalists.into_iter().filter(|one| Some(*one) != leader) {
        let lives = leader.map_or_else(Vec::new, |leader| differences(finals, one, leader));
        match standing(&lives, margin.ln_1p(), rivals).0 {
            Standing::Tied => named.ties.push(one),
            Standing::Worse => named.worse.push(one),
            Standing::Unresolved => named.unresolved.push(one),
        }
    }
    named
}

/// `one - other`, paired within rounds, by life.
fn differences(finals: &[FinalRound], one: usize, other: usize) -> Vec<Vec<f64>> {
    let mut lives: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for round in finals {
        if let (Some((life, mine)), Some((_, theirs))) = (round.get(&one), round.get(&other)) {
            lives.entry(*life).or_default().push(mine - theirs);
        }
    }
    lives.into_values().collect()
}
