//! Progress and warnings on standard error.
//!
//! Drawn only when a session tells something, which it never does while a block runs: a ticking thread would disturb
//! what is measured.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{Terminal, terminal};
use crate::decide::ModelStanding;
use crate::escape::plain;
use crate::record::{Phase, Warning};
use crate::report::{self, Live, Stage};
use crate::session::{Event, Observer};

/// Between two drawings of the view: four a second, at most.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);
/// Between two lines of plain progress.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);
/// Drawings in a second that the terminal's library lets through: more than there are, so that it skips none.
const LIBRARY_HZ: u8 = 20;

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// The answer so far in a few lines that are redrawn, at a terminal alone
    #[default]
    Auto,
    /// A line a second
    Plain,
    /// An object of JSON for each thing that happens, one a line
    Json,
}

/// Where progress goes.
enum Sink {
    /// Nowhere.
    Nothing,
    /// In place, at a terminal.
    Drawn { bar: ProgressBar, coloured: bool },
    /// As lines of text.
    Lines,
    /// As lines of JSON.
    Json,
}

/// Watches the session of one workload.
pub(super) struct Progress {
    live: Live,
    budget_ns: Option<u64>,
    sink: Sink,
    quiet: bool,
    /// Whether failures and warnings wait until it is known whether what is printed at the end tells of them, too.
    holds: bool,
    /// Those that wait, with the warning that it is.
    waiting: Vec<(Option<Warning>, String)>,
    /// What failures said so far: other candidates that say the same are named by the report alone.
    failures: BTreeSet<String>,
    /// When the view was drawn last, or a line written.
    told: Option<Instant>,
}

impl Progress {
    /// An observer of a session of this workload, which is the one of this number (from 1) of so many.
    pub(super) fn new(workload: &str, place: (usize, usize), terminal: &Terminal) -> Progress {
        let sink = match terminal.progress {
            _ if terminal.quiet => Sink::Nothing,
            Form::Json => Sink::Json,
            Form::Plain => Sink::Lines,
            Form::Auto if !io::stderr().is_terminal() => Sink::Nothing,
            // It cannot move its cursor.
            Form::Auto if terminal::is_dumb() => Sink::Lines,
            Form::Auto => Sink::Drawn { bar: bar(), coloured: terminal.colour_of_errors() },
        };
        Progress {
            live: Live::new(workload, place),
            budget_ns: None,
            sink,
            quiet: terminal.quiet,
            holds: false,
            waiting: Vec::new(),
            failures: BTreeSet::new(),
            told: None,
        }
    }

    /// The same, whose failures and warnings wait for [`Progress::finish`].
    pub(super) fn holding(self, holds: bool) -> Progress {
        Progress { holds, ..self }
    }

    /// Tells what a process of the cheat sheet is about to measure.
    pub(super) fn measuring(&mut self, runtime: &str, what: &str) {
        if matches!(self.sink, Sink::Json) {
            self.line(&json!({ "event": "measuring", "runtime": runtime, "what": what }).to_string());
            return;
        }
        if !self.is_due() {
            return;
        }
        let text = format!("{}: {what}", plain(runtime));
        match &self.sink {
            Sink::Drawn { bar, .. } => bar.set_message(text),
            Sink::Lines => self.line(&text),
            Sink::Nothing | Sink::Json => {}
        }
    }

    /// Tells what the user should know.
    pub(super) fn warned(&self, text: &str) {
        if matches!(self.sink, Sink::Json) {
            self.line(event("warning", text).trim_end());
        } else {
            self.line(terminal::warning(&plain(text)).trim_end());
        }
    }

    /// Takes the view away.
    pub(super) fn clear(&self) {
        if let Sink::Drawn { bar, .. } = &self.sink {
            bar.finish_and_clear();
        }
    }

    /// Takes the view away; gives the lines of failures and warnings that waited, but for those that are told elsewhere.
    pub(super) fn finish(self, is_told: impl Fn(Option<&Warning>) -> bool) -> Vec<String> {
        self.clear();
        let untold = self.waiting.into_iter().filter(|(warning, _)| !is_told(warning.as_ref()));
        untold.map(|(_, text)| text).collect()
    }

    /// Writes a line, above the view if there is one.
    fn line(&self, text: &str) {
        // Nobody is left to tell that standard error is closed.
        let write = || drop(writeln!(io::stderr(), "{text}"));
        match &self.sink {
            _ if self.quiet => {}
            Sink::Drawn { bar, .. } => bar.suspend(write),
            Sink::Nothing | Sink::Lines | Sink::Json => write(),
        }
    }

    /// Writes a warning, or keeps it for the end; of several workloads, with the one that it is of.
    fn warn(&mut self, text: &str, of_session: Option<&Warning>) {
        let of = if self.live.place.1 > 1 { format!("{}: ", self.live.workload) } else { String::new() };
        let warning = terminal::warning(&format!("{of}{text}")).trim_end().to_owned();
        if self.holds {
            self.waiting.push((of_session.cloned(), warning));
        } else {
            self.line(&warning);
        }
    }

    /// Whether it is time to draw the view again, or to write a line; if so, it is done now.
    fn is_due(&mut self) -> bool {
        let interval = match &self.sink {
            Sink::Drawn { .. } => DRAW_INTERVAL,
            Sink::Lines => PLAIN_INTERVAL,
            Sink::Nothing | Sink::Json => return false,
        };
        let is_due = self.told.is_none_or(|told| told.elapsed() >= interval);
        if is_due {
            self.told = Some(Instant::now());
        }
        is_due
    }

    /// Draws the view again, or writes a line, if it is time.
    fn tell(&mut self) {
        if !self.is_due() {
            return;
        }
        match &self.sink {
            Sink::Drawn { bar, coloured } => {
                // It may have been resized.
                let style = terminal::stderr_style(*coloured);
                bar.set_message(report::live(&self.live, style).join("\n"));
            }
            Sink::Lines => self.line(&report::live_line(&self.live)),
            Sink::Nothing | Sink::Json => {}
        }
    }

    fn move_to(&mut self, elapsed_ns: u64) {
        self.live.left_ns = self.budget_ns.map(|budget_ns| budget_ns.saturating_sub(elapsed_ns));
    }

    /// Takes note of what happened; whether that is to be told.
    fn note(&mut self, event: &Event<'_>) -> bool {
        match event {
            Event::Calibrating(what) => self.live.stage = Stage::Calibrating((*what).to_owned()),
            Event::Round { phase, runtime, candidates, elapsed_ns, budget_ns, .. } => {
                if *phase == Phase::Race && self.live.runtime != *runtime {
                    self.live.runtime = (*runtime).to_owned();
                    (self.live.named, self.live.models) = (None, Vec::new());
                }
                self.live.stage = match phase {
                    Phase::Race => Stage::Comparing(*candidates),
                    Phase::Runtimes => Stage::Runtimes,
                    Phase::Duel => Stage::Versions,
                };
                self.budget_ns = Some(*budget_ns);
                self.move_to(*elapsed_ns);
            }
            Event::BetweenBlocks { elapsed_ns } => self.move_to(*elapsed_ns),
            Event::Sweeping { factor } => self.live.stage = Stage::Sweeping(*factor),
            Event::Answer { candidate, may_cost, models, elapsed_ns, budget_ns, .. } => {
                self.live.named = Some(((*candidate).clone(), *may_cost));
                self.live.models = models.to_vec();
                self.budget_ns = Some(*budget_ns);
                self.move_to(*elapsed_ns);
            }
            Event::Failed { candidate, failure } => {
                let said = plain(&failure.to_string());
                if self.failures.insert(said.clone()) {
                    self.warn(&format!("`{candidate}` failed: {said}"), None);
                }
                return false;
            }
            Event::Warning(warning) => {
                self.warn(&report::warning(warning), Some(warning));
                return false;
            }
            Event::Saved(_) => return false,
        }
        true
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) {
        if matches!(self.sink, Sink::Json) {
            if let Some(object) = as_json(&self.live.workload, event) {
                self.line(&object.to_string());
            }
        } else if self.note(event) {
            self.tell();
        }
    }
}

/// What draws lines in place, and knows how to take them away.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(LIBRARY_HZ));
    // A template that does not parse is a fault of this line; the default bar serves then.
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
}

/// A text as a reader that is a program gets it, in a line.
pub(super) fn event(name: &str, text: &str) -> String {
    format!("{}\n", json!({ "event": name, "text": text }))
}

/// An event as a reader that is a program gets it; times are nanoseconds. `None` for one that says nothing new.
fn as_json(workload: &str, event: &Event<'_>) -> Option<Value> {
    let mut object = match event {
        Event::Calibrating(what) => json!({ "event": "calibrating", "what": what }),
        Event::Round { number, phase, runtime, candidates, elapsed_ns, budget_ns } => json!({
            "event": "round", "number": number, "phase": phase, "runtime": runtime, "candidates": candidates,
            "elapsed_ns": elapsed_ns, "budget_ns": budget_ns,
        }),
        Event::Answer { candidate, may_cost, tried, models, elapsed_ns, budget_ns } => json!({
            "event": "answer", "candidate": candidate, "may_cost": may_cost, "tried": tried,
            "models": models.iter().map(model_as_json).collect::<Vec<Value>>(),
            "elapsed_ns": elapsed_ns, "budget_ns": budget_ns,
        }),
        Event::Sweeping { factor } => json!({ "event": "sweeping", "factor": factor }),
        Event::Failed { candidate, failure } => {
            json!({ "event": "failed", "candidate": candidate, "failure": failure })
        }
        Event::Warning(warning) => {
            json!({ "event": "warning", "text": report::warning(warning), "warning": warning })
        }
        Event::BetweenBlocks { .. } | Event::Saved(_) => return None,
    };
    object["workload"] = workload.into();
    Some(object)
}

/// The best of a model beside what is named, as ratios.
fn model_as_json(of: &ModelStanding) -> Value {
    json!({
        "model": of.candidate.model(), "candidate": of.candidate, "is_in": of.is_in,
        "ratio": of.ratio, "low": of.low, "high": of.high,
    })
}
