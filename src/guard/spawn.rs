//! Starting one process below a guard.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, pidfd_open, set_parent_process_death_signal};

use super::wire::Wiring;
use crate::protocol::{REPLIES_FD, REQUESTS_FD};

/// Starts `argv`, as the leader of a process group of its own. Returns its process id and its pidfd.
pub(super) fn spawn(
    argv: &[String],
    env: &[(String, String)],
    directory: Option<&str>,
    wiring: Wiring,
    descriptors: Vec<OwnedFd>,
) -> io::Result<(u32, OwnedFd)> {
    let [program, arguments @ ..] = argv else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to start"));
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(env.iter().map(|(name, value)| (name, value))).process_group(0);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    // Kept until the process is started; `wire_agent` refers to two of them by number.
    let _held = wire(&mut command, wiring, descriptors)?;
    if wiring != Wiring::Guard {
        die_with_this_process(&mut command);
    }
    let child = command.spawn()?;
    // Nobody has reaped it yet, so the number is still its own.
    let pid = Pid::from_child(&child);
    let handle = pidfd_open(pid, PidfdFlags::empty())?;
    Ok((child.id(), handle))
}

fn wire(command: &mut Command, wiring: Wiring, descriptors: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    let miscounted = |_| io::Error::new(io::ErrorKind::InvalidInput, "not the descriptors that the wiring needs");
    match wiring {
        Wiring::Guard => {
            let [socket]: [OwnedFd; 1] = descriptors.try_into().map_err(miscounted)?;
            command.stdin(socket).stdout(Stdio::null()).stderr(Stdio::inherit());
            Ok(Vec::new())
        }
        Wiring::Standard => {
            let [input, output, errors]: [OwnedFd; 3] = descriptors.try_into().map_err(miscounted)?;
            command.stdin(input).stdout(output).stderr(errors);
            Ok(Vec::new())
        }
        Wiring::Agent => {
            let [requests, replies, output]: [OwnedFd; 3] = descriptors.try_into().map_err(miscounted)?;
            command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
            wire_agent(command, vec![requests, replies])
        }
    }
}

fn wire_agent(command: &mut Command, pair: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    // Moved out of the way first, or one `dup2` could close what the other still needs.
    let pair = pair
        .into_iter()
        .map(|descriptor| Ok(rustix::io::fcntl_dupfd_cloexec(&descriptor, REPLIES_FD + 1)?))
        .collect::<io::Result<Vec<OwnedFd>>>()?;
    let numbers: Vec<(i32, i32)> = pair.iter().map(OwnedFd::as_raw_fd).zip([REQUESTS_FD, REPLIES_FD]).collect();
    let place = move || {
        for (from, to) in &numbers {
            // SAFETY: dup2 is safe to call between fork and exec, and touches no memory.
            if unsafe { libc::dup2(*from, *to) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only calls dup2; it neither allocates nor locks.
    unsafe { command.pre_exec(place) };
    Ok(pair)
}

/// Has the kernel kill the process when this one ends, even by SIGKILL.
fn die_with_this_process(command: &mut Command) {
    let parent = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before the signal was set.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec the closure makes two plain system calls; it neither allocates nor locks.
    unsafe { command.pre_exec(bind) };
}
