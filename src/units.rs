//! How a number is written: what was measured with three significant digits and its unit, what a user wrote as users
//! write it.

use std::time::Duration;

/// Units of time, in nanoseconds.
pub const TIMES: [(&str, f64); 6] = [("ns", 1.0), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("min", 60e9), ("h", 3600e9)];
/// What stands where there is no figure.
pub const NONE: &str = "-";

/// A number with three significant digits, its thousands set apart: `0.052`, `12.4`, `1 240`.
#[must_use]
pub fn count(value: f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value.abs() < 1e-9 {
        return "0".to_owned();
    }
    let (rounded, decimals) = three_digits(value);
    if decimals > 0 { format!("{rounded:.decimals$}") } else { grouped(rounded) }
}

/// A rate: `1 240/s`.
#[must_use]
pub fn rate(per_s: f64) -> String {
    with_unit(count(per_s), "/s", "")
}

/// A duration given in nanoseconds: `850 ns`, `12.3 µs`, `10.1 ms`, `1.20 s`, `12.5 min`.
#[must_use]
pub fn duration(ns: f64) -> String {
    let next = |at: usize| TIMES.get(at + 1).map_or(f64::INFINITY, |unit| unit.1);
    scaled(ns, &TIMES, next)
}

/// A size in bytes: `512 B`, `12.3 MiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    let units =
        [("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("TiB", 1_099_511_627_776.0)];
    // From a thousand on, the next unit reads better than four digits do.
    let next = |at: usize| units.get(at).map_or(f64::INFINITY, |unit| unit.1 * 1000.0);
    scaled(size as f64, &units, next)
}

/// A duration as a user writes it, exactly: `1m 30s`.
#[must_use]
pub fn written_duration(ns: u64) -> String {
    humantime::format_duration(Duration::from_nanos(ns)).to_string()
}

/// A size as a user writes it: exact, in the largest binary unit that leaves a whole number.
#[must_use]
pub fn written_size(bytes: u64) -> String {
    let (count, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .find(|(shift, _)| bytes > 0 && bytes.trailing_zeros() >= *shift)
        .map_or((bytes, "B"), |(shift, unit)| (bytes >> shift, unit));
    format!("{count}{unit}")
}

/// A share as a percentage: `98.2 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    let hundredth = share * 100.0;
    let digits = if hundredth.abs() < 0.05 { "0".to_owned() } else { format!("{hundredth:.1}") };
    with_unit(digits.strip_suffix(".0").map_or(digits.clone(), str::to_owned), "%", " ")
}

/// A share as a user writes it: `0.1 %`, to a thousandth of a percent.
#[must_use]
pub fn written_percent(share: f64) -> String {
    format!("{} %", (share * 100_000.0).round() / 1000.0)
}

/// A ratio as a signed difference: 0.8 is `-20 %`.
#[must_use]
pub fn difference(ratio: f64) -> String {
    let text = percent(ratio - 1.0);
    if ratio > 1.0 && text != "0 %" { format!("+{text}") } else { text }
}

/// A ratio as a factor: `2.10x`.
#[must_use]
pub fn factor(ratio: f64) -> String {
    with_unit(count(ratio), "x", "")
}

fn scaled(value: f64, units: &[(&str, f64)], next: impl Fn(usize) -> f64) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let mut chosen = units.len() - 1;
    for (at, unit) in units.iter().enumerate() {
        // 999.96 us is written `1.00 ms`: what decides is the value as it will be printed.
        if three_digits(value / unit.1).0 * unit.1 < next(at) {
            chosen = at;
            break;
        }
    }
    let (name, size) = units[chosen];
    let digits = if chosen == 0 { grouped(value.round()) } else { count(value / size) };
    format!("{digits} {name}")
}

/// The value rounded to three significant digits, and the decimals that show them.
fn three_digits(value: f64) -> (f64, usize) {
    // Nothing that is measured is that small, and dividing by its scale would overflow.
    if value.abs() < 1e-100 || !value.is_finite() {
        return (value, 0);
    }
    let decimals = |value: f64| (2.0 - value.abs().log10().floor()) as i32;
    let scale = 10_f64.powi(decimals(value));
    let rounded = (value * scale).round() / scale;
    (rounded, decimals(rounded).max(0) as usize)
}

/// A whole number, its thousands set apart.
#[must_use]
pub fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    if value < 0.0 {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn with_unit(digits: String, unit: &str, gap: &str) -> String {
    if digits == NONE { digits } else { format!("{digits}{gap}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_three_significant_digits() {
        let cases = [
            (0.0, "0"),
            (0.05234, "0.0523"),
            (0.9996, "1.00"),
            (9.996, "10.0"),
            (12.44, "12.4"),
            (124.4, "124"),
            (999.6, "1 000"),
            (1244.0, "1 240"),
            (1_234_567.0, "1 230 000"),
            (f64::NAN, "-"),
        ];
        for (value, text) in cases {
            assert_eq!(count(value), text);
        }
        assert_eq!(rate(1244.0), "1 240/s");
        assert_eq!(rate(f64::INFINITY), "-");
    }

    #[test]
    fn durations_choose_their_unit_by_what_is_printed() {
        let cases = [
            (0.0, "0 ns"),
            (850.0, "850 ns"),
            (999.0, "999 ns"),
            (1000.0, "1.00 µs"),
            (999_960.0, "1.00 ms"),
            (10_130_000.0, "10.1 ms"),
            (1.2e9, "1.20 s"),
            (59.9e9, "59.9 s"),
            (90e9, "1.50 min"),
            (7200e9, "2.00 h"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn sizes_and_shares() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(bytes(1_000_000), "977 KiB");
        assert_eq!(bytes(1_048_575), "1.00 MiB");
        assert_eq!(bytes(12_900_000), "12.3 MiB");
        assert_eq!(percent(0.982), "98.2 %");
        assert_eq!(percent(0.5), "50 %");
        assert_eq!(percent(0.000_1), "0 %");
        assert_eq!(difference(0.8), "-20 %");
        assert_eq!(difference(1.0), "0 %");
        assert_eq!(difference(1.034), "+3.4 %");
        assert_eq!(difference(1.004), "+0.4 %");
        assert_eq!(difference(1.000_1), "0 %");
        assert_eq!(factor(2.1), "2.10x");
    }

    proptest! {
        #[test]
        fn any_number_can_be_written(value in proptest::num::f64::ANY) {
            for text in [count(value), rate(value), duration(value), percent(value), difference(value)] {
                prop_assert!(!text.is_empty());
            }
        }

        #[test]
        fn a_count_stays_within_half_a_percent(value in 1e-6..1e12_f64) {
            let read: f64 = count(value).replace(' ', "").parse().expect("digits");
            prop_assert!((read / value - 1.0).abs() <= 0.005_000_1, "{value} {read}");
        }
    }
}
