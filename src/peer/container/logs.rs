//! What a container wrote, as an engine sends it: frames of two streams, or, of one with a terminal, the bytes themselves.
//!
//! Docker Engine API, `ContainerAttach`, "Stream format".

/// Bytes of the head of a frame: stream, three zeros, length.
const HEAD: usize = 8;

/// The streams one after the other in the order of the frames; what is no frame from its first byte on is as it is. A frame that is cut is
/// taken as far as it goes.
pub(super) fn text(body: Vec<u8>) -> Vec<u8> {
    if head(&body).is_none() {
        return body;
    }
    let mut text = Vec::with_capacity(body.len());
    let mut rest = body.as_slice();
    while let Some((length, behind)) = head(rest) {
        let (frame, after) = behind.split_at(length.min(behind.len()));
        text.extend_from_slice(frame);
        rest = after;
    }
    text
}

/// The length of a frame, and what follows its head.
fn head(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, behind) = bytes.split_at_checked(HEAD)?;
    let [0..=2, 0, 0, 0, length @ ..] = head else {
        return None;
    };
    let length = u32::from_be_bytes(length.try_into().ok()?);
    Some((usize::try_from(length).ok()?, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_put_together_and_what_is_none_stays() {
        let frame = |stream: u8, text: &str| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
        };
        let body = [frame(1, "out\n"), frame(2, "err\n"), frame(1, "")].concat();
        assert_eq!(text(body.clone()), b"out\nerr\n");
        let mut cut = [body, frame(1, "more")].concat();
        cut.truncate(cut.len() - 2);
        assert_eq!(text(cut), b"out\nerr\nmo");
        assert_eq!(text(b"a terminal\n".to_vec()), b"a terminal\n");
        assert_eq!(text(Vec::new()), b"");
    }
}
