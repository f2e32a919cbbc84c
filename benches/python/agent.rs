//! Agents of Python that hold one engine, driven through the protocol as a session drives them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use conbench::internal::candidate::{Candidate, Cluster, Engine};
use conbench::internal::guard::Guard;
use conbench::internal::protocol::{
    Block, BlockKind, Calibrate, Calibrated, DRAWS, FindCluster, Go, Job, JobCluster, Reply, Request, StepJob, Target,
};
use conbench::internal::python::Interpreter;
use conbench::internal::session::AgentProgram;
use conbench::internal::session::link::Link;
use conbench::internal::workload::{Cpu, Load, Step};

const PROGRAM: &str = env!("CARGO_BIN_EXE_conbench");
const MINUTE_NS: u64 = 60_000_000_000;

/// Starts agents.
pub(crate) struct Bench<'a> {
    /// A cluster on this host, with the agent that keeps it. It ends before its guard.
    cluster: Option<(Link, Cluster)>,
    interpreter: &'a Interpreter,
    guard: Guard,
}

impl<'a> Bench<'a> {
    pub(crate) fn start(interpreter: &'a Interpreter) -> Bench<'a> {
        let guard = Guard::start(Path::new(PROGRAM), &std::env::temp_dir()).expect("a guard");
        Bench { cluster: None, interpreter, guard }
    }

    pub(crate) fn interpreter(&self) -> &'a Interpreter {
        self.interpreter
    }

    /// The address of a cluster of two workers on this host, which is started when it is first asked for.
    pub(crate) fn cluster(&mut self) -> String {
        if self.cluster.is_none() {
            let mut link = self.connect();
            let directory = self.guard.directory().expect("the guard has one").to_owned();
            let find =
                FindCluster { address: None, workers: 2, directory, allow_remote: false, budget_ns: 1_000_000_000 };
            let Reply::Cluster(cluster) = ask(&mut link, &Request::Cluster(find)) else { panic!("no cluster") };
            self.cluster = Some((link, cluster));
        }
        self.cluster.as_ref().map(|(_, cluster)| cluster.address.clone()).unwrap_or_default()
    }

    /// What one iteration of a computation takes.
    pub(crate) fn iteration_ns(&mut self, cpu: Cpu) -> f64 {
        let target = Target::Iteration(cpu);
        match ask(&mut self.connect(), &Request::Calibrate(Calibrate { target, budget_ns: 300_000_000 })) {
            Reply::Calibrated(Calibrated::Iteration { best_ns }) => best_ns,
            other => panic!("not calibrated: {other:?}"),
        }
    }

    /// An agent with `engine`, which has `size` workers, or tasks in flight and two workers if it has both.
    pub(crate) fn agent(&mut self, engine: Engine, size: u32, step: Step, iterations: u64, load: Load) -> Agent {
        let axes = engine.axes();
        let sizes = axes.sizes(if axes.in_flight { 2 } else { size }, size, 1);
        let start_method = self.interpreter.hello.start_method(engine);
        let draws = step.distributions().into_iter().map(|distribution| vec![distribution.mean_ns() as u64; DRAWS]);
        let candidate = Candidate { start_method, ..Candidate::new(&self.interpreter.name, engine, sizes) };
        let steps = vec![StepJob { draws: draws.collect(), step, iterations, items: None }];
        let cluster = self.cluster.as_ref().map(|(_, cluster)| JobCluster::new(cluster, Vec::new()));
        let job = Job { cluster, ..Job::new(candidate, load, steps, 1, MINUTE_NS) };
        let mut link = self.connect();
        match ask(&mut link, &Request::Job(Box::new(job))) {
            Reply::Ready(ready) => Agent { link, pids: ready.pids, blocks: 0 },
            other => panic!("not ready: {other:?}"),
        }
    }

    fn connect(&mut self) -> Link {
        let program = AgentProgram {
            runtime: self.interpreter.name.clone(),
            program: self.interpreter.path.clone(),
            arguments: self.interpreter.arguments(),
            parent_argument: None,
            environment: self.interpreter.environment(),
            directory: None,
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        let mut link = Link::start(&mut self.guard, &program, interrupted).expect("an agent");
        let hello = link.exchange(None, MINUTE_NS, "starting", None);
        assert!(matches!(hello, Ok(Reply::Hello(_))), "{hello:?}");
        link
    }
}

/// An agent that is ready.
pub(crate) struct Agent {
    link: Link,
    /// The agent first.
    pids: Vec<u32>,
    blocks: u32,
}

impl Agent {
    /// Runs `tasks` tasks, under a closed load at full load until the last one begins; how long that took.
    pub(crate) fn run(&mut self, tasks: u64) -> f64 {
        self.block(MINUTE_NS, Some(tasks)).elapsed_ns as f64
    }

    /// Runs a block of a window, or of so many tasks.
    pub(crate) fn block(&mut self, window_ns: u64, most_tasks: Option<u64>) -> Block {
        self.blocks += 1;
        let go = Go { block: self.blocks, kind: BlockKind::Timed, window_ns, first_index: 0, most_tasks };
        match ask(&mut self.link, &Request::Go(go)) {
            Reply::Block(block) => *block,
            other => panic!("not a block: {other:?}"),
        }
    }

    /// Resident memory of the agent in MiB: now (`VmRSS`) or at its peak (`VmHWM`).
    pub(crate) fn memory_mib(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pids[0])).expect("the agent lives");
        let line = status.lines().find(|line| line.starts_with(field)).expect("the field");
        let kib: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
        kib / 1024.0
    }
}

fn ask(link: &mut Link, request: &Request) -> Reply {
    link.exchange(Some(request), 4 * MINUTE_NS, "in a benchmark", None).unwrap_or_else(|fault| panic!("{fault:?}"))
}
