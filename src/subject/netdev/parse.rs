//! The parser of /proc/net/dev (Linux Documentation/filesystems/proc.rst), and TCP sockets by state.
//!
//! A bad line costs that line alone.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

use crate::host::parse::{fields, label, lines, trim, unsigned};
use crate::host::{End, Socket};
use crate::subject::ItemError;

/// Columns of /proc/net/dev.
pub const COLUMNS: usize = 16;
/// A longer line is no line of the kernel's.
const LONGEST: usize = 64 << 10;

/// TCP states as the kernel numbers them, from 1, and one that no socket is in.
pub const STATES: [&str; 12] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "DELETE",
];

/// One line of /proc/net/dev.
#[derive(Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Name of the interface.
    pub name: &'a [u8],
    /// Its columns, from the left.
    pub columns: [u64; COLUMNS],
}

/// The interfaces of /proc/net/dev, in its order. The first two lines are titles, whatever they say. Of an
/// interface that is there twice the last line counts.
#[must_use]
pub fn interfaces(text: &[u8]) -> (Vec<Row<'_>>, Vec<ItemError>) {
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut errors = Vec::new();
    let mut places: HashMap<&[u8], usize, RandomState> = HashMap::default();
    for line in lines(text).skip(2) {
        match row(line) {
            Ok(row) => {
                let at = *places.entry(row.name).or_insert(rows.len());
                match rows.get_mut(at) {
                    Some(known) => *known = row,
                    None => rows.push(row),
                }
            }
            Err(why) => errors.push(ItemError {
                kind: "interface",
                item: label(line.get(..40).unwrap_or(line)).into_owned(),
                why: why.into(),
            }),
        }
    }
    (rows, errors)
}

fn row(line: &[u8]) -> Result<Row<'_>, &'static str> {
    if line.len() > LONGEST {
        return Err("line of /proc/net/dev longer than 64 KiB");
    }
    let colon = line.iter().rposition(|b| *b == b':');
    let (name, values) = colon
        .and_then(|at| line.split_at_checked(at))
        .ok_or("line of /proc/net/dev without a colon")?;
    let name = trim(name);
    if name.is_empty() {
        return Err("line of /proc/net/dev without a name");
    }
    let mut values = fields(values.get(1..).unwrap_or_default());
    let mut columns = [0; COLUMNS];
    for column in &mut columns {
        let value = values
            .next()
            .ok_or("line of /proc/net/dev with fewer than 16 columns")?;
        *column = unsigned(value).ok_or("line of /proc/net/dev with something else than counts")?;
    }
    if values.any(|value| unsigned(value).is_none()) {
        return Err("line of /proc/net/dev with something else than counts");
    }
    Ok(Row { name, columns })
}

/// Counts TCP sockets by state.
#[derive(Debug, Default)]
pub struct Connections {
    states: [u64; STATES.len()],
    listening: HashSet<End, RandomState>,
}

impl Connections {
    /// Adds one socket. Listeners that share one address (`SO_REUSEPORT`) count once, as hostmetrics counts them.
    pub fn add(&mut self, socket: &Socket) {
        let number = match socket.state {
            // A request that is no socket yet: the kernel writes it as the state before.
            12 => 3,
            10 if !self.listening.insert(socket.local) => return,
            number => number,
        };
        let at = usize::from(number).checked_sub(1);
        if let Some(count) = at.and_then(|at| self.states.get_mut(at)) {
            *count += 1;
        }
    }

    /// How many there are in each state, in the order of [`STATES`].
    #[must_use]
    pub fn states(&self) -> [u64; STATES.len()] {
        self.states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: &str = "Inter-| Receive\n face |bytes\n";

    fn parsed(lines: &str) -> (Vec<(String, u64)>, usize) {
        let text = format!("{TITLES}{lines}");
        let (rows, errors) = interfaces(text.as_bytes());
        let rows = rows
            .iter()
            .map(|row| (label(row.name).into_owned(), row.columns[0]))
            .collect();
        (rows, errors.len())
    }

    #[test]
    fn names_may_hold_colons_and_blanks_and_be_glued_to_their_values() {
        let rest = "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        for (line, name, first) in [
            (format!("    lo: 1 {rest}\n"), "lo", 1),
            (format!("eth0:1: 7 {rest}"), "eth0:1", 7),
            (format!("eth0:1 {rest}\r\n"), "eth0", 1),
            (format!("a b:\t1 {rest} 17 18\n"), "a b", 1),
            (
                format!("x:18446744073709551615 {rest}"),
                "x",
                18_446_744_073_709_551_615,
            ),
        ] {
            assert_eq!(
                parsed(&line),
                (vec![(name.to_owned(), first)], 0),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_bad_line_costs_that_line_alone() {
        let rest = "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        for bad in [
            "",
            "no colon 1",
            ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
            "e: 1 2 3",
            "e: -1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
            "e: 18446744073709551616 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
            "e: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 x",
        ] {
            let text = format!("a: 1 {rest}{bad}\nb: 2 {rest}");
            assert_eq!(
                parsed(&text),
                (vec![("a".into(), 1), ("b".into(), 2)], 1),
                "{bad:?}"
            );
        }
        let long = "x".repeat(LONGEST);
        assert_eq!(
            parsed(&format!("{long}: 1 {rest}b: 2 {rest}")),
            (vec![("b".into(), 2)], 1)
        );
    }

    #[test]
    fn of_an_interface_told_twice_the_last_line_counts() {
        let rest = "2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let text = format!("a: 1 {rest}b: 2 {rest}a: 3 {rest}");
        assert_eq!(parsed(&text).0, [("a".into(), 3), ("b".into(), 2)]);
    }

    #[test]
    fn nothing_but_titles_is_nothing() {
        assert_eq!(parsed(""), (vec![], 0));
        assert!(interfaces(b"").0.is_empty());
    }

    #[test]
    fn sockets_are_counted_by_state_and_shared_listeners_once() {
        let mut states = Connections::default();
        let text = b"  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:0CEA 00000000:0000 0A 00000000:00000000\n\
            2: 0100007F:0CEB 00000000:0000 0A 00000000:00000000\n\
            3: 0100007F:0CEA 0100007F:1111 01 0:0\n\
            4: 0100007F:0CEA 0100007F:1112 06 0:0\n\
            5: 0100007F:0CEA 0100007F:1112 0C 0:0\n\
            6: 0100007F:0CEA 0100007F:1112 0B 0:0\n\
            7: 0100007F:0CEA 0100007F:1112 00 0:0\n\
            8: 0100007F:0CEA 0100007F:1112 FF 0:0\n\
            9: cut\n";
        lines(text)
            .filter_map(crate::host::listed)
            .for_each(|socket| states.add(&socket));
        assert_eq!(states.states(), [1, 0, 1, 0, 0, 1, 0, 0, 0, 2, 1, 0]);
    }
}
