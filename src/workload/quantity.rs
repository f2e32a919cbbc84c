//! Quantities as users write them: a number and its unit, always.

use std::time::Duration;

use bytesize::ByteSize;

use crate::candidate::nearest;

/// The units of a duration.
pub(super) const DURATION_UNITS: [&str; 9] = ["ns", "us", "µs", "ms", "s", "sec", "min", "m", "h"];
/// The units of a size.
pub(super) const SIZE_UNITS: [&str; 8] = ["B", "KiB", "MiB", "GiB", "kB", "KB", "MB", "GB"];

/// More than any quantity needs; a longer text is not looked at.
const MAX_TEXT: usize = 40;
/// With so few digits a number, and hours as the largest unit, no sum of parts can overflow 64 bits of seconds.
const MAX_DIGITS: usize = 15;

/// Why a text is not a quantity: what is wrong, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { message: message.into(), help: Some(help.into()) })
}

/// What to say where a duration has no unit.
pub(super) const DURATION_HELP: &str = "a duration needs a unit, e.g. \"10ms\"";
/// What to say where a size has no unit.
pub(super) const SIZE_HELP: &str = "a size needs a unit, e.g. \"16KiB\"";

/// Nanoseconds of `"10ms"`, `"1.5s"`, `"1m 30s"`.
pub(super) fn duration(text: &str) -> Result<u64, Wrong> {
    check_parts(text, "duration", DURATION_HELP, &DURATION_UNITS, "the units are ns, us, ms, s, m and h")?;
    let parsed: Duration = humantime::parse_duration(text)
        .map_err(|error| Wrong { message: format!("not a duration: {error}"), help: Some(DURATION_HELP.to_owned()) })?;
    u64::try_from(parsed.as_nanos())
        .map_err(|error| Wrong { message: format!("the duration is too long: {error}"), help: None })
}

/// Bytes of `"16KiB"`, `"1.5 MB"`.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let units = "the units are B, KiB, MiB, GiB, kB, MB and GB";
    check_parts(text, "size", SIZE_HELP, &SIZE_UNITS, units)?;
    let trimmed = text.trim();
    if trimmed.contains('.')
        && !trimmed.ends_with("iB")
        && !matches!(trimmed.as_bytes(), [.., b'k' | b'K' | b'M' | b'G', b'B'])
    {
        return wrong("a part of a byte", "bytes are whole: write e.g. \"64B\"");
    }
    let parsed: ByteSize = trimmed
        .parse()
        .map_err(|error: String| Wrong { message: format!("not a size: {error}"), help: Some(SIZE_HELP.to_owned()) })?;
    Ok(parsed.as_u64())
}

/// Thousandths of a percent of `"3%"`, `"0.5 %"`.
pub(super) fn percent(text: &str) -> Result<f64, Wrong> {
    const HELP: &str = "a percentage has its sign, e.g. \"3%\"";
    let Some(number) = text.trim().strip_suffix('%') else {
        return wrong("a percentage without its sign", HELP);
    };
    // `f64` also reads "inf", "nan" and "1e3", which are no way to write a percentage.
    let number = number.trim();
    if number.len() > MAX_TEXT || !number.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-') {
        return wrong("not a percentage", HELP);
    }
    match number.parse::<f64>() {
        Ok(value) => Ok(value * 1000.0),
        Err(error) => wrong(format!("not a percentage: {error}"), HELP),
    }
}

/// Checks that `text` is made of numbers and known units; the arithmetic is left to others.
fn check_parts(text: &str, noun: &str, no_unit: &str, known: &[&str], all: &str) -> Result<(), Wrong> {
    let text = text.trim();
    if text.is_empty() {
        return wrong(format!("an empty {noun}"), no_unit);
    }
    if text.starts_with('-') {
        return Err(Wrong { message: format!("a negative {noun}"), help: None });
    }
    if text.len() > MAX_TEXT {
        return wrong(format!("a {noun} of more than {MAX_TEXT} characters"), no_unit);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return wrong(format!("not a {noun}"), no_unit);
    }
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).count();
    if text.split(|c: char| !c.is_ascii_digit() && c != '.').any(|number| digits(number) > MAX_DIGITS) {
        return wrong(format!("a {noun} of more than {MAX_DIGITS} digits"), "use a larger unit");
    }
    let words: Vec<&str> = text.split(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if words.is_empty() || !text.ends_with(|c: char| !c.is_ascii_digit() && c != '.') {
        return wrong(format!("a {noun} without its unit"), no_unit);
    }
    for word in words {
        if !known.contains(&word) {
            let same = known.iter().copied().find(|unit| unit.eq_ignore_ascii_case(word));
            let help = match same.or_else(|| nearest(word, known)) {
                Some(near) => format!("did you mean `{near}`? {all}"),
                None => all.to_owned(),
            };
            return wrong(format!("`{}` is not a unit of a {noun}", super::diagnostics::shown(word)), help);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::units::{written_duration, written_size};

    #[test]
    fn quantities_with_a_unit_are_read() {
        for (text, ns) in [
            ("10ms", 10_000_000),
            ("1.5s", 1_500_000_000),
            ("1m 30s", 90_000_000_000),
            ("2us", 2_000),
            ("2µs", 2_000),
            ("0ms", 0),
            (" 1h ", 3_600_000_000_000),
            ("3600000000000ns", 3_600_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(ns), "{text}");
        }
        for (text, bytes) in
            [("0B", 0), ("64B", 64), ("16KiB", 16_384), ("1.5 KiB", 1_536), ("1MB", 1_000_000), ("1GiB", 1 << 30)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!(percent("3%"), Ok(3000.0));
        assert_eq!(percent("0.5 %"), Ok(500.0));
    }

    #[test]
    fn a_missing_unit_is_named() {
        for text in ["10", "1.5", "0"] {
            assert_eq!(duration(text).map_err(|wrong| wrong.help), Err(Some(DURATION_HELP.to_owned())), "{text}");
            assert_eq!(size(text).map_err(|wrong| wrong.help), Err(Some(SIZE_HELP.to_owned())), "{text}");
        }
        assert!(percent("3").is_err());
    }

    #[test]
    fn a_wrong_unit_names_the_nearest() {
        let help = |result: Result<u64, Wrong>| result.err().and_then(|wrong| wrong.help).unwrap_or_default();
        assert!(help(duration("10mss")).contains("did you mean `ms`?"));
        assert!(help(size("10kib")).contains("did you mean `KiB`?"));
        assert!(help(size("10mb")).contains("did you mean `MB`?"));
        assert!(help(duration("1 fortnight")).contains("the units are"));
    }

    #[test]
    fn odd_texts_are_refused() {
        for text in ["", "-1ms", "ms", "1e9ms", "NaN", "inf", "1..5s", "1.s", "0.5ns", "584542046090y", "٣ms", "1ms,"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "-1B", "KiB", "1 2KiB", "1KiB 2B", "0.5B", "1e3B", "1K", "99999999999999999999B"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "%", "nan%", "inf%", "1e1%", "3%%", "--1%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", sums in "([0-9]{1,20}(\\.[0-9]{0,9})?(ns|us|ms|s|m|h|y|B|KiB|GB) ?){1,4}") {
            for text in [text, sums] {
                let _ = (duration(&text), size(&text), percent(&text));
            }
        }

        #[test]
        fn what_is_shown_is_read_back(ns in 0..=3_600_000_000_000_u64, bytes in 0..=1_u64 << 40) {
            prop_assert_eq!(duration(&written_duration(ns)), Ok(ns));
            prop_assert_eq!(size(&written_size(bytes)), Ok(bytes));
        }
    }
}
