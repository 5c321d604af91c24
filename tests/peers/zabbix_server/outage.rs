//! A real server that is stopped, and one that is killed: what was collected meanwhile is in its history, once.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use libtest_mimic::Failed;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use super::house::{Release, Zabbix};
use super::list;
use crate::page::Page;
use crate::process::until;
use crate::scratch::Scratch;
use crate::{ours, web};

/// Values that wait for the server, in memory and on the disk, and what became of the others.
struct Brought {
    taken: f64,
    rejected: f64,
    lost: f64,
    memory: f64,
    spool: f64,
}

impl Brought {
    fn of(address: SocketAddr) -> Option<Self> {
        let page = Page::parse(&web::page(address, "/metrics").ok()?).ok()?;
        let sum = |name: &str, label: (&str, &[&str])| -> f64 {
            let samples = page.samples.iter();
            let of = samples.filter(|(series, _)| {
                let value = series.labels.get(label.0).map(String::as_str);
                series.name == name && value.is_some_and(|value| label.1.contains(&value))
            });
            of.map(|(_, value)| value).sum()
        };
        let values =
            |outcomes: &[&str]| sum("nodeward_zabbix_active_values_total", ("outcome", outcomes));
        let waiting =
            |place: &str| sum("nodeward_zabbix_active_waiting_values", ("place", &[place]));
        Some(Self {
            taken: values(&["taken"]),
            rejected: values(&["rejected"]),
            lost: values(&[
                "memory_full",
                "spool_full",
                "expired",
                "damaged",
                "shutdown",
            ]),
            memory: waiting("memory"),
            spool: waiting("spool"),
        })
    }
}

pub fn once(release: Release) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut zabbix = Zabbix::start(release, &scratch)?;
    let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
    let host = zabbix.call("host.create", &json!({"host": "kept", "groups": group}))?["hostids"][0]
        .clone();
    let mut items = Vec::new();
    for key in [
        "system.uptime",
        "agent.ping",
        "system.boottime",
        "kernel.maxproc",
    ] {
        let item = json!({
            "hostid": host, "name": key, "key_": key, "type": 7, "value_type": 3, "delay": "1s", "history": "1d", "trends": "0",
        });
        items.push(zabbix.call("item.create", &item)?["itemids"][0].clone());
    }
    // So little memory that an outage of three seconds is on the disk, and room for three more while a busy disk takes it.
    let config = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\nzabbix: {{server_active: [\"127.0.0.1:{}\"], hostname: kept, refresh_active_checks: 1s, \
         buffer_send: 1s, buffer_size: 24, timeout: 5s}}\n",
        zabbix.port
    );
    let mut nodeward = ours::configured(&config, &scratch)?;
    let address = nodeward.address()?;
    let told = |what: &str, is: &dyn Fn(&Brought) -> bool| {
        let mut said = String::new();
        until(what, || {
            let brought = Brought::of(address)?;
            said = format!(
                "{} taken, {} rejected, {} lost, {} in memory, {} in the spool",
                brought.taken, brought.rejected, brought.lost, brought.memory, brought.spool
            );
            is(&brought).then_some(())
        })
        .map_err(|failed| {
            Failed::from(format!(
                "{}: {said}\n{}",
                failed.message().unwrap_or_default(),
                nodeward.log()
            ))
        })
    };
    told("first values", &|brought| brought.taken >= 8.0)?;

    zabbix.stop_server();
    told("an outage that needs the disk", &|brought| {
        brought.spool >= 16.0
    })?;
    zabbix.start_server(&scratch)?;
    let so_far = Brought::of(address).ok_or("no page")?;
    let all = so_far.taken + so_far.spool;
    told("all of it to be brought", &|brought| {
        brought.taken + brought.rejected >= all
    })?;

    // Killed while it holds a request that it has not read, and once all that it took is in the database.
    let trapper = zabbix.trapper()?;
    kill_process(trapper, Signal::STOP)?;
    let port = zabbix.port;
    until("a request that is on its way", || {
        arrived(port).then_some(())
    })?;
    let taken = || Brought::of(address).map(|brought| brought.taken + brought.rejected);
    until("what was taken to be in the database", || {
        let rows = history(&zabbix, &items).ok()?.len();
        (rows as f64 >= taken()?).then_some(())
    })?;
    zabbix.kill_server();
    told("another outage", &|brought| brought.spool >= 16.0)?;
    zabbix.start_server(&scratch)?;
    let so_far = Brought::of(address).ok_or("no page")?;
    let all = so_far.taken + so_far.spool;
    told("all of it to be brought again", &|brought| {
        brought.taken + brought.rejected >= all
    })?;

    // Nothing more is collected: what is told stands still. They stay enabled, since the server drops what it holds of others.
    for item in &items {
        zabbix.call("item.update", &json!({"itemid": item, "delay": "1d"}))?;
    }
    let mut said = (0, 0.0);
    let same = until("as many values in the history as were brought", || {
        let brought = Brought::of(address)?;
        let rows = history(&zabbix, &items).ok()?;
        said = (rows.len(), brought.taken + brought.rejected);
        let still = brought.memory + brought.spool == 0.0;
        (still && rows.len() as f64 == brought.taken + brought.rejected).then_some((rows, brought))
    });
    let (rows, brought) =
        same.map_err(|_| format!("{said:?}\n{}\n{}", nodeward.log(), zabbix.log()))?;
    let different: BTreeSet<&String> = rows.iter().collect();
    if different.len() != rows.len() || brought.lost > 0.0 {
        return Err(format!(
            "{} values, {} different, {} lost\n{}",
            rows.len(),
            different.len(),
            brought.lost,
            nodeward.log()
        )
        .into());
    }
    Ok(())
}

/// All values of items, each by its item and its time.
fn history(zabbix: &Zabbix, items: &[Value]) -> Result<Vec<String>, Failed> {
    let wanted = json!({"itemids": items, "history": 3, "output": "extend", "limit": 100_000});
    let rows = zabbix.call("history.get", &wanted)?;
    let row = |row: &Value| format!("{} {} {}", row["itemid"], row["clock"], row["ns"]);
    Ok(list(&rows).iter().map(row).collect())
}

/// Whether a connection to a port has brought bytes that nobody has read (proc(5), /proc/net/tcp).
fn arrived(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ours = words
            .get(1)
            .is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
        let open = words
            .get(3)
            .is_some_and(|state| *state == "01" || *state == "08");
        let unread = words.get(4).and_then(|queues| queues.split_once(':'));
        ours && open && unread.is_some_and(|(_, unread)| unread.bytes().any(|digit| digit != b'0'))
    })
}
