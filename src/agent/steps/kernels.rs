//! The kernels: fixed computations whose results another language can reproduce bit for bit.
//!
//! All integers are unsigned, 64 bits wide and wrap around. `fold(a, b) = (a ^ b) * 6364136223846793005 +
//! 1442695040888963407`. *Words* are [`pattern`] of the input's seed, read as little-endian integers.
//! One iteration does the following; all of it, allocations included, is done anew each time.
//!
//! | kernel | input | work | result |
//! | --- | --- | --- | --- |
//! | `loop` | `max(1, bytes / 8)` words | none beside the result | `fold` over the words, from 0 |
//! | `primes` | the integer `bytes` | for `n` from 2 to `bytes - 1`: divide by 2, then by 3, 5, 7, .. while `d * d <= n`, until one divides | how many `n` none divided |
//! | `sha256` | `bytes` bytes of the pattern | SHA-256 | its first 8 bytes, little-endian |
//! | `json` | the document below | parse it into a tree | length of the array x 31 + `id` of its last element |
//! | `deflate` | the text below | raw DEFLATE at level 6, then inflate | [`Task::digest`] of what was inflated |
//! | `sort` | `max(1, bytes / 8)` words | copy them and sort ascending | `fold`, from 0, over the sorted words at `(length - 1) * k / 7` for `k` = 0 to 7 |
//! | `matrix` | `n = max(1, floor(sqrt(bytes / 16)))`; words `w`, as `(w >> 11) / 2^53`: first A, then B, row by row | `C[i][j]`, a sum from 0.0 over ascending `k` of `A[i][k] * B[k][j]`, each product rounded before it is added | sum of the bit patterns of all `C[i][j]` |
//!
//! The JSON document is an array of objects without any space, each made of two words `a`, `b`:
//! `{"id":<a mod 2^32>,"name":"<b, 16 hex digits>","active":<a is odd>,"score":<(b >> 8) mod 10000>.5,"tags":["<a >> 48, 4 hex digits>","x"]}`;
//! as many as it takes to reach `bytes`, at least one. The DEFLATE text is, for each byte `p` of the
//! pattern, the word `p mod 16` of [`VOCABULARY`] and a space, cut at `bytes`.
//!
//! A task's checksum starts at the input's seed and folds in the result of each iteration.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

use crate::agent::task::{Task, pattern};
use crate::protocol::VARIANTS;
use crate::workload::{Cpu, Kernel};

/// The words of the text that `deflate` compresses.
pub const VOCABULARY: [&str; 16] = [
    "the", "quick", "request", "was", "answered", "by", "a", "worker", "thread", "after", "waiting", "for", "some",
    "other", "process", "to",
];

/// One step of a 64-bit linear congruential generator (Knuth's MMIX constants), fed with `value`.
#[must_use]
pub fn fold(sum: u64, value: u64) -> u64 {
    (sum ^ value).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

/// The seed of the input of `variant` of step `number` (from 1): `fold(seed, number * VARIANTS + variant)`.
#[must_use]
pub fn input_seed(seed: u64, number: usize, variant: u64) -> u64 {
    fold(seed, (number as u64).wrapping_mul(VARIANTS).wrapping_add(variant))
}

/// An input, made and ready to be computed on.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// For `loop`.
    Loop(Vec<u64>),
    /// For `primes`: the number below which they are counted.
    Primes(u64),
    /// For `sha256`.
    Sha256(Vec<u8>),
    /// For `json`: a document.
    Json(Vec<u8>),
    /// For `deflate`: a text.
    Deflate(Vec<u8>),
    /// For `sort`.
    Sort(Vec<u64>),
    /// For `matrix`.
    Matrix {
        /// Rows and columns.
        size: usize,
        /// The left factor, row by row.
        left: Vec<f64>,
        /// The right factor, row by row.
        right: Vec<f64>,
    },
}

impl Input {
    /// The input of `cpu`'s kernel that belongs to this seed (see [`input_seed`]).
    #[must_use]
    pub fn new(cpu: &Cpu, seed: u64) -> Input {
        let bytes = cpu.input_bytes;
        match cpu.kernel {
            Kernel::Loop => Input::Loop(words((bytes / 8).max(1), seed)),
            Kernel::Primes => Input::Primes(bytes),
            Kernel::Sha256 => Input::Sha256(pattern(bytes, seed)),
            Kernel::Json => Input::Json(document(bytes, seed)),
            Kernel::Deflate => Input::Deflate(text(bytes, seed)),
            Kernel::Sort => Input::Sort(words((bytes / 8).max(1), seed)),
            Kernel::Matrix => matrices(bytes, seed),
        }
    }

    /// One iteration of the kernel: its result.
    ///
    /// # Errors
    /// When a library refuses its own input, which would be its fault.
    pub fn iterate(&self) -> io::Result<u64> {
        Ok(match self {
            Input::Loop(words) => words.iter().fold(0, |sum, word| fold(sum, *word)),
            Input::Primes(limit) => (2..*limit).filter(|n| is_prime(*n)).count() as u64,
            Input::Sha256(bytes) => {
                let hash: [u8; 32] = Sha256::digest(bytes).into();
                hash.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))
            }
            Input::Json(document) => parse(document)?,
            Input::Deflate(text) => Task::digest(&there_and_back(text)?),
            Input::Sort(words) => probe(&sorted(words)),
            Input::Matrix { size, left, right } => {
                multiply(*size, left, right).iter().fold(0, |sum, value| sum.wrapping_add(value.to_bits()))
            }
        })
    }

    /// `iterations` iterations, each result folded into a checksum that starts at `seed`.
    ///
    /// # Errors
    /// As [`Input::iterate`].
    pub fn run(&self, seed: u64, iterations: u64) -> io::Result<u64> {
        // The black box hides that every iteration computes on the same input.
        (0..iterations).try_fold(seed, |sum, _| Ok(fold(sum, black_box(black_box(self).iterate()?))))
    }
}

fn words(count: u64, seed: u64) -> Vec<u64> {
    let bytes = pattern(count * 8, seed);
    bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

fn is_prime(n: u64) -> bool {
    if n < 4 {
        return true;
    }
    if n.is_multiple_of(2) {
        return false;
    }
    let mut divisor = 3;
    while divisor * divisor <= n {
        if n.is_multiple_of(divisor) {
            return false;
        }
        divisor += 2;
    }
    true
}

fn document(bytes: u64, seed: u64) -> Vec<u8> {
    // No object is shorter than 64 bytes, so there are words enough.
    let words = words(2 * (bytes / 64 + 1), seed);
    let mut text = String::from("[");
    for pair in words.as_chunks::<2>().0 {
        let [a, b] = *pair;
        if text.len() > 1 {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{{"id":{},"name":"{b:016x}","active":{},"score":{}.5,"tags":["{:04x}","x"]}}"#,
            a % (1 << 32),
            a % 2 == 1,
            (b >> 8) % 10_000,
            a >> 48,
        );
        if text.len() as u64 >= bytes {
            break;
        }
    }
    text.push(']');
    text.into_bytes()
}

fn parse(document: &[u8]) -> io::Result<u64> {
    let tree: serde_json::Value = serde_json::from_slice(document)?;
    let tree = black_box(tree);
    let items = tree.as_array().map_or(0, Vec::len);
    let last = items.checked_sub(1).and_then(|last| tree[last]["id"].as_u64()).unwrap_or(0);
    Ok((items as u64).wrapping_mul(31).wrapping_add(last))
}

fn text(bytes: u64, seed: u64) -> Vec<u8> {
    let length = bytes as usize;
    let mut text = Vec::with_capacity(length + 16);
    // Each byte of the pattern gives two bytes of text or more.
    for byte in pattern(bytes / 2 + 1, seed) {
        text.extend_from_slice(VOCABULARY[usize::from(byte % 16)].as_bytes());
        text.push(b' ');
        if text.len() >= length {
            break;
        }
    }
    text.truncate(length);
    text
}

fn there_and_back(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text)?;
    let compressed = encoder.finish()?;
    let mut inflated = Vec::with_capacity(text.len());
    DeflateDecoder::new(compressed.as_slice()).read_to_end(&mut inflated)?;
    Ok(inflated)
}

fn sorted(words: &[u64]) -> Vec<u64> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words
}

/// Samples of a sorted list: enough to notice a wrong order, too few to cost time.
fn probe(sorted: &[u64]) -> u64 {
    let last = sorted.len().saturating_sub(1);
    (0..8).filter_map(|k| sorted.get(last * k / 7)).fold(0, |sum, word| fold(sum, *word))
}

fn matrices(bytes: u64, seed: u64) -> Input {
    let size = (bytes / 16).isqrt().max(1);
    let mut values: Vec<f64> =
        words(2 * size * size, seed).into_iter().map(|word| (word >> 11) as f64 / (1_u64 << 53) as f64).collect();
    let right = values.split_off((size * size) as usize);
    Input::Matrix { size: size as usize, left: values, right }
}

fn multiply(size: usize, left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (row, sums) in left.chunks_exact(size).zip(product.chunks_exact_mut(size)) {
        for (factor, column) in row.iter().zip(right.chunks_exact(size)) {
            for (sum, value) in sums.iter_mut().zip(column) {
                *sum += factor * value;
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::vectors::{Vectors, hex};

    fn cpu(kernel: Kernel, input_bytes: u64) -> Cpu {
        Cpu { kernel, input_bytes, time_ns: None }
    }

    /// What each kernel makes of an input: a case for each size, with as many iterations.
    fn checksums() -> Vec<Value> {
        let sizes = [(0, 1), (8, 1), (600, 3), (2000, 2), (5000, 1)];
        let one = |kernel: Kernel, (bytes, iterations): (u64, u64), seed: u64| {
            let sum = Input::new(&cpu(kernel, bytes), seed).run(seed, iterations).expect("a kernel runs");
            json!({"kernel": kernel.name(), "input_bytes": bytes, "seed": seed, "iterations": iterations, "checksum": sum})
        };
        let seeds = |number: usize| input_seed(42, number, 3);
        let all = |kernel| sizes.into_iter().enumerate().map(move |(at, size)| one(kernel, size, seeds(at)));
        Kernel::ALL.into_iter().flat_map(all).collect()
    }

    /// What a checksum does not show of an input, but a parser or a compressor sees.
    fn inputs() -> Vec<Value> {
        let one = |kernel: Kernel, bytes: u64| {
            let (Input::Json(made) | Input::Deflate(made)) = Input::new(&cpu(kernel, bytes), 42) else {
                panic!("no text")
            };
            json!({"kernel": kernel.name(), "input_bytes": bytes, "seed": 42, "digest": Task::digest(&made)})
        };
        let sizes = [0, 600, 5000];
        let both = [Kernel::Json, Kernel::Deflate];
        both.into_iter().flat_map(|kernel| sizes.map(|bytes| one(kernel, bytes))).collect()
    }

    fn patterns() -> Vec<Value> {
        let one = |(bytes, seed): (u64, u64)| {
            let made = pattern(bytes, seed);
            let begin = hex(&made[..made.len().min(8)]);
            json!({"bytes": bytes, "seed": seed, "begin": begin, "digest": Task::digest(&made)})
        };
        [(0, 1), (1, 1), (8, 42), (1000, 42), (65_537, 7), (200_000, u64::MAX)].map(one).to_vec()
    }

    fn seeds() -> Vec<Value> {
        let one = |(seed, number, variant)| {
            let made = input_seed(seed, number, variant);
            json!({"seed": seed, "step": number, "variant": variant, "input_seed": made})
        };
        [(42, 1, 3), (1, 1, 0), (1, 2, 15), (u64::MAX, 3, 7)].map(one).to_vec()
    }

    /// Every other implementation is held to these.
    #[test]
    fn the_vectors_are_what_kernels_make() {
        Vectors::new(
            "kernels",
            "`pattern(bytes, seed)`: its first 8 bytes in hexadecimal, and the `digest` of all. The `input_seed` of a \
             variant of a step, from 1. The `digest` of texts that kernels get. The checksum that `iterations` of a kernel give which begin at `seed`, on the \
             input of that seed. Numbers are unsigned, of 64 bits.",
        )
        .with("patterns", patterns())
        .with("input_seeds", seeds())
        .with("inputs", inputs())
        .with("kernels", checksums())
        .hold();
    }

    #[test]
    fn results_of_known_inputs() {
        assert_eq!(Input::Primes(100).iterate().expect("runs"), 25);
        assert_eq!(Input::Primes(0).iterate().expect("runs"), 0);
        assert_eq!(Input::Primes(3).iterate().expect("runs"), 1);
        let abc = Input::Sha256(b"abc".to_vec()).iterate().expect("runs");
        assert_eq!(abc.to_le_bytes(), [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea]);
        assert_eq!(multiply(2, &[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]), [19.0, 22.0, 43.0, 50.0]);
    }

    #[test]
    fn iterations_are_all_done() {
        for kernel in Kernel::ALL {
            let input = Input::new(&cpu(kernel, 512), 9);
            let one = input.run(9, 1).expect("runs");
            assert_eq!(input.run(9, 2).expect("runs"), input.run(one, 1).expect("runs"), "{}", kernel.name());
            assert_eq!(input.run(9, 0).expect("runs"), 9);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_size_runs_and_inputs_depend_on_their_seed_alone(bytes in 0_u64..3000, seed: u64) {
            for kernel in Kernel::ALL {
                let input = Input::new(&cpu(kernel, bytes), seed);
                prop_assert_eq!(&input, &Input::new(&cpu(kernel, bytes), seed));
                prop_assert_eq!(input.run(seed, 1).ok(), input.run(seed, 1).ok());
                prop_assert!(input.run(seed, 1).is_ok());
            }
        }

        #[test]
        fn documents_are_json_of_about_their_size(bytes in 2_u64..20_000, seed: u64) {
            let document = document(bytes, seed);
            let tree: serde_json::Value = serde_json::from_slice(&document).expect("valid");
            prop_assert!(tree.as_array().is_some_and(|items| !items.is_empty()));
            prop_assert!(document.len() as u64 >= bytes && document.len() as u64 <= bytes + 128);
        }

        #[test]
        fn texts_have_their_size_and_deflate_brings_them_back(bytes in 0_u64..20_000, seed: u64) {
            let text = text(bytes, seed);
            prop_assert_eq!(text.len() as u64, bytes);
            prop_assert_eq!(there_and_back(&text).expect("inflates"), text);
        }

        #[test]
        fn sorting_sorts_and_loses_nothing(words: Vec<u64>) {
            let done = sorted(&words);
            prop_assert!(done.is_sorted());
            prop_assert_eq!(done.len(), words.len());
            let sum = |list: &[u64]| list.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
            prop_assert_eq!(sum(&done), sum(&words));
        }

        #[test]
        fn primes_are_those_of_the_definition(n in 2_u64..5000) {
            prop_assert_eq!(is_prime(n), (2..n).all(|d| n % d != 0));
        }
    }
}
