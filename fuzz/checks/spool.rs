//! Files of the spool: reading is bounded, what is whole comes back as it was written, and nothing behind what is not whole is read.

use nodeward::dialect::spool::{NoRecord, Record, Scan};

const BEGIN: usize = 16;

/// Reads the bytes as a file, and as the records of one.
pub fn check(bytes: &[u8]) {
    let mut rest = bytes.get(BEGIN..).unwrap_or_default();
    let (mut whole, mut records) = (0, Vec::new());
    loop {
        match Record::decode(&mut rest) {
            Ok(record) => {
                let mut again = Vec::new();
                record
                    .encode(&mut again)
                    .expect("what was read can be written");
                let written = &bytes[BEGIN + whole..][..again.len()];
                assert_eq!(again, written, "as it was written");
                assert_eq!(record.size(), again.len() as u64);
                whole += again.len();
                records.push(record);
            }
            Err(NoRecord::End) => {
                assert_eq!(whole, bytes.len().saturating_sub(BEGIN));
                break;
            }
            Err(NoRecord::Broken) => break,
            Err(NoRecord::Unread(error)) => panic!("a slice can be read: {error}"),
        }
    }
    let mut file = bytes;
    let Ok(scan) = Scan::of(&mut file) else {
        assert!(bytes.len() < BEGIN || !bytes.starts_with(b"nwspool1"));
        return;
    };
    assert_eq!(scan.end, (BEGIN + whole) as u64);
    assert!(scan.from >= BEGIN as u64 && scan.from <= scan.end);
    assert!(scan.records <= records.len() as u64);
    let last = records.len() - usize::try_from(scan.records).expect("so many were read");
    let left = records[last..].iter();
    let items = left.fold(0_u64, |all, record| all.saturating_add(record.items));
    assert_eq!(scan.items, items);
}
