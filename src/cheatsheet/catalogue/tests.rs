//! Both files are what the sheet needs.

use std::collections::BTreeSet;

use super::*;

/// The units that `report` writes.
const UNITS: [&str; 7] = ["ns", "us", "ms", "s", "/s", "MiB", "count"];
/// The longest title that leaves room for two figures on a page.
const LONGEST_TITLE: usize = 45;

fn all(language: Language) -> Catalogue {
    catalogue(language, &Section::ALL).expect("a legal file")
}

fn is_kebab(id: &str) -> bool {
    !id.is_empty() && id.split('-').all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric()))
}

#[test]
fn every_entry_is_whole_and_unique() {
    for language in [Language::Python, Language::Rust] {
        let all = all(language);
        let ids: Vec<&str> =
            all.items.iter().map(|item| &*item.id).chain(all.pitfalls.iter().map(|pitfall| &*pitfall.id)).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{language:?}: an id comes twice");
        assert!(ids.iter().all(|id| is_kebab(id)), "{language:?}: {ids:?}");
        for item in &all.items {
            assert!(item.title.chars().count() <= LONGEST_TITLE, "{}: {}", item.id, item.title);
            assert!(!item.code.is_empty() && !item.code.contains('\n') && !item.per.is_empty(), "{item:?}");
            assert!(!matches!(item.section, Section::Choosing | Section::Pitfalls), "{item:?}");
            let is_sourced = |quoted: &Quoted| url::Url::parse(&quoted.source).is_ok() && !quoted.figure.is_empty();
            assert!(item.quoted.as_ref().is_none_or(is_sourced), "{item:?}");
        }
        for pitfall in &all.pitfalls {
            assert!(UNITS.contains(&&*pitfall.unit), "{pitfall:?}");
            assert!(pitfall.lesson.ends_with('.') && !pitfall.wrong.is_empty() && !pitfall.mended.is_empty());
        }
        for section in [Section::Threading, Section::Multiprocessing, Section::Asyncio, Section::Mixing] {
            assert!(all.items.iter().any(|item| item.section == section), "{language:?} has nothing of {section}");
        }
    }
}

#[test]
fn what_stands_beside_python_names_an_item_of_it() {
    let python = all(Language::Python);
    for item in all(Language::Rust).items {
        let Some(beside) = &item.beside else { continue };
        let found = python.items.iter().find(|other| other.id == *beside);
        assert_eq!(found.map(|other| other.section), Some(item.section), "{item:?}");
        assert!(item.tool.is_some(), "{item:?}: it shares a line, so its tool must be named");
    }
}

#[test]
fn every_quoted_source_is_in_the_docs() {
    let docs = include_str!("../../../docs/cheatsheet.md");
    for language in [Language::Python, Language::Rust] {
        for quoted in all(language).items.into_iter().filter_map(|item| item.quoted) {
            assert!(docs.contains(&quoted.source), "docs/cheatsheet.md does not name {}", quoted.source);
        }
    }
}

#[test]
fn sections_are_chosen_and_a_misspelt_one_is_told_the_nearest() {
    assert_eq!("asyncio".parse(), Ok(Section::Asyncio));
    assert_eq!("asynico".parse::<Section>(), Err("unknown section `asynico`, did you mean `asyncio`?".to_owned()));
    assert!("xyz".parse::<Section>().expect_err("unknown").contains("threading, multiprocessing"));
    let some = catalogue(Language::Python, &[Section::Asyncio]).expect("a legal file");
    assert!(some.items.iter().all(|item| item.section == Section::Asyncio) && some.pitfalls.is_empty());
}
