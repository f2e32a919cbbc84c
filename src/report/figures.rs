//! The columns of a candidate's figures, as data: what stands in a cell, whatever draws it.

use super::grid::Title;
use super::scaling::{self, SCALING};
use super::words::{against_best, plus_minus, status};
use crate::analyze::{Group, Row};
use crate::units::{NONE, bytes, count, duration, percent, rate};

/// One column.
pub(super) struct Column {
    /// Its title and side.
    pub(super) title: Title,
    /// The order in which columns are kept where not all have room: 0 always is.
    pub(super) rank: u8,
    /// What stands in it.
    pub(super) cell: fn(&Group, &Row) -> String,
}

/// A table of figures with its heading.
pub(super) struct Sheet {
    /// The heading; empty for the main one.
    pub(super) heading: &'static str,
    /// The columns, from left to right.
    pub(super) columns: &'static [Column],
}

/// What is compared: the table that everyone reads.
pub(super) const MAIN: Sheet = Sheet {
    heading: "",
    columns: &[
        left("Candidate", 0, |_, row| named(row)),
        left("Model", 6, |_, row| row.candidate.model().to_string()),
        right("Tasks", 0, |_, row| row.throughput_per_s.map_or(none(), |estimate| rate(estimate.value))),
        right("95 %", 2, |_, row| row.throughput_per_s.map_or(none(), plus_minus)),
        right("vs best", 1, |_, row| against_best(row)),
        left(SCALING, 4, scaling::sparkline_of),
        right("p50", 5, |_, row| time(row.service.p50_ns)),
        right("p99", 3, |_, row| time(row.service.p99_ns)),
        right("CPU/task", 8, |_, row| row.cpu_ns_per_task().map_or(none(), duration)),
        right("Memory", 7, |_, row| size(row.memory_bytes)),
        right("Startup", 9, |_, row| time(row.startup_ns)),
        left("Status", 0, |_, row| status(&row.status).to_owned()),
    ],
};

/// What a choice costs: the figures that a choice among the undominated trades against each other.
pub(super) const COSTS: Sheet = Sheet {
    heading: "What the choice costs: nothing measured beats these on throughput, p99 and memory at once",
    columns: &[
        left("Candidate", 0, |_, row| row.candidate.short()),
        right("Tasks", 0, |_, row| row.throughput_per_s.map_or(none(), |estimate| rate(estimate.value))),
        right("p99", 0, |_, row| time(row.service.p99_ns)),
        right("Memory", 0, |_, row| size(row.memory_bytes)),
        left("Status", 0, |_, row| status(&row.status).to_owned()),
    ],
};

/// A candidate's name; that its chunk is its library's own is said beside it.
fn named(row: &Row) -> String {
    let own = if row.is_own_chunk { " (its own chunk)" } else { "" };
    format!("{}{own}", row.candidate.short())
}

/// The rows of [`COSTS`] among these, if there is a choice: two at least, of figures that differ as they are printed.
pub(super) fn choice_of<'a>(group: &Group, rows: &[&'a Row]) -> Vec<&'a Row> {
    let undominated: Vec<&Row> = rows.iter().copied().filter(|row| row.undominated).collect();
    let figures = |row: &Row| COSTS.cells(0, group, row)[1..4].to_vec();
    let differ = undominated.windows(2).any(|pair| figures(pair[0]) != figures(pair[1]));
    if differ { undominated } else { Vec::new() }
}

/// Everything else.
pub(super) const DETAILS: [Sheet; 3] = [
    Sheet {
        heading: "Latency: service time per task, and queueing before it",
        columns: &[
            left("Candidate", 0, |_, row| row.candidate.short()),
            right("p50", 0, |_, row| time(row.service.p50_ns)),
            right("p90", 3, |_, row| time(row.service.p90_ns)),
            right("p99", 0, |_, row| time(row.service.p99_ns)),
            right("p99.9", 1, |_, row| time(row.service.p999_ns)),
            right("Max", 0, |_, row| time(row.service.max_ns)),
            right("Samples", 2, |_, row| count(row.service.samples as f64)),
            right("Queue p50", 4, |_, row| time(row.queueing.p50_ns)),
            right("p99", 5, |_, row| time(row.queueing.p99_ns)),
        ],
    },
    Sheet {
        heading: "Cost per task, and memory under load",
        columns: &[
            left("Candidate", 0, |_, row| row.candidate.short()),
            right("User", 0, |_, row| nanoseconds(row.cpu_user_ns_per_task)),
            right("System", 0, |_, row| nanoseconds(row.cpu_system_ns_per_task)),
            right("Waits", 0, |_, row| number(row.voluntary_switches_per_task)),
            right("Preempted", 2, |_, row| number(row.involuntary_switches_per_task)),
            right("Server", 4, |_, row| nanoseconds(row.server_cpu_ns_per_task)),
            right("Pickled", 5, |_, row| {
                row.serialisation_bytes_per_task.map_or(none(), |size| bytes(size.round() as u64))
            }),
            right("Pickling", 6, |_, row| nanoseconds(row.serialisation_ns_per_task)),
            right("Memory", 1, |_, row| size(row.memory_bytes)),
            right("Files", 3, |_, row| size(row.file_pages_bytes)),
        ],
    },
    Sheet {
        heading: "Life: from start to end, and what backs the figures",
        columns: &[
            left("Candidate", 0, |_, row| row.candidate.short()),
            right("Boot", 5, |_, row| time(row.boot_ns)),
            right("Startup", 0, |_, row| time(row.startup_ns)),
            right("Teardown", 1, |_, row| time(row.teardown_ns)),
            right("Of limit", 0, |_, row| row.limit_share.map_or(none(), |share| percent(share.min(1.0)))),
            right("Stall", 0, |_, row| time(row.longest_stall_ns)),
            right("Errors", 2, |_, row| row.errors.to_string()),
            left("Results", 0, |_, row| checked(row)),
            right("Blocks", 4, |_, row| row.blocks.to_string()),
            right("Lives", 3, |_, row| row.lives.to_string()),
        ],
    },
];

/// What the words of [`DETAILS`] mean.
pub(super) const LEGEND: &str = "Waits and Preempted: voluntary and involuntary context switches. Server: CPU of the embedded server. Pickled and Pickling: bytes that cross to a worker process and back, and the time that it takes. Memory: anonymous and shared, without a no-op agent's; Files: file pages. Stall: the longest that an event loop was late. Errors: tasks that failed, as a limit allows. Results: equal to the reference's.";

impl Sheet {
    /// The titles of the columns that are no less important than `rank`.
    pub(super) fn titles(&self, rank: u8) -> Vec<Title> {
        self.columns.iter().filter(|column| column.rank <= rank).map(|column| column.title).collect()
    }

    /// The titles of the other columns.
    pub(super) fn dropped(&self, rank: u8) -> Vec<&'static str> {
        self.columns.iter().filter(|column| column.rank > rank).map(|column| column.title.text).collect()
    }

    /// The cells of the same columns.
    pub(super) fn cells(&self, rank: u8, group: &Group, row: &Row) -> Vec<String> {
        self.columns.iter().filter(|column| column.rank <= rank).map(|column| (column.cell)(group, row)).collect()
    }
}

fn checked(row: &Row) -> String {
    match row.checked {
        Some(true) => "equal",
        Some(false) => "differ",
        None => "unchecked",
    }
    .to_owned()
}

fn none() -> String {
    NONE.to_owned()
}

fn time(ns: Option<u64>) -> String {
    ns.map_or(none(), |ns| duration(ns as f64))
}

fn nanoseconds(ns: Option<f64>) -> String {
    ns.map_or(none(), duration)
}

fn number(value: Option<f64>) -> String {
    value.map_or(none(), count)
}

fn size(value: Option<u64>) -> String {
    value.map_or(none(), bytes)
}

const fn left(text: &'static str, rank: u8, cell: fn(&Group, &Row) -> String) -> Column {
    Column { title: Title { text, right: false }, rank, cell }
}

const fn right(text: &'static str, rank: u8, cell: fn(&Group, &Row) -> String) -> Column {
    Column { title: Title { text, right: true }, rank, cell }
}
