//! A real Zabbix server: it takes our templates and our media type, polls nodeward by them and by the template that comes with
//! Zabbix, and every item that nodeward answers gets a value.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value has null wherever it has nothing"
)]

mod active;
mod encrypted;
mod hook;
mod host;
mod house;
mod import;
mod outage;
mod overheard;

use std::collections::BTreeMap;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::{self, Booted};
use crate::zabbix::agent;
use crate::{PeerTest, ours};
use host::Host;
pub use house::Release;
use house::Zabbix;
use import::import;
use overheard::Overheard;

/// A test for each release, by names that differ in the room alone.
macro_rules! tests {
    ($($name:literal $(with $($peer:ident)+)?: $run:path;)*) => {
        &[$(
            PeerTest {
                name: concat!("zabbix_server::", $name),
                needs: &[
                    Peer::ZabbixServer, Peer::ZabbixAgent, Peer::Postgres, Peer::Php, Peer::Root, $($(Peer::$peer),+)?
                ],
                run: || $run(Release::Six),
            },
            PeerTest {
                name: concat!("zabbix_server_7::", $name),
                needs: &[
                    Peer::ZabbixServer7, Peer::ZabbixAgent7, Peer::Postgres, Peer::Php, Peer::Root, $($(Peer::$peer),+)?
                ],
                run: || $run(Release::Seven),
            },
        )*]
    };
}

pub const TESTS: &[PeerTest] = tests! {
    "every_item_of_our_templates_and_of_the_stock_one_gets_its_value" with Systemd DbusDaemon: templates;
    "our_media_type_has_a_problem_healed_and_tells_its_end": hook::heals;
    "a_host_registers_itself_and_brings_all_that_the_agent_brings_of_the_stock_template": active::stock_template;
    "every_value_is_in_the_history_once_after_the_server_was_stopped_and_killed": outage::once;
    "what_nodeward_says_of_itself_is_in_the_history_of_trapper_items": active::own_values;
    "hosts_with_a_key_and_with_certificates_are_asked_and_heard_and_the_doctor_knows_why_others_are_not" with Openssl:
        encrypted::both_ways;
};

const OURS: &str = "nodeward by Zabbix agent";
const HEALING: &str = "nodeward healing by Zabbix agent";
const OURS_ACTIVE: &str = "nodeward by Zabbix agent active";
const HEALING_ACTIVE: &str = "nodeward healing by Zabbix agent active";
const UNITS: &str = "nodeward systemd units by Zabbix agent";
const STOCK: &str = "Linux by Zabbix agent";
/// A check and a playbook, so that there is something to discover.
const HEALS: &str = "checks: {runs: {probe: {process: {name: nodeward}}, every: 1s}}\n\
    playbooks: {never: {mode: observe, match: {alertname: Never, service: {in: [none]}}, target: {service: {from: service}}, \
    ladder: [{do: {command: {argv: [/bin/true]}}, timeout: 5s}], verify: {all: [{check: runs}], pass: 1, every: 1s, deadline: 10s}}}\n";

fn templates(release: Release) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let port = free_port()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\n\
         zabbix: {{listen: [\"127.0.0.1:{port}\"], server: [\"127.0.0.1\"]}}\n{HEALS}"
    );
    let mut ours = ours::configured(&yaml, &scratch)?;
    ours.listens(port)?;
    let theirs = Scratch::new()?;
    let (_agent, agent_port) = agent(release.agent(), "AllowRoot=1", &theirs)?;
    let units = Scratch::new()?;
    let booted = Booted::boot(&units)?;
    let (_units, units_port) = systemd::answering(&booted, "", &units)?;
    let zabbix = Zabbix::start(release, &scratch)?;
    for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/zabbix-templates"))? {
        let path = file?.path();
        // An action is nothing that is imported; hook.rs makes it.
        if path.extension().is_some_and(|kind| kind == "yaml") {
            import(&zabbix, &path)?;
        }
    }
    // One mount and one interface that every machine has, so that there is always something to discover.
    let macros = json!([
        {"macro": "{$VFS.FS.FSNAME.MATCHES}", "value": "^/$"},
        {"macro": "{$VFS.FS.FSTYPE.MATCHES}", "value": "."},
        {"macro": "{$NET.IF.IFNAME.MATCHES}", "value": "^lo$"},
        {"macro": "{$NET.IF.IFNAME.NOT_MATCHES}", "value": "^$"},
    ]);
    let overheard = Overheard::new(port)?;
    let by_ours = Host::make(&zabbix, "ours", &[OURS, HEALING], overheard.port, &macros)?;
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
    let found = match release {
        Release::Six => ["vfs.fs.size[/,pused]", "net.if.in[\"lo\"]"],
        Release::Seven => ["vfs.fs.dependent.size[/,pused]", "net.if.in[\"lo\"]"],
    };
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
    // A server of 7.0 that is answered badly in JSON would go on with bare keys, without a word.
    match (release, overheard.plain_and_json()) {
        (Release::Six, (1.., 0)) | (Release::Seven, (0, 1..)) => {}
        (_, (plain, json)) => return Err(format!("{plain} bare keys, {json} in JSON").into()),
    }
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

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
