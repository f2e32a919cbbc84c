//! What this bench prints, and the figures that it prints.

use comfy_table::{Table, presets};

/// Prints a table; the first header is its title.
#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
pub(crate) fn show(header: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    println!("{table}\n");
}

/// Prints a line.
#[expect(clippy::print_stdout, reason = "a benchmark says what it does")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// A share in per cent: `98.2 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `count` of `all`, in per cent; `-` of none.
pub(crate) fn share(count: usize, all: usize) -> String {
    if all == 0 { "-".to_owned() } else { percent(count as f64 / all as f64) }
}

/// `count` of `all` with its 95 % interval: `98.2 % (96.4 to 99.2)`.
pub(crate) fn share_with_interval(count: usize, all: usize) -> String {
    let (low, high) = wilson(count, all);
    format!("{} ({:.1} to {:.1})", share(count, all), 100.0 * low, 100.0 * high)
}

/// The 95 % interval of a share.
///
/// Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
pub(crate) fn wilson(count: usize, all: usize) -> (f64, f64) {
    const Z: f64 = 1.959_964;
    if all == 0 {
        return (0.0, 1.0);
    }
    let n = all as f64;
    let share = count as f64 / n;
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The quantile of a sample, by the nearest rank; NaN of none.
pub(crate) fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
}
