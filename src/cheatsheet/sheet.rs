//! The sheet as it is stored: what was measured, with its host, versions and seed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::catalogue::{Item, Language, Pitfall, Section};
use crate::escape::escaped_but;
use crate::host::Facts;
use crate::stats::{self, MedianInterval};

/// The version of the sheet's format.
pub const FORMAT_VERSION: u32 = 1;

/// The confidence that an interval aims at. Few repetitions reach less; each figure has what it reaches.
pub const CONFIDENCE: f64 = 0.95;

/// A cheat sheet that was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// The version of `conbench`.
    pub conbench_version: String,
    /// When it began, in RFC 3339.
    pub began_at: String,
    /// How long the measurement took.
    pub elapsed_ns: u64,
    /// Whether a signal ended it before all was measured.
    pub is_interrupted: bool,
    /// The seed of every order.
    pub seed: u64,
    /// Whether it was the quick sheet.
    pub is_quick: bool,
    /// The sections that were asked for, in the sheet's order.
    pub sections: Vec<Section>,
    /// The host.
    pub host: Facts,
    /// The runtimes, in the order of their columns.
    pub runtimes: Vec<Runtime>,
    /// What was timed, by runtime, in the catalogue's order.
    pub items: Vec<Timed>,
    /// What went wrong and was mended, by runtime, in the catalogue's order.
    pub pitfalls: Vec<Shown>,
    /// What the reader should know of the measurement.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Sheet {
    /// Reads a stored sheet. Its texts are shown as they stand, and a file may say anything: what steers a terminal is
    /// escaped.
    ///
    /// # Errors
    /// When it is no sheet.
    pub fn read(mut value: Value) -> Result<Sheet, serde_json::Error> {
        escape(&mut value);
        serde_json::from_value(value)
    }
}

/// Escapes what steers a terminal in all texts of a value, but for line feeds.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = escaped_but(text, &['\n']),
        Value::Array(items) => items.iter_mut().for_each(escape),
        Value::Object(members) => members.values_mut().for_each(escape),
        _ => {}
    }
}

/// A runtime of the sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// Its name, e.g. `python3.11`.
    pub name: String,
    /// Its language.
    pub language: Language,
    /// Its version.
    pub version: String,
    /// Whether a global interpreter lock is on; `None` where there is no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gil: Option<bool>,
}

/// An item with its figure, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// The runtime's name.
    pub runtime: String,
    /// What was timed.
    pub item: Item,
    /// The time of one `per`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<Figure>,
    /// Why there is no figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// A median over repetitions, each in a fresh process; `low_ns <= median_ns <= high_ns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The median.
    pub median_ns: f64,
    /// The lower end of the median's interval.
    pub low_ns: f64,
    /// The upper end of the median's interval.
    pub high_ns: f64,
    /// The confidence that the interval reaches, a ratio.
    pub confidence: f64,
    /// What each repetition measured, in the order of measurement.
    pub repetitions_ns: Vec<f64>,
}

impl Figure {
    /// The figure of these repetitions; `None` if there are none.
    #[must_use]
    pub fn of(repetitions_ns: Vec<f64>) -> Option<Figure> {
        let MedianInterval { interval, confidence } = stats::median_interval(&repetitions_ns, CONFIDENCE)?;
        Some(Figure {
            median_ns: interval.value,
            low_ns: interval.low,
            high_ns: interval.high,
            confidence,
            repetitions_ns,
        })
    }
}

/// A pitfall with what was seen, or why nothing was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The runtime's name.
    pub runtime: String,
    /// What it is.
    pub pitfall: Pitfall,
    /// Both figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Both>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
}

/// The figures of a pitfall, in its unit: medians over its repetitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Both {
    /// What the mistake comes to.
    pub wrong: f64,
    /// What it comes to when mended.
    pub mended: f64,
    /// How often both were measured, each time in a fresh process.
    pub repetitions: u32,
    /// The interval of the first median; none of one repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong_interval: Option<Range>,
    /// The same of the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended_interval: Option<Range>,
    /// What a user sees of it: a message, or what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
}

/// The interval of a median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The confidence that it reaches, a ratio.
    pub confidence: f64,
}

impl Both {
    /// The figures of these repetitions; `None` if there are none.
    #[must_use]
    pub fn of(wrong: &[f64], mended: &[f64], shown: Option<String>) -> Option<Both> {
        let [of_wrong, of_mended] = [wrong, mended].map(|values| stats::median_interval(values, CONFIDENCE));
        let (of_wrong, of_mended) = (of_wrong?, of_mended?);
        let range = |of: MedianInterval| {
            let (low, high) = (of.interval.low, of.interval.high);
            (wrong.len() > 1).then_some(Range { low, high, confidence: of.confidence })
        };
        Some(Both {
            wrong: of_wrong.interval.value,
            mended: of_mended.interval.value,
            repetitions: u32::try_from(wrong.len()).unwrap_or(u32::MAX),
            wrong_interval: range(of_wrong),
            mended_interval: range(of_mended),
            shown,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_in_a_stored_sheet() {
        let file: Value = serde_json::from_str(include_str!("../../reports/cheatsheet.json")).expect("JSON");
        let mut sheet = file["sheet"].clone();
        let read = Sheet::read(sheet.clone()).expect("a sheet");
        assert_eq!(serde_json::to_value(&read).expect("written"), sheet, "what steers nothing stays");
        sheet["items"][0]["item"]["per"] = "call\u{202e}\n\u{1b}[31m".into();
        let read = Sheet::read(sheet).expect("a sheet");
        assert_eq!(read.items[0].item.per, "call\\u{202e}\n\\u{1b}[31m");
    }

    #[test]
    fn a_pitfall_has_medians_with_intervals_where_it_was_repeated() {
        let both = Both::of(&[5.0, 7.0, 6.0, 9.0, 8.0, 4.0], &[1.0; 6], None).expect("figures");
        assert_eq!((both.wrong, both.mended, both.repetitions), (6.5, 1.0, 6));
        let range = both.wrong_interval.expect("an interval");
        assert!(range.low == 4.0 && range.high == 9.0 && range.confidence > 0.95, "{range:?}");
        let once = Both::of(&[5.0], &[1.0], None).expect("figures");
        assert_eq!((once.repetitions, once.wrong_interval, once.mended_interval), (1, None, None));
        assert_eq!(Both::of(&[], &[], None), None);
    }
}
