//! `cargo bench --bench race -- VERB`: how often an answer is right, how soon, and how honest its bound is.
//!
//! Simulated: the loop and the analysis of a real session, over engines that are computed and a clock that they move.
//!
//!     accuracy [SESSIONS]             # 21 workloads under eleven kinds of noise, beside rules of thumb
//!     aa [SESSIONS]                   # two equal candidates
//!     times                           # what the decision itself takes a round
//!     costs RECORD.. > benches/race/costs.toml   # what starts and blocks cost, as `conbench run --output` stored it
//!
//! On this machine, while nothing else runs on it. What is there already is kept, so both can be stopped and taken up:
//!
//!     key FILE [--workloads a,b] [--rounds N] [--load]   # all sizes of all engines, an hour or two
//!     live FILE [--sessions N] [--load]                  # sessions of the program, beside that key
//!     value FILE [--load]                                # what those sessions named, beside the key's best
//!     equals FILE [--sessions N] [--load]                # sessions of two equal candidates
//!     duel FILE [--sessions N] [--load]                  # gates of the same version twice, and of a tenth more work
//!
//! With `--seed N`, `--filter WORD` of workloads, `--noise WORD` of its kinds, `--each` to tell every session and `--looks` to tell each of its
//! looks, too. A simulated session has no sweep.

mod aa;
mod accuracy;
mod arms;
mod cases;
mod costs;
mod duel;
mod engines;
mod equals;
mod ground;
mod key;
#[path = "../common/lines.rs"]
mod lines;
mod live;
mod load;
mod model;
mod noise;
mod options;
mod rules;
mod show;
mod simulate;
mod tally;
mod times;
mod traces;
mod workloads;

use std::process::ExitCode;

use noise::Kind;
use options::Options;

#[expect(clippy::print_stderr, reason = "a benchmark says why it measures nothing")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match Options::read(&arguments).and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let kinds = || {
        let mut kinds = Kind::all(traces::read_all()?);
        kinds.retain(|kind| kind.name.contains(&options.noise));
        if kinds.is_empty() { Err("there is no such noise".to_owned()) } else { Ok(kinds) }
    };
    match options.verb.as_str() {
        "accuracy" => accuracy::accuracy(options, &kinds()?),
        "aa" => aa::aa(options, &kinds()?),
        "times" => {
            times::times(options);
            Ok(())
        }
        "costs" => costs::costs(&options.words),
        "key" => key::make(options),
        "value" => key::value(options),
        "live" => live::live(options),
        "equals" => equals::equals(options),
        "duel" => duel::duel(options),
        load::VERB => load::compute(),
        "" => {
            times::times(options);
            aa::aa(options, &kinds()?)?;
            accuracy::accuracy(options, &kinds()?)
        }
        other => Err(format!("unknown verb `{other}`")),
    }
}
