//! The servers of a backend: `show servers state` (states, who took it out, weights) and `show stat` (sessions, checks), joined.
//!
//! Columns are found by their names. A list with a row that cannot be read is refused whole: whoever counts servers must not count a part.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::csv;
use super::error::first_line;

/// Most servers of a backend that are taken.
const MOST: usize = 10_000;

/// Why an answer is not the list that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is text, in HAProxy's words.
    #[error("{0}")]
    Said(String),
    /// A form of the list that is not known.
    #[error("its list of servers is of version {0:?}, and 1 is known")]
    Version(String),
    /// A column is missing.
    #[error("there is no column {0}")]
    Column(&'static str),
    /// A row cannot be read.
    #[error("row {row} has no number in column {column}")]
    Row {
        /// Which row, from 1.
        row: usize,
        /// Which column.
        column: &'static str,
    },
    /// More than are taken.
    #[error("there are more than {MOST} servers")]
    TooMany,
    /// The rows are of another backend.
    #[error("it tells of backend {0:?}")]
    Other(String),
    /// The bytes are no text.
    #[error("it is not UTF-8")]
    Encoding,
}

/// Who has taken a server out, as a mask (management guide, `show servers state`, `srv_admin_state`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Admin(pub u32);

impl Admin {
    /// Somebody, or HAProxy's config by `disabled`, has set it to maintenance.
    #[must_use]
    pub const fn is_maint(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// Somebody has set it to drain.
    #[must_use]
    pub const fn is_drain(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// HAProxy's config has it `disabled`, whatever was said since.
    #[must_use]
    pub const fn is_disabled(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// It is out for another reason: a server that it tracks is, or its name has no address.
    #[must_use]
    pub const fn is_out_by_others(self) -> bool {
        self.0 & (0x02 | 0x10 | 0x20) != 0
    }
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// Who has taken it out.
    pub admin: Admin,
    /// Whether HAProxy takes it to be up: running, or in its slow start.
    pub up: bool,
    /// Its weight now.
    pub weight: u64,
    /// Its weight in HAProxy's config.
    pub initial_weight: u64,
    /// It is only used when no other is left.
    pub backup: bool,
    /// Sessions that it has.
    pub sessions: u64,
    /// Sessions that it ever had, since this process of HAProxy began.
    pub total: u64,
    /// Whether HAProxy's own check of it passes. None while there is no check, and as long as the last one is from before it was taken out.
    pub check: Option<bool>,
}

impl Server {
    /// Whether HAProxy gives it new sessions, if it is a backup then when no other is left.
    #[must_use]
    pub const fn takes_sessions(&self) -> bool {
        let out = self.admin.is_maint() || self.admin.is_drain() || self.admin.is_out_by_others();
        self.up && !out && self.weight > 0
    }
}

/// A row of `show servers state`.
pub(super) struct State {
    backend: u64,
    id: u64,
    name: String,
    running: u64,
    admin: u32,
    weight: u64,
    initial_weight: u64,
    check_result: u64,
    check_state: u64,
}

impl State {
    /// The number of the backend.
    pub(super) const fn backend(&self) -> u64 {
        self.backend
    }
}

/// A row of `show stat`.
pub(super) struct Counts {
    backend: String,
    id: u64,
    sessions: u64,
    total: u64,
    backup: bool,
    /// Rise, fall and how far it is from down (0) to up (rise + fall - 1); none without checks.
    health: Option<(u64, u64, u64)>,
}

/// Both lists of a backend, from their answers.
///
/// # Errors
/// [`Malformed`]: one is not the list.
pub fn servers(state: &[u8], stat: &[u8], backend: &str) -> Result<Vec<Server>, Malformed> {
    join(states(state)?, counts(stat)?, backend)
}

fn text(answer: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(answer).map_err(|_| Malformed::Encoding)
}

/// Where the named columns are.
fn columns<'n, const N: usize>(
    names: impl Iterator<Item = &'n str>,
    wanted: [&'static str; N],
) -> Result<[(usize, &'static str); N], Malformed> {
    let places: HashMap<&str, usize, RandomState> =
        names.enumerate().map(|(at, name)| (name, at)).collect();
    let mut found = [(0, ""); N];
    for (column, name) in found.iter_mut().zip(wanted) {
        let at = places.get(name).ok_or(Malformed::Column(name))?;
        *column = (*at, name);
    }
    Ok(found)
}

/// A plain decimal number.
fn number<T: std::str::FromStr>(field: Option<&str>) -> Option<T> {
    let field = field?;
    let plain = field.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| field.parse().ok()).flatten()
}

/// Reads `show servers state BACKEND`.
pub(super) fn states(answer: &[u8]) -> Result<Vec<State>, Malformed> {
    let mut lines = text(answer)?.lines();
    let version = lines.next().unwrap_or_default().trim();
    let names = lines.next().and_then(|line| line.strip_prefix("# "));
    let Some(names) = names else {
        return Err(Malformed::Said(first_line(answer)));
    };
    if version != "1" {
        return Err(Malformed::Version(version.chars().take(20).collect()));
    }
    let wanted = [
        "be_id",
        "srv_id",
        "srv_op_state",
        "srv_admin_state",
        "srv_uweight",
        "srv_iweight",
        "srv_check_result",
        "srv_check_state",
        "srv_name",
    ];
    let [
        backend,
        id,
        running,
        admin,
        weight,
        initial,
        result,
        state,
        name,
    ] = columns(names.split_ascii_whitespace(), wanted)?;
    let mut rows = Vec::new();
    for (row, line) in lines.filter(|line| !line.trim().is_empty()).enumerate() {
        if row >= MOST {
            return Err(Malformed::TooMany);
        }
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let wrong = |column| Malformed::Row {
            row: row + 1,
            column,
        };
        let value = |(at, column): (usize, &'static str)| {
            number(fields.get(at).copied()).ok_or_else(|| wrong(column))
        };
        let mask = number(fields.get(admin.0).copied());
        rows.push(State {
            backend: value(backend)?,
            id: value(id)?,
            name: fields
                .get(name.0)
                .map(|name| (*name).to_owned())
                .ok_or_else(|| wrong(name.1))?,
            running: value(running)?,
            admin: mask.ok_or_else(|| wrong(admin.1))?,
            weight: value(weight)?,
            initial_weight: value(initial)?,
            check_result: value(result)?,
            check_state: value(state)?,
        });
    }
    Ok(rows)
}

/// Reads the rows of servers of `show stat`.
pub(super) fn counts(answer: &[u8]) -> Result<Vec<Counts>, Malformed> {
    let text = text(answer)?;
    let Some(text) = text.strip_prefix("# ") else {
        return Err(Malformed::Said(first_line(answer)));
    };
    let mut table = csv::rows(text).into_iter();
    let names = table.next().unwrap_or_default();
    let wanted = [
        "pxname",
        "sid",
        "type",
        "scur",
        "stot",
        "bck",
        "check_rise",
        "check_fall",
        "check_health",
    ];
    let [
        backend,
        id,
        kind,
        current,
        total,
        backup,
        rise,
        fall,
        health,
    ] = columns(names.iter().map(String::as_str), wanted)?;
    let mut rows = Vec::new();
    for (row, fields) in table.enumerate() {
        if row >= MOST {
            return Err(Malformed::TooMany);
        }
        let field = |at: usize| fields.get(at).map(String::as_str);
        let value = |(at, column): (usize, &'static str)| {
            number(field(at).filter(|field| !field.is_empty())).ok_or(Malformed::Row {
                row: row + 1,
                column,
            })
        };
        // 2: a server; 0 and 1 are frontends and backends, 3 sockets.
        if value(kind)? != 2 {
            continue;
        }
        let known = |(at, _): (usize, _)| number(field(at).filter(|field| !field.is_empty()));
        rows.push(Counts {
            backend: field(backend.0).unwrap_or_default().to_owned(),
            id: value(id)?,
            sessions: value(current)?,
            total: value(total)?,
            backup: value(backup)? != 0,
            health: known(rise)
                .zip(known(fall))
                .zip(known(health))
                .map(|((rise, fall), health)| (rise, fall, health)),
        });
    }
    Ok(rows)
}

/// Joins both by the number of the server. One that is in one list only came or went in between, and is left out.
pub(super) fn join(
    states: Vec<State>,
    counts: Vec<Counts>,
    backend: &str,
) -> Result<Vec<Server>, Malformed> {
    if let Some(other) = counts.iter().find(|counts| counts.backend != backend) {
        return Err(Malformed::Other(other.backend.chars().take(80).collect()));
    }
    let counts: HashMap<u64, Counts, RandomState> = counts
        .into_iter()
        .map(|counts| (counts.id, counts))
        .collect();
    let joined = states.into_iter().filter_map(|state| {
        let counts = counts.get(&state.id)?;
        Some(Server {
            check: passes(&state, counts),
            name: state.name,
            admin: Admin(state.admin),
            // 0 stopped, 1 starting, 2 running, 3 stopping.
            up: matches!(state.running, 1 | 2),
            weight: state.weight,
            initial_weight: state.initial_weight,
            backup: counts.backup,
            sessions: counts.sessions,
            total: counts.total,
        })
    });
    Ok(joined.collect())
}

/// Whether its check passes. A result outlives maintenance, so that it only counts if the health says the same: a pass lifts it to the
/// top at once, and `ready` puts it lower, to where one failure is down.
fn passes(state: &State, counts: &Counts) -> Option<bool> {
    const ENABLED: u64 = 0x04;
    const PAUSED: u64 = 0x08;
    let (rise, fall, health) = counts.health?;
    if state.check_state & ENABLED == 0 || state.check_state & PAUSED != 0 {
        return None;
    }
    // 2 failed, 3 passed, 4 passed but wants no new sessions.
    match state.check_result {
        2 => Some(false),
        3 | 4 if health < rise => Some(false),
        3 | 4 => (health.checked_add(1) == rise.checked_add(fall)).then_some(true),
        _ => None,
    }
}
