//! Who could change a program before we run it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use super::apart::apart;

/// Links followed on the way to one file, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;

/// Whether a program may be run, or why not.
type Trusted = Result<(), String>;

/// Looks at who could change programs, on a thread apart. Who asks while a look at the same program is under way shares it: in a storm
/// thousands ask at once, and a thread each would be thousands.
#[derive(Debug, Default)]
pub struct Trust(Mutex<HashMap<PathBuf, Weak<OnceCell<Trusted>>>>);

impl Trust {
    /// See [`root_alone_can_change`].
    ///
    /// # Errors
    /// As there; or why nobody could look.
    pub async fn of(&self, program: &Path) -> Trusted {
        self.shared(program, |path| root_alone_can_change(&path))
            .await
    }

    async fn shared(
        &self,
        program: &Path,
        look: impl FnOnce(PathBuf) -> Trusted + Send + 'static,
    ) -> Trusted {
        let looking = {
            let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, looking| looking.strong_count() > 0);
            let looking = under_way.get(program).and_then(Weak::upgrade);
            // One that is over is of before it was asked.
            let looking = looking.filter(|looking| !looking.initialized());
            looking.unwrap_or_else(|| {
                let anew = Arc::default();
                under_way.insert(program.to_owned(), Arc::downgrade(&anew));
                anew
            })
        };
        let program = program.to_owned();
        let looked = looking.get_or_init(|| async move {
            let looked = apart("program", move |_| look(program));
            looked.await.flatten()
        });
        looked.await.clone()
    }
}

/// Whether root alone can change what runs when `path` is executed: the file, each link on the way to it and every directory
/// above are root's, and none but a link is writable by a group or by others. And whether we may execute it.
///
/// # Errors
/// What somebody else could change, and how; or why it cannot be executed.
pub fn root_alone_can_change(path: &Path) -> Result<(), String> {
    if !path.is_absolute() {
        return Err(format!("{} is no absolute path", path.display()));
    }
    let mut at = PathBuf::from("/");
    look(&at)?;
    let mut ahead = parts(path);
    let mut links = 0;
    let mut is_program = false;
    while let Some(part) = ahead.pop() {
        if part == ".." {
            at.pop();
            continue;
        }
        let here = at.join(&part);
        let seen = look(&here)?;
        if seen.is_symlink() {
            links += 1;
            if links > LINKS {
                return Err(format!("{} leads through too many links", path.display()));
            }
            let to = std::fs::read_link(&here)
                .map_err(|e| format!("the link {} cannot be read: {e}", here.display()))?;
            if to.is_absolute() {
                at = PathBuf::from("/");
            }
            ahead.extend(parts(&to));
        } else {
            is_program = seen.is_file() && seen.permissions().mode() & 0o111 != 0;
            at = here;
        }
    }
    if !is_program {
        return Err(format!("{} is no file that can be executed", at.display()));
    }
    rustix::fs::access(&at, rustix::fs::Access::EXEC_OK)
        .map_err(|e| format!("{} may not be executed here: {e}", at.display()))
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().rev().filter_map(part).collect()
}

fn look(path: &Path) -> Result<std::fs::Metadata, String> {
    let seen = std::fs::symlink_metadata(path)
        .map_err(|e| format!("{} cannot be looked at: {e}", path.display()))?;
    if seen.uid() != 0 {
        let owner = seen.uid();
        return Err(format!(
            "{} belongs to user {owner}, who could change it; it must belong to root",
            path.display()
        ));
    }
    if !seen.is_symlink() && seen.permissions().mode() & 0o022 != 0 {
        let who = if seen.permissions().mode() & 0o002 != 0 {
            "everybody"
        } else {
            "its group"
        };
        return Err(format!(
            "{} is writable by {who}; root alone may be able to change it",
            path.display()
        ));
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_asks_meanwhile_shares_a_look_and_who_asks_later_has_one_anew() {
        let trust = Trust::default();
        let looks = Arc::new(AtomicUsize::new(0));
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let ask = |program: &'static str| {
            let (looks, held) = (Arc::clone(&looks), Arc::clone(&held));
            trust.shared(Path::new(program), move |path| {
                looks.fetch_add(1, Ordering::Relaxed);
                held.lock().unwrap().recv().ok();
                Err(path.display().to_string())
            })
        };
        let released = async {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
            release.send(()).unwrap();
        };
        let (one, same, other, ()) = tokio::join!(ask("/a"), ask("/a"), ask("/b"), released);
        assert_eq!((one, same), (Err("/a".into()), Err("/a".into())));
        assert_eq!(other, Err("/b".into()));
        assert_eq!(looks.load(Ordering::Relaxed), 2);
        drop(release);
        ask("/a").await.unwrap_err();
        assert_eq!(looks.load(Ordering::Relaxed), 3);
    }

    fn refused(path: impl AsRef<Path>) -> String {
        root_alone_can_change(path.as_ref()).unwrap_err()
    }

    #[test]
    fn takes_programs_of_the_system_links_on_the_way_included() {
        for program in ["/bin/sh", "/usr/bin/env", "/usr/bin/../bin/env"] {
            assert_eq!(
                root_alone_can_change(Path::new(program)),
                Ok(()),
                "{program}"
            );
        }
    }

    #[test]
    fn refuses_what_another_could_change_and_says_what() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/bin/sh", &link).unwrap();
        let said = refused(&link);
        assert!(
            said.contains("writable by everybody") || said.contains("must belong to root"),
            "{said}"
        );
        assert!(refused("/bin").contains("no file that can be executed"));
        assert!(refused("/etc/passwd").contains("no file that can be executed"));
        assert!(refused("/bin/no-such-program").contains("cannot be looked at"));
        assert!(refused("bin/sh").contains("no absolute path"));
    }
}
