//! How the answer changes with the computation of a task: the recommended candidate beside its strongest rival of
//! another model, while a task computes less or more than the workload's own does.
//!
//! It takes place after a race that was decided, in time that nobody needs any more. Iterations of kernels are scaled,
//! nothing else; the sizes stay those that the race found. It is other work than the workload's: its blocks are none
//! of the candidates' and are not held against the reference, which knows the workload's own iterations alone. A point
//! is measured in one life of either agent, so that what lives differ by is not in its interval.

use std::collections::BTreeMap;

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::Event;
use super::blocks::Learned;
use super::error::AgentError;
use super::pool::{AgentSlot, Beginning};
use super::runner::{Runner, Stop, turns_of};
use crate::candidate::{Candidate, Model};
use crate::decide::Finding;
use crate::protocol::{Block, BlockKind, FailureKind, VARIANTS};
use crate::record::{Phase, Record, Sweep, SweepAxis, SweepPoint, score};
use crate::stats::yuen;
use crate::workload::{Goal, Load, Step};

const MS: u64 = 1_000_000;
/// The part of the session's budget that all sweeps together may take, and of the tasks where they are counted.
pub(super) const PART: u64 = 8;
/// How many times the workload's own computation, in the order in which they are measured: short tasks take least.
const FACTORS: [f64; 5] = [1.0 / 16.0, 1.0 / 4.0, 1.0, 4.0, 16.0];
/// Two neighbours between which the better one changes are looked between, if they are this far apart.
const WIDE: f64 = 4.0;
/// Rounds of a point.
const ROUNDS: usize = 5;
/// Rounds below which nothing is said.
const LEAST_ROUNDS: usize = 4;
/// A task's CPU time at a point: below, the engines alone would be measured; beyond, it would take too long.
const TASK_NS: (f64, f64) = (10e3, 50e6);
/// A whole number of iterations may miss the factor by this share of it.
const ROUNDING: f64 = 0.1;
/// The window by which an agent is warmed up.
const WARM_UP_NS: u64 = 10 * MS;
/// The slots of the two agents.
const SLOTS: [AgentSlot; 2] = [AgentSlot::Sweep(0), AgentSlot::Sweep(1)];

/// Whom a sweep compares; places in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// What was recommended.
    pub left: usize,
    /// Its rival.
    pub right: usize,
}

/// The recommended candidate and its strongest rival of another model, of a race whose first candidate has this place
/// in the record. Mixes are rivals only where nothing else is.
pub(super) fn pair(found: &Finding, candidates: &[&Candidate], base: usize) -> Option<Pair> {
    let model = |one: usize| candidates.get(one).map(|candidate| candidate.model());
    let named = model(found.named)?;
    let strongest = |is_wanted: &dyn Fn(Model) -> bool| {
        let is_rival = |one: usize| model(one).is_some_and(|other| other != named && is_wanted(other));
        let rivals = found.standings.iter().filter(|standing| is_rival(standing.candidate));
        rivals.max_by(|a, b| a.ratio.total_cmp(&b.ratio)).map(|standing| standing.candidate)
    };
    let right = strongest(&is_plain).or_else(|| strongest(&|_| true))?;
    Some(Pair { left: base + found.named, right: base + right })
}

fn is_plain(model: Model) -> bool {
    match model {
        Model::Sequential | Model::Threads | Model::Async | Model::ShardedAsync | Model::Processes => true,
        Model::Interpreters | Model::AsyncThreads | Model::AsyncProcesses | Model::Cluster => false,
    }
}

/// One agent of a point.
struct Side {
    slot: AgentSlot,
    candidate: Candidate,
    learned: Learned,
}

/// The workload's own computation.
struct Work {
    /// Iterations of each step.
    iterations: Vec<u64>,
    /// CPU time of a task.
    own_ns: f64,
}

/// What a sweep may spend; on the clock of what is spent, and in tasks run so far.
#[derive(Clone, Copy)]
struct Bounds {
    deadline_ns: u64,
    most_calls: u64,
}

impl Runner<'_> {
    /// Sweeps the computation of a task until `deadline_ns`, and keeps what was measured. Where nothing can be scaled
    /// or there is no time, nothing happens; what fails ends it and says nothing of the candidates.
    ///
    /// # Errors
    /// On an interrupt alone.
    pub(super) fn sweep(&mut self, pair: Pair, deadline_ns: u64) -> Result<(), Stop> {
        // Its two agents live beside each other.
        if self.is_exclusive {
            return Ok(());
        }
        let Some(iterations) = self.scalable(pair) else { return Ok(()) };
        let part = self.record.workload.max_calls.map_or(u64::MAX, |most| most / PART);
        let bounds = Bounds { deadline_ns, most_calls: self.calls.saturating_add(self.calls_left().min(part)) };
        let (own_ns, own) = own_work(self.record, pair);
        let mut points: Vec<SweepPoint> = own.into_iter().collect();
        let ended = self.points(pair, &Work { iterations, own_ns }, bounds, &mut points);
        if points.len() > 1 {
            points.sort_by(|a, b| a.factor.total_cmp(&b.factor));
            let place = |one: usize| u32::try_from(one).unwrap_or(u32::MAX);
            let (left, right) = (place(pair.left), place(pair.right));
            self.record.sweeps.push(Sweep { axis: SweepAxis::TaskCpu, left, right, points });
        }
        if matches!(ended, Err(AgentError::Interrupted)) { Err(Stop::Interrupted) } else { Ok(()) }
    }

    /// Measures what can be of the points that are missing, until something fails; then one more where the better one
    /// changes.
    fn points(
        &mut self,
        pair: Pair,
        work: &Work,
        bounds: Bounds,
        points: &mut Vec<SweepPoint>,
    ) -> Result<(), AgentError> {
        let has_own = !points.is_empty();
        for factor in FACTORS.into_iter().filter(|factor| *factor != 1.0 || !has_own) {
            points.extend(self.point(pair, factor, work, bounds)?);
        }
        while let Some(factor) = turn(points) {
            let Some(point) = self.point(pair, factor, work, bounds)? else { break };
            points.push(point);
        }
        Ok(())
    }

    /// The iterations of the workload's steps, if there are kernels and all that computes is one of them.
    fn scalable(&self, pair: Pair) -> Option<Vec<u64>> {
        let workload = &self.record.workload;
        let is_paired = matches!(workload.objective.goal, Goal::Throughput | Goal::CpuPerTask);
        let has_code = workload.steps.iter().any(|step| step.python().is_some());
        let has_kernel = workload.steps.iter().any(|step| step.cpu().is_some());
        let runtime = &self.record.candidates.get(pair.left)?.candidate.runtime;
        let iterations = self.record.calibration.runtime(runtime)?.iterations.clone();
        (is_paired && has_kernel && !has_code && iterations.len() == workload.steps.len()).then_some(iterations)
    }

    /// Measures one point, if it can be. No agent outlives it.
    fn point(
        &mut self,
        pair: Pair,
        factor: f64,
        work: &Work,
        bounds: Bounds,
    ) -> Result<Option<SweepPoint>, AgentError> {
        if self.pool.interrupted() {
            return Err(AgentError::Interrupted);
        }
        let Some(scaled) = scaled(&self.record.workload.steps, &work.iterations, factor) else { return Ok(None) };
        let is_of_size = (TASK_NS.0..=TASK_NS.1).contains(&(work.own_ns * factor));
        if !is_of_size || !self.is_foreseen(pair, factor, work.own_ns, bounds) {
            return Ok(None);
        }
        self.observer.observe(&Event::Sweeping { factor });
        let begun_ns = self.pool.elapsed_ns();
        let measured = self.compare_scaled(pair, factor, &scaled, bounds);
        for slot in SLOTS {
            if measured.is_ok() { drop(self.shut_down(slot)) } else { self.pool.kill(slot) }
        }
        if matches!(&measured, Err(AgentError::Failed(failed)) if failed.kind == FailureKind::Hang) {
            self.lose(begun_ns);
        }
        measured
    }

    /// Whether the least of a point fits into what is left, by what is known of its candidates at the workload's own
    /// computation, which takes `own_ns` of a CPU.
    fn is_foreseen(&self, pair: Pair, factor: f64, own_ns: f64, bounds: Bounds) -> bool {
        let cores = self.record.calibration.usable_cores.unwrap_or(1.0);
        let (mut fixed_ns, mut foreseen) = (0_u64, Vec::new());
        for one in [pair.left, pair.right] {
            let (Some(place), Some(own)) = (self.record.candidates.get(one), self.learned(one)) else { return false };
            let life = place.lives.last();
            fixed_ns = fixed_ns.saturating_add(life.map_or(0, |life| life.boot_ns.saturating_add(life.startup_ns)));
            let concurrency = place.candidate.sizes.concurrency();
            foreseen.push((estimated(&own, own_ns * (f64::from(concurrency) / cores).max(1.0), factor), concurrency));
        }
        let window_ns = self.common_window_of(foreseen.iter().map(|(it, _)| it));
        let pair_ns = foreseen.iter().map(|(it, _)| self.block_ns(window_ns, it)).fold(0, u64::saturating_add);
        // The warm-up is about a round more.
        let rounds = LEAST_ROUNDS as u64 + 1;
        let need_ns = fixed_ns.saturating_add(pair_ns.saturating_mul(rounds));
        let tasks = |(it, concurrency): &(Learned, u32)| {
            let first = u64::from(*concurrency) + 1;
            first.saturating_add(self.pace.calls(window_ns, it.throughput_per_s, *concurrency).saturating_mul(rounds))
        };
        let calls = foreseen.iter().map(tasks).fold(self.calls, u64::saturating_add);
        // A task that its timeout ends is no finding about the candidates.
        let timeout_ns = self.record.workload.task_timeout_ns;
        let is_patient = foreseen.iter().all(|(it, _)| it.latency_ns.saturating_mul(2) < timeout_ns);
        let is_in_time = self.spent_ns().saturating_add(need_ns) <= bounds.deadline_ns;
        is_in_time && is_patient && calls <= bounds.most_calls
    }

    fn compare_scaled(
        &mut self,
        pair: Pair,
        factor: f64,
        iterations: &[u64],
        bounds: Bounds,
    ) -> Result<Option<SweepPoint>, AgentError> {
        let mut sides = Vec::new();
        for (slot, one) in SLOTS.into_iter().zip([pair.left, pair.right]) {
            let candidate = self.record.candidates[one].candidate.clone();
            let Some(side) = self.scaled_side(slot, candidate, iterations)? else { return Ok(None) };
            sides.push(side);
        }
        let window_ns = self.common_window_of(sides.iter().map(|side| &side.learned));
        let idle_ns = self.pace.window(&sides[0].learned).idle_before_ns;
        let pair_ns = sides.iter().map(|side| self.block_ns(window_ns, &side.learned)).fold(0, u64::saturating_add);
        let calls = sides
            .iter()
            .map(|side| self.pace.calls(window_ns, side.learned.throughput_per_s, side.candidate.sizes.concurrency()));
        let calls = calls.fold(0, u64::saturating_add);
        let mut random = ChaCha8Rng::seed_from_u64(self.record.settings.seed);
        let mut blocks: [Vec<Block>; 2] = Default::default();
        for _ in 0..ROUNDS {
            let is_in_time = self.spent_ns().saturating_add(pair_ns) <= bounds.deadline_ns;
            if !is_in_time || self.calls.saturating_add(calls) > bounds.most_calls {
                break;
            }
            let mut order = [0, 1];
            order.shuffle(&mut random);
            for at in order {
                let side = &sides[at];
                if idle_ns > 0 {
                    self.pool.idle(idle_ns);
                }
                let measurement =
                    self.unchecked_block_of(side.slot, &side.candidate, BlockKind::Timed, window_ns, &side.learned)?;
                blocks[at].push(measurement.figures);
            }
            let longest = blocks.iter().filter_map(|blocks| blocks.last()).map(|block| block.tasks).max();
            self.tasks.first_index += longest.unwrap_or(0).next_multiple_of(VARIANTS);
        }
        let goal = self.record.workload.objective.goal;
        Ok(point_of(goal, factor, blocks[0].iter().zip(&blocks[1])))
    }

    /// An agent of this candidate with so many iterations, warm; `None` when the tasks that are left do not allow it.
    fn scaled_side(
        &mut self,
        slot: AgentSlot,
        candidate: Candidate,
        iterations: &[u64],
    ) -> Result<Option<Side>, AgentError> {
        let Ok(started) = self.launch(slot, &candidate, Some(iterations), Beginning::Warm)? else { return Ok(None) };
        let workers = candidate.sizes.concurrency();
        let learned = Learned::from_first_task(started.ready.first_task_ns, workers, self.record.workload.load);
        let window_ns = self.pace.untimed(WARM_UP_NS, learned.latency_ns.min(WARM_UP_NS));
        let Some(window_ns) = self.pace.within_calls(window_ns, &learned, workers, self.calls_left()) else {
            return Ok(None);
        };
        let measurement = self.unchecked_block_of(slot, &candidate, BlockKind::Timed, window_ns, &learned)?;
        // The plain loop ran tasks of another computation.
        let learned = Learned::from_block(&measurement.figures, turns_of(&candidate, &started, None));
        Ok(Some(Side { slot, candidate, learned }))
    }

    /// The window that serves both.
    fn common_window_of<'a>(&self, learned: impl Iterator<Item = &'a Learned>) -> u64 {
        learned.map(|it| self.pace.window(it).ns).max().unwrap_or(0)
    }

    /// What a block takes.
    fn block_ns(&self, window_ns: u64, learned: &Learned) -> u64 {
        let idle_ns = self.pace.window(learned).idle_before_ns;
        let busy_ns = match self.pace.load {
            Load::Batch { .. } => learned.elapsed_ns,
            Load::Closed { .. } => window_ns.saturating_add(learned.outside_ns.max(2 * learned.latency_ns)),
        };
        busy_ns.saturating_add(idle_ns)
    }
}

/// What is expected of tasks with so many times the computation, of which `computing_ns` of their latency is made: their
/// own, and that of those which share their core.
fn estimated(own: &Learned, computing_ns: f64, factor: f64) -> Learned {
    let own_ns = (own.latency_ns as f64).max(1.0);
    let longer = ((own_ns - computing_ns).max(0.0) + computing_ns * factor) / own_ns;
    let times = |ns: u64| (ns as f64 * longer) as u64;
    Learned {
        latency_ns: times(own.latency_ns),
        elapsed_ns: times(own.elapsed_ns),
        outside_ns: times(own.outside_ns),
        throughput_per_s: own.throughput_per_s / longer,
        ..*own
    }
}

/// The iterations of each step with those of kernels scaled; `None` where whole numbers of them miss the factor.
fn scaled(steps: &[Step], iterations: &[u64], factor: f64) -> Option<Vec<u64>> {
    let of_step = |(step, own): (&Step, &u64)| {
        if step.cpu().is_none() {
            return Some(*own);
        }
        let wished = *own as f64 * factor;
        let whole = wished.round();
        ((whole / wished - 1.0).abs() <= ROUNDING).then_some(whole as u64)
    };
    steps.iter().zip(iterations).map(of_step).collect()
}

/// What is known of the workload's own computation from the rounds of the final: CPU time of a task, and the point
/// itself where both ran often enough in the same rounds.
fn own_work(record: &Record, pair: Pair) -> (f64, Option<SweepPoint>) {
    let blocks = |one: usize| {
        let all = record.candidates.get(one).into_iter().flat_map(|place| &place.blocks);
        let of_final = all.filter_map(|block| {
            let round = block.round?;
            let counts = record.round_of(block).is_some_and(|it| it.phase == Phase::Race && !it.voided);
            (counts && block.figures.kind == BlockKind::Timed).then_some((round, &block.figures))
        });
        of_final.collect::<BTreeMap<u32, &Block>>()
    };
    let (left, right) = (blocks(pair.left), blocks(pair.right));
    let cpu = |blocks: &BTreeMap<u32, &Block>| blocks.values().fold(Cpu::default(), |cpu, block| cpu.with(block));
    let own_ns = cpu(&left).per_task().min(cpu(&right).per_task());
    let pairs = left.iter().filter_map(|(round, block)| Some((*block, *right.get(round)?)));
    (own_ns, point_of(record.workload.objective.goal, 1.0, pairs))
}

/// What paired blocks say; `None` when too few of them ran tasks.
fn point_of<'a>(goal: Goal, factor: f64, pairs: impl Iterator<Item = (&'a Block, &'a Block)>) -> Option<SweepPoint> {
    let (mut differences, mut left, mut right) = (Vec::new(), Cpu::default(), Cpu::default());
    for (one, other) in pairs {
        (left, right) = (left.with(one), right.with(other));
        differences.extend(score(goal, one, None).zip(score(goal, other, None)).map(|(one, other)| one - other));
    }
    differences.retain(|difference: &f64| difference.is_finite());
    if differences.len() < LEAST_ROUNDS {
        return None;
    }
    let interval = yuen(&differences)?.interval(0.90).exp();
    let task_cpu_ns = left.per_task().min(right.per_task());
    let (ratio, low, high) = (interval.value, interval.low, interval.high);
    let is_sound = [task_cpu_ns, ratio, low, high].iter().all(|it| it.is_finite());
    is_sound.then_some(SweepPoint { factor, task_cpu_ns, ratio, low, high })
}

/// CPU time of blocks.
#[derive(Clone, Copy, Default)]
struct Cpu {
    cpu_ns: f64,
    tasks: f64,
}

impl Cpu {
    fn with(self, block: &Block) -> Cpu {
        Cpu { cpu_ns: self.cpu_ns + block.usage.cpu_ns() as f64, tasks: self.tasks + block.tasks as f64 }
    }

    fn per_task(self) -> f64 {
        self.cpu_ns / self.tasks
    }
}

/// The factor between two neighbours of which one side wins the one and the other side the other, beyond their
/// intervals, where they are far apart.
fn turn(points: &[SweepPoint]) -> Option<f64> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.factor.total_cmp(&b.factor));
    let between = sorted.windows(2).find_map(|pair| match pair {
        [a, b] if (a.high < 1.0 && b.low > 1.0) || (a.low > 1.0 && b.high < 1.0) => Some((a.factor, b.factor)),
        _ => None,
    });
    between.filter(|(low, high)| high / low >= WIDE).map(|(low, high)| (low * high).sqrt())
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;
