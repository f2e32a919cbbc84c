//! The idioms of engines that are raced where the user's own code imports what they need.

use serde_json::Value;

use super::super::Idiom;
use super::super::names::Names;
use super::{Parts, awaited, indented, initializer, set_up};
use crate::candidate::{Model, OwnExecutor};

pub(super) fn pool_of_threads(names: &Names, workers: u32) -> Parts {
    let Names { call, items, .. } = names;
    let initializer = initializer(names.start_thread.as_ref());
    let body = set_up(
        names,
        format!(
            "with ThreadPool({workers}{initializer}) as pool:\n    results = pool.map({call}, {items}, chunksize=1)\n"
        ),
    );
    Parts { imports: vec!["from multiprocessing.pool import ThreadPool"], body, ..Parts::default() }
}

/// What threads without an initializer call, which set themselves up when they begin, with what that needs.
fn in_thread(names: &Names) -> (String, String) {
    let Some(start) = &names.start_thread else { return (names.call.clone(), String::new()) };
    let definitions = format!(
        "own = threading.local()\n\n\ndef run(item):\n    if not hasattr(own, \"is_ready\"):\n        {start}()\n        own.is_ready = True\n    return {}(item)\n",
        names.call
    );
    ("run".to_owned(), definitions)
}

/// `import threading` where such definitions need it.
fn threading(definitions: &str) -> Option<&'static str> {
    (!definitions.is_empty()).then_some("import threading")
}

const JOBLIB: &str = "from joblib import Parallel, delayed";

/// What joblib calls, which gives results as they are done, and how it is called: `results` are in the items' order.
fn numbered(call: &str, options: &str, items: &str) -> (String, String) {
    let definition = format!("def numbered(number, item):\n    return number, {call}(item)\n");
    let body = format!(
        "parallel = Parallel(\n    {options},\n    return_as=\"generator_unordered\",\n)\ndone = dict(parallel(delayed(numbered)(*each) for each in enumerate({items})))\nresults = [done[number] for number in sorted(done)]\n"
    );
    (definition, body)
}

pub(super) fn joblib_threads(names: &Names, workers: u32) -> Parts {
    let (call, own) = in_thread(names);
    let (definition, body) = numbered(&call, &format!("n_jobs={workers}, backend=\"threading\""), &names.items);
    let gap = if own.is_empty() { "" } else { "\n\n" };
    let (definitions, body) = (format!("{own}{gap}{definition}"), set_up(names, body));
    let imports = [JOBLIB].into_iter().chain(threading(&definitions)).collect();
    Parts { imports, definitions, body, ..Parts::default() }
}

pub(super) fn joblib_processes(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let initializer = initializer(names.start_worker.as_ref());
    // Without one it takes batches as it finds them best.
    let chunk = idiom.candidate.sizes.chunk;
    let batch = chunk.map(|chunk| format!(", batch_size={chunk}, pre_dispatch={}", 2 * workers * chunk));
    let options = format!("n_jobs={workers}{}{initializer}", batch.unwrap_or_default());
    let (definitions, body) = numbered(&names.call, &options, &names.items);
    Parts { imports: vec![JOBLIB], definitions, body, is_imported_again: true }
}

pub(super) fn loky(idiom: &Idiom<'_>, names: &Names, workers: u32) -> Parts {
    let Names { call, items, .. } = names;
    let initializer = initializer(names.start_worker.as_ref());
    let chunk = idiom.candidate.sizes.chunk.filter(|chunk| *chunk > 1);
    let chunk = chunk.map(|chunk| format!(", chunksize={chunk}")).unwrap_or_default();
    let body = format!(
        "pool = get_reusable_executor(max_workers={workers}{initializer})\nresults = list(pool.map({call}, {items}{chunk}))\n"
    );
    Parts { imports: vec!["from loky import get_reusable_executor"], body, is_imported_again: true, ..Parts::default() }
}

/// The call of worker processes without an initializer, which set themselves up when the first task comes; under a lock
/// where a process runs several tasks at once.
fn in_process(names: &Names, has_threads: bool) -> (String, String) {
    let (Some(start), Some(keeper)) = (&names.start_worker, &names.keeper) else {
        return (names.call.clone(), String::new());
    };
    let once = format!(
        "    if not hasattr({keeper}, \"is_worker_ready\"):\n        {start}()\n        {keeper}.is_worker_ready = True\n"
    );
    let once = if has_threads {
        let lock = format!("    with vars({keeper}).setdefault(\"worker_lock\", threading.Lock()):\n");
        lock + &indented(&once)
    } else {
        once
    };
    let why = "    # A module is the same for all tasks of a worker; this function may come anew with each.\n";
    ("run".to_owned(), format!("def run(item):\n{why}{once}    return {}(item)\n", names.call))
}

/// What every executor can: `submit` and `shutdown`.
pub(super) fn own_executor(own: OwnExecutor, names: &Names, workers: u32) -> Parts {
    let has_processes = own.model == Model::Processes;
    let (call, definitions) = if has_processes { in_process(names, false) } else { in_thread(names) };
    let Names { factory, items, .. } = names;
    let calls = format!(
        "    calls = [pool.submit({call}, item) for item in {items}]\n    results = [call.result() for call in calls]\n"
    );
    let body = if own.is_context {
        format!("with {factory}({workers}) as pool:\n{calls}")
    } else {
        format!("pool = {factory}({workers})\ntry:\n{calls}finally:\n    pool.shutdown()\n")
    };
    let imports = threading(&definitions).filter(|_| !has_processes).into_iter().collect();
    let body = if has_processes { body } else { set_up(names, body) };
    Parts { imports, definitions, body, is_imported_again: has_processes }
}

/// `submit` to a cluster, with a bound on what is in flight, and results released as they come.
pub(super) fn dask(idiom: &Idiom<'_>, names: &Names, in_flight: u32) -> Parts {
    let known = idiom.cluster.map(|on| on.cluster);
    let has_threads = known.is_none_or(|cluster| cluster.workers.iter().any(|worker| worker.threads > 1));
    let (call, mut definitions) = in_process(names, has_threads);
    let items = &names.items;
    let chunk = idiom.candidate.sizes.chunk.unwrap_or(1).max(1);
    let (called, given, each) = if chunk > 1 {
        let gap = if definitions.is_empty() { "" } else { "\n\n" };
        definitions += &format!(
            "{gap}def run_chunk(chunk):\n    return [{call}(item) for item in chunk]\n\n\ndef chunks(items):\n    items = iter(items)\n    while chunk := list(islice(items, {chunk})):\n        yield chunk\n"
        );
        ("run_chunk", format!("chunks({items})"), "for result in results[number]")
    } else {
        (call.as_str(), items.clone(), "")
    };
    let of_number = if each.is_empty() {
        "results[number] for number in sorted(results)".to_owned()
    } else {
        format!("result for number in sorted(results) {each}")
    };
    let local = known.filter(|cluster| cluster.start_ns.is_some());
    let sent = sent(idiom);
    let (imports, opened) = match (local, known) {
        (Some(cluster), _) => (
            "from distributed import Client, LocalCluster, as_completed",
            format!(
                "with LocalCluster(n_workers={}, threads_per_worker=1) as cluster, Client(cluster) as client:\n",
                cluster.workers.len()
            ),
        ),
        (None, Some(cluster)) => (
            "from distributed import Client, as_completed",
            format!("with Client(\"{}\") as client:\n", cluster.address),
        ),
        (None, None) => ("from distributed import Client, as_completed", "with Client() as client:\n".to_owned()),
    };
    let body = format!(
        "{opened}{sent}    waiting = enumerate({given})\n    numbers, results = {{}}, {{}}\n    running = as_completed(with_results=True)\n\n    def submit(room):\n        for number, item in islice(waiting, room):\n            future = client.submit({called}, item, pure=False)\n            numbers[future.key] = number\n            running.add(future)\n\n    submit({})\n    for future, result in running:\n        results[numbers.pop(future.key)] = result\n        future.release()\n        submit(1)\nresults = [{of_number}]\n",
        (in_flight / chunk).max(1)
    );
    let threading = threading(&definitions).filter(|_| definitions.contains("threading."));
    let imports = ["from itertools import islice", imports].into_iter().chain(threading).collect();
    Parts { imports, definitions, body, is_imported_again: true }
}

/// The lines that send a cluster's workers what the user has sent them.
fn sent(idiom: &Idiom<'_>) -> String {
    let files = idiom.cluster.map_or(&[][..], |on| on.upload);
    // JSON's escapes are Python's.
    files.iter().map(|file| format!("    client.upload_file({})\n", Value::from(file.as_str()))).collect()
}

pub(super) fn trio(names: &Names, in_flight: u32) -> Parts {
    let items = &names.items;
    let start = names.start_loop.as_ref().map(|start| indented(start)).unwrap_or_default();
    let thread = names.start_thread.as_ref().map(|start| format!("    {start}()\n")).unwrap_or_default();
    let definitions = format!(
        "async def main():\n{thread}{start}    free = trio.Semaphore({in_flight})\n    results = {{}}\n\n    async def bounded(index, item):\n        async with free:\n            results[index] = {}\n\n    async with trio.open_nursery() as nursery:\n        for index, item in enumerate({items}):\n            nursery.start_soon(bounded, index, item)\n    return [results[index] for index in sorted(results)]\n",
        awaited(names)
    );
    let body = set_up(names, "results = trio.run(main)\n".to_owned());
    Parts { imports: vec!["import trio"], definitions, body, ..Parts::default() }
}

pub(super) fn gevent(names: &Names, in_flight: u32) -> Parts {
    let Names { call, items, .. } = names;
    let body = set_up(names, format!("pool = Pool({in_flight})\nresults = pool.map({call}, {items})\n"));
    Parts { imports: vec!["from gevent.pool import Pool"], body, ..Parts::default() }
}

pub(super) fn anyio(names: &Names, workers: u32, in_flight: u32) -> Parts {
    let (call, own) = in_thread(names);
    let items = &names.items;
    let gap = if own.is_empty() { "" } else { "\n\n" };
    let definitions = format!(
        "{own}{gap}async def main():\n    limiter = anyio.CapacityLimiter({workers})\n    free = asyncio.Semaphore({in_flight})\n\n    async def bounded(item):\n        async with free:\n            return await anyio.to_thread.run_sync({call}, item, limiter=limiter)\n\n    return await asyncio.gather(*(bounded(item) for item in {items}))\n"
    );
    let body = set_up(names, "results = asyncio.run(main())\n".to_owned());
    let imports = ["import anyio", "import asyncio"].into_iter().chain(threading(&own)).collect();
    Parts { imports, definitions, body, ..Parts::default() }
}
