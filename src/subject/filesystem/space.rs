//! What statfs says of a mount, or why it says nothing.

use std::ffi::OsStr;

use rustix::io::Errno;

/// What statfs(2) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Space {
    /// Bytes a block, as Prometheus and hostmetrics take it (`f_bsize`).
    pub block: u64,
    /// Bytes a block, as statvfs(3) and the Zabbix agents take it (`f_frsize`).
    pub fragment: u64,
    pub blocks: u64,
    pub free: u64,
    /// Blocks free to those who are not root.
    pub available: u64,
    pub files: u64,
    pub files_free: u64,
}

/// What became of a statfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stat {
    /// It told.
    Told(Space),
    /// It failed.
    Failed(Errno),
    /// It does not come back.
    Stuck,
}

impl Stat {
    /// Calls statfs; may never return.
    pub fn of(path: &OsStr) -> Self {
        statfs(path).map_or_else(Self::Failed, Self::Told)
    }
}

fn statfs(path: &OsStr) -> Result<Space, Errno> {
    let told = loop {
        match rustix::fs::statfs(path) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let space = Space {
        block: told.f_bsize as u64,
        fragment: match told.f_frsize as u64 {
            0 => told.f_bsize as u64,
            size => size,
        },
        blocks: told.f_blocks,
        free: told.f_bfree,
        available: told.f_bavail,
        files: told.f_files,
        files_free: told.f_ffree,
    };
    Ok(space)
}

/// The text of an error as the C library has it. node_exporter has its own: see [`go_text`].
pub(super) fn text(errno: Errno) -> String {
    let known = match errno {
        Errno::PERM => "Operation not permitted",
        Errno::NOENT => "No such file or directory",
        Errno::IO => "Input/output error",
        Errno::NXIO => "No such device or address",
        Errno::NOMEM => "Cannot allocate memory",
        Errno::ACCESS => "Permission denied",
        Errno::NODEV => "No such device",
        Errno::NOTDIR => "Not a directory",
        Errno::INVAL => "Invalid argument",
        Errno::NAMETOOLONG => "File name too long",
        Errno::NOSYS => "Function not implemented",
        Errno::LOOP => "Too many levels of symbolic links",
        Errno::OVERFLOW => "Value too large for defined data type",
        Errno::NOTCONN => "Transport endpoint is not connected",
        Errno::CONNABORTED => "Software caused connection abort",
        Errno::CONNRESET => "Connection reset by peer",
        Errno::CONNREFUSED => "Connection refused",
        Errno::SHUTDOWN => "Cannot send after transport endpoint shutdown",
        Errno::TIMEDOUT => "Connection timed out",
        Errno::HOSTDOWN => "Host is down",
        Errno::HOSTUNREACH => "No route to host",
        Errno::NETUNREACH => "Network is unreachable",
        Errno::STALE => "Stale file handle",
        Errno::UCLEAN => "Structure needs cleaning",
        Errno::REMOTEIO => "Remote I/O error",
        _ => {
            let text = std::io::Error::from(errno).to_string();
            let end = text.find(" (os error").unwrap_or(text.len());
            return text.get(..end).unwrap_or_default().to_owned();
        }
    };
    known.to_owned()
}

/// The text of an error as the label `device_error` has it.
pub(super) fn go_text(errno: Errno) -> String {
    if errno == Errno::STALE {
        return "stale NFS file handle".into();
    }
    let mut text = text(errno);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_both_spellings() {
        for (errno, c, go) in [
            (
                Errno::NOENT,
                "No such file or directory",
                "no such file or directory",
            ),
            (Errno::STALE, "Stale file handle", "stale NFS file handle"),
            (Errno::REMOTEIO, "Remote I/O error", "remote I/O error"),
            (Errno::IO, "Input/output error", "input/output error"),
        ] {
            assert_eq!(text(errno), c);
            assert_eq!(go_text(errno), go);
        }
        assert!(!text(Errno::XDEV).contains("os error"));
    }
}
