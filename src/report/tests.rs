//! Golden files: what each exporter writes for one synthetic record. `CONBENCH_BLESS=1` writes them anew.

use std::path::Path;

use super::sample::{
    COLOURED, PLAIN_80, PLAIN_120, judged, of_a_cluster, of_own_code, of_two_runtimes, plan, rough, unanswered,
    workload,
};
use super::*;

/// Compares a text with a file of the repository.
pub(in crate::report) fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("CONBENCH_BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(&path).expect("the golden file exists; make it with CONBENCH_BLESS=1");
    // The first line that differs: a schema whole would bury it.
    let differs = text.lines().zip(expected.lines()).find(|(now, golden)| now != golden);
    let same = text == expected;
    assert!(same, "{}: {differs:?}; if that is meant, CONBENCH_BLESS=1 writes it anew", path.display());
}

const EVERYTHING: View = View::Candidates(Candidates { all: true, details: true });
const CHAMPIONS: View = View::Candidates(Candidates { all: false, details: false });

#[test]
fn candidates_at_80_columns() {
    golden("src/report/golden/candidates-80.txt", &table(CHAMPIONS, PLAIN_80).document(&[judged()]));
}

#[test]
fn candidates_with_everything_at_120_columns() {
    golden("src/report/golden/candidates-120.txt", &table(EVERYTHING, PLAIN_120).document(&[judged()]));
}

#[test]
fn two_runtimes_at_120_columns() {
    golden("src/report/golden/runtimes-120.txt", &table(CHAMPIONS, PLAIN_120).document(&[of_two_runtimes()]));
}

#[test]
fn an_explanation_at_80_and_120_columns() {
    golden("src/report/golden/explain-80.txt", &explanation(&judged(), PLAIN_80));
    golden("src/report/golden/explain-120.txt", &explanation(&of_two_runtimes(), PLAIN_120));
}

#[test]
fn an_explanation_is_short() {
    let long = |judged: &Judged| explanation(judged, PLAIN_120).lines().count();
    assert!(long(&judged()) < 60, "{}", explanation(&judged(), PLAIN_120));
}

#[test]
fn the_live_view_at_60_80_and_100_columns_and_in_a_line() {
    let lines = |width| super::live(&super::live::sample(), Style { width, colour: false }).join("\n") + "\n";
    let views = [lines(100), lines(80), lines(60), super::live_line(&super::live::sample()) + "\n"];
    golden("src/report/golden/live.txt", &views.join("\n"));
}

#[test]
fn every_reason_and_condition_has_its_words() {
    use crate::analyze::{Condition, FarLimit, Growth, LimitKind, Overlap, Reason, Refused, TimeOfAll};
    use crate::candidate::{Engine, Model, StartMethod};
    let mut judged = judged();
    let answer = judged.verdict.groups[0].answer.as_mut().expect("an answer");
    let computes =
        |two_threads, lock| Reason::Computes { share: 0.99, cores: 1.95, two_threads, two_threads_between: None, lock };
    let waits = |of_processes| Reason::Waits {
        share: 0.98,
        cpu_ns: 2e5,
        latency_ns: 1e7,
        overlap: Some(Overlap { in_flight: 64, gain: 4.9, of_processes }),
    };
    answer.reasons = vec![
        Reason::Waits { share: 0.98, cpu_ns: 2e5, latency_ns: 1e7, overlap: None },
        waits(None),
        waits(Some(19.5)),
        computes(None, None),
        computes(Some(0.97), Some(true)),
        computes(Some(1.4), Some(true)),
        computes(Some(1.95), Some(true)),
        computes(Some(1.9), Some(false)),
        Reason::Computes {
            share: 0.99,
            cores: 1.01,
            two_threads: Some(1.05),
            two_threads_between: Some((0.9, 1.2)),
            lock: Some(true),
        },
        Reason::Computes {
            share: 0.99,
            cores: 1.9,
            two_threads: Some(1.67),
            two_threads_between: Some((1.1, 2.2)),
            lock: Some(true),
        },
        Reason::LibraryThreads {
            threads: 2,
            variables: vec!["OPENBLAS_NUM_THREADS".to_owned()],
            limited: true,
            other: 0,
            same_sizes: true,
            ratio: 0.71,
        },
        Reason::LibraryThreads {
            threads: 2,
            variables: vec!["OPENBLAS_NUM_THREADS".to_owned()],
            limited: true,
            other: 0,
            same_sizes: false,
            ratio: 0.82,
        },
        Reason::LibraryThreads {
            threads: 8,
            variables: vec!["MKL_NUM_THREADS".to_owned(), "OMP_NUM_THREADS".to_owned()],
            limited: false,
            other: 2,
            same_sizes: false,
            ratio: 0.97,
        },
        Reason::StartsPrograms { children_ns: 2e7, cpu_ns: 2.2e7, latency_ns: 2.4e7, cores: 1.95, lock: Some(true) },
        Reason::SerialSection { is_lock: true, section_ns: 2e6, latency_ns: 1e7, most_per_s: 500.0 },
        Reason::RateReached { rate_per_s: 50.0, throughput_per_s: 49.8 },
        Reason::Reaches { share: 0.97, limit: LimitKind::Cores, concurrency: 2 },
        Reason::Skewed { tasks: 60, long: 4, share: 0.741 },
        Reason::AllTasks {
            tasks: 30,
            named: TimeOfAll { ready_ns: 4.1e8, tasks_ns: 1.2e8 },
            other: Some(Model::Processes),
            other_time: Some(TimeOfAll { ready_ns: 6.4e8, tasks_ns: 6.1e7 }),
        },
        Reason::Pickling { ns: 9e5, bytes: 2e6 },
        Reason::CallableCrosses { function: "score".to_owned(), bytes: 1.1e6, ns: 1.8e7, tasks: 5, work_ns: 2.3e7 },
        Reason::Stalls { engine: Engine::Asyncio, function: Some("parse".to_owned()), stall_ns: 41_000_000 },
        Reason::FlipsWithCpu { above: Model::Processes, below: Model::Sequential, at_ns: 2e5, measured_ns: (1e5, 4e5) },
        Reason::FlipsWithSize { below: Model::Threads, above: Model::Async, low: 64, high: 256, in_flight: true },
    ];
    answer.conditions = vec![
        Condition::OtherProcesses { share: 0.38 },
        Condition::StolenCpu { share: 0.12 },
        Condition::UnreadableHistograms { count: 2 },
        Condition::OneAgentAtATime { hung: false },
        Condition::OneAgentAtATime { hung: true },
        Condition::StartMethodReplaced { method: StartMethod::Fork, by: StartMethod::Spawn, hung: true },
        Condition::LibraryThreads { count: 2 },
        Condition::ThreadsBesideFork { threads: 1 },
        Condition::SharedDescriptors { sockets: 1, files: 2 },
        Condition::SocketsOfWorkers { sockets: 2, processes: 8 },
        Condition::SocketsOfThreads { sockets: 1, threads: 64 },
        Condition::LockPerProcess { names: vec!["lock".to_owned()] },
        Condition::QueuePerProcess { names: vec!["waiting".to_owned()] },
        Condition::CopyPerProcess { names: ["count", "results", "store.rows", "seen"].map(str::to_owned).into() },
        Condition::LibraryThreadsSet { variables: [("OMP_NUM_THREADS".to_owned(), "4".to_owned())].into() },
        Condition::SetBeforeImport { variables: vec!["OPENBLAS_NUM_THREADS".to_owned()], threads: 1 },
        Condition::FailedCandidates { count: 2 },
        Condition::FailedSizes { candidates: vec![0, 1] },
        Condition::Unpicklable { most: 1.98 },
        Condition::FewLong(few_long()),
        Condition::ChildrenUncounted {},
        Condition::EndlessTeardown {},
        Condition::Cached { first_ns: 50_000_000, second_ns: 95_000 },
        Condition::NeighboursNotMeasured {},
        Condition::BudgetSpent {},
        Condition::CallsSpent {},
        Condition::Interrupted {},
        Condition::MayBeSimpler { candidate: 0 },
        Condition::PaysFrom {
            tasks: 260,
            low: 231,
            high: Some(304),
            simplest: 0,
            start_method: Some(StartMethod::Spawn),
        },
        Condition::PaysFrom { tasks: 48, low: 31, high: None, simplest: 1, start_method: None },
        Condition::AtCap { size: 64 },
        Condition::RateNotReached { rate_per_s: 100.0, throughput_per_s: 39.3, burst: 1 },
        Condition::RateNotReached { rate_per_s: 2_000.0, throughput_per_s: 1_890.0, burst: 1 },
        Condition::FarLimit(FarLimit {
            said: Some("step 1 (python): HTTPError: HTTP Error 429: Too Many Requests".to_owned()),
            growth: None,
            refused: None,
            through_per_s: Some(61.4),
        }),
        Condition::FarLimit(FarLimit {
            said: None,
            growth: Some(Growth { from: 1, from_share: 0.0, to: 64, to_share: 0.96 }),
            refused: None,
            through_per_s: Some(0.5),
        }),
        Condition::FarLimit(FarLimit {
            said: Some("step 1 (python): RuntimeError: status 503".to_owned()),
            growth: None,
            refused: Some(Refused { passes: 2, from: 16 }),
            through_per_s: Some(61.4),
        }),
        Condition::UncheckedLimit { p99: true, memory: false },
        Condition::ErrorCannotCross { type_name: "refusing.Refused".to_owned(), breaks_pool: true },
        Condition::ErrorCannotCross { type_name: "shop.Locked".to_owned(), breaks_pool: false },
    ];
    let (answer, group) = (judged.verdict.groups[0].answer.clone().expect("an answer"), &judged.verdict.groups[0]);
    let mut lines: Vec<String> = super::reasons::why(&judged, group).split("; ").map(str::to_owned).collect();
    lines.extend(super::reasons::conditions(&judged, &answer));
    golden("src/report/golden/reasons.txt", &(lines.join("\n") + "\n"));
}

#[test]
fn what_has_to_be_set_stands_with_the_sizes() {
    let mut judged = judged();
    let answer = judged.verdict.groups[0].answer.as_mut().expect("an answer");
    (answer.library_threads, answer.library_variables) = (Some(1), vec!["OPENBLAS_NUM_THREADS".to_owned()]);
    let text = table(View::Choice, PLAIN_80).document(std::slice::from_ref(&judged));
    assert!(text.contains("\nweb-scraping: with `OPENBLAS_NUM_THREADS=1`\n"), "{text}");
    let text = table(CHAMPIONS, PLAIN_120).document(&[judged]);
    assert!(text.contains("web-scraping: use threads, with `OPENBLAS_NUM_THREADS=1`"), "{text}");
}

#[test]
fn an_explanation_lacks_nothing_where_the_record_does() {
    let mut judged = judged();
    judged.record.races.clear();
    judged.record.exits.clear();
    judged.record.sweeps.clear();
    judged.record.rounds.clear();
    let text = explanation(&judged, PLAIN_80);
    assert!(text.contains("0 rounds, none of them flagged as disturbed"), "{text}");
    judged.verdict.groups.clear();
    assert!(!explanation(&judged, PLAIN_80).is_empty());
}

#[test]
fn choice_at_80_columns() {
    let all = [judged(), rough(), unanswered(), of_two_runtimes()];
    golden("src/report/golden/choice-80.txt", &table(View::Choice, PLAIN_80).document(&all));
}

#[test]
fn choice_at_100_columns() {
    let all = [judged(), rough(), unanswered(), of_two_runtimes()];
    let style = Style { width: 100, colour: false };
    golden("src/report/golden/choice-100.txt", &table(View::Choice, style).document(&all));
}

#[test]
fn a_choice_says_nothing_twice() {
    let all = [judged(), judged(), rough(), rough(), unanswered(), of_two_runtimes()];
    for text in [table(View::Choice, PLAIN_120).document(&all), markdown(View::Choice).document(&all)] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let idle = "measure again when the host is idle";
        assert_eq!(text.matches(idle).count(), 1, "{text}");
        assert_eq!(text.matches("a longer --budget narrows it").count(), 1, "{text}");
    }
}

#[test]
fn answers_of_one_workload() {
    let all = [judged(), of_own_code(), rough(), unanswered(), of_two_runtimes()];
    golden("src/report/golden/answer-80.txt", &table(View::Answer, PLAIN_80).document(&all));
    golden("src/report/golden/answer-120.txt", &table(View::Answer, PLAIN_120).document(&all[..2]));
    golden("src/report/golden/answer.md", &markdown(View::Answer).document(&all[..2]));
    golden("src/report/golden/answer-code.txt", &codes().document(&all[1..2]));
}

#[test]
fn when_leaving_pays_is_told_in_each_view() {
    let all = [of_a_cluster()];
    golden("src/report/golden/cluster.md", &markdown(EVERYTHING).document(&all));
    golden("src/report/golden/cluster-120.txt", &table(EVERYTHING, PLAIN_120).document(&all));
    golden("src/report/golden/cluster-answer.md", &markdown(View::Answer).document(&all));
}

#[test]
fn markdown_of_both_views() {
    let all = [judged(), rough(), unanswered(), of_two_runtimes()];
    golden("src/report/golden/choice.md", &markdown(View::Choice).document(&all));
    golden("src/report/golden/candidates.md", &markdown(CHAMPIONS).document(&all[..1]));
}

#[test]
fn a_plan() {
    golden("src/report/golden/plan-80.txt", &plan_table(&workload(), &plan(), PLAIN_80));
    golden("src/report/golden/plan.md", &plan_markdown(&workload(), &plan()));
}

#[test]
fn no_line_is_wider_than_asked() {
    for width in [80, 100, 120, 200] {
        let style = Style { width, colour: false };
        for view in [EVERYTHING, CHAMPIONS, View::Choice, View::Answer] {
            for line in table(view, style).document(&[judged(), rough(), unanswered(), of_two_runtimes()]).lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
                assert_eq!(line.trim_end(), line);
            }
        }
        for judged in [judged(), rough(), unanswered(), of_two_runtimes(), of_long_names()] {
            for line in explanation(&judged, style).lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
                assert_eq!(line.trim_end(), line);
            }
        }
    }
}

/// The sample with the longest name that a candidate can have.
fn of_long_names() -> Judged {
    use crate::candidate::{Engine, StartMethod};
    let mut judged = judged();
    let rename = |candidate: &mut crate::candidate::Candidate| {
        candidate.engine = Engine::AsyncioProcesses;
        candidate.start_method = Some(StartMethod::Forkserver);
    };
    judged.record.candidates.iter_mut().for_each(|one| rename(&mut one.candidate));
    judged.verdict.groups.iter_mut().flat_map(|group| &mut group.rows).for_each(|row| rename(&mut row.candidate));
    judged
}

#[test]
fn a_narrow_terminal_is_no_fault() {
    for width in [0, 1, 20, 40] {
        assert!(!explanation(&judged(), Style { width, colour: false }).is_empty());
        for view in [EVERYTHING, View::Choice, View::Answer] {
            assert!(!table(view, Style { width, colour: false }).document(&[judged()]).is_empty());
        }
    }
}

#[test]
fn colour_changes_no_character() {
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a legal expression");
    for view in [EVERYTHING, CHAMPIONS, View::Choice, View::Answer] {
        let coloured = table(view, COLOURED).document(&[judged(), unanswered()]);
        assert!(coloured.contains('\u{1b}'));
        assert_eq!(escapes.replace_all(&coloured, ""), table(view, PLAIN_120).document(&[judged(), unanswered()]));
    }
    let coloured = explanation(&judged(), COLOURED);
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(escapes.replace_all(&coloured, ""), explanation(&judged(), PLAIN_120));
}

#[test]
fn pieces_make_the_document() {
    let all = [judged(), rough()];
    for exporter in [table(View::Choice, PLAIN_80), markdown(View::Choice), table(CHAMPIONS, PLAIN_80)] {
        let pieces = exporter.head(&all[0]) + &exporter.row(&all[0]) + &exporter.row(&all[1]) + &exporter.foot(&all);
        assert_eq!(pieces, exporter.document(&all));
    }
}

#[test]
fn the_published_schema_is_the_one_that_the_code_gives() {
    let schema = serde_json::to_string_pretty(&record_schema()).expect("a schema serialises") + "\n";
    golden("reports/record.schema.json", &schema);
}

#[test]
fn json_obeys_the_schema_and_is_read_back_whole() {
    let text = records_json(&[judged(), unanswered()]).expect("serialises");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let schema = serde_json::to_value(record_schema()).expect("a schema serialises");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let said = &value["records"][0]["said"][0];
    let table = table(View::Answer, PLAIN_120).document(&[judged()]);
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<&str>>().join(" ");
    for words in [said["why"].as_str(), said["conditions"][0].as_str()] {
        assert!(squeezed(&table).contains(&squeezed(words.expect("words"))), "{words:?} in {table}");
    }
    assert_eq!(said["sureness"], "sure");
    assert!(value["records"][1].get("said").is_none(), "there is no answer");

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("record.json");
    crate::record::write(&path, text.as_bytes()).expect("written");
    let recording = crate::record::read(&path).expect("read back");
    assert_eq!(recording.records, [judged().record, unanswered().record]);
    // Lives had another name in records of before.
    let before = text.replace("\"lives\":", "\"incarnations\":").replace("\"life\":", "\"incarnation\":");
    assert_ne!(before, text);
    crate::record::write(&path, before.as_bytes()).expect("written");
    assert_eq!(crate::record::read(&path).expect("read back"), recording);
}

#[test]
fn the_sample_record_obeys_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/web-scraping.json");
    let text = std::fs::read_to_string(&path).expect("the sample record");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let schema = serde_json::to_value(record_schema()).expect("a schema serialises");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(crate::record::read(&path).expect("read back").records.len(), 1);
}

#[test]
fn sizes_are_shown_where_none_was_preferred() {
    let mut cut = judged();
    for row in &mut cut.verdict.groups[0].rows {
        row.status = crate::analyze::Status::Superseded;
    }
    let text = table(CHAMPIONS, PLAIN_80).document(&[cut]);
    assert!(text.contains("thread-pool@w32") && !text.contains("--all shows them"), "{text}");
}

#[test]
fn every_warning_says_what_to_know() {
    use crate::protocol::{LeftBehind, Note};
    use crate::record::Warning;
    let found = |note| Warning::Found { runtime: "python3.11".to_owned(), note };
    let candidate = sample::candidate(crate::candidate::Engine::Rayon, Some(2), None);
    let warnings = [
        Warning::NotParked { candidate: candidate.clone(), share: 0.02 },
        Warning::Unchecked { message: "a\nb".to_owned() },
        Warning::FilesInMemory { kind: "tmpfs".to_owned() },
        Warning::Hung { lost_ns: 4_200_000_000 },
        Warning::LongTasks { candidate: candidate.clone(), task_ns: 5_000_000_000 },
        Warning::Leftover { candidate, processes: 1 },
        Warning::LeftBehind {
            candidate: sample::candidate(crate::candidate::Engine::ThreadPoolExecutor, Some(2), None),
            left_behind: vec![LeftBehind { kind: "thread".to_owned(), name: "pinger".to_owned(), count: 3 }],
        },
        Warning::FailedTeardown {
            candidate: sample::candidate(crate::candidate::Engine::ThreadPoolExecutor, Some(2), None),
            failure: crate::protocol::Failed::new(
                crate::protocol::FailureKind::Setup,
                "`teardown` raised OSError: gone",
                "step 1 (python)",
            ),
        },
        Warning::GilEnabled { runtime: "python3.13t".to_owned() },
        found(Note::Mutates { item: 3 }),
        found(Note::Uneven { calls: 9, median_ns: 10_000_000, longest_ns: 8_000_000_000 }),
        found(Note::SecondPassFaster { first_ns: 5_000_000, second_ns: 900 }),
        found(Note::Unstable { item: 0 }),
        found(Note::Incomparable { item: 0, type_name: "socket".to_owned(), reason: "it has no value".to_owned() }),
        found(Note::ItemsRepeat { items: 10_000 }),
        Warning::FewLong {
            candidate: sample::candidate(crate::candidate::Engine::ThreadPoolExecutor, Some(64), None),
            found: few_long(),
        },
        found(Note::ChildrenUncounted {}),
        found(Note::EndlessTeardown {
            message: "`teardown` raised TimeoutError: it did not end within 2.5 s".to_owned(),
        }),
        found(Note::SetsStartMethod { method: crate::candidate::StartMethod::Spawn }),
        found(Note::ErrorCannotCross {
            type_name: "shop.Refused".to_owned(),
            reason: "TypeError: missing `reason`".to_owned(),
            breaks_pool: true,
        }),
        Warning::Other { message: "seen; do this".to_owned() },
    ];
    let texts: Vec<String> = warnings.iter().map(super::warning).collect();
    golden("src/report/golden/warnings.txt", &(texts.join("\n") + "\n"));
}

fn few_long() -> crate::record::FewLong {
    crate::record::FewLong { tasks: 1010, long: 10, share: 0.888, longest_ns: 402_000_000, elapsed_ns: 412_000_000 }
}

/// Each copy of it with one whole number so high that no index reaches it.
fn beyond(value: &serde_json::Value, each: &mut dyn FnMut(serde_json::Value)) {
    use serde_json::Value;
    match value {
        Value::Number(number) if number.is_u64() => each(4_000_000_000_u64.into()),
        Value::Array(all) => all.iter().enumerate().for_each(|(at, one)| {
            beyond(one, &mut |changed| {
                let mut copy = all.clone();
                copy[at] = changed;
                each(copy.into());
            });
        }),
        Value::Object(all) => all.iter().for_each(|(key, one)| {
            beyond(one, &mut |changed| {
                let mut copy = all.clone();
                copy.insert(key.clone(), changed);
                each(copy.into());
            });
        }),
        _ => {}
    }
}

#[test]
fn a_stored_verdict_that_names_what_is_not_there_never_panics() {
    use crate::analyze::again;
    for mut judged in [of_two_runtimes(), of_own_code()] {
        // Of other rules, so that it is shown as it stands.
        judged.record.races.iter_mut().for_each(|race| race.rules_version += 1);
        judged.verdict.rules_version += 1;
        assert_eq!(again(&judged.record, Some(judged.verdict.clone())), judged.verdict);
        assert!(explanation(&judged, PLAIN_80).contains("shown as stored"));
        let stored = serde_json::to_value(&judged.verdict).expect("JSON");
        let mut count = 0;
        beyond(&stored, &mut |changed| {
            let verdict = serde_json::from_value(changed).ok();
            let strange = Judged { verdict: again(&judged.record, verdict), record: judged.record.clone() };
            for view in [EVERYTHING, View::Choice, View::Answer] {
                assert!(!table(view, PLAIN_80).document(std::slice::from_ref(&strange)).is_empty());
            }
            assert!(!explanation(&strange, PLAIN_80).is_empty());
            count += 1;
        });
        assert!(count > 50, "{count}");
    }
}
