//! Computation: the kernels, and the sizes they take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Computation: a kernel and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// The kernel.
    pub kernel: Kernel,
    /// Bytes of input of one iteration.
    pub input_bytes: u64,
    /// The unloaded time of a task's iterations; `None` is one iteration.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_ns: Option<u64>,
}

/// A computation kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kernel {
    /// A plain arithmetic loop over the input's 8-byte words; touches no memory beyond them.
    Loop,
    /// Counts the primes below the input's size, by trial division.
    Primes,
    /// SHA-256 of the input.
    Sha256,
    /// Parses a JSON document of the input's size.
    Json,
    /// Compresses the input with DEFLATE and decompresses it again.
    Deflate,
    /// Sorts the input as 64-bit integers.
    Sort,
    /// Multiplies two square matrices of doubles that together have the input's size.
    Matrix,
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Kernel; 7] =
        [Kernel::Loop, Kernel::Primes, Kernel::Sha256, Kernel::Json, Kernel::Deflate, Kernel::Sort, Kernel::Matrix];

    /// The kernel's name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kernel::Loop => "loop",
            Kernel::Primes => "primes",
            Kernel::Sha256 => "sha256",
            Kernel::Json => "json",
            Kernel::Deflate => "deflate",
            Kernel::Sort => "sort",
            Kernel::Matrix => "matrix",
        }
    }

    /// What it computes, in a few words.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Kernel::Loop => "plain arithmetic over 8-byte words",
            Kernel::Primes => "counts the primes below the input's number of bytes",
            Kernel::Sha256 => "SHA-256 of the input",
            Kernel::Json => "parses a JSON document",
            Kernel::Deflate => "compresses with DEFLATE and decompresses again",
            Kernel::Sort => "sorts 64-bit integers",
            Kernel::Matrix => "multiplies two square matrices of doubles",
        }
    }

    /// The input of one iteration, in bytes, where a workload names a time instead of an input.
    ///
    /// It makes an iteration last roughly 1 to 50 us, so that a time of 100 us and up is met to a few
    /// percent by a whole number of iterations, and it stays inside the first or second cache, so that the
    /// time does not hang on what else runs.
    #[must_use]
    pub const fn default_input_bytes(self) -> u64 {
        match self {
            Kernel::Loop | Kernel::Sort => 8 << 10,
            // Not a size of memory: the primes below 2,000 are counted.
            Kernel::Primes => 2_000,
            Kernel::Sha256 | Kernel::Json | Kernel::Deflate => 4 << 10,
            // Two matrices of 24 x 24 doubles of 8 bytes.
            Kernel::Matrix => 24 * 24 * 2 * 8,
        }
    }

    /// The least and the most input of one iteration, in bytes, both inclusive.
    #[must_use]
    pub const fn input_bounds(self) -> (u64, u64) {
        let least = match self {
            Kernel::Sha256 | Kernel::Deflate => 1,
            // One word; the first prime is 2, so there is one below 3.
            Kernel::Loop => 8,
            Kernel::Primes => 3,
            // Two numbers; two matrices of one number.
            Kernel::Sort | Kernel::Matrix => 16,
            // The least that leaves room for an object with a few members.
            Kernel::Json => 64,
        };
        (least, 64 << 20)
    }
}
