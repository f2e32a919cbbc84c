//! When leaving this machine pays: throughput over the time of a task, of this machine and of clusters.

use maud::{Markup, html};

use super::class_of;
use super::frame::{Figure, Table};
use super::svg::{Scale, across, down, line, text};
use crate::analyze::{Group, Leaving, LeavingPoint};
use crate::candidate::Model;
use crate::report::words::row;
use crate::report::{Judged, leaving};
use crate::units::{duration, rate};

/// Where the axes are, in pixels down and per cent across.
const TOP: f64 = 16.0;
const BOTTOM: f64 = 236.0;
const ENDS: (f64, f64) = (9.0, 80.0);
const HEIGHT: &str = "270";

/// The figure of one runtime; `None` where no cluster took part.
pub(super) fn figure(_judged: &Judged, group: &Group, id: String) -> Option<Markup> {
    let leaving = group.leaving.as_ref()?;
    let figure = Figure {
        id,
        title: leaving::title(leaving),
        description: format!(
            "Cluster: {}. Tasks a second over the time of a task, both axes logarithmic. Lines are computed: rate = min(threads x speed / time, calls handed out x chunk, bytes a second / bytes a task), and no more than locks and cores let tasks compute, or than `max_in_flight` allows; marks were {}.",
            leaving::sentence(leaving),
            leaving::measured(leaving)
        ),
        legend: None,
        chart: chart(group, leaving),
        table: table(leaving),
    };
    Some(figure.markup())
}

/// A line of the chart: its name, its class, and its points.
struct Line {
    name: String,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

fn lines(group: &Group, leaving: &Leaving) -> Vec<Line> {
    let mut threads: Vec<u32> = leaving.computed.iter().map(|point| point.threads).collect();
    threads.sort_unstable();
    threads.dedup();
    let of = |threads: u32, of: &dyn Fn(&LeavingPoint) -> f64| {
        let points = leaving.computed.iter().filter(|point| point.threads == threads);
        points.map(|point| (point.task_ns, of(point))).collect()
    };
    let first = threads.first().copied().unwrap_or(1);
    let this = Line {
        name: "this machine".to_owned(),
        class: class_of_here(group, leaving),
        points: of(first, &|it| it.here_per_s),
    };
    let cluster = |threads: u32| Line {
        name: format!("{threads} threads"),
        class: class_of(Model::Cluster),
        points: of(threads, &|it| it.there_per_s),
    };
    std::iter::once(this).chain(threads.into_iter().map(cluster)).collect()
}

fn chart(group: &Group, leaving: &Leaving) -> Markup {
    let lines = lines(group, leaving);
    let across_scale = Scale::logarithmic(leaving.computed.iter().map(|point| point.task_ns), ENDS);
    let rates = || lines.iter().flat_map(|line| &line.points).map(|(_, per_s)| *per_s);
    let rate_scale = Scale::logarithmic(rates(), (BOTTOM, TOP));
    let place = |(task_ns, per_s): (f64, f64)| (across_scale.at(task_ns), rate_scale.at(per_s));
    let measured = [
        Some((class_of_here(group, leaving), leaving.here_per_s)),
        leaving.there_per_s.map(|per_s| (class_of(Model::Cluster), per_s)),
    ];
    let ends = apart(lines.iter().filter_map(|line| Some((line, place(*line.points.last()?)))).collect());
    html! {
        svg height=(HEIGHT) {
            (line((0.0, BOTTOM), (100.0, BOTTOM), "base"))
            @for one in &lines {
                @for pair in one.points.windows(2) {
                    (line(place(pair[0]), place(pair[1]), &format!("curve {}", one.class)))
                }
            }
            @for (one, (x, y)) in ends { (text(x + 1.5, y + 4.0, "start", "label", &one.name)) }
            @for (class, per_s) in measured.into_iter().flatten() {
                @let (x, y) = place((leaving.task_ns, per_s));
                circle cx=(across(x)) cy=(down(y)) r="4.5" class={ "mark " (class) } {}
                (text(x, y - 10.0, "middle", "value", &rate(per_s)))
            }
            @for time in times(leaving) { (text(across_scale.at(time), BOTTOM + 18.0, "middle", "label", &duration(time))) }
        }
    }
}

/// Names of lines that end near each other, one above the other.
fn apart(mut ends: Vec<(&Line, (f64, f64))>) -> Vec<(&Line, (f64, f64))> {
    /// A line of text.
    const LINE: f64 = 13.0;
    ends.sort_by(|one, other| other.1.1.total_cmp(&one.1.1));
    let mut room = BOTTOM - LINE;
    for (_, (_, y)) in &mut ends {
        *y = y.min(room);
        room = *y - LINE;
    }
    ends
}

fn class_of_here(group: &Group, leaving: &Leaving) -> &'static str {
    class_of(row(group, leaving.here).map_or(Model::Sequential, |row| row.candidate.model()))
}

/// The times that the axis names: the ends, what was measured, and where leaving pays where that is not beside it.
fn times(leaving: &Leaving) -> Vec<f64> {
    /// Nearer names would overlap.
    const APART: f64 = 3.0;
    let all = || leaving.computed.iter().map(|point| point.task_ns);
    let ends = [all().fold(f64::INFINITY, f64::min), all().fold(0.0, f64::max)];
    let mut named = vec![leaving.task_ns];
    for time in [leaving.from_task_ns, ends[0], ends[1]] {
        if named.iter().all(|other| (time / other).max(other / time) >= APART) {
            named.push(time);
        }
    }
    named
}

fn table(leaving: &Leaving) -> Table {
    let titles = leaving::TITLES.map(|title| format!(">{}", title.text));
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    Table::new(&titles, leaving::rows(leaving))
}
