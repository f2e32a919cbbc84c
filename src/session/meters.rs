//! What the session reads of the machine: the host's meters in the record's words.

use procfs::process::Process;

use super::moment::Moment;
use crate::clock::now_ns;
use crate::host::{SpeedProbe, meter};
use crate::record::{Disturbance, MemorySample};

pub(super) use crate::host::meter::process_cpu_ns;

/// The memory of everything below `root`, without it; `None` where the kernel does not say.
pub(super) fn memory_below(root: u32) -> Option<MemorySample> {
    let all = meter::tree_memory(&below(root))?;
    Some(MemorySample {
        memory_bytes: all.memory_bytes,
        file_pages_bytes: all.file_pages_bytes,
        processes: all.processes,
    })
}

fn below(root: u32) -> Vec<u32> {
    meter::tree(root).into_iter().filter(|pid| *pid != root).collect()
}

/// What tells, between blocks, whether the host disturbs.
pub(super) struct Meters {
    /// The session's own processes; `None` where what they use is not all counted.
    own: Option<meter::Family>,
    speed_probe: SpeedProbe,
}

impl Meters {
    /// The meters of this session, for which these processes of a cluster work, too.
    pub(super) fn start(cluster: &[u32]) -> Meters {
        Meters::of(std::process::id(), cluster)
    }

    /// The meters of a session whose processes are `root`, those of a cluster, and all that they started.
    pub(super) fn of(root: u32, cluster: &[u32]) -> Meters {
        Meters { own: Some(meter::Family::of(root).with(cluster)), speed_probe: SpeedProbe::new() }
    }

    /// The meters, of which those of the session's own processes tell nothing.
    pub(super) fn without_own(self) -> Meters {
        Meters { own: None, ..self }
    }

    /// Reads all of them, in the time since `began_ns`.
    pub(super) fn read(&mut self, began_ns: u64) -> Moment {
        let begun_ns = now_ns();
        let speed_probe_ns = Some(self.speed_probe.read_ns());
        // Both at once, so that they are of the same time.
        let own = self.own.as_mut().and_then(meter::Family::read);
        let machine = meter::MachineTime::now();
        let now_ns = now_ns();
        Moment { at_ns: now_ns - began_ns, cost_ns: now_ns - begun_ns, machine, own, speed_probe_ns }
    }
}

/// Watches the machine from a session's start on.
pub(super) struct Counters {
    meter: meter::Disturbance,
    /// Processes of a cluster on this host.
    cluster: Vec<u32>,
    own_ns: Option<u64>,
}

impl Counters {
    pub(super) fn start(cluster: Vec<u32>) -> Counters {
        let own_ns = own_ns(&cluster);
        Counters { meter: meter::Disturbance::start(), cluster, own_ns }
    }

    /// What disturbed the session from then to now. All that the session started must have been reaped, so
    /// that its CPU time is known as its own.
    pub(super) fn disturbance(&self) -> Disturbance {
        let seen = self.meter.since_start();
        let own = own_ns(&self.cluster).zip(self.own_ns).map(|(now, then)| now.saturating_sub(then));
        let others = seen.busy_ns.zip(own).map(|(busy, own)| busy.saturating_sub(own));
        Disturbance {
            steal_share: seen.steal_share,
            others_share: others.zip(seen.total_ns).map(|(others, total)| others as f64 / total.max(1) as f64),
            throttled_periods: seen.throttled_periods,
            cpu_pressure_share: seen.cpu_pressure_share,
        }
    }
}

/// CPU time of this process and of all that it started and reaped, the guard's own included, and of a cluster's processes,
/// which live on.
fn own_ns(cluster: &[u32]) -> Option<u64> {
    let stat = Process::myself().and_then(|process| process.stat()).ok()?;
    let reaped = u64::try_from(stat.cutime + stat.cstime).ok()?;
    let own_ns = (stat.utime + stat.stime + reaped) * (1_000_000_000 / procfs::ticks_per_second().max(1));
    let living = |first: &u32| meter::Family::of(*first).with(cluster).read().map_or(0, |family| family.cpu_ns);
    Some(own_ns + cluster.first().map_or(0, living))
}
