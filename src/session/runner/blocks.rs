//! Blocks: what is asked, counted, compared with the reference and kept.

use super::{MOST_LOST_NS, MS, Runner, Slot, Stop};
use crate::candidate::{Candidate, Model};
use crate::decide::Finding;
use crate::protocol::{Block, BlockKind, FailureKind, Note, Reference};
use crate::record::{BlockRecord, Warning};
use crate::session::blocks::Learned;
use crate::session::error::AgentError;
use crate::session::hang::Patience;
use crate::session::pool::{AgentSlot, Ask, Measurement, PARKED_SHARE};
use crate::workload::Load;

/// Memory that no limit looks at is sampled for this part of the budget: a batch is run whole for it.
const MEMORY_PART: u64 = 40;
/// The window of a memory block.
const MEMORY_NS: u64 = 60 * MS;

impl Runner<'_> {
    /// Takes a memory block of a candidate: once, or once a life where the objective looks at memory. A life that began
    /// warm is left out, since it shares its parent's pages.
    pub(super) fn measure_memory(&mut self, slot: usize, learned: &Learned) -> Result<Result<(), Stop>, AgentError> {
        if self.record.candidates[slot].lives.last().is_some_and(|life| life.warm) {
            return Ok(Ok(()));
        }
        if std::mem::replace(&mut self.slots[slot].has_memory, true) {
            return Ok(Ok(()));
        }
        let wished = self.pace.untimed(MEMORY_NS, learned.latency_ns);
        let Some(window_ns) = self.affordable_in(slot, wished, learned) else { return Ok(Err(Stop::CallsSpent)) };
        let measurement = self.block(slot, BlockKind::Memory, window_ns, learned)?;
        self.keep(slot, None, measurement);
        Ok(Ok(()))
    }

    /// Samples the memory of what is named and of the best of each other model, as far as their agents live: where no
    /// limit looks at it, it is told all the same, and costs the race nothing.
    pub(super) fn measure_memory_of_leaders(&mut self, found: Option<Finding>) {
        let Some(found) = found.filter(|_| !self.has_one_turn()) else { return };
        let mut order: Vec<(f64, usize)> =
            found.standings.iter().map(|it| (it.ratio, self.base + it.candidate)).collect();
        order.sort_by(|one, other| other.0.total_cmp(&one.0));
        order.insert(0, (0.0, self.base + found.named));
        let mut models: Vec<Model> = Vec::new();
        let until_ns = self.spent_ns().saturating_add(self.allotment.budget_ns / MEMORY_PART);
        for (_, slot) in order {
            if self.spent_ns() > until_ns {
                break;
            }
            let Slot { alive, learned, .. } = self.slots[slot];
            let model = self.record.candidates[slot].candidate.model();
            let Some(learned) = learned.filter(|_| alive && !models.contains(&model)) else { continue };
            models.push(model);
            let is_warm = self.record.candidates[slot].lives.last().is_some_and(|life| life.warm);
            // What is named is worth a life for it.
            let learned =
                if is_warm && slot == self.base + found.named { self.restarted_cold(slot) } else { Some(learned) };
            let Some(learned) = learned else { continue };
            // What goes wrong here says nothing of the answer.
            if self.measure_memory(slot, &learned).is_err() {
                self.kill(slot);
            }
        }
    }

    /// Runs a block of a candidate of the race.
    pub(super) fn block(
        &mut self,
        slot: usize,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let candidate = self.record.candidates[slot].candidate.clone();
        let measurement = self.block_of(slot, &candidate, kind, window_ns, learned)?;
        self.watch_parking(slot, measurement.parked_cpu_share);
        Ok(measurement)
    }

    /// Runs a block of whoever holds this slot.
    pub(in crate::session) fn block_of(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let (ask, expected) = self.ask(candidate, kind, window_ns, learned);
        self.checked(slot, candidate, ask, expected)
    }

    /// As [`Runner::block_of`], of work that the reference does not know.
    pub(in crate::session) fn unchecked_block_of(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        kind: BlockKind,
        window_ns: u64,
        learned: &Learned,
    ) -> Result<Measurement, AgentError> {
        let (ask, expected) = self.ask(candidate, kind, window_ns, learned);
        self.counted(slot, candidate, ask, expected)
    }

    /// What a block is asked for, and about how many tasks it will run.
    fn ask(&self, candidate: &Candidate, kind: BlockKind, window_ns: u64, learned: &Learned) -> (Ask, u64) {
        let concurrency = candidate.sizes.concurrency();
        let expected = self.pace.calls(window_ns, learned.throughput_per_s, concurrency);
        let idle_ns = self.slowest.idle_in_block_ns(concurrency, self.hangs_may_cost_ns());
        let whole_ns = self.pace.patience_ns(window_ns, learned);
        // The tasks of a batch all end before its answer comes, and may wait most of their time.
        let batch_ns = match self.record.workload.load {
            Load::Batch { tasks, .. } => {
                let in_turn_ns = self.slowest.in_turn_ns(tasks.div_ceil(concurrency.max(1)));
                learned.elapsed_ns.max(in_turn_ns.min(MOST_LOST_NS))
            }
            Load::Closed { .. } => 0,
        };
        let waits_ns = self.pace.waits_ns(expected).saturating_add(window_ns).saturating_add(batch_ns);
        let patience = Patience { whole_ns, idle_ns }.and(waits_ns).and(self.waits_for_cluster_ns(candidate));
        // An estimate may be wrong, and whoever sets `max_calls` may pay for each call.
        let most_tasks = self.record.workload.max_calls.map(|_| self.calls_left());
        // A batch is all of the user's items, in their order.
        let is_batch = matches!(self.record.workload.load, Load::Batch { .. });
        let first_index = if is_batch { 0 } else { self.tasks.first_index };
        (Ask { kind, window_ns, first_index, most_tasks, patience }, expected)
    }

    /// Runs what is asked, counts its tasks (about `expected`) and compares their checksum.
    pub(in crate::session) fn checked(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        ask: Ask,
        expected: u64,
    ) -> Result<Measurement, AgentError> {
        let measurement = self.counted(slot, candidate, ask, expected)?;
        let figures = &measurement.figures;
        // Which of its tasks failed is not known, so that of others nothing can be expected.
        let reference = self.reference(candidate).filter(|_| figures.errors == 0);
        if let Some(reference) = reference {
            let expected = reference.expected_of(figures);
            if expected != figures.checksum {
                let message = format!(
                    "the results of {} tasks from task {} on are not the reference's (checksum {:x}, expected {expected:x}): a task's result must depend on its index alone",
                    figures.tasks, figures.first_index, figures.checksum
                );
                return Err(AgentError::new(FailureKind::Checksum, message));
            }
        }
        Ok(measurement)
    }

    /// What the blocks of a candidate are held against, if anything.
    pub(in crate::session) fn reference(&self, candidate: &Candidate) -> Option<&Reference> {
        self.references.get(&(candidate.runtime.clone(), candidate.library_threads))
    }

    /// Runs what is asked and counts its tasks (about `expected`).
    fn counted(
        &mut self,
        slot: impl Into<AgentSlot>,
        candidate: &Candidate,
        ask: Ask,
        expected: u64,
    ) -> Result<Measurement, AgentError> {
        match self.pool.block(slot.into(), ask) {
            Ok(mut measurement) => {
                self.calls = self.calls.saturating_add(measurement.figures.tasks);
                // Tasks that compute take long beside each other, and do not look as if they hung.
                if measurement.figures.usage.own_cpu_ns() < measurement.figures.elapsed_ns / 2 {
                    self.slowest.saw(slowest_ns(&measurement.figures), 0);
                }
                self.found(&candidate.runtime, &measurement.figures.notes);
                if let Some(cores) = self.record.calibration.usable_cores {
                    measurement.figures = measurement.figures.counted_by_cpu(cores, candidate.sizes.at_once());
                }
                Ok(measurement)
            }
            Err(fault) => {
                // How many it ran before it failed is not known, and the user may pay for each.
                self.calls = self.calls.saturating_add(expected);
                Err(fault)
            }
        }
    }

    pub(super) fn keep(&mut self, slot: usize, round: Option<u32>, measurement: Measurement) {
        let place = &mut self.record.candidates[slot];
        place.blocks.push(BlockRecord {
            round,
            life: u32::try_from(place.lives.len().saturating_sub(1)).unwrap_or(u32::MAX),
            at_ns: measurement.at_ns,
            server_cpu_ns: measurement.server_cpu_ns,
            memory: measurement.memory,
            figures: measurement.figures,
        });
    }

    pub(super) fn watch_parking(&mut self, slot: usize, share: f64) {
        let (Some(place), Some(slot)) = (self.record.candidates.get_mut(slot), self.slots.get_mut(slot)) else {
            return;
        };
        if let Some(life) = place.lives.last_mut() {
            life.parked_cpu_share = life.parked_cpu_share.max(share);
        }
        if share > PARKED_SHARE && !std::mem::replace(&mut slot.warned_of_parking, true) {
            let candidate = place.candidate.clone();
            self.warn(Warning::NotParked { candidate, share });
        }
    }

    /// Says what an agent found of the user's own code, each thing once: it is the same code under every runtime.
    fn found(&mut self, runtime: &str, notes: &[Note]) {
        for note in notes {
            let is_told =
                |warning: &Warning| matches!(warning, Warning::Found { note: known, .. } if known.is_same(note));
            if !self.record.warnings.iter().any(is_told) {
                self.warn(Warning::Found { runtime: runtime.to_owned(), note: note.clone() });
            }
        }
    }

    pub(in crate::session) fn calls_left(&self) -> u64 {
        let all = self.record.workload.max_calls.unwrap_or(u64::MAX);
        all.min(self.allotment.most_calls).saturating_sub(self.calls)
    }

    pub(super) fn affordable_in(&self, slot: usize, window_ns: u64, learned: &Learned) -> Option<u64> {
        self.affordable(&self.record.candidates[slot].candidate, window_ns, learned)
    }

    pub(super) fn affordable(&self, candidate: &Candidate, window_ns: u64, learned: &Learned) -> Option<u64> {
        self.pace.within_calls(window_ns, learned, candidate.sizes.concurrency(), self.calls_left())
    }
}

/// The slowest task of a block; 0 where that is not known.
fn slowest_ns(block: &Block) -> u64 {
    block.service.decode().map_or(0, |service| service.max())
}
