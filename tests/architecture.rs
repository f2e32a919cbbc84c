//! The rooms of the house and who may know whom. A new arrow is a decision: it is made here first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rooms that every room may use, and that use none.
const LOWEST: [&str; 2] = ["candidate", "clock"];

/// Each room with the rooms that it may use, beside the lowest and itself.
const TABLE: &[(&str, &[&str])] = &[
    ("candidate", &[]),
    ("clock", &[]),
    ("workload", &[]),
    ("stats", &[]),
    ("host", &[]),
    ("protocol", &["workload"]),
    ("plan", &["workload", "host", "protocol"]),
    ("agent", &["protocol", "workload"]),
    ("checkout", &[]),
    ("python", &["protocol"]),
    ("decide", &["stats", "plan"]),
    ("record", &["workload", "host", "protocol", "plan", "decide"]),
    ("session", &["workload", "stats", "host", "protocol", "plan", "record", "decide", "guard"]),
    ("selftest", &["workload", "stats", "host", "protocol", "session", "guard"]),
    ("conformance", &["workload", "host", "protocol", "session", "guard"]),
    ("cheatsheet", &["stats", "host", "python", "guard"]),
    ("analyze", &["workload", "stats", "host", "protocol", "plan", "record", "decide"]),
    ("idiom", &["workload"]),
    ("report", &["workload", "host", "protocol", "plan", "record", "decide", "analyze", "idiom", "cheatsheet"]),
    ("server", &["protocol"]),
    ("guard", &["protocol"]),
    (
        "cli",
        &[
            "workload",
            "stats",
            "host",
            "protocol",
            "plan",
            "agent",
            "checkout",
            "python",
            "record",
            "decide",
            "session",
            "selftest",
            "conformance",
            "cheatsheet",
            "analyze",
            "idiom",
            "report",
            "server",
            "guard",
        ],
    ),
    ("library", &["workload", "protocol", "agent", "record", "report", "cli"]),
];

/// A source file of a room, without its comments.
struct Source {
    room: String,
    path: PathBuf,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a source directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).expect("a path below src");
                let room = inside.components().next().expect("a name").as_os_str().to_string_lossy();
                let text = fs::read_to_string(&path).expect("a source file");
                let code: Vec<&str> = text.lines().map(without_comment).collect();
                found.push(Source { room: room.trim_end_matches(".rs").to_owned(), path, code: code.join("\n") });
            }
        }
    }
    found
}

/// A line without its comment. (`//` inside a string, as in a URL, follows a colon.)
fn without_comment(line: &str) -> &str {
    let end = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':')).map_or(line.len(), |(at, _)| at);
    &line[..end]
}

/// The rooms named by `crate::room` and by `use crate::{room, room::..}`.
fn named(code: &str) -> BTreeSet<String> {
    let path = Regex::new(r"\bcrate::(\w+)").expect("a legal expression");
    let group = Regex::new(r"\bcrate::\{").expect("a legal expression");
    let mut rooms: BTreeSet<String> = path.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for start in group.find_iter(code) {
        rooms.extend(first_words(&code[start.end()..]));
    }
    rooms
}

/// The first word of each item of a group, up to its closing brace.
fn first_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut depth, mut taking) = (0, true);
    for character in text.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                words.push(String::new());
                taking = true;
            }
            ':' => taking = false,
            other if depth == 0 && taking && (other.is_alphanumeric() || other == '_') => {
                words.last_mut().expect("never empty").push(other);
            }
            _ => {}
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn rooms_know_only_what_the_table_says() {
    let rooms: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !["lib", "main"].contains(&source.room.as_str())) {
        let Some((_, allowed)) = TABLE.iter().find(|(room, _)| *room == source.room) else {
            faults.push(format!("{}: the room `{}` is not in the table", source.path.display(), source.room));
            continue;
        };
        for room in named(&source.code) {
            let known = room == source.room || LOWEST.contains(&room.as_str()) || allowed.contains(&room.as_str());
            if rooms.contains(&room.as_str()) && !known {
                faults.push(format!("{}: `{}` may not know `{room}`", source.path.display(), source.room));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_table_has_no_way_back() {
    for (at, (room, allowed)) in TABLE.iter().enumerate() {
        // `guard` and `server` stand last because little uses them; they use nothing above `protocol`.
        let below: Vec<&str> = TABLE[..at].iter().map(|row| row.0).chain(["guard", "server"]).collect();
        for known in *allowed {
            assert!(below.contains(known), "`{room}` knows `{known}`, which is not below it");
        }
    }
}

#[test]
fn only_the_command_line_knows_the_terminal() {
    let terminal = Regex::new(r"\b(clap|clap_complete|indicatif)\b").expect("a legal expression");
    let printing = Regex::new(r"\b(e?print(ln)?|dbg)!|\bprocess::exit\b").expect("a legal expression");
    let mut faults = Vec::new();
    for source in sources() {
        if source.room != "cli" && terminal.is_match(&source.code) {
            faults.push(format!("{}: only `cli` knows clap and indicatif", source.path.display()));
        }
        // Where a program of the user's is started as a part of a session, what follows in its `main` must not run.
        let ends = source.path.ends_with("src/library/part.rs").then_some("process::exit");
        if let Some(found) = printing.find(&source.code).filter(|found| Some(found.as_str()) != ends) {
            faults.push(format!(
                "{}: `{}`: write to a given writer, end in main",
                source.path.display(),
                found.as_str()
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_are_found_however_they_are_written() {
    let code = "use crate::{plan, record::{self, Record},\n    workload::Workload};\nlet x = crate::host::facts();";
    assert_eq!(named(code).into_iter().collect::<Vec<_>>(), ["host", "plan", "record", "workload"]);
    assert_eq!(without_comment("let url = \"http://host\"; // crate::cli"), "let url = \"http://host\"; ");
}
