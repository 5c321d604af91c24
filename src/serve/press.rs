//! Where pages are written and packed.
//!
//! Buffers and the state of the packer are kept from page to page, whichever thread writes the next: making them anew
//! costs a quarter of writing, and leaves memory behind in the heap of every thread that ever wrote one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression, FlushCompress, Status};
use hyper::body::Bytes;

use super::View;
use crate::dialect::prometheus::{Format, Out};
use crate::subject::Snapshot;

/// A buffer larger than this is given back after its page.
const KEPT: usize = 1 << 20;
/// Of deflate's window, in bits: the largest.
const WINDOW: u8 = 15;

/// Writes pages, one at a time with what it kept and more at the same time without.
#[derive(Default)]
pub(super) struct Press(Mutex<Option<Desk>>);

struct Desk {
    out: Out,
    packed: Vec<u8>,
    packer: Option<Compress>,
}

impl Press {
    /// The page of a snapshot as it is sent.
    pub fn page(&self, view: &View, snapshot: &Snapshot, format: Format, gzip: bool) -> Bytes {
        let mut desk = self.idle().take().unwrap_or_else(|| Desk {
            out: Out::new(format, 0),
            packed: Vec::new(),
            packer: None,
        });
        desk.out.restart(format);
        write(view, snapshot, &mut desk.out);
        let page = desk.out.bytes();
        let sent = if gzip {
            // Level 1: level 2 would save a fifth of the bytes for twice the time, the rest is slower yet.
            let packer = desk
                .packer
                .get_or_insert_with(|| Compress::new_gzip(Compression::fast(), WINDOW));
            pack(packer, &page, &mut desk.packed);
            Bytes::copy_from_slice(&desk.packed)
        } else {
            Bytes::copy_from_slice(&page)
        };
        if desk.packed.capacity() > KEPT {
            desk.packed = Vec::new();
        }
        desk.out.shrink(KEPT);
        *self.idle() = Some(desk);
        sent
    }

    fn idle(&self) -> MutexGuard<'_, Option<Desk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole page of a snapshot.
#[must_use]
pub fn page(view: &View, snapshot: &Snapshot, format: Format) -> Vec<u8> {
    let mut out = Out::new(format, 0);
    write(view, snapshot, &mut out);
    out.finish()
}

fn write(view: &View, snapshot: &Snapshot, out: &mut Out) {
    snapshot.prometheus(out);
    if view.options.own_metrics {
        for told in &view.told {
            told.prometheus(out);
        }
    }
    view.sampler.counters().refused(out.duplicates());
}

/// Packs a whole page.
fn pack(packer: &mut Compress, mut page: &[u8], packed: &mut Vec<u8>) {
    packer.reset();
    packed.clear();
    loop {
        packed.reserve((page.len() / 4).max(1 << 10));
        let before = packer.total_in();
        let done = packer.compress_vec(page, packed, FlushCompress::Finish);
        // An error means that the calls come in a wrong order, which they do not.
        if matches!(done, Ok(Status::StreamEnd) | Err(_)) {
            return;
        }
        let read = usize::try_from(packer.total_in() - before).unwrap_or(usize::MAX);
        page = page.get(read..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_packed_again_and_again_reads_back_the_same() {
        let mut packer = Compress::new_gzip(Compression::fast(), WINDOW);
        let mut packed = Vec::new();
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..300_000).map(|_| noise()).collect();
        let text = b"node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 1\n".repeat(5000);
        for page in [&noise[..], b"", &text, b"x", &noise] {
            pack(&mut packer, page, &mut packed);
            let mut back = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&packed[..]);
            reader.read_to_end(&mut back).unwrap();
            assert!(back == page, "{} bytes", page.len());
        }
        pack(&mut packer, &text, &mut packed);
        assert!(packed.len() < text.len() / 20);
    }
}
