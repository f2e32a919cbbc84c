//! Faults of a workload file: all of them, each with its place, in the manner of rustc.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::escape::escaped;

/// How many faults are rendered; the rest is counted. A file this wrong is another kind of file.
const MOST_SHOWN: usize = 50;
/// How much of a line is shown at most: a file may be one line of a mebibyte.
const MOST_OF_A_LINE: usize = 2_000;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the text; `None` where the file as a whole is meant.
    pub span: Option<Range<usize>>,
    /// What was expected; stands under the caret. May be empty.
    pub label: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Fault {
    pub(super) fn at(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Fault {
        Fault { message: message.into(), span: Some(span), label: label.into(), help: None }
    }

    pub(super) fn of_file(message: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault { message: message.into(), span: None, label: String::new(), help: Some(help.into()) }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

/// Every fault of one file, in the order of the text. Never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    source_name: String,
    text: String,
    faults: Vec<Fault>,
}

impl Diagnostics {
    pub(super) fn new(source_name: &str, text: &str, mut faults: Vec<Fault>) -> Diagnostics {
        faults.sort_by_key(|fault| fault.span.as_ref().map_or(0, |span| span.start));
        Diagnostics { source_name: source_name.to_owned(), text: text.to_owned(), faults }
    }

    /// The faults, in the order of the text.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The faults as text for a person, with `colour` for a terminal that has it. Ends in a line feed.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for fault in self.faults.iter().take(MOST_SHOWN) {
            out.push_str(&self.render_one(fault, &renderer));
            out.push_str("\n\n");
        }
        let hidden = self.faults.len().saturating_sub(MOST_SHOWN);
        let count = match self.faults.len() {
            1 => "1 error".to_owned(),
            count => format!("{count} errors"),
        };
        let hidden = if hidden > 0 { format!(", of which {hidden} are not shown") } else { String::new() };
        out.push_str(&format!("{}: {count}{hidden}\n", escaped(&self.source_name)));
        out
    }

    fn render_one(&self, fault: &Fault, renderer: &Renderer) -> String {
        let path = escaped(&self.source_name);
        let Some(span) = &fault.span else {
            let title =
                |level: Level<'static>, text: String| renderer.render(&[Group::with_title(level.primary_title(text))]);
            let error = title(Level::ERROR, format!("{path}: {}", fault.message));
            return match &fault.help {
                Some(help) => format!("{error}\n{}", title(Level::HELP, help.clone())),
                None => error,
            };
        };
        let line = Line::around(&self.text, span);
        let mark = AnnotationKind::Primary.span(line.span).label(&fault.label);
        let snippet = Snippet::source(line.text).line_start(line.number).path(path).annotation(mark);
        let mut group = Level::ERROR.primary_title(&fault.message).element(snippet);
        if let Some(help) = &fault.help {
            group = group.element(Level::HELP.message(help));
        }
        renderer.render(&[group])
    }
}

/// The line where a span begins, and the part of the span that lies in it.
struct Line<'a> {
    text: &'a str,
    number: usize,
    span: Range<usize>,
}

impl<'a> Line<'a> {
    /// Never fails: a span outside the text, or inside a character, is moved to the nearest place.
    fn around(text: &'a str, span: &Range<usize>) -> Line<'a> {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let begin = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let number = text[..begin].matches('\n').count() + 1;
        // The end of the line may be far off; the beginning stays, for the column's sake.
        let end = text.floor_char_boundary(end.min(start.saturating_add(MOST_OF_A_LINE)));
        let line = text[begin..end].trim_end_matches('\r');
        let from = (start - begin).min(line.len());
        let to = text.floor_char_boundary(span.end.clamp(start, end)).saturating_sub(begin).clamp(from, line.len());
        Line { text: line, number, span: from..to }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// A user's word as a message may hold it: short, and without control characters.
pub(super) fn shown(word: &str) -> String {
    const MOST: usize = 40;
    let mut shown = escaped(&word.chars().take(MOST).collect::<String>());
    if word.chars().nth(MOST).is_some() {
        shown.push_str("..");
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_fault_is_drawn_with_its_line_and_caret() {
        let text = "a = 1\nb = \"x\"\n";
        let fault = Fault::at(10..13, "no such thing", "expected a number").help("write 1");
        let drawn = Diagnostics::new("w.toml", text, vec![fault]).render(false);
        assert_eq!(
            drawn,
            "error: no such thing\n --> w.toml:2:5\n  |\n2 | b = \"x\"\n  |     ^^^ expected a number\n  |\n  = help: write 1\n\nw.toml: 1 error\n"
        );
    }

    #[test]
    fn a_fault_of_the_whole_file_has_no_caret() {
        let drawn = Diagnostics::new("w.toml", "", vec![Fault::of_file("is empty", "write a step")]).render(false);
        assert_eq!(drawn, "error: w.toml: is empty\nhelp: write a step\n\nw.toml: 1 error\n");
    }

    #[test]
    fn colour_is_the_callers_choice() {
        let diagnostics = Diagnostics::new("w.toml", "a", vec![Fault::at(0..1, "m", "l")]);
        assert!(!diagnostics.render(false).contains('\u{1b}'));
        assert!(diagnostics.render(true).contains('\u{1b}'));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let fault = Fault::at(0..4, format!("unknown `{}`", shown("\u{1b}[2J")), "l");
        let drawn = Diagnostics::new("\u{1b}]0;x", "\u{1b}[2J", vec![fault]).render(false);
        assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
    }

    proptest! {
        #[test]
        fn no_span_panics(text in any::<String>(), start in 0..80_usize, length in 0..80_usize) {
            let fault = Fault::at(start..start + length, "m", "l");
            prop_assert!(!Diagnostics::new("f", &text, vec![fault]).render(false).is_empty());
        }
    }
}
