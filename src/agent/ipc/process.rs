//! The peer process, as the agent holds it.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::line::tell_gone;
use super::{Ends, setup};
use crate::agent::descriptors::inherit;
use crate::agent::peer::{self, Assignment, Report};
use crate::protocol::{Failed, Job};

/// The peer process, as the agent holds it. Dropped, the process is killed and reaped.
pub(super) struct Peer {
    pub(super) pid: u32,
    pidfd: OwnedFd,
    watcher: Option<JoinHandle<()>>,
    /// Open as long as the peer shall live, should the agent be killed.
    life: ChildStdin,
}

impl Peer {
    /// Starts a peer for `slots` workers, which takes over copies of `theirs`; returns when it is ready.
    ///
    /// # Errors
    /// When it cannot be started, or what it reports itself.
    pub(super) fn start(job: &Job, slots: u32, theirs: &[OwnedFd], ends: Arc<Vec<Ends>>) -> Result<Peer, Failed> {
        let started = Peer::begin(job, slots, theirs, ends);
        let (peer, report) = started.map_err(|error| setup("cannot start the peer process", &error))?;
        report.map_or(Ok(peer), Err)
    }

    fn begin(job: &Job, slots: u32, theirs: &[OwnedFd], ends: Arc<Vec<Ends>>) -> io::Result<(Peer, Report)> {
        let (ready, readying) = io::pipe()?;
        let mut command = peer_command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let fds: Vec<BorrowedFd<'_>> =
            std::iter::once(readying.as_fd()).chain(theirs.iter().map(|fd| fd.as_fd())).collect();
        inherit(&mut command, peer::FIRST, &fds)?;
        let child = command.spawn()?;
        // Its ends are its own from here on: when it ends, its pipes do.
        drop(command);
        drop(readying);
        let mut peer = Peer::hold(child, ends)?;
        let mut line = serde_json::to_vec(&Assignment { job: job.clone(), slots })?;
        line.push(b'\n');
        peer.life.write_all(&line)?;
        let mut report = String::new();
        BufReader::new(ready).read_line(&mut report)?;
        if report.is_empty() {
            return Err(io::Error::other("it ended before it was ready; its messages say why"));
        }
        Ok((peer, serde_json::from_str(&report)?))
    }

    /// Takes a started peer in charge: from here on it cannot be forgotten.
    fn hold(mut child: Child, ends: Arc<Vec<Ends>>) -> io::Result<Peer> {
        let pid = child.id();
        let (life, pidfd) = match Peer::parts(&mut child) {
            Ok(parts) => parts,
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let watcher = std::thread::Builder::new().name("peer-watch".to_owned()).spawn(move || {
            // Whatever ended it, its workers must not wait for its answers.
            let _ = child.wait();
            for ends in ends.iter() {
                if let Ends::Event { answers, .. } = ends {
                    answers.iter().for_each(|answer| drop(tell_gone(answer)));
                }
            }
        })?;
        Ok(Peer { pid, pidfd, watcher: Some(watcher), life })
    }

    fn parts(child: &mut Child) -> io::Result<(ChildStdin, OwnedFd)> {
        let life = child.stdin.take().ok_or_else(|| io::Error::other("its standard input is not a pipe"))?;
        let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        Ok((life, pidfd))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It fails only when the peer has ended already.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
        if let Some(watcher) = self.watcher.take() {
            // The watcher has reaped it when it ends; it has no work that could panic.
            let _ = watcher.join();
        }
    }
}

#[cfg(not(test))]
pub(super) fn peer_command() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("peer");
    Ok(command)
}

/// In unit tests this binary is the test runner: one of its tests is the peer.
#[cfg(test)]
pub(super) fn peer_command() -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["agent::ipc::tests::is_the_peer_of_other_tests", "--exact", "--ignored", "--nocapture"]);
    Ok(command)
}
