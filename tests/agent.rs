//! The native agent, for real: the binary, its pipes, its worker processes.

mod common;

use common::{Agent, job};
use conbench::internal::candidate::Engine;
use conbench::internal::protocol::{BlockKind, FailureKind, Go, Job, Reply, Request, VARIANTS};
use conbench::internal::workload::{Cpu, Distribution, FileOperation, Kernel, Load, Payload, Step, Work};

fn fixed(time_ns: u64) -> Distribution {
    Distribution::Fixed { time_ns }
}

fn kernel(kernel: Kernel) -> Cpu {
    Cpu { kernel, input_bytes: 4096, time_ns: None }
}

/// Steps of every kind that needs no server.
fn steps() -> Vec<Step> {
    vec![
        Step::Cpu(kernel(Kernel::Sha256)),
        Step::Wait { time: fixed(300_000) },
        Step::File { operation: FileOperation::Read, size_bytes: 1024, fsync: false },
        Step::File { operation: FileOperation::Write, size_bytes: 1024, fsync: false },
        Step::Lock { hold: Work::Cpu(kernel(Kernel::Loop)) },
        Step::Queue { capacity: 4, stage: Work::Cpu(kernel(Kernel::Sort)) },
        Step::Event { round_trips: 2 },
        Step::Lock { hold: Work::Wait { time: fixed(10_000) } },
        Step::Queue { capacity: 4, stage: Work::Wait { time: fixed(10_000) } },
        Step::Cpu(kernel(Kernel::Json)),
    ]
}

/// The engines of this build, on this host.
fn engines() -> impl Iterator<Item = Engine> {
    conbench::internal::agent::engines::offers().0.into_iter().map(|offer| offer.engine)
}

fn with_directory(mut job: Job, directory: &tempfile::TempDir) -> Job {
    job.directory = Some(directory.path().to_owned());
    job
}

#[test]
fn every_engine_does_the_work_of_the_reference() {
    let directory = tempfile::tempdir().expect("a directory");
    let payload = Payload { input_bytes: 3000, output_bytes: 500 };
    let mut reference_job = with_directory(job(Engine::Sequential, 1, steps()), &directory);
    reference_job.payload = payload;
    let reference = Agent::start().reference(&reference_job);
    for engine in engines() {
        let mut job = with_directory(job(engine, 3, steps()), &directory);
        job.payload = payload;
        let mut agent = Agent::start();
        agent.become_candidate(&job).unwrap_or_else(|failure| panic!("{engine}: {failure}"));
        for (kind, first_index) in [(BlockKind::Verify, 0), (BlockKind::Timed, 5), (BlockKind::Memory, 1003)] {
            let block =
                agent.block(kind, 20_000_000, first_index).unwrap_or_else(|failure| panic!("{engine}: {failure}"));
            assert!(block.tasks > 0, "{engine}");
            assert_eq!(block.checksum, reference.expected_of(&block), "{engine} {kind:?}");
            assert!(block.usage.cpu_ns() > 0, "{engine}");
            if kind == BlockKind::Verify {
                assert_eq!(block.tasks, VARIANTS);
            }
        }
        assert!(matches!(agent.ask(&Request::Bye {}), Reply::Bye(_)), "{engine}");
        assert!(agent.child.wait().expect("it ends").success(), "{engine}");
    }
}

#[test]
fn a_batch_is_done_whole() {
    for engine in engines() {
        let mut job = job(engine, 2, vec![Step::Wait { time: fixed(100_000) }]);
        job.load = Load::Batch { tasks: 33, max_in_flight: 2 };
        let mut agent = Agent::start();
        agent.become_candidate(&job).expect("ready");
        let block = agent.block(BlockKind::Timed, 0, 0).expect("a block");
        assert_eq!(block.tasks, 33, "{engine}");
        assert!((block.tasks_in_window - 33.0).abs() < 1e-9, "{engine}");
    }
}

#[test]
fn no_engine_runs_more_tasks_than_it_may() {
    for engine in engines() {
        let mut job = job(engine, 2, vec![Step::Wait { time: fixed(100_000) }]);
        for load in [Load::Closed { max_in_flight: 2 }, Load::Batch { tasks: 33, max_in_flight: 2 }] {
            job.load = load;
            let mut agent = Agent::start();
            agent.become_candidate(&job).expect("ready");
            for most in [0, 1, 2, 9] {
                let go = Go {
                    block: 1,
                    kind: BlockKind::Timed,
                    window_ns: u64::MAX / 8,
                    first_index: 0,
                    most_tasks: Some(most),
                };
                let block = agent.go(go).expect("a block");
                assert_eq!(block.tasks, most, "{engine}");
                assert!(block.window_ns <= block.elapsed_ns, "{engine}");
            }
        }
    }
}

#[test]
fn a_pool_of_large_payloads_does_not_deadlock() {
    let mut job = job(Engine::ProcessPool, 2, Vec::new());
    job.payload = Payload { input_bytes: 3 << 20, output_bytes: 5 << 20 };
    let mut agent = Agent::start();
    let reference = agent.reference(&job);
    agent.become_candidate(&job).expect("ready");
    let block = agent.block(BlockKind::Verify, 0, 0).expect("a block");
    assert_eq!(block.checksum, reference.expected(0, block.tasks));
}

#[test]
fn a_dead_worker_is_named_with_how_it_died() {
    for engine in [Engine::ProcessPool, Engine::TokioProcessPool] {
        let mut agent = Agent::start();
        let ready = agent.become_candidate(&job(engine, 2, vec![Step::Cpu(kernel(Kernel::Loop))])).expect("ready");
        let worker = rustix::process::Pid::from_raw(ready.pids[1] as i32).expect("a pid");
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("it lives");
        let failure = agent.block(BlockKind::Timed, 10_000_000, 0).expect_err("a worker is dead");
        assert_eq!(failure.kind, FailureKind::Worker, "{engine}");
        assert_eq!(failure.to_string(), "worker 0: the worker process died: signal: 9 (SIGKILL)", "{engine}");
    }
}

#[test]
fn a_step_that_fails_is_named_in_every_engine() {
    for engine in engines().filter(|engine| *engine != Engine::Compio) {
        let absent = Step::Command { argv: vec!["/no/such/program".to_owned()], expect_status: 0 };
        let mut agent = Agent::start();
        let failure = agent.become_candidate(&job(engine, 2, vec![absent])).expect_err("there is no such program");
        assert_eq!(failure.kind, FailureKind::Task, "{engine}: {failure}");
        assert!(
            failure.to_string().starts_with("step 1 (command): cannot run `/no/such/program`"),
            "{engine}: {failure}"
        );
    }
}

#[test]
fn an_engine_or_a_step_that_is_not_there_fails_at_once() {
    let command = Step::Command { argv: vec!["true".to_owned()], expect_status: 0 };
    let failure = Agent::start().become_candidate(&job(Engine::Compio, 2, vec![command])).expect_err("it has none");
    assert_eq!(failure.kind, FailureKind::Setup);
    let is_offered = engines().any(|engine| engine == Engine::Compio);
    let said = if is_offered { "it has no form for compio" } else { "the native runtime has no engine `compio`" };
    assert!(failure.to_string().contains(said), "{failure}");
}

#[test]
fn what_is_not_a_request_is_answered_with_the_reason() {
    for line in ["", "{", "[]", r#"{"come":{}}"#, r#"{"go":{"block":1}}"#, r#"{"bye":{"x":1}}"#] {
        let mut agent = Agent::start();
        agent.send_line(line);
        match agent.receive() {
            Some(Reply::Failed(failure)) => assert_eq!(failure.kind, FailureKind::Protocol, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
        assert!(agent.receive().is_none(), "failed is the last frame");
    }
    let mut agent = Agent::start();
    let failure = agent.block(BlockKind::Timed, 1, 0).expect_err("no job yet");
    assert_eq!(failure.message, "the agent does not understand a request: `go` came before `job`");
}

#[test]
fn workers_end_with_their_agent() {
    let mut agent = Agent::start();
    let steps = vec![Step::Event { round_trips: 1 }, Step::Cpu(kernel(Kernel::Loop))];
    let ready = agent.become_candidate(&job(Engine::ProcessPool, 3, steps)).expect("ready");
    assert_eq!(ready.pids.len(), 5, "the agent, three workers, the peer");
    drop(agent);
    for pid in &ready.pids[1..] {
        let gone = || !std::path::Path::new(&format!("/proc/{pid}")).exists() || is_zombie(*pid);
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn workers_of_a_pool_end_side_by_side() {
    let mut agent = Agent::start();
    let ready =
        agent.become_candidate(&job(Engine::ProcessPool, 4, vec![Step::Cpu(kernel(Kernel::Loop))])).expect("ready");
    let worker = rustix::process::Pid::from_raw(ready.pids[1] as i32).expect("a pid");
    // The first one cannot end by itself; the others do while it is still waited for.
    rustix::process::kill_process(worker, rustix::process::Signal::STOP).expect("it lives");
    agent.send_line(r#"{"bye":{}}"#);
    let has_ended = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}")).exists() || is_zombie(*pid);
    while !ready.pids[2..].iter().all(has_ended) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(!has_ended(&ready.pids[1]), "it was stopped, and is killed only after a while");
    assert!(matches!(agent.receive(), Some(Reply::Bye(_))));
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}
