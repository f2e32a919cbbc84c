//! Exit codes: the whole table.

/// How `conbench` ends. Where several apply, the last of them in this order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well: a question was answered.
    Fine,
    /// There is an answer, but a candidate failed, and `--strict` was given; or an agent breaks a rule of the protocol.
    CandidateFailed,
    /// There is an answer, but the host was disturbed: its conditions say what that does to it.
    Disturbed,
    /// There is no answer: nothing could be compared, or a law of the self-test does not hold.
    NoAnswer,
    /// A gate: what was measured does not tell.
    Undecided,
    /// A gate: the base's choice is not good enough for the head.
    ChoiceChanged,
    /// A gate: a figure is worse than it may be.
    Regressed,
    /// A gate: a side could not run.
    SideFailed,
    /// Bad input or usage: nothing was run.
    Usage,
    /// Results could not be written.
    Output,
    /// A signal ended it; what was measured until then is shown and saved.
    Interrupted,
    /// A fault of `conbench` itself.
    Internal,
}

impl Exit {
    /// Every code, in its order.
    pub const ALL: [Exit; 12] = [
        Exit::Fine,
        Exit::CandidateFailed,
        Exit::Disturbed,
        Exit::NoAnswer,
        Exit::Undecided,
        Exit::ChoiceChanged,
        Exit::Regressed,
        Exit::SideFailed,
        Exit::Usage,
        Exit::Output,
        Exit::Interrupted,
        Exit::Internal,
    ];

    /// The number that the shell sees.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::CandidateFailed => 1,
            Exit::Usage => 2,
            Exit::NoAnswer => 3,
            Exit::Disturbed => 4,
            Exit::Regressed => 10,
            Exit::Undecided => 11,
            Exit::ChoiceChanged => 12,
            Exit::SideFailed => 13,
            Exit::Internal => 70,
            Exit::Output => 74,
            Exit::Interrupted => 130,
        }
    }

    /// What the number means, as `--help` says it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Fine => "fine",
            Exit::CandidateFailed => "answered, but a candidate failed (with --strict); agent-check: a rule is broken",
            Exit::Usage => "bad input or usage, nothing was run",
            Exit::NoAnswer => "no answer",
            Exit::Disturbed => "answered on a disturbed host: the answer says what that does to it",
            Exit::Regressed => "gate: regressed",
            Exit::Undecided => "gate: undecided",
            Exit::ChoiceChanged => "gate: the base's choice is not good enough any more",
            Exit::SideFailed => "gate: a side could not run",
            Exit::Internal => "a fault of conbench",
            Exit::Output => "results could not be written",
            Exit::Interrupted => "interrupted by a signal",
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// The table, for `--help`.
pub(super) fn table() -> String {
    let mut exits = Exit::ALL;
    exits.sort_by_key(|exit| exit.code());
    let lines: Vec<String> = exits.iter().map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning())).collect();
    format!("Exit codes:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_documented_ones() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 4, 3, 11, 12, 10, 13, 2, 74, 130, 70]);
        assert_eq!(Exit::Fine.max(Exit::CandidateFailed).max(Exit::Interrupted), Exit::Interrupted);
    }
}
