//! How a race is made, and what it names when it is over: all that this bench knows of its rules.

use conbench::race::{Margins, Race, Rules, Standing};
use conbench::record::Ending;

/// The rules of a race on the machine that is simulated.
pub(crate) fn rules(margin: f64, budget_ns: u64, seed: u64) -> Rules {
    // As without one written: less where pairs hardly differ, more where they differ much.
    let margins = Margins { quiet: margin * 2.0 / 3.0, usual: margin, noisy: margin * 5.0 / 3.0 };
    Rules { margins, budget_ns, seed, is_renewed: false }
}

/// At this confidence one is named.
const SURE: f64 = 0.95;

/// What a race names; candidates are indices into [`Race::candidates`].
#[derive(Clone, Debug, Default, PartialEq)]
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

/// What this race names, whose end was `ending`.
pub(crate) fn named(race: &Race, ending: Ending) -> Named {
    let Some(judged) = race.judge() else { return Named::default() };
    let of = |wanted: Standing| -> Vec<usize> {
        let rivals = judged.rivals.iter().filter(|rival| rival.standing == wanted);
        rivals.map(|rival| rival.candidate).collect()
    };
    let is_sure = ending == Ending::Decided || judged.confidence >= SURE;
    Named {
        leader: Some(judged.leader),
        favourite: Some(judged.best),
        best: is_sure.then_some(judged.best),
        ties: of(Standing::Tied),
        unresolved: of(Standing::Unresolved),
        worse: of(Standing::Worse),
        confidence: judged.confidence,
    }
}
