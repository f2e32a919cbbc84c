//! `cargo bench --bench race`: how often a race names the right one, and how long it takes.
//!
//!     cargo bench --bench race                    # all that is simulated: traces, sim, pairs, calibration, times, speed
//!     cargo bench --bench race -- sim             # the answer key under all kinds of noise, beside rules of thumb
//!     cargo bench --bench race -- pairs           # equals, and one that is 5 % slower
//!     cargo bench --bench race -- calibration     # stated confidences, of races ended at any time
//!     cargo bench --bench race -- times           # time to an answer
//!     cargo bench --bench race -- speed           # the race alone
//!     cargo bench --bench race -- traces          # what the recorded noise is like
//!
//! On this machine, while nothing else runs on it:
//!
//!     cargo bench --bench race -- record          # writes the traces, some four minutes
//!     cargo bench --bench race -- key             # all sizes of the live workloads, into key.json
//!     cargo bench --bench race -- live            # sessions of the program, beside the key
//!     cargo bench --bench race -- live-aa         # races of two equal agents
//!     cargo bench --bench race -- live-plus5      # races of two agents, one with 5 % more work
//!
//! Options: `--sessions N` of each table, `--seed N`, `--margin 0.03`, `--budget SECONDS` of a session, `--paired 0.02` to
//! scale all noise, `--filter WORD` of workloads, `--each` to tell every session.
//!
//! A simulated session is the real race against blocks that are computed: what theory says of the candidate (`model`),
//! noise of a recorded trace or made (`noise`), and times of blocks and starts (`simulate`). Its time is that of the
//! race: what comes before its first round (calibration, some 2 s) is not in it.

mod accuracy;
mod arms;
mod engines;
mod errors;
mod key;
mod live;
mod live_key;
mod live_pairs;
mod live_workloads;
mod model;
mod named;
mod noise;
mod options;
mod record;
mod rules;
mod show;
mod simulate;
mod times;
mod traces;

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
    let recorded = traces::read_all()?;
    let traces = || {
        let header = ["trace", "rounds x arms", "paired deviation", "between lives", "drift"];
        show::show(&header, &traces::table(&recorded));
    };
    let kinds = Kind::all(recorded.clone());
    match options.part.as_str() {
        "" => {
            traces();
            accuracy::accuracy(options, &kinds);
            errors::pairs(options, &kinds);
            errors::calibration(options, &kinds);
            times::answers(options, &kinds);
            times::speed(options);
        }
        "traces" => traces(),
        "sim" => accuracy::accuracy(options, &kinds),
        "pairs" => errors::pairs(options, &kinds),
        "calibration" => errors::calibration(options, &kinds),
        "times" => times::answers(options, &kinds),
        "speed" => times::speed(options),
        "record" => record::record(options)?,
        "key" => live_key::make(options)?,
        "live" => live::live(options)?,
        "live-aa" => live_pairs::pairs(options, false)?,
        "live-plus5" => live_pairs::pairs(options, true)?,
        other => return Err(format!("unknown part `{other}`")),
    }
    Ok(())
}
