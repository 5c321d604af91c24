//! The parser of /proc/cpuinfo, for the fields that are told.
//!
//! Keys are split from values at the first colon with a blank behind it, as the reference does: a line that has none
//! says nothing. Flags are kept of the first processor only.

use crate::host::parse::{
    LONGEST_LINE, LONGEST_TEXT, cut, fields, float, label, lines, trim, unsigned_of_any_base,
};
use crate::subject::ItemError;

/// ARM kernels write `Features` where x86 writes `flags`; a reference built for x86 does not know that word.
const FEATURES_ARE_FLAGS: bool = cfg!(any(target_arch = "arm", target_arch = "aarch64"));

/// One processor; a field that is not there is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processor {
    pub(super) number: u32,
    pub(super) package: String,
    pub(super) core: String,
    pub(super) vendor: String,
    pub(super) family: String,
    pub(super) model: String,
    pub(super) model_name: String,
    pub(super) microcode: String,
    pub(super) stepping: String,
    pub(super) cache_size: String,
    mhz: String,
    pub(super) flags: Vec<String>,
    pub(super) bugs: Vec<String>,
}

/// Parses /proc/cpuinfo; a processor whose number cannot be read joins `errors` and is left out.
pub fn processors(text: &[u8], errors: &mut Vec<ItemError>) -> Vec<Processor> {
    let mut wrong = |item: &[u8], why: &str| {
        errors.push(ItemError {
            kind: "cpuinfo",
            item: label(item.get(..64).unwrap_or(item)).into_owned(),
            why: why.into(),
        });
    };
    let mut all: Vec<Processor> = Vec::new();
    // Whether fields belong to the last of `all`, or to one that is left out.
    let mut open = false;
    let mut begun = false;
    for line in lines(cut(text, LONGEST_TEXT)) {
        if line.len() > LONGEST_LINE {
            break;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !begun && !trim(line).is_empty() {
            begun = true;
            if !line.starts_with(b"processor") {
                wrong(line, "does not begin with a processor");
            }
        }
        let Some((key, value)) = split(line) else {
            // A processor without a number is one all the same.
            if line.starts_with(b"processor") && line.contains(&b':') {
                open = false;
                wrong(line, "has no number");
            }
            continue;
        };
        let first = all.len() == 1;
        match key {
            b"processor" => {
                let number = unsigned_of_any_base(value).and_then(|n| u32::try_from(n).ok());
                open = number.is_some();
                match number {
                    Some(number) => all.push(Processor {
                        number,
                        ..Processor::default()
                    }),
                    None => wrong(line, "its number is not one of 32 bits"),
                }
            }
            _ if !open => {}
            b"flags" if first => words(&mut all, value, |p| &mut p.flags),
            b"Features" if first && FEATURES_ARE_FLAGS => words(&mut all, value, |p| &mut p.flags),
            b"bugs" if first => words(&mut all, value, |p| &mut p.bugs),
            _ => {
                if let Some(field) = all.last_mut().and_then(|p| p.field(key)) {
                    label(value).as_ref().clone_into(field);
                }
            }
        }
    }
    if all.is_empty() {
        wrong(b"cpuinfo", "tells of no processor");
    }
    all
}

fn words(all: &mut [Processor], value: &[u8], field: fn(&mut Processor) -> &mut Vec<String>) {
    if let Some(processor) = all.last_mut() {
        *field(processor) = fields(value).map(|w| label(w).into_owned()).collect();
    }
}

impl Processor {
    /// Its core, number, package, and frequency in Hz, 0 where the file has none.
    pub(in crate::subject) fn clock(&self) -> (&str, u32, &str, f64) {
        let mhz = float(self.mhz.as_bytes()).unwrap_or_default();
        (&self.core, self.number, &self.package, mhz * 1e6)
    }

    fn field(&mut self, key: &[u8]) -> Option<&mut String> {
        Some(match key {
            b"vendor" | b"vendor_id" => &mut self.vendor,
            b"cpu family" => &mut self.family,
            b"model" => &mut self.model,
            b"model name" => &mut self.model_name,
            b"stepping" => &mut self.stepping,
            b"microcode" => &mut self.microcode,
            b"cache size" => &mut self.cache_size,
            b"cpu MHz" => &mut self.mhz,
            b"physical id" => &mut self.package,
            b"core id" => &mut self.core,
            _ => return None,
        })
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = line.windows(2).position(|pair| pair == b": ")?;
    Some((trim(line.get(..at)?), line.get(at + 2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpuinfo_is_read_as_the_reference_reads_it() {
        let read = |text: &str| {
            let mut errors = Vec::new();
            let all = processors(text.as_bytes(), &mut errors);
            (all, errors.len())
        };
        let (all, errors) = read(
            "\n\nprocessor\t: 0\nvendor_id\t: A\nmodel name\t: X: Y  @ 2 \r\nmodel\t\t: 1\nmodel\t\t: 2\nflags\t\t: a b a\n\
             bugs\t\t:\nvendor :glued\nsiblings : none\nno colon\n: nothing\n\nprocessor\t: 0x10\nflags\t\t: c\ncore id\t\t: -1\n",
        );
        assert_eq!(errors, 0);
        assert_eq!(
            all,
            [
                Processor {
                    vendor: "A".into(),
                    model_name: "X: Y  @ 2 ".into(),
                    model: "2".into(),
                    flags: ["a", "b", "a"].map(String::from).into(),
                    ..Processor::default()
                },
                Processor {
                    number: 16,
                    core: "-1".into(),
                    ..Processor::default()
                },
            ]
        );
        for (text, count, wrong) in [
            ("", 0, 1),
            ("vendor_id : x\nprocessor : 1\n", 1, 1),
            ("processor\t:\nvendor_id\t: x\nprocessor\t: 0\n", 1, 1),
            ("processor : 4294967296\nmodel : 1\nprocessor : 08\n", 0, 3),
        ] {
            let (all, errors) = read(text);
            assert_eq!((all.len(), errors), (count, wrong), "{text}");
            assert!(
                all.iter()
                    .all(|p| p.vendor.is_empty() && p.model.is_empty())
            );
        }
    }
}
