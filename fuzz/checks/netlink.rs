//! rtnetlink: messages and attributes lie within the bytes, links have names.

use nodeward::host::{attributes, interface_addresses, messages};
use nodeward::subject::netclass;
use nodeward::subject::netdev::link::{columns, links, scope};

/// Parses the bytes as a dump of links, of addresses, and as attributes.
pub fn check(bytes: &[u8]) {
    let inside: usize = messages(bytes).map(|message| message.body.len() + 16).sum();
    assert!(inside <= bytes.len() + 3, "messages beyond the end");
    let inside: usize = attributes(bytes).map(|(_, value)| value.len() + 4).sum();
    assert!(inside <= bytes.len() + 3, "attributes beyond the end");
    for link in links(bytes) {
        assert!(!link.name.is_empty());
        if let Some(counters) = link.counters {
            assert_eq!(columns(&counters).len(), 16);
        }
    }
    for (name, link) in netclass::link::links(bytes) {
        assert!(!name.is_empty() && link.number("ifindex").is_some());
        assert!(link.text("speed").is_none());
        drop(link.text("address"));
    }
    for address in interface_addresses(bytes) {
        assert!(scope(address.address).len() <= "interface-local".len());
    }
}
