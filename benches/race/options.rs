//! What the command line asks for: a part of the bench, and how much of it.

use std::str::FromStr;

/// The options of all parts; each part reads those that mean something to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Options {
    /// The part: `sim`, `speed`, `record`, ..
    pub(crate) part: String,
    /// Sessions in all; `None` is the part's own number.
    pub(crate) sessions: Option<u64>,
    /// The first seed.
    pub(crate) seed: u64,
    /// The margin of practical equivalence that races are given.
    pub(crate) margin: f64,
    /// The budget of one session in seconds; `None` is the part's own.
    pub(crate) budget_s: Option<f64>,
    /// Noise of every kind is scaled to this paired deviation (a share, 0.02 is 2 %); `None` leaves it as it is.
    pub(crate) paired: Option<f64>,
    /// Only what has this in its name.
    pub(crate) filter: String,
    /// Whether every session is told, and not the sums alone.
    pub(crate) each: bool,
}

impl Options {
    /// Reads `PART [--sessions N] [--seed N] [--margin X] [--budget S] [--paired X] [--filter WORD] [--each]`.
    pub(crate) fn read(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options {
            part: String::new(),
            sessions: None,
            seed: 1,
            margin: 0.03,
            budget_s: None,
            paired: None,
            filter: String::new(),
            each: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                // `cargo bench` says so itself.
                "--bench" => {}
                "--sessions" => options.sessions = Some(value(argument, rest.next())?),
                "--seed" => options.seed = value(argument, rest.next())?,
                "--margin" => options.margin = value(argument, rest.next())?,
                "--budget" => options.budget_s = Some(value(argument, rest.next())?),
                "--paired" => options.paired = Some(value(argument, rest.next())?),
                "--filter" => options.filter = value(argument, rest.next())?,
                "--each" => options.each = true,
                part if !part.starts_with('-') && options.part.is_empty() => options.part = part.to_owned(),
                other => return Err(format!("unknown option `{other}`")),
            }
        }
        Ok(options)
    }

    /// The budget of one session, or `usual_s`.
    pub(crate) fn budget_ns(&self, usual_s: f64) -> u64 {
        (self.budget_s.unwrap_or(usual_s).max(0.0) * 1e9) as u64
    }
}

fn value<T: FromStr>(option: &str, text: Option<&String>) -> Result<T, String> {
    let text = text.ok_or_else(|| format!("`{option}` needs a value"))?;
    text.parse().map_err(|_| format!("`{option}`: `{text}` is not understood"))
}
