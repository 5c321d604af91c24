//! A mail: its header and its body.
//!
//! Whatever an alert wrote, it makes no line of its own. What stands in a header is of the types below, and each of them is one line by the
//! way it is made: a text is escaped and, where it is not plain, encoded (RFC 2047); a name of a mail is a hash.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::journal::Hash;
use crate::model::event::Event;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;
use crate::model::terminal;
use crate::notify::Message;
use crate::peer::smtp::Mailbox;

/// Bytes of a subject, of a line of the body, and of all labels of an event.
const SUBJECT: usize = 160;
const LINE: usize = 1024;
const LABELS: usize = 4096;
/// Stands where something was cut.
const CUT: &str = "…(cut)";
/// Bytes of text in one encoded word: with it and the header's name a line has at most 78 characters (RFC 5322 section 2.1.1).
const WORD: usize = 42;
/// Characters of an encoded line of the body (RFC 2045 section 6.7).
const ENCODED: usize = 76;

/// The name of a mail, or of a thread (RFC 5322 section 3.6.4): the same for the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MessageId(String);

impl MessageId {
    fn of(kind: &str, what: &str, from: &Mailbox) -> Self {
        let hash = Hash::of(what).to_string();
        let hash = hash.get(..32).unwrap_or_default();
        Self(format!("<{kind}.{hash}@{}>", from.domain()))
    }

    /// Of an incident: no mail has this name, and all that tell of it answer it.
    fn thread(event: &Event, from: &Mailbox) -> Self {
        let incident = format!("{}/{}", event.node, event.incident);
        Self::of("incident", &incident, from)
    }
}

/// A text that can stand in a header.
struct Unstructured(String);

impl Unstructured {
    fn new(text: &str) -> Self {
        let text = one_line(text, SUBJECT);
        let plain = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        // What looks like an encoded word would be read as one.
        if plain && !text.contains("=?") {
            return Self(text);
        }
        let mut words = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
            words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
            rest = after;
        }
        Self(words.join("\r\n "))
    }
}

/// A mail that can be sent.
pub(super) struct Written {
    pub id: MessageId,
    /// Lines that end with CR LF.
    pub content: String,
}

/// Writes the mail of some events, the oldest first.
pub(super) fn mail(messages: &[Message<'_>], from: &Mailbox, to: &[Mailbox]) -> Written {
    let ids: Vec<&str> = messages.iter().map(|m| m.event.id.as_str()).collect();
    let id = MessageId::of("event", &ids.join("\n"), from);
    let mut threads: Vec<MessageId> = Vec::new();
    for message in messages.iter().filter(|m| !m.event.incident.is_empty()) {
        let thread = MessageId::thread(message.event, from);
        if !threads.contains(&thread) {
            threads.push(thread);
        }
    }
    let mut content = String::new();
    let mut put = |name: &str, value: &str| {
        content.push_str(name);
        content.push_str(": ");
        content.push_str(value);
        content.push_str("\r\n");
    };
    put("Date", &date(messages));
    put("From", &format!("nodeward <{from}>"));
    let to: Vec<&str> = to.iter().map(Mailbox::as_str).collect();
    put("To", &to.join(",\r\n "));
    put("Message-ID", &id.0);
    let threads: Vec<&str> = threads.iter().map(|thread| thread.0.as_str()).collect();
    if let [thread] = threads.as_slice() {
        put("In-Reply-To", thread);
    }
    if !threads.is_empty() {
        put("References", &threads.join("\r\n "));
    }
    put("Subject", &Unstructured::new(&subject(messages)).0);
    put("Auto-Submitted", "auto-generated");
    put("MIME-Version", "1.0");
    put("Content-Type", "text/plain; charset=utf-8");
    put("Content-Transfer-Encoding", "quoted-printable");
    content.push_str("\r\n");
    for (place, message) in messages.iter().enumerate() {
        if place > 0 {
            content.push_str("\r\n");
        }
        for line in lines(message) {
            quoted(&mut content, &line);
        }
    }
    Written { id, content }
}

/// When the last of them happened (RFC 5322 section 3.3).
fn date(messages: &[Message<'_>]) -> String {
    let last = messages.last().map(|message| message.event.time);
    let Timestamp(millis) = last.unwrap_or_default();
    // Years that HTTP's form of a date cannot have are of a clock that is wrong.
    let millis = u64::try_from(millis).unwrap_or_default();
    let most = 250_000_000_000_000;
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(most));
    let date = httpdate::fmt_http_date(time);
    format!("{} +0000", date.trim_end_matches(" GMT"))
}

fn subject(messages: &[Message<'_>]) -> String {
    let incidents = count(messages);
    let Some(last) = messages.last().map(|message| message.event) else {
        return String::new();
    };
    let node = &last.node;
    if let ([_, _, ..], 2..) = (messages, incidents) {
        let worst = messages.iter().map(|message| message.event.severity).max();
        let worst = worst.map_or("", Severity::as_str);
        let events = messages.len();
        return format!("[{node}] {events} events of {incidents} incidents, {worst}");
    }
    let what = match &*last.what {
        "approval_wanted" => "approval wanted",
        other => other,
    };
    let before = messages.len() - 1;
    let more = match before {
        0 => String::new(),
        _ => format!(" ({before} more before)"),
    };
    match last.target.is_empty() {
        true => format!("[{node}] {what}: {}{more}", last.summary),
        false => format!("[{node}] {what}: {} ({}){more}", last.target, last.playbook),
    }
}

/// How many incidents they are of.
fn count(messages: &[Message<'_>]) -> usize {
    let incidents = messages.iter().map(|message| &message.event.incident);
    incidents.collect::<std::collections::BTreeSet<_>>().len()
}

/// What people read of an event.
fn lines(message: &Message<'_>) -> Vec<String> {
    let event = message.event;
    let mut lines = vec![one_line(&event.summary, LINE), String::new()];
    for (name, value) in [
        ("what", &*event.what),
        ("severity", event.severity.as_str()),
        ("time", &event.time.to_string()),
        ("node", &event.node),
        ("target", &event.target),
        ("playbook", &event.playbook),
        ("incident", &event.incident),
        ("state", &event.state),
        ("cause", &event.cause),
        ("attempt", &event.attempt),
        ("event", &event.id),
        ("record", &format!("{} {}", message.seq, message.chain)),
    ] {
        if !value.is_empty() {
            lines.push(one_line(&format!("{name}: {value}"), LINE));
        }
    }
    if !event.incident.is_empty() {
        lines.push(one_line(
            &format!("more: nodeward why {} on {}", event.incident, event.node),
            LINE,
        ));
    }
    for packet in &event.evidence {
        let (number, occasion) = (packet.number, &packet.occasion);
        let what = format!("evidence {number} ({occasion}): {} bytes", packet.bytes);
        lines.push(one_line(
            &format!("{what}, SHA-256 {}", packet.sha256),
            LINE,
        ));
    }
    if !event.evidence.is_empty() {
        lines.push(one_line(
            &format!(
                "read it: nodeward evidence {} on {}",
                event.incident, event.node
            ),
            LINE,
        ));
    }
    let mut room = LABELS;
    if !event.labels.is_empty() {
        lines.push("labels of its alert:".into());
    }
    for (name, value) in &event.labels {
        let line = one_line(&format!("  {name} = {value}"), LINE);
        let Some(left) = room.checked_sub(line.len()) else {
            lines.push(format!("  {CUT}"));
            break;
        };
        room = left;
        lines.push(line);
    }
    lines
}

/// What others wrote as one line of at most so many bytes.
fn one_line(text: &str, most: usize) -> String {
    let room = most - CUT.len();
    // Escaping makes it longer, never shorter.
    let begun = text.get(..text.floor_char_boundary(most)).unwrap_or(text);
    let shown = terminal::line(begun);
    match begun.len() == text.len() && shown.len() <= most {
        true => shown.into_owned(),
        false => {
            let end = shown.floor_char_boundary(room);
            format!("{}{CUT}", shown.get(..end).unwrap_or_default())
        }
    }
}

/// Appends a line in quoted-printable (RFC 2045 section 6.7).
fn quoted(content: &mut String, line: &str) {
    let mut width = 0;
    let bytes = line.as_bytes();
    for (place, byte) in bytes.iter().enumerate() {
        let last = place + 1 == bytes.len();
        let plain = match byte {
            b'=' => false,
            b' ' => !last,
            byte => byte.is_ascii_graphic(),
        };
        let piece = match plain {
            true => char::from(*byte).to_string(),
            false => format!("={byte:02X}"),
        };
        // One is left for the sign that the line goes on.
        if width + piece.len() >= ENCODED {
            content.push_str("=\r\n");
            width = 0;
        }
        width += piece.len();
        content.push_str(&piece);
    }
    content.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::tests::notice;

    fn written(events: &[Event]) -> String {
        let messages: Vec<_> = events.iter().map(message).collect();
        mail(&messages, &from(), &[from()]).content
    }

    fn message(event: &Event) -> Message<'_> {
        Message {
            event,
            seq: 7,
            chain: Hash::ZERO,
        }
    }

    fn from() -> Mailbox {
        "nodeward@example.org".parse().unwrap()
    }

    #[test]
    fn no_text_makes_a_line_or_a_long_one() {
        let hostile = format!(
            "x\r\nBcc: <e@f>\r\n\r\n.\r\n\u{2028}\u{202e}=?utf-8?B?eA==?=\0{}",
            "é".repeat(600_000)
        );
        let mut event = Event::from(notice("e1"));
        event.labels = (0..3)
            .map(|n| (format!("{n}{hostile}"), hostile.clone()))
            .collect();
        for text in [
            &mut event.id,
            &mut event.node,
            &mut event.summary,
            &mut event.target,
            &mut event.playbook,
            &mut event.incident,
            &mut event.state,
            &mut event.cause,
        ] {
            text.clone_from(&hostile);
        }
        event.what = hostile.clone().into();
        let mail = written(&[event.clone(), event]);
        assert!(mail.is_ascii() && mail.len() < 100_000, "{}", mail.len());
        let lines: Vec<&str> = mail.split("\r\n").collect();
        assert!(
            lines
                .iter()
                .all(|line| line.len() <= 78 && !line.contains(['\r', '\n']))
        );
        let header = lines.iter().take_while(|line| !line.is_empty());
        let names: Vec<&str> = header
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split_once(": ").unwrap().0)
            .collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "To",
                "Message-ID",
                "In-Reply-To",
                "References",
                "Subject",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
                "Content-Transfer-Encoding"
            ]
        );
    }

    #[test]
    fn dates_are_those_of_mail_and_evidence_is_named() {
        let mut event = Event::from(notice("e1"));
        event.evidence = vec![crate::model::notice::Evidence {
            number: 1,
            occasion: "before_action".into(),
            sha256: "ab".repeat(32),
            bytes: 48_213,
        }];
        let mail = written(&[event]);
        assert!(
            mail.contains("evidence 1 (before_action): 48213 bytes"),
            "{mail}"
        );
        assert!(
            mail.contains("read it: nodeward evidence 01JD on "),
            "{mail}"
        );
        assert!(
            mail.starts_with("Date: Wed, 25 Nov 2026 22:51:11 +0000\r\n"),
            "{mail}"
        );
    }

    #[test]
    fn lines_are_broken_within_what_they_mean() {
        let mut content = String::new();
        quoted(&mut content, &format!("{} ", "é".repeat(20)));
        let lines: Vec<&str> = content.split("\r\n").collect();
        assert_eq!(lines[0], format!("{}=", "=C3=A9".repeat(12) + "=C3"));
        assert_eq!(lines[1], "=A9".to_owned() + &"=C3=A9".repeat(7) + "=20");
    }
}
