//! What the terminal can show: colour and width, decided once.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use clap::ValueEnum;

use crate::report::{self, Style};

/// The width of a text that does not go to a terminal: it fits a page.
pub(super) const PAGE: u16 = 100;

/// When colour is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// At a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// Whether there is colour on this stream.
    pub(super) fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => stream.is_terminal() && !set("NO_COLOR") && !is_dumb(),
        }
    }
}

/// Whether the terminal says that it knows neither colour nor a cursor that moves.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// How standard output looks.
pub(super) fn stdout_style(colour: Colour) -> Style {
    let stdout = io::stdout();
    Style { width: width(&stdout), colour: colour.on(&stdout) }
}

/// How standard error looks.
pub(super) fn stderr_style(colour: bool) -> Style {
    Style { width: width(&io::stderr()), colour }
}

/// A warning as standard error takes it: wrapped at a terminal, else in one line.
pub(super) fn warning(text: &str) -> String {
    if io::stderr().is_terminal() {
        report::labelled(0, "warning:", text, width(&io::stderr()))
    } else {
        format!("warning: {text}\n")
    }
}

/// The columns of a terminal; of a page where there is none.
fn width(stream: &(impl IsTerminal + AsFd)) -> u16 {
    let terminal = stream.is_terminal().then(|| rustix::termios::tcgetwinsize(stream).ok()).flatten();
    terminal.map(|size| size.ws_col).filter(|columns| *columns > 0).unwrap_or(PAGE)
}

/// Whether an environment variable is set to something (`NO_COLOR=` counts as not set, see no-color.org).
fn set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty())
}
