//! How batches of metrics lie on the disk: as they were packed, or packed small.

use super::options::{Compression, Protocol};
use super::queue::Parcel;
use super::send::SPLIT_AT;
use super::signal::Signal;
use super::wire::Packing;
use crate::dialect::spool::{Record, Spool, Ticket};

/// How what was never packed lies on the disk.
const SMALL: Packing = Packing {
    protocol: Protocol::HttpProtobuf,
    compression: Compression::Gzip,
};

/// What is on the disk, what is not, and why.
pub(super) type Written = (Vec<Parcel>, Vec<Parcel>, Option<std::io::Error>);

/// Writes parcels until one cannot be written.
pub(super) fn write(spool: &Spool, parcels: Vec<Parcel>) -> Written {
    let (at, mut written, mut left, mut failed) = (Record::now(), Vec::new(), Vec::new(), None);
    for mut parcel in parcels {
        if failed.is_some() {
            left.push(parcel);
            continue;
        }
        match append(spool, &mut parcel, at) {
            Ok(()) => written.push(parcel),
            Err(error) => {
                failed = Some(error);
                left.push(parcel);
            }
        }
    }
    (written, left, failed)
}

fn append(spool: &Spool, parcel: &mut Parcel, at: u64) -> std::io::Result<()> {
    let packing = match parcel.packing {
        Some(packing) => packing,
        None => {
            parcel.body = SMALL.pack(&parcel.body)?;
            parcel.packing = Some(SMALL);
            SMALL
        }
    };
    let record = Record {
        // One that goes behind others gets no younger.
        at: parcel.tickets.first().map_or(at, |ticket| ticket.at),
        items: parcel.items,
        kind: pack(packing),
        body: parcel.body.clone(),
    };
    parcel.tickets = vec![spool.append(&record)?];
    Ok(())
}

/// Batches from the disk as one: what is encoded of two messages is, one behind the other, the message that has what both
/// have. Those that do not fit are left out.
pub(super) fn joined(signal: Signal, batches: Vec<(Ticket, Record)>) -> Option<Parcel> {
    if batches.len() > 1 {
        let (mut tickets, mut message, mut items) = (Vec::new(), Vec::new(), 0_u64);
        for (ticket, record) in &batches {
            let Some(Ok(part)) = unpack(record.kind).map(|packing| packing.unpack(&record.body))
            else {
                break;
            };
            if message.len() + part.len() > SPLIT_AT {
                break;
            }
            message.extend_from_slice(&part);
            items = items.saturating_add(record.items);
            tickets.push(*ticket);
        }
        if tickets.len() > 1 {
            return Some(Parcel::spooled(
                signal,
                tickets,
                message.into(),
                None,
                items,
            ));
        }
    }
    let (ticket, record) = batches.into_iter().next()?;
    let packing = unpack(record.kind);
    let Record { body, items, .. } = record;
    Some(Parcel::spooled(signal, vec![ticket], body, packing, items))
}

const GRPC: u8 = 1;
const GZIP: u8 = 2;

/// The kind of a record whose body is packed so.
pub(super) fn pack(packing: Packing) -> u8 {
    let grpc = match packing.protocol {
        Protocol::Grpc => GRPC,
        Protocol::HttpProtobuf => 0,
    };
    let gzip = match packing.compression {
        Compression::Gzip => GZIP,
        Compression::None => 0,
    };
    grpc | gzip
}

pub(super) fn unpack(kind: u8) -> Option<Packing> {
    (kind & !(GRPC | GZIP) == 0).then_some(Packing {
        protocol: match kind & GRPC {
            0 => Protocol::HttpProtobuf,
            _ => Protocol::Grpc,
        },
        compression: match kind & GZIP {
            0 => Compression::None,
            _ => Compression::Gzip,
        },
    })
}
