//! What is measured: items and pitfalls of each language, as data.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::candidate::nearest;

/// A section of the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Threads, locks, queues.
    Threading,
    /// Processes, and what crosses between them.
    Multiprocessing,
    /// Coroutines, tasks, timers.
    Asyncio,
    /// From a loop to threads and processes, and back.
    Mixing,
    /// The shipped workloads' answers.
    Choosing,
    /// What goes wrong, shown and mended.
    Pitfalls,
}

impl Section {
    /// Every section, in the sheet's order.
    pub const ALL: [Section; 6] = [
        Section::Threading,
        Section::Multiprocessing,
        Section::Asyncio,
        Section::Mixing,
        Section::Choosing,
        Section::Pitfalls,
    ];

    /// Its name, as it is written on the command line and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Section::Threading => "threading",
            Section::Multiprocessing => "multiprocessing",
            Section::Asyncio => "asyncio",
            Section::Mixing => "mixing",
            Section::Choosing => "choosing",
            Section::Pitfalls => "pitfalls",
        }
    }

    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Section::Threading => "Threading",
            Section::Multiprocessing => "Multiprocessing",
            Section::Asyncio => "Async IO",
            Section::Mixing => "Mixing them",
            Section::Choosing => "Choosing the right tool",
            Section::Pitfalls => "Pitfalls",
        }
    }

    /// Its number on the sheet, from 1.
    #[must_use]
    pub fn number(self) -> usize {
        Section::ALL.iter().position(|section| *section == self).map_or(0, |at| at + 1)
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Section {
    type Err = String;

    fn from_str(text: &str) -> Result<Section, String> {
        let known = Section::ALL.map(Section::name);
        Section::ALL.into_iter().find(|section| section.name() == text).ok_or_else(|| match nearest(text, &known) {
            Some(near) => format!("unknown section `{text}`, did you mean `{near}`?"),
            None => format!("unknown section `{text}`: there are {}", known.join(", ")),
        })
    }
}

/// A figure that users read elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quoted {
    /// The figure, in the source's words.
    pub figure: String,
    /// Where it stands: a URL.
    pub source: String,
}

/// Something whose time is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its name, in kebab case, unique within a language.
    pub id: String,
    /// Where it stands.
    pub section: Section,
    /// What is done, in a few words.
    pub title: String,
    /// What is timed, as a user writes it: one line.
    pub code: String,
    /// What one figure is for: `call`, `item`, `MiB`, `switch`.
    pub per: String,
    /// What users read elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quoted: Option<Quoted>,
    /// The item of Python beside which it stands, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// The tool that it uses, where several do the same: `std`, `tokio`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

/// Something that goes wrong, and how it is mended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pitfall {
    /// Its name, in kebab case, unique within a language.
    pub id: String,
    /// What it is, in a few words.
    pub title: String,
    /// The unit of both figures.
    pub unit: String,
    /// What is run for the first figure.
    pub wrong: String,
    /// What is run for the second figure.
    pub mended: String,
    /// What to learn from it: one sentence.
    pub lesson: String,
}

impl Pitfall {
    /// Whether its figures are counts, which come out the same each time, and no times.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.unit == "count"
    }
}

/// Everything that one language measures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// The items, in the sheet's order.
    #[serde(default, rename = "item")]
    pub items: Vec<Item>,
    /// The pitfalls, in the sheet's order.
    #[serde(default, rename = "pitfall")]
    pub pitfalls: Vec<Pitfall>,
}

/// The language of a catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// CPython.
    Python,
    /// Rust.
    Rust,
}

impl Language {
    const fn text(self) -> &'static str {
        match self {
            Language::Python => include_str!("python.toml"),
            Language::Rust => include_str!("rust.toml"),
        }
    }
}

/// What a language measures in these sections.
///
/// # Errors
/// None in a released binary: a test reads both files.
pub fn catalogue(language: Language, sections: &[Section]) -> Result<Catalogue, toml::de::Error> {
    let mut all: Catalogue = toml::from_str(language.text())?;
    all.items.retain(|item| sections.contains(&item.section));
    if !sections.contains(&Section::Pitfalls) {
        all.pitfalls.clear();
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
