//! What no single value shows: checks across the fields of the config.
//!
//! Owns what concerns two sections, or a section and the program (is there such a subject?). What a
//! component can tell from its own options alone is its own check; it is called here, and its texts
//! are given their places.

use std::collections::HashMap;

use super::cross::Cross;
use super::items;
use super::root::Config;
use super::tree::{Entry, Path, Step, Value};
use crate::check;
use crate::dialect::otlp;
use crate::dialect::zabbix::passive;
use crate::gate;
use crate::heal::playbook;
use crate::heal::runner::LOCAL;
use crate::model::nearest::nearest;
use crate::net::address::Address;
use crate::net::tls;
use crate::notify;
use crate::subject::{self, TABLE};

/// Notes everything that is wrong across fields.
pub fn validate(config: &Config, cross: &mut Cross<'_>) {
    node(config, cross);
    http(config, cross);
    subjects(config, cross);
    selections(cross);
    for invalid in config.zabbix.check().err().into_iter().flatten() {
        // Those of `listen` are told with their places below, as those of `http`.
        if !matches!(invalid, passive::Invalid::Listen(_)) {
            cross.complaint(&Path::of(&["zabbix"]), &invalid.to_string());
        }
    }
    for (key, item) in [
        ("hostname_item", &config.zabbix.hostname_item),
        ("host_metadata_item", &config.zabbix.host_metadata_item),
        ("host_interface_item", &config.zabbix.host_interface_item),
    ] {
        if let Some(why) = item.as_deref().and_then(items::unknown) {
            cross.fault(&Path::of(&["zabbix", key]), why);
        }
    }
    for invalid in config
        .hooks
        .check(config.http.tls.as_ref())
        .err()
        .into_iter()
        .flatten()
    {
        let path = Path::of(&["hooks"]);
        let path = invalid.hook().map_or(path.clone(), |hook| path.key(hook));
        let path = invalid.key().map_or(path.clone(), |key| path.key(key));
        cross.fault_as(&path, format!("hooks: {invalid}"));
    }
    for invalid in config.api.faults() {
        let keys = invalid.keys().into_iter();
        let path = keys.fold(Path::of(&["api"]), |path, key| path.key(key));
        cross.fault(&path, &invalid);
    }
    // The variables have no place in a file; who starts nodeward asks them again.
    for complaint in otlp::resolve(&config.otlp, &|_| None).1 {
        if let otlp::Origin::Key(key) = complaint.origin {
            let key = Path::of(&["otlp", key]);
            let path = cross.named_in(&key, &complaint.text);
            cross.fault_as(&path, format!("otlp.{}", complaint.text));
        }
    }
    state(config, cross);
    checks(config, cross);
    pools(config, cross);
    maintenance(config, cross);
    playbooks(config, cross);
    notifiers(config, cross);
    listeners(config, cross);
    certificates(config, cross);
}

/// What is wrong with TLS of listeners, and with the files it names.
fn certificates(config: &Config, cross: &mut Cross<'_>) {
    for (section, tls) in [
        ("http", &config.http.tls),
        ("hooks", &config.hooks.tls),
        ("api", &config.api.tls),
    ] {
        let faults = tls.as_ref().map(tls::ServerOptions::faults);
        for fault in faults.into_iter().flatten() {
            cross.fault(&Path::of(&[section, "tls", fault.key]), fault.why);
        }
    }
    let zabbix = config.zabbix.tls.iter();
    for fault in zabbix.flat_map(tls::mutual::Options::faults) {
        cross.fault(&Path::of(&["zabbix", "tls", fault.key]), fault.why);
    }
}

fn notifiers(config: &Config, cross: &mut Cross<'_>) {
    for invalid in notify::faults(&config.notify) {
        let start = Path::of(&["notify"]).key(&invalid.notifier);
        let path = invalid.keys.iter().fold(start, |path, key| path.key(key));
        cross.fault(&path, invalid.why);
    }
}

fn checks(config: &Config, cross: &mut Cross<'_>) {
    for invalid in check::faults(&config.checks) {
        let start = Path::of(&["checks"]).key(&invalid.check);
        let path = invalid.keys.iter().fold(start, |path, key| path.key(key));
        cross.fault(&path, invalid.why);
    }
}

fn pools(config: &Config, cross: &mut Cross<'_>) {
    for invalid in gate::faults(&config.pools) {
        let start = Path::of(&["pools"]).key(&invalid.pool);
        cross.fault(&below(start, &invalid.keys), invalid.why);
    }
}

fn maintenance(config: &Config, cross: &mut Cross<'_>) {
    let pools = config.pools.keys().map(String::as_str).collect();
    for invalid in config.maintenance.faults(&pools) {
        cross.fault(
            &below(Path::of(&["maintenance"]), &invalid.keys),
            invalid.why,
        );
    }
}

/// The path of keys below another, places in lists by their number.
fn below(start: Path, keys: &[impl AsRef<str>]) -> Path {
    keys.iter()
        .fold(start, |mut path, key| match key.as_ref().parse() {
            Ok(index) => {
                path.0.push(Step::Index(index));
                path
            }
            Err(_) => path.key(key.as_ref()),
        })
}

fn playbooks(config: &Config, cross: &mut Cross<'_>) {
    for (name, hook) in &config.hooks.named {
        let path = Path::of(&["hooks"]).key(name);
        if name == LOCAL {
            cross.fault(&path, "what checks find goes by this name; choose another");
        }
        for playbook in hook.playbooks.iter().flatten() {
            if !config.playbooks.contains_key(playbook) {
                let known = config.playbooks.keys().map(String::as_str);
                let meant = nearest(playbook, known).map(|n| format!("; did you mean {n:?}?"));
                let meant = meant.unwrap_or_default();
                cross.fault(
                    &path.key("playbooks"),
                    format_args!("no playbook is called {playbook:?}{meant}"),
                );
            }
        }
    }
    let checks = config.checks.iter();
    let names = playbook::Names {
        checks: checks
            .map(|(name, check)| (name.as_str(), check.timeout))
            .collect(),
        notifiers: config.notify.keys().map(String::as_str).collect(),
        pools: config.pools.keys().map(String::as_str).collect(),
    };
    for (keys, why) in config.escalation.faults(&names) {
        cross.fault(&below(Path::of(&["escalation"]), &keys), why);
    }
    for (name, playbook) in &config.playbooks {
        for (keys, why) in playbook.faults(&names) {
            let start = Path::of(&["playbooks"]).key(name);
            cross.fault(&below(start, &keys), why);
        }
    }
}

fn node(config: &Config, cross: &mut Cross<'_>) {
    let bad = |name: &String| name.chars().count() > 255 || name.chars().any(char::is_control);
    if config.node.name.as_ref().is_some_and(bad) {
        let path = Path::of(&["node", "name"]);
        cross.fault(
            &path,
            "up to 255 characters are allowed, and no control characters",
        );
    }
}

fn http(config: &Config, cross: &mut Cross<'_>) {
    if !config.http.telemetry_path.starts_with('/') {
        cross.fault(
            &Path::of(&["http", "telemetry_path"]),
            "a path begins with a slash",
        );
    }
}

pub(super) fn state(config: &Config, cross: &mut Cross<'_>) {
    if config.state.as_ref().is_some_and(|path| path.is_relative()) {
        let why = "an absolute path is needed, such as /var/lib/nodeward";
        cross.fault(&Path::of(&["state"]), why);
    }
    for (key, why) in config.journal.check() {
        cross.fault(&Path::of(&["journal", key]), why);
    }
}

fn subjects(config: &Config, cross: &mut Cross<'_>) {
    let known = || TABLE.iter().map(|entry| entry.name);
    let lists = [
        ("enable", &config.subjects.enable),
        ("disable", &config.subjects.disable),
    ];
    for (key, names) in lists {
        for (index, name) in names.iter().enumerate() {
            let path = Cross::item(&["subjects", key], index);
            if known().any(|subject| subject == name) {
                if key == "disable" && config.subjects.enable.contains(name) {
                    cross.fault(
                        &path,
                        format_args!("{name:?} is enabled too; keep one of both"),
                    );
                }
                continue;
            }
            let meant = nearest(name, known()).map(|name| format!("; did you mean {name:?}?"));
            let all = known().collect::<Vec<_>>().join(", ");
            let meant = meant.unwrap_or_else(|| format!("; there are {all}"));
            cross.fault(&path, format_args!("no subject is called {name:?}{meant}"));
        }
    }
}

/// `X_include` beside `X_exclude` where both are none by default: such a pair is a choice, and its
/// subject refuses both when it starts. Said here, it has a place. An empty pattern is none, as in
/// the flags.
fn selections(cross: &mut Cross<'_>) {
    let all = Path::of(&["subjects"]);
    let Some(Value::Map(sections)) = cross.value(&all) else {
        return;
    };
    let given = |entry: &Entry| match &entry.node.value {
        Value::Text(pattern, _) => !pattern.is_empty(),
        _ => false,
    };
    let defaults = serde_json::to_value(subject::Options::default()).unwrap_or_default();
    let none = |section: &str, key: &str| {
        defaults
            .get(section)
            .and_then(|section| section.get(key))
            .is_some_and(|key| key.is_null())
    };
    let mut both = Vec::new();
    for section in sections {
        let entries = section.node.entries();
        for include in entries.iter().filter(|entry| given(entry)) {
            let Some(name) = include.key.strip_suffix("_include") else {
                continue;
            };
            let exclude = format!("{name}_exclude");
            let a_choice = none(&section.key, &include.key) && none(&section.key, &exclude);
            let both_given = entries
                .iter()
                .any(|entry| entry.key == exclude && given(entry));
            if a_choice && both_given {
                let why = format!("{} cannot stand beside it; remove one", include.key);
                both.push((all.key(&section.key).key(&exclude), why));
            }
        }
    }
    for (path, why) in both {
        cross.fault(&path, why);
    }
}

/// What is no address to listen on, and two listeners on one: the second could never start.
fn listeners(config: &Config, cross: &mut Cross<'_>) {
    let mut taken: HashMap<String, Path> = HashMap::new();
    let lists = [
        ("http", &config.http.listen),
        ("hooks", &config.hooks.listen),
        ("api", &config.api.listen),
        ("zabbix", &config.zabbix.listen),
    ];
    let sections = lists.iter().flat_map(|(section, addresses)| {
        let each = addresses.iter().enumerate();
        each.map(|(index, text)| (Cross::item(&[section, "listen"], index), text.as_str()))
    });
    let gates = config.pools.iter().flat_map(|(name, pool)| {
        let start = Path::of(&["pools"]).key(name);
        let each = pool.listens();
        each.map(move |(keys, text)| (below(start.clone(), &keys), text))
    });
    for (path, text) in sections.chain(gates) {
        let read = match path.0.first() {
            Some(Step::Key(section)) if section == "http" => Address::or_passed(text),
            _ => text.parse(),
        };
        let address = match read {
            Ok(Address::Passed) if config.http.listen.len() > 1 => {
                cross.fault(
                    &path,
                    "stands alone: what systemd passes is instead of other addresses",
                );
                continue;
            }
            Ok(address) => address,
            // Its own section's fault, which a gate has said.
            Err(_) if path.0.len() > 3 => continue,
            Err(error) => {
                cross.fault(&path, error);
                continue;
            }
        };
        // Port 0 is another free port each time.
        if text.ends_with(":0") {
            continue;
        }
        match taken.get(&one_spelling(&address)) {
            Some(first) => cross.fault(&path, format_args!("{text:?} is {first} already")),
            None => {
                taken.insert(one_spelling(&address), path);
            }
        }
    }
}

/// `[::]:9100` takes every address, as `:9100` does.
fn one_spelling(address: &Address) -> String {
    match address {
        Address::Ip(ip) if ip.is_ipv6() && ip.ip().is_unspecified() => {
            Address::All(ip.port()).to_string()
        }
        other => other.to_string(),
    }
}
