//! Values that are not made of others: their type, their unit, their range.

use toml::de::{DeInteger, DeValue};

use super::diagnostics::shown;
use super::fields::Shape;
use super::quantity::{self, Wrong};
use super::rate::RATE_HELP;
use super::value::Value;
use super::{Distribution, Rate};
use crate::candidate::nearest;

/// What to do where a step is missing.
pub(super) const STEP_HELP: &str = "add `[[step]]` and, below it, `kind = \"cpu\"`; `conbench list` shows the kinds";

/// Checks a value that is not made of others.
pub(super) fn check(shape: Shape, value: &DeValue<'_>) -> Result<Value, Wrong> {
    match (shape, value) {
        (Shape::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Shape::Integer { min, max }, DeValue::Integer(integer)) => {
            let number = whole(integer).filter(|number| (min..=max).contains(number));
            number.map(Value::Integer).ok_or_else(|| plain(format!("{} is out of range", shown(&integer.to_string()))))
        }
        (Shape::Count { most, .. }, DeValue::Integer(_)) => check(Shape::Integer { min: 0, max: most }, value),
        (Shape::Count { max_thousandths, .. }, DeValue::String(_)) => {
            check(Shape::Percent { min_thousandths: 0, max_thousandths }, value)
        }
        (Shape::Text { max_chars, lines }, DeValue::String(text)) => check_text(text, max_chars, lines),
        (Shape::Word(words), DeValue::String(text)) => match words.iter().find(|word| *word == text) {
            Some(word) => Ok(Value::Text((*word).to_owned())),
            None => Err(Wrong {
                message: format!("unknown word `{}`", shown(text)),
                help: nearest(text, words).map(|near| format!("did you mean \"{near}\"?")),
            }),
        },
        (Shape::Duration { min_ns, max_ns } | Shape::Distribution { min_ns, max_ns }, DeValue::String(text)) => {
            let ns = quantity::duration(text)?;
            let outside = || plain(format!("{} is out of range", shown(text.trim())));
            let ns = Some(ns).filter(|ns| (min_ns..=max_ns).contains(ns)).ok_or_else(outside)?;
            Ok(match shape {
                Shape::Distribution { .. } => Value::Distribution(Distribution::Fixed { time_ns: ns }),
                _ => Value::Nanos(ns),
            })
        }
        (Shape::Size { min_bytes, max_bytes }, DeValue::String(text)) => {
            let bytes = Some(quantity::size(text)?).filter(|bytes| (min_bytes..=max_bytes).contains(bytes));
            bytes.map(Value::Bytes).ok_or_else(|| plain(format!("{} is out of range", shown(text.trim()))))
        }
        (Shape::Percent { min_thousandths, max_thousandths }, DeValue::String(text)) => {
            let inside = |share: &f64| (f64::from(min_thousandths)..=f64::from(max_thousandths)).contains(share);
            let share = Some(quantity::percent(text)?).filter(inside);
            share.map(Value::Percent).ok_or_else(|| plain(format!("{} is out of range", shown(text.trim()))))
        }
        (Shape::Rate, DeValue::String(text)) => Rate::parse(text).map(Value::Rate),
        (Shape::Url, DeValue::String(text)) => super::remote::check_url(text).map(Value::Text),
        (Shape::Address, DeValue::String(text)) => super::remote::check_address(text).map(Value::Text),
        (Shape::Function | Shape::Items, DeValue::String(text)) => function(text).map(Value::Text),
        (Shape::Check, DeValue::String(text)) if matches!(text.as_ref(), "results" | "none") => {
            Ok(Value::Text(text.clone().into_owned()))
        }
        (Shape::Check, DeValue::String(text)) => function(text).map(Value::Text),
        (Shape::Factory, DeValue::String(text)) => super::factory_name(text).map(Value::Text).map_err(plain),
        (Shape::Directory, DeValue::String(text)) => check_text(text, 4_096, false),
        (_, other) => Err(mismatch(shape, other)),
    }
}

/// A name in a module: `package.module:name`.
pub(super) fn function(text: &str) -> Result<String, Wrong> {
    let is_path = |path: &str| path.split('.').all(is_identifier);
    match text.trim().split_once(':') {
        Some((module, name)) if is_path(module) && is_path(name) => Ok(text.trim().to_owned()),
        _ => Err(Wrong {
            message: format!("`{}` is not a name in a module", shown(text)),
            help: Some("write e.g. \"shop.scrape:fetch\": the module, a colon, and the name in it".to_owned()),
        }),
    }
}

pub(super) fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

fn check_text(text: &str, max_chars: usize, lines: bool) -> Result<Value, Wrong> {
    if text.chars().count() > max_chars {
        return Err(plain("the text is too long".to_owned()));
    }
    if !lines && text.trim().is_empty() {
        return Err(plain("the text is empty".to_owned()));
    }
    // They would reach the terminal of whoever looks at a table or a record.
    if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
        return Err(plain("the text holds a control character".to_owned()));
    }
    Ok(Value::Text(text.trim().to_owned()))
}

fn mismatch(shape: Shape, value: &DeValue<'_>) -> Wrong {
    let number = matches!(value, DeValue::Integer(_) | DeValue::Float(_));
    let help = match shape {
        Shape::Duration { .. } | Shape::Distribution { .. } if number => Some(quantity::DURATION_HELP),
        Shape::Size { .. } if number => Some(quantity::SIZE_HELP),
        Shape::Percent { .. } | Shape::Count { .. } if number => Some("a percentage has its sign, e.g. \"3%\""),
        Shape::Rate => Some(RATE_HELP),
        Shape::Steps { .. } => Some(STEP_HELP),
        Shape::Argv => Some("a command is a list, without a shell: [\"program\", \"argument\"]"),
        _ => None,
    };
    Wrong { message: format!("found {}", describe(value)), help: help.map(str::to_owned) }
}

fn plain(message: String) -> Wrong {
    Wrong { message, help: None }
}

fn whole(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str().trim_start_matches('+'), integer.radix()).ok()
}

/// What kind of value this is, with its article.
pub(super) fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(float) if float.as_str().contains("nan") => "not a number (nan)",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
