//! What the README and the pages under `docs/` show: commands run as they stand, and outputs are those of their records.
//!
//! A block of output that has a record stands below a comment, `<!-- printed by: conbench report RECORD .. -->`.
//! `CONBENCH_BLESS=1 cargo test --test docs` writes such blocks anew. Commands that would take too long as they stand, or need
//! what is not here, have a comment above them: `<!-- run with: OPTIONS -->`, or `<!-- not run: REASON -->`.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::pythons;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where a block of output says what prints it.
const PRINTED_BY: &str = "<!-- printed by: ";
/// What a test adds to each `conbench` of the block below.
const RUN_WITH: &str = "<!-- run with: ";
/// Why no test runs the block below.
const NOT_RUN: &str = "<!-- not run: ";
/// The reasons that there may be.
const REASONS: [&str; 3] =
    ["it takes some minutes", "it needs two more interpreters", "the file is downloaded from a page"];
/// Pages whose commands tests of this file run.
const RUN_HERE: [&str; 7] = [
    "README.md",
    "docs/records.md",
    "docs/ci.md",
    "docs/python-functions.md",
    "docs/cheatsheet.md",
    "docs/page.md",
    "docs/clusters.md",
];
/// Pages whose commands other tests run: `tests/executors.rs`, and `tests/python_package.rs`, which installs.
const RUN_ELSEWHERE: [&str; 2] = ["docs/executors.md", "docs/python-package.md"];

/// The README and the pages.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(Path::new(ROOT).join("docs")).expect("the pages").flatten().map(|entry| entry.path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.push(Path::new(ROOT).join("README.md"));
    pages.sort();
    pages
}

/// The contents of all fenced blocks of a page in this language.
fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().expect("a part").to_owned()).collect()
}

/// A block of commands, and what a comment above it says of how it is run.
struct Commands {
    text: String,
    /// Why no test runs it.
    not_run: Option<String>,
}

/// The commands of a page. What a test adds to them is in them.
fn commands(page: &Path) -> Vec<Commands> {
    let text = std::fs::read_to_string(page).expect("a page");
    let parts: Vec<&str> = text.split("```sh\n").collect();
    let command = |pair: &[&str]| {
        let above = pair[0].trim_end().lines().next_back().unwrap_or_default();
        let said = |mark| above.strip_prefix(mark).map(|rest| rest.trim_end_matches(" -->").to_owned());
        let mut text = pair[1].split("```").next().expect("a part").to_owned();
        if let Some(options) = said(RUN_WITH) {
            let longer = |line: &str| {
                // What follows is a comment of the shell.
                let (command, comment) = line.split_once(" #").unwrap_or((line, ""));
                format!("{} {options} #{comment}\n", command.trim_end())
            };
            text = text.lines().map(longer).collect();
        }
        Commands { text, not_run: said(NOT_RUN) }
    };
    parts.windows(2).map(command).collect()
}

/// Runs a script as a reader would type it, with `conbench` and `python3` on the path.
fn shell(directory: &Path, script: &str) -> Output {
    let python = pythons::newest_of_all().map(|python| python.executable.clone());
    shell_with(python.as_deref(), directory, script)
}

/// The same with this `python3`.
fn shell_with(python: Option<&Path>, directory: &Path, script: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_conbench")).parent().expect("a directory");
    let mut path = vec![program.to_owned()];
    path.extend(python.map(|python| python.parent().expect("a directory").to_owned()));
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(directory).stdin(Stdio::null());
    command.env("PATH", std::env::join_paths(path).expect("a path")).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    // What is installed for a user goes to a place of the tests.
    command.env("XDG_DATA_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("data")).env("SHELL", "/bin/bash");
    command.env_remove("COLUMNS").output().expect("bash runs")
}

/// What the pages speak of: a package with a function, and a workload file.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a directory");
    std::fs::create_dir_all(place.path().join("shop")).expect("made");
    std::fs::create_dir_all(place.path().join("bench")).expect("made");
    let scrape = &blocks(&Path::new(ROOT).join("docs/python-functions.md"), "python")[0];
    std::fs::write(place.path().join("shop/scrape.py"), scrape).expect("written");
    let export = &blocks(&Path::new(ROOT).join("README.md"), "toml")[0];
    // The README says to save it here; other pages speak of a folder of such files.
    for name in ["export.toml", "bench/export.toml"] {
        std::fs::write(place.path().join(name), export).expect("written");
    }
    let commit = "git init --quiet --initial-branch=main && git add --all && git -c user.name=you -c user.email=you@localhost \
                  -c commit.gpgsign=false commit --quiet --message first";
    assert!(shell(place.path(), commit).status.success(), "git commits");
    place
}

/// Runs the blocks of a page one after the other. A busy host is no fault of theirs (code 4, or 11 of a gate).
fn run_as_they_stand(page: &str) {
    if let Some(python) = pythons::newest_of_all() {
        run_with(&python.executable, page);
    }
}

fn run_with(python: &Path, page: &str) {
    assert!(RUN_HERE.contains(&page), "{page}");
    let place = place();
    let blocks = commands(&Path::new(ROOT).join(page)).into_iter().filter(|block| block.not_run.is_none());
    for Commands { text: block, .. } in blocks {
        // Installing is what the test's own build did.
        let script: Vec<&str> = block.lines().filter(|line| !line.starts_with("cargo ")).collect();
        let ran = shell_with(Some(python), place.path(), &script.join("\n"));
        let (out, errors) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        let is_fine = matches!(ran.status.code(), Some(0 | 4 | 11));
        assert!(is_fine && !errors.contains("command not found"), "{page}: {block}\n{:?}\n{out}\n{errors}", ran.status);
        assert!(!out.trim().is_empty(), "{page}: {block}\nprinted nothing\n{errors}");
    }
}

// What one page shows is not run for another. Commands that run beside another's disturb each other, which is fine.

#[test]
fn the_commands_of_the_readme_run_as_they_stand() {
    run_as_they_stand("README.md");
}

#[test]
fn the_commands_about_records_and_ci_run_as_they_stand() {
    run_as_they_stand("docs/records.md");
    run_as_they_stand("docs/ci.md");
}

#[test]
fn the_commands_about_functions_run_as_they_stand() {
    run_as_they_stand("docs/python-functions.md");
}

#[test]
fn the_commands_about_the_cheat_sheet_and_the_page_run_as_they_stand() {
    run_as_they_stand("docs/cheatsheet.md");
    run_as_they_stand("docs/page.md");
}

#[test]
fn the_commands_about_clusters_run_as_they_stand() {
    if let Some(python) = pythons::with_packages() {
        run_with(&python, "docs/clusters.md");
    }
}

#[test]
fn commands_that_no_test_runs_say_why() {
    for page in pages() {
        let name = page.strip_prefix(ROOT).expect("a page of this project").to_str().expect("UTF-8");
        let is_run = RUN_HERE.contains(&name);
        for block in commands(&page) {
            let is_told = block.not_run.as_deref().is_some_and(|reason| REASONS.contains(&reason));
            let is_fine = if is_run { block.not_run.is_none() || is_told } else { RUN_ELSEWHERE.contains(&name) };
            assert!(is_fine, "{name}: no test runs this, and it does not say why:\n{}", block.text);
        }
    }
}

#[test]
fn pages_are_short_enough_to_be_read() {
    for page in pages() {
        let lines = std::fs::read_to_string(&page).expect("a page").lines().count();
        let most = if page.ends_with("README.md") { 249 } else { 300 };
        assert!(lines <= most, "{}: {lines} lines, of {most} at most", page.display());
    }
}

#[test]
fn an_answer_is_read_at_a_glance() {
    for record in ["reports/web-scraping.json", "reports/parse.json"] {
        let ran = shell(Path::new(ROOT), &format!("conbench report {record} --as recommend"));
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && text.lines().count() <= 27, "{text}");
    }
}

#[test]
fn every_workload_file_that_is_shown_is_one() {
    let place = place();
    let ran = shell(place.path(), "conbench check bench/export.toml");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// A page with each block that has a record as that record prints it now.
fn printed(page: &Path) -> String {
    let text = std::fs::read_to_string(page).expect("a page");
    let mut parts = text.split(PRINTED_BY);
    let mut whole = parts.next().expect("a first part").to_owned();
    for part in parts {
        let (command, rest) = part.split_once(" -->\n").expect("the comment ends");
        let (before, rest) = rest.split_once("```text\n").expect("a block follows");
        let (_, after) = rest.split_once("```").expect("the block ends");
        let ran = shell(Path::new(ROOT), command);
        assert!(ran.status.success(), "{}: {command}: {}", page.display(), String::from_utf8_lossy(&ran.stderr));
        let out = String::from_utf8_lossy(&ran.stdout);
        whole += &format!("{PRINTED_BY}{command} -->\n{before}```text\n{}\n```{after}", out.trim_end());
    }
    whole
}

#[test]
fn outputs_are_what_their_records_print() {
    let mut count = 0;
    for page in pages() {
        let (text, now) = (std::fs::read_to_string(&page).expect("a page"), printed(&page));
        count += now.matches(PRINTED_BY).count();
        if std::env::var_os("CONBENCH_BLESS").is_some() {
            std::fs::write(&page, &now).expect("the page can be written");
        } else {
            assert_eq!(text, now, "{}: CONBENCH_BLESS=1 writes the outputs anew", page.display());
        }
    }
    assert!(count > 0, "no page has an output with a record");
}
