//! Texts of others made safe to read, and cut to size.

use crate::model::terminal;

/// Most bytes of a line.
pub(super) const LINE: usize = 4 << 10;

/// What is left of a text.
pub(super) struct Clipped {
    pub text: String,
    /// Bytes that are not in it.
    pub left_out: usize,
}

/// Without what would act on a terminal or break a line. Colours and their like are dropped, not spelled out: they stand in the middle of
/// words.
pub(super) fn plain(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\u{1b}', '\u{9b}', '\\']) {
        let (before, from) = rest.split_at(at);
        left.push_str(before);
        rest = match behind_sequence(from) {
            Some(rest) => rest,
            None => {
                let mut letters = from.chars();
                left.extend(letters.next());
                letters.as_str()
            }
        };
    }
    left.push_str(rest);
    terminal::shown(&left).into_owned()
}

/// ESC, as it is and as JSON and others write it.
const ESCAPES: [&str; 6] = ["\u{1b}", r"\u001b", r"\u001B", r"\x1b", r"\x1B", r"\033"];

/// What follows a control sequence (ECMA-48) at the beginning of a text, if there is one. It ends with its line.
fn behind_sequence(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix('\u{9b}') {
        return behind_parameters(rest);
    }
    let rest = ESCAPES.iter().find_map(|esc| text.strip_prefix(esc))?;
    if let Some(rest) = rest.strip_prefix('[') {
        return behind_parameters(rest);
    }
    if !text.starts_with('\u{1b}') {
        return None;
    }
    if let Some(rest) = rest.strip_prefix(']') {
        let end = rest.find(['\u{7}', '\u{1b}', '\u{9c}', '\n'])?;
        let end = rest.get(end..)?;
        return ["\u{7}", "\u{9c}", "\u{1b}\\"]
            .iter()
            .find_map(|terminator| end.strip_prefix(terminator));
    }
    // `ESC ( B` chooses letters.
    let mut letters = rest.strip_prefix(['(', ')', '*', '+'])?.chars();
    letters
        .next()
        .filter(|letter| ('0'..='~').contains(letter))
        .map(|_| letters.as_str())
}

fn behind_parameters(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c| ('0'..='?').contains(&c));
    let mut letters = rest.chars();
    let last = letters.next()?;
    // Without parameters a small letter is rather the first of a word than the end of a sequence that is hardly ever seen.
    let ends = match rest.len() == text.len() {
        true => last == 'm' || last.is_ascii_uppercase(),
        false => last.is_ascii_alphabetic(),
    };
    ends.then_some(letters.as_str())
}

/// With lines that are not very long.
pub(super) fn lines(text: &str, most: usize) -> String {
    let lines = text.split('\n').map(|line| {
        if line.len() <= most {
            return line.to_owned();
        }
        let begin = line
            .get(..line.floor_char_boundary(most))
            .unwrap_or_default();
        format!("{begin}[{} bytes left out]", line.len() - begin.len())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What a letter takes in JSON, of those that are left in a plain text.
const fn width(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\t' => 2,
        _ => letter.len_utf8(),
    }
}

/// The first, or the `newest` last, of a text that fit into so many bytes of JSON; what is missing is said in its place.
pub(super) fn clip(text: &str, most: usize, newest: bool) -> Clipped {
    let whole: usize = text.chars().map(width).sum();
    if whole <= most {
        return Clipped {
            text: text.to_owned(),
            left_out: 0,
        };
    }
    let room = most.saturating_sub(MARKED);
    let mut taken = 0;
    let mut fits = |letter: char| {
        taken += width(letter);
        taken <= room
    };
    let kept: usize = if newest {
        let letters = text.chars().rev().take_while(|c| fits(*c));
        letters.map(char::len_utf8).sum()
    } else {
        let letters = text.chars().take_while(|c| fits(*c));
        letters.map(char::len_utf8).sum()
    };
    if newest {
        let tail = text.get(text.len() - kept..).unwrap_or_default();
        // Half a line may be the half behind a secret's name.
        let tail = tail.split_once('\n').map_or(tail, |(_, rest)| rest);
        let left_out = text.len() - tail.len();
        Clipped {
            text: format!("[{left_out} bytes left out]\n{tail}"),
            left_out,
        }
    } else {
        let left_out = text.len() - kept;
        let head = text.get(..kept).unwrap_or_default();
        Clipped {
            text: format!("{head}\n[{left_out} bytes left out]"),
            left_out,
        }
    }
}

/// Room for the words that say so.
const MARKED: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_fits_and_says_how_much_is_missing() {
        let text = (0..100)
            .map(|n| format!("\"line\" {n}"))
            .collect::<Vec<_>>()
            .join("\n");
        for newest in [true, false] {
            let cut = clip(&text, 200, newest);
            let json = serde_json::to_string(&cut.text).unwrap();
            assert!(json.len() <= 202 && json.len() > 150, "{json}");
            assert!(
                cut.text
                    .contains(&format!("[{} bytes left out]", cut.left_out))
            );
            assert_eq!(cut.text.ends_with("line\" 99"), newest);
            assert_eq!(cut.text.starts_with("\"line\" 0"), !newest);
        }
        let whole = clip(&text, 4_000, true);
        assert_eq!((whole.text, whole.left_out), (text, 0));
    }

    #[test]
    fn nothing_in_a_text_acts_and_no_line_is_endless() {
        assert_eq!(
            plain("a\u{1b}[31m\tb\r\nc\u{202e}\u{1b}7\u{1b}[q"),
            "a\tb\\u{d}\nc\\u{202e}\\u{1b}7\\u{1b}[q"
        );
        assert_eq!(
            plain(
                "\u{1b}]8;;http://x\u{1b}\\a\u{1b}]8;;\u{7}b\u{1b}(B\u{9b}0mc\\u001b[1;31md\\033[Ke"
            ),
            "abcde"
        );
        // What never ends is not dropped.
        assert_eq!(plain("\u{1b}]0;a\nb\u{7}"), "\\u{1b}]0;a\nb\\u{7}");
        let long = lines(&format!("{}\nb", "é".repeat(5_000)), LINE);
        assert!(
            long.ends_with(
                "[5904 bytes left out]
b"
            ),
            "{}",
            long.len()
        );
    }
}
