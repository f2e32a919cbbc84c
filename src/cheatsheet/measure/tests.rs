//! What is measured is what the catalogue says.

use super::*;
use crate::cheatsheet::catalogue::{Language, Section, catalogue};

#[test]
fn every_entry_of_the_catalogue_is_measured_and_nothing_else() {
    let all = catalogue(Language::Rust, &Section::ALL).expect("a legal file");
    let mut named: Vec<&str> = all.items.iter().map(|item| &*item.id).collect();
    let mut measured: Vec<&str> = items().map(|(id, _)| *id).collect();
    named.sort_unstable();
    measured.sort_unstable();
    assert_eq!(named, measured);
    let named: Vec<&str> = all.pitfalls.iter().map(|pitfall| &*pitfall.id).collect();
    let mut shown: Vec<&str> = pitfalls::all().map(|(id, _)| *id).collect();
    for id in &named {
        assert!(shown.contains(id), "{id} is not shown");
    }
    shown.retain(|id| !named.contains(id));
    assert!(shown.is_empty(), "not in the catalogue: {shown:?}");
}

#[test]
fn an_unknown_id_and_a_panic_are_told() {
    let meter = Meter::new();
    let unknown = line("no-such-item", &meter);
    assert_eq!(unknown.unavailable.as_deref(), Some("this conbench does not know it"));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let panicked = guarded(|| -> Measured { panic!("on purpose") });
    std::panic::set_hook(hook);
    assert!(panicked.expect_err("a panic").to_string().starts_with("it panicked"));
}
