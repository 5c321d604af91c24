//! One file of the spool: records behind one another, and how far they are delivered.
//!
//! ```text
//!  "nwspool1" │ from u64 │ record │ record │ ...
//! ```
//!
//! A file is written by one process and by no later one: what a killed process left cut off stays at its end. `from` is
//! where the first record begins that is not delivered; it is written over in place, and one that points at no record costs
//! no more than records sent twice. No file is kept open: after many restarts within an outage there are many.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::record::{NoRecord, Record};

const MAGIC: &[u8; 8] = b"nwspool1";
/// Where the first record begins.
const BEGIN: u64 = 16;

/// A file, and what of it is still to be delivered.
#[derive(Debug)]
pub struct Segment {
    /// In the order of writing.
    pub id: u64,
    /// Whole records end here.
    pub end: u64,
    /// The first record that is not delivered.
    pub from: u64,
    /// Not delivered.
    pub records: u64,
    /// Not delivered.
    pub items: u64,
    path: PathBuf,
}

impl Segment {
    /// The number in a file's name, if it is one of the spool's, whose files end so.
    pub fn named(path: &Path, suffix: &str) -> Option<u64> {
        if path.extension()? != suffix {
            return None;
        }
        let stem = path.file_stem()?.to_str()?;
        (stem.len() == 16).then(|| u64::from_str_radix(stem, 16).ok())?
    }

    /// Makes an empty one, for this user alone.
    pub fn create(directory: &Path, id: u64, suffix: &str) -> io::Result<Self> {
        let segment = Self {
            id,
            end: BEGIN,
            from: BEGIN,
            records: 0,
            items: 0,
            path: directory.join(format!("{id:016x}.{suffix}")),
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&segment.path)?;
        let mut head = MAGIC.to_vec();
        head.extend(BEGIN.to_le_bytes());
        if let Err(error) = file.write_all_at(&head, 0) {
            // One without its head would be found and deleted at the next start.
            segment.delete().unwrap_or_default();
            return Err(error);
        }
        Ok(segment)
    }

    /// Opens one that another process wrote, and reads how much of it is whole; whether all of it is.
    pub fn open(path: PathBuf, id: u64) -> io::Result<(Self, bool)> {
        let file = File::open(&path)?;
        let scan = Scan::of(&mut BufReader::new(&file)).map_err(|why| match why {
            NoRecord::Unread(error) => error,
            _ => io::ErrorKind::InvalidData.into(),
        });
        let scan = scan?;
        let segment = Self {
            id,
            end: scan.end,
            from: scan.from,
            records: scan.records,
            items: scan.items,
            path,
        };
        Ok((segment, scan.whole))
    }

    /// Bytes of the file, as far as they are known to be of use.
    pub const fn bytes(&self) -> u64 {
        self.end
    }

    /// Whether it holds no record.
    pub const fn is_new(&self) -> bool {
        self.end == BEGIN
    }

    /// Writes an encoded record behind the others; where it begins. One that could not be written whole leaves nothing.
    pub fn append(&mut self, encoded: &[u8], items: u64) -> io::Result<u64> {
        let place = self.end;
        let file = self.writable()?;
        if let Err(error) = file.write_all_at(encoded, place) {
            // A reader stops at what is cut off in any case.
            file.set_len(place).unwrap_or_default();
            return Err(error);
        }
        self.end += encoded.len() as u64;
        self.records += 1;
        self.items = self.items.saturating_add(items);
        Ok(place)
    }

    /// The first record that is not delivered.
    pub fn first(&self) -> Result<Record, NoRecord> {
        Record::decode(&mut self.left()?)
    }

    /// The records from the first on that is not delivered.
    pub fn left(&self) -> Result<impl Read + use<>, NoRecord> {
        let opened = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.from))?;
            Ok(file)
        });
        let file = opened.map_err(NoRecord::Unread)?;
        Ok(BufReader::new(
            file.take(self.end.saturating_sub(self.from)),
        ))
    }

    /// A record is delivered, or given up.
    pub const fn settled(&mut self, items: u64) {
        self.records = self.records.saturating_sub(1);
        self.items = self.items.saturating_sub(items);
    }

    /// Goes on behind the first record, of this size.
    pub fn pass(&mut self, size: u64) -> io::Result<()> {
        self.from += size;
        let place = MAGIC.len() as u64;
        self.writable()?
            .write_all_at(&self.from.to_le_bytes(), place)
    }

    fn writable(&self) -> io::Result<File> {
        OpenOptions::new().write(true).open(&self.path)
    }

    /// Deletes the file.
    pub fn delete(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// Where the first record begins that is not delivered.
    pub from: u64,
    /// Whole records end here.
    pub end: u64,
    /// Records from there to the end.
    pub records: u64,
    /// What is in them.
    pub items: u64,
    /// Whether nothing stands behind the last whole record.
    pub whole: bool,
}

impl Scan {
    /// Reads a file up to the first record that is not whole.
    ///
    /// # Errors
    /// It cannot be read, or is no file of the spool.
    pub fn of(file: &mut impl Read) -> Result<Self, NoRecord> {
        let mut head = [0; BEGIN as usize];
        file.read_exact(&mut head)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => NoRecord::Broken,
                _ => NoRecord::Unread(error),
            })?;
        let (magic, from) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(NoRecord::Broken);
        }
        let noted = u64::from_le_bytes(from.try_into().unwrap_or_default());
        // All of them, in case that the note points between two.
        let (mut all, mut left) = ((0, 0_u64), None);
        let mut end = BEGIN;
        let whole = loop {
            if end == noted {
                left = Some((0, 0_u64));
            }
            match Record::decode(file) {
                Ok(record) => {
                    end += record.size();
                    for (records, items) in [Some(&mut all), left.as_mut()].into_iter().flatten() {
                        *records += 1;
                        *items = items.saturating_add(record.items);
                    }
                }
                Err(NoRecord::End) => break true,
                Err(NoRecord::Broken) => break false,
                Err(error @ NoRecord::Unread(_)) => return Err(error),
            }
        };
        let (from, (records, items)) = left.map_or((BEGIN, all), |left| (noted, left));
        Ok(Self {
            from,
            end,
            records,
            items,
            whole,
        })
    }
}
