//! The guard's own side: one thread, one loop.

use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, set_child_subreaper};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

use super::wire::{Reply, Request, Status, receive, send};
use super::{spawn, tree};
use crate::protocol::REPLIES_FD;

/// What a guard is there for.
pub(super) enum Duty {
    /// A session, whose directory it makes in this one.
    Session(PathBuf),
    /// An agent, which it will be asked to start.
    Agent,
    /// An agent that was there before it: a child of this process.
    Child(Pid),
}

/// Serves the socket on standard input until it closes, then ends everything below and removes the
/// directory that it made.
pub(super) fn serve(duty: &Duty) -> io::Result<()> {
    let socket = take_socket()?;
    let (mut guard, children_ended) = match Serving::set_up(socket.try_clone()?, duty) {
        Ok(ready) => ready,
        Err(error) => {
            let told = send(&socket, &Reply::Failed { message: error.to_string() }, &[]);
            // A child may have been there before this.
            tree::kill_all(Duration::ZERO, &mut |_, _| {})?;
            return told.and(Err(error));
        }
    };
    drop(socket);
    // Whatever went wrong, the end is the same: nothing may be left.
    // A controller that goes with words unread is seen as a broken connection: an end like any other.
    let served = guard.run(children_ended).or_else(|error| match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error),
    });
    let ended = guard.end();
    served.and(ended)
}

/// Moves the socket off standard input, so that no child inherits it.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), REPLIES_FD + 1)?;
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    Ok(socket)
}

/// Occupies the agent's descriptors here: `Command` reports a failed exec over a pipe of its own, which
/// must not have one of the numbers that the child's wiring replaces.
fn reserve_agent_descriptors() -> io::Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    loop {
        let descriptor = OwnedFd::from(std::fs::File::open("/dev/null")?);
        if descriptor.as_raw_fd() > REPLIES_FD {
            return Ok(held);
        }
        held.push(descriptor);
    }
}

struct Serving {
    socket: OwnedFd,
    started: BTreeSet<u32>,
    directory: Option<PathBuf>,
    _reserved: Vec<OwnedFd>,
}

impl Serving {
    fn set_up(socket: OwnedFd, duty: &Duty) -> io::Result<(Serving, UnixStream)> {
        let reserved = reserve_agent_descriptors()?;
        // Handlers, not SIG_IGN: a handler is reset in what is started from here, an ignored signal is not.
        let ignored = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&ignored))?;
        }
        let (children_ended, notify) = UnixStream::pair()?;
        children_ended.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGCHLD, notify)?;
        set_child_subreaper(Some(getpid()))?;
        let mut serving = Serving { socket, started: BTreeSet::new(), directory: None, _reserved: reserved };
        if let Duty::Child(child) = duty {
            serving.take_in(*child)?;
        } else {
            if let Duty::Session(parent) = duty {
                serving.directory = Some(make_directory(parent)?);
            }
            send(&serving.socket, &Reply::Up { directory: serving.directory.clone() }, &[])?;
        }
        Ok((serving, children_ended))
    }

    /// Takes the child that was there before for one that was started here.
    fn take_in(&mut self, child: Pid) -> io::Result<()> {
        // Nobody has reaped it yet, so the number is still its own.
        let handles = [pidfd_open(getpid(), PidfdFlags::empty())?, pidfd_open(child, PidfdFlags::empty())?];
        let number = |pid: Pid| pid.as_raw_nonzero().get().unsigned_abs();
        self.started.insert(number(child));
        let reply = Reply::Around { guard: number(getpid()), child: number(child) };
        send(&self.socket, &reply, &handles.each_ref().map(OwnedFd::as_fd))
    }

    fn run(&mut self, mut children_ended: UnixStream) -> io::Result<()> {
        // A child that was there before may have ended before its end was listened for.
        self.reap()?;
        loop {
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&children_ended, PollFlags::IN)];
            match poll(&mut watched, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let asked = !watched[0].revents().is_empty();
            let mut drained = [0_u8; 64];
            while children_ended.read(&mut drained).is_ok_and(|count| count > 0) {}
            self.reap()?;
            if asked {
                match receive::<Request>(&self.socket)? {
                    Some((request, descriptors)) => self.answer(request, descriptors)?,
                    None => return Ok(()),
                }
            }
        }
    }

    fn answer(&mut self, request: Request, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        match request {
            Request::Start { argv, env, directory, wiring } => {
                match spawn::spawn(&argv, &env, directory.as_deref(), wiring, descriptors) {
                    Ok((pid, handle)) => {
                        self.started.insert(pid);
                        send(&self.socket, &Reply::Started { pid }, &[handle.as_fd()])
                    }
                    Err(error) => {
                        let program = argv.first().map_or("", String::as_str);
                        let message = format!("cannot start `{program}`: {error}");
                        send(&self.socket, &Reply::Failed { message }, &[])
                    }
                }
            }
            Request::Stop {} => self.signal(Signal::STOP),
            Request::Continue {} => self.signal(Signal::CONT),
            Request::Kill { grace_ms } => {
                let processes = self.kill(Duration::from_millis(grace_ms))?;
                send(&self.socket, &Reply::Killed { processes }, &[])
            }
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        tree::signal_all(signal);
        send(&self.socket, &Reply::Done {}, &[])
    }

    fn reap(&mut self) -> io::Result<()> {
        let mut ends = Vec::new();
        tree::reap(&mut |pid, status| ends.push((pid, status)))?;
        self.tell(ends)
    }

    fn kill(&mut self, grace: Duration) -> io::Result<u32> {
        let mut ends = Vec::new();
        let processes = tree::kill_all(grace, &mut |pid, status| ends.push((pid, status)))?;
        self.tell(ends)?;
        Ok(processes)
    }

    /// Tells the ends of those that were started here; orphans are nobody's business.
    fn tell(&mut self, ends: Vec<(u32, Status)>) -> io::Result<()> {
        for (pid, status) in ends {
            if self.started.remove(&pid) {
                send(&self.socket, &Reply::Ended { pid, status }, &[])?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        tree::kill_all(Duration::ZERO, &mut |_, _| {})?;
        match &self.directory {
            Some(directory) => std::fs::remove_dir_all(directory),
            None => Ok(()),
        }
    }
}

fn make_directory(parent: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::Builder::new()
        .prefix("conbench-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(|error| io::Error::new(error.kind(), format!("in `{}`: {error}", parent.display())))?;
    if directory.path().to_str().is_none() {
        let message = format!("`{}` is not UTF-8, set TMPDIR to a directory that is", parent.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(directory.keep())
}
