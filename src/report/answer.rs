//! The answer of one workload: what to use, the code to paste, what it gains, how sure that is, and why.

use unicode_width::UnicodeWidthStr as _;

use super::text::sizes;
use super::words::{row, runtime_name, runtimes};
use super::{Judged, Style, grid, leaving, reasons, sureness};
use crate::analyze::{Answer, Condition, Estimate, Group, Row, Status, Sureness};
use crate::candidate::{Candidate, Engine, Model, RUST};
use crate::escape::plain;
use crate::idiom::{Idiom, ItemsFound, OnCluster};
use crate::units::{NONE, duration, factor, percent, rate};
use crate::workload::Goal;

use grid::{Paint, paint};

/// The longest bar, in columns, and the shortest that is worth its room.
const BAR: u16 = 22;
const LEAST_BAR: usize = 6;
/// What stands beside the answer's own row.
const USE_THIS: &str = "use this";
/// Code of more lines than this, or wider than the terminal, is shown on request alone.
const MOST_LINES: usize = 20;
/// How far code is indented.
const CODE_INDENT: &str = "      ";

/// The answer of one runtime.
pub(super) struct Brief {
    /// `parse: use processes`.
    pub(super) heading: String,
    /// `CPython 3.11.7, with a GIL · 2 CPUs`.
    pub(super) place: String,
    /// The code; empty where there is no answer.
    pub(super) code: String,
    /// The language that the code is written in, as Markdown names it.
    pub(super) language: &'static str,
    /// What it gains, and how sure that is.
    pub(super) summary: String,
    /// The same in its parts; `None` where there is no answer.
    pub(super) gains: Option<Gains>,
    /// One a model, the best first.
    pub(super) models: Vec<OfModel>,
    /// Why, and what it depends on: label and sentence.
    pub(super) remarks: Vec<(&'static str, String)>,
}

/// What an answer gains, and how sure that is.
pub(super) struct Gains {
    /// `668 tasks/s`.
    pub(super) rate: Option<String>,
    /// How many times a plain loop's throughput that is, `1.90x`, or between which two numbers; only where throughput is
    /// the goal.
    pub(super) over_loop: Option<String>,
    /// `sure`, `likely`, `rough`.
    pub(super) sure: &'static str,
    /// `Nothing tried is more than 3 % faster (95 %)`.
    pub(super) bound: String,
    /// `24 sizes, 6.1 s`.
    pub(super) effort: String,
}

/// The best of one model.
pub(super) struct OfModel {
    /// Its row: an index into the record's candidates.
    pub(super) candidate: u32,
    pub(super) model: Model,
    /// `ProcessPoolExecutor`, `a plain loop`.
    pub(super) engine: String,
    /// `2 workers, chunks of 4`.
    pub(super) sizes: String,
    /// Both, as a candidate is named: `ProcessPoolExecutor@fork,w2,c4`.
    pub(super) name: String,
    /// `668/s`.
    pub(super) figure: String,
    /// Its part of the longest bar, 0 to 1.
    pub(super) share: f64,
    /// `use this`, `as good, less simple`, `failed`.
    pub(super) remark: &'static str,
}

/// The answers of a record, one a runtime.
pub(super) fn briefs(judged: &Judged) -> Vec<Brief> {
    judged.verdict.groups.iter().map(|group| brief(judged, group)).collect()
}

fn brief(judged: &Judged, group: &Group) -> Brief {
    let name = plain(&judged.record.workload.name);
    let place = place(judged, group);
    let models = models(judged, group);
    let language = if group.runtime == RUST { "rust" } else { "python" };
    let Some(answer) = &group.answer else {
        let remarks = vec![("Why", reasons::why(judged, group))];
        // A list of those that failed says nothing more.
        let models = if reasons::common_failure(group).is_some() { Vec::new() } else { models };
        return Brief {
            heading: format!("{name}: no answer"),
            place,
            code: String::new(),
            language,
            summary: String::new(),
            gains: None,
            models,
            remarks,
        };
    };
    let why = reasons::why(judged, group);
    let mut remarks: Vec<(&str, String)> = (!why.is_empty()).then_some(("Why", why)).into_iter().collect();
    remarks.extend(group.leaving.as_ref().map(|leaving| ("Cluster", leaving::sentence(leaving))));
    remarks.extend(reasons::conditions(judged, answer).into_iter().map(|condition| ("But", condition)));
    let verb =
        if answer.model == Model::Sequential { "use a plain loop".to_owned() } else { format!("use {}", answer.model) };
    let set = answer.library_threads.map(|threads| reasons::set_to(&answer.library_variables, threads));
    let set = set.map(|set| format!(", with {}", plain(&set))).unwrap_or_default();
    let gains = gains(judged, group, answer);
    Brief {
        heading: format!("{name}: {verb}{set}"),
        place,
        code: code(judged, group).unwrap_or_default(),
        language,
        summary: summary(&gains),
        gains: Some(gains),
        models,
        remarks,
    }
}

/// The code of a group's answer.
pub(super) fn code(judged: &Judged, group: &Group) -> Option<String> {
    let answer = group.answer.as_ref()?;
    let candidate = &row(group, answer.candidate)?.candidate;
    let known = judged.record.calibration.runtime(&group.runtime);
    let default_method = known.and_then(|known| known.start_methods().first().copied());
    let items = known.map_or_else(ItemsFound::default, |known| ItemsFound {
        are_called: known.items_are_called,
        are_mappings: known.items_are_mappings,
        names: &known.items_names,
    });
    let upload = &judged.record.settings.cluster_upload;
    let cluster = known.and_then(|known| known.cluster.as_ref()).map(|cluster| OnCluster { cluster, upload });
    let (workload, variables) = (&judged.record.workload, &answer.library_variables);
    Some(Idiom { workload, candidate, default_method, items, variables, cluster }.code())
}

fn place(judged: &Judged, group: &Group) -> String {
    let cpus = judged.record.host.usable_cpus();
    let cpus = format!("{cpus} {}", if cpus == 1 { "CPU" } else { "CPUs" });
    format!("{} · {cpus}", runtime_name(judged, group))
}

/// `668 tasks/s, 1.90x a plain loop. Nothing tried is more than 3 % faster (95 %). 24 sizes, 6.1 s.`
fn summary(gains: &Gains) -> String {
    let over_loop = gains.over_loop.as_ref().map(|factor| format!("{factor} a plain loop"));
    let gained: Vec<String> = gains.rate.iter().cloned().chain(over_loop).collect();
    let gained = if gained.is_empty() { String::new() } else { gained.join(", ") + ". " };
    format!("{gained}{}. {}.", gains.bound, gains.effort)
}

fn gains(judged: &Judged, group: &Group, answer: &Answer) -> Gains {
    let is_throughput = judged.record.workload.objective.goal == Goal::Throughput;
    let of = |row: Option<&Row>| row.and_then(|row| comparable(judged, group, row));
    let named = of(row(group, answer.candidate)).map(|found| found.value);
    // Of the figures that stand below, so that a reader finds the same.
    let sequential = of(group.rows.iter().find(|row| row.candidate.model() == Model::Sequential));
    let is_several = is_throughput && answer.model != Model::Sequential;
    // Who was measured for longer had more of its calls answered by a cache.
    let is_cached = answer.conditions.iter().any(|condition| matches!(condition, Condition::Cached { .. }));
    let is_told = is_several && !is_cached;
    let over_loop = named
        .zip(sequential)
        .filter(|(named, sequential)| is_told && sequential.value > 0.0 && *named > sequential.value);
    let is_compared = judged.record.workload.all_tasks().is_none();
    let better = if is_throughput { "faster" } else { "better" };
    let confidence = percent(answer.confidence);
    let most = sureness::whole(answer.may_cost);
    let sure = answer.sureness(judged.verdict.tolerance);
    let bound = match sure {
        Sureness::Sure if answer.may_cost < 0.005 => format!("Nothing tried is {better} ({confidence})"),
        Sureness::Sure => format!("Nothing tried is more than {most} {better} ({confidence})"),
        Sureness::Likely => format!("Likely: nothing tried is more than {most} {better} ({confidence})"),
        Sureness::Rough if answer.may_cost < 3.0 => {
            format!("Rough: another may be up to {most} {better} ({confidence})")
        }
        Sureness::Rough => "Rough: what another may gain is not known".to_owned(),
    };
    let sizes = if answer.tried == 1 { "size" } else { "sizes" };
    Gains {
        rate: named.map(|named| rate(named).replace("/s", " tasks/s")),
        over_loop: over_loop.map(|(named, sequential)| times(named, sequential, is_compared)),
        sure: sureness::word(sure),
        bound,
        effort: format!("{} {sizes}, {}", answer.tried, about(judged.record.elapsed_ns)),
    }
}

/// The throughput of a row as it compares with the answer's: the answer's own, times their ratio in the same rounds.
/// A host's speed may change between rounds, and then the means of all blocks of two rows say little of each other.
/// Where nothing was compared, or the goal is another one than throughput alone, the mean of the row's own blocks.
pub(super) fn comparable(judged: &Judged, group: &Group, of: &Row) -> Option<Estimate> {
    let workload = &judged.record.workload;
    let own = of.throughput_per_s;
    let named = group.answer.as_ref().map(|answer| answer.candidate).filter(|named| *named != of.index);
    let is_alone = workload.objective.goal == Goal::Throughput && workload.all_tasks().is_none();
    let (Some(named), Some(relative), true) = (named, of.relative.filter(|it| it.value > 0.0), is_alone) else {
        return own;
    };
    let Some(whole) = row(group, named).and_then(|row| row.throughput_per_s).map(|it| it.value) else { return own };
    own.map(|_| Estimate { value: whole * relative.value, low: whole * relative.low, high: whole * relative.high })
}

/// A time in two digits: nobody needs to know it better.
fn about(time_ns: u64) -> String {
    let seconds = time_ns as f64 / 1e9;
    match seconds {
        ..0.95 => duration(time_ns as f64),
        ..9.95 => format!("{seconds:.1} s"),
        ..119.5 => format!("{seconds:.0} s"),
        _ => duration(time_ns as f64),
    }
}

/// How many times `other` this rate is: `2.01x`, or, where few blocks tell, the 95 % interval, `1.7–2.6x`.
fn times(rate: f64, other: Estimate, is_compared: bool) -> String {
    /// An interval whose ends differ by more is told in place of its middle.
    const WIDE: f64 = 1.25;
    if is_compared && other.low > 0.0 && other.high / other.low > WIDE {
        let rounded = |times: f64| if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") };
        return format!("{}–{}x", rounded(rate / other.high), rounded(rate / other.low));
    }
    factor(rate / other.value)
}

/// The best of each model, and of each executor of the user's own: what is named first, then by what they reach; those
/// that failed last.
fn models(judged: &Judged, group: &Group) -> Vec<OfModel> {
    let answer = group.answer.as_ref();
    let of_model = |model: Model| -> Option<&Row> {
        let named = answer.filter(|answer| answer.model == model).map(|answer| answer.candidate);
        let is_of_it = |index: u32| row(group, index).is_some_and(|row| row.candidate.model() == model);
        let as_good = answer.and_then(|answer| answer.as_good.iter().find(|good| is_of_it(good.candidate)));
        let next = answer.and_then(|answer| answer.next_model.iter().find(|next| next.model == model));
        let best = as_good.map(|good| good.candidate).or(next.map(|next| next.candidate));
        let known = named.or(best).and_then(|index| row(group, index));
        // Rows come best first, what failed last.
        known.or_else(|| group.rows.iter().find(|row| row.candidate.model() == model))
    };
    let mut best: Vec<&Row> = Model::ALL.into_iter().filter_map(of_model).collect();
    for row in group.rows.iter().filter(|row| matches!(row.candidate.engine, Engine::Own(_))) {
        if best.iter().all(|other| other.candidate.engine != row.candidate.engine) {
            best.push(row);
        }
    }
    // Bars are of what stands beside them; under another goal, of that.
    let is_throughput = judged.record.workload.objective.goal == Goal::Throughput;
    let height = |row: &Row| {
        let of = if is_throughput { comparable(judged, group, row) } else { row.relative };
        of.map_or(0.0, |found| found.value).max(0.0)
    };
    let is_named = |row: &Row| answer.is_some_and(|answer| answer.candidate == row.index);
    best.sort_by(|one, other| is_named(other).cmp(&is_named(one)).then(height(other).total_cmp(&height(one))));
    let most = best.iter().map(|row| height(row)).fold(0.0, f64::max);
    let default_method = judged.record.calibration.runtime(&group.runtime);
    let default_method = default_method.and_then(|known| known.hello.start_methods.first().copied());
    let shown = |row: &&Row| OfModel {
        candidate: row.index,
        model: row.candidate.model(),
        engine: engine(&row.candidate, default_method),
        sizes: sizes(row.candidate.sizes),
        name: row.candidate.short(),
        figure: comparable(judged, group, row).map_or_else(|| NONE.to_owned(), |found| rate(found.value)),
        share: if most > 0.0 { height(row) / most } else { 0.0 },
        remark: remark(row, answer),
    };
    best.iter().map(shown).collect()
}

fn engine(candidate: &Candidate, default_method: Option<crate::candidate::StartMethod>) -> String {
    if candidate.engine == Engine::Sequential {
        return "a plain loop".to_owned();
    }
    match candidate.start_method.filter(|method| default_method != Some(*method)) {
        Some(method) => format!("{} ({method})", candidate.engine),
        None => candidate.engine.to_string(),
    }
}

fn remark(row: &Row, answer: Option<&Answer>) -> &'static str {
    let is_as_good = answer.is_some_and(|answer| answer.as_good.iter().any(|good| good.candidate == row.index));
    match row.status {
        _ if answer.is_some_and(|answer| answer.candidate == row.index) => USE_THIS,
        Status::Failed { .. } => "failed",
        Status::Infeasible { .. } => "over limit",
        Status::AsGood => "as good, less simple",
        _ if is_as_good => "as good, less simple",
        Status::Open => "not told apart",
        _ => "",
    }
}

/// The answers as a terminal shows them.
pub(super) fn text(judged: &Judged, style: Style) -> String {
    briefs(judged).iter().map(|brief| shown(brief, style) + "\n").collect()
}

/// The same, with how the runtimes stand to each other.
pub(super) fn text_with_runtimes(judged: &Judged, style: Style) -> String {
    let mut text = text(judged, style);
    let runtimes = runtimes(judged);
    if !runtimes.is_empty() {
        text.push_str(&grid::labelled(0, "Runtimes", &runtimes.join("; "), style.width));
        text.push('\n');
    }
    text
}

fn shown(brief: &Brief, style: Style) -> String {
    let gap = usize::from(style.width).checked_sub(brief.heading.width() + brief.place.width()).filter(|gap| *gap >= 2);
    let heading = paint(&brief.heading, Paint::Bold, style.colour);
    let place = paint(&brief.place, Paint::Faint, style.colour);
    let mut text = match gap {
        Some(gap) => format!("{heading}{}{place}\n", " ".repeat(gap)),
        None => format!("{heading}\n{place}\n"),
    };
    if !brief.code.is_empty() {
        text.push('\n');
        text.push_str(&shown_code(&brief.code, style));
    }
    if !brief.summary.is_empty() {
        text.push('\n');
        let lines = grid::paragraph(&brief.summary, style.width.saturating_sub(2));
        text.extend(lines.lines().map(|line| format!("  {line}\n")));
    }
    if !brief.models.is_empty() {
        text.push('\n');
        text.push_str(&bars(&brief.models, style));
    }
    text.push('\n');
    text.extend(brief.remarks.iter().map(|(label, sentence)| grid::labelled(2, label, sentence, style.width)));
    text
}

fn shown_code(code: &str, style: Style) -> String {
    let lines = code.lines().count();
    // A line that a terminal breaks is hard to read, and to paste.
    let is_wide = CODE_INDENT.len() + widest(code.lines()) > usize::from(style.width);
    if lines > MOST_LINES || is_wide {
        return paint(&format!("{CODE_INDENT}--code prints the code, {lines} lines"), Paint::Faint, style.colour)
            + "\n";
    }
    code.lines().map(|line| format!("{CODE_INDENT}{line}").trim_end().to_owned() + "\n").collect()
}

/// The cells that name a row.
type Layout = fn(&OfModel) -> Vec<String>;

/// A row a model, as wide as there is room: with the model, the engine and the sizes; without the model, which the engine
/// implies; or as a candidate's name. With a bar, where one of these leaves some columns for it.
fn bars(models: &[OfModel], style: Style) -> String {
    let width = usize::from(style.width);
    let whole: Layout = |it| vec![it.model.name().to_owned(), it.engine.clone(), it.sizes.clone()];
    let without_model: Layout = |it| vec![it.engine.clone(), it.sizes.clone()];
    let named: Layout = |it| vec![it.model.name().to_owned(), it.name.clone()];
    let alone: Layout = |it| vec![it.name.clone()];
    let layouts: [Layout; 4] = [whole, without_model, named, alone];
    let rows = |layout: Layout| models.iter().map(layout).collect::<Vec<_>>();
    let fits = |rows: &[Vec<String>], room: usize| taken(rows, models) + room <= width;
    let with_room = |room: usize| layouts.iter().find(|layout| fits(&rows(**layout), room));
    let chosen = with_room(LEAST_BAR + 2).or_else(|| with_room(0)).unwrap_or(&layouts[3]);
    let rows = rows(*chosen);
    let room = width.saturating_sub(taken(&rows, models) + 2).min(usize::from(BAR));
    let figures = widest(models.iter().map(|it| it.figure.as_str()));
    let line = |(it, cells): (&OfModel, &Vec<String>)| {
        let name: String = (0..cells.len())
            .map(|at| format!("{}  ", padded(&cells[at], widest(rows.iter().map(|row| row[at].as_str())))))
            .collect();
        let figure = format!("{}{}", " ".repeat(figures - it.figure.width()), it.figure);
        let bar = if room >= LEAST_BAR { padded(&bar(it.share, room), room) + "  " } else { String::new() };
        let how = if it.remark == USE_THIS { Paint::Good } else { Paint::Plain };
        paint(format!("  {name}{figure}  {bar}{}", it.remark).trim_end(), how, style.colour) + "\n"
    };
    models.iter().zip(&rows).map(line).collect()
}

/// The columns that rows take without bars.
fn taken(rows: &[Vec<String>], models: &[OfModel]) -> usize {
    let cells = rows.first().map_or(0, Vec::len);
    let names: usize = (0..cells).map(|at| widest(rows.iter().map(|row| row[at].as_str())) + 2).sum();
    let figures = widest(models.iter().map(|it| it.figure.as_str()));
    2 + names + figures + 2 + widest(models.iter().map(|it| it.remark))
}

pub(super) fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| text.width()).max().unwrap_or(0)
}

pub(super) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A bar of so many columns at most, in eighths of one.
fn bar(share: f64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_comparable_to_an_eighth_of_a_column() {
        assert_eq!(bar(1.0, 4), "████");
        assert_eq!(bar(0.5, 3), "█▌");
        assert_eq!(bar(0.0, 9), "");
        assert_eq!(bar(f64::NAN, 2), "");
    }
}
