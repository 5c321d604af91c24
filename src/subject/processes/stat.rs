//! The parser of /proc/PID/stat (proc_pid_stat(5)), as far as it is told.

use std::borrow::Cow;

use crate::host::parse::{fields, unsigned, unsigned_of_any_base};

/// `PF_KTHREAD` of linux/sched.h: the process is a thread of the kernel.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// One process or thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat<'a> {
    /// Its command name, whatever it contains.
    pub comm: &'a [u8],
    /// Its state, one letter as the kernel writes it.
    pub state: &'a [u8],
    /// Whether it is a thread of the kernel.
    pub of_kernel: bool,
    /// Threads it says it has.
    pub threads: i64,
}

/// Parses the file; none if it lacks what is told of it.
#[must_use]
pub fn process_stat(text: &[u8]) -> Option<ProcessStat<'_>> {
    // A name may contain anything: what is in it ends at the last parenthesis.
    let open = text.iter().position(|b| *b == b'(')?;
    let close = text.iter().rposition(|b| *b == b')')?;
    let comm = text.get(open + 1..close)?;
    // Fields 3 and on.
    let mut fields = fields(text.get(close + 2..)?);
    let state = fields.next()?;
    let flags = fields.nth(5).and_then(unsigned);
    let threads = integer(fields.nth(10)?)?;
    Some(ProcessStat {
        comm,
        state,
        of_kernel: flags.is_some_and(|flags| flags & KERNEL_THREAD != 0),
        threads,
    })
}

fn integer(field: &[u8]) -> Option<i64> {
    match field {
        [b'-', rest @ ..] => 0i64.checked_sub_unsigned(unsigned_of_any_base(rest)?),
        [b'+', rest @ ..] => unsigned_of_any_base(rest)?.try_into().ok(),
        _ => unsigned_of_any_base(field)?.try_into().ok(),
    }
}

/// A state as a label: each byte that is not UTF-8 becomes a U+FFFD of its own, as the reference's scanner makes it.
pub(super) fn state_label(state: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(state) {
        return Cow::Borrowed(text);
    }
    let mut label = String::new();
    for chunk in state.utf8_chunks() {
        label.push_str(chunk.valid());
        label.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "1 2 3 4 5 FLAGS 7 8 9 10 11 12 13 14 15 16 THREADS 18 19 20";

    fn line(comm: &str, state: &str, flags: &str, threads: &str) -> String {
        let rest = REST.replace("FLAGS", flags).replace("THREADS", threads);
        format!("77 ({comm}) {state} {rest}\n")
    }

    #[test]
    fn a_name_may_contain_anything() {
        for comm in [
            "",
            "a b",
            ") S 1 (evil",
            "new\nline",
            "back\\slash (x) Z 0",
            "((",
        ] {
            let text = line(comm, "R", "0", "3");
            let stat = process_stat(text.as_bytes()).unwrap();
            assert_eq!(stat.comm, comm.as_bytes());
            assert_eq!((stat.state, stat.threads), (&b"R"[..], 3));
        }
    }

    #[test]
    fn fields_are_read_as_the_reference_reads_them() {
        for (threads, read) in [
            ("0x10", Some(16)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("x", None),
            ("1.5", None),
        ] {
            let text = line("a", "S", "0", threads);
            assert_eq!(
                process_stat(text.as_bytes()).map(|s| s.threads),
                read,
                "{threads}"
            );
        }
        let text = line("a", "running", "2097216", "1").replace(" S ", "\r\n\tS\n");
        let stat = process_stat(text.as_bytes()).unwrap();
        assert!(stat.of_kernel && stat.state == b"running");
        for cut in [
            "",
            "77",
            "77 (a",
            "77 (a)",
            "77 (a) ",
            "77 (a) S 1 2",
            "77 )a( S",
            "S",
        ] {
            assert_eq!(process_stat(cut.as_bytes()), None, "{cut}");
        }
    }

    #[test]
    fn a_bad_byte_of_a_state_is_one_replacement() {
        assert_eq!(state_label(b"\xff\xfe"), "\u{fffd}\u{fffd}");
        assert_eq!(state_label(b"a\xe2\x82b"), "a\u{fffd}\u{fffd}b");
        assert_eq!(state_label("é".as_bytes()), "é");
    }
}
