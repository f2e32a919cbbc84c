//! How sure an answer is, in words.

use crate::analyze::{Answer, Sureness};
use crate::units::percent;

/// How sure an answer is, in a word.
pub(super) fn word(sureness: Sureness) -> &'static str {
    match sureness {
        Sureness::Sure => "sure",
        Sureness::Likely => "likely",
        Sureness::Rough => "rough",
    }
}

/// What an answer may cost at most: `≤ 3 %`. Rounded up to what is said: it is not said to be surer than it is.
pub(super) fn at_most(ratio: f64) -> String {
    format!("≤ {}", whole(ratio))
}

/// A ratio in per cent, rounded up.
pub(super) fn whole(ratio: f64) -> String {
    // A hair above a whole number is that number.
    percent(((ratio * 100.0 - 1e-6).ceil() / 100.0).max(0.0))
}

/// What the bound says, as a sentence.
pub(super) fn bound(answer: &Answer) -> String {
    let all = if answer.tried == 1 {
        "the one size that was tried".to_owned()
    } else {
        format!("{} sizes tried", answer.tried)
    };
    match answer.may_cost {
        cost if cost < 0.005 => format!("nothing tried is faster ({} confidence; {all})", percent(answer.confidence)),
        cost => format!(
            "nothing tried is more than {} better ({} confidence; {all})",
            whole(cost),
            percent(answer.confidence)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_never_understated() {
        let said: Vec<String> = [0.0, 0.021, 0.05, 0.050_1, 0.123].into_iter().map(at_most).collect();
        assert_eq!(said, ["≤ 0 %", "≤ 3 %", "≤ 5 %", "≤ 6 %", "≤ 13 %"]);
    }
}
