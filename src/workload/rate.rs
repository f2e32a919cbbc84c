//! What the far side allows: so many tasks a second, minute or hour, some of them at once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostics::shown;
use super::quantity::Wrong;

const SECOND_NS: u64 = 1_000_000_000;
/// The units of a rate, with their lengths.
const UNITS: [(&str, u64); 3] = [("s", SECOND_NS), ("min", 60 * SECOND_NS), ("h", 3_600 * SECOND_NS)];
/// The most tasks of a unit: beyond a million a second the clock's nanoseconds are too coarse.
const MOST_TASKS: u64 = 3_600_000_000;
/// What to say where a rate cannot be read.
pub(super) const RATE_HELP: &str = "write e.g. \"50/s\", \"3000/min\" or \"100/h\"";

/// How many tasks may begin: in any time `t` at most `burst + t x tasks / period_ns`.
///
/// Candidates are held to it outside of their tasks, wherever tasks run: in windows, in warm-ups and in references. What
/// runs a closed load then leaves workers idle; a batch is handed over no faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many tasks. At least 1.
    pub tasks: u64,
    /// In this time: a second, a minute or an hour.
    pub period_ns: u64,
    /// Of these, so many at once after a pause. At least 1.
    pub burst: u32,
}

impl Rate {
    /// Tasks per second.
    #[must_use]
    pub fn per_s(self) -> f64 {
        self.tasks as f64 * SECOND_NS as f64 / self.period_ns.max(1) as f64
    }

    /// From one task to the next, rounded up, so that the rate is never exceeded. At least 1.
    #[must_use]
    pub fn interval_ns(self) -> u64 {
        self.period_ns.div_ceil(self.tasks.max(1)).max(1)
    }

    /// What so many tasks take at least that follow a pause of any length, and the pause that a burst needs before them.
    #[must_use]
    pub fn longest_ns(self, tasks: u64) -> u64 {
        self.interval_ns().saturating_mul(tasks.saturating_add(u64::from(self.burst).min(tasks)).saturating_add(1))
    }

    /// The rate that `text` writes, with a burst of one.
    pub(super) fn parse(text: &str) -> Result<Rate, Wrong> {
        let wrong = |message: String| Err(Wrong { message, help: Some(RATE_HELP.to_owned()) });
        let Some((number, unit)) = text.split_once('/') else {
            return wrong(format!("`{}` is no rate: it lacks its time", shown(text.trim())));
        };
        let (number, unit) = (number.trim(), unit.trim());
        let Some((_, period_ns)) = UNITS.into_iter().find(|(name, _)| *name == unit) else {
            return wrong(format!("unknown time `{}`: the times are s, min and h", shown(unit)));
        };
        if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
            return wrong(format!("`{}` is not a whole number of tasks", shown(number)));
        }
        match number.parse::<u64>() {
            Ok(0) => wrong("a rate of 0 lets no task begin".to_owned()),
            Ok(tasks) if tasks <= MOST_TASKS && tasks.saturating_mul(1_000) <= period_ns => {
                Ok(Rate { tasks, period_ns, burst: 1 })
            }
            _ => wrong(format!("{} is more than a million a second", shown(text.trim()))),
        }
    }
}

/// Reads a rate that stands on the command line, `50/s`; its burst is 1.
///
/// # Errors
/// What is wrong with it, and how to write one.
pub fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text).map_err(|wrong| format!("{}: {}", wrong.message, wrong.help.unwrap_or_default()))
}

/// As users write it: `50/s`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, period_ns)| *period_ns == self.period_ns) {
            Some((unit, _)) => write!(f, "{}/{unit}", self.tasks),
            None => write!(f, "{:.3}/s", self.per_s()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Rate, String> {
        Rate::parse(text).map_err(|wrong| wrong.message)
    }

    #[test]
    fn rates_are_read_and_shown_as_users_write_them() {
        for (text, per_s) in [("50/s", 50.0), ("3000/min", 50.0), ("180000/h", 50.0), ("1/h", 1.0 / 3600.0)] {
            let rate = parse(text).expect("a rate");
            assert!((rate.per_s() - per_s).abs() < 1e-12, "{text}");
            assert_eq!((rate.to_string().as_str(), rate.burst), (text, 1));
        }
        assert_eq!(parse(" 50 / s ").map(Rate::interval_ns), Ok(20_000_000));
        assert_eq!(parse("3/s").map(Rate::interval_ns), Ok(333_333_334));
        assert!(parse("1000000/s").is_ok());
    }

    #[test]
    fn what_is_no_rate_is_refused_with_the_reason() {
        for (text, part) in [
            ("50", "lacks its time"),
            ("50/ms", "unknown time `ms`"),
            ("50/", "unknown time"),
            ("/s", "not a whole number"),
            ("0.5/s", "not a whole number"),
            ("-1/s", "not a whole number"),
            ("0/s", "no task"),
            ("1000001/s", "more than a million"),
            ("99999999999999999999/s", "more than a million"),
        ] {
            let message = parse(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
