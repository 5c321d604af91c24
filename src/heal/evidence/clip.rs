//! Texts of others made safe to read, and cut to size.

use crate::model::terminal;

/// Most bytes of a line; what is longer is cut in its middle.
const LINE: usize = 4 << 10;

/// What is left of a text.
pub(super) struct Clipped {
    pub text: String,
    /// Bytes that are not in it.
    pub left_out: usize,
}

/// Without what would act on a terminal or break a line; a line that is very long is cut.
pub(super) fn plain(text: &str) -> String {
    let shown = terminal::shown(text);
    let lines = shown.split('\n').map(|line| {
        if line.len() <= LINE {
            return line.to_owned();
        }
        let begin = line
            .get(..line.floor_char_boundary(LINE))
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
            plain("a\u{1b}[31m\tb\r\nc\u{202e}"),
            "a\\u{1b}[31m\tb\\u{d}\nc\\u{202e}"
        );
        let long = plain(&format!("{}\nb", "é".repeat(5_000)));
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
