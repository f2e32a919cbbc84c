//! The seam between engines and steps.
//!
//! An engine holds an `Arc<Task>` and calls one of its forms with an index; it never learns what the
//! steps are. A step offers a blocking and an async form; it never learns which engine calls it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::clock::Timer;
use crate::protocol::{Failed, VARIANTS};
use crate::workload::Payload;

pub use crate::protocol::pattern;

/// The checksum of what was done, or why it failed.
pub type Outcome = Result<u64, Failed>;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One step of a task, ready to run: its inputs made, its connections pooled, its draws given.
pub trait Step: Send + Sync {
    /// Does the step on the calling thread and returns when it is done.
    ///
    /// The checksum depends on `index % VARIANTS` alone.
    ///
    /// # Errors
    /// When the step failed; `place` names the step.
    fn blocking(&self, index: u64) -> Outcome;

    /// Does the step on an event loop (a tokio runtime with I/O enabled). A step that has no real async
    /// form blocks the loop, as it does for a user who makes that mistake.
    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome>;

    /// The checksum of task `index`, in any way that is quick and independent of the load: waits are not
    /// waited.
    ///
    /// # Errors
    /// When the step failed.
    fn reference(&self, index: u64) -> Outcome {
        self.blocking(index)
    }

    /// Makes ahead what tasks would else make at first use and a user's program would have or be handed (a
    /// kernel's input, a file to read): for every variant, or just for task `index`. What cannot be made is
    /// left to the task, which says why.
    fn prepare(&self, _index: Option<u64>) {}

    /// Lets the effects of a block settle after its end (writeback of files), outside every window.
    fn settle(&self) {}

    /// The same step for another event loop of this process, with that loop's timer, and with connections and
    /// partners of its own; `None` where loops can share it as it is.
    fn on_another_loop(&self, _timer: &Arc<Timer>) -> Option<Box<dyn Step>> {
        None
    }
}

/// A step and its part in a task.
pub struct Placed {
    /// The step.
    pub step: Box<dyn Step>,
    /// Whether [`Step::asynchronous`] leaves the loop free while it waits, as the step's description says
    /// ([`has_async_form`](crate::workload::Step::has_async_form)). Mixed engines move the others off the
    /// loop.
    pub is_async: bool,
}

/// Successive steps that run in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    first: usize,
    end: usize,
    is_async: bool,
}

/// A task, as engines see it.
pub struct Task {
    steps: Vec<Arc<dyn Step>>,
    segments: Vec<Segment>,
    inputs: Arc<[Vec<u8>]>,
    payload: Payload,
}

impl Task {
    /// A task of these steps, with the payload's inputs made from `seed`; `None` is the task of a worker,
    /// whose inputs come to it.
    #[must_use]
    pub fn new(steps: Vec<Placed>, payload: Payload, seed: Option<u64>) -> Task {
        let mut segments: Vec<Segment> = Vec::new();
        for (position, Placed { is_async, .. }) in steps.iter().enumerate() {
            match segments.last_mut() {
                Some(last) if last.is_async == *is_async => last.end = position + 1,
                _ => segments.push(Segment { first: position, end: position + 1, is_async: *is_async }),
            }
        }
        let steps = steps.into_iter().map(|placed| Arc::from(placed.step)).collect();
        let input = |seed: u64| (0..VARIANTS).map(|variant| pattern(payload.input_bytes, seed ^ variant)).collect();
        let inputs = seed.map_or_else(Vec::new, input).into();
        Task { steps, segments, inputs, payload }
    }

    /// The same task for another event loop of this process: what is bound to a loop is made anew, all else is shared.
    #[must_use]
    pub fn on_another_loop(&self) -> Task {
        let timer = Arc::new(Timer::new());
        let step = |step: &Arc<dyn Step>| step.on_another_loop(&timer).map_or_else(|| Arc::clone(step), Arc::from);
        Task {
            steps: self.steps.iter().map(step).collect(),
            segments: self.segments.clone(),
            inputs: Arc::clone(&self.inputs),
            payload: self.payload,
        }
    }

    /// The payload that task `index` is given; empty in a worker, to which it comes.
    #[must_use]
    pub fn input(&self, index: u64) -> &[u8] {
        self.inputs.get((index % VARIANTS) as usize).map_or(&[], Vec::as_slice)
    }

    /// The result that task `index` gives back, beside its checksum.
    #[must_use]
    pub fn output(&self, index: u64) -> Vec<u8> {
        vec![(index % VARIANTS) as u8 + 1; self.payload.output_bytes as usize]
    }

    /// The checksum of bytes: whoever receives them reads them all once. Their Adler-32 (RFC 1950) begun at 0
    /// instead of 1, so that no bytes come to 0, and their number modulo 2^32 above it: every language has
    /// it, and has it fast.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> u64 {
        let mut sum = simd_adler32::Adler32::from_checksum(0);
        sum.write(bytes);
        u64::from(sum.finish()) | (bytes.len() as u64) << 32
    }

    /// The whole task on the calling thread, payload included.
    ///
    /// # Errors
    /// When a step failed.
    pub fn blocking(&self, index: u64) -> Outcome {
        let received = Task::digest(self.input(index));
        let done = self.run_blocking(0..self.steps.len(), index)?;
        Ok(received.wrapping_add(done).wrapping_add(self.give_back(index)))
    }

    /// The whole task on an event loop, payload included.
    ///
    /// # Errors
    /// When a step failed.
    pub async fn asynchronous(&self, index: u64) -> Outcome {
        let mut sum = Task::digest(self.input(index));
        // Not by `run_async`: a future within this one would be part of each task in flight.
        for step in &self.steps {
            sum = sum.wrapping_add(step.asynchronous(index).await?);
        }
        Ok(sum.wrapping_add(self.give_back(index)))
    }

    /// All steps on the calling thread, without the payload.
    ///
    /// # Errors
    /// When a step failed.
    pub fn steps_blocking(&self, index: u64) -> Outcome {
        self.run_blocking(0..self.steps.len(), index)
    }

    /// The number of segments: alternately steps that stay on an event loop and steps that leave it.
    #[must_use]
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Whether segment `segment` stays on the event loop of a mixed engine.
    #[must_use]
    pub fn stays_on_loop(&self, segment: usize) -> bool {
        self.segments[segment].is_async
    }

    /// The steps of one segment on the calling thread, without the payload.
    ///
    /// # Errors
    /// When a step failed.
    pub fn segment_blocking(&self, segment: usize, index: u64) -> Outcome {
        let segment = self.segments[segment];
        self.run_blocking(segment.first..segment.end, index)
    }

    /// The steps of one segment on an event loop, without the payload.
    ///
    /// # Errors
    /// When a step failed.
    pub async fn segment_async(&self, segment: usize, index: u64) -> Outcome {
        let segment = self.segments[segment];
        self.run_async(segment.first..segment.end, index).await
    }

    /// What the payload adds to the checksum of task `index`, in every engine.
    #[must_use]
    pub fn payload_digest(&self, index: u64) -> u64 {
        Task::digest(self.input(index)).wrapping_add(self.give_back(index))
    }

    /// The checksums of task `index`: one a step, and the payload's last.
    ///
    /// # Errors
    /// When a step failed.
    pub fn reference(&self, index: u64) -> Result<Vec<u64>, Failed> {
        let mut sums = self.steps.iter().map(|step| step.reference(index)).collect::<Result<Vec<u64>, Failed>>()?;
        sums.push(self.payload_digest(index));
        Ok(sums)
    }

    /// Makes ahead what tasks need of the steps: see [`Step::prepare`].
    pub fn prepare(&self, index: Option<u64>) {
        for step in &self.steps {
            step.prepare(index);
        }
    }

    /// Lets the effects of a block settle.
    pub fn settle(&self) {
        for step in &self.steps {
            step.settle();
        }
    }

    fn give_back(&self, index: u64) -> u64 {
        if self.payload.output_bytes == 0 { 0 } else { Task::digest(&self.output(index)) }
    }

    fn run_blocking(&self, steps: std::ops::Range<usize>, index: u64) -> Outcome {
        self.steps[steps].iter().try_fold(0_u64, |sum, step| Ok(sum.wrapping_add(step.blocking(index)?)))
    }

    async fn run_async(&self, steps: std::ops::Range<usize>, index: u64) -> Outcome {
        let mut sum = 0_u64;
        for step in &self.steps[steps] {
            sum = sum.wrapping_add(step.asynchronous(index).await?);
        }
        Ok(sum)
    }
}
