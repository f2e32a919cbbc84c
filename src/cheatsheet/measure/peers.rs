//! The other end: a process of its own that sends back what it gets.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::ptr::NonNull;
use std::thread;
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// What a peer does, by its first argument.
const ECHO: &str = "echo";
const SHARED: &str = "shared";
const DETACHED: &str = "detached";
const FAILING: &str = "failing";

/// What a detached thread writes, and how long it takes for each line.
pub(super) const LINES: usize = 20;
const LINE: Duration = Duration::from_millis(2);

/// Is a peer until its input ends.
pub(super) fn run(words: &[&str]) -> io::Result<()> {
    match words {
        [ECHO, bytes] => echo(number(bytes)?),
        [SHARED, descriptor, bytes] => shared(number(descriptor)?, number(bytes)?),
        [DETACHED, end] => write_lines(*end == "join"),
        [FAILING, end] => spawn_what_fails(*end == "await"),
        _ => Err(io::Error::other("no such peer")),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    word.parse().map_err(|_| io::Error::other(format!("`{word}` is not a number")))
}

/// Standard input and output, without a buffer.
fn ends() -> io::Result<(File, File)> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

/// Whether the other end has sent a whole message, or closed.
fn receive(input: &mut File, message: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(message) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn echo(bytes: usize) -> io::Result<()> {
    let (mut input, mut output) = ends()?;
    let mut message = vec![0; bytes];
    while receive(&mut input, &mut message)? {
        output.write_all(&message)?;
    }
    Ok(())
}

fn shared(descriptor: i32, bytes: usize) -> io::Result<()> {
    // SAFETY: who started this process opened the descriptor for it, and nothing else here has it.
    let memory = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mapping = Mapping::new(memory.as_fd(), bytes)?;
    let (mut input, mut output) = ends()?;
    let mut message = vec![0; bytes];
    let mut signal = [0];
    while receive(&mut input, &mut signal)? {
        mapping.copy_out(&mut message);
        mapping.copy_in(&message);
        output.write_all(&signal)?;
    }
    Ok(())
}

/// A thread writes lines, and this process ends without it, or joins it.
fn write_lines(joins: bool) -> io::Result<()> {
    let writer = thread::spawn(|| {
        let (_, mut output) = ends()?;
        (0..LINES).try_for_each(|line| {
            thread::sleep(LINE);
            writeln!(output, "{line}")
        })
    });
    if joins {
        writer.join().map_err(|_| io::Error::other("the thread panicked"))?
    } else {
        // It gets as far as it gets.
        thread::sleep(LINE * 3);
        Ok(())
    }
}

/// A task fails, and this program drops its handle, or awaits it.
fn spawn_what_fails(awaits: bool) -> io::Result<()> {
    super::asynchronous::current_thread()?.block_on(async {
        let task = tokio::spawn(async { Err(io::Error::other("the disk is full")) });
        if awaits {
            return task.await?;
        }
        drop(task);
        tokio::task::yield_now().await;
        Ok(())
    })
}

/// A peer that runs. Dropping it closes its input, upon which it ends, and reaps it.
pub(super) struct Peer {
    child: Child,
    /// The end to which is written and the one from which is read.
    ends: Option<(File, File)>,
}

impl Peer {
    /// One over a pair of pipes.
    pub(super) fn over_pipes(bytes: usize) -> io::Result<Peer> {
        Peer::with_pipes(command(&[ECHO, &bytes.to_string()])?)
    }

    /// One over a socket, whose ends these are.
    pub(super) fn over_socket(bytes: usize, ours: OwnedFd, theirs: OwnedFd) -> io::Result<Peer> {
        let mut command = command(&[ECHO, &bytes.to_string()])?;
        let child = command.stdin(theirs.try_clone()?).stdout(theirs).spawn()?;
        Ok(Peer { child, ends: Some((ours.try_clone()?.into(), ours.into())) })
    }

    /// One that shares memory, and is told over pipes when there is something in it. The memory is inherited.
    pub(super) fn over_memory(bytes: usize, memory: BorrowedFd<'_>) -> io::Result<Peer> {
        Peer::with_pipes(command(&[SHARED, &memory.as_raw_fd().to_string(), &bytes.to_string()])?)
    }

    fn with_pipes(mut command: Command) -> io::Result<Peer> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let input: OwnedFd = child.stdin.take().ok_or_else(gone)?.into();
        let output: OwnedFd = child.stdout.take().ok_or_else(gone)?.into();
        Ok(Peer { child, ends: Some((input.into(), output.into())) })
    }

    /// Sends a message there, and waits until as much has come back.
    pub(super) fn exchange(&mut self, message: &[u8], answer: &mut [u8]) -> io::Result<()> {
        let Some((there, here)) = &mut self.ends else { return Err(io::ErrorKind::NotConnected.into()) };
        there.write_all(message)?;
        here.read_exact(answer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ends = None;
        // It has been asked to end; whoever hangs is killed with this process's guard.
        let _ = self.child.wait();
    }
}

/// How many lines a detached thread writes in a program that ends, with or without a join.
pub(super) fn lines_of_a_thread(end: &str) -> io::Result<usize> {
    let output = command(&[DETACHED, end])?.stdin(Stdio::null()).output()?;
    Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count())
}

/// The exit code of a program whose task fails, and what it says.
pub(super) fn exit_code_of_a_task(end: &str) -> io::Result<(i32, String)> {
    let output = command(&[FAILING, end])?.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((output.status.code().unwrap_or(-1), said))
}

/// This program as a peer.
fn command(words: &[&str]) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(crate::cheatsheet::VERB).arg("--peer").args(words);
    Ok(command)
}

/// Memory that several processes map. It is theirs together: who writes when is agreed otherwise.
pub(super) struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    pub(super) fn new(memory: BorrowedFd<'_>, bytes: usize) -> io::Result<Mapping> {
        // SAFETY: the kernel chooses the place, so nothing that is there is mapped over.
        let start = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, memory, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("it is mapped nowhere"))?;
        Ok(Mapping { start, bytes })
    }

    /// Copies a message of its size into it.
    pub(super) fn copy_in(&self, message: &[u8]) {
        let bytes = self.bytes.min(message.len());
        // SAFETY: both are that long, and do not overlap. The other process waits meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(message.as_ptr(), self.start.as_ptr(), bytes) };
    }

    /// Copies out of it what fits.
    pub(super) fn copy_out(&self, message: &mut [u8]) {
        let bytes = self.bytes.min(message.len());
        // SAFETY: both are that long, and do not overlap. The other process waits meanwhile.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr(), message.as_mut_ptr(), bytes) };
    }

    /// A number at its start that several processes add to.
    pub(super) fn counter(&self) -> &std::sync::atomic::AtomicU64 {
        // SAFETY: the mapping is aligned to a page, longer than the number, lives as long as this, and is only used as
        // an atomic by whoever calls this.
        unsafe { std::sync::atomic::AtomicU64::from_ptr(self.start.as_ptr().cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped by this, and nothing refers to it any more. It fails only for what is not mapped.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
