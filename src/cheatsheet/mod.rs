//! The cheat sheet, measured: what each tool of concurrency costs here, and its pitfalls, each shown and mended.
//!
//! A flow of its own, smaller than that of workloads: the [`catalogue`] says what is measured; the [`driver`] has each
//! repetition measured by a fresh process, of Rust ([`measure`]) or of Python (a package that
//! [`python`](crate::python) carries); what they said becomes a [`sheet`], and `report` shows it.

pub mod catalogue;
pub mod driver;
pub mod measure;
pub mod sheet;

mod process;

/// The hidden verb by which a process measures one repetition.
pub const VERB: &str = "cheatsheet-measure";
