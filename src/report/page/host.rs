//! The host, how it was measured, and what else a reader should know.

use maud::{Markup, html};

use super::text::{capital, prose};
use crate::escape::plain;
use crate::host::Facts;
use crate::record::Record;
use crate::report::{Judged, words};
use crate::units::{bytes, count, percent};

/// The host and the session of one record; of several, the host stands once for all.
pub(super) fn content(judged: &Judged, several: bool) -> Markup {
    html! {
        (list(&if several { session(judged) } else { [machine_of(&judged.record), session(judged)].concat() }))
        // Where there is no answer, they stand in its place.
        @if has_answer(judged) { (notes(judged)) }
    }
}

/// Whether there is something to use, under one runtime at least.
pub(super) fn has_answer(judged: &Judged) -> bool {
    judged.verdict.groups.iter().any(|group| group.answer.is_some())
}

/// The host of a page of several records.
pub(super) fn host_alone(judged: &Judged) -> Markup {
    list(&machine_of(&judged.record))
}

/// Its name, and what it is.
pub(super) type Fact = (&'static str, String);

/// Facts below each other.
pub(super) fn list(facts: &[Fact]) -> Markup {
    html! {
        dl class="facts-list" { @for (name, value) in facts { div { dt { (name) } dd { (prose(value)) } } } }
    }
}

fn machine_of(record: &Record) -> Vec<Fact> {
    machine(&record.host, record.calibration.usable_cores)
}

/// A host, and how many of its cores were found to work at once, if that was measured.
pub(super) fn machine(facts: &Facts, usable_cores: Option<f64>) -> Vec<Fact> {
    let measured = usable_cores.map(|cores| format!(", {} cores measured", count(cores)));
    let quota = facts.cpu_quota.as_ref().map(|quota| format!(", a quota of {} cores", count(quota.cores)));
    let cpus = format!(
        "{} usable of {}{}{}",
        facts.usable_cpus(),
        facts.cpus_online,
        quota.unwrap_or_default(),
        measured.unwrap_or_default()
    );
    let limit = facts.memory_limit_bytes.map(|limit| format!(", limited to {}", bytes(limit))).unwrap_or_default();
    let mut list = vec![
        ("Processor", plain(&facts.cpu)),
        ("CPUs", cpus),
        ("Memory", format!("{}{limit}", bytes(facts.memory_total_bytes))),
        ("System", plain(&format!("{}, kernel {}", facts.os, facts.kernel))),
    ];
    let virtual_machine = facts.virtual_machine.map(|is| if is { "yes" } else { "no" }.to_owned());
    list.extend(virtual_machine.map(|is| ("Virtual machine", is)));
    list.extend(facts.governor.as_ref().map(|governor| ("Frequency governor", plain(governor))));
    list.extend(facts.clock_source.as_ref().map(|clock| ("Clock", plain(clock))));
    list.push(("Load before", count(facts.load_average)));
    list.push(("Files", plain(&format!("{} on {}", facts.session_directory.path, facts.session_directory.kind))));
    list
}

fn session(judged: &Judged) -> Vec<Fact> {
    let record = &judged.record;
    let mut list: Vec<Fact> =
        judged.verdict.groups.iter().map(|group| ("Runtime", words::runtime(record, &group.runtime))).collect();
    list.push(("Measured", capital(&words::circumstances(judged))));
    list.push(("Began", plain(&format!("{}, by conbench {}", record.began_at, record.conbench_version))));
    let disturbance = &record.disturbance;
    let shares = [
        ("taken by the hypervisor", disturbance.steal_share),
        ("by other processes", disturbance.others_share),
        ("of the time some task waited for a CPU", disturbance.cpu_pressure_share),
    ];
    let known = shares.iter().filter_map(|(what, share)| Some(format!("{} {what}", percent((*share)?))));
    let mut known: Vec<String> = known.collect();
    known
        .extend(disturbance.throttled_periods.filter(|periods| *periods > 0).map(|it| format!("throttled {it} times")));
    if !known.is_empty() {
        list.push(("Disturbance", known.join(", ")));
    }
    list.extend(
        judged
            .verdict
            .groups
            .iter()
            .filter_map(|group| Some(("Limit", capital(&words::host_limit(group.limit.as_ref()?, group))))),
    );
    list
}

/// What failed, what to know, and what was left out.
pub(super) fn notes(judged: &Judged) -> Markup {
    let faults = words::faults(judged);
    let reservations = words::reservations(judged);
    let left_out = judged.record.left_out();
    html! {
        @if !faults.is_empty() {
            h3 { "What failed, or broke a limit" }
            ul class="notes" { @for fault in &faults {
                li {
                    (prose(&format!("{}: {}", fault.candidates, fault.reason)))
                    @if !fault.traceback.is_empty() { pre { code { (fault.traceback.join("\n")) } } }
                }
            } }
        }
        @if !reservations.is_empty() {
            h3 { "What else to know" }
            ul class="notes" { @for reservation in &reservations { li { (prose(&capital(reservation))) "." } } }
        }
        @if !left_out.is_empty() {
            details {
                summary { (left_out.len()) " left out, and why" }
                ul class="notes" { @for left in left_out {
                    li { code { (plain(&left.what)) } ": " (prose(&plain(&left.reason))) }
                } }
            }
        }
    }
}
