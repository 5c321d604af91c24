//! A file is what it should be: its hash, size and age.
//!
//! Reads by `host` on threads of its own, never twice at a time, and hashes a file again only when it is another one or has changed. A
//! hash that takes longer than the check's `timeout` is kept for the next probe.

mod recorded;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rustix::io::Errno;
use serde_json::{Map, Value};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::host::{Called, Calls, Found, Hashed, Regular, Stamp, open_regular};
use crate::model::duration::Period;
use crate::model::hex;
use crate::model::size::Size;

pub use recorded::{NotRecorded, recorded};

/// The largest file of recorded hashes that is read.
const LARGEST: u64 = 16 << 20;

/// A regular file is there, and is what it should be.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its absolute path. A link is followed; what it leads to must be a regular file.
    pub path: PathBuf,
    /// The SHA-256 of its content: 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A file in which `sha256sum` has recorded it, by its absolute path; names in it are relative to its directory. Whoever may change
    /// the file must not be able to change this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<PathBuf>,
    /// A smaller file fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_size: Option<Size>,
    /// A larger file fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<Size>,
    /// A file whose content changed last longer ago than this fails: a backup that was not made, a list that nobody updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Period>,
    /// The largest file that is hashed; nothing is known of a larger one. The first hash has to be done within the check's `timeout`, or
    /// within those of the probes that must fail (`fall`).
    #[serde(default = "hash_limit")]
    pub hash_limit: Size,
}

const fn hash_limit() -> Size {
    Size::mib(256)
}

/// A hash, as `sha256sum` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = hex::read(text.as_bytes()).map(Self);
        bytes.ok_or_else(|| "write the 64 hexadecimal digits that sha256sum shows".to_owned())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::written(&self.0))
    }
}

impl Kind for File {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let paths = [
            ("path", Some(&self.path)),
            ("recorded", self.recorded.as_ref()),
        ];
        for (key, path) in paths {
            if path.is_some_and(|path| !path.is_absolute()) {
                faults.push((key, "write an absolute path".to_owned()));
            }
        }
        match (&self.sha256, &self.recorded) {
            (Some(_), Some(_)) => faults.push((
                "recorded",
                "sha256 says already what the hash must be; leave one of the two out".into(),
            )),
            (Some(text), None) => {
                let wrong = text.parse::<Sha256>().err();
                faults.extend(wrong.map(|why| ("sha256", why)));
            }
            _ => {}
        }
        if let (Some(min), Some(max)) = (self.min_size, self.max_size)
            && max < min
        {
            faults.push(("max_size", format!("is less than min_size ({min})")));
        }
        faults
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        Ok(Box::new(Reading {
            options: Arc::new(self.clone()),
            calls: world.sampler.host().long_calls().clone(),
            known: Arc::default(),
        }))
    }
}

struct Reading {
    options: Arc<File>,
    calls: Calls,
    known: Arc<Mutex<Known>>,
}

/// What was read, of files that have not changed since.
#[derive(Default)]
struct Known {
    hash: Option<(Stamp, Sha256)>,
    recorded: Option<(Stamp, Result<Sha256, NotRecorded>)>,
}

/// What was seen of a file.
struct Seen {
    stamp: Stamp,
    /// Its hash, and the one that it must have.
    hashes: Option<(Sha256, Sha256)>,
}

#[async_trait]
impl Prober for Reading {
    async fn probe(&self, ask: Ask) -> Outcome {
        let options = Arc::clone(&self.options);
        // A hash that nobody waits for goes on as long as there is somebody to keep it for.
        let known = Arc::downgrade(&self.known);
        let look = move |path: &Path| options.look(path, &known);
        let path = &self.options.path;
        let limit = ask.deadline.into_std();
        let shown = path.display();
        match self.calls.one("file", path, limit, look).await {
            Called::Done(Ok(seen)) => self.options.judge(&seen, SystemTime::now()),
            Called::Done(Err(outcome)) => outcome,
            Called::Parked => Outcome::late(format_args!(
                "{shown} is still being read; a large file wants a longer timeout"
            )),
            Called::Busy => Outcome::blind(format!(
                "{shown} was not looked at: the threads that read files are busy with others"
            )),
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What an error of a file says: that there is none, that what is on the disk is damaged, or nothing.
fn unread(path: &Path, error: &io::Error) -> Outcome {
    let shown = path.display();
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::NOENT | Errno::NOTDIR) => Outcome::silent(format!("there is no file {shown}")),
        Some(Errno::LOOP | Errno::IO | Errno::UCLEAN | Errno::BADMSG) => {
            Outcome::silent(format!("{shown} cannot be read: {error}"))
        }
        _ => Outcome::blind(format!("{shown} cannot be read: {error}")),
    }
}

fn open(path: &Path) -> Result<Regular, Outcome> {
    match open_regular(path) {
        Ok(Found::Regular(file)) => Ok(file),
        Ok(Found::Other(what)) => Err(Outcome::silent(format!(
            "{} is {what}, no regular file",
            path.display()
        ))),
        Err(error) => Err(unread(path, &error)),
    }
}

impl File {
    /// Looks at the file, and reads what it must; may block for as long as the disk does.
    fn look(&self, path: &Path, known: &Weak<Mutex<Known>>) -> Result<Seen, Outcome> {
        let file = open(path)?;
        let stamp = file.stamp;
        let expected = match (&self.sha256, &self.recorded) {
            (Some(text), _) => text.parse().map_err(Outcome::blind)?,
            (None, Some(list)) => self.expected(path, list, known)?,
            (None, None) => {
                let hashes = None;
                return Ok(Seen { stamp, hashes });
            }
        };
        let before = known.upgrade().and_then(|known| lock(&known).hash);
        let hash = match before {
            Some((of, hash)) if of == stamp => hash,
            _ => self.hash(path, file, known)?,
        };
        let hashes = Some((hash, expected));
        Ok(Seen { stamp, hashes })
    }

    fn hash(
        &self,
        path: &Path,
        file: Regular,
        known: &Weak<Mutex<Known>>,
    ) -> Result<Sha256, Outcome> {
        let (stamp, now, shown) = (file.stamp, seconds(SystemTime::now()), path.display());
        let wanted = || known.strong_count() > 0;
        match file.sha256(self.hash_limit.bytes(), &wanted) {
            Ok(Hashed::Whole(bytes)) => {
                let hash = Sha256(bytes);
                if let Some(known) = known.upgrade() {
                    lock(&known).hash = stamp.has_settled(now).then_some((stamp, hash));
                }
                Ok(hash)
            }
            Ok(Hashed::TooLarge) => Err(Outcome::blind(format!(
                "{shown} is larger than hash_limit ({}) and was not hashed",
                self.hash_limit
            ))),
            Ok(Hashed::Changed) => Err(Outcome::blind(format!(
                "{shown} changed while it was hashed"
            ))),
            Ok(Hashed::Unwanted) => Err(Outcome::blind("nobody waits for it")),
            Err(error) => Err(unread(path, &error)),
        }
    }

    /// The hash that is recorded; what is wrong with the record says nothing of the file.
    fn expected(
        &self,
        path: &Path,
        list: &Path,
        known: &Weak<Mutex<Known>>,
    ) -> Result<Sha256, Outcome> {
        let shown = list.display();
        let wrong = |why: &dyn fmt::Display| Outcome::blind(format!("recorded: {shown}: {why}"));
        let file = open(list).map_err(|outcome| Outcome {
            blind: true,
            why: format!("recorded: {}", outcome.why),
            ..outcome
        })?;
        let (stamp, now) = (file.stamp, seconds(SystemTime::now()));
        let before = known
            .upgrade()
            .and_then(|known| lock(&known).recorded.clone());
        if let Some((of, found)) = before
            && of == stamp
        {
            return found.map_err(|why| wrong(&why));
        }
        let text = file.bytes(LARGEST).map_err(|error| wrong(&error))?;
        let directory = list.parent().unwrap_or(Path::new("/"));
        let found = recorded(&text, path, directory);
        if let Some(known) = known.upgrade() {
            let keep = stamp.has_settled(now);
            lock(&known).recorded = keep.then(|| (stamp, found.clone()));
        }
        found.map_err(|why| wrong(&why))
    }

    fn judge(&self, seen: &Seen, now: SystemTime) -> Outcome {
        let shown = self.path.display();
        let size = seen.stamp.size;
        let age = seconds(now).saturating_sub(seen.stamp.modified.0);
        let age = Duration::from_secs(u64::try_from(age).unwrap_or_default());
        let mut facts = Map::new();
        facts.insert("size".into(), size.into());
        facts.insert("age_seconds".into(), age.as_secs().into());
        if let Some((hash, _)) = &seen.hashes {
            facts.insert("sha256".into(), hash.to_string().into());
        }
        let facts = Value::Object(facts);
        if let Some(min) = self.min_size.filter(|min| size < min.bytes()) {
            return Outcome::failed(format!("{shown} has {size} bytes, less than {min}"), facts);
        }
        if let Some(max) = self.max_size.filter(|max| size > max.bytes()) {
            return Outcome::failed(format!("{shown} has {size} bytes, more than {max}"), facts);
        }
        if let Some(line) = self.max_age.filter(|line| age > line.get()) {
            let age = Period::secs(age.as_secs());
            return Outcome::failed(
                format!("{shown} changed {age} ago, which is more than {line}"),
                facts,
            );
        }
        match &seen.hashes {
            Some((hash, expected)) if hash != expected => {
                let by = match &self.recorded {
                    Some(list) => format!("{} has", list.display()),
                    None => "sha256 says".to_owned(),
                };
                Outcome::failed(
                    format!("the SHA-256 of {shown} is {hash} where {by} {expected}"),
                    facts,
                )
            }
            Some(_) => Outcome::passed(format!("{shown} has {size} bytes and its hash"), facts),
            None => Outcome::passed(format!("{shown} has {size} bytes"), facts),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_that_has_settled_is_not_read_again_before_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("data");
        std::fs::write(&path, "abc").unwrap();
        let hash = "0".repeat(64);
        let options = json!({"path": path, "sha256": hash});
        let options: File = serde_json::from_value(options).unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let look = || {
            let seen = options.look(&path, &Arc::downgrade(&known));
            seen.unwrap().hashes.unwrap().0
        };
        let right = look();
        assert_eq!(lock(&known).hash, None, "it has just changed");
        let Ok(Found::Regular(file)) = open_regular(&path) else {
            panic!("no file")
        };
        let kept = hash.parse().unwrap();
        lock(&known).hash = Some((file.stamp, kept));
        assert_eq!(look(), kept, "it was read though nothing changed");
        let later = SystemTime::now() - Duration::from_secs(60);
        let file = std::fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(look(), right, "its times are others");
    }

    #[test]
    fn errors_of_the_disk_are_told_from_our_own() {
        for (errno, blind) in [
            (Errno::NOENT, false),
            (Errno::IO, false),
            (Errno::BADMSG, false),
            (Errno::ACCESS, true),
            (Errno::MFILE, true),
            (Errno::STALE, true),
        ] {
            let said = unread(Path::new("/x"), &errno.into());
            assert!(!said.ok && said.blind == blind, "{errno:?}");
        }
    }

    #[test]
    fn options_that_contradict_are_faults() {
        let keys = |options: Value| {
            let options: File = serde_json::from_value(options).unwrap();
            let faults = options.faults().into_iter();
            faults.map(|(key, _)| key).collect::<Vec<_>>()
        };
        let hash = "a".repeat(64);
        assert_eq!(keys(json!({"path": "/x"})), Vec::<&str>::new());
        assert_eq!(keys(json!({"path": "x"})), ["path"]);
        assert_eq!(keys(json!({"path": "/x", "sha256": "abc"})), ["sha256"]);
        let both = json!({"path": "/x", "sha256": hash, "recorded": "/y"});
        assert_eq!(keys(both), ["recorded"]);
        let sizes = json!({"path": "/x", "min_size": "2B", "max_size": "1B"});
        assert_eq!(keys(sizes), ["max_size"]);
    }
}
