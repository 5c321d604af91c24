//! Since when the machine's counters count, as it is told over OTLP.
//!
//! The kernel's boot time moves with each step of the clock, by a second or by years, and every consumer would take that for a
//! reset of all counters. So the first process of a boot writes down what it read, and the later ones go by that: one line of boot
//! id and Unix seconds, in a file of the state directory.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::Identity;

const FILE: &str = "boot";

/// The boot time in Unix seconds; none if the machine does not tell. Blocks for the disk.
pub fn kept_boot_time(identity: &Identity, state: Option<&Path>, now: u64) -> Option<u64> {
    let read = identity.boot_time?;
    let (Some(id), Some(state)) = (&identity.boot_id, state) else {
        return Some(read);
    };
    let kept = std::fs::read_to_string(state.join(FILE)).ok();
    let kept = kept.and_then(|text| {
        let (of, seconds) = text.trim_end().split_once(' ')?;
        // A clock that was ahead then would have counters begin after their values.
        let seconds = seconds.parse().ok().filter(|seconds| *seconds <= now)?;
        (of == id).then_some(seconds)
    });
    if kept.is_none()
        && let Err(error) = keep(state, &format!("{id} {read}\n"))
    {
        tracing::debug!(%error, "the boot time is not kept in {}", state.display());
    }
    Some(kept.unwrap_or(read))
}

fn keep(state: &Path, line: &str) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state)?;
    let new = state.join(format!("{FILE}.new"));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    io::Write::write_all(&mut file, line.as_bytes())?;
    std::fs::rename(new, state.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(id: &str, boot_time: u64) -> Identity {
        Identity {
            boot_id: Some(id.into()),
            boot_time: Some(boot_time),
            ..Identity::default()
        }
    }

    #[test]
    fn all_processes_of_a_boot_go_by_what_the_first_one_read() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        let time = |id, read, now| kept_boot_time(&identity(id, read), Some(&state), now);
        assert_eq!(time("a", 100, 200), Some(100));
        assert_eq!(time("a", 101, 300), Some(100), "the clock was stepped");
        assert_eq!(time("b", 400, 500), Some(400), "another boot");
        assert_eq!(time("b", 399, 500), Some(400));
        assert_eq!(
            time("b", 250, 350),
            Some(250),
            "the clock was ahead, and was set right"
        );
        assert_eq!(time("b", 251, 360), Some(250));
        std::fs::write(state.join(FILE), "b soon").unwrap();
        assert_eq!(time("b", 252, 370), Some(252));
    }

    #[test]
    fn without_a_place_to_keep_it_what_is_read_counts() {
        assert_eq!(kept_boot_time(&identity("a", 100), None, 200), Some(100));
        assert_eq!(kept_boot_time(&Identity::default(), None, 200), None);
        let nowhere = Path::new("/proc/none");
        assert_eq!(
            kept_boot_time(&identity("a", 100), Some(nowhere), 200),
            Some(100)
        );
    }
}
