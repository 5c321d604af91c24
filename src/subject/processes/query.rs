//! What Zabbix counts: processes by name, user, state and command line.
//!
//! The four filters are the agent's own: a name is the kernel's, or the last part of the program's path; a user is one of
//! /etc/passwd, by real id; a command line has blanks between its arguments, and that of a thread of the kernel is empty. A
//! filter is looked at only when those that cost less have let the process pass.

use std::borrow::Cow;

use super::error;
use super::stat::{ProcessStat, process_stat};
use crate::host::parse::{fields, label, lines, unsigned};
use crate::host::{Pass, PidBuffers, Pids, Root};
use crate::model::pattern::Pattern;
use crate::subject::ItemError;

/// Which processes are counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Query {
    /// The kernel's name for it, or the last part of its program's path; "" for any.
    pub name: String,
    /// Whether the name is the one that [`full_name`] makes of both.
    pub full: bool,
    /// The user by name, or "" for any.
    pub user: String,
    /// The letter of the state, if it matters.
    pub state: Option<u8>,
    /// Whether those that have ended and were not waited for yet (zombies) are left out.
    pub living: bool,
    /// The command line.
    pub command: Command,
}

/// Which command lines are counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Command {
    /// Any, and none.
    #[default]
    Any,
    /// Those with blanks between their arguments that the expression matches.
    Matching(Pattern),
}

impl Query {
    pub(super) fn takes_all(&self) -> bool {
        self.name.is_empty()
            && self.user.is_empty()
            && self.state.is_none()
            && !self.living
            && self.command == Command::Any
    }
}

/// Whose processes are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Anyone,
    Id(u32),
    /// There is no such user.
    Nobody,
}

impl Owner {
    /// Looks the user of a query up in the passwd file of the machine read.
    pub(super) fn of(query: &Query, pass: &mut Pass<'_>, errors: &mut Vec<ItemError>) -> Self {
        if query.user.is_empty() {
            return Self::Anyone;
        }
        // Not kept open: the file is replaced by another when a user is added.
        match pass.once(Root::Rootfs, "etc/passwd") {
            Ok(text) => uid(text, query.user.as_bytes()).map_or(Self::Nobody, Self::Id),
            Err(why) => {
                errors.push(error("passwd", "etc/passwd", &why));
                Self::Nobody
            }
        }
    }
}

/// The id of a user (passwd(5)).
fn uid(passwd: &[u8], user: &[u8]) -> Option<u32> {
    lines(passwd).find_map(|line| {
        let mut parts = line.split(|b| *b == b':');
        if parts.next() != Some(user) {
            return None;
        }
        unsigned(parts.nth(1)?)?.try_into().ok()
    })
}

/// One process and what is known of it so far.
pub(super) struct Candidate<'a> {
    pids: &'a Pids,
    id: i64,
    live: bool,
    stat: Fact<Known>,
    uid: Fact<u32>,
    command: Fact<Vec<u8>>,
}

/// Something read at most once; none if it cannot be read.
type Fact<T> = Option<Option<T>>;

struct Known {
    comm: Vec<u8>,
    /// The letter, or 0 if it is none.
    state: u8,
    of_kernel: bool,
}

impl Known {
    fn of(stat: &ProcessStat<'_>) -> Self {
        Self {
            comm: escaped(stat.comm).into_owned(),
            state: match stat.state {
                [letter] => *letter,
                _ => 0,
            },
            of_kernel: stat.of_kernel,
        }
    }
}

impl<'a> Candidate<'a> {
    pub(super) fn new(pids: &'a Pids, id: i64, live: bool) -> Self {
        Self {
            pids,
            id,
            live,
            stat: None,
            uid: None,
            command: None,
        }
    }

    /// Takes over what was read of the process already.
    pub(super) fn knows(&mut self, stat: &ProcessStat<'_>) {
        self.stat = Some(Some(Known::of(stat)));
    }

    /// Whether the process is one the query counts; one that has ended is none.
    pub(super) fn is(&mut self, query: &Query, owner: Owner, buffers: &mut PidBuffers) -> bool {
        if let Some(letter) = query.state
            && self.stat(buffers).is_none_or(|stat| stat.state != letter)
        {
            return false;
        }
        let ended = |stat: &Known| matches!(stat.state, b'Z' | b'X' | b'x');
        if query.living && self.stat(buffers).is_none_or(ended) {
            return false;
        }
        match owner {
            Owner::Id(uid) if self.uid(buffers) != Some(uid) => return false,
            Owner::Nobody => return false,
            Owner::Id(_) | Owner::Anyone => {}
        }
        let name = query.name.as_bytes();
        let named = match query.full {
            _ if name.is_empty() => true,
            true => self.is_in_full(name, buffers),
            false => self.is_named(name, buffers),
        };
        if !named {
            return false;
        }
        match &query.command {
            Command::Matching(pattern) => self
                .command(buffers)
                // Who asks for what runs means programs: the kernel's own have no command line.
                .filter(|command| !query.living || !command.is_empty())
                .is_some_and(|command| pattern.matches(&label(&joined(command)))),
            Command::Any => !query.takes_all() || self.stat(buffers).is_some(),
        }
    }

    fn is_named(&mut self, name: &[u8], buffers: &mut PidBuffers) -> bool {
        let live = self.live;
        match self.stat(buffers) {
            Some(stat) if stat.comm == name => return true,
            // It has no command line.
            Some(stat) if stat.of_kernel && live => return false,
            _ => {}
        }
        let program = self.command(buffers).and_then(|command| {
            let first = command.split(|b| *b == 0).next()?;
            first.rsplit(|b| *b == b'/').next()
        });
        program == Some(name)
    }

    fn is_in_full(&mut self, name: &[u8], buffers: &mut PidBuffers) -> bool {
        let Some(comm) = self.stat(buffers).map(|stat| stat.comm.clone()) else {
            return false;
        };
        // It begins with the kernel's name in any case.
        name.starts_with(&comm)
            && self
                .command(buffers)
                .is_some_and(|command| full_name(&comm, command) == name)
    }

    /// Its whole name; none if it has ended.
    pub(super) fn name(&mut self, buffers: &mut PidBuffers) -> Option<String> {
        let comm = self.stat(buffers)?.comm.clone();
        let command = self.command(buffers).unwrap_or_default();
        Some(label(full_name(&comm, command)).into_owned())
    }

    fn stat(&mut self, buffers: &mut PidBuffers) -> Option<&Known> {
        let (pids, id) = (self.pids, self.id);
        let read = || {
            let text = pids.stat(id, buffers).ok()?;
            Some(Known::of(&process_stat(text)?))
        };
        self.stat.get_or_insert_with(read).as_ref()
    }

    /// The real user id.
    fn uid(&mut self, buffers: &mut PidBuffers) -> Option<u32> {
        let (pids, id) = (self.pids, self.id);
        let read = || {
            let text = pids.read(id, "status", buffers).ok()?;
            let line = lines(text).find_map(|line| line.strip_prefix(b"Uid:"))?;
            unsigned(fields(line).next()?)?.try_into().ok()
        };
        *self.uid.get_or_insert_with(read)
    }

    /// The arguments, each with a NUL behind it; threads of the kernel and what has ended have none.
    fn command(&mut self, buffers: &mut PidBuffers) -> Option<&[u8]> {
        let (pids, id) = (self.pids, self.id);
        let read = || Some(pids.read(id, "cmdline", buffers).ok()?.to_vec());
        self.command.get_or_insert_with(read).as_deref()
    }
}

/// The kernel keeps 15 bytes of a name: the last part of the program's path, if it goes on where that ends. As the classic agent has
/// it, the path ends at a blank or a colon, where programs write what they do.
pub(super) fn full_name<'a>(comm: &'a [u8], command: &'a [u8]) -> &'a [u8] {
    let ends = |b: &u8| matches!(b, 0 | b' ' | b':');
    let path = command.split(ends).next().unwrap_or_default();
    let last = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    match last.starts_with(comm) {
        true => last,
        false => comm,
    }
}

/// A command line with blanks between its arguments.
pub(super) fn joined(command: &[u8]) -> Vec<u8> {
    let command = command.strip_suffix(b"\0").unwrap_or(command);
    let blank = |b: &u8| if *b == 0 { b' ' } else { *b };
    command.iter().map(blank).collect()
}

/// A name as /proc/PID/status has it, which is what the agent compares: newlines and backslashes are escaped.
fn escaped(comm: &[u8]) -> Cow<'_, [u8]> {
    if !comm.iter().any(|b| matches!(b, b'\n' | b'\\')) {
        return Cow::Borrowed(comm);
    }
    let mut out = Vec::with_capacity(comm.len() + 8);
    for byte in comm {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            other => out.push(*other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_their_whole_name() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken\nwww-data:x:33:33::/:\nbad:x:y:\n";
        assert_eq!(uid(passwd, b"root"), Some(0));
        assert_eq!(uid(passwd, b"www-data"), Some(33));
        for none in ["roo", "0", "broken", "bad", "x"] {
            assert_eq!(uid(passwd, none.as_bytes()), None, "{none}");
        }
    }

    // What is expected is what the agents of 7.0 told of such processes.
    #[test]
    fn a_name_is_made_whole_from_the_command_line() {
        for (comm, command, name) in [
            (
                "fifteen-letters",
                "/a/fifteen-letters-and-more\0x\0",
                "fifteen-letters-and-more",
            ),
            (
                "fifteen-letters",
                "/a/fifteen-letters-and-more x y\0z\0",
                "fifteen-letters-and-more",
            ),
            ("sleep", "sleeper\x001000\0", "sleeper"),
            ("sleep", "/x/y/sleep-long:z w\x001000\0", "sleep-long"),
            ("sleep", "other\x001000\0", "sleep"),
            ("kworker/R-rcu_gp", "", "kworker/R-rcu_gp"),
        ] {
            let told = full_name(comm.as_bytes(), command.as_bytes());
            assert_eq!(told, name.as_bytes(), "{command}");
        }
    }

    #[test]
    fn command_lines_and_names_are_compared_as_the_agent_does() {
        assert_eq!(joined(b"a\0b c\0"), b"a b c");
        assert_eq!(joined(b"a"), b"a");
        assert_eq!(&*escaped(b"a\nb\\"), b"a\\nb\\\\");
    }
}
