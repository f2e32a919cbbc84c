//! What a duel says, of a synthetic one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::candidate::{Candidate, Engine};
use crate::decide::duel::{DuelRules, Threshold};
use crate::report::export::Export;
use crate::report::sample::{COLOURED, PLAIN_80, candidate, judged};
use crate::report::tests::golden;

fn change(figure: Figure, base: f64, ratio: f64, answer: Option<Regression>) -> FigureChange {
    FigureChange {
        figure,
        base: Some(base),
        head: Some(base * ratio),
        ratio: Some(Estimate { value: ratio, low: ratio - 0.02, high: ratio + 0.02 }),
        rounds: 8,
        most: answer.map(|_| 0.05),
        answer,
    }
}

fn record() -> DuelRecord {
    let side = |what: &str, changed: &[&str]| SideRecord {
        what: what.to_owned(),
        commit: None,
        changed: changed.iter().map(|name| (*name).to_owned()).collect(),
        race: None,
    };
    let of = |runtime: &str| Candidate { runtime: runtime.to_owned(), ..candidate(Engine::ThreadPool, Some(2), None) };
    DuelRecord {
        rules_version: 1,
        workload: judged().record.workload.name,
        base: side("revision `main` (0123456789)", &[]),
        head: side("the working tree of 9876543210", &["a", "b", "c", "d", "e", "f", "g\u{202e}\u{1b}[2J"]),
        rules: DuelRules {
            candidates: vec![of(BASE), of(HEAD)],
            comparisons: Vec::new(),
            deadline_ns: 1,
            seed: 1,
            cold_lives: 4,
        },
        choice: None,
        record: Some(judged().record),
        failure: None,
    }
}

fn regressed() -> DuelVerdict {
    DuelVerdict {
        said: Said::Regressed,
        failure: None,
        compared: vec![Compared {
            candidate: record().rules.candidates[0].clone(),
            failure: None,
            figures: vec![
                change(Figure::Throughput, 668.0, 0.909, Some(Regression::Regressed)),
                change(Figure::P50, 2.9e6, 1.1, None),
                FigureChange { ratio: None, ..change(Figure::P99, 9e6, 1.0, Some(Regression::Undecided)) },
                change(Figure::CpuPerTask, 2.8e6, 1.1, Some(Regression::NotRegressed)),
                change(Figure::Memory, 4e6, 1.0, None),
                change(Figure::StartUp, 4.1e6, 1.01, None),
            ],
        }],
        choice: Some(ChoiceStanding {
            base: candidate(Engine::ThreadPool, Some(2), None),
            head: candidate(Engine::Rayon, Some(2), None),
            standing: StillGood::Changed,
            ratio: Some(Estimate { value: 0.8, low: 0.78, high: 0.82 }),
        }),
    }
}

fn failed_side() -> DuelVerdict {
    let failure = SideFailure { side: HEAD.to_owned(), reason: "the module is <gone>".to_owned() };
    DuelVerdict { said: Said::SideFailed, failure: Some(failure), compared: Vec::new(), choice: None }
}

#[test]
fn a_duel_at_80_columns_and_in_markdown() {
    golden("src/report/golden/duel-80.txt", &duel_table(&record(), &regressed(), PLAIN_80));
    golden("src/report/golden/duel.md", &duel_markdown(&record(), &regressed()));
    let text = duel_table(&record(), &regressed(), PLAIN_80);
    assert!(text.lines().all(|line| line.trim_end().chars().count() <= 80), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    assert!(duel_table(&record(), &regressed(), COLOURED).contains('\u{1b}'));
}

#[test]
fn a_test_report_has_a_case_for_each_answer() {
    let text = duel_junit(&record(), &regressed()).expect("written");
    let report = quick_junit::Report::deserialize_from_str(&text).expect("it is read again");
    let cases = &report.test_suites[0].test_cases;
    let kinds: Vec<String> = cases.iter().map(|case| format!("{}: {:?}", case.name.as_str(), case.status)).collect();
    assert_eq!(cases.len(), 2, "{kinds:?}");
    assert!(kinds.iter().all(|kind| kind.contains("Failure")), "{kinds:?}");
    let text = duel_junit(&record(), &failed_side()).expect("written");
    assert!(text.contains("<error") && text.contains("&lt;gone&gt;"), "{text}");
    let mut open = regressed();
    open.compared[0].figures[0].answer = Some(Regression::Undecided);
    open.choice = None;
    assert!(duel_junit(&record(), &open).expect("written").contains("<skipped"));
}

#[test]
fn each_word_has_its_sentence() {
    let said = |said: Said| duel_sentence(&record(), &DuelVerdict { said, ..regressed() });
    assert!(said(Said::Regressed).contains("head is worse than base: throughput -9.1 %"), "{}", said(Said::Regressed));
    assert!(said(Said::ChoiceChanged).contains("is not good enough any more"));
    assert!(said(Said::Undecided).contains("--budget"));
    assert!(duel_sentence(&record(), &failed_side()).contains("head could not run: the module is <gone>"));
}

#[test]
fn json_is_as_the_schema_says() {
    let schema = serde_json::to_value(duel_schema()).expect("a schema");
    for verdict in [regressed(), failed_side()] {
        let text = duel_json(&record(), &verdict).expect("it can be written");
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .expect("a schema")
            .iter_errors(&value)
            .map(|it| it.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new());
        let stored: DuelRecord = serde_json::from_value(value["duel"].clone()).expect("it is read again");
        assert_eq!(stored, record());
    }
    golden("reports/duel.schema.json", &(serde_json::to_string_pretty(&schema).expect("JSON") + "\n"));
}

#[test]
fn thresholds_are_a_part_of_the_record() {
    let threshold = Threshold { figure: Figure::P99, most: 0.1 };
    let text = serde_json::to_string(&threshold).expect("JSON");
    assert_eq!(text, r#"{"figure":"p99","most":0.1}"#);
}

#[test]
fn a_figure_is_a_row_and_a_ratio_is_a_series() {
    let export = |format, verdict: &DuelVerdict| duel_export(format, &record(), verdict).expect("written");
    let text = export(Export::Csv, &regressed());
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    let column = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<String>>();
    assert_eq!(column("figure"), ["throughput", "p50", "p99", "cpu_per_task", "memory", "start_up"]);
    assert_eq!(column("answer"), ["regressed", "", "undecided", "not_regressed", "", ""]);
    assert_eq!(column("said")[0], "regressed");
    assert_eq!((column("ratio")[0].as_str(), column("ratio")[2].as_str()), ("0.909", ""));
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");

    let schema = serde_json::to_value(duel_jsonl_schema()).expect("a schema");
    golden("reports/duel-jsonl.schema.json", &(serde_json::to_string_pretty(&schema).expect("JSON") + "\n"));
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let lines = export(Export::Jsonl, &regressed());
    assert_eq!(lines.lines().count(), 6);
    assert!(lines.lines().all(|line| validator.is_valid(&serde_json::from_str(line).expect("JSON"))), "{lines}");

    let bmf: Value = serde_json::from_str(&export(Export::Bmf, &regressed())).expect("JSON");
    let series = &bmf["web-scraping/thread-pool"];
    assert_eq!(series["throughput-head-over-base"]["value"], 0.909);
    assert!(series["start-up-head-over-base"]["upper_value"].is_f64() && series["p99-head-over-base"].is_null());

    let gab: Value = serde_json::from_str(&export(Export::Gab, &regressed())).expect("JSON");
    assert_eq!(gab["customBiggerIsBetter"].as_array().map(Vec::len), Some(1));
    assert_eq!(gab["customSmallerIsBetter"].as_array().map(Vec::len), Some(4));
    assert_eq!(gab["customBiggerIsBetter"][0]["name"], "web-scraping/thread-pool: throughput, head over base");
}

#[test]
fn a_side_that_could_not_run_is_a_row_and_no_series() {
    let export = |format| duel_export(format, &record(), &failed_side()).expect("written");
    let text = export(Export::Csv);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["failure"], "head could not run: the module is <gone>");
    assert_eq!((export(Export::Jsonl).lines().count(), export(Export::Bmf).as_str()), (1, "{}\n"));
}
