//! The JSON Schema of the workload file, made from the same fields as its reader.
//!
//! It serves editors: it knows fields, types, words and ranges of numbers. What spans several fields,
//! and ranges of durations and sizes, only [`parse`](super::parse()) checks; the descriptions say them.

use serde_json::{Map, Value, json};
use toml::de::DeValue;

use super::fields::{Field, Presence, Shape, Table};
use super::{WORKLOAD, quantity};

/// The JSON Schema (draft 2020-12) of a workload file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = table(&WORKLOAD, None);
    if let Value::Object(object) = &mut schema {
        object.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        object.insert("title".to_owned(), json!("conbench workload"));
    }
    schema
}

fn table(spec: &Table, kind: Option<&str>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    if let Some(kind) = kind {
        properties.insert("kind".to_owned(), json!({ "const": kind }));
        required.push("kind");
    }
    for field in spec.fields {
        properties.insert(field.name.to_owned(), property(field));
        if matches!(field.presence, Presence::Required) {
            required.push(field.name);
        }
    }
    let mut schema = json!({
        "type": "object",
        "description": spec.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if let (Value::Object(object), false) = (&mut schema, spec.conflicts.is_empty()) {
        let exclude = |(one, other, _): &(&str, &str, &str)| json!({ "not": { "required": [one, other] } });
        object.insert("allOf".to_owned(), spec.conflicts.iter().map(exclude).collect());
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut schema = shape(field.shape);
    let Value::Object(object) = &mut schema else { return schema };
    let mut description = format!("{} Expected: {}.", field.doc, field.shape.expected());
    match field.presence {
        Presence::Required => {}
        Presence::Optional(absent) => description.push_str(&format!(" Default: {absent}.")),
        Presence::Default(text) => {
            if let Ok(value) = DeValue::parse(text) {
                object.insert("default".to_owned(), default(value.get_ref()));
            }
        }
    }
    object.insert("description".to_owned(), json!(description));
    schema
}

/// The defaults are words, whole numbers and empty tables.
fn default(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Integer(integer) => json!(integer.as_str().parse::<u64>().ok()),
        DeValue::Boolean(flag) => json!(flag),
        DeValue::String(text) => json!(text),
        _ => json!({}),
    }
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text { max_chars, lines } => {
            json!({ "type": "string", "maxLength": max_chars, "minLength": u8::from(!lines) })
        }
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Duration { .. } => duration(),
        Shape::Distribution { .. } => json!({ "anyOf": [
            duration(),
            {
                "type": "object",
                "description": "Log-normal, by its median and its 99th percentile.",
                "properties": { "p50": duration(), "p99": duration() },
                "required": ["p50", "p99"],
                "additionalProperties": false,
            },
            {
                "type": "object",
                "description": "Exponential, by its mean.",
                "properties": { "exponential": duration() },
                "required": ["exponential"],
                "additionalProperties": false,
            },
        ] }),
        Shape::Size { .. } => {
            json!({ "type": "string", "pattern": format!("^\\s*{NUMBER}({})\\s*$", quantity::SIZE_UNITS.join("|")) })
        }
        Shape::Percent { .. } => percentage(),
        Shape::Count { most, .. } => {
            json!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": most }, percentage()] })
        }
        Shape::Rate => json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*/\\s*(s|min|h)\\s*$" }),
        Shape::Argv => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        Shape::Url => json!({ "type": "string", "pattern": "^http://" }),
        Shape::Address => json!({ "type": "string", "pattern": "^.+:[0-9]+$" }),
        Shape::Function => function(),
        Shape::Items => json!({ "anyOf": [function(), { "type": "array", "minItems": 1 }] }),
        Shape::Check => json!({ "anyOf": [{ "enum": ["results", "none"] }, function()] }),
        Shape::Directory => json!({ "type": "string", "minLength": 1 }),
        Shape::Factory => json!({ "type": "string", "pattern": "^.+:[^\\s:]+$" }),
        Shape::Sizes { max } => {
            json!({ "type": "array", "minItems": 1, "items": { "type": "integer", "minimum": 1, "maximum": max } })
        }
        Shape::Table(spec) => table(spec, None),
        Shape::Tables { table: spec, max } => {
            json!({ "type": "array", "maxItems": max, "items": table(spec, None) })
        }
        Shape::Steps { kinds, max } => json!({
            "type": "array",
            "minItems": 1,
            "maxItems": max,
            "items": { "oneOf": kinds.iter().map(|kind| table(kind, Some(kind.name))).collect::<Vec<_>>() },
        }),
    }
}

/// Names may hold letters of any script, which a pattern cannot tell portably.
fn function() -> Value {
    json!({ "type": "string", "pattern": "^[^\\s:]+:[^\\s:]+$" })
}

const NUMBER: &str = "[0-9]+(\\.[0-9]+)?\\s*";

fn percentage() -> Value {
    json!({ "type": "string", "pattern": format!("^\\s*{NUMBER}%\\s*$") })
}

fn duration() -> Value {
    let units = quantity::DURATION_UNITS.join("|");
    json!({ "type": "string", "pattern": format!("^\\s*({NUMBER}({units})\\s*)+$") })
}
