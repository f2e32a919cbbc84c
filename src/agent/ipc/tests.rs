//! Workers are threads here, each with a slot and descriptors of its own; the peer is a process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use rustix::process::{Pid, Signal, test_kill_process};

use super::process::peer_command;
use super::*;
use crate::agent::descriptors::inherit;
use crate::agent::peer::{self, Assignment};
use crate::agent::steps::testing::{job, step_job, waiting};
use crate::agent::steps::{Place, build};
use crate::agent::task::Task;
use crate::protocol::{StepJob, VARIANTS};
use crate::workload::{Cpu, Kernel, Work};

#[test]
#[ignore = "the peer process of the other tests"]
fn is_the_peer_of_other_tests() {
    assert_eq!(peer::main(), std::process::ExitCode::SUCCESS);
}

fn every_shared_step() -> Vec<StepJob> {
    let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 400, time_ns: None };
    [
        Step::Lock { hold: Work::Wait { time: waiting() } },
        Step::Queue { capacity: 3, stage: Work::Cpu(cpu) },
        Step::Event { round_trips: 5 },
        Step::Lock { hold: Work::Cpu(cpu) },
        Step::Cpu(cpu),
        Step::Queue { capacity: 64, stage: Work::Wait { time: waiting() } },
    ]
    .map(step_job)
    .to_vec()
}

fn worker(job: &Job, shared: &Shared, slot: u32) -> Task {
    let fds = shared.descriptors(slot).into_iter().map(|fd| fd.try_clone_to_owned().expect("a copy")).collect();
    build(job, Place::Worker { slot, shared: fds }).expect("a worker's task")
}

fn is_alive(pid: u32) -> bool {
    Pid::from_raw(pid as i32).is_some_and(|pid| test_kill_process(pid).is_ok())
}

#[test]
fn workers_do_what_the_agent_does() {
    let job = job(&every_shared_step());
    let shared = Shared::create(&job, 4).expect("a peer");
    let agent = build(&job, Place::Agent).expect("a task");
    let agent = &agent;
    std::thread::scope(|scope| {
        for slot in 0..4 {
            let task = worker(&job, &shared, slot);
            scope.spawn(move || {
                for index in u64::from(slot)..u64::from(slot) + 2 * VARIANTS {
                    assert_eq!(task.blocking(index), agent.blocking(index), "slot {slot}, task {index}");
                }
            });
        }
    });
    let expected = agent.reference(3).expect("a reference").into_iter().fold(0, u64::wrapping_add);
    assert_eq!(worker(&job, &shared, 0).blocking(3), Ok(expected));
}

#[test]
fn dropped_it_ends_its_peer() {
    let shared = Shared::create(&job(&every_shared_step()), 2).expect("a peer");
    let pids = shared.pids();
    assert_eq!(pids.len(), 1);
    assert!(is_alive(pids[0]));
    drop(shared);
    assert!(!is_alive(pids[0]));
}

#[test]
fn a_dead_peer_is_a_failure_and_not_a_hang() {
    for step in [Step::Event { round_trips: 1 }, Step::Queue { capacity: 1, stage: Work::Wait { time: waiting() } }] {
        let job = job(&[step_job(step)]);
        let shared = Shared::create(&job, 1).expect("a peer");
        let task = worker(&job, &shared, 0);
        task.blocking(0).expect("answered");
        let pid = Pid::from_raw(shared.pids()[0] as i32).expect("a pid");
        rustix::process::kill_process(pid, Signal::KILL).expect("the peer lives");
        // The signal may arrive after another answer or two.
        let failed = (0..1_000_000).find_map(|index| task.blocking(index).err()).expect("fails");
        assert_eq!(failed.kind, FailureKind::Worker);
        assert_eq!(worker(&job, &shared, 0).blocking(1).map_err(|failed| failed.kind), Err(FailureKind::Worker));
        assert!(failed.message.ends_with("has ended") || failed.message.contains("Broken pipe"), "{failed}");
    }
}

#[test]
fn only_what_is_needed_is_made() {
    let cpu = Cpu { kernel: Kernel::Loop, input_bytes: 400, time_ns: None };
    let plain = Shared::create(&job(&[step_job(Step::Cpu(cpu))]), 8).expect("nothing");
    assert_eq!((plain.pids().len(), plain.descriptors(0).len()), (0, 0));
    let lock = Shared::create(&job(&[step_job(Step::Lock { hold: Work::Cpu(cpu) })]), 8).expect("a lock");
    assert_eq!((lock.pids().len(), lock.descriptors(7).len()), (0, 1));
    // An event stays on the loop of a mixed engine, where it needs no process.
    let mut mixed = job(&[step_job(Step::Event { round_trips: 1 })]);
    mixed.candidate.engine = Engine::TokioProcessPool;
    let shared = Shared::create(&mixed, 8).expect("nothing");
    assert_eq!((shared.pids().len(), shared.descriptors(0).len()), (0, 0));
    assert!(worker(&mixed, &shared, 0).blocking(0).is_ok());
}

#[test]
fn a_worker_without_its_descriptors_says_so() {
    for step in every_shared_step() {
        let job = job(&[step]);
        if !is_shared(&job, &job.steps[0].step) {
            continue;
        }
        let failed = build(&job, Place::Worker { slot: 0, shared: Vec::new() }).map(|_| ()).expect_err("fails");
        assert_eq!(failed.kind, FailureKind::Setup);
        assert!(failed.message.contains("was not handed"), "{failed}");
    }
}

#[test]
fn a_queues_pipe_holds_its_capacity_and_no_more() {
    let mut theirs = Vec::new();
    let Ends::Queue { request, .. } = queue(3, 1, &mut theirs).expect("a queue") else { panic!("not a queue") };
    rustix::fs::fcntl_setfl(&request, rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::DIRECT).expect("non-blocking");
    let taken = (0..100).take_while(|_| rustix::io::write(&request, &[0; 24]).is_ok()).count();
    assert_eq!(taken, 4);
    drop(theirs);
}

#[test]
fn a_peer_ends_when_its_agent_is_gone() {
    let (ready, readying) = io::pipe().expect("a pipe");
    let mut command = peer_command().expect("this binary");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    inherit(&mut command, peer::FIRST, &[readying.as_fd()]).expect("descriptors");
    let mut child = command.spawn().expect("starts");
    let mut life = child.stdin.take().expect("a pipe");
    serde_json::to_writer(&life, &Assignment { job: job(&[]), slots: 1 }).expect("takes its job");
    life.write_all(b"\n").expect("takes a line");
    let mut report = String::new();
    BufReader::new(ready).read_line(&mut report).expect("reports");
    assert_eq!(report, "null\n");
    drop(life);
    assert!(child.wait().expect("ends").success());
}

#[test]
fn the_limit_of_open_files_is_a_failure_with_advice() {
    let failed = setup("cannot make pipes", &io::Error::from_raw_os_error(libc::EMFILE));
    assert!(failed.message.ends_with("; use fewer workers or raise the limit of open files (ulimit -n)"), "{failed}");
}
