//! Parser of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
//!
//! Fields are parted by single blanks, as an empty device is told by two of them. A bad line costs that line alone.

use crate::host::parse::{lines, signed};

/// One line of mountinfo, escapes still in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Device number, first half.
    pub major: i64,
    /// Device number, second half.
    pub minor: i64,
    /// Which directory of the file system is mounted: `/` but for bind mounts.
    pub root: &'a [u8],
    /// Where it is mounted.
    pub mount_point: &'a [u8],
    /// Options of this mount.
    pub options: &'a [u8],
    /// Type of the file system.
    pub fstype: &'a [u8],
    /// What is mounted.
    pub device: &'a [u8],
    /// Options of the file system.
    pub super_options: &'a [u8],
}

/// The lines of a mountinfo file, each parsed or with what is wrong with it.
pub fn mountinfo(text: &[u8]) -> impl Iterator<Item = (&[u8], Result<Line<'_>, &'static str>)> {
    lines(text).map(|line| (line, parse(line)))
}

fn parse(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut ahead = line.split(|b| *b == b' ');
    let mut next = || ahead.next().ok_or("fewer than 10 fields");
    let (id, parent) = (next()?, next()?);
    let (device_number, root, mount_point, options) = (next()?, next()?, next()?, next()?);
    let mut behind = line.rsplit(|b| *b == b' ');
    let mut last = || behind.next().ok_or("fewer than 10 fields");
    let (super_options, device, fstype, separator) = (last()?, last()?, last()?, last()?);
    if line.iter().filter(|b| **b == b' ').count() < 9 {
        return Err("fewer than 10 fields");
    }
    if separator != b"-" {
        return Err("no separator before the type of the file system");
    }
    if signed(id).is_none() || signed(parent).is_none() {
        return Err("mount ID that is no number");
    }
    let (major, minor) =
        numbers(device_number).ok_or("device number that is no pair of numbers")?;
    Ok(Line {
        major,
        minor,
        root,
        mount_point,
        options,
        fstype,
        device,
        super_options,
    })
}

/// `8:1`; what follows the second number is ignored, as the reference does.
fn numbers(text: &[u8]) -> Option<(i64, i64)> {
    let colon = text.iter().position(|b| *b == b':')?;
    let (major, rest) = text.split_at_checked(colon)?;
    let rest = rest.get(1..)?;
    let end = rest
        .iter()
        .enumerate()
        .position(|(i, b)| !(b.is_ascii_digit() || (i == 0 && matches!(b, b'-' | b'+'))))
        .unwrap_or(rest.len());
    Some((number(major)?, number(rest.get(..end)?)?))
}

/// A number however many zeros it begins with.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Decodes `\ooo` where `which` says so, and leaves every other backslash as it is.
#[must_use]
pub fn decode(text: &[u8], which: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        if let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] = rest {
            let byte = (a - b'0') << 6 | (b - b'0') << 3 | (c - b'0');
            if which(byte) {
                out.push(byte);
                rest = rest.get(4..).unwrap_or_default();
                continue;
            }
        }
        out.push(*first);
        rest = after;
    }
    out
}

/// Whether a list of options has `option`, alone or with an empty value.
#[must_use]
pub fn has_option(options: &[u8], option: &[u8]) -> bool {
    options
        .split(|b| *b == b',')
        .any(|o| o.strip_suffix(b"=").unwrap_or(o) == option)
}

/// The types of /proc/filesystems that live on a device, and zfs, which is marked as if it did not.
#[must_use]
pub fn device_types(text: &[u8]) -> Vec<&[u8]> {
    lines(text)
        .filter_map(|line| match line.strip_prefix(b"nodev") {
            None => Some(line.trim_ascii()),
            Some(rest) => (rest.trim_ascii() == b"zfs").then_some(b"zfs".as_slice()),
        })
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<Line<'_>, &'static str> {
        let mut all = mountinfo(line.as_bytes());
        all.next().unwrap().1
    }

    #[test]
    fn optional_fields_may_be_none_many_or_strange() {
        for optional in ["", "shared:1 ", "shared:1 master:2 weird propagate_from:9 "] {
            let text = format!("40 -1 8:1 /sub /mnt rw,noatime {optional}- ext4 /dev/sdx rw,a=b");
            let line = one(&text);
            if optional.is_empty() {
                assert!(line.is_ok(), "{text}");
            }
            let line = line.unwrap();
            assert_eq!((line.major, line.minor), (8, 1));
            assert_eq!(line.root, b"/sub");
            assert_eq!(line.mount_point, b"/mnt");
            assert_eq!(line.options, b"rw,noatime");
            assert_eq!(line.fstype, b"ext4");
            assert_eq!(line.device, b"/dev/sdx");
            assert_eq!(line.super_options, b"rw,a=b");
        }
        assert_eq!(one("1 1 0:1 / /x rw - tmpfs  rw").unwrap().device, b"");
        assert_eq!(one("1 1 0:1 / /x rw - - - -").unwrap().fstype, b"-");
    }

    #[test]
    fn device_numbers_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("8:1x", Some((8, 1))),
            ("-1:008", Some((-1, 8))),
            (
                "4294967296:9007199254740993",
                Some((4_294_967_296, 9_007_199_254_740_993)),
            ),
            ("8", None),
            ("x:1", None),
            ("8:x", None),
            ("9223372036854775808:1", None),
        ] {
            assert_eq!(numbers(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bad_lines_are_told_apart_from_good_ones() {
        for bad in [
            "",
            "40 1 8:1 / /mnt rw - ext4 rw",
            "40 1 8:1 / /mnt rw - ext4 /dev/a b rw",
            "x 1 8:1 / /mnt rw - ext4 /dev/a rw",
            "40 x 8:1 / /mnt rw - ext4 /dev/a rw",
            "40 1 8 / /mnt rw - ext4 /dev/a rw",
            "40\t1\t8:1\t/\t/mnt\trw\t-\text4\t/dev/a\trw",
        ] {
            let text = format!("1 1 8:1 / /a rw - ext4 d rw\n{bad}\n1 1 8:1 / /b rw - ext4 d rw\n");
            let parsed: Vec<_> = mountinfo(text.as_bytes()).map(|(_, l)| l.is_ok()).collect();
            assert_eq!(parsed, [true, false, true], "{bad:?}");
        }
        assert_eq!(mountinfo(b"").count(), 0);
    }

    #[test]
    fn escapes_are_decoded_where_asked() {
        let blank = |b: u8| b == b' ' || b == b'\t';
        assert_eq!(decode(b"a\\040b\\012\\1", blank), b"a b\\012\\1");
        assert_eq!(decode(b"a\\040b\\012\\1", |_| true), b"a b\n\\1");
        assert_eq!(decode(b"\\134040\\777", |_| true), b"\\040\\777");
    }

    #[test]
    fn an_option_counts_alone_or_with_an_empty_value() {
        for (options, expected) in [
            ("rw,ro", true),
            ("ro=,rw", true),
            ("rw,ro=1", false),
            ("errors=remount-ro", false),
            ("=,,=ro", false),
        ] {
            assert_eq!(has_option(options.as_bytes(), b"ro"), expected, "{options}");
        }
    }

    #[test]
    fn device_types_leave_out_nodev_but_not_zfs() {
        let text = b"nodev\tsysfs\n\text4\nnodev\tzfs\n\n\txfs\n";
        assert_eq!(device_types(text), [b"ext4".as_slice(), b"zfs", b"xfs"]);
    }
}
