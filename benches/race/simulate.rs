//! A session of a simulated workload: the real loop and the real analysis; throughputs of theory, times as measured,
//! and noise.

use conbench::internal::analyze::{Status, Sureness, analyze};
use conbench::internal::candidate::{Candidate, RUST};
use conbench::internal::plan::{Entry, Settings};
use conbench::internal::session::AgentSlot;
use conbench::internal::session::simulated::{self, Engines, Ran, Simulation, StartCost};
use conbench::internal::workload::{
    Cpu, Distribution, FileOperation, Goal, Kernel, Limits, Load, Objective, Payload, Step, Work, Workload,
};
use conbench::record::Record;

use crate::costs::Costs;
use crate::model::{CORES, Says, Task};
use crate::noise::{Noise, uniform};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

/// The budget of a session, as `recommend` has it for one runtime.
const BUDGET_NS: u64 = 20_000_000_000;

/// What a session found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// What it named.
    pub(crate) named: Option<Candidate>,
    /// What that may cost, as it says.
    pub(crate) may_cost: f64,
    pub(crate) is_sure: bool,
    pub(crate) seconds: f64,
    pub(crate) worse: usize,
    pub(crate) record: Record,
}

/// Runs a session of these entries; `says` is what is true of a candidate.
pub(crate) fn session(
    task: &Task,
    entries: &[Entry],
    says: &dyn Fn(&Candidate) -> Says,
    costs: &Costs,
    noise: Noise<'_>,
    seed: u64,
) -> Found {
    let runtime = entries.first().map_or(RUST, |entry| entry.runtime.as_str());
    // What loops beside each other get of the cores, by half a second's measure.
    let usable_cores = f64::from(CORES) * (1.0 - 0.1 * uniform(&mut ChaCha8Rng::seed_from_u64(seed)));
    let simulation = Simulation {
        workload: workload(task),
        settings: Settings { budget_ns: BUDGET_NS, seed, ..Settings::default() },
        entries: entries.to_vec(),
        usable_cores,
        has_lock: runtime != RUST,
        prepared_ns: costs.prepared_ns(runtime),
    };
    let record = simulated::run(&simulation, &mut Computed { task, says, costs, noise });
    let verdict = analyze(&record);
    let group = verdict.groups.first();
    let answer = group.and_then(|group| group.answer.as_ref());
    let place = answer.and_then(|answer| record.candidates.get(answer.candidate as usize));
    Found {
        named: place.map(|place| place.candidate.clone()),
        may_cost: answer.map_or(f64::INFINITY, |answer| answer.may_cost),
        is_sure: answer.is_some_and(|answer| answer.sureness(verdict.tolerance) == Sureness::Sure),
        seconds: record.elapsed_ns as f64 / 1e9,
        worse: group.map_or(0, |group| group.rows.iter().filter(|row| row.status == Status::Worse).count()),
        record,
    }
}

struct Computed<'a> {
    task: &'a Task,
    says: &'a dyn Fn(&Candidate) -> Says,
    costs: &'a Costs,
    noise: Noise<'a>,
}

impl Engines for Computed<'_> {
    fn start(&mut self, slot: AgentSlot, candidate: &Candidate, _now_ns: u64) -> StartCost {
        self.noise.life(slot);
        let latency_ns = 1e3 * (self.says)(candidate).latency;
        let first_ns = 1e3 * self.task.alone();
        StartCost { ready_ns: self.costs.start_ns(candidate, first_ns + latency_ns), first_task_ns: first_ns as u64 }
    }

    fn block(&mut self, slot: AgentSlot, candidate: &Candidate, window_ns: u64, now_ns: u64) -> Ran {
        let Says { per_s, latency, cpu } = (self.says)(candidate);
        let noise = self.noise.block(slot, now_ns + window_ns / 2).exp();
        let latency_ns = 1e3 * latency / noise;
        let per_s = per_s * noise;
        // Half of a slow block is that of slow cores, half that of cores that others took; nobody has more than all of them.
        let cpu_ns = (1e3 * cpu / noise.sqrt()).min(1e9 * f64::from(CORES) / per_s);
        let read = self.noise.reading(window_ns).exp();
        Ran {
            per_s,
            latency_ns,
            cpu_ns,
            cores: per_s * cpu_ns / 1e9 * read,
            outside_ns: self.costs.outside_ns(candidate, latency_ns),
            gap_ns: (1e6 * self.costs.gap_ms) as u64,
        }
    }
}

/// A workload with steps like this task's: a session asks whether an event loop can run them.
fn workload(task: &Task) -> Workload {
    let ns = |us: f64| (1e3 * us) as u64;
    let wait = Distribution::Fixed { time_ns: ns(task.wait) };
    let file = Step::File { operation: FileOperation::Read, size_bytes: 0, fsync: false };
    let waits = if task.is_async { Step::Wait { time: wait } } else { file };
    let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 64, time_ns: Some(ns(task.cpu())) };
    let mut steps = Vec::new();
    steps.extend((task.cpu() > 0.0).then_some(Step::Cpu(cpu)));
    steps.extend((task.wait > 0.0).then_some(waits));
    let hold = Work::Wait { time: Distribution::Fixed { time_ns: ns(task.locked) } };
    steps.extend((task.locked > 0.0).then_some(Step::Lock { hold }));
    Workload {
        name: "simulated".to_owned(),
        use_case: String::new(),
        description: String::new(),
        load: Load::Closed { max_in_flight: task.max_in_flight },
        tasks: None,
        steps,
        payload: Payload::default(),
        objective: Objective { goal: Goal::Throughput, tolerance: None, limits: Limits::default() },
        task_timeout_ns: 30_000_000_000,
        max_calls: None,
        resources: Default::default(),
        engines: Vec::new(),
        rate: None,
    }
}
