//! A notice as one line of syslog (RFC 5424).
//!
//! Whatever an alert wrote, it stays one record: a control character is written as an escape, a value of the structured
//! data is quoted, and what is too long is cut in the text, never in the structured data.

use crate::model::severity::Severity;
use crate::notify::Message;

/// Longest line in bytes, its count of octets not included: what receivers take by default.
pub const LONGEST: usize = 8 * 1024;
/// Longest value in the structured data in bytes, quoted; all of them and the header leave room for the text.
const VALUE: usize = 512;
/// Room for the header of the other form: priority, time, tag and process id.
const HEADER: usize = 64;
/// Stands where something was cut.
const CUT: &str = "…(cut)";
/// `APP-NAME`.
pub const NAME: &str = "nodeward";

/// What is the same for every line.
#[derive(Debug, Clone, Copy)]
pub struct Format {
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
        let notice = message.notice;
        let priority = self.facility * 8 + severity(notice.severity);
        // Milliseconds: a receiver may refuse more than six digits. What is no time at all is left out.
        let time = notice.time.to_string();
        let time = match time.bytes().next() {
            Some(b'0'..=b'9') if time.ends_with('Z') => time,
            _ => "-".to_owned(),
        };
        let host = word(&notice.node, 255);
        let what = word(&notice.what.as_str().to_ascii_uppercase(), 32);
        let data = self.data(message);
        let pid = self.pid;
        let mut line = format!("<{priority}>1 {time} {host} {NAME} {pid} {what} {data} \u{feff}");
        push(&mut line, &notice.summary, LONGEST, Plain);
        line
    }

    /// The structured data: always whole, always with every name.
    pub fn data(&self, message: &Message<'_>) -> String {
        let notice = message.notice;
        let attempt = notice.attempt.as_ref();
        let values = [
            ("seq", message.seq.to_string()),
            ("id", notice.id.clone()),
            ("incident", notice.incident.to_string()),
            ("playbook", notice.playbook.clone()),
            ("target", notice.target.to_string()),
            ("state", notice.state.clone()),
            (
                "attempt",
                attempt.map(ToString::to_string).unwrap_or_default(),
            ),
            ("cause", notice.cause.clone()),
            ("chain", message.chain.to_string()),
        ];
        let mut data = format!("[{NAME}@{}", self.enterprise);
        for (name, value) in values {
            data.push_str(&format!(" {name}=\""));
            let most = data.len() + VALUE;
            push(&mut data, &value, most, Quoted);
            data.push('"');
        }
        data.push(']');
        data
    }

    /// The structured data and the text, for a form that has no place for the former.
    pub fn text(&self, message: &Message<'_>) -> String {
        let mut text = self.data(message);
        text.push(' ');
        push(&mut text, &message.notice.summary, LONGEST - HEADER, Plain);
        text
    }
}

/// The severity's number (RFC 5424, table 2).
const fn severity(severity: Severity) -> u8 {
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

/// How text is written.
#[derive(Clone, Copy)]
enum How {
    Plain,
    Quoted,
}
use How::{Plain, Quoted};

/// Appends `text`, so that `line` has at most `most` bytes; what did not fit is marked.
fn push(line: &mut String, text: &str, most: usize, how: How) {
    let mut fits = line.len();
    for letter in text.chars() {
        escape(line, letter, how);
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

fn escape(line: &mut String, letter: char, how: How) {
    // Line breaks of Unicode and what turns the direction of text around deceive people, if not programs.
    let breaks = letter.is_control()
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    match (letter, how) {
        // A backslash in a value is written twice (RFC 5424 section 6.3.3).
        _ if breaks && matches!(how, Quoted) => {
            line.push('\\');
            line.extend(letter.escape_default());
        }
        _ if breaks => line.extend(letter.escape_default()),
        ('"' | '\\' | ']', Quoted) => {
            line.push('\\');
            line.push(letter);
        }
        _ => line.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Hash;
    use crate::model::moment::Timestamp;
    use crate::model::notice::Notice;
    use crate::notify::tests::notice;

    const FORMAT: Format = Format {
        facility: 13,
        enterprise: 32_473,
        pid: 4242,
    };

    fn line(notice: &Notice) -> String {
        FORMAT.line(&Message {
            notice,
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
                 attempt=\"01JD-3\" cause=\"exhausted\" chain=\"{chain}\"] \u{feff}web.service is not healed"
            )
        );
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
            assert_eq!(values.len(), 9);
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
        assert!(values.iter().all(|(_, value)| value.len() <= VALUE));
        assert_eq!(values[8].1.len(), 64);
        assert_eq!(text, "web.service is not healed");
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
