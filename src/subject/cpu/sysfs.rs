//! What /sys/devices/system/cpu says of each CPU
//! (Documentation/ABI/testing/sysfs-devices-system-cpu, Documentation/admin-guide/cputopology.rst).
//!
//! Which CPU belongs to which core is read again only when the directories change: it cannot change otherwise.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::host::parse::{trim, unsigned};
use crate::host::{Pass, Root};
use crate::subject::ItemError;

const DIR: &str = "devices/system/cpu";
/// The most numbers a list may stand for.
const MOST: u32 = 1 << 16;

/// What is told of the machine's CPUs beside their time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Topology {
    /// Thermal throttles of each core: package, core, count.
    pub(super) cores: Vec<(u64, u64, u64)>,
    /// Thermal throttles of each package.
    pub(super) packages: Vec<(u64, u64)>,
    /// Whether each CPU is online; empty where the first one cannot be taken offline.
    pub(super) online: Vec<(String, bool)>,
    /// CPUs kept out of scheduling.
    pub(super) isolated: Vec<u16>,
}

struct Place {
    /// Name of the directory below [`DIR`].
    name: String,
    /// Its package and core, if both could be read.
    core: Option<(u64, u64)>,
    /// Whether it counts thermal throttles: that depends on its hardware, and asking in vain costs as much as reading.
    throttles: bool,
}

/// What is remembered of the CPUs' directories.
#[derive(Default)]
pub(super) struct Sysfs {
    names: Vec<OsString>,
    places: Vec<Place>,
    /// Cores of the CPUs of `names`, once they were asked for.
    cores: Option<Option<u64>>,
}

impl Sysfs {
    /// How many cores the CPUs are threads of; none where the kernel does not say so.
    pub(super) fn cores(&mut self, pass: &mut Pass<'_>) -> Option<u64> {
        self.find(pass);
        let names = self.names.iter();
        *self.cores.get_or_insert_with(|| {
            let threads = names.filter_map(|name| {
                let below = format!("{DIR}/{}/topology", name.to_string_lossy());
                // The second is its name before Linux 5.1.
                let files = ["core_cpus_list", "thread_siblings_list"];
                files.iter().find_map(|file| {
                    let text = pass.once(Root::Sys, &format!("{below}/{file}")).ok()?;
                    Some(trim(text).to_owned())
                })
            });
            let cores: BTreeSet<Vec<u8>> = threads.collect();
            (!cores.is_empty()).then_some(cores.len() as u64)
        })
    }

    pub(super) fn topology(
        &mut self,
        pass: &mut Pass<'_>,
        errors: &mut Vec<ItemError>,
    ) -> Topology {
        self.find(pass);
        let mut topology = Topology::default();
        self.throttles(pass, &mut topology);
        topology.online = self.online(pass);
        if let Ok(text) = pass.file(Root::Sys, &format!("{DIR}/isolated")) {
            let (numbers, bad) = cpu_list(&text);
            let mut seen = BTreeSet::new();
            // The reference keeps 16 bits of each number.
            let cut = numbers.into_iter().map(|n| (n & 0xffff) as u16);
            topology.isolated = cut.filter(|n| seen.insert(*n)).collect();
            errors.extend(bad.map(|why| list_error("isolated", why)));
        }
        topology
    }

    fn find(&mut self, pass: &mut Pass<'_>) {
        let Ok(mut names) = pass.names(Root::Sys, DIR) else {
            *self = Self::default();
            return;
        };
        names.retain(|name| matches!(name.as_bytes(), [b'c', b'p', b'u', b'0'..=b'9', ..]));
        names.sort_unstable();
        let known = self.names == names && self.places.iter().all(|p| p.core.is_some());
        if known {
            return;
        }
        let place = |name: &OsString| {
            let name = name.to_string_lossy().into_owned();
            let package = number(pass, &name, "topology/physical_package_id");
            let core = package.and_then(|_| number(pass, &name, "topology/core_id"));
            Place {
                core: package.zip(core),
                throttles: pass
                    .names(Root::Sys, &format!("{DIR}/{name}/thermal_throttle"))
                    .is_ok(),
                name,
            }
        };
        self.places = names.iter().map(place).collect();
        self.cores = None;
        self.names = names;
    }

    /// The first CPU, in the order of names, that can say a core's or a package's count says it for all.
    fn throttles(&self, pass: &mut Pass<'_>, into: &mut Topology) {
        let mut cores = BTreeSet::new();
        let mut packages = BTreeSet::new();
        for place in self.places.iter().filter(|p| p.throttles) {
            let Some((package, core)) = place.core else {
                continue;
            };
            if !cores.contains(&(package, core))
                && let Some(count) =
                    number(pass, &place.name, "thermal_throttle/core_throttle_count")
            {
                cores.insert((package, core));
                into.cores.push((package, core, count));
            }
            if !packages.contains(&package)
                && let Some(count) =
                    number(pass, &place.name, "thermal_throttle/package_throttle_count")
            {
                packages.insert(package);
                into.packages.push((package, count));
            }
        }
    }

    fn online(&self, pass: &mut Pass<'_>) -> Vec<(String, bool)> {
        let mut online = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            let read = pass.once(Root::Sys, &format!("{DIR}/{}/online", place.name));
            let is = match read {
                Ok(text) => trim(text) == b"1",
                Err(why) if at == 0 && why.is_not_found() => break,
                Err(_) => false,
            };
            let label = place.name.strip_prefix("cpu").unwrap_or(&place.name);
            online.push((label.to_owned(), is));
        }
        online
    }
}

fn number(pass: &mut Pass<'_>, cpu: &str, file: &str) -> Option<u64> {
    let text = pass.once(Root::Sys, &format!("{DIR}/{cpu}/{file}")).ok()?;
    unsigned(trim(text))
}

/// One of the kernel's lists of CPUs; none if it is not there.
pub(super) fn list(
    pass: &mut Pass<'_>,
    name: &'static str,
    errors: &mut Vec<ItemError>,
) -> Option<Vec<u32>> {
    let text = pass.file(Root::Sys, &format!("{DIR}/{name}")).ok()?;
    let (numbers, bad) = cpu_list(&text);
    errors.extend(bad.map(|why| list_error(name, why)));
    Some(numbers)
}

fn list_error(name: &str, why: &str) -> ItemError {
    ItemError {
        kind: "list",
        item: name.into(),
        why: why.into(),
    }
}

/// Parses a list such as `0-3,8`; with it why a part of it could not be read. At most 65536 numbers.
pub fn cpu_list(text: &[u8]) -> (Vec<u32>, Option<&'static str>) {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut numbers = Vec::new();
    let mut bad = None;
    let number = |text: &[u8]| unsigned(text).and_then(|n| u32::try_from(n).ok());
    for part in text.split(|b| *b == b',').filter(|p| !p.is_empty()) {
        let mut ends = part.splitn(2, |b| *b == b'-').map(number);
        let first = ends.next().flatten();
        let last = ends.next().unwrap_or(first);
        match (first, last) {
            (Some(first), Some(last)) => {
                let room = MOST.saturating_sub(u32::try_from(numbers.len()).unwrap_or(MOST));
                if last.saturating_sub(first) >= room {
                    bad = Some("stands for more than 65536 CPUs");
                }
                numbers.extend((first..=last).take(room as usize));
            }
            _ => bad = Some("a part is no number and no range"),
        }
    }
    (numbers, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_is_bounded_and_keeps_its_good_parts() {
        for (text, numbers, good) in [
            ("", vec![], true),
            ("\n", vec![], true),
            ("1,3-5,9\n", vec![1, 3, 4, 5, 9], true),
            ("5-3", vec![], true),
            (",1,,2,", vec![1, 2], true),
            ("1-2-3, five\n", vec![], false),
            (" 1", vec![], false),
            ("-1,4", vec![4], false),
        ] {
            let (read, bad) = cpu_list(text.as_bytes());
            assert_eq!((read, bad.is_none()), (numbers, good), "{text}");
        }
        let (many, bad) = cpu_list(b"0-4294967295,7");
        assert_eq!(many.len(), 1 << 16);
        assert!(bad.is_some());
    }
}
