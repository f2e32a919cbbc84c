//! Texts that every sentence is made of.

use crate::candidate::{Sizes, steers};

/// A text of foreign origin, made safe to print on one line: characters that steer are escaped, line
/// breaks become `; `.
#[must_use]
pub fn plain(text: &str) -> String {
    let joined = text.trim().split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    let line = joined.collect::<Vec<_>>().join("; ");
    escaped(&line)
}

/// The same of text in several lines, which it keeps.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<String>>().join("\n")
}

fn escaped(line: &str) -> String {
    line.chars().map(|c| if steers(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// `a`, `a or b`, `a, b or c`.
pub(super) fn listed<T: ToString>(items: &[T], last: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.to_string(),
        [most @ .., one] => {
            let most: Vec<String> = most.iter().map(ToString::to_string).collect();
            format!("{} {last} {}", most.join(", "), one.to_string())
        }
    }
}

/// Sizes in words; an engine without sizes is one worker.
pub(super) fn sizes(sizes: Sizes) -> String {
    let workers = sizes.workers.map(|size| format!("{size} {}", if size == 1 { "worker" } else { "workers" }));
    let in_flight = sizes.in_flight.map(|size| format!("{size} in flight"));
    let chunk = sizes.chunk.map(|size| format!("chunks of {size}"));
    let said: Vec<String> = [workers, in_flight, chunk].into_iter().flatten().collect();
    if said.is_empty() { "1 worker".to_owned() } else { said.join(", ") }
}
