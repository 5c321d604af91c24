//! Secrets that stand in addresses.

use std::ops::Range;

use super::MARK;
use super::bytes::{byte, ends_value, find, is_blank, is_quote, run};

/// Hosts of which a path that begins so is a secret as a whole.
pub const HOOKS: &[(&str, &str)] = &[
    ("hooks.slack.com", "/services/"),
    ("api.telegram.org", "/bot"),
    ("discord.com", "/api/webhooks/"),
];

/// The secret in the path of an address whose host ends at `end`.
pub(super) fn hook(bytes: &[u8], host: &str, end: usize) -> Option<Range<usize>> {
    let path = bytes.get(end..)?;
    let (_, begin) = HOOKS
        .iter()
        .find(|(of, begin)| host.ends_with(of) && path.starts_with(begin.as_bytes()))?;
    let from = end + begin.len();
    Some(from..run(bytes, from, |b| !ends_value(b)))
}

/// What stands in addresses before the host: a password, or a token in the place of a name.
pub(super) fn addresses(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    // Where the text without blanks ends that an address is in, and the last `@` of it: looked for once, however many are in one.
    let mut end = 0;
    let mut last = None;
    while let Some(at) = find(bytes, from, b"://") {
        let begin = at + 3;
        from = begin;
        if begin >= end {
            end = run(bytes, begin, |b| {
                !is_blank(b) && !is_quote(b) && !matches!(b, b'<' | b'>' | b'\r' | b'\\')
            });
            let whole = bytes.get(begin..end).unwrap_or_default();
            last = whole.iter().rposition(|b| *b == b'@').map(|at| begin + at);
        }
        let whole = bytes.get(begin..end).unwrap_or_default();
        let authority = run(whole, 0, |b| !matches!(b, b'/' | b'?' | b'#'));
        let named = whole.get(..authority).unwrap_or_default();
        // The colons of an IPv6 address are none of a password.
        let colon = named.iter().position(|b| *b == b':');
        let colon = colon.filter(|_| byte(whole, 0) != b'[' || whole.starts_with(MARK.as_bytes()));
        // A password may have a slash in it, though it should not: what follows the colon is no port then.
        let port = |colon: usize| run(whole, colon + 1, |b| b.is_ascii_digit()) >= authority;
        let host = match colon {
            Some(colon) if !port(colon) => last.and_then(|last| last.checked_sub(begin)),
            _ => named.iter().rposition(|b| *b == b'@'),
        };
        let Some(host) = host else {
            continue;
        };
        let secret = match colon {
            Some(colon) if colon < host => colon + 1,
            _ => 0,
        };
        found.push(begin + secret..begin + host);
    }
}
