//! Mounts under the keys of the Zabbix agents.
//!
//! Mount points are told as /proc/mounts spells them, blanks escaped, as the agents do. Unlike theirs, our
//! `vfs.fs.size` knows a mount by that spelling too, so that what discovery finds can be asked for.

use super::space::{Space, Stat, text};
use super::{Filesystem, Options, Reading, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::subject::{Answer, Args, Item, Said};

pub(super) const KEYS: &[Item<Filesystem>] = &[
    Item {
        name: "vfs.fs.discovery",
        parameters: &[],
        help: "Mounts, for low-level discovery",
        want: |_, _| Ok(Want::default()),
        answer: Answer::Now(discovery),
    },
    Item {
        name: "vfs.fs.get",
        parameters: &[],
        help: "Mounts with their sizes and inodes",
        want: |_, _| {
            Ok(Want {
                every: true,
                ..Want::default()
            })
        },
        answer: Answer::Now(get),
    },
    Item {
        name: "vfs.fs.inode",
        parameters: &["fs", "mode"],
        help: "Inodes of a file system: total, free, used, pfree, pused",
        want: |_, args| path(args, "Invalid first parameter."),
        answer: Answer::Now(|_, reading, args| say(args, &inodes(&space(reading, args)?))),
    },
    Item {
        name: "vfs.fs.size",
        parameters: &["fs", "mode"],
        help: "Bytes of a file system: total, free, used, pfree, pused",
        want: |_, args| path(args, "Filesystem name cannot be empty."),
        answer: Answer::Now(|_, reading, args| say(args, &size(&space(reading, args)?))),
    },
];

/// Numbers of a file system.
struct Share {
    total: u64,
    free: u64,
    used: u64,
    free_percent: f64,
    used_percent: f64,
}

fn path(args: &Args<'_>, empty: &'static str) -> Result<Want, Unsupported> {
    let path = args.param(0);
    if path.is_empty() {
        return Err(empty.into());
    }
    Ok(Want {
        paths: [path.to_owned()].into(),
        ..Want::default()
    })
}

fn space(reading: &Reading, args: &Args<'_>) -> Result<Space, Unsupported> {
    match reading.asked.get(args.param(0)) {
        Some(Stat::Told(space)) => Ok(*space),
        Some(Stat::Failed(errno)) => Err(format!(
            "Cannot obtain filesystem information: [{}] {}",
            errno.raw_os_error(),
            text(*errno)
        )
        .into()),
        Some(Stat::Stuck) | None => Err(Unsupported::TIMED_OUT),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage is a double")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}

fn size(space: &Space) -> Share {
    // More may be in use than users other than root may have: then the kernel counts below zero.
    let available = if space.available >> 63 == 1 {
        0
    } else {
        space.available
    };
    let used = space.blocks.wrapping_sub(space.free);
    let users = used.wrapping_add(available);
    let free_percent = if users == 0 {
        0.0
    } else {
        percent(available, users)
    };
    Share {
        total: space.blocks.wrapping_mul(space.fragment),
        free: available.wrapping_mul(space.fragment),
        used: used.wrapping_mul(space.fragment),
        free_percent,
        used_percent: if users == 0 {
            0.0
        } else {
            100.0 - free_percent
        },
    }
}

fn inodes(space: &Space) -> Share {
    let free_percent = if space.files == 0 {
        100.0
    } else {
        percent(space.files_free, space.files)
    };
    Share {
        total: space.files,
        free: space.files_free,
        used: space.files.wrapping_sub(space.files_free),
        free_percent,
        used_percent: 100.0 - free_percent,
    }
}

fn say(args: &Args<'_>, share: &Share) -> Said {
    Ok(match args.param(1) {
        "" | "total" => share.total.into(),
        "free" => share.free.into(),
        "used" => share.used.into(),
        "pfree" => format!("{:.6}", share.free_percent).into(),
        "pused" => format!("{:.6}", share.used_percent).into(),
        _ => return Err(Unsupported::invalid_parameter(2)),
    })
}

fn discovery(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    let mut out = String::from("[");
    for entry in &reading.mounts.entries {
        let mount = &entry.mount;
        out.push_str(if out.len() > 1 { ",{" } else { "{" });
        member(&mut out, "{#FSNAME}", &mount.raw_point);
        out.push(',');
        member(&mut out, "{#FSTYPE}", &mount.fstype);
        out.push(',');
        member(&mut out, "{#FSOPTIONS}", &mount.options);
        out.push('}');
    }
    out.push(']');
    Ok(Value::from(out))
}

fn get(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    let mut out = String::from("[");
    for entry in &reading.mounts.entries {
        let Some(Some(Stat::Told(space))) = reading.stats.get(entry.at) else {
            continue;
        };
        let mount = &entry.mount;
        out.push_str(if out.len() > 1 { ",{" } else { "{" });
        member(&mut out, "fsname", &mount.raw_point);
        out.push(',');
        member(&mut out, "fstype", &mount.fstype);
        share(&mut out, "bytes", &size(space));
        share(&mut out, "inodes", &inodes(space));
        out.push(',');
        member(&mut out, "options", &mount.options);
        out.push('}');
    }
    out.push(']');
    Ok(Value::from(out))
}

fn member(out: &mut String, name: &str, value: &str) {
    let value = serde_json::Value::String(value.to_owned());
    out.push_str(&format!("\"{name}\":{value}"));
}

fn share(out: &mut String, name: &str, share: &Share) {
    out.push_str(&format!(
        ",\"{name}\":{{\"total\":{},\"free\":{},\"used\":{},\"pfree\":{:.6},\"pused\":{:.6}}}",
        share.total, share.free, share.used, share.free_percent, share.used_percent
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space {
        block: 4096,
        fragment: 1024,
        blocks: 100,
        free: 50,
        available: 40,
        files: 10,
        files_free: 9,
    };

    #[test]
    fn sizes_count_fragments_and_percent_what_users_may_have() {
        let share = size(&SPACE);
        assert_eq!(
            (share.total, share.free, share.used),
            (102_400, 40_960, 51_200)
        );
        assert_eq!(format!("{:.6}", share.free_percent), "44.444444");
        assert_eq!(format!("{:.6}", share.used_percent), "55.555556");
    }

    #[test]
    fn a_file_system_without_room_or_inodes_has_the_agents_percentages() {
        let nothing = Space {
            blocks: 0,
            free: 0,
            available: 0,
            files: 0,
            files_free: 0,
            ..SPACE
        };
        let share = size(&nothing);
        assert_eq!((share.free_percent, share.used_percent), (0.0, 0.0));
        let share = inodes(&nothing);
        assert_eq!((share.free_percent, share.used_percent), (100.0, 0.0));
        let overdrawn = Space {
            available: u64::MAX - 5,
            free: 0,
            ..SPACE
        };
        assert_eq!(size(&overdrawn).free, 0);
    }
}
