//! The rooms of the house and who may know whom. A new arrow is a decision: it is made here first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rooms that every room may use, and that use none.
const LOWEST: [&str; 4] = ["candidate", "clock", "escape", "units"];

/// Each room with the rooms that it may use, beside the lowest and itself.
const TABLE: &[(&str, &[&str])] = &[
    ("candidate", &[]),
    ("clock", &[]),
    ("escape", &[]),
    ("units", &[]),
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

/// Whether a path of a function (`room::file::Type::name`) leads to one: the file is the longest one that the path names.
fn leads_to_a_function(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = |count: usize| {
        let base = root.join(parts[..count].join("/"));
        [base.with_extension("rs"), base.join("mod.rs")].into_iter().find(|file| file.is_file())
    };
    let Some((count, file)) = (1..parts.len()).rev().find_map(|count| Some((count, file(count)?))) else {
        return false;
    };
    let code = fs::read_to_string(file).expect("a source file");
    let (name, types) = parts[count..].split_last().expect("the file is not all of it");
    let is_there = |word: &str| Regex::new(&format!(r"\b{word}\b")).expect("a legal expression").is_match(&code);
    types.iter().all(|one| is_there(one)) && is_there(&format!("fn {name}"))
}

#[test]
fn the_walks_of_the_page_pass_functions_that_are_there() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, walks) = page.split_once("## Three walks").expect("the walks");
    let (walks, _) = walks.split_once("\n## ").expect("what follows them");
    let path = Regex::new(r"`(\w+(?:::\w+)+)`").expect("a legal expression");
    let named: Vec<&str> = path.captures_iter(walks).map(|found| found.extract::<1>().1[0]).collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|one| !leads_to_a_function(one)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!leads_to_a_function("decide::Decide::nothing") && !leads_to_a_function("nowhere::run"));
}

/// The paths of a `use`, each whole: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths_of(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let joined = |rest: &str| if prefix.is_empty() { rest.to_owned() } else { format!("{prefix}::{rest}") };
    let Some((head, group)) = tree.strip_suffix('}').and_then(|tree| tree.split_once('{')) else {
        return vec![joined(tree.split(" as ").next().unwrap_or(tree).trim())];
    };
    let head = head.trim_end_matches("::");
    let prefix = if head.is_empty() { prefix.to_owned() } else { joined(head) };
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for sign in group.chars() {
        match sign {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("never empty").push(sign);
    }
    parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| paths_of(&prefix, part)).collect()
}

/// The module of a file: `session::link`.
fn module_of(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(root).expect("a path below src").with_extension("");
    let inside = if inside.ends_with("mod") { inside.parent().expect("a folder").to_owned() } else { inside };
    inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("::")
}

/// The modules that a file names, without its unit tests. Its folder and what lies in it are one with it.
fn known_of(module: &str, code: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or(code);
    let (uses, inline) = (r"\buse ([^;]+);", r"\b((?:crate|super|self)(?:::\w+)+)");
    let [uses, inline] = [uses, inline].map(|it| Regex::new(it).expect("a legal expression"));
    let mut paths: BTreeSet<String> = inline.captures_iter(code).map(|found| found[1].to_owned()).collect();
    paths.extend(uses.captures_iter(code).flat_map(|found| paths_of("", &found[1])));
    let is_kin = |other: &str| {
        let below = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with("::"));
        other == module || below(other, module) || below(module, other)
    };
    let named = paths.iter().filter_map(|path| {
        let mut parts: Vec<&str> = path.split("::").collect();
        let mut base: Vec<&str> = module.split("::").collect();
        if parts[0] == "crate" {
            base.clear();
        }
        let steps = parts.iter().take_while(|part| ["crate", "self", "super"].contains(part)).count();
        let ups = parts[..steps].iter().filter(|part| **part == "super").count();
        if steps == 0 {
            return None;
        }
        base.truncate(base.len().saturating_sub(ups));
        base.extend(parts.split_off(steps));
        (1..=base.len()).rev().map(|count| base[..count].join("::")).find(|whole| modules.contains(whole))
    });
    named.filter(|other| !is_kin(other)).collect()
}

#[test]
fn no_files_know_each_other_in_a_circle() {
    let sources = sources();
    let modules: BTreeSet<String> = sources.iter().map(|source| module_of(&source.path)).collect();
    let mut known: Vec<(String, BTreeSet<String>)> = sources
        .iter()
        .map(|source| module_of(&source.path))
        .zip(sources.iter().map(|source| known_of(&module_of(&source.path), &source.code, &modules)))
        .collect();
    assert!(known.iter().map(|(_, others)| others.len()).sum::<usize>() > 300, "arrows are found");
    // Whoever knows none of those that are left is in no circle.
    loop {
        let left: BTreeSet<String> = known.iter().map(|(module, _)| module.clone()).collect();
        let before = known.len();
        known.retain(|(_, others)| others.iter().any(|other| left.contains(other)));
        if known.len() == before {
            break;
        }
    }
    // And whoever is known by none of them.
    loop {
        let named: BTreeSet<String> = known.iter().flat_map(|(_, others)| others.clone()).collect();
        let before = known.len();
        known.retain(|(module, _)| named.contains(module));
        if known.len() == before {
            break;
        }
    }
    let circles: Vec<&String> = known.iter().map(|(module, _)| module).collect();
    assert!(circles.is_empty(), "these files know each other in a circle: {circles:?}");
}

#[test]
fn paths_of_a_use_are_found_whole() {
    assert_eq!(paths_of("", "super::{a::{b, c as d}, e}"), ["super::a::b", "super::a::c", "super::e"]);
    let modules: BTreeSet<String> = ["room::a", "room::b", "room"].map(str::to_owned).into();
    let known = known_of("room::a", "use super::b::Thing;\nuse super::Own;", &modules);
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["room::b"]);
}
