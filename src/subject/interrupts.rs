//! Interrupts by CPU and line: /proc/interrupts (proc(5)).

use std::collections::BTreeMap;

use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{LONGEST_LINE, fields, label, lines};
use crate::host::{Pass, Root};
use crate::model::pattern::Pattern;
use crate::subject::fields::count;
use crate::subject::{Absent, Asker, Flag, Invalid, ItemError, Machine, Subject, Taken};

/// The subject.
pub struct Interrupts;

/// Options of interrupts.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Lines to tell, a regular expression of `NAME;INFO;DEVICES`. Default: all.
    pub name_include: Option<Pattern>,
    /// Lines not to tell, a regular expression of `NAME;INFO;DEVICES`. Default: none.
    pub name_exclude: Option<Pattern>,
    /// Tell numbers that are 0 too. Default: true.
    pub include_zeros: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name_include: None,
            name_exclude: None,
            include_zeros: true,
        }
    }
}

crate::families! { Interrupts:
    INTERRUPTS counter "node_interrupts_total" ["cpu", "type", "info", "devices"] "Interrupts a CPU served";
}

/// More lines that cannot be read are not told one by one.
const MOST_BAD: usize = 100;

/// What the kernel says of a line, and its number for each CPU.
#[derive(Debug, PartialEq)]
pub struct Line {
    info: Box<str>,
    devices: Box<str>,
    counts: Vec<f64>,
}

/// The lines by their names.
pub type Reading = BTreeMap<Box<str>, Line>;

/// The lines of /proc/interrupts; a number that is none joins `errors` and costs its line. The first line has a word for
/// each CPU. A line with fewer numbers and words behind its colon (`ERR`, `MIS`) is passed over, as the reference does.
/// Of a name that is there twice the last line counts.
pub fn interrupts(text: &[u8], errors: &mut Vec<ItemError>) -> Reading {
    let mut all = Reading::new();
    let mut bad = |line: &[u8], why| {
        if errors.len() < MOST_BAD {
            errors.push(ItemError::new("line", line, why));
        }
    };
    let mut lines = lines(text);
    let cpus = lines.next().map_or(0, |title| fields(title).count());
    for line in lines {
        if line.len() > LONGEST_LINE {
            bad(line, "longer than 64 KiB");
            continue;
        }
        let colon = line.iter().position(|b| *b == b':');
        let Some((name, rest)) = colon.and_then(|at| line.split_at_checked(at)) else {
            continue;
        };
        let mut parts = fields(rest.get(1..).unwrap_or_default());
        let numbers: Vec<_> = parts.by_ref().take(cpus).map(count).collect();
        let mut words: Vec<_> = parts.map(label).collect();
        if numbers.len() < cpus || words.is_empty() {
            continue;
        }
        let blanks = name.iter().take_while(|b| **b == b' ').count();
        let name = label(name.get(blanks..).unwrap_or_default());
        let Some(counts) = numbers.into_iter().collect() else {
            bad(name.as_bytes(), "a count is no number");
            continue;
        };
        let numbered = name.parse::<i64>().is_ok();
        let devices = words.split_off(if numbered { 1 } else { words.len() });
        let line = Line {
            info: words.join(" ").into(),
            devices: devices.join(" ").into(),
            counts,
        };
        all.insert(name.into(), line);
    }
    all
}

fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    match text {
        "" => Ok(None),
        text => Pattern::new(text).map(Some).map_err(|e| e.to_string()),
    }
}

impl Subject for Interrupts {
    const NAME: &'static str = "interrupts";
    const ON: bool = false;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.interrupts.name-include",
            "Interrupts to tell, a regular expression of NAME;INFO;DEVICES",
            |o: &mut Options, v| pattern(v).map(|p| o.name_include = p),
        ),
        Flag::value(
            "collector.interrupts.name-exclude",
            "Interrupts not to tell, a regular expression of NAME;INFO;DEVICES",
            |o: &mut Options, v| pattern(v).map(|p| o.name_exclude = p),
        ),
        Flag::switch(
            "collector.interrupts.include-zeros",
            "Tell numbers that are 0 too",
            |o: &mut Options, v| {
                o.include_zeros = v == "true";
                Ok(())
            },
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "interrupts")?;
        if text.is_empty() {
            return Err(Absent::Failed("interrupts: empty".into()));
        }
        let mut errors = Vec::new();
        let all = interrupts(&text, &mut errors);
        Ok(Taken::lacking(all, errors))
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&INTERRUPTS);
        let most = reading.values().map(|line| line.counts.len()).max();
        let cpus: Vec<String> = (0..most.unwrap_or(0)).map(|cpu| cpu.to_string()).collect();
        for (name, line) in reading {
            let whole = format!("{name};{};{}", line.info, line.devices);
            // Both count where both are set, as in the reference.
            let told = options
                .name_include
                .as_ref()
                .is_none_or(|p| p.matches(&whole))
                && options
                    .name_exclude
                    .as_ref()
                    .is_none_or(|p| !p.matches(&whole));
            for (cpu, count) in cpus.iter().zip(&line.counts).filter(|_| told) {
                if options.include_zeros || *count != 0.0 {
                    samples.push([cpu, name, &line.info, &line.devices], *count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::prometheus::{Format, Out};

    #[test]
    fn a_line_has_a_number_for_each_cpu_and_words_behind_them() {
        let text = "      CPU0  CPU1\n  0:  44  0  IO-APIC 2-edge timer\nNMI: 1 2 Non-maskable interrupts\nERR: 0\nMIS: 5 6\n\
                    LOC:12 0 Local\n26 : 1 2 a b\nFOO 1 2 a\n 9: 1 x y\n  0: 9 9 dup dup\n";
        let mut errors = Vec::new();
        let told: Vec<_> = interrupts(text.as_bytes(), &mut errors)
            .into_iter()
            .map(|(name, l)| format!("{name}|{}|{}|{:?}", l.info, l.devices, l.counts))
            .collect();
        let wanted = [
            "0|dup|dup|[9.0, 9.0]",
            "26 |a b||[1.0, 2.0]",
            "LOC|Local||[12.0, 0.0]",
            "NMI|Non-maskable interrupts||[1.0, 2.0]",
        ];
        assert_eq!(told, wanted);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn lines_are_told_by_their_names_and_what_stands_behind_them() {
        let text = b"  CPU0 CPU1\n  8: 0 1 IO-APIC rtc0\nNMI: 1 2 Non-maskable\nLOC: 12 0 Local\n";
        let reading = interrupts(text, &mut Vec::new());
        let told = |flags: &[(&str, &str)]| {
            let mut options = Options::default();
            for (name, value) in flags {
                let name = format!("collector.interrupts.{name}");
                let flag = Interrupts::FLAGS.iter().find(|f| f.descriptor.name == name);
                (flag.unwrap().set)(&mut options, value).unwrap();
            }
            let mut out = Out::new(Format::Text, 0);
            Interrupts::prometheus(&options, &reading, &mut out.page());
            let page = String::from_utf8(out.finish()).unwrap();
            let names = ["8", "LOC", "NMI"];
            names.map(|name| page.matches(&format!("type=\"{name}\"")).count())
        };
        // As node_exporter has it, both patterns together included.
        for (flags, counts) in [
            (&[][..], [2, 2, 2]),
            (&[("include-zeros", "false")], [1, 1, 2]),
            (&[("name-include", "^NMI;|rtc")], [2, 0, 2]),
            (&[("name-exclude", "^NMI;")], [2, 2, 0]),
            (
                &[("name-include", "c"), ("name-exclude", "^LOC;")],
                [2, 0, 0],
            ),
            (&[("name-include", "")], [2, 2, 2]),
        ] {
            assert_eq!(told(flags), counts, "{flags:?}");
        }
    }

    #[test]
    fn a_file_of_nothing_but_bad_lines_costs_a_bound() {
        let mut errors = Vec::new();
        let text = format!("CPU0\n{}", "1: x y\n".repeat(10_000));
        assert!(interrupts(text.as_bytes(), &mut errors).is_empty());
        assert_eq!(errors.len(), MOST_BAD);
    }
}
