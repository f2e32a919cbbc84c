//! Facts and meters of the machine: what may be used, what disturbs, what a process tree costs.
//!
//! Everything that differs between operating systems is behind this room; what a platform cannot say
//! is `None`, never a guess.

mod cgroup;
mod facts;
pub mod meter;
mod mounts;
mod noise;
mod survey;

pub use cgroup::{CgroupLevel, Cgroups};
pub use facts::facts;
pub use noise::{Noise, SpeedProbe, probe};
pub use survey::{Clock, Survey, survey};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What this host is and what of it may be used. Collected once a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Operating system and its version, e.g. `Debian GNU/Linux 12`.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// CPU model name.
    pub cpu: String,
    /// CPUs that are online.
    pub cpus_online: u32,
    /// CPUs in this process's affinity mask.
    pub cpus_affinity: u32,
    /// The smallest CPU quota of the cgroup and its ancestors, in cores.
    pub cpu_quota: Option<CpuQuota>,
    /// Physical memory.
    pub memory_total_bytes: u64,
    /// Memory that can be had without swapping.
    pub memory_available_bytes: u64,
    /// The smallest memory limit of the cgroup and its ancestors.
    pub memory_limit_bytes: Option<u64>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// The frequency governor of the first usable CPU.
    pub governor: Option<String>,
    /// Whether a hypervisor runs this machine.
    pub virtual_machine: Option<bool>,
    /// One-minute load average when the session began.
    pub load_average: f64,
    /// Limits that a plan must respect.
    pub limits: ResourceLimits,
    /// The file system on which session directories are made.
    pub session_directory: FileSystem,
}

impl Facts {
    /// Whole CPUs that this process may use: the affinity mask, cut by the quota, at least one.
    #[must_use]
    pub fn usable_cpus(&self) -> u32 {
        (self.most_cores().ceil() as u32).max(1)
    }

    /// The cores that this process has at most over a longer time: the affinity mask, cut by the quota.
    #[must_use]
    pub fn most_cores(&self) -> f64 {
        let quota = self.cpu_quota.as_ref().map_or(f64::INFINITY, |quota| quota.cores);
        f64::from(self.cpus_affinity).min(quota)
    }
}

/// A CPU quota of a cgroup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CpuQuota {
    /// The quota in cores: time per period / period.
    pub cores: f64,
    /// The period.
    pub period_ns: u64,
    /// The cgroup that sets it.
    pub cgroup: String,
}

/// Limits on what one user may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimits {
    /// Open files of one process (`RLIMIT_NOFILE`, soft); `None` is unlimited.
    pub open_files: Option<u64>,
    /// Processes and threads of this user (`RLIMIT_NPROC`, soft); `None` is unlimited.
    pub processes: Option<u64>,
    /// Processes and threads of the cgroup (`pids.max`, the smallest at any level).
    pub cgroup_processes: Option<u64>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSystem {
    /// The directory asked about.
    pub path: String,
    /// Its type: `ext4`, `tmpfs`, ..
    pub kind: String,
}
