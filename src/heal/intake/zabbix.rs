//! The body that nodeward's media type makes in Zabbix: one event, all values texts.
//!
//! A macro that Zabbix could not resolve arrives as its own text (`{HOST.IP}`) or as `*UNKNOWN*`; both count as absent,
//! so that neither can become a label and with it a target. Date and time of the event have no zone, so an alert of
//! Zabbix has no start of its own.

use serde::Deserialize;

use super::loose::{Any, List, Map, Pairs, Text};
use super::{
    Kind, LONGEST_LABEL, LeftOut, MOST_LABELS, Read, Severities, Unreadable, for_people, form,
};
use crate::model::alert::{Alert, Episode, Labels, Status};

/// Zabbix's severities by number (`EVENT.NSEVERITY`), as values of the label `severity`.
const SEVERITIES: [&str; 6] = [
    "not_classified",
    "information",
    "warning",
    "average",
    "high",
    "disaster",
];
/// Longest id of an event or a trigger: 2^64 in decimal.
const LONGEST_ID: usize = 20;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    event_source: Text,
    event_value: Text,
    event_update_status: Text,
    event_id: Text,
    event_name: Text,
    event_opdata: Text,
    event_nseverity: Text,
    /// A list, or the text of one: `{EVENT.TAGSJSON}` put in without or with quotes.
    event_tags: Any<Tags>,
    trigger_id: Text,
    trigger_expression: Text,
    host: Text,
    host_name: Text,
    host_id: Text,
    host_ip: Text,
    item_key: Text,
    item_value: Text,
    subject: Text,
    message: Text,
}

/// Tags of an event.
type Tags = List<Map<Tag>, { MOST_LABELS * 2 }>;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Tag {
    tag: Text,
    value: Text,
}

pub(super) fn read(source: &str, text: &str, severities: &Severities) -> Result<Read, Unreadable> {
    let sent: Map<Sent> = serde_json::from_str(text).map_err(|error| form(Kind::Zabbix, error))?;
    let Any::Map(sent) = sent else {
        return Err(form(Kind::Zabbix, "it is no map"));
    };
    let is = |text: &Text, value: &str| matches!(text, Any::Text(text) if text == value);
    // Discovery, autoregistration, internal events and services; comments and acknowledgements.
    let foreign = !matches!(&sent.event_source, Any::Nothing) && !is(&sent.event_source, "0");
    let update = is(&sent.event_update_status, "1");
    if foreign || update {
        return Ok(Read {
            ignored: 1,
            ..Read::default()
        });
    }
    let mut read = Read::default();
    match alert(sent, source, severities)? {
        Ok(alert) => read.alerts.push(alert),
        Err(why) => read.left_out.push(why),
    }
    Ok(read)
}

fn alert(
    sent: Sent,
    source: &str,
    severities: &Severities,
) -> Result<Result<Alert, LeftOut>, Unreadable> {
    let id = |text: Text| {
        known(text).filter(|id| id.len() <= LONGEST_ID && id.bytes().all(|b| b.is_ascii_digit()))
    };
    let Some(event) = id(sent.event_id) else {
        return Err(form(Kind::Zabbix, "event_id is no number"));
    };
    let status = match sent.event_value.or_empty().as_str() {
        "1" => Status::Firing,
        "0" => Status::Resolved,
        other => {
            let other: String = other.chars().take(40).collect();
            return Ok(Err(LeftOut::Status(other)));
        }
    };
    let severity = known(sent.event_nseverity)
        .and_then(|n| n.parse::<usize>().ok())
        .and_then(|n| SEVERITIES.get(n));
    let trigger = id(sent.trigger_id);
    let mut pairs = Pairs::default();
    for (name, value) in [
        ("alertname", known(sent.event_name).map(for_label)),
        ("host", known(sent.host)),
        ("host_name", known(sent.host_name)),
        ("host_id", known(sent.host_id)),
        ("ip", known(sent.host_ip)),
        ("severity", severity.map(|s| (*s).to_owned())),
        ("trigger_id", trigger.clone()),
        ("item_key", known(sent.item_key)),
    ] {
        pairs.add(name.to_owned(), value.unwrap_or_default());
    }
    if let Some(why) = tags(sent.event_tags, &mut pairs)?.or(pairs.trouble) {
        return Ok(Err(why));
    }
    let notes = [
        ("subject", known(sent.subject)),
        ("message", known(sent.message)),
        ("opdata", known(sent.event_opdata)),
        ("item_value", known(sent.item_value)),
        ("trigger_expression", known(sent.trigger_expression)),
    ];
    let notes = notes.into_iter().filter_map(|(name, text)| {
        let text = text.filter(|text| !text.is_empty())?;
        Some((name.to_owned(), for_people(text)))
    });
    Ok(Ok(Alert {
        source: source.to_owned(),
        // The event alone: Zabbix gives each a number of its own, and its recovery bears it too.
        episode: Episode::new(source, "event", &event),
        fingerprint: trigger.unwrap_or(event),
        status,
        severity: severities.find(&pairs.labels),
        starts_at: None,
        labels: pairs.labels,
        annotations: notes.collect(),
    }))
}

/// Adds the tags to the labels. Values of a tag that stands there several times are joined by commas. A tag with the
/// name of a label of ours is added as `tag_NAME`: it must not say which host an alert is about.
fn tags(tags: Any<Tags>, pairs: &mut Pairs) -> Result<Option<LeftOut>, Unreadable> {
    let list: Tags = match tags {
        Any::List(list) => list,
        Any::Text(text) if !is_unresolved(&text) && !text.trim().is_empty() => {
            serde_json::from_str(&text)
                .map_err(|error| form(Kind::Zabbix, format_args!("event_tags: {error}")))?
        }
        Any::Nothing | Any::Text(_) => return Ok(None),
        Any::Map(_) => return Ok(Some(LeftOut::LabelType)),
    };
    if list.more {
        return Ok(Some(LeftOut::ManyLabels));
    }
    let mut joined = Labels::new();
    for tag in list.items {
        let Any::Map(tag) = tag else {
            return Ok(Some(LeftOut::LabelType));
        };
        let (Some(name), Some(value)) = (known(tag.tag), known(tag.value)) else {
            continue;
        };
        match joined.get_mut(&name) {
            Some(values) => {
                values.push(',');
                values.push_str(&value);
            }
            None => drop(joined.insert(name, value)),
        }
    }
    for (name, value) in joined {
        let taken = pairs.labels.contains_key(&name) || RESERVED.contains(&name.as_str());
        let name = if taken { format!("tag_{name}") } else { name };
        pairs.add(name, value);
    }
    Ok(None)
}

/// Labels that only the event itself may set, whether it does or not.
const RESERVED: [&str; 10] = [
    "alertname",
    "host",
    "host_id",
    "host_name",
    "hostname",
    "instance",
    "ip",
    "item_key",
    "node",
    "trigger_id",
];

/// The value of a macro, if it was resolved.
fn known(text: Text) -> Option<String> {
    match text {
        Any::Text(text) if !is_unresolved(&text) => Some(text),
        _ => None,
    }
}

/// Whether a text is a macro that Zabbix left as it was: `{EVENT.ID}`, `{$LIMIT}`, `{{ITEM.VALUE}.regsub(a,b)}`,
/// `*UNKNOWN*`.
fn is_unresolved(text: &str) -> bool {
    let inside = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
    let macro_like = inside
        .is_some_and(|t| t.starts_with(|c: char| c.is_ascii_uppercase() || "$#?{".contains(c)));
    macro_like || text == "*UNKNOWN*"
}

/// The name of an event may be 2048 characters long and is for people; it must not cost the alert.
fn for_label(name: String) -> String {
    let end = name.floor_char_boundary(LONGEST_LABEL);
    name.get(..end).unwrap_or_default().to_owned()
}
