//! One pass over the machine: each file is read once, whoever needs it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::file::{Files, ReadError, read_lines, read_once};
use super::parse::unsigned;
use super::pids::{PidBuffers, Pids};
use super::{Dump, Host, Root, Stamp};

/// The text of a file as this pass saw it.
pub type Text = Rc<Vec<u8>>;

/// Readings of one pass share what they read and the deadline they must keep.
pub struct Pass<'a> {
    host: &'a Host,
    files: &'a mut Files,
    seen: Vec<(Root, String, Result<Text, std::io::ErrorKind>)>,
    dumps: Vec<(Dump, Result<Text, std::io::ErrorKind>)>,
    scratch: Vec<u8>,
    deadline: Instant,
}

impl<'a> Pass<'a> {
    /// Starts a pass whose calls that can hang are given up at `deadline`.
    pub fn new(host: &'a Host, files: &'a mut Files, deadline: Instant) -> Self {
        Self {
            host,
            files,
            seen: Vec::new(),
            dumps: Vec::new(),
            scratch: Vec::new(),
            deadline,
        }
    }

    /// The machine read.
    #[must_use]
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// When to stop waiting for something outside that may take `timeout`: early enough that the rest can still be told
    /// by the deadline.
    #[must_use]
    pub fn limit(&self, timeout: Duration) -> Instant {
        let now = Instant::now();
        let left = self.deadline.saturating_duration_since(now);
        let reserve = (left / 10).min(Duration::from_millis(250));
        now + timeout.min(left - reserve)
    }

    /// When the answer must be there.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A fixed file such as `meminfo`, read once a pass and kept open between passes.
    pub fn file(&mut self, root: Root, name: &str) -> Result<Text, ReadError> {
        if let Some((_, _, known)) = self.seen.iter().find(|(r, n, _)| *r == root && n == name) {
            return known.clone().map_err(|kind| ReadError {
                path: self.host.roots().dir(root).join(name),
                source: kind.into(),
            });
        }
        let mut text = Vec::new();
        let read = self
            .files
            .read_kept(root, self.host.roots().dir(root), name, &mut text);
        let text = Rc::new(text);
        let known = match &read {
            Ok(()) => Ok(Rc::clone(&text)),
            Err(e) => Err(e.source.kind()),
        };
        self.seen.push((root, name.to_owned(), known));
        read.map(|()| text)
    }

    /// The whole number that is all of a fixed file, as [`Pass::file`].
    pub fn number(&mut self, root: Root, name: &str) -> Result<u64, ReadError> {
        let text = self.file(root, name)?;
        unsigned(text.trim_ascii()).ok_or_else(|| ReadError {
            path: self.path(root, name),
            source: std::io::Error::new(std::io::ErrorKind::InvalidData, "no whole number"),
        })
    }

    /// A file of `/proc/net`, as [`Pass::file`]. `/proc/net` is the network of whoever reads it; when the host's
    /// procfs is mounted elsewhere, the network of its first process is meant instead.
    pub fn net_file(&mut self, name: &str) -> Result<Text, ReadError> {
        self.net(name, |pass, name| pass.file(Root::Proc, name))
    }

    /// The lines of a file of `/proc/net` that may be long, one by one, as [`Pass::net_file`]; read anew each time.
    pub fn net_lines(&mut self, name: &str, each: &mut dyn FnMut(&[u8])) -> Result<(), ReadError> {
        self.net(name, |pass, name| {
            read_lines(&pass.path(Root::Proc, name), pass.deadline, each)
        })
    }

    fn net<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&mut Self, &str) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        if self.host.roots().procfs != std::path::Path::new("/proc") {
            let first = read(self, &format!("1/net/{name}"));
            let reachable = first.as_ref().err().is_none_or(|e| {
                !matches!(
                    e.source.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
                )
            });
            if reachable {
                return first;
            }
        }
        read(self, &format!("net/{name}"))
    }

    /// What the kernel tells of our own network by rtnetlink, once a pass; see [`Host::shares_network`].
    pub fn dump(&mut self, dump: Dump) -> Result<Text, ReadError> {
        let error = |source: std::io::Error| ReadError {
            path: dump.name().into(),
            source,
        };
        if let Some((_, known)) = self.dumps.iter().find(|(d, _)| *d == dump) {
            return known.clone().map_err(|kind| error(kind.into()));
        }
        let taken = self.files.netlink.dump(dump).map(Rc::new);
        let known = taken.as_ref().map(Rc::clone).map_err(|e| e.kind());
        self.dumps.push((dump, known));
        taken.map_err(error)
    }

    /// Asks sock_diag and hands over the answer part by part.
    pub(super) fn diagnose(
        &mut self,
        request: &[u8],
        each: &mut dyn FnMut(&[u8]),
    ) -> std::io::Result<()> {
        self.files.diagnosis.ask(request, each)
    }

    /// A per-device or per-process file: opened, read and closed; the text is valid until the next call.
    pub fn once(&mut self, root: Root, name: &str) -> Result<&[u8], ReadError> {
        let path = self.path(root, name);
        read_once(&path, &mut self.scratch)?;
        Ok(&self.scratch)
    }

    /// An attribute of sysfs without white space at its ends; see [`super::attribute`].
    pub fn attribute(&self, name: &str) -> Result<Vec<u8>, ReadError> {
        let path = self.path(Root::Sys, name);
        match super::attribute(&path) {
            Ok(text) => Ok(text.trim_ascii().to_vec()),
            Err(source) => Err(ReadError { path, source }),
        }
    }

    /// What shows whether a file is as it was; none of what cannot be looked at.
    #[must_use]
    pub fn stamp(&self, root: Root, name: &str) -> Option<Stamp> {
        super::regular::stamp(&self.path(root, name))
    }

    /// Hands bytes that `query` finds in a database of SQLite, one column of each row, to `each`, and none for what are no bytes; nothing
    /// is written, not even a lock.
    pub fn blobs(
        &self,
        root: Root,
        name: &str,
        query: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), ReadError> {
        let path = self.path(root, name);
        super::database::blobs(&path, query, each).map_err(|source| ReadError { path, source })
    }

    /// The names in a directory of sysfs that are text, in rising order; see [`super::names`].
    pub fn devices(&self, dir: &str) -> Result<Vec<String>, ReadError> {
        let path = self.path(Root::Sys, dir);
        let names = super::names(&path).map_err(|source| ReadError { path, source })?;
        Ok(names
            .into_iter()
            .filter_map(|n| n.into_string().ok())
            .collect())
    }

    /// The names in a directory, unsorted; bytes, since a name need not be UTF-8.
    pub fn names(&self, root: Root, dir: &str) -> Result<Vec<std::ffi::OsString>, ReadError> {
        let path = self.path(root, dir);
        let read = || -> std::io::Result<Vec<_>> {
            std::fs::read_dir(&path)?
                .map(|e| e.map(|e| e.file_name()))
                .collect()
        };
        read().map_err(|source| ReadError {
            path: path.clone(),
            source,
        })
    }

    /// Where the symbolic link `name` leads, as it is written there; none if it is no link.
    #[must_use]
    pub fn link(&self, root: Root, name: &str) -> Option<PathBuf> {
        std::fs::read_link(self.path(root, name)).ok()
    }

    /// The processes there are.
    pub fn processes(&self, buffers: &mut PidBuffers) -> Result<Pids, ReadError> {
        Pids::open(self.host.roots().dir(Root::Proc), buffers)
    }

    /// The full path of `name` below a root, for calls that take a path.
    #[must_use]
    pub fn path(&self, root: Root, name: &str) -> PathBuf {
        self.host
            .roots()
            .dir(root)
            .join(name.trim_start_matches('/'))
    }
}
