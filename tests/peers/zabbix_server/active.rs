//! Active checks of a real server: the template that comes with Zabbix, a host that registers itself, and a server that goes away.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::packet;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::house::Zabbix;
use super::{hurry, is_known, list, text};
use crate::ours;
use crate::page::Page;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web;

const STOCK: &str = "Linux by Zabbix agent active";
/// The type of an item that an agent brings.
const BROUGHT: &str = "7";
/// One that is there for each interface and for each mount.
const DISCOVERED: [&str; 2] = ["net.if.in[\"lo\"]", "vfs.fs.size[/,pused]"];

pub fn stock_template() -> Result<(), Failed> {
    let (scratch, theirs) = (Scratch::new()?, Scratch::new()?);
    let zabbix = Zabbix::start(&scratch)?;
    let template = json!({"filter": {"host": [STOCK]}, "output": ["templateid"]});
    let template = zabbix.call("template.get", &template)?[0]["templateid"].clone();
    hurry(&zabbix, template.as_str().unwrap_or_default())?;
    // On the template, since nobody makes the host that registers itself.
    let macros = [
        ("{$VFS.FS.FSNAME.MATCHES}", "^/$"),
        ("{$VFS.FS.FSTYPE.MATCHES}", "."),
        ("{$NET.IF.IFNAME.MATCHES}", "^lo$"),
        ("{$NET.IF.IFNAME.NOT_MATCHES}", "^$"),
    ];
    for (name, value) in macros {
        let wanted =
            json!({"hostids": template, "filter": {"macro": name}, "output": ["hostmacroid"]});
        let found = zabbix.call("usermacro.get", &wanted)?[0]["hostmacroid"].clone();
        zabbix.call(
            "usermacro.update",
            &json!({"hostmacroid": found, "value": value}),
        )?;
    }
    let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
    let real = json!({"host": "real", "groups": group, "templates": [{"templateid": template}]});
    let real = zabbix.call("host.create", &real)?["hostids"][0].clone();
    register(&zabbix, &group[0]["groupid"], &template)?;

    // One that the server does not know yet, it asks again in a minute only.
    until("the server to know the host", || {
        knows(zabbix.port, "real", &["agent.ping"])
    })?;
    let agent = Agent::new(zabbix.port);
    let mut running = agent.start(&theirs)?;
    let config = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\nzabbix: {{server_active: [\"127.0.0.1:{}\"], hostname: registered by itself, \
         host_metadata: linux nodeward, refresh_active_checks: 1s, buffer_send: 1s}}\n",
        zabbix.port
    );
    let mut nodeward = ours::configured(&config, &scratch)?;
    nodeward.address()?;
    let ours = until("the host that registers itself", || {
        let wanted = json!({"filter": {"host": ["registered by itself"]}, "output": ["hostid"]});
        let hosts = zabbix.call("host.get", &wanted).ok()?;
        Some(list(&hosts).first()?["hostid"].clone())
    })
    .map_err(|failed| with(failed, &nodeward, &zabbix))?;

    // The agent asks for the list once a minute: started anew, it has what was discovered at once.
    until("the agent to have interfaces and mounts discovered", || {
        let listed = [
            "net.if.in[",
            "vfs.fs.size[",
            "vfs.fs.inode[",
            "vfs.file.contents[",
        ];
        knows(zabbix.port, "real", &listed)
    })?;
    running.terminate()?;
    running = agent.start(&theirs)?;
    let state = || -> Option<[Keys; 2]> {
        Some([
            Keys::of(&zabbix, &real).ok()?,
            Keys::of(&zabbix, &ours).ok()?,
        ])
    };
    let mut last = None;
    let settled = until("every item to have a value", || {
        let [real, ours] = state()?;
        let whole = [&real, &ours].iter().all(|keys| keys.is_whole())
            && ours.lacks(&real).all(|key| !is_known(key));
        last = Some([real, ours]);
        whole.then_some(())
    });
    drop(running);
    let Some([real, ours]) = last else {
        return Err("the server told nothing".into());
    };
    // For whoever extends nodeward: what users of the template still miss.
    for key in ours.lacks(&real).filter(|_| settled.is_ok()) {
        println!("not answered yet: {key}");
    }
    match settled {
        Ok(()) if real.all == ours.all => Ok(()),
        Ok(()) => Err(format!(
            "other items: {:?}",
            real.all.symmetric_difference(&ours.all)
        )
        .into()),
        Err(failed) => {
            let more: Vec<_> = ours.lacks(&real).collect();
            let said = format!(
                "unsupported here and not there: {more:#?}\nwithout a value: {:?}, there {:?}",
                ours.open, real.open
            );
            Err(with(
                format!("{}\n{said}", failed.message().unwrap_or_default()).into(),
                &nodeward,
                &zabbix,
            ))
        }
    }
}

fn with(failed: Failed, nodeward: &Running, zabbix: &Zabbix) -> Failed {
    let why = failed.message().unwrap_or_default();
    format!("{why}\n{}\n{}", nodeward.log(), zabbix.log()).into()
}

/// Whether the server lists such items for a host.
fn knows(port: u16, host: &str, items: &[&str]) -> Option<()> {
    let request = json!({"request": "active checks", "host": host, "version": "6.0"}).to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.write_all(&packet::encode(request.as_bytes())).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    items.iter().all(|item| answer.contains(item)).then_some(())
}

/// Has every agent with our metadata made a host with the template.
fn register(zabbix: &Zabbix, group: &Value, template: &Value) -> Result<(), Failed> {
    let action = json!({
        "name": "register", "eventsource": 2, "status": 0,
        "filter": {"evaltype": 0, "conditions": [{"conditiontype": 24, "operator": 2, "value": "nodeward"}]},
        "operations": [
            {"operationtype": 2},
            {"operationtype": 4, "opgroup": [{"groupid": group}]},
            {"operationtype": 6, "optemplate": [{"templateid": template}]},
        ],
    });
    zabbix.call("action.create", &action).map(drop)
}

/// The classic agent, which brings its values too.
struct Agent {
    server: u16,
}

impl Agent {
    const fn new(server: u16) -> Self {
        Self { server }
    }

    fn start(&self, scratch: &Scratch) -> Result<Running, Failed> {
        let home = scratch.path().display();
        let text = format!(
            "ServerActive=127.0.0.1:{}\nHostname=real\nStartAgents=0\nAllowRoot=1\nLogType=console\nBufferSend=1\n\
             PidFile={home}/agentd.pid\n",
            self.server
        );
        let file = scratch.path().join("agentd.conf");
        std::fs::write(&file, text)?;
        let mut command = Command::new(Peer::ZabbixAgent.find()?);
        command.arg("-f").arg("-c").arg(file);
        Running::start("zabbix_agentd", &mut command, scratch)
    }
}

/// The items that are brought for a host, by their keys.
struct Keys {
    all: BTreeSet<String>,
    unsupported: BTreeSet<String>,
    /// Without a value yet.
    open: BTreeSet<String>,
}

impl Keys {
    fn of(zabbix: &Zabbix, host: &Value) -> Result<Self, Failed> {
        let wanted =
            json!({"hostids": host, "output": ["key_", "type", "state", "lastclock", "history"]});
        let items = zabbix.call("item.get", &wanted)?;
        let brought: Vec<&Value> = list(&items)
            .iter()
            .filter(|item| text(item, "type") == BROUGHT)
            .collect();
        let keys = |which: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
            let which = brought.iter().filter(|item| which(item));
            which.map(|item| text(item, "key_").to_owned()).collect()
        };
        let unsupported = |item: &Value| text(item, "state") == "1";
        Ok(Self {
            all: keys(&|_| true),
            unsupported: keys(&unsupported),
            open: keys(&|item| {
                !unsupported(item) && text(item, "history") != "0" && text(item, "lastclock") == "0"
            }),
        })
    }

    /// What has no value here and has one there.
    fn lacks<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a String> {
        self.unsupported.difference(&other.unsupported)
    }

    fn is_whole(&self) -> bool {
        self.open.is_empty() && DISCOVERED.iter().all(|key| self.all.contains(*key))
    }
}

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

pub fn once() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let mut zabbix = Zabbix::start(&scratch)?;
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
    // So little memory that an outage of a second is on the disk.
    let config = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\nzabbix: {{server_active: [\"127.0.0.1:{}\"], hostname: kept, refresh_active_checks: 1s, \
         buffer_send: 1s, buffer_size: 8, timeout: 5s}}\n",
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
            "{} values, {} different, {} lost",
            rows.len(),
            different.len(),
            brought.lost
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

/// A process of the server by what it calls itself.
pub fn process_of(server: u32, title: &str) -> Option<Pid> {
    let all = std::fs::read_dir("/proc").ok()?;
    all.flatten().find_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
        let named = std::fs::read(entry.path().join("cmdline")).ok()?;
        let ours = parent.parse() == Ok(server) && String::from_utf8_lossy(&named).contains(title);
        let pid = entry.file_name().to_str()?.parse().ok()?;
        ours.then(|| Pid::from_raw(pid))?
    })
}

/// What nodeward says of itself, at items of the type trapper.
pub fn own_values() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let zabbix = Zabbix::start(&scratch)?;
    let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
    let host = zabbix.call("host.create", &json!({"host": "self", "groups": group}))?["hostids"][0]
        .clone();
    let mut items = std::collections::BTreeMap::new();
    for (key, kind) in [
        ("nodeward.state", 1),
        ("nodeward.incidents", 3),
        ("nodeward.heals[,escalated]", 3),
    ] {
        let item = json!({"hostid": host, "name": key, "key_": key, "type": 2, "value_type": kind, "history": "1d"});
        items.insert(
            key,
            zabbix.call("item.create", &item)?["itemids"][0].clone(),
        );
    }
    let config = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\nzabbix: {{hostname: self, trapper: {{servers: [\"127.0.0.1:{}\"], interval: 1s, \
         keys: [nodeward.state, nodeward.incidents, \"nodeward.heals[,escalated]\"]}}}}\n\
         checks: {{gone: {{probe: {{process: {{name: no-such-program}}}}, every: 1s, for: 2s, critical: true}}}}\n\
         hooks: {{alertmanager: {{}}}}\n",
        zabbix.port
    );
    let mut nodeward = ours::configured(&config, &scratch)?;
    nodeward.address()?;
    let values = |key: &str, kind: u8| -> Option<Vec<String>> {
        let wanted = json!({"itemids": items[key], "history": kind, "output": "extend", "sortfield": "clock"});
        let rows = zabbix.call("history.get", &wanted).ok()?;
        Some(
            list(&rows)
                .iter()
                .map(|row| text(row, "value").to_owned())
                .collect(),
        )
    };
    let told = until("the server to know that this node is ill", || {
        let states = values("nodeward.state", 1)?;
        let numbers = [
            values("nodeward.incidents", 3)?,
            values("nodeward.heals[,escalated]", 3)?,
        ];
        let ill = states.last().is_some_and(|state| state == "unhealthy");
        (ill && numbers
            .iter()
            .all(|values| values.first().is_some_and(|value| value == "0")))
        .then_some(())
    });
    told.map_err(|failed| with(failed, &nodeward, &zabbix))
}
