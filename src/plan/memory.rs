//! Whether the agents that are resident together have room in memory; if not, fewer sizes are tried.

use super::caps::{self, RESIDENT};
use super::{Entry, LeftOut, ladder};
use crate::candidate::{Engine, Model};
use crate::host::Facts;
use crate::units;
use crate::workload::Workload;

/// Takes sizes from the ladders of one runtime's entries until what meets in the final has room: each engine with at
/// most [`RESIDENT`] sizes, each a resident agent with its workers. Every ladder keeps one size at least. What is
/// taken is told, with its reason.
pub(super) fn fit(entries: &mut [Entry], workload: &Workload, facts: &Facts, left_out: &mut Vec<LeftOut>) {
    let available = caps::memory_bytes(facts);
    let needed = needed_bytes(entries, workload);
    if needed <= available {
        return;
    }
    let thinned = |rungs: usize| entries.iter().map(|entry| thin(entry, rungs)).collect::<Vec<Entry>>();
    let fits = |those: &Vec<Entry>| needed_bytes(those, workload) <= available;
    let kept = (2..RESIDENT).rev().map(thinned).find(fits).unwrap_or_else(|| thinned(1));
    let reason = format!(
        "the agents of all sizes that meet in the final need about {} of memory, and {} are available; name fewer `--engines`",
        units::bytes(needed),
        units::bytes(available)
    );
    for (entry, kept) in entries.iter_mut().zip(kept) {
        for (axis, before, after) in
            [("in flight", &entry.in_flight, &kept.in_flight), ("workers", &entry.workers, &kept.workers)]
        {
            let taken: Vec<String> =
                before.iter().filter(|size| !after.contains(size)).map(ToString::to_string).collect();
            if !taken.is_empty() {
                let what = format!("{}/{}, {axis} {}", entry.runtime, entry.engine, taken.join(", "));
                left_out.push(LeftOut { what, reason: reason.clone() });
            }
        }
        *entry = kept;
    }
}

/// Memory of all agents that may be resident together, at their largest.
fn needed_bytes(entries: &[Entry], workload: &Workload) -> u64 {
    entries.iter().map(|entry| entry_bytes(entry, workload)).fold(0, u64::saturating_add)
}

fn entry_bytes(entry: &Entry, workload: &Workload) -> u64 {
    let steps = |ladder: &[u32]| ladder.len().saturating_sub(1);
    let agents = (1 + steps(&entry.in_flight) + steps(&entry.workers) + steps(&entry.chunk)).min(RESIDENT) as u64;
    let workers = match workers_ladder(entry) {
        Some(ladder) => {
            let largest: u64 = ladder.iter().rev().take(RESIDENT).copied().map(u64::from).sum();
            // Where another axis is compared, each agent has the default number.
            largest.max(entry.default_sizes.workers.map_or(0, u64::from).saturating_mul(agents))
        }
        None => 0,
    };
    let in_agents = agents.saturating_mul(caps::agent_bytes(entry.engine, workload));
    in_agents.saturating_add(workers.saturating_mul(caps::worker_bytes(entry.engine, workload)))
}

/// The ladder of this entry's workers with memory of their own, if it has any.
fn workers_ladder(entry: &Entry) -> Option<&[u32]> {
    match (entry.engine.model(), entry.engine) {
        (_, Engine::ProcessPerTask | Engine::Process) => Some(&entry.in_flight),
        (Model::Interpreters, _) => Some(&entry.workers),
        (_, engine) => engine.has_worker_processes().then_some(&entry.workers),
    }
}

/// The entry with at most so many sizes on each ladder of workers and tasks in flight.
fn thin(entry: &Entry, rungs: usize) -> Entry {
    let mut entry = entry.clone();
    let default = &mut entry.default_sizes;
    for (ladder, default) in
        [(&mut entry.in_flight, &mut default.in_flight), (&mut entry.workers, &mut default.workers)]
    {
        *ladder = spread(ladder, rungs, *default);
        *default = default.and_then(|size| ladder::nearest(ladder, size));
    }
    entry
}

/// So many sizes of a ladder, from its first to its last; a single one is the default.
fn spread(ladder: &[u32], rungs: usize, default: Option<u32>) -> Vec<u32> {
    if ladder.len() <= rungs {
        return ladder.to_vec();
    }
    if rungs < 2 {
        return default.or(ladder.last().copied()).into_iter().collect();
    }
    let last = ladder.len() - 1;
    (0..rungs).filter_map(|rung| ladder.get((rung * last).div_ceil(rungs - 1))).copied().collect()
}
