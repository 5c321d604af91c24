//! Who is logged in: /run/utmp (utmp(5)), and where that is no longer written, the sessions of systemd-logind, /run/systemd/sessions.

use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::Value;
use crate::host::parse::lines;
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Asker, Invalid, Item, Lane, Machine, NoOptions, Subject, Taken,
};

/// The subject.
pub struct Users;

/// Logins.
pub struct Reading(u64);

/// `struct utmp` of glibc, which is the same on every architecture it lets 32-bit programs run on.
const RECORD: usize = 384;
const USER_PROCESS: i16 = 7;

/// Ids of the processes that lead a login; what is no whole record is none.
fn leaders(utmp: &[u8]) -> impl Iterator<Item = i32> {
    utmp.chunks_exact(RECORD).filter_map(|record| {
        let (kind, rest) = record.split_first_chunk()?;
        let (_, rest) = rest.split_at_checked(2)?;
        let (pid, _) = rest.split_first_chunk()?;
        // A line without a user is one that was not cleaned up.
        let named = record.get(44).is_some_and(|first| *first != 0);
        let login = i16::from_ne_bytes(*kind) == USER_PROCESS && named;
        login.then(|| i32::from_ne_bytes(*pid))
    })
}

impl Subject for Users {
    const NAME: &'static str = "users";
    const ON: bool = false;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = &[];
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "system.users.num",
        parameters: &[],
        help: "Users that are logged in, counted by their logins",
        want: |_, _| Ok(()),
        answer: Answer::Now(|_, reading: &Reading, _| Ok(Value::from(reading.0))),
    }];
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        match pass.once(Root::Rootfs, "run/utmp").map(<[u8]>::to_vec) {
            Ok(utmp) => {
                // Who was killed could not sign off.
                let alive = |pid: &i32| pass.once(Root::Proc, &format!("{pid}/stat")).is_ok();
                let mut leaders: Vec<i32> = leaders(&utmp).collect();
                leaders.retain(alive);
                return Ok(Reading(leaders.len() as u64).into());
            }
            Err(e) if e.is_not_found() => {}
            Err(e) => return Err(e.into()),
        }
        let Ok(names) = pass.names(Root::Rootfs, "run/systemd/sessions") else {
            return Ok(Reading(0).into());
        };
        let mut count = 0;
        for name in names.iter().filter_map(|name| name.to_str()) {
            // Beside each session lies a pipe, ID.ref, which is not to be opened.
            if name.contains('.') {
                continue;
            }
            let session = pass.once(Root::Rootfs, &format!("run/systemd/sessions/{name}"));
            let is_user = |text: &[u8]| lines(text).any(|line| line == b"CLASS=user");
            count += u64::from(session.is_ok_and(is_user));
        }
        Ok(Reading(count).into())
    }

    fn prometheus(_: &NoOptions, _: &Reading, _: &mut Page<'_, Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    fn record(kind: i16, pid: i32, user: &str) -> Vec<u8> {
        let mut record = vec![0; RECORD];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&pid.to_ne_bytes());
        record[44..44 + user.len()].copy_from_slice(user.as_bytes());
        record
    }

    #[test]
    fn a_login_is_one_whose_leader_lives() {
        let machine = Captured::new(&[("proc/7/stat", "7 (sh)"), ("proc/9/stat", "9 (sh)")]);
        let records = [
            record(7, 7, "ann"),
            record(7, 9, "ann"),
            record(7, 8, "gone"),
            record(8, 7, "ended"),
            record(7, 7, ""),
            vec![7; 20],
        ];
        std::fs::create_dir_all(machine.path("run")).unwrap();
        std::fs::write(machine.path("run/utmp"), records.concat()).unwrap();
        assert_eq!(machine.text::<Users>("system.users.num"), "2");
    }

    #[test]
    fn without_utmp_sessions_of_users_are_counted() {
        let machine = Captured::new(&[
            ("run/systemd/sessions/1", "UID=0\nCLASS=user\n"),
            ("run/systemd/sessions/2", "UID=0\nCLASS=manager\n"),
            ("run/systemd/sessions/1.ref", "CLASS=user\n"),
        ]);
        assert_eq!(machine.text::<Users>("system.users.num"), "1");
        assert_eq!(Captured::new(&[]).text::<Users>("system.users.num"), "0");
    }
}
