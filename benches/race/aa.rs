//! Sessions of two equal candidates, simulated: how often one is called worse.

use conbench::internal::candidate::{Candidate, Engine, RUST, Sizes};

use crate::costs::Costs;
use crate::engines;
use crate::model::{Task, says};
use crate::noise::Kind;
use crate::options::Options;
use crate::show::{quantile, share, share_with_interval, show};
use crate::simulate::{Found, session};

/// Two engines of fixed sizes, both as the first is; 100 sessions unless told otherwise.
pub(crate) fn aa(options: &Options, kinds: &[Kind]) -> Result<(), String> {
    let costs = Costs::read()?;
    let of = |engine| Candidate::new(RUST, engine, Sizes { workers: Some(2), ..Sizes::default() });
    let candidates = [of(Engine::ThreadPool), of(Engine::Rayon)];
    let entries: Vec<_> = candidates.iter().map(engines::fixed).collect();
    let task = Task { compute: 2000.0, ..Task::NOTHING };
    let truth = |_: &Candidate| says(&task, &candidates[0]);
    let found: Vec<Found> = (0..options.sessions(100))
        .map(|number| {
            let seed = options.seed.wrapping_add(number);
            let kind = &kinds[(number % kinds.len() as u64) as usize];
            session(&task, &entries, &truth, &costs, kind.begin(seed), seed)
        })
        .collect();
    let seconds: Vec<f64> = found.iter().map(|one| one.seconds).collect();
    let worse = found.iter().filter(|one| one.worse > 0).count();
    let header = ["two equals", "one called worse (95 % interval)", "sure", "nothing named", "median s", "p90 s"];
    show(
        &header,
        &[vec![
            format!("{} sessions", found.len()),
            share_with_interval(worse, found.len()),
            share(found.iter().filter(|one| one.is_sure).count(), found.len()),
            found.iter().filter(|one| one.named.is_none()).count().to_string(),
            format!("{:.1}", quantile(&seconds, 0.5)),
            format!("{:.1}", quantile(&seconds, 0.9)),
        ]],
    );
    Ok(())
}
