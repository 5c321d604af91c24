//! Open files of the whole machine: /proc/sys/fs/file-nr (Documentation/admin-guide/sysctl/fs.rst).

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{trim, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Asker, Invalid, Item, ItemError, Machine, NoOptions, Said, Subject, Taken,
};

/// The subject.
pub struct Filefd;

crate::families! { Filefd:
    ALLOCATED gauge "node_filefd_allocated" [] "Files that are open";
    MAXIMUM gauge "node_filefd_maximum" [] "Files that may be open";
}

/// Files that are open, and that may be; what cannot be read is none.
pub struct Reading([Option<u64>; 2]);

const NONE: Unsupported = Unsupported::new("Cannot obtain data from /proc/sys/fs/file-nr.");

fn said(number: Option<u64>) -> Said {
    number.map(Value::from).ok_or(NONE)
}

/// The first and the third of the numbers between tabs; none where there are fewer than three parts.
fn parse(text: &[u8]) -> Option<[Option<u64>; 2]> {
    let mut parts = trim(text).split(|b| *b == b'\t');
    let (first, third) = (parts.next()?, parts.nth(1)?);
    Some([unsigned(first), unsigned(third)])
}

impl Subject for Filefd {
    const NAME: &'static str = "filefd";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[
        Item {
            name: "kernel.maxfiles",
            parameters: &[],
            help: "Files that may be open",
            want: |_, _| Ok(()),
            answer: Answer::Now(|_, reading: &Reading, _| said(reading.0[1])),
        },
        Item {
            name: "kernel.openfiles",
            parameters: &[],
            help: "Files that are open",
            want: |_, _| Ok(()),
            answer: Answer::Now(|_, reading: &Reading, _| said(reading.0[0])),
        },
    ];
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "sys/fs/file-nr")?;
        let read =
            parse(&text).ok_or_else(|| Absent::Failed("file-nr: not three numbers".into()))?;
        let bad = |name| ItemError::new("number", name, "not a whole number");
        let names: [&[u8]; 2] = [b"allocated", b"maximum"];
        let each = names.into_iter().zip(read);
        let errors = each
            .filter(|(_, n)| n.is_none())
            .map(|(name, _)| bad(name))
            .collect();
        Ok(Taken::lacking(Reading(read), errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        for (family, number) in [&ALLOCATED, &MAXIMUM].into_iter().zip(reading.0) {
            if let Some(number) = number {
                page.value(family, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_stand_between_tabs() {
        for (text, read) in [
            (
                "1024\t0\t9223372036854775807\n",
                Some([Some(1024), Some(9_223_372_036_854_775_807)]),
            ),
            (" \t1\tx\t7\t8\t\n", Some([Some(1), Some(7)])),
            ("1024\tx\t7 7\n", Some([Some(1024), None])),
            ("1024 0 77\n", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), read, "{text}");
        }
    }
}
