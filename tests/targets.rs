//! Functions as targets, by the real binary and a real interpreter.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::printed::record;
use common::pythons;
use serde_json::Value;

const SCRAPE: &str = r#"
import asyncio, time

items = list(range(9))


def pages():
    yield from items


def parse(page):
    time.sleep(0.002)
    return page * page


async def fetch(page):
    await asyncio.sleep(0.002)
    return page * page


if __name__ == "__main__":
    raise SystemExit("the main part runs")
"#;

/// A directory with `shop/scrape.py`.
fn shop() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(place.path().join("shop")).expect("made");
    std::fs::write(place.path().join("shop/scrape.py"), SCRAPE).expect("written");
    place
}

fn conbench(place: &Path, python: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.current_dir(place).args(args).arg("--python").arg(python);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).stdin(Stdio::null()).output().expect("the binary starts")
}

#[test]
fn a_function_is_found_by_its_file_or_its_module_and_gets_items_of_its_module() {
    let Some(python) = pythons::newest_of_all().map(|python| python.executable.clone()) else { return };
    let place = shop();
    for (target, items, form, name) in [
        ("shop/scrape.py:parse", "items", "function", "scrape:parse"),
        ("shop.scrape:parse", "range(9)", "function", "shop.scrape:parse"),
        ("shop.scrape:fetch", "[page for page in items]", "async_function", "shop.scrape:fetch"),
    ] {
        let args = ["recommend", target, "--items", items, "--format", "json", "--budget", "3s"];
        let record = record(&conbench(place.path(), &python, &args));
        let step = &record["workload"]["steps"][0];
        assert_eq!(step[form], name, "{step}");
        assert_eq!(step["items"]["expression"], items, "{step}");
        assert!(record["verdict"]["groups"][0]["answer"]["model"].is_string(), "{target}: {}", record["candidates"]);
    }
}

#[test]
fn the_main_part_of_a_file_runs_under_no_start_method() {
    let Some(python) = pythons::newest_of_all().map(|python| python.executable.clone()) else { return };
    let place = shop();
    let target = ["run", "shop/scrape.py:parse", "--items", "items", "--format", "json", "--budget", "4s"];
    let engine = ["--engines", "ProcessPoolExecutor", "--start-methods", "fork,forkserver,spawn", "--workers", "2"];
    let record = record(&conbench(place.path(), &python, &[&target[..], &engine].concat()));
    let candidates = record["candidates"].as_array().expect("candidates");
    let mut methods: Vec<&str> =
        candidates.iter().filter_map(|one| one["candidate"]["start_method"].as_str()).collect();
    methods.sort_unstable();
    methods.dedup();
    assert_eq!(methods, ["fork", "forkserver", "spawn"]);
    for one in candidates {
        assert!(one["failure"].is_null() && one["blocks"][0].is_object(), "{one}");
    }
}

#[test]
fn an_expression_that_raises_is_told() {
    let Some(python) = pythons::newest_of_all().map(|python| python.executable.clone()) else { return };
    let place = shop();
    let ran =
        conbench(place.path(), &python, &["recommend", "shop.scrape:parse", "--items", "missing", "--budget", "3s"]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
    assert!(said.contains("`items` missing raised NameError"), "{said}");
    assert_eq!(ran.status.code(), Some(3), "{said}");
}

#[test]
fn a_misspelt_function_is_bad_input_and_told_with_the_nearest() {
    let Some(python) = pythons::newest_of_all().map(|python| python.executable.clone()) else { return };
    let place = shop();
    std::fs::write(place.path().join("earlier.json"), "measured before").expect("written");
    let options = ["--items", "range(9)", "--budget", "3s", "--output", "earlier.json"];
    for verb in ["recommend", "run"] {
        let ran = conbench(place.path(), &python, &[&[verb, "shop/scrape.py:prase"][..], &options].concat());
        let errors = String::from_utf8_lossy(&ran.stderr);
        let told = "error: `function` names `prase`, which the module scrape does not have: did you mean `parse`?\n";
        assert!(errors.ends_with(told), "{verb}: {errors}");
        assert_eq!((ran.status.code(), String::from_utf8_lossy(&ran.stdout).as_ref()), (Some(2), ""), "{verb}");
    }
    let kept = std::fs::read_to_string(place.path().join("earlier.json")).expect("still there");
    assert_eq!(kept, "measured before", "nothing was measured that is worth more");
}

#[test]
fn the_code_of_the_answer_is_all_that_is_printed_and_progress_is_json() {
    let Some(python) = pythons::newest_of_all().map(|python| python.executable.clone()) else { return };
    let place = shop();
    let engines = ["--engines", "ThreadPoolExecutor", "--workers", "4,8", "--budget", "3s"];
    let args = ["recommend", "shop.scrape:parse", "--items", "pages", "--code", "--progress", "json"];
    let ran = conbench(place.path(), &python, &[&args[..], &engines].concat());
    let code = String::from_utf8_lossy(&ran.stdout);
    let begin = "from concurrent.futures import ThreadPoolExecutor\n\nfrom shop.scrape import pages, parse\n\nwith ThreadPoolExecutor(max_workers=";
    assert!(code.starts_with(begin), "{code}");
    assert!(code.contains("pool.map(parse, pages())"), "{code}");
    let errors = String::from_utf8_lossy(&ran.stderr).into_owned();
    let event = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let events: Vec<Value> = errors.lines().map(event).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert!(of("round") > 0 && of("answer") > 0, "{errors}");
}
