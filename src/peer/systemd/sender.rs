//! Makes systemd's private replies readable for zbus.
//!
//! On its own socket systemd names itself as the sender by its well-known name,
//! `org.freedesktop.systemd1`. The D-Bus specification allows only unique names there ("Header
//! Fields", SENDER), and zbus ends the connection over it. Nothing is lost by turning the name's
//! first byte into the `:` of a unique name: on a connection without a bus nobody reads it.

use super::socket::{PRIMARY_HEADER, word};

/// Code of the SENDER field.
const SENDER: u8 = 7;

/// Turns a sender that is no unique name into one. `header` is a message's primary header and its
/// header fields; what cannot be understood is left for zbus to refuse.
pub(super) fn make_unique(header: &mut [u8]) {
    if let Some(at) = sender(header)
        && let Some(first) = header.get_mut(at)
    {
        *first = b':';
    }
}

/// Where the text of the SENDER field begins, if there is one and it is not empty.
fn sender(header: &[u8]) -> Option<usize> {
    let mut at = PRIMARY_HEADER;
    loop {
        // Each field is a structure of a code and a variant: code, signature, value.
        at = at.next_multiple_of(8);
        let [code, 1, kind, 0] = *header.get(at..)?.first_chunk()? else {
            return None;
        };
        at += 4;
        match kind {
            b's' | b'o' => {
                let length = usize::try_from(word(header, at)?).ok()?;
                if code == SENDER {
                    return (length > 0).then_some(at + 4);
                }
                at = at.checked_add(4 + length + 1)?;
            }
            b'g' => at += 2 + usize::from(*header.get(at)?),
            b'u' => at += 4,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::Message;

    fn header_of(message: &Message) -> Vec<u8> {
        let bytes: &[u8] = message.data();
        let fields = word(bytes, 12).unwrap() as usize;
        bytes[..PRIMARY_HEADER + fields].to_vec()
    }

    fn call(sender: Option<&str>) -> Message {
        let call = Message::method_call("/a/b", "Member")
            .interface("a.b")
            .destination("c.d");
        match sender {
            Some(sender) => call.sender(sender),
            None => call,
        }
        .build(&("body", 7_u32))
        .unwrap()
    }

    #[test]
    fn only_the_first_byte_of_the_sender_changes() {
        let before = header_of(&call(Some(":rg.freedesktop.systemd1")));
        let mut named = before.clone();
        let at = sender(&named).unwrap();
        assert_eq!(&named[at..at + 24], b":rg.freedesktop.systemd1");
        named[at] = b'o';
        make_unique(&mut named);
        assert_eq!(named, before);
    }

    #[test]
    fn a_message_without_a_sender_is_left_alone() {
        let before = header_of(&call(None));
        let mut header = before.clone();
        make_unique(&mut header);
        assert_eq!(header, before);
    }

    #[test]
    fn truncated_and_garbled_headers_are_survived() {
        let whole = header_of(&call(Some(":1.2")));
        for length in 0..whole.len() {
            make_unique(&mut whole[..length].to_vec());
        }
        for at in 0..whole.len() {
            for byte in [0, 1, 7, 0x7f, 0xff] {
                let mut garbled = whole.clone();
                garbled[at] = byte;
                make_unique(&mut garbled);
            }
        }
    }
}
