//! The idioms of the native engines. Their code is a skeleton: `task` and `items` are the user's.

use super::Idiom;
use crate::candidate::Engine;

pub(super) fn code(idiom: &Idiom<'_>) -> String {
    let sizes = idiom.candidate.sizes;
    let (workers, in_flight) = (sizes.workers.unwrap_or(1), sizes.in_flight.unwrap_or(1));
    let engine = idiom.candidate.engine;
    let template = match engine {
        Engine::ThreadPool => THREAD_POOL,
        Engine::ThreadPerTask => THREAD_PER_TASK,
        Engine::Rayon => RAYON,
        Engine::TokioCurrentThread | Engine::TokioMultiThread | Engine::TokioBlockingPool => TOKIO,
        Engine::ProcessPool => PROCESS_POOL,
        Engine::ProcessPerTask => PROCESS_PER_TASK,
        Engine::TokioProcessPool => TOKIO_PROCESS_POOL,
        // Those of CPython are not the native runtime's.
        _ => SEQUENTIAL,
    };
    let (builder, spawn) = match engine {
        Engine::TokioCurrentThread => ("new_current_thread()".to_owned(), ASYNC_TASK),
        Engine::TokioBlockingPool => (format!("new_current_thread().max_blocking_threads({workers})"), BLOCKING_TASK),
        _ => (format!("new_multi_thread().worker_threads({workers})"), ASYNC_TASK),
    };
    template
        .replace("BUILDER", &builder)
        .replace("SPAWN", spawn)
        .replace("BACKLOG", &(2 * workers).to_string())
        .replace("WORKERS", &workers.to_string())
        .replace("IN_FLIGHT", &in_flight.to_string())
}

const SEQUENTIAL: &str = "let results: Vec<_> = items.into_iter().map(task).collect();\n";

const THREAD_POOL: &str = "\
let (sender, tasks) = crossbeam_channel::bounded(BACKLOG);
let (done, results) = crossbeam_channel::unbounded();
std::thread::scope(|scope| {
    for _ in 0..WORKERS {
        let (tasks, done) = (tasks.clone(), done.clone());
        scope.spawn(move || {
            for (index, item) in tasks {
                done.send((index, task(item))).expect(\"results are taken\");
            }
        });
    }
    for numbered in items.into_iter().enumerate() {
        sender.send(numbered).expect(\"workers live\");
    }
    drop(sender);
});
drop(done);
let mut results: Vec<_> = results.into_iter().collect();
results.sort_by_key(|(index, _)| *index);
";

const THREAD_PER_TASK: &str = "\
let (taken, free) = crossbeam_channel::bounded(IN_FLIGHT);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item| {
        taken.send(()).expect(\"the channel is open\");
        let free = free.clone();
        scope.spawn(move || {
            let result = task(item);
            free.recv().expect(\"the channel is open\");
            result
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect(\"no task panics\")).collect()
});
";

const RAYON: &str = "\
use rayon::prelude::*;

let pool = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect(\"threads start\");
let results: Vec<_> = pool.install(|| items.into_iter().par_bridge().map(task).collect()); // in any order
";

const TOKIO: &str = "\
let runtime = tokio::runtime::Builder::BUILDER.enable_all().build().expect(\"a runtime\");
let free = std::sync::Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT));
let results: Vec<_> = runtime.block_on(async {
    let mut tasks = tokio::task::JoinSet::new();
    for item in items {
        let permit = free.clone().acquire_owned().await.expect(\"it stays open\");
        SPAWN
    }
    tasks.join_all().await // in any order
});
";

const ASYNC_TASK: &str = "\
tasks.spawn(async move {
            let result = task(item).await;
            drop(permit);
            result
        });";

const BLOCKING_TASK: &str = "\
tasks.spawn_blocking(move || {
            let result = task(item);
            drop(permit);
            result
        });";

const PROCESS_POOL: &str = "\
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some(\"worker\") {
    for line in std::io::stdin().lines() {
        println!(\"{}\", task(&line.expect(\"a line\")));
    }
    return;
}
let next = Mutex::new(items.into_iter().enumerate());
let results = Mutex::new(Vec::new());
std::thread::scope(|scope| {
    for _ in 0..WORKERS {
        scope.spawn(|| {
            let program = std::env::current_exe().expect(\"its path\");
            let mut worker = Command::new(program)
                .arg(\"worker\")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect(\"a worker starts\");
            let mut input = worker.stdin.take().expect(\"a pipe\");
            let mut output = BufReader::new(worker.stdout.take().expect(\"a pipe\")).lines();
            loop {
                let Some((index, item)) = next.lock().expect(\"no panic\").next() else { break };
                writeln!(input, \"{item}\").expect(\"the worker lives\");
                let result = output.next().expect(\"an answer\").expect(\"a line\");
                results.lock().expect(\"no panic\").push((index, result));
            }
            drop(input);
            worker.wait().expect(\"it ends\");
        });
    }
});
";

const PROCESS_PER_TASK: &str = "\
use std::process::Command;

// This program is its own worker: an item as its argument, the result on its standard output.
let mut arguments = std::env::args().skip(1);
if arguments.next().as_deref() == Some(\"worker\") {
    print!(\"{}\", task(&arguments.next().expect(\"an item\")));
    return;
}
let (taken, free) = crossbeam_channel::bounded(IN_FLIGHT);
let results: Vec<_> = std::thread::scope(|scope| {
    let spawn = |item: String| {
        taken.send(()).expect(\"the channel is open\");
        let free = free.clone();
        scope.spawn(move || {
            let program = std::env::current_exe().expect(\"its path\");
            let run = Command::new(program).args([\"worker\", &item]).output().expect(\"a worker runs\");
            free.recv().expect(\"the channel is open\");
            String::from_utf8(run.stdout).expect(\"text\")
        })
    };
    let threads: Vec<_> = items.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect(\"no task panics\")).collect()
});
";

const TOKIO_PROCESS_POOL: &str = "\
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::sync::Mutex;

// This program is its own worker: a line in, a line out.
if std::env::args().nth(1).as_deref() == Some(\"worker\") {
    for line in std::io::stdin().lines() {
        println!(\"{}\", task(&line.expect(\"a line\")));
    }
    return;
}
let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect(\"a runtime\");
let results: Vec<_> = runtime.block_on(async {
    let next = Arc::new(Mutex::new(items.into_iter()));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..WORKERS {
        let next = next.clone();
        workers.spawn(async move {
            let program = std::env::current_exe().expect(\"its path\");
            let mut worker = Command::new(program)
                .arg(\"worker\")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect(\"a worker starts\");
            let mut input = worker.stdin.take().expect(\"a pipe\");
            let mut output = BufReader::new(worker.stdout.take().expect(\"a pipe\")).lines();
            let mut results = Vec::new();
            loop {
                let Some(item) = next.lock().await.next() else { break };
                input.write_all(format!(\"{item}\\n\").as_bytes()).await.expect(\"the worker lives\");
                results.push(output.next_line().await.expect(\"a line\").expect(\"an answer\"));
            }
            drop(input);
            worker.wait().await.expect(\"it ends\");
            results
        });
    }
    workers.join_all().await.concat() // in any order
});
";
