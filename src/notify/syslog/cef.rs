//! A body in ArcSight's Common Event Format, version 0: `CEF:0|vendor|product|version|class|name|severity|key=value ...`.

use std::net::IpAddr;

use super::line::{NAME, deceives, push};
use crate::model::severity::Severity;
use crate::notify::Message;

/// Longest value in bytes, escaped.
const VALUE: usize = 512;

/// The body; `msg` is the last of the extension, and cut where it does not fit.
pub(super) fn body(message: &Message<'_>, most: usize) -> String {
    let event = message.event;
    let mut body = format!("CEF:0|{NAME}|{NAME}|{}|", env!("CARGO_PKG_VERSION"));
    let limit = body.len() + VALUE;
    push(&mut body, &event.what, limit, header);
    body.push('|');
    push(&mut body, name(&event.what), limit + VALUE, header);
    body.push_str(&format!("|{}|", severity(event.severity)));
    let (rt, seq) = (event.time.0.to_string(), message.seq.to_string());
    let (chain, gathered) = (message.chain.to_string(), event.gathered());
    let number = event.attempt.rsplit('-').next().unwrap_or_default();
    let (v4, v6) = match event.from.parse() {
        Ok(IpAddr::V4(_)) => (&*event.from, ""),
        Ok(IpAddr::V6(_)) => ("", &*event.from),
        Err(_) => ("", ""),
    };
    let extension = [
        ("rt", None, &*rt),
        ("externalId", None, &event.id),
        ("dvchost", None, &event.node),
        ("act", None, &event.what),
        ("outcome", None, &event.outcome),
        ("reason", None, &event.cause),
        ("suser", None, &event.by),
        ("src", None, v4),
        ("c6a2", Some("Source IPv6 Address"), v6),
        ("cs1", Some("incident"), &event.incident),
        ("cs2", Some("playbook"), &event.playbook),
        ("cs3", Some("target"), &event.target),
        ("cs4", Some("state"), &event.state),
        ("cs5", Some("chain"), &chain),
        ("cs6", Some("evidence"), &gathered),
        ("cn1", Some("attempt"), number),
        ("cn2", Some("seq"), &seq),
    ];
    for (key, label, text) in extension
        .into_iter()
        .filter(|(_, _, text)| !text.is_empty())
    {
        body.push_str(key);
        body.push('=');
        let most = body.len() + VALUE;
        push(&mut body, text, most, value);
        body.push(' ');
        if let Some(label) = label {
            body.push_str(&format!("{key}Label={label} "));
        }
    }
    body.push_str("msg=");
    push(&mut body, &event.summary, most, value);
    body
}

/// What people read of it.
fn name(what: &str) -> &str {
    match what {
        "escalated" => "could not be healed",
        "approval_wanted" => "a person must approve",
        "recovered" => "well again",
        "start" => "nodeward started",
        "stop" => "nodeward ended",
        "login" => "logins were refused",
        "reminder" => "still not well",
        "acknowledged" => "somebody has taken it up",
        other => other,
    }
}

/// 0 to 10: up to 3 low, 4 to 6 medium, 7 and 8 high, 9 and 10 very high.
const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 9,
        Severity::Warning => 6,
        Severity::Info => 3,
        Severity::Debug => 1,
    }
}

fn header(line: &mut String, letter: char) {
    match letter {
        _ if deceives(letter) => line.push(' '),
        '|' | '\\' => line.extend(['\\', letter]),
        _ => line.push(letter),
    }
}

/// In values `=` and `\` are escaped, and breaks of a line are `\n` and `\r`; other letters that deceive are written out, with their
/// backslash escaped.
fn value(line: &mut String, letter: char) {
    match letter {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        _ if deceives(letter) => {
            line.push('\\');
            line.extend(letter.escape_default());
        }
        '=' | '\\' => line.extend(['\\', letter]),
        _ => line.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Hash;
    use crate::model::event::Event;
    use crate::notify::syslog::line::{CUT, LONGEST};
    use crate::notify::tests::{evidence, notice};

    fn written(event: &Event) -> String {
        let message = Message {
            event,
            seq: 7,
            chain: Hash::ZERO,
        };
        body(&message, LONGEST)
    }

    #[test]
    fn a_notice_is_one_cef_record() {
        let chain = "0".repeat(64);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            written(&notice("e1").into()),
            format!(
                "CEF:0|nodeward|nodeward|{version}|escalated|could not be healed|9|rt=1795647071198 externalId=e1 dvchost=db-01 \
                 act=escalated reason=exhausted cs1=01JD cs1Label=incident cs2=web-down cs2Label=playbook cs3=unit:web.service \
                 cs3Label=target cs4=escalated cs4Label=state cs5={chain} cs5Label=chain cn1=3 cn1Label=attempt cn2=7 \
                 cn2Label=seq msg=web.service is not healed"
            )
        );
    }

    #[test]
    fn where_evidence_is_has_the_sixth_text() {
        let mut event = Event::from(notice("e1"));
        event.evidence = evidence();
        let line = written(&event);
        let hash = "9f".repeat(32);
        let field = format!(" cs6=/api/v1/incidents/01JD/evidence 1:{hash} cs6Label=evidence ");
        assert!(line.contains(&field), "{line}");
    }

    #[test]
    fn where_a_login_came_from_has_the_field_of_its_kind() {
        let mut event = Event::from(notice("e1"));
        event.what = "login".into();
        for (from, field) in [
            ("192.0.2.7", " src=192.0.2.7 "),
            (
                "2001:db8::",
                " c6a2=2001:db8:: c6a2Label=Source IPv6 Address ",
            ),
        ] {
            event.from = from.into();
            let line = written(&event);
            assert!(line.contains(field), "{line}");
        }
        event.from = "uid 7".into();
        assert!(!written(&event).contains("src="));
    }

    #[test]
    fn hostile_text_ends_neither_a_field_nor_the_line() {
        let mut event = Event::from(notice("e1"));
        event.what = "a|b\\c\nd".into();
        event.playbook = "x cs1=forged\\".into();
        event.summary = "one\r\nCEF:0|evil act=done \u{202e}\0".into();
        let line = written(&event);
        assert!(!line.chars().any(deceives), "{line:?}");
        assert!(line.contains(r"|a\|b\\c d|"), "{line}");
        assert!(line.contains(r"cs2=x cs1\=forged\\ cs2Label"), "{line}");
        let msg = r"msg=one\r\nCEF:0|evil act\=done \\u{202e}\\u{0}";
        assert!(line.ends_with(msg), "{line}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_marked() {
        let mut event = Event::from(notice("e1"));
        event.target = "=".repeat(10_000);
        event.summary = "\n".repeat(20_000);
        let line = written(&event);
        assert!(line.len() <= LONGEST && line.ends_with(CUT));
        assert!(line.contains(&format!("{CUT} cs3Label=target ")), "{line}");
    }
}
