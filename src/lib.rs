//! Which concurrency tool fits a task of yours on this host: a plain loop, threads, async, processes, or a mix of them?
//!
//! You hand over the task as closures; `conbench` runs it under real engines (threads from a channel, rayon, tokio, worker
//! processes), with the sizes that matter, and names the simplest one that nothing else beats by much. It measures on your
//! machine: it knows no rule of thumb.
//!
//! # A bench that answers
//!
//! In `Cargo.toml`:
//!
//! ```toml
//! [[bench]]
//! name = "concurrency"
//! harness = false
//! ```
//!
//! In `benches/concurrency.rs`:
//!
//! ```no_run
//! # fn parse(_: &str) -> usize { 0 }
//! use std::time::Duration;
//!
//! use conbench::Workload;
//!
//! fn main() -> std::process::ExitCode {
//!     conbench::main(|registry| {
//!         let pages = ["<html>..", "<html>.."];
//!         registry.add(Workload::new("parse").items(2).task(move |index| parse(pages[index as usize])))?;
//!         registry.add(
//!             Workload::new("wait")
//!                 .task(|_| std::thread::sleep(Duration::from_millis(5)))
//!                 .async_task(|_| tokio::time::sleep(Duration::from_millis(5))),
//!         )?;
//!         Ok(())
//!     })
//! }
//! ```
//!
//! `cargo bench --bench concurrency` prints an answer for each: what to use, the code to start from, what it gains, how
//! sure that is, and why. `cargo test --benches` runs each task once.
//!
//! To work with an answer in code, ask for it: [`Handle::recommend`] gives an [`Answer`] with the model, the engine, its
//! sizes, and the whole [record](record::Record) of what was measured.
//!
//! # How it works
//!
//! Each candidate runs in a process of its own, which is your program, started again: it runs up to the registration of the
//! one workload that it was started for, and then does as it is told. That is why [`main`] is the whole `main`, why workloads
//! have names, and why each is registered in every run. Nothing that was started outlives the measurement.

#![deny(missing_docs)]

mod agent;
mod analyze;
mod candidate;
mod cheatsheet;
mod checkout;
mod cli;
mod clock;
mod conformance;
mod decide;
mod escape;
mod guard;
mod host;
mod idiom;
mod library;
mod plan;
mod protocol;
mod python;
pub mod record;
mod report;
mod selftest;
mod server;
mod session;
mod stats;
mod units;
mod workload;

/// What the program itself, the tests and the benches use. It may change with any version.
#[doc(hidden)]
pub mod internal {
    macro_rules! rooms {
        ($($room:ident)*) => { $(pub mod $room { pub use crate::$room::*; })* };
    }
    rooms! {
        agent analyze candidate cheatsheet checkout cli clock conformance decide escape guard host idiom plan protocol python
        report selftest server session stats units workload
    }
}

#[doc(inline)]
pub use candidate::{Engine, Model};
pub use library::{Answer, Error, Handle, Registry, Workload, main};
#[doc(inline)]
pub use workload::Goal;
