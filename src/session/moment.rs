//! What the meters show.

use crate::host::meter::{FamilyTime, MachineTime};

/// What the meters show at a moment at which no candidate runs; `None` is what the host does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// From the session's start to the end of the reading.
    pub at_ns: u64,
    /// How long it took to read them.
    pub cost_ns: u64,
    /// CPU time of the CPUs that may be used.
    pub machine: Option<MachineTime>,
    /// CPU time of the session's own processes.
    pub own: Option<FamilyTime>,
    /// The time of a fixed computation.
    pub speed_probe_ns: Option<u64>,
}
