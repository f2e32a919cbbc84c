//! Sessions of the real program with two equal candidates: how often one is called worse.

use conbench::internal::analyze::{Status, Sureness};
use serde::{Deserialize, Serialize};

use crate::lines::{append, read};
use crate::live::{Told, recommend};
use crate::load::Load;
use crate::options::Options;
use crate::show::{quantile, share, share_with_interval, show};
use crate::workloads::LIVE;

/// Two pools of two threads on two cores, for tasks that only compute: no theory knows a difference.
const EQUALS: [&str; 4] = ["--engines", "thread-pool,rayon", "--workers", "2"];

/// What one session said; one line of the file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    seed: u64,
    /// Whether one of the two was called worse.
    worse: bool,
    is_sure: bool,
    is_named: bool,
    seconds: f64,
}

/// Runs so many sessions, 100 unless told otherwise; those that are in the file of results already are not run again.
pub(crate) fn equals(options: &Options) -> Result<(), String> {
    let path = options.file()?;
    let live = LIVE.iter().find(|live| live.name == "cpu-2ms").ok_or("there is no such workload")?;
    let mut said: Vec<Said> = read(&path)?;
    let _load = Load::start(options.is_loaded)?;
    for number in 0..options.sessions.unwrap_or(100) {
        let seed = options.seed.wrapping_add(number);
        if said.iter().any(|one| one.seed == seed) {
            continue;
        }
        let Told { verdict, seconds, .. } = recommend(live, conbench::internal::candidate::RUST, seed, &EQUALS)?;
        let group = verdict.groups.first().ok_or("a session compared nothing")?;
        let answer = group.answer.as_ref();
        let one = Said {
            seed,
            worse: group.rows.iter().any(|row| row.status == Status::Worse),
            is_sure: answer.is_some_and(|answer| answer.sureness(verdict.tolerance) == Sureness::Sure),
            is_named: answer.is_some(),
            seconds,
        };
        append(&path, &one)?;
        said.push(one);
    }
    let count = |is: fn(&Said) -> bool| said.iter().filter(|one| is(one)).count();
    let seconds: Vec<f64> = said.iter().map(|one| one.seconds).collect();
    show(
        &["two equals, live", "one called worse (95 % interval)", "sure", "nothing named", "median s", "p90 s"],
        &[vec![
            format!("{} sessions", said.len()),
            share_with_interval(count(|one| one.worse), said.len()),
            share(count(|one| one.is_sure), said.len()),
            count(|one| !one.is_named).to_string(),
            format!("{:.1}", quantile(&seconds, 0.5)),
            format!("{:.1}", quantile(&seconds, 0.9)),
        ]],
    );
    Ok(())
}
