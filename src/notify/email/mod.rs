//! Mail, by a mail server that takes it (`peer/smtp`).
//!
//! Owns who gets a mail and how often a server is asked on behalf of somebody. The surprising decision: what comes soon after a mail is gathered
//! for the next one (`digest`), and the first is never held back: who is on call hears at once, and a storm is a few mails.

mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Delivery, Kind, Message, Sink};
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::net::endpoint::{EndpointError, Place};
use crate::net::resolve::Resolver;
use crate::net::tls;
use crate::peer::smtp::{Mail, Mailbox, Outcome, Reply, Security, Server};

/// The most who get a mail.
const RECIPIENTS: usize = 50;
/// The longest that one mail may take, and the longest that others are gathered.
const LONGEST: Duration = Duration::from_secs(10 * 60);
const LONGEST_DIGEST: Duration = Duration::from_secs(60 * 60);
/// A recipient whom the server put off so often in a row is not waited for any more, until it takes something for him: about five
/// minutes, as long as servers that put off whom they do not know do so.
const PUT_OFF: u32 = 10;

/// Options of the kind `email`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Email {
    /// The mail server: `smtps://HOST` speaks TLS from the first byte (port 465), `smtp://HOST` turns to it before anything else is said
    /// (STARTTLS, port 587); another port as `HOST:PORT`.
    pub server: String,
    /// Who it is from: an address.
    pub from: Mailbox,
    /// Who gets it: up to 50 addresses.
    #[schemars(length(min = 1))]
    pub to: Vec<Mailbox>,
    /// The name to log in with. Default: no login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The file with its password; relative to the config file's directory, or `credential:NAME`.
    #[serde(default, skip_serializing)]
    pub password_file: Option<Secret>,
    /// Whether `smtp://` must turn to TLS. `false` never does: for a server on this machine, and without a login.
    #[serde(default = "yes")]
    pub require_tls: bool,
    /// Whom to trust, and which certificate to show. Default: the authorities of the system, and no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// What comes within so long after a mail goes into one mail when that is over; `0s` to `1h`. With `0s` each event is a mail of its own.
    #[serde(default = "minute")]
    pub digest: Period,
    /// The longest that handing over a mail may take, connecting included; `1s` to `10m`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn yes() -> bool {
    true
}

const fn minute() -> Period {
    Period::secs(60)
}

const fn timeout() -> Period {
    Period::secs(30)
}

impl Email {
    /// Where the server is, and how it is spoken to.
    fn place(&self) -> Result<(Place, Security), String> {
        let forms = "write smtps://HOST, or smtp://HOST for STARTTLS";
        let wrong = |why: &str| format!("{:?} {why}: {forms}", self.server);
        let (scheme, rest) = self
            .server
            .split_once("://")
            .ok_or_else(|| wrong("is no address"))?;
        let (port, security) = match (scheme, self.require_tls) {
            ("smtps", _) => (465, Security::Tls),
            ("smtp", true) => (587, Security::StartTls),
            ("smtp", false) => (25, Security::Plain),
            _ => return Err(wrong("is neither smtp:// nor smtps://")),
        };
        let has_port = rest
            .rsplit_once(']')
            .map_or(rest, |(_, after)| after)
            .contains(':');
        let place = match has_port {
            true => rest.parse(),
            false => format!("{rest}:{port}").parse(),
        };
        match place {
            Ok(place @ Place::Tcp { .. }) => Ok((place, security)),
            Err(EndpointError::Port) => Err(wrong("has a port that is none")),
            Ok(Place::Unix(_)) | Err(_) => Err(wrong("has no host name or address")),
        }
    }
}

impl Kind for Email {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let security = match self.place() {
            Err(why) => {
                faults.push(("server", why));
                Security::Tls
            }
            Ok((_, security)) => security,
        };
        let secure = security != Security::Plain;
        if security == Security::Tls && !self.require_tls {
            faults.push((
                "require_tls",
                "smtps:// is TLS: write smtp://, or leave this out".into(),
            ));
        }
        let found = self.tls.iter().flat_map(|tls| tls.faults(secure));
        faults.extend(found.map(|fault| (fault.key, fault.why)));
        if self.to.is_empty() || self.to.len() > RECIPIENTS {
            faults.push(("to", format!("must have from 1 to {RECIPIENTS} addresses")));
        }
        match (&self.username, &self.password_file) {
            (Some(_), None) => faults.push((
                "username",
                "needs its password: set password_file too".into(),
            )),
            (None, Some(_)) => faults.push((
                "password_file",
                "needs the name that it is for: set username too".into(),
            )),
            (Some(_), Some(_)) if !secure => {
                faults.push(("username", "a password is not sent without TLS".into()));
            }
            _ => {}
        }
        let nul = |text: &str| text.contains('\0');
        if self
            .username
            .as_deref()
            .is_some_and(|name| name.is_empty() || nul(name))
        {
            faults.push((
                "username",
                "a name has at least one character, and none that is zero".into(),
            ));
        }
        if self
            .password_file
            .as_ref()
            .is_some_and(|secret| nul(secret.reveal()))
        {
            faults.push((
                "password_file",
                "the password in it has a character that is zero".into(),
            ));
        }
        if self.digest.get() > LONGEST_DIGEST {
            faults.push(("digest", "must be from 0s to 1h".into()));
        }
        if self.timeout < Period::secs(1) || self.timeout.get() > LONGEST {
            faults.push(("timeout", "must be from 1s to 10m".into()));
        }
        faults
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let (place, security) = self.place()?;
        let login = self.username.clone().zip(self.password_file.clone());
        Ok(Box::new(Mailer {
            server: Server {
                place,
                security,
                tls: tls::Connector::new(self.tls.clone().unwrap_or_default()),
                login,
                resolver: resolver.clone(),
            },
            told: self.server.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            digest: self.digest.get(),
            timeout: self.timeout.get(),
            under_way: None,
            put_off: BTreeMap::new(),
        }))
    }

    fn takes_records(&self) -> bool {
        false
    }
}

/// A mail that some have.
struct UnderWay {
    id: write::MessageId,
    /// Who of the others are still to get it.
    left: Vec<usize>,
    /// Who never will, and why.
    given_up: Vec<String>,
}

struct Mailer {
    server: Server,
    /// As it stands in the config.
    told: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    digest: Duration,
    timeout: Duration,
    under_way: Option<UnderWay>,
    /// Whom the server puts off, and how often in a row.
    put_off: BTreeMap<usize, u32>,
}

impl Mailer {
    async fn send(&mut self, messages: &[Message<'_>]) -> Delivery {
        let mail = write::mail(messages, &self.from, &self.to);
        let begun = self.under_way.take().filter(|begun| begun.id == mail.id);
        let places = match &begun {
            Some(begun) => begun.left.clone(),
            None => (0..self.to.len()).collect(),
        };
        let to: Vec<&Mailbox> = places
            .iter()
            .filter_map(|place| self.to.get(*place))
            .collect();
        let node = messages.first().map_or("", |message| &message.event.node);
        let sent = Mail {
            hello: node,
            from: &self.from,
            to: &to,
            content: &mail.content,
        };
        let sent = self.server.send(&sent, Instant::now() + self.timeout).await;
        match sent {
            Ok(outcome) => {
                let given_up = begun.map(|begun| begun.given_up);
                self.judge(mail.id, &places, given_up, &outcome)
            }
            Err(error) => {
                let why = format!("send to {}: {error}", self.told);
                if begun.is_some() {
                    self.under_way = begun;
                } else if error.is_for_ever() {
                    return Delivery::Refused(why);
                }
                Delivery::failed(why)
            }
        }
    }

    /// What follows from who has it and who has not. `begun`: some have it already, and who never will.
    fn judge(
        &mut self,
        id: write::MessageId,
        places: &[usize],
        begun: Option<Vec<String>>,
        outcome: &Outcome,
    ) -> Delivery {
        let place = |nth: &usize| places.get(*nth).copied();
        for taken in outcome.taken.iter().filter_map(place) {
            self.put_off.remove(&taken);
        }
        let has = begun.is_some() || !outcome.taken.is_empty();
        let (mut left, mut given_up) = (Vec::new(), begun.unwrap_or_default());
        let mut last = None;
        for (nth, reply) in &outcome.left {
            let Some(place) = place(nth) else { continue };
            let whom = self.to.get(place).map_or("", Mailbox::as_str);
            let why = format!("{whom} by {}: {}", self.told, reply.brief());
            let waits = is_put_off(reply) && {
                let times = self.put_off.entry(place).or_default();
                *times = times.saturating_add(1);
                *times <= PUT_OFF
            };
            match waits {
                true => left.push(place),
                false => given_up.push(why.clone()),
            }
            last = Some((why, is_put_off(reply)));
        }
        match (last, left.is_empty()) {
            (Some((why, _)), false) => {
                if has {
                    self.under_way = Some(UnderWay { id, left, given_up });
                }
                Delivery::failed(format!("not taken for {why}"))
            }
            // Nobody has it: whoever is put off for long is still waited for.
            (Some((why, true)), true) if !has => Delivery::failed(format!("not taken for {why}")),
            (Some((why, false)), true) if !has => Delivery::Refused(format!("not taken for {why}")),
            _ if given_up.is_empty() => {
                let said = outcome.said.as_ref().map(Reply::brief);
                Delivery::Taken(format!(
                    "{} answered {}",
                    self.told,
                    said.unwrap_or_default()
                ))
            }
            _ => Delivery::InPart(format!("not taken for {}", given_up.join("; for "))),
        }
    }
}

/// Whether the server may take it for him later. 552 says that there are too many (RFC 5321 section 4.5.3.1.10).
const fn is_put_off(reply: &Reply) -> bool {
    reply.code < 500 || reply.code == 552
}

#[async_trait]
impl Sink for Mailer {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        self.send(std::slice::from_ref(message)).await
    }

    fn gathers(&self) -> Option<Duration> {
        Some(self.digest).filter(|digest| !digest.is_zero())
    }

    async fn deliver_together(&mut self, messages: &[Message<'_>]) -> Delivery {
        self.send(messages).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(more: serde_json::Value) -> Email {
        let mut options =
            serde_json::json!({"server": "smtps://mail.example", "from": "a@b", "to": ["c@d"]});
        for (key, value) in more.as_object().unwrap() {
            options[key] = value.clone();
        }
        serde_json::from_value(options).unwrap()
    }

    #[test]
    fn servers_have_the_port_of_their_kind() {
        for (server, require_tls, place, security) in [
            (
                "smtps://mail.example",
                true,
                "mail.example:465",
                Security::Tls,
            ),
            (
                "smtp://mail.example",
                true,
                "mail.example:587",
                Security::StartTls,
            ),
            ("smtp://[::1]", false, "[::1]:25", Security::Plain),
            ("smtp://[::1]:2525", false, "[::1]:2525", Security::Plain),
        ] {
            let options = email(serde_json::json!({"server": server, "require_tls": require_tls}));
            assert_eq!(options.faults(), []);
            let (found, how) = options.place().unwrap();
            assert_eq!((found.to_string().as_str(), how), (place, security));
        }
    }

    #[test]
    fn faults_name_their_keys_and_repeat_no_secret() {
        let wrong = email(serde_json::json!({
            "server": "smtp://mail.example:0", "to": [], "username": "u", "digest": "2h", "timeout": "0s",
        }));
        let keys: Vec<_> = wrong.faults().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["server", "to", "username", "digest", "timeout"]);
        let clear = email(serde_json::json!({
            "server": "smtp://mail.example", "require_tls": false, "username": "u", "password_file": "hunter2", "tls": {},
        }));
        let faults = clear.faults();
        let keys: Vec<_> = faults.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["tls", "username"]);
        assert!(!format!("{faults:?}").contains("hunter2"));
        for server in ["mail.example", "http://x", "smtp://", "smtps://unix:/run/x"] {
            let faults = email(serde_json::json!({"server": server})).faults();
            assert_eq!(faults[0].0, "server", "{server}");
            assert!(faults[0].1.contains("write smtps://HOST"), "{faults:?}");
        }
    }
}
