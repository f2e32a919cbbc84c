//! `file`: one file operation in the session's own directory.
//!
//! The async form is the blocking form on the loop: there is no asynchronous file I/O behind tokio's
//! `fs`, only its blocking pool, which is an engine of its own here. compio has it, by io_uring.

#[cfg(feature = "compio")]
mod uring;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::Label;
use super::kernels::input_seed;
use crate::agent::loops::Loop;
use crate::agent::task::{BoxFuture, Outcome, Step, Task, pattern};
use crate::protocol::{Failed, Job, VARIANTS};
use crate::workload::FileOperation;

/// Written files never exceed this together, unless that many are in flight at once.
const WRITTEN_BYTES: u64 = 256 << 20;
/// Nor are there more of them, unless that many tasks are in flight at once.
const WRITTEN_FILES: u64 = 4096;

/// Reads one of [`VARIANTS`] files whole, writes a file whole, or appends to a log that all tasks share.
///
/// After each block, what was written is removed and the log is emptied, so that every block of every
/// candidate begins with the same directory.
pub(super) struct FileStep {
    label: Label,
    operation: FileOperation,
    size_bytes: u64,
    fsync: bool,
    directory: PathBuf,
    seed: u64,
    /// How many files are written in turn: as many as are in flight at least, so that none is shared.
    files: u64,
    contents: [OnceLock<Arc<[u8]>>; VARIANTS as usize],
    log: OnceLock<Result<File, Failed>>,
    #[cfg(feature = "compio")]
    log_of_compio: OnceLock<compio_send_wrapper::SendWrapper<compio::fs::File>>,
    on: Loop,
}

impl FileStep {
    pub(super) fn new(
        label: Label,
        job: &Job,
        operation: FileOperation,
        size_bytes: u64,
        fsync: bool,
        on: Loop,
    ) -> Result<FileStep, Failed> {
        let session = job.directory.as_ref().ok_or_else(|| label.setup("the job names no directory for files"))?;
        let directory = session.join(format!("step-{}", label.number));
        fs::create_dir_all(&directory)
            .map_err(|error| label.setup(format!("cannot make the directory {}: {error}", directory.display())))?;
        let bounded = (WRITTEN_BYTES / size_bytes.max(1)).clamp(1, WRITTEN_FILES);
        Ok(FileStep {
            label,
            operation,
            size_bytes,
            fsync,
            directory,
            seed: job.seed,
            files: bounded.max(u64::from(job.load.max_in_flight())),
            contents: Default::default(),
            log: OnceLock::new(),
            #[cfg(feature = "compio")]
            log_of_compio: OnceLock::new(),
            on,
        })
    }

    fn seed_of(&self, index: u64) -> u64 {
        input_seed(self.seed, self.label.number, index % VARIANTS)
    }

    /// What task `index` writes.
    fn content(&self, index: u64) -> &Arc<[u8]> {
        self.contents[(index % VARIANTS) as usize].get_or_init(|| pattern(self.size_bytes, self.seed_of(index)).into())
    }

    fn failed(&self, what: &str, path: &Path, error: &io::Error) -> Failed {
        self.label.task(format!("cannot {what} {}: {error}", path.display()))
    }

    /// The file that task `index` reads.
    fn read_path(&self, index: u64) -> PathBuf {
        self.directory.join(format!("read-{:016x}-{}", self.seed_of(index), self.size_bytes))
    }

    fn read(&self, index: u64) -> Outcome {
        let path = self.read_path(index);
        let read = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(&path, index).map_err(|error| self.failed("make", &path, &error))?;
                fs::read(&path)
            }
            read => read,
        };
        read.map(|bytes| Task::digest(&bytes)).map_err(|error| self.failed("read", &path, &error))
    }

    /// Makes a file to read. Whoever is first in any process makes it; a rename shows it only whole.
    fn make(&self, path: &Path, index: u64) -> io::Result<()> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let unique = format!("new-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let whole = self.directory.join(unique);
        fs::write(&whole, pattern(self.size_bytes, self.seed_of(index)))?;
        fs::rename(&whole, path)
    }

    /// The file that task `index` writes.
    fn write_path(&self, index: u64) -> PathBuf {
        self.directory.join(format!("w-{}", index % self.files))
    }

    fn write(&self, index: u64) -> Outcome {
        let path = self.write_path(index);
        let content = self.content(index);
        self.write_file(&path, content).map_err(|error| self.failed("write", &path, &error))?;
        Ok(self.reference_sum(index))
    }

    fn write_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        if self.fsync { file.sync_all() } else { Ok(()) }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn append(&self, index: u64) -> Outcome {
        let opened = self.log.get_or_init(|| {
            let path = self.log_path();
            let opened = OpenOptions::new().append(true).create(true).open(&path);
            opened.map_err(|error| self.failed("open", &path, &error))
        });
        let mut log = opened.as_ref().map_err(Failed::clone)?;
        let written =
            log.write_all(self.content(index)).and_then(|()| if self.fsync { log.sync_data() } else { Ok(()) });
        written.map_err(|error| self.failed("append to", &self.log_path(), &error))?;
        Ok(self.reference_sum(index))
    }

    /// Written bytes are the same in every task of a variant: their seed stands for them.
    fn reference_sum(&self, index: u64) -> u64 {
        self.seed_of(index)
    }

    fn clear(&self) -> io::Result<()> {
        match self.operation {
            FileOperation::Read => return Ok(()),
            // Writers in other processes append: they go on from the new end.
            FileOperation::Append => File::create(self.log_path()).map(drop)?,
            FileOperation::Write => {
                for entry in fs::read_dir(&self.directory)? {
                    fs::remove_file(entry?.path())?;
                }
            }
        }
        rustix::fs::syncfs(File::open(&self.directory)?)?;
        Ok(())
    }
}

impl Step for FileStep {
    fn blocking(&self, index: u64) -> Outcome {
        match self.operation {
            FileOperation::Read => self.read(index),
            FileOperation::Write => self.write(index),
            FileOperation::Append => self.append(index),
        }
    }

    fn asynchronous(&self, index: u64) -> BoxFuture<'_, Outcome> {
        match self.on {
            Loop::Tokio | Loop::Smol => Box::pin(async move { self.blocking(index) }),
            #[cfg(feature = "compio")]
            Loop::Compio => Box::pin(compio_send_wrapper::SendWrapper::new(self.on_compio(index))),
        }
    }

    fn prepare(&self, index: Option<u64>) {
        for index in index.map_or(0..VARIANTS, |index| index..index.saturating_add(1)) {
            match self.operation {
                FileOperation::Read => {
                    let path = self.read_path(index);
                    if !path.exists() {
                        // The task that reads it tries again, and fails with the reason.
                        let _ = self.make(&path, index);
                    }
                }
                FileOperation::Write | FileOperation::Append => drop(self.content(index)),
            }
        }
    }

    fn reference(&self, index: u64) -> Outcome {
        Ok(match self.operation {
            FileOperation::Read => Task::digest(&pattern(self.size_bytes, self.seed_of(index))),
            FileOperation::Write | FileOperation::Append => self.reference_sum(index),
        })
    }

    fn settle(&self) {
        // It can only fail where the next task fails too, and says so: a directory that is gone, a disk
        // that does not answer.
        let _ = self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "compio")]
    use crate::agent::steps::testing::check_on_compio;
    use crate::agent::steps::testing::{check_task, in_directory, job, step_job};
    use crate::agent::steps::{Place, build};
    use crate::protocol::{FailureKind, StepJob};
    use crate::workload::Step as Description;

    fn file(operation: FileOperation, fsync: bool) -> StepJob {
        step_job(Description::File { operation, size_bytes: 1000, fsync })
    }

    #[test]
    fn both_forms_agree_for_every_operation() {
        for operation in [FileOperation::Read, FileOperation::Write, FileOperation::Append] {
            for fsync in [false, true] {
                let directory = tempfile::tempdir().expect("a directory");
                check_task(in_directory(&file(operation, fsync), directory.path().to_owned()));
                #[cfg(feature = "compio")]
                check_on_compio(uring::tests::on_compio_in(&file(operation, fsync), directory.path()));
            }
        }
    }

    #[test]
    fn a_read_sees_what_the_file_holds() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = in_directory(&file(FileOperation::Read, false), directory.path().to_owned());
        let sum = task.blocking(3).expect("reads");
        for entry in fs::read_dir(directory.path().join("step-1")).expect("made") {
            let path = entry.expect("an entry").path();
            fs::write(path, "other").expect("writes");
        }
        assert_ne!(task.blocking(3).expect("reads"), sum);
    }

    #[test]
    fn files_to_read_are_there_before_the_first_task() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = in_directory(&file(FileOperation::Read, false), directory.path().to_owned());
        let count = || fs::read_dir(directory.path().join("step-1")).expect("made").count() as u64;
        task.prepare(Some(VARIANTS + 3));
        assert_eq!(count(), 1);
        task.prepare(None);
        assert_eq!(count(), VARIANTS);
        task.blocking(3).expect("reads");
        assert_eq!(count(), VARIANTS);
    }

    #[test]
    fn written_bytes_are_there_until_the_block_settles() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = in_directory(&file(FileOperation::Write, false), directory.path().to_owned());
        for index in 0..5000 {
            task.blocking(index).expect("writes");
        }
        let made = directory.path().join("step-1");
        let sizes: Vec<u64> = fs::read_dir(&made)
            .expect("made")
            .map(|entry| entry.and_then(|entry| entry.metadata()).expect("an entry").len())
            .collect();
        assert_eq!((sizes.len(), sizes.iter().all(|size| *size == 1000)), (4096, true));
        task.settle();
        assert_eq!(fs::read_dir(&made).expect("there").count(), 0);
    }

    #[test]
    fn a_log_grows_by_whole_records_and_is_emptied_between_blocks() {
        let directory = tempfile::tempdir().expect("a directory");
        let task = in_directory(&file(FileOperation::Append, true), directory.path().to_owned());
        let length = || fs::metadata(directory.path().join("step-1/log")).expect("a log").len();
        for block in 0..2 {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let task = &task;
                    scope.spawn(move || {
                        for i in 0..10 {
                            task.blocking(thread * 10 + i).expect("appends");
                        }
                    });
                }
            });
            assert_eq!(length(), 40_000, "block {block}");
            task.settle();
            assert_eq!(length(), 0);
        }
    }

    #[test]
    fn no_directory_is_a_failure_of_its_step() {
        let failed = build(&job(&[file(FileOperation::Read, false)]), Place::Agent).map(|_| ()).expect_err("fails");
        assert_eq!(failed.to_string(), "step 1 (file): the job names no directory for files");
        let directory = tempfile::tempdir().expect("a directory");
        let task = in_directory(&file(FileOperation::Write, false), directory.path().to_owned());
        directory.close().expect("removed");
        assert_eq!(task.blocking(0).expect_err("fails").kind, FailureKind::Task);
        task.settle();
    }
}
