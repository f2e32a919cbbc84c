//! The time that the decision itself takes a round.

use conbench::internal::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::internal::clock::now_ns;
use conbench::internal::decide::{Decide, Next, Observation, Rules, TurnOutcome};
use conbench::internal::plan::Entry;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::engines;
use crate::noise::normal;
use crate::options::Options;
use crate::show::{quantile, show};

/// Rounds that are timed, once all are measured.
const ROUNDS: usize = 60;
const BLOCK_NS: u64 = 30_000_000;

/// Equals of fixed sizes, so that nothing is decided.
pub(crate) fn times(options: &Options) {
    let rows = [40, 100].map(|arms| {
        let ms = rounds(arms, options.seed);
        vec![
            format!("{arms} measured arms"),
            ms.len().to_string(),
            format!("{:.2}", quantile(&ms, 0.5)),
            format!("{:.2}", quantile(&ms, 0.9)),
            format!("{:.2}", quantile(&ms, 1.0)),
        ]
    });
    show(&["look and next", "rounds", "median ms", "p90 ms", "longest ms"], &rows);
}

/// The milliseconds of each round.
fn rounds(arms: u32, seed: u64) -> Vec<f64> {
    let of = |workers| Candidate::new(RUST, Engine::ThreadPool, Sizes { workers: Some(workers), ..Sizes::default() });
    let entries: Vec<Entry> = (1..=arms).map(|workers| engines::fixed(&of(workers))).collect();
    let rules = Rules {
        // Too little to be reached.
        tolerance: 0.001,
        deadline_ns: u64::MAX,
        budget_ns: u64::MAX,
        seed,
        is_renewed: false,
        cores: 2.0,
        has_lock: false,
        library_threads: None,
        is_async: true,
        blocks_loops: false,
        // As for code of the user's own, whose waits are looked at.
        may_share: true,
        is_throughput: true,
        serial_ns: 0.0,
        tasks: None,
        is_batch: false,
        has_setup: false,
        rate_per_s: None,
        cluster: None,
        turns: None,
    };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut decide = Decide::new(&entries, &[], rules);
    let mut lives: Vec<u32> = Vec::new();
    let (mut elapsed_ns, mut ms) = (0, Vec::new());
    while ms.len() < ROUNDS {
        let begun_ns = now_ns();
        let Next::Round(round) = decide.next(elapsed_ns) else { break };
        let took_ns = now_ns() - begun_ns;
        let candidates = decide.candidates().len();
        if lives.len() == arms as usize {
            ms.push(took_ns as f64 / 1e6);
        }
        lives.resize(candidates, 0);
        for turn in &round.turns {
            lives[turn.candidate] += u32::from(turn.anew);
            elapsed_ns += BLOCK_NS;
            decide.took(turn.candidate, BLOCK_NS, turn.anew.then_some(BLOCK_NS));
            let seen = Observation {
                life: lives[turn.candidate],
                score: 1000.0_f64.ln() + 0.03 * normal(&mut random),
                latency_ns: 2e6,
                cpu_ns: 2e6,
                cores: 1.95,
                ..Observation::default()
            };
            decide.feed(turn.candidate, TurnOutcome::Observed(seen));
        }
    }
    ms
}
