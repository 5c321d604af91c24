//! A host on a real server, and what is still to come of its items, discovery rules and triggers.

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::house::{Release, Zabbix};
use super::{list, text};
use crate::process::until;

/// Types of item with an interval: agent, internal, active agent, calculated.
const ASKED: &[&str] = &["0", "5", "7", "15"];

/// A host on the server.
pub struct Host {
    id: Value,
    name: &'static str,
}

impl Host {
    pub fn make(
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

    pub fn items(&self, zabbix: &Zabbix) -> Result<Vec<Value>, Failed> {
        let wanted = json!({
            "hostids": self.id,
            "output": ["key_", "type", "state", "error", "lastclock", "history"],
        });
        Ok(list(&zabbix.call("item.get", &wanted)?).to_vec())
    }

    /// Waits until the items that `counts` have a value each, `discovered` among them, and no discovery rule over
    /// a key of ours complains.
    pub fn settle(
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
    pub fn open(
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
    pub fn triggers(&self, zabbix: &Zabbix) -> Result<(), Failed> {
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
pub fn hurry(zabbix: &Zabbix, template: &str) -> Result<(), Failed> {
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
                    match zabbix.release {
                        Release::Six => faster["lifetime"] = json!("0"),
                        // 2: at once.
                        Release::Seven => faster["lifetime_type"] = json!(2),
                    }
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
