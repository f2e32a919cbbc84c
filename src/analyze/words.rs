//! Figures in words.

/// A time with about three digits: `10.1 ms`, `41 ms`, `350 us`.
pub(super) fn time(ns: f64) -> String {
    let (unit, name) =
        [(1e9, "s"), (1e6, "ms"), (1e3, "us")].into_iter().find(|(unit, _)| ns >= 0.1 * unit).unwrap_or((1.0, "ns"));
    format!("{} {name}", digits(ns / unit))
}

/// A share: `97 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A share that somebody wrote: `0.1 %`.
pub(super) fn percent_exactly(share: f64) -> String {
    // Thousandths of a percent are what can be written.
    format!("{} %", (share * 100_000.0).round() / 1000.0)
}

fn digits(value: f64) -> String {
    let text = match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        let found: Vec<String> = [41e6, 10.1e6, 0.2e6, 350.0, 2e9, 0.0].into_iter().map(time).collect();
        assert_eq!(found, ["41 ms", "10.1 ms", "0.2 ms", "0.35 us", "2 s", "0 ns"]);
        assert_eq!([percent_exactly(0.001), percent_exactly(0.07)], ["0.1 %", "7 %"]);
        assert_eq!(percent(0.966), "97 %");
    }
}
