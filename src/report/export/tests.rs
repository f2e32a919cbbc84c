//! Each format is read again as its reader does, with ordinary and with hostile names.

use std::collections::{BTreeMap, HashSet};

use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use serde::Deserialize;
use serde_json::Value;

use super::line::lines;
use super::{Export, csv, export, github, jsonl_schema};
use crate::analyze::{Row, Status};
use crate::report::Judged;
use crate::report::sample::{judged, of_two_runtimes, rough, unanswered};
use crate::report::tests::golden;

/// A name that would end, or begin, something in every format.
const HOSTILE: &str =
    "=<script>alert(\"1\")</script>,';|`]]>\r\n# {\u{1b}[2J} \u{202e}moc.live\u{0}\u{7}\u{ffff}\u{feff}ü";

/// One of each thing.
fn several() -> Vec<Judged> {
    vec![judged(), rough(), unanswered(), of_two_runtimes()]
}

/// The same, and one whose names and texts are hostile.
fn hostile() -> Vec<Judged> {
    let mut all = several();
    let mut judged = of_two_runtimes();
    judged.record.workload.name = HOSTILE.to_owned();
    judged.record.workload.use_case = HOSTILE.to_owned();
    judged.record.conbench_version = HOSTILE.to_owned();
    judged.record.began_at = HOSTILE.to_owned();
    judged.record.host.cpu = HOSTILE.to_owned();
    for group in &mut judged.verdict.groups {
        group.runtime = format!("{HOSTILE}{}", group.runtime);
        for row in &mut group.rows {
            if let Status::Failed { reason } = &mut row.status {
                *reason = HOSTILE.to_owned();
            }
        }
    }
    judged.verdict.groups[1].answer = None;
    all.push(judged);
    all
}

fn text(format: Export, all: &[Judged]) -> String {
    export(format, all).expect("it can be written")
}

fn rows(all: &[Judged]) -> Vec<&Row> {
    all.iter().flat_map(|judged| &judged.verdict.groups).flat_map(|group| &group.rows).collect()
}

/// No character of a text steers a terminal, or a reader's eye.
fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

const EVERY: [Export; 6] = [Export::Csv, Export::Jsonl, Export::Junit, Export::Bmf, Export::Github, Export::Gab];

#[test]
fn nothing_steers_in_any_format() {
    for format in EVERY {
        let text = text(format, &hostile());
        assert!(is_harmless(&text), "{format:?}");
        assert!(text.ends_with('\n'), "{format:?}");
    }
    // Where a name may be markup, it is none.
    for format in [Export::Junit, Export::Github] {
        assert!(!text(format, &hostile()).contains("<script"), "{format:?}");
    }
}

#[test]
fn a_csv_row_is_a_candidate() {
    let all = hostile();
    let text = text(Export::Csv, &all);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().expect("a header").iter().collect::<Vec<_>>(), csv::COLUMNS);
    let read: Vec<BTreeMap<String, String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(read.len(), rows(&all).len());
    // A row is a line, whatever reads it.
    assert_eq!(text.lines().count(), 1 + read.len());
    for (read, row) in read.iter().zip(rows(&all)) {
        assert_eq!(read["candidate"], row.candidate.short());
        let throughput = row.throughput_per_s.map(|it| it.value.to_string()).unwrap_or_default();
        assert_eq!(read["throughput_per_s"].trim_end_matches(".0"), throughput);
        assert!(!read["workload"].starts_with('='), "a spreadsheet takes {} for a formula", read["workload"]);
    }
    let (first, failed) = (&read[0], &read[5]);
    let cells = ["workload", "model", "workers", "status", "may_cost", "sureness", "service_p999_ns", "checked"];
    assert_eq!(
        cells.map(|cell| first[cell].as_str()),
        ["web-scraping", "threads", "64", "best", "0.028", "sure", "", "true"]
    );
    assert_eq!(failed["reason"], "step 1 (http): the server closed the connection; retry");
}

#[test]
fn csv_of_nothing_is_its_header() {
    assert_eq!(text(Export::Csv, &[]), csv::COLUMNS.join(",") + "\n");
    assert_eq!(text(Export::Jsonl, &[]), "");
}

#[test]
fn json_lines_have_the_members_of_csv_and_keep_their_schema() {
    let all = hostile();
    let text = text(Export::Jsonl, &all);
    let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    assert_eq!(read.len(), rows(&all).len());
    let schema = serde_json::to_value(jsonl_schema()).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let columns: HashSet<&str> = csv::COLUMNS.into_iter().collect();
    for line in &read {
        assert_eq!(line.as_object().expect("an object").keys().map(String::as_str).collect::<HashSet<_>>(), columns);
        assert!(validator.is_valid(line), "{line}");
    }
    // The columns stand in the order of the members.
    let first = text.lines().next().expect("a line");
    let places: Vec<usize> =
        csv::COLUMNS.iter().map(|column| first.find(&format!("\"{column}\":")).expect("a member")).collect();
    assert!(places.is_sorted(), "{first}");
    golden("reports/jsonl.schema.json", &(serde_json::to_string_pretty(&jsonl_schema()).expect("JSON") + "\n"));
}

#[test]
fn junit_has_a_suite_a_workload_and_a_case_a_runtime() {
    let mut sound = judged();
    sound.verdict.is_disturbed = false;
    let all = [vec![sound], hostile()].concat();
    let text = text(Export::Junit, &all);
    let report = Report::deserialize_from_str(&text).expect("a JUnit report");
    // The counts are those of the cases: readers believe them.
    assert_eq!((report.tests, report.errors, report.failures), (8, 2, 0));
    assert_eq!(report.skipped, 5);
    let names: Vec<&str> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names[..3], ["web-scraping", "web-scraping", "queue-pipeline"]);
    let cases: Vec<_> = report.test_suites.iter().flat_map(|suite| &suite.test_cases).collect();
    let property = |case: usize, name: &str| {
        let found = cases[case].properties.iter().find(|property| property.name.as_str() == name);
        found.map(|property| property.value.as_str().to_owned())
    };
    assert!(matches!(cases[0].status, TestCaseStatus::Success { .. }));
    assert_eq!(property(0, "candidate").as_deref(), Some("thread-pool@w64"));
    assert_eq!(property(0, "throughput_per_s").as_deref(), Some("2617"));
    let said = cases[0].system_out.as_ref().expect("the answer");
    assert!(said.starts_with("Use: threads, as `thread-pool@w64`"), "{}", said.as_str());
    let message = |case: usize| match &cases[case].status {
        TestCaseStatus::Success { .. } => None,
        TestCaseStatus::NonSuccess { message, .. } | TestCaseStatus::Skipped { message, .. } => message.as_deref(),
    };
    let disturbed =
        "the host was disturbed; sure: nothing tried is more than 3 % better (95 % confidence; 5 sizes tried)";
    assert_eq!(message(1), Some(disturbed));
    assert!(message(2).is_some_and(|it| it.starts_with("rough: nothing tried is more than 22 % better")));
    assert!(matches!(cases[3].status, TestCaseStatus::NonSuccess { kind: NonSuccessKind::Error, .. }));
    assert!(message(3).is_some_and(|it| it.starts_with("no answer: fewer than two candidates were measured")));
}

/// What Bencher's `json` adapter takes: a number, and perhaps its ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metric {
    value: f64,
    lower_value: Option<f64>,
    upper_value: Option<f64>,
}

type Bencher = BTreeMap<String, BTreeMap<String, Metric>>;

#[test]
fn bencher_reads_series_without_sizes() {
    let read: Bencher = serde_json::from_str(&text(Export::Bmf, &hostile())).expect("Bencher Metric Format");
    let answer = &read["web-scraping/rust/answer"];
    let throughput = &answer["throughput"];
    assert_eq!(throughput.value, 2_617.0);
    assert!(throughput.lower_value.is_some_and(|low| low < 2_617.0));
    assert!(throughput.upper_value.is_some_and(|high| high > 2_617.0));
    assert_eq!(answer["latency"].value, read["web-scraping/rust/thread-pool"]["latency"].value);
    for (name, measures) in &read {
        assert!(name.chars().count() <= 1024 && !name.contains('@'), "{name}");
        assert!(!measures.is_empty(), "{name}");
    }
    // The workload that was measured a second time has series of its own.
    assert!(read.contains_key("web-scraping/rust/answer (2)"), "{:?}", read.keys());
}

#[test]
fn a_series_keeps_its_name_when_sizes_change() {
    let names = |all: &[Judged]| {
        serde_json::from_str::<Bencher>(&text(Export::Bmf, all)).expect("BMF").into_keys().collect::<Vec<String>>()
    };
    let mut other = judged();
    for row in other.verdict.groups.iter_mut().flat_map(|group| &mut group.rows) {
        row.candidate.sizes.workers = row.candidate.sizes.workers.map(|workers| workers * 3);
    }
    assert_eq!(names(&[judged()]), names(&[other]));
}

#[test]
fn a_long_name_is_cut_to_what_bencher_takes() {
    let mut judged = judged();
    judged.record.workload.name = "ü".repeat(5000);
    let read: Bencher = serde_json::from_str(&text(Export::Bmf, &[judged])).expect("BMF");
    assert!(read.keys().all(|name| name.chars().count() <= 1024));
}

#[test]
fn github_action_benchmark_reads_both_arrays() {
    /// Its `BenchmarkResult`.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        name: String,
        value: f64,
        unit: String,
        range: Option<String>,
        extra: Option<String>,
    }
    let text = text(Export::Gab, &hostile());
    let mut read: BTreeMap<String, Vec<Entry>> = serde_json::from_str(&text).expect("two arrays");
    let (bigger, smaller) =
        (read.remove("customBiggerIsBetter").expect("one"), read.remove("customSmallerIsBetter").expect("the other"));
    assert!(read.is_empty());
    let first = &bigger[0];
    assert_eq!(
        (first.name.as_str(), first.value, first.unit.as_str()),
        ("web-scraping/rust/answer: throughput", 2_617.0, "tasks/s")
    );
    assert!(first.range.as_deref().is_some_and(|range| range.starts_with("± ")));
    assert_eq!(first.extra.as_deref(), Some("candidate: thread-pool@w64\nmodel: threads\nstatus: best"));
    assert!(smaller.iter().any(|entry| entry.name == "web-scraping/rust/answer: p99" && entry.unit == "ns"));
    // The action takes two entries of one name for one.
    let names: HashSet<&str> = bigger.iter().chain(&smaller).map(|entry| entry.name.as_str()).collect();
    assert_eq!(names.len(), bigger.len() + smaller.len());
}

#[test]
fn a_summary_has_the_choices_first_and_every_candidate() {
    let all = several();
    let text = text(Export::Github, &all);
    assert!(text.starts_with("### "), "{text}");
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    for line in lines(&all) {
        assert!(text.contains(&line.candidate), "{}", line.candidate);
    }
    assert!(!text.contains("Left out"));
    golden("src/report/golden/github.md", &super::export(Export::Github, &[judged()]).expect("written"));
}

#[test]
fn a_summary_ends_before_github_drops_it() {
    let mut all = Vec::new();
    for number in 0..400 {
        let mut judged = of_two_runtimes();
        judged.record.workload.name = format!("workload-{number}");
        all.push(judged);
    }
    let text = text(Export::Github, &all);
    assert!(text.len() <= github::MOST_BYTES, "{}", text.len());
    let last = text.lines().last().expect("a line");
    let left_out = "Left out, since a summary on GitHub has 1 MiB at most: ";
    assert!(last.starts_with(left_out) && last.ends_with("`conbench report` shows all."), "{last}");
    // What is cut is whole: every table that is begun is ended, and so is all code.
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    assert_eq!(text.lines().filter(|line| line.starts_with("```")).count() % 2, 0);
    let told: usize = last.split(|c: char| !c.is_ascii_digit()).filter_map(|it| it.parse::<usize>().ok()).sum();
    assert!(told > 400, "{last}");
}

#[test]
fn one_row_that_is_too_long_does_not_empty_a_summary() {
    let mut long = judged();
    long.record.workload.name = "x".repeat(3_000_000);
    let text = text(Export::Github, &[long, rough()]);
    assert!(text.len() <= github::MOST_BYTES);
    assert!(text.contains("queue-pipeline"), "{text}");
    assert!(text.contains("1 answer and "), "{text}");
}
