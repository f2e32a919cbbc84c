//! How often a session's answer is right, and what it takes, beside rules of thumb.
//!
//! Sessions come in pairs: the same workload and kind of noise, other seeds.

use conbench::internal::candidate::{Candidate, RUST};
use conbench::record::Record;

use crate::cases::{Case, cases};
use crate::costs::Costs;
use crate::noise::Kind;
use crate::options::Options;
use crate::rules::RULES;
use crate::show::{percent, quantile, say, share, show};
use crate::simulate::{Found, session};
use crate::tally::{HEADER, Session, row};

/// Runs so many sessions, one and another half of them of each pair.
pub(crate) fn accuracy(options: &Options, kinds: &[Kind]) -> Result<(), String> {
    let costs = Costs::read()?;
    let cases = cases(&options.filter);
    if cases.is_empty() {
        return Err("there is no such workload".to_owned());
    }
    let mut sessions: Vec<(usize, usize, Session)> = Vec::new();
    for pair in 0..options.sessions(126).div_ceil(2) {
        let at = (pair % cases.len() as u64) as usize;
        // Each workload meets each kind of noise.
        let kind = ((pair / cases.len() as u64 * 5 + at as u64) % kinds.len() as u64) as usize;
        for second in 0..2 {
            let seed = options.seed.wrapping_add(2 * pair + second);
            let case = &cases[at];
            let truth = |one: &Candidate| case.truth(one);
            let found = session(&case.task, &case.entries, &truth, &costs, kinds[kind].begin(seed), seed);
            if options.each {
                tell(case, &kinds[kind], seed, &found);
            }
            if options.looks {
                tell_looks(case, &found.record);
            }
            sessions.push((at, kind, judged(case, found)));
        }
    }
    let rows_of = |is_wanted: &dyn Fn(usize, usize) -> bool| -> Vec<&Session> {
        sessions.iter().filter(|(case, kind, _)| is_wanted(*case, *kind)).map(|(.., session)| session).collect()
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        rows.push(row(title(case), &rows_of(&|one, _| one == at)));
    }
    show(&HEADER, &rows);
    let rows: Vec<Vec<String>> =
        kinds.iter().enumerate().map(|(at, kind)| row(kind.name.clone(), &rows_of(&|_, one| one == at))).collect();
    show(&HEADER, &rows);
    show(
        &HEADER,
        &[
            row("native".to_owned(), &rows_of(&|case, _| cases[case].runtime == RUST)),
            row("CPython".to_owned(), &rows_of(&|case, _| cases[case].runtime != RUST)),
            row("all".to_owned(), &rows_of(&|_, _| true)),
        ],
    );
    show(&["rule of thumb", "right within 5 %", "median loss", "worst loss", "worst at"], &rules(&cases));
    Ok(())
}

fn title(case: &Case) -> String {
    let short = |one: Option<&Candidate>| one.map_or_else(String::new, Candidate::short);
    let theory = if case.agrees_with_theory() { "" } else { " [NOT AS THEORY SAYS]" };
    format!("{}: best {}, simplest {}{theory}", case.name, short(case.best()), short(case.simplest(0.05)))
}

fn judged(case: &Case, found: Found) -> Session {
    let loss = found.named.as_ref().map(|named| case.loss(named));
    Session { named: found.named, loss, may_cost: found.may_cost, is_sure: found.is_sure, seconds: found.seconds }
}

fn tell(case: &Case, kind: &Kind, seed: u64, found: &Found) {
    let named = found.named.as_ref().map_or_else(|| "nothing".to_owned(), Candidate::short);
    let loss = found.named.as_ref().map_or(f64::NAN, |named| case.loss(named));
    let verdict = match () {
        () if loss > found.may_cost + 1e-9 => "DISHONEST ",
        () if loss > 0.05 => "wrong ",
        () => "",
    };
    let starts: usize = found.record.candidates.iter().map(|one| one.lives.len()).sum();
    say(&format!(
        "{seed} {}, {}: {verdict}{named}, loses {}, may cost {}, {:.1} s, {:?}, {} rounds, {starts} starts",
        case.name,
        kind.name,
        percent(loss),
        percent(found.may_cost),
        found.seconds,
        found.record.ending,
        found.record.rounds.len(),
    ));
}

/// What each look found, and what the blocks before it took.
fn tell_looks(case: &Case, record: &Record) {
    let candidates = &record.candidates;
    for look in record.races.iter().flat_map(|race| &race.looks) {
        let named = look.named.and_then(|one| candidates.get(one as usize)).map(|one| &one.candidate);
        let name = named.map_or_else(|| "nothing".to_owned(), Candidate::short);
        let blocks = candidates.iter().flat_map(|one| one.blocks.iter().map(move |block| (&one.candidate, block)));
        let of_round: Vec<String> = blocks
            .filter(|(_, block)| block.round == Some(look.round))
            .map(|(one, block)| format!("{} {:.0} ms", one.short(), block.figures.elapsed_ns as f64 / 1e6))
            .collect();
        say(&format!(
            "    {:.1} s: {name}, loses {}, may cost {} after {}",
            look.elapsed_ns as f64 / 1e9,
            percent(named.map_or(f64::NAN, |named| case.loss(named))),
            percent(look.may_cost.unwrap_or(f64::NAN)),
            of_round.join(", "),
        ));
    }
}

/// What rules of thumb lose on the same workloads.
fn rules(cases: &[Case]) -> Vec<Vec<String>> {
    let of_rule = |rule: &crate::rules::Rule| {
        let losses: Vec<f64> = cases.iter().map(|case| case.loss(&(rule.names)(case))).collect();
        let worst = cases.iter().zip(&losses).max_by(|a, b| a.1.total_cmp(b.1));
        vec![
            rule.name.to_owned(),
            share(losses.iter().filter(|loss| **loss <= 0.05).count(), losses.len()),
            percent(quantile(&losses, 0.5)),
            worst.map_or_else(String::new, |(_, loss)| percent(*loss)),
            worst.map_or_else(String::new, |(case, _)| format!("{}: {}", case.name, (rule.names)(case).short())),
        ]
    };
    RULES.iter().map(of_rule).collect()
}
