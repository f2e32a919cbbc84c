//! `file` on compio: opening, reading, writing and syncing are requests to io_uring, and the loop stays free meanwhile.

use std::io;
use std::sync::Arc;

use compio::BufResult;
use compio::fs::{self, File, OpenOptions};
use compio::io::AsyncWriteAtExt as _;
use compio_send_wrapper::SendWrapper;

use super::FileStep;
use crate::agent::task::{Outcome, Task};
use crate::workload::FileOperation;

impl FileStep {
    pub(super) async fn on_compio(&self, index: u64) -> Outcome {
        match self.operation {
            FileOperation::Read => self.read_on_compio(index).await,
            FileOperation::Write => self.write_on_compio(index).await,
            FileOperation::Append => self.append_on_compio(index).await,
        }
    }

    async fn read_on_compio(&self, index: u64) -> Outcome {
        let path = self.read_path(index);
        let read = match fs::read(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(&path, index).map_err(|error| self.failed("make", &path, &error))?;
                fs::read(&path).await
            }
            read => read,
        };
        read.map(|bytes| Task::digest(&bytes)).map_err(|error| self.failed("read", &path, &error))
    }

    async fn write_on_compio(&self, index: u64) -> Outcome {
        let path = self.write_path(index);
        let written = async {
            let mut file = File::create(&path).await?;
            let BufResult(written, _) = file.write_all_at(Arc::clone(self.content(index)), 0).await;
            written?;
            if self.fsync { file.sync_all().await } else { Ok(()) }
        };
        written.await.map_err(|error| self.failed("write", &path, &error))?;
        Ok(self.reference_sum(index))
    }

    async fn append_on_compio(&self, index: u64) -> Outcome {
        let appended = async {
            let mut log = self.log_on_compio().await?;
            // Where a file is appended to, its end is the place, whatever is named.
            let BufResult(written, _) = log.write_all_at(Arc::clone(self.content(index)), 0).await;
            written?;
            if self.fsync { log.sync_data().await } else { Ok(()) }
        };
        appended.await.map_err(|error| self.failed("append to", &self.log_path(), &error))?;
        Ok(self.reference_sum(index))
    }

    /// The log, which the first task opens. Of those that begin together each may open it; one file stays.
    async fn log_on_compio(&self) -> io::Result<&File> {
        let log = match self.log_of_compio.get() {
            Some(log) => log,
            None => {
                let mut options = OpenOptions::new();
                options.write(true).create(true).custom_flags(libc::O_APPEND);
                let opened = options.open(self.log_path()).await?;
                self.log_of_compio.get_or_init(|| SendWrapper::new(opened))
            }
        };
        log.get().ok_or_else(|| io::Error::other("the log was opened on another thread"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use crate::agent::steps::testing::{compio_runtime, on_compio, step_job};
    use crate::agent::steps::{Place, build};
    use crate::protocol::{FailureKind, Job, StepJob};
    use crate::workload::Step;

    /// The task of one step for a loop of compio, in this directory.
    pub(in super::super) fn on_compio_in(step: &StepJob, directory: &Path) -> Task {
        build(&Job { directory: Some(directory.to_owned()), ..on_compio(step) }, Place::Agent).expect("a task")
    }

    fn file(operation: FileOperation, fsync: bool) -> StepJob {
        step_job(Step::File { operation, size_bytes: 1000, fsync })
    }

    /// Runs this on a runtime of compio, where there is one.
    fn run<T>(future: impl Future<Output = T>) -> Option<T> {
        compio_runtime().map(|runtime| runtime.block_on(future))
    }

    #[test]
    fn a_log_grows_by_whole_records_and_is_emptied_between_blocks() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = Arc::new(on_compio_in(&file(FileOperation::Append, true), directory.path()));
        let path = directory.path().join("step-1/log");
        run(async {
            for block in 0..2 {
                let append = |index| {
                    let task = Arc::clone(&task);
                    compio::runtime::spawn(async move { task.asynchronous(index).await })
                };
                let running: Vec<_> = (0..40).map(append).collect();
                for appended in running {
                    appended.await.expect("no panic").expect("appends");
                }
                let log = std::fs::read(&path).expect("a log");
                assert_eq!(log.len(), 40_000, "block {block}");
                // Records of sixteen variants, none within another.
                let kinds: std::collections::HashSet<&[u8]> = log.chunks(1000).collect();
                assert_eq!(kinds.len(), crate::protocol::VARIANTS as usize);
                task.settle();
                assert_eq!(std::fs::metadata(&path).expect("a log").len(), 0);
            }
        });
    }

    #[test]
    fn the_loop_is_free_while_a_file_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = Arc::new(on_compio_in(&file(FileOperation::Read, false), directory.path()));
        task.prepare(None);
        run(async {
            let reading = std::cell::Cell::new(true);
            let read = async {
                task.asynchronous(0).await.expect("reads");
                reading.set(false);
            };
            // On tokio the read would end within its first poll.
            let mut read = std::pin::pin!(read);
            let first = std::future::poll_fn(|context| std::task::Poll::Ready(read.as_mut().poll(context))).await;
            assert!(first.is_pending() && reading.get());
            read.await;
            assert!(!reading.get());
        });
    }

    #[test]
    fn a_file_that_cannot_be_had_is_a_failure_of_its_task() {
        let directory = tempfile::tempdir().expect("a directory");
        for operation in [FileOperation::Read, FileOperation::Write, FileOperation::Append] {
            let task = on_compio_in(&file(operation, false), directory.path());
            std::fs::remove_dir_all(directory.path().join("step-1")).expect("removed");
            let Some(failed) = run(task.asynchronous(0)) else { return };
            let failed = failed.expect_err("fails");
            assert_eq!((failed.kind, failed.place.as_str()), (FailureKind::Task, "step 1 (file)"), "{failed}");
        }
    }
}
