//! Words of the table, read as users write them.

use std::fmt;
use std::str::FromStr;

use super::engine::Engine;
use super::model::{Model, StartMethod};

impl FromStr for Model {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "model", &Model::ALL, |model| model.name())
    }
}

impl FromStr for Engine {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "engine", &Engine::all(), |engine| engine.name())
    }
}

impl FromStr for StartMethod {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        find(text, "start method", &StartMethod::ALL, |method| method.name())
    }
}

/// A word that is not in the table, with the nearest one that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    /// What kind of word was expected: `model`, `engine`, ..
    pub kind: &'static str,
    /// The word found.
    pub found: String,
    /// The nearest known word, when one is near.
    pub nearest: Option<&'static str>,
    /// Every known word.
    pub known: Vec<&'static str>,
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`", self.kind, self.found)?;
        match self.nearest {
            Some(nearest) => write!(f, ", did you mean `{nearest}`?"),
            None => write!(f, ", expected one of: {}", self.known.join(", ")),
        }
    }
}

impl std::error::Error for UnknownWord {}

fn find<T: Copy>(
    text: &str,
    kind: &'static str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, UnknownWord> {
    all.iter().copied().find(|word| name(*word) == text).ok_or_else(|| {
        let known: Vec<&'static str> = all.iter().map(|word| name(*word)).collect();
        UnknownWord { kind, found: text.to_owned(), nearest: nearest(text, &known), known }
    })
}

/// The word of `known` that `text` most likely meant, if any is near.
#[must_use]
pub fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(text, word), *word))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
