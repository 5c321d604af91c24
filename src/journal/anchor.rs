//! Hashes kept elsewhere: the hash of a record, as nodeward sent or printed it, found in a line of text.
//!
//! Lines hold what alerts wrote too, and that may be any hash. So a line is read as what it is, and of it the chain alone counts.

use serde_json::{Map, Value};

use super::chain::Hash;
use super::entry::Kind;
use crate::model::moment::Timestamp;

/// Longest line that is read, in bytes; what is longer is no anchor. Events to be sent are far shorter, and so are records.
pub const LONGEST_LINE: usize = 4 << 20;
/// The name by which nodeward sends: tag of syslog, vendor and product of CEF, module of ECS.
const NAME: &str = "nodeward";

/// Reads a form: what stands before it in the line, and the rest.
type Read = fn(&str, &str) -> Option<Anchor>;

/// The hash of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// The record's number, from 1, where that is said.
    pub seq: Option<i64>,
    /// Its hash.
    pub hash: Hash,
    /// When it was, where that is said.
    pub time: Option<Timestamp>,
}

impl Anchor {
    /// Reads a line: an event in one of the forms that are sent, a line of `journal export`, a hash, or a number and a hash. None for
    /// every other line. Linear in the line.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        if line.len() > LONGEST_LINE {
            return None;
        }
        let line = line.trim();
        // What comes first is ours: the header before it holds nothing that an alert wrote.
        let forms: [(&str, Read); 3] = [
            ("[nodeward@", structured),
            ("CEF:0|", cef),
            ("{", |_, object| json(object)),
        ];
        let found = forms.into_iter().filter_map(|(begin, read)| {
            let at = line.find(begin)?;
            Some((at, read))
        });
        match found.min_by_key(|(at, _)| *at) {
            Some((at, read)) => {
                let (header, body) = line.split_at_checked(at)?;
                read(header, body)
            }
            None => bare(line),
        }
    }

    fn of(seq: i64, hash: &str) -> Option<Self> {
        // A message of a trial is of no record.
        (seq > 0).then_some(())?;
        Some(Self {
            seq: Some(seq),
            hash: hash.parse().ok()?,
            time: None,
        })
    }

    fn at(self, time: Option<Timestamp>) -> Self {
        Self { time, ..self }
    }
}

/// `HASH`, or `SEQ HASH`.
fn bare(line: &str) -> Option<Anchor> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(hash), None, None) => Some(Anchor {
            seq: None,
            hash: hash.parse().ok()?,
            time: None,
        }),
        (Some(seq), Some(hash), None) => Anchor::of(seq.parse().ok()?, hash),
        _ => None,
    }
}

/// Structured data of RFC 5424. In the header before it the name is the application of RFC 5424, with process and message behind it,
/// or the tag of a receiver's own form, `nodeward[4242]:`; there may be none. What came by the local socket has its data in the text, behind
/// the `-` of none.
fn structured(header: &str, data: &str) -> Option<Anchor> {
    // That of RFC 5424, or a receiver's own with the same form of a time; those of another form tell none.
    let time = header.split_whitespace().take(2).find_map(Timestamp::parse);
    let header = header.trim_end();
    let header = header.strip_suffix(" -").unwrap_or(header);
    let mut last = header.split_whitespace().rev().take(3).peekable();
    let ours = |word: &str| word.split(['[', ':']).next() == Some(NAME);
    if last.peek().is_some() && !last.any(ours) {
        return None;
    }
    let (enterprise, mut rest) = data.strip_prefix("[nodeward@")?.split_once(' ')?;
    if !enterprise.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let (mut seq, mut chain) = (None, None);
    loop {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = value(quoted)?;
        match name {
            "seq" => seq = Some(value),
            "chain" => chain = Some(value),
            _ => {}
        }
        match after.strip_prefix(' ') {
            Some(more) => rest = more,
            None if after.starts_with(']') => break,
            None => return None,
        }
    }
    match seq {
        Some(seq) => Anchor::of(seq.parse().ok()?, chain?).map(|anchor| anchor.at(time)),
        None => Some(Anchor {
            seq: None,
            hash: chain?.parse().ok()?,
            time,
        }),
    }
}

/// A value as far as its end quote, and what is behind that. No value that is looked for has an escape in it.
fn value(quoted: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in quoted.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((quoted.get(..at)?, quoted.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// CEF: the extension behind seven fields. In a value each `=` is escaped, so that what is none is the end of a key.
fn cef(_: &str, body: &str) -> Option<Anchor> {
    let mut fields = Vec::new();
    let (mut begin, mut escaped) = (0, false);
    for (at, byte) in body.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'|' => {
                fields.push(body.get(begin..at)?);
                begin = at + 1;
            }
            _ => {}
        }
        if fields.len() == 7 {
            break;
        }
    }
    if fields.get(1..3)? != [NAME, NAME] || fields.len() != 7 {
        return None;
    }
    let extension = body.get(begin..)?;
    let of = |key: &str| {
        extension.split(' ').find_map(|word| {
            let (name, value) = word.split_once('=')?;
            (name == key).then_some(value)
        })
    };
    if (of("cs5Label")?, of("cn2Label")?) != ("chain", "seq") {
        return None;
    }
    let time = of("rt").and_then(|millis| Some(Timestamp(millis.parse().ok()?)));
    Anchor::of(of("cn2")?.parse().ok()?, of("cs5")?).map(|anchor| anchor.at(time))
}

/// An object: an event of the Elastic Common Schema, what is posted to a web server, or a record that was exported. What is behind it
/// is nobody's.
fn json(text: &str) -> Option<Anchor> {
    let mut objects = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let object = objects.next()?.ok()?;
    let text = |name: &str| object.get(name)?.as_str();
    let at = |name: &str| text(name).and_then(Timestamp::parse);
    if let Some(event) = object.get("event") {
        (event.get("module")?.as_str()? == NAME).then_some(())?;
        let seq = event.get("sequence")?.as_i64()?;
        let time = at("@timestamp");
        return Anchor::of(seq, event.get("hash")?.as_str()?).map(|anchor| anchor.at(time));
    }
    let seq = object.get("seq")?.as_i64()?;
    if let Some(chain) = text("chain") {
        text("what").and(text("node")).and(text("incident"))?;
        return Anchor::of(seq, chain).map(|anchor| anchor.at(at("time")));
    }
    let kind = text("kind")?;
    Kind::of(kind)?;
    let time = at("time")?;
    Anchor::of(seq, text("hash")?).map(|anchor| anchor.at(Some(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c";
    const OTHER: &str = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";

    fn found(line: &str) -> Option<(Option<i64>, String)> {
        Anchor::read(line).map(|anchor| (anchor.seq, anchor.hash.to_string()))
    }

    #[test]
    fn of_each_form_the_chain_alone_is_found() {
        let data = format!(
            "[nodeward@32473 seq=\"7\" playbook=\"{OTHER}\" cause=\"a\\\"]\" chain=\"{HASH}\"]"
        );
        for line in [
            format!(
                "<106>1 2026-11-25T22:51:11.198Z db-01 nodeward 4242 DECISION {data} \u{feff}{OTHER} chain=\"{OTHER}\""
            ),
            format!("<106>1 2026-11-25T22:51:11.198Z db-01 nodeward 4242 - -  {data} {OTHER}"),
            format!("2026-11-25T22:51:11+00:00 db-01 nodeward[4242]: {data} {OTHER}\r\n"),
            format!("Nov 25 22:51:11 db-01 nodeward: {data} {{\"seq\": 8}}"),
            format!("{data} x"),
            format!(
                "Nov 25 22:51:11 db-01 nodeward[1]: CEF:0|nodeward|nodeward|0.1.0|{OTHER}\\||x|3|rt=1 cs1=x cs5\\={OTHER} cs2={OTHER} cs5={HASH} \
                 cs5Label=chain cn2=7 cn2Label=seq msg={OTHER} cs5\\={OTHER}"
            ),
            format!(
                "<110>1 - db-01 nodeward 1 INTENT - {{\"message\": \"{OTHER}\", \"event\": {{\"module\": \"nodeward\", \"sequence\": 7, \"hash\": \
                 \"{HASH}\"}}, \"labels\": {{\"a\": \"[nodeward@1 seq=\\\"3\\\" chain=\\\"{OTHER}\\\"]\"}}}}"
            ),
            format!(
                "{{\"what\": \"intent\", \"node\": \"a\", \"incident\": \"\", \"labels\": {{\"a\": \"{OTHER}\"}}, \"seq\": 7, \"chain\": \"{HASH}\", \
                 \"record\": {{\"seq\": 7, \"data\": {{\"hash\": \"{OTHER}\"}}}}}}"
            ),
            format!(
                "{{\"seq\":7,\"time\":\"2026-11-22T16:38:47.198Z\",\"kind\":\"intent\",\"data\":{{\"hash\":\"{OTHER}\"}},\"hash\":\"{HASH}\"}}"
            ),
            format!("7\t{HASH}"),
        ] {
            assert_eq!(found(&line), Some((Some(7), HASH.into())), "{line}");
        }
        let unnumbered = [HASH.to_owned(), format!("[nodeward@1 chain=\"{HASH}\"]")];
        for line in unnumbered {
            assert_eq!(found(&line), Some((None, HASH.into())), "{line}");
        }
    }

    #[test]
    fn of_each_form_that_says_when_the_time_is_found() {
        let data = format!("[nodeward@32473 seq=\"7\" chain=\"{HASH}\"]");
        for line in [
            format!(
                "<106>1 2026-11-25T22:51:11.198Z db-01 nodeward 4242 DECISION {data} 2020-01-01T00:00:00Z"
            ),
            format!("2026-11-25T22:51:11.198+00:00 db-01 nodeward[4242]: {data} x"),
            format!(
                "CEF:0|nodeward|nodeward|0.1.0|x|x|3|rt=1795647071198 cs5={HASH} cs5Label=chain cn2=7 cn2Label=seq"
            ),
            format!(
                "{{\"@timestamp\": \"2026-11-25T22:51:11.198Z\", \"event\": {{\"module\": \"nodeward\", \"sequence\": 7, \"hash\": \"{HASH}\"}}}}"
            ),
            format!(
                "{{\"time\": \"2026-11-25T22:51:11.198Z\", \"what\": \"intent\", \"node\": \"a\", \"incident\": \"\", \"seq\": 7, \"chain\": \"{HASH}\"}}"
            ),
            format!(
                "{{\"seq\":7,\"time\":\"2026-11-25T22:51:11.198Z\",\"kind\":\"intent\",\"hash\":\"{HASH}\"}}"
            ),
        ] {
            let time = Anchor::read(&line).unwrap().time;
            assert_eq!(time, Some(Timestamp(1_795_647_071_198)), "{line}");
        }
        for line in [
            format!("Nov 25 22:51:11 db-01 nodeward[1]: {data} 2020-01-01T00:00:00Z"),
            format!("7 {HASH}"),
        ] {
            assert_eq!(Anchor::read(&line).unwrap().time, None, "{line}");
        }
    }

    #[test]
    fn what_is_of_no_form_is_no_anchor() {
        for line in [
            String::new(),
            format!("{HASH} {OTHER}"),
            format!("-1 {HASH}"),
            format!("sha256:{HASH}"),
            format!("sshd[1]: no user [nodeward@1 seq=\"7\" chain=\"{HASH}\"]"),
            format!("[nodeward@1 seq=\"7\" chain=\"{HASH}\""),
            format!("[nodeward@1 seq=\"0\" chain=\"{HASH}\"]"),
            format!(
                "CEF:0|nodeward|nodeward|0.1.0|x|x|3|cs5={HASH} cs5Label=hash cn2=7 cn2Label=seq"
            ),
            format!(
                "CEF:0|other|nodeward|0.1.0|x|x|3|cs5={HASH} cs5Label=chain cn2=7 cn2Label=seq"
            ),
            format!(
                "{{\"event\": {{\"module\": \"other\", \"sequence\": 7, \"hash\": \"{HASH}\"}}}}"
            ),
            format!("{{\"seq\": 7, \"hash\": \"{HASH}\"}}"),
            format!("{{\"seq\": 7, \"chain\": \"{HASH}\"}}"),
            format!("{}{HASH}", "{\"event\":".repeat(100_000)),
            format!("{HASH}{}", " ".repeat(LONGEST_LINE)),
        ] {
            assert_eq!(found(&line), None, "{}", line.get(..200).unwrap_or(&line));
        }
    }
}
