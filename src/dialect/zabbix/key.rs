//! Item keys: `name` or `name[first,"second, quoted",[an,array]]`.
//!
//! Owns the grammar and nothing else: which keys exist and what their parameters mean is known
//! elsewhere. The rules were compared with the classic agents of Zabbix 6.0 and 7.0; where agent 2
//! is stricter (a space behind an array) the classic agent is followed.
//!
//! ```text
//! key     = name [ "[" parameter *( "," parameter ) "]" ]          nothing may follow
//! name    = 1*( A-Z a-z 0-9 _ . - )
//! parameter = *space ( quoted *space / array *space / bare )
//! bare    = anything up to "," or "]"; trailing spaces belong to it; may be empty
//! quoted  = '"' text '"'; inside, \" is a quote and any other backslash stands for itself
//! array   = "[" parameters without a further array "]"; its value is its text as written
//! ```
//!
//! The surprising one: an array is no list. Its value is the text between its brackets, quotes
//! and all, so `[a]` equals `a`, and `["a"]` equals `"\"a\""`.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// An item key, taken apart. Borrows from the text it was parsed from wherever it can: a key
/// without parameters costs no allocation. Keys are equal when name and parameters are, however
/// the parameters were quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    name: Cow<'a, str>,
    params: Vec<Cow<'a, str>>,
}

/// Why a text is no item key. On the wire all of these read "Invalid item key format."; these
/// texts are for the command line and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAKey {
    /// There is no name, or the text is empty.
    #[error("an item key starts with a name of letters, digits, '_', '.' and '-'")]
    NoName,
    /// Something other than `[` follows the name.
    #[error("byte {0}: a name has letters, digits, '_', '.' and '-'; parameters stand in [ ]")]
    AfterName(usize),
    /// The closing bracket or quote is missing.
    #[error("a bracket or a quote is not closed")]
    Unclosed,
    /// Something other than a space, `,` or `]` follows a quoted parameter or an array.
    #[error("byte {0}: only ',' or ']' may follow a quoted parameter or an array")]
    AfterParameter(usize),
    /// An array inside an array.
    #[error("byte {0}: an array inside an array")]
    Nested(usize),
    /// Something follows the closing bracket.
    #[error("byte {0}: text after the closing bracket")]
    Trailing(usize),
}

impl<'a> Key<'a> {
    /// Parses a key. Nothing is trimmed: what is around the key is the caller's affair.
    ///
    /// # Errors
    /// [`NotAKey`] with the byte offset where the grammar was left.
    pub fn parse(text: &'a str) -> Result<Self, NotAKey> {
        let mut scan = Scan { text, at: 0 };
        scan.while_byte(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        let name = Cow::Borrowed(scan.since(0));
        if name.is_empty() {
            return Err(NotAKey::NoName);
        }
        let mut params = Vec::new();
        match scan.peek() {
            None => return Ok(Self { name, params }),
            Some(b'[') => scan.at += 1,
            Some(_) => return Err(NotAKey::AfterName(scan.at)),
        }
        loop {
            params.push(scan.parameter()?);
            if scan.closed_after_parameter()? {
                break;
            }
        }
        if scan.peek().is_some() {
            return Err(NotAKey::Trailing(scan.at));
        }
        Ok(Self { name, params })
    }

    /// Parses a key as it came off the wire. Bytes that are no UTF-8 become U+FFFD: they can only
    /// stand in parameters, and the classic agent takes those as they are.
    ///
    /// # Errors
    /// As [`Key::parse`].
    pub fn parse_bytes(bytes: &'a [u8]) -> Result<Self, NotAKey> {
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => Self::parse(text),
            Cow::Owned(text) => Key::parse(&text).map(Key::into_owned),
        }
    }

    /// The name, without parameters. Case matters.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parameter at `index`, counted from 0, unquoted; "" when it is empty or not there:
    /// either way the default is meant.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", AsRef::as_ref)
    }

    /// How many parameters were written; `name` has none, `name[]` has one, which is empty.
    pub fn count(&self) -> usize {
        self.params.len()
    }

    /// All parameters as written, empty ones included.
    pub fn params(&self) -> impl ExactSizeIterator<Item = &str> {
        self.params.iter().map(AsRef::as_ref)
    }

    /// The same key, with nothing borrowed.
    pub fn into_owned(self) -> Key<'static> {
        Key {
            name: Cow::Owned(self.name.into_owned()),
            params: self
                .params
                .into_iter()
                .map(|param| Cow::Owned(param.into_owned()))
                .collect(),
        }
    }
}

/// The canonical form: no spaces, quotes only where they are needed. It parses back to an equal key.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let mut before = '[';
        for param in &self.params {
            f.write_char(before)?;
            before = ',';
            let bare = !param.starts_with([' ', '"', '[']) && !param.contains([',', ']']);
            if bare {
                f.write_str(param)?;
            } else if param.ends_with('\\') {
                // A quote behind it would count as escaped. Such a value can only have been
                // written as an array, so it can be again.
                write!(f, "[{param}]")?;
            } else {
                f.write_char('"')?;
                for (index, part) in param.split('"').enumerate() {
                    if index > 0 {
                        f.write_str("\\\"")?;
                    }
                    f.write_str(part)?;
                }
                f.write_char('"')?;
            }
        }
        if before == ',' {
            f.write_char(']')?;
        }
        Ok(())
    }
}

/// A place in a text. Every stop is beside an ASCII byte, so slices never split a character.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn while_byte(&mut self, wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest
            .iter()
            .position(|&byte| !wanted(byte))
            .unwrap_or(rest.len());
    }

    fn spaces(&mut self) {
        self.while_byte(|byte| byte == b' ');
    }

    fn bare(&mut self) {
        self.while_byte(|byte| byte != b',' && byte != b']');
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Stops behind a parameter and the spaces that do not belong to it.
    fn parameter(&mut self) -> Result<Cow<'a, str>, NotAKey> {
        self.spaces();
        let value = match self.peek() {
            Some(b'"') => {
                let text = self.quoted()?;
                if text.contains("\\\"") {
                    Cow::Owned(text.replace("\\\"", "\""))
                } else {
                    Cow::Borrowed(text)
                }
            }
            Some(b'[') => Cow::Borrowed(self.array()?),
            _ => {
                let start = self.at;
                self.bare();
                return Ok(Cow::Borrowed(self.since(start)));
            }
        };
        self.spaces();
        Ok(value)
    }

    /// The text between the quotes, still escaped.
    fn quoted(&mut self) -> Result<&'a str, NotAKey> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        while let Some(byte) = self.peek() {
            if byte == b'"' && !escaped {
                let text = self.since(start);
                self.at += 1;
                return Ok(text);
            }
            escaped = byte == b'\\';
            self.at += 1;
        }
        Err(NotAKey::Unclosed)
    }

    fn array(&mut self) -> Result<&'a str, NotAKey> {
        self.at += 1;
        self.spaces();
        let start = self.at;
        loop {
            self.spaces();
            match self.peek() {
                Some(b'[') => return Err(NotAKey::Nested(self.at)),
                Some(b'"') => {
                    self.quoted()?;
                    self.spaces();
                }
                _ => self.bare(),
            }
            let end = self.at;
            if self.closed_after_parameter()? {
                return Ok(self.text.get(start..end).unwrap_or_default());
            }
        }
    }

    /// Steps over the `,` or `]` behind a parameter; true for `]`.
    fn closed_after_parameter(&mut self) -> Result<bool, NotAKey> {
        let closed = match self.peek() {
            Some(b']') => true,
            Some(b',') => false,
            Some(_) => return Err(NotAKey::AfterParameter(self.at)),
            None => return Err(NotAKey::Unclosed),
        };
        self.at += 1;
        Ok(closed)
    }
}

#[cfg(test)]
mod tests;
