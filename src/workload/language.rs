//! The workload file's fields, all of them: the one place that says what may be written.

use super::fields::Presence::{Default, Optional, Required};
use super::fields::{Field, Presence, Shape, Table};

const MS: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MS;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The longest duration that a file may name, in nanoseconds.
const MAX_NS: u64 = HOUR;

const TIME: Shape = Shape::Distribution { min_ns: 1, max_ns: MAX_NS };
const DELAY: Shape = Shape::Distribution { min_ns: 0, max_ns: MAX_NS };
/// A kernel narrows these bounds: see `Kernel::input_bounds`.
const INPUT: Shape = Shape::Size { min_bytes: 1, max_bytes: 64 * MIB };
const MESSAGE: Shape = Shape::Size { min_bytes: 1, max_bytes: 16 * MIB };
const KERNEL: Shape = Shape::Word(&["loop", "primes", "sha256", "json", "deflate", "sort", "matrix"]);
const CONNECTION: Shape = Shape::Word(&["keep-alive", "new"]);
const WORK: Shape = Shape::Word(&["wait", "cpu"]);
const LINE: Shape = Shape::Text { max_chars: 100, lines: false };

const KERNEL_OF_WORK: Presence = Optional("\"loop\" where work = \"cpu\"");

const fn field(name: &'static str, shape: Shape, presence: Presence, doc: &'static str) -> Field {
    Field { name, shape, presence, doc }
}

/// The file itself.
pub static WORKLOAD: Table = Table {
    name: "workload",
    doc: "What one task does, how tasks arrive, and what \"best\" means.",
    fields: &[
        field("name", LINE, Optional("the file's name without its ending"), "The workload's name."),
        field("use_case", LINE, Optional("none"), "What it stands for, in words."),
        field(
            "description",
            Shape::Text { max_chars: 2_000, lines: true },
            Default("\"\""),
            "A sentence or more on what a task does.",
        ),
        field("load", Shape::Table(&LOAD), Default("{}"), "How tasks arrive."),
        field("payload", Shape::Table(&PAYLOAD), Default("{}"), "Bytes that cross to a task's worker and back."),
        field("resources", Shape::Table(&RESOURCES), Default("{}"), "What tasks need and is scarce."),
        field(
            "task_timeout",
            Shape::Duration { min_ns: MS, max_ns: MAX_NS },
            Default("\"30s\""),
            "A task that takes longer has failed.",
        ),
        field(
            "max_calls",
            Shape::Integer { min: 1, max: 1_000_000_000_000 },
            Optional("no cap"),
            "At most so many tasks in the whole session, for tasks that reach something costly.",
        ),
        field(
            "engine",
            Shape::Tables { table: &ENGINE, max: 16 },
            Optional("none"),
            "Executors of your own, which race beside the engines that are known.",
        ),
        field("step", Shape::Steps { kinds: &STEPS, max: 32 }, Required, "What a task does, in order."),
        field("objective", Shape::Table(&OBJECTIVE), Default("{}"), "What \"best\" means."),
    ],
    conflicts: &[],
};

static ENGINE: Table = Table {
    name: "engine",
    doc: "An executor of your own.",
    fields: &[
        field("factory", Shape::Factory, Required, "What builds it for a number of workers, its one argument."),
        field(
            "model",
            Shape::Word(&["threads", "processes"]),
            Optional("what a probe finds"),
            "Where it runs tasks; a probe must find the same.",
        ),
        field("workers", Shape::Sizes { max: 1_000_000 }, Optional("a search"), "Only these numbers of workers."),
    ],
    conflicts: &[],
};

static LOAD: Table = Table {
    name: "load",
    doc: "How tasks arrive.",
    fields: &[
        field(
            "mode",
            Shape::Word(&["closed", "batch"]),
            Default("\"closed\""),
            "closed: a task begins whenever one ends; batch: all tasks are handed over at once.",
        ),
        field(
            "max_in_flight",
            Shape::Integer { min: 1, max: 1_000_000 },
            Default("64"),
            "What the other side, or courtesy, allows: the most tasks begun and not ended, for every engine alike.",
        ),
        field(
            "tasks",
            Shape::Integer { min: 1, max: 100_000_000 },
            Optional("none"),
            "How many tasks there are in all: then the time of all of them counts, with the start-up of what runs them; a batch needs it.",
        ),
        field(
            "rate",
            Shape::Rate,
            Optional("no limit"),
            "What the other side allows: tasks begin no faster, in any engine and all of the session, and the smallest size that reaches it is named.",
        ),
        field(
            "burst",
            Shape::Integer { min: 1, max: 1_000_000 },
            Optional("1, where there is a `rate`"),
            "How many tasks may begin at once after a pause; what a start is late by is made up for from 2 on.",
        ),
    ],
    conflicts: &[],
};

static RESOURCES: Table = Table {
    name: "resources",
    doc: "What tasks need and is scarce, beside this host.",
    fields: &[field(
        "exclusive",
        Shape::Flag,
        Default("false"),
        "Whether candidates must not hold it at once (connections to a server that has few): one agent lives at a time.",
    )],
    conflicts: &[],
};

const PAYLOAD_SIZE: Shape = Shape::Size { min_bytes: 0, max_bytes: GIB };

static PAYLOAD: Table = Table {
    name: "payload",
    doc: "Bytes that really cross to a task's worker and back, where the model makes them cross.",
    fields: &[
        field("input", PAYLOAD_SIZE, Default("\"0B\""), "Bytes handed to a task."),
        field("output", PAYLOAD_SIZE, Default("\"0B\""), "Bytes that a task hands back."),
    ],
    conflicts: &[],
};

static OBJECTIVE: Table = Table {
    name: "objective",
    doc: "What \"best\" means.",
    fields: &[
        field(
            "goal",
            Shape::Word(&["throughput", "p99", "memory", "cpu_per_task"]),
            Default("\"throughput\""),
            "The figure by which candidates are compared.",
        ),
        field(
            "tolerance",
            Shape::Percent { min_thousandths: 100, max_thousandths: 50_000 },
            Optional("5%"),
            "What the answer may cost to be sure: nothing tried is better by more than this.",
        ),
        field(
            "margin",
            Shape::Percent { min_thousandths: 100, max_thousandths: 50_000 },
            Optional("5%"),
            "The same as `tolerance`, by its older name.",
        ),
        field("limits", Shape::Table(&LIMITS), Default("{}"), "What a candidate must not exceed."),
    ],
    conflicts: &[],
};

static LIMITS: Table = Table {
    name: "limits",
    doc: "A candidate over one of these is out.",
    fields: &[
        field(
            "p99",
            Shape::Duration { min_ns: 1, max_ns: MAX_NS },
            Optional("no limit"),
            "The 99th percentile of a task's service time.",
        ),
        field(
            "memory",
            Shape::Size { min_bytes: 1, max_bytes: KIB * GIB },
            Optional("no limit"),
            "Memory of the candidate's process tree.",
        ),
        field(
            "errors",
            Shape::Count { most: 1_000_000_000_000, max_thousandths: 100_000 },
            Default("0"),
            "Tasks that fail, of all that are measured; with 0 the first one is the failure of its candidate.",
        ),
    ],
    conflicts: &[],
};

/// The kinds of step; a table's name is the `kind`, which each step names beside these fields.
pub static STEPS: [Table; 11] = [
    Table {
        name: "cpu",
        doc: "Computation: a kernel, sized by its input or by a calibrated time.",
        fields: &[
            field("kernel", KERNEL, Default("\"loop\""), "What is computed."),
            field(
                "input",
                INPUT,
                Optional("what suits the kernel"),
                "The input of the one iteration that a task does.",
            ),
            field(
                "time",
                Shape::Duration { min_ns: 1, max_ns: MAX_NS },
                Optional("\"1ms\", unless there is an input"),
                "The unloaded time of a task: calibrated once to a number of iterations.",
            ),
        ],
        conflicts: &[("input", "time", "a kernel is sized by its input or by a time, not by both")],
    },
    Table {
        name: "wait",
        doc: "A device that answers on time: a precise wait in every engine.",
        fields: &[field("time", TIME, Required, "How long.")],
        conflicts: &[],
    },
    Table {
        name: "sleep",
        doc: "The runtime's own sleep, with the precision that it has.",
        fields: &[field("time", TIME, Required, "How long.")],
        conflicts: &[],
    },
    Table {
        name: "http",
        doc: "One HTTP/1.1 request and its response, from the embedded server unless `url` names another.",
        fields: &[
            field("url", Shape::Url, Optional("the embedded server"), "What is requested, with GET."),
            field("delay", DELAY, Default("\"0ms\""), "How long the embedded server takes to answer."),
            field(
                "body",
                Shape::Size { min_bytes: 0, max_bytes: 16 * MIB },
                Default("\"1KiB\""),
                "The size of the embedded server's response body.",
            ),
            field("connection", CONNECTION, Default("\"keep-alive\""), "Whether a connection serves many requests."),
        ],
        conflicts: &[
            ("url", "delay", "only the embedded server has a delay, and `url` names another"),
            ("url", "body", "only the embedded server has a body size, and `url` names another"),
        ],
    },
    Table {
        name: "tcp",
        doc: "One request and one response of fixed sizes, from the embedded server unless `address` names another.",
        fields: &[
            field("address", Shape::Address, Optional("the embedded server"), "The server."),
            field("delay", DELAY, Default("\"0ms\""), "How long the embedded server takes to answer."),
            field("request", MESSAGE, Default("\"64B\""), "The size of a request."),
            field("response", MESSAGE, Default("\"64B\""), "The size of a response."),
            field("connection", CONNECTION, Default("\"keep-alive\""), "Whether a connection serves many requests."),
        ],
        conflicts: &[("address", "delay", "only the embedded server has a delay, and `address` names another")],
    },
    Table {
        name: "file",
        doc: "One file operation in a directory of the session's own.",
        fields: &[
            field("operation", Shape::Word(&["read", "write", "append"]), Required, "What is done."),
            field(
                "size",
                Shape::Size { min_bytes: 1, max_bytes: GIB },
                Default("\"16KiB\""),
                "How much is read or written.",
            ),
            field(
                "fsync",
                Shape::Flag,
                Optional("true for append, else false"),
                "Whether a write is followed by fsync; not for read.",
            ),
        ],
        conflicts: &[],
    },
    Table {
        name: "lock",
        doc: "A critical section under one lock that all tasks share.",
        fields: &[
            field("hold", TIME, Required, "How long the lock is held; no distribution where work = \"cpu\"."),
            field("work", WORK, Default("\"wait\""), "What is done while the lock is held."),
            field("kernel", KERNEL, KERNEL_OF_WORK, "What is computed."),
        ],
        conflicts: &[],
    },
    Table {
        name: "queue",
        doc: "An item handed to one consumer over a bounded queue, and its result awaited.",
        fields: &[
            field("capacity", Shape::Integer { min: 1, max: 65_536 }, Default("64"), "How many items the queue holds."),
            field("time", TIME, Required, "The consumer's time for an item; no distribution where work = \"cpu\"."),
            field("work", WORK, Default("\"wait\""), "What the consumer does with an item."),
            field("kernel", KERNEL, KERNEL_OF_WORK, "What the consumer computes."),
        ],
        conflicts: &[],
    },
    Table {
        name: "event",
        doc: "One task signals another and waits for its answer.",
        fields: &[field(
            "round_trips",
            Shape::Integer { min: 1, max: 10_000 },
            Default("1"),
            "Signals and answers of a task.",
        )],
        conflicts: &[],
    },
    Table {
        name: "command",
        doc: "A program run without a shell.",
        fields: &[
            field("argv", Shape::Argv, Required, "The program and its arguments."),
            field(
                "expect_status",
                Shape::Integer { min: 0, max: 255 },
                Default("0"),
                "The exit status that means success.",
            ),
        ],
        conflicts: &[],
    },
    Table {
        name: "python",
        doc: "A function of your own, in Python: `function`, `async_function` or both.",
        fields: &[
            field(
                "function",
                Shape::Function,
                Optional("none"),
                "A def: runs under sequential, threads, processes, interpreters and mixes.",
            ),
            field("async_function", Shape::Function, Optional("none"), "An async def: runs on event loops."),
            field(
                "setup",
                Shape::Function,
                Optional("none"),
                "Called once in each process or interpreter that runs tasks, outside what is measured.",
            ),
            field(
                "setup_thread",
                Shape::Function,
                Optional("none"),
                "Called once in each thread that runs tasks, after `setup`.",
            ),
            field("async_setup", Shape::Function, Optional("none"), "An async def: awaited once on the running loop."),
            field("teardown", Shape::Function, Optional("none"), "Called when such a process ends in peace."),
            field("teardown_thread", Shape::Function, Optional("none"), "Called when such a thread ends in peace."),
            field(
                "async_teardown",
                Shape::Function,
                Optional("none"),
                "An async def: awaited on the running loop when it ends in peace.",
            ),
            field(
                "pass_state",
                Shape::Flag,
                Default("false"),
                "Whether a task's first argument is what its nearest set-up gave (loop, thread, process), and a teardown's what its own did.",
            ),
            field(
                "items",
                Shape::Items,
                Optional("none: the function is called without arguments"),
                "What tasks are called with, one after another: an iterable, a function that gives one, or a list.",
            ),
            field(
                "star",
                Shape::Flag,
                Default("false"),
                "Whether items that are tuples, lists or dictionaries are spread over the function's parameters.",
            ),
            field("path", Shape::Directory, Default("\".\""), "The directory that is put first on sys.path."),
            field(
                "check",
                Shape::Check,
                Default("\"results\""),
                "How results are checked: by value against a sequential run, not at all, or by a function of (item, result).",
            ),
        ],
        conflicts: &[],
    },
];
