//! What processes cost.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;

use procfs::FromRead as _;
use procfs::process::SmapsRollup;

pub use crate::clock::process_cpu_ns;

/// A process and all its descendants, itself first; empty if there is no such process.
///
/// A process whose parent has ended belongs to whoever adopted it, and is found below that one only.
#[must_use]
pub fn tree(pid: u32) -> Vec<u32> {
    trees(&[pid])
}

/// The processes of several trees, each process once.
#[must_use]
pub fn trees(roots: &[u32]) -> Vec<u32> {
    let Ok(processes) = procfs::process::all_processes() else { return Vec::new() };
    // Processes that end while they are listed are no longer part of a tree.
    let parents = processes
        .flatten()
        .filter_map(|process| process.stat().ok())
        .filter_map(|stat| Some((u32::try_from(stat.pid).ok()?, u32::try_from(stat.ppid).ok()?)));
    descendants(roots, parents)
}

fn descendants(roots: &[u32], parents: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut alive = HashSet::new();
    for (pid, parent) in parents {
        alive.insert(pid);
        children.entry(parent).or_default().push(pid);
    }
    let mut found = Vec::new();
    let mut waiting: Vec<u32> = roots.iter().rev().copied().filter(|pid| alive.contains(pid)).collect();
    while let Some(pid) = waiting.pop() {
        // Removing what was found keeps a listing that changed under the reader from going round in circles.
        if alive.remove(&pid) {
            found.push(pid);
            waiting.extend(children.remove(&pid).unwrap_or_default());
        }
    }
    found
}

/// Memory of process trees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeMemory {
    /// Proportional share of anonymous and shared memory (`Pss_Anon` + `Pss_Shmem`).
    pub memory_bytes: u64,
    /// Proportional share of file pages (`Pss_File`).
    pub file_pages_bytes: u64,
    /// Processes that have memory; ended ones that nobody has reaped have none.
    pub processes: u32,
}

/// The memory of these trees together; `None` if the kernel does not tell for one of the processes
/// (before Linux 5.9, or another user's): a sum that lacks one would be too low.
#[must_use]
pub fn tree_memory(roots: &[u32]) -> Option<TreeMemory> {
    let mut sum = TreeMemory::default();
    for pid in trees(roots) {
        let text = match fs::read(format!("/proc/{pid}/smaps_rollup")) {
            Ok(text) => text,
            Err(error) if has_ended(&error) => continue,
            Err(_) => return None,
        };
        let rollup = SmapsRollup::from_read(text.as_slice()).ok()?.memory_map_rollup;
        let Some(map) = rollup.0.first() else { continue };
        let bytes = |name: &str| map.extension.map.get(name).copied();
        sum.memory_bytes += bytes("Pss_Anon")? + bytes("Pss_Shmem")?;
        sum.file_pages_bytes += bytes("Pss_File")?;
        sum.processes += 1;
    }
    Some(sum)
}

/// Whether an error of reading below `/proc/<pid>` says that the process has no memory any more.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    /// A shell with a child, both ended when dropped: the child reads from a pipe that closes then.
    struct Family(Child);

    impl Family {
        fn start() -> Family {
            let shell = Command::new("sh")
                .args(["-c", "exec 3<&0; cat <&3 & echo; wait"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a shell");
            let mut family = Family(shell);
            let mut line = [0];
            std::io::Read::read_exact(family.0.stdout.as_mut().expect("a pipe"), &mut line)
                .expect("the child is started");
            family
        }
    }

    impl Drop for Family {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_family_is_found_measured_and_gone_after_its_end() {
        let family = Family::start();
        let pid = family.0.id();
        let found = tree(pid);
        assert_eq!((found.len(), found[0]), (2, pid), "{found:?}");
        assert!(found.iter().all(|pid| tree(std::process::id()).contains(pid)));
        assert_eq!(trees(&[pid, found[1], pid]).len(), 2);
        let memory = tree_memory(&[pid]).expect("this kernel tells");
        assert_eq!(memory.processes, 2);
        assert!(memory.memory_bytes > 0);
        assert!(process_cpu_ns(pid).is_some());
        drop(family);
        assert_eq!(process_cpu_ns(pid), None);
        assert!(tree(pid).is_empty());
        assert_eq!(tree_memory(&[pid]), Some(TreeMemory::default()));
    }

    #[test]
    fn cpu_time_grows_with_work_and_odd_pids_have_none() {
        let own = std::process::id();
        let before = process_cpu_ns(own).expect("this process");
        let mut sum = 0_u64;
        while process_cpu_ns(own).expect("this process") == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert_eq!(process_cpu_ns(0), None);
        assert_eq!(process_cpu_ns(u32::MAX), None);
    }

    #[test]
    fn memory_that_is_touched_is_seen() {
        let own = std::process::id();
        // Other tests of this process come and go: so much that they do not matter.
        let before = tree_memory(&[own]).expect("this kernel tells");
        let block = std::hint::black_box(vec![1_u8; 256 << 20]);
        let after = tree_memory(&[own]).expect("this kernel tells");
        assert!(after.memory_bytes > before.memory_bytes + (128 << 20), "{before:?} {after:?}");
        drop(block);
    }

    proptest! {
        #[test]
        fn a_tree_has_each_process_once_whatever_the_listing(pairs in proptest::collection::vec((0_u32..20, 0_u32..20), 0..60)) {
            let found = descendants(&[1, 2], pairs.iter().copied());
            let distinct: HashSet<u32> = found.iter().copied().collect();
            prop_assert_eq!(distinct.len(), found.len());
            prop_assert!(found.iter().all(|pid| pairs.iter().any(|(listed, _)| listed == pid)));
            for (pid, parent) in &pairs {
                prop_assert!(!distinct.contains(parent) || distinct.contains(pid));
            }
        }
    }
}
