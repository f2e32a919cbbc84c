//! The controller's side of a guard.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::CHILD;
use super::wire::{Reply, Request, Status, Wiring, receive, send};

/// How long a guard may take to answer. Killing a tree is the slowest thing that it does.
const PATIENCE: Duration = Duration::from_secs(10);

/// A guard that runs. Dropping it ends everything below it; [`Guard::close`] also says whether that worked.
#[derive(Debug)]
pub struct Guard {
    /// `None` once closed.
    socket: Option<OwnedFd>,
    process: Process,
    /// The program that is its own guard: this one.
    program: PathBuf,
    pid: u32,
    directory: Option<PathBuf>,
    ended: Vec<(u32, Status)>,
}

#[derive(Debug)]
enum Process {
    /// Started here.
    Own(std::process::Child),
    /// Started elsewhere.
    Nested(OwnedFd),
}

/// A process that a guard started.
#[derive(Debug)]
pub struct Child {
    /// Its process id; the number may be another's once its end was told.
    pub pid: u32,
    /// Readable when it has ended.
    pub handle: OwnedFd,
}

impl Guard {
    /// Starts a guard, `program guard`, that makes a directory of its own (mode 0700) in `parent` and
    /// removes it in the end.
    ///
    /// # Errors
    /// When it cannot be started, or cannot make the directory.
    pub fn start(program: &Path, parent: &Path) -> io::Result<Guard> {
        let (ours, theirs) = pair()?;
        let mut command = Command::new(program);
        command.arg("guard").arg(parent).stdin(theirs).stdout(Stdio::null());
        let leave_session = || rustix::process::setsid().map(drop).map_err(io::Error::from);
        // SAFETY: between fork and exec the closure makes one system call; it neither allocates nor locks.
        // A session of its own keeps a terminal's Ctrl-C, and its hang-up, away from all below.
        unsafe { command.pre_exec(leave_session) };
        let child = command.spawn()?;
        // The command still holds the guard's end; while it does, a dead guard would not be seen.
        drop(command);
        let pid = child.id();
        Guard::greet(ours, Process::Own(child), program, pid)
    }

    /// Starts a guard below this one, for one agent and whatever that starts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn nested(&mut self) -> io::Result<Guard> {
        let (ours, theirs) = pair()?;
        let program = self.program.clone();
        let child = self.spawn(&[program.as_os_str(), OsStr::new("guard")], &[], Wiring::Guard, &[theirs.as_fd()])?;
        drop(theirs);
        Guard::greet(ours, Process::Nested(child.handle), &program, child.pid)
    }

    /// A guard below this one around a process that is there before it. `begin` has another process below this
    /// one make a child, and then become the given program, with the child's number as its last argument and the
    /// given socket as its standard input.
    ///
    /// # Errors
    /// When `begin` fails, or no guard comes of it; what did come of it then ends.
    pub fn around(
        &self,
        begin: impl FnOnce(&[&OsStr], BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<(Guard, Child)> {
        let (ours, theirs) = pair()?;
        begin(&[self.program.as_os_str(), OsStr::new("guard"), OsStr::new(CHILD)], theirs.as_fd())?;
        drop(theirs);
        let (reply, descriptors) = packet(ours.as_fd(), PATIENCE)?;
        match (reply, <[OwnedFd; 2]>::try_from(descriptors)) {
            (Reply::Around { guard, child }, Ok([of_guard, of_child])) => {
                let guard = Guard {
                    socket: Some(ours),
                    process: Process::Nested(of_guard),
                    program: self.program.clone(),
                    pid: guard,
                    directory: None,
                    ended: Vec::new(),
                };
                Ok((guard, Child { pid: child, handle: of_child }))
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    fn greet(socket: OwnedFd, process: Process, program: &Path, pid: u32) -> io::Result<Guard> {
        let socket = Some(socket);
        let mut guard = Guard { socket, process, program: program.to_owned(), pid, directory: None, ended: Vec::new() };
        match guard.reply(PATIENCE)?.0 {
            Reply::Up { directory } => {
                guard.directory = directory;
                Ok(guard)
            }
            other => Err(unexpected(other)),
        }
    }

    /// The directory that it made.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Starts `argv` with this process's environment and `env`, without a shell.
    ///
    /// # Errors
    /// When it cannot be started, with the program's name.
    pub fn spawn(
        &mut self,
        argv: &[&OsStr],
        env: &[(&OsStr, &OsStr)],
        wiring: Wiring,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        self.spawn_in(None, argv, env, wiring, descriptors)
    }

    /// The same in this directory; `None` is that of this process.
    ///
    /// # Errors
    /// As [`Guard::spawn`].
    pub fn spawn_in(
        &mut self,
        directory: Option<&Path>,
        argv: &[&OsStr],
        env: &[(&OsStr, &OsStr)],
        wiring: Wiring,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let directory = directory.map(|directory| text(directory.as_os_str())).transpose()?;
        let argv = argv.iter().map(|argument| text(argument)).collect::<io::Result<Vec<String>>>()?;
        let env = env.iter().map(|(name, value)| Ok((text(name)?, text(value)?))).collect::<io::Result<_>>()?;
        self.send(&Request::Start { argv, env, directory, wiring }, descriptors)?;
        let (reply, descriptors) = self.reply(PATIENCE)?;
        match (reply, descriptors.into_iter().next()) {
            (Reply::Started { pid }, Some(handle)) => Ok(Child { pid, handle }),
            (other, _) => Err(unexpected(other)),
        }
    }

    /// How process `pid`, started here, ended; `None` when that was not told in time.
    pub fn status(&mut self, pid: u32, patience: Duration) -> Option<Status> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some((_, status)) = self.ended.iter().find(|(ended, _)| *ended == pid) {
                return Some(*status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.socket().and_then(|socket| packet(socket, left)) {
                Ok((Reply::Ended { pid, status }, _)) => self.ended.push((pid, status)),
                // The caller asks about an end of which nothing more can be learnt.
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Stops everything below (SIGSTOP).
    ///
    /// # Errors
    /// When the guard does not answer.
    pub fn stop(&mut self) -> io::Result<()> {
        self.plain(&Request::Stop {})
    }

    /// Lets everything below go on (SIGCONT).
    ///
    /// # Errors
    /// When the guard does not answer.
    pub fn resume(&mut self) -> io::Result<()> {
        self.plain(&Request::Continue {})
    }

    /// Gives everything below `grace` (a minute at most) to end by itself, then kills and reaps it. Returns how many processes had
    /// to be killed.
    ///
    /// # Errors
    /// When the guard does not answer, as when a process hangs in the kernel.
    pub fn kill(&mut self, grace: Duration) -> io::Result<u32> {
        let grace = grace.min(Duration::from_secs(60));
        self.send(&Request::Kill { grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) }, &[])?;
        match self.reply(grace + PATIENCE)?.0 {
            Reply::Killed { processes } => Ok(processes),
            other => Err(unexpected(other)),
        }
    }

    /// Ends everything below and the guard itself.
    ///
    /// # Errors
    /// When it has not gone after ten seconds, or could not remove its directory.
    pub fn close(mut self) -> io::Result<()> {
        self.shut()
    }

    fn shut(&mut self) -> io::Result<()> {
        if self.socket.take().is_none() {
            return Ok(());
        }
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the guard is still ending processes");
        match &mut self.process {
            Process::Nested(handle) => {
                if readable(handle.as_fd(), PATIENCE)? {
                    Ok(())
                } else {
                    Err(late())
                }
            }
            Process::Own(child) => {
                let deadline = Instant::now() + PATIENCE;
                loop {
                    match child.try_wait()? {
                        Some(status) if status.success() => return Ok(()),
                        Some(status) => {
                            let what =
                                format!("the guard failed, it may have left the session's directory behind ({status})");
                            return Err(io::Error::other(what));
                        }
                        None if Instant::now() >= deadline => return Err(late()),
                        None => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
            }
        }
    }

    fn plain(&mut self, request: &Request) -> io::Result<()> {
        self.send(request, &[])?;
        match self.reply(PATIENCE)?.0 {
            Reply::Done {} => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        send(self.socket()?, request, descriptors)
    }

    /// The answer to a request; what was told in between is kept.
    fn reply(&mut self, patience: Duration) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let deadline = Instant::now() + patience;
        loop {
            match packet(self.socket()?, deadline.saturating_duration_since(Instant::now()))? {
                (Reply::Ended { pid, status }, _) => self.ended.push((pid, status)),
                other => return Ok(other),
            }
        }
    }

    fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        self.socket
            .as_ref()
            .map(AsFd::as_fd)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the guard was closed"))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Who wants to know calls `close`.
        let _ = self.shut();
    }
}

/// The next packet of the guard at the other end of `socket`.
fn packet(socket: BorrowedFd<'_>, patience: Duration) -> io::Result<(Reply, Vec<OwnedFd>)> {
    if !readable(socket, patience)? {
        return Err(io::Error::new(io::ErrorKind::TimedOut, "the guard does not answer"));
    }
    receive(socket)?.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the guard has ended"))
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

fn text(argument: &OsStr) -> io::Result<String> {
    argument.to_str().map(str::to_owned).ok_or_else(|| {
        let message = format!("`{}` is not UTF-8", argument.to_string_lossy());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

fn unexpected(reply: Reply) -> io::Error {
    match reply {
        Reply::Failed { message } => io::Error::other(message),
        other => io::Error::new(io::ErrorKind::InvalidData, format!("the guard answered out of turn: {other:?}")),
    }
}

/// Whether `descriptor` becomes readable, or closed, within `patience`.
fn readable(descriptor: BorrowedFd<'_>, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 });
        match poll(&mut [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
