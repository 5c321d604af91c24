//! Hashes as `sha256sum` records them.
//!
//! A line is the hash, a blank, a blank or `*`, and the name; one that begins with a backslash has `\\`, `\n` and `\r` for such
//! characters in the name (coreutils, "md5sum invocation"). `sha256sum --tag` writes `SHA256 (name) = hash`. A file that is nothing but a
//! hash is that of any name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::Sha256;

/// Why there is no hash for a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// No line has its name.
    #[error("no line of it is for the file")]
    Missing,
    /// Several lines have, and do not agree.
    #[error("it has two hashes for the file")]
    Twice,
}

/// The hash recorded for the file at `path` in a text that lies in `directory`, to which the names in it are relative.
///
/// # Errors
/// See [`NotRecorded`].
pub fn recorded(text: &[u8], path: &Path, directory: &Path) -> Result<Sha256, NotRecorded> {
    let path = plain(path);
    let mut found = None;
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
        .peekable();
    let first = lines.next().unwrap_or_default();
    if lines.peek().is_none()
        && let Some(only) = hash(first.trim_ascii())
    {
        return Ok(only);
    }
    for (hash, name) in std::iter::once(first).chain(lines).filter_map(entry) {
        if plain(&directory.join(OsStr::from_bytes(&name))) != path {
            continue;
        }
        match found {
            Some(other) if other != hash => return Err(NotRecorded::Twice),
            _ => found = Some(hash),
        }
    }
    found.ok_or(NotRecorded::Missing)
}

/// A path without `.`, and without `..` where that is sure to lead to the parent: of a path as it is written.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// The hash and the name of a line; none if it is a comment or damaged.
fn entry(line: &[u8]) -> Option<(Sha256, Vec<u8>)> {
    let (line, escaped) = match line.strip_prefix(b"\\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (hash_text, name) = match line.strip_prefix(b"SHA256 (") {
        Some(rest) => {
            let end = rest.len().checked_sub(64 + b") = ".len())?;
            let (name, hash) = rest.split_at_checked(end)?;
            (hash.strip_prefix(b") = ")?, name)
        }
        None => {
            let (hash, rest) = line.split_at_checked(64)?;
            let name = rest
                .strip_prefix(b"  ")
                .or_else(|| rest.strip_prefix(b" *"))?;
            (hash, name)
        }
    };
    let name = match escaped {
        true => unescaped(name)?,
        false => name.to_vec(),
    };
    Some((hash(hash_text)?, name)).filter(|(_, name)| !name.is_empty())
}

fn unescaped(name: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = name.iter();
    let mut plain = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(plain)
}

fn hash(text: &[u8]) -> Option<Sha256> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn of(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn found(text: &str) -> Result<String, NotRecorded> {
        let found = recorded(text.as_bytes(), Path::new("/srv/a/file"), Path::new("/srv"));
        found.map(|hash| hash.to_string())
    }

    #[test]
    fn the_line_of_the_file_is_found_by_its_path() {
        let (one, two, cut) = (of('1'), of('2'), "1".repeat(63));
        for text in [
            format!("{one}  a/file\n"),
            format!("{two}  other\n{one} *./a/file\n"),
            format!("{one}  /srv/a/file\r\n{two}  file\r\n"),
            format!("# made today\n\n{one}  b/../a/file\n"),
            format!("SHA256 (a/file) = {one}\n"),
            format!("{one}\n"),
            format!("{one}  a/file\n{one}  /srv/a/file\n"),
            format!("{}  a/file", one.to_uppercase()),
        ] {
            assert_eq!(found(&text), Ok(one.clone()), "{text}");
        }
        for text in [
            String::new(),
            format!("{one}  file\n"),
            format!("{one} a/file\n"),
            format!("{cut}  a/file\n"),
            format!("{one}  a/file.old\n"),
            format!("{one}\n{two}\n"),
            format!("SHA256 (a/file) = {cut}\n"),
            "SHA256 (".to_owned(),
            "\\".to_owned(),
        ] {
            assert_eq!(found(&text), Err(NotRecorded::Missing), "{text}");
        }
        let both = format!("{one}  a/file\n{two}  /srv/a/file\n");
        assert_eq!(found(&both), Err(NotRecorded::Twice));
    }

    #[test]
    fn what_sha256sum_writes_is_read_whatever_the_name() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "plain",
            "with blank",
            "line\nbreak",
            "back\\slash",
            "cr\r",
            "*",
        ] {
            let path = directory.path().join(name);
            std::fs::write(&path, name).unwrap();
            for option in ["--binary", "--text", "--tag"] {
                let out = Command::new("sha256sum")
                    .current_dir(directory.path())
                    .args([option, "--", name])
                    .output()
                    .unwrap();
                let bare = Command::new("sha256sum")
                    .stdin(std::fs::File::open(&path).unwrap())
                    .output()
                    .unwrap();
                let bare = String::from_utf8(bare.stdout).unwrap();
                // A second line, so that a name is needed.
                let text = [out.stdout, format!("{}  x\n", of('0')).into_bytes()].concat();
                let hash = recorded(&text, &path, directory.path()).unwrap();
                let bare = bare.split(' ').next().unwrap();
                assert_eq!(hash.to_string(), bare, "{name:?} {option}");
            }
        }
    }
}
