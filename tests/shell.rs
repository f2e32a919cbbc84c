//! What a shell has of it: the live view at a terminal, completions and manual pages in the user's directories.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A race of two models that is soon decided.
const RACE: [&str; 8] =
    ["recommend", "json-parsing", "--runtimes", "rust", "--models", "sequential,threads", "--budget", "4s"];

fn conbench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conbench"));
    command.stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn has(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
    let found = found.is_ok_and(|status| status.success());
    if !found {
        drop(writeln!(io::stderr(), "skipped: there is no `{program}`"));
    }
    found
}

/// What a terminal of 60 columns gets on standard error while a race runs; its standard output goes to a file.
fn drawn(room: &Path, colour: bool) -> String {
    let quoted = RACE.join(" ");
    let line =
        format!("stty cols 60 rows 20; '{}' {quoted} --output record.json > out.txt", env!("CARGO_BIN_EXE_conbench"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(room).stdin(Stdio::null()).env("TERM", "xterm");
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).env_remove("NO_COLOR");
    if !colour {
        command.env("NO_COLOR", "1");
    }
    text(&command.output().expect("`script` runs").stdout)
}

#[test]
fn the_answer_so_far_is_drawn_in_place_and_taken_away() {
    if !has("script") || !has("stty") {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let seen = drawn(room.path(), true);
    assert!(seen.contains("json-parsing, rust: "), "{seen:?}");
    assert!(seen.contains("Ctrl-C takes the best so far") && seen.contains(" s left"), "{seen:?}");
    assert!(seen.contains("leads") && seen.contains('█'), "{seen:?}");
    // Nothing is drawn after the lines are cleared for the last time.
    let escapes = regex::Regex::new("\u{1b}\\[[0-9;?]*[A-Za-z]").expect("a legal expression");
    let (_, rest) = seen.rsplit_once("\u{1b}[2K").expect("lines are cleared");
    assert_eq!(escapes.replace_all(rest, "").trim(), "", "{seen:?}");
    let out = fs::read_to_string(room.path().join("out.txt")).expect("its standard output");
    assert!(out.starts_with("json-parsing: ") && !out.contains("so far") && !out.contains('\u{1b}'), "{out}");
    let record = fs::read_to_string(room.path().join("record.json")).expect("a record");
    let record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    assert!(record["records"][0]["progress_cpu_ns"].as_u64().is_some_and(|ns| ns > 0), "the view costs something");
}

#[test]
fn the_view_needs_no_colour() {
    if !has("script") || !has("stty") {
        return;
    }
    let room = tempfile::tempdir().expect("a directory");
    let seen = drawn(room.path(), false);
    assert!(seen.contains("Ctrl-C") && !seen.contains("\u{1b}[32m") && !seen.contains("\u{1b}[1m"), "{seen:?}");
}

#[test]
fn without_a_terminal_there_are_lines_or_nothing() {
    let told = |form: &[&str]| {
        let ran = conbench().args(RACE).args(form).output().expect("it runs");
        assert!(!text(&ran.stderr).contains('\u{1b}'));
        text(&ran.stderr)
    };
    assert!(!told(&[]).contains("so far"));
    let plain = told(&["--progress", "plain"]);
    assert!(plain.lines().any(|line| line.starts_with("json-parsing")), "{plain}");
    let objects = told(&["--progress", "json"]);
    let events: Vec<serde_json::Value> =
        objects.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let answer = events.iter().rfind(|event| event["event"] == "answer").expect("an answer so far");
    let models = answer["models"].as_array().expect("how the models stand");
    assert_eq!(models[0]["candidate"], answer["candidate"], "what is named comes first");
    assert!(models.len() <= 2 && models[0]["ratio"].as_f64() == Some(1.0), "{answer}");
}

/// Installs into this home, for a user of this shell.
fn install(home: &Path, shell: &str, args: &[&str]) -> Output {
    let mut command = conbench();
    command.args(["completions", "--install"]).args(args).env("HOME", home).env("SHELL", shell);
    command.env_remove("XDG_DATA_HOME").output().expect("it runs")
}

#[test]
fn completions_and_manual_pages_are_installed_by_one_command() {
    let places = [
        ("/bin/bash", "bash-completion/completions/conbench"),
        ("/usr/bin/zsh", "zsh/site-functions/_conbench"),
        ("/usr/bin/fish", "fish/vendor_completions.d/conbench.fish"),
    ];
    for (shell, place) in places {
        let home = tempfile::tempdir().expect("a directory");
        let data = home.path().join(".local/share");
        let ran = install(home.path(), shell, &[]);
        assert_eq!((text(&ran.stderr).as_str(), ran.status.code()), ("", Some(0)), "{shell}");
        let said = text(&ran.stdout);
        assert!(said.contains(&data.join(place).display().to_string()), "{said}");
        assert!(said.contains(&data.join("man/man1").display().to_string()), "{said}");
        let completion = fs::read_to_string(data.join(place)).expect("the completion");
        assert!(completion.contains("recommend"), "{shell}");
        let page = fs::read_to_string(data.join("man/man1/conbench.1")).expect("the page");
        assert!(page.contains(".SH NAME") && page.contains("EXIT STATUS"), "{page}");
        assert!(data.join("man/man1/conbench-recommend.1").is_file());
        // What it wrote itself it writes anew.
        assert_eq!(install(home.path(), shell, &[]).status.code(), Some(0), "{shell}");
    }
}

#[test]
fn a_file_of_somebody_else_is_not_overwritten() {
    let home = tempfile::tempdir().expect("a directory");
    let page = home.path().join(".local/share/man/man1/conbench.1");
    fs::create_dir_all(page.parent().expect("a directory")).expect("made");
    fs::write(&page, "mine").expect("written");
    let ran = install(home.path(), "/bin/bash", &[]);
    assert_eq!((text(&ran.stdout).as_str(), ran.status.code()), ("", Some(2)));
    assert!(text(&ran.stderr).contains(&format!("`{}`", page.display())), "{}", text(&ran.stderr));
    assert_eq!(fs::read_to_string(&page).expect("still there"), "mine");
    assert!(!home.path().join(".local/share/bash-completion").exists(), "nothing is half done");
    let ran = install(home.path(), "/bin/bash", &["--force"]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(text(&ran.stdout).contains("replaced"), "{}", text(&ran.stdout));
    assert_ne!(fs::read_to_string(&page).expect("there"), "mine");
}

#[test]
fn a_shell_that_is_not_known_is_asked_for() {
    let home = tempfile::tempdir().expect("a directory");
    let ran = install(home.path(), "/bin/dash", &[]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(text(&ran.stdout).contains("conbench completions --install bash"), "{}", text(&ran.stdout));
    let ran = install(home.path(), "/bin/dash", &["zsh"]);
    assert!(text(&ran.stdout).contains("compinit"), "{}", text(&ran.stdout));
}

#[test]
fn every_manual_page_renders_without_a_warning() {
    if !has("groff") {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    assert!(install(home.path(), "/bin/bash", &[]).status.success());
    let pages = fs::read_dir(home.path().join(".local/share/man/man1")).expect("pages");
    for page in pages {
        let page = page.expect("a page").path();
        let ran =
            Command::new("groff").args(["-man", "-ww", "-Tutf8", "-P-cbou"]).arg(&page).output().expect("groff runs");
        assert_eq!(text(&ran.stderr), "", "{}", page.display());
        assert!(text(&ran.stdout).contains("EXIT STATUS"), "{}", page.display());
    }
}

#[test]
fn a_page_is_printed_by_its_verb() {
    let page = |args: &[&str]| conbench().arg("man").args(args).output().expect("it runs");
    assert!(text(&page(&[]).stdout).contains("conbench\\-recommend"));
    assert!(text(&page(&["recommend"]).stdout).contains("\\-\\-budget"));
    let unknown = page(&["recomend"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("recommend"), "{}", text(&unknown.stderr));
}
