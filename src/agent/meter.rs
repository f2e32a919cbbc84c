//! What this process and its children used of the machine.

use crate::clock;
use crate::protocol::Usage;

/// What this process and its reaped children used so far.
#[must_use]
pub(super) fn usage() -> Usage {
    let children = of(libc::RUSAGE_CHILDREN);
    of(libc::RUSAGE_SELF) + Usage { children_ns: children.cpu_ns(), ..children }
}

/// The CPU time that live processes used so far, by their CPU clocks. The clock does not tell user from
/// kernel mode; all of it is counted as user time.
#[must_use]
pub(super) fn live(pids: &[u32]) -> Usage {
    let user_ns = pids.iter().filter_map(|pid| clock::process_cpu_ns(*pid)).sum();
    Usage { user_ns, ..Usage::default() }
}

/// The CPU time that this process, its reaped children and these live processes used so far, by their CPU clocks.
#[must_use]
pub(super) fn cpu_ns(pids: &[u32]) -> u64 {
    let own_ns = clock::process_cpu_ns(std::process::id()).unwrap_or(0);
    own_ns + of(libc::RUSAGE_CHILDREN).cpu_ns() + live(pids).user_ns
}

fn of(who: libc::c_int) -> Usage {
    let mut raw = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `raw` is a valid place for a rusage, and all zeroes are a valid rusage if the call fails.
    let raw = unsafe {
        libc::getrusage(who, raw.as_mut_ptr());
        raw.assume_init()
    };
    Usage {
        user_ns: nanos(raw.ru_utime),
        system_ns: nanos(raw.ru_stime),
        voluntary_switches: raw.ru_nvcsw as u64,
        involuntary_switches: raw.ru_nivcsw as u64,
        children_ns: 0,
    }
}

fn nanos(time: libc::timeval) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000
}
