//! Text of foreign origin, made safe to show: characters that control a terminal, or turn the direction of writing, stand
//! as they are written in code.

/// Whether a character says how others are shown: it controls a terminal, breaks a line, turns the direction of writing,
/// or is none at all, which XML refuses.
#[must_use]
pub fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The text with all that [`steers`] escaped, but for the characters of `kept`.
#[must_use]
pub fn escaped_but(text: &str, kept: &[char]) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !kept.contains(&c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// The text with all that [`steers`] escaped.
#[must_use]
pub fn escaped(text: &str) -> String {
    escaped_but(text, &[])
}

/// The text on one line: line breaks become `; `.
#[must_use]
pub fn plain(text: &str) -> String {
    let joined = text.trim().split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty());
    escaped(&joined.collect::<Vec<_>>().join("; "))
}

/// The text in the lines that it has.
#[must_use]
pub fn plain_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<String>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_stands_as_it_is_written() {
        assert_eq!(escaped("a\u{1b}[31m\n\u{202e}b\u{0}"), "a\\u{1b}[31m\\n\\u{202e}b\\u{0}");
        assert_eq!(escaped_but("a\n\u{7}\t", &['\n', '\t']), "a\n\\u{7}\t");
        assert_eq!(escaped("שלום, µs"), "שלום, µs", "a name in Hebrew steers nothing");
        assert_eq!(plain(" one\r\n\n two\u{9b} \n"), "one; two\\u{9b}");
        assert_eq!(plain_lines("one\u{8}\ntwo"), "one\\u{8}\ntwo");
    }

    proptest! {
        #[test]
        fn nothing_steers_afterwards(text in any::<String>()) {
            prop_assert!(!escaped(&text).contains(steers));
            prop_assert_eq!(escaped(&escaped(&text)), escaped(&text));
        }
    }
}
