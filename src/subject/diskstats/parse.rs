//! Parsers of /proc/diskstats (Linux Documentation/admin-guide/iostats.rst) and of udev's data of a device (udev(7)).

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::host::parse::{LONGEST_LINE, fields, label, lines, unsigned};
use crate::subject::ItemError;

/// Columns after the name: 11 before Linux 4.18, 15 before 5.5.
pub const COLUMNS: usize = 17;
/// The fewest columns of a device that is told.
const FEWEST: usize = 11;

/// One line of /proc/diskstats.
#[derive(Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Major number of the device.
    pub major: u32,
    /// Its minor number.
    pub minor: u32,
    /// Its name in the kernel.
    pub name: &'a [u8],
    /// How many columns the kernel has.
    pub known: usize,
    /// Those columns; 0 beyond.
    pub columns: [u64; COLUMNS],
}

/// The devices of /proc/diskstats, in its order. A line with fewer columns than any kernel writes is none; of a device that
/// is there twice the first line counts.
#[must_use]
pub fn devices(text: &[u8]) -> (Vec<Row<'_>>, Vec<ItemError>) {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    let mut seen: HashSet<&[u8], RandomState> = HashSet::default();
    for line in lines(text) {
        if line.len() > LONGEST_LINE {
            break;
        }
        match row(line) {
            Ok(Some(row)) => {
                if seen.insert(row.name) {
                    rows.push(row);
                }
            }
            Ok(None) => {}
            Err(why) => errors.push(ItemError {
                kind: "device",
                item: label(line.get(..40).unwrap_or(line)).into_owned(),
                why: why.into(),
            }),
        }
    }
    (rows, errors)
}

fn row(line: &[u8]) -> Result<Option<Row<'_>>, &'static str> {
    const BAD: &str = "line of /proc/diskstats with something else than numbers";
    let mut parts = fields(line);
    let number = |parts: Option<&[u8]>| match parts {
        None => Ok(None),
        Some(field) => match unsigned(field).map(u32::try_from) {
            Some(Ok(number)) => Ok(Some(number)),
            _ => Err(BAD),
        },
    };
    let (Some(major), Some(minor), Some(name)) =
        (number(parts.next())?, number(parts.next())?, parts.next())
    else {
        return Ok(None);
    };
    let mut columns = [0; COLUMNS];
    let mut known = 0;
    for (column, field) in columns.iter_mut().zip(parts) {
        *column = unsigned(field).ok_or(BAD)?;
        known += 1;
    }
    Ok((known >= FEWEST).then_some(Row {
        major,
        minor,
        name,
        known,
        columns,
    }))
}

/// The lines of udev's data of a device that begin with `kind`, such as `E:` for properties and `S:` for links.
pub fn udev<'a>(text: &'a [u8], kind: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    lines(text)
        .take_while(|line| line.len() <= LONGEST_LINE)
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter_map(move |line| line.strip_prefix(kind))
}

/// The value of `name=` in such lines or those of a uevent; the last one counts.
pub fn property<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    lines
        .filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        .last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_as_many_columns_as_its_kernel_knows() {
        let text = b"   8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n\n8 1 sda1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n\
            8 2 cut 1 2 3 4 5 6 7 8 9 10\n8 3 sda3 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n\
            8 4 bad 1 2 -3 4 5 6 7 8 9 10 11\nx\n8 0 sda 9 9 9 9 9 9 9 9 9 9 9\n4294967296 0 far 1 2 3 4 5 6 7 8 9 10 11";
        let (rows, errors) = devices(text);
        let told: Vec<_> = rows.iter().map(|r| (r.name, r.known)).collect();
        assert_eq!(told, [(&b"sda"[..], 11), (b"sda1", 15), (b"sda3", 17)]);
        assert_eq!(rows[0].columns[0], 1);
        assert_eq!(errors.len(), 3);
    }

    #[test]
    fn the_last_line_of_a_property_counts() {
        let text =
            b"S:disk/by-id/a\nI:1\nE:ID_MODEL=x\r\nE:ID_MODEL=y=z\nE:ID_MODEL_ENC=w\nE:ID_WWN\n";
        assert_eq!(property(udev(text, b"E:"), "ID_MODEL"), Some(&b"y=z"[..]));
        assert_eq!(property(udev(text, b"E:"), "ID_WWN"), None);
        assert_eq!(udev(text, b"S:").count(), 1);
    }
}
