//! A web server that takes a POST of JSON, in the form that docs/NOTIFY.md describes.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::post::{self, Post};
use super::{Delivery, Kind, Message, Sink};
use crate::model::alert::Labels;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::net::resolve::Resolver;
use crate::net::tls;

/// Options of the kind `webhook`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it is posted to: `https://HOST/PATH`, `http://HOST:PORT/PATH`, or `unix:/PATH` for a socket.
    pub url: String,
    /// Whom to trust with `https`. Default: the authorities of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// A file with the token that is sent as `Authorization: Bearer TOKEN`; relative to the config file's directory, or
    /// `credential:NAME`. Default: none.
    #[serde(default, skip_serializing)]
    pub bearer_token_file: Option<Secret>,
    /// The longest a request may take, connecting and answer included; `10ms` to `10m`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn timeout() -> Period {
    Period::secs(10)
}

impl Webhook {
    fn reached(&self) -> post::Options<'_> {
        post::Options {
            url: &self.url,
            tls: self.tls.as_ref(),
            token: self.bearer_token_file.as_ref(),
            timeout: self.timeout,
        }
    }
}

impl Kind for Webhook {
    fn faults(&self) -> Vec<(&'static str, String)> {
        self.reached().faults()
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let post = Post::new(&self.reached(), None, resolver)?;
        Ok(Box::new(Server(post)))
    }
}

struct Server(Post);

/// What is posted. Members of notices are always there, the others where there is something to say.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    time: String,
    what: &'a str,
    severity: &'a str,
    node: &'a str,
    incident: &'a str,
    playbook: &'a str,
    target: &'a str,
    state: &'a str,
    attempt: Option<&'a str>,
    cause: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    summary: &'a str,
    labels: &'a Labels,
    seq: i64,
    chain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<serde_json::Value>,
}

impl<'a> Body<'a> {
    fn of(message: &Message<'a>) -> Self {
        let event = message.event;
        let record = event.record.as_deref();
        Self {
            id: &event.id,
            time: event.time.to_string(),
            what: &event.what,
            severity: event.severity.as_str(),
            node: &event.node,
            incident: &event.incident,
            playbook: &event.playbook,
            target: &event.target,
            state: &event.state,
            attempt: Some(&*event.attempt).filter(|attempt| !attempt.is_empty()),
            cause: &event.cause,
            outcome: &event.outcome,
            by: &event.by,
            from: &event.from,
            summary: &event.summary,
            labels: &event.labels,
            seq: message.seq,
            chain: message.chain.to_string(),
            record: record.and_then(|record| serde_json::from_str(record).ok()),
        }
    }
}

#[async_trait]
impl Sink for Server {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        match serde_json::to_vec(&Body::of(message)) {
            Ok(body) => self.0.send(body, &message.event.id).await,
            Err(error) => Delivery::Refused(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Anchor, Hash};
    use crate::model::event::Event;
    use crate::notify::tests::notice;

    #[test]
    fn of_what_is_posted_the_chain_alone_is_an_anchor() {
        let mut event = Event::from(notice("e1"));
        let other = "0b".repeat(32);
        event.labels.insert("hash".into(), other.clone());
        event.record = Some(format!("{{\"seq\": 3, \"hash\": \"{other}\"}}"));
        let hash = Hash::of("it");
        let message = Message {
            event: &event,
            seq: 7,
            chain: hash,
        };
        let body = serde_json::to_string(&Body::of(&message)).unwrap();
        let seq = Some(7);
        assert_eq!(Anchor::read(&body), Some(Anchor { seq, hash }), "{body}");
    }

    #[test]
    fn faults_never_repeat_a_secret() {
        let hook = Webhook {
            url: "ftp://hooks/T0/secret".into(),
            tls: None,
            bearer_token_file: Some(Secret::new("two words")),
            timeout: Period::secs(0),
        };
        let faults = hook.faults();
        let keys: Vec<_> = faults.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["url", "bearer_token_file", "timeout"]);
        let said = format!("{faults:?}");
        assert!(
            !said.contains("secret") && !said.contains("words"),
            "{said}"
        );
    }
}
