//! `clean`: delete old files of caches, or have the kernel forget file pages.
//!
//! Owns which directories may be named. How files are deleted without being led astray is `host`'s. The surprising decision: directories
//! stay, because programs expect the ones they made.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Looked, Order, Outcome, Permission, Site, Strength, World};
use crate::host::{self, Sweep, Swept};
use crate::model::duration::Period;
use crate::model::size::Size;
use crate::model::target::Target;

/// What to delete, or to forget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clean {
    /// Directories below which files go. Links are deleted and never followed, other file systems not entered, directories left
    /// in place. Absolute paths without links in them, at least two levels deep.
    pub directories: Vec<PathBuf>,
    /// Only files whose content has not changed for so long.
    pub older_than: Option<Period>,
    /// Delete the oldest first, until what is left in each directory takes no more than this on disk.
    pub max_size: Option<Size>,
    /// Delete the oldest first, until so much of the directory's file system is free.
    pub until_free: Option<Size>,
    /// Have the kernel forget the file pages it keeps in memory (1 to `/proc/sys/vm/drop_caches`). Needs root. Default: false.
    pub page_cache: bool,
}

impl Clean {
    fn rule(&self) -> Sweep {
        Sweep {
            older_than: self.older_than.map(Period::get),
            max_size: self.max_size.map(Size::bytes),
            until_free: self.until_free.map(Size::bytes),
        }
    }
}

/// Trees of the system itself: nothing in them is a cache.
const SYSTEM: &[&str] = &[
    "/bin",
    "/boot",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
];
/// What many share: a directory within is one program's.
const SHARED: &[&str] = &[
    "/usr/local",
    "/var/lib",
    "/var/mail",
    "/var/run",
    "/var/spool",
];

/// What is wrong with a directory to clean.
fn wrong_with(directory: &Path) -> Option<&'static str> {
    let parts = directory.components().skip(1);
    if !directory.is_absolute() {
        Some("is no absolute path")
    } else if directory
        .components()
        .any(|part| part == Component::ParentDir)
    {
        Some("holds ..")
    } else if parts.count() < 2 {
        Some("is too near the root; name the directory of one cache, such as /var/cache/nginx")
    } else if SYSTEM.iter().any(|tree| directory.starts_with(tree)) {
        Some("is part of the system")
    } else if SHARED.iter().any(|shared| directory == Path::new(shared)) {
        Some("is not one program's; name the directory of one cache within")
    } else {
        None
    }
}

/// Whether the journal would be deleted.
fn holds_state(directory: &Path, state: Option<&Path>) -> Option<&'static str> {
    // Links lead to it by another way; a directory to clean has none on its way.
    let state = state?.canonicalize().ok()?;
    let overlap = state.starts_with(directory) || directory.starts_with(&state);
    overlap.then_some("has nodeward's own journal in it, or is part of it")
}

impl Action for Clean {
    fn check(&self, _: &Site<'_>) -> Vec<String> {
        let mut wrong: Vec<String> = self
            .directories
            .iter()
            .filter_map(|path| {
                Some(format!(
                    "directory {} {}",
                    path.display(),
                    wrong_with(path)?
                ))
            })
            .collect();
        let ruled =
            self.older_than.is_some() || self.max_size.is_some() || self.until_free.is_some();
        match (self.directories.is_empty(), ruled) {
            (true, true) => wrong.push("directories is empty: nothing to delete from".to_owned()),
            (true, false) if !self.page_cache => {
                wrong.push("it does nothing: name directories, or set page_cache: true".to_owned());
            }
            (false, false) => wrong.push(
                "it would delete every file: set older_than, max_size or until_free".to_owned(),
            ),
            _ => {}
        }
        wrong
    }

    fn render(&self, _: &Order<'_>) -> Result<Value, String> {
        let mut rendered = serde_json::to_value(self).map_err(|e| e.to_string())?;
        if let Some(fields) = rendered.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Ok(json!({"clean": rendered}))
    }

    fn strength(&self) -> Strength {
        Strength::Idempotent
    }

    async fn look(&self, _: &World, _: &Order<'_>) -> Looked {
        Looked {
            witness: Ok(None),
            busy: None,
            lags: std::time::Duration::ZERO,
        }
    }

    async fn act(
        &self,
        world: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> Outcome {
        started(Value::Null);
        let until = Instant::now() + order.timeout;
        let (clean, host) = (self.clone(), Arc::clone(&world.host));
        let state = world.state.clone();
        let stop = order.stop.clone();
        let work = host::apart("clean", move |wanted| {
            let go_on = || wanted.is() && !stop.is_told() && Instant::now() < until;
            let why_cut = || match stop.is_told() {
                true => "it was told to end",
                false => "the time ran out",
            };
            clean.carry_out(&host, state.as_deref(), &go_on, &why_cut)
        });
        let given_up = || {
            Outcome::unknown(format!(
                "cleaning had not ended within {:?}: a file system does not answer",
                order.timeout
            ))
        };
        // It stops by itself at the deadline, unless the kernel holds it.
        let margin = std::time::Duration::from_secs(1);
        match tokio::time::timeout(order.timeout + margin, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(why)) => Outcome::failed(why),
            Err(_) => given_up(),
        }
    }

    fn permissions(&self, _: &Target) -> Vec<Permission> {
        let root = Permission::Root("writing /proc/sys/vm/drop_caches");
        let delete = self.directories.iter().cloned().map(Permission::Delete);
        delete.chain(self.page_cache.then_some(root)).collect()
    }
}

/// What became of one directory.
#[derive(Serialize)]
struct One<'a> {
    directory: &'a Path,
    swept: Swept,
}

impl Clean {
    fn carry_out(
        &self,
        host: &host::Host,
        state: Option<&Path>,
        go_on: &(dyn Fn() -> bool + Sync),
        why_cut: &dyn Fn() -> &'static str,
    ) -> Outcome {
        let rule = self.rule();
        let mut faults = Vec::new();
        let mut swept = Vec::new();
        for directory in &self.directories {
            let path = directory.display();
            // What check refuses is not done either, should it come so far.
            let wrong = wrong_with(directory).or_else(|| holds_state(directory, state));
            let done = match wrong {
                Some(why) => Err(std::io::Error::other(why)),
                None => host::sweep(directory, &rule, go_on),
            };
            match done {
                Ok(done) => {
                    if done.cut {
                        faults.push(format!("{} in {path}", why_cut()));
                    } else if !done.reached {
                        faults.push(format!(
                            "no file that may go is left in {path}, and it is not enough: {} left there, {} free",
                            Size::new(done.left),
                            Size::new(done.free)
                        ));
                    }
                    if let Some(first) = done.failures.first() {
                        faults.push(format!(
                            "{} could not be deleted in {path}: {first}",
                            done.failed
                        ));
                    }
                    swept.push(One {
                        directory,
                        swept: done,
                    });
                }
                Err(e) => faults.push(format!("{path} cannot be cleaned: {e}")),
            }
        }
        if self.page_cache && !go_on() {
            faults.push(format!("{} before the page cache was dropped", why_cut()));
        } else if self.page_cache
            && let Err(e) = host.drop_page_cache()
        {
            faults.push(format!(
                "the page cache cannot be dropped: {e}; that needs root: let a oneshot unit do it, with do: {{systemd: {{verb: start, unit: ...}}}}"
            ));
        }
        let sum = |of: fn(&Swept) -> u64| swept.iter().map(|one| of(&one.swept)).sum::<u64>();
        let detail = json!({
            "files": sum(|one| one.files),
            "bytes": sum(|one| one.bytes),
            "directories": swept,
        });
        if faults.is_empty() {
            Outcome::Done(detail)
        } else {
            Outcome::Failed {
                why: faults.join("; "),
                detail,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::tests::Case;

    const SITE: Site<'_> = Site {
        target: "node",
        labels: &[],
    };

    fn clean(text: &str) -> Clean {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn refuses_what_would_delete_too_much_or_nothing() {
        let wrong = |text: &str| clean(text).check(&SITE);
        for good in [
            r#"{"directories": ["/var/cache/x"], "older_than": "7d"}"#,
            r#"{"directories": ["/var/cache"], "max_size": "1GiB"}"#,
            r#"{"directories": ["/usr/local/app/cache"], "max_size": "1GiB"}"#,
            r#"{"page_cache": true}"#,
        ] {
            assert_eq!(wrong(good), Vec::<String>::new(), "{good}");
        }
        for (bad, says) in [
            ("{}", "does nothing"),
            (r#"{"older_than": "7d"}"#, "empty"),
            (r#"{"directories": ["/var/cache/x"]}"#, "every file"),
            (
                r#"{"directories": ["/var"], "older_than": "7d"}"#,
                "near the root",
            ),
            (
                r#"{"directories": ["/"], "older_than": "7d"}"#,
                "near the root",
            ),
            (
                r#"{"directories": ["/usr/lib/x"], "older_than": "7d"}"#,
                "part of the system",
            ),
            (
                r#"{"directories": ["/var/lib/"], "older_than": "7d"}"#,
                "one program's",
            ),
            (
                r#"{"directories": ["cache/x/y"], "older_than": "7d"}"#,
                "absolute",
            ),
            (
                r#"{"directories": ["/var/cache/../lib/x"], "older_than": "7d"}"#,
                "..",
            ),
        ] {
            let said = wrong(bad);
            assert!(said.len() == 1 && said[0].contains(says), "{bad}: {said:?}");
        }
    }

    #[tokio::test]
    async fn the_journal_is_never_swept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let state = path.join("state");
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("journal.db"), b"x").unwrap();
        let case = Case::default();
        let world = World {
            state: Some(state.clone()),
            ..case.world()
        };
        for swept in [&path, &state] {
            let text = format!(r#"{{"directories": [{swept:?}], "max_size": "0B"}}"#);
            let outcome = clean(&text).act(&world, &case.order(), |_| ()).await;
            assert!(
                matches!(&outcome, Outcome::Failed { why, .. } if why.contains("journal")),
                "{outcome:?}"
            );
        }
        assert!(state.join("journal.db").exists());
    }

    #[tokio::test]
    async fn tells_what_was_freed_and_what_could_not_be() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        std::fs::write(path.join("a"), vec![b'x'; 10_000]).unwrap();
        let case = Case::default();
        let text = format!(r#"{{"directories": [{path:?}], "max_size": "0B"}}"#);
        let outcome = clean(&text).act(&case.world(), &case.order(), |_| ()).await;
        let Outcome::Done(detail) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(detail["files"], 1);
        assert!(detail["bytes"].as_u64().unwrap() >= 10_000);
        let text = format!(
            r#"{{"directories": [{:?}], "older_than": "1d"}}"#,
            path.join("no")
        );
        let outcome = clean(&text).act(&case.world(), &case.order(), |_| ()).await;
        assert!(
            matches!(&outcome, Outcome::Failed { why, .. } if why.contains("cannot be cleaned")),
            "{outcome:?}"
        );
    }

    #[tokio::test]
    async fn deletes_nothing_more_once_it_is_told_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        std::fs::write(path.join("a"), b"x").unwrap();
        let case = Case::default();
        let (stopper, stop) = crate::action::Stopper::new();
        stopper.stop();
        let order = Order {
            stop: &stop,
            ..case.order()
        };
        let text = format!(r#"{{"directories": [{path:?}], "max_size": "0B"}}"#);
        let outcome = clean(&text).act(&case.world(), &order, |_| ()).await;
        assert!(
            matches!(&outcome, Outcome::Failed { why, .. } if why.contains("told to end")),
            "{outcome:?}"
        );
        assert!(path.join("a").exists());
    }

    #[tokio::test]
    async fn drops_the_page_cache_below_the_roots_of_the_machine() {
        let proc = tempfile::tempdir().unwrap();
        let case = Case::reading(proc.path());
        let act = clean(r#"{"page_cache": true}"#);
        let outcome = act.act(&case.world(), &case.order(), |_| ()).await;
        assert!(
            matches!(&outcome, Outcome::Failed { why, .. } if why.contains("oneshot unit")),
            "{outcome:?}"
        );
        std::fs::create_dir_all(proc.path().join("sys/vm")).unwrap();
        std::fs::write(proc.path().join("sys/vm/drop_caches"), "0\n").unwrap();
        let outcome = act.act(&case.world(), &case.order(), |_| ()).await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        let written = std::fs::read_to_string(proc.path().join("sys/vm/drop_caches")).unwrap();
        assert_eq!(written, "1\n");
    }
}
