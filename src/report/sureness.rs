//! How sure an answer is.

use super::Judged;
use crate::analyze::{Group, Validity};

/// What stands before a probability that is stated no higher.
pub(super) const AT_LEAST: &str = "at least ";
/// The largest probability that is stated.
const SURE: f64 = 0.95;

/// A probability that is never stated above 95 %: `87 %`, `at least 95 %`.
pub(super) fn confidence(probability: f64) -> String {
    if probability >= SURE {
        format!("{AT_LEAST}95 %")
    } else {
        // Rounded down: it is not said to be surer than it is.
        format!("{:.0} %", (probability.max(0.0) * 100.0 + 1e-9).floor())
    }
}

/// How sure an answer is, in a word.
pub(super) fn sureness(judged: &Judged, group: &Group) -> &'static str {
    match judged.verdict.validity {
        Validity::Invalid => "invalid",
        _ if group.answer.best.is_none() || !group.answer.unresolved.is_empty() => "open",
        Validity::Noisy => "noisy",
        Validity::Valid => "sure",
    }
}

/// What the words of [`sureness`] mean.
pub(super) const SURENESS: &str = "Sure: decided beyond the margin on a quiet host; noisy: decided, but the host was disturbed; open: some candidates are undecided; invalid: no answer may be given";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_never_overstated() {
        let said: Vec<String> = [0.0, 0.41, 0.87, 0.949_9, 0.95, 1.0, f64::NAN].into_iter().map(confidence).collect();
        assert_eq!(said, ["0 %", "41 %", "87 %", "94 %", "at least 95 %", "at least 95 %", "0 %"]);
    }
}
