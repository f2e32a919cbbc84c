//! The vectors in `tests/vectors`: what agents of every language make of the same input.
//!
//! Tests beside the code make them here, and hold them against the files; the Python agent's tests read the files, and
//! hold theirs against them. So neither side changes alone. `CONBENCH_BLESS=1 cargo test --lib vectors` writes them anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A file of vectors, which is written a case a line, so that a change of one is seen as one.
pub(crate) struct Vectors {
    name: &'static str,
    parts: Vec<(&'static str, Value)>,
}

impl Vectors {
    /// Those of `tests/vectors/<name>.json`; `about` says what a reader makes of which fields.
    pub(crate) fn new(name: &'static str, about: &str) -> Vectors {
        Vectors { name, parts: vec![("about", json!(about))] }
    }

    /// Adds cases of one kind.
    #[must_use]
    pub(crate) fn with(mut self, part: &'static str, cases: Vec<Value>) -> Vectors {
        self.parts.push((part, Value::Array(cases)));
        self
    }

    /// Fails unless the file holds just these.
    pub(crate) fn hold(self) {
        let path = self.path();
        if std::env::var_os("CONBENCH_BLESS").is_some() {
            fs::write(&path, self.text()).expect("the vectors can be written");
        }
        let published = fs::read_to_string(&path).expect("there are vectors; CONBENCH_BLESS=1 makes them");
        let read = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).expect("JSON");
        let (published, made) = (read(&published), read(&self.text()));
        for part in published.keys().chain(made.keys()) {
            let cases = |of: &serde_json::Map<String, Value>| of.get(part).cloned().unwrap_or_default();
            let all = |of: &Value| of.as_array().cloned().unwrap_or_else(|| vec![of.clone()]);
            for (one, other) in all(&cases(&published)).iter().zip(&all(&cases(&made))) {
                assert_eq!(one, other, "{}: {part}; if that is meant, CONBENCH_BLESS=1 writes it anew", path.display());
            }
            assert_eq!(cases(&published), cases(&made), "{}: {part}", path.display());
        }
    }

    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(self.name).with_extension("json")
    }

    fn text(&self) -> String {
        let parts: Vec<String> =
            self.parts.iter().map(|(name, value)| format!("\"{name}\": {}", lines(value))).collect();
        format!("{{\n{}\n}}\n", parts.join(",\n"))
    }
}

/// A list with a line for each of its elements; anything else on one.
fn lines(value: &Value) -> String {
    let Value::Array(cases) = value else { return value.to_string() };
    let cases: Vec<String> = cases.iter().map(|case| format!("  {case}")).collect();
    format!("[\n{}\n]", cases.join(",\n"))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
