//! Packets on their way into the network stack, by CPU: /proc/net/softnet_stat (net/core/net-procfs.c; hexadecimal).
//!
//! Old kernels write fewer columns and no number of the CPU: then it is the number of the line, which is wrong once a CPU
//! is offline. The reference does the same.

use crate::dialect::prometheus::{Declared, Family, Page};
use crate::host::Pass;
use crate::host::parse::{LONGEST_TEXT, cut, fields, hexadecimal, lines};
use crate::subject::{Absent, Asker, Invalid, ItemError, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Softnet;

crate::families! { Softnet:
    PROCESSED counter "node_softnet_processed_total" ["cpu"] "Packets processed";
    DROPPED counter "node_softnet_dropped_total" ["cpu"] "Packets dropped, since the backlog was full";
    SQUEEZED counter "node_softnet_times_squeezed_total" ["cpu"] "Times processing ended with packets left over";
    COLLISION counter "node_softnet_cpu_collision_total" ["cpu"] "Times a device was locked by another CPU while sending";
    RPS counter "node_softnet_received_rps_total" ["cpu"] "Times a CPU was woken to process packets of another";
    FLOW_LIMIT counter "node_softnet_flow_limit_count_total" ["cpu"] "Packets dropped, since their flow had too many in the backlog";
    BACKLOG gauge "node_softnet_backlog_len" ["cpu"] "Packets in the backlog";
}

/// Columns counted from 0, how many a line needs for them to be there, and their families.
static COLUMNS: [(usize, usize, &Family<Softnet, 1>); 7] = [
    (0, 9, &PROCESSED),
    (1, 9, &DROPPED),
    (2, 9, &SQUEEZED),
    (8, 9, &COLLISION),
    (9, 10, &RPS),
    (10, 11, &FLOW_LIMIT),
    (11, 13, &BACKLOG),
];
const FEWEST: usize = 9;
/// With so many there is one that says which CPU it is.
const NUMBERED: usize = 13;

/// One CPU: its number, and its columns in the order of the families.
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu(u64, [u64; COLUMNS.len()]);

/// The CPUs of /proc/net/softnet_stat; a line that cannot be read joins `errors`.
pub fn cpus(text: &[u8], errors: &mut Vec<ItemError>) -> Vec<Cpu> {
    let mut cpus = Vec::new();
    for (number, line) in (0u64..).zip(lines(cut(text, LONGEST_TEXT))) {
        match cpu(number, line) {
            Ok(cpu) => cpus.push(cpu),
            Err(why) => errors.push(ItemError::new("line", line, why)),
        }
    }
    cpus
}

fn cpu(number: u64, line: &[u8]) -> Result<Cpu, &'static str> {
    let mut row = [0; NUMBERED];
    let mut width = 0;
    for (at, field) in fields(line).enumerate() {
        width += 1;
        if let Some(place) = row.get_mut(at) {
            let value = hexadecimal(field).filter(|value| u32::try_from(*value).is_ok());
            *place = value.ok_or("not a hexadecimal number of 32 bits")?;
        }
    }
    if width < FEWEST {
        return Err("fewer than nine columns");
    }
    let column = |(column, needs, _): (usize, usize, _)| match width >= needs {
        true => row.get(column).copied().unwrap_or_default(),
        false => 0,
    };
    let number = match row.last() {
        Some(own) if width >= NUMBERED => *own,
        _ => number,
    };
    Ok(Cpu(number, COLUMNS.map(column)))
}

impl Subject for Softnet {
    const NAME: &'static str = "softnet";
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
        let text = pass.net_file("softnet_stat")?;
        let mut errors = Vec::new();
        let cpus = cpus(&text, &mut errors);
        Ok(Taken::lacking(cpus, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Vec<Cpu>, page: &mut Page<'_, Self>) {
        let names: Vec<String> = reading.iter().map(|cpu| cpu.0.to_string()).collect();
        for (at, (_, _, family)) in COLUMNS.iter().enumerate() {
            let mut samples = page.family(family);
            for (cpu, name) in reading.iter().zip(&names) {
                if let Some(value) = cpu.1.get(at) {
                    samples.push([name], *value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_the_kernel_wrote() {
        let row = |count: u64| (1..=count).map(|n| format!("{n:08x} ")).collect::<String>();
        for (line, number, columns) in [
            (row(9), 0, [1, 2, 3, 9, 0, 0, 0]),
            (row(10), 0, [1, 2, 3, 9, 10, 0, 0]),
            (row(11), 0, [1, 2, 3, 9, 10, 11, 0]),
            (row(12), 0, [1, 2, 3, 9, 10, 11, 0]),
            (row(13), 13, [1, 2, 3, 9, 10, 11, 12]),
            (row(13) + "zz", 13, [1, 2, 3, 9, 10, 11, 12]),
        ] {
            let mut errors = Vec::new();
            assert_eq!(
                cpus(line.as_bytes(), &mut errors),
                [Cpu(number, columns)],
                "{line}"
            );
            assert!(errors.is_empty());
        }
    }

    #[test]
    fn a_bad_line_costs_itself_and_keeps_the_place_of_the_others() {
        let mut errors = Vec::new();
        let text =
            "1 2 3 4 5 6 7 8\nxx 2 3 4 5 6 7 8 9\n1ffffffff 2 3 4 5 6 7 8 9\n\n1 2 3 4 5 6 7 8 9\n";
        assert_eq!(
            cpus(text.as_bytes(), &mut errors),
            [Cpu(4, [1, 2, 3, 9, 0, 0, 0])]
        );
        assert_eq!(errors.len(), 4);
    }
}
