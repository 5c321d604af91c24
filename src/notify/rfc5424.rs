//! Syslog messages: RFC 5424, with structured data.
//!
//! Names and texts of alerts are hostile: nothing of them reaches a message unescaped, and no control character at all, so that
//! one event is one message whatever the framing and whoever relays it.

use std::fmt::Write;

use super::Told;
use crate::model::severity::Severity;

/// The longest message in bytes: what rsyslog takes by default. A longer one it would cut in two, and the rest would pass
/// for a message.
pub const LONGEST: usize = 8 << 10;
/// The longest value of structured data in bytes; names and ids are far shorter.
const VALUE: usize = 512;
/// Stands at the end of what was cut.
const CUT: &str = "...";
/// RFC 5424 section 6.4: what follows is UTF-8.
const BOM: &str = "\u{feff}";

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Host name.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// Facility, 0 to 23 (RFC 5424 section 6.2.1); 13 is the log audit.
    pub facility: u8,
    /// Name of the structured data, `name@enterprise number` (RFC 5424 section 7.2.2). 32473 is the number for
    /// documentation (RFC 5612).
    pub data: String,
}

/// The message of an event, at most [`LONGEST`] bytes, without any framing.
#[must_use]
pub fn message(sender: &Sender, told: &Told) -> String {
    let event = &told.event;
    let mut text = format!(
        "<{}>1 {} {} nodeward {} {} [{}",
        u32::from(sender.facility.min(23)) * 8 + severity(told.severity),
        told.at,
        header(&sender.host, 255),
        sender.pid,
        header(&event.event.to_uppercase(), 32),
        header(&sender.data, 32),
    );
    let (seq, chain) = (told.seq.to_string(), told.chain.to_string());
    let recorded = told.seq > 0;
    let parameters = [
        ("seq", recorded.then_some(seq.as_str())),
        ("id", Some(told.id.as_str())),
        ("incident", event.incident.as_deref()),
        ("playbook", event.playbook.as_deref()),
        ("target", event.target.as_deref()),
        ("state", event.state.as_deref()),
        ("attempt", event.attempt.as_deref()),
        ("chain", recorded.then_some(chain.as_str())),
    ];
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            write!(text, " {name}=\"{}\"", quoted(value)).unwrap_or_default();
        }
    }
    text.push_str("] ");
    text.push_str(BOM);
    let room = LONGEST.saturating_sub(text.len());
    text.push_str(&cut(&plain(&event.message), room));
    text
}

/// RFC 5424 section 6.2.1.
const fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 2,
        Severity::Warning => 4,
        Severity::Info => 6,
        Severity::Debug => 7,
    }
}

/// A word of the header: printable ASCII without blanks, `-` for none.
fn header(text: &str, longest: usize) -> String {
    let allowed = |c: &char| c.is_ascii_graphic() && !"=]\"".contains(*c);
    let word: String = text.chars().filter(allowed).take(longest).collect();
    if word.is_empty() { "-".into() } else { word }
}

/// A value of structured data (RFC 5424 section 6.3.3).
fn quoted(value: &str) -> String {
    let mut text = String::new();
    for c in cut(&plain(value), VALUE).chars() {
        if matches!(c, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Without control characters, nor those that turn the direction of writing or break a line.
fn plain(text: &str) -> String {
    let harmless = |c: char| {
        let hidden = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hidden { ' ' } else { c }
    };
    text.chars().map(harmless).collect()
}

/// At most so many bytes, marked where it was cut.
fn cut(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(longest.saturating_sub(CUT.len()));
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}{CUT}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Hash;
    use crate::model::moment::Timestamp;
    use crate::notify::Event;

    fn sender() -> Sender {
        Sender {
            host: "db-01".into(),
            pid: 4242,
            facility: 13,
            data: "nodeward@32473".into(),
        }
    }

    fn told(message: &str) -> Told {
        Told {
            event: Event {
                event: "escalated".into(),
                message: message.into(),
                incident: Some("01JD".into()),
                playbook: Some("restart-web".into()),
                target: Some("unit:web.service".into()),
                state: Some("escalated".into()),
                attempt: Some("01JD-3".into()),
            },
            id: "01JD-9".into(),
            severity: Severity::Critical,
            at: Timestamp(1_795_365_527_198),
            seq: 41,
            chain: Hash::ZERO,
        }
    }

    #[test]
    fn a_message_has_header_structured_data_and_utf_8_text() {
        let zeros = "0".repeat(64);
        assert_eq!(
            message(&sender(), &told("web.service is still down")),
            format!(
                "<106>1 2026-11-22T16:38:47.198Z db-01 nodeward 4242 ESCALATED [nodeward@32473 seq=\"41\" \
                 id=\"01JD-9\" incident=\"01JD\" playbook=\"restart-web\" target=\"unit:web.service\" \
                 state=\"escalated\" attempt=\"01JD-3\" chain=\"{zeros}\"] \u{feff}web.service is still down"
            )
        );
    }

    #[test]
    fn hostile_text_neither_ends_a_value_nor_begins_a_message() {
        let mut told = told("a\n<0>1 forged\u{202e}\0");
        told.event.playbook = Some("x\"] [other@1 y=\"\\z\r\n".into());
        told.event.event = "a b\n".into();
        let sender = Sender {
            host: "web 1\n".into(),
            ..sender()
        };
        let text = message(&sender, &told);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert!(
            text.contains("playbook=\"x\\\"\\] [other@1 y=\\\"\\\\z  \""),
            "{text}"
        );
        assert!(text.contains(" web1 nodeward 4242 AB ["), "{text}");
        assert!(text.ends_with("\u{feff}a <0>1 forged  "), "{text:?}");
    }

    #[test]
    fn no_message_is_longer_than_a_receiver_takes_and_a_cut_is_marked() {
        let mut told = told(&"é".repeat(10_000));
        let text = message(&sender(), &told);
        assert!((LONGEST - 1..=LONGEST).contains(&text.len()) && text.ends_with("é..."));
        told.event.target = Some("]".repeat(10_000));
        told.event.state = told.event.target.clone();
        assert!(message(&sender(), &told).len() <= LONGEST);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut told = told("");
        told.event = Event::default();
        told.seq = 0;
        told.severity = Severity::Debug;
        let expected = "<111>1 2026-11-22T16:38:47.198Z db-01 nodeward 4242 - [nodeward@32473 id=\"01JD-9\"] \u{feff}";
        assert_eq!(message(&sender(), &told), expected);
    }
}
