//! Files of `sha256sum`: a hash that is found stands in the text, and a name written as `sha256sum` does is found.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nodeward::check::file::recorded;

/// Parses the bytes as a file of hashes, and a file with the bytes as a name.
pub fn check(bytes: &[u8]) {
    let directory = Path::new("/srv");
    if let Ok(hash) = recorded(bytes, Path::new("/srv/a/file"), directory) {
        let hash = hash.to_string();
        let stands = |part: &[u8]| part.eq_ignore_ascii_case(hash.as_bytes());
        assert!(bytes.windows(hash.len()).any(stands), "{hash}");
    }
    if bytes.is_empty() || bytes.contains(&0) {
        return;
    }
    let mut escaped = Vec::new();
    for byte in bytes {
        match byte {
            b'\\' => escaped.extend(b"\\\\"),
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            byte => escaped.push(*byte),
        }
    }
    let hash = "0123456789abcdef".repeat(4);
    let line = [b"\\", hash.as_bytes(), b"  ", &escaped, b"\n"].concat();
    let path = directory.join(OsStr::from_bytes(bytes));
    let found = recorded(&line, &path, directory).map(|found| found.to_string());
    assert_eq!(found, Ok(hash));
}
