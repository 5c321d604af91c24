//! Answers of a mail server: one is read the same however it comes apart, takes no more than came, and shows nothing that acts on a terminal.

use nodeward::peer::smtp::Reply;

/// Parses the bytes as answers that follow one another.
pub fn check(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((reply, taken))) = Reply::read(rest) {
        assert!((1..=rest.len()).contains(&taken));
        assert!((200..600).contains(&reply.code) && !reply.lines.is_empty());
        let shown = reply.brief();
        assert!(!shown.contains(char::is_control) && shown.chars().count() < 220);
        let (whole, after) = rest.split_at(taken);
        assert_eq!(Reply::read(whole), Ok(Some((reply, taken))));
        let part = whole.split_last().map_or(whole, |(_, part)| part);
        assert_eq!(Reply::read(part), Ok(None));
        rest = after;
    }
}
