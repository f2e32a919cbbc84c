//! Handing descriptors to a child process at fixed numbers, and taking them over there.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::FdFlags;

/// Lets the child that `command` starts inherit `fds` as descriptors `first`, `first + 1`, ...
///
/// The command keeps copies of the descriptors until it is dropped: drop it after the spawn, or an end
/// of file that depends on them never comes. Everything else stays close-on-exec. Without descriptors
/// the command is left as it is, so that it is still started by `vfork`.
///
/// # Errors
/// When the process has too many descriptors open.
pub fn inherit(command: &mut Command, first: RawFd, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.is_empty() {
        return Ok(());
    }
    let end = first + fds.len() as RawFd;
    // Sources lie above the targets, so that no dup2 overwrites a source still needed. The copies that
    // fell among the targets are kept too: they hold those numbers, so that the pipe on which a spawn
    // reports its failure is not made there and then overwritten.
    let mut held = Vec::new();
    let mut sources = Vec::with_capacity(fds.len());
    for fd in fds {
        loop {
            let copy = rustix::io::fcntl_dupfd_cloexec(fd, first)?;
            if copy.as_raw_fd() >= end {
                sources.push(copy);
                break;
            }
            held.push(copy);
        }
    }
    let place = move || {
        let _ = &held;
        for (target, source) in (first..).zip(&sources) {
            // SAFETY: dup2 takes two integers; the child owns its whole descriptor table.
            if unsafe { libc::dup2(source.as_raw_fd(), target) } == -1 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only calls dup2, which is async-signal-safe, and reads
    // errno; it neither allocates nor locks.
    unsafe { command.pre_exec(place) };
    Ok(())
}

/// Takes over the `count` descriptors from `first` on that [`inherit`] placed, and sets close-on-exec.
///
/// # Errors
/// When one of them is not open: the process was not started as it should be.
///
/// # Safety
/// Nothing else in this process owns these descriptors: call it once, before anything is opened.
pub unsafe fn adopt(first: RawFd, count: usize) -> io::Result<Vec<OwnedFd>> {
    let numbers = first..first + count as RawFd;
    for number in numbers.clone() {
        // SAFETY: the borrow lasts for one call; a number that is not open is answered with an error.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC).map_err(|error| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("descriptor {number} was not handed over: {error}"))
        })?;
    }
    // SAFETY: all are open, and the caller vouches that nobody else owns them.
    Ok(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsFd as _;
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_child_finds_each_descriptor_at_its_number() {
        let mut pipes: Vec<_> = (0..12).map(|_| io::pipe().expect("a pipe")).collect();
        for (number, (_, writer)) in pipes.iter_mut().enumerate() {
            writeln!(writer, "pipe {number}").expect("an empty pipe takes a line");
        }
        let fds: Vec<BorrowedFd<'_>> = pipes.iter().rev().map(|(reader, _)| reader.as_fd()).collect();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "for n in 5 6 7 8 9; do read line <&$n; echo $line; done"]).stdout(Stdio::piped());
        inherit(&mut command, 5, &fds).expect("descriptors");
        let output = command.output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "pipe 11\npipe 10\npipe 9\npipe 8\npipe 7\n");
    }

    #[test]
    fn a_failed_start_is_still_reported() {
        let pipes: Vec<_> = (0..4).map(|_| io::pipe().expect("a pipe")).collect();
        let fds: Vec<BorrowedFd<'_>> = pipes.iter().map(|(reader, _)| reader.as_fd()).collect();
        let mut command = Command::new("/nonexistent/program");
        inherit(&mut command, 3, &fds).expect("descriptors");
        assert_eq!(command.spawn().map(|_| ()).map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_dropped_command_holds_nothing() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut command = Command::new("/bin/true");
        inherit(&mut command, 5, &[writer.as_fd()]).expect("descriptors");
        command.status().expect("true runs");
        drop((command, writer));
        assert_eq!(reader.read(&mut [0]).expect("end of file"), 0);
    }

    #[test]
    fn a_descriptor_that_was_not_handed_over_is_named() {
        // SAFETY: the number is above any limit, so nothing can own it.
        let error = unsafe { adopt(1 << 30, 1) }.expect_err("not open");
        assert!(error.to_string().starts_with("descriptor 1073741824 was not handed over"), "{error}");
    }
}
