//! One runtime after the other, each with a fair share of what is left; then those who lead, side by side.

use super::runner::{Allotment, Runner, Stop};
use super::sweep;
use super::trial::{alternates, small};
use crate::candidate::{ClusterLimits, StartMethod};
use crate::decide::{Decide, Meeting, RULES_VERSION, Rules};
use crate::plan::{Call, Entry, with_one_for_each_model, with_one_thread, with_short_chunks};
use crate::protocol::Failed;
use crate::record::{Ending, RaceRecord};
use crate::workload::Goal;

/// The part of the budget, and of the calls, that is kept for the comparison of the runtimes.
const MEETING_PART: f64 = 0.06;
/// A race has one of so many parts of its budget at least, however long it took to prepare it and to try its engines:
/// without a race there is no answer.
const LEAST_PART: u64 = 2;

/// One runtime's part of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct RuntimePlan {
    /// Its name.
    pub name: String,
    /// The language of its tasks, if its agent said.
    pub language: Option<String>,
    /// Its entries of the plan.
    pub entries: Vec<Entry>,
    /// Other ways to begin processes that may be tried where its default fails, after that.
    pub methods: Vec<StartMethod>,
    /// Whether its threads share a global interpreter lock.
    pub has_lock: bool,
    /// How many threads the libraries of a task compute with by themselves, where they are raced with one, too.
    pub library_threads: Option<u32>,
    /// What the cluster can do that takes part under it.
    pub cluster: Option<ClusterLimits>,
    /// What a call of the user's own code takes, where chunks are as long as conbench chooses.
    pub call: Option<Call>,
    /// Why none of its candidates can run.
    pub broken: Option<Failed>,
}

/// What the races of a session have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Of each race; its budget is that of the whole session.
    pub rules: Rules,
    /// Whether tasks of different languages do equal work: no step has a time that is calibrated.
    pub is_equal_work: bool,
}

/// Who led in a runtime's race: indices into the record's candidates.
struct Leaders<'a> {
    runtime_plan: &'a RuntimePlan,
    candidates: Vec<usize>,
}

/// Races each runtime, then compares those that lead. Returns the worst end of them.
pub(super) fn run(runner: &mut Runner<'_>, runtime_plans: &[RuntimePlan], terms: &Terms) -> Ending {
    let mut ending = Ending::NoCandidate;
    for runtime_plan in runtime_plans {
        if let Some(failed) = &runtime_plan.broken {
            runner.refuse_all(&runtime_plan.entries, failed);
        }
    }
    let sound: Vec<&RuntimePlan> = runtime_plans.iter().filter(|runtime_plan| runtime_plan.broken.is_none()).collect();
    let meets = may_meet(runner, &sound, terms);
    let kept = if meets { MEETING_PART } else { 0.0 };
    let least_ns = terms.rules.budget_ns / LEAST_PART / sound.len().max(1) as u64;
    let mut leaders = Vec::new();
    for (done, runtime_plan) in sound.iter().enumerate() {
        let allotment = share(runner, terms.rules.budget_ns, kept, (sound.len() - done) as u64);
        runner.begin(allotment);
        let sweep_ns = terms.rules.budget_ns / sweep::PART / sound.len() as u64;
        let (end, candidates) = race(runner, runtime_plan, terms, allotment, least_ns, sweep_ns);
        ending = worse(ending, end);
        if end == Ending::Interrupted {
            return ending;
        }
        leaders.push(Leaders { runtime_plan, candidates });
    }
    let present = present(&leaders, terms);
    if !meets || present.is_empty() {
        return ending;
    }
    let allotment = last(runner, terms.rules.budget_ns, kept);
    runner.begin(allotment);
    // Where it is cut short, the races were decided all the same.
    match runner.meet(&mut Meeting::new(present, allotment.deadline_ns, terms.rules.seed)) {
        Ending::Interrupted => Ending::Interrupted,
        _ => ending,
    }
}

/// Tries and races the entries of one runtime, for `least_ns` however long it took to try them; where that was decided,
/// sees for `sweep_ns` at most how the answer changes with the task. Returns how it ended, and who leads.
fn race(
    runner: &mut Runner<'_>,
    runtime_plan: &RuntimePlan,
    terms: &Terms,
    allotment: Allotment,
    least_ns: u64,
    sweep_ns: u64,
) -> (Ending, Vec<usize>) {
    let stopped = |stop: Stop| match stop {
        Stop::Interrupted => (Ending::Interrupted, Vec::new()),
        Stop::BudgetSpent => (Ending::BudgetSpent, Vec::new()),
        Stop::CallsSpent => (Ending::CallsSpent, Vec::new()),
    };
    let has_code = runner.record.workload.steps.iter().any(|step| step.python().is_some());
    let is_doubled = runtime_plan.library_threads.is_some();
    let entries =
        if is_doubled { runner.with_one_for_each_model(&runtime_plan.entries) } else { runtime_plan.entries.clone() };
    let tried = if has_code { runner.try_out(&entries, &runtime_plan.methods) } else { Ok(entries) };
    let entries = match tried {
        Ok(entries) => entries,
        Err(stop) => return stopped(stop),
    };
    let entries = match runtime_plan.call {
        Some(call) => with_short_chunks(entries, call, runner.record.workload.load),
        None => entries,
    };
    // What runs with many threads runs with one.
    let entries = if is_doubled { with_one_thread(&entries) } else { entries };
    let alternates = if has_code { alternates(&entries, &runtime_plan.methods) } else { Vec::new() };
    let raced = allotment.with_time(least_ns, runner);
    runner.begin(raced);
    let rules = Rules {
        deadline_ns: raced.deadline_ns,
        budget_ns: raced.deadline_ns.saturating_sub(runner.spent_ns()),
        has_lock: runtime_plan.has_lock,
        library_threads: runtime_plan.library_threads,
        cluster: runtime_plan.cluster,
        turns: runner.pace.turns,
        ..terms.rules
    };
    let first_candidate = u32::try_from(runner.record.candidates.len()).unwrap_or(u32::MAX);
    runner.record.races.push(RaceRecord {
        runtime: runtime_plan.name.clone(),
        rules_version: RULES_VERSION,
        rules,
        entries: entries.clone(),
        alternates: alternates.clone(),
        first_candidate,
        looks: Vec::new(),
        ending: Ending::Running,
    });
    let mut race = Decide::new(&entries, &alternates, rules);
    let (ending, base) = runner.run(&mut race);
    if let Some(race) = runner.record.races.last_mut() {
        race.ending = ending;
    }
    let Some(found) = race.finding() else { return (ending, Vec::new()) };
    let leaders = vec![base + found.named];
    let pair = sweep::pair(&found, &race.candidates(), base).filter(|_| runner.record.settings.sweeps);
    if let (Ending::Decided, Some(pair)) = (ending, pair) {
        let deadline_ns = allotment.deadline_ns.min(runner.spent_ns().saturating_add(sweep_ns));
        if runner.sweep(pair, deadline_ns).is_err() {
            return (Ending::Interrupted, leaders);
        }
    }
    (ending, leaders)
}

impl Allotment {
    /// With so much time from now on at least.
    fn with_time(self, least_ns: u64, runner: &Runner<'_>) -> Allotment {
        let deadline_ns = self.deadline_ns.max(runner.spent_ns() + least_ns);
        Allotment { deadline_ns, budget_ns: self.budget_ns.max(least_ns), ..self }
    }
}

/// A fair share of what is left for the next of so many races.
fn share(runner: &Runner<'_>, budget_ns: u64, kept: f64, races: u64) -> Allotment {
    let spent_ns = runner.spent_ns();
    let races = races.max(1);
    let for_races = budget_ns - (budget_ns as f64 * kept) as u64;
    let share_ns = for_races.saturating_sub(spent_ns) / races;
    let most_calls = match runner.record.workload.max_calls {
        None => u64::MAX,
        Some(most) => {
            let left = (most - (most as f64 * kept) as u64).saturating_sub(runner.calls);
            runner.calls + left / races
        }
    };
    Allotment { deadline_ns: spent_ns + share_ns, budget_ns: share_ns, most_calls }
}

/// What is left for the comparison of the runtimes: all of it, since it ends by itself, and what was kept for it even
/// where races took longer.
fn last(runner: &Runner<'_>, budget_ns: u64, kept: f64) -> Allotment {
    let spent_ns = runner.spent_ns();
    let deadline_ns = budget_ns.max(spent_ns + (budget_ns as f64 * kept) as u64);
    let most_calls = runner.record.workload.max_calls.unwrap_or(u64::MAX);
    Allotment { deadline_ns, budget_ns: deadline_ns - spent_ns, most_calls }
}

/// Whether two of these runtimes may be compared by their blocks.
fn may_meet(runner: &Runner<'_>, runtime_plans: &[&RuntimePlan], terms: &Terms) -> bool {
    // Memory and the tail of times are taken over all blocks, not in pairs.
    let is_paired = matches!(runner.record.workload.objective.goal, Goal::Throughput | Goal::CpuPerTask);
    let has_partner =
        |one: &RuntimePlan, rest: &[&RuntimePlan]| rest.iter().any(|other| is_comparable(one, other, terms));
    is_paired && (0..runtime_plans.len()).any(|one| has_partner(runtime_plans[one], &runtime_plans[one + 1..]))
}

/// Whether two runtimes do equal work.
fn is_comparable(one: &RuntimePlan, other: &RuntimePlan, terms: &Terms) -> bool {
    terms.is_equal_work || (one.language.is_some() && one.language == other.language)
}

/// Those who lead in a runtime that can be compared with another one's.
fn present(leaders: &[Leaders<'_>], terms: &Terms) -> Vec<usize> {
    let has_partner = |one: &&Leaders<'_>| {
        leaders.iter().any(|other| {
            other.runtime_plan.name != one.runtime_plan.name
                && !other.candidates.is_empty()
                && is_comparable(one.runtime_plan, other.runtime_plan, terms)
        })
    };
    leaders.iter().filter(has_partner).flat_map(|one| one.candidates.iter().copied()).collect()
}

/// The worse of two ends. That one runtime had nothing to race does not end a session.
fn worse(one: Ending, other: Ending) -> Ending {
    let rank = |ending: Ending| match ending {
        Ending::Running | Ending::NoCandidate => 0,
        Ending::Decided => 1,
        Ending::BudgetSpent => 2,
        Ending::CallsSpent => 3,
        Ending::Interrupted => 4,
    };
    if rank(other) > rank(one) { other } else { one }
}

impl Runner<'_> {
    /// These entries, of which one engine of each model races with the threads that libraries take by themselves; says what
    /// is left out so.
    fn with_one_for_each_model(&mut self, entries: &[Entry]) -> Vec<Entry> {
        let (entries, left_out) = with_one_for_each_model(entries);
        self.record.plan.left_out.extend(left_out);
        entries
    }

    /// Gives all of these entries their place in the record with what each would say, which is told once.
    fn refuse_all(&mut self, entries: &[Entry], failed: &Failed) {
        for (number, entry) in entries.iter().enumerate() {
            self.refuse(small(entry), failed.clone());
            if number == 0 {
                self.tell_failure();
            }
        }
    }
}

#[cfg(test)]
#[path = "runtimes_tests.rs"]
mod tests;
