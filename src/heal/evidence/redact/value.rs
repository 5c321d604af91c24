//! Where the value of a name is, and how far it goes.

use std::ops::Range;

use super::addresses::hook;
use super::bytes::{byte, ended, gap, is_blank, is_quote, is_token, past_quote, run};
use super::names::{HEADERS, SPACED, WITHIN, is_mechanism, is_scheme, is_setting, names_a_secret};
use super::{MARK, SHORT};

/// Options of a login, `name:password`.
pub const LOGINS: &[&str] = &["-u", "-U", "--user", "--proxy-user"];

/// A word of a line.
pub(super) struct Word<'a> {
    /// The line.
    pub bytes: &'a [u8],
    pub text: &'a str,
    /// Where it ends.
    pub end: usize,
    /// What stands before it in its line.
    pub line: Line,
    /// It is in a command line.
    pub commands: bool,
}

/// What of a line tells how a word behind it is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    /// Where a client of MySQL or MariaDB is named first.
    mysql: usize,
    /// Where a client of Redis is named first.
    redis: usize,
    /// Where somebody logs in to a registry of images first.
    registry: usize,
    /// Where `IDENTIFIED` stands first.
    identified: usize,
    /// Where SQL names users first.
    users: usize,
}

impl Line {
    pub fn of(text: &str) -> Self {
        let lower = text.to_ascii_lowercase();
        let first = |words: &[&str]| {
            let places = words.iter().filter_map(|word| lower.find(word));
            places.min().unwrap_or(usize::MAX)
        };
        Self {
            mysql: first(&["mysql", "mariadb"]),
            redis: first(&["redis-cli", "valkey-cli"]),
            registry: first(&["docker", "podman", "buildah", "skopeo", "nerdctl"])
                .max(first(&["login ", "login\""])),
            identified: first(&["identified"]),
            users: first(&["user ", "role ", "grant "]),
        }
    }
}

impl Word<'_> {
    /// The secret behind it, if there is one.
    pub fn value(&self) -> Option<Range<usize>> {
        self.set()
            .or_else(|| self.token())
            .or_else(|| self.mail())
            .or_else(|| self.of_mysql())
            .or_else(|| self.named())
            .or_else(|| self.login())
            .or_else(|| self.attached())
            .or_else(|| self.identified())
            .or_else(|| hook(self.bytes, self.text, self.end))
    }

    /// `NAME=value` of a command line.
    fn set(&self) -> Option<Range<usize>> {
        let set = self.commands && is_setting(self.text) && byte(self.bytes, self.end) == b'=';
        set.then(|| self.extent(self.end + 1))
    }

    /// `Bearer token`.
    fn token(&self) -> Option<Range<usize>> {
        let Self { bytes, end, .. } = *self;
        if !is_scheme(self.text) || !is_blank(byte(bytes, end)) {
            return None;
        }
        let from = gap(bytes, end);
        let to = run(bytes, from, is_token);
        let token = bytes.get(from..to).unwrap_or_default();
        if token.ends_with(b"=") && past_quote(bytes, to) > to {
            // `Digest username="a", response="b"`
            return Some(from..header(bytes, from));
        }
        // `Basic authentication` is no login.
        let bare =
            !self.text.eq_ignore_ascii_case("bearer") && token.iter().all(u8::is_ascii_lowercase);
        (to >= from + SHORT && !bare).then_some(from..to)
    }

    /// `AUTH PLAIN login`: what was written to a mail server. What one offers (`AUTH PLAIN LOGIN CRAM-MD5`) is in upper case.
    fn mail(&self) -> Option<Range<usize>> {
        let Self { bytes, end, .. } = *self;
        if !is_mechanism(self.text) || !is_blank(byte(bytes, end)) {
            return None;
        }
        let before = bytes.get(..end.checked_sub(self.text.len())?)?;
        let command = before.trim_ascii_end();
        let ends = |with: &[u8]| {
            let at = command.len().checked_sub(with.len());
            let word = at.and_then(|at| command.get(at..));
            word.is_some_and(|word| word.eq_ignore_ascii_case(with))
        };
        if command.len() == before.len() || !(ends(b"auth") || ends(b"authenticate")) {
            return None;
        }
        let from = gap(bytes, end);
        let to = run(bytes, from, is_token);
        let offered = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'-';
        let is = !bytes.get(from..to)?.iter().all(offered);
        is.then_some(from..to)
    }

    /// `mysql -ppassword`, also where the password has the name of a secret in it. What is such a name and no more may be an option.
    fn of_mysql(&self) -> Option<Range<usize>> {
        let option = self.text.strip_prefix("-p")?;
        let name = self.text.get(1..)?;
        let named = WITHIN.iter().any(|word| name.eq_ignore_ascii_case(word));
        (!option.is_empty() && !named)
            .then(|| self.attached())
            .flatten()
    }

    /// The value of a name that names a secret.
    fn named(&self) -> Option<Range<usize>> {
        let Self { bytes, end, .. } = *self;
        let before = end.checked_sub(self.text.len() + 1);
        // The signature of an address; elsewhere it may be the number of a signal.
        let signs =
            self.text == "sig" && before.is_some_and(|at| matches!(byte(bytes, at), b'?' | b'&'));
        if !signs && !names_a_secret(self.text) {
            return None;
        }
        let option = self.text.starts_with('-');
        let lower = self.text.to_ascii_lowercase();
        // The name may be quoted, and the quote itself be.
        let at = past_quote(bytes, end);
        let spaced = gap(bytes, at);
        // `name="password" value="x"`
        let quoted = at > end && spaced > at;
        if let Some(from) = quoted.then(|| self.attribute(spaced)).flatten() {
            return Some(self.extent(from));
        }
        let from = match byte(bytes, spaced) {
            b'=' | b':' => {
                let behind = run(bytes, spaced, |b| matches!(b, b'=' | b':' | b'>'));
                let from = gap(bytes, behind);
                // `key="password" value="x"`
                self.paired(from).unwrap_or(from)
            }
            // `<password>x</password>`
            b'>' if spaced == end && self.is_element() => return Some(self.element()),
            // `client_secret%3Dx`
            b'%' if spaced == end && self.is_spelled(end, b"%3d") => return Some(self.encoded()),
            b',' if at > end => {
                let next = gap(bytes, spaced + 1);
                let inner = past_quote(bytes, next);
                match inner > next && byte(bytes, inner) != b'-' {
                    // `"--password", "x"`
                    true if option => next,
                    // `"name": "password", "value": "x"`
                    true => self.member(inner)?,
                    false => return None,
                }
            }
            // `--password x`
            next if (option || SPACED.contains(&lower.as_str())) && spaced > at && next != b'-' => {
                spaced
            }
            // `PASSWORD('x')`
            b'(' if lower.contains("password") && is_quote(byte(bytes, spaced + 1)) => spaced + 1,
            // `PASSWORD 'x'`
            quote if is_quote(quote) && spaced > at && lower.contains("password") => spaced,
            _ => return None,
        };
        Some(self.extent(from))
    }

    /// Where the value of the member `value` is, whose name begins at `from`.
    fn member(&self, from: usize) -> Option<usize> {
        let name = b"value";
        let end = from + name.len();
        let named = self.bytes.get(from..end)?.eq_ignore_ascii_case(name);
        let quoted = past_quote(self.bytes, end);
        let colon = gap(self.bytes, quoted);
        let is = named && quoted > end && byte(self.bytes, colon) == b':';
        is.then(|| gap(self.bytes, colon + 1))
    }

    /// The password of a login that is given to a program: `curl -u name:password`, `sshpass -p password`.
    fn login(&self) -> Option<Range<usize>> {
        let Self { bytes, end, .. } = *self;
        let between = |b| is_blank(b) || is_quote(b) || matches!(b, b',' | b'=' | b'\\');
        let next = run(bytes, end, between);
        if self.text == "sshpass" && bytes.get(next..)?.starts_with(b"-p") {
            let from = run(bytes, next + 2, between);
            return Some(self.inner(from));
        }
        let whole = match self.text {
            "-a" => self.line.redis < end,
            "-p" => self.line.registry < end,
            _ => false,
        };
        if whole && next > end && byte(bytes, next) != b'-' {
            return Some(self.inner(next));
        }
        if next == end || !LOGINS.contains(&self.text) {
            return None;
        }
        self.password(self.inner(next))
    }

    /// The password of a login without a blank before it: `mysql -ppassword`, `curl -uname:password`.
    fn attached(&self) -> Option<Range<usize>> {
        let begin = self.end.checked_sub(self.text.len())?;
        let option = self.text.get(..2)?;
        let from = begin + 2;
        let quoted = begin.checked_sub(1).map(|at| byte(self.bytes, at));
        let value = match quoted.is_some_and(is_quote) {
            true => from..self.inner(begin).end,
            false => self.inner(past_quote(self.bytes, from)),
        };
        match option {
            "-p" if self.line.mysql < begin => (!value.is_empty()).then_some(value),
            "-u" | "-U" => self.password(value),
            _ => None,
        }
    }

    /// What follows the name in `name:password`.
    fn password(&self, login: Range<usize>) -> Option<Range<usize>> {
        let text = self.bytes.get(login.clone())?;
        let from = text.iter().position(|b| *b == b':')? + 1;
        let password = text.get(from..)?;
        // Numbers are of a user and a group, and two slashes of an address.
        let is = !password.starts_with(b"//") && !password.iter().all(u8::is_ascii_digit);
        is.then_some(login.start + from..login.end)
    }

    /// `IDENTIFIED BY 'x'`, `IDENTIFIED WITH plugin AS 'x'`.
    fn identified(&self) -> Option<Range<usize>> {
        let Self { bytes, end, .. } = *self;
        let word = |is: &str| self.text.eq_ignore_ascii_case(is);
        if self.line.identified >= end || !(word("by") || word("as") || word("using")) {
            return None;
        }
        let from = gap(bytes, end);
        let inner = past_quote(bytes, from);
        if inner > from {
            return Some(self.inner(inner));
        }
        // Oracle's has no quotes; a sentence has none either.
        let value = from..ended(bytes, from, self.commands);
        let text = bytes.get(value.clone()).unwrap_or_default();
        let is = word("by") && from > end && self.line.users < end;
        (is && !text.eq_ignore_ascii_case(b"password")).then_some(value)
    }

    /// What begins at `from`, behind its quote if it has one.
    fn inner(&self, from: usize) -> Range<usize> {
        match from.checked_sub(1).map(|at| byte(self.bytes, at)) {
            Some(quote) if is_quote(quote) => {
                let escaped = from > 1 && byte(self.bytes, from - 2) == b'\\';
                match escaped {
                    true => from..run(self.bytes, from, |b| b != b'\\'),
                    false => from..closing(self.bytes, from, quote),
                }
            }
            _ => from..ended(self.bytes, from, self.commands),
        }
    }

    /// How far a value that begins at `from` goes.
    fn extent(&self, from: usize) -> Range<usize> {
        let Self {
            bytes, commands, ..
        } = *self;
        let rest = bytes.get(from..).unwrap_or_default();
        let lower = self.text.to_ascii_lowercase();
        if HEADERS.iter().any(|header| lower.contains(header)) {
            let inner = past_quote(bytes, from);
            return inner..header(bytes, inner);
        }
        if rest.starts_with(MARK.as_bytes()) {
            // Whoever wrote the mark before it does not save what follows.
            return from..ended(bytes, from + MARK.len(), commands);
        }
        let inner = past_quote(bytes, from);
        match byte(bytes, from) {
            quote if is_quote(quote) => inner..closing(bytes, inner, quote),
            b'\\' if inner > from => inner..run(bytes, inner, |b| b != b'\\'),
            // A list or an object: what is in it belongs to the name.
            b'[' | b'{' | b'(' => from..bytes.len(),
            _ => {
                let to = ended(bytes, from, commands);
                let word = bytes.get(from..to);
                let word = word.and_then(|word| std::str::from_utf8(word).ok());
                if word.is_some_and(is_scheme) && is_blank(byte(bytes, to)) {
                    return from..ended(bytes, gap(bytes, to), commands);
                }
                from..to
            }
        }
    }
}

/// Where the value of a header ends: before a quote that opens none of its own values, or with the line.
fn header(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() {
        let inner = past_quote(bytes, at);
        let opens = at > from && byte(bytes, at - 1) == b'=';
        at = match byte(bytes, at) {
            b'\\' if inner > at && opens => {
                let quote = [b'\\', byte(bytes, at + 1)];
                match super::bytes::find(bytes, inner, &quote) {
                    Some(close) => close + quote.len(),
                    None => bytes.len(),
                }
            }
            quote if is_quote(quote) && opens => closing(bytes, inner, quote) + 1,
            b'\\' | b'\r' => return at,
            quote if is_quote(quote) => return at,
            _ => at + 1,
        };
    }
    bytes.len()
}

/// Where a quoted text ends: before its quote, or with the line.
pub(super) fn closing(bytes: &[u8], from: usize, quote: u8) -> usize {
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
