//! What a table of a workload file may hold: the words in which [`language`](super::language) is written.
//!
//! One declaration per field serves the reader, its diagnostics, the JSON Schema and the docs, so
//! they cannot tell different stories.

use crate::units::{written_duration, written_size};

/// A table of the workload file.
#[derive(Debug)]
pub struct Table {
    /// What messages call it: `load`, `objective`, or the step's `kind`.
    pub name: &'static str,
    /// What it stands for, in a sentence.
    pub doc: &'static str,
    /// Its fields, in the order of the docs.
    pub fields: &'static [Field],
    /// Pairs of fields that exclude each other, with the reason.
    pub conflicts: &'static [(&'static str, &'static str, &'static str)],
}

impl Table {
    /// The tables, from this one inwards, in which a field of this name may stand: none for this one's own. The last is
    /// the field itself, where that is a table.
    pub(super) fn home_of(&self, name: &str) -> Option<Vec<&'static str>> {
        if let Some(field) = self.fields.iter().find(|field| field.name == name) {
            return Some(matches!(field.shape, Shape::Table(_)).then_some(field.name).into_iter().collect());
        }
        self.fields.iter().find_map(|field| {
            let Shape::Table(table) = field.shape else { return None };
            Some([vec![field.name], table.home_of(name)?].concat())
        })
    }
}

/// A field of a table.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
    /// Whether it may be absent, and what stands then.
    pub presence: Presence,
    /// What it means.
    pub doc: &'static str,
}

/// Whether a field may be absent.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must be there.
    Required,
    /// It may be absent, which means this.
    Optional(&'static str),
    /// It may be absent, and is then this TOML value, read by the same code as a user's.
    Default(&'static str),
}

/// What a field may hold. Bounds are inclusive.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text of at most `max_chars` characters, on one line unless `lines`.
    Text {
        /// The most characters.
        max_chars: usize,
        /// Whether line breaks are allowed.
        lines: bool,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A duration with its unit.
    Duration {
        /// The least, in nanoseconds.
        min_ns: u64,
        /// The most, in nanoseconds.
        max_ns: u64,
    },
    /// A duration, `{ p50, p99 }` or `{ exponential }`; each of these at least 1 ns.
    Distribution {
        /// The least of a fixed duration, in nanoseconds.
        min_ns: u64,
        /// The most of any duration named, in nanoseconds.
        max_ns: u64,
    },
    /// A size with its unit.
    Size {
        /// The least, in bytes.
        min_bytes: u64,
        /// The most, in bytes.
        max_bytes: u64,
    },
    /// A percentage with its sign, in thousandths of a percent.
    Percent {
        /// The least.
        min_thousandths: u32,
        /// The most.
        max_thousandths: u32,
    },
    /// A whole number of tasks from 0 on, or a percentage of them from 0 % on.
    Count {
        /// The most tasks.
        most: u64,
        /// The most of a percentage, in thousandths of a percent.
        max_thousandths: u32,
    },
    /// So many tasks per second, minute or hour.
    Rate,
    /// A program and its arguments: a list of one or more strings.
    Argv,
    /// An `http://` URL.
    Url,
    /// `host:port`.
    Address,
    /// A name in a Python module, `package.module:name`.
    Function,
    /// What a Python function is called with: a [`Function`](Shape::Function)'s name, or a list of values.
    Items,
    /// `"results"`, `"none"` or a [`Function`](Shape::Function).
    Check,
    /// A directory, relative to the workload file.
    Directory,
    /// A factory of an executor: `module:name`, or `file.py:name`.
    Factory,
    /// A list of one or more whole numbers from 1 on.
    Sizes {
        /// The largest.
        max: u64,
    },
    /// A table.
    Table(&'static Table),
    /// Tables `[[name]]` of one form.
    Tables {
        /// The form.
        table: &'static Table,
        /// The most of them.
        max: usize,
    },
    /// One or more tables `[[step]]`, each with a `kind`.
    Steps {
        /// The table of each kind.
        kinds: &'static [Table],
        /// The most steps.
        max: usize,
    },
}

impl Table {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Shape {
    /// What is expected, as a message says it: `a duration with its unit, 1ns to 1h`.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Shape::Text { max_chars, lines: true } => format!("a string of at most {max_chars} characters"),
            Shape::Text { max_chars, lines: false } => {
                format!("a string of 1 to {max_chars} characters on one line")
            }
            Shape::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                if words.len() > 2 { format!("one of {}", words.join(", ")) } else { words.join(" or ") }
            }
            Shape::Flag => "true or false".to_owned(),
            Shape::Integer { min, max } => format!("a whole number, {min} to {max}"),
            Shape::Duration { min_ns, max_ns } => {
                format!("a duration, {} to {}", written_duration(min_ns), written_duration(max_ns))
            }
            Shape::Distribution { min_ns, max_ns } => format!(
                "a duration, {} to {}, or {{ p50, p99 }}, or {{ exponential }}",
                written_duration(min_ns),
                written_duration(max_ns)
            ),
            Shape::Size { min_bytes, max_bytes } => {
                format!("a size, {} to {}", written_size(min_bytes), written_size(max_bytes))
            }
            Shape::Percent { min_thousandths, max_thousandths } => format!(
                "a percentage, {}% to {}%",
                f64::from(min_thousandths) / 1000.0,
                f64::from(max_thousandths) / 1000.0
            ),
            Shape::Count { most, max_thousandths } => {
                format!("a whole number, 0 to {most}, or a percentage, 0% to {}%", f64::from(max_thousandths) / 1000.0)
            }
            Shape::Rate => "a rate, \"50/s\", \"3000/min\" or \"100/h\"".to_owned(),
            Shape::Argv => "a list of one or more strings, [\"program\", \"argument\"]".to_owned(),
            Shape::Url => "a URL, \"http://host:port/path\"".to_owned(),
            Shape::Address => "an address, \"host:port\"".to_owned(),
            Shape::Function => "a name in a module, \"package.module:name\"".to_owned(),
            Shape::Items => "a name in a module, \"package.module:name\", or a list of values".to_owned(),
            Shape::Check => "\"results\", \"none\" or a name in a module, \"package.module:name\"".to_owned(),
            Shape::Directory => "a directory, relative to this file".to_owned(),
            Shape::Factory => "what builds an executor, \"module:name\" or \"file.py:name\"".to_owned(),
            Shape::Sizes { max } => format!("a list of whole numbers, 1 to {max}"),
            Shape::Table(table) => format!("a table, [{}]", table.name),
            Shape::Tables { table, max } => format!("at most {max} tables, each under [[{}]]", table.name),
            Shape::Steps { max, .. } => format!("1 to {max} tables, each under [[step]]"),
        }
    }
}
