//! JUnit's XML: a test suite a workload, a test case a runtime.
//!
//! A case has passed where its answer is sure or likely, and nothing disturbed the host. It is skipped where what was
//! measured does not settle it: the answer is rough, or the host was disturbed. It is an error where nothing could be
//! compared. No case is a failure: what would have failed is for a comparison to say.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::ExportError;
use super::line::{reason, status};
use crate::analyze::{Answer, Group, Sureness};
use crate::escape::plain;
use crate::report::words::{self, row};
use crate::report::{Judged, reasons, sureness};

/// One suite of a test report.
pub(in crate::report) struct Suite {
    /// What was tested.
    pub(in crate::report) name: String,
    /// How long that took.
    pub(in crate::report) time: Duration,
    /// What is to be known of all of its cases.
    pub(in crate::report) properties: Vec<(&'static str, String)>,
    /// The cases.
    pub(in crate::report) cases: Vec<Case>,
}

/// One case of a suite.
pub(in crate::report) struct Case {
    /// Its name within the suite.
    pub(in crate::report) name: String,
    /// What it came to.
    pub(in crate::report) status: TestCaseStatus,
    /// Its figures.
    pub(in crate::report) properties: Vec<(&'static str, String)>,
    /// What a reader should see, a line each.
    pub(in crate::report) output: Vec<String>,
}

/// The report of these suites.
pub(in crate::report) fn document(suites: Vec<Suite>) -> Result<String, ExportError> {
    let mut report = Report::new("conbench");
    report.set_time(suites.iter().map(|suite| suite.time).sum());
    for suite in suites {
        let mut written = TestSuite::new(&suite.name);
        written.set_time(suite.time);
        written.add_properties(suite.properties.iter().map(|(name, value)| (*name, value.as_str())));
        written.add_test_cases(suite.cases.into_iter().map(|case| written_case(&suite.name, case)));
        report.add_test_suite(written);
    }
    Ok(report.to_string()?)
}

fn written_case(suite: &str, case: Case) -> TestCase {
    let mut written = TestCase::new(case.name, case.status);
    written.set_classname(suite);
    written.add_properties(case.properties.iter().map(|(name, value)| (*name, value.as_str())));
    if !case.output.is_empty() {
        written.set_system_out(case.output.join("\n"));
    }
    written
}

/// What a case came to that did not pass: of this kind, for this reason, with everything else in its body.
pub(in crate::report) fn failed(kind: NonSuccessKind, name: &str, message: &str, body: &[String]) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name).set_message(message);
    if !body.is_empty() {
        status.set_description(body.join("\n"));
    }
    status
}

/// What a case came to of which nothing can be said.
pub(in crate::report) fn skipped(message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(message);
    status
}

/// The answers of these records.
pub(in crate::report) fn text(all: &[Judged]) -> Result<String, ExportError> {
    document(all.iter().map(suite).collect())
}

fn suite(judged: &Judged) -> Suite {
    let record = &judged.record;
    Suite {
        name: plain(&record.workload.name),
        time: Duration::from_nanos(record.elapsed_ns),
        properties: vec![
            ("conbench_version", plain(&record.conbench_version)),
            ("began_at", plain(&record.began_at)),
            ("host", words::host(record)),
            ("circumstances", words::circumstances(judged)),
        ],
        cases: judged.verdict.groups.iter().map(|group| case(judged, group)).collect(),
    }
}

fn case(judged: &Judged, group: &Group) -> Case {
    let name = plain(&group.runtime);
    let Some(answer) = &group.answer else {
        let why = reasons::why(judged, group);
        let status = failed(NonSuccessKind::Error, "no_answer", &format!("no answer: {why}"), &outs(group));
        return Case { name, status, properties: Vec::new(), output: Vec::new() };
    };
    let said =
        words::answer(judged, group).into_iter().map(|(label, sentence)| format!("{label} {}", plain(&sentence)));
    let sure = answer.sureness(judged.verdict.tolerance);
    let status = if sure == Sureness::Rough {
        skipped(&format!("rough: {}", sureness::bound(answer)))
    } else if judged.verdict.is_disturbed {
        skipped(&format!("the host was disturbed; {}: {}", sureness::word(sure), sureness::bound(answer)))
    } else {
        TestCaseStatus::success()
    };
    Case { name, status, properties: properties(judged, group, answer), output: said.chain(outs(group)).collect() }
}

fn properties(judged: &Judged, group: &Group, answer: &Answer) -> Vec<(&'static str, String)> {
    let mut all = vec![("model", answer.model.to_string()), ("engine", answer.engine.to_string())];
    let best = row(group, answer.candidate);
    all.extend(best.map(|best| ("candidate", best.candidate.short())));
    let sizes = [("workers", answer.workers), ("in_flight", answer.in_flight), ("chunk", answer.chunk)];
    all.extend(sizes.into_iter().filter_map(|(name, size)| Some((name, size?.to_string()))));
    all.push(("may_cost", answer.may_cost.to_string()));
    all.push(("sureness", sureness::word(answer.sureness(judged.verdict.tolerance)).to_owned()));
    if let Some(throughput) = best.and_then(|best| best.throughput_per_s) {
        all.push(("throughput_per_s", throughput.value.to_string()));
        all.push(("throughput_low_per_s", throughput.low.to_string()));
        all.push(("throughput_high_per_s", throughput.high.to_string()));
    }
    all
}

/// The candidates that are out, and why.
fn outs(group: &Group) -> Vec<String> {
    let out = |row: &crate::analyze::Row| {
        Some(format!("{} {}: {}", row.candidate.short(), status(&row.status), plain(reason(&row.status)?)))
    };
    group.rows.iter().filter_map(out).collect()
}
