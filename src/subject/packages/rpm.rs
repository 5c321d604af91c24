//! The database of rpm: one of SQLite since rpm 4.16 (Fedora 33, RHEL 9). A package is a header there, as in the file of a package:
//! the numbers of its entries and bytes, the entries (tag, type, offset, count), the values; all numbers are big-endian.
//!
//! Databases of before (Berkeley DB, up to RHEL 8) and SUSE's own (ndb) are not read.

use std::sync::Arc;

use super::{List, Package};
use crate::host::parse::label;
use crate::host::{Pass, ReadError, Root, Stamp};
use crate::subject::ItemError;

/// The first that is there: on newer systems the second leads to it.
const PLACES: [&str; 2] = [
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "var/lib/rpm/rpmdb.sqlite",
];
const HEADERS: &str = "SELECT blob FROM Packages ORDER BY hnum";

// Tags of rpmtag.h.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const BUILT: u32 = 1006;
const INSTALLED: u32 = 1008;
const SIZE: u32 = 1009;
const ARCHITECTURE: u32 = 1022;
/// In place of the size of what has 4 GiB and more.
const LONG_SIZE: u32 = 5009;

// Types of values.
const INT32: u32 = 4;
const INT64: u32 = 5;
const STRING: u32 = 6;

/// Bytes of an entry.
const ENTRY: usize = 16;

/// What was read last, and what the database and its log were like then.
pub(super) struct Kept {
    place: &'static str,
    stamps: [Option<Stamp>; 2],
    found: Found,
}

/// The packages, and how many rows are none.
type Found = (Arc<Vec<Package>>, u32);

/// None where there is no such database. At `now`, in seconds of the epoch, what has not changed is not read again.
pub(super) fn read(
    pass: &mut Pass<'_>,
    errors: &mut Vec<ItemError>,
    kept: &mut Option<Kept>,
    now: i64,
) -> Option<List> {
    for place in PLACES {
        let files = [place.to_owned(), format!("{place}-wal")];
        let stamps = files.map(|name| pass.stamp(Root::Rootfs, &name));
        let known = kept
            .as_ref()
            .filter(|kept| kept.place == place && kept.stamps == stamps);
        let found = match known {
            Some(kept) => Ok(kept.found.clone()),
            None => whole(pass, place),
        };
        let mut lacking = |why: String| errors.push(ItemError::new("list", place.as_bytes(), why));
        match found {
            Ok(found) => {
                let (all, broken) = &found;
                if *broken > 0 {
                    lacking(format!("{broken} packages without a header that is one"));
                }
                let list = ("rpm", Arc::clone(all));
                let settled = stamps.iter().flatten().all(|stamp| stamp.has_settled(now));
                *kept = settled.then_some(Kept {
                    place,
                    stamps,
                    found,
                });
                return Some(list);
            }
            Err(e) if e.is_not_found() => {}
            Err(e) => {
                lacking(e.to_string());
                return None;
            }
        }
    }
    None
}

fn whole(pass: &Pass<'_>, place: &str) -> Result<Found, ReadError> {
    let (mut all, mut broken) = (Vec::new(), 0);
    pass.blobs(
        Root::Rootfs,
        place,
        HEADERS,
        &mut |header| match package(header) {
            Some(package) => all.push(package),
            None => broken += 1,
        },
    )?;
    Ok((all.into(), broken))
}

/// None of a header that is none, or that names no package.
pub(super) fn package(blob: &[u8]) -> Option<Package> {
    let header = Header::of(blob)?;
    let name = header.text(NAME)?;
    let version = format!("{}-{}", header.text(VERSION)?, header.text(RELEASE)?);
    let architecture = header.text(ARCHITECTURE);
    let seconds = |tag| header.number(tag).map_or(0, i64::from);
    let size = header.number(SIZE).map(u64::from);
    Some(Package {
        full_name: match &architecture {
            Some(architecture) => format!("{name}-{version}.{architecture}"),
            // A key that packages are signed with.
            None => format!("{name}-{version}"),
        },
        name,
        version,
        // As rpm writes it.
        architecture: architecture.unwrap_or_else(|| "(none)".to_owned()),
        size: size.or_else(|| header.long(LONG_SIZE)).unwrap_or_default(),
        built: seconds(BUILT),
        installed: seconds(INSTALLED),
        selected: true,
        complete: true,
    })
}

struct Header<'a> {
    entries: &'a [u8],
    values: &'a [u8],
}

impl<'a> Header<'a> {
    fn of(blob: &'a [u8]) -> Option<Self> {
        let (entries, bytes) = (size(word(blob, 0)?)?, size(word(blob, 4)?)?);
        let rest = blob.get(8..)?;
        let (entries, values) = rest.split_at_checked(entries.checked_mul(ENTRY)?)?;
        Some(Self {
            entries,
            values: values.get(..bytes)?,
        })
    }

    /// From where the value of a tag stands.
    fn value(&self, tag: u32, kind: u32) -> Option<&'a [u8]> {
        let mut entries = self.entries.chunks_exact(ENTRY);
        let entry =
            entries.find(|entry| word(entry, 0) == Some(tag) && word(entry, 4) == Some(kind))?;
        self.values.get(size(word(entry, 8)?)?..)
    }

    fn text(&self, tag: u32) -> Option<String> {
        let text = self.value(tag, STRING)?.split(|b| *b == 0).next()?;
        Some(label(text).into_owned())
    }

    fn number(&self, tag: u32) -> Option<u32> {
        word(self.value(tag, INT32)?, 0)
    }

    fn long(&self, tag: u32) -> Option<u64> {
        let bytes = self.value(tag, INT64)?.first_chunk()?;
        Some(u64::from_be_bytes(*bytes))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn size(word: u32) -> Option<usize> {
    word.try_into().ok()
}
