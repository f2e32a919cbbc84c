//! The section `multiprocessing`.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::Ordering;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::peers::{Mapping, Peer};
use super::timing::Meter;
use super::{ItemFn, Measured, seen};

pub(super) const ITEMS: &[(&str, ItemFn)] = &[
    ("command-status", command_status),
    ("fork-wait", fork_wait),
    ("pipe-100b", |meter| exchange(meter, SMALL, Peer::over_pipes)),
    ("pipe-1mib", |meter| exchange(meter, MIB, Peer::over_pipes)),
    ("unix-socket-100b", |meter| exchange(meter, SMALL, over_unix_socket)),
    ("unix-socket-1mib", |meter| exchange(meter, MIB, over_unix_socket)),
    ("tcp-100b", |meter| exchange(meter, SMALL, over_tcp)),
    ("copy-bytes", copy_bytes),
    ("json-list", json_list),
    ("json-map", json_map),
    ("shared-memory-create", shared_memory_create),
    ("shared-memory-1mib", shared_memory_1mib),
    ("shared-atomic-add", shared_atomic_add),
];

const SMALL: usize = 100;
const MIB: usize = 1 << 20;
/// What was sent comes back, so that a round is two crossings.
const THERE_AND_BACK: f64 = 2.0;

/// A program that does nothing, from its start to its end.
fn command_status(meter: &Meter) -> Measured {
    meter.per_try(|| Command::new("true").status().map(drop))
}

fn fork_wait(meter: &Meter) -> Measured {
    meter.per_try(|| -> io::Result<()> {
        // SAFETY: the child does nothing but end.
        let child = match unsafe { libc::fork() } {
            // SAFETY: it is a system call that is allowed after a fork beside threads.
            0 => unsafe { libc::_exit(0) },
            -1 => return Err(io::Error::last_os_error()),
            child => child,
        };
        let mut status = 0;
        // SAFETY: the child is this process's own and not yet reaped; the pointer is to a local.
        if unsafe { libc::waitpid(child, &raw mut status, 0) } == child {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    })
}

/// From one process to another, by `write` here and `read` there.
fn exchange(meter: &Meter, bytes: usize, start: impl FnOnce(usize) -> io::Result<Peer>) -> Measured {
    let mut peer = start(bytes)?;
    let message = vec![b'x'; bytes];
    let mut answer = vec![0; bytes];
    Ok(meter.per_try(|| peer.exchange(&message, &mut answer))? / THERE_AND_BACK)
}

fn over_unix_socket(bytes: usize) -> io::Result<Peer> {
    let (ours, theirs) = UnixStream::pair()?;
    Peer::over_socket(bytes, ours.into(), theirs.into())
}

fn over_tcp(bytes: usize) -> io::Result<Peer> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    let (theirs, _) = listener.accept()?;
    ours.set_nodelay(true)?;
    theirs.set_nodelay(true)?;
    Peer::over_socket(bytes, ours.into(), theirs.into())
}

fn copy_bytes(meter: &Meter) -> Measured {
    let data = vec![b'x'; MIB];
    meter.per_call(|| seen(black_box(&data).clone()))
}

/// Nanoseconds of a MiB of JSON, written and read.
fn json<T: serde::Serialize + serde::de::DeserializeOwned>(meter: &Meter, value: &T) -> Measured {
    let bytes = serde_json::to_vec(value).map_err(io::Error::from)?.len();
    let per_call = meter.per_try(|| -> io::Result<()> {
        let text = serde_json::to_vec(black_box(value))?;
        black_box(serde_json::from_slice::<T>(&text)?);
        Ok(())
    })?;
    Ok(per_call * MIB as f64 / bytes as f64)
}

fn json_list(meter: &Meter) -> Measured {
    json(meter, &(100_000..200_000).collect::<Vec<u64>>())
}

fn json_map(meter: &Meter) -> Measured {
    json(meter, &(0..20_000).map(|number| (format!("key {number}"), number)).collect::<HashMap<String, u64>>())
}

/// Shared memory of a MiB that a child inherits: it is not closed on exec.
fn memory() -> io::Result<OwnedFd> {
    let memory = memfd_create("cheatsheet", MemfdFlags::empty())?;
    ftruncate(&memory, MIB as u64)?;
    Ok(memory)
}

fn shared_memory_create(meter: &Meter) -> Measured {
    meter.per_try(|| -> io::Result<()> {
        let memory = memory()?;
        black_box(Mapping::new(memory.as_fd(), MIB)?);
        Ok(())
    })
}

fn shared_memory_1mib(meter: &Meter) -> Measured {
    let memory = memory()?;
    let mapping = Mapping::new(memory.as_fd(), MIB)?;
    let mut peer = Peer::over_memory(MIB, memory.as_fd())?;
    let message = vec![b'x'; MIB];
    let mut answer = vec![0; MIB];
    let per_round = meter.per_try(|| -> io::Result<()> {
        mapping.copy_in(&message);
        peer.exchange(&[1], &mut [0])?;
        mapping.copy_out(&mut answer);
        black_box(&answer);
        Ok(())
    })?;
    Ok(per_round / THERE_AND_BACK)
}

fn shared_atomic_add(meter: &Meter) -> Measured {
    let memory = memory()?;
    let mapping = Mapping::new(memory.as_fd(), MIB)?;
    meter.per_call(|| {
        black_box(mapping.counter()).fetch_add(1, Ordering::Relaxed);
    })
}
