//! Progress and warnings on standard error.
//!
//! Redrawn only when a session tells something, which it never does while a block runs: a ticking
//! thread would disturb what is measured.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::record::Phase;
use crate::report;
use crate::session::{Event, Observer};

/// Redraws in a second, at most.
const REDRAWS: u8 = 4;
/// Steps of the bar; finer than a terminal can show.
const STEPS: u64 = 1000;

/// How progress is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// A line that is redrawn, at a terminal alone
    #[default]
    Auto,
    /// A line a second
    Plain,
    /// An object of JSON for each thing that happens, one a line
    Json,
}

/// Between two lines of plain progress.
const PLAIN_INTERVAL: Duration = Duration::from_secs(1);

/// Watches the session of one workload.
pub(super) struct Progress {
    workload: String,
    bar: ProgressBar,
    quiet: bool,
    form: Form,
    /// When the last plain line was written.
    told: Option<Instant>,
}

impl Progress {
    /// An observer of a session of this workload.
    pub(super) fn new(workload: &str, quiet: bool, form: Form) -> Progress {
        let is_drawn = form == Form::Auto && !quiet && io::stderr().is_terminal();
        let bar = if is_drawn {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            // A template that does not parse is a fault of this line; the default bar serves then.
            let style = ProgressStyle::with_template("{prefix} {bar:24} {wide_msg}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_prefix(report::plain(workload))
        } else {
            ProgressBar::hidden()
        };
        Progress { workload: report::plain(workload), bar, quiet, form, told: None }
    }

    /// Tells what a process of the cheat sheet is about to measure.
    pub(super) fn measuring(&mut self, runtime: &str, what: &str) {
        if self.form == Form::Json {
            self.line(&json!({ "event": "measuring", "runtime": runtime, "what": what }).to_string());
        } else {
            self.tell(format!("{}: {what}", report::plain(runtime)));
        }
    }

    /// Tells what the user should know.
    pub(super) fn warned(&self, text: &str) {
        if self.form == Form::Json {
            self.line(&json!({ "event": "warning", "warning": text }).to_string());
        } else {
            self.line(&format!("warning: {}", report::plain(text)));
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }

    /// Writes a line above the bar.
    fn line(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to tell that standard error is closed.
            self.bar.suspend(|| drop(writeln!(io::stderr(), "{text}")));
        }
    }

    /// Tells what goes on: on the bar, or as a line where the last one is a second ago.
    fn tell(&mut self, message: String) {
        if self.form == Form::Plain && self.told.is_none_or(|told| told.elapsed() >= PLAIN_INTERVAL) {
            self.line(&format!("{}: {message}", self.workload));
            self.told = Some(Instant::now());
        }
        self.bar.set_message(message);
    }

    fn move_to(&self, elapsed_ns: u64, budget_ns: u64) {
        let share = elapsed_ns as f64 / budget_ns.max(1) as f64;
        self.bar.set_position((share.min(1.0) * STEPS as f64) as u64);
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) {
        if self.form == Form::Json {
            if let Some(object) = as_json(&self.workload, event) {
                self.line(&object.to_string());
            }
            return;
        }
        match event {
            Event::Calibrating(what) => self.tell(format!("calibrating: {}", report::plain(what))),
            Event::Round { number, phase, candidates, elapsed_ns, budget_ns } => {
                let phase = match phase {
                    Phase::Race => "comparing",
                    Phase::Runtimes => "comparing runtimes",
                };
                self.move_to(*elapsed_ns, *budget_ns);
                self.tell(format!(
                    "round {}: {phase}, {candidates} candidates, {} of {}",
                    number + 1,
                    report::duration(*elapsed_ns as f64),
                    report::duration(*budget_ns as f64)
                ));
            }
            Event::Sweeping { factor } => self.tell(format!("comparing at {factor} x the computation of a task")),
            Event::Failed { candidate, failure } => {
                self.line(&format!("warning: `{candidate}` failed: {}", report::plain(&failure.to_string())));
            }
            Event::Warning(warning) => self.line(&format!("warning: {}", report::warning(warning))),
            Event::Answer { candidate, may_cost, tried, elapsed_ns, budget_ns } => {
                self.move_to(*elapsed_ns, *budget_ns);
                self.tell(format!(
                    "so far: `{}`, may cost {:.0} % at most, {tried} sizes tried, {} of {}; Ctrl-C takes it",
                    candidate.short(),
                    (may_cost * 100.0).ceil(),
                    report::duration(*elapsed_ns as f64),
                    report::duration(*budget_ns as f64)
                ));
            }
            // The bar says enough.
            Event::Saved(_) => {}
        }
    }
}

/// An event as a reader that is a program gets it; times are nanoseconds. `None` for one that says nothing new.
fn as_json(workload: &str, event: &Event<'_>) -> Option<Value> {
    let mut object = match event {
        Event::Calibrating(what) => json!({ "event": "calibrating", "what": what }),
        Event::Round { number, phase, candidates, elapsed_ns, budget_ns } => json!({
            "event": "round", "number": number, "phase": phase, "candidates": candidates,
            "elapsed_ns": elapsed_ns, "budget_ns": budget_ns,
        }),
        Event::Answer { candidate, may_cost, tried, elapsed_ns, budget_ns } => json!({
            "event": "answer", "candidate": candidate, "may_cost": may_cost, "tried": tried,
            "elapsed_ns": elapsed_ns, "budget_ns": budget_ns,
        }),
        Event::Sweeping { factor } => json!({ "event": "sweeping", "factor": factor }),
        Event::Failed { candidate, failure } => {
            json!({ "event": "failed", "candidate": candidate, "failure": failure })
        }
        Event::Warning(warning) => json!({ "event": "warning", "warning": warning }),
        Event::Saved(_) => return None,
    };
    object["workload"] = workload.into();
    Some(object)
}
