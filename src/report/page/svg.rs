//! Places on a chart. Lengths across are in per cent, so that a chart is as wide as its page and its text stays as
//! large as it is; lengths down are in pixels.

use maud::{Markup, html};

/// A length across, as SVG has it.
pub(super) fn across(percent: f64) -> String {
    let percent = if percent.is_finite() { percent.clamp(0.0, 100.0) } else { 0.0 };
    let text = format!("{percent:.2}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A length down, in pixels.
pub(super) fn down(pixels: f64) -> String {
    let pixels = if pixels.is_finite() { pixels } else { 0.0 };
    let text = format!("{pixels:.1}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Names of ticks before the one and after the other are written inwards, in per cent of the axis.
const START: f64 = 6.0;
const END: f64 = 92.0;

/// Where a value lies on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
    /// Where `low` and `high` lie.
    ends: (f64, f64),
    /// What round values are multiples of: 1, or a binary unit of sizes.
    unit: f64,
}

impl Scale {
    /// From zero to `high`; without a value above zero, to one.
    pub(super) fn linear(high: f64, ends: (f64, f64)) -> Scale {
        let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
        Scale { low: 0.0, high, is_log: false, ends, unit: 1.0 }
    }

    /// The same of a size in bytes: round values are round in its binary unit.
    pub(super) fn of_bytes(high: f64, ends: (f64, f64)) -> Scale {
        let scale = Scale::linear(high, ends);
        let unit = std::iter::successors(Some(1.0), |unit| Some(unit * 1024.0)).take(5);
        Scale { unit: unit.filter(|unit| *unit <= scale.high).last().unwrap_or(1.0), ..scale }
    }

    /// From the smallest to the largest of values above zero, by their logarithm; of fewer than two that differ, a span
    /// of four around.
    pub(super) fn logarithmic(values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Scale {
        let (low, high) = values
            .filter(|value| value.is_finite() && *value >= f64::MIN_POSITIVE)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = match () {
            () if low > high => (1.0, 10.0),
            // Neither zero nor infinity: between these there is no end of decades.
            () if high / low < 1.5 => ((low / 2.0).max(f64::MIN_POSITIVE), (high * 2.0).min(f64::MAX)),
            () => (low, high),
        };
        Scale { low, high, is_log: true, ends, unit: 1.0 }
    }

    /// Where this value lies; what is outside lies at the end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.ends.0 + share * (self.ends.1 - self.ends.0)
    }

    /// Round values on it, three to seven.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.is_log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let rough = self.high / self.unit / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|of| of * power).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(rough);
        (0..=5).map(|at| f64::from(at) * step * self.unit).filter(|tick| *tick <= self.high * 1.001).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let (from, to) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |tick: &f64| (self.low * 0.999..=self.high * 1.001).contains(tick);
        let of = |digits: &[f64]| -> Vec<f64> {
            let all = (from..=to).flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
            all.filter(inside).collect()
        };
        let decades = of(&[1.0]);
        match decades.len() {
            0 | 1 => of(&[1.0, 2.0, 5.0]),
            2 => of(&[1.0, 3.0]),
            3..=7 => decades,
            many => decades.into_iter().step_by(many.div_ceil(6)).collect(),
        }
    }
}

/// A text at a place: anchored `start`, `middle` or `end`.
pub(super) fn text(x: f64, y: f64, anchor: &str, class: &str, said: &str) -> Markup {
    html! { text x=(across(x)) y=(down(y)) class={ (class) " " (anchor) } { (said) } }
}

/// A straight line; without a class, it is drawn as what it is a part of.
pub(super) fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Markup {
    let class = (!class.is_empty()).then_some(class);
    html! {
        line x1=(across(from.0)) y1=(down(from.1)) x2=(across(to.0)) y2=(down(to.1)) class=[class] {}
    }
}

/// A bar that lies.
pub(super) fn bar(from: f64, to: f64, (y, height): (f64, f64), class: &str) -> Markup {
    let width = (to - from).max(0.25);
    html! {
        rect x=(across(from)) width=(across(width)) y=(down(y)) height=(down(height)) rx="2" class=(class) {}
    }
}

/// An interval that lies: a line with its ends.
pub(super) fn whisker(low: f64, high: f64, y: f64, class: &str) -> Markup {
    html! {
        g class=(class) {
            // Beneath it, so that it is seen on a bar, too.
            (line((low, y), (high, y), "halo"))
            (line((low, y), (high, y), ""))
            (line((low, y - 4.0), (low, y + 4.0), ""))
            (line((high, y - 4.0), (high, y + 4.0), ""))
        }
    }
}

/// A shape of fixed size at a place: `path` is drawn around the origin.
pub(super) fn shape(x: f64, y: f64, path: &str, class: &str) -> Markup {
    html! { svg x=(across(x)) y=(down(y)) class="at" { path d=(path) class=(class) {} } }
}

/// A row under bars: round values and their names.
pub(super) fn axis(scale: &Scale, name: impl Fn(f64) -> String) -> Markup {
    html! {
        svg class="axis" height="20" aria-hidden="true" {
            @let at = |tick: f64| (scale.at(tick), tidy(&name(tick)));
            @let places: Vec<(f64, String)> = scale.ticks().into_iter().map(at).collect();
            @for (x, _) in &places { (line((*x, 0.0), (*x, 4.0), "tick")) }
            @for (x, said) in apart(&places, scale.is_log) {
                @let anchor = if *x < START { "start" } else if *x > END { "end" } else { "middle" };
                (text(*x, 16.0, anchor, "label", said))
            }
        }
    }
}

/// The ticks whose names have room beside each other. Those at the ends are written inwards, and need more of it; zero, at
/// the start of a linear axis, is short. A logarithmic axis may be a column of a table, of 11 rem at least.
fn apart(places: &[(f64, String)], is_log: bool) -> Vec<&(f64, String)> {
    /// The width of a sign, of the narrowest axis of bars.
    const SIGN: f64 = 2.7;
    let long = |name: &str| SIGN * name.chars().count() as f64;
    let room = |(last, before): &(f64, String), (x, name): &(f64, String)| match (is_log, *last < START, *x > END) {
        (true, true, _) | (true, _, true) => 38.0,
        (true, ..) => 27.0,
        (false, is_first, is_last) => {
            let of_last = long(before) / if is_first { 1.0 } else { 2.0 };
            let own = long(name) / if is_last { 1.0 } else { 2.0 };
            (of_last + own).max(if is_last { 19.0 } else { 16.0 })
        }
    };
    let mut chosen: Vec<&(f64, String)> = Vec::new();
    for place in places {
        if chosen.last().is_none_or(|last| place.0 - last.0 >= room(last, place)) {
            chosen.push(place);
        }
    }
    chosen
}

/// A round value as it is written on an axis: `2.00 ms` is `2 ms`, and no unit stands beside zero.
fn tidy(name: &str) -> String {
    let end = name.find(|sign: char| !(sign.is_ascii_digit() || ".- ".contains(sign))).unwrap_or(name.len());
    let (digits, unit) = name.split_at(end);
    let (digits, gap) = (digits.trim_end(), if digits.ends_with(' ') { " " } else { "" });
    let short = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    if short == "0" { short.to_owned() } else { format!("{short}{gap}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_short_and_legal() {
        assert_eq!([across(12.5), across(0.0), across(33.333_3)], ["12.5%", "0%", "33.33%"]);
        assert_eq!([across(f64::NAN), across(-1.0), across(1e9)], ["0%", "0%", "100%"]);
        assert_eq!([down(4.0), down(4.25), down(f64::INFINITY)], ["4", "4.2", "0"]);
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(Scale::linear(668.0, (0.0, 100.0)).ticks(), [0.0, 200.0, 400.0, 600.0]);
        let mebibyte = 1_048_576.0;
        let of_bytes = Scale::of_bytes(12.8 * mebibyte, (0.0, 100.0));
        assert_eq!(of_bytes.ticks(), [0.0, 5.0 * mebibyte, 10.0 * mebibyte]);
        assert_eq!(
            ["2.00 ms", "1 000/s", "0 ns", "0/s", "50 %", "0.500x", "10.0 s"].map(tidy),
            ["2 ms", "1 000/s", "0", "0", "50 %", "0.5x", "10 s"]
        );
        let scale = Scale::logarithmic([2e6, 4e8].into_iter(), (0.0, 100.0));
        assert_eq!(scale.ticks(), [3e6, 1e7, 3e7, 1e8, 3e8]);
        assert_eq!([scale.at(2e6), scale.at(4e8), scale.at(1e12)], [0.0, 100.0, 100.0]);
    }

    #[test]
    fn the_smallest_and_the_largest_numbers_have_few_ticks() {
        for value in [f64::from_bits(1), f64::MIN_POSITIVE, f64::MAX] {
            let scale = Scale::logarithmic(std::iter::once(value), (4.0, 96.0));
            assert!(scale.ticks().len() <= 40, "{scale:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_measured_lies_on_the_axis(
            values in prop::collection::vec(prop::num::f64::ANY, 0..6), value in prop::num::f64::ANY,
        ) {
            for scale in [
                Scale::linear(values.first().copied().unwrap_or(0.0), (4.0, 96.0)),
                Scale::of_bytes(values.first().copied().unwrap_or(0.0), (4.0, 96.0)),
                Scale::logarithmic(values.iter().copied(), (4.0, 96.0)),
            ] {
                prop_assert!((4.0..=96.0).contains(&scale.at(value)), "{scale:?}");
                prop_assert!(scale.ticks().len() <= 40, "{scale:?}");
            }
        }
    }
}
