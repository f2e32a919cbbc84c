//! Races of two real agents of the same candidate: equals, and one with 5 % more work.
//!
//!     cargo bench --bench race -- live-aa         # 100 sessions, some ten minutes on an idle machine
//!     cargo bench --bench race -- live-plus5

use std::collections::BTreeMap;

use conbench::candidate::{Candidate, Engine, RUST, Sizes};
use conbench::clock::now_ns;
use conbench::plan::Entry;
use conbench::protocol::{Job, StepJob};
use conbench::race::{Next, Outcome, Race};
use conbench::workload::Kernel;

use crate::arms::{Arm, Stable, job, wait};
use crate::engines;
use crate::named::{Named, named, rules};
use crate::options::Options;
use crate::show::{percent, quantile, say, share, share_with_interval, show};

const MS: u64 = 1_000_000;
const WINDOW_NS: u64 = 10 * MS;
const BUDGET_S: f64 = 20.0;
/// How much more work the slower one has.
const MORE: f64 = 1.05;

/// Two names of one thing: the race takes them for two engines, the agents of both are those of the first.
fn names() -> [Candidate; 2] {
    let of = |engine| Candidate::new(RUST, engine, Sizes { workers: Some(2), ..Sizes::default() });
    [of(Engine::ThreadPool), of(Engine::Rayon)]
}

/// The steps, as they are and with 5 % more work.
fn tasks(stable: &mut Stable) -> Result<Vec<(&'static str, StepJob, StepJob)>, String> {
    let of = |kernel, stable: &mut Stable| -> Result<(StepJob, StepJob), String> {
        Ok((stable.cpu(RUST, kernel, 1e6)?, stable.cpu(RUST, kernel, MORE * 1e6)?))
    };
    let (plain_loop, longer_loop) = of(Kernel::Loop, stable)?;
    let (plain_json, longer_json) = of(Kernel::Json, stable)?;
    let longer_wait = wait((MORE * 2.0 * MS as f64) as u64);
    Ok(vec![
        ("cpu loop 1 ms", plain_loop, longer_loop),
        ("wait 2 ms", wait(2 * MS), longer_wait),
        ("cpu json 1 ms", plain_json, longer_json),
    ])
}

/// Runs 100 sessions unless told otherwise; of equals, or with one that is slower.
pub(crate) fn pairs(options: &Options, is_slower: bool) -> Result<(), String> {
    let sessions = options.sessions.unwrap_or(100);
    let mut stable = Stable::open()?;
    let tasks = tasks(&mut stable)?;
    let (mut worse, mut right, mut tied, mut inverted) = (0, 0, 0, 0);
    let mut seconds = Vec::new();
    for number in 0..sessions {
        let (name, plain, longer) = &tasks[(number % tasks.len() as u64) as usize];
        let second = if is_slower { longer } else { plain };
        // Which of the names is the slower one, in turn.
        let swap = (number / tasks.len() as u64) % 2 == 1;
        let steps = if swap { [second, plain] } else { [plain, second] };
        let (named, candidates, elapsed_s) = session(&mut stable, options, steps, options.seed.wrapping_add(number))?;
        let slow = candidates.iter().position(|one| *one == names()[usize::from(!swap)]);
        let is_tied = !named.ties.is_empty();
        let slow_is_worse = slow.is_some_and(|slow| named.worse.contains(&slow));
        worse += usize::from(!named.worse.is_empty());
        tied += usize::from(is_tied);
        right += usize::from(slow_is_worse || (named.best.is_some() && named.best != slow && !is_tied));
        inverted += usize::from(!named.worse.is_empty() && !slow_is_worse);
        seconds.push(elapsed_s);
        if options.each {
            say(&format!("{number} {name}: {elapsed_s:.1} s, {named:?}"));
        }
    }
    let all = seconds.len();
    let (what, count) = if is_slower { ("5 % more work: found", right) } else { ("equals: one called worse", worse) };
    let row = vec![
        all.to_string(),
        share_with_interval(count, all),
        share(tied, all),
        if is_slower { share(inverted, all) } else { "-".to_owned() },
        format!("{:.1}", quantile(&seconds, 0.5)),
        format!("{:.1}", quantile(&seconds, 0.9)),
        percent(options.margin),
    ];
    let header = ["sessions", what, "tied", "called the better one", "time, median s", "time, p90 s", "margin"];
    show(&header, &[row]);
    Ok(())
}

/// One race of two agents; what it names, its candidates, and its seconds.
fn session(
    stable: &mut Stable,
    options: &Options,
    steps: [&StepJob; 2],
    seed: u64,
) -> Result<(Named, Vec<Candidate>, f64), String> {
    let names = names();
    let jobs: Vec<Job> = steps.iter().map(|step| job(names[0].clone(), vec![(*step).clone()])).collect();
    let entries: Vec<Entry> = names.iter().map(engines::fixed).collect();
    let mut race = Race::new(&entries, rules(options.margin, options.budget_ns(BUDGET_S), seed));
    let mut arms: BTreeMap<usize, Arm> = BTreeMap::new();
    let begin_ns = now_ns();
    let ending = loop {
        let plan = match race.next(now_ns() - begin_ns) {
            Next::Round(plan) => plan,
            Next::Over(ending) => break ending,
        };
        for turn in &plan.turns {
            if turn.anew || !arms.contains_key(&turn.candidate) {
                let which = usize::from(race.candidates()[turn.candidate] == names[1]);
                arms.remove(&turn.candidate);
                arms.insert(turn.candidate, stable.arm(&jobs[which])?);
            }
            let arm = arms.get_mut(&turn.candidate).ok_or("an agent is missing")?;
            let score = arm.rate(WINDOW_NS)?.ln();
            race.feed(turn.candidate, Outcome::Score(score));
        }
        for one in race.retired() {
            arms.remove(&one);
        }
    };
    let elapsed_s = (now_ns() - begin_ns) as f64 / 1e9;
    Ok((named(&race, ending), race.candidates().to_vec(), elapsed_s))
}
