//! `command`: a program run without a shell.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};

use super::Label;
use crate::agent::loops::Loop;
use crate::agent::task::{BoxFuture, Outcome, Step};
use crate::protocol::Failed;

/// Starts the program, waits for its end and compares its exit status. Its input and output are empty;
/// what it writes to standard error reaches the agent's.
pub(super) struct CommandStep {
    label: Label,
    program: String,
    arguments: Vec<String>,
    expect_status: i32,
    on: Loop,
}

impl CommandStep {
    pub(super) fn new(label: Label, argv: &[String], expect_status: i32, on: Loop) -> Result<CommandStep, Failed> {
        let (program, arguments) = argv.split_first().ok_or_else(|| label.setup("`argv` is empty"))?;
        Ok(CommandStep { label, program: program.clone(), arguments: arguments.to_vec(), expect_status, on })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn judge(&self, ended: io::Result<ExitStatus>) -> Outcome {
        let program = &self.program;
        let status = ended.map_err(|error| {
            self.label.task(match error.kind() {
                io::ErrorKind::NotFound => format!("cannot run `{program}`: not found; check argv[0] or PATH"),
                io::ErrorKind::PermissionDenied => {
                    format!("cannot run `{program}`: permission denied; check that it is executable")
                }
                _ => format!("cannot run `{program}`: {error}"),
            })
        })?;
        match (status.code(), status.signal()) {
            (Some(code), _) if code == self.expect_status => Ok(self.label.checksum()),
            (Some(code), _) => Err(self.label.task(format!(
                "`{program}` ended with exit status {code}, expected {}; check argv or expect_status",
                self.expect_status
            ))),
            (None, Some(signal)) => Err(self.label.task(format!("`{program}` was ended by signal {signal}"))),
            (None, None) => Err(self.label.task(format!("`{program}` ended in an unknown way: {status}"))),
        }
    }
}

impl Step for CommandStep {
    fn blocking(&self, _index: u64) -> Outcome {
        self.judge(self.command().status())
    }

    fn asynchronous(&self, _index: u64) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            let ended = match self.on {
                Loop::Smol => {
                    // It takes what it is not told itself for inherited.
                    let mut command = async_process::Command::from(self.command());
                    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status().await
                }
                // It has no form for compio, and is not made for it.
                _ => tokio::process::Command::from(self.command()).kill_on_drop(true).status().await,
            };
            self.judge(ended)
        })
    }

    fn reference(&self, _index: u64) -> Outcome {
        Ok(self.label.checksum())
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::loops::run_on;
    use crate::agent::steps::testing::{check_forms, in_agent, on_smol, runtime, step_job};
    use crate::protocol::{FailureKind, StepJob};
    use crate::workload::Step;

    fn run(argv: &[&str], expect_status: i32) -> StepJob {
        step_job(Step::Command { argv: argv.iter().map(|word| (*word).to_owned()).collect(), expect_status })
    }

    /// The messages of all forms, which must agree.
    fn message(job: &StepJob) -> String {
        let task = in_agent(job);
        let failed = task.blocking(0).expect_err("fails");
        assert_eq!(runtime().block_on(task.asynchronous(0)), Err(failed.clone()));
        let executor = std::rc::Rc::new(async_executor::LocalExecutor::new());
        assert_eq!(run_on(&executor, on_smol(job).asynchronous(0)), Err(failed.clone()));
        assert_eq!((failed.kind, failed.place.as_str()), (FailureKind::Task, "step 1 (command)"));
        failed.message
    }

    #[test]
    fn the_expected_status_is_success_in_both_forms() {
        check_forms(&run(&["/bin/sh", "-c", "exit 3"], 3));
    }

    #[test]
    fn failures_say_what_to_do() {
        assert_eq!(
            message(&run(&["no-such-program"], 0)),
            "cannot run `no-such-program`: not found; check argv[0] or PATH"
        );
        assert_eq!(
            message(&run(&["/bin/sh", "-c", "exit 7"], 0)),
            "`/bin/sh` ended with exit status 7, expected 0; check argv or expect_status"
        );
        assert_eq!(message(&run(&["/bin/sh", "-c", "kill -9 $$"], 0)), "`/bin/sh` was ended by signal 9");
    }

    #[test]
    fn no_shell_reads_the_arguments() {
        assert!(in_agent(&run(&["/usr/bin/test", "$HOME", "=", "$HOME"], 0)).blocking(0).is_ok());
    }
}
