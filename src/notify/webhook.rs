//! A web server that takes a POST of JSON, in the form that docs/NOTIFY.md describes, or of a template.

mod template;

use async_trait::async_trait;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use self::template::Template;
use super::post::{self, Post};
use super::{Delivery, Kind, Message, Sink};
use crate::model::alert::Labels;
use crate::model::duration::Period;
use crate::model::notice::Evidence;
use crate::model::secret::Secret;
use crate::net::resolve::Resolver;
use crate::net::tls;

/// Options of the kind `webhook`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// A file with a secret; relative to the config file's directory, or `credential:NAME`. With it `X-Nodeward-Signature` is the HMAC-SHA256, in hexadecimal
    /// digits, of `X-Nodeward-Timestamp` (seconds since 1970), a dot and the body. Default: none.
    #[serde(default, skip_serializing)]
    pub hmac_secret_file: Option<Secret>,
    /// A body of another form: JSON whose texts have placeholders such as `${summary}` (docs/NOTIFY.md has them all). Default: JSON of nodeward's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub body: Option<String>,
    /// A file whose content stands for `${key}` in `body`; relative to the config file's directory, or `credential:NAME`.
    #[serde(default, skip_serializing)]
    pub body_key_file: Option<Secret>,
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

    fn template(&self) -> Result<Option<Template>, String> {
        self.body.as_deref().map(Template::read).transpose()
    }
}

impl Kind for Webhook {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.reached().faults();
        let asks = match self.template() {
            Err(why) => {
                faults.push(("body", why));
                return faults;
            }
            Ok(template) => template.is_some_and(|template| template.asks_for_key()),
        };
        match (asks, &self.body_key_file) {
            (true, None) => faults.push(("body", "has ${key}: set body_key_file too".into())),
            (false, Some(_)) => {
                faults.push(("body_key_file", "is of no use: body has no ${key}".into()));
            }
            _ => {}
        }
        faults
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let post = Post::new(&self.reached(), None, resolver)?;
        Ok(Box::new(Server {
            post: post.signing(self.hmac_secret_file.as_ref()),
            template: self.template()?,
            key: self.body_key_file.clone(),
        }))
    }
}

struct Server {
    post: Post,
    template: Option<Template>,
    key: Option<Secret>,
}

/// The JSON schema of what is posted where there is no template.
#[must_use]
pub fn schema() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Body<'_>>();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// An event as nodeward posts it. Members may be added with any version; a receiver ignores those that it does not know.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "nodeward webhook")]
struct Body<'a> {
    /// Name of the event: the same however often it is sent. Of a record of the journal, its hash.
    id: &'a str,
    /// When it happened.
    #[schemars(extend("format" = "date-time"))]
    time: String,
    /// `escalated`, `reminder`, `acknowledged`, `approval_wanted`, `recovered` or `test`; of a record its kind, such as `decision`.
    what: &'a str,
    /// How bad it is.
    #[schemars(extend("enum" = ["debug", "info", "warning", "critical"]))]
    severity: &'a str,
    /// The machine.
    node: &'a str,
    /// The incident; empty if it is of none, as the five that follow.
    incident: &'a str,
    /// Its playbook.
    playbook: &'a str,
    /// What is ill, such as `unit:web.service`.
    target: &'a str,
    /// The incident's state; of a record the one that it enters.
    state: &'a str,
    /// The last attempt; null if there was none.
    attempt: Option<&'a str>,
    /// Why, in one word.
    cause: &'a str,
    /// Of a record: how it went.
    #[serde(skip_serializing_if = "str::is_empty")]
    outcome: &'a str,
    /// Of a record: the operator; of a login the name that was tried.
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
    /// Of a record of a login: the address that it came from.
    #[serde(skip_serializing_if = "str::is_empty")]
    from: &'a str,
    /// One line for people; it may hold what an alert wrote.
    summary: &'a str,
    /// Labels of the alert that opened the incident, as they came.
    labels: &'a Labels,
    /// Where it is told how things were before its first action, and when people were told; left out where nothing was gathered yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Gathered<'a>>,
    /// Number of the journal's record that it tells of; 0 of a test.
    #[schemars(range(min = 0))]
    seq: i64,
    /// Hash of that record.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    chain: String,
    /// Of a record: all of it, as `nodeward journal export` writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Packets of evidence, by reference.
#[derive(Serialize, JsonSchema)]
struct Gathered<'a> {
    /// Below the API of this machine: all packets of the incident, those too that came after this event.
    path: String,
    /// Those that were on record when it was made.
    packets: &'a [Evidence],
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
            evidence: Some(&event.evidence)
                .filter(|packets| !packets.is_empty())
                .map(|packets| Gathered {
                    path: event.evidence_path(),
                    packets,
                }),
            seq: message.seq,
            chain: message.chain.to_string(),
            record: record.and_then(|record| serde_json::from_str(record).ok()),
        }
    }
}

impl Server {
    fn body(&self, message: &Message<'_>) -> serde_json::Result<Vec<u8>> {
        let body = Body::of(message);
        let Some(template) = &self.template else {
            return serde_json::to_vec(&body);
        };
        let values = match serde_json::to_value(&body)? {
            serde_json::Value::Object(values) => values,
            _ => serde_json::Map::new(),
        };
        serde_json::to_vec(&template.fill(&values, self.key.as_ref()))
    }
}

#[async_trait]
impl Sink for Server {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        match self.body(message) {
            Ok(body) => self.post.send(body, &message.event.id).await,
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
        event.incident = "01JD".into();
        event.evidence = vec![Evidence {
            number: 1,
            occasion: "before_action".into(),
            sha256: other.clone(),
            bytes: 48_213,
        }];
        event.record = Some(format!("{{\"seq\": 3, \"hash\": \"{other}\"}}"));
        let hash = Hash::of("it");
        let message = Message {
            event: &event,
            seq: 7,
            chain: hash,
        };
        let body = serde_json::to_string(&Body::of(&message)).unwrap();
        let seq = Some(7);
        let read = Anchor::read(&body).map(|anchor| (anchor.seq, anchor.hash));
        assert_eq!(read, Some((seq, hash)), "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let evidence = serde_json::json!({"path": "/api/v1/incidents/01JD/evidence", "packets": [
            {"number": 1, "occasion": "before_action", "sha256": other, "bytes": 48_213}]});
        assert_eq!(body["evidence"], evidence);
    }

    #[test]
    fn faults_never_repeat_a_secret() {
        let hook = Webhook {
            url: "ftp://hooks/T0/secret".into(),
            tls: None,
            bearer_token_file: Some(Secret::new("two words")),
            hmac_secret_file: None,
            body: Some(r#"{"a": "${sumary}"}"#.into()),
            body_key_file: None,
            timeout: Period::secs(0),
        };
        let faults = hook.faults();
        let keys: Vec<_> = faults.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["url", "bearer_token_file", "timeout", "body"]);
        let said = format!("{faults:?}");
        assert!(
            !said.contains("secret") && !said.contains("words"),
            "{said}"
        );
    }
}
