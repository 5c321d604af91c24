//! An event as one line of syslog: the header of RFC 5424 and a body in one of three forms.
//!
//! Whatever an alert wrote, it stays one record: control characters are escaped, values are quoted as their form wants it, and what is
//! too long is cut in the text, never in the structure.

use serde::{Deserialize, Serialize};

use super::{cef, ecs, rfc5424};
use crate::model::severity::Severity;
use crate::notify::Message;

/// Longest line in bytes, its count of octets not included: what receivers take by default.
pub(super) const LONGEST: usize = 8 * 1024;
/// Room for the header of the other form: priority, time, tag and process id.
const HEADER: usize = 64;
/// Stands where something was cut.
pub(super) const CUT: &str = "…(cut)";
/// `APP-NAME`.
pub(super) const NAME: &str = "nodeward";

/// What a line says after its header.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Structured data of RFC 5424, and a line for people.
    #[default]
    Rfc5424,
    /// ArcSight's Common Event Format, version 0.
    Cef,
    /// A JSON object of the Elastic Common Schema.
    Ecs,
}

/// What is the same for every line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub form: Form,
    /// 0 to 23.
    pub facility: u8,
    /// Private enterprise number.
    pub enterprise: u32,
    /// Ours.
    pub pid: u32,
}

impl Format {
    /// The line.
    pub fn line(&self, message: &Message<'_>) -> String {
        let event = message.event;
        let priority = self.facility * 8 + severity(event.severity);
        // Milliseconds: a receiver may refuse more than six digits. What is no time at all is left out.
        let time = event.time.to_string();
        let time = match time.bytes().next() {
            Some(b'0'..=b'9') if time.ends_with('Z') => time,
            _ => "-".to_owned(),
        };
        let host = word(&event.node, 255);
        let what = word(&event.what.to_ascii_uppercase(), 32);
        let pid = self.pid;
        let mut line = format!("<{priority}>1 {time} {host} {NAME} {pid} {what} ");
        match self.form {
            Form::Rfc5424 => {
                line.push_str(&rfc5424::data(message, self.enterprise));
                line.push_str(" \u{feff}");
                rfc5424::text(&mut line, &event.summary, LONGEST);
            }
            // Parsers of these begin at the first letter: no mark of the byte order.
            Form::Cef | Form::Ecs => {
                line.push_str("- ");
                let room = LONGEST.saturating_sub(line.len());
                line.push_str(&self.body(message, room));
            }
        }
        line
    }

    /// What follows the header, for one that has no place for structured data.
    pub fn text(&self, message: &Message<'_>) -> String {
        self.body(message, LONGEST - HEADER)
    }

    fn body(&self, message: &Message<'_>, most: usize) -> String {
        match self.form {
            Form::Rfc5424 => {
                let mut text = rfc5424::data(message, self.enterprise);
                text.push(' ');
                rfc5424::text(&mut text, &message.event.summary, most);
                text
            }
            Form::Cef => cef::body(message, most),
            Form::Ecs => ecs::body(message, most),
        }
    }
}

/// The severity's number (RFC 5424, table 2).
pub(super) const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 2,
        Severity::Warning => 4,
        Severity::Info => 6,
        Severity::Debug => 7,
    }
}

/// A field of the header: visible ASCII, never empty.
fn word(text: &str, longest: usize) -> String {
    let visible = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    match text.chars().take(longest).map(visible).collect::<String>() {
        empty if empty.is_empty() => "-".into(),
        word => word,
    }
}

/// Appends `text` as `escape` writes its letters, so that `line` has at most `most` bytes; what did not fit is marked.
pub(super) fn push(line: &mut String, text: &str, most: usize, escape: impl Fn(&mut String, char)) {
    let mut fits = line.len();
    for letter in text.chars() {
        escape(line, letter);
        if line.len() > most {
            line.truncate(fits);
            line.push_str(CUT);
            return;
        }
        if line.len() + CUT.len() <= most {
            fits = line.len();
        }
    }
}

/// Whether a letter breaks a line, or turns the direction of text around: both deceive people, if not programs.
pub(super) fn deceives(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Anchor, Hash};
    use crate::model::moment::Timestamp;
    use crate::model::notice::Notice;
    use crate::notify::tests::{evidence, notice};

    const FORMAT: Format = Format {
        form: Form::Rfc5424,
        facility: 13,
        enterprise: 32_473,
        pid: 4242,
    };

    fn line(notice: &Notice) -> String {
        FORMAT.line(&Message {
            event: &notice.clone().into(),
            seq: 7,
            chain: Hash::ZERO,
        })
    }

    /// Reads a line back by the grammar of RFC 5424: the header, the values, the text.
    fn read(line: &str) -> (Vec<&str>, Vec<(String, String)>, String) {
        let mut rest = line;
        let mut header = Vec::new();
        for _ in 0..6 {
            let (word, after) = rest.split_once(' ').unwrap();
            header.push(word);
            rest = after;
        }
        let mut letters = rest.strip_prefix("[nodeward@32473").unwrap().chars();
        let mut values = Vec::new();
        loop {
            match letters.next().unwrap() {
                ']' => break,
                space => assert_eq!(space, ' '),
            }
            let name: String = letters.by_ref().take_while(|c| *c != '=').collect();
            assert_eq!(letters.next(), Some('"'));
            let mut value = String::new();
            loop {
                match letters.next().unwrap() {
                    '"' => break,
                    '\\' => value.push(letters.next().unwrap()),
                    letter => {
                        assert_ne!(letter, ']');
                        value.push(letter);
                    }
                }
            }
            values.push((name, value));
        }
        let text = letters.as_str().strip_prefix(" \u{feff}").unwrap();
        (header, values, text.to_owned())
    }

    #[test]
    fn a_notice_is_one_line_of_rfc_5424() {
        let chain = "0".repeat(64);
        assert_eq!(
            line(&notice("e1")),
            format!(
                "<106>1 2026-11-25T22:51:11.198Z db-01 nodeward 4242 ESCALATED [nodeward@32473 seq=\"7\" id=\"e1\" \
                 incident=\"01JD\" playbook=\"web-down\" target=\"unit:web.service\" state=\"escalated\" \
                 attempt=\"01JD-3\" outcome=\"\" cause=\"exhausted\" by=\"\" from=\"\" evidence=\"\" chain=\"{chain}\"] \u{feff}web.service is not healed"
            )
        );
    }

    #[test]
    fn where_evidence_is_stands_in_the_structured_data() {
        let mut notice = notice("e1");
        notice.evidence = evidence();
        let hash = "9f".repeat(32);
        let line = line(&notice);
        let value = format!(" evidence=\"/api/v1/incidents/01JD/evidence 1:{hash}\" chain=");
        assert!(line.contains(&value), "{line}");
    }

    #[test]
    fn severities_are_those_of_the_table() {
        for (severity, priority) in [
            (Severity::Critical, "<106>"),
            (Severity::Warning, "<108>"),
            (Severity::Info, "<110>"),
            (Severity::Debug, "<111>"),
        ] {
            let mut notice = notice("e1");
            notice.severity = severity;
            assert!(line(&notice).starts_with(priority));
        }
    }

    #[test]
    fn hostile_text_neither_ends_the_line_nor_a_value() {
        let mut notice = notice("e1");
        notice.playbook = "a\"]b\\c\n<0>1 - evil\0".into();
        notice.cause = "x\u{85}\u{2028}\r".into();
        notice.summary = "one\r\n<0>1 - evil - - - - \u{1b}[31m\0\u{7f} é] \"q\" \u{feff}".into();
        notice.node = "web 1\nx\u{e9}".into();
        let line = line(&notice);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let (header, values, text) = read(&line);
        assert_eq!(header[2], "web_1_x_");
        let value = |name: &str| &values.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(value("playbook"), "a\"]b\\c\\n<0>1 - evil\\u{0}");
        assert_eq!(value("cause"), "x\\u{85}\\u{2028}\\r");
        assert_eq!(value("target"), "unit:web.service");
        assert_eq!(
            text,
            "one\\r\\n<0>1 - evil - - - - \\u{1b}[31m\\u{0}\\u{7f} é] \"q\" \\u{feff}"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_in_the_text_and_marked() {
        for letter in ["x", "é", "\n", "\u{10fffd}", "]"] {
            let mut notice = notice("e1");
            notice.summary = letter.repeat(20_000);
            let line = line(&notice);
            assert!(
                line.len() <= LONGEST && line.len() > LONGEST - 16,
                "{}",
                line.len()
            );
            let (_, values, text) = read(&line);
            assert_eq!(values.len(), 13);
            assert!(text.ends_with(CUT));
        }
        // What just fits is not marked.
        let mut notice = notice("e1");
        notice.summary = String::new();
        let room = LONGEST - line(&notice).len();
        notice.summary = "x".repeat(room);
        assert!(line(&notice).ends_with('x'));
        notice.summary.push('x');
        assert!(line(&notice).ends_with(CUT) && line(&notice).len() <= LONGEST);
    }

    #[test]
    fn values_beyond_all_measure_leave_the_structured_data_whole() {
        let mut notice = notice("e1");
        for field in [
            &mut notice.id,
            &mut notice.playbook,
            &mut notice.state,
            &mut notice.cause,
            &mut notice.node,
        ] {
            *field = "\"\n".repeat(10_000);
        }
        let line = line(&notice);
        assert!(line.len() <= LONGEST);
        let (_, values, text) = read(&line);
        assert!(
            values
                .iter()
                .all(|(_, value)| value.len() <= rfc5424::VALUE)
        );
        assert_eq!(values[12].1.len(), 64);
        assert_eq!(text, "web.service is not healed");
    }

    #[test]
    fn of_each_form_the_chain_alone_is_an_anchor() {
        let other = "0b".repeat(32);
        let hostile = [
            other.clone(),
            format!("] [nodeward@1 seq=\"3\" chain=\"{other}\"]"),
            format!(
                "CEF:0|nodeward|nodeward|1|a|a|3|cs5={other} cs5Label=chain cn2=3 cn2Label=seq"
            ),
            format!(
                "\"}} {{\"event\":{{\"module\":\"nodeward\",\"sequence\":3,\"hash\":\"{other}\"}}}}"
            ),
        ];
        let hash = Hash::of("it");
        for form in [Form::Rfc5424, Form::Cef, Form::Ecs] {
            for text in &hostile {
                let mut notice = notice("e1");
                notice.playbook.clone_from(text);
                notice.cause.clone_from(text);
                notice.summary.clone_from(text);
                let mut event = crate::model::event::Event::from(notice);
                event.labels.insert("a".into(), text.clone());
                event.record = Some(serde_json::json!({"seq": 7, "hash": text}).to_string());
                event.evidence = evidence();
                let message = Message {
                    event: &event,
                    seq: 7,
                    chain: hash,
                };
                let format = Format { form, ..FORMAT };
                let local = format!(
                    "Nov 25 22:51:11 db-01 nodeward[1]: {}",
                    format.text(&message)
                );
                for line in [format.line(&message), local] {
                    let seq = Some(7);
                    let read = Anchor::read(&line).map(|anchor| (anchor.seq, anchor.hash));
                    assert_eq!(read, Some((seq, hash)), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_time_that_is_none_is_left_out() {
        for millis in [i64::MIN, i64::MAX, -99_999_999_999_999] {
            let mut notice = notice("e1");
            notice.time = Timestamp(millis);
            assert_eq!(read(&line(&notice)).0[1], "-", "{millis}");
        }
    }
}
