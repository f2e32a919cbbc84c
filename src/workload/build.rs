//! From checked values to the domain, with the rules that span several fields.
//!
//! A function here gives `None` when a field that it needs is not there; that fault is reported already.

use super::diagnostics::Fault;
use super::value::Values;
use super::{
    Check, Connection, Cpu, Distribution, ErrorLimit, FileOperation, Goal, Items, Kernel, Limits, Load, Objective,
    OwnEngine, Payload, Python, Rate, Resources, Step, Work, Workload,
};
use crate::units::{written_duration, written_size};

/// The time of a `cpu` step that names neither an input nor a time.
const DEFAULT_CPU_NS: u64 = 1_000_000;

/// Builds the workload; adds what is wrong to `faults`.
pub(super) fn workload(values: &Values, stem: &str, faults: &mut Vec<Fault>) -> Option<Workload> {
    let tasks = values.table("load").and_then(|table| table.integer("tasks")).and_then(|it| u32::try_from(it).ok());
    let load = values.table("load").and_then(|table| load(&table, faults));
    let rate = values.table("load").and_then(|table| rate(&table, faults));
    let objective = values.table("objective").and_then(|table| objective(&table));
    let payload = values.table("payload").and_then(|table| payload(&table));
    let found = values.steps("step").unwrap_or_default();
    let steps: Vec<Option<Step>> = found.iter().map(|values| step(values, faults)).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let workload = Workload {
        name: values.text("name").unwrap_or_else(|| stem.to_owned()),
        use_case: values.text("use_case").unwrap_or_default(),
        description: values.text("description")?,
        load: load?,
        tasks: tasks.filter(|_| matches!(load, Some(Load::Closed { .. }))),
        rate,
        steps,
        payload: payload?,
        objective: objective?,
        task_timeout_ns: values.nanos("task_timeout")?,
        max_calls: values.integer("max_calls"),
        resources: values.table("resources").and_then(|table| resources(&table))?,
        engines: values.tables("engine").unwrap_or_default().iter().filter_map(engine).collect(),
    };
    check_timeout(&workload, values, faults);
    check_calls(&workload, values, faults);
    Some(workload)
}

/// A task that must take longer than its timeout would fail every time.
fn check_timeout(workload: &Workload, values: &Values, faults: &mut Vec<Fault>) {
    let least: u64 = workload.steps.iter().map(least_ns).fold(0, u64::saturating_add);
    if least >= workload.task_timeout_ns {
        let message = format!(
            "a task takes at least {}, and is given up after {}",
            written_duration(least),
            written_duration(workload.task_timeout_ns)
        );
        let fault = Fault::at(values.place("task_timeout"), message, "");
        faults.push(fault.help("set `task_timeout` to more than its steps take together"));
    }
}

/// A batch that is larger than the cap could not run once.
fn check_calls(workload: &Workload, values: &Values, faults: &mut Vec<Fault>) {
    if let (Load::Batch { tasks, .. }, Some(most)) = (workload.load, workload.max_calls)
        && u64::from(tasks) > most
    {
        let message = format!("a batch has {tasks} tasks, and the session at most {most}");
        let fault = Fault::at(values.place("max_calls"), message, "");
        faults.push(fault.help("raise `max_calls` to several batches: each candidate runs at least one"));
    }
}

/// The least time that a step takes for certain.
fn least_ns(step: &Step) -> u64 {
    let fixed = step.distributions().into_iter().map(|distribution| match distribution {
        Distribution::Fixed { time_ns } => time_ns,
        Distribution::Lognormal { .. } | Distribution::Exponential { .. } => 0,
    });
    fixed.chain(step.cpu().and_then(|cpu| cpu.time_ns)).fold(0, u64::saturating_add)
}

fn load(values: &Values, faults: &mut Vec<Fault>) -> Option<Load> {
    let max_in_flight = values.integer("max_in_flight").and_then(|number| u32::try_from(number).ok());
    match values.text("mode")?.as_str() {
        "batch" => {
            if values.given("tasks").is_none() {
                let fault = Fault::at(values.place("mode"), "a batch without its number of tasks", "expected `tasks`");
                faults.push(fault.help("add e.g. `tasks = 500`"));
            }
            let tasks = u32::try_from(values.integer("tasks")?).ok()?;
            Some(Load::Batch { tasks, max_in_flight: max_in_flight? })
        }
        _ => Some(Load::Closed { max_in_flight: max_in_flight? }),
    }
}

/// What the far side allows, if the file says so.
fn rate(values: &Values, faults: &mut Vec<Fault>) -> Option<Rate> {
    if values.given("rate").is_none() && values.given("burst").is_some() {
        let fault = Fault::at(values.place("burst"), "a burst without its rate", "expected `rate`");
        faults.push(fault.help("add e.g. `rate = \"50/s\"`"));
    }
    let burst = values.integer("burst").and_then(|number| u32::try_from(number).ok());
    values.rate("rate").map(|rate| Rate { burst: burst.unwrap_or(1), ..rate })
}

fn payload(values: &Values) -> Option<Payload> {
    Some(Payload { input_bytes: values.bytes("input")?, output_bytes: values.bytes("output")? })
}

fn engine(values: &Values) -> Option<OwnEngine> {
    Some(OwnEngine {
        factory: values.text("factory")?,
        path: String::new(),
        model: values.text("model").and_then(|model| model.parse().ok()),
        workers: values.sizes("workers").unwrap_or_default(),
    })
}

fn resources(values: &Values) -> Option<Resources> {
    Some(Resources { exclusive: values.flag("exclusive")? })
}

fn objective(values: &Values) -> Option<Objective> {
    let limits = values.table("limits")?;
    Some(Objective {
        goal: match values.text("goal")?.as_str() {
            "p99" => Goal::P99,
            "memory" => Goal::Memory,
            "cpu_per_task" => Goal::CpuPerTask,
            _ => Goal::Throughput,
        },
        tolerance: values.percent("tolerance").or(values.percent("margin")).map(|thousandths| thousandths / 100_000.0),
        limits: Limits { p99_ns: limits.nanos("p99"), memory_bytes: limits.bytes("memory"), errors: errors(&limits)? },
    })
}

/// A number of tasks, or a share of them.
fn errors(limits: &Values) -> Option<ErrorLimit> {
    let tasks = limits.integer("errors").map(ErrorLimit::Tasks);
    let share = || limits.percent("errors").map(|thousandths| ErrorLimit::Share(thousandths / 100_000.0));
    // 0 % is 0 tasks: one limit, one way to write it in a record.
    tasks.or_else(share).map(|limit| if limit.is_none() { ErrorLimit::default() } else { limit })
}

fn step(values: &Values, faults: &mut Vec<Fault>) -> Option<Step> {
    match values.name {
        "cpu" => cpu(values, faults).map(Step::Cpu),
        "wait" => Some(Step::Wait { time: values.distribution("time")? }),
        "sleep" => Some(Step::Sleep { time: values.distribution("time")? }),
        "http" => Some(Step::Http {
            url: values.text("url"),
            delay: values.distribution("delay")?,
            body_bytes: values.bytes("body")?,
            connection: connection(values)?,
        }),
        "tcp" => Some(Step::Tcp {
            address: values.text("address"),
            delay: values.distribution("delay")?,
            request_bytes: values.bytes("request")?,
            response_bytes: values.bytes("response")?,
            connection: connection(values)?,
        }),
        "file" => file(values, faults),
        "lock" => Some(Step::Lock { hold: work(values, "hold", faults)? }),
        "queue" => {
            let stage = work(values, "time", faults);
            Some(Step::Queue { capacity: u32::try_from(values.integer("capacity")?).ok()?, stage: stage? })
        }
        "python" => python(values, faults).map(Step::Python),
        "event" => Some(Step::Event { round_trips: u32::try_from(values.integer("round_trips")?).ok()? }),
        "command" => Some(Step::Command {
            argv: values.argv("argv")?,
            expect_status: i32::try_from(values.integer("expect_status")?).ok()?,
        }),
        _ => None,
    }
}

fn connection(values: &Values) -> Option<Connection> {
    let word = values.text("connection")?;
    Some(if word == "new" { Connection::New } else { Connection::KeepAlive })
}

fn kernel(values: &Values) -> Option<Kernel> {
    let word = values.text("kernel")?;
    Kernel::ALL.into_iter().find(|kernel| kernel.name() == word)
}

fn cpu(values: &Values, faults: &mut Vec<Fault>) -> Option<Cpu> {
    let kernel = kernel(values)?;
    let Some(at) = values.given("input") else {
        let time_ns = if values.given("time").is_some() { values.nanos("time")? } else { DEFAULT_CPU_NS };
        return Some(Cpu { kernel, input_bytes: kernel.default_input_bytes(), time_ns: Some(time_ns) });
    };
    let input_bytes = values.bytes("input")?;
    let (least, most) = kernel.input_bounds();
    if !(least..=most).contains(&input_bytes) {
        let label = format!("expected {} to {}", written_size(least), written_size(most));
        let message =
            format!("`input`: {} is out of range for the kernel {}", written_size(input_bytes), kernel.name());
        faults.push(Fault::at(at, message, label));
        return None;
    }
    Some(Cpu { kernel, input_bytes, time_ns: None })
}

fn file(values: &Values, faults: &mut Vec<Fault>) -> Option<Step> {
    let operation = match values.text("operation")?.as_str() {
        "read" => FileOperation::Read,
        "write" => FileOperation::Write,
        _ => FileOperation::Append,
    };
    let fsync = match values.given("fsync") {
        Some(_) => values.flag("fsync")?,
        None => operation == FileOperation::Append,
    };
    if fsync && operation == FileOperation::Read {
        faults.push(Fault::at(values.place("fsync"), "a read has nothing to fsync", "expected false"));
    }
    Some(Step::File { operation, size_bytes: values.bytes("size")?, fsync })
}

fn python(values: &Values, faults: &mut Vec<Fault>) -> Option<Python> {
    let (function, async_function) = (values.text("function"), values.text("async_function"));
    if values.given("function").is_none() && values.given("async_function").is_none() {
        let fault = Fault::at(values.place("function"), "a step of your own code without its function", "");
        faults.push(fault.help("add `function = \"package.module:name\"`, or `async_function` for an async def"));
        return None;
    }
    // An `items` or `setup` that was written wrong is told already, and must not seem absent.
    let items = values.items("items").or_else(|| values.text("items").map(Items::Named));
    let check = match values.text("check")?.as_str() {
        "results" => Check::Results,
        "none" => Check::None,
        function => Check::Function(function.to_owned()),
    };
    let path = values.text("path")?;
    check_set_ups(values, faults);
    Some(Python {
        function,
        async_function,
        setup: values.text("setup"),
        setup_thread: values.text("setup_thread"),
        async_setup: values.text("async_setup"),
        teardown: values.text("teardown"),
        teardown_thread: values.text("teardown_thread"),
        async_teardown: values.text("async_teardown"),
        pass_state: values.flag("pass_state")?,
        star: values.flag("star")?,
        items,
        path,
        version: None,
        check,
    })
}

/// What needs a loop has one, what is passed on is made, and what is spread is there.
fn check_set_ups(values: &Values, faults: &mut Vec<Fault>) {
    let is_given = |field: &'static str| values.given(field).is_some();
    for field in ["async_setup", "async_teardown"] {
        if let (Some(at), false) = (values.given(field), is_given("async_function")) {
            let fault = Fault::at(at, format!("`{field}` belongs to a loop, and nothing runs on one"), "");
            faults.push(fault.help("add `async_function`, or name a def in its blocking form"));
        }
    }
    let blocking = is_given("setup") || is_given("setup_thread");
    // Each form has to have a state of its own to be called with.
    let is_passed = blocking || (!is_given("function") && is_given("async_setup"));
    if values.flag("pass_state") == Some(true) && !is_passed {
        let fault =
            Fault::at(values.place("pass_state"), "`pass_state` passes on what a set-up gives, and there is none", "");
        faults.push(fault.help("add `setup` or `setup_thread`; `async_setup` is enough for an `async_function` alone"));
    }
    if values.flag("star") == Some(true) && !is_given("items") {
        let fault = Fault::at(values.place("star"), "`star` spreads items, and there are none", "");
        faults.push(fault.help("add `items`, or take it out"));
    }
}

/// What is done under a lock or by a consumer: `work`, its time in `time_field`, and its kernel.
fn work(values: &Values, time_field: &'static str, faults: &mut Vec<Fault>) -> Option<Work> {
    let computes = values.text("work")? == "cpu";
    if let (Some(at), false) = (values.given("kernel"), computes) {
        let fault = Fault::at(at, "`kernel` belongs to computation, and this waits", "");
        faults.push(fault.help("add `work = \"cpu\"`, or take the kernel out"));
    }
    let time = values.distribution(time_field)?;
    if !computes {
        return Some(Work::Wait { time });
    }
    let Distribution::Fixed { time_ns } = time else {
        let message = format!("`{time_field}` is a distribution, and computation takes a fixed time");
        faults.push(Fault::at(values.place(time_field), message, "expected a duration, e.g. \"2ms\""));
        return None;
    };
    let kernel = if values.given("kernel").is_some() { kernel(values)? } else { Kernel::Loop };
    Some(Work::Cpu(Cpu { kernel, input_bytes: kernel.default_input_bytes(), time_ns: Some(time_ns) }))
}
