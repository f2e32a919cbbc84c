//! The native agent: the only place where user work runs. One process, one candidate.
//!
//! *Engines* ([`engines`]) know how to run tasks and see no step; *steps* ([`steps`]) know what a task
//! does and see no engine. They meet in [`task`].

pub mod calibrate;
pub mod companion;
pub mod descriptors;
mod robust;
pub mod shared;
pub mod steps;
pub mod task;
