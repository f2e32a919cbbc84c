//! CPU time of a process and of all that it started, those that ended included.

use std::collections::{HashMap, HashSet};

use super::process::process_cpu_ns;

/// What two figures of a process that are cut to whole ticks each may lack together.
const CUT_TICKS: u64 = 2;

/// A process and all its descendants, watched over time.
///
/// Living processes are read by their exact CPU clocks. What ended is in the account of whoever reaped it, so the
/// sum over the family never loses it, as long as the family's last reaper (here the guard, a child subreaper) lives.
#[derive(Clone, Debug)]
pub struct Family {
    root: u32,
    /// Further processes that count with all that they started, for as long as they live.
    adopted: Vec<u32>,
    /// Processes known to be no members. Nobody joins a family but by being born into it, so they are not read again.
    strangers: HashSet<u32>,
    /// The time that each member had reaped when it was last read.
    reaped_ns: HashMap<u32, u64>,
}

/// The CPU time of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilyTime {
    /// All that it ever used, in user mode and in the kernel.
    pub cpu_ns: u64,
    /// The most by which the growth since the reading before may be wrong: reaped time is told in whole ticks.
    pub error_ns: u64,
    /// How many processes live.
    pub processes: u32,
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and kernel time of the children that it waited for, and of theirs, in ticks.
    reaped_ticks: u64,
}

/// Whose a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    Member,
    Stranger,
    /// Someone above it ended while the list was read: it is looked at again next time.
    Unknown,
}

impl Family {
    /// The family of this process.
    #[must_use]
    pub fn of(root: u32) -> Family {
        Family { root, adopted: Vec::new(), strangers: HashSet::new(), reaped_ns: HashMap::new() }
    }

    /// The family with further processes, and all that these started: they work for it, and were not born into it.
    #[must_use]
    pub fn with(self, adopted: &[u32]) -> Family {
        Family { adopted: adopted.to_vec(), ..self }
    }

    /// Reads all members; `None` if there is no such process.
    pub fn read(&mut self) -> Option<FamilyTime> {
        let listed = listed()?;
        // A number that is free may be given to a new process, which may be a member.
        self.strangers.retain(|stranger| listed.contains(stranger));
        let stats: HashMap<u32, Stat> = listed
            .iter()
            .filter(|pid| !self.strangers.contains(pid))
            .filter_map(|pid| Some((*pid, parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)?)))
            .collect();
        stats.get(&self.root)?;
        let mut sum = FamilyTime::default();
        let mut reaped_ns = HashMap::new();
        let tick_ns = 1_000_000_000 / procfs::ticks_per_second().max(1);
        for (pid, stat) in &stats {
            let is_root = |pid: u32| pid == self.root || self.adopted.contains(&pid);
            match kin(*pid, is_root, &stats, &self.strangers) {
                Kin::Member => {
                    let reaped = stat.reaped_ticks.saturating_mul(tick_ns);
                    sum.cpu_ns += process_cpu_ns(*pid).unwrap_or(0) + reaped;
                    sum.processes += 1;
                    if self.reaped_ns.get(pid).copied().unwrap_or(0) != reaped {
                        sum.error_ns += CUT_TICKS * tick_ns;
                    }
                    reaped_ns.insert(*pid, reaped);
                }
                Kin::Stranger => {
                    self.strangers.insert(*pid);
                }
                Kin::Unknown => {}
            }
        }
        self.reaped_ns = reaped_ns;
        Some(sum)
    }
}

/// The processes that there are.
fn listed() -> Option<HashSet<u32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    Some(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// Whose `pid` is, by its parents up to the first who is known.
fn kin(pid: u32, is_root: impl Fn(u32) -> bool, stats: &HashMap<u32, Stat>, strangers: &HashSet<u32>) -> Kin {
    let mut at = pid;
    // A list that changed under the reader may go round in circles.
    for _ in 0..=stats.len() {
        if is_root(at) {
            return Kin::Member;
        }
        if strangers.contains(&at) {
            return Kin::Stranger;
        }
        match stats.get(&at) {
            // The first process of a PID namespace, and the kernel's own.
            Some(stat) if stat.parent == 0 => return Kin::Stranger,
            Some(stat) => at = stat.parent,
            None => return Kin::Unknown,
        }
    }
    Kin::Unknown
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)). The name may hold anything, parentheses too: what counts follows the
/// last one.
fn parse(text: &[u8]) -> Option<Stat> {
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[name_end + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The manual counts from 1, and the name is its second field.
    let field = |number: usize| fields.get(number - 3)?.parse::<i64>().ok();
    let ticks = |number: usize| field(number).and_then(|ticks| u64::try_from(ticks).ok());
    Some(Stat { parent: u32::try_from(field(4)?).ok()?, reaped_ticks: ticks(16)?.saturating_add(ticks(17)?) })
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let rest = "S 7 1 1 0 -1 4194560 1 2 3 4 50 60 70 80 20 0 1 0 99";
        for name in ["sh", "a) R 9 9", "(", "two words"] {
            let line = format!("12 ({name}) {rest}");
            assert_eq!(parse(line.as_bytes()), Some(Stat { parent: 7, reaped_ticks: 150 }), "{name}");
        }
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"1 (sh) S 7"), None);
    }

    #[test]
    fn who_lost_a_parent_is_nobodys_yet() {
        let stat = |parent| Stat { parent, reaped_ticks: 0 };
        let stats = HashMap::from([(1, stat(0)), (5, stat(1)), (6, stat(5)), (8, stat(7)), (9, stat(3)), (4, stat(4))]);
        let strangers = HashSet::from([3]);
        let kin = |pid| kin(pid, |one| one == 5, &stats, &strangers);
        assert_eq!((kin(5), kin(6)), (Kin::Member, Kin::Member));
        assert_eq!((kin(1), kin(9), kin(3)), (Kin::Stranger, Kin::Stranger, Kin::Stranger));
        assert_eq!((kin(8), kin(4)), (Kin::Unknown, Kin::Unknown));
    }

    #[test]
    fn children_count_while_they_live_and_after_they_were_reaped() {
        let mut family = Family::of(std::process::id());
        let before = family.read().expect("this process");
        let mut shell = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = [0];
        std::io::Read::read_exact(shell.stdout.as_mut().expect("a pipe"), &mut line).expect("it has computed");
        let used = process_cpu_ns(shell.id()).expect("it lives");
        let alive = family.read().expect("this process");
        assert!(alive.cpu_ns >= before.cpu_ns + used, "{before:?} {used} {alive:?}");
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
        let after = family.read().expect("this process");
        assert!(after.cpu_ns + after.error_ns >= before.cpu_ns + used, "{before:?} {used} {after:?}");
        assert!(after.error_ns > 0, "reaped time is coarse");
        assert_eq!(Family::of(u32::MAX).read(), None);
        assert_eq!(Family::of(u32::MAX).with(&[std::process::id()]).read(), None);
    }

    proptest! {
        #[test]
        fn any_list_is_judged(pairs in proptest::collection::vec((0_u32..12, 0_u32..12), 0..30), root in 0_u32..12) {
            let stats: HashMap<u32, Stat> =
                pairs.iter().map(|(pid, parent)| (*pid, Stat { parent: *parent, reaped_ticks: 0 })).collect();
            for pid in stats.keys() {
                let is_root = *pid == root;
                prop_assert!(!is_root || kin(*pid, |one| one == root, &stats, &HashSet::new()) == Kin::Member);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = parse(&text);
        }
    }
}
