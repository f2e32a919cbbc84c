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
let (sender, tasks) = crossbeam_channel::bounded(4);
let run = |(index, item)| (index, task(item));
let work = || tasks.iter().map(run).collect::<Vec<_>>();
let mut results: Vec<_> = std::thread::scope(|scope| {
    let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
    for numbered in items.into_iter().enumerate() {
        sender.send(numbered).unwrap();
    }
    drop(sender);
    threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
});
results.sort_by_key(|(index, _)| *index);
let results: Vec<_> = results.into_iter().map(|it| it.1).collect();
results
}
}

pub mod thread_per_task {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
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
// Results come as tasks end.
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |share| scope.spawn(move || run(share));
    let shares = (0..2).map(|n| 1 + usize::from(n < 1));
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
let next = Mutex::new(items.into_iter().enumerate());
let results = Mutex::new(Vec::new());
std::thread::scope(|scope| {
    for _ in 0..2 {
        scope.spawn(|| {
            let program = std::env::current_exe().unwrap();
            let mut worker = Command::new(program)
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = worker.stdin.take().unwrap();
            let output = worker.stdout.take().unwrap();
            let mut lines = BufReader::new(output).lines();
            loop {
                let numbered = next.lock().unwrap().next();
                let Some((index, item)) = numbered else { break };
                writeln!(input, "{item}").unwrap();
                let result = lines.next().unwrap().unwrap();
                results.lock().unwrap().push((index, result));
            }
            drop(input);
            worker.wait().unwrap();
        });
    }
});
let mut results = results.into_inner().unwrap();
results.sort_by_key(|(index, _)| *index);
let results: Vec<_> = results.into_iter().map(|it| it.1).collect();
shown.extend(results);
}
}

pub mod process_per_task {
use crate::line_task as task;

pub fn run(items: Vec<String>, shown: &mut Vec<String>) {
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
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::{process::Command, runtime::Builder, task::JoinSet};

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some("worker") {
    for line in std::io::stdin().lines() {
        println!("{}", task(&line.unwrap()));
    }
    return;
}
let runtime = Builder::new_current_thread().enable_all().build().unwrap();
let mut results = runtime.block_on(async {
    let next = Arc::new(Mutex::new(items.into_iter().enumerate()));
    let mut workers = JoinSet::new();
    for _ in 0..2 {
        let next = next.clone();
        workers.spawn(async move {
            let program = std::env::current_exe().unwrap();
            let mut worker = Command::new(program)
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = worker.stdin.take().unwrap();
            let output = worker.stdout.take().unwrap();
            let mut lines = BufReader::new(output).lines();
            let mut results = Vec::new();
            loop {
                let numbered = next.lock().unwrap().next();
                let Some((index, item)) = numbered else { break };
                let line = format!("{item}\n");
                input.write_all(line.as_bytes()).await.unwrap();
                let result = lines.next_line().await.unwrap().unwrap();
                results.push((index, result));
            }
            drop(input);
            worker.wait().await.unwrap();
            results
        });
    }
    workers.join_all().await.concat()
});
results.sort_by_key(|(index, _)| *index);
let results: Vec<_> = results.into_iter().map(|it| it.1).collect();
shown.extend(results);
}
}
