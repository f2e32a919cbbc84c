//! What lives below this process, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use procfs::process::{Stat, all_processes};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, wait};

use super::wire::Status;

/// What a process is called that removes what others leave behind when all of them are gone: for CPython, named
/// semaphores and shared memory, for loky folders too. Killed with the others, it would leave them on the host.
const CLEANER: &str = "resource_tracker";
/// How long such a process is given once it is alone.
const TO_CLEAN_UP: Duration = Duration::from_secs(1);
/// How often a tree that keeps growing is scanned anew before what is known of it is killed.
const FREEZES: u32 = 64;

/// A process, told from a later one of the same number by its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    pid: i32,
    started: u64,
}

/// Every living descendant of this process.
fn below() -> Vec<Member> {
    let mut children: BTreeMap<i32, Vec<Stat>> = BTreeMap::new();
    // A process that ends while it is read is no fault: it is not there any more.
    for stat in all_processes().into_iter().flatten().flatten().filter_map(|process| process.stat().ok()) {
        children.entry(stat.ppid).or_default().push(stat);
    }
    let mut found = Vec::new();
    let mut parents = vec![rustix::process::getpid().as_raw_nonzero().get()];
    while let Some(parent) = parents.pop() {
        // Taken out, so that a table read while numbers were reused cannot hold a circle.
        for stat in children.remove(&parent).unwrap_or_default() {
            parents.push(stat.pid);
            if stat.state != 'Z' {
                found.push(Member { pid: stat.pid, started: stat.starttime });
            }
        }
    }
    found
}

/// Sends `signal` to `member`, if it still is that process.
fn send(member: Member, signal: Signal) {
    let Some(pid) = Pid::from_raw(member.pid) else { return };
    // Gone already, which is as good.
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let same = procfs::process::Process::new(member.pid)
        .and_then(|process| process.stat())
        .is_ok_and(|stat| stat.starttime == member.started);
    if same {
        let _ = pidfd_send_signal(&handle, signal);
    }
}

/// Sends `signal` to everything below.
pub(super) fn signal_all(signal: Signal) {
    below().into_iter().for_each(|member| send(member, signal));
}

/// Reaps what has ended. Returns whether any child is left.
pub(super) fn reap(told: &mut dyn FnMut(u32, Status)) -> io::Result<bool> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let end = match (status.exit_status(), status.terminating_signal()) {
                    (Some(status), _) => Status::Exit(status),
                    (None, Some(signal)) => Status::Signal(signal),
                    (None, None) => continue,
                };
                told(pid.as_raw_nonzero().get().unsigned_abs(), end);
            }
            Ok(None) => return Ok(true),
            Err(Errno::CHILD) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives everything below `grace` to end, then kills it, and returns when nothing is left: since orphans come
/// to this process, no child left means no descendant left. Returns how many had to be killed. Those that remove what
/// the others leave are not counted, and killed last, if they do not end by themselves.
pub(super) fn kill_all(grace: Duration, told: &mut dyn FnMut(u32, Status)) -> io::Result<u32> {
    let patience = Instant::now() + grace;
    while reap(told)? {
        if Instant::now() >= patience {
            return kill_now(told);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(0)
}

/// Whether a process removes what others leave behind.
fn is_cleaner(member: Member) -> bool {
    words(member).iter().any(|word| word.contains(CLEANER))
}

/// What a process was called with; nothing once it is ending.
fn words(member: Member) -> Vec<String> {
    procfs::process::Process::new(member.pid).and_then(|process| process.cmdline()).unwrap_or_default()
}

fn kill_now(told: &mut dyn FnMut(u32, Status)) -> io::Result<u32> {
    let mut seen = BTreeSet::new();
    let mut killed: u32 = 0;
    let mut pause = Duration::from_millis(1);
    let mut alone: Option<Instant> = None;
    loop {
        // All are stopped before one is killed, or a tree that forks faster than it is read would outrun this.
        for _ in 0..FREEZES {
            let fresh: Vec<Member> = below().into_iter().filter(|member| seen.insert(*member)).collect();
            if fresh.is_empty() {
                break;
            }
            for member in fresh.into_iter().filter(|member| !is_cleaner(*member)) {
                // What is ending by itself is not killed, and may have been a cleaner.
                killed = killed.saturating_add(u32::from(!words(member).is_empty()));
                send(member, Signal::STOP);
            }
        }
        let (cleaners, others): (Vec<Member>, Vec<Member>) = below().into_iter().partition(|one| is_cleaner(*one));
        others.iter().for_each(|member| send(*member, Signal::KILL));
        // It may stand still, as all of an agent does between its blocks.
        cleaners.iter().for_each(|member| send(*member, Signal::CONT));
        if alone.is_some_and(|since| since.elapsed() > TO_CLEAN_UP) {
            cleaners.into_iter().for_each(|member| send(member, Signal::KILL));
        }
        if !reap(told)? {
            return Ok(killed);
        }
        alone = alone.or_else(|| others.is_empty().then(Instant::now));
        // What hangs in the kernel takes its time; there is nothing to do but to look again.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
