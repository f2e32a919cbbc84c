//! What benchmarks print.

use comfy_table::{Table, presets};
use conbench::internal::stats;

/// A line of a table: what, the figure, the target, whether it is met.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) figure: String,
    pub(crate) target: String,
    pub(crate) met: bool,
}

impl Line {
    /// The line of paired ratios, given as logarithms: their trimmed mean with its 95 % interval (Yuen).
    pub(crate) fn of_ratios(what: String, logs: &[f64], least: f64) -> Line {
        let ratio = stats::yuen(logs).map(|estimate| estimate.interval(0.95).exp());
        Line {
            what,
            figure: ratio.map_or_else(
                || "too few pairs".to_owned(),
                |ratio| format!("{:.3} ({:.3} to {:.3})", ratio.value, ratio.low, ratio.high),
            ),
            target: format!("{least} at least"),
            met: ratio.is_some_and(|ratio| ratio.value >= least),
        }
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
pub(crate) fn show(title: &str, lines: &[Line]) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([title, "measured", "target", ""]);
    for line in lines {
        let verdict = if line.met { "met" } else { "MISSED" };
        table.add_row([line.what.as_str(), &line.figure, &line.target, verdict]);
    }
    println!("{table}\n");
}
