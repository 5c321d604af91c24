//! A real Zabbix server: it takes our templates and our media type, polls nodeward by them and by the template that comes with
//! Zabbix, and every item that nodeward answers gets a value.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value has null wherever it has nothing"
)]
#![expect(
    clippy::print_stdout,
    reason = "what is missing is said where the tests are read"
)]

mod active;
mod encrypted;
mod hook;
mod house;

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::agent::KEYS;
use nodeward::subject::TABLE;
use serde_json::{Value, json};

use crate::process::{free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::{self, Booted};
use crate::zabbix::agent;
use crate::{PeerTest, ours};
use house::Zabbix;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "zabbix_server::every_item_of_our_templates_and_of_the_stock_one_gets_its_value",
        needs: &[
            Peer::ZabbixServer,
            Peer::Postgres,
            Peer::Php,
            Peer::Root,
            Peer::Systemd,
            Peer::DbusDaemon,
            Peer::ZabbixAgent,
        ],
        run: templates,
    },
    PeerTest {
        name: "zabbix_server::our_media_type_has_a_problem_healed_and_tells_its_end",
        needs: &[Peer::ZabbixServer, Peer::Postgres, Peer::Php, Peer::Root],
        run: hook::heals,
    },
    PeerTest {
        name: "zabbix_server::a_host_registers_itself_and_brings_all_that_the_agent_brings_of_the_stock_template",
        needs: &[
            Peer::ZabbixServer,
            Peer::Postgres,
            Peer::Php,
            Peer::Root,
            Peer::ZabbixAgent,
        ],
        run: active::stock_template,
    },
    PeerTest {
        name: "zabbix_server::every_value_is_in_the_history_once_after_the_server_was_stopped_and_killed",
        needs: &[Peer::ZabbixServer, Peer::Postgres, Peer::Php, Peer::Root],
        run: active::once,
    },
    PeerTest {
        name: "zabbix_server::what_nodeward_says_of_itself_is_in_the_history_of_trapper_items",
        needs: &[Peer::ZabbixServer, Peer::Postgres, Peer::Php, Peer::Root],
        run: active::own_values,
    },
    PeerTest {
        name: "zabbix_server::hosts_with_a_key_and_with_certificates_are_asked_and_heard_and_the_doctor_knows_why_others_are_not",
        needs: &[
            Peer::ZabbixServer,
            Peer::Postgres,
            Peer::Php,
            Peer::Root,
            Peer::Openssl,
        ],
        run: encrypted::both_ways,
    },
];

const OURS: &str = "nodeward by Zabbix agent";
const HEALING: &str = "nodeward healing by Zabbix agent";
const OURS_ACTIVE: &str = "nodeward by Zabbix agent active";
const HEALING_ACTIVE: &str = "nodeward healing by Zabbix agent active";
const UNITS: &str = "nodeward systemd units by Zabbix agent";
const STOCK: &str = "Linux by Zabbix agent";
/// Types of item with an interval: agent, internal, active agent, calculated.
const ASKED: &[&str] = &["0", "5", "7", "15"];

/// A check and a playbook, so that there is something to discover.
const HEALS: &str = "checks: {runs: {probe: {process: {name: nodeward}}, every: 1s}}\n\
    playbooks: {never: {mode: observe, match: {alertname: Never, service: {in: [none]}}, target: {service: {from: service}}, \
    ladder: [{do: {command: {argv: [/bin/true]}}, timeout: 5s}], verify: {all: [{check: runs}], pass: 1, every: 1s, deadline: 10s}}}\n";

fn templates() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let port = free_port()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [\"127.0.0.1\"]}}\n{HEALS}"
    );
    let mut ours = ours::configured(&yaml, &scratch)?;
    ours.listens(port)?;
    let theirs = Scratch::new()?;
    let (_agent, agent_port) = agent(Peer::ZabbixAgent, "AllowRoot=1", &theirs)?;
    let units = Scratch::new()?;
    let booted = Booted::boot(&units)?;
    let (_units, units_port) = systemd::answering(&booted, "", &units)?;
    let zabbix = Zabbix::start(&scratch)?;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/zabbix-templates"))? {
        import(&zabbix, &file?.path())?;
    }
    // One mount and one interface that every machine has, so that there is always something to discover.
    let macros = json!([
        {"macro": "{$VFS.FS.FSNAME.MATCHES}", "value": "^/$"},
        {"macro": "{$VFS.FS.FSTYPE.MATCHES}", "value": "."},
        {"macro": "{$NET.IF.IFNAME.MATCHES}", "value": "^lo$"},
        {"macro": "{$NET.IF.IFNAME.NOT_MATCHES}", "value": "^$"},
    ]);
    let by_ours = Host::make(&zabbix, "ours", &[OURS, HEALING], port, &macros)?;
    let by_stock = Host::make(&zabbix, "stock", &[STOCK], port, &macros)?;
    let real = Host::make(&zabbix, "real", &[STOCK], agent_port, &macros)?;
    let by_units = Host::make(&zabbix, "units", &[UNITS], units_port, &json!([]))?;
    let brought = [OURS_ACTIVE, HEALING_ACTIVE];
    let brought = Host::make(&zabbix, "brought", &brought, port, &macros)?;
    let bringing = Scratch::new()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{server_active: [\"127.0.0.1:{}\"], hostname: brought, refresh_active_checks: 1s, buffer_send: 1s}}\n{HEALS}",
        zabbix.port
    );
    let mut bringer = ours::configured(&yaml, &bringing)?;
    bringer.address()?;
    by_ours.settle(&zabbix, &is_shown, DISCOVERED)?;
    brought.settle(&zabbix, &is_shown, DISCOVERED)?;
    by_units.settle(&zabbix, &is_of_every_unit, UNIT)?;
    // What the real agent has no value for on this machine need have none here.
    let found = ["vfs.fs.size[/,pused]", "net.if.in[\"lo\"]"];
    let mut open = BTreeMap::new();
    let settled = until("what the real agent answers of the stock template", || {
        let theirs = real.items(&zabbix).ok()?;
        let lacking = |key: &str| {
            let mut theirs = theirs.iter();
            theirs.any(|item| text(item, "key_") == key && text(item, "state") != "0")
        };
        open = by_stock.open(&zabbix, &|_| true, &found).ok()?;
        open.retain(|key, _| !lacking(key));
        let of_theirs = real.open(&zabbix, &|item| text(item, "state") == "0", &found);
        for (key, why) in of_theirs.ok()? {
            open.insert(format!("{key} of the real agent"), why);
        }
        let ours = by_stock.items(&zabbix).ok()?;
        for (has, lacks, whose) in [(&theirs, &ours, "stock"), (&ours, &theirs, "real")] {
            for key in has.iter().map(|item| text(item, "key_")) {
                if !lacks.iter().any(|item| text(item, "key_") == key) {
                    open.insert(key.to_owned(), format!("not an item of {whose}"));
                }
            }
        }
        open.is_empty().then_some(())
    });
    settled.map_err(|failed| {
        let why = failed.message().unwrap_or_default();
        Failed::from(format!("{why}: {open:#?}\n{}", zabbix.log()))
    })?;
    by_ours.triggers(&zabbix)?;
    brought.triggers(&zabbix)?;
    by_units.triggers(&zabbix)
}

/// What is discovered of our templates.
const DISCOVERED: &[&str] = &[
    "nodeward.fs[/,pused]",
    "nodeward.net[lo,in]",
    "nodeward.check[runs]",
    "nodeward.heals[never]",
];

/// A check that is shown no certificate has no end of one.
fn is_shown(item: &Value) -> bool {
    !text(item, "key_").starts_with("nodeward.check.certificate_expiry[")
}

/// What is there of the unit that uses something.
const UNIT: &[&str] = &[
    "nodeward.unit[nodeward-active.service,cpu]",
    "nodeward.unit[nodeward-active.service,memory]",
    "nodeward.unit[nodeward-active.service,tasks]",
    "nodeward.unit[nodeward-active.service,tasks.limit]",
    "nodeward.unit[nodeward-failed.service,state]",
    "nodeward.unit[nodeward-restarted.service,restarts]",
];

/// Units that do not run use nothing: they have a state and no figures.
fn is_of_every_unit(item: &Value) -> bool {
    let key = text(item, "key_");
    !key.starts_with("nodeward.unit[") || key.ends_with(",state]") || UNIT.contains(&key)
}

fn import(zabbix: &Zabbix, file: &Path) -> Result<(), Failed> {
    let both = json!({"createMissing": true, "updateExisting": true});
    let mut rules = serde_json::Map::new();
    for part in [
        "groups",
        "templates",
        "items",
        "discoveryRules",
        "triggers",
        "graphs",
        "valueMaps",
        "templateDashboards",
        "mediaTypes",
    ] {
        rules.insert(part.to_owned(), both.clone());
    }
    rules.insert("templateLinkage".to_owned(), json!({"createMissing": true}));
    let source = std::fs::read_to_string(file)?;
    let request = json!({"format": "yaml", "source": source, "rules": rules});
    // Twice: the second time it finds everything there, by the uuids.
    for _ in 0..2 {
        zabbix.call("configuration.import", &request)?;
    }
    let compared = zabbix.call("configuration.importcompare", &request)?;
    match list(&compared).is_empty() && compared.as_object().is_none_or(serde_json::Map::is_empty) {
        true => Ok(()),
        false => Err(format!(
            "imported, it is not what {} says: {compared}",
            file.display()
        )
        .into()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Whether nodeward has a key of this name.
fn is_known(key: &str) -> bool {
    let name = key.split('[').next().unwrap_or_default();
    let mut known = TABLE.iter().flat_map(|entry| (entry.items)());
    KEYS.contains(&name) || known.any(|known| known.name == name)
}

/// A host on the server.
struct Host {
    id: Value,
    name: &'static str,
}

impl Host {
    fn make(
        zabbix: &Zabbix,
        name: &'static str,
        templates: &[&str],
        port: u16,
        macros: &Value,
    ) -> Result<Self, Failed> {
        let found = json!({"filter": {"host": templates}, "output": ["templateid"]});
        let found = zabbix.call("template.get", &found)?;
        if list(&found).len() != templates.len() {
            return Err(format!("not all of {templates:?} are there").into());
        }
        for template in list(&found) {
            hurry(zabbix, text(template, "templateid"))?;
        }
        let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
        let made = json!({
            "host": name,
            "groups": group,
            "templates": found,
            "interfaces": [{
                "type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "",
                "port": port.to_string(),
            }],
            "macros": macros,
        });
        let made = zabbix.call("host.create", &made)?;
        let id = made["hostids"][0].clone();
        Ok(Self { id, name })
    }

    fn items(&self, zabbix: &Zabbix) -> Result<Vec<Value>, Failed> {
        let wanted = json!({
            "hostids": self.id,
            "output": ["key_", "type", "state", "error", "lastclock", "history"],
        });
        Ok(list(&zabbix.call("item.get", &wanted)?).to_vec())
    }

    /// Waits until the items that `counts` have a value each, `discovered` among them, and no discovery rule over
    /// a key of ours complains.
    fn settle(
        &self,
        zabbix: &Zabbix,
        counts: &dyn Fn(&Value) -> bool,
        discovered: &[&str],
    ) -> Result<(), Failed> {
        let mut open = BTreeMap::new();
        let mut failed = None;
        let settled = until("every item to have a value", || {
            let state = self.open(zabbix, counts, discovered);
            match state {
                Ok(left) => open = left,
                Err(error) => failed = Some(error),
            }
            (failed.is_some() || open.is_empty()).then_some(())
        });
        match (failed, settled) {
            (Some(failed), _) => Err(failed),
            (None, Ok(())) => Ok(()),
            (None, Err(_)) => Err(format!("{}: {open:#?}\n{}", self.name, zabbix.log()).into()),
        }
    }

    /// What is not as it should be yet, and why.
    fn open(
        &self,
        zabbix: &Zabbix,
        counts: &dyn Fn(&Value) -> bool,
        discovered: &[&str],
    ) -> Result<BTreeMap<String, String>, Failed> {
        let mut open = BTreeMap::new();
        for key in discovered {
            open.insert((*key).to_owned(), "not discovered".to_owned());
        }
        for item in self.items(zabbix)? {
            let key = text(&item, "key_").to_owned();
            open.remove(&key);
            if !counts(&item) {
                continue;
            }
            if text(&item, "state") != "0" {
                open.insert(key, text(&item, "error").to_owned());
            // What keeps no history shows no time of its last value either.
            } else if text(&item, "history") != "0" && text(&item, "lastclock") == "0" {
                open.insert(key, "no value".to_owned());
            }
        }
        let rules = json!({"hostids": self.id, "output": ["key_", "type", "state", "error"]});
        for rule in list(&zabbix.call("discoveryrule.get", &rules)?) {
            if counts(rule) && !text(rule, "error").is_empty() {
                open.insert(
                    text(rule, "key_").to_owned(),
                    text(rule, "error").to_owned(),
                );
            }
        }
        Ok(open)
    }

    /// No trigger is wrong; one that needs more values than there are yet is not.
    fn triggers(&self, zabbix: &Zabbix) -> Result<(), Failed> {
        let wanted = json!({"hostids": self.id, "output": ["description", "state", "error"]});
        let triggers = zabbix.call("trigger.get", &wanted)?;
        let wrong: Vec<&Value> = list(&triggers)
            .iter()
            .filter(|t| text(t, "state") != "0" && !text(t, "error").contains("not enough data"))
            .collect();
        match wrong.is_empty() && !list(&triggers).is_empty() {
            true => Ok(()),
            false => Err(format!("{wrong:#?}").into()),
        }
    }
}

/// Makes the server ask every second for what a template asks every minute or hour.
fn hurry(zabbix: &Zabbix, template: &str) -> Result<(), Failed> {
    for (kind, id) in [
        ("item", "itemid"),
        ("itemprototype", "itemid"),
        ("discoveryrule", "itemid"),
    ] {
        let wanted = json!({"templateids": template, "output": [id, "type"]});
        let found = zabbix.call(&format!("{kind}.get"), &wanted)?;
        let faster: Vec<Value> = list(&found)
            .iter()
            .filter(|item| ASKED.contains(&text(item, "type")))
            .map(|item| {
                let mut faster = json!({id: item[id], "delay": "1s"});
                if kind == "discoveryrule" {
                    // The next answer repairs what was lost of the first, and what was there for a moment goes again.
                    faster["preprocessing"] = json!([]);
                    faster["lifetime"] = json!("0");
                }
                faster
            })
            .collect();
        if !faster.is_empty() {
            zabbix.call(&format!("{kind}.update"), &json!(faster))?;
        }
    }
    Ok(())
}
