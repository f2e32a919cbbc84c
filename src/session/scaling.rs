//! What two threads do beside one, measured: whether an interpreter lock, or anything else, keeps them apart.

use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::blocks::Learned;
use super::course::{Course, Stop, turns_of};
use super::hands::Born;
use super::link::Fault;
use crate::candidate::{Candidate, Model, Sizes};
use crate::plan::Entry;
use crate::protocol::{Block, BlockKind, FailureKind, VARIANTS};
use crate::record::{Phase, ThreadScaling};
use crate::stats::yuen;

const MS: u64 = 1_000_000;
/// The part of a runtime's budget that this may take.
const BUDGET_PART: u64 = 20;
/// The longest that it may take.
const LONGEST_NS: u64 = 1_500 * MS;
/// Pairs of blocks below which nothing is said.
const LEAST_PAIRS: u64 = 6;
/// Pairs beyond which nothing is learnt that matters.
const MOST_PAIRS: u64 = 20;
/// The part of the tasks that are left that this may run, where they are counted.
const CALLS_PART: u64 = 10;
/// The slots of the two agents: no candidate of the record has them.
const SLOTS: [usize; 2] = [usize::MAX - 1, usize::MAX - 2];

/// One thread, or two.
struct Side {
    slot: usize,
    candidate: Candidate,
    learned: Learned,
}

impl Course<'_> {
    /// Measures two threads beside one, under the first of these engines that has a number of threads. `None` where
    /// there is none, where it fails, or where tasks are too long or too few are allowed.
    pub(super) fn thread_scaling(&mut self, entries: &[Entry]) -> Result<Option<ThreadScaling>, Stop> {
        let has_two = |entry: &&Entry| entry.workers.last().is_some_and(|most| *most >= 2);
        let entry = entries.iter().filter(|entry| entry.engine.model() == Model::Threads).find(has_two);
        let Some(entry) = entry else { return Ok(None) };
        let begun_ns = self.hands.elapsed_ns();
        let measured = self.compare_threads(entry);
        // What went wrong is said by the race, where it goes wrong again.
        let lost = matches!(&measured, Err(Fault::Failed(failed)) if failed.kind == FailureKind::Hang);
        for slot in SLOTS {
            if measured.is_ok() { drop(self.hands.end(slot)) } else { self.hands.kill(slot) }
        }
        if lost {
            self.lost_ns += self.hands.elapsed_ns().saturating_sub(begun_ns);
        }
        match measured {
            Ok(scaling) => Ok(scaling),
            Err(Fault::Interrupted) => Err(Stop::Interrupted),
            Err(Fault::Failed(_)) => Ok(None),
        }
    }

    fn compare_threads(&mut self, entry: &Entry) -> Result<Option<ThreadScaling>, Fault> {
        // What the agents take to start is not counted: on a busy host it would leave no time to measure.
        let mut left_ns = (self.pace.budget_ns / BUDGET_PART).min(LONGEST_NS);
        let mut sides = Vec::new();
        for (slot, workers) in SLOTS.into_iter().zip(1..) {
            let candidate = entry.candidate(Sizes { workers: Some(workers), ..entry.default_sizes });
            let Ok(born) = self.bear(slot, &candidate, None)? else { return Ok(None) };
            let begun_ns = self.hands.elapsed_ns();
            let Some(side) = self.side(slot, candidate, &born, left_ns)? else { return Ok(None) };
            left_ns = left_ns.saturating_sub(self.hands.elapsed_ns().saturating_sub(begun_ns));
            sides.push(side);
        }
        let Ok([one, two]) = <[Side; 2]>::try_from(sides) else { return Ok(None) };
        let window_ns = self.common_length(&one).max(self.common_length(&two));
        let pairs = (left_ns / pair_ns(window_ns, &[&one, &two]).max(1)).min(MOST_PAIRS);
        let calls = [&one, &two]
            .map(|side| self.pace.calls(window_ns, side.learned.throughput_per_s, side.candidate.sizes.concurrency()));
        let allowed = self.calls_left() / CALLS_PART / calls.iter().sum::<u64>().max(1);
        let pairs = pairs.min(allowed);
        if pairs < LEAST_PAIRS {
            return Ok(None);
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.record.settings.seed);
        let mut blocks: [Vec<Block>; 2] = Default::default();
        for _ in 0..pairs {
            let mut order = [(&one, 0), (&two, 1)];
            order.shuffle(&mut random);
            for (side, place) in order {
                let taken = self.block_of(side.slot, &side.candidate, BlockKind::Timed, window_ns, &side.learned)?;
                blocks[place].push(taken.figures);
            }
            let longest = blocks.iter().filter_map(|blocks| blocks.last()).map(|block| block.tasks).max();
            self.first_index += longest.unwrap_or(0).next_multiple_of(VARIANTS);
        }
        Ok(scaling(&blocks[0], &blocks[1]))
    }

    /// One side, warm; `None` when its tasks are too long for what time or calls there are.
    fn side(&mut self, slot: usize, candidate: Candidate, born: &Born, left_ns: u64) -> Result<Option<Side>, Fault> {
        let workers = candidate.sizes.concurrency();
        let learned = Learned::from_first_task(born.ready.first_task_ns, workers, self.record.workload.load);
        // Each block runs a task before its window and one after it.
        if learned.elapsed_ns.saturating_mul(3 * LEAST_PAIRS) > left_ns {
            return Ok(None);
        }
        let Ok(learned) = self.warm_up(slot, &candidate, &learned, turns_of(&candidate, born))? else {
            return Ok(None);
        };
        Ok(Some(Side { slot, candidate, learned }))
    }

    fn common_length(&self, side: &Side) -> u64 {
        self.pace.window(&side.learned, Phase::Final).ns
    }
}

/// What a pair of blocks takes.
fn pair_ns(window_ns: u64, sides: &[&Side]) -> u64 {
    let block = |side: &&Side| window_ns.saturating_add(side.learned.outside_ns.max(2 * side.learned.latency_ns));
    sides.iter().map(block).fold(0, u64::saturating_add)
}

/// What paired blocks of one thread and of two say; `None` when too few of them ran tasks.
fn scaling(one: &[Block], two: &[Block]) -> Option<ThreadScaling> {
    let ratio = |(one, two): (&Block, &Block)| (two.throughput_per_s() / one.throughput_per_s()).ln();
    let ratios: Vec<f64> = one.iter().zip(two).map(ratio).filter(|ratio| ratio.is_finite()).collect();
    if (ratios.len() as u64) < LEAST_PAIRS {
        return None;
    }
    let interval = yuen(&ratios)?.interval(0.90).exp();
    let sum = |of: &dyn Fn(&Block) -> f64| one.iter().map(of).sum::<f64>();
    let cpu_ns = sum(&|block| block.usage.cpu_ns() as f64) / sum(&|block| block.tasks as f64);
    let service_ns = sum(&|block| block.busy_ns as f64) / sum(&|block| block.tasks_in_window);
    let cpu_share_alone = cpu_ns / service_ns;
    let is_sound = [interval.low, interval.value, interval.high, cpu_share_alone].iter().all(|it| it.is_finite());
    is_sound.then_some(ThreadScaling { ratio: interval.value, low: interval.low, high: interval.high, cpu_share_alone })
}
