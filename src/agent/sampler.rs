//! The one sampler that serves all engines: it hands out indices, and turns begin and end times of tasks
//! into the figures of a block.
//!
//! Nothing wakes up for the edges of the window. Tasks are logged with their times; the window begins when
//! the last slot has begun a task (plus a task's time and a part of it, so that what began together has
//! ended, and edges fall at any phase of a task). After its end every slot goes on to begin tasks, which count
//! for nothing but the block's totals, until the last task that straddles it has ended; a slot's straddler is
//! the first task that it ends after the window. Only then the block drains. (Were each slot to stop at the
//! window's end, the straddlers would run under less and less load and end too soon, and as a straddler counts
//! by the part of its time that lies in the window, 16 that share two cores would count 2 to 3 % too much.)
//! Where a limit ends dispatch first, the window is cut back to where that holds. What fell into the window is
//! computed afterwards.
//!
//! CPU time is read twice, by whoever ends the first task after the window's begin and after its end: where tasks share
//! cores, the parts of their time that lie in the window do not tell what was done in it (`Block::counted_by_cpu`).
//!
//! Where a rate holds tasks back, slots are left without work, and the load is full whenever a task begins as soon as a
//! token is there and a slot is free. The window begins when as many are in flight as there will be: the longest task
//! (of the block before) after the first begin, and a part of a task's time. As long after its end tasks are begun. No
//! time of a task has the wait for its token in it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam_utils::CachePadded;
use hdrhistogram::Histogram;

use super::bucket::Bucket;
use super::task::Outcome;
use crate::clock::{Timer, now_ns, wait_blocking_until};
use crate::protocol::{Block, BlockKind, Failed, FailureKind, HistogramData, Usage};

/// No time yet.
const UNSET: u64 = u64::MAX;

/// A slot that is left without work is waited for at least so long after the last one that was not.
const LEAST_PATIENCE_NS: u64 = 50_000_000;
/// All slots together are waited for as long as so many windows, or tasks.
const PATIENCE: u64 = 4;

/// Logged tasks of one shard after which the log is folded into its totals.
const LOG_CAPACITY: usize = 1 << 18;

/// How tasks arrive in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Full load until a window of this length is behind.
    Window {
        /// The window's length.
        window_ns: u64,
        /// From the begin of the last slot's first task to the window's begin.
        ramp_ns: u64,
    },
    /// So many tasks at once.
    Batch {
        /// How many.
        tasks: u64,
    },
    /// The same of long tasks, some turns of as many as are in flight. What counts is what ended until the last one began:
    /// until then the load was full, and all that began together may have ended together.
    Turns {
        /// How many.
        tasks: u64,
    },
}

/// What a block runs under.
#[derive(Clone, Copy, Debug)]
pub struct SamplerSettings {
    /// How tasks arrive.
    pub arrival: Arrival,
    /// The index of the first task.
    pub first_index: u64,
    /// Tasks that the engine has in flight at once.
    pub slots: u32,
    /// Logs; recording into one from several threads is correct but contended.
    pub shards: u32,
    /// A task that takes longer than this has failed.
    pub task_timeout_ns: u64,
    /// Whether a task that fails is counted, and the block goes on.
    pub tolerates_errors: bool,
    /// Whether event loops run a heartbeat.
    pub heartbeat: bool,
    /// The most tasks that may be begun; `None` is no limit.
    pub most_tasks: Option<u64>,
    /// What holds tasks back, where a rate is stated.
    pub pace: Option<Pace>,
}

/// What holds the tasks of a block back.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Each task takes a token of it.
    pub bucket: Bucket,
    /// About how long the longest task takes: for so long after a window tasks are begun.
    pub tail_ns: u64,
}

/// How long the tasks of a block took to be served: the next block's ramp follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceTimes {
    /// Their mean.
    pub mean_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// What whoever feeds an engine is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// This task may begin.
    Task(u64),
    /// One may begin then at the earliest: ask again.
    At(u64),
    /// No more may be begun.
    Over,
}

/// A feeder that waits for its token looks this often whether the block is over.
const LOOK_NS: u64 = 50_000_000;

/// Where a task runs: its slot among those in flight, and the log it is recorded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Below [`SamplerSettings::slots`]; holds one task at a time.
    pub slot: u32,
    /// Below [`SamplerSettings::shards`].
    pub shard: u32,
}

impl Lane {
    /// A lane with a log of its own.
    #[must_use]
    pub fn own(slot: u32) -> Lane {
        Lane { slot, shard: slot }
    }
}

/// What ended while the load was full.
#[derive(Clone, Copy, Debug)]
struct Full {
    /// For how long it was.
    ns: u64,
    tasks: u64,
    /// Their service times.
    busy_ns: u64,
}

/// Samples one block.
pub struct Sampler {
    settings: SamplerSettings,
    go_ns: u64,
    /// Indices are handed out below this offset.
    limit: u64,
    next: CachePadded<AtomicU64>,
    stopped: CachePadded<AtomicBool>,
    window_start_ns: CachePadded<AtomicU64>,
    not_begun: AtomicU32,
    /// Slots that may yet have a task in flight that straddles the window's end.
    not_drained: AtomicU32,
    /// The longest task that ended after the window.
    longest_late_ns: AtomicU64,
    /// When a slot was last heard of: it began its first task, or drained.
    news_ns: AtomicU64,
    slots: Box<[SlotState]>,
    shards: Box<[CachePadded<Mutex<Log>>]>,
    longest_stall_ns: AtomicU64,
    failure: OnceLock<Failed>,
    /// Known from the block's end on.
    service: OnceLock<ServiceTimes>,
    pacing: Option<Pacing>,
    cpu_clock: Option<CpuClock>,
    /// What the CPU clock showed after the window's begin and after its end.
    edges: [OnceLock<Reading>; 2],
}

/// The CPU time (ns) of all that runs the tasks, so far.
pub type CpuClock = Box<dyn Fn() -> u64 + Send + Sync>;

#[derive(Clone, Copy, Debug)]
struct Reading {
    at_ns: u64,
    cpu_ns: u64,
}

struct Pacing {
    bucket: Mutex<Bucket>,
    /// Of several threads that wait for a token, one watches the clock.
    turn: Mutex<()>,
    tail_ns: u64,
}

#[derive(Default)]
struct SlotState {
    begun: AtomicBool,
    drained: AtomicBool,
}

/// One task's times.
#[derive(Clone, Copy, Debug)]
struct Sample {
    submitted_ns: u64,
    begin_ns: u64,
    end_ns: u64,
}

#[derive(Default)]
struct Log {
    tasks: u64,
    checksum: u64,
    /// When the first and the last task began.
    begins_ns: Option<(u64, u64)>,
    last_end_ns: u64,
    samples: Vec<Sample>,
    /// The last end of the samples that are folded.
    folded_ns: u64,
    errors: u64,
    /// The first of those, and when it ended.
    first_error: Option<(u64, Failed)>,
    totals: Option<Totals>,
}

impl Sampler {
    /// A sampler for a block whose `go` came at `go_ns`.
    #[must_use]
    pub fn new(settings: SamplerSettings, go_ns: u64) -> Sampler {
        let slots = settings.slots.max(1);
        let batch = match settings.arrival {
            Arrival::Batch { tasks } | Arrival::Turns { tasks } => tasks,
            Arrival::Window { .. } => u64::MAX,
        };
        Sampler {
            settings,
            go_ns,
            limit: settings.most_tasks.unwrap_or(u64::MAX).min(batch),
            next: CachePadded::new(AtomicU64::new(0)),
            stopped: CachePadded::new(AtomicBool::new(false)),
            window_start_ns: CachePadded::new(AtomicU64::new(UNSET)),
            not_begun: AtomicU32::new(slots),
            not_drained: AtomicU32::new(slots),
            longest_late_ns: AtomicU64::new(0),
            news_ns: AtomicU64::new(go_ns),
            slots: (0..slots).map(|_| SlotState::default()).collect(),
            shards: (0..settings.shards.max(1)).map(|_| CachePadded::default()).collect(),
            longest_stall_ns: AtomicU64::new(0),
            failure: OnceLock::new(),
            service: OnceLock::new(),
            pacing: settings.pace.map(|Pace { bucket, tail_ns }| Pacing {
                bucket: Mutex::new(bucket),
                turn: Mutex::new(()),
                tail_ns,
            }),
            cpu_clock: None,
            edges: [OnceLock::new(), OnceLock::new()],
        }
    }

    /// The same sampler, which reads this clock, if there is one, at the window's edges.
    #[must_use]
    pub fn with_cpu_clock(self, cpu_clock: Option<CpuClock>) -> Sampler {
        Sampler { cpu_clock, ..self }
    }

    /// The index of the next task to begin; `None` when no more may be begun. Each index is given once, and
    /// whoever takes it runs it, at once: under a rate this is where a feeder waits for a token.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let Some(pacing) = &self.pacing else { return self.take() };
        let _turn = pacing.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match self.poll_next() {
                Next::Task(index) => return Some(index),
                Next::At(at_ns) => wait_blocking_until(at_ns),
                Next::Over => return None,
            }
        }
    }

    /// As [`Sampler::next`], of as many tasks that follow one another as this, or fewer: for an engine that deals out work in
    /// lots. Where their number is limited, or a rate holds them back, it is one.
    #[must_use]
    pub fn next_lot(&self, most: u64) -> Option<Range<u64>> {
        if self.pacing.is_some() || self.settings.most_tasks.is_some() {
            return self.next().map(|index| index..index + 1);
        }
        if self.is_stopped() {
            return None;
        }
        let offset = self.next.fetch_add(most, Ordering::Relaxed);
        let first_index = self.settings.first_index;
        (offset < self.limit).then(|| first_index + offset..first_index + offset.saturating_add(most).min(self.limit))
    }

    /// As [`Sampler::next`], for a feeder on an event loop, which goes on turning. `timer` is that of the loop; without
    /// a rate none is needed.
    pub async fn next_async(&self, timer: Option<&Timer>) -> Option<u64> {
        let (Some(_), Some(timer)) = (&self.pacing, timer) else { return self.take() };
        loop {
            match self.poll_next() {
                Next::Task(index) => return Some(index),
                Next::Over => return None,
                Next::At(at_ns) => {
                    if let Err(error) = timer.wait_until(at_ns).await {
                        self.fail(Failed::new(FailureKind::Agent, format!("cannot wait for the rate: {error}"), ""));
                    }
                }
            }
        }
    }

    /// The index of the task at this place of a batch, from 0, for an engine that deals a batch out itself: it asks for
    /// each place once, and no rate holds its tasks back.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<u64> {
        let may_begin = !self.is_stopped() && place < self.limit;
        may_begin.then(|| self.settings.first_index + place)
    }

    /// Whether a rate holds tasks back. Then none is to be submitted ahead of a free worker: what queues for workers
    /// begins when they are free, and several at once, whatever the bucket said when it was submitted.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.pacing.is_some()
    }

    /// What may begin now, or when something may.
    pub fn poll_next(&self) -> Next {
        let over_or = |index: Option<u64>| index.map_or(Next::Over, Next::Task);
        let Some(pacing) = &self.pacing else { return over_or(self.take()) };
        let now = now_ns();
        if self.window_end_ns().is_some_and(|end_ns| now >= end_ns.saturating_add(pacing.tail_ns)) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        // Beyond the last task no token is waited for.
        if self.is_stopped() || self.next.load(Ordering::Relaxed) >= self.limit {
            return over_or(self.take());
        }
        match pacing.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(now) {
            Ok(()) => over_or(self.take()),
            Err(ready_ns) => Next::At(ready_ns.min(now.saturating_add(LOOK_NS))),
        }
    }

    /// Whether all tasks come at once.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        !matches!(self.settings.arrival, Arrival::Window { .. })
    }

    /// How many tasks may be begun, where they come at once and no rate holds them back.
    #[must_use]
    pub fn batch(&self) -> Option<u64> {
        let is_batch = matches!(self.settings.arrival, Arrival::Batch { .. });
        (is_batch && !self.is_paced()).then_some(self.limit)
    }

    /// The next index.
    fn take(&self) -> Option<u64> {
        if self.is_stopped() {
            return None;
        }
        let offset = self.next.fetch_add(1, Ordering::Relaxed);
        (offset < self.limit).then(|| self.settings.first_index + offset)
    }

    /// Whether a task was wanted beyond the limit.
    fn ran_out(&self) -> bool {
        self.next.load(Ordering::Relaxed) > self.limit
    }

    /// Whether dispatch is over.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// A task begins in this lane, now: the time.
    #[must_use]
    pub fn begin(&self, lane: Lane) -> u64 {
        let now = now_ns();
        self.begun_at(lane, now);
        now
    }

    /// A task began in this lane at `begin_ns` (or was handed to a worker process then).
    pub fn begun_at(&self, lane: Lane, begin_ns: u64) {
        if self.window_start_ns.load(Ordering::Relaxed) == UNSET {
            self.note_begin(lane, begin_ns);
        }
    }

    #[cold]
    fn note_begin(&self, lane: Lane, begin_ns: u64) {
        if self.slots[lane.slot as usize].begun.swap(true, Ordering::Relaxed) {
            return;
        }
        self.news_ns.fetch_max(begin_ns, Ordering::Relaxed);
        let is_last = self.not_begun.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last || self.is_paced() {
            self.open_window(begin_ns);
        }
    }

    fn open_window(&self, from_ns: u64) {
        let start = match self.settings.arrival {
            Arrival::Window { ramp_ns, .. } => from_ns + ramp_ns,
            Arrival::Batch { .. } | Arrival::Turns { .. } => self.go_ns,
        };
        // Whoever is first decides; a task that ended before this moment ended before the window.
        let _ = self.window_start_ns.compare_exchange(UNSET, start, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A task ended in this lane, now.
    pub fn end(&self, lane: Lane, submitted_ns: u64, begin_ns: u64, outcome: Outcome) {
        self.ended_at(lane, submitted_ns, begin_ns, now_ns(), outcome);
    }

    /// A task ended in this lane at `end_ns`.
    pub fn ended_at(&self, lane: Lane, submitted_ns: u64, begin_ns: u64, end_ns: u64, outcome: Outcome) {
        match outcome {
            Ok(checksum) => self.record(lane, Sample { submitted_ns, begin_ns, end_ns }, checksum),
            Err(failure) => self.note_error(lane, begin_ns, end_ns, failure),
        }
    }

    fn record(&self, lane: Lane, sample: Sample, checksum: u64) {
        let took_ns = sample.end_ns.saturating_sub(sample.begin_ns);
        if took_ns > self.settings.task_timeout_ns {
            let failure = late(took_ns, self.settings.task_timeout_ns);
            return self.note_error(lane, sample.begin_ns, sample.end_ns, failure);
        }
        let mut log = self.log(lane.shard as usize);
        log.tasks += 1;
        log.checksum = log.checksum.wrapping_add(checksum);
        log.begins_ns = span(log.begins_ns, Some((sample.begin_ns, sample.begin_ns)));
        log.last_end_ns = log.last_end_ns.max(sample.end_ns);
        log.samples.push(sample);
        let full = log.samples.len() >= LOG_CAPACITY && self.may_fold(sample.end_ns);
        let folded = if full { log.fold(self.window()) } else { Ok(()) };
        drop(log);
        if let Err(failure) = folded {
            self.fail(failure);
        }
        if let Arrival::Window { window_ns, .. } = self.settings.arrival {
            self.note_end(lane, sample.begin_ns, sample.end_ns, window_ns);
        }
    }

    /// A task failed. Where that is tolerated it is one more task of the block, without an overlap and without times;
    /// what is not a task's own fault is not.
    #[cold]
    fn note_error(&self, lane: Lane, begin_ns: u64, end_ns: u64, failure: Failed) {
        if !self.settings.tolerates_errors || failure.kind != FailureKind::Task {
            return self.fail(failure);
        }
        let mut log = self.log(lane.shard as usize);
        log.tasks += 1;
        log.errors += 1;
        log.begins_ns = span(log.begins_ns, Some((begin_ns, begin_ns)));
        log.last_end_ns = log.last_end_ns.max(end_ns);
        log.first_error = earlier(log.first_error.take(), Some((end_ns, failure)));
        drop(log);
        if let Arrival::Window { window_ns, .. } = self.settings.arrival {
            self.note_end(lane, begin_ns, end_ns, window_ns);
        }
    }

    fn note_end(&self, lane: Lane, begin_ns: u64, end_ns: u64, window_ns: u64) {
        // Under a rate slots may be left without work, and whoever feeds them watches the window's end.
        if self.is_paced() {
            return;
        }
        let start_ns = self.window_start_ns.load(Ordering::Relaxed);
        // An engine may leave a slot without work for long (a pool that prefers busy workers): neither the
        // begin nor the end of the window waits for it forever.
        let patience_ns = window_ns.max(LEAST_PATIENCE_NS);
        if start_ns == UNSET {
            if self.waits_no_more(end_ns, self.go_ns, patience_ns, 0) {
                self.open_window(end_ns);
            }
            return;
        }
        let window_end_ns = start_ns.saturating_add(window_ns);
        if end_ns >= start_ns {
            self.read_cpu_clock_at_begin();
        }
        if end_ns < window_end_ns {
            return;
        }
        self.read_cpu_clock_at_end(window_ns);
        // Tasks may be much longer than the window, and a straddler of theirs is no slot without work.
        let took_ns = end_ns.saturating_sub(begin_ns);
        let longest_ns = self.longest_late_ns.fetch_max(took_ns, Ordering::Relaxed).max(took_ns);
        let waits_no_more = self.waits_no_more(end_ns, window_end_ns, patience_ns, longest_ns);
        let first_after = !self.slots[lane.slot as usize].drained.swap(true, Ordering::Relaxed);
        let last = first_after && self.not_drained.fetch_sub(1, Ordering::Relaxed) == 1;
        if first_after {
            self.news_ns.fetch_max(end_ns, Ordering::Relaxed);
        }
        if last || waits_no_more {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn read_cpu_clock_at_begin(&self) {
        if self.edges[0].get().is_none() {
            self.read_cpu_clock(0);
        }
    }

    /// Reads the CPU clock a second time, at least half a window after the first, and while the load is full. (Who feeds
    /// many processes may hear of their ends late. Under full load any such part says the same.)
    fn read_cpu_clock_at_end(&self, window_ns: u64) {
        let Some(begin) = self.edges[0].get().filter(|_| self.edges[1].get().is_none()) else { return };
        if !self.is_stopped() && now_ns() >= begin.at_ns.saturating_add(window_ns / 2) {
            self.read_cpu_clock(1);
        }
    }

    fn read_cpu_clock(&self, edge: usize) {
        let Some(clock) = &self.cpu_clock else { return };
        let (before_ns, cpu_ns, after_ns) = (now_ns(), clock(), now_ns());
        // Whoever is first is right; the others read for nothing.
        let _ = self.edges[edge].set(Reading { at_ns: u64::midpoint(before_ns, after_ns), cpu_ns });
    }

    /// Cores in use between the two readings.
    fn window_cores(&self) -> Option<f64> {
        let (begin, end) = (self.edges[0].get()?, self.edges[1].get()?);
        let span_ns = end.at_ns.saturating_sub(begin.at_ns);
        (span_ns > 0).then(|| end.cpu_ns.saturating_sub(begin.cpu_ns) as f64 / span_ns as f64)
    }

    /// Whether slots that were not heard of since `from_ns` are waited for no more: a window, or some of its longest
    /// tasks, after the last one that was heard of, and some windows in all.
    fn waits_no_more(&self, now_ns: u64, from_ns: u64, patience_ns: u64, longest_ns: u64) -> bool {
        let news_ns = self.news_ns.load(Ordering::Relaxed).max(from_ns);
        let for_tasks_ns = longest_ns.saturating_mul(PATIENCE);
        let one_ns = news_ns.saturating_add(patience_ns.max(for_tasks_ns));
        let all_ns = from_ns.saturating_add(patience_ns.saturating_mul(PATIENCE).max(for_tasks_ns));
        now_ns > one_ns.min(all_ns)
    }

    /// Something failed: dispatch stops, and the block's answer is this failure (the first one).
    pub fn fail(&self, failure: Failed) {
        let _ = self.failure.set(failure);
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether event loops run a heartbeat in this block.
    #[must_use]
    pub fn wants_heartbeat(&self) -> bool {
        self.settings.heartbeat
    }

    /// An event loop was late for its heartbeat.
    pub fn stalled(&self, late_ns: u64) {
        self.longest_stall_ns.fetch_max(late_ns, Ordering::Relaxed);
    }

    fn log(&self, shard: usize) -> MutexGuard<'_, Log> {
        self.shards[shard % self.shards.len()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of the window of a closed load, where it is known.
    fn window_end_ns(&self) -> Option<u64> {
        self.window().map(|(_, end_ns)| end_ns).filter(|end_ns| *end_ns != UNSET)
    }

    /// The window, where it is known: `[start, end)`.
    fn window(&self) -> Option<(u64, u64)> {
        let start_ns = self.window_start_ns.load(Ordering::Relaxed);
        match self.settings.arrival {
            Arrival::Window { window_ns, .. } if start_ns != UNSET => {
                Some((start_ns, start_ns.saturating_add(window_ns)))
            }
            Arrival::Window { .. } => None,
            Arrival::Batch { .. } | Arrival::Turns { .. } => Some((0, UNSET)),
        }
    }

    /// Whether tasks that ended by now may be counted already: under a limit, the window may yet be moved to
    /// before `end_ns`, unless it has begun and a task will still begin.
    fn may_fold(&self, end_ns: u64) -> bool {
        match (self.settings.arrival, self.settings.most_tasks) {
            (Arrival::Window { .. }, Some(most)) => {
                self.window_start_ns.load(Ordering::Relaxed) <= end_ns && self.next.load(Ordering::Relaxed) < most
            }
            _ => true,
        }
    }

    /// The window of the whole block, in which the last task began at `last_begin_ns`, and whether all
    /// tasks count as a batch.
    ///
    /// When tasks run out, the load is full until the last one begins. The window ends where no task straddles
    /// its end that ended later; where that leaves nothing of it, when the last task begins. Without a window
    /// before that, the time of all tasks is all there is to go by.
    fn final_window(&self, last_begin_ns: Option<u64>) -> (Option<(u64, u64)>, bool) {
        let window = self.window();
        if self.is_batch() {
            return (window, true);
        }
        if !self.ran_out() {
            return (window, false);
        }
        let ends = last_begin_ns.into_iter().flat_map(|last_ns| [self.last_full_ns(last_ns), last_ns]);
        let mut cuts = ends.filter_map(|full_ns| window.map(|(start_ns, end_ns)| (start_ns, end_ns.min(full_ns))));
        match cuts.find(|(start_ns, end_ns)| start_ns < end_ns) {
            Some(cut) => (Some(cut), false),
            None => (Some((0, UNSET)), true),
        }
    }

    /// The last moment that no task straddles which ended under less than full load, as the last task began at
    /// `last_begin_ns`. What is folded was counted, and is inside.
    fn last_full_ns(&self, last_begin_ns: u64) -> u64 {
        let of_log = |shard| {
            let log = self.log(shard);
            let late = log.samples.iter().filter(|sample| sample.end_ns > last_begin_ns);
            (late.map(|sample| sample.begin_ns).min().unwrap_or(last_begin_ns), log.folded_ns)
        };
        let (first_ns, folded_ns) = (0..self.shards.len())
            .map(of_log)
            .fold((last_begin_ns, 0), |all, log| (all.0.min(log.0), all.1.max(log.1)));
        first_ns.max(folded_ns).min(last_begin_ns)
    }

    /// What ended of the turns of long tasks until the last one began; `None` of one turn, of which nothing did.
    fn full_turns(&self, first_begin_ns: u64, last_begin_ns: u64) -> Option<Full> {
        let Arrival::Turns { tasks } = self.settings.arrival else { return None };
        // Within one turn the load is full for no more than an instant.
        if tasks <= u64::from(self.settings.slots) {
            return None;
        }
        let mut full = Full { ns: last_begin_ns.saturating_sub(first_begin_ns), tasks: 0, busy_ns: 0 };
        for shard in 0..self.shards.len() {
            let log = self.log(shard);
            for sample in log.samples.iter().filter(|sample| sample.end_ns <= last_begin_ns) {
                full.tasks += 1;
                full.busy_ns += sample.end_ns.saturating_sub(sample.begin_ns);
            }
        }
        Some(full).filter(|full| full.ns > 0 && full.tasks > 0)
    }

    /// The figures of the block, with what the processes used in it. Every task must have ended.
    ///
    /// # Errors
    /// The first failure of a task or worker.
    pub fn finish(&self, block: u32, kind: BlockKind, usage: Usage) -> Result<Block, Failed> {
        if let Some(failure) = self.failure.get() {
            return Err(failure.clone());
        }
        let begins_ns = (0..self.shards.len()).fold(None, |all, shard| span(all, self.log(shard).begins_ns));
        let (window, is_batch) = self.final_window(begins_ns.map(|(_, last_ns)| last_ns));
        let full = begins_ns.and_then(|(first_ns, last_ns)| self.full_turns(first_ns, last_ns));
        let mut totals = Totals::new();
        let (mut tasks, mut checksum, mut last_end_ns) = (0, 0_u64, self.go_ns);
        let (mut errors, mut first_error) = (0, None);
        for shard in 0..self.shards.len() {
            let mut log = self.log(shard);
            log.fold(window)?;
            tasks += log.tasks;
            checksum = checksum.wrapping_add(log.checksum);
            last_end_ns = last_end_ns.max(log.last_end_ns);
            errors += log.errors;
            first_error = earlier(first_error, log.first_error.take());
            if let Some(part) = log.totals.take() {
                totals.add(&part)?;
            }
        }
        let service = ServiceTimes { mean_ns: totals.service.mean() as u64, longest_ns: totals.service.max() };
        self.service.get_or_init(|| service);
        let elapsed_ns = last_end_ns - self.go_ns;
        let window_ns = match (self.settings.arrival, window) {
            (Arrival::Window { .. }, Some((start_ns, end_ns))) if !is_batch => end_ns - start_ns,
            (Arrival::Window { window_ns, .. }, None) => window_ns,
            _ => full.map_or(elapsed_ns, |full| full.ns),
        };
        let stall_ns = self.longest_stall_ns.load(Ordering::Relaxed);
        // A window that a limit cut ends before its reading.
        let is_whole = matches!(self.settings.arrival, Arrival::Window { .. }) && !is_batch && !self.ran_out();
        Ok(Block {
            block,
            kind,
            first_index: self.settings.first_index,
            tasks,
            errors,
            first_error: first_error.map(|(_, failure)| failure),
            notes: Vec::new(),
            variants: Vec::new(),
            checksum,
            window_ns,
            elapsed_ns,
            resume_ns: begins_ns.map_or(0, |(first_ns, _)| first_ns.saturating_sub(self.go_ns).min(elapsed_ns)),
            tasks_in_window: full.map_or(totals.tasks_in_window, |full| full.tasks as f64),
            window_cores: self.window_cores().filter(|_| is_whole),
            service: encode(&totals.service)?,
            queueing: encode(&totals.queueing)?,
            busy_ns: full.map_or(totals.busy_ns, |full| full.busy_ns),
            usage,
            longest_stall_ns: (self.settings.heartbeat && stall_ns > 0).then_some(stall_ns),
            serialisation: None,
            results: Vec::new(),
        })
    }

    /// The service times of the block, once it is finished; zeros before.
    #[must_use]
    pub fn service_times(&self) -> ServiceTimes {
        self.service.get().copied().unwrap_or_default()
    }
}

/// From the earlier begin to the later end of two spans.
fn span(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        _ => one.or(other),
    }
}

/// Which of two failures was first.
fn earlier(one: Option<(u64, Failed)>, other: Option<(u64, Failed)>) -> Option<(u64, Failed)> {
    one.into_iter().chain(other).min_by_key(|(end_ns, _)| *end_ns)
}

/// What fell into the window.
struct Totals {
    tasks_in_window: f64,
    busy_ns: u64,
    service: Histogram<u64>,
    queueing: Histogram<u64>,
}

impl Totals {
    fn new() -> Totals {
        Totals { tasks_in_window: 0.0, busy_ns: 0, service: histogram(), queueing: histogram() }
    }

    /// Counts a task: throughput by its overlap with the window, its times if it began in the window (a task
    /// is then as likely to be seen when it is long as when it is short).
    fn count(&mut self, sample: Sample, (start_ns, end_ns): (u64, u64)) -> Result<(), Failed> {
        let took_ns = sample.end_ns.saturating_sub(sample.begin_ns);
        let overlap_ns = sample.end_ns.min(end_ns).saturating_sub(sample.begin_ns.max(start_ns));
        let inside = sample.begin_ns >= start_ns && sample.begin_ns < end_ns;
        if took_ns == 0 {
            self.tasks_in_window += f64::from(u8::from(inside));
        } else {
            self.tasks_in_window += overlap_ns as f64 / took_ns as f64;
        }
        self.busy_ns += overlap_ns;
        if inside {
            let waited_ns = sample.begin_ns.saturating_sub(sample.submitted_ns);
            self.service.record(took_ns).map_err(|error| unusable(&error))?;
            self.queueing.record(waited_ns).map_err(|error| unusable(&error))?;
        }
        Ok(())
    }

    fn add(&mut self, other: &Totals) -> Result<(), Failed> {
        self.tasks_in_window += other.tasks_in_window;
        self.busy_ns += other.busy_ns;
        self.service.add(&other.service).map_err(|error| unusable(&error))?;
        self.queueing.add(&other.queueing).map_err(|error| unusable(&error))
    }
}

impl Log {
    /// Moves the samples into the totals. Without a window yet, they ended before it and count for nothing.
    fn fold(&mut self, window: Option<(u64, u64)>) -> Result<(), Failed> {
        if let Some(window) = window {
            let totals = self.totals.get_or_insert_with(Totals::new);
            self.samples.iter().try_for_each(|sample| totals.count(*sample, window))?;
            self.folded_ns = self.last_end_ns;
        }
        self.samples.clear();
        Ok(())
    }
}

fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 1 << 30, 3)
        .unwrap_or_else(|_| unreachable!("three digits between 1 ns and about 1 s are legal bounds"));
    histogram.auto(true);
    histogram
}

fn encode(histogram: &Histogram<u64>) -> Result<HistogramData, Failed> {
    HistogramData::encode(histogram).map_err(|error| unusable(&error))
}

fn unusable(error: &dyn std::fmt::Display) -> Failed {
    Failed {
        kind: FailureKind::Agent,
        message: format!("the histogram of a block cannot be made: {error}"),
        place: String::new(),
        traceback: Vec::new(),
    }
}

fn late(took_ns: u64, timeout_ns: u64) -> Failed {
    let millis = |ns: u64| ns as f64 / 1e6;
    Failed {
        kind: FailureKind::Task,
        message: format!(
            "a task took {:.1} ms, longer than task_timeout ({:.1} ms)",
            millis(took_ns),
            millis(timeout_ns)
        ),
        place: String::new(),
        traceback: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
