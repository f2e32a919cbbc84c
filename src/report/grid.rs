//! Tables and wrapped texts for a terminal, drawn by `comfy-table` and painted line by line.
//!
//! Lines are painted after they are laid out, so that colour never moves a column.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width, presets::NOTHING,
};

/// Columns between two columns.
const GAP: u16 = 2;

/// A text is never wrapped to less than this, however narrow the terminal.
const NARROWEST: u16 = 20;

/// How a line is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Paint {
    /// As it is.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// A recommendation.
    Good,
    /// A fault.
    Bad,
    /// What matters less.
    Faint,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Bold => "1",
            Paint::Good => "32",
            Paint::Bad => "31",
            Paint::Faint => "2",
        }
    }
}

/// Paints a line, if there is colour.
pub(super) fn paint(line: &str, paint: Paint, colour: bool) -> String {
    if !colour || paint == Paint::Plain || line.is_empty() {
        return line.to_owned();
    }
    format!("\u{1b}[{}m{line}\u{1b}[0m", paint.code())
}

/// A column's title and side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title {
    pub(super) text: &'static str,
    pub(super) right: bool,
}

/// A table with a row a line: nothing wraps.
pub(super) fn lines(titles: &[Title], rows: &[(Vec<String>, Paint)], colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(ruled()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(titles.iter().map(|title| title.text));
    for (cells, _) in rows {
        table.add_row(cells);
    }
    for (column, title) in table.column_iter_mut().zip(titles) {
        column.set_padding((0, GAP));
        column.set_cell_alignment(if title.right { CellAlignment::Right } else { CellAlignment::Left });
    }
    let width = needed(titles, rows);
    let paints = [Paint::Bold, Paint::Faint].into_iter().chain(rows.iter().map(|row| row.1));
    let drawn = table.lines().zip(paints).map(|(line, how)| {
        // The gap after the last column is no part of the table.
        let line: String = line.chars().take(width).collect();
        paint(line.trim_end(), how, colour) + "\n"
    });
    drawn.collect()
}

/// The width that [`lines`] needs for these columns.
pub(super) fn needed(titles: &[Title], rows: &[(Vec<String>, Paint)]) -> usize {
    let widths = natural(titles, rows);
    (widths.iter().sum::<usize>() + usize::from(GAP) * titles.len()).saturating_sub(usize::from(GAP))
}

/// The width of each column that wraps nothing.
fn natural(titles: &[Title], rows: &[(Vec<String>, Paint)]) -> Vec<usize> {
    let cell = |at: usize| rows.iter().filter_map(move |row| row.0.get(at)).map(|text| text.chars().count());
    titles.iter().enumerate().map(|(at, title)| cell(at).max().unwrap_or(0).max(title.text.len())).collect()
}

/// A table that is never wider than `width`: what has no room wraps, the last column first, then the first.
pub(super) fn fitted(titles: &[Title], rows: &[(Vec<String>, Paint)], width: u16, colour: bool) -> String {
    let excess = needed(titles, rows).saturating_sub(usize::from(width));
    if excess == 0 {
        return lines(titles, rows, colour);
    }
    let narrowest = usize::from(NARROWEST);
    let mut widths = natural(titles, rows);
    let mut left = excess;
    for at in [widths.len().saturating_sub(1), 0] {
        if let Some(own) = widths.get_mut(at) {
            let cut = left.min(own.saturating_sub(narrowest));
            *own -= cut;
            left -= cut;
        }
    }
    let widths: Vec<u16> = widths.into_iter().map(|own| u16::try_from(own).unwrap_or(u16::MAX)).collect();
    let head: Vec<String> = titles.iter().map(|title| title.text.to_owned()).collect();
    let right: Vec<bool> = titles.iter().map(|title| title.right).collect();
    let rule = widths.iter().map(|own| rule(own.saturating_add(GAP))).collect::<String>();
    let rule: String = rule.chars().take(rule.chars().count().saturating_sub(usize::from(GAP))).collect();
    let painted = |cells: &[String], how: Paint| -> String {
        side_by_side(cells, &widths, &right, GAP).iter().map(|line| paint(line, how, colour) + "\n").collect()
    };
    let mut text = painted(&head, Paint::Bold) + &paint(&rule, Paint::Faint, colour) + "\n";
    text.extend(rows.iter().map(|(cells, how)| painted(cells, *how)));
    text
}

/// Cells side by side, each wrapped to its width. `right` says which columns are aligned to the right; those beyond it are not.
pub(super) fn side_by_side(cells: &[String], widths: &[u16], right: &[bool], gap: u16) -> Vec<String> {
    let cells: Vec<String> = cells.iter().map(|cell| glued(cell)).collect();
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(widths.iter().fold(0_u16, |sum, width| sum.saturating_add(width.saturating_add(gap))));
    table.add_row(cells);
    for (column, width) in table.column_iter_mut().zip(widths) {
        column.set_padding((0, gap));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + gap)));
    }
    for (column, _) in table.column_iter_mut().zip(right).filter(|(_, right)| **right) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.replace(GLUE, " ").trim_end().to_owned()).collect()
}

/// A space at which no line ends.
const GLUE: char = '\u{a0}';

/// The text with the spaces glued at which a line is not to end: within a number, and between a number and its unit.
fn glued(text: &str) -> String {
    let mut glued = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let follows_digit = glued.ends_with(|last: char| last.is_ascii_digit());
        let word = text[at + c.len_utf8()..].split(' ').next().unwrap_or_default();
        let word = word.trim_end_matches(['.', ',', ';', ':', ')']);
        let is_unit = matches!(word, "s" | "ms" | "µs" | "ns" | "%" | "B" | "KiB" | "MiB" | "GiB" | "min" | "h");
        let is_digits =
            word.split('/').next().is_some_and(|it| it.len() == 3 && it.bytes().all(|byte| byte.is_ascii_digit()));
        glued.push(if c == ' ' && follows_digit && (is_unit || is_digits) { GLUE } else { c });
    }
    glued
}

/// A text under a label, wrapped beside it: `Why: ..`.
pub fn labelled(indent: u16, label: &str, text: &str, width: u16) -> String {
    let label_width = u16::try_from(label.chars().count()).unwrap_or(u16::MAX);
    let taken = indent.saturating_add(label_width).saturating_add(1);
    let text_width = width.saturating_sub(taken).max(NARROWEST);
    let margin = " ".repeat(usize::from(indent));
    let lines = side_by_side(&[label.to_owned(), text.to_owned()], &[label_width, text_width], &[], 1);
    lines.iter().map(|line| format!("{margin}{line}\n")).collect()
}

/// A text wrapped to a width.
pub(super) fn paragraph(text: &str, width: u16) -> String {
    side_by_side(&[text.to_owned()], &[width.max(NARROWEST)], &[], 0).iter().map(|line| format!("{line}\n")).collect()
}

/// The rule below a header that is `width` wide.
pub(super) fn rule(width: u16) -> String {
    "─".repeat(usize::from(width))
}

fn ruled() -> TableStyle {
    NOTHING.header_separator(LineStyle::none().fill('─'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_ends_between_a_number_and_its_unit() {
        for kept in ["19.9 s.", "95 %)", "2 740", "1 000/s", "3 MiB,"] {
            for width in NARROWEST..40 {
                let text = paragraph(&format!("a sentence of some words that has {kept} in it and goes on"), width);
                assert!(text.contains(kept), "{text}");
            }
        }
        assert_eq!(glued("in 2 steps of 5"), "in 2 steps of 5");
    }
}
