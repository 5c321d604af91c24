//! The keys `vfs.file.*` and `vfs.dir.*`, as the classic agent answers them.

use std::collections::BTreeSet;

use serde_json::json;

use super::allowed::Allowed;
use super::look::Looked;
use super::walk::{Filter, WORDS, kinds};
use super::{Ask, Files, Options, Reading, Sum, What};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::rules::plain;
use crate::host::{Kind, Status, local_zone};
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Said};

type Asked = Result<Ask, Unsupported>;

/// A key: its name, its parameters, what it is, what it asks for, and how that is told.
macro_rules! key {
    ($name:literal $parameters:expr, $help:literal, $ask:expr, $say:expr) => {
        Item {
            name: $name,
            parameters: $parameters,
            help: $help,
            want: |options, args| wanted(options, $ask(args)?),
            answer: Answer::Now(|_, reading: &Reading, args| {
                let ask: Ask = $ask(args)?;
                let looked = reading.found.get(&ask).ok_or(Unsupported::TIMED_OUT)?;
                $say(reading, &ask, looked.as_ref().map_err(Clone::clone)?, args)
            }),
        }
    };
}

pub(super) const KEYS: &[Item<Files>] = &[
    key!(
        "vfs.file.contents" & ["file", "encoding"],
        "Contents of a file of subjects.files.contents, at most 64 KiB, up to a NUL and without newlines at the end; any encoding is read as UTF-8",
        |args| path(args, What::Contents),
        plainly
    ),
    key!(
        "vfs.file.cksum" & ["file", "mode"],
        "Checksum of a file of subjects.files.details; modes crc32 (default: that of POSIX cksum), md5, sha256",
        |args: &Args<'_>| match args.param(1) {
            "" | "crc32" => path(args, What::Sum(Sum::Cksum)),
            "md5" => path(args, What::Sum(Sum::Md5)),
            "sha256" => path(args, What::Sum(Sum::Sha256)),
            _ => path(args, What::Kind).and(Err(Unsupported::invalid_parameter(2))),
        },
        plainly
    ),
    key!(
        "vfs.file.md5sum" & ["file"],
        "MD5 of a file of subjects.files.details",
        |args| path(args, What::Sum(Sum::Md5)),
        plainly
    ),
    key!(
        "vfs.file.exists" & ["file", "types_incl", "types_excl"],
        "Whether something is there: file (default), dir, sym, sock, bdev, cdev, fifo, dev, all",
        |args: &Args<'_>| {
            path(args, What::Kind).and_then(|ask| {
                kinds(args.param(1)).and(kinds(args.param(2)))?;
                Ok(ask)
            })
        },
        exists
    ),
    key!(
        "vfs.file.size" & ["file", "mode"],
        "Size of a file in bytes (default), or in lines if it is one of subjects.files.details",
        |args: &Args<'_>| match args.param(1) {
            "" | "bytes" => path(args, What::Status),
            "lines" => path(args, What::Lines),
            _ => path(args, What::Kind).and(Err(Unsupported::invalid_parameter(2))),
        },
        plainly
    ),
    key!(
        "vfs.file.time" & ["file", "mode"],
        "When a file was changed (modify, the default), read (access), or anything of it changed (change)",
        |args| path(args, What::Status),
        time
    ),
    key!(
        "vfs.file.get" & ["file"],
        "Kind, owner, permissions, size and times of a file of subjects.files.details, a link's own",
        |args| path(args, What::Owner { follow: false }),
        all
    ),
    key!(
        "vfs.file.owner" & ["file", "ownertype", "resulttype"],
        "Owner of a file of subjects.files.details; user (default) or group, name (default) or id",
        |args| path(args, What::Owner { follow: false }),
        owner
    ),
    key!(
        "vfs.file.permissions" & ["file"],
        "Permissions of a file of subjects.files.details, four octal digits",
        |args| path(args, What::Owner { follow: true }),
        permissions
    ),
    key!(
        "vfs.dir.count"
            & [
                "dir",
                "regex_incl",
                "regex_excl",
                "types_incl",
                "types_excl",
                "max_depth",
                "min_size",
                "max_size",
                "min_age",
                "max_age",
                "regex_excl_dir"
            ],
        "Entries below a directory of subjects.files.details, at most a million looked at",
        |args: &Args<'_>| path(args, What::Count(Box::new(counted(args)?))),
        plainly
    ),
    key!(
        "vfs.dir.size"
            & [
                "dir",
                "regex_incl",
                "regex_excl",
                "mode",
                "max_depth",
                "regex_excl_dir"
            ],
        "Bytes of a directory of subjects.files.details and all below it; apparent (default), or disk: those they take there",
        |args: &Args<'_>| {
            let on_disk = match args.param(3) {
                "" | "apparent" => false,
                "disk" => true,
                _ => return Err(Unsupported::invalid_parameter(4)),
            };
            let filter = named(args, (5, "sixth"), 4)?;
            path(args, What::Size(Box::new(filter), on_disk))
        },
        plainly
    ),
];

fn path(args: &Args<'_>, what: What) -> Asked {
    match args.param(0) {
        "" => Err(Unsupported::invalid_parameter(1)),
        path => Ok(Ask {
            path: path.to_owned(),
            what,
        }),
    }
}

/// Kind, size and times are told of any path; the rest of those that are listed.
fn wanted(options: &Options, ask: Ask) -> Result<BTreeSet<Ask>, Unsupported> {
    let listed = |lists: &[&Vec<String>]| {
        let path = plain(&ask.path);
        let mut lists = lists.iter();
        // They were taken apart when the subject was built.
        lists.any(|list| Allowed::new(list).is_ok_and(|allowed| allowed.has(&path)))
    };
    let allowed = match ask.what {
        What::Kind | What::Status => true,
        What::Contents => listed(&[&options.contents]),
        _ => listed(&[&options.contents, &options.details]),
    };
    match allowed {
        true => Ok([ask].into()),
        false => Err(Unsupported::UNSUPPORTED_KEY),
    }
}

fn pattern(args: &Args<'_>, at: usize, ordinal: &str) -> Result<Option<String>, Unsupported> {
    let text = args.param(at);
    if text.is_empty() {
        return Ok(None);
    }
    match Pattern::new(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(why) => Err(Unsupported::bad_expression(ordinal, &why)),
    }
}

fn depth(args: &Args<'_>, at: usize) -> Result<Option<u32>, Unsupported> {
    match args.param(at) {
        "" | "-1" => Ok(None),
        text => match text.parse() {
            Ok(depth) => Ok(Some(depth)),
            Err(_) => Err(Unsupported::invalid_parameter(at + 1)),
        },
    }
}

const SIZES: &[(char, u64)] = &[
    ('K', 1 << 10),
    ('M', 1 << 20),
    ('G', 1 << 30),
    ('T', 1 << 40),
];
const AGES: &[(char, u64)] = &[
    ('s', 1),
    ('m', 60),
    ('h', 3600),
    ('d', 86400),
    ('w', 604_800),
];

fn bound(
    args: &Args<'_>,
    at: usize,
    what: &str,
    units: &[(char, u64)],
) -> Result<Option<u64>, Unsupported> {
    let text = args.param(at);
    if text.is_empty() {
        return Ok(None);
    }
    let unit = units.iter().find(|(unit, _)| text.ends_with(*unit));
    let (digits, times) = match unit {
        Some((unit, times)) => (text.trim_end_matches(*unit), *times),
        None => (text, 1),
    };
    let number = digits
        .parse::<u64>()
        .ok()
        .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()) && text.len() <= digits.len() + 1);
    let number = number.and_then(|number| number.checked_mul(times));
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(format!("Invalid {what} \"{text}\".").into()),
    }
}

/// Of several parameters that are wrong the classic agent names the first in this order.
fn counted(args: &Args<'_>) -> Result<Filter, Unsupported> {
    let (kinds, not_kinds) = (kinds(args.param(3))?, kinds(args.param(4))?);
    let (min_size, max_size) = (
        bound(args, 6, "minimum size", SIZES)?,
        bound(args, 7, "maximum size", SIZES)?,
    );
    let (min_age, max_age) = (
        bound(args, 8, "minimum age", AGES)?,
        bound(args, 9, "maximum age", AGES)?,
    );
    Ok(Filter {
        kinds,
        not_kinds,
        min_size,
        max_size,
        min_age,
        max_age,
        ..named(args, (10, "eleventh"), 5)?
    })
}

/// What both keys of directories filter by, in the order in which the classic agent looks at it.
fn named(
    args: &Args<'_>,
    (at, ordinal): (usize, &str),
    deep: usize,
) -> Result<Filter, Unsupported> {
    path(args, What::Kind)?;
    Ok(Filter {
        name: pattern(args, 1, "second")?,
        not_name: pattern(args, 2, "third")?,
        not_directory: pattern(args, at, ordinal)?,
        depth: depth(args, deep)?,
        ..Filter::default()
    })
}

fn plainly(_: &Reading, _: &Ask, looked: &Looked, _: &Args<'_>) -> Said {
    Ok(match looked {
        Looked::Text(text) => text.clone().into(),
        Looked::Number(number) => (*number).into(),
        Looked::Status(status) => status.size.into(),
        _ => return Err(Unsupported::UNSUPPORTED_KEY),
    })
}

/// A link is one, and what it leads to; no type at all means a file, or all but those that are excluded.
fn exists(_: &Reading, _: &Ask, looked: &Looked, args: &Args<'_>) -> Said {
    let Looked::Kind(itself, led) = looked else {
        return Err(Unsupported::UNSUPPORTED_KEY);
    };
    let (include, exclude) = (kinds(args.param(1))?, kinds(args.param(2))?);
    let include = include.unwrap_or_else(|| match exclude {
        None => vec![Kind::File],
        Some(_) => WORDS
            .iter()
            .flat_map(|(_, kinds)| *kinds)
            .copied()
            .collect(),
    });
    let exclude = exclude.unwrap_or_default();
    let is = |list: &[Kind]| {
        let mut kinds = [itself, led].into_iter().flatten();
        kinds.any(|kind| list.contains(kind))
    };
    Ok(u64::from(is(&include) && !is(&exclude)).into())
}

fn time(_: &Reading, _: &Ask, looked: &Looked, args: &Args<'_>) -> Said {
    let Looked::Status(status) = looked else {
        return Err(Unsupported::UNSUPPORTED_KEY);
    };
    let time = match args.param(1) {
        "" | "modify" => status.modified,
        "access" => status.accessed,
        "change" => status.changed,
        _ => return Err(Unsupported::invalid_parameter(2)),
    };
    Ok(time.to_string().into())
}

fn status(looked: &Looked) -> Result<&Status, Unsupported> {
    match looked {
        Looked::Owner(status) => Ok(status),
        _ => Err(Unsupported::UNSUPPORTED_KEY),
    }
}

/// Names of the user and the group; their numbers where there are none.
fn names(reading: &Reading, status: &Status) -> (String, String) {
    let accounts = &reading.accounts;
    (accounts.user(status.uid), accounts.group(status.gid))
}

fn owner(reading: &Reading, _: &Ask, looked: &Looked, args: &Args<'_>) -> Said {
    let status = status(looked)?;
    let (user, group) = names(reading, status);
    Ok(match (args.param(1), args.param(2)) {
        ("" | "user", "" | "name") => user.into(),
        ("" | "user", "id") => u64::from(status.uid).into(),
        ("group", "" | "name") => group.into(),
        ("group", "id") => u64::from(status.gid).into(),
        ("" | "user" | "group", _) => return Err(Unsupported::invalid_parameter(3)),
        _ => return Err(Unsupported::invalid_parameter(2)),
    })
}

fn permissions(_: &Reading, _: &Ask, looked: &Looked, _: &Args<'_>) -> Said {
    Ok(format!("{:04o}", status(looked)?.mode).into())
}

fn all(reading: &Reading, ask: &Ask, looked: &Looked, _: &Args<'_>) -> Said {
    let status = status(looked)?;
    let (user, group) = names(reading, status);
    let path = plain(&ask.path);
    let (dir, base) = match path.rsplit_once('/') {
        Some((_, "")) | None => ("/", "/"),
        Some(("", base)) => ("/", base),
        Some((dir, base)) => (dir, base),
    };
    let kind = WORDS
        .iter()
        .find(|(_, kinds)| status.kind.is_some_and(|kind| kinds.first() == Some(&kind)));
    let zone = local_zone();
    let at = |seconds: i64| {
        let moment = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let ahead = zone.to_offset(moment).seconds();
        let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs() / 60);
        let time = zone.to_datetime(moment).strftime("%Y-%m-%dT%H:%M:%S");
        format!("{time}{sign}{:02}{:02}", minutes / 60, minutes % 60)
    };
    Ok(Value::from(
        json!({
            "basename": base,
            "pathname": path,
            "dirname": dir,
            "type": kind.map_or("unknown", |(word, _)| word),
            "user": user,
            "group": group,
            "permissions": format!("{:04o}", status.mode),
            "uid": status.uid,
            "gid": status.gid,
            "size": status.size,
            "time": {
                "access": at(status.accessed),
                "modify": at(status.modified),
                "change": at(status.changed),
            },
            "timestamp": {
                "access": status.accessed,
                "modify": status.modified,
                "change": status.changed,
            },
        })
        .to_string(),
    ))
}
