//! The root of the config file: the names of its sections.
//!
//! Owns `node` and `control`; every other section belongs to its component, which knows nothing of
//! files. A new section is one field here.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::dialect::otlp;
use crate::dialect::zabbix::passive;
use crate::heal::{intake, maintenance, playbook};
use crate::host::Roots;
use crate::journal;
use crate::peer::container;
use crate::serve::{api, hooks};
use crate::telemetry::logs;
use crate::{check, gate, notify, serve, subject};

/// The whole config file.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "nodeward.yml")]
pub struct Config {
    /// What this machine is called.
    pub node: Node,
    /// The HTTP listener: the page of metrics, health, the landing page.
    pub http: serve::Options,
    /// Webhooks by which alert servers tell their alerts: `POST /hooks/NAME`. One named alertmanager,
    /// grafana or zabbix is of that kind; `{}` leaves every key at its default, null takes a hook away.
    pub hooks: hooks::Options,
    /// What operators may see and order over HTTP (`/api/v1/`), as over the control socket. It is on once a token is named.
    pub api: api::Options,
    /// What is read from the machine.
    pub subjects: subject::Options,
    /// Passive checks for a Zabbix server or proxy.
    pub zabbix: passive::Options,
    /// Metrics and traces pushed over OTLP.
    pub otlp: otlp::Options,
    /// Local probes of services, each by a name of up to 64 letters, digits, dots, dashes and underscores: what is probed,
    /// how often, and what its failing means.
    pub checks: check::Options,
    /// The pools of load balancers that this node takes traffic in, each by a name of up to 64 letters, digits, dots, dashes and
    /// underscores: how they are told that it is to be out, and how it leaves and comes back.
    pub pools: gate::Options,
    /// When this node is under maintenance by itself: nothing is healed, and it is out of the pools that are named.
    pub maintenance: maintenance::Options,
    /// What is done about alerts, each playbook by a name: which alerts, what is healed, how, and how it is proven.
    pub playbooks: playbook::Options,
    /// Who is told of what could not be healed, and how they are reminded, where a playbook does not say so itself.
    pub escalation: playbook::Escalation,
    /// The container engine that actions speak to.
    pub container: container::Options,
    /// Who is told of incidents, each by a name of up to 64 letters, digits, dots, dashes and underscores: where, from which
    /// severity on, and for how long delivery is tried.
    pub notify: notify::Options,
    /// nodeward's own log lines, on standard error.
    pub log: logs::Options,
    /// Where the journal and other state lie: an absolute path (`--state-dir`), made when it is first
    /// needed. Default: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/nodeward`, else
    /// `~/.local/state/nodeward`.
    #[schemars(length(min = 1))]
    pub state: Option<PathBuf>,
    /// The record of everything decided and done, and how long it is kept.
    pub journal: journal::Options,
    /// The control socket that `nodeward status`, `reload` and the like talk to: `off`, or an
    /// absolute path. Default: `$RUNTIME_DIRECTORY/nodeward.sock`, else
    /// `/run/nodeward/nodeward.sock` if that directory is there, else the state directory.
    pub control: Option<Control>,
    /// Where the machine's own files are, for a container that reads its host.
    pub roots: Roots,
}

/// The top-level keys in the order people should meet them.
pub const ORDER: &[&str] = &[
    "node",
    "http",
    "hooks",
    "api",
    "subjects",
    "zabbix",
    "otlp",
    "checks",
    "pools",
    "playbooks",
    "escalation",
    "maintenance",
    "container",
    "notify",
    "state",
    "journal",
    "log",
    "control",
];

/// What this machine is called.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// The name in Zabbix answers, resource attributes and messages; up to 255 characters.
    /// Default: the host name.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Which alerts are this machine's: labels, each with the values that make an alert ours, such as
    /// `{instance: ["web-1:9100"]}`; one that fits is enough. Default: one of the labels instance,
    /// host, hostname, node and ip is the name of the node, the host name, the full name or an
    /// address of the machine, with or without a port. localhost and 127.0.0.1 are nobody's by
    /// default, since every machine has them.
    #[serde(rename = "match")]
    pub matching: intake::Matching,
}

/// Where the control socket is, if the config says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// There is none.
    Off,
    /// At this absolute path.
    Socket(PathBuf),
}

impl Serialize for Control {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Socket(path) => path.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Control {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "off" => Ok(Self::Off),
            path if path.starts_with('/') => Ok(Self::Socket(PathBuf::from(path))),
            other => Err(de::Error::custom(format_args!(
                "{other:?} is neither off nor an absolute path, such as /run/nodeward/nodeward.sock"
            ))),
        }
    }
}

impl JsonSchema for Control {
    fn schema_name() -> Cow<'static, str> {
        "Control".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(off|/.*)$", "x-nodeward-type": "socket" })
    }
}
