//! The structured data of RFC 5424, and the text behind it.

use super::line::{NAME, deceives, push};
use crate::notify::Message;

/// Longest value in the structured data in bytes, quoted; all of them and the header leave room for the text.
pub(super) const VALUE: usize = 512;

/// The structured data: always whole, always with every name.
pub(super) fn data(message: &Message<'_>, enterprise: u32) -> String {
    let event = message.event;
    let (seq, chain) = (message.seq.to_string(), message.chain.to_string());
    let gathered = event.gathered();
    let values = [
        ("seq", &seq),
        ("id", &event.id),
        ("incident", &event.incident),
        ("playbook", &event.playbook),
        ("target", &event.target),
        ("state", &event.state),
        ("attempt", &event.attempt),
        ("outcome", &event.outcome),
        ("cause", &event.cause),
        ("by", &event.by),
        ("from", &event.from),
        ("evidence", &gathered),
        ("chain", &chain),
    ];
    let mut data = format!("[{NAME}@{enterprise}");
    for (name, value) in values {
        data.push_str(&format!(" {name}=\""));
        let most = data.len() + VALUE;
        push(&mut data, value, most, quoted);
        data.push('"');
    }
    data.push(']');
    data
}

/// Appends a text for people.
pub(super) fn text(line: &mut String, text: &str, most: usize) {
    push(line, text, most, |line, letter| match deceives(letter) {
        true => line.extend(letter.escape_default()),
        false => line.push(letter),
    });
}

/// Of the letters of a value these are escaped: `"`, `\` and `]` (RFC 5424 section 6.3.3).
fn quoted(line: &mut String, letter: char) {
    match letter {
        _ if deceives(letter) => {
            line.push('\\');
            line.extend(letter.escape_default());
        }
        '"' | '\\' | ']' => {
            line.push('\\');
            line.push(letter);
        }
        _ => line.push(letter),
    }
}
