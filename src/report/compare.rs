//! Two sessions beside each other: what each names, what that gains, and what of them cannot be compared.

use schemars::JsonSchema;
use serde::Serialize;

use super::grid::{self, Paint, Title, paint};
use super::text::listed;
use super::words::plus_minus;
use super::{Style, markdown, sureness};
use crate::analyze::Estimate;
use crate::analyze::sessions::{
    Absolute, Change, Choice, Comparison, Difference, Figures, Kind, Named, Pair, Ratio, Unknown,
};
use crate::candidate::Model;
use crate::escape::plain;
use crate::units::{NONE, bytes, duration, factor, percent, rate};

/// The version of the comparison's JSON.
const FORMAT_VERSION: u32 = 1;
/// What is to be known of figures that stand beside each other.
const SPREAD: &str = "figures of two sessions spread: in one project 0.3 % within a job of CI was 26 % between two jobs. Only a session that measures both tells a small difference";
/// What is to be known where all differences that are looked for are absent.
const NOT_KNOWN: &str = "And a record does not hold your code: whether that is the same is for you to know";

/// A comparison as JSON.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "conbench comparison")]
struct Document<'a> {
    /// The version of this format.
    format_version: u32,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// The comparison as JSON.
///
/// # Errors
/// When a figure cannot be written, which would be a fault of this program.
pub fn comparison_json(comparison: &Comparison) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&Document { format_version: FORMAT_VERSION, comparison })? + "\n")
}

/// The JSON Schema of [`comparison_json`].
#[must_use]
pub fn comparison_schema() -> schemars::Schema {
    schemars::schema_for!(Document<'static>)
}

/// The comparison for a terminal.
#[must_use]
pub fn comparison_table(comparison: &Comparison, style: Style) -> String {
    let mut text: String = comparison.pairs.iter().map(|pair| drawn(pair, style) + "\n").collect();
    text.extend(unpaired(comparison).into_iter().map(|line| grid::labelled(0, "Not compared:", &line, style.width)));
    text
}

/// The comparison in Markdown.
#[must_use]
pub fn comparison_markdown(comparison: &Comparison) -> String {
    let mut text: String = comparison.pairs.iter().map(|pair| written(pair) + "\n").collect();
    let lines = unpaired(comparison);
    text.extend(lines.iter().map(|line| format!("- **Not compared:** {}\n", markdown::escaped(line))));
    text
}

fn drawn(pair: &Pair, style: Style) -> String {
    let has_changed = matches!(pair.choice, Choice::Changed { .. });
    let how = if has_changed { Paint::Bad } else { Paint::Bold };
    let mut text = paint(&heading(pair), how, style.colour) + "\n\n";
    let sentences = |all: Vec<(&'static str, String)>| -> String {
        all.iter().map(|(label, said)| grid::labelled(2, &format!("{label:<7}"), said, style.width)).collect()
    };
    text.push_str(&sentences(choice(pair)));
    for table in tables(pair) {
        let rows: Vec<(Vec<String>, Paint)> = table.rows.into_iter().map(|cells| (cells, Paint::Plain)).collect();
        let drawn = grid::fitted(&table.titles, &rows, style.width.saturating_sub(2), style.colour);
        text.push_str(&format!("\n  {}\n", table.caption));
        text.extend(drawn.lines().map(|line| format!("  {line}\n")));
    }
    let remarks = remarks(pair);
    if !remarks.is_empty() {
        text.push('\n');
    }
    text + &sentences(remarks)
}

fn written(pair: &Pair) -> String {
    let mut text = format!("## {}\n\n", markdown::escaped(&heading(pair)));
    let sentences = |all: Vec<(&'static str, String)>| -> String {
        all.iter().map(|(label, said)| format!("- **{label}** {}\n", markdown::escaped(said))).collect()
    };
    text.push_str(&sentences(choice(pair)));
    for table in tables(pair) {
        text.push_str(&format!("\n{}\n\n{}", table.caption, markdown::header(&table.titles)));
        text.extend(table.rows.iter().map(|cells| markdown::line(cells)));
    }
    let remarks = remarks(pair);
    if !remarks.is_empty() {
        text.push('\n');
    }
    text + &sentences(remarks)
}

/// `parse, python3.11: the same choice`.
fn heading(pair: &Pair) -> String {
    let said = match &pair.choice {
        Choice::Same {} => "same",
        Choice::AsGood { .. } => "as good",
        Choice::Changed { .. } => "changed",
        Choice::CannotBeTold { .. } => "cannot be told",
    };
    format!("{}, {}: {said}", plain(&pair.workload), plain(&pair.runtime))
}

fn choice(pair: &Pair) -> Vec<(&'static str, String)> {
    vec![
        ("First", named(pair.first.as_ref())),
        ("Second", named(pair.second.as_ref())),
        ("Choice", plain(&verdict(pair))),
    ]
}

fn named(named: Option<&Named>) -> String {
    let Some(Named { model, candidate, may_cost }) = named else { return "no answer".to_owned() };
    let name = candidate.short();
    let what = if *model == Model::Sequential { "a plain loop".to_owned() } else { format!("{model}, as `{name}`") };
    format!("{what}; it may cost {}", sureness::at_most(*may_cost))
}

fn verdict(pair: &Pair) -> String {
    let name = pair.first.as_ref().map_or_else(String::new, |named| format!("`{}`", named.candidate.short()));
    match &pair.choice {
        Choice::Same {} => "the same in both".to_owned(),
        Choice::AsGood { relative } => {
            format!("as good: in the second session {name} reaches {} of its choice", of(*relative))
        }
        Choice::Changed { why: Change::Loses { relative } } => {
            format!("changed: in the second session {name} reaches only {} of its choice", of(*relative))
        }
        Choice::Changed { why: Change::Unusable { reason } } => {
            format!("changed: in the second session {name} cannot be used: {reason}")
        }
        Choice::CannotBeTold { why } => format!("cannot be told: {}", unknown(why, &name)),
    }
}

fn unknown(why: &Unknown, name: &str) -> String {
    match why {
        Unknown::Straddles { relative } => {
            format!(
                "in the second session {name} reaches {} of its choice, which may be within the tolerance or not",
                of(*relative)
            )
        }
        Unknown::NotMeasured { same_engine: true } => {
            format!("the second session names the same engine, and did not measure it at the sizes of {name}")
        }
        Unknown::NotMeasured { same_engine: false } => format!("the second session has no comparison of {name}"),
        Unknown::OtherGoal {} => "the sessions looked for the best by different goals".to_owned(),
        Unknown::NoAnswer {} => "there is no answer in one of the sessions".to_owned(),
    }
}

/// `62.2 % (58 % to 66.1 %)`.
fn of(ratio: Estimate) -> String {
    format!("{} ({} to {})", percent(ratio.value), percent(ratio.low), percent(ratio.high))
}

struct Table {
    caption: String,
    titles: Vec<Title>,
    rows: Vec<Vec<String>>,
}

fn tables(pair: &Pair) -> Vec<Table> {
    let title = |text| Title { text, right: false };
    let mut tables = Vec::new();
    if !pair.ratios.is_empty() {
        let cell = |ratio: Option<Estimate>| ratio.map_or_else(|| NONE.to_owned(), times);
        let overlap = |is: Option<bool>| match is {
            Some(true) => "overlap",
            Some(false) => "apart",
            None => NONE,
        };
        let row =
            |it: &Ratio| vec![it.model.to_string(), cell(it.first), cell(it.second), overlap(it.overlap).to_owned()];
        tables.push(Table {
            caption: "Within each session: what it names over the best of another model (95 %)".to_owned(),
            titles: ["Model", "First", "Second", "Intervals"].map(title).to_vec(),
            rows: pair.ratios.iter().map(row).collect(),
        });
    }
    tables.extend(pair.figures.iter().flatten().map(|figures| Table {
        caption: format!("Figures of `{}`", figures.candidate.short()),
        titles: ["Figure", "First", "Second", "Second / first"].map(title).to_vec(),
        rows: rows(figures),
    }));
    tables
}

/// `1.90x (1.81x to 1.99x)`.
fn times(ratio: Estimate) -> String {
    format!("{} ({} to {})", factor(ratio.value), factor(ratio.low), factor(ratio.high))
}

/// A figure and its words; `None` where it was not measured.
type Shown = Option<(f64, String)>;

fn rows(Figures { first, second, .. }: &Figures) -> Vec<Vec<String>> {
    let throughput = |it: &Absolute| {
        let text = |rated: Estimate| format!("{} {}", rate(rated.value), plus_minus(rated));
        it.throughput_per_s.map(|rated| (rated.value, text(rated)))
    };
    let time = |ns: Option<u64>| ns.map(|ns| (ns as f64, duration(ns as f64)));
    let size = |it: Option<u64>| it.map(|size| (size as f64, bytes(size)));
    let cpu = |it: &Absolute| it.cpu_ns_per_task.map(|ns| (ns, duration(ns)));
    let found = [
        ("tasks", throughput(first), throughput(second)),
        ("p50", time(first.service_p50_ns), time(second.service_p50_ns)),
        ("p99", time(first.service_p99_ns), time(second.service_p99_ns)),
        ("CPU/task", cpu(first), cpu(second)),
        ("memory", size(first.memory_bytes), size(second.memory_bytes)),
    ];
    let row = |(what, first, second): (&str, Shown, Shown)| {
        let ((one, first), (other, second)) = (first?, second?);
        Some(vec![what.to_owned(), first, second, factor(other / one)])
    };
    found.into_iter().filter_map(row).collect()
}

fn remarks(pair: &Pair) -> Vec<(&'static str, String)> {
    let mut said = Vec::new();
    for (kind, label) in [(Kind::Host, "host"), (Kind::Workload, "workload"), (Kind::Version, "versions")] {
        let of_kind: Vec<&Difference> = pair.differences.iter().filter(|it| it.kind == kind).collect();
        if !of_kind.is_empty() {
            said.push(("Differs", format!("{label}: {}", differing(&of_kind))));
        }
    }
    match &pair.figures {
        None => said.push((
            "Refused",
            "throughput, latency, CPU time and memory, since that differs: --force shows them".to_owned(),
        )),
        Some(figures) if figures.is_empty() => {
            said.push(("Figures", "none: nothing that is named was measured in both".to_owned()));
        }
        Some(_) => said.push(("But", format!("{SPREAD}. {NOT_KNOWN}"))),
    }
    said
}

/// `cpu (A, then B)`, the first few of them.
fn differing(all: &[&Difference]) -> String {
    const MOST: usize = 12;
    let one = |it: &&Difference| format!("{} (`{}`, then `{}`)", plain(&it.what), plain(&it.first), plain(&it.second));
    let mut said: Vec<String> = all.iter().take(MOST).map(one).collect();
    if all.len() > MOST {
        said.push(format!("{} more", all.len() - MOST));
    }
    listed(&said, "and")
}

/// What is in one of the files alone, a line a file.
fn unpaired(comparison: &Comparison) -> Vec<String> {
    let of = |is_in_first: bool, name: &str| {
        let theirs = comparison.unpaired.iter().filter(|it| it.is_in_first == is_in_first);
        let names: Vec<String> = theirs.map(|it| format!("{} ({})", plain(&it.workload), plain(&it.runtime))).collect();
        (!names.is_empty()).then(|| format!("only the {name} has {}", listed(&names, "and")))
    };
    [of(true, "first"), of(false, "second")].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
