//! Text of others, shown on a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts on a terminal instead of being shown: controls, and those that break lines or turn the direction
/// of writing. All of them fit in four hexadecimal digits.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text with all that [acts] but line ends and tabs written as `\u{1b}`.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    spelled(text, |c| acts(c) && !matches!(c, '\n' | '\t'))
}

/// The same, line ends and tabs too: what is one line stays one, whatever others put into it.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    spelled(text, acts)
}

fn spelled(text: &str, hostile: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match hostile(c) {
            // Writing to a String does not fail.
            true => drop(write!(shown, "\\u{{{:x}}}", u32::from(c))),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_spelled_out() {
        assert!(matches!(shown("a\tb é\n"), Cow::Borrowed(_)));
        assert_eq!(
            shown("a\u{1b}[31m\r\u{202e}b\u{9b}c\n"),
            "a\\u{1b}[31m\\u{d}\\u{202e}b\\u{9b}c\n"
        );
        assert_eq!(line("a\nb\tc é"), "a\\u{a}b\\u{9}c é");
    }
}
