//! Lines of an anchor file: what is found stands in the line, and what an alert wrote behind an event never counts.

use nodeward::journal::Anchor;

/// Reads each line of the bytes, and each as the text of an event.
pub fn check(bytes: &[u8]) {
    let hash = "9f2c".repeat(16);
    for line in String::from_utf8_lossy(bytes).split('\n') {
        if let Some(anchor) = Anchor::read(line) {
            assert!(anchor.seq.is_none_or(|seq| seq > 0), "{anchor:?}");
            let found = anchor.hash.to_string();
            // In JSON a digit may be written as its number.
            let stands = line.to_ascii_lowercase().contains(&found);
            assert!(stands || line.contains('\\'), "{found}");
        }
        let data = format!("[nodeward@32473 seq=\"7\" chain=\"{hash}\"]");
        let event = format!("<106>1 - db-01 nodeward 4242 STATE {data} \u{feff}{line}");
        let found = Anchor::read(&event).map(|anchor| (anchor.seq, anchor.hash.to_string()));
        assert_eq!(found, Some((Some(7), hash.clone())), "{event}");
    }
}
