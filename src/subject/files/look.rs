//! One look at one path.

use std::time::Instant;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::allowed::Allowed;
use super::{Ask, Sum, What};
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::rules::plain;
use crate::host::{Kind, Led, Regular, Roots, Status, numbered};
use crate::model::hex;

/// A larger file is not told.
const LARGEST: u64 = 64 << 10;
const NOT_READ: Unsupported = Unsupported::new("Cannot read from file.");

/// What is found at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Looked {
    /// What stands there, and where a link leads; none where nothing is.
    Kind(Option<Kind>, Option<Kind>),
    Status(Status),
    Owner(Status),
    Text(String),
    Number(u64),
}

/// A look to take.
pub(super) struct Looking {
    pub roots: Roots,
    pub allowed: std::sync::Arc<Allowed>,
    pub limit: Instant,
    pub ask: Ask,
}

type Found = Result<Looked, Unsupported>;

/// What the agents say of what is not there, or not for us.
fn no_status(error: std::io::Error) -> Unsupported {
    format!("Cannot obtain file information: {}", numbered(&error)).into()
}

fn no_file(error: std::io::Error) -> Unsupported {
    format!("Cannot open file: {}", numbered(&error)).into()
}

impl Looking {
    pub(super) fn look(&self) -> Found {
        let path = &self.ask.path;
        match &self.ask.what {
            What::Kind => {
                let kind = |follow| match self.roots.status(path, follow) {
                    Ok(status) => Ok(status.kind),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(e) => Err(no_status(e)),
                };
                Ok(Looked::Kind(kind(false)?, kind(true)?))
            }
            What::Status => self
                .roots
                .status(path, true)
                .map(Looked::Status)
                .map_err(no_status),
            What::Owner { follow } => {
                let status = self.led(*follow)?.map_err(no_status)?;
                let status = status.status().map_err(no_status)?;
                Ok(Looked::Owner(status))
            }
            What::Contents => self.contents(self.regular()?),
            What::Sum(sum) => self.sum(self.regular()?, *sum),
            What::Lines => {
                let mut count = 0;
                self.through(self.regular()?, &mut |piece| {
                    count += piece.iter().filter(|b| **b == b'\n').count() as u64;
                })?;
                Ok(Looked::Number(count))
            }
            What::Count(filter) => filter.count(&self.directory()?, &|| self.wanted()),
            What::Size(filter, on_disk) => {
                filter.size(&self.directory()?, *on_disk, &|| self.wanted())
            }
        }
    }

    fn wanted(&self) -> bool {
        Instant::now() < self.limit
    }

    /// Where the path leads, if that may be asked for.
    fn led(&self, follow: bool) -> Result<std::io::Result<Led>, Unsupported> {
        let path = plain(&self.ask.path);
        if !self.allowed.has(&path) {
            return Err(Unsupported::UNSUPPORTED_KEY);
        }
        match self.roots.leads(&path, follow) {
            Ok(led) if led.in_sysfs || self.allowed.has(&led.path) => Ok(Ok(led)),
            Ok(_) => Err(Unsupported::UNSUPPORTED_KEY),
            Err(e) => Ok(Err(e)),
        }
    }

    fn regular(&self) -> Result<Regular, Unsupported> {
        let led = self.led(true)?.map_err(no_file)?;
        led.regular().map_err(no_file)?.ok_or(NOT_READ)
    }

    fn directory(&self) -> Result<Led, Unsupported> {
        self.led(true)?.map_err(super::walk::no_directory)
    }

    fn through(&self, mut file: Regular, each: &mut dyn FnMut(&[u8])) -> Result<(), Unsupported> {
        match file.through(&|| self.wanted(), each) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unsupported::TIMED_OUT),
            Err(_) => Err(NOT_READ),
        }
    }

    /// Up to the first NUL, without newlines at its end, as the agents tell it.
    fn contents(&self, mut file: Regular) -> Found {
        let mut bytes = Vec::new();
        let large = std::cell::Cell::new(file.stamp.size > LARGEST);
        let wanted = || self.wanted() && !large.get();
        let read = file.through(&wanted, &mut |piece| {
            bytes.extend_from_slice(piece);
            large.set(bytes.len() as u64 > LARGEST);
        });
        match read {
            _ if large.get() => return Err("File is too large for this check.".into()),
            Ok(true) => {}
            Ok(false) => return Err(Unsupported::TIMED_OUT),
            Err(_) => return Err(NOT_READ),
        }
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        bytes.truncate(end);
        let text = String::from_utf8_lossy(&bytes);
        Ok(Looked::Text(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    fn hash<D: Digest>(&self, file: Regular) -> Found {
        let mut hash = D::new();
        self.through(file, &mut |piece| hash.update(piece))?;
        Ok(Looked::Text(hex::written(&hash.finalize())))
    }

    fn sum(&self, file: Regular, sum: Sum) -> Found {
        Ok(match sum {
            Sum::Md5 => self.hash::<Md5>(file)?,
            Sum::Sha256 => self.hash::<Sha256>(file)?,
            Sum::Cksum => {
                let mut sum = Cksum::default();
                self.through(file, &mut |piece| sum.update(piece))?;
                Looked::Number(sum.finish().into())
            }
        })
    }
}

/// The checksum of POSIX cksum: a CRC of the bytes and then of how many there were.
#[derive(Default)]
struct Cksum {
    crc: u32,
    bytes: u64,
}

/// CRC of each byte, polynomial 04C11DB7, highest bit first.
static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "counted up to its length")]
        {
            table[at] = crc;
        }
        at += 1;
    }
    table
}

impl Cksum {
    fn update(&mut self, piece: &[u8]) {
        self.bytes = self.bytes.wrapping_add(piece.len() as u64);
        piece.iter().for_each(|byte| self.add(*byte));
    }

    fn add(&mut self, byte: u8) {
        let [top, ..] = self.crc.to_be_bytes();
        let of_byte = TABLE.get(usize::from(top ^ byte)).copied();
        self.crc = (self.crc << 8) ^ of_byte.unwrap_or_default();
    }

    fn finish(mut self) -> u32 {
        let mut left = self.bytes;
        while left > 0 {
            let [low, ..] = left.to_le_bytes();
            self.add(low);
            left >>= 8;
        }
        !self.crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_cksum() {
        // What cksum of coreutils prints.
        for (text, sum) in [("", 4_294_967_295), ("hello\nworld\n\n", 2_417_865_257u32)] {
            let mut cksum = Cksum::default();
            cksum.update(text.as_bytes());
            assert_eq!(cksum.finish(), sum, "{text}");
        }
    }
}
