//! What every page must be, whatever stands on it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::io::Read as _;
use std::path::Path;

use super::*;
use crate::analyze::Condition;
use crate::protocol::{Failed, FailureKind, LibraryThreads};
use crate::report::sample::{judged, of_a_cluster, of_own_code, of_two_runtimes, rough, unanswered};
use crate::report::tests::golden;
use crate::workload::{Goal, Items, Python, Step};

const BARE: PageOptions = PageOptions { with_record: false, home: None };

fn bare(all: &[Judged]) -> String {
    page(all, &BARE).expect("a page")
}

fn whole(all: &[Judged]) -> String {
    page(all, &PageOptions { with_record: true, home: None }).expect("a page")
}

/// What stands below the style, which is a file of its own.
fn body(page: &str) -> &str {
    page.split_once("<body>").expect("a body").1
}

/// The part of a page with this id, up to the next part of its kind.
fn part<'a>(page: &'a str, id: &str) -> &'a str {
    let from = page.find(&format!("<figure id=\"{id}\"")).unwrap_or_else(|| panic!("no figure `{id}`"));
    let rest = &page[from..];
    &rest[..rest.find("</figure>").expect("its end")]
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// The JSON behind a page's link.
fn record_of(page: &str) -> String {
    let link = page.split_once("data:application/gzip;base64,").expect("a link").1;
    let data = BASE64_STANDARD.decode(link.split('"').next().expect("its end")).expect("base64");
    let mut text = String::new();
    GzDecoder::new(data.as_slice()).read_to_string(&mut text).expect("gzip");
    text
}

/// A record of thirty candidates with a race of 27 rounds.
fn of_thirty() -> Judged {
    let mut judged = judged();
    let blocks: Vec<_> = judged.record.candidates[1].blocks.clone();
    let group = &mut judged.verdict.groups[0];
    while judged.record.candidates.len() < 30 {
        let index = judged.record.candidates.len();
        let mut place = judged.record.candidates[1].clone();
        place.candidate.sizes.workers = Some(100 + index as u32);
        let mut row = group.rows[0].clone();
        (row.index, row.candidate) = (index as u32, place.candidate.clone());
        row.status = if index.is_multiple_of(3) { Status::Worse } else { Status::Superseded };
        judged.record.candidates.push(place);
        group.rows.push(row);
    }
    for (at, place) in judged.record.candidates.iter_mut().enumerate() {
        place.blocks = (0..27).flat_map(|_| blocks.first().cloned()).collect();
        for (round, block) in place.blocks.iter_mut().enumerate() {
            block.round = Some(round as u32 % 6);
            block.at_ns = 1_000_000 * (10_000 + 500 * round as u64 + 7 * at as u64);
            block.figures.tasks_in_window = 52.3 + ((round * 31 + at * 17) % 13) as f64;
        }
    }
    judged
}

#[test]
fn a_page_is_as_it_was() {
    golden("src/report/golden/page.html", body(&bare(&[of_two_runtimes()])));
}

#[test]
fn the_same_record_gives_the_same_bytes() {
    for all in [vec![judged()], vec![of_own_code()], vec![judged(), rough(), unanswered()]] {
        assert_eq!(whole(&all), whole(&all));
    }
}

#[test]
fn parts_stand_in_their_order() {
    let page = whole(&[judged()]);
    let ids = ["answer", "models", "scaling", "latency", "split", "costs", "race", "notes", "record"];
    let places: Vec<usize> =
        ids.iter().map(|id| page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no part `{id}`"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    let code = page.find("<pre class=\"code\"").expect("the code");
    assert!(places[0] < code && code < places[1], "the answer and its code come first");
}

#[test]
fn page_and_terminal_say_the_same() {
    let page = bare(&[judged()]);
    for said in
        ["Use threads", "2 620", "38–161×", "Nothing tried is more than 3 % faster (95 %)", "thread-pool", "64 workers"]
    {
        assert!(page.contains(said), "{said}");
    }
    let empty = bare(&[unanswered()]);
    assert!(empty.contains("No answer") && empty.contains("ewer than two candidates were measured"), "{empty}");
}

#[test]
fn charts_have_a_mark_for_each_figure() {
    let judged = judged();
    let page = bare(std::slice::from_ref(&judged));
    let group = &judged.verdict.groups[0];
    // Three models were measured, the fourth failed and has no bar.
    let models = part(&page, "models-1");
    assert_eq!((count(models, "class=\"mark m-"), count(models, "class=\"interval\"")), (3, 3));
    assert_eq!(count(models, "class=\"row "), 5, "four models and the axis");
    let points: usize = group.curves.iter().map(|curve| curve.points.len()).sum();
    let scaling = part(&page, "scaling-1");
    assert_eq!(count(scaling, "<circle"), points);
    assert_eq!(count(scaling, "class=\"limit\""), 1, "the host's limit is drawn");
    // p50, p90, p99 and the largest, of three candidates: of p99.9 too few tasks ran.
    assert_eq!(count(part(&page, "latency-1"), "class=\"mark m-"), 12);
    assert_eq!(count(part(&page, "costs-1-memory"), "class=\"mark m-"), 3);
    let race = part(&page, "race-1");
    assert_eq!(count(race, "class=\"blocks m-"), group.rows.len(), "a strip a candidate");
    assert_eq!(count(race, "class=\"cross\""), 1, "one failed");
    assert_eq!(count(race, "class=\"mark accent\""), judged.record.races[0].looks.len());
    let drawn: Vec<&str> = race.split("class=\"blocks").skip(1).filter_map(|it| it.split("d=\"").nth(1)).collect();
    let lines: usize = drawn.iter().map(|path| count(path.split('"').next().unwrap_or_default(), "M")).sum();
    let timed = judged.record.candidates.iter().flat_map(|it| &it.blocks).filter(|block| block.round.is_some()).count();
    assert_eq!(lines, timed, "a line a block");
}

#[test]
fn a_knee_is_marked() {
    let mut judged = judged();
    judged.verdict.groups[0].curves[0].knee = Some(32);
    let page = bare(&[judged]);
    let scaling = part(&page, "scaling-1");
    assert_eq!(count(scaling, "class=\"knee\""), 1);
    assert!(scaling.contains(">knee 32<") && scaling.contains("gains nothing beyond 32 workers"), "{scaling}");
}

#[test]
fn where_a_cluster_took_part_it_is_drawn_when_leaving_pays() {
    let page = bare(&[of_a_cluster()]);
    let figure = part(&page, "leaving-1");
    golden("src/report/golden/leaving.html", figure);
    // This machine and three clusters, of four points each.
    assert_eq!(count(figure, "class=\"curve "), 4 * 3);
    assert_eq!(count(figure, "<circle"), 2, "what was measured");
    for said in [
        "Leaving pays from tasks of 2.00 ms on, with 3 threads or more",
        "below 2.00 ms a task stays here",
        "128 threads",
        "this machine",
        "930/s",
        "16 x its threads",
    ] {
        assert!(figure.contains(said), "{said}: {figure}");
    }
}

#[test]
fn every_chart_has_title_description_and_table() {
    let page = bare(&[of_two_runtimes(), judged()]);
    let figures = count(&page, "<figure");
    assert!(figures > 15, "{figures}");
    for part in page.split("<figure id=\"").skip(1) {
        let (id, part) = part.split_once('"').expect("an id");
        let part = part.split("</figure>").next().expect("its end");
        assert!(part.contains(&format!("<h3 id=\"{id}-t\">")) && part.contains(&format!("<p id=\"{id}-d\"")), "{id}");
        assert!(part.contains(&format!("aria-labelledby=\"{id}-t\" aria-describedby=\"{id}-d\"")), "{id}");
        assert!(part.contains("<table>") && part.contains("<tbody><tr>"), "{id}");
    }
    let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "no id twice");
}

#[test]
fn a_page_loads_and_runs_nothing() {
    for all in [vec![judged()], vec![of_two_runtimes(), of_own_code(), rough(), unanswered()]] {
        let page = whole(&all);
        for forbidden in
            ["<script", "<link", "<img", "<iframe", " src=", " style=", "@import", " onload", "javascript:"]
        {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        let links = page.split("href=\"").skip(1).filter_map(|it| it.split('"').next());
        for link in links {
            assert!(link.starts_with('#') || link.starts_with("data:application/gzip;base64,"), "{link}");
        }
    }
}

#[test]
fn several_workloads_begin_with_the_table() {
    let all = [judged(), rough(), of_two_runtimes()];
    let page = whole(&all);
    let table = page.find("<table class=\"choice\"").expect("the table");
    assert!(table < page.find("id=\"w1\"").expect("the first workload"));
    assert_eq!(count(&page, "<article id=\"w"), 3);
    assert_eq!(count(&page, "<h1"), 1);
    for at in 1..=3 {
        assert!(page.contains(&format!("href=\"#w{at}\"")), "a link to workload {at}");
    }
}

#[test]
fn other_goals_draw_the_objective() {
    for goal in [Goal::P99, Goal::Memory, Goal::CpuPerTask] {
        let mut judged = judged();
        judged.record.workload.objective.goal = goal;
        let page = bare(&[judged]);
        let models = part(&page, "models-1");
        assert!(models.contains("The objective (") && count(models, "class=\"mark m-") == 3, "{models}");
    }
}

#[test]
fn what_a_record_lacks_is_not_drawn() {
    let mut judged = judged();
    for group in &mut judged.verdict.groups {
        (group.limit, group.answer) = (None, None);
        group.curves.clear();
        group.rows.iter_mut().for_each(|row| (row.memory_bytes, row.startup_ns) = (None, None));
    }
    judged.record.races.clear();
    judged.record.rounds.clear();
    let page = bare(std::slice::from_ref(&judged));
    assert!(!page.contains("id=\"scaling\"") && !page.contains("id=\"costs\""));
    judged.record.candidates.clear();
    judged.verdict.groups.iter_mut().for_each(|group| group.rows.clear());
    assert!(bare(std::slice::from_ref(&judged)).contains("No answer"));
    judged.verdict.groups.clear();
    assert!(bare(&[judged]).contains("nothing was measured"));
    assert!(bare(&[]).contains("Choosing the Right Tool"));
}

#[test]
fn thirty_candidates_fit_in_200_kib() {
    // In proportion, however many the stored record has.
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/parallel-computation.json");
    let records = crate::record::read(&stored).expect("a recording").records;
    let candidates = records[0].candidates.len();
    assert!(candidates >= 20, "{candidates}");
    let judged = |record| Judged { verdict: crate::analyze::analyze(&record), record };
    let length = whole(&records.into_iter().map(judged).collect::<Vec<_>>()).len();
    assert!(length < (200 << 10) * candidates / 30, "with the record of {candidates}: {length}");
    // A long race: without the record, whose size is that of the histograms of its blocks.
    let length = bare(&[of_thirty()]).len();
    assert!(length < 200 << 10, "{length}");
}

#[test]
fn the_record_is_read_back_with_the_same_answer() {
    let all = [of_two_runtimes(), judged()];
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("record.json");
    std::fs::write(&path, record_of(&whole(&all))).expect("written");
    let recording = crate::record::read(&path).expect("read");
    assert_eq!(recording.records.len(), 2);
    for (read, judged) in recording.records.iter().zip(&all) {
        assert_eq!(crate::analyze::analyze(read), crate::analyze::analyze(&judged.record));
    }
    assert!(!bare(&all).contains("data:"), "it can be left out");
}

#[test]
fn neither_page_nor_record_holds_what_is_the_users_alone() {
    let mut judged = of_own_code();
    judged.record.workload.steps = vec![Step::Python(Python {
        function: Some("shop.scrape:parse".to_owned()),
        items: Some(Items::Listed(vec!["SECRET-item".into(), 7_654_321.into()])),
        path: "/home/SECRET-user/shop".to_owned(),
        ..Python::default()
    })];
    let failed = || Failed {
        traceback: vec![
            "  File \"/home/SECRET-user/a.py\", line 12, in parse".to_owned(),
            "    raise Error('SECRET-code')".to_owned(),
        ],
        ..Failed::new(FailureKind::Task, "ValueError: SECRET-message", "step 1 (python)")
    };
    judged.record.candidates[0].failure = Some(failed());
    judged.record.candidates[1].blocks[0].figures.first_error = Some(failed());
    judged.record.candidates[1].blocks[0].figures.results = vec![1_234_567_890_123];
    judged.record.settings.cluster = Some("tcp://SECRET-host:8786".to_owned());
    judged.record.settings.cluster_upload = vec!["/data/SECRET-user/shop.py".to_owned()];
    let set = std::collections::BTreeMap::from([("OMP_NUM_THREADS".to_owned(), "SECRET-value".to_owned())]);
    for runtime in &mut judged.record.calibration.runtimes {
        let worker = crate::candidate::ClusterWorker {
            address: Some("tcp://SECRET-host:41733".to_owned()),
            host: "SECRET-host".to_owned(),
            ..crate::candidate::ClusterWorker::of_tests()
        };
        runtime.cluster = Some(crate::candidate::Cluster {
            address: "tcp://SECRET-host:8786".to_owned(),
            ..crate::candidate::Cluster::of_tests(vec![worker])
        });
        runtime.hello.executable = Some("/data/SECRET-user/venv/bin/python".to_owned());
        runtime.library_threads = Some(LibraryThreads { set: set.clone(), threads: 2, ..LibraryThreads::default() });
    }
    for group in &mut judged.verdict.groups {
        for row in &mut group.rows {
            if let Status::Failed { reason } = &mut row.status {
                "step 1 (python): ValueError: SECRET-reason".clone_into(reason);
            }
        }
        let mut others =
            group.rows.iter_mut().filter(|row| !matches!(row.status, Status::Failed { .. } | Status::Best));
        others.next().expect("another row").status = Status::Infeasible {
            reason: "3 of 9 tasks failed (33 %), the limit is 0: step 1 (python): KeyError: SECRET-limit".to_owned(),
        };
        if let Some(answer) = &mut group.answer {
            answer.conditions.push(Condition::LibraryThreadsSet { variables: set.clone() });
        }
    }
    let failed =
        "the run that would be the reference failed (step 1 (python): `items` load('SECRET') raised it)".to_owned();
    judged.record.warnings.push(crate::record::Warning::Unchecked { message: failed });
    let options = PageOptions { with_record: true, home: Some("/data/SECRET-user".to_owned()) };
    let page = page(&[judged], &options).expect("a page");
    let record = record_of(&page);
    for text in [&page, &record] {
        for secret in ["SECRET", "7654321", "1234567890123"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("shop.scrape") && text.contains("~/venv/bin/python"), "names and short paths stay");
        assert!(text.contains("ValueError: .."), "and the class of an error");
    }
    assert!(page.contains("OMP_NUM_THREADS") && page.contains("items = ...  # your items"), "{page}");
}

#[test]
fn a_command_and_a_url_keep_what_is_no_secret() {
    let mut judged = judged();
    let url = Some("https://me:SECRET@example.com/a?key=SECRET".to_owned());
    let Step::Http { delay, body_bytes, connection, .. } = judged.record.workload.steps[0].clone() else {
        panic!("the sample is of one request")
    };
    judged.record.workload.steps = vec![
        Step::Http { url, delay, body_bytes, connection },
        Step::Command { argv: vec!["convert".to_owned(), "SECRET".to_owned()], expect_status: 0 },
    ];
    let page = whole(&[judged]);
    let record = record_of(&page);
    assert!(!page.contains("SECRET") && !record.contains("SECRET"), "{record}");
    assert!(record.contains("https://example.com/a") && record.contains("convert"), "{record}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn hostile_names_stay_text(
        name in prop_oneof![
            "[<>&\"'`a-z /]{1,100}",
            Just("<script>alert(1)</script>".to_owned()),
            Just("</title></style><img src=x onerror=alert(1)>".to_owned()),
            Just("\u{202e}gnp.exe\u{2066}\u{200f}".to_owned()),
            "\\PC{100}",
            "[\\x00-\\x1f\u{7f}-\u{9f}\u{2028}]{1,20}",
        ],
    ) {
        let mut judged = of_two_runtimes();
        let record = &mut judged.record;
        (record.workload.name, record.workload.description, record.workload.use_case) = (name.clone(), name.clone(), name.clone());
        (record.host.cpu, record.host.os, record.began_at) = (name.clone(), name.clone(), name.clone());
        record.warnings.push(crate::record::Warning::Other { message: name.clone() });
        record.plan.left_out[0].what = name.clone();
        record.plan.left_out[0].reason = name.clone();
        record.calibration.runtimes[1].hello.version = name.clone();
        record.candidates[0].failure = Some(Failed::new(FailureKind::Task, name.clone(), name.clone()));
        judged.verdict.groups[0].rows[5].status = Status::Failed { reason: name.clone() };
        let plain = bare(&[of_two_runtimes()]);
        let one = bare(std::slice::from_ref(&judged));
        let many = bare(&[judged.clone(), judged]);
        for page in [&one, &many] {
            prop_assert!(!page.contains("<script") && !page.contains("<img") && count(page, "</style>") == 1);
            let turning = |sign: char| matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!page.contains(turning), "{}", name);
            prop_assert!(!page.contains(|sign: char| sign.is_control() && sign != '\n'), "{}", name);
        }
        // The same elements as with harmless names: nothing of a name became one.
        let elements = |page: &str| ["<figure", "<svg", "<table", "<h1", "<dl", "<section"].map(|tag| count(page, tag));
        prop_assert_eq!(elements(&one), elements(&plain));
    }
}
