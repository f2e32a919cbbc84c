//! `conbench list`: what there is to choose from.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets};

use crate::candidate::{Engine, RUST};
use crate::python;
use crate::workload::{self, Kernel, Presence, Shape, shipped};

/// What `list` is told.
#[derive(clap::Args, Clone, Debug)]
pub struct ListArgs {
    /// What to list; everything, if nothing is named
    #[arg(value_enum, value_name = "WHAT")]
    pub what: Vec<What>,
}

/// A list.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The workloads that the binary carries
    Workloads,
    /// The engines, with the model that each implements
    Engines,
    /// The kernels of computation
    Kernels,
    /// The kinds of step, with their fields
    Steps,
    /// The fields of a workload file outside its steps
    Fields,
}

impl What {
    const ALL: [What; 5] = [What::Workloads, What::Engines, What::Kernels, What::Steps, What::Fields];

    fn title(self) -> &'static str {
        match self {
            What::Workloads => "Workloads",
            What::Engines => "Engines",
            What::Kernels => "Kernels",
            What::Steps => "Steps",
            What::Fields => "Fields of a workload file",
        }
    }

    fn table(self) -> Table {
        match self {
            What::Workloads => workloads(),
            What::Engines => engines(),
            What::Kernels => kernels(),
            What::Steps => steps(),
            What::Fields => fields(),
        }
    }
}

/// Writes the lists to `out`. Gives 0.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(args: &ListArgs, out: &mut dyn Write, _err: &mut dyn Write, _colour: bool) -> io::Result<u8> {
    let wanted = |what: &What| args.what.is_empty() || args.what.contains(what);
    for (index, what) in What::ALL.into_iter().filter(wanted).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}\n{}", what.title(), what.table().trim_fmt())?;
    }
    Ok(0)
}

fn workloads() -> Table {
    let mut table = new(&["name", "use case", "what a task does"]);
    for shipped in shipped::ALL {
        // It always can: a test reads every shipped workload.
        if let Ok(workload) = shipped.parse() {
            table.add_row([shipped.name, &workload.use_case, &workload.description]);
        }
    }
    table
}

fn engines() -> Table {
    let mut table = new(&["runtime", "engine", "model", "sizes", "how it runs tasks"]);
    let runtimes = [(RUST, Engine::RUST.as_slice()), (python::LANGUAGE, Engine::PYTHON.as_slice())];
    for (runtime, engine) in runtimes.iter().flat_map(|(runtime, all)| all.iter().map(move |engine| (runtime, engine)))
    {
        let axes = engine.axes();
        let sizes = [
            (axes.workers, "workers"),
            (axes.in_flight, "in flight"),
            (axes.chunk, "chunk"),
            (engine.has_start_method(), "start method"),
        ];
        let sizes: Vec<&str> = sizes.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect();
        table.add_row([runtime, engine.name(), engine.model().name(), &sizes.join(", "), idiom(*engine)]);
    }
    table
}

/// What its users would write.
const fn idiom(engine: Engine) -> &'static str {
    match engine {
        Engine::Sequential => "a loop on the main thread",
        Engine::ThreadPool => "threads that take tasks from one bounded channel",
        Engine::ThreadPerTask => "a thread spawned and joined for each task",
        Engine::Rayon => "a rayon pool that runs a parallel iterator",
        Engine::TokioCurrentThread => "one event loop on one thread",
        Engine::TokioMultiThread => "tokio's work-stealing runtime",
        Engine::Smol => "one event loop on one thread, by smol; on request only",
        Engine::Compio => "one event loop on io_uring, by compio; on request only",
        Engine::TokioSharded => "threads with a current-thread tokio runtime each",
        Engine::ProcessPool => "worker processes over Unix sockets",
        Engine::ProcessPerTask => "a process spawned and reaped for each task",
        Engine::TokioBlockingPool => "one event loop, blocking steps under spawn_blocking",
        Engine::TokioProcessPool => "one event loop, blocking steps in worker processes",
        Engine::ThreadPoolExecutor => "submit; map for a batch",
        Engine::ProcessPoolExecutor => "submit, chunks as map makes them; map for a batch",
        Engine::Thread => "threading.Thread: start and join for each task",
        Engine::Asyncio => "create_task; gather for a batch",
        Engine::TaskGroup => "asyncio.TaskGroup (3.11 and later); on request only",
        Engine::Uvloop => "as asyncio, on uvloop where it is installed",
        Engine::ThreadedAsyncio => "threads with an asyncio loop each, without a GIL",
        Engine::ShardedAsyncio => "processes with an asyncio loop each",
        Engine::MultiprocessingPool => "map",
        Engine::Process => "multiprocessing.Process for each task, a Queue for results",
        Engine::InterpreterPoolExecutor => "submit; map for a batch (3.14 and later)",
        Engine::AsyncioThreads => "run_in_executor on threads for blocking steps",
        Engine::AsyncioProcesses => "run_in_executor on processes for blocking steps",
        Engine::PoolOfThreads => "apply_async; map for a batch; where your code imports it",
        Engine::JoblibThreading => "joblib.Parallel on threads; where your code imports joblib",
        Engine::Trio => "start_soon in a nursery; where your code imports trio",
        Engine::Gevent => "greenlets of a gevent.pool.Pool; where your code imports gevent",
        Engine::Loky => "as ProcessPoolExecutor, by loky; where your code imports loky",
        Engine::JoblibAuto => "the same with batch_size=\"auto\"; where your code imports joblib",
        Engine::JoblibLoky => "joblib.Parallel on processes; where your code imports joblib",
        Engine::Dask => "submit to a Dask cluster, as_completed; where --cluster names one",
        Engine::Own(_) => "submit to what your factory builds",
        Engine::Anyio => "to_thread.run_sync for blocking steps; where your code imports anyio",
    }
}

fn kernels() -> Table {
    let mut table = new(&["kernel", "what it computes", "input where a time is given"]);
    for kernel in Kernel::ALL {
        let input = format!("{}B", kernel.default_input_bytes());
        table.add_row([kernel.name(), kernel.summary(), &input]);
    }
    table
}

fn steps() -> Table {
    let mut table = new(&["kind", "field", "default", "meaning"]);
    for step in &workload::STEPS {
        add_fields(&mut table, step.name, step);
    }
    table
}

fn fields() -> Table {
    let mut table = new(&["table", "field", "default", "meaning"]);
    add_tables(&mut table, "", &workload::WORKLOAD);
    table
}

/// Adds the fields of a table, then those of the tables inside it.
fn add_tables(table: &mut Table, path: &str, spec: &workload::Table) {
    add_fields(table, &if path.is_empty() { "(top)".to_owned() } else { format!("[{path}]") }, spec);
    for field in spec.fields {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        match field.shape {
            Shape::Table(inner) => add_tables(table, &path, inner),
            Shape::Tables { table: inner, .. } => add_fields(table, &format!("[[{path}]]"), inner),
            _ => {}
        }
    }
}

/// Adds a row for the table itself, and one for each of its fields that holds no table.
fn add_fields(table: &mut Table, name: &str, spec: &workload::Table) {
    table.add_row([name, "", "", spec.doc]);
    for field in spec.fields.iter().filter(|field| !matches!(field.shape, Shape::Table(_) | Shape::Tables { .. })) {
        let default = match field.presence {
            Presence::Required => "(required)",
            Presence::Optional(text) | Presence::Default(text) => text,
        };
        let meaning = format!("{}: {}", field.doc.trim_end_matches('.'), field.shape.expected());
        table.add_row(["", field.name, default, &meaning]);
    }
}

/// Columns of the output.
const WIDTH: u16 = 120;

fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    // A fixed width: what is listed reads the same in a terminal, in a pipe and in the docs.
    table
        .load_style(presets::NOTHING)
        .set_width(WIDTH)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header.to_vec());
    table
}
