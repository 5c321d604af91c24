//! What servers answer.
//!
//! Owns the JSON of answers to `active checks`, `agent data` and `sender data`, in the forms of 6.0 and 7.0. However long a list
//! is, no more than [`MOST_ITEMS`] of it are kept.

use std::fmt;
use std::time::Duration;

use serde::de::{self, DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::delay::{Delay, NotADelay, seconds};
use super::wire::Failure;

/// Items of one list that are kept; a host has a few hundred.
pub const MOST_ITEMS: usize = 20_000;
/// A key that is longer is no item's: Zabbix keeps 2048 letters.
const LONGEST_KEY: usize = 8192;
/// Commands that are answered; the others are not.
const MOST_COMMANDS: usize = 64;

/// One item that the server wants values of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number on the server; servers before 4.4 tell none.
    pub id: Option<u64>,
    /// Its key as written.
    pub key: String,
    /// When it is due.
    pub delay: Result<Delay, NotADelay>,
    /// How long its value may take, where the server says so (7.0).
    pub timeout: Option<Duration>,
}

/// What there is to collect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// The items; none if they are as they were.
    pub items: Option<Vec<Item>>,
    /// How many more there were than are kept, or can be read.
    pub left_out: usize,
    /// The state of the server's config that this is of (7.0).
    pub revision: Option<u64>,
    /// Whether values are to be held back.
    pub held: bool,
    /// Numbers of commands that the server wants carried out (7.0).
    pub commands: Vec<u64>,
}

/// An answer to `active checks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What there is to collect.
    List(List),
    /// Another server is in charge.
    Redirect(Redirect),
}

/// Who is in charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// The configured server.
    Reset,
    /// This one; the revision grows.
    To {
        /// `host:port`.
        address: String,
        /// Which decision it is.
        revision: u64,
    },
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    info: Option<String>,
    #[serde(default)]
    data: Option<Bounded<RawItem, MOST_ITEMS>>,
    #[serde(default)]
    config_revision: Option<u64>,
    #[serde(default)]
    upload: Option<String>,
    #[serde(default)]
    redirect: Option<RawRedirect>,
    #[serde(default)]
    commands: Option<Bounded<RawCommand, MOST_COMMANDS>>,
}

#[derive(Deserialize)]
struct RawItem {
    key: String,
    #[serde(default)]
    itemid: Option<Number>,
    delay: Text,
    #[serde(default)]
    timeout: Option<Text>,
}

#[derive(Deserialize)]
struct RawRedirect {
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    address: String,
    #[serde(default)]
    reset: bool,
}

#[derive(Deserialize)]
struct RawCommand {
    id: u64,
}

/// One of a list; what is none is passed over, since the others are good.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element<T> {
    Good(T),
    Bad(IgnoredAny),
}

/// The first so many good ones of a list, and how many others there were.
struct Bounded<T, const MOST: usize> {
    all: Vec<T>,
    left_out: usize,
}

impl<'de, T: DeserializeOwned, const MOST: usize> Deserialize<'de> for Bounded<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<T, const MOST: usize>(std::marker::PhantomData<T>);
        impl<'de, T: DeserializeOwned, const MOST: usize> Visitor<'de> for Visit<T, MOST> {
            type Value = Bounded<T, MOST>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let (mut all, mut left_out) = (Vec::new(), 0);
                while all.len() < MOST {
                    match list.next_element()? {
                        Some(Element::Good(one)) => all.push(one),
                        Some(Element::Bad(_)) => left_out += 1,
                        None => return Ok(Bounded { all, left_out }),
                    }
                }
                while list.next_element::<IgnoredAny>()?.is_some() {
                    left_out += 1;
                }
                Ok(Bounded { all, left_out })
            }
        }
        deserializer.deserialize_seq(Visit(std::marker::PhantomData))
    }
}

/// A number that may be written as a text.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// A text that may be written as a number.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl Visitor<'_> for Visit {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visit)
    }
}

/// Reads an answer to `active checks`.
///
/// # Errors
/// It is none, or a refusal.
pub fn checks(body: &[u8]) -> Result<Answer, Failure> {
    let raw = read(body)?;
    if let Some(redirect) = raw.redirect {
        return Ok(Answer::Redirect(redirect.into()));
    }
    succeeded(raw.response.as_deref(), raw.info)?;
    let (items, left_out) = match raw.data {
        None => (None, 0),
        Some(data) => {
            let before = data.all.len();
            let items: Vec<Item> = data.all.into_iter().filter_map(item).collect();
            let left_out = data.left_out + before - items.len();
            (Some(items), left_out)
        }
    };
    let commands = raw
        .commands
        .map(|commands| commands.all)
        .unwrap_or_default();
    Ok(Answer::List(List {
        items,
        left_out,
        revision: raw.config_revision,
        held: raw.upload.as_deref() == Some("disabled"),
        commands: commands.into_iter().map(|command| command.id).collect(),
    }))
}

/// Reads an answer to `agent data` or `sender data`: how many of the values the server did not want.
///
/// # Errors
/// It is none, or a refusal: then the server took no value.
pub fn taken(body: &[u8]) -> Result<u64, Failure> {
    let raw = read(body)?;
    succeeded(raw.response.as_deref(), raw.info.clone())?;
    Ok(raw.info.as_deref().and_then(failed).unwrap_or(0))
}

fn read(body: &[u8]) -> Result<Raw, Failure> {
    serde_json::from_slice(body)
        .map_err(|why| Failure::Malformed(format!("the answer is not what servers answer: {why}")))
}

fn succeeded(response: Option<&str>, info: Option<String>) -> Result<(), Failure> {
    match response {
        Some("success") => Ok(()),
        Some("failed") => {
            let info = info.unwrap_or_else(|| "failed, without a reason".to_owned());
            Err(Failure::Refused(info.chars().take(500).collect()))
        }
        Some(_) | None => Err(Failure::Malformed(
            "the answer says neither success nor failed".to_owned(),
        )),
    }
}

/// `processed: 1; failed: 0; total: 1; seconds spent: 0.000091`
fn failed(info: &str) -> Option<u64> {
    let mut parts = info.split(';').map(str::trim);
    parts
        .find_map(|part| part.strip_prefix("failed:"))?
        .trim()
        .parse()
        .ok()
}

fn item(raw: RawItem) -> Option<Item> {
    let timeout = raw.timeout.and_then(|Text(text)| seconds(&text));
    (raw.key.len() <= LONGEST_KEY).then(|| Item {
        id: raw.itemid.map(|Number(id)| id),
        key: raw.key,
        delay: Delay::parse(&raw.delay.0),
        timeout: timeout
            .filter(|s| (1..=600).contains(s))
            .map(Duration::from_secs),
    })
}

impl From<RawRedirect> for Redirect {
    fn from(raw: RawRedirect) -> Self {
        match raw.reset {
            true => Self::Reset,
            false => Self::To {
                address: raw.address,
                revision: raw.revision,
            },
        }
    }
}

/// The redirect of any answer, if it is one.
pub fn redirect(body: &[u8]) -> Option<Redirect> {
    let raw: Raw = serde_json::from_slice(body).ok()?;
    raw.redirect.map(Redirect::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str) -> List {
        match checks(body.as_bytes()) {
            Ok(Answer::List(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn lists_of_both_servers_are_read() {
        let seven = list(
            r#"{"response":"success","config_revision":92,"data":[
               {"key":"system.boottime","itemid":50838,"delay":"15m","lastlogsize":0,"mtime":0,"timeout":"3s"},
               {"key":"x","itemid":"7","delay":"bad","lastlogsize":0,"mtime":0,"timeout":600}]}"#,
        );
        assert_eq!(seven.revision, Some(92));
        let items = seven.items.unwrap();
        assert_eq!(
            items[0],
            Item {
                id: Some(50838),
                key: "system.boottime".into(),
                delay: Ok(Delay::every(900)),
                timeout: Some(Duration::from_secs(3))
            }
        );
        assert_eq!(
            (items[1].id, items[1].timeout),
            (Some(7), Some(Duration::from_secs(600)))
        );
        assert!(items[1].delay.is_err());
        let old = list(
            r#"{"response":"success","data":[{"key":"agent.ping","delay":60,"lastlogsize":0,"mtime":0}]}"#,
        );
        let expected = Item {
            id: None,
            key: "agent.ping".into(),
            delay: Ok(Delay::every(60)),
            timeout: None,
        };
        assert_eq!((old.items, old.revision), (Some(vec![expected]), None));
        assert_eq!(list(r#"{"response":"success"}"#), List::default());
        let held = list(
            r#"{"response":"success","upload":"disabled","commands":[{"command":"echo hi","id":5,"wait":1,"timeout":3}]}"#,
        );
        assert_eq!((held.held, held.commands), (true, vec![5]));
    }

    #[test]
    fn refusals_and_redirects_are_told_apart() {
        let no = checks(br#"{"response":"failed","info":"host [h1] not found"}"#).unwrap_err();
        assert_eq!(no.to_string(), "the server says: host [h1] not found");
        let to = checks(
            br#"{"response":"failed","redirect":{"revision":5,"address":"127.0.0.1:27997"}}"#,
        )
        .unwrap();
        assert_eq!(
            to,
            Answer::Redirect(Redirect::To {
                address: "127.0.0.1:27997".into(),
                revision: 5
            })
        );
        let back = checks(br#"{"response":"failed","redirect":{"reset":true}}"#).unwrap();
        assert_eq!(back, Answer::Redirect(Redirect::Reset));
        assert_eq!(taken(br#"{"response":"success","info":"processed: 2; failed: 3; total: 5; seconds spent: 0.1"}"#).unwrap(), 3);
        assert_eq!(taken(br#"{"response":"success"}"#).unwrap(), 0);
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for body in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            r#"{"response":1}"#,
            r#"{"response":"maybe"}"#,
            r#"{"response":"success","data":{}}"#,
        ] {
            assert!(
                matches!(checks(body.as_bytes()), Err(Failure::Malformed(_))),
                "{body}"
            );
        }
        let deep = format!(r#"{{"response":"success","data":{}"#, "[".repeat(100_000));
        assert!(checks(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_bad_element_leaves_the_others() {
        let list = list(
            r#"{"response":"success","data":[{"key":"a","itemid":1},{"key":"b","itemid":2,"delay":1.5},{"key":"c","itemid":3,"delay":"1m"},
               {},7,null,{"key":"d","itemid":"x","delay":1}],"commands":[{"command":"x"},{"id":5}]}"#,
        );
        let keys: Vec<String> = list
            .items
            .unwrap()
            .into_iter()
            .map(|item| item.key)
            .collect();
        assert_eq!(
            (keys, list.left_out, list.commands),
            (vec!["c".to_owned()], 6, vec![5])
        );
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let one = r#"{"key":"k","itemid":1,"delay":"1m"},"#;
        let body = format!(
            r#"{{"response":"success","data":[{}{{"key":"{}","itemid":1,"delay":1}}]}}"#,
            one.repeat(MOST_ITEMS + 9),
            "k".repeat(9000)
        );
        let list = list(&body);
        assert_eq!((list.items.unwrap().len(), list.left_out), (MOST_ITEMS, 10));
    }
}
