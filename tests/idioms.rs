//! The code that an answer shows runs as it stands, and gives what a plain loop gives.

mod common;

use std::path::Path;
use std::process::Command;

use common::pythons;
use conbench::internal::candidate::{Candidate, Engine, RUST, Sizes, StartMethod};
use conbench::internal::idiom::{Idiom, ItemsFound};
use conbench::internal::workload::{self, Workload};

#[rustfmt::skip]
#[allow(clippy::all, clippy::print_stdout, clippy::unwrap_used, unreachable_pub, unused, reason = "it is what users are shown, as they see it")]
#[path = "idioms/native.rs"]
mod native;

const SHOP: &str = r#"
import asyncio, threading

pages = list(range(24))
pairs = [(number, 1) for number in range(24)]
named_pairs = [{"left": number, "right": 1} for number in range(24)]
_own = threading.local()


def parse(page):
    return page * page


def add(left, right):
    return left * left + right - 1


async def fetch(page):
    await asyncio.sleep(0.001)
    return page * page


def connect():
    return 100


def ask(state, page):
    return page * page + state - 100


def ready():
    _own.ready = True


def checked(page):
    assert _own.ready, "set up in this thread"
    return page * page


async def connect_async():
    return 7


async def ask_async(state, page):
    return page * page + state - 7


class Parser:
    def parse(self, page):
        return page * page


parser = Parser()
"#;

/// Workloads of every form that the user's code may have; each gives the squares.
const FORMS: [(&str, &str); 8] = [
    ("plain", "function = \"shop:parse\"\nasync_function = \"shop:fetch\"\nitems = \"shop:pages\""),
    ("star", "function = \"shop:add\"\nstar = true\nitems = \"shop:pairs\""),
    ("mappings", "function = \"shop:add\"\nstar = true\nitems = \"shop:named_pairs\""),
    (
        "state",
        "function = \"shop:ask\"\nasync_function = \"shop:ask_async\"\nsetup = \"shop:connect\"\nasync_setup = \"shop:connect_async\"\npass_state = true\nitems = \"shop:pages\"",
    ),
    ("thread", "function = \"shop:ask\"\nsetup_thread = \"shop:connect\"\npass_state = true\nitems = \"shop:pages\""),
    (
        "both",
        "function = \"shop:ask\"\nsetup = \"shop:ready\"\nsetup_thread = \"shop:connect\"\npass_state = true\nitems = \"shop:pages\"",
    ),
    ("ready", "function = \"shop:checked\"\nsetup_thread = \"shop:ready\"\nitems = \"shop:pages\""),
    ("method", "function = \"shop:parser.parse\"\nitems = [0, 1, 2, 3]"),
];

fn workload(python: &str) -> Workload {
    let text = format!("name = \"shop\"\n[[step]]\nkind = \"python\"\npath = \".\"\n{python}\n");
    workload::parse("shop.toml", &text).expect("a workload")
}

/// How many tasks in flight two workers of an engine have: what cannot be shared equally, and what can where loops share it.
fn in_flight_of(engine: Engine) -> Vec<u32> {
    let shares = [Engine::ShardedAsyncio, Engine::ThreadedAsyncio, Engine::TokioSharded].contains(&engine);
    if shares { vec![3, 4] } else { vec![3] }
}

/// Every engine of CPython with small sizes, under each start method that it may have.
fn candidates(runtime: &str, offers: impl Fn(Engine) -> bool) -> Vec<Candidate> {
    let mut found = Vec::new();
    for engine in Engine::PYTHON.into_iter().filter(|engine| offers(*engine)) {
        for in_flight in in_flight_of(engine) {
            let one = Candidate::new(runtime, engine, engine.axes().sizes(2, in_flight, 4));
            if engine.has_start_method() {
                let under = |method| Candidate { start_method: Some(method), ..one.clone() };
                found.extend(StartMethod::ALL.map(under));
            } else {
                found.push(one);
            }
        }
    }
    found
}

/// What the code's `results` are, in their order.
fn results(python: &Path, directory: &Path, code: &str) -> Vec<u64> {
    let is_guarded = code.contains("__main__");
    let shown = "print(\"results\", *results)\n";
    let program = format!("{code}{}{shown}", if is_guarded { "    " } else { "" });
    std::fs::write(directory.join("program.py"), &program).expect("written");
    let ran = Command::new(python).arg("program.py").current_dir(directory).output().expect("it runs");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("results "));
    let line = line.unwrap_or_else(|| panic!("{program}\n{}", String::from_utf8_lossy(&ran.stderr)));
    line.split(' ').map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn code_of_every_python_engine_gives_what_a_plain_loop_gives() {
    let Some(python) = pythons::newest_of_all() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.py"), SHOP).expect("written");
    let has = |code: &str| {
        let ran = Command::new(&python.executable).args(["-c", code]).output().expect("it runs");
        ran.status.success()
    };
    let has_uvloop = has("import uvloop");
    let has_interpreters = has("from concurrent.futures import InterpreterPoolExecutor");
    let offers = |engine: Engine| match engine {
        Engine::Uvloop => has_uvloop,
        Engine::InterpreterPoolExecutor => has_interpreters,
        // `tests/clusters.rs` and `tests/named_engines.rs` run theirs, where the packages are.
        Engine::Dask => false,
        _ => !engine.is_if_imported(),
    };
    for (form, text) in FORMS {
        let workload = workload(text);
        let expected: Vec<u64> = (0..if form == "method" { 4 } else { 24 }).map(|page: u64| page * page).collect();
        for candidate in candidates(&python.to_string(), offers) {
            // One start method is enough where only the names differ.
            if form != "plain" && matches!(candidate.start_method, Some(StartMethod::Forkserver | StartMethod::Fork)) {
                continue;
            }
            let idiom = Idiom {
                workload: &workload,
                candidate: &candidate,
                default_method: None,
                items: ItemsFound { are_mappings: form == "mappings", ..ItemsFound::default() },
                variables: &[],
                cluster: None,
            };
            let code = idiom.code();
            assert_eq!(results(&python.executable, directory.path(), &code), expected, "{form}, {candidate}:\n{code}");
        }
    }
}

#[test]
fn code_names_sizes_and_the_start_method_only_where_they_matter() {
    let workload = workload(FORMS[0].1);
    let sizes = Sizes { workers: Some(2), chunk: Some(4), ..Sizes::default() };
    let mut candidate = Candidate::new("python3.11", Engine::ProcessPoolExecutor, sizes);
    candidate.start_method = Some(StartMethod::Fork);
    let code = |candidate: &Candidate| {
        Idiom {
            workload: &workload,
            candidate,
            default_method: Some(StartMethod::Fork),
            items: ItemsFound::default(),
            variables: &[],
            cluster: None,
        }
        .code()
    };
    let forked = "from concurrent.futures import ProcessPoolExecutor\n\nfrom shop import pages, parse\n\n\
                  with ProcessPoolExecutor(max_workers=2) as pool:\n    results = list(pool.map(parse, pages, chunksize=4))\n";
    assert_eq!(code(&candidate), forked);
    candidate.start_method = Some(StartMethod::Spawn);
    let spawned = code(&candidate);
    assert!(spawned.contains("context = multiprocessing.get_context(\"spawn\")"), "{spawned}");
    assert!(spawned.contains("if __name__ == \"__main__\":"), "{spawned}");
}

#[test]
fn each_loop_of_several_threads_has_the_state_of_its_own_set_up() {
    let engine = Engine::ThreadedAsyncio;
    let candidate = Candidate::new("python3.13t", engine, engine.axes().sizes(2, 4, 1));
    let workload = workload(FORMS[3].1);
    let (items, cluster) = (ItemsFound::default(), None);
    let code =
        Idiom { workload: &workload, candidate: &candidate, default_method: None, items, variables: &[], cluster }
            .code();
    for line in ["import threading\n", "own = threading.local()\n", "    own.loop_state = await connect_async()\n"] {
        assert!(code.contains(line), "{code}");
    }
    assert!(code.contains("await ask_async(own.loop_state, item)"), "{code}");
}

#[test]
fn code_that_maps_ahead_gives_what_a_plain_loop_gives() {
    let Some(python) = pythons::maps_lazily() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("shop.py"), SHOP).expect("written");
    let workload = workload(FORMS[0].1);
    let expected: Vec<u64> = (0..24).map(|page: u64| page * page).collect();
    for engine in [Engine::ThreadPoolExecutor, Engine::ProcessPoolExecutor, Engine::InterpreterPoolExecutor] {
        let start_method = engine.has_start_method().then_some(StartMethod::Forkserver);
        let candidate = Candidate::new(&python.to_string(), engine, engine.axes().sizes(2, 3, 4));
        let candidate = Candidate { start_method, ..candidate };
        let (items, cluster) = (ItemsFound::default(), None);
        let idiom =
            Idiom { workload: &workload, candidate: &candidate, default_method: None, items, variables: &[], cluster };
        let code = idiom.code();
        assert!(code.contains("buffersize="), "{code}");
        assert_eq!(results(&python.executable, directory.path(), &code), expected, "{engine}:\n{code}");
    }
}

#[test]
fn code_that_maps_submits_as_many_ahead_as_it_was_measured_with() {
    let many = workload(FORMS[0].1);
    let few = Workload { load: workload::Load::Batch { tasks: 24, max_in_flight: 64 }, ..many.clone() };
    let code = |workload: &Workload, runtime: &str, engine: Engine| {
        let candidate = Candidate::new(runtime, engine, engine.axes().sizes(2, 3, 4));
        let (items, cluster) = (ItemsFound::default(), None);
        Idiom { workload, candidate: &candidate, default_method: None, items, variables: &[], cluster }.code()
    };
    let threads = |workload: &Workload, runtime: &str| code(workload, runtime, Engine::ThreadPoolExecutor);
    for runtime in ["python3.14", "python3.14t", "python3.14-2", "python3.15"] {
        assert!(
            threads(&many, runtime).ends_with("results = list(pool.map(parse, pages, buffersize=6))\n"),
            "{runtime}"
        );
    }
    let of_processes = code(&many, "python3.14", Engine::ProcessPoolExecutor);
    assert!(of_processes.contains("pool.map(parse, pages, chunksize=4, buffersize=4)"), "{of_processes}");
    let of_interpreters = code(&many, "python3.14", Engine::InterpreterPoolExecutor);
    assert!(of_interpreters.contains("pool.map(parse, pages, buffersize=4)"), "{of_interpreters}");
    // Loky has none, and a batch is submitted whole.
    let others = [threads(&many, "python3.13"), threads(&many, "pypy3.11"), code(&many, "python3.14", Engine::Loky)];
    for code in others.into_iter().chain([threads(&few, "python3.14")]) {
        assert!(!code.contains("buffersize"), "{code}");
    }
}

#[test]
fn code_that_an_answer_shows_is_short() {
    // The longest form of the user's code.
    let workload = workload(FORMS.iter().find(|(form, _)| *form == "both").expect("a form").1);
    let sizes = Sizes { workers: Some(2), chunk: Some(4), ..Sizes::default() };
    let mut candidate = Candidate::new("python3.11", Engine::ProcessPoolExecutor, sizes);
    candidate.start_method = Some(StartMethod::Spawn);
    let code = |workload: &Workload, candidate: &Candidate| {
        let (items, cluster) = (ItemsFound::default(), None);
        Idiom { workload, candidate, default_method: Some(StartMethod::Fork), items, variables: &[], cluster }.code()
    };
    let of_pool = code(&workload, &candidate);
    assert!(of_pool.lines().count() <= 20, "{of_pool}");
    let native = |engine: Engine| code(&workload, &Candidate::new(RUST, engine, engine.axes().sizes(2, 3, 1)));
    for (engine, most) in [
        (Engine::ThreadPool, 12),
        (Engine::TokioMultiThread, 10),
        (Engine::TokioBlockingPool, 10),
        (Engine::Smol, 8),
        (Engine::TokioSharded, 20),
    ] {
        let code = native(engine);
        assert!(code.lines().count() <= most, "{code}");
    }
}

#[test]
fn code_calls_what_gives_items_where_the_user_does() {
    let mut workload = workload(FORMS[0].1);
    if let [workload::Step::Python(python)] = workload.steps.as_mut_slice() {
        python.items = Some(workload::items("load()").expect("an expression"));
    }
    let candidate = Candidate::new("python3.11", Engine::Sequential, Sizes::default());
    let code = |workload: &Workload, are_called, names: &[String]| {
        Idiom {
            workload,
            candidate: &candidate,
            default_method: None,
            items: ItemsFound { are_called, names, ..ItemsFound::default() },
            variables: &[],
            cluster: None,
        }
        .code()
    };
    let called = "from shop import load, parse\n\nresults = [parse(item) for item in load()]\n";
    assert_eq!(code(&workload, false, &[]), called);
    // What the expression gives may have to be called, too; how that is written is its author's.
    assert_eq!(code(&workload, true, &[]), called);
    let mut name = |text: &str| {
        if let [workload::Step::Python(python)] = workload.steps.as_mut_slice() {
            python.items = Some(workload::items(text).expect("items"));
        }
        workload.clone()
    };
    let named = name("shop:load");
    assert_eq!(code(&named, true, &[]), called);
    assert_eq!(code(&named, false, &[]), called.replace("load()", "load"));
    // Any other expression uses names of the module, which the agent tells.
    let of_names = code(&name("pages[:4] + load(2)"), false, &["load".to_owned(), "pages".to_owned()]);
    let expected = "from shop import load, pages, parse\n\nresults = [parse(item) for item in pages[:4] + load(2)]\n";
    assert_eq!(of_names, expected);
}

#[test]
fn code_sets_what_libraries_read_before_they_are_imported() {
    let workload = workload(FORMS[0].1);
    let sizes = Sizes { workers: Some(2), ..Sizes::default() };
    let candidate =
        Candidate { library_threads: Some(1), ..Candidate::new("python3.11", Engine::ThreadPoolExecutor, sizes) };
    let variables = ["OPENBLAS_NUM_THREADS".to_owned()];
    let code = Idiom {
        workload: &workload,
        candidate: &candidate,
        default_method: None,
        items: ItemsFound::default(),
        variables: &variables,
        cluster: None,
    }
    .code();
    let (set, import) = (code.find("os.environ[\"OPENBLAS_NUM_THREADS\"] = \"1\""), code.find("from shop import"));
    assert!(set.is_some() && set < import, "{code}");
}

/// The skeletons of the native engines as functions that can be called; those of processes as ones that can be compiled.
fn generated() -> String {
    let workload =
        workload::parse("x.toml", "name = \"x\"\n[[step]]\nkind = \"cpu\"\nkernel = \"loop\"\ntime = \"1ms\"\n");
    let workload = workload.expect("a workload");
    let mut text =
        "// Made by `CONBENCH_BLESS=1 cargo test --test idioms`: the code that answers show for native engines.\n"
            .to_owned();
    let sized = |engine: Engine| in_flight_of(engine).into_iter().map(move |in_flight| (engine, in_flight));
    for (engine, in_flight) in Engine::RUST.into_iter().flat_map(sized) {
        let candidate = Candidate::new(RUST, engine, engine.axes().sizes(2, in_flight, 1));
        let code = Idiom {
            workload: &workload,
            candidate: &candidate,
            default_method: None,
            items: ItemsFound::default(),
            variables: &[],
            cluster: None,
        }
        .code();
        let equally = if in_flight == 4 { "_equally" } else { "" };
        let name = engine.name().replace('-', "_") + equally;
        let (signature, task, end) = match engine {
            // A worker returns before there are results.
            _ if name.contains("process") => {
                ("pub fn run(items: Vec<String>, shown: &mut Vec<String>)", "line_task", "shown.extend(results);")
            }
            Engine::TokioCurrentThread
            | Engine::TokioMultiThread
            | Engine::Smol
            | Engine::Compio
            | Engine::TokioSharded => ("pub fn run(items: Vec<u64>) -> Vec<u64>", "async_task", "results"),
            _ => ("pub fn run(items: Vec<u64>) -> Vec<u64>", "task", "results"),
        };
        // Its crate is there on request alone.
        let condition = if engine == Engine::Compio { "#[cfg(feature = \"compio\")]\n" } else { "" };
        text += &format!(
            "\n{condition}pub mod {name} {{\nuse crate::{task} as task;\n\n{signature} {{\n{code}{end}\n}}\n}}\n"
        );
    }
    text
}

fn task(item: u64) -> u64 {
    item * item
}

async fn async_task(item: u64) -> u64 {
    tokio::task::yield_now().await;
    item * item
}

fn line_task(line: &str) -> String {
    line.to_uppercase()
}

#[test]
fn code_of_every_native_engine_compiles_and_gives_what_a_plain_loop_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/idioms/native.rs");
    if std::env::var_os("CONBENCH_BLESS").is_some() {
        std::fs::write(&path, generated()).expect("written");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), generated(), "CONBENCH_BLESS=1 makes it anew");
    let items: Vec<u64> = (0..40).collect();
    let expected: Vec<u64> = items.iter().map(|item| item * item).collect();
    type Run = fn(Vec<u64>) -> Vec<u64>;
    let all: [(&str, Run); 10] = [
        ("sequential", native::sequential::run),
        ("thread-pool", native::thread_pool::run),
        ("thread-per-task", native::thread_per_task::run),
        ("rayon", native::rayon::run),
        ("tokio-current-thread", native::tokio_current_thread::run),
        ("tokio-multi-thread", native::tokio_multi_thread::run),
        ("smol", native::smol::run),
        ("tokio-sharded", native::tokio_sharded::run),
        ("tokio-sharded, equal shares", native::tokio_sharded_equally::run),
        ("tokio-blocking-pool", native::tokio_blocking_pool::run),
    ];
    // What this build has, and this host.
    #[cfg(feature = "compio")]
    let compio: &[(&str, Run)] =
        if compio::runtime::Runtime::new().is_ok() { &[("compio", native::compio::run)] } else { &[] };
    #[cfg(not(feature = "compio"))]
    let compio: &[(&str, Run)] = &[];
    for (name, run) in all.iter().chain(compio) {
        let mut results = run(items.clone());
        // Some give their results as tasks end; whose code keeps the order must keep it.
        if name.starts_with("tokio") || ["thread-pool", "smol", "compio"].contains(name) {
            results.sort_unstable();
        }
        assert_eq!(results, expected, "{name}");
    }
    // `tests/process_idioms.rs` runs those of processes, which start their own program again.
}

#[test]
fn native_code_fits_a_terminal_of_80_columns() {
    // Below six columns of indent.
    let wide: Vec<String> = generated().lines().skip(1).filter(|line| line.len() > 74).map(str::to_owned).collect();
    assert_eq!(wide, Vec::<String>::new());
}
