//! From a workload, the user's settings and the host's facts to a plan.

use super::caps::{self, Axis, Cap};
use super::{Entry, LeftOut, Plan, Runtime, Settings, estimate, ladder, memory, named};
use crate::candidate::{Cluster, Engine, Model, RUST, Sizes, StartMethod};
use crate::host::Facts;
use crate::protocol::Offer;
use crate::units;
use crate::workload::{Goal, Load, Step, Workload};

/// The language of a `python` step.
const PYTHON: &str = "python";
/// The largest number of tasks in a chunk.
const MOST_IN_CHUNK: u32 = 1024;
/// Chunks of more tasks than this are for short ones.
const MANY_IN_CHUNK: u32 = 64;
/// Such a chunk takes no longer than this: what handing it over costs is little beside it.
const LONGEST_OF_MANY_NS: f64 = 12_000_000.0;
/// And no more than this crosses with it: several of them are under way for each worker.
const MOST_BYTES_OF_MANY: u64 = 4 << 20;
/// And a batch is as many of them at least, so that workers end together.
const LEAST_OF_BATCH: u32 = 4;
/// A chunk takes no longer than this, as far as is known: several of them are under way for each worker, a block lasts
/// as long as they do, and what handing over costs a task is little beside a chunk of a few milliseconds.
const LONGEST_CHUNK_NS: f64 = 32_000_000.0;

/// What a task costs where it is called.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Call {
    /// Its time (ns); 0 where nothing is known of it.
    pub ns: f64,
    /// What crosses to a worker and back with it (bytes).
    pub bytes: u64,
}

/// Whether a chunk of such tasks is short enough.
fn is_short(chunk: u32, task: Call) -> bool {
    let is_many = chunk > MANY_IN_CHUNK;
    let longest_ns = if is_many { LONGEST_OF_MANY_NS } else { LONGEST_CHUNK_NS };
    let is_light = !is_many || u64::from(chunk).saturating_mul(task.bytes) <= MOST_BYTES_OF_MANY;
    f64::from(chunk) * task.ns <= longest_ns && is_light
}

/// The numbers of tasks in a chunk that are tried, of such tasks. A chunk is in flight as a whole, though no more than one
/// task of it is begun: `max_in_flight` bounds it where that is below 64.
#[must_use]
pub fn chunk_ladder(max_in_flight: u32, task: Call) -> Vec<u32> {
    let most = if max_in_flight < MANY_IN_CHUNK { max_in_flight } else { MOST_IN_CHUNK };
    let mut chunks = ladder::coarse(most);
    chunks.retain(|chunk| *chunk == 1 || is_short(*chunk, task));
    chunks
}

/// Whether an engine is handed more than [`MANY_IN_CHUNK`] tasks at once: on a cluster a chunk is a part of what is in
/// flight, and joblib tells of each task by itself.
fn takes_many(engine: Engine) -> bool {
    !matches!(engine, Engine::Dask | Engine::JoblibLoky)
}

/// These entries, without chunks that are too long or too large once it is known what a call of the user's own code
/// takes; what a library takes by itself stays. Of a batch only chunks above 64 may go: the others suit its
/// number of tasks.
#[must_use]
pub fn with_short_chunks(mut entries: Vec<Entry>, call: Call, load: Load) -> Vec<Entry> {
    let is_batch = matches!(load, Load::Batch { .. });
    for entry in &mut entries {
        let own = entry.default_sizes.chunk;
        let is_short = |chunk: &u32| {
            *chunk == 1 || is_short(*chunk, call) || Some(*chunk) == own || is_batch && *chunk <= MANY_IN_CHUNK
        };
        entry.chunk.retain(is_short);
    }
    entries
}

/// Plans a session of this workload on this host, for these runtimes.
///
/// What the user filtered out is not mentioned; what else is not measured is in `left_out`. With nothing
/// to run, `entries` is empty.
#[must_use]
pub fn plan(workload: &Workload, settings: &Settings, facts: &Facts, runtimes: &[Runtime]) -> Plan {
    let mut left_out = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let is_chosen = |runtime: &&Runtime| settings.runtimes.is_empty() || settings.runtimes.contains(&runtime.name);
    let mut if_imported: Vec<Entry> = Vec::new();
    for runtime in runtimes.iter().filter(is_chosen) {
        let own = of_runtime(runtime, workload, settings, facts, &mut left_out);
        if !own.is_empty() {
            if_imported.extend(of_imports(runtime, workload, settings, facts, own.len()));
        }
        entries.extend(own);
    }
    let foreseen = estimate::foreseen(&entries, workload, settings, facts);
    let notes = estimate::notes(&entries, workload, settings, facts);
    let unknowns = estimate::unknowns(&entries, workload);
    Plan { entries, if_imported, left_out, foreseen, notes, unknowns }
}

/// The entries of one runtime, simplest model first.
fn of_runtime(
    runtime: &Runtime,
    workload: &Workload,
    settings: &Settings,
    facts: &Facts,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Entry> {
    if runtime.language != PYTHON && workload.steps.iter().any(|step| step.python().is_some()) {
        let reason = "a step is your own Python code".to_owned();
        left_out.push(LeftOut { what: runtime.name.clone(), reason });
        return Vec::new();
    }
    if runtime.language != RUST && workload.steps.iter().any(|step| matches!(step, Step::Registered(_))) {
        let reason = "a step is a closure of your own Rust program".to_owned();
        left_out.push(LeftOut { what: runtime.name.clone(), reason });
        return Vec::new();
    }
    let passes = |engine: Engine| {
        (settings.models.is_empty() || settings.models.contains(&engine.model()))
            && (settings.engines.contains(&engine)
                || matches!(engine, Engine::Own(_))
                || (engine.model() == Model::Cluster && settings.cluster.is_some())
                || (settings.engines.is_empty()
                    && !engine.is_on_request()
                    && !engine.is_if_imported()
                    && engine.model() != Model::Cluster))
    };
    left_out.extend(runtime.left_out().filter(|(engine, _)| passes(*engine)).map(|(_, left_out)| left_out));
    let mut wanted: Vec<(Offer, Option<StartMethod>)> = Vec::new();
    for offer in runtime.engines.iter().filter(|offer| passes(offer.engine)) {
        match reason_against(runtime, offer.engine, workload, settings, facts) {
            Some(reason) => left_out.push(LeftOut { what: format!("{}/{}", runtime.name, offer.engine), reason }),
            None => {
                let methods = start_methods(runtime, offer.engine, settings, left_out);
                wanted.extend(methods.into_iter().map(|method| (*offer, method)));
            }
        }
    }
    wanted.sort_by_key(|(offer, _)| offer.engine.model());
    let context = Context { workload, settings, facts, runtime, entries: wanted.len() as u64 };
    let mut entries: Vec<Entry> =
        wanted.into_iter().filter_map(|(offer, method)| context.entry(offer, method, left_out)).collect();
    memory::fit(&mut entries, workload, facts, left_out);
    entries
}

/// The entries of one runtime that are raced too where the user's own code imports what their engines need; nothing is
/// said of those that are not. They take sizes that have room beside `others` entries.
fn of_imports(runtime: &Runtime, workload: &Workload, settings: &Settings, facts: &Facts, others: usize) -> Vec<Entry> {
    if !settings.engines.is_empty() || workload.steps.iter().all(|step| step.python().is_none()) {
        return Vec::new();
    }
    let is_chosen = |engine: Engine| settings.models.is_empty() || settings.models.contains(&engine.model());
    let offers: Vec<Offer> = runtime
        .engines
        .iter()
        .filter(|offer| offer.engine.is_if_imported() && is_chosen(offer.engine))
        .filter(|offer| reason_against(runtime, offer.engine, workload, settings, facts).is_none())
        .copied()
        .collect();
    let context = Context { workload, settings, facts, runtime, entries: (others + offers.len()) as u64 };
    let mut unsaid = Vec::new();
    let mut entries: Vec<Entry> =
        offers.into_iter().filter_map(|offer| context.entry(offer, None, &mut unsaid)).collect();
    memory::fit(&mut entries, workload, facts, &mut unsaid);
    entries
}

/// How the worker processes of this engine begin: as the user asked, or else as the runtime does by itself.
fn start_methods(
    runtime: &Runtime,
    engine: Engine,
    settings: &Settings,
    left_out: &mut Vec<LeftOut>,
) -> Vec<Option<StartMethod>> {
    if !engine.has_start_method() {
        return vec![None];
    }
    if settings.start_methods.is_empty() {
        return vec![runtime.start_methods.first().copied()];
    }
    let (there, absent): (Vec<StartMethod>, Vec<StartMethod>) =
        settings.start_methods.iter().partition(|method| runtime.start_methods.contains(method));
    left_out.extend(absent.into_iter().map(|method| LeftOut {
        what: format!("{}/{engine}@{method}", runtime.name),
        reason: format!("it has no start method `{method}`"),
    }));
    there.into_iter().map(Some).collect()
}

/// The number of tasks in flight at which all engines are compared, where the goal asks for one. A 99th percentile grows
/// with it: an engine that may keep less in flight than others would win by that alone.
fn compared_at(workload: &Workload, settings: &Settings) -> Option<u32> {
    let fixed = || settings.in_flight.iter().copied().max().unwrap_or(caps::of_workload(workload.load).largest);
    (workload.objective.goal == Goal::P99).then(fixed)
}

fn compared(at: u32) -> String {
    format!("p99 is compared at {at} in flight")
}

/// Why this engine is not measured with this workload on this host, if it is not.
fn reason_against(
    runtime: &Runtime,
    engine: Engine,
    workload: &Workload,
    settings: &Settings,
    facts: &Facts,
) -> Option<String> {
    let steps = &workload.steps;
    let model = engine.model();
    if model == Model::Cluster && settings.cluster.is_none() {
        return Some("no cluster is named: add `--cluster dask:local`, or `--cluster dask://HOST:PORT`".to_owned());
    }
    if model == Model::Sequential
        && let Some(at) = compared_at(workload, settings).filter(|at| *at != 1)
    {
        return Some(compared(at));
    }
    let is_mix = matches!(model, Model::AsyncThreads | Model::AsyncProcesses);
    if is_mix && steps.iter().all(Step::has_async_form) {
        let plain = if Engine::RUST.contains(&engine) { Engine::TokioCurrentThread } else { Engine::Asyncio };
        return Some(format!("no step blocks the loop: the same as {plain}"));
    }
    if model == Model::ShardedAsync && !steps.iter().any(Step::has_async_form) {
        let plain = match engine {
            Engine::TokioSharded => Engine::ThreadPool,
            Engine::ThreadedAsyncio => Engine::ThreadPoolExecutor,
            _ => Engine::ProcessPoolExecutor,
        };
        return Some(format!("no step leaves a loop free: the same as {plain}"));
    }
    if matches!(engine, Engine::Uvloop | Engine::TaskGroup) && !steps.iter().any(Step::has_async_form) {
        return Some("no step leaves the loop free: the same as asyncio".to_owned());
    }
    if let Some(reason) = named::reason_against(engine, workload, runtime.cluster.as_ref()) {
        return Some(reason);
    }
    let numbered = || steps.iter().zip(1..);
    if !is_mix
        && !matches!(model, Model::Async | Model::ShardedAsync)
        && let Some((step, number)) = numbered().find(|(step, _)| !step.has_blocking_form())
    {
        let kind = step.kind();
        let (alone, missing) = match step {
            Step::Registered(_) => ("async_task", "task"),
            _ => ("async_function", "function"),
        };
        return Some(format!("step {number} ({kind}) has an `{alone}` alone: give it a `{missing}` too"));
    }
    if model == Model::Interpreters
        && let Some((step, number)) =
            numbered().find(|(step, _)| matches!(step, Step::Lock { .. } | Step::Queue { .. } | Step::Event { .. }))
    {
        return Some(format!("step {number} ({}): interpreters share no lock, queue or event", step.kind()));
    }
    if matches!(engine, Engine::ThreadedAsyncio | Engine::ShardedAsyncio)
        && let Some((step, number)) =
            numbered().find(|(step, _)| matches!(step, Step::Lock { .. } | Step::Queue { .. }))
    {
        return Some(format!("step {number} ({}): asyncio has none that several loops share", step.kind()));
    }
    let available = caps::memory_bytes(facts);
    // The agent, and one worker where there are workers with memory of their own.
    let has_workers = engine.has_worker_processes() || model == Model::Interpreters;
    let workers = if has_workers { caps::worker_bytes(engine, workload) } else { 0 };
    let needed = caps::agent_bytes(engine, workload).saturating_add(workers);
    (needed > available).then(|| {
        format!(
            "it needs about {} of memory with this payload, and {} are available",
            units::bytes(needed),
            units::bytes(available)
        )
    })
}

struct Context<'a> {
    workload: &'a Workload,
    settings: &'a Settings,
    facts: &'a Facts,
    runtime: &'a Runtime,
    /// Entries of this runtime: those of one runtime are resident together.
    entries: u64,
}

impl Context<'_> {
    fn entry(&self, offer: Offer, start_method: Option<StartMethod>, left_out: &mut Vec<LeftOut>) -> Option<Entry> {
        let axes = offer.engine.axes();
        let of_cluster = self.runtime.cluster.as_ref().filter(|_| offer.engine.model() == Model::Cluster);
        let default_workers =
            of_cluster.map(Cluster::threads).or(offer.default_workers).unwrap_or_else(|| self.facts.usable_cpus());
        let mut entry = Entry {
            runtime: self.runtime.name.clone(),
            engine: offer.engine,
            start_method,
            library_threads: None,
            default_sizes: Sizes::default(),
            in_flight: Vec::new(),
            workers: Vec::new(),
            chunk: Vec::new(),
        };
        if axes.in_flight {
            entry.in_flight = self.ladder(&entry, Axis::InFlight, default_workers, left_out);
            // The library has no limit of its own: a user's program has all its tasks in flight.
            entry.default_sizes.in_flight = Some(ladder::nearest(&entry.in_flight, u32::MAX)?);
        }
        if axes.workers {
            entry.workers = self.ladder(&entry, Axis::Workers, default_workers, left_out);
            entry.default_sizes.workers = Some(ladder::nearest(&entry.workers, default_workers)?);
        }
        if axes.chunk {
            let own = self.own_chunk(&entry);
            if self.workload.rate.is_some() {
                let what = format!("{}, chunk above 1", entry.candidate(Sizes::default()));
                let reason = "the tasks of a chunk begin one after another, whatever `rate` says".to_owned();
                left_out.push(LeftOut { what, reason });
            }
            entry.chunk = self.chunks(own);
            if !takes_many(entry.engine) && self.settings.chunk.is_empty() {
                entry.chunk.retain(|chunk| *chunk <= MANY_IN_CHUNK || *chunk == own);
            }
            entry.default_sizes.chunk = Some(ladder::nearest(&entry.chunk, own)?);
        }
        Some(entry)
    }

    /// The chunk that the library takes by itself: of a batch, what its `map` does; else it hands over single tasks.
    fn own_chunk(&self, entry: &Entry) -> u32 {
        if self.workload.rate.is_some() {
            return 1;
        }
        let Load::Batch { tasks, .. } = self.workload.load else { return 1 };
        entry.engine.own_chunk(entry.default_sizes.workers.unwrap_or(1), tasks).unwrap_or(1)
    }

    /// The ladder of tasks in a chunk, with the one that the library takes by itself. Under a rate there are none: the
    /// tasks of a chunk begin one after another, however fast that is, and no bucket outside of the worker sees it.
    fn chunks(&self, own: u32) -> Vec<u32> {
        if self.workload.rate.is_some() {
            return vec![1];
        }
        if !self.settings.chunk.is_empty() {
            let mut asked = self.settings.chunk.clone();
            asked.retain(|size| *size > 0);
            asked.sort_unstable();
            asked.dedup();
            return asked;
        }
        // How long the user's own code takes is not known.
        let is_known = self.workload.steps.iter().all(|step| step.own_code().is_none());
        let task = Call {
            ns: if is_known { estimate::nominal_task_ns(self.workload) } else { 0.0 },
            bytes: self.workload.payload.bytes(),
        };
        let mut chunks = chunk_ladder(self.workload.load.max_in_flight(), task);
        if let Load::Batch { tasks, .. } = self.workload.load {
            let parts = |chunk: u32| if chunk > MANY_IN_CHUNK { LEAST_OF_BATCH } else { 1 };
            chunks.retain(|chunk| *chunk == 1 || chunk.saturating_mul(parts(*chunk)) <= tasks);
        }
        chunks.push(own);
        chunks.sort_unstable();
        chunks.dedup();
        chunks
    }

    /// The ladder of one axis; empty when no size that was asked for is possible.
    fn ladder(&self, entry: &Entry, axis: Axis, default_workers: u32, left_out: &mut Vec<LeftOut>) -> Vec<u32> {
        let engine = entry.engine;
        let allowed = caps::of_workload(self.workload.load);
        let host = caps::of_host(engine, axis, self.workload, self.facts, self.entries);
        let fixed = compared_at(self.workload, self.settings).filter(|_| caps::is_concurrency(engine, axis));
        let asked: &[u32] = match (axis, fixed) {
            (Axis::Workers, Some(at)) if !self.settings.workers.is_empty() && !self.settings.workers.contains(&at) => {
                let what = format!("{}/{engine}", self.runtime.name);
                left_out.push(LeftOut { what, reason: format!("{}: `--workers` names no {at}", compared(at)) });
                return Vec::new();
            }
            (_, Some(at)) => &[at],
            (Axis::Workers, None) if self.settings.workers.is_empty() => named::workers_of(engine, self.workload),
            (Axis::Workers, None) => &self.settings.workers,
            (Axis::InFlight, None) => &self.settings.in_flight,
        };
        // One of each always fits: if not even that, the candidate's failure says it best.
        let cut =
            host.map(|cap| Cap { largest: cap.largest.max(1), ..cap }).filter(|cap| cap.largest < allowed.largest);
        let name = entry.candidate(Sizes::default()).to_string();
        let fixed = named::only_workers(engine).filter(|_| axis == Axis::Workers);
        if let Some(fixed) = fixed {
            return self.only(fixed, asked, &name, left_out);
        }
        if !asked.is_empty() {
            let (mut sizes, mut dropped) = ladder::asked(asked, cut.as_ref().unwrap_or(&allowed));
            let is_loop = |size: &u32| axis == Axis::Workers && *size < named::least_workers(engine);
            dropped.extend(sizes.extract_if(.., |size| is_loop(size)).map(|size| (size, named::IS_LOOP.to_owned())));
            left_out.extend(dropped.into_iter().map(|(size, reason)| LeftOut { what: at(&name, axis, size), reason }));
            return sizes;
        }
        let wanted = self.largest_wanted(engine, axis, allowed.largest);
        let sizes = |largest| {
            let mut sizes = ladder::geometric(largest, default_workers);
            sizes.retain(|size| axis == Axis::InFlight || *size >= named::least_workers(engine));
            sizes
        };
        let Some(cut) = cut.filter(|cap| cap.largest < wanted) else {
            return sizes(wanted);
        };
        let word = if axis == Axis::Workers { "workers" } else { "in flight" };
        left_out.push(LeftOut { what: format!("{name}, {word} above {}", cut.largest), reason: cut.because });
        sizes(cut.largest)
    }

    /// The ladder of an engine that has so many workers, whatever it is asked for; empty where that is not possible.
    fn only(&self, workers: u32, asked: &[u32], name: &str, left_out: &mut Vec<LeftOut>) -> Vec<u32> {
        let reason = named::is_fixed(workers);
        let allowed = caps::of_workload(self.workload.load);
        if workers > allowed.largest {
            let reason = format!("{reason}, and {}", allowed.because);
            left_out.push(LeftOut { what: name.to_owned(), reason });
            return Vec::new();
        }
        if asked.is_empty() || asked.contains(&workers) {
            left_out.push(LeftOut { what: format!("{name}, workers other than {workers}"), reason });
            return vec![workers];
        }
        left_out.push(LeftOut { what: name.to_owned(), reason });
        Vec::new()
    }

    /// The largest size worth trying on this axis. More event-loop threads than twice the CPUs only switch.
    fn largest_wanted(&self, engine: Engine, axis: Axis, allowed: u32) -> u32 {
        let is_of_loops = engine == Engine::TokioMultiThread || engine.model() == Model::ShardedAsync;
        if is_of_loops && axis == Axis::Workers {
            allowed.min(self.facts.usable_cpus().saturating_mul(2))
        } else {
            allowed
        }
    }
}

fn at(name: &str, axis: Axis, size: u32) -> String {
    let sizes = match axis {
        Axis::Workers => Sizes { workers: Some(size), ..Sizes::default() },
        Axis::InFlight => Sizes { in_flight: Some(size), ..Sizes::default() },
    };
    format!("{name}@{sizes}")
}
