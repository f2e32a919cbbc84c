//! The real program on real workloads, beside the key.
//!
//!     cargo bench --bench race -- live --sessions 100

use conbench::analyze::{Group, analyze};
use conbench::race::implied_rounds;
use conbench::record::{Phase, Record};

use crate::accuracy::{Answer, HEADER, Judged, NEAR, row};
use crate::live_key::{self, Ground, Key, ROUNDS_OF_BEST};
use crate::live_workloads::{LIVE, Live};
use crate::options::Options;
use crate::show::{percent, quantile, say, share, show};

/// The budget of a session.
const BUDGET_S: f64 = 55.0;

/// Runs the workloads in turn, 100 sessions unless told otherwise.
pub(crate) fn live(options: &Options) -> Result<(), String> {
    let mut key = live_key::read()?;
    let chosen: Vec<&Live> = LIVE
        .iter()
        .filter(|live| live.name.contains(&options.filter))
        .filter(|live| key.get(live.name).is_some_and(|known| known.file == live.file()))
        .collect();
    if chosen.is_empty() {
        return Err("the key has none of these workloads: run `key` first".to_owned());
    }
    let (mut judged, mut paces) = (Vec::new(), Vec::new());
    for number in 0..options.sessions.unwrap_or(100) {
        let case = (number % chosen.len() as u64) as usize;
        let (session, pace) = session(options, &mut key, chosen[case], case)?;
        judged.push(session);
        paces.extend(pace);
    }
    let of = |case: usize| judged.iter().filter(|one| one.case == case).collect::<Vec<_>>();
    let mut rows: Vec<Vec<String>> =
        chosen.iter().enumerate().map(|(case, live)| row(live.name.to_owned(), &of(case))).collect();
    rows.push(row("all".to_owned(), &judged.iter().collect::<Vec<_>>()));
    show(&HEADER, &rows);
    let deviations: Vec<f64> = paces.iter().map(|pace| pace.deviation).collect();
    say(&format!(
        "{} sessions ran at most 1.5 x the rounds that their deviation implies, taken as {LOOKS_ROUNDS} where it implies \
         fewer (deviation {} in the median, {} at p90)",
        share(paces.iter().filter(|pace| pace.is_met()).count(), paces.len()),
        percent(quantile(&deviations, 0.5)),
        percent(quantile(&deviations, 0.9)),
    ));
    Ok(())
}

/// No race is shorter than three looks.
const LOOKS_ROUNDS: f64 = 10.0;

/// How many rounds a final ran, beside what its noise asks for.
struct Pace {
    deviation: f64,
    implied: f64,
    rounds: f64,
}

impl Pace {
    fn of(record: &Record, group: &Group) -> Option<Pace> {
        let deviation = group.deviation?;
        let finals = record.rounds.iter().filter(|round| round.phase == Phase::Final && !round.voided);
        Some(Pace { deviation, implied: implied_rounds(deviation, group.margin), rounds: finals.count() as f64 })
    }

    fn is_met(&self) -> bool {
        self.rounds <= 1.5 * self.implied.max(LOOKS_ROUNDS)
    }
}

fn session(options: &Options, key: &mut Key, live: &Live, case: usize) -> Result<(Judged, Option<Pace>), String> {
    let budget = format!("{}ms", options.budget_ns(BUDGET_S) / 1_000_000);
    let runtime = live_key::runtime(live, &crate::arms::Stable::open()?)?;
    let record = live_key::session(live, &runtime, "recommend", &budget)?;
    let verdict = analyze(&record);
    let group = verdict.groups.first();
    let pace = group.and_then(|group| Pace::of(&record, group));
    let best = group.and_then(|group| group.answer.best);
    let best = best.and_then(|best| record.candidates.get(best as usize)).map(|one| one.candidate.clone());
    let known = key.get_mut(live.name).ok_or("the key lost a workload")?;
    let (mut answer, mut loss) = (Answer::Unresolved, f64::NAN);
    if let Some(best) = &best {
        if known.loss(&best.short()).is_none() {
            // Sizes that no axis alone has: measured now, beside the key's best.
            say(&format!("{}: {} is measured for the key", live.name, best.short()));
            let more = Ground::survey(live)?.measure(std::slice::from_ref(best), ROUNDS_OF_BEST, options.seed)?;
            known.candidates.extend(more);
            let changed = key.clone();
            live_key::write(&changed)?;
        }
        loss = key.get(live.name).and_then(|known| known.loss(&best.short())).unwrap_or(f64::NAN);
        answer = if loss <= NEAR { Answer::Right } else { Answer::Wrong };
    }
    let seconds = record.elapsed_ns as f64 / 1e9;
    if options.each {
        let name = best.map_or_else(|| "nobody".to_owned(), |one| one.short());
        say(&format!(
            "{}: {answer:?} {name} ({} lost), {seconds:.1} s, {:?}, {}",
            live.name,
            percent(loss),
            record.ending,
            pace.as_ref().map_or_else(String::new, |pace| format!(
                "{} of {:.1} rounds at {}",
                pace.rounds,
                pace.implied,
                percent(pace.deviation)
            )),
        ));
    }
    let exhaustive = key.get(live.name).map_or(f64::NAN, |known| known.seconds);
    let search_seconds = search_seconds(&record);
    let of_exhaustive = seconds / exhaustive;
    Ok((Judged { case, kind: 0, answer, seconds, search_seconds, of_exhaustive, loss }, pace))
}

/// When the last block of the search ended.
fn search_seconds(record: &Record) -> f64 {
    let is_search = |round: Option<u32>| {
        let round = round.and_then(|round| record.rounds.get(round as usize));
        round.is_some_and(|round| round.phase == Phase::Search)
    };
    let blocks = record.candidates.iter().flat_map(|one| &one.blocks).filter(|block| is_search(block.round));
    blocks.map(|block| block.at_ns + block.figures.elapsed_ns).max().unwrap_or(0) as f64 / 1e9
}
