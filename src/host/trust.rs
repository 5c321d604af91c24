//! Who could change a program before we run it.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Links followed on the way to one file, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;

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
    use super::*;

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
