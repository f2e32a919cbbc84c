//! Rust's half of what is measured: a function an item, a file a section.
//!
//! The hidden verb `cheatsheet-measure` is one repetition: it measures what its arguments name, once, in a shuffled
//! order, and writes a line of JSON for each.

mod asynchronous;
mod handover;
mod mixing;
mod peers;
mod pitfalls;
mod processes;
mod threads;
mod timing;

use std::ffi::OsString;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::process::Line;
use timing::Meter;

/// Nanoseconds of one `per`, or why they cannot be measured here.
type Measured = Result<f64, Unavailable>;

/// Measures one item.
type ItemFn = fn(&Meter) -> Measured;

/// Shows one pitfall, and mends it.
type PitfallFn = fn() -> Result<Pair, Unavailable>;

/// Why something cannot be measured here: one sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unavailable(String);

impl From<io::Error> for Unavailable {
    fn from(error: io::Error) -> Unavailable {
        Unavailable(format!("it failed here: {error}"))
    }
}

impl From<rustix::io::Errno> for Unavailable {
    fn from(error: rustix::io::Errno) -> Unavailable {
        io::Error::from(error).into()
    }
}

/// The figures of a pitfall, in its unit, and what a user sees of it.
#[derive(Debug)]
struct Pair {
    wrong: f64,
    mended: f64,
    shown: Option<String>,
}

impl Pair {
    fn of(wrong: f64, mended: f64) -> Pair {
        Pair { wrong, mended, shown: None }
    }

    fn showing(self, shown: String) -> Pair {
        Pair { shown: Some(shown), ..self }
    }
}

/// Takes what a call gave, so that the compiler cannot leave the call out, and drops it.
#[inline]
fn seen<T>(value: T) {
    black_box(value);
}

fn items() -> impl Iterator<Item = &'static (&'static str, ItemFn)> {
    [threads::ITEMS, processes::ITEMS, asynchronous::ITEMS, mixing::ITEMS].into_iter().flatten()
}

/// The hidden verb; `arguments` are those after it: `--seed N --items id,id`, or `--peer ..` for the other end of a pipe.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let ended = match words.as_slice() {
        ["--peer", peer @ ..] => peers::run(peer),
        ["--seed", seed, "--items", ids] => match seed.parse() {
            Ok(seed) => measure(seed, ids.split(',').filter(|id| !id.is_empty()).collect()),
            Err(_) => Err(io::Error::other("the seed is not a number")),
        },
        _ => Err(io::Error::other("expected --seed N --items id,id")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell that standard error is closed.
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn measure(seed: u64, mut ids: Vec<&str>) -> io::Result<()> {
    ids.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let meter = Meter::new();
    for id in ids {
        let line = serde_json::to_string(&line(id, &meter))?;
        // A lock that is held while an item measures would be one that a user does not have.
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

/// What is to be said of an id.
fn line(id: &str, meter: &Meter) -> Line {
    let blank = Line { item: None, pitfall: None, ns: None, wrong: None, mended: None, shown: None, unavailable: None };
    let name = Some(id.to_owned());
    if let Some((_, item)) = items().find(|(known, _)| *known == id) {
        let blank = Line { item: name, ..blank };
        return match guarded(|| item(meter)) {
            Ok(ns) => Line { ns: Some(ns), ..blank },
            Err(why) => Line { unavailable: Some(why.to_string()), ..blank },
        };
    }
    let blank = Line { pitfall: name, ..blank };
    let Some((_, pitfall)) = pitfalls::all().find(|(known, _)| *known == id) else {
        return Line { unavailable: Some("this conbench does not know it".to_owned()), ..blank };
    };
    match guarded(pitfall) {
        Ok(Pair { wrong, mended, shown }) => Line { wrong: Some(wrong), mended: Some(mended), shown, ..blank },
        Err(why) => Line { unavailable: Some(why.to_string()), ..blank },
    }
}

/// A panic of one item is no reason not to measure the others.
fn guarded<T>(measure: impl FnOnce() -> Result<T, Unavailable>) -> Result<T, Unavailable> {
    let panicked = |_| Err(Unavailable("it panicked; `--progress plain` shows where".to_owned()));
    catch_unwind(AssertUnwindSafe(measure)).unwrap_or_else(panicked)
}

#[cfg(test)]
mod tests;
