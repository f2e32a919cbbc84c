//! Asking an interpreter for its agent's `hello`.

use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, kill_process_group, pidfd_open, set_parent_process_death_signal,
};

use super::Refusal;
use crate::escape::escaped;
use crate::protocol::{Hello, PROTOCOL, Reply};

/// The argument with which the agent's main file only prints its `hello`.
const HELLO: &str = "hello";
/// The exit status with which it refuses an interpreter that is too old, in its own words.
const UNFIT: i32 = 3;
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1 << 20;
/// How much of what it writes to standard error is kept.
const TAIL_BYTES: usize = 8 << 10;
/// The most characters of another program's words that a message repeats.
const MOST_QUOTED: usize = 200;

/// What the agent `main` says of itself under `interpreter`, within `patience`. Nothing that was started for it
/// in its process group is left.
///
/// # Errors
/// When it says nothing, or something else.
pub(super) fn ask(
    interpreter: &Path,
    main: &Path,
    environment: &[(&str, &str)],
    patience: Duration,
) -> Result<Hello, Refusal> {
    let broken = |error: io::Error| Refusal::NotStarted(error.to_string());
    let mut asked = Asked::start(interpreter, main, environment).map_err(broken)?;
    let end = asked.listen(patience).map_err(broken)?;
    let last_words = asked.last_words();
    match end {
        End::Late => Err(Refusal::Silent { patience, last_words }),
        End::Endless => Err(Refusal::Endless(LONGEST_ANSWER)),
        End::Ended(status) if status.code() == Some(UNFIT) && !last_words.is_empty() => Err(Refusal::Unfit(last_words)),
        End::Ended(status) if !status.success() => Err(Refusal::Ended { how: how(status), last_words }),
        End::Ended(_) => understand(&asked.answer),
    }
}

/// How it came to its end.
enum End {
    Ended(ExitStatus),
    Late,
    Endless,
}

/// An interpreter that is asked. Dropping it ends its whole process group.
struct Asked {
    child: Child,
    handle: OwnedFd,
    answer: Vec<u8>,
    errors: Vec<u8>,
}

impl Asked {
    fn start(interpreter: &Path, main: &Path, environment: &[(&str, &str)]) -> io::Result<Asked> {
        let mut command = Command::new(interpreter);
        command.arg(main).arg(HELLO).envs(environment.iter().copied()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        die_with_this_thread(&mut command);
        let child = command.spawn()?;
        for pipe in [child.stdout.as_ref().map(|pipe| pipe.as_fd()), child.stderr.as_ref().map(|pipe| pipe.as_fd())] {
            rustix::io::ioctl_fionbio(pipe.ok_or(io::ErrorKind::BrokenPipe)?, true)?;
        }
        // Nobody has reaped it yet, so the number is still its own.
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        Ok(Asked { child, handle, answer: Vec::new(), errors: Vec::new() })
    }

    /// Takes what it writes until it ends, and then ends what it has left.
    fn listen(&mut self, patience: Duration) -> io::Result<End> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = self.wait(left)?;
            take(&mut self.child.stdout, &mut self.answer)?;
            take(&mut self.child.stderr, &mut self.errors)?;
            self.errors.drain(..self.errors.len().saturating_sub(TAIL_BYTES));
            if self.answer.len() > LONGEST_ANSWER {
                return Ok(End::Endless);
            }
            if ended {
                self.end_group();
                return Ok(End::Ended(self.child.wait()?));
            }
            if left.is_zero() {
                return Ok(End::Late);
            }
        }
    }

    /// Waits until it has written something or ended, or the time is over. Whether it has ended.
    fn wait(&mut self, patience: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
        let mut watched = vec![PollFd::new(&self.handle, PollFlags::IN)];
        // A pipe that is closed is always ready: it is not there any more.
        watched.extend(self.child.stdout.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        watched.extend(self.child.stderr.iter().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        match poll(&mut watched, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(!watched[0].revents().is_empty())
    }

    /// Kills its process group. Its leader is not reaped yet, so the group's number is still its own.
    fn end_group(&self) {
        // It fails only if nothing is left.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
    }

    /// The last line that it wrote to standard error.
    fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.errors);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(quoted).unwrap_or_default()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // `None` is not reaped yet.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end_group();
            let _ = self.child.wait();
        }
    }
}

/// Takes what is in a pipe. One that is at its end is closed.
fn take(pipe: &mut Option<impl Read>, taken: &mut Vec<u8>) -> io::Result<()> {
    let mut part = [0_u8; 16 << 10];
    // A bound, or a flood would keep its length and the deadline from being looked at.
    for _ in 0..64 {
        let Some(open) = pipe else { break };
        match open.read(&mut part) {
            Ok(0) => *pipe = None,
            Ok(count) => taken.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The `hello` of an answer. Start-up code of the user's may have printed before it.
fn understand(answer: &[u8]) -> Result<Hello, Refusal> {
    let text = String::from_utf8_lossy(answer);
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    if last.is_empty() {
        return Err(Refusal::Mute);
    }
    let not_a_hello = || Refusal::NotAHello(quoted(last));
    let value: serde_json::Value = serde_json::from_str(last).map_err(|_| not_a_hello())?;
    // Another version may have fields that this one does not know.
    match value["hello"]["protocol"].as_u64() {
        None => return Err(not_a_hello()),
        Some(theirs) if theirs != u64::from(PROTOCOL) => return Err(Refusal::Protocol { theirs, ours: PROTOCOL }),
        Some(_) => {}
    }
    match serde_json::from_value(value) {
        Ok(Reply::Hello(hello)) => Ok(hello),
        Ok(_) | Err(_) => Err(not_a_hello()),
    }
}

/// `exit status: 7` as a sentence has it.
fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Another program's words, short and without control characters.
fn quoted(text: &str) -> String {
    escaped(text).chars().take(MOST_QUOTED).collect()
}

/// Has the kernel kill the process when the thread that started it ends, even by SIGKILL.
fn die_with_this_thread(command: &mut Command) {
    let parent = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // It may have ended before the signal was set.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec the closure makes two plain system calls; it neither allocates nor locks.
    unsafe { command.pre_exec(bind) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(answer: &str) -> String {
        understand(answer.as_bytes()).expect_err("not a hello").to_string()
    }

    #[test]
    fn what_is_no_hello_is_quoted() {
        assert_eq!(refusal("Hi!\u{1b}[2J\n"), "its answer is no hello: `Hi!\\u{1b}[2J`; is it a Python?");
        assert_eq!(refusal("{\"bye\":{}}"), "its answer is no hello: `{\"bye\":{}}`; is it a Python?");
        assert_eq!(refusal("\n"), "it ended without a hello; is it a Python?");
        assert!(refusal(&"x".repeat(100_000)).len() < 300);
    }

    #[test]
    fn another_protocol_is_refused_whatever_else_it_says() {
        let theirs = PROTOCOL + 1;
        assert_eq!(
            refusal(&format!("{{\"hello\":{{\"protocol\":{theirs},\"new_field\":1}}}}")),
            format!("its agent speaks protocol {theirs}, and this conbench speaks {PROTOCOL}")
        );
    }
}
