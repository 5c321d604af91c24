//! One number that changes when the config does.
//!
//! Owns the hash alone. It is written out here because it must stay the same from one release and
//! one machine to the next, which the standard library's hasher does not promise.

use super::tree::{Node, Style, Value};

/// FNV-1a of the values, 64 bits; mappings by sorted key, so that order does not count.
pub fn fingerprint(root: &Node) -> u64 {
    fn mix(hash: u64, bytes: &[u8]) -> u64 {
        bytes.iter().fold(hash, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
    fn node(hash: u64, value: &Value) -> u64 {
        match value {
            Value::Null | Value::Dropped => mix(hash, b"~"),
            Value::Bool(value) => mix(hash, if *value { b"t" } else { b"f" }),
            Value::Int(value) => mix(mix(hash, b"i"), &value.to_le_bytes()),
            Value::Float(value) => mix(mix(hash, b"d"), &value.to_le_bytes()),
            Value::Text(text, Style::Plain | Style::Quoted) => {
                mix(mix(mix(hash, b"s"), text.as_bytes()), &[0xff])
            }
            Value::List(items) => {
                let inside = items
                    .iter()
                    .fold(mix(hash, b"["), |hash, item| node(hash, &item.value));
                mix(inside, b"]")
            }
            Value::Map(entries) => {
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.key.cmp(&b.key));
                let inside = sorted.iter().fold(mix(hash, b"{"), |hash, entry| {
                    node(
                        mix(mix(hash, entry.key.as_bytes()), &[0xff]),
                        &entry.node.value,
                    )
                });
                mix(inside, b"}")
            }
        }
    }
    node(0xcbf2_9ce4_8422_2325, &root.value)
}
