//! What the distribution says of itself: os-release(5), /etc before /usr/lib.
//!
//! Quotes and escapes are read as node_exporter reads them. A line that is none costs that line, where it costs everything there.

use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{label, lines, trim};
use crate::host::{Pass, Root};
use crate::model::moment::Timestamp;
use crate::subject::{Absent, Asker, Invalid, ItemError, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Os;

/// Where it stands, the first that is there.
const FILES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];
/// Names in the file, in the order of the labels.
const NAMES: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];
const SUPPORT_END: &str = "SUPPORT_END";

crate::families! { Os:
    INFO gauge "node_os_info" ["build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id", "version", "version_codename", "version_id"] "What the distribution says of itself";
    SUPPORT gauge "node_os_support_end_timestamp_seconds" [] "When the distribution is no longer supported, in Unix seconds";
    VERSION gauge "node_os_version" ["id", "id_like", "name"] "Number at the beginning of the distribution's version, with at most one point; left out where it is 0";
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    texts: [String; NAMES.len()],
    support_end: Option<i64>,
}

impl Reading {
    /// The number at the beginning of `VERSION_ID`: 12.34 of `12.34.5`.
    fn version(&self) -> Option<f64> {
        let text = self.texts.last()?;
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(text);
        let part = text.get(whole..)?.strip_prefix('.');
        let end = whole + part.map_or(0, |part| 1 + digits(part));
        let version: f64 = text.get(..end)?.parse().ok()?;
        (whole > 0 && version > 0.0).then_some(version)
    }
}

/// The name and the value of a line; none where it is a comment or nothing.
fn assignment(line: &[u8]) -> Result<Option<(&[u8], String)>, &'static str> {
    if trim(line).is_empty() || trim(line).starts_with(b"#") {
        return Ok(None);
    }
    let equals = line.iter().position(|b| *b == b'=').ok_or("no =")?;
    let (name, value) = line.split_at_checked(equals).unwrap_or_default();
    let name = trim(name);
    let name = name.strip_prefix(b"export ").unwrap_or(name);
    if !name
        .first()
        .is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
    {
        return Err("no name before the =");
    }
    let value = unquoted(trim(value.get(1..).unwrap_or_default()))?;
    Ok(Some((name, label(&value).into_owned())))
}

/// A value without its quotes and escapes, and without the comment behind it.
fn unquoted(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(value.len());
    let mut quote = None;
    // White space before a comment is no part of the value, unless it is quoted.
    let mut significant = 0;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (_, 0..32) => return Err("a control character"),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'#') => {
                out.truncate(significant);
                return Ok(out);
            }
            (None, b' ') => out.push(byte),
            (Some(end), _) if byte == end => quote = None,
            (Some(b'"'), b'\\') => {
                out.push(match bytes.next() {
                    Some(escaped @ (b'"' | b'\\')) => escaped,
                    Some(b'n') => b'\n',
                    Some(b't') => b'\t',
                    _ => return Err("an escape that is none"),
                });
                significant = out.len();
            }
            _ => {
                out.push(byte);
                significant = out.len();
            }
        }
    }
    match quote {
        None => Ok(out),
        Some(_) => Err("a quote without an end"),
    }
}

/// The first second of a day written as 2026-11-26, in Unix seconds.
fn day(text: &str) -> Option<i64> {
    let fits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let start = Timestamp::parse(&format!("{text}T00:00:00Z")).filter(|_| fits)?;
    Some(start.0 / 1000)
}

fn parse(text: &[u8]) -> (Reading, Vec<ItemError>) {
    let mut reading = Reading::default();
    let mut errors = Vec::new();
    for line in lines(text) {
        let (name, value) = match assignment(line) {
            Ok(Some(assignment)) => assignment,
            Ok(None) => continue,
            Err(why) => {
                errors.push(ItemError::new("line", line, why));
                continue;
            }
        };
        let known = NAMES.iter().position(|known| known.as_bytes() == name);
        if let Some(text) = known.and_then(|at| reading.texts.get_mut(at)) {
            *text = value;
        } else if name == SUPPORT_END.as_bytes() && !value.is_empty() {
            reading.support_end = day(&value);
            if reading.support_end.is_none() {
                errors.push(ItemError::new("line", line, "no day"));
            }
        }
    }
    (reading, errors)
}

impl Subject for Os {
    const NAME: &'static str = "os";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let [first, second] = FILES;
        // Not kept open: a new release comes as another file under the same name.
        let text = match pass.once(Root::Rootfs, first) {
            Err(error) if error.is_not_found() => pass.once(Root::Rootfs, second)?.to_vec(),
            other => other?.to_vec(),
        };
        let (reading, errors) = parse(&text);
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        page.family(&INFO)
            .push(reading.texts.each_ref().map(String::as_str), 1u64);
        if let Some(end) = reading.support_end {
            page.value(&SUPPORT, end as f64);
        }
        if let Some(version) = reading.version() {
            let [_, id, like, _, _, name, ..] = &reading.texts;
            page.family(&VERSION).push([id, like, name], version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    // What is expected is what node_exporter 1.12.1 told of these texts.
    #[test]
    fn reads_quotes_escapes_and_comments() {
        for (text, expected) in [
            ("NAME=\"A \\\"b\\\" \\n c\"", "A \"b\" \n c"),
            ("NAME = x y  ", "x y"),
            ("export NAME=v", "v"),
            ("NAME=a   # c", "a"),
            ("NAME=\"\u{e4}#\"  # k", "\u{e4}#"),
            ("NAME=\"a\"b'c d' e", "abc d e"),
            ("NAME=`x`$y\\z", "`x`$y\\z"),
            ("NAME=x\r", "x"),
            ("NAME=", ""),
        ] {
            let read = assignment(text.as_bytes());
            let expected = Ok(Some((&b"NAME"[..], expected.to_owned())));
            assert_eq!(read, expected, "{text}");
        }
        for none in ["", "\t", "# c", "#NAME=x"] {
            assert_eq!(assignment(none.as_bytes()), Ok(None), "{none}");
        }
        for bad in [
            "x",
            "=x",
            "1=x",
            "A=\"x",
            "A='x",
            "A=\"x\\",
            "A=\"\\x\"",
            "A=x\x01y",
        ] {
            assert!(assignment(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_version_is_a_number_with_one_point() {
        for (text, expected) in [
            ("12.34.5", Some(12.34)),
            ("12.", Some(12.0)),
            ("24.04", Some(24.04)),
            ("9x", Some(9.0)),
            ("0.0", None),
            (".5", None),
            ("v1", None),
            ("", None),
        ] {
            let (reading, _) = parse(format!("VERSION_ID={text}\n").as_bytes());
            assert_eq!(reading.version(), expected, "{text}");
        }
    }

    #[test]
    fn a_line_that_is_none_costs_itself() {
        let machine = Captured::new(&[(
            "usr/lib/os-release",
            "NAME=x\nhalf\nID=d\nSUPPORT_END=2026-02-30\nVERSION_ID=\"12\"\n",
        )]);
        let (page, errors) = machine.page::<Os>(&[]);
        assert!(
            page.ends_with("node_os_version{id=\"d\",id_like=\"\",name=\"x\"} 12\n"),
            "{page}"
        );
        assert_eq!(
            errors,
            ["line half: no =", "line SUPPORT_END=2026-02-30: no day"]
        );
        machine.put("etc/os-release", "SUPPORT_END=2026-02-28\n");
        let (page, errors) = machine.page::<Os>(&[]);
        assert!(
            page.contains("node_os_support_end_timestamp_seconds 1772236800\n"),
            "{page}"
        );
        assert!(errors.is_empty() && page.starts_with("node_os_info{build_id=\"\","));
    }
}
