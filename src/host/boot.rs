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
    let kept = kept(id, state, now);
    if kept.is_none()
        && let Err(error) = keep(state, &format!("{id} {read}\n"))
    {
        tracing::debug!(%error, "the boot time is not kept in {}", state.display());
    }
    Some(kept.unwrap_or(read))
}

/// The same for a process that writes nothing: what one before it kept, else what it reads itself.
pub fn known_boot_time(identity: &Identity, state: Option<&Path>, now: u64) -> Option<u64> {
    let id = identity.boot_id.as_deref();
    let kept = id.zip(state).and_then(|(id, state)| kept(id, state, now));
    kept.or(identity.boot_time)
}

fn kept(id: &str, state: &Path, now: u64) -> Option<u64> {
    let text = std::fs::read_to_string(state.join(FILE)).ok()?;
    let (of, seconds) = text.trim_end().split_once(' ')?;
    // A clock that was ahead then would have counters begin after their values.
    let seconds = seconds.parse().ok().filter(|seconds| *seconds <= now)?;
    (of == id).then_some(seconds)
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
    fn who_writes_nothing_goes_by_what_was_kept() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        let known = |read| known_boot_time(&identity("a", read), Some(&state), 200);
        assert_eq!(known(101), Some(101));
        assert!(!state.exists());
        kept_boot_time(&identity("a", 100), Some(&state), 200);
        assert_eq!(known(101), Some(100));
        assert_eq!(known_boot_time(&identity("a", 101), None, 200), Some(101));
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
