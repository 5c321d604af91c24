//! The scheduler's own times of each CPU: /proc/schedstat (Documentation/scheduler/sched-stats.rst).

use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{LONGEST_LINE, label, lines, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{Absent, Asker, Invalid, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Schedstat;

crate::families! { Schedstat:
    RUNNING counter "node_schedstat_running_seconds_total" ["cpu"] "Time a CPU ran tasks";
    WAITING counter "node_schedstat_waiting_seconds_total" ["cpu"] "Time tasks that could run waited for a CPU";
    SLICES counter "node_schedstat_timeslices_total" ["cpu"] "Times a CPU was given to a task";
}

/// One CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Its number, as the file has it.
    name: Box<str>,
    /// Nanoseconds run and waited, and slices of time.
    numbers: [u64; 3],
}

/// The CPUs of /proc/schedstat. As to the reference, `cpu`, its number and nine more may stand anywhere in a line; what is
/// nothing of that kind is passed over.
pub fn cpus(text: &[u8]) -> Vec<Cpu> {
    lines(text)
        .take_while(|line| line.len() <= LONGEST_LINE)
        .filter_map(|line| {
            let starts = line.windows(3).enumerate().filter(|(_, w)| w == b"cpu");
            let mut rests = starts.filter_map(|(at, _)| line.get(at + 3..));
            rests.find_map(numbers).and_then(cpu)
        })
        .collect()
}

/// Ten runs of digits with single blanks between them.
fn numbers(text: &[u8]) -> Option<[&[u8]; 10]> {
    let mut parts = text.splitn(10, |b| *b == b' ');
    let mut numbers = [&b""[..]; 10];
    for (at, number) in numbers.iter_mut().enumerate() {
        let part = parts.next()?;
        let digits = part.iter().take_while(|b| b.is_ascii_digit()).count();
        // What follows the last one does not matter.
        if digits == 0 || (at < 9 && digits < part.len()) {
            return None;
        }
        *number = part.get(..digits)?;
    }
    Some(numbers)
}

fn cpu([name, .., running, waiting, slices]: [&[u8]; 10]) -> Option<Cpu> {
    Some(Cpu {
        name: label(name).into(),
        numbers: [unsigned(running)?, unsigned(waiting)?, unsigned(slices)?],
    })
}

impl Subject for Schedstat {
    const NAME: &'static str = "schedstat";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Vec<Cpu>;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Vec<Cpu>>, Absent> {
        let text = pass.file(Root::Proc, "schedstat")?;
        Ok(cpus(&text).into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds in a double, as the reference tells them"
    )]
    fn prometheus(_: &NoOptions, reading: &Vec<Cpu>, page: &mut Page<'_, Self>) {
        for (at, family) in [&RUNNING, &WAITING, &SLICES].into_iter().enumerate() {
            let mut samples = page.family(family);
            for cpu in reading {
                let Some(number) = cpu.numbers.get(at) else {
                    continue;
                };
                match at {
                    2 => samples.push([&cpu.name], *number),
                    _ => samples.push([&cpu.name], *number as f64 / 1e9),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_is_ten_numbers_wherever_they_stand() {
        for (line, name, read) in [
            ("cpu0 0 0 0 0 0 0 1 2 3", "0", Some([1, 2, 3])),
            ("xcpu4 0 0 0 0 0 0 1 2 3", "4", Some([1, 2, 3])),
            ("cpucpu6 0 0 0 0 0 0 1 2 3x", "6", Some([1, 2, 3])),
            ("cpu007 9 9 9 9 9 9 1 2 3 4 5", "007", Some([1, 2, 3])),
            ("cpu5  0 0 0 0 0 0 1 2 3", "", None),
            ("cpu2 0 0 0 0 0 0 10 20", "", None),
            ("cpu2 0 0 x 0 0 0 1 2 3", "", None),
            ("cpu3 0 0 0 0 0 0 18446744073709551616 20 5", "", None),
            ("domain0 3 1 2 3 4 5 6 7 8 9", "", None),
        ] {
            let wanted = read.map(|numbers| Cpu {
                name: name.into(),
                numbers,
            });
            assert_eq!(cpus(line.as_bytes()).into_iter().next(), wanted, "{line}");
        }
    }
}
