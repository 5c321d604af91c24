//! Takes secrets out of what others wrote. docs/EVIDENCE.md lists what counts as one; the list here and the one there are the same.
//!
//! Pure and linear in the text. It would rather take too much than too little: of what it takes nothing but the place is left. What
//! has no name, no known shape and no place of its own (a bare password in a sentence) nobody can tell from a word.

use std::ops::Range;

/// Stands where a secret was.
pub const MARK: &str = "[redacted]";

/// A name with one of these in it has a secret behind it, whatever its case.
pub const WITHIN: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "api.key",
    "accesskey",
    "access_key",
    "access-key",
    "privatekey",
    "private_key",
    "private-key",
    "sessid",
    "sessionid",
    "session_id",
    "session-id",
    "connectionstring",
    "connection_string",
    "signature",
    "authorization",
    "cookie",
];

/// A name that is one of these, or ends with it behind `_`, `-` or `.`, has one too.
pub const ENDS: &[&str] = &["pass", "key", "auth", "psk", "otp", "salt", "dsn"];

/// Headers of which all that follows is taken.
const HEADERS: &[&str] = &["authorization", "cookie"];

/// A word that begins so and is so long at least is a token that somebody issued.
pub const ISSUED: &[(&str, usize)] = &[
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("SG.", 20),
    ("dop_v1_", 20),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 15),
    ("hvs.", 20),
    ("npm_", 20),
    ("pypi-", 20),
    ("rk_live_", 16),
    ("sk_live_", 16),
    ("sk-", 20),
    ("xoxa-", 12),
    ("xoxb-", 12),
    ("xoxp-", 12),
    ("xoxr-", 12),
    ("xoxs-", 12),
    ("ya29.", 20),
];

/// A value of the environment that is shorter is not looked for elsewhere: it would be found in every other word.
const SHORT: usize = 6;
/// Values that are looked for.
const KNOWN: usize = 256;
/// Lines of a private key at most, where its end or its beginning is missing.
const KEY_LINES: usize = 200;

/// Takes secrets out of texts, those among them that are known.
#[derive(Debug, Default)]
pub struct Redactor {
    /// The longest first: one may be a part of another.
    known: Vec<String>,
}

impl Redactor {
    /// One that knows these values of an environment.
    pub fn knowing(values: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = values
            .into_iter()
            .filter(|value| value.trim().len() >= SHORT && !MARK.contains(value.as_str()))
            .collect();
        known.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        known.dedup();
        known.truncate(KNOWN);
        Self { known }
    }

    /// The text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.lines(text, false)
    }

    /// Command lines without secrets: what is set there for a program's environment (`NAME=value`) goes too.
    #[must_use]
    pub fn commands(&self, text: &str) -> String {
        self.lines(text, true)
    }

    fn lines(&self, text: &str, commands: bool) -> String {
        let mut text = text.to_owned();
        for known in self.known.iter().filter(|known| known.contains('\n')) {
            text = text.replace(known.as_str(), MARK);
        }
        let line = |text| self.line(text, commands);
        let mut lines: Vec<String> = text.split('\n').map(line).collect();
        keys(&mut lines);
        lines.join("\n")
    }

    /// One line without secrets.
    fn line(&self, text: &str, commands: bool) -> String {
        // Names are read as they stand: a known value may be a part of one.
        let mut found: Vec<Range<usize>> = Vec::new();
        for known in &self.known {
            let places = text.match_indices(known.as_str());
            found.extend(places.map(|(at, known)| at..at + known.len()));
        }
        let bytes = text.as_bytes();
        addresses(bytes, &mut found);
        let mut at = 0;
        while at < bytes.len() {
            if !is_name(byte(bytes, at)) {
                at += 1;
                continue;
            }
            let end = run(bytes, at, is_name);
            let word = text.get(at..end).unwrap_or_default();
            let set = commands && is_setting(word) && byte(bytes, end) == b'=';
            let set = set.then(|| extent(bytes, word, end + 1));
            match set.or_else(|| value(bytes, word, end)) {
                Some(value) => {
                    at = value.end.max(end);
                    found.push(value);
                }
                None => {
                    if let Some(issued) = issued(word) {
                        found.push(at + issued.start..at + issued.end);
                    }
                    at = end;
                }
            }
        }
        without(text, found)
    }
}

/// A setting of an environment: its name alone.
#[must_use]
pub fn setting(text: &str) -> String {
    match text.split_once('=') {
        Some((name, _)) => format!("{name}={MARK}"),
        None => MARK.to_owned(),
    }
}

/// Settings whose values are no secrets and may be in every other line: they are looked for nowhere. So are those that begin with `LC_`,
/// `LISTEN_`, `SYSTEMD_` or `MEMORY_PRESSURE_`, and those that end with `_DIRECTORY`.
pub const COMMON: &[&str] = &[
    "container",
    "HOME",
    "HOSTNAME",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LANG",
    "LOGNAME",
    "MAINPID",
    "NOTIFY_SOCKET",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TZ",
    "USER",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "_",
];

/// The value of a setting that is to stand nowhere.
#[must_use]
pub fn value_of(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let begins = ["LC_", "LISTEN_", "SYSTEMD_", "MEMORY_PRESSURE_"];
    let common = COMMON.contains(&name)
        || begins.iter().any(|begin| name.starts_with(begin))
        || name.ends_with("_DIRECTORY");
    (!common).then(|| value.to_owned())
}

/// Takes what lies between the first and the last line of a private key, and those lines' own rest.
fn keys(lines: &mut [String]) {
    let begins = |line: &str| line.contains("-----BEGIN ") && line.contains("PRIVATE KEY");
    let ends = |line: &str| line.contains("-----END ") && line.contains("PRIVATE KEY");
    let mut within: Option<usize> = None;
    let mut blank = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let (begin, end) = (begins(line), ends(line));
        if end && within.is_none() && !begin {
            // Its beginning was left out.
            blank.extend(at.saturating_sub(KEY_LINES)..=at);
        } else if begin || within.is_some() {
            blank.push(at);
        }
        if begin {
            within = Some(at);
        }
        if end || within.is_some_and(|from| at >= from + KEY_LINES) {
            within = None;
        }
    }
    for at in blank {
        if let Some(line) = lines.get_mut(at) {
            MARK.clone_into(line);
        }
    }
}

/// The text without these parts.
fn without(text: &str, mut found: Vec<Range<usize>>) -> String {
    found.retain(|part| part.start < part.end);
    found.sort_by_key(|part| part.start);
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for part in found {
        // What reaches into one that was taken goes with it.
        if part.start >= at {
            left.push_str(text.get(at..part.start).unwrap_or_default());
            left.push_str(MARK);
        }
        at = at.max(part.end);
    }
    left.push_str(text.get(at..).unwrap_or_default());
    left
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// Where a run of such bytes ends.
fn run(bytes: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().position(|b| !is(*b)).unwrap_or(rest.len())
}

const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

const fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

const fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// What an unquoted value ends before.
const fn ends_value(b: u8) -> bool {
    is_blank(b)
        || is_quote(b)
        || matches!(
            b,
            b',' | b';' | b'&' | b'|' | b')' | b'}' | b'<' | b'>' | b'\\' | b'\r'
        )
}

/// What a token of an `Authorization` header consists of (RFC 7235, token68).
const fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Whether a word is one that environments are set with.
fn is_setting(word: &str) -> bool {
    let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    word.len() > 1 && word.bytes().all(fits)
}

fn names_a_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let name = lower.trim_start_matches('-');
    let ends = |end: &str| {
        let before = name.strip_suffix(end);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['_', '-', '.']))
    };
    WITHIN.iter().any(|part| name.contains(part))
        || ENDS.iter().any(|end| ends(end))
        // As in `sslKey`.
        || (word.len() > 3 && word.ends_with("Key"))
}

/// The value of a name that ends at `end`, if it names a secret.
fn value(bytes: &[u8], word: &str, end: usize) -> Option<Range<usize>> {
    if is_scheme(word) && is_blank(byte(bytes, end)) {
        let from = run(bytes, end, is_blank);
        let to = run(bytes, from, is_token);
        let token = bytes.get(from..to).unwrap_or_default();
        // `Basic authentication` is no login.
        let bare = !word.eq_ignore_ascii_case("bearer") && token.iter().all(u8::is_ascii_lowercase);
        if to >= from + SHORT && !bare {
            return Some(from..to);
        }
    }
    if !names_a_secret(word) {
        return None;
    }
    let mut at = end;
    // The name may be quoted, and the quote itself be.
    if byte(bytes, at) == b'\\' && is_quote(byte(bytes, at + 1)) {
        at += 2;
    } else if is_quote(byte(bytes, at)) {
        at += 1;
    }
    let spaced = run(bytes, at, is_blank);
    let from = match byte(bytes, spaced) {
        b'=' | b':' => {
            let behind = run(bytes, spaced, |b| matches!(b, b'=' | b':' | b'>'));
            run(bytes, behind, is_blank)
        }
        // `"--password", "x"`
        b',' if word.starts_with('-') && at > end => {
            let next = run(bytes, spaced + 1, is_blank);
            match is_quote(byte(bytes, next)) && byte(bytes, next + 1) != b'-' {
                true => next,
                false => return None,
            }
        }
        // `--password x`
        next if word.starts_with('-') && spaced > at && next != b'-' => spaced,
        _ => return None,
    };
    Some(extent(bytes, word, from))
}

/// How far a value that begins at `from` goes.
fn extent(bytes: &[u8], word: &str, from: usize) -> Range<usize> {
    let rest = bytes.get(from..).unwrap_or_default();
    if rest.starts_with(MARK.as_bytes()) {
        // Whoever wrote the mark before it does not save what follows.
        return from..run(bytes, from + MARK.len(), |b| !ends_value(b));
    }
    let lower = word.to_ascii_lowercase();
    if HEADERS.iter().any(|header| lower.contains(header)) {
        let inner = match byte(bytes, from) {
            quote if is_quote(quote) => from + 1,
            b'\\' if is_quote(byte(bytes, from + 1)) => from + 2,
            _ => from,
        };
        return inner..run(bytes, inner, |b| !is_quote(b) && b != b'\\' && b != b'\r');
    }
    match byte(bytes, from) {
        quote if is_quote(quote) => from + 1..closing(bytes, from + 1, quote),
        b'\\' if is_quote(byte(bytes, from + 1)) => from + 2..run(bytes, from + 2, |b| b != b'\\'),
        // A list or an object: what is in it belongs to the name.
        b'[' | b'{' | b'(' => from..bytes.len(),
        _ => {
            let to = run(bytes, from, |b| !ends_value(b));
            let word = bytes
                .get(from..to)
                .and_then(|w| std::str::from_utf8(w).ok());
            if word.is_some_and(is_scheme) && is_blank(byte(bytes, to)) {
                let token = run(bytes, to, is_blank);
                return from..run(bytes, token, |b| !ends_value(b));
            }
            from..to
        }
    }
}

/// Where a quoted text ends: before its quote, or with the line.
fn closing(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while at < bytes.len() {
        match byte(bytes, at) {
            b'\\' => at += 2,
            b if b == quote => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "digest", "negotiate", "apikey"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// A token by its shape: where it begins and ends within the word.
fn issued(word: &str) -> Option<Range<usize>> {
    // A JSON web token: three parts, the first of which is an object.
    if word.len() >= 30 && word.matches('.').count() >= 2 && word.starts_with("eyJ") {
        return Some(0..word.len());
    }
    ISSUED.iter().find_map(|(begin, least)| {
        let at = word.find(begin)?;
        let before = at.checked_sub(1).map(|at| byte(word.as_bytes(), at));
        let starts = before.is_none_or(|b| matches!(b, b'.' | b'-' | b'_'));
        (starts && word.len() - at >= *least).then_some(at..word.len())
    })
}

/// What stands in addresses before the host: a password, or a token in the place of a name.
fn addresses(bytes: &[u8], found: &mut Vec<Range<usize>>) {
    let mut from = 0;
    while let Some(at) = find(bytes, from, b"://") {
        let begin = at + 3;
        from = begin;
        let end = run(bytes, begin, |b| {
            !is_blank(b) && !is_quote(b) && !matches!(b, b'<' | b'>' | b'\r' | b'\\')
        });
        let whole = bytes.get(begin..end).unwrap_or_default();
        let authority = run(whole, 0, |b| !matches!(b, b'/' | b'?' | b'#'));
        // The colons of an IPv6 address are none of a password.
        let colon = whole.iter().position(|b| *b == b':');
        let colon = colon.filter(|_| byte(whole, 0) != b'[' || whole.starts_with(MARK.as_bytes()));
        // A password may have a slash in it, though it should not: what follows the colon is no port then.
        let port = |colon: usize| {
            let digits = run(whole, colon + 1, |b| b.is_ascii_digit());
            digits >= authority
        };
        let within = match colon {
            Some(colon) if colon < authority && !port(colon) => whole,
            _ => whole.get(..authority).unwrap_or_default(),
        };
        let Some(host) = within.iter().rposition(|b| *b == b'@') else {
            continue;
        };
        let secret = match colon {
            Some(colon) if colon < host => colon + 1,
            _ => 0,
        };
        found.push(begin + secret..begin + host);
    }
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let at = rest.windows(what.len()).position(|window| window == what)?;
    Some(from + at)
}

#[cfg(test)]
mod tests;
