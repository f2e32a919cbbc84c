//! A script of `by_hand/`, alive, and told how many tasks to run.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use conbench::internal::python::Interpreter;

pub(crate) struct Script {
    child: Child,
    told: Option<ChildStdin>,
    tells: BufReader<ChildStdout>,
}

impl Script {
    pub(crate) fn start(
        interpreter: &Interpreter,
        name: &str,
        (work, amount): (&str, u64),
        size: u32,
        load: &str,
        cluster: Option<&str>,
    ) -> Script {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/python/by_hand").join(name);
        let mut child = Command::new(&interpreter.path)
            .arg(path.with_extension("py"))
            .args([work, &amount.to_string(), &size.to_string(), load])
            .envs(interpreter.environment())
            .envs(cluster.map(|address| ("DASK_ADDRESS", address)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter runs");
        let told = child.stdin.take();
        let tells = BufReader::new(child.stdout.take().expect("it is piped"));
        Script { child, told, tells }
    }

    /// Runs `tasks` tasks; how long they took, as the script tells it.
    pub(crate) fn run(&mut self, tasks: u64) -> f64 {
        let told = self.told.as_mut().expect("it is open");
        writeln!(told, "{tasks}").expect("the script lives");
        let mut line = String::new();
        self.tells.read_line(&mut line).expect("the script lives");
        line.trim().parse().unwrap_or_else(|_| panic!("the script said `{line}`"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // At the end of what it is told, it ends its pool and itself.
        self.told = None;
        let _ = self.child.wait();
    }
}
