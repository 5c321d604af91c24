//! Which sockets a Zabbix key asks for: by their ends and their state. Shared by the subjects that read sockets.

use std::net::IpAddr;

use super::{Answer, Args, Item, Said, Subject, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::unsigned;
use crate::host::{End, Socket, service_port};

/// Sockets with ends and a state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    local: Ends,
    remote: Ends,
    state: Option<u8>,
}

/// Ends with an address of a network and a port, where these are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Ends {
    network: Option<(IpAddr, u8)>,
    port: Option<u16>,
}

impl Ends {
    fn take(&self, end: &End) -> bool {
        self.port.is_none_or(|port| port == end.port)
            && self
                .network
                .is_none_or(|network| is_of(network, end.address))
    }
}

/// Whether an address is of a network. An IPv4 address within IPv6 is one of IPv4.
fn is_of((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    let number = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    };
    let ((network, v4), (address, also)) = (number(network), number(address));
    let differ = network ^ address;
    v4 == also && (bits == 0 || differ.leading_zeros() >= u32::from(bits))
}

fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(unsigned(bits.as_bytes())?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((address, u8::try_from(bits).ok()?))
}

pub(super) fn port(text: &str) -> Option<u16> {
    u16::try_from(unsigned(text.as_bytes())?).ok()
}

impl Query {
    /// Sockets by the parameters of a key: near address or network and port, far ones, and a state of `states`.
    fn of(args: &Args<'_>, states: &[(&str, u8)]) -> Result<Self, Unsupported> {
        let bad = |at: usize| Unsupported::invalid_parameter(at + 1);
        let ends = |at: usize| -> Result<Ends, Unsupported> {
            let network = match args.param(at) {
                "" => None,
                text => Some(network(text).ok_or(bad(at))?),
            };
            let port = match args.param(at + 1) {
                "" => None,
                text => match port(text).or_else(|| service_port(text)) {
                    // Any, to the agents.
                    Some(0) => None,
                    Some(port) => Some(port),
                    None => return Err(bad(at + 1)),
                },
            };
            Ok(Ends { network, port })
        };
        // Of several that are wrong the agents name the first, and the order here is theirs.
        let (local, remote) = (ends(0)?, ends(2)?);
        let state = match args.param(4) {
            "" => None,
            text => {
                let known = states.iter().find(|(name, _)| *name == text);
                Some(known.ok_or(bad(4))?.1)
            }
        };
        Ok(Self {
            local,
            remote,
            state,
        })
    }

    fn takes(&self, socket: &Socket) -> bool {
        self.state.is_none_or(|state| state == socket.state)
            && self.local.take(&socket.local)
            && self.remote.take(&socket.remote)
    }
}

/// Sockets in the state `state` on the port that is a key's one parameter.
fn listening(args: &Args<'_>, state: u8) -> Result<Query, Unsupported> {
    let port = port(args.param(0));
    if port.is_none() {
        return Err(Unsupported::invalid_parameter(1));
    }
    Ok(Query {
        local: Ends {
            network: None,
            port,
        },
        state: Some(state),
        ..Query::default()
    })
}

/// Sockets to count beside what pages tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted(Vec<Query>);

impl Wanted {
    fn of(query: Query) -> Self {
        Self(vec![query])
    }

    /// Each with a count of none.
    pub(super) fn none_yet(&self) -> Vec<(Query, u64)> {
        self.0.iter().map(|query| (query.clone(), 0)).collect()
    }
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        for query in &other.0 {
            if !self.0.contains(query) {
                self.0.push(query.clone());
            }
        }
    }
    fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|query| self.0.contains(query))
    }
}

/// A subject that counts sockets of one protocol for the keys that ask for them.
pub(super) trait Counted: Subject<Want = Wanted> {
    /// The state of a socket that waits for peers.
    const WAITS: u8;
    /// The states a key may name.
    const STATES: &'static [(&'static str, u8)];
    /// What was counted for each query.
    fn counts(reading: &Self::Reading) -> &[(Query, u64)];
}

/// The key that tells whether a socket waits on a port.
pub(super) const fn waits<S: Counted>(name: &'static str, help: &'static str) -> Item<S> {
    Item {
        name,
        parameters: &["port"],
        help,
        want: |_, args| Ok(Wanted::of(listening(args, S::WAITS)?)),
        answer: Answer::Now(|_, reading, args| {
            say(S::counts(reading), &listening(args, S::WAITS)?, true)
        }),
    }
}

/// The key that counts sockets by their ends and state.
pub(super) const fn counted<S: Counted>(name: &'static str, help: &'static str) -> Item<S> {
    Item {
        name,
        parameters: &["laddr", "lport", "raddr", "rport", "state"],
        help,
        want: |_, args| Ok(Wanted::of(Query::of(args, S::STATES)?)),
        answer: Answer::Now(|_, reading, args| {
            say(S::counts(reading), &Query::of(args, S::STATES)?, false)
        }),
    }
}

/// Counts one socket where it is asked for.
pub(super) fn count(counts: &mut [(Query, u64)], socket: &Socket) {
    for (query, count) in counts {
        *count += u64::from(query.takes(socket));
    }
}

/// How many sockets a query took, or whether it took any.
fn say(counts: &[(Query, u64)], query: &Query, any: bool) -> Said {
    let counted = counts.iter().find(|(known, _)| known == query);
    let (_, count) = counted.ok_or(Unsupported::TIMED_OUT)?;
    Ok(Value::from(if any { (*count).min(1) } else { *count }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::zabbix::key::Key;

    fn socket(local: &str, port: u16, state: u8) -> Socket {
        let end = |address: &str, port| End {
            address: address.parse().unwrap(),
            port,
        };
        Socket {
            state,
            local: end(local, port),
            remote: end("10.0.0.9", 4444),
            received: 0,
            sent: 0,
        }
    }

    #[test]
    fn a_socket_is_taken_by_its_ends_and_its_state() {
        let mapped = socket("::ffff:127.0.0.1", 80, 10);
        for (key, taken) in [
            ("k", true),
            ("k[127.0.0.1]", true),
            ("k[127.0.0.0/8,80]", true),
            ("k[127.0.0.0/8,81]", false),
            ("k[0.0.0.0/0,0]", true),
            ("k[::/0]", false),
            ("k[::1]", false),
            ("k[,,10.0.0.0/29]", false),
            ("k[,,10.0.0.8/31,4444]", true),
            ("k[,,,,listen]", true),
            ("k[,,,,closed]", false),
        ] {
            let key = Key::parse(key).unwrap();
            let query = Query::of(&key, &[("listen", 10), ("closed", 7)]).unwrap();
            assert_eq!(query.takes(&mapped), taken, "{}", key.name());
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place() {
        for (key, at) in [
            ("k[bogus]", 1),
            ("k[127.0.0.1/33]", 1),
            ("k[127.0.0.1/+8]", 1),
            ("k[,no-such-service]", 2),
            ("k[,70000]", 2),
            ("k[,,x]", 3),
            ("k[,,,-1]", 4),
            ("k[,,,,LISTEN]", 5),
            ("k[,,,x,LISTEN]", 4),
        ] {
            let refused = Query::of(&Key::parse(key).unwrap(), &[("listen", 10)]);
            assert_eq!(refused, Err(Unsupported::invalid_parameter(at)), "{key}");
        }
        for (key, ok) in [
            ("k[080]", true),
            ("k[0]", true),
            ("k", false),
            ("k[65536]", false),
            ("k[http]", false),
        ] {
            assert_eq!(
                listening(&Key::parse(key).unwrap(), 10).is_ok(),
                ok,
                "{key}"
            );
        }
    }
}
