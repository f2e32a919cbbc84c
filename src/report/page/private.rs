//! What of a judged record may be handed on: a page is made to be sent to others.
//!
//! Out go values of the environment, of items and of results, messages of the user's own code, and the names of home
//! directories. What is measured stays, and so does every name.

use std::path::Path;

use crate::analyze::{Condition, FarLimit, Group, Status, Verdict, looks_like_limit};
use crate::candidate::Cluster;
use crate::protocol::{Failed, Note};
use crate::record::{Record, Warning};
use crate::report::Judged;
use crate::workload::{Items, Step};

/// What stands in the place of something that is not handed on.
const HIDDEN: &str = "..";

/// The record and its verdict without what is its owner's alone. `home` is a further home directory to shorten, beside
/// those that are known by their place.
///
/// The answer stays as it is: a verdict made anew from what is left would lack the hints that messages gave.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub(super) fn shared(judged: &Judged, home: Option<&str>) -> Result<Judged, serde_json::Error> {
    let mut judged = Judged {
        record: without_homes(&judged.record, home)?,
        verdict: without_homes::<Verdict>(&judged.verdict, home)?,
    };
    let is_own = judged
        .record
        .workload
        .steps
        .iter()
        .any(|step| matches!(step, Step::Python(_) | Step::Registered(_) | Step::Command { .. }));
    workload(&mut judged.record);
    measured(&mut judged.record, is_own);
    judged.verdict.groups.iter_mut().for_each(|group| of_group(group, is_own));
    Ok(judged)
}

/// A value with every home directory in its texts written `~`.
pub(super) fn without_homes<T: serde::Serialize + serde::de::DeserializeOwned>(
    value: &T,
    home: Option<&str>,
) -> Result<T, serde_json::Error> {
    serde_json::from_str(&shortened(&serde_json::to_string(value)?, home))
}

/// Where home directories are, by the place that comes before the user's name.
const HOMES: [&str; 5] = ["/home/", "/Users/", "/var/home/", "/usr/home/", "/export/home/"];

/// A text in which paths below a home directory begin with `~`.
fn shortened(text: &str, home: Option<&str>) -> String {
    let mut left = text;
    let mut found = String::with_capacity(text.len());
    while let Some(at) = left.find('/') {
        let (before, path) = left.split_at(at);
        found.push_str(before);
        // A path that goes on before the slash, or a URL, is another one.
        let begins = found.chars().next_back().is_none_or(|sign| !(sign.is_alphanumeric() || "._-~/".contains(sign)));
        let length = if begins { home_at(path, home) } else { None };
        match length {
            Some(length) => {
                found.push('~');
                left = &path[length..];
            }
            None => {
                found.push('/');
                left = &path[1..];
            }
        }
    }
    found + left
}

/// How long the home directory is that this path begins with, if it does.
fn home_at(path: &str, home: Option<&str>) -> Option<usize> {
    let ends = |length: usize| {
        path[length..].chars().next().is_none_or(|sign| !(sign.is_alphanumeric() || "._-".contains(sign)))
    };
    let whole = home.map(|home| home.trim_end_matches('/')).filter(|home| home.len() > 1);
    if let Some(known) = whole.into_iter().chain(["/root"]).find(|known| path.starts_with(known) && ends(known.len())) {
        return Some(known.len());
    }
    let place = HOMES.iter().find(|place| path.starts_with(**place))?;
    let is_name = |sign: char| sign.is_alphanumeric() || "._-@+".contains(sign);
    let name = path[place.len()..].find(|sign| !is_name(sign)).unwrap_or(path.len() - place.len());
    (name > 0).then_some(place.len() + name)
}

fn workload(record: &mut Record) {
    for step in &mut record.workload.steps {
        match step {
            Step::Python(own) => {
                own.items = own.items.take().map(|items| match items {
                    Items::Expression(text) if has_values(&text) => Items::Listed(Vec::new()),
                    Items::Listed(_) => Items::Listed(Vec::new()),
                    named => named,
                });
            }
            Step::Http { url: Some(url), .. } => *url = without_secrets(url),
            // The program is a name; what it is given may be anything.
            Step::Command { argv, .. } => argv.iter_mut().skip(1).for_each(|argument| HIDDEN.clone_into(argument)),
            _ => {}
        }
    }
}

/// Whether an expression holds values, beside names, calls and whole numbers.
fn has_values(expression: &str) -> bool {
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "_.,() ".contains(sign);
    !expression.chars().all(is_plain)
}

/// A URL without user, password, query and fragment.
fn without_secrets(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return HIDDEN.to_owned() };
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if is_plain {
        return text.to_owned();
    }
    // It fails where a URL cannot have them, and then it has none.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn measured(record: &mut Record, is_own: bool) {
    for runtime in &mut record.calibration.runtimes {
        runtime.notes.iter_mut().for_each(note);
        if let Some(threads) = &mut runtime.library_threads {
            threads.set.values_mut().for_each(|value| HIDDEN.clone_into(value));
        }
        runtime.cluster.iter_mut().for_each(cluster);
    }
    record.settings.cluster.iter_mut().for_each(address);
    record.settings.cluster_upload.iter_mut().for_each(name_alone);
    for candidate in &mut record.candidates {
        candidate.failure.iter_mut().for_each(|failure| failed(failure, is_own));
        for block in &mut candidate.blocks {
            block.figures.results.clear();
            block.figures.notes.iter_mut().for_each(note);
            block.figures.first_error.iter_mut().for_each(|failure| failed(failure, is_own));
        }
    }
    for warning in &mut record.warnings {
        match warning {
            Warning::FailedTeardown { failure, .. }
            | Warning::Exclusive { failure, .. }
            | Warning::Scarce { failure, .. }
            | Warning::Replaced { failure, .. } => failed(failure, is_own),
            Warning::Found { note: found, .. } => note(found),
            Warning::Unchecked { message } | Warning::Other { message } if is_own => without_quoted(message),
            _ => {}
        }
    }
}

/// A cluster without the names of its hosts: each has a number.
fn cluster(cluster: &mut Cluster) {
    address(&mut cluster.address);
    let mut hosts: Vec<String> = Vec::new();
    for worker in &mut cluster.workers {
        let number = hosts.iter().position(|host| *host == worker.host).unwrap_or_else(|| {
            hosts.push(worker.host.clone());
            hosts.len() - 1
        });
        worker.host = format!("host {}", number + 1);
        worker.address = None;
    }
}

/// A path without its folders.
fn name_alone(path: &mut String) {
    *path = Path::new(path).file_name().map_or_else(|| HIDDEN.to_owned(), |name| name.to_string_lossy().into_owned());
}

/// An address without its host and port.
fn address(text: &mut String) {
    if let Some((scheme, _)) = text.split_once("//") {
        *text = format!("{scheme}//{HIDDEN}");
    }
}

fn note(note: &mut Note) {
    match note {
        Note::Incomparable { reason, .. }
        | Note::ErrorCannotCross { reason, .. }
        | Note::EndlessTeardown { message: reason } => *reason = kind_of(reason),
        _ => {}
    }
}

/// A failure of the user's own code without its words: they quote items as they like.
fn failed(failure: &mut Failed, is_own: bool) {
    if is_own {
        failure.message = kind_of(&failure.message);
        // Where it was, without the lines of code.
        failure.traceback.retain(|line| line.trim_start().starts_with("File \""));
    }
}

/// What comes before the words of an error: its class, or the first words of a message of ours.
fn kind_of(message: &str) -> String {
    if looks_like_limit(message) {
        return "an error that names a limit: HTTP status 429, too many requests, or the like".to_owned();
    }
    let first = message.lines().next().unwrap_or_default();
    let (kind, rest) = first.split_once(": ").map_or((first, ""), |(kind, _)| (kind, ": .."));
    if is_class(kind) || !kind.contains(QUOTING) {
        return format!("{kind}{rest}");
    }
    // What quotes something may name an error's class: `` `items` load('x') raised ValueError: ..``.
    let raised = first.rsplit_once(" raised ").map(|(_, raised)| raised.split(": ").next().unwrap_or_default());
    raised.filter(|raised| is_class(raised)).map_or_else(|| HIDDEN.to_owned(), |raised| format!("{raised}: {HIDDEN}"))
}

/// Signs of a text that quotes code, items or results.
const QUOTING: [char; 7] = ['\'', '"', '`', '(', '=', '[', '{'];

/// A message of ours that may end in the words of the user's code, in brackets.
fn without_quoted(message: &mut String) {
    if let Some((before, _)) = message.split_once(" (step ") {
        *message = format!("{before} ({HIDDEN})");
    }
}

fn is_class(text: &str) -> bool {
    text.chars().all(|sign| sign.is_alphanumeric() || sign == '.' || sign == '_')
}

fn of_group(group: &mut Group, is_own: bool) {
    let of_place = |text: &mut String| {
        if is_own {
            // `step 1 (python): ValueError: ..`
            *text = match text.split_once("): ") {
                Some((place, message)) if place.starts_with("step ") => format!("{place}): {}", kind_of(message)),
                _ => kind_of(text),
            };
        }
    };
    let of_limit = |limit: &mut FarLimit| limit.said.iter_mut().for_each(of_place);
    group.far_limit.iter_mut().for_each(of_limit);
    for row in &mut group.rows {
        match &mut row.status {
            Status::Failed { reason } => of_place(reason),
            // `3 of 40 tasks failed (7.5 %), the limit is 0: step 1 (python): ValueError: ..`
            Status::Infeasible { reason } => {
                if let Some((limit, said)) = reason.split_once(": step ") {
                    let mut said = format!("step {said}");
                    of_place(&mut said);
                    *reason = format!("{limit}: {said}");
                }
            }
            _ => {}
        }
    }
    for condition in group.answer.iter_mut().flat_map(|answer| &mut answer.conditions) {
        match condition {
            Condition::FarLimit(limit) => of_limit(limit),
            Condition::LibraryThreadsSet { variables } => {
                variables.values_mut().for_each(|value| HIDDEN.clone_into(value));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn homes_are_shortened_wherever_they_stand() {
        let cases = [
            ("/home/me/shop/scrape.py", "~/shop/scrape.py"),
            ("File \"/home/me.x/a.py\", line 3", "File \"~/a.py\", line 3"),
            ("[/Users/anna-b/venv/bin/python]", "[~/venv/bin/python]"),
            ("/root", "~"),
            ("/root/x:/root2/y", "~/x:/root2/y"),
            ("/var/home/me", "~"),
            ("/data/people/me/x", "~/x"),
            ("http://host/home/page", "http://host/home/page"),
            ("/home/", "/home/"),
            ("/tmp/home/me", "/tmp/home/me"),
        ];
        for (path, short) in cases {
            assert_eq!(shortened(path, Some("/data/people/me/")), short);
        }
    }

    #[test]
    fn expressions_of_names_and_numbers_hold_no_values() {
        assert!(!has_values("range(100)") && !has_values("load_pages()") && !has_values("shop.pages"));
        assert!(has_values("['a']") && has_values("pages[:3]") && has_values("{1}") && has_values("\"secret\""));
    }

    #[test]
    fn messages_keep_their_class() {
        assert_eq!(kind_of("ValueError: bad item 3"), "ValueError: ..");
        assert_eq!(kind_of("KeyError"), "KeyError");
        assert_eq!(
            kind_of("the results were not those of the reference"),
            "the results were not those of the reference"
        );
        assert_eq!(kind_of("got 'secret'"), "..");
        assert_eq!(kind_of("`items` load('SECRET') raised ValueError: bad 'SECRET'"), "ValueError: ..");
        assert_eq!(kind_of("`items` {'Acme: gold': 1} raised KeyError: 'Acme'"), "KeyError: ..");
        assert_eq!(kind_of("got 'x' for AcmeCorp"), "..");
        assert_eq!(kind_of("items[0]['SECRET']._lock: cannot pickle it"), "..");
        assert_eq!(kind_of("no task ended for 2.3 s: 'SECRET'"), "no task ended for 2.3 s: ..");
        assert!(kind_of("HTTPError: HTTP Error 429: Too Many Requests").contains("429"));
        assert!(looks_like_limit(&kind_of("HTTPError: HTTP Error 429: Too Many Requests")), "it still does");
    }

    #[test]
    fn urls_lose_what_opens_doors() {
        assert_eq!(without_secrets("http://127.0.0.1:80/a"), "http://127.0.0.1:80/a");
        assert_eq!(without_secrets("http://me:pw@host/a?token=1#x"), "http://host/a");
        assert_eq!(without_secrets("nonsense"), "..");
    }

    proptest! {
        #[test]
        fn any_text_can_be_shortened(text in "[/a-z~\u{e9}\"home]{0,40}", home in prop::option::of("/[a-z/]{0,8}")) {
            let short = shortened(&text, home.as_deref());
            prop_assert!(short.len() <= text.len());
            prop_assert!(!short.contains("/home/me/"), "{}", short);
        }
    }
}
