//! `conbench` measures which concurrency tool fits a workload on this host.
//!
//! A workload is planned into candidates; a session races their agents; the record is analysed into
//! a verdict; a report shows it. Each of those nouns is a module, and knows only what lies below it
//! (`tests/architecture.rs` holds the table of who may know whom).

pub mod agent;
pub mod analyze;
pub mod candidate;
pub mod cheatsheet;
pub mod checkout;
pub mod cli;
pub mod clock;
pub mod decide;
pub mod guard;
pub mod host;
pub mod idiom;
pub mod plan;
pub mod protocol;
pub mod python;

pub mod record;
pub mod report;
pub mod selftest;
pub mod server;
pub mod session;
pub mod stats;
pub mod workload;
