//! The captured host trees, each test with a copy of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;

use crate::scratch::Scratch;

/// A copy of a captured host. The tree is also the root file system.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// Copies `tests/fixtures/hosts/NAME` into the scratch directory and makes the directories that
    /// its file `directories` lists: names that would be a nuisance in a repository.
    pub fn copy(name: &str, scratch: &Scratch) -> Result<Self, Failed> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/hosts")
            .join(name);
        let root = scratch.path().join(name);
        copy_tree(&source, &root)?;
        let odd = root.join("directories");
        if odd.exists() {
            for line in fs::read(&odd)?
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                fs::create_dir_all(root.join(OsString::from_vec(unescape(line))))?;
            }
        }
        Ok(Self { root })
    }

    /// The flags of node_exporter, and so of nodeward, that make a program read this host.
    pub fn flags(&self) -> Vec<String> {
        let root = self.root.display();
        let mut flags = vec![
            format!("--path.procfs={root}/proc"),
            format!("--path.sysfs={root}/sys"),
            format!("--path.rootfs={root}"),
            format!("--path.udev.data={root}/run/udev/data"),
        ];
        if self.root.join("var/lib/textfile1").exists() {
            let directory = format!("--collector.textfile.directory={root}/var/lib");
            flags.push(format!("{directory}/textfile[0-9]"));
            flags.push(format!("{directory}/./none/../textfile_b"));
        }
        flags
    }

    /// A path of the copy.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Replaces a file of the copy, so that a later read sees other numbers.
    pub fn rewrite(&self, path: &str, change: impl Fn(String) -> String) -> Result<(), Failed> {
        let path = self.path(path);
        fs::write(&path, change(fs::read_to_string(&path)?))?;
        Ok(())
    }
}

fn copy_tree(source: &Path, target: &Path) -> Result<(), Failed> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source).map_err(|error| format!("{}: {error}", source.display()))? {
        let entry = entry?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_dir() {
            copy_tree(&from, &to)?;
        } else if entry.file_name() != ".gitkeep" {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Undoes the octal escapes of mountinfo: `\040` is a blank.
fn unescape(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        if let [
            b'\\',
            a @ b'0'..=b'3',
            b @ b'0'..=b'7',
            c @ b'0'..=b'7',
            after @ ..,
        ] = rest
        {
            out.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}
