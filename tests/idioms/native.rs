// Made by `CONBENCH_BLESS=1 cargo test --test idioms`: the code that answers show for native engines.

pub mod sequential {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
let results: Vec<_> = items.into_iter().map(task).collect();
results
}
}

pub mod thread_pool {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add crossbeam-channel
let (sender, tasks) = crossbeam_channel::bounded(4);
// Results are in no order; number the items where it matters.
let results: Vec<_> = std::thread::scope(|scope| {
    let start = |tasks: crossbeam_channel::Receiver<_>| {
        scope.spawn(move || tasks.iter().map(task).collect::<Vec<_>>())
    };
    let all: Vec<_> = std::iter::repeat_n(tasks, 2).map(start).collect();
    items.into_iter().for_each(|item| sender.send(item).unwrap());
    drop(sender);
    all.into_iter().flat_map(|it| it.join().unwrap()).collect()
});
results
}
}

pub mod thread_per_task {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add crossbeam-channel
let (taken, free) = crossbeam_channel::bounded(3);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item| {
        taken.send(()).unwrap();
        let free = free.clone();
        scope.spawn(move || {
            let result = task(item);
            free.recv().unwrap();
            result
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|it| it.join().unwrap()).collect()
});
results
}
}

pub mod rayon {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add rayon
use rayon::prelude::*;

let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
let run = || items.into_par_iter().map(task).collect();
let results: Vec<_> = pool.unwrap().install(run);
results
}
}

pub mod tokio_current_thread {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures tokio -F tokio/full
use futures::stream::{self, StreamExt};

let mut builder = tokio::runtime::Builder::new_current_thread();
let runtime = builder.enable_all().build();
let spawn = |item| tokio::spawn(task(item));
// Results come as tasks end; `buffered` keeps the order of the items.
let tasks = stream::iter(items).map(spawn).buffer_unordered(3);
let results = tasks.map(Result::unwrap).collect();
let results: Vec<_> = runtime.unwrap().block_on(results);
results
}
}

pub mod tokio_multi_thread {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures tokio -F tokio/full
use futures::stream::{self, StreamExt};

let mut builder = tokio::runtime::Builder::new_multi_thread();
let runtime = builder.worker_threads(2).enable_all().build();
let spawn = |item| tokio::spawn(task(item));
// Results come as tasks end; `buffered` keeps the order of the items.
let tasks = stream::iter(items).map(spawn).buffer_unordered(3);
let results = tasks.map(Result::unwrap).collect();
let results: Vec<_> = runtime.unwrap().block_on(results);
results
}
}

pub mod smol {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures smol
use futures::stream::{self, StreamExt};

let executor = smol::LocalExecutor::new();
let tasks = stream::iter(items).map(|item| executor.spawn(task(item)));
// Results come as tasks end; `buffered` keeps the order of the items.
let results = tasks.buffer_unordered(3).collect();
let results: Vec<_> = smol::block_on(executor.run(results));
results
}
}

#[cfg(feature = "compio")]
pub mod compio {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add compio futures
use compio::runtime::{Runtime, spawn};
use futures::stream::{self, StreamExt};

let tasks = stream::iter(items).map(|item| spawn(task(item)));
// Results come as tasks end; `buffered` keeps the order of the items.
let results = tasks.buffer_unordered(3).map(Result::unwrap);
let results: Vec<_> = Runtime::new().unwrap().block_on(results.collect());
results
}
}

pub mod tokio_sharded {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures tokio -F tokio/full
use futures::stream::{self, StreamExt};
use tokio::runtime::Builder;

let next = std::sync::Mutex::new(items.into_iter());
// Each thread has a loop of its own, with its share of what is in flight.
let run = |share: usize| {
    let items = std::iter::from_fn(|| next.lock().unwrap().next());
    let tasks = stream::iter(items).map(|item| tokio::spawn(task(item)));
    let results = tasks.buffer_unordered(share).map(Result::unwrap);
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(results.collect::<Vec<_>>())
};
// Results are in no order; number the items where it matters.
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |share| scope.spawn(move || run(share));
    let shares = (0..2).map(|n| 1 + usize::from(n < 1));
    let threads: Vec<_> = shares.map(spawn).collect();
    threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
});
results
}
}

pub mod tokio_sharded_equally {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures tokio -F tokio/full
use futures::stream::{self, StreamExt};
use tokio::runtime::Builder;

let next = std::sync::Mutex::new(items.into_iter());
// Each thread has a loop of its own, with its share of what is in flight.
let run = |share: usize| {
    let items = std::iter::from_fn(|| next.lock().unwrap().next());
    let tasks = stream::iter(items).map(|item| tokio::spawn(task(item)));
    let results = tasks.buffer_unordered(share).map(Result::unwrap);
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(results.collect::<Vec<_>>())
};
// Results are in no order; number the items where it matters.
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |share| scope.spawn(move || run(share));
    let shares = [2; 2].into_iter();
    let threads: Vec<_> = shares.map(spawn).collect();
    threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
});
results
}
}

pub mod process_pool {
use crate::line_task as task;

pub fn run(items: Vec<String>, shown: &mut Vec<String>) {
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some("worker") {
    for line in std::io::stdin().lines() {
        println!("{}", task(&line.unwrap()));
    }
    return;
}
let next = Mutex::new(items.into_iter());
let work = || {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut results = Vec::new();
    loop {
        let Some(item) = next.lock().unwrap().next() else { break };
        writeln!(input, "{item}").unwrap();
        results.push(lines.next().unwrap().unwrap());
    }
    drop(input);
    worker.wait().unwrap();
    results
};
// Results are in no order; number the items where it matters.
let results: Vec<_> = std::thread::scope(|scope| {
    let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
    threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
});
shown.extend(results);
}
}

pub mod process_per_task {
use crate::line_task as task;

pub fn run(items: Vec<String>, shown: &mut Vec<String>) {
// cargo add crossbeam-channel
use std::process::Command;

// This program is its own worker: an item as its argument, the result on
// its standard output.
let mut arguments = std::env::args().skip(1);
if arguments.next().as_deref() == Some("worker") {
    print!("{}", task(&arguments.next().unwrap()));
    return;
}
let (taken, free) = crossbeam_channel::bounded(3);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item: String| {
        taken.send(()).unwrap();
        let free = free.clone();
        scope.spawn(move || {
            let program = std::env::current_exe().unwrap();
            let mut worker = Command::new(program);
            let run = worker.args(["worker", &item]).output();
            free.recv().unwrap();
            String::from_utf8(run.unwrap().stdout).unwrap()
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|it| it.join().unwrap()).collect()
});
shown.extend(results);
}
}

pub mod tokio_blocking_pool {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// cargo add futures tokio -F tokio/full
use futures::stream::{self, StreamExt};

let mut builder = tokio::runtime::Builder::new_current_thread();
let runtime = builder.max_blocking_threads(2).enable_all().build();
let spawn = |item| tokio::task::spawn_blocking(move || task(item));
// Results come as tasks end; `buffered` keeps the order of the items.
let tasks = stream::iter(items).map(spawn).buffer_unordered(3);
let results = tasks.map(Result::unwrap).collect();
let results: Vec<_> = runtime.unwrap().block_on(results);
results
}
}

pub mod tokio_process_pool {
use crate::line_task as task;

pub fn run(items: Vec<String>, shown: &mut Vec<String>) {
// cargo add futures tokio -F tokio/full
use futures::future::join_all;
use std::{cell::RefCell, process::Stdio};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::{process::Command, runtime::Builder};

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some("worker") {
    for line in std::io::stdin().lines() {
        println!("{}", task(&line.unwrap()));
    }
    return;
}
let next = RefCell::new(items.into_iter());
let work = |_| async {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = worker.stdin.take().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut results = Vec::new();
    loop {
        let Some(item) = next.borrow_mut().next() else { break };
        input.write_all(format!("{item}\n").as_bytes()).await.unwrap();
        results.push(lines.next_line().await.unwrap().unwrap());
    }
    drop(input);
    worker.wait().await.unwrap();
    results
};
let runtime = Builder::new_current_thread().enable_all().build();
// Results are in no order; number the items where it matters.
let all = runtime.unwrap().block_on(join_all((0..2).map(work)));
let results: Vec<_> = all.into_iter().flatten().collect();
shown.extend(results);
}
}
