//! A directory is there, has room, and takes what is written.
//!
//! Looks by `host` on the threads for calls that can hang. What a mount says of itself is a hint only: a file system that has given up
//! (`errors=remount-ro`) need not say so everywhere, which is what `writable` is for.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use rustix::io::Errno;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::{Ask, Kind, Outcome, Prober, World};
use crate::host::{self, Called, Calls, Left};
use crate::model::size::Size;

/// A directory is there, and its file system has room and takes writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Its absolute path; a link is followed.
    pub path: PathBuf,
    /// Less room than this fails: a share such as `10%` of what users other than root can have, as `df` counts it, or a size such as
    /// `5GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_at_least: Option<Floor>,
    /// Fewer free inodes than this fail: a share such as `5%`, or a number. A file system that does not count them passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes_free_at_least: Option<Floor>,
    /// Whether a block is written to a file there and brought to the disk: one of no name, or where the file system knows none,
    /// `.nodeward-write-test`, which is removed at once. It is written as the user that nodeward runs as.
    #[serde(default)]
    pub writable: bool,
    /// Whether a mount or file system that says that it is read-only fails.
    #[serde(default)]
    pub not_read_only: bool,
}

/// The least that must be left: a share, a size, a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Floor {
    /// So much of a hundred.
    Percent(f64),
    /// So many bytes.
    Bytes(Size),
    /// So many.
    Count(u64),
}

impl FromStr for Floor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.trim().parse().ok();
            let percent = percent.filter(|percent| (0.0..=100.0).contains(percent));
            return percent
                .map(Self::Percent)
                .ok_or_else(|| format!("{text:?} is no share from 0% to 100%"));
        }
        if let Ok(count) = text.parse() {
            return Ok(Self::Count(count));
        }
        text.parse()
            .map(Self::Bytes)
            .map_err(|_| format!("{text:?} is no share, size or number, such as 10%, 5GiB or 1000"))
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Bytes(size) => size.fmt(f),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl Serialize for Floor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Floor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Floor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share, a size or a number, such as 10%, 5GiB or 1000")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Floor, E> {
                Ok(Floor::Count(count))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Floor, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Floor {
    fn schema_name() -> Cow<'static, str> {
        "Floor".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]})
    }
}

impl Kind for Directory {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if !self.path.is_absolute() {
            faults.push(("path", "write an absolute path".to_owned()));
        }
        if let Some(Floor::Count(count)) = self.free_at_least {
            faults.push((
                "free_at_least",
                format!("{count} has no unit: write {count}MiB, or {count}%"),
            ));
        }
        if let Some(Floor::Bytes(size)) = self.inodes_free_at_least {
            faults.push((
                "inodes_free_at_least",
                format!("{size} is a size, and inodes are a number, or a share such as 5%"),
            ));
        }
        faults
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        Ok(Box::new(Looking {
            options: self.clone(),
            calls: world.sampler.host().calls().clone(),
        }))
    }
}

struct Looking {
    options: Directory,
    calls: Calls,
}

#[async_trait]
impl Prober for Looking {
    async fn probe(&self, ask: Ask) -> Outcome {
        let path = &self.options.path;
        let writable = self.options.writable;
        let look = move |path: &Path| look(path, writable);
        let limit = ask.deadline.into_std();
        let shown = path.display();
        match self.calls.one("directory", path, limit, look).await {
            Called::Done(Ok(left)) => self.options.judge(&left),
            Called::Done(Err(error)) => self.options.unseen(&error),
            Called::Parked => Outcome::late(format_args!("the file system of {shown} hangs")),
            Called::Busy => Outcome::blind(format!(
                "{shown} was not looked at: the threads for calls that can hang are held by others"
            )),
        }
    }
}

/// What is left, and whether something could be written.
struct Looked {
    left: Left,
    written: io::Result<()>,
}

fn look(path: &Path, writable: bool) -> io::Result<Looked> {
    let directory = host::Directory::find(path)?;
    let left = directory.left()?;
    let written = match writable {
        true => directory.try_writing(),
        false => Ok(()),
    };
    Ok(Looked { left, written })
}

/// Whether so few of so many are less than the floor.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn is_below(floor: &Floor, free: u64, all: u64) -> bool {
    match floor {
        Floor::Percent(percent) => (free as f64) * 100.0 < percent * (all as f64),
        Floor::Bytes(size) => free < size.bytes(),
        Floor::Count(count) => free < *count,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn percent(free: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => free as f64 * 100.0 / all as f64,
    }
}

impl Directory {
    fn judge(&self, looked: &Looked) -> Outcome {
        let shown = self.path.display();
        let Looked { left, written } = looked;
        let share = percent(left.free, left.size);
        let facts = json!({
            "free_bytes": left.free,
            "free_percent": share,
            "inodes_free": left.inodes_free,
            "read_only": left.read_only,
        });
        let failed = |why: String| Outcome::failed(why, facts.clone());
        if self.not_read_only && left.read_only {
            return failed(format!("{shown} is read-only"));
        }
        if let Err(error) = written {
            let why = format!("nothing can be written to {shown}: {error}");
            let blind = !is_of_disk(error);
            return Outcome {
                blind,
                ..failed(why)
            };
        }
        let free = left.free >> 20;
        if let Some(floor) = &self.free_at_least
            && is_below(floor, left.free, left.size)
        {
            return failed(format!(
                "{shown} has {free} MiB free ({share:.1}%), less than {floor}"
            ));
        }
        if let Some(floor) = &self.inodes_free_at_least
            && left.inodes > 0
            && is_below(floor, left.inodes_free, left.inodes)
        {
            let (free, share) = (left.inodes_free, percent(left.inodes_free, left.inodes));
            return failed(format!(
                "{shown} has {free} inodes free ({share:.1}%), less than {floor}"
            ));
        }
        Outcome::passed(format!("{shown} has {free} MiB free ({share:.1}%)"), facts)
    }

    fn unseen(&self, error: &io::Error) -> Outcome {
        let shown = self.path.display();
        let why = match errno(error) {
            Some(Errno::NOENT) => format!("there is no directory {shown}"),
            Some(Errno::NOTDIR) => format!("{shown} is no directory"),
            _ => format!("{shown} cannot be looked at: {error}"),
        };
        match errno(error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Outcome::silent(why),
            _ if is_of_disk(error) => Outcome::silent(why),
            _ => Outcome::blind(why),
        }
    }
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

/// Whether an error is about the file system, and not about what we may do or have.
fn is_of_disk(error: &io::Error) -> bool {
    let of_disk = [
        Errno::ROFS,
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::IO,
        Errno::UCLEAN,
        Errno::NXIO,
        Errno::NODEV,
        Errno::STALE,
        Errno::NOTCONN,
        Errno::FBIG,
    ];
    errno(error).is_some_and(|errno| of_disk.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: serde_json::Value) -> Directory {
        let mut options = json!({"path": "/data"});
        let more = json.as_object().unwrap().clone();
        options.as_object_mut().unwrap().extend(more);
        serde_json::from_value(options).unwrap()
    }

    #[test]
    fn floors_are_shares_sizes_or_numbers_each_where_it_belongs() {
        for (text, floor) in [
            ("\"10%\"", Floor::Percent(10.0)),
            ("\"0.5%\"", Floor::Percent(0.5)),
            ("\"5GiB\"", Floor::Bytes(Size::mib(5 << 10))),
            ("1000", Floor::Count(1000)),
        ] {
            assert_eq!(serde_json::from_str::<Floor>(text).unwrap(), floor);
        }
        for text in [
            "\"\"", "\"101%\"", "\"-1%\"", "\"NaN%\"", "\"5G\"", "-1", "true",
        ] {
            assert!(serde_json::from_str::<Floor>(text).is_err(), "{text}");
        }
        let keys = |json| {
            let faults = options(json).faults().into_iter();
            faults.map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(
            keys(json!({"free_at_least": 5, "inodes_free_at_least": "5MiB"})),
            ["free_at_least", "inodes_free_at_least"]
        );
        assert_eq!(keys(json!({"path": "data"})), ["path"]);
    }

    fn looked(written: io::Result<()>) -> Looked {
        let left = Left {
            size: 1000 << 20,
            free: 100 << 20,
            inodes: 200,
            inodes_free: 10,
            read_only: true,
        };
        Looked { left, written }
    }

    #[test]
    fn what_is_left_is_held_against_the_floors() {
        for (json, why) in [
            (json!({}), None),
            (json!({"free_at_least": "10%"}), None),
            (
                json!({"free_at_least": "10.1%"}),
                Some("100 MiB free (10.0%), less than 10.1%"),
            ),
            (json!({"free_at_least": "100MiB"}), None),
            (json!({"free_at_least": "101MiB"}), Some("less than 101MiB")),
            (json!({"inodes_free_at_least": "5%"}), None),
            (
                json!({"inodes_free_at_least": "6%"}),
                Some("10 inodes free (5.0%)"),
            ),
            (json!({"inodes_free_at_least": 11}), Some("less than 11")),
            (json!({"not_read_only": true}), Some("/data is read-only")),
        ] {
            let said = options(json.clone()).judge(&looked(Ok(())));
            assert_eq!(said.ok, why.is_none(), "{json}: {}", said.why);
            assert!(said.why.contains(why.unwrap_or("/data has 100 MiB free")));
            assert!(!said.blind);
        }
        let mut uncounted = looked(Ok(()));
        (uncounted.left.inodes, uncounted.left.inodes_free) = (0, 0);
        let btrfs = options(json!({"inodes_free_at_least": "5%"}));
        assert!(btrfs.judge(&uncounted).ok);
    }

    #[test]
    fn what_we_may_not_do_says_nothing_of_the_disk() {
        for (errno, blind) in [
            (Errno::ROFS, false),
            (Errno::NOSPC, false),
            (Errno::IO, false),
            (Errno::ACCESS, true),
            (Errno::MFILE, true),
        ] {
            let said = options(json!({"writable": true})).judge(&looked(Err(errno.into())));
            assert!(!said.ok && said.blind == blind, "{errno:?}");
            let said = options(json!({})).unseen(&errno.into());
            assert!(!said.ok && said.blind == blind, "{errno:?}");
        }
    }
}
