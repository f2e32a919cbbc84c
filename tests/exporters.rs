//! Stored records in other formats, and beside each other, by the real binary. No session is run.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{CONBENCH, pythons};
use serde_json::Value;

const RECORDS: [&str; 3] = ["parallel-computation.json", "parse.json", "web-scraping.json"];
const EXPORTS: [&str; 6] = ["csv", "jsonl", "junit", "bmf", "github", "gab"];

fn sample(name: &str) -> String {
    format!("{}/reports/{name}", env!("CARGO_MANIFEST_DIR"))
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ran {
    let output: Output = Command::new(CONBENCH).args(args).stdin(Stdio::null()).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn exported(record: &str, format: &str) -> String {
    let ran = run(&["report", record, "--format", format]);
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)), "{format}");
    ran.out
}

/// A record with this done to its JSON, in a directory.
fn changed(directory: &Path, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let text = std::fs::read_to_string(sample("web-scraping.json")).expect("a record");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut value);
    let path = directory.join(name);
    std::fs::write(&path, value.to_string()).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// Reads what each format's usual reader reads, with none of our code, and prints what it found.
const READER: &str = r#"
import csv, json, sys, xml.etree.ElementTree as tree
directory = sys.argv[1]
def text(name):
    return open(f"{directory}/{name}", encoding="utf-8", newline="").read()
rows = list(csv.DictReader(text("csv").splitlines(keepends=True), strict=True))
lines = [json.loads(line) for line in text("jsonl").split("\n") if line]
assert len(rows) == len(lines) and all(None not in row for row in rows)
def cell(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
for row, line in zip(rows, lines):
    assert list(row) == list(line)
    for name, value in line.items():
        same = row[name] == cell(value) or isinstance(value, (int, float)) and float(row[name]) == value
        assert same or row[name] == "'" + str(value), (name, value, row[name])
suites = tree.fromstring(text("junit"))
assert suites.tag == "testsuites"
cases = suites.findall("testsuite/testcase")
for of in [suites, *suites.findall("testsuite")]:
    its = list(of.iter("testcase"))
    assert int(of.get("tests")) == len(its)
    for kind in ["skipped", "error", "failure"]:
        counted = of.get({"skipped": "skipped", "error": "errors", "failure": "failures"}[kind])
        assert int(counted) == sum(case.find(kind) is not None for case in its), kind
for case in cases:
    order = [child.tag for child in case]
    assert order == [tag for tag in ["properties", "skipped", "error", "system-out"] if tag in order], order
    assert case.get("name") and case.get("classname")
bmf = json.loads(text("bmf"))
for measures in bmf.values():
    for metric in measures.values():
        assert set(metric) <= {"value", "lower_value", "upper_value"} and "value" in metric
        assert metric.get("lower_value", metric["value"]) <= metric["value"] <= metric.get("upper_value", metric["value"])
gab = json.loads(text("gab"))
assert sorted(gab) == ["customBiggerIsBetter", "customSmallerIsBetter"]
for entry in gab["customBiggerIsBetter"] + gab["customSmallerIsBetter"]:
    assert set(entry) <= {"name", "unit", "value", "range", "extra"}
    assert isinstance(entry["name"], str) and isinstance(entry["value"], (int, float))
print(len(rows), len(cases), len(bmf), len(gab["customBiggerIsBetter"]))
"#;

/// Has each format of a record read by Python's own readers: candidates, cases, series, entries.
fn read_by_python(record: &str) -> Option<Vec<usize>> {
    let python = pythons::newest_of_all()?;
    let directory = tempfile::tempdir().expect("a directory");
    for format in EXPORTS {
        std::fs::write(directory.path().join(format), exported(record, format)).expect("written");
    }
    let read = Command::new(&python.executable).args(["-c", READER]).arg(directory.path()).output().expect("it runs");
    assert!(read.status.success(), "{record}: {}", String::from_utf8_lossy(&read.stderr));
    let counts = String::from_utf8(read.stdout).expect("UTF-8");
    Some(counts.split_whitespace().map(|count| count.parse().expect("a number")).collect())
}

#[test]
fn readers_that_are_not_ours_read_every_format() {
    for name in RECORDS {
        let Some(counts) = read_by_python(&sample(name)) else { return };
        let whole: Value = serde_json::from_str(&exported(&sample(name), "json")).expect("JSON");
        let groups = whole["records"][0]["verdict"]["groups"].as_array().expect("groups");
        let rows: usize = groups.iter().map(|group| group["rows"].as_array().expect("rows").len()).sum();
        assert_eq!(counts[..2], [rows, groups.len()], "{name}");
        // The answer of each runtime, and its engines.
        assert!(counts[2] > groups.len() && counts[2] == counts[3], "{name}: {counts:?}");
    }
}

#[test]
fn hostile_names_are_data_to_every_reader() {
    let directory = tempfile::tempdir().expect("a directory");
    let hostile = "=<script>\"',;|`]]>&\r\n\u{1b}[2J\u{0}\u{202e}\u{ffff}";
    let record = changed(directory.path(), "hostile.json", |value| {
        let record = &mut value["records"][0];
        record["workload"]["name"] = hostile.into();
        record["workload"]["use_case"] = hostile.into();
        record["conbench_version"] = hostile.into();
        record["began_at"] = hostile.into();
        record["host"]["cpu"] = hostile.into();
    });
    for format in EXPORTS.into_iter().chain(["markdown"]) {
        let text = exported(&record, format);
        assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{format}");
        assert!(!matches!(format, "junit" | "github" | "markdown") || !text.contains("<script"), "{format}");
    }
    let Some(counts) = read_by_python(&record) else { return };
    assert_eq!(Some(counts), read_by_python(&sample("web-scraping.json")));
}

#[test]
fn only_records_are_exported() {
    let sheet = sample("cheatsheet.json");
    for format in EXPORTS {
        let ran = run(&["report", &sheet, "--format", format]);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
        assert!(ran.err.contains("is a cheat sheet, which has no candidates: --format takes table"), "{}", ran.err);
        let plan = run(&["plan", "web-scraping", "--format", format]);
        assert_eq!((plan.out.as_str(), plan.code), ("", Some(2)));
        assert!(plan.err.contains("[possible values: table, json, markdown]"), "{}", plan.err);
    }
}

#[test]
fn a_record_beside_itself_is_the_same() {
    for name in RECORDS {
        let record = sample(name);
        let ran = run(&["compare", &record, &record, "--format", "json"]);
        assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
        let value: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(value["unpaired"], Value::Array(Vec::new()));
        for pair in value["pairs"].as_array().expect("pairs") {
            assert_eq!(pair["choice"]["choice"], "same");
            assert_eq!(pair["differences"], Value::Array(Vec::new()));
            assert!(pair["ratios"].as_array().is_some_and(|all| all.iter().all(|ratio| ratio["overlap"] == true)));
            assert_eq!(pair["figures"][0]["first"], pair["figures"][0]["second"]);
        }
    }
}

#[test]
fn figures_of_another_host_are_shown_by_force_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let other = changed(directory.path(), "other.json", |value| {
        value["records"][0]["host"]["cpu"] = "Another CPU".into();
        value["records"][0]["conbench_version"] = "99.0.0".into();
    });
    let record = sample("web-scraping.json");
    let text = std::fs::read_to_string(&record).expect("the stored record");
    let stored: Value = serde_json::from_str(&text).expect("JSON");
    let cpu = stored["records"][0]["host"]["cpu"].as_str().expect("its CPU");
    let refused = run(&["compare", &record, &other]);
    assert_eq!((refused.err.as_str(), refused.code), ("", Some(0)));
    assert!(refused.out.contains("web-scraping, rust: same"), "{}", refused.out);
    assert!(refused.out.contains(&format!("host: cpu (`{cpu}`, then `Another CPU`)")), "{}", refused.out);
    assert!(refused.out.contains("then `99.0.0`") && refused.out.contains("--force shows"), "{}", refused.out);
    assert!(!refused.out.contains("CPU/task"), "{}", refused.out);
    let forced = run(&["compare", "--force", &record, &other]);
    assert!(forced.out.contains("CPU/task") && forced.out.contains("Another CPU"), "{}", forced.out);
}

#[test]
fn records_of_other_workloads_have_nothing_in_common() {
    let ran = run(&["compare", &sample("parse.json"), &sample("web-scraping.json")]);
    assert_eq!(
        (ran.err.as_str(), ran.code),
        ("warning: the records have no workload and runtime in common\n", Some(0))
    );
    let lines = [
        "Not compared: only the first has parse (python3.11)\n",
        "Not compared: only the second has web-scraping (rust)\n",
    ];
    assert_eq!(ran.out, lines.concat());
}

#[test]
fn a_record_may_come_through_a_pipe() {
    let record = sample("parse.json");
    let script = format!("'{CONBENCH}' compare <(cat '{record}') '{record}'");
    let ran = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with("parse, python3.11: same\n"));
}

#[test]
fn what_is_no_record_is_refused_by_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let at = |name: &str| directory.path().join(name);
    let write = |name: &str, content: &[u8]| -> PathBuf {
        std::fs::write(at(name), content).expect("written");
        at(name)
    };
    // A gibibyte that takes no room on the disk.
    let large = |name: &str, begin: &[u8]| {
        let path = write(name, begin);
        std::fs::OpenOptions::new().write(true).open(&path).expect("there").set_len(1 << 30).expect("sparse");
        path
    };
    let whole = std::fs::read(sample("web-scraping.json")).expect("a record");
    let cases = [
        (at("missing.json"), "No such file"),
        (directory.path().to_owned(), "Is a directory"),
        (write("empty.json", b""), "is not a conbench record: EOF"),
        (write("text.json", b"hello"), "is not a conbench record: expected"),
        (write("truncated.json", &whole[..whole.len() / 2]), "is not a conbench record: EOF"),
        (write("version.json", b"{\"format_version\": 999, \"records\": []}"), "has record format 999"),
        (write("deep.json", "[".repeat(100_000).as_bytes()), "does not begin with `{`"),
        (write("nested.json", "{\"a\":".repeat(100_000).as_bytes()), "recursion limit"),
        (large("zeros.json", b""), "does not begin with `{`"),
        (large("large.json", b"{\"records\": ["), "larger than 256 MiB"),
        (PathBuf::from("/dev/zero"), "does not begin with `{`"),
        (PathBuf::from(sample("cheatsheet.json")), "is a cheat sheet"),
    ];
    let record = sample("web-scraping.json");
    for (path, fault) in cases {
        let path = path.to_str().expect("UTF-8");
        for args in [["compare", path, &record], ["compare", &record, path]] {
            let ran = run(&args);
            assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)), "{path}");
            assert!(ran.err.starts_with("error: ") && ran.err.lines().count() == 1, "{}", ran.err);
            assert!(ran.err.contains(path) && ran.err.contains(fault), "{}", ran.err);
        }
    }
}

#[test]
fn what_points_beyond_a_record_ends_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let wild = changed(directory.path(), "wild.json", |value| {
        let record = &mut value["records"][0];
        record["exits"] = serde_json::json!([{ "round": 4_000_000, "candidate": 4_000_000, "reason": "failed" }]);
        record["races"][0]["first_candidate"] = 4_000_000.into();
        record["rounds"] = Value::Array(Vec::new());
    });
    for format in EXPORTS {
        exported(&wild, format);
    }
    let ran = run(&["compare", &sample("web-scraping.json"), &wild]);
    assert_eq!((ran.err.as_str(), ran.code), ("", Some(0)));
    assert!(ran.out.contains("cannot be told: there is no answer in one of the sessions"), "{}", ran.out);
}
