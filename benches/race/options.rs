//! What the bench is told.

use std::path::PathBuf;
use std::str::FromStr;

/// The words of the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) verb: String,
    /// What follows the verb.
    pub(crate) words: Vec<String>,
    pub(crate) sessions: Option<u64>,
    pub(crate) rounds: Option<usize>,
    pub(crate) seed: u64,
    /// Workloads whose names contain this.
    pub(crate) filter: String,
    /// Kinds of noise whose names contain this.
    pub(crate) noise: String,
    /// Workloads of these names; none is all.
    pub(crate) workloads: Vec<String>,
    /// Whether another process computes meanwhile.
    pub(crate) is_loaded: bool,
    /// Tell each session, and not the sums alone.
    pub(crate) each: bool,
    /// And each of its looks.
    pub(crate) looks: bool,
}

impl Options {
    /// Reads `VERB [WORD..]` and the options, in any order.
    pub(crate) fn read(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options { seed: 1, ..Options::default() };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                // `cargo bench` says so itself.
                "--bench" => {}
                "--sessions" => options.sessions = Some(value(argument, rest.next())?),
                "--rounds" => options.rounds = Some(value(argument, rest.next())?),
                "--seed" => options.seed = value(argument, rest.next())?,
                "--filter" => options.filter = value(argument, rest.next())?,
                "--noise" => options.noise = value(argument, rest.next())?,
                "--workloads" => {
                    let names: String = value(argument, rest.next())?;
                    options.workloads = names.split(',').map(str::to_owned).collect();
                }
                "--load" => options.is_loaded = true,
                "--each" => options.each = true,
                "--looks" => (options.each, options.looks) = (true, true),
                other if other.starts_with('-') => return Err(format!("unknown option `{other}`")),
                verb if options.verb.is_empty() => options.verb = verb.to_owned(),
                word => options.words.push(word.to_owned()),
            }
        }
        Ok(options)
    }

    /// How many sessions: `--sessions`, or the word after the verb, or `usual`.
    pub(crate) fn sessions(&self, usual: u64) -> u64 {
        self.sessions.or_else(|| self.words.first()?.parse().ok()).unwrap_or(usual)
    }

    /// The file after the verb.
    pub(crate) fn file(&self) -> Result<PathBuf, String> {
        self.words.first().map(PathBuf::from).ok_or_else(|| format!("`{}` needs a file", self.verb))
    }

    pub(crate) fn wants(&self, workload: &str) -> bool {
        workload.contains(&self.filter)
            && (self.workloads.is_empty() || self.workloads.iter().any(|one| one == workload))
    }
}

fn value<T: FromStr>(option: &str, text: Option<&String>) -> Result<T, String> {
    let text = text.ok_or_else(|| format!("`{option}` needs a value"))?;
    text.parse().map_err(|_| format!("`{option}`: `{text}` is not understood"))
}
