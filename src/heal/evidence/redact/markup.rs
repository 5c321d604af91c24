//! Values in elements and attributes of XML, and in what an address spells out.

use std::ops::Range;

use super::bytes::{byte, ends_value, gap, is_name, is_quote, past_quote, run};
use super::names::names_a_secret;
use super::value::{Word, closing};

impl Word<'_> {
    /// The value of `<password>x</password>`, of which the name is the word.
    pub(super) fn element(&self) -> Range<usize> {
        self.end + 1..run(self.bytes, self.end + 1, |b| b != b'<')
    }

    /// Where the value of the attribute `value` is, if the value that begins at `from` is but the name of a secret.
    pub(super) fn paired(&self, from: usize) -> Option<usize> {
        let inner = past_quote(self.bytes, from);
        let close = match byte(self.bytes, from) {
            quote if is_quote(quote) => closing(self.bytes, inner, quote),
            _ => return None,
        };
        let name = std::str::from_utf8(self.bytes.get(inner..close)?).ok()?;
        if !names_a_secret(name) || !name.bytes().all(is_name) {
            return None;
        }
        let behind = past_quote(self.bytes, close);
        let next = gap(self.bytes, behind);
        (next > behind).then(|| self.attribute(next)).flatten()
    }

    /// Where the value of the attribute `value` is, whose name begins at `from`.
    pub(super) fn attribute(&self, from: usize) -> Option<usize> {
        let name = b"value";
        let end = from + name.len();
        let named = self.bytes.get(from..end)?.eq_ignore_ascii_case(name);
        let sign = gap(self.bytes, end);
        let is = named && byte(self.bytes, sign) == b'=';
        is.then(|| gap(self.bytes, sign + 1))
    }

    /// Whether it is the name in `<name>` or `<space:name>`.
    pub(super) fn is_element(&self) -> bool {
        let before = self.end.checked_sub(self.text.len() + 1);
        before.is_some_and(|at| matches!(byte(self.bytes, at), b'<' | b':'))
    }

    /// Whether this stands there, in either case.
    pub(super) fn is_spelled(&self, at: usize, what: &[u8]) -> bool {
        let there = self.bytes.get(at..at + what.len());
        there.is_some_and(|there| there.eq_ignore_ascii_case(what))
    }

    /// A value of which the sign before it and the `&` behind it are spelled out as in an address.
    pub(super) fn encoded(&self) -> Range<usize> {
        let from = self.end + 3;
        let mut to = from;
        while to < self.bytes.len()
            && !ends_value(byte(self.bytes, to))
            && !self.is_spelled(to, b"%26")
        {
            to += 1;
        }
        from..to
    }
}
