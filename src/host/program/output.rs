//! What a program wrote: its beginning and its end.

use std::collections::VecDeque;

/// Bytes kept of the beginning.
const HEAD: usize = 16 << 10;
/// Bytes kept of the end.
const TAIL: usize = 48 << 10;

/// Characters of the last line that are told.
const TOLD: usize = 200;

/// At most 64 KiB of what was written.
#[derive(Debug, Default)]
pub struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Output {
    /// Takes what was written next.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
        self.dropped += over as u64;
    }

    /// Bytes left out of the middle.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// As text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = self.head.clone();
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.dropped).as_bytes());
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Output {
    /// `why`, with the last line that says anything: its first 200 characters, without control characters.
    #[must_use]
    pub fn behind(&self, why: &str) -> String {
        let text = self.text();
        let mut lines = text.lines().rev().map(str::trim);
        match lines.find(|line| !line.is_empty()) {
            Some(line) => {
                let plain = line.chars().filter(|c| !c.is_control()).take(TOLD);
                format!("{why}: {}", plain.collect::<String>())
            }
            None => why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_beginning_and_the_end() {
        let mut output = Output::default();
        output.add(b"first ");
        output.add("é".as_bytes());
        assert_eq!((output.text().as_str(), output.dropped()), ("first é", 0));
        for _ in 0..100 {
            output.add(&[b'x'; 1000]);
        }
        output.add(b"last");
        let text = output.text();
        assert!(text.starts_with("first é") && text.ends_with("xlast"));
        assert_eq!(output.dropped(), 8 + 100_004 - (HEAD + TAIL) as u64);
        assert!(text.contains(&format!("[{} bytes left out]", output.dropped())));
    }
}
