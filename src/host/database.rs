//! Databases of SQLite that other programs keep: read as they lie. Nothing is made beside them, neither a lock nor a log.

use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// Hands the first column of each row that `query` finds to `each`; one that is no bytes costs that row, which has none then.
///
/// What a program that is at work has written to its log alone is not seen, and a database that changes meanwhile may be an error.
pub(super) fn blobs(path: &Path, query: &str, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    // SQLite has one error for all that cannot be opened.
    std::fs::metadata(path)?;
    let text = path.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut uri = String::from("file:");
    for letter in text.chars() {
        match letter {
            '%' | '?' | '#' => uri.push_str(&format!("%{:02x}", u32::from(letter))),
            _ => uri.push(letter),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let read = || -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        let mut statement = connection.prepare(query)?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            each(row.get_ref(0)?.as_blob().unwrap_or_default());
        }
        Ok(())
    };
    read().map_err(io::Error::other)
}
