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
let (done, results) = crossbeam_channel::unbounded();
std::thread::scope(|scope| {
    for _ in 0..2 {
        let (tasks, done) = (tasks.clone(), done.clone());
        scope.spawn(move || {
            for (index, item) in tasks {
                done.send((index, task(item))).expect("results are taken");
            }
        });
    }
    for numbered in items.into_iter().enumerate() {
        sender.send(numbered).expect("workers live");
    }
    drop(sender);
});
drop(done);
let mut results: Vec<_> = results.into_iter().collect();
results.sort_by_key(|(index, _)| *index);
results.into_iter().map(|(_, result)| result).collect()
}
}

pub mod thread_per_task {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
let (taken, free) = crossbeam_channel::bounded(3);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item| {
        taken.send(()).expect("the channel is open");
        let free = free.clone();
        scope.spawn(move || {
            let result = task(item);
            free.recv().expect("the channel is open");
            result
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect("no task panics")).collect()
});
results
}
}

pub mod rayon {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
use rayon::prelude::*;

let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads start");
let results: Vec<_> = pool.install(|| items.into_iter().par_bridge().map(task).collect()); // in any order
results
}
}

pub mod tokio_current_thread {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
let free = std::sync::Arc::new(tokio::sync::Semaphore::new(3));
let results: Vec<_> = runtime.block_on(async {
    let mut tasks = tokio::task::JoinSet::new();
    for item in items {
        let permit = free.clone().acquire_owned().await.expect("it stays open");
        tasks.spawn(async move {
            let result = task(item).await;
            drop(permit);
            result
        });
    }
    tasks.join_all().await // in any order
});
results
}
}

pub mod tokio_multi_thread {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
let free = std::sync::Arc::new(tokio::sync::Semaphore::new(3));
let results: Vec<_> = runtime.block_on(async {
    let mut tasks = tokio::task::JoinSet::new();
    for item in items {
        let permit = free.clone().acquire_owned().await.expect("it stays open");
        tasks.spawn(async move {
            let result = task(item).await;
            drop(permit);
            result
        });
    }
    tasks.join_all().await // in any order
});
results
}
}

pub mod tokio_sharded {
use crate::async_task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
// Each thread has a loop of its own, its share of the items, and its share of what is in flight.
let mut shards: Vec<Vec<_>> = (0..2).map(|_| Vec::new()).collect();
for (index, item) in items.into_iter().enumerate() {
    shards[index % 2].push((index, item));
}
let mut results: Vec<_> = std::thread::scope(|scope| {
    let run = |(number, shard)| {
        scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let free = std::sync::Arc::new(tokio::sync::Semaphore::new(1 + usize::from(number < 1)));
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for (index, item) in shard {
                    let permit = free.clone().acquire_owned().await.expect("it stays open");
                    tasks.spawn(async move {
                        let result = task(item).await;
                        drop(permit);
                        (index, result)
                    });
                }
                tasks.join_all().await
            })
        })
    };
    let threads: Vec<_> = shards.into_iter().enumerate().map(run).collect();
    threads.into_iter().flat_map(|thread| thread.join().expect("no task panics")).collect()
});
results.sort_by_key(|(index, _)| *index);
let results: Vec<_> = results.into_iter().map(|(_, result)| result).collect();
results
}
}

pub mod process_pool {
use crate::line_task as task;

pub fn run(items: Vec<String>) {
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some("worker") {
    for line in std::io::stdin().lines() {
        println!("{}", task(&line.expect("a line")));
    }
    return;
}
let next = Mutex::new(items.into_iter().enumerate());
let results = Mutex::new(Vec::new());
std::thread::scope(|scope| {
    for _ in 0..2 {
        scope.spawn(|| {
            let program = std::env::current_exe().expect("its path");
            let mut worker = Command::new(program)
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a worker starts");
            let mut input = worker.stdin.take().expect("a pipe");
            let mut output = BufReader::new(worker.stdout.take().expect("a pipe")).lines();
            loop {
                let Some((index, item)) = next.lock().expect("no panic").next() else { break };
                writeln!(input, "{item}").expect("the worker lives");
                let result = output.next().expect("an answer").expect("a line");
                results.lock().expect("no panic").push((index, result));
            }
            drop(input);
            worker.wait().expect("it ends");
        });
    }
});
drop(results);
}
}

pub mod process_per_task {
use crate::line_task as task;

pub fn run(items: Vec<String>) {
use std::process::Command;

// This program is its own worker: an item as its argument, the result on its standard output.
let mut arguments = std::env::args().skip(1);
if arguments.next().as_deref() == Some("worker") {
    print!("{}", task(&arguments.next().expect("an item")));
    return;
}
let (taken, free) = crossbeam_channel::bounded(3);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item: String| {
        taken.send(()).expect("the channel is open");
        let free = free.clone();
        scope.spawn(move || {
            let program = std::env::current_exe().expect("its path");
            let run = Command::new(program).args(["worker", &item]).output().expect("a worker runs");
            free.recv().expect("the channel is open");
            String::from_utf8(run.stdout).expect("text")
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect("no task panics")).collect()
});
drop(results);
}
}

pub mod tokio_blocking_pool {
use crate::task as task;

pub fn run(items: Vec<u64>) -> Vec<u64> {
let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(2).enable_all().build().expect("a runtime");
let free = std::sync::Arc::new(tokio::sync::Semaphore::new(3));
let results: Vec<_> = runtime.block_on(async {
    let mut tasks = tokio::task::JoinSet::new();
    for item in items {
        let permit = free.clone().acquire_owned().await.expect("it stays open");
        tasks.spawn_blocking(move || {
            let result = task(item);
            drop(permit);
            result
        });
    }
    tasks.join_all().await // in any order
});
results
}
}

pub mod tokio_process_pool {
use crate::line_task as task;

pub fn run(items: Vec<String>) {
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some("worker") {
    for line in std::io::stdin().lines() {
        println!("{}", task(&line.expect("a line")));
    }
    return;
}
let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
let results: Vec<_> = runtime.block_on(async {
    let next = Arc::new(Mutex::new(items.into_iter()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let next = next.clone();
        workers.spawn(async move {
            let program = std::env::current_exe().expect("its path");
            let mut worker = Command::new(program)
                .arg("worker")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("a worker starts");
            let mut input = worker.stdin.take().expect("a pipe");
            let mut output = BufReader::new(worker.stdout.take().expect("a pipe")).lines();
            let mut results = Vec::new();
            loop {
                let Some(item) = next.lock().await.next() else { break };
                input.write_all(format!("{item}\n").as_bytes()).await.expect("the worker lives");
                results.push(output.next_line().await.expect("a line").expect("an answer"));
            }
            drop(input);
            worker.wait().await.expect("it ends");
            results
        });
    }
    workers.join_all().await.concat() // in any order
});
drop(results);
}
}
