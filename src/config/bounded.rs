//! Reading files that others wrote, bounded.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// Why it cannot be read, in one line: it is none, no regular one, no text, or too large.
pub fn text(path: &Path) -> Result<String, String> {
    let cannot = |why: &dyn Display| format!("read {}: {why}", path.display());
    let file = File::open(path).map_err(|why| cannot(&why))?;
    if file.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(cannot(&"it is no regular file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|why| cannot(&why))?;
    if bytes.len() as u64 > LARGEST {
        return Err(cannot(&format!("larger than {LARGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| cannot(&"it is not UTF-8"))
}
