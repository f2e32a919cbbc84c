//! How often a race names the right one, beside rules of thumb.

use crate::engines;
use crate::key::{Case, cases};
use crate::noise::Kind;
use crate::options::Options;
use crate::rules::RULES;
use crate::show::{percent, quantile, say, share, share_with_interval, show};
use crate::simulate::{Run, Session, exhaustive_ns, run};

/// What is named is right when it does so much of the best's throughput at least.
pub(crate) const NEAR: f64 = 0.05;
/// The budget of a session, as `recommend` has it for one runtime.
const BUDGET_S: f64 = 55.0;

/// What a session said, beside the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Right,
    Wrong,
    Unresolved,
}

/// A session that was judged.
pub(crate) struct Judged {
    pub(crate) case: usize,
    pub(crate) kind: usize,
    pub(crate) answer: Answer,
    pub(crate) seconds: f64,
    pub(crate) search_seconds: f64,
    /// The time as a share of what all rungs of all engines would take.
    pub(crate) of_exhaustive: f64,
    /// What is lost by what was named, or by the leader where nothing was.
    pub(crate) loss: f64,
}

/// Runs the key's workloads under all kinds of noise, 400 sessions unless told otherwise.
pub(crate) fn accuracy(options: &Options, kinds: &[Kind]) {
    let cases = cases(&options.filter);
    if cases.is_empty() || kinds.is_empty() {
        return say("no workload, or no noise");
    }
    let sessions = options.sessions.unwrap_or(400);
    let judged: Vec<Judged> = (0..sessions).map(|number| session(options, &cases, kinds, number)).collect();
    show(&HEADER, &by_case(&cases, &judged));
    show(&HEADER, &by_kind(kinds, &judged));
    show(&["rule of thumb", "right within 5 %", "median loss", "worst loss", "worst at"], &rules(&cases));
}

pub(crate) const HEADER: [&str; 10] = [
    "workload",
    "sessions",
    "right (95 % interval)",
    "wrong",
    "unresolved",
    "time, median s",
    "time, p90 s",
    "search, median s",
    "of exhaustive",
    "worst loss",
];

fn session(options: &Options, cases: &[Case], kinds: &[Kind], number: u64) -> Judged {
    let case_index = (number % cases.len() as u64) as usize;
    // Each workload meets each kind of noise.
    let kind_index = ((number / cases.len() as u64 + case_index as u64) % kinds.len() as u64) as usize;
    let (case, kind) = (&cases[case_index], &kinds[kind_index]);
    let seed = options.seed.wrapping_add(number);
    let truth = |one: &_| case.truth(one);
    let session = Session {
        entries: &case.entries,
        margin: options.margin,
        budget_ns: options.budget_ns(BUDGET_S),
        seed,
        truth: &truth,
        alone_ns: 1e3 * case.task.alone(),
    };
    let run = run(&session, &mut kind.begin(options.paired, seed));
    let rungs: Vec<_> = case.entries.iter().flat_map(engines::rungs).collect();
    let exhaustive = exhaustive_ns(&rungs, &session, run.final_rounds.max(1));
    let judged = judge(case, &run);
    if options.each {
        tell(number, case, kind, &run, judged.0);
    }
    Judged {
        case: case_index,
        kind: kind_index,
        answer: judged.0,
        seconds: run.elapsed_ns as f64 / 1e9,
        search_seconds: run.search_ns as f64 / 1e9,
        of_exhaustive: run.elapsed_ns as f64 / exhaustive,
        loss: judged.1,
    }
}

fn judge(case: &Case, run: &Run) -> (Answer, f64) {
    let loss = |index: usize| case.loss(run.candidate(index));
    match (run.named.best, run.named.leader) {
        (Some(best), _) if loss(best) <= NEAR => (Answer::Right, loss(best)),
        (Some(best), _) => (Answer::Wrong, loss(best)),
        (None, leader) => (Answer::Unresolved, leader.map_or(f64::NAN, loss)),
    }
}

fn tell(number: u64, case: &Case, kind: &Kind, run: &Run, answer: Answer) {
    let named = run.named.best.or(run.named.leader).map(|one| run.candidate(one));
    let name = named.map_or_else(|| "nobody".to_owned(), conbench::candidate::Candidate::short);
    let loss = named.map_or(f64::NAN, |one| case.loss(one));
    say(&format!(
        "{number} {}, {}: {answer:?} {name} ({} lost), confidence {:.2}, {:.1} s, {} rounds of a final, {} starts, {:?}",
        case.name,
        kind.name,
        percent(loss),
        run.named.confidence,
        run.elapsed_ns as f64 / 1e9,
        run.final_rounds,
        run.starts,
        run.ending,
    ));
}

/// The rows of a table like [`HEADER`], of sessions of one kind.
pub(crate) fn row(name: String, judged: &[&Judged]) -> Vec<String> {
    let all = judged.len();
    let count = |answer: Answer| judged.iter().filter(|one| one.answer == answer).count();
    let of = |figure: fn(&Judged) -> f64| -> Vec<f64> { judged.iter().map(|one| figure(one)).collect() };
    let seconds = of(|one| one.seconds);
    vec![
        name,
        all.to_string(),
        share_with_interval(count(Answer::Right), all),
        share(count(Answer::Wrong), all),
        share(count(Answer::Unresolved), all),
        format!("{:.1}", quantile(&seconds, 0.5)),
        format!("{:.1}", quantile(&seconds, 0.9)),
        format!("{:.1}", quantile(&of(|one| one.search_seconds), 0.5)),
        percent(quantile(&of(|one| one.of_exhaustive), 0.5)),
        percent(of(|one| one.loss).into_iter().fold(0.0, f64::max)),
    ]
}

fn by_case(cases: &[Case], judged: &[Judged]) -> Vec<Vec<String>> {
    let of_case = |index: usize, case: &Case| {
        let theory = if case.agrees_with_theory() { "" } else { " [NOT AS THEORY SAYS]" };
        let name = format!("{} -> {}{theory}", case.name, case.winner.short());
        row(name, &judged.iter().filter(|one| one.case == index).collect::<Vec<_>>())
    };
    let mut rows: Vec<Vec<String>> = cases.iter().enumerate().map(|(index, case)| of_case(index, case)).collect();
    rows.push(row("all".to_owned(), &judged.iter().collect::<Vec<_>>()));
    rows
}

fn by_kind(kinds: &[Kind], judged: &[Judged]) -> Vec<Vec<String>> {
    let of_kind = |index: usize, kind: &Kind| {
        row(kind.name.clone(), &judged.iter().filter(|one| one.kind == index).collect::<Vec<_>>())
    };
    kinds.iter().enumerate().map(|(index, kind)| of_kind(index, kind)).collect()
}

/// What rules of thumb lose on the same workloads.
fn rules(cases: &[Case]) -> Vec<Vec<String>> {
    let of_rule = |rule: &crate::rules::Rule| {
        let losses: Vec<f64> = cases.iter().map(|case| case.loss(&(rule.names)(case))).collect();
        let worst = cases.iter().zip(&losses).max_by(|a, b| a.1.total_cmp(b.1));
        vec![
            rule.name.to_owned(),
            share(losses.iter().filter(|loss| **loss <= NEAR).count(), losses.len()),
            percent(quantile(&losses, 0.5)),
            worst.map_or_else(String::new, |(_, loss)| percent(*loss)),
            worst.map_or_else(String::new, |(case, _)| format!("{}: {}", case.name, (rule.names)(case).short())),
        ]
    };
    RULES.iter().map(of_rule).collect()
}
