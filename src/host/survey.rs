//! All that can be said of a host, for its user to read.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::cgroup::Cgroups;
use super::facts::{UNKNOWN, with_cgroups};
use super::noise::{self, Noise};
use super::{Facts, meter};
use crate::clock;

/// The facts, and what stands behind them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Survey {
    /// CPUs that a session would use.
    pub usable_cpus: u32,
    /// The facts.
    pub facts: Facts,
    /// The control groups, level by level.
    pub cgroups: Cgroups,
    /// The clock.
    pub clock: Clock,
    /// How steady the host is right now.
    pub noise: Noise,
    /// What this platform does not say, and what that means. Lower case, no full stop.
    pub gaps: Vec<String>,
}

/// `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Clock {
    /// Its smallest step, as the kernel states it.
    pub resolution_ns: u64,
    /// What one reading costs, measured.
    pub cost_ns: f64,
}

/// Looks at this host, for about 200 ms.
#[must_use]
pub fn survey(session_directory: &Path) -> Survey {
    let cgroups = Cgroups::read();
    let facts = with_cgroups(session_directory, &cgroups);
    Survey {
        usable_cpus: facts.usable_cpus(),
        clock: Clock { resolution_ns: clock::resolution_ns(), cost_ns: clock::cost_ns() },
        noise: noise::probe(),
        gaps: gaps(&facts, &cgroups),
        facts,
        cgroups,
    }
}

/// What this platform does not say.
fn gaps(facts: &Facts, cgroups: &Cgroups) -> Vec<String> {
    let seen = meter::Disturbance::start().since_start();
    let own = std::process::id();
    let gaps = [
        (cgroups.levels.is_empty(), "no control groups can be read: quotas and limits, if any, are not seen"),
        (cgroups.hidden_ancestors, "a namespace hides outer control groups: their limits hold but are not seen"),
        (facts.memory_total_bytes == 0, "the machine's memory is not known"),
        (facts.clock_source.is_none(), "the kernel does not name its clock source"),
        (facts.governor.is_none(), "no frequency governor can be read: changes of the CPU's clock are not foreseen"),
        (facts.virtual_machine.is_none(), "whether a hypervisor runs this machine is not known"),
        (facts.session_directory.kind == UNKNOWN, "the session directory's file system is not known"),
        (seen.busy_ns.is_none(), "no CPU time of the whole machine: steal and other processes are not seen"),
        (seen.cpu_pressure_share.is_none(), "no pressure stall information: waiting for a CPU is not seen"),
        (seen.throttled_periods.is_none(), "no throttling counts: a quota that bites is not seen"),
        (meter::process_cpu_ns(own).is_none(), "no CPU clocks of other processes: parked agents are not proven idle"),
        (meter::tree_memory(&[own]).is_none(), "no proportional memory figures: memory is not compared"),
    ];
    gaps.into_iter().filter(|(is_gap, _)| *is_gap).map(|(_, text)| text.to_owned()).collect()
}
