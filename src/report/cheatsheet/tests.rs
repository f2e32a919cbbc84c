//! The sheet, written.

use super::rows::{amount, compact, interval, time};
use super::*;
use crate::cheatsheet::catalogue::{Item, Language, Pitfall, Quoted, Section};
use crate::cheatsheet::sheet::{Both, Figure, Runtime, Sheet, Shown, Timed};
use crate::report::sample::{self, PLAIN_80, PLAIN_120};
use crate::report::tests::golden;
use crate::report::{PageOptions, cheatsheet_page};

fn item(id: &str, title: &str, beside: Option<&str>, tool: Option<&str>) -> Item {
    Item {
        id: id.to_owned(),
        section: Section::Threading,
        title: title.to_owned(),
        code: "f(a | b)".to_owned(),
        per: "call".to_owned(),
        quoted: None,
        beside: beside.map(str::to_owned),
        tool: tool.map(str::to_owned),
    }
}

fn timed(runtime: &str, item: Item, repetitions_ns: &[f64]) -> Timed {
    let figure = Figure::of(repetitions_ns.to_vec());
    let unavailable = figure.is_none().then(|| "there is none of it here".to_owned());
    Timed { runtime: runtime.to_owned(), item, figure, unavailable }
}

fn sheet() -> Sheet {
    let quoted = Quoted { figure: "about 50 µs".to_owned(), source: "https://example.org/threads".to_owned() };
    let start = Item { quoted: Some(quoted), ..item("start", "start and join a thread", None, None) };
    let pitfall = Pitfall {
        id: "blocking-call".to_owned(),
        title: "a blocking call in asyncio".to_owned(),
        unit: "ms".to_owned(),
        wrong: "ten tasks of time.sleep(0.02) under gather".to_owned(),
        mended: "the same through asyncio.to_thread".to_owned(),
        lesson: "A blocking call stands the loop still for everybody.".to_owned(),
    };
    let seen = Some("the loop's longest stall: 216.4 ms, mended 0.9 ms\na second line".to_owned());
    Sheet {
        conbench_version: "0.1.0".to_owned(),
        began_at: "2026-11-28T12:00:00Z".to_owned(),
        elapsed_ns: 20_000_000_000,
        is_interrupted: false,
        seed: 1,
        is_quick: true,
        sections: vec![Section::Threading, Section::Mixing, Section::Pitfalls],
        host: sample::facts(),
        runtimes: vec![
            Runtime {
                name: "python3.11".to_owned(),
                language: Language::Python,
                version: "3.11.7".to_owned(),
                gil: Some(true),
            },
            Runtime { name: "rust".to_owned(), language: Language::Rust, version: "1.95".to_owned(), gil: None },
        ],
        items: vec![
            timed("python3.11", start, &[48_200.0, 47_000.0, 51_000.0, 48_300.0, 48_100.0, 52_000.0]),
            timed("python3.11", item("turn", "wait for the GIL", None, None), &[]),
            timed("rust", item("spawn", "spawn and join", Some("start"), Some("std spawn")), &[21_000.0, 20_900.0]),
            timed("rust", item("scope", "spawn in a scope", Some("start"), Some("std scope")), &[22_000.0]),
            timed("rust", item("add", "add to an atomic", None, Some("std AtomicU64")), &[4.96, 5.02, 5.0]),
        ],
        pitfalls: vec![
            Shown {
                runtime: "python3.11".to_owned(),
                pitfall: pitfall.clone(),
                figures: Both::of(&[217.25, 212.0, 219.5, 214.0, 221.0, 220.0], &[41.5; 6], seen),
                unavailable: None,
            },
            Shown {
                runtime: "rust".to_owned(),
                pitfall: Pitfall { unit: "count".to_owned(), ..pitfall },
                figures: None,
                unavailable: Some("it was not measured: its process ended with signal 9 (SIGKILL)".to_owned()),
            },
        ],
        warnings: vec!["rust, pitfalls: its process ended with signal 9 (SIGKILL)".to_owned()],
    }
}

#[test]
fn the_published_schema_is_the_one_that_the_code_gives() {
    let schema = serde_json::to_string_pretty(&cheatsheet_schema()).expect("a schema serialises") + "\n";
    golden("reports/cheatsheet.schema.json", &schema);
}

#[test]
fn json_obeys_the_schema() {
    let text = cheatsheet_json(&sheet(), &[sample::judged()]).expect("serialises");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let schema = serde_json::to_value(cheatsheet_schema()).expect("a schema serialises");
    let validator = jsonschema::validator_for(&schema).expect("a legal schema");
    let faults: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let back: Sheet = serde_json::from_value(value["sheet"].clone()).expect("read back");
    assert_eq!(back, sheet());
}

#[test]
fn the_sheet_at_80_and_120_columns() {
    golden("src/report/golden/cheatsheet-80.txt", &cheatsheet_table(&sheet(), &[], PLAIN_80));
    golden("src/report/golden/cheatsheet-120.txt", &cheatsheet_table(&sheet(), &[], PLAIN_120));
}

#[test]
fn the_sheet_as_markdown() {
    golden("src/report/golden/cheatsheet.md", &cheatsheet_markdown(&sheet(), &[]));
}

#[test]
fn figures_have_their_unit() {
    assert_eq!(
        [0.0, 0.31, 4.96, 38.44, 120.0, 48_211.5].map(time),
        ["< 0.1 ns", "0.310 ns", "4.96 ns", "38.4 ns", "120 ns", "48.2 µs"]
    );
    let of = |values: &[f64]| interval(&Figure::of(values.to_vec()).expect("values"));
    assert_eq!(of(&[46_900.0, 48_000.0, 51_000.0]), "46.9 to 51.0");
    assert_eq!(of(&[980.0, 1_000.0, 1_100.0]), "980 ns to 1.10 µs");
    let short = |values: &[f64]| compact(&Figure::of(values.to_vec()).expect("values"));
    assert_eq!(short(&[45_900.0, 48_000.0, 51_200.0]), "(45–52)", "outwards");
    assert_eq!(short(&[980.0, 1_000.0, 1_300.0]), "(0.98–1.3)", "in the median's unit");
    assert_eq!(short(&[48_010.0, 48_200.0, 48_420.0]), "(48.0–48.5)", "no point is made of a narrow one");
    assert_eq!(short(&[0.0, 0.01, 0.2]), "(0–0.20)");
    assert_eq!(short(&[48_010.0]), "", "one repetition has none");
    assert_eq!(amount(203.1, "ms"), "203 ms");
    assert_eq!(amount(192.0, "count"), "192");
    assert_eq!(amount(2.5, "count"), "2.50");
    assert_eq!(amount(14.1, "MiB"), "14.1 MiB");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_every_figure_has_its_interval() {
    let long = "notify a Condition until the one that waits for it runs again";
    let mut sheet = sheet();
    for timed in &mut sheet.items {
        timed.item.title = long.to_owned();
        timed.figure = Figure::of(vec![48_200.0, 44_000.0, 52_000.0]);
    }
    for style in [PLAIN_80, PLAIN_120] {
        let text = cheatsheet_table(&sheet, &[], style);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(style.width)), "{text}");
        assert_eq!(text.matches("(43–52)").count() + text.matches("(44–52)").count(), sheet.items.len(), "{text}");
    }
}

#[test]
fn texts_without_end_are_cut_to_no_width_that_overflows() {
    let mut sheet = sheet();
    let long = "x".repeat(70_000);
    sheet.items[0].item.title = long.clone();
    sheet.items[0].item.tool = Some(long);
    sheet.items.truncate(1);
    assert!(cheatsheet_table(&sheet, &[], PLAIN_80).contains("xxx"));
}

#[test]
fn an_axis_begins_with_the_least_time_that_can_be_told() {
    let mut sheet = sheet();
    let first = sheet.items.iter_mut().find(|timed| timed.figure.is_some()).expect("a figure");
    first.figure = Figure::of(vec![0.004, 0.02]);
    let page = cheatsheet_page(&sheet, &[], &PageOptions::default()).expect("a page");
    let axes: Vec<&str> = page.split("class=\"axis\"").skip(1).filter_map(|rest| rest.split("</svg>").next()).collect();
    assert!(axes.iter().any(|axis| axis.contains("0.1 ns")), "{axes:?}");
    assert!(axes.iter().all(|axis| !axis.contains("&lt;")), "{axes:?}");
}

#[test]
fn the_page_of_a_sheet_is_the_same_twice_and_obeys_no_name() {
    let mut sheet = sheet();
    sheet.runtimes[0].name = "<script>".to_owned();
    sheet.warnings.push("\u{202e}in /home/somebody/x".to_owned());
    for timed in sheet.items.iter_mut().filter(|timed| timed.runtime == "python3.11") {
        timed.runtime = "<script>".to_owned();
    }
    sheet.pitfalls[0].runtime = "<script>".to_owned();
    let options = PageOptions { with_record: true, home: None };
    let drawn = |options: &PageOptions| cheatsheet_page(&sheet, &[sample::judged()], options).expect("a page");
    let page = drawn(&options);
    assert_eq!(page, drawn(&options));
    let is_told =
        |page: &str| page.contains("href=\"data:application/gzip;base64,") && page.contains("cheatsheet.json.gz");
    assert!(
        is_told(&page) && !is_told(&drawn(&PageOptions::default())),
        "the sheet itself is left out where that is asked"
    );
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains('\u{202e}') && !page.contains("somebody") && !page.contains(" style="), "{page}");
    assert!(page.contains("f(a | b)") && page.contains("href=\"https://example.org/threads\""), "{page}");
    assert!(page.contains("longest stall: 216.4 ms"), "{page}");
}
