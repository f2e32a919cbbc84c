//! A process spawned and reaped for each task.

use std::io::Write as _;
use std::sync::Arc;

use super::{Engine, cannot};
use crate::agent::ipc::Shared;
use crate::agent::meter;
use crate::agent::sampler::{Lane, Sampler};
use crate::agent::task::Task;
use crate::agent::worker::{Ask, Request, Worker, encode_job, read_reply};
use crate::clock::now_ns;
use crate::protocol::{DRAWS, Failed, Job, Usage};

/// A thread for each task in flight spawns a process, hands it one task, and waits for its end.
pub(super) struct ProcessPerTask {
    task: Arc<Task>,
    job: Job,
    shared: Shared,
    in_flight: u32,
}

impl ProcessPerTask {
    pub(super) fn new(job: &Job, task: Arc<Task>, in_flight: u32) -> Result<ProcessPerTask, Failed> {
        Ok(ProcessPerTask { task, job: job.clone(), shared: Shared::create(job, in_flight)?, in_flight })
    }

    /// The whole life of one task's process.
    fn run_one(&self, lane: Lane, index: u64, sampler: &Sampler) -> Result<(), Failed> {
        let submitted_ns = now_ns();
        sampler.begun_at(lane, submitted_ns);
        let job = encode_job(&self.job_of(index))?;
        let mut worker = Worker::start(&job, lane.slot, &self.shared.descriptors(lane.slot))?;
        let mut frame = Vec::new();
        Request::encode(&self.task, index, Ask::Task, true, &mut frame);
        let answer = worker.socket().and_then(|mut socket| {
            socket.write_all(&frame)?;
            read_reply(socket)
        });
        let (reply, payload) = answer.map_err(|error| worker.gone(lane.slot, &error))?;
        worker.end();
        sampler.ended_at(lane, submitted_ns, reply.begin_ns, reply.end_ns, reply.outcome(&payload));
        Ok(())
    }

    /// The job with just the draws of this task: a process made for one task is not handed tables.
    fn job_of(&self, index: u64) -> Job {
        let mut job = self.job.clone();
        for table in job.steps.iter_mut().flat_map(|step| &mut step.draws) {
            let draw = table.get(index as usize % DRAWS).copied();
            *table = draw.into_iter().collect();
        }
        job
    }
}

impl Engine for ProcessPerTask {
    fn slots(&self) -> u32 {
        self.in_flight
    }

    fn shards(&self) -> u32 {
        self.in_flight
    }

    fn run(&mut self, sampler: &Arc<Sampler>) -> Result<(), Failed> {
        let this = &*self;
        std::thread::scope(|scope| {
            for slot in 0..this.in_flight {
                let started = std::thread::Builder::new().spawn_scoped(scope, move || {
                    while let Some(index) = sampler.next() {
                        if let Err(failure) = this.run_one(Lane::own(slot), index, sampler) {
                            sampler.fail(failure);
                        }
                    }
                });
                if let Err(error) = started {
                    let failure = cannot("start a thread that waits for processes", &error);
                    // The threads that did start run tasks until they are told to stop, and are waited for.
                    sampler.fail(failure.clone());
                    return Err(failure);
                }
            }
            Ok(())
        })
    }

    fn pids(&self) -> Vec<u32> {
        self.shared.pids()
    }

    fn reaps_workers(&self) -> bool {
        true
    }

    fn workers_usage(&mut self) -> Result<Usage, Failed> {
        Ok(meter::live(&self.shared.pids()))
    }
}
