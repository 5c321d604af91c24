//! The playbooks that are shipped (packaging/playbooks): the very files, with names, addresses and times of this stage.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::stage::{Row, Stage, UNIT, Watch, attempts};
use super::told::OnCall;
use super::visitors::Visitors;
use crate::healing::{once, verified};
use crate::ours;
use crate::process::{Running, until};
use crate::rsyslog::Daemon;
use crate::scratch::Scratch;

/// All that a shipped playbook speaks to.
struct World {
    stage: Stage,
    siem: Daemon,
    oncall: OnCall,
    /// Root's alone; what the playbooks take from the machine's own file system.
    files: Scratch,
}

impl World {
    fn new() -> Result<Self, Failed> {
        Ok(Self {
            stage: Stage::set()?,
            siem: Daemon::new()?,
            oncall: OnCall::start()?,
            files: Scratch::trusted()?,
        })
    }

    fn error_log(&self) -> PathBuf {
        self.files.path().join("error.log")
    }

    /// What is written in the files, and what stands for it here.
    fn names(&self) -> Vec<(&'static str, String)> {
        let stage = &self.stage;
        let socket = stage.balancer.socket("admin");
        vec![
            ("10.0.0.7:9201", format!("127.0.0.1:{}", stage.agent)),
            ("/run/haproxy/admin.sock", socket.display().to_string()),
            ("siem.example:601", format!("127.0.0.1:{}", self.siem.tcp)),
            ("--server=siem.example", "--server=127.0.0.1".into()),
            ("--port=601", format!("--port={}", self.siem.tcp)),
            (
                "/var/log/web/error.log",
                self.error_log().display().to_string(),
            ),
            (
                "https://pager.example/nodeward",
                format!("http://{}/", self.oncall.address),
            ),
            ("127.0.0.1:8080", format!("127.0.0.1:{}", stage.port())),
            ("unit: web.service", format!("unit: {UNIT}")),
            ("unit_stable: 10s", "unit_stable: 500ms".into()),
        ]
    }

    /// nodeward with a playbook of these, in mode auto, and its times as short as these.
    fn nodeward(&self, playbook: &str, quick: Value, more: Value) -> Result<Running, Failed> {
        let directory = self.stage.scratch.path();
        let drop_ins = directory.join("nodeward.d");
        std::fs::create_dir_all(&drop_ins)?;
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/playbooks");
        for file in ["00-node", playbook] {
            let file = format!("{file}.yml");
            let mut text = std::fs::read_to_string(shipped.join(&file))?;
            for (written, here) in self.names() {
                text = text.replace(written, &here);
            }
            std::fs::write(drop_ins.join(file), text)?;
        }
        let mut here = json!({
            "subjects": {"systemd": {"bus": {"address": self.stage.booted.bus}}},
            "pools": {"web": {"drain": "500ms", "cut_after": "1s", "ramp": "0s"}},
            "playbooks": {playbook: quick},
        });
        here["playbooks"][playbook]["mode"] = json!("auto");
        if let (Value::Object(here), Value::Object(more)) = (&mut here, more) {
            here.extend(more);
        }
        std::fs::write(drop_ins.join("zz-here.yml"), here.to_string())?;
        let token = directory.join("pager.token");
        std::fs::write(&token, "secret")?;
        std::fs::set_permissions(token, Permissions::from_mode(0o600))?;
        let yaml = "http: {listen: [\"127.0.0.1:0\"]}\n";
        let mut nodeward = ours::configured(yaml, &self.stage.scratch)?;
        nodeward.address()?;
        Ok(nodeward)
    }

    /// What the SIEM has under this MSGID.
    fn has(&self, msgid: &str) -> Vec<Value> {
        let mut records = self.siem.records();
        records.retain(|record| record["msgid"] == msgid);
        records
    }

    fn ends(self, nodeward: Running) -> Result<(), Failed> {
        once(
            &self.stage.scratch,
            &nodeward,
            "the end of the incident",
            |r| r["to"] == "healed",
        )?;
        self.stage.is_back()?;
        self.stage.is_visited()?;
        nodeward.terminate()?;
        verified(&self.stage.scratch)
    }
}

pub fn communication() -> Result<(), Failed> {
    let world = World::new()?;
    let quick = json!({
        "guards": {"cooldown": "500ms"}, "verify": {"every": "200ms", "deadline": "5s"}, "probation": "500ms",
    });
    let checks = json!({"web": {"every": "200ms", "timeout": "500ms"}});
    let nodeward = world.nodeward("communication-failure", quick, json!({"checks": checks}))?;
    let stage = &world.stage;
    let first = stage.invocation()?;
    let watch = Watch::start(&stage.balancer);
    stage.signal("one", "19")?;
    once(&stage.scratch, &nodeward, "the end of the incident", |r| {
        r["to"] == "healed"
    })?;
    assert!(watch.rows().iter().any(Row::is_out));
    assert_ne!(stage.invocation()?, first);
    assert_eq!(stage.starts("one")?.len(), 2);
    world.ends(nodeward)
}

pub fn memory() -> Result<(), Failed> {
    let world = World::new()?;
    // Everything as the machine has it, but for the memory.
    let procfs = world.files.path().join("proc");
    std::fs::create_dir(&procfs)?;
    for entry in std::fs::read_dir("/proc")? {
        let entry = entry?;
        if entry.file_name() != "meminfo" {
            std::os::unix::fs::symlink(entry.path(), procfs.join(entry.file_name()))?;
        }
    }
    let available = |share: u64| {
        let text =
            format!("MemTotal: 1000000 kB\nMemFree: 1000 kB\nMemAvailable: {share}0000 kB\n");
        std::fs::write(procfs.join("meminfo"), text)
    };
    available(50)?;
    let quick = json!({"verify": {"every": "200ms", "deadline": "2s"}, "probation": "500ms"});
    let more = json!({
        "checks": {"memory": {"every": "200ms", "for": "400ms"}},
        "roots": {"procfs": procfs},
    });
    let nodeward = world.nodeward("memory-pressure", quick, more)?;
    let stage = &world.stage;
    let visitors = Visitors::start(20..26, stage.balancer.port)?;
    visitors.all_are_served()?;
    let first = stage.invocation()?;

    available(5)?;
    stage.balancer.status("web-1", "MAINT")?;
    until("the SIEM to know", || {
        (!world.has("ESCALATED").is_empty()).then_some(())
    })?;
    visitors.all_are_served()?;
    assert!(visitors.bound_to("one").is_empty(), "somebody is left");
    available(50)?;
    once(&stage.scratch, &nodeward, "the end of the incident", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(
        (stage.invocation()?, stage.starts("one")?.len()),
        (first, 1)
    );
    assert_eq!(world.has("ESCALATED").len(), 1);
    drop(visitors);
    world.ends(nodeward)
}

pub fn persistent() -> Result<(), Failed> {
    let world = World::new()?;
    std::fs::write(
        world.error_log(),
        "cannot open the database\nstill cannot\n",
    )?;
    let quick = json!({"verify": {"every": "200ms", "deadline": "1s"}, "probation": "500ms"});
    let checks = json!({"web-for-long": {"every": "200ms", "timeout": "500ms", "for": "1s"}});
    let nodeward = world.nodeward("persistent-failure", quick, json!({"checks": checks}))?;
    let stage = &world.stage;
    let first = stage.invocation()?;
    stage.has("one", "ill", "stays")?;
    until("the SIEM and the person on call to know", || {
        let told = !world.has("ESCALATED").is_empty() && !world.oncall.escalations().is_empty();
        told.then_some(())
    })?;
    stage.balancer.status("web-1", "MAINT")?;

    let records = world.siem.records();
    let lines: Vec<_> = records.iter().filter(|r| r["app"] == "web").collect();
    let texts: Vec<_> = lines.iter().filter_map(|r| r["text"].as_str()).collect();
    assert_eq!(
        texts.iter().map(|text| text.trim()).collect::<Vec<_>>(),
        ["cannot open the database", "still cannot"],
        "{records:#?}"
    );
    let escalated = world.has("ESCALATED");
    let [escalated] = escalated.as_slice() else {
        return Err(format!("not one: {escalated:#?}").into());
    };
    let data = escalated["data"].as_str().unwrap_or_default();
    for part in [
        "playbook=\"persistent-failure\"",
        "target=\"service:web\"",
        "chain=\"",
    ] {
        assert!(data.contains(part), "{escalated:#?}");
    }
    assert_eq!(attempts(&stage.scratch)?.len(), 1);

    stage.has_no("one", "ill")?;
    once(&stage.scratch, &nodeward, "the end of the incident", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(
        (stage.invocation()?, stage.starts("one")?.len()),
        (first, 1)
    );
    assert_eq!(world.oncall.escalations().len(), 1);
    world.ends(nodeward)
}
