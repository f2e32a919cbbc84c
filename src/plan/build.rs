//! From a workload, the user's settings and the host's facts to a plan.

use super::caps::{self, Axis, Cap};
use super::{Entry, LeftOut, Plan, Runtime, Settings, foresee, ladder};
use crate::candidate::{Engine, Model, Sizes};
use crate::host::Facts;
use crate::workload::{Step, Workload};

/// Plans a session of this workload on this host, for these runtimes.
///
/// What the user filtered out is not mentioned; what else is not measured is in `left_out`. With nothing
/// to run, `entries` is empty.
#[must_use]
pub fn plan(workload: &Workload, settings: &Settings, facts: &Facts, runtimes: &[Runtime]) -> Plan {
    let mut left_out = Vec::new();
    let mut wanted: Vec<(&str, Engine)> = Vec::new();
    for (runtime, engine) in chosen(settings, runtimes) {
        match reason_against(engine, workload, facts) {
            Some(reason) => left_out.push(LeftOut { what: format!("{runtime}/{engine}"), reason }),
            None => wanted.push((runtime, engine)),
        }
    }
    let context = Context { workload, settings, facts, entries: wanted.len() as u64 };
    let entries: Vec<Entry> =
        wanted.into_iter().filter_map(|(runtime, engine)| context.entry(runtime, engine, &mut left_out)).collect();
    let foreseen = foresee::foreseen(&entries, workload, settings, facts);
    let notes = foresee::notes(&entries, workload, settings, facts);
    Plan { entries, left_out, foreseen, notes }
}

/// The engines that the user's filters leave, simplest model first within each runtime.
fn chosen<'a>(settings: &Settings, runtimes: &'a [Runtime]) -> Vec<(&'a str, Engine)> {
    let passes = |engine: &Engine| {
        (settings.models.is_empty() || settings.models.contains(&engine.model()))
            && (settings.engines.contains(engine) || (settings.engines.is_empty() && !engine.is_on_request()))
    };
    let mut all = Vec::new();
    for runtime in runtimes {
        if settings.runtimes.is_empty() || settings.runtimes.contains(&runtime.name) {
            let mut engines: Vec<Engine> = runtime.engines.iter().map(|offer| offer.engine).filter(passes).collect();
            engines.sort_by_key(|engine| engine.model());
            all.extend(engines.into_iter().map(|engine| (runtime.name.as_str(), engine)));
        }
    }
    all
}

/// Why this engine is not measured with this workload on this host, if it is not.
fn reason_against(engine: Engine, workload: &Workload, facts: &Facts) -> Option<String> {
    let is_mix = matches!(engine.model(), Model::AsyncThreads | Model::AsyncProcesses);
    if is_mix && workload.steps.iter().all(Step::has_async_form) {
        return Some("no step blocks the loop: the same as tokio-current-thread".to_owned());
    }
    let available = caps::memory_bytes(facts);
    // The agent, and one worker where there are worker processes.
    let has_workers = matches!(engine.model(), Model::Processes | Model::AsyncProcesses);
    let workers = if has_workers { caps::worker_bytes(workload) } else { 0 };
    let needed = caps::agent_bytes(workload).saturating_add(workers);
    (needed > available).then(|| {
        format!(
            "it needs about {} of memory with this payload, and {} are available",
            bytesize::ByteSize(needed),
            bytesize::ByteSize(available)
        )
    })
}

struct Context<'a> {
    workload: &'a Workload,
    settings: &'a Settings,
    facts: &'a Facts,
    entries: u64,
}

impl Context<'_> {
    fn entry(&self, runtime: &str, engine: Engine, left_out: &mut Vec<LeftOut>) -> Option<Entry> {
        let axes = engine.axes();
        let mut entry = Entry {
            runtime: runtime.to_owned(),
            engine,
            start_method: None,
            default_sizes: Sizes::default(),
            in_flight: Vec::new(),
            workers: Vec::new(),
            chunk: Vec::new(),
        };
        if axes.in_flight {
            entry.in_flight = self.ladder(&entry, Axis::InFlight, left_out);
            // The library has no limit of its own: a user's program has all its tasks in flight.
            entry.default_sizes.in_flight = Some(ladder::nearest(&entry.in_flight, u32::MAX)?);
        }
        if axes.workers {
            entry.workers = self.ladder(&entry, Axis::Workers, left_out);
            entry.default_sizes.workers = Some(ladder::nearest(&entry.workers, self.default_workers(engine))?);
        }
        Some(entry)
    }

    /// What the engine's library starts when nothing is said.
    fn default_workers(&self, engine: Engine) -> u32 {
        if engine == Engine::TokioBlockingPool { 512 } else { self.facts.usable_cpus() }
    }

    /// The ladder of one axis; empty when no size that was asked for is possible.
    fn ladder(&self, entry: &Entry, axis: Axis, left_out: &mut Vec<LeftOut>) -> Vec<u32> {
        let engine = entry.engine;
        let allowed = caps::of_workload(self.workload.load);
        let host = caps::of_host(engine, axis, self.workload, self.facts, self.entries);
        let asked = match axis {
            Axis::Workers => &self.settings.workers,
            Axis::InFlight => &self.settings.in_flight,
        };
        // One of each always fits: if not even that, the candidate's failure says it best.
        let cut =
            host.map(|cap| Cap { largest: cap.largest.max(1), ..cap }).filter(|cap| cap.largest < allowed.largest);
        let name = format!("{}/{engine}", entry.runtime);
        if !asked.is_empty() {
            let (sizes, dropped) = ladder::asked(asked, cut.as_ref().unwrap_or(&allowed));
            left_out.extend(dropped.into_iter().map(|(size, reason)| LeftOut { what: at(&name, axis, size), reason }));
            return sizes;
        }
        let wanted = self.largest_wanted(engine, axis, allowed.largest);
        let Some(cut) = cut.filter(|cap| cap.largest < wanted) else {
            return ladder::geometric(wanted, self.default_workers(engine));
        };
        let word = if axis == Axis::Workers { "workers" } else { "in flight" };
        left_out.push(LeftOut { what: format!("{name}, {word} above {}", cut.largest), reason: cut.because });
        ladder::geometric(cut.largest, self.default_workers(engine))
    }

    /// The largest size worth trying on this axis. More event-loop threads than twice the CPUs only switch.
    fn largest_wanted(&self, engine: Engine, axis: Axis, allowed: u32) -> u32 {
        if engine == Engine::TokioMultiThread && axis == Axis::Workers {
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
