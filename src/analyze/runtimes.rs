//! How the runtimes of a session stand to each other, where they did the same work.

use super::compare::{is_of, throughput_between};
use super::figures::estimate;
use super::{Group, RuntimeStanding};
use crate::record::{Phase, Record};
use crate::workload::Step;

/// Why throughput says nothing beside that of another language.
const OTHER_WORK: &str =
    "not compared: a step's `time` is other work in each language; a step with an `input` is the same in all";

/// A runtime with who runs for it.
struct Runner<'a> {
    group: &'a Group,
    /// Its candidate: an index into the record's.
    candidate: Option<usize>,
    /// What tells its work from that of others: its language, where a step's time was calibrated for each.
    work: Option<&'a str>,
}

/// The standing of each runtime; none where there is but one.
pub(super) fn standings(record: &Record, groups: &[Group]) -> Vec<RuntimeStanding> {
    if groups.len() < 2 {
        return Vec::new();
    }
    let runners: Vec<Runner<'_>> = groups.iter().map(|group| Runner::of(record, group)).collect();
    let fastest = fastest(&runners);
    runners.iter().map(|runner| runner.standing(record, fastest)).collect()
}

/// The fastest of those that did the work that most did.
fn fastest<'a>(runners: &'a [Runner<'a>]) -> Option<&'a Runner<'a>> {
    let alike = |one: &&Runner<'_>| runners.iter().filter(|other| other.work == one.work).count();
    let common = runners.iter().max_by_key(alike).filter(|one| alike(one) > 1)?;
    let alike = runners.iter().filter(|one| one.work == common.work && one.throughput().is_some());
    alike.max_by(|one, other| one.throughput().unwrap_or(0.0).total_cmp(&other.throughput().unwrap_or(0.0)))
}

impl<'a> Runner<'a> {
    fn of(record: &'a Record, group: &'a Group) -> Runner<'a> {
        let ran = |index: &usize| record.candidates[*index].timed().any(|block| is_of(record, block, Phase::Runtimes));
        let in_phase = group.rows.iter().map(|row| row.index as usize).find(ran);
        let calibration = record.calibration.runtime(&group.runtime);
        let is_calibrated = record.workload.steps.iter().filter_map(Step::cpu).any(|cpu| cpu.time_ns.is_some());
        Runner {
            group,
            candidate: in_phase.or(group.answer.as_ref().map(|answer| answer.candidate as usize)),
            work: calibration.filter(|_| is_calibrated).map(|calibration| calibration.hello.language.as_str()),
        }
    }

    fn throughput(&self) -> Option<f64> {
        let row = self.group.rows.iter().find(|row| Some(row.index as usize) == self.candidate)?;
        Some(row.throughput_per_s?.value)
    }

    fn standing(&self, record: &Record, fastest: Option<&Runner<'_>>) -> RuntimeStanding {
        let comparable = fastest.filter(|fastest| fastest.work == self.work);
        let ratio = comparable
            .and_then(|fastest| throughput_between(record, self.candidate?, fastest.candidate?, Phase::Runtimes));
        let relative = ratio.and_then(|ratio| estimate(ratio.exp()));
        let note = match (relative, comparable) {
            (Some(_), _) => None,
            (None, Some(_)) => Some("not compared: it did not run in the same rounds as the others".to_owned()),
            (None, None) => Some(OTHER_WORK.to_owned()),
        };
        RuntimeStanding {
            runtime: self.group.runtime.clone(),
            candidate: self.candidate.map(|candidate| candidate as u32),
            relative,
            note,
        }
    }
}
