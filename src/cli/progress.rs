//! Progress and warnings on standard error.
//!
//! Redrawn only when a session tells something, which it never does while a block runs: a ticking
//! thread would disturb what is measured.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::record::Phase;
use crate::report;
use crate::session::{Event, Observer};

/// Redraws in a second, at most.
const REDRAWS: u8 = 10;
/// Steps of the bar; finer than a terminal can show.
const STEPS: u64 = 1000;

/// Watches the session of one workload.
pub(super) struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

impl Progress {
    /// An observer of a session of this workload.
    pub(super) fn new(workload: &str, quiet: bool) -> Progress {
        let bar = if quiet || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr_with_hz(REDRAWS));
            // A template that does not parse is a fault of this line; the default bar serves then.
            let style = ProgressStyle::with_template("{prefix} {bar:24} {wide_msg}");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_prefix(report::plain(workload))
        };
        Progress { bar, quiet }
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
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Calibrating(what) => self.bar.set_message(format!("calibrating: {}", report::plain(what))),
            Event::Round { number, phase, candidates, elapsed_ns, budget_ns } => {
                let phase = match phase {
                    Phase::Race => "comparing",
                    Phase::Runtimes => "comparing runtimes",
                };
                let share = *elapsed_ns as f64 / (*budget_ns).max(1) as f64;
                self.bar.set_position((share.min(1.0) * STEPS as f64) as u64);
                self.bar.set_message(format!(
                    "round {}: {phase}, {candidates} candidates, {} of {}",
                    number + 1,
                    report::duration(*elapsed_ns as f64),
                    report::duration(*budget_ns as f64)
                ));
            }
            Event::Sweeping { factor } => {
                self.bar.set_message(format!("comparing at {factor} x the computation of a task"));
            }
            Event::Failed { candidate, failure } => {
                self.line(&format!("warning: `{candidate}` failed: {}", report::plain(&failure.to_string())));
            }
            Event::Warning(warning) => self.line(&format!("warning: {}", report::warning(warning))),
            Event::Answer { candidate, may_cost, tried, elapsed_ns, budget_ns } => {
                let share = *elapsed_ns as f64 / (*budget_ns).max(1) as f64;
                self.bar.set_position((share.min(1.0) * STEPS as f64) as u64);
                self.bar.set_message(format!(
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
