//! What the user decides: engines that are raced where the user's own code imports what they need, or where the user names
//! them, and how processes begin.

use super::{Entry, Plan};
use crate::candidate::{self, Cluster, Engine, Model, StartMethod};
use crate::workload::{OwnEngine, Rate, Step, Workload};

/// Adds to the entries of a plan those whose engines the user's own code imports under this runtime: simplest model first,
/// and after those that are there already.
pub fn admit(plan: &mut Plan, runtime: &str, imported: &[Engine]) {
    let is_it = |entry: &Entry| entry.runtime == runtime && imported.contains(&entry.engine);
    let (admitted, others) = std::mem::take(&mut plan.if_imported).into_iter().partition::<Vec<Entry>, _>(is_it);
    plan.if_imported = others;
    for entry in admitted {
        let model = entry.engine.model();
        let last = plan.entries.iter().rposition(|other| other.runtime == runtime && other.engine.model() <= model);
        plan.entries.insert(last.map_or(plan.entries.len(), |last| last + 1), entry);
    }
}

/// Has the processes of this runtime begin by the method that the user's own code sets: who named methods gets those.
pub fn begin_by(plan: &mut Plan, runtime: &str, method: StartMethod) {
    let of_runtime = plan.entries.iter_mut().filter(|entry| entry.runtime == runtime);
    for entry in of_runtime.filter(|entry| entry.engine.has_start_method()) {
        entry.start_method = Some(method);
    }
}

/// Puts the fewest tasks in flight that reach a rate on the ladders of this runtime, where a call takes `call_ns`: as many
/// as the whole rate needs, and as what is within the tolerance of it (Little's law).
pub fn reach(plan: &mut Plan, runtime: &str, rate: Rate, call_ns: u64, tolerance: f64) {
    let in_flight = call_ns as f64 / rate.interval_ns() as f64;
    let sizes = [in_flight * (1.0 - tolerance), in_flight].map(|tasks| tasks.ceil() as u32);
    // (Of several loops each has a part of them.)
    let is_it = |entry: &&mut Entry| entry.runtime == runtime && entry.engine.model() != Model::ShardedAsync;
    for entry in plan.entries.iter_mut().filter(is_it) {
        for ladder in [&mut entry.in_flight, &mut entry.workers] {
            // Of one size there is no choice.
            let Some(largest) = ladder.last().copied().filter(|_| ladder.len() > 1) else { continue };
            ladder.extend(sizes.into_iter().filter(|size| (1..largest).contains(size)));
            ladder.sort_unstable();
            ladder.dedup();
        }
    }
}

/// Why joblib has no single worker.
pub(super) const IS_LOOP: &str = "with one job, joblib is a plain loop: the same as sequential";

/// The fewest workers that this engine has.
pub(super) const fn least_workers(engine: Engine) -> u32 {
    if matches!(engine, Engine::JoblibThreading | Engine::JoblibLoky | Engine::JoblibAuto) { 2 } else { 1 }
}

/// The numbers of workers that the workload names for an executor of the user's own.
pub(super) fn workers_of(engine: Engine, workload: &Workload) -> &[u32] {
    let is_it = |own: &&OwnEngine| matches!(engine, Engine::Own(_)) && own.factory == engine.name();
    workload.engines.iter().find(is_it).map_or(&[], |own| &own.workers)
}

/// The one number of workers that this engine can have, whatever it is asked for.
pub(super) const fn only_workers(engine: Engine) -> Option<u32> {
    match engine {
        Engine::Own(own) => own.fixed_workers,
        _ => None,
    }
}

/// Why it has no other number.
pub(super) fn is_fixed(workers: u32) -> String {
    let tasks = candidate::tasks(workers);
    format!("it runs {tasks} at once, however many workers its factory is given")
}

/// Why one of these engines cannot run these steps, if it cannot.
pub(super) fn reason_against(engine: Engine, workload: &Workload, cluster: Option<&Cluster>) -> Option<String> {
    let steps = &workload.steps;
    let mut numbered = steps.iter().zip(1..);
    match engine {
        Engine::JoblibThreading | Engine::JoblibLoky | Engine::JoblibAuto if workload.rate.is_some() => {
            Some("joblib takes several tasks at a time from what it is given, whatever `rate` says".to_owned())
        }
        Engine::Own(own) if own.model == Model::Processes => numbered.find_map(|(step, number)| {
            let kind = step.kind();
            let is_shared = matches!(step, Step::Lock { .. } | Step::Queue { .. } | Step::Event { .. });
            is_shared.then(|| {
                format!("step {number} ({kind}): processes of an executor of your own share no lock, queue or event")
            })
        }),
        Engine::Dask => reason_against_cluster(workload, cluster),
        Engine::Smol => numbered.find_map(|(step, number)| match step {
            Step::Registered(closures) if closures.has_async_task => {
                Some(format!("step {number} ({}) has an `async_task`, which runs on tokio", step.kind()))
            }
            _ => None,
        }),
        Engine::Compio => reason_against_compio(workload),
        Engine::Trio => numbered.find_map(|(step, number)| {
            let kind = step.kind();
            match step {
                Step::Python(python) if python.async_setup.is_some() => {
                    Some(format!("step {number} ({kind}) has an `async_setup`, which is asyncio's"))
                }
                Step::Python(_) => None,
                _ if step.has_async_form() => {
                    Some(format!("step {number} ({kind}) has an async form for asyncio alone"))
                }
                _ => None,
            }
        }),
        Engine::Gevent => numbered.find_map(|(step, number)| {
            let kind = step.kind();
            match step {
                Step::Python(python) if python.function.is_none() => {
                    Some(format!("step {number} ({kind}) has an `async_function` alone, which is asyncio's"))
                }
                Step::Python(python) if python.setup_thread.is_some() => {
                    Some(format!("step {number} ({kind}) has a `setup_thread`, and a greenlet is no thread"))
                }
                Step::Python(_) | Step::Cpu(_) | Step::Sleep { .. } => None,
                _ => Some(format!("step {number} ({kind}) does not know gevent's hub, and would block it")),
            }
        }),
        _ => None,
    }
}

/// Why compio cannot run this workload, if it cannot.
fn reason_against_compio(workload: &Workload) -> Option<String> {
    let mut numbered = workload.steps.iter().zip(1..);
    let missing = numbered.find_map(|(step, number)| {
        let kind = step.kind();
        match step {
            Step::Registered(closures) if closures.has_async_task => {
                Some(format!("step {number} ({kind}) has an `async_task`, which runs on tokio"))
            }
            Step::Http { .. } | Step::Tcp { .. } | Step::Command { .. } => {
                Some(format!("step {number} ({kind}) has no form for compio"))
            }
            _ => None,
        }
    });
    let leaves_free = |step: &Step| step.has_async_form() || matches!(step, Step::File { .. });
    let plain = Engine::TokioCurrentThread;
    missing.or_else(|| {
        let blocks = !workload.steps.iter().any(leaves_free);
        blocks.then(|| format!("no step leaves the loop free: the same as {plain}"))
    })
}

/// Why a cluster cannot run this workload, if it cannot.
fn reason_against_cluster(workload: &Workload, cluster: Option<&Cluster>) -> Option<String> {
    let is_here = cluster.is_none_or(Cluster::is_here);
    if workload.objective.looks_at_memory() {
        return Some("the memory of a cluster's workers is not measured".to_owned());
    }
    workload.steps.iter().zip(1..).find_map(|(step, number)| {
        let kind = step.kind();
        let because = match step {
            Step::Lock { .. } | Step::Queue { .. } | Step::Event { .. } => "workers of a cluster share none",
            Step::Http { url: None, .. } | Step::Tcp { address: None, .. } if !is_here => {
                "its server is on this host's loopback, and there are workers elsewhere"
            }
            Step::File { .. } if !is_here => "its files are on this host, and there are workers elsewhere",
            _ => return None,
        };
        Some(format!("step {number} ({kind}): {because}"))
    })
}
