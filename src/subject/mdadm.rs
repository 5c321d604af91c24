//! Software RAID: /proc/mdstat (Linux Documentation/admin-guide/md.rst) and /sys/block/md*/md.
//!
//! One array whose lines make no sense costs that array alone.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{fields, label, signed, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{Absent, Asker, Invalid, ItemError, Lane, Machine, NoOptions, Subject, Taken};

/// The subject.
pub struct Mdadm;

/// States that are told, and what an array in them is called.
const STATES: [(&str, &str); 5] = [
    ("active", "active"),
    ("inactive", "inactive"),
    ("recovering", "recovering"),
    ("resync", "resyncing"),
    ("check", "checking"),
];

/// One array of /proc/mdstat.
#[derive(Debug, PartialEq, Eq)]
pub struct Array {
    /// Its name.
    pub name: String,
    /// `active`, `inactive`, `recovering`, `resyncing`, `checking`, `reshaping`, or what else the kernel says.
    pub state: String,
    /// Disks it needs.
    pub required: i64,
    /// Disks that work.
    pub active: i64,
    /// Disks marked as failed.
    pub failed: usize,
    /// Spare disks.
    pub spare: usize,
    /// Blocks of 1 KiB.
    pub blocks: i64,
    /// Blocks that are in sync.
    pub synced: i64,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    arrays: Vec<Array>,
    /// Names, disks if that can be known, and disks missing, as sysfs has them.
    members: Vec<(String, Option<u64>, u64)>,
}

crate::families! { Mdadm:
    REQUIRED gauge "node_md_disks_required" ["device"] "Disks an array needs";
    DISKS gauge "node_md_disks" ["device", "state"] "Disks of an array that are active, failed, spare";
    STATE gauge "node_md_state" ["device", "state"] "Whether an array is in a state";
    BLOCKS gauge "node_md_blocks" ["device"] "Blocks of 1 KiB of an array";
    SYNCED gauge "node_md_blocks_synced" ["device"] "Blocks of 1 KiB that are in sync";
    RAID_DISKS gauge "node_md_raid_disks" ["device"] "Disks of an array when it is whole";
    DEGRADED gauge "node_md_degraded" ["device"] "Disks that an array lacks";
}

/// The arrays of /proc/mdstat, and which could not be read.
#[must_use]
pub fn arrays(text: &[u8]) -> (Vec<Array>, Vec<ItemError>) {
    let lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
    let mut arrays = Vec::new();
    let mut errors = Vec::new();
    let mut seen: HashSet<String, RandomState> = HashSet::default();
    for (at, line) in lines.iter().enumerate() {
        let is_head = line
            .first()
            .is_some_and(|first| !first.is_ascii_whitespace());
        if !is_head || line.starts_with(b"unused") || line.starts_with(b"Personalities") {
            continue;
        }
        match array(lines.get(at..).unwrap_or_default()) {
            Ok(array) if seen.insert(array.name.clone()) => arrays.push(array),
            Ok(_) => {}
            Err(why) => errors.push(ItemError {
                kind: "array",
                item: label(line.get(..40).unwrap_or(line)).into_owned(),
                why: why.into(),
            }),
        }
    }
    (arrays, errors)
}

fn has(line: &[u8], word: &[u8]) -> bool {
    count(line, word) > 0
}

fn count(line: &[u8], word: &[u8]) -> usize {
    line.windows(word.len())
        .filter(|part| *part == word)
        .count()
}

fn array(lines: &[&[u8]]) -> Result<Array, &'static str> {
    let [head, status, rest @ ..] = lines else {
        return Err("mdstat ends within an array");
    };
    let mut words = fields(head);
    let (Some(name), Some(_), Some(state)) = (words.next(), words.next(), words.next()) else {
        return Err("fewer than three words");
    };
    if rest.len() < 2 {
        return Err("mdstat ends within an array");
    }
    let blocks = fields(status).next().and_then(signed);
    let blocks = blocks.ok_or("the second line does not begin with blocks")?;
    let (required, active) = if has(head, b"raid0") || has(head, b"linear") {
        let disks = count(head, b"[");
        let disks = i64::try_from(disks).unwrap_or(i64::MAX);
        (disks, disks)
    } else if has(head, b"inactive") {
        (0, 0)
    } else {
        disks(status).ok_or("the second line has no [disks/active] [UU]")?
    };
    let bitmap = rest.first().is_some_and(|line| has(line, b"bitmap"));
    let progress = rest.get(usize::from(bitmap)).copied().unwrap_or_default();
    let doing = [
        (&b"recovery"[..], "recovering"),
        (b"reshape", "reshaping"),
        (b"check", "checking"),
        (b"resync", "resyncing"),
    ];
    let doing = doing.iter().find(|(word, _)| has(progress, word));
    let synced = match doing {
        None => blocks,
        Some(_) if has(progress, b"PENDING") || has(progress, b"DELAYED") => 0,
        Some(_) => done(progress).ok_or("the line of its progress has no (done/all)")?,
    };
    Ok(Array {
        name: label(name).into_owned(),
        state: doing.map_or_else(|| label(state).into_owned(), |(_, said)| (*said).to_owned()),
        required,
        active,
        failed: count(head, b"(F)"),
        spare: count(head, b"(S)"),
        blocks,
        synced,
    })
}

/// `[4/3] [UUU_]`: disks and those that work.
fn disks(status: &[u8]) -> Option<(i64, i64)> {
    let within = |word: &'_ [u8]| {
        word.strip_prefix(b"[")?
            .strip_suffix(b"]")
            .map(<[u8]>::to_vec)
    };
    let words: Vec<&[u8]> = fields(status).collect();
    let pair = |pair: &[&[u8]]| {
        let [numbers, map] = pair else { return None };
        let map = within(map)?;
        let is_map = !map.is_empty() && map.iter().all(|b| matches!(b, b'U' | b'_'));
        let numbers = within(numbers)?;
        let mut numbers = numbers.splitn(2, |b| *b == b'/').map(signed);
        let (required, active) = (numbers.next()??, numbers.next()??);
        is_map.then_some((required, active))
    };
    words.windows(2).rev().find_map(pair)
}

/// `(done/all)`: what is done.
fn done(progress: &[u8]) -> Option<i64> {
    progress.split(|b| *b == b'(').skip(1).find_map(|part| {
        let inside = part.split(|b| *b == b')').next()?;
        let mut numbers = inside.splitn(2, |b| *b == b'/').map(signed);
        let (done, _) = (numbers.next()??, numbers.next()??);
        Some(done)
    })
}

/// An array as sysfs has it.
fn members(pass: &Pass<'_>, name: &str) -> Result<(Option<u64>, u64), String> {
    let read = |file: &str| {
        let text = pass.attribute(&format!("block/{name}/md/{file}"));
        text.map_err(|e| e.to_string())
    };
    let level = read("level")?;
    let disks = match level.as_slice() {
        b"" | b"container" | b"imsm" | b"ddf" => None,
        // While it is reshaped: `11 (10)`.
        _ => fields(&read("raid_disks")?).next().and_then(unsigned),
    };
    let missing = match level.as_slice() {
        b"raid1" | b"raid4" | b"raid5" | b"raid6" | b"raid10" => {
            unsigned(&read("degraded")?).ok_or("degraded is no number")?
        }
        _ => 0,
    };
    Ok((disks, missing))
}

impl Subject for Mdadm {
    const NAME: &'static str = "mdadm";
    const ON: bool = true;
    const LANE: Lane = Lane::Drivers;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "mdstat")?;
        let (arrays, mut errors) = arrays(&text);
        let mut reading = Reading {
            arrays,
            members: Vec::new(),
        };
        let blocks = pass.devices("block").unwrap_or_default();
        for name in blocks.into_iter().filter(|name| name.starts_with("md")) {
            if !pass.path(Root::Sys, &format!("block/{name}/md")).exists() {
                continue;
            }
            match members(pass, &name) {
                Ok((disks, missing)) => reading.members.push((name, disks, missing)),
                Err(why) => errors.push(ItemError {
                    kind: "array",
                    item: name,
                    why,
                }),
            }
        }
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        let arrays = &reading.arrays;
        let mut samples = page.family(&REQUIRED);
        arrays
            .iter()
            .for_each(|a| samples.push([&a.name], a.required));
        let mut samples = page.family(&DISKS);
        for array in arrays {
            samples.push([&array.name, "active"], array.active);
            samples.push([&array.name, "failed"], array.failed as u64);
            samples.push([&array.name, "spare"], array.spare as u64);
        }
        let mut samples = page.family(&STATE);
        for array in arrays {
            for (told, state) in STATES {
                samples.push([&array.name, told], array.state == state);
            }
        }
        let mut samples = page.family(&BLOCKS);
        arrays
            .iter()
            .for_each(|a| samples.push([&a.name], a.blocks));
        let mut samples = page.family(&SYNCED);
        arrays
            .iter()
            .for_each(|a| samples.push([&a.name], a.synced));
        let mut samples = page.family(&RAID_DISKS);
        for (name, disks, _) in &reading.members {
            if let Some(disks) = disks {
                samples.push([name], *disks);
            }
        }
        let mut samples = page.family(&DEGRADED);
        for (name, _, missing) in &reading.members {
            samples.push([name], *missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::tests::captured::Captured;

    const MDSTAT: &str = "Personalities : [raid1] [raid6] [raid0]\n\
        md0 : active raid1 sdb1[1] sda1[0](F) sdc1[2](S)\n      1000 blocks super 1.2 [2/1] [_U]\n      bitmap: 0/1 pages [0KB], 65536KB chunk\n\n\
        md1 : active raid6 sda2[0] sdb2[1]\n      2000 blocks level 6, 512k chunk [6/5] [UUUUU_]\n      [=>...]  recovery =  8.5% (170/2000) finish=17.0min speed=259783K/sec\n\n\
        md2 : active raid0 sda3[0] sdb3[1]\n      3000 blocks 512k chunks\n\n\
        md3 : active raid1 nonsense\n      many blocks\n\n\
        md4 : active raid1 x[0] y[1]\n      10 blocks [2/2] [UU]\n        resync=PENDING\n\n\
        unused devices: <none>\n";

    #[test]
    fn an_array_that_makes_no_sense_costs_itself() {
        let (arrays, errors) = arrays(MDSTAT.as_bytes());
        let told: Vec<_> = arrays
            .iter()
            .map(|a| {
                (
                    &*a.name, &*a.state, a.required, a.active, a.failed, a.spare, a.synced,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("md0", "active", 2, 1, 1, 1, 1000),
                ("md1", "recovering", 6, 5, 0, 0, 170),
                ("md2", "active", 2, 2, 0, 0, 3000),
                ("md4", "resyncing", 2, 2, 0, 0, 0),
            ]
        );
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn sysfs_says_how_many_disks_are_missing() {
        let machine = Captured::new(&[
            ("proc/mdstat", "Personalities : \nunused devices: <none>\n"),
            ("sys/block/md0/md/level", "raid1\n"),
            ("sys/block/md0/md/raid_disks", "3 (2)\n"),
            ("sys/block/md0/md/degraded", "1\n"),
            ("sys/block/md1/md/level", "container\n"),
            ("sys/block/md2/md/level", "raid5\n"),
            ("sys/block/sda/md/level", "raid5\n"),
        ]);
        let (page, errors) = machine.page::<Mdadm>(&[]);
        assert_eq!(
            page,
            "node_md_raid_disks{device=\"md0\"} 3\nnode_md_degraded{device=\"md0\"} 1\nnode_md_degraded{device=\"md1\"} 0\n"
        );
        assert_eq!(errors.len(), 1, "{errors:?}");
    }
}
