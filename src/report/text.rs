//! Texts that every sentence is made of.

use crate::candidate::Sizes;

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
