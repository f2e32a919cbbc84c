//! Sentences as markup.

use maud::{Markup, html};

/// A sentence in which code stands between backticks.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // Of an odd number of backticks the last is a sign as any other.
    let paired = if parts.len() % 2 == 1 { parts.len() } else { parts.len() - 1 };
    html! {
        @for (at, part) in parts.iter().enumerate() {
            @if at % 2 == 1 && at < paired { code class=[part.starts_with("--").then_some("whole")] { (part) } }
            @else if at == paired { "`" (options(part)) }
            @else { (options(part)) }
        }
    }
}

/// A text in which no option (`--budget`) is broken behind its dashes.
fn options(text: &str) -> Markup {
    html! {
        @for (at, word) in text.split(' ').enumerate() {
            @if at > 0 { " " }
            @if word.starts_with("--") { span class="whole" { (word) } } @else { (word) }
        }
    }
}

/// The same with its first letter as a capital.
pub(super) fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or(String::new(), |first| first.to_uppercase().chain(signs).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_stands_between_backticks() {
        assert_eq!(prose("use `a<b` now").into_string(), "use <code>a&lt;b</code> now");
        assert_eq!(prose("a ` b").into_string(), "a ` b");
        assert_eq!(prose("`a` and ` b").into_string(), "<code>a</code> and ` b");
        assert_eq!(prose("").into_string(), "");
        let option = "a <span class=\"whole\">--budget</span> of <code class=\"whole\">--tasks</code>";
        assert_eq!(prose("a --budget of `--tasks`").into_string(), option);
        assert_eq!(capital("use"), "Use");
    }
}
