//! Exit codes: the whole table.

/// How `conbench` ends. Where several apply, the last of them in this order is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All is well: a question was answered.
    Fine,
    /// There is an answer, but a candidate failed.
    CandidateFailed,
    /// There is no answer: nothing could be compared, or a law of the self-test does not hold.
    NoAnswer,
    /// The session cannot be believed, so that no answer is given.
    Invalid,
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
    pub const ALL: [Exit; 8] = [
        Exit::Fine,
        Exit::CandidateFailed,
        Exit::NoAnswer,
        Exit::Invalid,
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
            Exit::Invalid => 4,
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
            Exit::CandidateFailed => "answered, but a candidate failed",
            Exit::Usage => "bad input or usage, nothing was run",
            Exit::NoAnswer => "no answer",
            Exit::Invalid => "an invalid session: the host was too disturbed for an answer",
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
        assert_eq!(codes, [0, 1, 3, 4, 2, 74, 130, 70]);
        assert_eq!(Exit::Fine.max(Exit::CandidateFailed).max(Exit::Interrupted), Exit::Interrupted);
    }
}
