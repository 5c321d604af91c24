//! Directories of sysfs that a driver answers for: each is read by a call that can be given up, so that a sick driver costs its own device.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use super::{Absent, ItemError};
use crate::host::{CallKey, Called, Pass, Root, attribute};

/// How long a device may take, at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the files of a device say, without white space at the ends; none for what cannot be read.
pub(super) type Texts<const N: usize> = [Option<Vec<u8>>; N];

/// Files of the devices of a class whose names pass, in the order of the names. A device that does not answer in time is an error of the kind
/// `device`. Nothing if the class is not there.
pub(super) fn read<const N: usize>(
    pass: &Pass<'_>,
    class: &str,
    passes: impl Fn(&str) -> bool,
    files: &'static [&'static str; N],
    errors: &mut Vec<ItemError>,
) -> Result<Vec<(String, Texts<N>)>, Absent> {
    let mut names = pass.devices(class)?;
    names.retain(|name| passes(name));
    let dir = pass.path(Root::Sys, class);
    let key = |name: &String| CallKey::from(dir.join(name).as_os_str());
    let keys = names.iter().map(key).collect();
    let read = |dir: &OsStr| -> Texts<N> {
        let text = |file: &str| attribute(&Path::new(dir).join(file)).ok();
        files.map(|file| text(file).map(|text| text.trim_ascii().to_vec()))
    };
    let limit = pass.limit(PATIENCE);
    let called = pass.host().calls().each("sysfs", keys, limit, read);
    let mut devices = Vec::new();
    for (name, called) in names.into_iter().zip(called) {
        let why = match called {
            Called::Done(texts) => {
                devices.push((name, texts));
                continue;
            }
            Called::Parked => "its driver did not answer in time",
            Called::Busy => "all threads for calls that can hang are held",
        };
        errors.push(ItemError {
            kind: "device",
            item: name,
            why: why.into(),
        });
    }
    Ok(devices)
}
