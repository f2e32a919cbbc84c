//! The answer of one workload.

use std::fmt;

use super::Error;
use crate::candidate::{Engine, Model};
use crate::cli::bench;
use crate::escape::plain;
use crate::record::{Ending, Record};
use crate::report::{self, Judged};

/// Which tool to use for a workload on this host, what that may cost, and why.
///
/// Its text ([`Display`](fmt::Display)) is what a terminal shows: the answer, the code to paste, and how the other models
/// compare.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The workload's name.
    pub workload: String,
    /// The model: a plain loop, threads, async, processes, or a mix.
    pub model: Model,
    /// The implementation that was measured: a thread pool, rayon, a runtime of tokio, ..
    pub engine: Engine,
    /// How many threads or processes; `None` where there are none.
    pub workers: Option<u32>,
    /// How many tasks are begun and not ended at a time, on an event loop; `None` elsewhere.
    pub in_flight: Option<u32>,
    /// What this answer may cost at most, with 95 % confidence: 0.03 says that nothing which was tried is more than 3 %
    /// better.
    pub may_cost: f64,
    /// Why, in a sentence or several.
    pub why: String,
    /// Code to start from; `task` and `items` are yours.
    pub code: String,
    judged: Box<Judged>,
}

impl Answer {
    pub(super) fn of(judged: Judged) -> Result<Answer, Error> {
        let name = plain(&judged.record.workload.name);
        let why = report::why(&judged);
        let Some(answer) = judged.verdict.groups.first().and_then(|group| group.answer.as_ref()) else {
            let was_interrupted = judged.record.ending == Ending::Interrupted;
            let early = if was_interrupted { ", since it was interrupted" } else { "" };
            return Err(Error::no_answer(format!("`{name}` has no answer{early}: {why}"), was_interrupted));
        };
        Ok(Answer {
            workload: judged.record.workload.name.clone(),
            model: answer.model,
            engine: answer.engine,
            workers: answer.workers,
            in_flight: answer.in_flight,
            may_cost: answer.may_cost,
            why,
            code: report::codes().document(std::slice::from_ref(&judged)),
            judged: Box::new(judged),
        })
    }

    /// Everything that was measured.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.judged.record
    }

    /// The record with its verdict as JSON, as `conbench report` reads it and `conbench schema record` describes it.
    ///
    /// # Errors
    /// When a figure cannot be written, which would be a fault of this library.
    pub fn to_json(&self) -> Result<String, Error> {
        report::records_json(std::slice::from_ref(&*self.judged)).map_err(Error::other)
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(bench::text(&self.judged).trim_end())
    }
}
