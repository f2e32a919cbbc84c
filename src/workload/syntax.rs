//! Syntax errors as faults, and what of the rest can be believed beside them.

use std::ops::{Range, RangeInclusive};

use super::diagnostics::{Fault, shown};
use super::walk::Faults;

const QUOTED_HELP: &str = "strings, durations and sizes stand in quotes";

/// The parser's errors, in the order of the text, without those that only follow from another.
pub(super) fn faults(errors: &[toml::de::Error], text: &str) -> Vec<Fault> {
    let mut faults: Vec<Fault> = errors.iter().map(|error| fault(error, text)).collect();
    faults.sort_by_key(start);
    faults.dedup();
    fold_unclosed_arrays(faults)
}

fn start(fault: &Fault) -> usize {
    fault.span.as_ref().map_or(0, |span| span.start)
}

fn fault(error: &toml::de::Error, text: &str) -> Fault {
    // An error at the end of the file has no place of its own.
    let end = text.trim_end().len();
    let span: Range<usize> = error.span().unwrap_or(end..end);
    let word = text.get(span.clone()).map(shown).unwrap_or_default();
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, format!("expected {expected}")),
        None => (error.message(), String::new()),
    };
    match message {
        "string values must be quoted" if word.is_empty() => Fault::at(span, "a key without its value", ""),
        "string values must be quoted" => {
            let label = format!("expected \"{word}\"");
            Fault::at(span, "a value that is neither a number nor in quotes", label).help(QUOTED_HELP)
        }
        "duplicate key" => {
            let help = "each key stands once in its table; each step has a `[[step]]` of its own";
            Fault::at(span, format!("duplicate key `{word}`"), "it is there already").help(help)
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            Fault::at(span, "nested too deep", "a workload needs four levels")
        }
        _ => Fault::at(span, message, expected),
    }
}

/// An array that is not closed swallows what follows, and each line of that gives errors of its own: the
/// first of them, where the bracket is missing, says it all.
fn fold_unclosed_arrays(faults: Vec<Fault>) -> Vec<Fault> {
    let Some(end) = faults.iter().rposition(|fault| fault.message == "unclosed array") else { return faults };
    let Some(begin) = faults.iter().position(|fault| fault.message == "missing comma between array elements") else {
        return faults;
    };
    let fold = |(index, fault): (usize, Fault)| match index {
        index if index == begin && index < end => Some(fault.help("is the array above closed, with `]`?")),
        index if index > begin && index <= end => None,
        _ => Some(fault),
    };
    faults.into_iter().enumerate().filter_map(fold).collect()
}

/// All faults that can be believed.
///
/// After a syntax error, what seems missing may stand in the part that was not understood, and so may
/// what seems wrong on the same lines, or below a header that was not understood: neither is reported.
pub(super) fn combine(syntax: Vec<Fault>, walked: Faults, text: &str) -> Vec<Fault> {
    // Counting lines takes the time of the text for each fault: a file with more is not worth it.
    const MOST_PLACED: usize = 50;
    if syntax.is_empty() {
        return walked.found.into_iter().chain(walked.missing).collect();
    }
    let doubtful: Vec<_> = syntax.iter().take(MOST_PLACED).filter_map(|fault| doubtful_bytes(fault, text)).collect();
    let certain =
        |fault: &Fault| fault.span.as_ref().is_some_and(|own| !doubtful.iter().any(|bad| bad.contains(&own.start)));
    let rest: Vec<Fault> = walked.found.into_iter().filter(certain).take(MOST_PLACED).collect();
    syntax.into_iter().chain(rest).collect()
}

/// The part of the text that a syntax error puts in doubt: its lines, and all of its table if it is in a header.
fn doubtful_bytes(fault: &Fault, text: &str) -> Option<RangeInclusive<usize>> {
    let span = fault.span.as_ref()?;
    let (before, _) = text.split_at_checked(span.start)?;
    let begin = before.rfind('\n').map_or(0, |at| at + 1);
    let end = text.get(span.end..)?.find('\n').map_or(text.len(), |at| span.end + at);
    if !text[begin..].trim_start().starts_with('[') {
        return Some(begin..=end);
    }
    let next = text[end..].find("\n[").map_or(text.len(), |at| end + at);
    Some(begin..=next)
}
