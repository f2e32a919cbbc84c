//! The idioms of CPython's engines.

use super::names::Names;
use super::{Idiom, indented};
use crate::candidate::{Engine, StartMethod};
use crate::workload::Load;

mod named;

/// Code in its parts, in the order of the text.
#[derive(Default)]
struct Parts {
    /// Modules of the standard library, or of the engine.
    imports: Vec<&'static str>,
    /// Functions that the engine's idiom needs.
    definitions: String,
    /// The statements that give `results`.
    body: String,
    /// Whether worker processes import this file again.
    is_imported_again: bool,
}

pub(super) fn code(idiom: &Idiom<'_>) -> String {
    let names = Names::of(idiom);
    let mut parts = parts(idiom, &names);
    if names.definitions.iter().any(|text| text.contains("threading.")) && !parts.imports.contains(&"import threading")
    {
        parts.imports.push("import threading");
    }
    parts.imports.sort_unstable_by_key(|line| (line.starts_with("from "), *line));
    let mut blocks = Vec::new();
    if !parts.imports.is_empty() {
        blocks.push(parts.imports.join("\n") + "\n");
    }
    let own = names.imports.lines(&format!("{}{}{}", names.definitions.concat(), parts.definitions, parts.body));
    if !own.is_empty() {
        blocks.push(own.join("\n") + "\n");
    }
    let mut text = environment(idiom) + &blocks.join("\n");
    for definition in names.definitions.iter().chain(Some(&parts.definitions).filter(|text| !text.is_empty())) {
        let gap = if definition.starts_with("items") { "\n" } else { "\n\n" };
        text += if text.is_empty() { "" } else { gap };
        text += definition;
    }
    let has_definitions = !text.is_empty() && text.contains("def ");
    if !text.is_empty() {
        text += if has_definitions { "\n\n" } else { "\n" };
    }
    if parts.is_imported_again {
        text + "if __name__ == \"__main__\":\n" + &indented(&parts.body)
    } else {
        text + &parts.body
    }
}

/// What is set before anything is imported.
fn environment(idiom: &Idiom<'_>) -> String {
    let is_patched = idiom.candidate.engine == Engine::Gevent;
    let patched = if is_patched { "from gevent import monkey\n\nmonkey.patch_all()\n\n" } else { "" }.to_owned();
    let Some(threads) = idiom.candidate.library_threads.filter(|_| !idiom.variables.is_empty()) else {
        return patched;
    };
    let line = |name: &String| format!("os.environ[\"{name}\"] = \"{threads}\"\n");
    patched
        + &format!(
            "import os\n\n# Libraries read it while they are imported.\n{}\n",
            idiom.variables.iter().map(line).collect::<String>()
        )
}

fn parts(idiom: &Idiom<'_>, names: &Names) -> Parts {
    let sizes = idiom.candidate.sizes;
    let (workers, in_flight) = (sizes.workers.unwrap_or(1), sizes.in_flight.unwrap_or(1));
    match idiom.candidate.engine {
        Engine::ThreadPoolExecutor => thread_pool(idiom, names, workers),
        Engine::Thread => thread_per_task(names, in_flight),
        Engine::Asyncio | Engine::Uvloop | Engine::TaskGroup => tasks(idiom.candidate.engine, names, in_flight),
        Engine::ThreadedAsyncio => threaded(names, workers.min(in_flight), in_flight),
        Engine::ShardedAsyncio => sharded(idiom, names, workers.min(in_flight), in_flight),
        Engine::ProcessPoolExecutor => process_executor(idiom, names, workers),
        Engine::MultiprocessingPool => multiprocessing_pool(idiom, names, workers),
        Engine::Process => process_per_task(idiom, names, in_flight),
        Engine::InterpreterPoolExecutor => interpreters(idiom, names, workers),
        Engine::AsyncioThreads => mixed(names, in_flight, &threads_of(names, workers), &[THREADS], false),
        Engine::AsyncioProcesses => {
            let context = context(idiom);
            let pool = process_pool(names, workers, context.as_deref());
            mixed(names, in_flight, &pool, &imports_of_pool(context.as_ref()), true)
        }
        Engine::PoolOfThreads => named::pool_of_threads(names, workers),
        Engine::JoblibThreading => named::joblib_threads(names, workers),
        Engine::JoblibLoky | Engine::JoblibAuto => named::joblib_processes(idiom, names, workers),
        Engine::Loky => named::loky(idiom, names, workers),
        Engine::Trio => named::trio(names, in_flight),
        Engine::Gevent => named::gevent(names, in_flight),
        Engine::Own(own) => named::own_executor(own, names, workers),
        Engine::Anyio => named::anyio(names, workers, in_flight),
        Engine::Dask => named::dask(idiom, names, in_flight),
        // Those of the native runtime are not CPython's.
        _ => sequential(names),
    }
}

const THREADS: &str = "from concurrent.futures import ThreadPoolExecutor";
const PROCESSES: &str = "from concurrent.futures import ProcessPoolExecutor";

/// Set-up and teardown of this process around some code, where there are such.
fn set_up(names: &Names, code: String) -> String {
    let start = names.start.as_ref().map(|start| format!("{start}()\n")).unwrap_or_default();
    let end = names.end.as_ref().map(|end| format!("{end}\n")).unwrap_or_default();
    start + &code + &end
}

fn sequential(names: &Names) -> Parts {
    let thread = names.start_thread.as_ref().map(|start| format!("{start}()\n")).unwrap_or_default();
    let Names { call, items, .. } = names;
    let body = set_up(names, format!("{thread}results = [{call}(item) for item in {items}]\n"));
    Parts { body, ..Parts::default() }
}

fn threads_of(names: &Names, workers: u32) -> String {
    let initializer = initializer(names.start_thread.as_ref());
    format!("ThreadPoolExecutor(max_workers={workers}{initializer})")
}

/// How many calls `map` submits ahead, where it can be told, and there are so many that they are not submitted at once: so
/// the agent has it (`maps_lazily`), with a backlog of so many calls for each worker.
fn buffer(idiom: &Idiom<'_>, workers: u32, calls_per_worker: u32) -> String {
    let is_endless = matches!(idiom.workload.load, Load::Closed { .. }) && idiom.workload.rate.is_none();
    // Runtimes are named by their versions.
    let minor = idiom.candidate.runtime.strip_prefix("python3.").unwrap_or_default();
    let digits = minor.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(minor.len());
    let has_it = minor[..digits].parse::<u32>().is_ok_and(|minor| minor >= 14);
    if is_endless && has_it { format!(", buffersize={}", calls_per_worker * workers) } else { String::new() }
}

fn thread_pool(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let Names { call, items, .. } = names;
    let (pool, buffer) = (threads_of(names, workers), buffer(idiom, workers, 3));
    let body = format!("with {pool} as pool:\n    results = list(pool.map({call}, {items}{buffer}))\n");
    let body = set_up(names, body);
    Parts { imports: vec![THREADS], body, ..Parts::default() }
}

fn thread_per_task(names: &Names, in_flight: u32) -> Parts {
    let Names { call, items, .. } = names;
    let start = names.start_thread.as_ref().map(|start| format!("        {start}()\n")).unwrap_or_default();
    let definitions = format!(
        "results = {{}}\nfree = threading.Semaphore({in_flight})\n\n\ndef run(index, item):\n    try:\n{start}        results[index] = {call}(item)\n    finally:\n        free.release()\n"
    );
    let body = format!(
        "threads = []\nfor index, item in enumerate({items}):\n    free.acquire()\n    thread = threading.Thread(target=run, args=(index, item))\n    thread.start()\n    threads.append(thread)\nfor thread in threads:\n    thread.join()\nresults = [results[index] for index in range(len(threads))]\n"
    );
    Parts { imports: vec!["import threading"], definitions, body: set_up(names, body), ..Parts::default() }
}

/// How one call on a loop is awaited; a blocking function stops the loop for as long as it takes.
fn awaited(names: &Names) -> String {
    match &names.async_call {
        Some(call) => format!("await {call}(item)"),
        None => format!("{}(item)", names.call),
    }
}

fn tasks(engine: Engine, names: &Names, in_flight: u32) -> Parts {
    let items = &names.items;
    let start = names.start_loop.as_ref().map(|start| indented(start)).unwrap_or_default();
    let thread = names.start_thread.as_ref().map(|start| format!("    {start}()\n")).unwrap_or_default();
    let bounded = format!(
        "{thread}{start}    free = asyncio.Semaphore({in_flight})\n\n    async def bounded(item):\n        async with free:\n            return {}\n\n",
        awaited(names)
    );
    let gathered = if engine == Engine::TaskGroup {
        format!(
            "    async with asyncio.TaskGroup() as group:\n        tasks = [group.create_task(bounded(item)) for item in {items}]\n    return [task.result() for task in tasks]\n"
        )
    } else {
        format!("    return await asyncio.gather(*(bounded(item) for item in {items}))\n")
    };
    let definitions = format!("async def main():\n{bounded}{gathered}");
    let (imports, run) = if engine == Engine::Uvloop {
        (vec!["import asyncio", "import uvloop"], "uvloop.run(main())")
    } else {
        (vec!["import asyncio"], "asyncio.run(main())")
    };
    Parts { imports, definitions, body: set_up(names, format!("results = {run}\n")), ..Parts::default() }
}

/// What each worker, or thread, of a pool begins with: its last argument, if there is such.
fn initializer(start: Option<&String>) -> String {
    start.map(|start| format!(", initializer={start}")).unwrap_or_default()
}

/// The way to begin processes, where the code must say it.
fn method(idiom: &Idiom<'_>) -> Option<StartMethod> {
    idiom.candidate.start_method.filter(|method| idiom.default_method.is_none_or(|default| default != *method))
}

/// The context that begins processes in another way than by default.
fn context(idiom: &Idiom<'_>) -> Option<String> {
    method(idiom).map(|method| format!("multiprocessing.get_context(\"{method}\")"))
}

/// Whether workers import the user's file again: its pool must then not start in them.
fn is_imported_again(idiom: &Idiom<'_>) -> bool {
    idiom.candidate.start_method.is_some_and(|method| method != StartMethod::Fork)
}

/// The expression of a process pool whose processes begin in this context.
fn process_pool(names: &Names, workers: u32, context: Option<&str>) -> String {
    let context = context.map(|context| format!(", mp_context={context}")).unwrap_or_default();
    let initializer = initializer(names.start_worker.as_ref());
    format!("ProcessPoolExecutor(max_workers={workers}{context}{initializer})")
}

/// What such a pool imports.
fn imports_of_pool(context: Option<&String>) -> Vec<&'static str> {
    let of_context = context.map(|_| "import multiprocessing");
    [PROCESSES].into_iter().chain(of_context).collect()
}

fn process_executor(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let context = context(idiom);
    let imports = imports_of_pool(context.as_ref());
    // By a name, since the line would be long.
    let pool = process_pool(names, workers, context.as_ref().map(|_| "context"));
    let context = context.map(|context| format!("context = {context}\n")).unwrap_or_default();
    let Names { call, items, .. } = names;
    let chunk = idiom.candidate.sizes.chunk.filter(|chunk| *chunk > 1);
    let chunk = chunk.map(|chunk| format!(", chunksize={chunk}")).unwrap_or_default();
    let buffer = buffer(idiom, workers, 2);
    let body = format!("{context}with {pool} as pool:\n    results = list(pool.map({call}, {items}{chunk}{buffer}))\n");
    Parts { imports, body, is_imported_again: is_imported_again(idiom), ..Parts::default() }
}

fn multiprocessing_pool(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let Names { call, items, .. } = names;
    let initializer = initializer(names.start_worker.as_ref());
    let context = context(idiom).unwrap_or_else(|| "multiprocessing".to_owned());
    let chunk = idiom.candidate.sizes.chunk.unwrap_or(1);
    let body = format!(
        "with {context}.Pool({workers}{initializer}) as pool:\n    results = pool.map({call}, {items}, chunksize={chunk})\n"
    );
    let is_imported_again = is_imported_again(idiom);
    Parts { imports: vec!["import multiprocessing"], body, is_imported_again, ..Parts::default() }
}

/// What several loops each run: their part of the items, and of what is in flight. `most` is that where it is not the same
/// for all.
fn of_one_loop(names: &Names, workers: u32, in_flight: u32) -> (String, Option<String>) {
    let start = names.start_loop.as_ref().map(|start| indented(start)).unwrap_or_default();
    let (each, rest) = (in_flight / workers.max(1), in_flight % workers.max(1));
    // A share that is the same for all is written down where it is needed.
    let (most, given) = if rest == 0 { (each.to_string(), "") } else { ("most".to_owned(), ", most") };
    let definitions = format!(
        "async def main(shard{given}):\n{start}    free = asyncio.Semaphore({most})\n\n    async def bounded(item):\n        async with free:\n            return {}\n\n    return await asyncio.gather(*(bounded(item) for item in shard))\n\n\ndef run(shard{given}):\n    return asyncio.run(main(shard{given}))\n",
        awaited(names)
    );
    (definitions, (rest != 0).then(|| format!("{each} + (number < {rest})")))
}

/// `results` in the order of the items, of those of each part.
fn of_shards(workers: u32) -> String {
    format!(
        "results = [None] * len(items)\nfor number, shard in enumerate(shards):\n    results[number::{workers}] = shard\n"
    )
}

/// Threads with a loop each.
fn threaded(names: &Names, workers: u32, in_flight: u32) -> Parts {
    let items = &names.items;
    let (definitions, most) = of_one_loop(names, workers, in_flight);
    let shards = format!("[items[number::{workers}] for number in range({workers})]");
    let body = match most {
        None => format!("    shards = list(pool.map(run, {shards}))\n"),
        Some(most) => format!(
            "    parts = {shards}\n    shares = [{most} for number in range({workers})]\n    shards = list(pool.map(run, parts, shares))\n"
        ),
    };
    let pool = threads_of(names, workers);
    let body = format!("items = list({items})\nwith {pool} as pool:\n{body}{}", of_shards(workers));
    Parts { imports: vec!["import asyncio", THREADS], definitions, body: set_up(names, body), ..Parts::default() }
}

/// Processes with a loop each: every one has its share of the items, and of what is in flight.
fn sharded(idiom: &Idiom<'_>, names: &Names, workers: u32, in_flight: u32) -> Parts {
    let items = &names.items;
    let (definitions, most) = of_one_loop(names, workers, in_flight);
    let (map, handed) = match most {
        None => ("map", format!("items[number::{workers}]")),
        Some(most) => ("starmap", format!("(items[number::{workers}], {most})")),
    };
    let initializer = initializer(names.start_worker.as_ref());
    let context = context(idiom).unwrap_or_else(|| "multiprocessing".to_owned());
    let body = format!(
        "items = list({items})\nwith {context}.Pool({workers}{initializer}) as pool:\n    shards = pool.{map}(run, [{handed} for number in range({workers})], chunksize=1)\n{}",
        of_shards(workers)
    );
    let imports = vec!["import asyncio", "import multiprocessing"];
    Parts { imports, definitions, body, is_imported_again: is_imported_again(idiom) }
}

fn process_per_task(idiom: &Idiom<'_>, names: &Names, in_flight: u32) -> Parts {
    let Names { call, items, .. } = names;
    let context = method(idiom).map(|method| format!("\"{method}\"")).unwrap_or_default();
    let starts: String =
        [&names.start, &names.start_thread].into_iter().flatten().map(|start| format!("    {start}()\n")).collect();
    let definitions = format!("def run(index, item, done):\n{starts}    done.put((index, {call}(item)))\n");
    let body = format!(
        "context = multiprocessing.get_context({context})\ndone = context.Queue()\nresults, processes = {{}}, {{}}\n\n\ndef take():\n    index, result = done.get()\n    results[index] = result\n    processes.pop(index).join()\n\n\nfor index, item in enumerate({items}):\n    if len(processes) == {in_flight}:\n        take()\n    processes[index] = context.Process(target=run, args=(index, item, done))\n    processes[index].start()\nwhile processes:\n    take()\nresults = [results[index] for index in sorted(results)]\n"
    );
    let is_imported_again = is_imported_again(idiom);
    Parts { imports: vec!["import multiprocessing"], definitions, body, is_imported_again }
}

fn interpreters(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let Names { call, items, .. } = names;
    let initializer = initializer(names.start_worker.as_ref());
    let buffer = buffer(idiom, workers, 2);
    let body = format!(
        "with InterpreterPoolExecutor(max_workers={workers}{initializer}) as pool:\n    results = list(pool.map({call}, {items}{buffer}))\n"
    );
    let imports = vec!["from concurrent.futures import InterpreterPoolExecutor"];
    Parts { imports, body, is_imported_again: true, ..Parts::default() }
}

/// A loop that has the blocking function run in a pool.
fn mixed(names: &Names, in_flight: u32, pool: &str, imports: &[&'static str], has_processes: bool) -> Parts {
    let Names { call, items, .. } = names;
    let definitions = format!(
        "async def main():\n    loop = asyncio.get_running_loop()\n    free = asyncio.Semaphore({in_flight})\n\n    async def bounded(item):\n        async with free:\n            return await loop.run_in_executor(pool, {call}, item)\n\n    with {pool} as pool:\n        return await asyncio.gather(*(bounded(item) for item in {items}))\n"
    );
    let run = "results = asyncio.run(main())\n".to_owned();
    let body = if has_processes { run } else { set_up(names, run) };
    let imports = [&["import asyncio"][..], imports].concat();
    Parts { imports, definitions, body, is_imported_again: has_processes }
}
