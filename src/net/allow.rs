//! Who may ask: a list of addresses, networks and names.
//!
//! Owns the matching of a peer's address and the cache of names. It never closes a connection and
//! sees no packet. Without TLS this list is the only thing between a key and the network.
//!
//! The surprising decisions: `0.0.0.0/0` means any IPv4 address, as documented (the classic agent
//! lets IPv6 in by it too); names are looked up in the background and at most once a minute, and a
//! name server that is silent leaves the last good addresses in force for an hour, because losing
//! the name server and the monitoring at the same time helps nobody.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::resolve::Resolver;

/// How long a looked-up name is taken as it is.
const FRESH: Duration = Duration::from_secs(60);
/// How long the last good addresses serve while looking up fails.
const STALE: Duration = Duration::from_secs(60 * 60);
/// How soon a failed look-up is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// A look-up that takes longer has failed for now.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why an entry of the list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Nothing stands there.
    #[error("an entry of the list is empty; remove it")]
    Empty,
    /// `/33`, `/x`, or nothing behind the slash.
    #[error("{entry:?}: the part behind the slash must be a number from 0 to {most}")]
    Prefix {
        /// The entry as written.
        entry: String,
        /// 32 or 128.
        most: u8,
    },
    /// A slash behind something that is no address.
    #[error("{0:?}: only an IP address can have a prefix length")]
    NoNetwork(String),
    /// Digits and dots or colons that are no address: no name server knows them.
    #[error(
        "{0:?} is no IP address: one has four numbers from 0 to 255, as in 10.0.0.5, or is \
         written as in fd00::5"
    )]
    Address(String),
    /// An address and a port, or brackets: a peer's port is never looked at.
    #[error("{0:?}: write the address alone, without brackets or a port")]
    Port(String),
    /// Several entries in one.
    #[error("{0:?}: write each address as an entry of its own")]
    Several(String),
    /// Neither an address nor a host name.
    #[error("{0:?} is no IP address, network or host name")]
    Name(String),
}

/// The list of peers that may ask. Cloning shares the cache of names.
#[derive(Debug, Clone)]
pub struct AllowList {
    networks: Vec<Network>,
    names: Vec<Arc<Name>>,
}

impl AllowList {
    /// Reads the entries of a list: IPv4 and IPv6 addresses, networks (`10.0.0.0/8`; bits behind
    /// the prefix do not matter) and host names. An empty list allows nobody.
    ///
    /// # Errors
    /// Every bad entry, in their order.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, Vec<BadEntry>> {
        let mut list = Self {
            networks: Vec::new(),
            names: Vec::new(),
        };
        let mut bad = Vec::new();
        for entry in entries {
            match Entry::parse(entry.as_ref().trim()) {
                Ok(Entry::Network(network)) => list.networks.push(network),
                Ok(Entry::Name(name)) => list.names.push(Arc::new(Name::new(name))),
                Err(error) => bad.push(error),
            }
        }
        if bad.is_empty() { Ok(list) } else { Err(bad) }
    }

    /// True if the list lets in every address of a family: worth a warning.
    pub fn is_open(&self) -> bool {
        self.networks.iter().any(|network| network.bits == 0)
    }

    /// Whether a peer at `address` may ask. Addresses and networks are compared at once; only when
    /// none fits, and names are listed, this may wait for a look-up by `resolver`, at most until
    /// `deadline`.
    pub async fn allows(&self, address: IpAddr, resolver: &Resolver, deadline: Instant) -> bool {
        let address = address.to_canonical();
        if self.networks.iter().any(|network| network.has(address)) {
            return true;
        }
        // All look-ups begin before any is waited for: one slow name must not delay another.
        let mut unsure = Vec::new();
        for name in &self.names {
            match name.has(address, resolver) {
                Some(true) => return true,
                Some(false) => {}
                None => unsure.push(name),
            }
        }
        for name in unsure {
            if name.has_after_looking(address, deadline).await {
                return true;
            }
        }
        false
    }
}

enum Entry {
    Network(Network),
    Name(String),
}

impl Entry {
    fn parse(entry: &str) -> Result<Self, BadEntry> {
        let own = || entry.to_owned();
        if entry.is_empty() {
            return Err(BadEntry::Empty);
        }
        if entry.contains([',', ';']) {
            return Err(BadEntry::Several(own()));
        }
        let (host, prefix) = match entry.split_once('/') {
            Some((host, prefix)) => (host, Some(prefix)),
            None => (entry, None),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = match prefix {
                None => most,
                // `parse` alone would take "+8".
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                    .parse()
                    .ok()
                    .filter(|bits| *bits <= most)
                    .ok_or_else(|| BadEntry::Prefix { entry: own(), most })?,
                Some(_) => return Err(BadEntry::Prefix { entry: own(), most }),
            };
            return Ok(Self::Network(Network::new(address, bits)));
        }
        if is_like_an_address(host) {
            return Err(BadEntry::Address(own()));
        }
        if prefix.is_some() {
            return Err(BadEntry::NoNetwork(own()));
        }
        if entry.contains([':', '[', ']']) {
            return Err(BadEntry::Port(own()));
        }
        if is_host_name(entry) {
            Ok(Self::Name(own()))
        } else {
            Err(BadEntry::Name(own()))
        }
    }
}

/// Whether a text that is no IP address was meant as one: of digits and dots alone, or with more
/// than the one colon of a port.
fn is_like_an_address(text: &str) -> bool {
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    (numeric && !text.is_empty()) || (colons > 1 && !text.contains(['[', ']']))
}

/// RFC 1123 section 2.1, with the underscore that real names have; a trailing dot is fine.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn new(address: IpAddr, bits: u8) -> Self {
        match (address, address.to_canonical()) {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if bits >= 96 => Self {
                address: canonical,
                bits: bits - 96,
            },
            _ => Self { address, bits },
        }
    }

    fn has(self, peer: IpAddr) -> bool {
        match (self.address, peer) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (ours.to_bits() ^ theirs.to_bits()) & mask == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => self.has_v6(ours.to_bits(), theirs.to_bits()),
            // ::/0 is any address at all, and so is any network that holds all mapped ones.
            (IpAddr::V6(ours), IpAddr::V4(theirs)) => {
                self.has_v6(ours.to_bits(), theirs.to_ipv6_mapped().to_bits())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }

    fn has_v6(self, ours: u128, theirs: u128) -> bool {
        let mask = u128::MAX
            .checked_shl(128 - u32::from(self.bits))
            .unwrap_or(0);
        (ours ^ theirs) & mask == 0
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A host name and what is known of it.
#[derive(Debug)]
struct Name {
    host: String,
    known: Mutex<Known>,
    /// Told when a look-up ends, however it ends.
    done: Notify,
}

impl Name {
    fn new(host: String) -> Self {
        Self {
            host,
            known: Mutex::default(),
            done: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this name has the address; None if a look-up must end first. Begins one when due.
    fn has(self: &Arc<Self>, address: IpAddr, resolver: &Resolver) -> Option<bool> {
        let mut known = self.lock();
        let now = Instant::now();
        if !known.looking && known.next.is_none_or(|next| now >= next) {
            known.looking = true;
            // A task of its own: a peer that hangs up must not cancel it, or no outcome is kept.
            tokio::spawn(Arc::clone(self).look(resolver.clone()));
        }
        known.has(address, now)
    }

    async fn has_after_looking(&self, address: IpAddr, deadline: Instant) -> bool {
        let done = self.done.notified();
        tokio::pin!(done);
        // Registered before looking at the flag, so that an end in between is not missed.
        done.as_mut().enable();
        if self.lock().looking {
            // Late or not, what is known by then decides.
            let _late = tokio::time::timeout_at(deadline.into(), done).await;
        }
        self.lock().holds(address, Instant::now())
    }

    async fn look(self: Arc<Self>, resolver: Resolver) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let found = resolver.lookup(&self.host, 0, deadline).await;
        let canonical = |found: Vec<SocketAddr>| {
            let addresses = found.into_iter().map(|found| found.ip().to_canonical());
            addresses.collect()
        };
        let found = found.map(canonical);
        if let Err(error) = &found {
            tracing::debug!(name = self.host, %error, "could not look up who may ask");
        }
        self.lock().settle(found.ok(), Instant::now());
        self.done.notify_waiters();
    }
}

/// The addresses a name had when it was last looked up.
#[derive(Debug, Default)]
struct Known {
    addresses: Vec<IpAddr>,
    /// When `addresses` were found.
    found: Option<Instant>,
    /// When to look again; None before the first look.
    next: Option<Instant>,
    /// The last look-up failed.
    failing: bool,
    looking: bool,
}

impl Known {
    fn has(&self, address: IpAddr, now: Instant) -> Option<bool> {
        let age = now.saturating_duration_since(self.found?);
        // A minute past its time an answer still serves while the next is on its way, so that no
        // check waits for a name that is asked for steadily.
        let serves = age <= 2 * FRESH || (self.failing && age <= STALE);
        if serves && self.addresses.contains(&address) {
            return Some(true);
        }
        // A server may just have moved to this address: that is worth waiting for.
        if self.looking { None } else { Some(false) }
    }

    fn holds(&self, address: IpAddr, now: Instant) -> bool {
        let known = |at| now.saturating_duration_since(at) <= STALE;
        self.found.is_some_and(known) && self.addresses.contains(&address)
    }

    fn settle(&mut self, found: Option<Vec<IpAddr>>, now: Instant) {
        self.looking = false;
        self.failing = found.is_none();
        self.next = Some(now + if self.failing { RETRY } else { FRESH });
        if let Some(addresses) = found {
            self.addresses = addresses;
            self.found = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;
