//! Checked values, by field.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Distribution, Items, Rate};

type Span = Range<usize>;

/// A checked value, in base units.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Integer(u64),
    Nanos(u64),
    Bytes(u64),
    Rate(Rate),
    /// Thousandths of a percent.
    Percent(f64),
    Distribution(Distribution),
    Argv(Vec<String>),
    Sizes(Vec<u32>),
    Items(Items),
    Table(Values),
    Steps(Vec<Values>),
    Tables(Vec<Values>),
}

/// The checked values of one table. A field that is absent here is optional, or its fault is reported.
#[derive(Clone, Debug)]
pub(super) struct Values {
    /// The table's name: for a step, its kind.
    pub(super) name: &'static str,
    /// Where the table begins.
    pub(super) span: Span,
    pub(super) checked: BTreeMap<&'static str, Value>,
    /// Where the user wrote a value, right or wrong.
    pub(super) given: BTreeMap<&'static str, Span>,
}

macro_rules! getter {
    ($name:ident, $variant:ident, $type:ty) => {
        pub(super) fn $name(&self, field: &str) -> Option<$type> {
            match self.checked.get(field)? {
                Value::$variant(value) => Some(value.clone()),
                _ => None,
            }
        }
    };
}

impl Values {
    getter!(text, Text, String);
    getter!(flag, Flag, bool);
    getter!(integer, Integer, u64);
    getter!(nanos, Nanos, u64);
    getter!(bytes, Bytes, u64);
    getter!(rate, Rate, Rate);
    getter!(percent, Percent, f64);
    getter!(distribution, Distribution, Distribution);
    getter!(argv, Argv, Vec<String>);
    getter!(sizes, Sizes, Vec<u32>);
    getter!(items, Items, Items);
    getter!(table, Table, Values);
    getter!(steps, Steps, Vec<Values>);
    getter!(tables, Tables, Vec<Values>);

    /// Where the user wrote this field's value, right or wrong, if they did.
    pub(super) fn given(&self, field: &str) -> Option<Span> {
        self.given.get(field).cloned()
    }

    /// The place of a field's value, or else of the table.
    pub(super) fn place(&self, field: &str) -> Span {
        self.given(field).unwrap_or_else(|| self.span.clone())
    }
}
