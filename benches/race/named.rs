//! What a race names when it is over.

use std::collections::BTreeSet;

use conbench::race::Race;
use conbench::record::Ending;

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
    /// How sure it is that nobody is better than the leader by more than the margin; NaN when that is not said.
    pub(crate) confidence: f64,
}

/// What this race names, whose end was `ending`, and which had these in its final.
pub(crate) fn named(race: &Race, ending: Ending, finalists: &BTreeSet<usize>) -> Named {
    // Until a race says it itself: a decided one has the leader, and the simplest of its equals.
    let leaders = race.leaders();
    let is_decided = ending == Ending::Decided;
    let leader = leaders.first().copied();
    let others = finalists.iter().copied().filter(|one| !leaders.contains(one));
    let (worse, unresolved) = if is_decided { (others.collect(), Vec::new()) } else { (Vec::new(), others.collect()) };
    let simplest = leaders.last().copied().filter(|_| is_decided);
    Named {
        leader,
        best: simplest,
        ties: leaders.iter().skip(1).copied().collect(),
        unresolved,
        worse,
        confidence: f64::NAN,
    }
}
