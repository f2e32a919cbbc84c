//! Links to agents that misbehave: shell scripts behind real guards and pipes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use conbench::internal::candidate::{Candidate, Engine, Sizes};
use conbench::internal::guard::Guard;
use conbench::internal::protocol::{BlockKind, FailureKind, Go, Job, Reply, Request};
use conbench::internal::session::AgentProgram;
use conbench::internal::session::error::AgentError;
use conbench::internal::session::link::{Link, Ticks};
use conbench::internal::workload::Load;

const MINUTE_NS: u64 = 60_000_000_000;
const BYE: &str = r#"echo '{"bye":{"teardown_ns":7}}' >&4"#;

struct Bench {
    link: Link,
    interrupted: Arc<AtomicBool>,
    // Below the link: it must end last.
    _guard: Guard,
    _room: tempfile::TempDir,
}

fn agent(script: &str) -> Bench {
    let room = tempfile::tempdir().expect("a directory");
    let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_conbench")), room.path()).expect("a guard");
    let interrupted = Arc::new(AtomicBool::new(false));
    let program = AgentProgram {
        runtime: "shell".to_owned(),
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into()],
        parent_argument: None,
        environment: vec![("CAUSE".into(), "a cause".into())],
        directory: None,
    };
    let link = Link::start(&mut guard, &program, Arc::clone(&interrupted)).expect("starts");
    Bench { link, interrupted, _guard: guard, _room: room }
}

fn go() -> Request {
    Request::Go(Go { block: 1, kind: BlockKind::Timed, window_ns: 1, first_index: 0, most_tasks: None })
}

impl Bench {
    fn exchange(&mut self, patience_ns: u64) -> Result<Reply, AgentError> {
        self.link.exchange(Some(&go()), patience_ns, "in a test", None)
    }

    fn failure(&mut self, patience_ns: u64) -> (FailureKind, String) {
        match self.exchange(patience_ns) {
            Err(AgentError::Failed(failed)) => (failed.kind, failed.message),
            other => panic!("not a failure: {other:?}"),
        }
    }
}

#[test]
fn a_request_goes_out_and_its_answer_comes_back() {
    let mut bench = agent(&format!(r#"read line <&3; case "$line" in '{{"go":'*) {BYE};; esac"#));
    let reply = bench.exchange(MINUTE_NS).expect("an answer");
    assert!(matches!(reply, Reply::Bye(ended) if ended.teardown_ns == 7));
    assert_eq!(bench.link.leftover(std::time::Duration::from_secs(60)), 0);
}

#[test]
fn a_request_longer_than_a_pipe_holds_is_written_while_it_is_read() {
    let mut bench = agent(&format!("sleep 0.1; head -c 2000000 <&3 >/dev/null; {BYE}; sleep 600"));
    let runtime = "x".repeat(2_000_000);
    let candidate = Candidate::new(&runtime, Engine::Sequential, Sizes::default());
    let job = Request::Job(Box::new(Job::new(candidate, Load::Closed { max_in_flight: 1 }, Vec::new(), 0, 1)));
    let reply = bench.link.exchange(Some(&job), MINUTE_NS, "in a test", None).expect("an answer");
    assert!(matches!(reply, Reply::Bye(_)));
}

#[test]
fn an_end_without_an_answer_tells_how_and_shows_the_last_words() {
    let mut bench = agent(r#"read line <&3; echo first; printf 'the \033[31mcause\n' >&2; exit 3"#);
    let (kind, message) = bench.failure(MINUTE_NS);
    assert_eq!(kind, FailureKind::Agent);
    assert_eq!(message, r"the agent ended with exit status 3 in a test; its last output: first | the \u{1b}[31mcause");
    let mut bench = agent(r#"read line <&3; echo "$CAUSE"; exit 3"#);
    assert_eq!(bench.failure(MINUTE_NS).1, "the agent ended with exit status 3 in a test; its last output: a cause");
    let mut bench = agent("read line <&3; kill -SEGV $$");
    assert_eq!(bench.failure(MINUTE_NS).1, "the agent ended with signal 11 (SIGSEGV) in a test");
}

#[test]
fn a_grandchild_that_holds_the_pipes_does_not_hide_the_end() {
    let mut bench = agent("read line <&3; setsid sleep 600 & exit 4");
    assert_eq!(bench.failure(MINUTE_NS).1, "the agent ended with exit status 4 in a test");
    assert_eq!(bench.link.leftover(std::time::Duration::ZERO), 1);
}

#[test]
fn no_answer_is_a_hang() {
    let mut bench = agent("echo stuck; exec sleep 600");
    let (kind, message) = bench.failure(300_000_000);
    assert_eq!(kind, FailureKind::Hang);
    assert!(message.starts_with("no answer within 300 ms in a test; the agent is sleeping"), "{message}");
    assert!(message.ends_with("its last output: stuck"), "{message}");
}

#[test]
fn a_line_that_is_no_frame_is_a_failure_of_the_protocol() {
    let mut bench = agent(r#"printf 'gar\tbage\n' >&4; sleep 600"#);
    let (kind, message) = bench.failure(MINUTE_NS);
    assert_eq!(kind, FailureKind::Protocol);
    assert!(message.contains(r"`gar\tbage`"), "{message}");
}

#[test]
fn an_endless_line_is_bounded() {
    let mut bench = agent("tr '\\0' x </dev/zero >&4");
    let (kind, message) = bench.failure(MINUTE_NS);
    assert_eq!((kind, message.contains("67108864 bytes")), (FailureKind::Protocol, true), "{message}");
}

#[test]
fn a_flood_of_output_neither_blocks_nor_hides_the_answer() {
    let mut bench =
        agent(&format!("read line <&3; head -c 20000000 /dev/zero >&2; yes | head -n 1000000; {BYE}; sleep 600"));
    assert!(matches!(bench.exchange(MINUTE_NS), Ok(Reply::Bye(_))));
}

#[test]
fn an_interrupt_ends_the_wait_and_ticks_come() {
    let mut bench = agent("exec sleep 600");
    let interrupted = Arc::clone(&bench.interrupted);
    let mut count = 0;
    let mut tick = || {
        count += 1;
        interrupted.store(count == 3, Ordering::Relaxed);
    };
    let ticks = Ticks { every_ns: 1_000_000, call: &mut tick };
    let result = bench.link.exchange(Some(&go()), MINUTE_NS, "in a test", Some(ticks));
    assert_eq!(result, Err(AgentError::Interrupted));
    assert_eq!(count, 3);
}
