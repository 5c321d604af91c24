//! What a mail server answers (RFC 5321 section 4.2).

use crate::model::terminal;

/// The longest answer in bytes. RFC 5321 has 512 a line; one of `EHLO` has some tens of lines.
pub const LONGEST: usize = 16 << 10;
/// Characters of an answer that an error shows.
const SHOWN: usize = 200;

/// One answer: a code, and a text for people in one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// Its lines; hostile input.
    pub lines: Vec<String>,
}

/// Why what came is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No code where one belongs.
    #[error("what it answered is no SMTP")]
    NoCode,
    /// Lines of one answer with several codes.
    #[error("the lines of its answer have several codes")]
    Codes,
    /// It goes on and on.
    #[error("its answer is longer than {LONGEST} bytes")]
    TooLong,
}

impl Reply {
    /// The first answer in `bytes`, and how many of them it takes; none if its end has not come yet.
    ///
    /// # Errors
    /// [`Malformed`]: no bytes that could still come make an answer of it.
    pub fn read(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let (mut code, mut lines, mut taken) = (None, Vec::new(), 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = line.strip_suffix(b"\n");
            let text = whole.unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let (this, last, text) = parts(text, whole.is_some())?;
            if whole.is_none() || taken + line.len() > LONGEST {
                break;
            }
            if code.is_some_and(|before| before != this) {
                return Err(Malformed::Codes);
            }
            code = Some(this);
            taken += line.len();
            lines.push(String::from_utf8_lossy(text).into_owned());
            if last {
                return Ok(Some((Self { code: this, lines }, taken)));
            }
        }
        match bytes.len() > LONGEST {
            true => Err(Malformed::TooLong),
            false => Ok(None),
        }
    }

    /// Whether it did what it was asked, or wants to hear more.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.code < 400
    }

    /// Whether it would say the same the next time. 552 for a recipient means too many of them (section 4.5.3.1.10).
    #[must_use]
    pub const fn is_for_ever(&self) -> bool {
        self.code >= 500
    }

    /// For people: the code and the beginning of the text.
    #[must_use]
    pub fn brief(&self) -> String {
        let text = self.lines.join(" ");
        let text = terminal::line(text.trim());
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{} {}...", self.code, text.get(..end).unwrap_or_default()),
            None => format!("{} {text}", self.code),
        }
    }
}

/// The code of a line, whether it is the last of its answer, and its text; of one whose end has not come yet, as far as it goes.
fn parts(line: &[u8], whole: bool) -> Result<(u16, bool, &[u8]), Malformed> {
    let digits = line.iter().take(3);
    let code = digits.clone().try_fold(0_u16, |code, digit| match digit {
        b'0'..=b'9' => Ok(code * 10 + u16::from(digit - b'0')),
        _ => Err(Malformed::NoCode),
    })?;
    if digits.len() < 3 {
        return match whole {
            true => Err(Malformed::NoCode),
            false => Ok((code, false, &[])),
        };
    }
    if !(200..600).contains(&code) {
        return Err(Malformed::NoCode);
    }
    let text = line.get(4..).unwrap_or_default();
    match line.get(3) {
        Some(b'-') => Ok((code, false, text)),
        Some(b' ') | None => Ok((code, true, text)),
        Some(_) => Err(Malformed::NoCode),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_last_line() {
        let bytes = b"250-mail.example\r\n250-STARTTLS\r\n250 SIZE 1000\r\n220 next\r\n";
        for end in 0..47 {
            assert_eq!(Reply::read(&bytes[..end]), Ok(None), "{end}");
        }
        let (reply, taken) = Reply::read(bytes).unwrap().unwrap();
        assert_eq!(reply.lines, ["mail.example", "STARTTLS", "SIZE 1000"]);
        assert_eq!((reply.code, taken), (250, 47));
        assert_eq!(Reply::read(b"354\r"), Ok(None));
        // Some send no CR, and some no text.
        assert_eq!(Reply::read(b"354\n").unwrap().unwrap().0.code, 354);
    }

    #[test]
    fn what_is_no_answer_is_said_before_more_is_read() {
        for (bytes, why) in [
            (&b"HTTP/1.1 400"[..], Malformed::NoCode),
            (b"25", Malformed::NoCode),
            (b"2x", Malformed::NoCode),
            (b"120 a\r\n", Malformed::NoCode),
            (b"999 a\r\n", Malformed::NoCode),
            (b"250+a\r\n", Malformed::NoCode),
            (b"250-a\r\n251 b\r\n", Malformed::Codes),
        ] {
            let said = Reply::read(bytes);
            match bytes {
                b"25" => assert_eq!(said, Ok(None)),
                _ => assert_eq!(said, Err(why)),
            }
        }
        let endless = "250-x\r\n".repeat(3_000);
        assert_eq!(Reply::read(endless.as_bytes()), Err(Malformed::TooLong));
        let line = format!("250 {}", "x".repeat(LONGEST));
        assert_eq!(Reply::read(line.as_bytes()), Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_shown_of_it_is_short_and_one_line() {
        let text = format!("5.1.1 no \u{1b}[2J{}", "x".repeat(900));
        let reply = Reply {
            code: 550,
            lines: vec![text],
        };
        let shown = reply.brief();
        assert!(shown.starts_with("550 5.1.1 no \\u{1b}[2Jx") && shown.len() < 220);
    }
}
