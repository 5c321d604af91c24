//! Active checks of a real server: the template that comes with Zabbix, a host that registers itself, and values of nodeward's own.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

use libtest_mimic::Failed;
use nodeward::dialect::zabbix::packet;
use serde_json::{Value, json};

use super::host::hurry;
use super::house::{Release, Zabbix};
use super::{list, text};
use crate::ours;
use crate::process::{Running, until};
use crate::scratch::Scratch;

const STOCK: &str = "Linux by Zabbix agent active";
/// The types of an item that an agent brings, and of one that the server takes from another.
const BROUGHT: [&str; 2] = ["7", "18"];

/// One that is there for each interface and for each mount.
const fn discovered(release: Release) -> [&'static str; 2] {
    let mount = match release {
        Release::Six => "vfs.fs.size[/,pused]",
        Release::Seven => "vfs.fs.dependent.size[/,pused]",
    };
    ["net.if.in[\"lo\"]", mount]
}

pub fn stock_template(release: Release) -> Result<(), Failed> {
    let (scratch, theirs) = (Scratch::new()?, Scratch::new()?);
    let zabbix = Zabbix::start(release, &scratch)?;
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
    let agent = Agent::new(release, zabbix.port);
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
        let mounts: &[&str] = match release {
            Release::Six => &["vfs.fs.size[", "vfs.fs.inode["],
            // Taken from one answer, vfs.fs.get.
            Release::Seven => &[],
        };
        let listed = [mounts, &["net.if.in[", "vfs.file.contents["]].concat();
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
        let whole = [&real, &ours].iter().all(|keys| keys.is_whole(release));
        let same = real.all == ours.all && ours.unsupported.is_subset(&real.unsupported);
        last = Some([real, ours]);
        (whole && same).then_some(())
    });
    drop(running);
    let Some([theirs, own]) = last else {
        return Err("the server told nothing".into());
    };
    settled.map_err(|failed| {
        let said = format!(
            "{}\nunsupported here and not there: {:#?}\nwithout a value: {:?}, there {:?}\n\
             items of one alone: {:?}\nheard: {}, there {}",
            failed.message().unwrap_or_default(),
            own.unsupported.difference(&theirs.unsupported),
            own.open,
            theirs.open,
            theirs.all.symmetric_difference(&own.all),
            own.beats,
            theirs.beats
        );
        with(said.into(), &nodeward, &zabbix)
    })?;
    until("a history of what was brought", || {
        let wanted =
            json!({"hostids": ours, "filter": {"key_": "system.uptime"}, "output": ["itemid"]});
        let item = zabbix.call("item.get", &wanted).ok()?[0]["itemid"].clone();
        // 3: unsigned numbers.
        let wanted = json!({"itemids": item, "history": 3, "output": "extend"});
        let rows = zabbix.call("history.get", &wanted).ok()?;
        let values = list(&rows)
            .iter()
            .filter_map(|row| text(row, "value").parse::<u64>().ok());
        let seconds = list(&rows).iter().map(|row| text(row, "clock"));
        let seconds = seconds.collect::<BTreeSet<_>>().len();
        (seconds >= 3 && values.collect::<BTreeSet<_>>().len() >= 3).then_some(())
    })
    .map_err(|failed| with(failed, &nodeward, &zabbix))
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
    release: Release,
    server: u16,
}

impl Agent {
    const fn new(release: Release, server: u16) -> Self {
        Self { release, server }
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
        let mut command = Command::new(self.release.agent().find()?);
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
    /// Whether the server hears its heartbeat, which is of 7.0.
    beats: bool,
}

impl Keys {
    fn of(zabbix: &Zabbix, host: &Value) -> Result<Self, Failed> {
        let wanted = json!({
            "hostids": host, "output": ["key_", "type", "state", "lastclock", "lastvalue", "history"],
        });
        let items = zabbix.call("item.get", &wanted)?;
        let brought: Vec<&Value> = list(&items)
            .iter()
            .filter(|item| BROUGHT.contains(&text(item, "type")))
            .collect();
        let keys = |which: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
            let which = brought.iter().filter(|item| which(item));
            which.map(|item| text(item, "key_").to_owned()).collect()
        };
        let unsupported = |item: &Value| text(item, "state") == "1";
        Ok(Self {
            beats: list(&items).iter().any(|item| {
                text(item, "key_") == "zabbix[host,active_agent,available]"
                    && text(item, "lastvalue") == "1"
            }),
            all: keys(&|_| true),
            unsupported: keys(&unsupported),
            open: keys(&|item| {
                !unsupported(item) && text(item, "history") != "0" && text(item, "lastclock") == "0"
            }),
        })
    }

    fn is_whole(&self, release: Release) -> bool {
        let found = discovered(release);
        self.open.is_empty()
            && found.iter().all(|key| self.all.contains(*key))
            && (release == Release::Six || self.beats)
    }
}

/// What nodeward says of itself, at items of the type trapper.
pub fn own_values(release: Release) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let zabbix = Zabbix::start(release, &scratch)?;
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
