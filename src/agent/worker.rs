//! Worker processes of the native runtime: this binary started again, with a socket as standard input.
//!
//! The agent sends the job once; then requests, which are answered in their order. Only an index and the
//! payload cross. Frames are a fixed header of little-endian integers and as many bytes as it announces:
//!
//! ```text
//! request: index u64, segment u32, flags u32, length u64, payload
//! reply:   index u64, begin_ns u64, end_ns u64, checksum u64, status u32, unused u32, length u64, payload
//! ```

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};

use super::descriptors::{adopt, inherit};
use super::meter;
use super::steps::{self, Place};
use super::task::{Outcome, Task};
use crate::candidate::Engine;
use crate::clock::now_ns;
use crate::protocol::{Failed, FailureKind, Job, Usage};

/// The first descriptor that a worker inherits beside the standard ones.
const FIRST_SHARED_FD: i32 = 5;

/// Bytes of a request's header.
pub const REQUEST_BYTES: usize = 24;
/// Bytes of a reply's header.
pub const REPLY_BYTES: usize = 48;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// All steps of a task.
    Task,
    /// The steps of one segment.
    Segment(u32),
    /// What the worker used so far.
    Usage,
}

impl Ask {
    const TASK: u32 = u32::MAX;
    const USAGE: u32 = u32::MAX - 1;

    fn code(self) -> u32 {
        match self {
            Ask::Task => Ask::TASK,
            Ask::Usage => Ask::USAGE,
            Ask::Segment(segment) => segment,
        }
    }

    fn of(code: u32) -> Ask {
        match code {
            Ask::TASK => Ask::Task,
            Ask::USAGE => Ask::Usage,
            segment => Ask::Segment(segment),
        }
    }
}

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The task.
    pub index: u64,
    /// What is asked.
    pub ask: Ask,
    /// Whether the payload is the task's: it is then digested, and an output goes back.
    pub carries_payload: bool,
    /// Bytes that follow.
    pub length: u64,
}

impl Request {
    /// The header and the payload of task `index`, as bytes appended to `to`.
    pub fn encode(task: &Task, index: u64, ask: Ask, carries_payload: bool, to: &mut Vec<u8>) {
        let payload = if carries_payload { task.input(index) } else { &[] };
        to.extend_from_slice(&index.to_le_bytes());
        to.extend_from_slice(&ask.code().to_le_bytes());
        to.extend_from_slice(&u32::from(carries_payload).to_le_bytes());
        to.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        to.extend_from_slice(payload);
    }

    fn decode(header: &[u8; REQUEST_BYTES]) -> Request {
        Request {
            index: u64_at(header, 0),
            ask: Ask::of(u32_at(header, 8)),
            carries_payload: u32_at(header, 12) != 0,
            length: u64_at(header, 16),
        }
    }
}

/// The header of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The task.
    pub index: u64,
    /// When the worker began it.
    pub begin_ns: u64,
    /// When the worker ended it.
    pub end_ns: u64,
    /// The checksum of what it did.
    pub checksum: u64,
    /// Whether it failed; the payload is then the failure as JSON.
    pub failed: bool,
    /// Bytes that follow.
    pub length: u64,
}

impl Reply {
    /// The header as bytes.
    pub(super) fn encode(&self) -> [u8; REPLY_BYTES] {
        let mut header = [0; REPLY_BYTES];
        let words = [self.index, self.begin_ns, self.end_ns, self.checksum, u64::from(self.failed), self.length];
        for (place, word) in header.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        header
    }

    /// Reads a header.
    #[must_use]
    pub fn decode(header: &[u8; REPLY_BYTES]) -> Reply {
        Reply {
            index: u64_at(header, 0),
            begin_ns: u64_at(header, 8),
            end_ns: u64_at(header, 16),
            checksum: u64_at(header, 24),
            failed: u64_at(header, 32) != 0,
            length: u64_at(header, 40),
        }
    }

    /// What the request came to: the worker's checksum, and that of the payload that came back.
    ///
    /// # Errors
    /// When the worker said that it failed.
    pub fn outcome(&self, payload: &[u8]) -> Outcome {
        if self.failed {
            Err(serde_json::from_slice(payload).unwrap_or_else(|error| Failed {
                kind: FailureKind::Worker,
                message: format!("a worker failed and its reason cannot be read: {error}"),
                place: String::new(),
                traceback: Vec::new(),
            }))
        } else {
            Ok(self.checksum.wrapping_add(Task::digest(payload)))
        }
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// A worker process and the agent's end of its socket.
pub struct Worker {
    child: Child,
    socket: Option<UnixStream>,
}

impl Worker {
    /// Starts the worker of `slot` with its share of the descriptors, and hands it the job.
    ///
    /// # Errors
    /// When the process cannot be started or does not take the job.
    pub fn start(job: &[u8], slot: u32, shared: &[BorrowedFd<'_>]) -> Result<Worker, Failed> {
        Worker::spawn(job, slot, shared).map_err(|error| Failed {
            kind: FailureKind::Setup,
            message: format!("cannot start a worker process: {error}"),
            place: format!("worker {slot}"),
            traceback: Vec::new(),
        })
    }

    fn spawn(job: &[u8], slot: u32, shared: &[BorrowedFd<'_>]) -> io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["worker", &slot.to_string(), &shared.len().to_string()]);
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        inherit(&mut command, FIRST_SHARED_FD, shared)?;
        let child = command.spawn()?;
        // The command holds the worker's end until it drops.
        drop(command);
        let mut worker = Worker { child, socket: None };
        (&ours).write_all(&(job.len() as u64).to_le_bytes())?;
        (&ours).write_all(job)?;
        worker.socket = Some(ours);
        Ok(worker)
    }

    /// The agent's end of the socket.
    ///
    /// # Errors
    /// When it was taken.
    pub fn socket(&self) -> io::Result<&UnixStream> {
        self.socket.as_ref().ok_or_else(|| io::Error::other("the socket of this worker was taken"))
    }

    /// Takes the agent's end of the socket; the worker ends when it is dropped.
    ///
    /// # Errors
    /// When it was taken before.
    pub fn take_socket(&mut self) -> io::Result<UnixStream> {
        self.socket.take().ok_or_else(|| io::Error::other("the socket of this worker was taken"))
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What is known of a worker that no longer answers: how it ended, or `error`.
    pub fn gone(&mut self, slot: u32, error: &dyn std::fmt::Display) -> Failed {
        // Its socket closes an instant before it can be reaped.
        let patience = now_ns() + 200_000_000;
        let status = loop {
            match self.child.try_wait() {
                Ok(None) if now_ns() < patience => std::thread::sleep(std::time::Duration::from_millis(1)),
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        let message = match status {
            Some(status) => format!("the worker process died: {status}"),
            None => format!("the worker process does not answer: {error}"),
        };
        Failed { kind: FailureKind::Worker, message, place: format!("worker {slot}"), traceback: Vec::new() }
    }

    /// Ends the worker and waits for its end, so that what it used counts as used by a child.
    pub fn end(mut self) {
        self.close();
        let _ = self.child.wait();
    }

    /// Closes the socket, at which the worker ends by itself. Close all workers before the first one drops,
    /// which waits: then they end side by side.
    pub fn close(&mut self) {
        self.socket = None;
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.close();
        if let Ok(None) = self.child.try_wait() {
            let patience = now_ns() + 500_000_000;
            while now_ns() < patience {
                if !matches!(self.child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A job as bytes for [`Worker::start`].
///
/// # Errors
/// When it cannot be serialised.
pub fn encode_job(job: &Job) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(job).map_err(|error| Failed {
        kind: FailureKind::Setup,
        message: format!("cannot write the job for a worker: {error}"),
        place: String::new(),
        traceback: Vec::new(),
    })
}

/// The worker's life: `conbench worker SLOT DESCRIPTORS`, requests on standard input until it ends.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    match Seat::take(arguments) {
        Ok(seat) => seat.serve(),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => ExitCode::from(2),
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a worker was handed, before it serves.
pub struct Seat {
    slot: u32,
    shared: Vec<OwnedFd>,
}

impl Seat {
    /// Takes over what the arguments after `worker` tell of. Call it before the process opens anything.
    ///
    /// # Errors
    /// When they are not those of a worker, or what they tell of is not there.
    pub fn take(arguments: &[OsString]) -> io::Result<Seat> {
        let numbers: Vec<u32> = arguments.iter().filter_map(|argument| argument.to_str()?.parse().ok()).collect();
        let [slot, shared] = numbers[..] else { return Err(io::ErrorKind::InvalidInput.into()) };
        // SAFETY: called once, before the process opens anything else at these numbers.
        let shared = unsafe { adopt(FIRST_SHARED_FD, shared as usize) }?;
        Ok(Seat { slot, shared })
    }

    /// The worker's life: requests on standard input until it ends.
    #[must_use]
    pub fn serve(self) -> ExitCode {
        let socket = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
        match socket.and_then(|socket| serve(&socket, self.slot, self.shared)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}

fn serve(socket: &UnixStream, slot: u32, shared: Vec<OwnedFd>) -> io::Result<()> {
    let mut reader = io::BufReader::with_capacity(16 * 1024, socket);
    let job = read_job(&mut reader)?;
    // A task that cannot be made answers each request with the reason.
    let task = steps::build(&job, Place::Worker { slot, shared });
    let is_for_one_task = job.candidate.engine == Engine::ProcessPerTask;
    let mut is_prepared = false;
    let mut input = Vec::new();
    let mut header = [0; REQUEST_BYTES];
    loop {
        match reader.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let request = Request::decode(&header);
        input.resize(usize::try_from(request.length).map_err(io::Error::other)?, 0);
        reader.read_exact(&mut input)?;
        // What the first task needs is there before its time begins, as its user would read it or hand it
        // over; the rest is made after that, so that the start-up does not wait for it. The agent asks for
        // usage before each block, which waits until it is done.
        let is_first = request.ask != Ask::Usage && !std::mem::replace(&mut is_prepared, true);
        if let (true, Ok(task)) = (is_first, &task) {
            task.prepare(Some(request.index));
        }
        answer(socket, request, &input, &task)?;
        if let (true, false, Ok(task)) = (is_first, is_for_one_task, &task) {
            task.prepare(None);
        }
    }
}

fn read_job(reader: &mut impl Read) -> io::Result<Job> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let mut text = vec![0; usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?];
    reader.read_exact(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

fn answer(socket: &UnixStream, request: Request, input: &[u8], task: &Result<Task, Failed>) -> io::Result<()> {
    let begin_ns = now_ns();
    let done = match request.ask {
        Ask::Usage => serde_json::to_vec(&meter::usage()).map(|usage| (0, usage)).map_err(|error| Failed {
            kind: FailureKind::Worker,
            message: error.to_string(),
            place: String::new(),
            traceback: Vec::new(),
        }),
        ask => task.as_ref().map_err(Clone::clone).and_then(|task| run(task, request, ask, input)),
    };
    let end_ns = now_ns();
    let failed = done.is_err();
    let (checksum, payload) = match done {
        Ok(done) => done,
        Err(failure) => (0, serde_json::to_vec(&failure).map_err(io::Error::other)?),
    };
    let reply = Reply { index: request.index, begin_ns, end_ns, checksum, failed, length: payload.len() as u64 };
    let mut frame = Vec::with_capacity(REPLY_BYTES + payload.len());
    frame.extend_from_slice(&reply.encode());
    frame.extend_from_slice(&payload);
    (&*socket).write_all(&frame)
}

fn run(task: &Task, request: Request, ask: Ask, input: &[u8]) -> Result<(u64, Vec<u8>), Failed> {
    let received = if request.carries_payload { Task::digest(input) } else { 0 };
    let done = match ask {
        Ask::Segment(segment) => task.segment_blocking(segment as usize, request.index)?,
        Ask::Task | Ask::Usage => task.steps_blocking(request.index)?,
    };
    let output = if request.carries_payload { task.output(request.index) } else { Vec::new() };
    Ok((received.wrapping_add(done), output))
}

/// Reads one reply, blocking.
///
/// # Errors
/// When the socket ends or breaks.
pub fn read_reply(mut socket: impl Read) -> io::Result<(Reply, Vec<u8>)> {
    let mut header = [0; REPLY_BYTES];
    socket.read_exact(&mut header)?;
    let reply = Reply::decode(&header);
    let mut payload = vec![0; usize::try_from(reply.length).map_err(io::Error::other)?];
    socket.read_exact(&mut payload)?;
    Ok((reply, payload))
}

/// Asks an idle worker what it used so far, blocking.
///
/// # Errors
/// When the worker does not answer.
pub fn ask_usage(socket: &UnixStream, task: &Task) -> io::Result<Usage> {
    let mut frame = Vec::with_capacity(REQUEST_BYTES);
    Request::encode(task, 0, Ask::Usage, false, &mut frame);
    (&*socket).write_all(&frame)?;
    let (_, payload) = read_reply(socket)?;
    serde_json::from_slice(&payload).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_wire() {
        let task = Task::new(Vec::new(), crate::workload::Payload { input_bytes: 5, output_bytes: 3 }, Some(1));
        for ask in [Ask::Task, Ask::Segment(3), Ask::Usage] {
            let mut frame = Vec::new();
            Request::encode(&task, 7, ask, true, &mut frame);
            let header: [u8; REQUEST_BYTES] = frame[..REQUEST_BYTES].try_into().expect("a header");
            assert_eq!(Request::decode(&header), Request { index: 7, ask, carries_payload: true, length: 5 });
            assert_eq!(&frame[REQUEST_BYTES..], task.input(7));
        }
        let reply = Reply { index: 1, begin_ns: 2, end_ns: 3, checksum: u64::MAX, failed: true, length: 9 };
        assert_eq!(Reply::decode(&reply.encode()), reply);
    }
}
