//! Executors of the user's own: what a factory of theirs builds, with what a probe found of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};

use super::Model;
use crate::escape::steers;

/// An executor that a factory of the user's builds. What is not in its name, a probe found before the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnExecutor {
    /// The factory, in the user's words: `module:name`, or `file.py:name`.
    pub factory: Word,
    /// Where it runs tasks: `threads` of the process that submits, or `processes`.
    pub model: Model,
    /// Whether it is a context manager.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub is_context: bool,
    /// The tasks that it runs at once whatever number of workers its factory is given; `None` where it is that number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fixed_workers: Option<u32>,
}

impl OwnExecutor {
    /// The factory as Python imports it: `module:name`.
    #[must_use]
    pub fn import_name(self) -> String {
        import_name(self.factory.text())
    }
}

/// So many tasks, in words.
#[must_use]
pub fn tasks(count: u32) -> String {
    if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") }
}

/// A factory in the user's words as Python imports it: of a file, the module is named by its stem.
fn import_name(factory: &str) -> String {
    let Some((place, name)) = factory.rsplit_once(':') else { return factory.to_owned() };
    let module = place.strip_suffix(".py").map_or(place, |file| file.rsplit('/').next().unwrap_or(file));
    format!("{module}:{name}")
}

/// A text that is kept for as long as the process lives, so that whatever holds it can be copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Word(&'static str);

impl Word {
    /// The word of this text. Each different text is kept once, for ever: it is for names that users write, which are few.
    #[must_use]
    pub fn of(text: &str) -> Word {
        static WORDS: LazyLock<Mutex<BTreeSet<&'static str>>> = LazyLock::new(Mutex::default);
        let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = words.get(text) {
            return Word(known);
        }
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        words.insert(kept);
        Word(kept)
    }

    /// The text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
        let text = String::deserialize(deserializer)?;
        // It is shown as it stands, and a file may say anything.
        if text.contains(steers) {
            return Err(serde::de::Error::custom("an executor's factory has signs that steer a terminal"));
        }
        Ok(Word::of(&text))
    }
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::candidate::{Candidate, Engine, Sizes};

    fn own(factory: &str) -> OwnExecutor {
        OwnExecutor { factory: Word::of(factory), model: Model::Processes, is_context: true, fixed_workers: None }
    }

    #[test]
    fn a_factory_is_read_again_unless_it_steers_a_terminal() {
        for factory in ["shop/pools.py:make", "~/my shop/pools.py:make", "pools:Büro.make"] {
            let text = serde_json::to_string(&own(factory)).expect("JSON");
            assert_eq!(serde_json::from_str::<OwnExecutor>(&text).expect(factory), own(factory));
        }
        let hostile = serde_json::to_string(&own("a\u{1b}[2J:make")).expect("JSON");
        assert!(serde_json::from_str::<OwnExecutor>(&hostile).is_err());
    }

    #[test]
    fn an_executor_of_the_users_goes_by_their_words_and_its_record_stands_alone() {
        let engine = Engine::Own(own("shop.pools:make"));
        let candidate = Candidate::new("python3.11", engine, Sizes { workers: Some(4), ..Sizes::default() });
        assert_eq!(candidate.to_string(), "python3.11/shop.pools:make@w4");
        assert_eq!(
            (candidate.model(), engine.axes().workers, engine.has_worker_processes()),
            (Model::Processes, true, true)
        );
        let text = serde_json::to_string(&engine).expect("it is written");
        assert_eq!(text, r#"{"own":{"factory":"shop.pools:make","model":"processes","is_context":true}}"#);
        assert_eq!(serde_json::from_str::<Engine>(&text).expect("and read again"), engine);
        assert!(serde_json::from_str::<Engine>(r#""shop.pools:make""#).is_err(), "a name says nothing of its model");
    }

    #[test]
    fn a_text_is_kept_once() {
        let (one, other) = (Word::of("pools:one"), Word::of(&String::from("pools:one")));
        assert!(std::ptr::eq(one.text(), other.text()));
        assert_ne!(one, Word::of("pools:other"));
    }

    #[test]
    fn a_file_is_imported_by_its_stem() {
        assert_eq!(own("shop/pools.py:make").import_name(), "pools:make");
        assert_eq!(own("shop.pools:make").import_name(), "shop.pools:make");
        assert_eq!(own("pools.py:Pools.make").import_name(), "pools:Pools.make");
    }
}
