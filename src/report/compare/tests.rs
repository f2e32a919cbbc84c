//! What a comparison says, of two synthetic sessions.

use serde_json::Value;

use super::*;
use crate::analyze::Status;
use crate::analyze::sessions::{Session, compare};
use crate::report::Judged;
use crate::report::sample::{COLOURED, PLAIN_80, PLAIN_120, judged, of_two_runtimes, unanswered};
use crate::report::tests::golden;

fn sessions(all: &[Judged]) -> Vec<Session<'_>> {
    all.iter().map(|Judged { record, verdict }| Session { record, verdict }).collect()
}

fn compared(first: &[Judged], second: &[Judged], force: bool) -> Comparison {
    compare(&sessions(first), &sessions(second), force)
}

/// The same workload in a later session: its answer is the event loop now, and the pool of threads loses a fifth.
fn later() -> Judged {
    let mut judged = judged();
    let group = &mut judged.verdict.groups[0];
    let second = group.rows[1].clone();
    let answer = group.answer.as_mut().expect("an answer");
    answer.candidate = second.index;
    answer.model = second.candidate.model();
    answer.engine = second.candidate.engine;
    answer.next_model.remove(0);
    answer.next_model[0].ratio = 0.021;
    (answer.next_model[0].low, answer.next_model[0].high) = (0.020_6, 0.021_4);
    group.rows[0].status = Status::Worse;
    group.rows[0].relative = Some(Estimate { value: 0.8, low: 0.78, high: 0.83 });
    group.rows[1].status = Status::Best;
    judged
}

/// The same on another host, of another workload, by another version.
fn elsewhere() -> Judged {
    let mut judged = later();
    judged.record.host.cpu = "Another | processor".to_owned();
    judged.record.workload.task_timeout_ns = 7;
    judged.record.conbench_version = "0.2.0".to_owned();
    judged
}

/// Each thing that is said: a choice that has changed, one that cannot be told, and what is in one alone.
fn everything() -> Comparison {
    let mut other = of_two_runtimes();
    other.record.workload.name = "other".to_owned();
    let mut bare = unanswered();
    bare.record.workload.name = "other".to_owned();
    compared(&[judged(), other], &[elsewhere(), bare, unanswered()], false)
}

#[test]
fn a_comparison_at_80_columns_and_in_markdown() {
    golden("src/report/golden/compare-80.txt", &comparison_table(&everything(), PLAIN_80));
    golden("src/report/golden/compare.md", &comparison_markdown(&everything()));
    let forced = compared(&[judged()], &[elsewhere()], true);
    golden("src/report/golden/compare-forced-120.txt", &comparison_table(&forced, PLAIN_120));
}

#[test]
fn figures_are_shown_with_a_warning_or_not_at_all() {
    let same = comparison_table(&compared(&[judged()], &[later()], false), PLAIN_120);
    assert!(same.contains("2 620/s") && same.contains("of two sessions spread"), "{same}");
    let refused = comparison_table(&compared(&[judged()], &[elsewhere()], false), PLAIN_120);
    assert!(!refused.contains("2 620/s") && refused.contains("--force shows"), "{refused}");
    // Ratios within a session are shown whatever differs.
    assert!(refused.contains("apart") && refused.contains("Another | processor"), "{refused}");
}

#[test]
fn colour_adds_no_word() {
    let plain: String = comparison_table(&everything(), PLAIN_120);
    let coloured = comparison_table(&everything(), COLOURED);
    assert_ne!(plain, coloured);
    let codes = regex::Regex::new("\u{1b}\\[[0-9]*m").expect("a legal expression");
    assert_eq!(codes.replace_all(&coloured, ""), plain);
}

#[test]
fn hostile_names_stay_words() {
    let hostile = "<script>|\u{1b}[2J\n\u{202e}\"#";
    let with = |cpu: &str| {
        let mut judged = of_two_runtimes();
        judged.record.workload.name = hostile.to_owned();
        judged.record.host.cpu = cpu.to_owned();
        judged.record.host.kernel = format!("{hostile}{cpu}");
        judged
    };
    let compared = compared(&[with("a")], &[with("b"), unanswered()], false);
    for text in [comparison_table(&compared, PLAIN_80), comparison_markdown(&compared)] {
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text}");
    }
    assert!(!comparison_markdown(&compared).contains("<script"));
}

#[test]
fn json_keeps_its_schema() {
    let schema = serde_json::to_value(comparison_schema()).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    for comparison in [everything(), compared(&[judged()], &[judged()], false), compared(&[], &[judged()], false)] {
        let text = comparison_json(&comparison).expect("it can be written");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(validator.is_valid(&value), "{text}");
        assert_eq!(value["format_version"], 1);
    }
    let value: Value = serde_json::from_str(&comparison_json(&everything()).expect("written")).expect("JSON");
    let pair = &value["pairs"][0];
    assert_eq!((&pair["choice"]["choice"], &pair["choice"]["why"]["because"]), (&"changed".into(), &"loses".into()));
    assert_eq!(pair["figures"], Value::Null);
    golden("reports/comparison.schema.json", &(serde_json::to_string_pretty(&schema).expect("JSON") + "\n"));
}
