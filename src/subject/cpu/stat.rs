//! The parser of /proc/stat (Documentation/filesystems/proc.rst, 1.7), as far as it is about CPUs.
//!
//! Columns are read as the reference reads them, as floats: absurd ones are told with its values.

use super::USER_HZ;
use crate::host::parse::{LONGEST_TEXT, cut, fields, float, label, lines, signed, unsigned};
use crate::subject::ItemError;

/// Columns of a CPU's line that mean something.
pub(super) const COLUMNS: usize = 10;
/// Idle time going back at least this many seconds means that the CPU was taken out and put back.
const JUMP: f64 = 3.0;
const IDLE: usize = 3;

/// Ticks in the order of the columns: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice.
pub type Ticks = [f64; COLUMNS];

/// One CPU's line.
#[derive(Debug, Clone, PartialEq)]
pub struct Core {
    /// Its number, as the line has it.
    pub number: i64,
    /// Its columns.
    pub ticks: Ticks,
}

/// What the file says of the CPUs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stat {
    /// Each CPU once, in the order of the file.
    pub cores: Vec<Core>,
    /// The kernel's sum over all CPUs.
    pub total: Option<Ticks>,
    /// Interrupts since boot.
    pub interrupts: Option<u64>,
    /// Context switches since boot.
    pub switches: Option<u64>,
}

/// Parses /proc/stat; a CPU's line that cannot be read joins `errors`.
pub fn stat(text: &[u8], errors: &mut Vec<ItemError>) -> Stat {
    let mut stat = Stat::default();
    let mut highest = None;
    for line in lines(cut(text, LONGEST_TEXT)) {
        let line = line.trim_ascii_start();
        if let Some(rest) = line.strip_prefix(b"cpu") {
            if let Err(why) = stat.cpu(rest, &mut highest) {
                let name = fields(line).next().unwrap_or_default();
                errors.push(ItemError {
                    kind: "line",
                    item: label(name).into_owned(),
                    why: why.into(),
                });
            }
        } else if line.starts_with(b"intr") {
            stat.interrupts = second(line);
        } else if line.starts_with(b"ctxt") {
            stat.switches = second(line);
        }
    }
    stat
}

fn second(line: &[u8]) -> Option<u64> {
    fields(line).nth(1).and_then(unsigned)
}

impl Stat {
    /// Takes what follows `cpu` on its line.
    fn cpu(&mut self, rest: &[u8], highest: &mut Option<i64>) -> Result<(), &'static str> {
        let total = rest.first().is_none_or(crate::host::parse::is_blank);
        let mut columns = fields(rest);
        let number = if total { None } else { columns.next() };
        let mut ticks = [0.0; COLUMNS];
        let mut count = 0;
        for (tick, column) in ticks.iter_mut().zip(columns) {
            *tick = tick_of(column).ok_or("a column is no number")?;
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let Some(number) = number else {
            self.total = Some(ticks);
            return Ok(());
        };
        let number = signed(number).ok_or("the name has no number")?;
        let core = Core { number, ticks };
        // The kernel writes them in order: then none need be looked for.
        let known = if highest.replace(number.max(highest.unwrap_or(number))) < Some(number) {
            None
        } else {
            self.cores.iter_mut().find(|c| c.number == number)
        };
        match known {
            Some(known) => *known = core,
            None => self.cores.push(core),
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
fn tick_of(column: &[u8]) -> Option<f64> {
    match unsigned(column) {
        Some(whole) => Some(whole as f64),
        None => float(column),
    }
}

/// The highest ticks seen of each CPU.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<Core>);

impl Kept {
    /// Ticks that never go below those of the last time, column by column, unless the CPU was taken out and put back.
    /// A CPU that is not there is forgotten.
    pub(super) fn steady(&mut self, cores: &[Core]) -> Vec<Ticks> {
        let mut kept = Vec::with_capacity(cores.len());
        for (at, core) in cores.iter().enumerate() {
            let known = match self.0.get(at) {
                Some(same) if same.number == core.number => Some(same),
                _ => self.0.iter().find(|k| k.number == core.number),
            };
            let mut ticks = known.map_or([0.0; COLUMNS], |k| k.ticks);
            let idle = |ticks: &Ticks| ticks.get(IDLE).copied().unwrap_or(0.0) / USER_HZ;
            if idle(&ticks) - idle(&core.ticks) >= JUMP {
                ticks = [0.0; COLUMNS];
            }
            for (old, new) in ticks.iter_mut().zip(core.ticks) {
                // What is no number compares as false: the old value stays.
                if new >= *old {
                    *old = new;
                }
            }
            kept.push(Core {
                number: core.number,
                ticks,
            });
        }
        self.0 = kept;
        self.0.iter().map(|k| k.ticks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Stat, usize) {
        let mut errors = Vec::new();
        let stat = stat(text.as_bytes(), &mut errors);
        (stat, errors.len())
    }

    #[test]
    fn every_line_of_stat_is_read_as_the_reference_reads_it() {
        let row = |number, ticks: &[f64]| {
            let mut all = [0.0; 10];
            all[..ticks.len()].copy_from_slice(ticks);
            Core { number, ticks: all }
        };
        for (line, cores) in [
            ("cpu0 1 2 3", vec![row(0, &[1.0, 2.0, 3.0])]),
            ("  cpu1\t1   2\r", vec![row(1, &[1.0, 2.0])]),
            ("cpu2", vec![]),
            ("cpu", vec![]),
            ("cpu  1 2 3 4", vec![]),
            ("cpu-5 1", vec![row(-5, &[1.0])]),
            ("cpu007 1", vec![row(7, &[1.0])]),
            ("cpu4294967296 3", vec![row(4_294_967_296, &[3.0])]),
            ("cpu0 1e3 4.5 +7", vec![row(0, &[1000.0, 4.5, 7.0])]),
            (
                "cpu0 1 2 3 4 5 6 7 8 9 10 11 x",
                vec![row(0, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])],
            ),
            (
                "cpu0 1\ncpu1 2\ncpu0 3",
                vec![row(0, &[3.0]), row(1, &[2.0])],
            ),
            (
                "cpu1 1\ncpu-9 2\ncpu1 3",
                vec![row(1, &[3.0]), row(-9, &[2.0])],
            ),
            ("intr 1 2 3\ncpu3 1\n\nwhat", vec![row(3, &[1.0])]),
            ("", vec![]),
        ] {
            let (stat, errors) = parsed(line);
            assert_eq!(stat.cores, cores, "{line}");
            assert_eq!(errors, 0, "{line}");
        }
        assert_eq!(parsed("cpu  1 2 3 4").0.total.unwrap()[3], 4.0);
        let (stat, _) = parsed("intr 77 1 2\nctxt 99\nbtime x\n");
        assert_eq!((stat.interrupts, stat.switches), (Some(77), Some(99)));
    }

    #[test]
    fn a_bad_line_of_stat_costs_that_cpu_and_is_counted() {
        for bad in [
            "cpu1 x",
            "cpu1 0x10",
            "cpu1 1\0 2",
            "cpuX 1 2",
            "cpu9223372036854775808 1",
        ] {
            let (stat, errors) = parsed(&format!("cpu0 1\n{bad}\ncpu2 3\n"));
            let numbers: Vec<_> = stat.cores.iter().map(|c| c.number).collect();
            assert_eq!(numbers, [0, 2], "{bad}");
            assert_eq!(errors, 1, "{bad}");
        }
    }

    #[test]
    fn counters_never_go_back_but_after_a_jump_of_idle_time() {
        let mut kept = Kept::default();
        let mut steady = |text: &str| kept.steady(&parsed(text).0.cores);
        assert_eq!(
            steady("cpu0 50 10 30 1000 4")[0][..5],
            [50.0, 10.0, 30.0, 1000.0, 4.0]
        );
        // One second of idle back: each column keeps its highest.
        assert_eq!(
            steady("cpu0 49 11 29 900 3")[0][..5],
            [50.0, 11.0, 30.0, 1000.0, 4.0]
        );
        // Three: all of that CPU starts anew.
        assert_eq!(
            steady("cpu0 40 5 20 700 2")[0][..5],
            [40.0, 5.0, 20.0, 700.0, 2.0]
        );
        // What is no number, or below zero, is what was there before.
        assert_eq!(
            steady("cpu0 NaN -5 21 701 2")[0][..5],
            [40.0, 5.0, 21.0, 701.0, 2.0]
        );
        assert_eq!(
            steady("cpu1 NaN -5 +Inf 1")[0][..4],
            [0.0, 0.0, f64::INFINITY, 1.0]
        );
        // Gone and back: forgotten meanwhile. Found again at another place.
        assert_eq!(
            steady("cpu0 1 1 1 690\ncpu1 0 0 0 0")[0][..4],
            [1.0, 1.0, 1.0, 690.0]
        );
        assert_eq!(
            steady("cpu1 0 0 0 0\ncpu0 0 2 0 690")[1][..4],
            [1.0, 2.0, 1.0, 690.0]
        );
    }
}
