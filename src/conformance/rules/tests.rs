//! Answers that are right, and each of their figures wrong in turn.

use super::*;
use crate::candidate::{Candidate, RUST, Sizes};
use crate::protocol::{HistogramData, Offer, Usage};

fn hello() -> Hello {
    Hello {
        protocol: PROTOCOL,
        language: "js".to_owned(),
        version: "1".to_owned(),
        implementation: None,
        executable: None,
        gil: None,
        free_threaded: None,
        engines: vec![Offer { engine: Engine::Sequential, default_workers: None }],
        absent: Vec::new(),
        start_methods: Vec::new(),
        event_loops: Vec::new(),
        clock_resolution_ns: 1,
        clock_cost_ns: 20.0,
    }
}

fn job() -> Job {
    let candidate = Candidate::new(RUST, Engine::Sequential, Sizes::default());
    Job::new(candidate, Load::Closed { max_in_flight: 1 }, Vec::new(), 1, 1_000_000_000)
}

fn times(count: u64, value: u64) -> HistogramData {
    let mut histogram = hdrhistogram::Histogram::new(3).expect("three digits are legal");
    histogram.record_n(value, count).expect("it grows");
    HistogramData::encode(&histogram).expect("it is small")
}

/// Ten tasks of 100 us each, of which nine count.
fn block() -> Block {
    Block {
        block: 1,
        kind: BlockKind::Timed,
        first_index: 5,
        tasks: 10,
        errors: 0,
        first_error: None,
        notes: Vec::new(),
        variants: Vec::new(),
        checksum: 30,
        window_ns: 900_000,
        elapsed_ns: 1_000_100,
        resume_ns: 50,
        tasks_in_window: 9.0,
        window_cores: None,
        service: times(9, 100_000),
        queueing: times(9, 0),
        busy_ns: 900_000,
        usage: Usage { user_ns: 400_000, ..Usage::default() },
        longest_stall_ns: None,
        serialisation: None,
        results: Vec::new(),
    }
}

const SEEN: Seen = Seen { ns: 1_200_000, cpu_ns: None, cpus: 2, least_task_ns: 100_000 };

fn faults(block: &Block) -> Vec<Fault> {
    let go = Go { block: 1, kind: BlockKind::Timed, window_ns: 900_000, first_index: 5, most_tasks: None };
    let reference = Reference { tables: vec![vec![3; VARIANTS as usize]], ..Reference::default() };
    of_block(block, &go, &job(), &reference, SEEN)
}

#[test]
fn what_is_right_has_no_faults() {
    assert_eq!((of_hello(&hello()), faults(&block())), (Vec::new(), Vec::new()));
    let ready = Ready { ready_ns: 5, startup_ns: 9, first_task_ns: 3, pids: vec![7], gil: None, library_threads: 0 };
    assert_eq!(of_ready(&ready, &job(), 20, &[6, 7]), Vec::new());
    assert_eq!(of_end(Some(Status::Exit(0)), Duration::from_secs(1), 0, true), Vec::new());
}

#[test]
fn each_figure_of_a_block_is_held_against_something() {
    type Spoil = fn(&mut Block);
    let wrong: [(&str, Spoil); 13] = [
        ("as asked", |block| block.first_index = 6),
        ("checksum 30", |block| block.checksum = 31),
        ("checksum 33", |block| block.tasks = 11),
        ("a window of 900000 ns", |block| block.window_ns = 800_000),
        ("`tasks_in_window` from 0 to 10", |block| block.tasks_in_window = 10.5),
        ("as in the window", |block| block.tasks_in_window = 1.0),
        ("`elapsed_ns` at most 1200000", |block| block.elapsed_ns = 1_300_000),
        ("`resume_ns` at most", |block| block.resume_ns = 1_000_200),
        ("`busy_ns` at most", |block| block.busy_ns = 9_000_000),
        ("as many tasks in `queueing`", |block| block.queueing = times(8, 0)),
        ("deflated, in base64", |block| block.service = HistogramData("?".to_owned())),
        ("no task below 99900 ns", |block| block.service = times(9, 90_000)),
        ("what all CPUs have", |block| block.usage.user_ns = 90_000_000),
    ];
    for (expected, spoil) in wrong {
        let mut block = block();
        spoil(&mut block);
        let found = faults(&block);
        assert!(found.iter().any(|fault| fault.expected.contains(expected)), "{expected}: {found:?}");
    }
}

#[test]
fn a_wrong_protocol_or_list_of_engines_is_told() {
    let said = |hello: &Hello| of_hello(hello).into_iter().map(|fault| fault.came).collect::<Vec<String>>();
    assert_eq!(said(&Hello { protocol: 2, ..hello() }), ["protocol 2"]);
    let offer = Offer { engine: Engine::ThreadPool, default_workers: None };
    assert_eq!(said(&Hello { engines: vec![offer, offer], ..hello() }), ["none of that name", "one of them twice"]);
}

#[test]
fn an_end_is_held_against_its_status_and_what_it_leaves() {
    let came = |status, left, is_peaceful| -> Vec<String> {
        of_end(status, Duration::from_secs(1), left, is_peaceful).into_iter().map(|fault| fault.came).collect()
    };
    assert_eq!(came(Some(Status::Exit(3)), 0, true), ["exit status 3"]);
    assert_eq!(came(Some(Status::Exit(3)), 0, false), Vec::<String>::new());
    assert_eq!(came(None, 0, true), ["it lives on"]);
    assert_eq!(came(Some(Status::Exit(0)), 2, true), ["2, which were killed"]);
}

#[test]
fn the_first_checksum_that_differs_is_told() {
    let of =
        |tables: &[&[u64]]| Reference { tables: tables.iter().map(|it| it.to_vec()).collect(), ..Reference::default() };
    let right = of(&[&[1, 2], &[3, 3]]);
    let parts = ["wait", "the payload"];
    assert_eq!(of_tables(&right, &right, &parts), Vec::new());
    let fault = |expected: &str, came: &str| Fault { expected: expected.to_owned(), came: came.to_owned() };
    assert_eq!(of_tables(&of(&[&[1, 5], &[3, 3]]), &right, &parts), [fault("wait, variant 1: 2", "5")]);
    assert_eq!(of_tables(&of(&[&[1, 2]]), &right, &parts), [fault("tables of [2, 2] checksums", "[2]")]);
}

#[test]
fn cpu_time_is_held_against_what_was_seen_of_it() {
    let mut faults = Faults::default();
    usage(&mut faults, &block(), Seen { cpu_ns: Some(900_000_000), ns: 2_000_000_000, ..SEEN });
    assert_eq!(faults.0[0].expected, "about 900000000 ns of CPU time, as was seen of it");
}
