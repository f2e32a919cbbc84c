//! One measuring process: started below a guard of its own, read line by line, and ended with all that it began.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::catalogue::Language;
use super::sheet::Runtime;
use crate::guard::{Child, Guard, Status, Wiring};

/// How long the end of a process may take to be told.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a signal has come, at least.
const GLANCE: Duration = Duration::from_millis(500);
/// The most that is read of one process.
const LONGEST_OUTPUT: usize = 1 << 20;

/// What starts the measuring processes of a runtime.
#[derive(Clone, Debug)]
pub struct Program {
    /// The runtime.
    pub runtime: Runtime,
    /// The program: this one, or an interpreter.
    pub program: PathBuf,
    /// What is set in its environment, beside the user's.
    pub environment: Vec<(OsString, OsString)>,
}

/// What a process says of one item or pitfall: one line of JSON.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pitfall: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ns: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wrong: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mended: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shown: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unavailable: Option<String>,
}

impl Line {
    /// The id that it is about.
    pub(super) fn id(&self) -> &str {
        self.item.as_deref().or(self.pitfall.as_deref()).unwrap_or_default()
    }
}

/// How a measuring process came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with exit code 0.
    Whole,
    /// Too early or too late: how, in half a sentence.
    Broken(String),
    /// It was ended because a signal came.
    Interrupted,
}

/// What one process said, and how it ended.
pub(super) struct Repetition {
    pub(super) lines: Vec<Line>,
    pub(super) end: End,
}

/// Has one process measure these ids, and ends whatever it leaves. `seed` is that of their order.
///
/// # Errors
/// When it cannot be started, or not be ended.
pub(super) fn measure(
    guard: &mut Guard,
    program: &Program,
    package: &Path,
    ids: &[&str],
    seed: u64,
    bounds: &Bounds<'_>,
) -> io::Result<Repetition> {
    let seed = seed.to_string();
    let ids = ids.join(",");
    let mut argv = vec![program.program.as_os_str()];
    match program.runtime.language {
        Language::Rust => argv.push(OsStr::new(super::VERB)),
        Language::Python => argv.extend([package.as_os_str(), OsStr::new("measure")]),
    }
    argv.extend(["--seed", &seed, "--items", &ids].map(OsStr::new));
    let mut environment: Vec<(&OsStr, &OsStr)> =
        program.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    // What a process that is killed leaves behind goes with the guard's directory.
    environment.extend(package.parent().map(|directory| (OsStr::new("TMPDIR"), directory.as_os_str())));
    let mut own = guard.nested()?;
    let (output, theirs) = io::pipe()?;
    let errors_at = package.with_extension("errors");
    let errors = File::create(&errors_at)?;
    let input = File::open("/dev/null")?;
    let child = own.spawn(&argv, &environment, Wiring::Standard, &[input.as_fd(), theirs.as_fd(), errors.as_fd()])?;
    drop(theirs);
    let heard = listen(output, &child, bounds)?;
    let status = if heard.is_over { own.status(child.pid, PATIENCE) } else { None };
    // Whatever it left behind ends here, as it does when this process is killed.
    own.kill(Duration::ZERO)?;
    own.close()?;
    let end = match (heard.stopped, status) {
        (Some(end), _) => end,
        (None, Some(Status::Exit(0))) => End::Whole,
        (None, Some(status)) => End::Broken(format!("its process ended with {status}{}", last_words(&errors_at))),
        (None, None) => End::Broken("its process ended, nobody knows how".to_owned()),
    };
    Ok(Repetition { lines: heard.lines, end })
}

/// When a process is stopped.
pub(super) struct Bounds<'a> {
    /// How long it may take.
    pub(super) longest: Duration,
    /// Set by a signal handler.
    pub(super) interrupted: &'a AtomicBool,
}

struct Heard {
    lines: Vec<Line>,
    /// Whether the process has ended by itself.
    is_over: bool,
    /// Why it was not listened to to its end.
    stopped: Option<End>,
}

/// Takes its lines until it ends. A process that it began may hold its output open: what counts is its own end.
fn listen(mut output: io::PipeReader, child: &Child, bounds: &Bounds<'_>) -> io::Result<Heard> {
    rustix::io::ioctl_fionbio(&output, true)?;
    let deadline = Instant::now() + bounds.longest;
    let mut text = Vec::new();
    let mut is_open = true;
    let (is_over, stopped) = loop {
        if bounds.interrupted.load(Ordering::SeqCst) {
            break (false, Some(End::Interrupted));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let late = format!("its process had not ended after {} s", bounds.longest.as_secs());
            break (false, Some(End::Broken(late)));
        }
        let has_ended = wait(is_open.then_some(&output), child, left.min(GLANCE))?;
        is_open = is_open && take(&mut output, &mut text)?;
        if text.len() > LONGEST_OUTPUT {
            break (false, Some(End::Broken("it wrote without end".to_owned())));
        }
        if has_ended {
            break (true, None);
        }
    };
    match understand(&text) {
        Ok(lines) => Ok(Heard { lines, is_over, stopped }),
        Err(why) => Ok(Heard { lines: Vec::new(), is_over, stopped: stopped.or(Some(End::Broken(why))) }),
    }
}

/// Waits for output, the end, or the time. Whether it has ended.
fn wait(output: Option<&io::PipeReader>, child: &Child, time: Duration) -> io::Result<bool> {
    let timeout = Timespec::try_from(time).map_err(io::Error::other)?;
    let mut watched = vec![PollFd::new(&child.handle, PollFlags::IN)];
    watched.extend(output.map(|output| PollFd::new(output, PollFlags::IN)));
    match poll(&mut watched, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(watched.first().is_some_and(|handle| !handle.revents().is_empty())),
        Err(error) => Err(error.into()),
    }
}

/// Takes what is there. Whether there may be more.
fn take(output: &mut io::PipeReader, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut part = [0_u8; 4096];
    while text.len() <= LONGEST_OUTPUT {
        match output.read(&mut part) {
            Ok(0) => return Ok(false),
            Ok(count) => text.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The whole lines. A last one that was cut short is none.
fn understand(text: &[u8]) -> Result<Vec<Line>, String> {
    let text = String::from_utf8_lossy(text);
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| format!("it wrote what is no answer: {error}"));
    whole.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// The last line of its errors, as the tail of a sentence.
fn last_words(errors_at: &Path) -> String {
    // They are a help, not a need.
    let text = std::fs::read_to_string(errors_at).unwrap_or_default();
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map(|line| format!(": {}", line.chars().take(200).collect::<String>())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_a_cut_one_is_left() {
        let text = b"{\"item\":\"a\",\"ns\":1.5}\n\n{\"pitfall\":\"b\",\"wrong\":3,\"mended\":0}\n{\"item\":\"c\",";
        let lines = understand(text).expect("lines");
        assert_eq!(lines.iter().map(Line::id).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((lines[0].ns, lines[1].wrong, lines[1].mended), (Some(1.5), Some(3.0), Some(0.0)));
        assert!(understand(b"hello\n").expect_err("no answer").starts_with("it wrote what is no answer"));
        assert!(understand(b"{\"item\":\"a\",\"seconds\":1}\n").is_err());
    }
}
