//! The source line under a fault.
//!
//! Owns what of a line is fit to be shown: a piece around the fault, without terminal escapes, and
//! without a secret that somebody wrote where the name of its file belongs: errors go to logs.

use super::secret::looks_like_content;
use super::tree::Place;

/// The longest piece of a source line shown, in characters.
const SHOWN: usize = 120;

/// Keys with one of these in them may hold a secret, whether nodeward has such a key or not.
const SECRET: [&str; 7] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "apikey",
    "api_key",
];

/// The part of a line worth showing, the spaces before its carets, and the number of carets.
pub fn excerpt(line: &str, place: Place) -> (String, usize, usize) {
    let line = open_part(line);
    let column = place.column.saturating_sub(1);
    let start = if column < SHOWN - 20 { 0 } else { column - 20 };
    let clean = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut shown: String = line.chars().skip(start).take(SHOWN).map(clean).collect();
    shown.truncate(shown.trim_end().len());
    let before = column - start;
    let room = shown.chars().count().saturating_sub(before);
    (shown, before, place.width.min(room).max(1))
}

/// A line up to the first value that may be a secret.
fn open_part(line: &str) -> String {
    for (colon, _) in line.match_indices(':') {
        let (before, after) = line.split_at(colon);
        let value = after.trim_start_matches(':');
        if !value.is_empty() && !value.starts_with(char::is_whitespace) {
            continue;
        }
        let part_of_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let key = before.trim_end_matches(['"', '\'', ' ']);
        let key = key
            .rsplit(|c| !part_of_key(c))
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let named = key.strip_suffix("_file").is_some();
        if !named && !SECRET.iter().any(|word| key.contains(word)) {
            continue;
        }
        // A line may be a whole file long, with a key in every fifth letter.
        let value: String = value.chars().take(100).collect();
        let value = value.trim_matches([' ', '"', '\'']);
        let value = value
            .split(['"', '\'', ',', '}'])
            .next()
            .unwrap_or_default();
        let hidden = if named {
            looks_like_content(value)
        } else {
            !value.is_empty()
        };
        if hidden {
            return format!("{before}: [hidden]");
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (line, shown) in [
            ("  token: abc", "  token: [hidden]"),
            (
                "{a: 1, Authorization: Bearer abc, b: 2}",
                "{a: 1, Authorization: [hidden]",
            ),
            ("\"db-password\": 'x'", "\"db-password\": [hidden]"),
            ("token_file: hook.token", "token_file: hook.token"),
            (
                "key_file: 0123456789abcdef0123456789abcdef",
                "key_file: [hidden]",
            ),
            (
                "headers_file: \"Authorization: Bearer x\"",
                "headers_file: [hidden]",
            ),
            (
                "{key_file: /run/k, tokens: http://x}",
                "{key_file: /run/k, tokens: [hidden]",
            ),
            ("secrets:", "secrets:"),
            ("at: http://a:1/b", "at: http://a:1/b"),
        ] {
            assert_eq!(open_part(line), shown);
        }
    }
}
