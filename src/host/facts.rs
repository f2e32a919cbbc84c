//! Collecting the facts.

use std::fs;
use std::path::Path;

use rustix::process::Resource;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::cgroup::Cgroups;
use super::{Facts, FileSystem, ResourceLimits, mounts};

/// What this host is, with its session directories in `session_directory`, which need not exist yet.
#[must_use]
pub fn facts(session_directory: &Path) -> Facts {
    with_cgroups(session_directory, &Cgroups::read())
}

/// [`facts`] with control groups that were read already.
pub(super) fn with_cgroups(session_directory: &Path, cgroups: &Cgroups) -> Facts {
    let system = System::new_with_specifics(
        RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()).with_memory(MemoryRefreshKind::nothing().with_ram()),
    )
    .ok();
    let cpus = system.as_ref().map_or(&[][..], System::cpus);
    let affinity = affinity();
    let available = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
    let open_files = rustix::process::getrlimit(Resource::Nofile).current;
    let processes = rustix::process::getrlimit(Resource::Nproc).current;
    Facts {
        os: os(),
        kernel: System::kernel_version().unwrap_or_else(|_| UNKNOWN.to_owned()),
        cpu: cpu(cpus),
        cpus_online: u32::try_from(cpus.len()).ok().filter(|cpus| *cpus > 0).unwrap_or(available),
        cpus_affinity: affinity.as_ref().map_or(available, |cpus| cpus.len() as u32),
        cpu_quota: cgroups.cpu_quota(),
        memory_total_bytes: system.as_ref().map_or(0, System::total_memory),
        memory_available_bytes: system.as_ref().map_or(0, System::available_memory),
        memory_limit_bytes: cgroups.memory_limit_bytes(),
        clock_source: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        governor: word(&format!(
            "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor",
            affinity.as_ref().and_then(|cpus| cpus.first()).unwrap_or(&0)
        )),
        virtual_machine: virtual_machine(),
        load_average: System::load_average().map_or(0.0, |load| load.one),
        limits: ResourceLimits { open_files, processes, cgroup_processes: cgroups.processes() },
        session_directory: FileSystem {
            path: session_directory.display().to_string(),
            kind: mounts::kind_of(session_directory).unwrap_or_else(|| UNKNOWN.to_owned()),
        },
    }
}

/// What a text field says when the platform does not.
pub(super) const UNKNOWN: &str = "unknown";

fn os() -> String {
    let name = System::name().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    match System::os_version() {
        Ok(version) => format!("{name} {version}"),
        Err(_) => name,
    }
}

/// The first CPU's model name; where the kernel gives none, as on many ARM machines, the architecture.
fn cpu(cpus: &[sysinfo::Cpu]) -> String {
    let brand = cpus.first().map_or("", |cpu| cpu.brand().trim());
    if brand.is_empty() { std::env::consts::ARCH.to_owned() } else { brand.to_owned() }
}

/// The CPUs on which this process may run; `None` if there are more than the mask's 1024.
fn affinity() -> Option<Vec<usize>> {
    let set = rustix::thread::sched_getaffinity(None).ok()?;
    Some((0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// The first line of a file, if it has one.
fn word(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|word| !word.is_empty())
}

/// x86 shows a hypervisor as a CPU flag; elsewhere only some hypervisors say so, and none saying so is no proof.
fn virtual_machine() -> Option<bool> {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if let Some(flags) = cpus.lines().find_map(|line| line.strip_prefix("flags")) {
        return Some(flags.split_ascii_whitespace().any(|flag| flag == "hypervisor"));
    }
    let shown = word("/sys/hypervisor/type").is_some() || Path::new("/proc/device-tree/hypervisor").exists();
    shown.then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_this_host_hold_together() {
        let facts = facts(Path::new("/proc/self"));
        assert_eq!(facts.session_directory.kind, "proc");
        assert!((1..=facts.cpus_online).contains(&facts.cpus_affinity));
        assert!((1..=facts.cpus_affinity).contains(&facts.usable_cpus()));
        assert!(0 < facts.memory_available_bytes && facts.memory_available_bytes <= facts.memory_total_bytes);
        assert!(!facts.kernel.is_empty() && !facts.os.is_empty() && !facts.cpu.is_empty());
        let text = serde_json::to_string(&facts).expect("facts serialise");
        assert_eq!(serde_json::from_str::<Facts>(&text).expect("and back").limits, facts.limits);
    }
}
