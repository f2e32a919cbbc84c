//! `cpu`: computation.

use std::sync::OnceLock;

use super::Label;
use super::kernels::{Input, input_seed};
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::protocol::VARIANTS;
use crate::workload::Cpu;

/// A kernel with its inputs, one a variant, each made by the first task that needs it.
pub(super) struct Computation {
    label: Label,
    cpu: Cpu,
    iterations: u64,
    seed: u64,
    inputs: [OnceLock<Input>; VARIANTS as usize],
}

impl Computation {
    pub(super) fn new(label: Label, cpu: Cpu, iterations: u64, seed: u64) -> Computation {
        Computation { label, cpu, iterations, seed, inputs: Default::default() }
    }

    /// Makes the inputs of every variant, or of task `index` alone.
    pub(super) fn prepare(&self, index: Option<u64>) {
        for variant in index.map_or(0..VARIANTS, |index| index..index.saturating_add(1)) {
            let _ = self.input(variant);
        }
    }

    /// The input of task `index`, and its seed.
    fn input(&self, index: u64) -> (&Input, u64) {
        let variant = index % VARIANTS;
        let seed = input_seed(self.seed, self.label.number, variant);
        (self.inputs[variant as usize].get_or_init(|| Input::new(&self.cpu, seed)), seed)
    }

    /// What task `index` computes.
    pub(super) fn run(&self, index: u64) -> Outcome {
        let (input, seed) = self.input(index);
        input.run(seed, self.iterations).map_err(|error| {
            self.label.task(format!("the kernel `{}` failed on its own input: {error}", self.cpu.kernel.name()))
        })
    }
}

/// Computes on the calling thread; its async form computes on the event loop.
pub(super) struct CpuStep(Computation);

impl CpuStep {
    pub(super) fn new(label: Label, cpu: Cpu, iterations: u64, seed: u64) -> CpuStep {
        CpuStep(Computation::new(label, cpu, iterations, seed))
    }
}

impl Step for CpuStep {
    fn blocking(&self, index: u64) -> Outcome {
        self.0.run(index)
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move { self.0.run(index) })
    }

    fn prepare(&self, index: Option<u64>) {
        self.0.prepare(index);
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::steps::testing::{check_forms, step_job};
    use crate::workload::{Cpu, Kernel, Step};

    #[test]
    fn both_forms_agree_for_every_kernel() {
        for kernel in Kernel::ALL {
            let mut job = step_job(Step::Cpu(Cpu { kernel, input_bytes: 300, time_ns: None }));
            job.iterations = 3;
            check_forms(&job);
        }
    }
}
