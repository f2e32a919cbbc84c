//! From spanned TOML to checked values, led by the declared fields alone.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Fault, shown};
use super::fields::{Field, Presence, Shape, Table};
use super::scalar::{self, STEP_HELP};
use super::value::{Value, Values};
use super::{Distribution, Items, WORKLOAD};
use crate::candidate::nearest;

type Span = Range<usize>;

/// What a walk found wrong.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) found: Vec<Fault>,
    /// Things that are not there. Told apart, since a syntax error may be the reason.
    pub(super) missing: Vec<Fault>,
}

impl Faults {
    /// Checks one table against its declaration.
    pub(super) fn table(&mut self, spec: &'static Table, found: &DeTable<'_>, span: Span) -> Values {
        let mut values =
            Values { name: spec.name, span: span.clone(), checked: BTreeMap::new(), given: BTreeMap::new() };
        let is_step = super::STEPS.iter().any(|step| std::ptr::eq(step, spec));
        for (key, value) in found {
            match spec.field(key.get_ref()) {
                Some(field) => {
                    values.given.insert(field.name, value.span());
                    if let Some(checked) = self.value(field, value) {
                        values.checked.insert(field.name, checked);
                    }
                }
                None if is_step && key.get_ref() == "kind" => {}
                None => {
                    if let Some(meant) = self.unknown_key(spec, is_step, key) {
                        values.given.entry(meant).or_insert(value.span());
                    }
                }
            }
        }
        for field in spec.fields.iter().filter(|field| !found.contains_key(field.name)) {
            self.absent(field, spec, &mut values);
        }
        for (one, other, why) in spec.conflicts {
            if let (Some(_), Some(at)) = (values.given(one), values.given(other)) {
                self.found.push(Fault::at(at, format!("`{one}` and `{other}` exclude each other"), *why));
            }
        }
        values
    }

    /// Reports a key that is not in the table; gives the field that was probably meant.
    fn unknown_key(
        &mut self,
        spec: &'static Table,
        is_step: bool,
        key: &Spanned<std::borrow::Cow<'_, str>>,
    ) -> Option<&'static str> {
        let known: Vec<&'static str> = spec.fields.iter().map(|field| field.name).collect();
        let home = WORKLOAD.home_of(key.get_ref());
        let near = nearest(key.get_ref(), &known).filter(|_| home.is_none());
        let place = match spec.name {
            "workload" => "at the top of a workload file".to_owned(),
            kind if is_step => format!("in a step of kind `{kind}`"),
            table => format!("in [{table}]"),
        };
        let message = format!("unknown field `{}` {place}", shown(key.get_ref()));
        let label = match (near, home.as_deref()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some([])) => "it belongs at the top of the file".to_owned(),
            (None, Some(tables)) => format!("it belongs in [{}]", tables.join(".")),
            (None, None) => "not a field of this table".to_owned(),
        };
        let help = format!("the fields here are {}", known.join(", "));
        self.found.push(Fault::at(key.span(), message, label).help(help));
        near
    }

    fn absent(&mut self, field: &'static Field, spec: &'static Table, values: &mut Values) {
        match field.presence {
            Presence::Optional(_) => {}
            // A misspelt key was reported with the word that was meant; once is enough.
            Presence::Required if values.given.contains_key(field.name) => {}
            Presence::Required => {
                self.missing.push(match field.shape {
                    Shape::Steps { .. } => Fault::of_file(NO_STEP, STEP_HELP),
                    shape => {
                        let is_step = super::STEPS.iter().any(|step| std::ptr::eq(step, spec));
                        let place = if is_step { "a step of kind " } else { "" };
                        let message = format!("`{}` is missing in {place}`{}`", field.name, spec.name);
                        let label = format!("expected `{}`: {}", field.name, shape.expected());
                        Fault::at(values.span.clone(), message, label).help(field.doc)
                    }
                });
            }
            Presence::Default(text) => match DeValue::parse(text) {
                Ok(default) => {
                    if let Some(value) = self.value(field, &default) {
                        values.checked.insert(field.name, value);
                    }
                }
                Err(error) => self.missing.push(Fault::at(
                    values.span.clone(),
                    format!("the default of `{}` cannot be read: {}", field.name, error.message()),
                    "a fault of conbench itself: please report it",
                )),
            },
        }
    }

    /// Checks one value; `None` when a fault was reported.
    fn value(&mut self, field: &Field, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let span = value.span();
        match (field.shape, value.get_ref()) {
            (Shape::Table(spec), DeValue::Table(table)) => Some(Value::Table(self.table(spec, table, span))),
            (Shape::Tables { table, max }, DeValue::Array(array)) => self.tables(table, max, array),
            (Shape::Sizes { max }, DeValue::Array(array)) => self.sizes(field.name, max, array, span),
            (Shape::Steps { kinds, max }, DeValue::Array(array)) => self.steps(kinds, max, array, span),
            (Shape::Distribution { max_ns, .. }, DeValue::Table(table)) => {
                self.distribution(table, span, max_ns).map(Value::Distribution)
            }
            (Shape::Argv, DeValue::Array(array)) => self.argv(array, span),
            (Shape::Items, DeValue::Array(array)) => self.items(array, span).map(Value::Items),
            (shape, scalar) => match scalar::check(shape, scalar) {
                Ok(value) => Some(value),
                Err(wrong) => {
                    let message = format!("`{}`: {}", field.name, wrong.message);
                    let mut fault = Fault::at(span, message, format!("expected {}", shape.expected()));
                    fault.help = wrong.help;
                    self.found.push(fault);
                    None
                }
            },
        }
    }

    fn steps(
        &mut self,
        kinds: &'static [Table],
        max: usize,
        array: &[Spanned<DeValue<'_>>],
        span: Span,
    ) -> Option<Value> {
        if array.is_empty() {
            self.found.push(Fault::at(span, NO_STEP, "").help(STEP_HELP));
            return None;
        }
        if let Some(over) = array.get(max) {
            let message = format!("{} steps, and a workload has at most {max}", array.len());
            self.found.push(Fault::at(over.span(), message, format!("this is step {}", max + 1)));
        }
        Some(Value::Steps(array.iter().take(max).filter_map(|step| self.step(kinds, step)).collect()))
    }

    /// Tables of one form; a single one may be written as `[name]`.
    fn tables(&mut self, spec: &'static Table, max: usize, array: &[Spanned<DeValue<'_>>]) -> Option<Value> {
        if let Some(over) = array.get(max) {
            let message = format!("{} tables [[{}]], and a workload has at most {max}", array.len(), spec.name);
            self.found.push(Fault::at(over.span(), message, ""));
        }
        let mut tables = Vec::new();
        for one in array.iter().take(max) {
            match one.get_ref() {
                DeValue::Table(table) => tables.push(self.table(spec, table, one.span())),
                other => {
                    let message = format!("`{}` holds tables, not {}", spec.name, scalar::describe(other));
                    self.found.push(Fault::at(one.span(), message, format!("write it below [[{}]]", spec.name)));
                }
            }
        }
        Some(Value::Tables(tables))
    }

    fn sizes(&mut self, name: &str, max: u64, array: &[Spanned<DeValue<'_>>], span: Span) -> Option<Value> {
        let before = self.found.len();
        let mut sizes = Vec::new();
        for one in array {
            match scalar::check(Shape::Integer { min: 1, max }, one.get_ref()) {
                Ok(Value::Integer(size)) => sizes.extend(u32::try_from(size)),
                Ok(_) => {}
                Err(wrong) => {
                    let label = format!("expected a whole number, 1 to {max}");
                    self.found.push(Fault::at(one.span(), format!("`{name}`: {}", wrong.message), label));
                }
            }
        }
        if array.is_empty() {
            let message = format!("`{name}` is an empty list");
            self.found.push(Fault::at(span, message, "leave it out to have the number searched"));
        }
        (self.found.len() == before).then_some(Value::Sizes(sizes))
    }

    fn step(&mut self, kinds: &'static [Table], step: &Spanned<DeValue<'_>>) -> Option<Values> {
        let names: Vec<&'static str> = kinds.iter().map(|kind| kind.name).collect();
        let DeValue::Table(table) = step.get_ref() else {
            let message = format!("a step is a table, not {}", scalar::describe(step.get_ref()));
            self.found.push(Fault::at(step.span(), message, "").help(STEP_HELP));
            return None;
        };
        let all = format!("the kinds are {}", names.join(", "));
        let Some(kind) = table.get("kind") else {
            self.missing.push(Fault::at(step.span(), "a step without a kind", "expected `kind = ..`").help(all));
            return None;
        };
        let DeValue::String(word) = kind.get_ref() else {
            let message = format!("`kind` is {}", scalar::describe(kind.get_ref()));
            self.found.push(Fault::at(kind.span(), message, "expected a string").help(all));
            return None;
        };
        match kinds.iter().find(|spec| spec.name == word.as_ref()) {
            Some(spec) => Some(self.table(spec, table, step.span())),
            None => {
                let label = nearest(word, &names).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let message = format!("unknown kind of step `{}`", shown(word));
                self.found.push(Fault::at(kind.span(), message, label).help(all));
                None
            }
        }
    }

    /// `{ p50 = "20ms", p99 = "80ms" }` or `{ exponential = "20ms" }`.
    fn distribution(&mut self, table: &DeTable<'_>, span: Span, max_ns: u64) -> Option<Distribution> {
        const KNOWN: [&str; 3] = ["p50", "p99", "exponential"];
        let bounds = Shape::Duration { min_ns: 1, max_ns };
        let before = self.found.len();
        let mut parts = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let Some(known) = KNOWN.iter().copied().find(|known| *known == name) else {
                let label = nearest(name, &KNOWN).map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let message = format!("unknown field `{}` in a distribution", shown(name));
                self.found.push(Fault::at(key.span(), message, label).help(DISTRIBUTION_HELP));
                continue;
            };
            match scalar::check(bounds, value.get_ref()) {
                Ok(Value::Nanos(ns)) => {
                    parts.insert(known, ns);
                }
                Ok(_) => {}
                Err(wrong) => {
                    let label = format!("expected {}", bounds.expected());
                    let mut fault = Fault::at(value.span(), format!("`{known}`: {}", wrong.message), label);
                    fault.help = wrong.help;
                    self.found.push(fault);
                }
            }
        }
        if self.found.len() > before {
            return None;
        }
        match (parts.get("p50"), parts.get("p99"), parts.get("exponential")) {
            (Some(&p50_ns), Some(&p99_ns), None) if p99_ns >= p50_ns => {
                Some(Distribution::Lognormal { p50_ns, p99_ns })
            }
            (Some(_), Some(_), None) => {
                self.found.push(Fault::at(span, "`p99` is less than `p50`", "expected p99 >= p50"));
                None
            }
            (None, None, Some(&mean_ns)) => Some(Distribution::Exponential { mean_ns }),
            _ => {
                let message = "a distribution is either `p50` and `p99`, or `exponential`";
                self.found.push(Fault::at(span, message, "").help(DISTRIBUTION_HELP));
                None
            }
        }
    }

    fn argv(&mut self, array: &[Spanned<DeValue<'_>>], span: Span) -> Option<Value> {
        const MOST: usize = 1_000;
        let before = self.found.len();
        let mut argv = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref() {
                DeValue::String(text) if text.contains('\0') => {
                    self.found.push(Fault::at(item.span(), "an argument cannot hold a NUL character", ""));
                }
                DeValue::String(text) if index == 0 && text.trim().is_empty() => {
                    self.found.push(Fault::at(item.span(), "the program has no name", "expected a program"));
                }
                DeValue::String(text) => argv.push(text.clone().into_owned()),
                other => {
                    let message = format!("an argument is a string, not {}", scalar::describe(other));
                    self.found.push(Fault::at(item.span(), message, "expected a string"));
                }
            }
        }
        if array.is_empty() || array.len() > MOST {
            let label = format!("expected {}", Shape::Argv.expected());
            self.found.push(Fault::at(span, format!("`argv` has {} items", array.len()), label));
        }
        (self.found.len() == before).then_some(Value::Argv(argv))
    }
}

impl Faults {
    /// A list of items, as JSON.
    fn items(&mut self, array: &[Spanned<DeValue<'_>>], span: Span) -> Option<Items> {
        if array.is_empty() {
            let label = format!("expected {}", Shape::Items.expected());
            self.found.push(Fault::at(span, "`items` is an empty list, and a task needs one", label));
            return None;
        }
        let before = self.found.len();
        let items = array.iter().map(|item| self.json(item)).collect();
        (self.found.len() == before).then_some(Items::Listed(items))
    }

    fn json(&mut self, value: &Spanned<DeValue<'_>>) -> serde_json::Value {
        use serde_json::Value as Json;
        let mut wrong = |message: &str| {
            self.found.push(Fault::at(value.span(), message, "expected a value that JSON has"));
            Json::Null
        };
        match value.get_ref() {
            DeValue::String(text) => Json::String(text.clone().into_owned()),
            DeValue::Boolean(flag) => Json::Bool(*flag),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| wrong("an integer of more than 64 bits"), Json::from),
            DeValue::Float(float) => match float.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                Some(number) => Json::Number(number),
                None => wrong("a float that is not a finite number"),
            },
            DeValue::Datetime(_) => wrong("a date: write it as a string"),
            DeValue::Array(array) => Json::Array(array.iter().map(|item| self.json(item)).collect()),
            DeValue::Table(table) => {
                let member = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
                    (key.get_ref().clone().into_owned(), self.json(value))
                };
                Json::Object(table.iter().map(member).collect())
            }
        }
    }
}

const NO_STEP: &str = "a workload needs at least one step";
const DISTRIBUTION_HELP: &str = "write \"20ms\", { p50 = \"20ms\", p99 = \"80ms\" } or { exponential = \"20ms\" }";
