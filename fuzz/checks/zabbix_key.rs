//! Item keys: the canonical form of whatever parses says the same.

use nodeward::dialect::zabbix::key::Key;

/// Parses the bytes as a key.
pub fn check(bytes: &[u8]) {
    let Ok(key) = Key::parse_bytes(bytes) else {
        return;
    };
    let canonical = key.to_string();
    let again = Key::parse(&canonical);
    assert_eq!(
        again.as_ref(),
        Ok(&key),
        "{canonical:?} says something else"
    );
    assert_eq!(again.map(|key| key.to_string()), Ok(canonical));
    assert_eq!(key.params().len(), key.count());
    assert_eq!(key.param(key.count()), "");
}
