//! How bytes of a line are told apart.

pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Where a run of such bytes ends.
pub(super) fn run(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !is(*b)).unwrap_or(rest.len())
}

pub(super) const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

pub(super) const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

pub(super) const fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// What an unquoted value ends before.
pub(super) const fn ends_value(b: u8) -> bool {
    is_blank(b)
        || is_quote(b)
        || matches!(
            b,
            b',' | b';' | b'&' | b'|' | b')' | b'}' | b'<' | b'>' | b'\\' | b'\r'
        )
}

/// Where an unquoted value ends. In a command line only a blank or a quote ends it: its words are told apart by those.
pub(super) fn ended(bytes: &[u8], from: usize, commands: bool) -> usize {
    if !commands {
        return run(bytes, from, |b| !ends_value(b));
    }
    let mut at = from;
    while at < bytes.len() {
        let ends = match byte(bytes, at) {
            b'\\' => is_quote(byte(bytes, at + 1)),
            b => is_blank(b) || is_quote(b) || b == b'\r',
        };
        if ends {
            break;
        }
        at += 1;
    }
    at
}

/// Behind blanks, and behind controls that are spelled out (`\u{0}`).
pub(super) fn gap(bytes: &[u8], from: usize) -> usize {
    let mut at = run(bytes, from, is_blank);
    while bytes
        .get(at..)
        .is_some_and(|rest| rest.starts_with(b"\\u{"))
    {
        let close = run(bytes, at + 3, |b| b.is_ascii_hexdigit());
        if byte(bytes, close) != b'}' {
            break;
        }
        at = run(bytes, close + 1, is_blank);
    }
    at
}

/// Behind a quote, which may be quoted itself.
pub(super) fn past_quote(bytes: &[u8], at: usize) -> usize {
    match byte(bytes, at) {
        b'\\' if is_quote(byte(bytes, at + 1)) => at + 2,
        b if is_quote(b) => at + 1,
        _ => at,
    }
}

/// What a token of an `Authorization` header consists of (RFC 7235, token68).
pub(super) const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

pub(super) fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(what.len()).position(|window| window == what)?;
    Some(from + at)
}
